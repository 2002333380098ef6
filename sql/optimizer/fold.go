package optimizer

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// fold computes what depends on constants alone, in every expression of the
// plan, and puts no rows in the place of a part of the plan that a condition
// without columns leaves none.
func (o *optimizer) fold(n plan.Node) plan.Node {
	n, _ = o.foldWithin(n, nil)
	return n
}

// foldWithin is fold for a node that reads the outer columns, and gives the
// columns of its own that are constant.
func (o *optimizer) foldWithin(n plan.Node, outer constants) (plan.Node, constants) {
	if w, ok := n.(*plan.With); ok {
		// Each CTE before those that read it.
		for _, c := range w.CTEs {
			if c.In, _ = o.foldWithin(c.In, outer); c.Step != nil {
				c.Step, _ = o.foldWithin(c.Step, outer)
			}
		}
		body, own := o.foldWithin(w.Body, outer)
		return &plan.With{CTEs: w.CTEs, Body: body}, own
	}
	var own [3]constants
	if in := n.Inputs(); len(in) > 0 {
		for i := range in {
			reads := outer
			if _, ok := n.(*plan.Apply); ok && i == 1 || i == 2 {
				reads = outer.and(own[0]) // of an apply, and what a join falls back on
			}
			in[i], own[i] = o.foldWithin(in[i], reads)
		}
		n = n.WithInputs(in)
	}
	n = o.foldNode(outer.and(own[0]).and(own[1]).into(n))
	return n, o.constants(n, own[0], own[1])
}

// foldNode is fold for a node whose inputs are folded.
func (o *optimizer) foldNode(n plan.Node) plan.Node {
	if barren(n) {
		return nothing(n)
	}
	switch n := n.(type) {
	case *plan.Scan:
		if never(n.Filter) {
			return nothing(n)
		}
	case *plan.Filter:
		f := &plan.Filter{In: n.In, Preds: foldConditions(n.Preds)}
		switch {
		case len(f.Preds) == 0:
			return n.In
		case never(f.Preds):
			return nothing(n)
		}
		return f
	case *plan.Project:
		p := *n
		p.Exprs = foldAll(n.Exprs)
		return &p
	case *plan.Join:
		j := *n
		j.On, j.Test, j.When = foldConditions(n.On), foldAll(n.Test), foldWhen(n.When)
		if j.Kind == plan.Inner && (never(j.On) || isNothing(j.L) || isNothing(j.R)) {
			return nothing(n)
		}
		if isNothing(j.L) && (j.Kind == plan.Left || j.Kind == plan.Single || j.Kind == plan.Mark) {
			return nothing(n)
		}
		if isNothing(j.R) && j.Kind == plan.Mark {
			return o.rename(j.L, j.L.Columns(), j.MarkCol, expr.Bool(false))
		}
		return &j
	case *plan.Apply:
		a := *n
		a.On, a.When = foldAll(n.On), foldWhen(n.When)
		if isNothing(a.L) {
			return nothing(n)
		}
		if isNothing(a.R) {
			switch pass := a.L.Columns(); a.Kind {
			case plan.ApplyCross:
				return nothing(n)
			case plan.ApplyExists, plan.ApplyMark:
				return o.rename(a.L, pass, a.Col, expr.Bool(false))
			case plan.ApplyScalar:
				t := o.st.Types[a.Col]
				return o.rename(a.L, pass, a.Col, expr.Const(sqltype.NullOf(t.Kind), t))
			}
		}
		return &a
	case *plan.Values:
		v := &plan.Values{Cols: n.Cols, Rows: make([][]expr.Expr, len(n.Rows))}
		for i, row := range n.Rows {
			v.Rows[i] = foldAll(row)
		}
		return v
	}
	return n
}

// barren tells whether a node has no rows because an input has none.
func barren(n plan.Node) bool {
	switch n := n.(type) {
	case *plan.Filter, *plan.Project, *plan.Sort, *plan.Limit, *plan.Distinct, *plan.Window:
		return isNothing(n.Inputs()[0])
	case *plan.CTERef:
		return isNothing(n.CTE.In)
	case *plan.Aggregate:
		return len(n.Groups) > 0 && n.Sets == nil && isNothing(n.In)
	case *plan.SetOp:
		switch n.Kind {
		case plan.Union:
			return isNothing(n.L) && isNothing(n.R)
		case plan.Intersect:
			return isNothing(n.L) || isNothing(n.R)
		}
		return isNothing(n.L)
	}
	return false
}

func foldAll(list []expr.Expr) []expr.Expr {
	out := make([]expr.Expr, len(list))
	for i, e := range list {
		out[i] = expr.Fold(e)
	}
	return out
}

// foldWhen folds a condition; nil: it is true.
func foldWhen(e expr.Expr) expr.Expr {
	if e == nil {
		return nil
	}
	e = expr.Fold(e)
	if v, ok := expr.AsConst(e); ok && !v.IsNull() && v.Bool() {
		return nil
	}
	return e
}

// foldConditions drops the conjuncts that are true.
func foldConditions(preds []expr.Expr) []expr.Expr {
	return slices.DeleteFunc(foldAll(preds), func(e expr.Expr) bool {
		v, ok := expr.AsConst(e)
		return ok && !v.IsNull() && v.Bool()
	})
}

// never tells whether a conjunct is false or NULL for all rows.
func never(preds []expr.Expr) bool {
	return slices.ContainsFunc(preds, func(e expr.Expr) bool {
		v, ok := expr.AsConst(e)
		return ok && (v.IsNull() || !v.Bool())
	})
}

// nothing is a node without rows in the place of another one.
func nothing(n plan.Node) plan.Node { return &plan.Values{Cols: n.Columns()} }

func isNothing(n plan.Node) bool {
	v, ok := n.(*plan.Values)
	return ok && len(v.Rows) == 0
}
