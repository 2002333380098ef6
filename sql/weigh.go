package sql

import (
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// What a compiled plan takes: a node, one of its columns, an expression of it,
// what is below that, and a column of the result. Measured on large plans of
// each kind; small ones take about half.
const (
	nodeBytes, columnBytes, exprBytes, partBytes, resultBytes = 1 << 10, 16, 768, 128, 128
)

// weigh is about how many bytes of memory the compiled plan of a statement
// takes.
func weigh(st *plan.Statement) (bytes int) {
	node := func(n plan.Node) {
		bytes += nodeBytes + columnBytes*len(n.Columns())
		bytes += weighExprs(plan.Exprs(n))
	}
	step := func(query plan.Node, w *plan.Write) {
		if query != nil {
			plan.Walk(query, node)
		}
		if w == nil {
			return
		}
		bytes += weighExprs(w.Returning)
		if w.Then != nil {
			plan.Walk(w.Then, node)
		}
		if c := w.Conflict; c != nil {
			bytes += weighExprs(c.Set) + weighExprs([]expr.Expr{c.Where})
			if c.Query != nil {
				plan.Walk(c.Query, node)
			}
		}
	}
	for _, s := range st.Before {
		step(s.Query, s.Write)
	}
	step(st.Query, st.Write)
	return bytes + resultBytes*len(st.Output)
}

func weighExprs(list []expr.Expr) (bytes int) {
	for _, e := range list {
		bytes += exprBytes
		expr.Walk(e, func(e expr.Expr) bool {
			bytes += partBytes
			if c, ok := e.(*expr.ConstExpr); ok {
				bytes += c.Value.Size()
			}
			return true
		})
	}
	return bytes
}
