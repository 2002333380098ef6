package query

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// NewTarget makes a table with a primary key, for statements that change it.
func NewTarget(r *rand.Rand) *Table {
	t := newTable(r, postgresql, "m0", 5+r.IntN(15), false)
	t.Key = true
	t.Columns[0].Decl = "integer PRIMARY KEY"
	t.Columns[1].Decl = pick(r, []string{"integer", "integer DEFAULT 7", "integer DEFAULT (3 + 4)"})
	t.Columns[2].Decl = pick(r, []string{"text", "text DEFAULT 'none'", "varchar(12)"})
	if strings.HasPrefix(t.Columns[2].Decl, "varchar") {
		t.Columns[2].Length = 12
	}
	return t
}

// Change makes a statement that changes a table: INSERT, UPDATE or DELETE.
func (g *Generator) Change(t *Table) *Node {
	g.names, g.nested, g.large, g.ctes = 0, 1, 0, nil
	switch n := g.r.IntN(20); {
	case n < 8:
		return g.insert(t)
	case n < 15:
		return g.update(t)
	case n < 16:
		return g.several(t)
	}
	return g.delete(t)
}

// several makes two changes in one statement, of different rows: which of two
// changes of one row happens is open.
func (g *Generator) several(t *Table) *Node {
	first, second, w := g.alias("y"), g.alias("y"), g.alias("w")
	part := g.r.IntN(3)
	s := &scope{fields: t.fields(first)}
	gone := text("DELETE FROM ", t.Name, " AS ", first, " WHERE ", first, fmt.Sprintf(".id %% 3 = %d", part), optional(" AND ", g.expr(Bool, s, 1)), " RETURNING ", first, ".id AS c0, ", first, ".k AS c1")
	s = &scope{fields: append(t.fields(second), field{text: w + ".c0", typ: Int4}, field{text: w + ".c1", typ: Int4})}
	n := text("WITH ", w, " AS (", gone, ") UPDATE ", t.Name, " AS ", second, " SET k = ")
	where := text(" WHERE ", second, fmt.Sprintf(".id %% 3 = %d", (part+1)%3))
	if g.chance(50) {
		// One row of w at most for each.
		n.Parts = append(n.Parts, g.expr(Int4, s, 1), " FROM ", w, where, " AND ", w, ".c0 = ", second, ".id - 1")
	} else {
		s.fields = t.fields(second)
		n.Parts = append(n.Parts, "(SELECT ", pick(g.r, []string{"max(c1)", "count(*)", "sum(c0)", "min(c0 - c1)"}), " FROM ", w, ")", where)
	}
	n.Parts = append(n.Parts, optional(" AND ", g.expr(Bool, s, 1)), g.returning(t, second))
	return n
}

// assigned makes a value for a column: mostly of its type, sometimes of one
// that assignment casts.
func (g *Generator) assigned(c Column, s *scope, depth int) *Node {
	t := c.Type
	if g.chance(8) {
		switch t {
		case Int2, Int4, Int8, Numeric, Float8, Float4:
			t = pick(g.r, []Type{Int4, Int8, Numeric, Float8})
		case Timestamp, Date:
			t = pick(g.r, []Type{Timestamp, Date})
		}
	}
	e := literal(g.r, t, false)
	if g.chance(60) {
		e = g.expr(t, s, depth)
	}
	if c.NotNull && g.chance(97) {
		return expression(t, "coalesce(", e, ", ", t.plain(), ")")
	}
	return e
}

func (g *Generator) insert(t *Table) *Node {
	cols := []int{0}
	for i := 1; i < len(t.Columns); i++ {
		if t.Columns[i].NotNull || g.chance(70) {
			cols = append(cols, i)
		}
	}
	conflict := g.conflict(t)
	// Without a conflict clause a key that exists ends the statement, which
	// proves little if most of them do.
	keys := 60
	if len(conflict.String()) == 0 {
		keys = 5000
	}
	var names []string
	for _, c := range cols {
		names = append(names, t.Columns[c].Name)
	}
	n := text("INSERT INTO ", t.Name, " (", strings.Join(names, ", "), ")")
	if g.chance(30) {
		src := g.table(pick(g.r, g.schema.Tables))
		s := &scope{fields: src.fields}
		list := list(", ", 1)
		for _, c := range cols {
			if c == 0 {
				list.Parts = append(list.Parts, fmt.Sprintf("%s + %d", src.id, pick(g.r, []int{0, 10, 50, 100, keys, 2 * keys, 3 * keys})))
				continue
			}
			list.Parts = append(list.Parts, g.assigned(t.Columns[c], s, 1))
		}
		n.Parts = append(n.Parts, " SELECT ", list, " FROM ", g.sourceName(src), " AS ", src.name, optional(" WHERE ", g.expr(Bool, s, 1)))
	} else {
		rows := list(", ", 1)
		for range 1 + g.r.IntN(4) {
			row := list(", ", 1)
			for _, c := range cols {
				switch {
				case c == 0:
					row.Parts = append(row.Parts, fmt.Sprint(1+g.r.IntN(keys)))
				case g.chance(8) && !t.Columns[c].NotNull:
					row.Parts = append(row.Parts, "DEFAULT")
				default:
					row.Parts = append(row.Parts, g.assigned(t.Columns[c], &scope{}, 1))
				}
			}
			rows.Parts = append(rows.Parts, text("(", row, ")"))
		}
		n.Parts = append(n.Parts, " VALUES ", rows)
	}
	n.Parts = append(n.Parts, conflict, g.returning(t, t.Name))
	return n
}

