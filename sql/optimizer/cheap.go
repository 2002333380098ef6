package optimizer

import (
	"cmp"
	"slices"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// cheapFirst puts conjuncts that cost less before those that cost more, which
// then are computed for the rows that passed alone. Those that cost the same
// keep their order. PostgreSQL orders them so, too, and so fails, or not, at
// the same values.
func (o *optimizer) cheapFirst(n plan.Node) plan.Node {
	n = mapInputs(n, o.cheapFirst)
	switch n := n.(type) {
	case *plan.Filter:
		return &plan.Filter{In: n.In, Preds: byCost(n.Preds)}
	case *plan.Scan:
		if len(n.Filter) > 1 {
			s := *n
			s.Filter = byCost(n.Filter)
			return &s
		}
	case *plan.Join:
		if len(n.On) > 1 {
			j := *n
			j.On = byCost(n.On)
			return &j
		}
	}
	return n
}

func byCost(preds []expr.Expr) []expr.Expr {
	if len(preds) < 2 {
		return preds
	}
	type priced struct {
		e    expr.Expr
		cost float64
	}
	list := make([]priced, len(preds))
	for i, p := range preds {
		list[i] = priced{p, cost(p)}
	}
	slices.SortStableFunc(list, func(a, b priced) int { return cmp.Compare(a.cost, b.cost) })
	out := make([]expr.Expr, len(list))
	for i, p := range list {
		out[i] = p.e
	}
	return out
}

// cost is about how many functions and operators a row takes.
func cost(e expr.Expr) float64 {
	c := 0.0
	expr.Walk(e, func(e expr.Expr) bool {
		switch e := e.(type) {
		case *expr.CallExpr, *expr.CompareExpr, *expr.LikeExpr:
			c++
		case *expr.CastExpr:
			switch from, to := e.X.Type().Kind, e.Type().Kind; {
			case from == to:
			case from == sqltype.Text || to == sqltype.Text:
				c += 2 // one writes it, the other reads it
			default:
				c++
			}
		case *expr.InExpr:
			c += float64(len(e.List)) / 2
		}
		return true
	})
	return c
}
