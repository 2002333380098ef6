package query

import (
	"fmt"
	"regexp"
	"strings"
)

// Query is a generated SELECT.
type Query struct {
	Root *Node
	// Ordered says that the order of the rows is fixed but for rows that are
	// equal.
	Ordered bool
	// Wild says that the statement may fail.
	Wild bool
	// Columns, From and Where are the pieces of a plain SELECT, for the test
	// by partition; nil for others.
	Columns, From, Where *Node
	// Of is the only table, whose column Key is unique, of a statement that
	// ends behind FROM; nil for others.
	Of  *Table
	Key string
}

// Unlimited calls visit, once, with the statement without the LIMIT, OFFSET or
// FETCH at its end; not at all where there is none.
func (q *Query) Unlimited(visit func()) {
	if len(q.Root.Parts) == 0 {
		return
	}
	last, ok := q.Root.Parts[len(q.Root.Parts)-1].(*Node)
	if !ok || last.hidden {
		return
	}
	end := strings.TrimLeft(last.String(), " ")
	if !strings.HasPrefix(end, "LIMIT ") && !strings.HasPrefix(end, "OFFSET ") && !strings.HasPrefix(end, "FETCH ") {
		return
	}
	last.hidden = true
	visit()
	last.hidden = false
}

// relation is something in FROM.
type relation struct {
	name   string
	fields []field
	// id is the text of a unique, non-null column, "" without one.
	id string
}

// Query makes a SELECT.
func (g *Generator) Query() *Query {
	g.names, g.nested, g.large, g.ctes = 0, 3, 0, nil
	if g.schema.Wild {
		return g.wildQuery()
	}
	if !g.schema.dialect.portable && g.chance(2) {
		return g.wrongQuery()
	}
	if g.chance(8) {
		return g.expressions()
	}
	var with *Node
	if g.chance(15) {
		with = g.with()
	}
	q := g.top()
	if with != nil {
		q.Root = &Node{Query: true, Parts: []any{with, q.Root}}
		q.Columns = nil
	}
	return q
}

// wildQuery computes one expression that may fail over one table.
func (g *Generator) wildQuery() *Query {
	t := g.concrete(pick(g.r, g.schema.dialect.storable))
	if g.chance(20) {
		t = Interval
	}
	g.nested = 0
	if g.chance(25) {
		s := &scope{wild: true}
		return &Query{Root: text("SELECT ", g.expr(t, s, 2), " AS c0"), Wild: true, Ordered: true}
	}
	tab := pick(g.r, g.schema.Tables)
	rel := g.table(tab)
	s := &scope{fields: rel.fields, wild: true}
	e := g.fill(t, g.template(t, true), s, 1)
	return &Query{Root: text("SELECT ", e, " AS c0 FROM ", tab.Name, " AS ", rel.name), Wild: true, Of: tab, Key: rel.id}
}

func (g *Generator) wrongQuery() *Query {
	tab := pick(g.r, g.schema.Tables)
	rel := g.table(tab)
	s := &scope{fields: rel.fields}
	e := g.fill(None, pick(g.r, wrong), s, 0)
	return &Query{Root: text("SELECT ", e, " AS c0 FROM ", tab.Name, " AS ", rel.name), Wild: true}
}

// expressions is a SELECT without FROM, all of it constant.
func (g *Generator) expressions() *Query {
	s := &scope{}
	cols := list(", ", 1)
	for i := range 1 + g.r.IntN(3) {
		cols.Parts = append(cols.Parts, text(g.output(s, 3), fmt.Sprintf(" AS c%d", i)))
	}
	return &Query{Root: text("SELECT ", cols), Ordered: true}
}

// output makes an expression for the top of a select list.
func (g *Generator) output(s *scope, depth int) *Node {
	n, _ := g.typedOutput(s, depth)
	return n
}

func (g *Generator) typedOutput(s *scope, depth int) (*Node, Type) {
	if g.chance(7) {
		t := pick(g.r, []Type{Float8, Numeric, Text})
		return g.fill(t, pick(g.r, g.schema.dialect.outer[t]), s, depth-1), Opaque
	}
	t := pick(g.r, g.schema.dialect.storable)
	if !g.schema.dialect.portable && g.chance(6) {
		t = Interval
	}
	return g.expr(t, s, depth), t
}

