package expr

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
)

// String writes an expression for EXPLAIN and for messages: SQL, with columns
// by their names.
func String(e Expr) string {
	var w writer
	w.expr(e)
	return w.b.String()
}

// Fingerprint writes an expression so that two have the same text exactly when
// they compute the same from the same columns: columns by their ordinals,
// constants with their types. It is the key by which live filters are shared.
func Fingerprint(e Expr) string {
	w := writer{exact: true}
	w.expr(e)
	return w.b.String()
}

// Equal tells whether two expressions are the same computation.
func Equal(a, b Expr) bool { return a == b || Fingerprint(a) == Fingerprint(b) }

type writer struct {
	b     strings.Builder
	exact bool
}

func (w *writer) put(s string) { w.b.WriteString(s) }

func (w *writer) list(es []Expr, sep string) {
	for i, e := range es {
		if i > 0 {
			w.put(sep)
		}
		w.operand(e)
	}
}

// operand writes an expression in parentheses where it has operators.
func (w *writer) operand(e Expr) {
	switch e := e.(type) {
	case *ColumnExpr, *ConstExpr, *ParamExpr, *CaseExpr, *CoalesceExpr, *ArrayExpr, *RowExpr:
		w.expr(e)
		return
	case *CallExpr:
		if !isOperator(e) {
			w.expr(e)
			return
		}
	case *CastExpr:
		w.expr(e)
		return
	}
	w.put("(")
	w.expr(e)
	w.put(")")
}

func isOperator(e *CallExpr) bool {
	c := e.Fn.Name[0]
	return !(c >= 'a' && c <= 'z' || c == '_')
}

func (w *writer) expr(e Expr) {
	switch e := e.(type) {
	case *ColumnExpr:
		if w.exact || e.Name == "" {
			w.put("#" + strconv.Itoa(e.Ordinal))
		} else {
			w.put(e.Name)
		}
	case *ConstExpr:
		w.constant(e)
	case *ParamExpr:
		w.put("$" + strconv.Itoa(e.Index))
		if w.exact {
			w.put("::" + e.typ.String())
		}
	case *CallExpr:
		w.call(e)
	case *CompareExpr:
		w.operand(e.L)
		switch {
		case e.Distinct && e.Op == ast.OpEq:
			w.put(" IS NOT DISTINCT FROM ")
		case e.Distinct:
			w.put(" IS DISTINCT FROM ")
		default:
			w.put(" " + e.Op.String() + " ")
		}
		w.operand(e.R)
	case *CastExpr:
		w.cast(e)
	case *AndExpr:
		w.list(e.Args, " AND ")
	case *OrExpr:
		w.list(e.Args, " OR ")
	case *NotExpr:
		w.put("NOT ")
		w.operand(e.X)
	case *IsExpr:
		w.operand(e.X)
		w.put(" IS ")
		w.not(e.Not)
		w.put([...]string{ast.IsNull: "NULL", ast.IsTrue: "TRUE", ast.IsFalse: "FALSE", ast.IsUnknown: "UNKNOWN"}[e.Kind])
	case *CaseExpr:
		w.put("CASE")
		for _, b := range e.Whens {
			w.put(" WHEN ")
			w.expr(b.Cond)
			w.put(" THEN ")
			w.expr(b.Result)
		}
		w.put(" ELSE ")
		w.expr(e.Else)
		w.put(" END")
	case *CoalesceExpr:
		w.put("coalesce(")
		w.args(e.Args)
		w.put(")")
	case *InExpr:
		w.operand(e.X)
		w.put(" ")
		w.not(e.Not)
		w.put("IN (")
		w.args(e.List)
		w.put(")")
	case *LikeExpr:
		w.operand(e.X)
		w.put(" ")
		w.not(e.Not)
		w.put([...]string{ast.Like: "LIKE ", ast.ILike: "ILIKE ", ast.SimilarTo: "SIMILAR TO "}[e.Kind])
		w.operand(e.Pattern)
		if e.Escape != nil {
			w.put(" ESCAPE ")
			w.operand(e.Escape)
		}
	case *QuantifiedExpr:
		w.operand(e.X)
		w.put(" " + e.Op.String())
		if e.All {
			w.put(" ALL (")
		} else {
			w.put(" ANY (")
		}
		w.expr(e.Array)
		w.put(")")
	case *ArrayExpr:
		w.put("ARRAY[")
		w.args(e.Elems)
		w.put("]")
	case *RowExpr:
		w.put("ROW(")
		w.args(e.Items)
		w.put(")")
	}
}

func (w *writer) args(es []Expr) {
	for i, e := range es {
		if i > 0 {
			w.put(", ")
		}
		w.expr(e)
	}
}

func (w *writer) not(not bool) {
	if not {
		w.put("NOT ")
	}
}

func (w *writer) call(e *CallExpr) {
	switch {
	case !isOperator(e):
		w.put(e.Fn.Name)
		if w.exact {
			// Overloads of one name compute different things.
			w.put("/" + e.Fn.Signature())
		}
		w.put("(")
		w.args(e.Args)
		w.put(")")
	case len(e.Args) == 1:
		w.put(e.Fn.Name)
		w.operand(e.Args[0])
	default:
		w.operand(e.Args[0])
		w.put(" " + e.Fn.Name + " ")
		w.operand(e.Args[1])
	}
}

func (w *writer) cast(e *CastExpr) {
	if !w.exact && e.Mode == CastImplicit {
		w.expr(e.X)
		return
	}
	if e.Mode == CastTry {
		w.put("TRY_CAST(")
	} else {
		w.put("CAST(")
	}
	w.expr(e.X)
	w.put(" AS " + e.to.String() + ")")
	if w.exact && e.Mode == CastAssign {
		w.put("!")
	}
}

func (w *writer) constant(e *ConstExpr) {
	switch v := e.Value; {
	case v.IsNull():
		w.put("NULL")
	case e.typ.Kind.IsNumeric():
		w.put(v.Text())
	case e.typ.Kind == sqltype.Boolean:
		w.put(map[bool]string{true: "TRUE", false: "FALSE"}[v.Bool()])
	default:
		w.put("'" + strings.ReplaceAll(v.Text(), "'", "''") + "'")
		if !w.exact && e.typ.Kind != sqltype.Text && e.typ.Kind != sqltype.Unknown {
			w.put("::" + e.typ.String())
		}
	}
	if w.exact {
		w.put("::" + e.typ.String())
	}
}
