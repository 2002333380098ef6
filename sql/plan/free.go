package plan

import (
	"slices"

	"github.com/kalamdb/kalamdb/sql/expr"
)

// Walk visits a node and everything below it.
func Walk(n Node, visit func(Node)) {
	visit(n)
	for _, c := range n.Inputs() {
		Walk(c, visit)
	}
}

// Exprs are the expressions of one node.
func Exprs(n Node) []expr.Expr {
	switch n := n.(type) {
	case *Scan:
		out := slices.Clone(n.Filter)
		for i := range n.Ranges {
			out = append(out, n.Ranges[i].Prefix...)
			out = appendExpr(out, n.Ranges[i].Low, n.Ranges[i].High)
		}
		for i := range n.Bounds {
			out = append(out, n.Bounds[i].Value)
		}
		return appendExpr(out, n.Limit)
	case *Values:
		return slices.Concat(n.Rows...)
	case *Filter:
		return n.Preds
	case *Project:
		return n.Exprs
	case *Sort:
		return appendExpr(nil, n.Limit, n.Offset)
	case *Limit:
		return appendExpr(nil, n.Limit, n.Offset)
	case *Join:
		return appendExpr(slices.Concat(n.On, n.Test), n.When)
	case *Apply:
		return appendExpr(slices.Clone(n.On), n.When)
	case *TableFunc:
		var out []expr.Expr
		for i := range n.Funcs {
			out = append(out, n.Funcs[i].Args...)
		}
		return out
	case *Window:
		var out []expr.Expr
		for i := range n.Funcs {
			out = appendExpr(out, n.Funcs[i].Frame.Start.Offset, n.Funcs[i].Frame.End.Offset)
		}
		return out
	}
	return nil
}

func appendExpr(out []expr.Expr, list ...expr.Expr) []expr.Expr {
	for _, e := range list {
		if e != nil {
			out = append(out, e)
		}
	}
	return out
}

// Free are the columns that a subtree reads and does not make: those of outer
// queries.
func Free(n Node) map[int]struct{} {
	reads, makes := map[int]struct{}{}, map[int]struct{}{}
	add := func(set map[int]struct{}, ids ...int) {
		for _, id := range ids {
			set[id] = struct{}{}
		}
	}
	Walk(n, func(n Node) {
		add(reads, expr.Columns(Exprs(n)...)...)
		add(makes, n.Columns()...)
		for _, in := range n.Inputs() {
			add(makes, in.Columns()...)
		}
		switch n := n.(type) {
		case *Aggregate:
			add(reads, n.Groups...)
			for i := range n.Aggs {
				a := &n.Aggs[i]
				add(reads, a.Args...)
				for _, k := range a.OrderBy {
					add(reads, k.Col)
				}
				if a.Filter >= 0 {
					add(reads, a.Filter)
				}
			}
		case *Sort:
			for _, k := range n.Keys {
				add(reads, k.Col)
			}
		}
	})
	for id := range makes {
		delete(reads, id)
	}
	return reads
}