// with makes common table expressions and keeps them in sight.
func (g *Generator) with() *Node {
	defs := list(", ", 1)
	recursive := g.chance(30)
	if recursive {
		name := g.alias("w")
		limit := 3 + g.r.IntN(6)
		union := pick(g.r, []string{"UNION ALL", "UNION"})
		defs.Parts = append(defs.Parts, text(fmt.Sprintf("%s(c0, c1) AS (SELECT 1, 'a'::text %s SELECT c0 + 1, c1 || c0::text FROM %s WHERE c0 < %d)", name, union, name, limit)))
		g.ctes = append(g.ctes, relation{name: name, fields: []field{{text: "c0", typ: Int4}, {text: "c1", typ: Text}}})
		if g.chance(60) {
			// Rows reached from others: UNION ends it in a circle.
			name, t := g.alias("w"), pick(g.r, g.schema.Tables).Name
			on := pick(g.r, []string{"y0.id = y1.c1", "y0.k = y1.c0", "y0.k = y1.c1 AND y0.id > y1.c0", "y0.id BETWEEN y1.c1 AND y1.c1 + 1"})
			defs.Parts = append(defs.Parts, text(fmt.Sprintf("%s(c0, c1) AS (SELECT id, k FROM %s WHERE k %s UNION SELECT y0.id, y0.k FROM %s AS y0 JOIN %[1]s AS y1 ON %[5]s)",
				name, t, pick(g.r, []string{"= 1", "< 2", "IS NOT NULL"}), t, on)))
			g.ctes = append(g.ctes, relation{name: name, fields: []field{{text: "c0", typ: Int4}, {text: "c1", typ: Int4}}})
		}
	}
	for range 1 + g.r.IntN(2) {
		name := g.alias("w")
		n, types := g.inner(nil, nil, 2)
		defs.Parts = append(defs.Parts, text(name, columnNames(len(types)), " AS ", pick(g.r, []string{"", "", "MATERIALIZED ", "NOT MATERIALIZED "}), "(", n, ")"))
		rel := relation{name: name}
		for i, t := range types {
			rel.fields = append(rel.fields, field{text: fmt.Sprintf("c%d", i), typ: t})
		}
		g.ctes = append(g.ctes, rel)
	}
	if recursive {
		return text("WITH RECURSIVE ", defs, " ")
	}
	return text("WITH ", defs, " ")
}

func columnNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// top makes the outermost SELECT, with order and limit.
func (g *Generator) top() *Query {
	q := &Query{}
	var body *Node
	var types []Type
	if g.chance(10) {
		body, types = g.setOperation(nil, nil, 2)
	} else if g.chance(4) {
		return &Query{Root: g.distinctOn(), Ordered: true}
	} else {
		sel := g.selection(nil, nil, 3)
		body, types = sel.node, sel.types
		if sel.plain {
			q.Columns, q.From, q.Where = sel.columns, sel.from, sel.where
		}
	}
	q.Root = &Node{Query: true, Parts: []any{body}}
	if g.chance(35) && orderable(types) {
		q.Root.Parts = append(q.Root.Parts, g.orderAll(types))
		q.Ordered = true
		if g.chance(50) {
			q.Root.Parts = append(q.Root.Parts, g.limit())
			q.Columns = nil
		}
	} else if !g.schema.dialect.portable && g.chance(5) && orderable(types) {
		// All rows that are equal to the last in the first key.
		key, direction := fmt.Sprint(1+g.r.IntN(len(types))), g.direction()
		q.Root.Parts = append(q.Root.Parts, optional(" ORDER BY ", key, direction, fmt.Sprintf(" FETCH FIRST %d ROWS WITH TIES", 1+g.r.IntN(4))))
		q.Columns = nil
	}
	return q
}

