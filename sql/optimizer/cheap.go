package optimizer

import (
	"cmp"
	"slices"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
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
		if len(n.Filter) > 0 {
			s := *n
			s.Filter = byCost(n.Filter)
			return &s
		}
	case *plan.Join:
		if len(n.On) > 0 {
			j := *n
			j.On = byCost(n.On)
			return &j
		}
	}
	return n
}

func byCost(preds []expr.Expr) []expr.Expr {
	type priced struct {
		e    expr.Expr
		cost float64
	}
	var list []priced
	for _, p := range preds {
		for _, c := range apart(p) {
			list = append(list, priced{c, cost(c)})
		}
	}
	slices.SortStableFunc(list, func(a, b priced) int { return cmp.Compare(a.cost, b.cost) })
	out := make([]expr.Expr, len(list))
	for i, p := range list {
		out[i] = p.e
	}
	return out
}

// apart gives the conjuncts of x NOT IN (list): one for each item that is
// computed, and one for the constants.
func apart(p expr.Expr) []expr.Expr {
	in, ok := p.(*expr.InExpr)
	if !ok || !in.Not || cost(in.X) > 0 {
		return []expr.Expr{p}
	}
	var out []expr.Expr
	rest := &expr.InExpr{X: in.X, Not: true}
	for _, item := range in.List {
		if cost(item) == 0 {
			rest.List = append(rest.List, item)
			continue
		}
		out = append(out, &expr.CompareExpr{Op: ast.OpNe, L: in.X, R: item})
	}
	switch {
	case len(out) == 0:
		return []expr.Expr{p}
	case len(rest.List) > 0:
		out = append(out, rest)
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
