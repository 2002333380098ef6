package query

// asked makes a subquery that fails for some rows within a form that does not
// ask for its value there: a quotient is looked for where the divisor is not 0,
// or the only row of a query where there is no second one.
func (g *Generator) asked(t Type, s *scope, depth int) *Node {
	if g.chance(20) {
		from, in, _ := g.from(s, depth-1)
		where := optional(" WHERE ", g.expr(Bool, in, 1))
		return expression(t, "CASE WHEN (SELECT count(*) FROM ", from, where, ") <= 1 THEN (SELECT ", g.expr(t, in, 1), " FROM ", from, where, ") END")
	}
	divisor := g.leaf(Int4, s)
	quotient := expression(Int4, "(", g.leaf(Int4, s), pick(g.r, []string{" / ", " % "}), divisor, ")")
	risky := g.sought(t, quotient, s, depth)
	forms := 6
	if t == Bool {
		forms = 9
	}
	switch g.r.IntN(forms) {
	case 0:
		return expression(t, "CASE WHEN ", divisor, " <> 0 THEN ", risky, " END")
	case 1:
		return expression(t, "CASE WHEN ", divisor, " = 0 THEN ", g.expr(t, s, 1), " ELSE ", risky, " END")
	case 2:
		return expression(t, "CASE ", divisor, " WHEN 0 THEN ", g.leaf(t, s), " ELSE ", risky, " END")
	case 3:
		return expression(t, "CASE WHEN ", g.expr(Bool, s, 1), " THEN ", g.leaf(t, s), " WHEN ", divisor, " <> 0 THEN ", risky, " END")
	case 4:
		return expression(t, "CASE WHEN ", g.expr(Bool, s, 1), " THEN CASE WHEN ", divisor, " <> 0 THEN ", risky, " END ELSE ", g.leaf(t, s), " END")
	case 5:
		return expression(t, "coalesce(CASE WHEN ", divisor, " = 0 THEN ", literal(g.r, t, false), " END, ", risky, ")")
	case 6:
		return expression(t, "(", divisor, " <> 0 AND ", risky, ")")
	case 7:
		return expression(t, "(", divisor, " = 0 OR ", risky, ")")
	}
	return expression(t, "(NOT (", divisor, " = 0 OR (", g.expr(Bool, s, 1), " AND ", risky, ")))")
}

// sought makes a subquery that depends on an integer.
func (g *Generator) sought(t Type, i *Node, s *scope, depth int) *Node {
	if t == Bool && g.chance(50) {
		n, _ := g.inner([]Type{Int4}, s, depth)
		return expression(Bool, "(", i, pick(g.r, []string{" IN (", " NOT IN (", " = ANY (", " < ANY (", " <> ALL (", " >= ALL ("}), n, "))")
	}
	if t == Int4 && g.chance(20) {
		return expression(t, "(SELECT ", i, ")")
	}
	from, in, _ := g.from(s, depth-1)
	where := text(" WHERE ", g.expr(Int4, in, 1), pick(g.r, []string{" = ", " = ", " < "}), i)
	if g.chance(30) {
		where.Parts = append(where.Parts, optional(" AND ", g.expr(Bool, in, 1)))
	}
	if t == Bool && g.chance(60) {
		return expression(t, "EXISTS (", &Node{Query: true, Parts: []any{text("SELECT 1 FROM ", from, where)}}, ")")
	}
	if agg := g.aggregate(t, in, 1); agg != nil && g.chance(60) {
		return expression(t, "(", &Node{Query: true, Parts: []any{text("SELECT ", agg, " AS c0 FROM ", from, where)}}, ")")
	}
	return expression(t, "(", &Node{Query: true, Parts: []any{text("SELECT ", g.expr(t, in, 1), " AS c0 FROM ", from, where, " ORDER BY 1 LIMIT 1")}}, ")")
}