// distinctOn makes a SELECT DISTINCT ON over a table with an order that leaves
// nothing open.
func (g *Generator) distinctOn() *Node {
	t := pick(g.r, g.schema.Tables)
	rel := g.table(t)
	s := &scope{fields: rel.fields}
	key := g.concrete(Comparable)
	on := g.leaf(key, s)
	if on.Value != nil || !strings.Contains(on.String(), ".") {
		on = text(rel.name + ".k")
	}
	where := text("")
	if g.chance(50) {
		where = optional(" WHERE ", g.expr(Bool, s, 2))
	}
	cols := list(", ", 1)
	for i := range 1 + g.r.IntN(3) {
		cols.Parts = append(cols.Parts, text(g.output(s, 2), fmt.Sprintf(" AS c%d", i)))
	}
	return &Node{Query: true, Parts: []any{text("SELECT DISTINCT ON (", on, ") ", cols, " FROM ", t.Name, " AS ", rel.name, where,
		" ORDER BY ", on, g.direction(), ", ", rel.id, g.direction()), optional(g.limit())}}
}

func orderable(types []Type) bool {
	for _, t := range types {
		if t == JSON || t == Opaque {
			return false
		}
	}
	return true
}

// orderAll orders by every column.
func (g *Generator) orderAll(types []Type) *Node {
	keys := list(", ", 1)
	for _, i := range g.r.Perm(len(types)) {
		key := fmt.Sprint(i + 1)
		if g.chance(40) {
			key = fmt.Sprintf("c%d", i)
		}
		keys.Parts = append(keys.Parts, key+g.direction())
	}
	return text(" ORDER BY ", keys)
}

func (g *Generator) direction() string {
	if g.schema.dialect.portable {
		// What neither says is another default.
		return pick(g.r, []string{"", " ASC", " DESC"}) + pick(g.r, []string{" NULLS FIRST", " NULLS LAST"})
	}
	return pick(g.r, []string{"", "", " ASC", " DESC"}) + pick(g.r, []string{"", "", " NULLS FIRST", " NULLS LAST"})
}

func (g *Generator) limit() *Node {
	n := g.r.IntN(8)
	switch g.r.IntN(4) {
	case 0:
		return optional(fmt.Sprintf(" LIMIT %d OFFSET %d", n, g.r.IntN(5)))
	case 1:
		return optional(fmt.Sprintf(" OFFSET %d", n))
	case 2:
		if g.schema.dialect.portable {
			break
		}
		return optional(fmt.Sprintf(" FETCH FIRST %d ROWS ONLY", n))
	}
	return optional(fmt.Sprintf(" LIMIT %d", n))
}

// inner makes a query inside another one: of the wanted types, or of any.
func (g *Generator) inner(want []Type, outer *scope, depth int) (*Node, []Type) {
	if g.chance(10) {
		n, types := g.setOperation(want, outer, depth)
		return &Node{Query: true, Parts: []any{n}}, types
	}
	sel := g.selection(want, outer, depth)
	n := &Node{Query: true, Parts: []any{sel.node}}
	if g.chance(10) && orderable(sel.types) {
		n.Parts = append(n.Parts, g.orderAll(sel.types), g.limit())
	}
	return n, sel.types
}

// setOperation makes a UNION, INTERSECT or EXCEPT.
func (g *Generator) setOperation(want []Type, outer *scope, depth int) (*Node, []Type) {
	if want == nil {
		for range 1 + g.r.IntN(3) {
			want = append(want, g.concrete(Comparable))
		}
	}
	side := func() *Node {
		if g.chance(15) {
			return g.values(want, outer)
		}
		n := g.selection(want, outer, depth).node
		if g.chance(15) {
			return text("(", n, g.orderAll(want), g.limit(), ")")
		}
		return n
	}
	op := func() string {
		return pick(g.r, []string{" UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT ", " EXCEPT ALL ", " INTERSECT ALL ", " UNION ALL "})
	}
	n := text(side())
	for range 1 + g.r.IntN(2) {
		n.Parts = append(n.Parts, optional(op(), side()))
	}
	return n, want
}

func (g *Generator) values(types []Type, outer *scope) *Node {
	rows := list(", ", 1)
	s := &scope{outer: outer}
	for range 1 + g.r.IntN(3) {
		row := list(", ", 1)
		for _, t := range types {
			row.Parts = append(row.Parts, g.expr(t, s, 1))
		}
		rows.Parts = append(rows.Parts, text("(", row, ")"))
	}
	// With names for the columns, which a plain VALUES does not give.
	return text("SELECT * FROM (VALUES ", rows, ") AS ", g.alias("v"), columnNames(len(types)))
}

