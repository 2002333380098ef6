package optimizer

import (
	"slices"

	"github.com/kalamdb/kalamdb/sql/expr"
)

// factor takes the conjuncts that all arms of an OR share out of it, so that
// (k = 1 AND a) OR (k = 1 AND b) becomes k = 1 AND (a OR b): a shared
// equality can be the key of a join.
func factor(preds []expr.Expr) []expr.Expr {
	var out []expr.Expr
	for _, p := range preds {
		or, ok := p.(*expr.OrExpr)
		if !ok || volatile(p) {
			out = append(out, p)
			continue
		}
		out = append(out, factorOr(or)...)
	}
	return out
}

func factorOr(or *expr.OrExpr) []expr.Expr {
	arms := make([][]expr.Expr, len(or.Args))
	for i, a := range or.Args {
		arms[i] = conjuncts(a)
	}
	has := func(list []expr.Expr, e expr.Expr) bool {
		return slices.ContainsFunc(list, func(x expr.Expr) bool { return expr.Equal(x, e) })
	}
	var common []expr.Expr
	for _, e := range arms[0] {
		if !slices.ContainsFunc(arms[1:], func(arm []expr.Expr) bool { return !has(arm, e) }) && !has(common, e) {
			common = append(common, e)
		}
	}
	if len(common) == 0 {
		return []expr.Expr{or}
	}
	rest := make([]expr.Expr, len(arms))
	for i, arm := range arms {
		left := slices.DeleteFunc(slices.Clone(arm), func(e expr.Expr) bool { return has(common, e) })
		if len(left) == 0 {
			// An arm that is only what all share makes the others superfluous.
			return common
		}
		rest[i] = expr.And(left...)
	}
	return append(common, expr.Or(rest...))
}

func conjuncts(e expr.Expr) []expr.Expr {
	if and, ok := e.(*expr.AndExpr); ok {
		var out []expr.Expr
		for _, a := range and.Args {
			out = append(out, conjuncts(a)...)
		}
		return out
	}
	return []expr.Expr{e}
}

// implied gives for each OR what it says about the columns alone: the OR of
// the parts of its arms that read nothing else, if every arm has one. Only
// comparisons count, which cannot fail for a row that another conjunct keeps
// from them.
func implied(preds []expr.Expr, cols []int) []expr.Expr {
	var out []expr.Expr
	for _, p := range preds {
		or, ok := p.(*expr.OrExpr)
		if !ok || volatile(p) {
			continue
		}
		var arms []expr.Expr
		for _, a := range or.Args {
			own := slices.DeleteFunc(conjuncts(a), func(e expr.Expr) bool { return !simpleOver(e, cols) })
			if len(own) == 0 {
				arms = nil
				break
			}
			arms = append(arms, expr.And(own...))
		}
		if arms != nil {
			out = append(out, expr.Or(arms...))
		}
	}
	return out
}

// simpleOver tells whether the expression compares columns of cols with
// constants.
func simpleOver(e expr.Expr, cols []int) bool {
	column := func(e expr.Expr) bool {
		c, ok := e.(*expr.ColumnExpr)
		return ok && slices.Contains(cols, c.Ordinal)
	}
	fixed := func(e expr.Expr) bool {
		switch e.(type) {
		case *expr.ConstExpr, *expr.ParamExpr:
			return true
		}
		return false
	}
	switch e := e.(type) {
	case *expr.CompareExpr:
		return column(e.L) && fixed(e.R) || column(e.R) && fixed(e.L)
	case *expr.InExpr:
		return column(e.X) && !slices.ContainsFunc(e.List, func(v expr.Expr) bool { return !fixed(v) })
	}
	return false
}
