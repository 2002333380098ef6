package plan

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/expr"
)

// Text writes an expression for people, with names for columns.
func Text(e expr.Expr) string {
	w := exprWriter{}
	w.expr(e)
	return w.b.String()
}

// Fingerprint writes an expression so that two have the same text only if
// they compute the same: columns by identity, constants with their types.
func Fingerprint(e expr.Expr) string {
	w := exprWriter{exact: true}
	w.expr(e)
	return w.b.String()
}

// Equal tells whether two expressions are the same computation. A volatile
// one equals nothing but itself.
func Equal(a, b expr.Expr) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.Type() != b.Type() {
		return false
	}
	ca, okA := a.(*expr.ColumnExpr)
	cb, okB := b.(*expr.ColumnExpr)
	if okA || okB {
		return okA && okB && ca.Ordinal == cb.Ordinal
	}
	return !Volatile(a) && Fingerprint(a) == Fingerprint(b)
}

// Volatile tells whether evaluating the expression once more, or less, could
// be noticed.
func Volatile(e expr.Expr) bool { return volatility(e) == builtin.Volatile }

// Deterministic tells whether an expression depends on nothing but its row
// and the parameters.
func Deterministic(e expr.Expr) bool { return volatility(e) == builtin.Immutable }

func volatility(e expr.Expr) builtin.Volatility {
	v := builtin.Immutable
	expr.Walk(e, func(e expr.Expr) bool {
		switch x := e.(type) {
		case *expr.CallExpr:
			v = max(v, x.Fn.Volatility)
		case *expr.CastExpr:
			if c, _ := builtin.FindCast(x.X.Type(), x.Type(), builtin.Explicit); c > v {
				v = c
			}
		}
		return true
	})
	return v
}

type exprWriter struct {
	b     strings.Builder
	exact bool
}

func (w *exprWriter) str(parts ...string) {
	for _, p := range parts {
		w.b.WriteString(p)
	}
}

func (w *exprWriter) list(list []expr.Expr, sep string) {
	for i, e := range list {
		if i > 0 {
			w.str(sep)
		}
		w.expr(e)
	}
}

func (w *exprWriter) paren(list []expr.Expr, sep string) {
	w.str("(")
	w.list(list, sep)
	w.str(")")
}

func (w *exprWriter) expr(e expr.Expr) {
	switch e := e.(type) {
	case *expr.ColumnExpr:
		if w.exact || e.Name == "" {
			w.str("#", strconv.Itoa(e.Ordinal))
			return
		}
		w.str(e.Name)
	case *expr.ConstExpr:
		w.constant(e.Value)
		if w.exact {
			w.str("::", e.Type().String())
		}
	case *expr.ParamExpr:
		w.str("$", strconv.Itoa(e.Index))
		if w.exact {
			w.str("::", e.Type().String())
		}
	case *expr.CallExpr:
		if e.Fn.Kind == builtin.Operator {
			if len(e.Args) == 1 {
				w.str(e.Fn.Name)
				w.paren(e.Args, "")
				return
			}
			w.paren(e.Args, " "+e.Fn.Name+" ")
			return
		}
		w.str(e.Fn.Name)
		w.paren(e.Args, ", ")
	case *expr.CompareExpr:
		op := e.Op.String()
		if e.Distinct {
			op = map[bool]string{true: "IS NOT DISTINCT FROM", false: "IS DISTINCT FROM"}[e.Op == ast.OpEq]
		}
		w.paren([]expr.Expr{e.L, e.R}, " "+op+" ")
	case *expr.CastExpr:
		if !w.exact && e.Mode == expr.CastImplicit {
			w.expr(e.X)
			return
		}
		w.expr(e.X)
		w.str("::", e.Type().String())
		if w.exact {
			w.str("/", strconv.Itoa(int(e.Mode)))
		}
	case *expr.AndExpr:
		w.paren(e.Args, " AND ")
	case *expr.OrExpr:
		w.paren(e.Args, " OR ")
	case *expr.NotExpr:
		w.str("NOT ")
		w.expr(e.X)
	case *expr.IsExpr:
		w.expr(e.X)
		w.str(" IS ", map[bool]string{true: "NOT "}[e.Not], [...]string{"NULL", "TRUE", "FALSE", "UNKNOWN"}[e.Kind])
	case *expr.CaseExpr:
		w.str("CASE")
		for _, x := range e.Whens {
			w.str(" WHEN ")
			w.expr(x.Cond)
			w.str(" THEN ")
			w.expr(x.Result)
		}
		w.str(" ELSE ")
		w.expr(e.Else)
		w.str(" END")
	case *expr.CoalesceExpr:
		w.str("coalesce")
		w.paren(e.Args, ", ")
	case *expr.InExpr:
		w.expr(e.X)
		w.str(map[bool]string{true: " NOT"}[e.Not], " IN ")
		w.paren(e.List, ", ")
	case *expr.LikeExpr:
		w.expr(e.X)
		w.str(map[bool]string{true: " NOT"}[e.Not], " ", [...]string{"LIKE", "ILIKE", "SIMILAR TO"}[e.Kind], " ")
		w.expr(e.Pattern)
		if e.Escape != nil {
			w.str(" ESCAPE ")
			w.expr(e.Escape)
		}
	case *expr.QuantifiedExpr:
		w.expr(e.X)
		w.str(" ", e.Op.String(), map[bool]string{true: " ALL ", false: " ANY "}[e.All])
		w.paren([]expr.Expr{e.Array}, "")
	case *expr.ArrayExpr:
		w.str("ARRAY[")
		w.list(e.Elems, ", ")
		w.str("]")
	case *expr.RowExpr:
		w.str("ROW")
		w.paren(e.Items, ", ")
	default:
		w.paren(e.Children(), ", ")
	}
}

func (w *exprWriter) constant(v sqltype.Value) {
	switch {
	case v.IsNull():
		w.str("NULL")
	case v.Kind().IsNumeric():
		w.str(v.Text())
	case v.Kind() == sqltype.Boolean:
		w.str(map[bool]string{true: "true", false: "false"}[v.Bool()])
	default:
		w.str("'", strings.ReplaceAll(v.Text(), "'", "''"), "'")
	}
}