// selected is a SELECT without ORDER BY.
type selected struct {
	node  *Node
	types []Type
	// plain: neither grouped nor distinct nor windowed.
	plain                bool
	columns, from, where *Node
}

// selection makes a SELECT … FROM … WHERE … GROUP BY ….
func (g *Generator) selection(want []Type, outer *scope, depth int) selected {
	from, s, ids := g.from(outer, depth)
	where := text("")
	if g.chance(55) {
		where = optional(" WHERE ", g.expr(Bool, s, depth))
	}
	switch n := g.r.IntN(100); {
	case n < 30:
		return g.groupedSelection(want, from, where, s, depth)
	case n < 42:
		return g.windowSelection(want, from, where, s, ids, depth)
	}
	cols, types := list(", ", 1), []Type{}
	for i := range g.width(want) {
		e, t := g.column(want, i, s, depth)
		types = append(types, t)
		cols.Parts = append(cols.Parts, text(e, fmt.Sprintf(" AS c%d", i)))
	}
	distinct := text("")
	plain := true
	if g.chance(12) && orderable(types) {
		distinct, plain = optional("DISTINCT "), false
	}
	n := text("SELECT ", distinct, cols, " FROM ", from, where)
	return selected{node: n, types: types, plain: plain, columns: cols, from: from, where: where}
}

func (g *Generator) width(want []Type) int {
	if want != nil {
		return len(want)
	}
	return 1 + g.r.IntN(3)
}

func (g *Generator) column(want []Type, i int, s *scope, depth int) (*Node, Type) {
	if want != nil {
		return g.expr(want[i], s, depth), want[i]
	}
	return g.typedOutput(s, depth)
}

func (g *Generator) groupedSelection(want []Type, from, where *Node, s *scope, depth int) selected {
	keys := list(", ", 0)
	above := &scope{grouped: s, outer: s.outer}
	for range g.r.IntN(3) {
		t := g.concrete(Comparable)
		e := g.leaf(t, s)
		if g.chance(25) {
			e = g.expr(t, s, 1)
		}
		if e.Value != nil || strings.HasPrefix(e.String(), "NULL") || !strings.Contains(e.String(), ".") {
			continue // a constant in GROUP BY would be a position, or no column
		}
		keys.Parts = append(keys.Parts, e)
		above.fields = append(above.fields, field{e.String(), t, e})
	}
	group := text("")
	if len(keys.Parts) > 0 {
		group = g.grouping(keys)
	}
	cols, types := list(", ", 1), []Type{}
	for i := range g.width(want) {
		var e *Node
		var t Type
		switch {
		case want == nil && s.outer == nil && len(keys.Parts) > 0 && g.chance(6):
			e, t = text("grouping(", pick(g.r, keys.Parts), ")"), Int4
		case want == nil && g.chance(5):
			e, t = g.windowOverGroups(keys, s), Opaque
		case want == nil && g.chance(6):
			e, t = g.call(Float8, pick(g.r, g.schema.dialect.outerAggregates), &scope{fields: s.fields}, 1), Opaque
		default:
			e, t = g.column(want, i, above, min(depth, 2))
		}
		types = append(types, t)
		cols.Parts = append(cols.Parts, text(e, fmt.Sprintf(" AS c%d", i)))
	}
	having := text("")
	if g.chance(20) {
		having = optional(" HAVING ", g.expr(Bool, above, 1))
	}
	aggregated := ""
	if len(keys.Parts) == 0 {
		// Something must make it an aggregation.
		aggregated = fmt.Sprintf(" HAVING count(*) >= %d", g.r.IntN(2))
		having = text(aggregated)
	}
	return selected{node: text("SELECT ", cols, " FROM ", from, where, group, having), types: types}
}

// windowOverGroups makes a window function over the rows of an aggregation.
func (g *Generator) windowOverGroups(keys *Node, s *scope) *Node {
	inner := *s
	inner.outer = nil
	f := g.fill(None, pick(g.r, []string{"sum(count(*))", "rank()", "sum(sum({i4}))", "max(min({i4}))", "count(*)", "avg(count(*))", "dense_rank()", "min(max({d}))"}), &inner, 1)
	over := text(" OVER (")
	if len(keys.Parts) > 0 && g.chance(40) {
		over.Parts = append(over.Parts, "PARTITION BY ", pick(g.r, keys.Parts))
	}
	over.Parts = append(over.Parts, " ORDER BY ", g.fill(None, pick(g.r, []string{"count(*)", "count({x})", "sum({i4})", "max({i4})"}), &inner, 1), g.direction(), ")")
	return text(f, over)
}

