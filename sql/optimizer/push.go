package optimizer

import (
	"slices"

	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// split separates the predicates that may move to a place where only cols of
// all a node's columns are visible.
func split(preds []expr.Expr, all, cols []int) (move, stay []expr.Expr) {
	for _, p := range preds {
		ok := !volatile(p)
		for _, id := range expr.Columns(p) {
			if slices.Contains(all, id) && !slices.Contains(cols, id) {
				ok = false
			}
		}
		if ok {
			move = append(move, p)
		} else {
			stay = append(stay, p)
		}
	}
	return move, stay
}

// substitute replaces columns by expressions. ok is false when one of those
// must not be evaluated twice.
func substitute(e expr.Expr, cols []int, with []expr.Expr) (expr.Expr, bool) {
	ok := true
	out, err := expr.Transform(e, func(e expr.Expr) (expr.Expr, error) {
		c, isCol := e.(*expr.ColumnExpr)
		if !isCol {
			return e, nil
		}
		i := slices.Index(cols, c.Ordinal)
		if i < 0 {
			return e, nil
		}
		if volatile(with[i]) {
			ok = false
		}
		return with[i], nil
	})
	return out, ok && err == nil
}

// push moves predicates as far down as they go; preds are those from above.
// Those that read the row of a query around alone stay, as they let all rows
// pass or none.
func (o *optimizer) push(n plan.Node, preds []expr.Expr) plan.Node {
	if once, rest := onlyOuter(preds, n.Columns()); len(once) > 0 {
		return gated(o.push(n, rest), &plan.Values{Rows: [][]expr.Expr{{}}}, once)
	}
	switch n := n.(type) {
	case *plan.Filter:
		return o.push(n.In, slices.Concat(preds, factor(n.Preds)))
	case *plan.Scan:
		move, stay := split(preds, n.Cols, n.Cols)
		if len(move) == 0 {
			return withFilter(n, stay)
		}
		c := *n
		c.Filter = slices.Concat(n.Filter, move)
		return withFilter(&c, stay)
	case *plan.Project:
		var down, stay []expr.Expr
		for _, p := range preds {
			if s, ok := substitute(p, n.Cols, n.Exprs); ok && !volatile(p) {
				o.decided = o.decided || len(expr.Columns(s)) == 0
				down = append(down, s)
			} else {
				stay = append(stay, p)
			}
		}
		c := *n
		c.In = o.push(n.In, down)
		return withFilter(&c, stay)
	case *plan.Join:
		return o.pushJoin(n, preds)
	case *plan.Apply:
		return o.pushApply(n, preds)
	case *plan.Aggregate:
		var move []expr.Expr
		stay := preds
		if n.Sets == nil && len(n.Groups) > 0 {
			move, stay = split(preds, n.Columns(), n.Groups)
		}
		c := *n
		c.In = o.push(n.In, move)
		return withFilter(&c, stay)
	case *plan.Distinct:
		move, stay := split(preds, n.Columns(), n.On)
		return withFilter(&plan.Distinct{In: o.push(n.In, move), On: n.On}, stay)
	case *plan.Sort:
		if n.Limit == nil {
			c := *n
			c.In = o.push(n.In, preds)
			return &c
		}
	case *plan.Window:
		move, stay := split(preds, n.Columns(), n.Partition)
		c := *n
		c.In = o.push(n.In, move)
		return withFilter(&c, stay)
	case *plan.SetOp:
		return o.pushSetOp(n, preds)
	case *plan.With:
		for _, c := range n.CTEs {
			c.In = o.push(c.In, nil)
			if c.Step != nil {
				c.Step = o.push(c.Step, nil)
			}
		}
		return &plan.With{CTEs: n.CTEs, Body: o.push(n.Body, preds)}
	}
	out := mapInputs(n, func(c plan.Node) plan.Node { return o.push(c, nil) })
	return withFilter(out, preds)
}

// onlyOuter separates the predicates that read columns, but none of cols.
func onlyOuter(preds []expr.Expr, cols []int) (once, rest []expr.Expr) {
	for _, p := range preds {
		if len(expr.Columns(p)) > 0 && readsNone(p, cols) && !volatile(p) {
			once = append(once, p)
		} else {
			rest = append(rest, p)
		}
	}
	return once, rest
}

// gated lets the rows of n pass where the one row of tested meets conditions.
func gated(n, tested plan.Node, conds []expr.Expr) *plan.Join {
	return &plan.Join{Kind: plan.Inner, L: n, R: withFilter(tested, conds), Gate: true}
}

func (o *optimizer) pushSetOp(n *plan.SetOp, preds []expr.Expr) plan.Node {
	var left, right, stay []expr.Expr
	lc, rc := o.columns(n.L), o.columns(n.R)
	for _, p := range preds {
		l, _ := substitute(p, n.Cols, lc)
		r, _ := substitute(p, n.Cols, rc)
		if volatile(p) {
			stay = append(stay, p)
			continue
		}
		left, right = append(left, l), append(right, r)
	}
	c := *n
	c.L, c.R = o.exactly(o.push(n.L, left), n.L.Columns()), o.exactly(o.push(n.R, right), n.R.Columns())
	return withFilter(&c, stay)
}

// exactly makes sure that an input has the columns in their positions.
func (o *optimizer) exactly(n plan.Node, want []int) plan.Node {
	if slices.Equal(n.Columns(), want) {
		return n
	}
	return &plan.Project{In: n, Exprs: o.exprs(want), Cols: want}
}

func (o *optimizer) columns(n plan.Node) []expr.Expr { return o.exprs(n.Columns()) }

func (o *optimizer) exprs(ids []int) []expr.Expr {
	out := make([]expr.Expr, len(ids))
	for i, id := range ids {
		out[i] = expr.Column(id, o.st.Types[id], o.st.Labels[id])
	}
	return out
}

func (o *optimizer) pushJoin(n *plan.Join, preds []expr.Expr) plan.Node {
	lc, rc := n.L.Columns(), n.R.Columns()
	all := n.Columns()
	j := *n
	var left, right, stay []expr.Expr
	switch n.Kind {
	case plan.Inner:
		once, rest := onlyOuter(factor(n.On), all)
		if j.On = rest; len(once) > 0 {
			return o.push(&j, slices.Concat(preds, once))
		}
		rest = slices.Concat(rest, preds)
		all = slices.Concat(lc, rc)
		left, rest = split(rest, all, lc)
		right, rest = split(rest, all, rc)
		left = append(left, implied(rest, lc)...)
		right = append(right, implied(rest, rc)...)
		j.On = nil
		for _, p := range rest {
			if volatile(p) {
				stay = append(stay, p)
			} else {
				j.On = append(j.On, p)
			}
		}
	case plan.Left, plan.Single:
		if n.Kind == plan.Left && slices.ContainsFunc(preds, func(p expr.Expr) bool { return rejectsNulls(p, rc) }) {
			// A row without a match would not pass: it is an inner join, and may
			// have no rows at all.
			j.Kind = plan.Inner
			o.decided = o.decided || slices.ContainsFunc(n.On, func(e expr.Expr) bool { return len(expr.Columns(e)) == 0 })
			if n.When != nil {
				j.On, j.When, j.Else = append([]expr.Expr{n.When}, n.On...), nil, nil
			}
			return o.pushJoin(&j, preds)
		}
		left, stay = split(preds, all, lc)
		right, j.On = split(n.On, slices.Concat(lc, rc), rc)
	case plan.Mark:
		left, stay = split(preds, all, lc)
		right, j.On = split(n.On, slices.Concat(lc, rc), rc)
	default:
		stay = preds
	}
	j.L, j.R = o.push(n.L, left), o.push(n.R, right)
	if j.Else != nil {
		j.Else = o.push(j.Else, nil)
	}
	return withFilter(&j, stay)
}

// rejectsNulls tells whether a predicate cannot be true for a row in which all
// the columns are NULL.
func rejectsNulls(p expr.Expr, cols []int) bool {
	strictOver := func(e expr.Expr) bool { return nullIfNull(e, cols) }
	switch p := p.(type) {
	case *expr.CompareExpr:
		return !p.Distinct && (strictOver(p.L) || strictOver(p.R))
	case *expr.InExpr:
		return strictOver(p.X)
	case *expr.LikeExpr:
		return strictOver(p.X)
	case *expr.AndExpr:
		return slices.ContainsFunc(p.Args, func(e expr.Expr) bool { return rejectsNulls(e, cols) })
	case *expr.OrExpr:
		return !slices.ContainsFunc(p.Args, func(e expr.Expr) bool { return !rejectsNulls(e, cols) })
	case *expr.IsExpr:
		return p.Kind == 0 && p.Not && strictOver(p.X)
	}
	return strictOver(p)
}

// nullIfNull tells whether an expression is NULL when the columns are.
func nullIfNull(e expr.Expr, cols []int) bool {
	switch e := e.(type) {
	case *expr.ColumnExpr:
		return slices.Contains(cols, e.Ordinal)
	case *expr.CastExpr:
		return nullIfNull(e.X, cols)
	case *expr.CallExpr:
		return e.Fn.Strict && slices.ContainsFunc(e.Args, func(a expr.Expr) bool { return nullIfNull(a, cols) })
	}
	return false
}

func (o *optimizer) pushApply(n *plan.Apply, preds []expr.Expr) plan.Node {
	if j := o.sinkApply(n, preds); j != nil {
		return o.pushJoin(j, preds)
	}
	if g := o.gate(n, preds); g != nil {
		return g
	}
	a := *n
	left, stay := split(preds, n.Columns(), n.L.Columns())
	var right []expr.Expr
	if n.Kind == plan.ApplyCross {
		var keep []expr.Expr
		for _, p := range slices.Concat(stay, n.On) {
			if volatile(p) {
				keep = append(keep, p)
			} else {
				right = append(right, p)
			}
		}
		stay, a.On = keep, nil
	}
	a.L, a.R = o.push(n.L, left), o.push(n.R, right)
	return withFilter(&a, stay)
}

// gate puts aside what depends on subqueries alone that are the same for all
// rows: it lets all rows pass, or none. nil: nothing does.
func (o *optimizer) gate(n *plan.Apply, preds []expr.Expr) plan.Node {
	var once []*plan.Apply
	var cols []int
	var below plan.Node = n
	for {
		a, ok := below.(*plan.Apply)
		if !ok || !onlyOnce(a) {
			break
		}
		once, cols, below = append(once, a), append(cols, a.Col), a.L
	}
	var conds, rest []expr.Expr
	for _, p := range preds {
		if all, _ := split([]expr.Expr{p}, n.Columns(), cols); len(all) > 0 && !readsNone(p, cols) {
			conds = append(conds, p)
		} else {
			rest = append(rest, p)
		}
	}
	if len(conds) == 0 {
		return nil
	}
	var tested plan.Node = &plan.Values{Rows: [][]expr.Expr{{}}}
	for _, a := range slices.Backward(once) {
		c := *a
		if readsNone(expr.And(conds...), []int{a.Col}) {
			c.L = below
			below = &c
			continue
		}
		c.L, c.R = tested, o.push(a.R, nil)
		tested = &c
	}
	left, stay := split(rest, n.Columns(), below.Columns())
	return withFilter(gated(o.push(below, left), tested, conds), stay)
}

// sinkApply moves a subquery that a predicate asks for below the join whose
// one side is all that it reads, so that the predicate follows it. nil: it
// stays.
func (o *optimizer) sinkApply(n *plan.Apply, preds []expr.Expr) *plan.Join {
	j, ok := n.L.(*plan.Join)
	if !ok || n.Kind < plan.ApplyScalar || j.Gate || j.Kind != plan.Inner && j.Kind != plan.Left {
		return nil
	}
	if !slices.ContainsFunc(preds, func(p expr.Expr) bool { return !readsNone(p, []int{n.Col}) }) || anyVolatile(n.R) || slices.ContainsFunc(n.On, volatile) {
		return nil
	}
	reads := free(n.R)
	reads.addExprs(plan.Exprs(n)...)
	of := func(side plan.Node) bool { return slices.ContainsFunc(side.Columns(), reads.has) }
	a, c := *n, *j
	switch l, r := of(j.L), of(j.R); {
	case l && !r:
		a.L = j.L
		c.L = &a
	case r && !l && j.Kind == plan.Inner:
		a.L = j.R
		c.R = &a
	case !l && !r:
		// The same for all rows: it goes where a predicate finds all else that
		// it reads. One that reads nothing else is for all rows at once.
		left := false
		for _, p := range preds {
			if readsNone(p, []int{n.Col}) {
				continue
			}
			inL, inR := !readsNone(p, j.L.Columns()), !readsNone(p, j.R.Columns())
			if !inL && !inR {
				return nil
			}
			left, r = left || inL && !inR, r || inR && !inL
		}
		switch {
		case left:
			a.L = j.L
			c.L = &a
		case r && j.Kind == plan.Inner:
			a.L = j.R
			c.R = &a
		default:
			return nil
		}
	default:
		return nil
	}
	return &c
}

// onlyOnce tells whether an Apply adds a column that is the same for all rows.
func onlyOnce(n *plan.Apply) bool {
	switch n.Kind {
	case plan.ApplyScalar, plan.ApplyExists, plan.ApplyArray:
		outer := free(n.R)
		outer.addExprs(n.When)
		return !slices.ContainsFunc(n.L.Columns(), outer.has)
	}
	return false
}
