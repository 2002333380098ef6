package query

import "fmt"

// table puts a table into scope under a new alias.
func (g *Generator) table(t *Table) relation {
	rel := relation{name: g.alias("x")}
	for _, c := range t.Columns {
		rel.fields = append(rel.fields, field{text: rel.name + "." + c.Name, typ: c.Type})
	}
	rel.id = rel.name + ".id"
	return rel
}

// from makes a FROM list: its text, what it brings into scope, and the columns
// that together tell its rows apart (nil where there are none).
func (g *Generator) from(outer *scope, depth int) (*Node, *scope, []string) {
	s := &scope{outer: outer}
	first, rel := g.source(s, depth, false, false)
	n := text(first)
	s.fields = append(s.fields, rel.fields...)
	ids, unique := []string{rel.id}, rel.id != ""
	joins := 0
	switch c := g.r.IntN(100); {
	case c < 40:
	case c < 80:
		joins = 1
	default:
		joins = 2
	}
	for i := range joins {
		join, right := g.join(s, depth, rel, i == 0, i == joins-1)
		n.Parts = append(n.Parts, join)
		s.fields = append(s.fields, right.fields...)
		ids = append(ids, right.id)
		unique = unique && right.id != ""
	}
	if !unique {
		ids = nil
	}
	return n, s, ids
}

// join makes a join with one more source. Conditions refer to both sides. Only
// the first join is by common names, which several would have; only the last
// is a comma, behind which a condition would not see what stands before.
func (g *Generator) join(s *scope, depth int, left relation, first, last bool) (*Node, relation) {
	lateral := g.chance(8) && g.nested > 0 && !g.schema.dialect.portable
	kind := pick(g.r, []string{" JOIN ", " INNER JOIN ", " LEFT JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN ", " CROSS JOIN ", ", "})
	if lateral {
		kind = pick(g.r, []string{" CROSS JOIN ", " LEFT JOIN ", ", "})
	}
	if kind == ", " && !last {
		kind = " CROSS JOIN "
	}
	crossed := kind == " CROSS JOIN " || kind == ", "
	src, rel := g.source(s, depth, lateral, crossed)
	if crossed {
		return optional(kind, src), rel
	}
	if rel.id != "" && left.id != "" && first && g.chance(20) {
		if g.chance(40) {
			return optional(" NATURAL", kind, src), rel
		}
		return optional(kind, src, " USING (", pick(g.r, []string{"k", "id", "k, s"}), ")"), rel
	}
	both := &scope{fields: append(append([]field(nil), s.fields...), rel.fields...), outer: s.outer}
	if g.schema.dialect.portable {
		// DuckDB's outer joins take neither a subquery nor a column of the
		// query around in their conditions.
		both.outer = nil
		defer func(nested int) { g.nested = nested }(g.nested)
		g.nested = 0
	}
	var on *Node
	key := func(r relation) string {
		if r.id == "" {
			return ""
		}
		return r.id[:len(r.id)-2] + pick(g.r, []string{"k", "k", "id"})
	}
	l, r := key(left), key(rel)
	switch {
	case lateral:
		on = text("true")
	case l != "" && r != "" && g.chance(75):
		on = text(l, " = ", r)
		if g.chance(35) {
			on.Parts = append(on.Parts, optional(" AND ", g.expr(Bool, both, 1)))
		}
	case kind == " FULL JOIN ":
		// PostgreSQL does full joins by equality of columns only.
		a, b := equals(g, s.fields, rel.fields)
		if a == "" {
			return optional(" CROSS JOIN ", src), rel
		}
		on = text(a, " = ", b)
	default:
		on = text(g.expr(Bool, both, 2))
	}
	return optional(kind, src, " ON ", on), rel
}

// equals chooses two columns of one type, "" without any.
func equals(g *Generator, left, right []field) (string, string) {
	for _, i := range g.r.Perm(len(left)) {
		for _, j := range g.r.Perm(len(right)) {
			if l, r := left[i], right[j]; l.typ == r.typ && l.typ != JSON && l.typ != Opaque {
				return l.text, r.text
			}
		}
	}
	return "", ""
}

