package optimizer

import (
	"maps"
	"slices"

	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// unread leaves out subqueries that nobody reads, before they become joins
// that would have to be computed.
func (o *optimizer) unread(n plan.Node, need colSet) plan.Node {
	found := false
	plan.Walk(n, func(n plan.Node) {
		a, ok := n.(*plan.Apply)
		found = found || ok && (a.Kind >= plan.ApplyScalar || a.Kind == plan.ApplyLeft)
	})
	if !found {
		return n
	}
	o.early = true
	defer func() { o.early = false }()
	return o.prune(n, need)
}

// anyNeeded tells whether a column of a node is read.
func anyNeeded(need colSet, n plan.Node) bool { return slices.ContainsFunc(n.Columns(), need.has) }

// oneMatch tells whether no left row of a join has two matches: a join that
// adds no columns then adds nothing.
func oneMatch(j *plan.Join) bool {
	if oneRow(j.R) {
		return true
	}
	r := j.R
	for {
		f, ok := r.(*plan.Filter)
		if !ok {
			break
		}
		r = f.In
	}
	s, ok := r.(*plan.Scan)
	if !ok || s.IncludeDeleted {
		return false
	}
	key := s.Table.KeyOrdinals()
	for _, k := range key {
		at := slices.Index(s.Ordinals, k)
		if at < 0 || !slices.ContainsFunc(j.On, func(e expr.Expr) bool { return fixes(e, s.Cols[at], s.Cols) }) {
			return false
		}
	}
	return len(key) > 0
}

// fixes tells whether a condition is true for one value of a column at most,
// given columns other than cols.
func fixes(e expr.Expr, col int, cols []int) bool {
	c, ok := e.(*expr.CompareExpr)
	if !ok || c.Op != ast.OpEq || c.Distinct {
		return false
	}
	is := func(x, y expr.Expr) bool {
		k, ok := x.(*expr.ColumnExpr)
		return ok && k.Ordinal == col && readsNone(y, cols)
	}
	return is(c.L, c.R) || is(c.R, c.L)
}

// oneRow tells whether a node has one row at most.
func oneRow(n plan.Node) bool {
	switch n := n.(type) {
	case *plan.Aggregate:
		return len(n.Groups) == 0 && n.Sets == nil
	case *plan.Values:
		return len(n.Rows) <= 1
	case *plan.Filter, *plan.Project, *plan.Sort, *plan.Limit, *plan.Window, *plan.Distinct:
		return oneRow(n.Inputs()[0])
	}
	return false
}

// prune leaves out columns that nobody reads.
func (o *optimizer) prune(n plan.Node, need colSet) plan.Node {
	switch n := n.(type) {
	case *plan.Scan:
		want := maps.Clone(need)
		want.addExprs(n.Filter...)
		c := *n
		c.Ordinals, c.Cols = nil, nil
		for i, id := range n.Cols {
			if want.has(id) {
				c.Ordinals, c.Cols = append(c.Ordinals, n.Ordinals[i]), append(c.Cols, id)
			}
		}
		return &c
	case *plan.Filter:
		want := maps.Clone(need)
		want.addExprs(n.Preds...)
		return &plan.Filter{In: o.prune(n.In, want), Preds: n.Preds}
	case *plan.Project:
		c := &plan.Project{}
		want := colSet{}
		for i, id := range n.Cols {
			if need.has(id) || volatile(n.Exprs[i]) {
				c.Exprs, c.Cols = append(c.Exprs, n.Exprs[i]), append(c.Cols, id)
				want.addExprs(n.Exprs[i])
			}
		}
		c.In = o.prune(n.In, want)
		return c
	case *plan.Aggregate:
		c := *n
		c.Aggs = nil
		want := newColSet(n.Groups...)
		for i := range n.Aggs {
			a := &n.Aggs[i]
			if !need.has(a.Col) {
				continue
			}
			c.Aggs = append(c.Aggs, *a)
			want.add(a.Args...)
			for _, k := range a.OrderBy {
				want.add(k.Col)
			}
			if a.Filter >= 0 {
				want.add(a.Filter)
			}
		}
		c.In = o.prune(n.In, want)
		return &c
	case *plan.Distinct:
		want := maps.Clone(need)
		want.add(n.On...)
		return &plan.Distinct{In: o.prune(n.In, want), On: n.On}
	case *plan.Sort:
		want := maps.Clone(need)
		for _, k := range n.Keys {
			want.add(k.Col)
		}
		c := *n
		c.In = o.prune(n.In, want)
		return &c
	case *plan.Limit:
		want := maps.Clone(need)
		for _, k := range n.Ties {
			want.add(k.Col)
		}
		c := *n
		c.In = o.prune(n.In, want)
		return &c
	case *plan.Join:
		if n.Kind == plan.Mark && !need.has(n.MarkCol) && !anyVolatile(n.R) {
			return o.prune(n.L, need)
		}
		if n.Kind == plan.Left && !anyNeeded(need, n.R) && oneMatch(n) && !anyVolatile(n.R) {
			return o.prune(n.L, need)
		}
		want := maps.Clone(need)
		want.addExprs(plan.Exprs(n)...)
		c := *n
		c.R = o.prune(n.R, want)
		if n.Else != nil {
			c.Else = o.prune(n.Else, want)
			want = maps.Clone(want)
			maps.Copy(want, free(n.Else))
		}
		c.L = o.prune(n.L, want)
		if o.early {
			return &c
		}
		c.Keep = []int{}
		for _, id := range slices.Concat(c.L.Columns(), c.R.Columns()) {
			if need.has(id) {
				c.Keep = append(c.Keep, id)
			}
		}
		return &c
	case *plan.Apply:
		if n.Kind >= plan.ApplyScalar && !need.has(n.Col) && !anyVolatile(n.R) {
			return o.prune(n.L, need)
		}
		if n.Kind == plan.ApplyLeft && !anyNeeded(need, n.R) && oneRow(n.R) && !anyVolatile(n.R) {
			return o.prune(n.L, need)
		}
		want := maps.Clone(need)
		want.addExprs(plan.Exprs(n)...)
		right := maps.Clone(want)
		if n.Kind > plan.ApplySingle && n.Kind != plan.ApplyExists || n.Kind == plan.ApplySingle {
			right.add(n.R.Columns()...)
		}
		left := maps.Clone(want)
		left.add(slices.Collect(maps.Keys(free(n.R)))...)
		c := *n
		c.L, c.R = o.prune(n.L, left), o.prune(n.R, right)
		return &c
	case *plan.SetOp:
		c := *n
		left, right := n.L.Columns(), n.R.Columns()
		if n.Kind == plan.Union && n.All {
			// The other kinds compare whole rows.
			c.Cols, left, right = nil, nil, nil
			for i, id := range n.Cols {
				if need.has(id) {
					c.Cols, left, right = append(c.Cols, id), append(left, n.L.Columns()[i]), append(right, n.R.Columns()[i])
				}
			}
		}
		c.L = o.exactly(o.prune(n.L, newColSet(left...)), left)
		c.R = o.exactly(o.prune(n.R, newColSet(right...)), right)
		return &c
	case *plan.Window:
		c := *n
		c.Funcs = nil
		want := maps.Clone(need)
		want.add(n.Partition...)
		for _, k := range n.Order {
			want.add(k.Col)
		}
		for i := range n.Funcs {
			f := &n.Funcs[i]
			if !need.has(f.Col) {
				continue
			}
			c.Funcs = append(c.Funcs, *f)
			want.add(f.Args...)
			if f.Filter >= 0 {
				want.add(f.Filter)
			}
		}
		c.In = o.prune(n.In, want)
		if len(c.Funcs) == 0 {
			return c.In
		}
		return &c
	case *plan.With:
		return o.pruneWith(n, need)
	case *plan.CTERef:
		// Which of its columns stay, all that read the CTE decide together.
		c := *n
		o.cteRefs[n.CTE] = append(o.cteRefs[n.CTE], cteRef{&c, need})
		return &c
	}
	return mapInputs(n, func(in plan.Node) plan.Node { return o.prune(in, newColSet(in.Columns()...)) })
}

// cteRef is a place where a CTE is read, and the columns that are read there.
type cteRef struct {
	ref  *plan.CTERef
	need colSet
}

// pruneWith leaves out the columns of CTEs that nobody reads, from the last
// one, which only the body reads, to the first. The columns of a recursive one
// stay: its step reads its rows, and may compare them.
func (o *optimizer) pruneWith(n *plan.With, need colSet) plan.Node {
	body := o.prune(n.Body, need)
	for _, cte := range slices.Backward(n.CTEs) {
		if cte.Step != nil {
			cte.Step = o.prune(cte.Step, newColSet(cte.StepCols...))
		} else {
			cte.Cols = o.readOf(cte)
		}
		cte.In = o.prune(cte.In, newColSet(cte.Cols...))
		delete(o.cteRefs, cte)
	}
	return &plan.With{CTEs: n.CTEs, Body: body}
}

// readOf leaves in the references to a CTE the columns that are read of any,
// and gives which those are.
func (o *optimizer) readOf(cte *plan.CTE) (cols []int) {
	refs := o.cteRefs[cte]
	kept := make([][]int, len(refs))
	for i, col := range cte.Cols {
		if !slices.ContainsFunc(refs, func(r cteRef) bool { return r.need.has(r.ref.Cols[i]) }) {
			continue
		}
		cols = append(cols, col)
		for k, r := range refs {
			kept[k] = append(kept[k], r.ref.Cols[i])
		}
	}
	for k, r := range refs {
		r.ref.Cols = kept[k]
	}
	return cols
}

// inlineCTEs puts the query of a CTE that is read once in the place where it
// is read, so that predicates reach into it.
func (o *optimizer) inlineCTEs(n plan.Node) plan.Node {
	n = mapInputs(n, o.inlineCTEs)
	w, ok := n.(*plan.With)
	if !ok {
		return n
	}
	var keep []*plan.CTE
	body := w.Body
	for i, c := range w.CTEs {
		if c.Step != nil || c.Materialized || c.Refs != 1 || anyVolatile(c.In) {
			if c.Refs > 0 {
				keep = append(keep, c)
			}
			continue
		}
		replace := func(n plan.Node) plan.Node { return o.replaceCTE(n, c) }
		body = replace(body)
		for _, other := range w.CTEs[i+1:] {
			other.In = replace(other.In)
			if other.Step != nil {
				other.Step = replace(other.Step)
			}
		}
	}
	if len(keep) == 0 {
		return body
	}
	return &plan.With{CTEs: keep, Body: body}
}

func (o *optimizer) replaceCTE(n plan.Node, c *plan.CTE) plan.Node {
	if r, ok := n.(*plan.CTERef); ok && r.CTE == c {
		return &plan.Project{In: c.In, Exprs: o.exprs(c.Cols), Cols: r.Cols}
	}
	return mapInputs(n, func(in plan.Node) plan.Node { return o.replaceCTE(in, c) })
}

func anyVolatile(n plan.Node) bool {
	found := false
	plan.Walk(n, func(n plan.Node) {
		found = found || slices.ContainsFunc(plan.Exprs(n), func(e expr.Expr) bool { return volatile(e) })
	})
	return found
}
