package optimizer

import (
	"maps"
	"slices"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// decorrelate turns applies into joins where the right side reads the left row
// only in conjuncts that can move into the join's condition. What remains runs
// as it is, once for each distinct set of values that it reads.
func (o *optimizer) decorrelate(n plan.Node) plan.Node {
	n = mapInputs(n, o.decorrelate)
	a, ok := n.(*plan.Apply)
	if !ok {
		return n
	}
	left := a.L.Columns()
	when := a.When
	if when != nil && applyRisk(a) == safe {
		// A join for all rows does no harm. What stays as it is keeps the
		// condition, unless it would read the row of a query around for it.
		when = nil
		if slices.ContainsFunc(expr.Columns(a.When), func(id int) bool { return !slices.Contains(left, id) }) {
			c := *a
			c.When = nil
			a = &c
		}
	}
	switch a.Kind {
	case plan.ApplyExists:
		if !o.reads(a.R, left) {
			return a // evaluated once
		}
		r, preds, ok := o.pullUp(a.R, left, true)
		if !ok {
			return a
		}
		return orElse(&plan.Join{Kind: plan.Mark, L: a.L, R: r, On: preds, MarkCol: a.Col, When: when}, noColumns(r), a)
	case plan.ApplyMark:
		r, preds, ok := o.pullUp(a.R, left, true)
		if !ok || len(preds) > 0 && readsText(a.R) {
			return a
		}
		j := &plan.Join{Kind: plan.Mark, L: a.L, R: r, On: preds, Test: a.On, MarkCol: a.Col, When: when}
		if len(preds) == 0 {
			return j
		}
		return orElse(j, r, a)
	case plan.ApplyCross, plan.ApplyLeft:
		r, preds, ok := o.pullUp(a.R, left, false)
		if !ok {
			return a
		}
		kind := plan.Inner
		if a.Kind == plan.ApplyLeft {
			kind = plan.Left
		}
		return &plan.Join{Kind: kind, L: a.L, R: r, On: slices.Concat(preds, a.On)}
	case plan.ApplySingle:
		if !o.reads(a.R, left) {
			return a
		}
		if r, preds, ok := o.pullUp(a.R, left, false); ok {
			return orElse(&plan.Join{Kind: plan.Single, L: a.L, R: r, On: preds, When: when}, r, a)
		}
	case plan.ApplyScalar:
		if !o.reads(a.R, left) {
			return a
		}
		if out := o.scalarAggregate(a, left, when); out != nil {
			return out
		}
		if r, preds, ok := o.pullUp(a.R, left, false); ok {
			value := a.R.Columns()[0]
			j := orElse(&plan.Join{Kind: plan.Single, L: a.L, R: r, On: preds, When: when}, r, a)
			if j == a {
				return a
			}
			return o.rename(j, left, a.Col, o.exprs([]int{value})[0])
		}
	}
	return a
}

// orElse gives a join in the place of a subquery that is asked for by some rows
// only the subquery itself to fall back on, where computing r for all rows may
// fail readily. It gives the subquery where that cannot stand twice in a plan:
// the CTEs of a plan are each defined once, and falling back within what is
// fallen back on would double the plan with each level.
func orElse(j *plan.Join, r plan.Node, a *plan.Apply) plan.Node {
	if j.When == nil || nodeRisk(r) < readily {
		return j
	}
	if !repeatable(a.R) {
		return a
	}
	j.Else = a.R
	return j
}

func repeatable(n plan.Node) bool {
	ok := true
	plan.Walk(n, func(n plan.Node) {
		j, isJoin := n.(*plan.Join)
		_, isWith := n.(*plan.With)
		ok = ok && !isWith && !(isJoin && j.Else != nil)
	})
	return ok
}

// noColumns is a subquery of which only the number of rows counts.
func noColumns(n plan.Node) plan.Node {
	for {
		p, ok := n.(*plan.Project)
		if !ok {
			return n
		}
		n = p.In
	}
}

// readsText tells whether a subquery gives what it reads out of texts, which may
// fail: not for rows that a condition leaves out, then.
func readsText(n plan.Node) bool {
	p, ok := n.(*plan.Project)
	return ok && (readsText(p.In) || slices.ContainsFunc(p.Exprs, func(e expr.Expr) bool {
		found := false
		expr.Walk(e, func(e expr.Expr) bool {
			c, ok := e.(*expr.CastExpr)
			found = found || ok && c.X.Type().Kind == sqltype.Text && c.Type().Kind != sqltype.Text
			return !found
		})
		return found
	}))
}

// sinkMark moves the mark join of "x IN (subquery)" that a WHERE asks for to
// the relation that x comes from, below the inner joins in between: they then
// join only the rows that pass. A NOT IN mostly keeps its rows, and an EXISTS
// may have to look at many: those stay.
func (o *optimizer) sinkMark(n *plan.Join) plan.Node {
	l, ok := n.L.(*plan.Join)
	if !ok || l.Kind != plan.Inner && l.Kind != plan.Mark {
		return n
	}
	var need []int
	for _, id := range expr.Columns(plan.Exprs(n)...) {
		if slices.Contains(l.Columns(), id) {
			need = append(need, id)
		}
	}
	within := func(cols []int) bool {
		return len(need) > 0 && !slices.ContainsFunc(need, func(id int) bool { return !slices.Contains(cols, id) })
	}
	m, c := *n, *l
	switch {
	case within(l.L.Columns()):
		m.L = l.L
		c.L = o.sinkMark(&m)
	case l.Kind == plan.Inner && within(l.R.Columns()):
		m.L = l.R
		c.R = o.sinkMark(&m)
	default:
		return n
	}
	return &c
}

// sinkMarks finds the mark joins that predicates ask for.
func (o *optimizer) sinkMarks(n plan.Node) plan.Node {
	n = mapInputs(n, o.sinkMarks)
	f, ok := n.(*plan.Filter)
	if !ok {
		return n
	}
	var asked []int
	for _, p := range f.Preds {
		if c, ok := p.(*expr.ColumnExpr); ok {
			asked = append(asked, c.Ordinal)
		}
	}
	if len(asked) == 0 {
		return n
	}
	var visit func(plan.Node) plan.Node
	visit = func(n plan.Node) plan.Node {
		j, ok := n.(*plan.Join)
		if !ok || j.Kind != plan.Mark {
			return n
		}
		c := *j
		c.L = visit(j.L)
		if slices.Contains(asked, j.MarkCol) && len(j.On) == 0 && len(j.Test) == 1 && !volatile(j.Test[0]) {
			return o.sinkMark(&c)
		}
		return &c
	}
	return &plan.Filter{In: visit(f.In), Preds: f.Preds}
}

// rename passes columns on and adds one.
func (o *optimizer) rename(in plan.Node, pass []int, col int, e expr.Expr) plan.Node {
	return &plan.Project{In: in, Exprs: append(o.exprs(pass), e), Cols: append(slices.Clone(pass), col)}
}

// reads tells whether a subtree reads any of the columns from outside.
func (o *optimizer) reads(n plan.Node, cols []int) bool {
	f := free(n)
	return slices.ContainsFunc(cols, f.has)
}

// pullUp takes the conjuncts that read cols out of a subtree. set says that
// only the set of the rows counts, not how often or in which order they come.
// ok is false when cols are read elsewhere, too.
func (o *optimizer) pullUp(n plan.Node, cols []int, set bool) (out plan.Node, preds []expr.Expr, ok bool) {
	if !o.reads(n, cols) {
		return n, nil, true
	}
	part := func(list []expr.Expr) (up, stay []expr.Expr) {
		for _, p := range list {
			if readsNone(p, cols) {
				stay = append(stay, p)
			} else {
				up = append(up, p)
			}
		}
		return up, stay
	}
	switch n := n.(type) {
	case *plan.Filter:
		in, preds, ok := o.pullUp(n.In, cols, set)
		if !ok {
			return nil, nil, false
		}
		up, stay := part(n.Preds)
		if slices.ContainsFunc(up, volatile) {
			return nil, nil, false
		}
		return withFilter(in, stay), slices.Concat(preds, up), true
	case *plan.Project:
		for _, e := range n.Exprs {
			if !readsNone(e, cols) {
				return nil, nil, false
			}
		}
		in, preds, ok := o.pullUp(n.In, cols, set)
		if !ok {
			return nil, nil, false
		}
		p := &plan.Project{In: in, Exprs: slices.Clone(n.Exprs), Cols: slices.Clone(n.Cols)}
		have := in.Columns()
		for _, id := range expr.Columns(preds...) {
			if slices.Contains(have, id) && !slices.Contains(p.Cols, id) {
				p.Exprs, p.Cols = append(p.Exprs, o.exprs([]int{id})[0]), append(p.Cols, id)
			}
		}
		return p, preds, true
	case *plan.Join:
		if n.Kind != plan.Inner {
			return nil, nil, false
		}
		l, lp, ok := o.pullUp(n.L, cols, set)
		if !ok {
			return nil, nil, false
		}
		r, rp, ok := o.pullUp(n.R, cols, set)
		if !ok {
			return nil, nil, false
		}
		up, stay := part(n.On)
		return &plan.Join{Kind: plan.Inner, L: l, R: r, On: stay}, slices.Concat(lp, rp, up), true
	case *plan.Sort:
		if n.Limit == nil {
			return o.pullUp(n.In, cols, set)
		}
	case *plan.Distinct:
		if set && len(n.On) == len(n.Columns()) {
			return o.pullUp(n.In, cols, set)
		}
	}
	return nil, nil, false
}

// scalarAggregate turns a scalar subquery that aggregates the rows whose
// columns equal something of the outer row into a join with the aggregates of
// all groups of those columns. nil: it is of another form.
func (o *optimizer) scalarAggregate(a *plan.Apply, left []int, when expr.Expr) plan.Node {
	r := a.R
	value := o.exprs(r.Columns()[:1])[0]
	for {
		p, ok := r.(*plan.Project)
		if !ok {
			break
		}
		v, ok := substitute(value, p.Cols, p.Exprs)
		if !ok || !readsNone(v, left) {
			return nil
		}
		value, r = v, p.In
	}
	agg, ok := r.(*plan.Aggregate)
	if !ok || len(agg.Groups) > 0 || agg.Sets != nil {
		return nil
	}
	in, preds, ok := o.pullUp(agg.In, left, false)
	if !ok || len(preds) == 0 {
		return nil
	}
	fails := when != nil && nodeRisk(in) == readily
	if fails && !repeatable(agg) {
		return nil
	}
	// Each conjunct must be an equality of something inside and something
	// outside; the insides are the groups.
	inside := in.Columns()
	p := &plan.Project{In: in, Exprs: o.exprs(inside), Cols: slices.Clone(inside)}
	g := *agg
	var on []expr.Expr
	for _, pred := range preds {
		c, isCmp := pred.(*expr.CompareExpr)
		if !isCmp || c.Op != ast.OpEq || c.Distinct {
			return nil
		}
		x, y := c.L, c.R
		if !readsNone(x, left) {
			x, y = y, x
		}
		if !readsNone(x, left) || !readsNone(y, inside) || len(expr.Columns(x)) == 0 {
			return nil
		}
		id := o.newColumn("key", x.Type())
		p.Exprs, p.Cols = append(p.Exprs, x), append(p.Cols, id)
		g.Groups = append(g.Groups, id)
		eq, err := expr.Binary(ast.OpEq, o.exprs([]int{id})[0], y)
		if err != nil {
			return nil
		}
		on = append(on, eq)
	}
	g.Groups = slices.Clone(g.Groups)
	g.In = p
	// An outer row without a group has the aggregates of no rows.
	found := o.newColumn("found", sqltype.TBoolean)
	cols := g.Columns()
	right := &plan.Project{In: &g, Exprs: append(o.exprs(cols), expr.Bool(true)), Cols: append(slices.Clone(cols), found)}
	j := &plan.Join{Kind: plan.Left, L: a.L, R: right, On: on, When: when}
	if fails {
		ids := agg.Columns()
		j.Else = &plan.Project{In: agg, Exprs: append(o.exprs(ids), expr.Bool(true)), Cols: append(slices.Clone(ids), found)}
	}
	var ids []int
	var with []expr.Expr
	for i := range agg.Aggs {
		ids = append(ids, agg.Aggs[i].Col)
		t := o.st.Types[agg.Aggs[i].Col]
		state := agg.Aggs[i].Fn.NewState(agg.Aggs[i].Spec)
		state.Grow(1)
		empty, err := state.Result(0)
		if err != nil {
			return nil
		}
		with = append(with, expr.Const(empty, t))
	}
	none, ok := substitute(value, ids, with)
	if !ok {
		return nil
	}
	out, err := expr.Case(nil, []expr.When{{Cond: expr.IsNull(o.exprs([]int{found})[0], true), Result: value}}, none)
	if err == nil && when != nil && riskOf(out) > safe {
		out, err = expr.Case(nil, []expr.When{{Cond: when, Result: out}}, nil)
	}
	if err != nil {
		return nil
	}
	return o.rename(j, left, a.Col, out)
}

func (o *optimizer) newColumn(name string, t sqltype.Type) int {
	o.st.Types, o.st.Labels = append(o.st.Types, t), append(o.st.Labels, name)
	return len(o.st.Types) - 1
}

// orderJoins takes apart the inner joins that stand directly in one another
// and joins their relations anew: in the order that their sizes suggest, or
// where those are not known in the order of FROM, but one that a condition
// connects with those before comes before one that none connects, so that no
// cross product is made that need not be.
func (o *optimizer) orderJoins(n plan.Node) plan.Node {
	j, ok := n.(*plan.Join)
	if !ok || j.Kind != plan.Inner || j.Gate {
		return mapInputs(n, o.orderJoins)
	}
	var rels []plan.Node
	var preds []expr.Expr
	var flatten func(plan.Node)
	flatten = func(n plan.Node) {
		if j, ok := n.(*plan.Join); ok && j.Kind == plan.Inner && !j.Gate {
			flatten(j.L)
			flatten(j.R)
			preds = append(preds, j.On...)
			return
		}
		rels = append(rels, o.orderJoins(n))
	}
	flatten(n)
	if len(rels) == 2 {
		return &plan.Join{Kind: plan.Inner, L: rels[0], R: rels[1], On: preds}
	}
	if n := o.joinOrder(rels, preds); n != nil {
		return n
	}
	out := rels[0]
	have := newColSet(out.Columns()...)
	rels = rels[1:]
	for len(rels) > 0 {
		next := slices.IndexFunc(rels, func(r plan.Node) bool { return connects(preds, have, r.Columns()) })
		if next < 0 {
			next = 0
		}
		r := rels[next]
		rels = slices.Delete(slices.Clone(rels), next, next+1)
		have.add(r.Columns()...)
		var on, rest []expr.Expr
		for _, p := range preds {
			if o.within(p, have, rels) {
				on = append(on, p)
			} else {
				rest = append(rest, p)
			}
		}
		out, preds = &plan.Join{Kind: plan.Inner, L: out, R: r, On: on}, rest
	}
	return withFilter(out, preds)
}

// connects tells whether an equality joins the columns at hand with those of a
// relation.
func connects(preds []expr.Expr, have colSet, cols []int) bool {
	left := slices.Collect(maps.Keys(have))
	return slices.ContainsFunc(preds, func(p expr.Expr) bool {
		c, ok := p.(*expr.CompareExpr)
		if !ok || c.Op != ast.OpEq {
			return false
		}
		lc, rc := expr.Columns(c.L), expr.Columns(c.R)
		in := func(ids, set []int) bool {
			return len(ids) > 0 && !slices.ContainsFunc(ids, func(id int) bool { return !slices.Contains(set, id) })
		}
		return in(lc, left) && in(rc, cols) || in(rc, left) && in(lc, cols)
	})
}

// within tells whether a predicate reads nothing of the relations that are
// still to come.
func (o *optimizer) within(p expr.Expr, have colSet, rels []plan.Node) bool {
	for _, id := range expr.Columns(p) {
		if have.has(id) {
			continue
		}
		for _, r := range rels {
			if slices.Contains(r.Columns(), id) {
				return false
			}
		}
	}
	return true
}
