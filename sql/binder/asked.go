package binder

import (
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// CASE, COALESCE, AND and OR say what is computed: CASE a result where its
// condition is the first to be true, COALESCE an argument where those before
// are NULL, AND one where none before is false, OR where none before is true.
// Expressions keep to that when they are evaluated. A subquery among them is
// computed below, for a batch of rows, and has to know for which of them its
// value is asked: the scope keeps the conditions while it binds what stands
// under them, and a subquery takes those at hand with it.

// condition is what a form asks of a part of it before it computes another.
type condition struct {
	// operand, when not nil, is compared with x, as CASE operand WHEN x does.
	operand, x expr.Expr
	is         ast.IsKind
	not        bool
}

// ask adds a condition.
func (sc *scope) ask(c condition) { sc.asked = append(sc.asked, c) }

// askWhere adds FILTER's condition, if there is one.
func (sc *scope) askWhere(filter expr.Expr) {
	if filter != nil {
		sc.ask(condition{x: filter, is: ast.IsTrue})
	}
}

// asking begins a form whose conditions end with done.
func (sc *scope) asking() (done func()) {
	n := len(sc.asked)
	return func() { sc.asked = sc.asked[:n] }
}

// operands binds the operands of AND or OR, of which one is computed where each
// of those before meets the condition.
func (b *binder) operands(list []ast.Expr, sc *scope, c condition) ([]expr.Expr, error) {
	defer sc.asking()()
	out := make([]expr.Expr, len(list))
	for i, e := range list {
		var err error
		if out[i], err = b.expr(e, sc); err != nil {
			return nil, err
		}
		c.x = out[i]
		sc.ask(c)
	}
	return out, nil
}

// when are the conditions at hand as one; nil: there is none. A condition is
// safe to compute only after those before it, so that one that cannot be
// computed once more ends them: what is not asked for may then be computed,
// which is less than right but never another value.
func (sc *scope) when() expr.Expr {
	var all []expr.Expr
	nodes := 0
	for _, c := range sc.asked {
		x := c.expr()
		if x == nil || plan.Volatile(x) {
			break
		}
		expr.Walk(x, func(expr.Expr) bool { nodes++; return nodes <= mostNodes })
		if nodes > mostNodes {
			break
		}
		all = append(all, x)
	}
	if len(all) == 0 {
		return nil
	}
	return expr.And(all...)
}

// expr is the condition as an expression; nil where there is an error, which
// the form itself will tell.
func (c condition) expr() expr.Expr {
	x, err := c.x, error(nil)
	if operand := c.operand; operand != nil {
		if k, ok := operand.(*expr.ConstExpr); ok {
			operand = expr.Resolve(k)
		}
		x, err = expr.Binary(ast.OpEq, operand, x)
	}
	switch {
	case err != nil:
	case c.is == ast.IsTrue && !c.not:
		x, err = expr.Condition(x, "CASE/WHEN")
	default:
		x, err = expr.Is(c.is, c.not, x)
	}
	if err != nil {
		return nil
	}
	return x
}