// grouping groups by the keys, now and then in several grouping sets. Those
// are of keys that read a column and have no subquery: a constant or a
// subquery, repeated in an expression, is NULL in the sets without it, which
// PostgreSQL does since its release 18.
func (g *Generator) grouping(keys *Node) *Node {
	for _, k := range keys.Parts {
		if sql := k.(*Node).String(); !readsColumn.MatchString(sql) || strings.Contains(sql, "SELECT") {
			return optional(" GROUP BY ", keys)
		}
	}
	switch g.r.IntN(10) {
	case 0:
		return text(" GROUP BY ROLLUP (", keys, ")")
	case 1:
		return text(" GROUP BY CUBE (", keys, ")")
	case 2:
		return text(" GROUP BY GROUPING SETS ((", keys, "), ())")
	case 3:
		if len(keys.Parts) == 2 {
			a, b := keys.Parts[0], keys.Parts[1]
			return pick(g.r, []*Node{
				text(" GROUP BY GROUPING SETS ((", a, "), (", b, "))"),
				text(" GROUP BY GROUPING SETS ((", a, ", ", b, "), (", a, "), ())"),
				text(" GROUP BY ", a, ", ROLLUP (", b, ")"),
				text(" GROUP BY CUBE (", a, "), ", b),
				text(" GROUP BY DISTINCT ROLLUP (", a, ", ", b, "), ROLLUP (", a, ")"),
			})
		}
	}
	return optional(" GROUP BY ", keys)
}

// readsColumn matches what reads a column of FROM.
var readsColumn = regexp.MustCompile(`\bx\d+\.`)

// ranking are window functions whose values ties do not change, numbering
// those that need a total order.
var (
	ranking = []string{"rank()", "dense_rank()", "percent_rank()", "cume_dist()"}
	framed  = []string{"first_value({x})", "last_value({x})", "nth_value({x}, «1|2|3»)"}
)

func (g *Generator) windowSelection(want []Type, from, where *Node, s *scope, ids []string, depth int) selected {
	cols, types := list(", ", 1), []Type{}
	for i := range g.width(want) {
		var e *Node
		t := Opaque
		if want == nil && (i == 0 || g.chance(50)) {
			e = g.windowCall(s, ids)
		} else {
			e, t = g.column(want, i, s, min(depth, 1))
		}
		types = append(types, t)
		cols.Parts = append(cols.Parts, text(e, fmt.Sprintf(" AS c%d", i)))
	}
	window := text("")
	if want == nil && g.chance(25) {
		window = text(" WINDOW w0 AS (PARTITION BY ", g.orderKey(s), "), w1 AS (w0 ORDER BY ", g.orderKey(s), g.direction(), ")")
		for _, f := range g.schema.dialect.named {
			types = append(types, Opaque)
			cols.Parts = append(cols.Parts, text(g.fill(None, f, s, 1), fmt.Sprintf(" AS c%d", len(types)-1)))
		}
	}
	return selected{node: text("SELECT ", cols, " FROM ", from, where, window), types: types}
}