// source makes one element of FROM; crossed: without a condition.
func (g *Generator) source(s *scope, depth int, lateral, crossed bool) (*Node, relation) {
	if len(g.ctes) > 0 && g.chance(50) && !lateral {
		c := pick(g.r, g.ctes)
		rel := relation{name: g.alias("x")}
		for _, f := range c.fields {
			rel.fields = append(rel.fields, field{text: rel.name + "." + f.text, typ: f.typ})
		}
		return text(c.name, " AS ", rel.name), rel
	}
	switch c := g.r.IntN(100); {
	case lateral || c < 14 && g.nested > 0 && depth > 0:
		g.nested--
		var around *scope
		word := ""
		if lateral {
			around, word = s, "LATERAL "
		}
		n, types := g.inner(nil, around, depth-1)
		rel := relation{name: g.alias("x")}
		for i, t := range types {
			rel.fields = append(rel.fields, field{text: fmt.Sprintf("%s.c%d", rel.name, i), typ: t})
		}
		return text(word, "(", n, ") AS ", rel.name, columnNames(len(types))), rel
	case c < 18:
		rel := relation{name: g.alias("x")}
		if !g.schema.dialect.portable && g.chance(30) {
			rel.fields = []field{{text: rel.name + ".n", typ: Text}, {text: rel.name + ".o", typ: Int8}}
			return text(pick(g.r, []string{"unnest(ARRAY['b', NULL, 'a'])", "regexp_split_to_table('a,b,,c', ',')", "string_to_table('x y', ' ')"}), " WITH ORDINALITY AS ", rel.name, "(n, o)"), rel
		}
		rel.fields = []field{{text: rel.name + ".n", typ: Int4}}
		return text(pick(g.r, []string{"generate_series(1, 4)", "generate_series(5, 1, -2)", "unnest(ARRAY[3, NULL, 1])", "generate_series(0, 0)"}), " AS ", rel.name, "(n)"), rel
	case c < 21:
		types := []Type{Int4, Text}
		rel := relation{name: g.alias("x")}
		rel.fields = []field{{text: rel.name + ".c0", typ: Int4}, {text: rel.name + ".c1", typ: Text}}
		rows := list(", ", 1)
		for range 1 + g.r.IntN(3) {
			row := list(", ", 1)
			for _, t := range types {
				row.Parts = append(row.Parts, g.expr(t, &scope{}, 1))
			}
			rows.Parts = append(rows.Parts, text("(", row, ")"))
		}
		return text("(VALUES ", rows, ") AS ", rel.name, "(c0, c1)"), rel
	}
	t := g.anyTable(crossed)
	rel := g.table(t)
	return text(t.Name, " AS ", rel.name), rel
}

// anyTable chooses a table: one with many rows twice in a statement at most,
// and not where it meets every row of another, as nobody would wait for that.
func (g *Generator) anyTable(crossed bool) *Table {
	t := pick(g.r, g.schema.Tables)
	if !t.large {
		return t
	}
	if crossed || g.large == mostLarge {
		return g.schema.Tables[len(g.schema.Tables)-1]
	}
	g.large++
	return t
}

// mostLarge is how often a statement may read tables with many rows.
const mostLarge = 2

// subquery makes an expression that holds a query, nil where the type has
// none.
func (g *Generator) subquery(t Type, s *scope, depth int) *Node {
	depth = min(depth, 2)
	if !g.schema.dialect.portable && t != JSON && g.chance(30) {
		return g.asked(t, s, depth)
	}
	if t == Bool {
		switch g.r.IntN(5) {
		case 0:
			n, _ := g.inner(nil, s, depth)
			return expression(Bool, "(", pick(g.r, []string{"", "NOT "}), "EXISTS (", n, "))")
		case 1, 2:
			c := g.concrete(Comparable)
			n, _ := g.inner([]Type{c}, s, depth)
			return expression(Bool, "(", g.expr(c, s, 1), pick(g.r, []string{" IN (", " NOT IN ("}), n, "))")
		case 3:
			c := g.concrete(Comparable)
			n, _ := g.inner([]Type{c}, s, depth)
			return expression(Bool, "(", g.expr(c, s, 1), pick(g.r, []string{" = ", " < ", " >= ", " <> "}), pick(g.r, []string{"ANY (", "ALL ("}), n, "))")
		}
	}
	if t == JSON {
		return nil
	}
	// One row: by an aggregate without groups, or by a limit over a total order.
	from, in, _ := g.from(s, depth-1)
	where := text("")
	if g.chance(60) {
		where = optional(" WHERE ", g.expr(Bool, in, depth))
	}
	if agg := g.aggregate(t, in, 1); agg != nil && g.chance(70) {
		return expression(t, "(", &Node{Query: true, Parts: []any{text("SELECT ", agg, " AS c0 FROM ", from, where)}}, ")")
	}
	return expression(t, "(", &Node{Query: true, Parts: []any{text("SELECT ", g.expr(t, in, 1), " AS c0 FROM ", from, where, " ORDER BY 1", g.direction(), " LIMIT 1")}}, ")")
}