// sourceName is the table behind an alias.
func (g *Generator) sourceName(rel relation) string {
	for _, t := range g.schema.Tables {
		if len(t.Columns) == len(rel.fields) && strings.HasSuffix(rel.fields[len(rel.fields)-1].text, "."+t.Columns[len(t.Columns)-1].Name) {
			same := true
			for i, c := range t.Columns {
				same = same && strings.HasSuffix(rel.fields[i].text, "."+c.Name)
			}
			if same {
				return t.Name
			}
		}
	}
	return g.schema.Tables[0].Name
}

func (g *Generator) conflict(t *Table) *Node {
	switch g.r.IntN(6) {
	case 0:
		return text(" ON CONFLICT DO NOTHING")
	case 1:
		return text(" ON CONFLICT (id) DO NOTHING")
	case 2, 3:
		sets := list(", ", 1)
		for i := 1; i < len(t.Columns); i++ {
			c := t.Columns[i]
			switch {
			case g.chance(35):
				sets.Parts = append(sets.Parts, c.Name+" = EXCLUDED."+c.Name)
			case c.Type == Int4 && g.chance(50):
				sets.Parts = append(sets.Parts, fmt.Sprintf("%s = %s.%s + EXCLUDED.%s", c.Name, t.Name, c.Name, c.Name))
			}
		}
		if len(sets.Parts) == 0 {
			sets.Parts = append(sets.Parts, "k = EXCLUDED.k")
		}
		n := text(" ON CONFLICT (id) DO UPDATE SET ", sets)
		if g.chance(35) {
			s := &scope{fields: append(t.fields(t.Name), t.fields("excluded")...)}
			n.Parts = append(n.Parts, optional(" WHERE ", g.expr(Bool, s, 1)))
		}
		return n
	}
	return text("")
}

func (t *Table) fields(alias string) []field {
	var out []field
	for _, c := range t.Columns {
		out = append(out, field{text: alias + "." + c.Name, typ: c.Type})
	}
	return out
}

func (g *Generator) returning(t *Table, alias string) *Node {
	switch g.r.IntN(4) {
	case 0:
		return optional(" RETURNING *")
	case 1:
		s := &scope{fields: t.fields(alias)}
		cols := list(", ", 1)
		for i := range 1 + g.r.IntN(2) {
			typ := pick(g.r, g.schema.dialect.storable)
			cols.Parts = append(cols.Parts, text(g.expr(typ, s, 1), fmt.Sprintf(" AS c%d", i)))
		}
		return optional(" RETURNING ", cols)
	}
	return text("")
}

func (g *Generator) update(t *Table) *Node {
	alias := g.alias("y")
	s := &scope{fields: t.fields(alias)}
	n := text("UPDATE ", t.Name, " AS ", alias, " SET ")
	from, join := text(""), text("")
	if g.chance(30) {
		src := g.table(pick(g.r, g.schema.Tables))
		s.fields = append(s.fields, src.fields...)
		from = text(" FROM ", g.sourceName(src), " AS ", src.name)
		join = text(src.id, " = ", alias, ".id")
	}
	sets := list(", ", 1)
	for i := 1; i < len(t.Columns); i++ {
		if !g.chance(35) {
			continue
		}
		if g.chance(5) && !t.Columns[i].NotNull {
			sets.Parts = append(sets.Parts, t.Columns[i].Name+" = DEFAULT")
			continue
		}
		sets.Parts = append(sets.Parts, text(t.Columns[i].Name, " = ", g.assigned(t.Columns[i], s, 2)))
	}
	if g.chance(10) {
		sets.Parts = append(sets.Parts, "id = "+alias+".id + 1000")
	}
	if len(sets.Parts) == 0 {
		sets.Parts = append(sets.Parts, text("(k, s) = (", g.expr(Int4, s, 1), ", ", literal(g.r, Text, false), ")"))
	}
	n.Parts = append(n.Parts, sets, from, g.where(join, s), g.returning(t, alias))
	return n
}

// where joins a join's condition, which stays, and a random one.
func (g *Generator) where(join *Node, s *scope) *Node {
	random := g.chance(70)
	switch {
	case len(join.Parts) > 1 && random:
		return text(" WHERE ", join, optional(" AND ", g.expr(Bool, s, 2)))
	case len(join.Parts) > 1:
		return text(" WHERE ", join)
	case random:
		return optional(" WHERE ", g.expr(Bool, s, 2))
	}
	return text("")
}

func (g *Generator) delete(t *Table) *Node {
	alias := g.alias("y")
	s := &scope{fields: t.fields(alias)}
	using, join := text(""), text("")
	if g.chance(30) {
		src := g.table(pick(g.r, g.schema.Tables))
		s.fields = append(s.fields, src.fields...)
		using = text(" USING ", g.sourceName(src), " AS ", src.name)
		join = text(src.id, " = ", alias, ".id")
	}
	where := g.where(join, s)
	if len(join.Parts) < 2 {
		// Not everything at once: the statements behind it need rows.
		where = text(" WHERE ", alias, ".id % 3 = ", fmt.Sprint(g.r.IntN(3)), optional(" AND ", g.expr(Bool, s, 1)))
	}
	return text("DELETE FROM ", t.Name, " AS ", alias, using, where, g.returning(t, alias))
}