func (g *Generator) windowCall(s *scope, ids []string) *Node {
	over := text(" OVER (")
	if g.chance(50) {
		over.Parts = append(over.Parts, optional("PARTITION BY ", g.orderKey(s)))
	}
	if g.chance(10) {
		return g.rangeWindow(over, s)
	}
	total := len(ids) > 0 && g.chance(65)
	keys := list(", ", 1)
	if g.chance(70) || total {
		if g.chance(70) {
			keys.Parts = append(keys.Parts, text(g.orderKey(s), g.direction()))
		}
		if total {
			for _, id := range ids {
				keys.Parts = append(keys.Parts, id+g.direction())
			}
		}
	}
	if len(keys.Parts) > 0 {
		over.Parts = append(over.Parts, text(" ORDER BY ", keys))
	}
	var f string
	frame := text("")
	switch n := g.r.IntN(10); {
	case total && n < 3:
		f = pick(g.r, g.schema.dialect.numbering)
	case total && n < 5:
		f, frame = pick(g.r, framed), g.frame(len(keys.Parts) > 0, true)
	case n < 6 && len(keys.Parts) > 0:
		f = pick(g.r, ranking)
	default:
		f, frame = pick(g.r, g.schema.dialect.frameable), g.frame(len(keys.Parts) > 0, total)
	}
	if strings.Contains(f, "{x_o}") {
		f = strings.ReplaceAll(f, "{x_o}", pick(g.r, []string{"{i4}", "{t}", "{d}", "{ts}", "{dt}", "{f8}"}))
	}
	call := g.fill(Comparable, f, s, 1)
	call.Type = None
	over.Parts = append(over.Parts, frame, ")")
	return text(call, over)
}

// rangeWindow is a frame of a distance in the values of its only key.
func (g *Generator) rangeWindow(over *Node, s *scope) *Node {
	t := pick(g.r, g.schema.dialect.ranges)
	distances := map[Type][]string{
		Int4: {"1", "2", "100"}, Int8: {"1", "1000"}, Numeric: {"0.5", "10"}, Float8: {"0.5", "3"},
		Date: {"interval '1 day'", "interval '1 year'"}, Timestamp: {"interval '1 mon'", "interval '36 hours'"},
		Time: {"interval '2 hours'"}, Interval: {"interval '1 day'"},
	}[t]
	key := g.leaf(t, s)
	if key.Value != nil {
		key = text("(", key, ")")
	}
	frame := pick(g.r, []string{
		" RANGE BETWEEN %s PRECEDING AND CURRENT ROW", " RANGE BETWEEN %s PRECEDING AND %[1]s FOLLOWING", " RANGE BETWEEN CURRENT ROW AND %s FOLLOWING",
		" RANGE BETWEEN UNBOUNDED PRECEDING AND %s PRECEDING", " RANGE BETWEEN %s FOLLOWING AND UNBOUNDED FOLLOWING",
	})
	over.Parts = append(over.Parts, text(" ORDER BY ", key, g.direction()), fmt.Sprintf(frame, pick(g.r, distances)), ")")
	return text(g.fill(None, pick(g.r, []string{"count(*)", "sum({i4})", "min({i4})", "max({d})", "avg({d})", "bool_and({b})"}), s, 1), over)
}

func (g *Generator) orderKey(s *scope) *Node {
	t := g.concrete(Comparable)
	n := g.leaf(t, s)
	if n.Value == nil {
		return n
	}
	if f := pick(g.r, s.fields); g.schema.dialect.portable && f.typ != Opaque {
		return text(f.text) // DuckDB refuses to order by a constant
	}
	return text("(", n, ")")
}

// frame makes a frame clause. Rows are counted only where the order is total.
func (g *Generator) frame(ordered, total bool) *Node {
	if g.chance(50) || !ordered {
		return text("")
	}
	modes := []string{"GROUPS"}
	if total {
		modes = []string{"ROWS", "ROWS", "GROUPS"}
	}
	mode := pick(g.r, modes)
	if g.chance(20) {
		mode = "RANGE"
	}
	starts := []string{"UNBOUNDED PRECEDING", "CURRENT ROW"}
	ends := []string{"CURRENT ROW", "UNBOUNDED FOLLOWING"}
	if mode != "RANGE" {
		starts = append(starts, "1 PRECEDING", "2 PRECEDING", "0 PRECEDING")
		ends = append(ends, "1 FOLLOWING", "3 FOLLOWING", "0 FOLLOWING")
	}
	b := fmt.Sprintf(" %s BETWEEN %s AND %s", mode, pick(g.r, starts), pick(g.r, ends))
	if g.chance(10) && mode != "RANGE" {
		b = " " + mode + pick(g.r, []string{" BETWEEN 3 PRECEDING AND 1 PRECEDING", " BETWEEN 1 FOLLOWING AND 2 FOLLOWING", " 2 PRECEDING"})
	}
	exclude := ""
	if g.chance(15) {
		exclude = pick(g.r, []string{" EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES", " EXCLUDE NO OTHERS"})
	}
	return optional(b, exclude)
}
