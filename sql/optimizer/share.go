package optimizer

import (
	"slices"

	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

const (
	// maxShared is up to how many expressions of a projection are shared.
	maxShared = 8
	// maxShareNodes is up to how large projections are looked at: the search
	// compares every part with every other.
	maxShareNodes = 400
)

// share computes an expression that stands several times in a projection once,
// in a projection below. One of its places must be one that is computed for
// every row, so that no error comes that would not come anyway.
func (o *optimizer) share(n plan.Node) plan.Node {
	n = mapInputs(n, o.share)
	p, ok := n.(*plan.Project)
	if !ok {
		return n
	}
	if s := scanBelow(p.In); s != nil && s.Point {
		return n // few rows, and a lookup may run without operators
	}
	exprs := slices.Clone(p.Exprs)
	in := p.In
	for range maxShared {
		common := mostShared(exprs)
		if common == nil {
			break
		}
		id := o.newColumn("shared", common.Type())
		cols := in.Columns()
		in = o.rename(in, cols, id, common)
		col, print := o.exprs([]int{id})[0], expr.Fingerprint(common)
		for i, e := range exprs {
			out, err := expr.Transform(e, func(e expr.Expr) (expr.Expr, error) {
				if _, ok := e.(*expr.CallExpr); ok && expr.Fingerprint(e) == print {
					return col, nil
				}
				return e, nil
			})
			if err != nil {
				return n
			}
			exprs[i] = out
		}
	}
	if in == p.In {
		return n
	}
	return &plan.Project{In: in, Exprs: exprs, Cols: p.Cols}
}

// mostShared is the largest call over columns that stands in the expressions
// more than once; nil: there is none.
func mostShared(list []expr.Expr) expr.Expr {
	nodes, calls := 0, 0
	for _, e := range list {
		expr.Walk(e, func(e expr.Expr) bool {
			nodes++
			if _, ok := e.(*expr.CallExpr); ok {
				calls++
			}
			return true
		})
	}
	if calls < 2 || nodes > maxShareNodes {
		return nil
	}
	type place struct {
		n      int
		always bool
	}
	found := map[string]*place{}
	var best expr.Expr
	size := 0
	var visit func(e expr.Expr, always bool)
	visit = func(e expr.Expr, always bool) {
		switch e := e.(type) {
		case *expr.CallExpr:
			if len(expr.Columns(e)) == 0 || volatile(e) {
				break
			}
			print := expr.Fingerprint(e)
			at := found[print]
			if at == nil {
				at = &place{}
				found[print] = at
			}
			at.n++
			at.always = at.always || always
			if at.n > 1 && at.always && len(print) > size {
				best, size = e, len(print)
			}
		case *expr.CompareExpr, *expr.CastExpr, *expr.IsExpr, *expr.NotExpr, *expr.ColumnExpr:
		default:
			// What these hold may be computed for some rows only.
			always = false
		}
		for _, c := range e.Children() {
			visit(c, always)
		}
	}
	for _, e := range list {
		visit(e, true)
	}
	return best
}
