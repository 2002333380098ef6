package expr

import (
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/builtin"
)

// Volatility is the wildest of the functions and conversions in e. Parameters
// are immutable within an execution, but no constants.
func Volatility(e Expr) builtin.Volatility {
	v := builtin.Immutable
	Walk(e, func(e Expr) bool {
		switch e := e.(type) {
		case *CallExpr:
			v = max(v, e.Fn.Volatility)
		case *CastExpr:
			if _, constant := e.X.(*ConstExpr); constant || clockType(e.to.Kind) {
				if c, ok := builtin.FindCast(e.X.Type(), e.to, builtin.Explicit); ok {
					v = max(v, c)
				}
			}
		}
		return true
	})
	return v
}

func clockType(k sqltype.Kind) bool {
	return k == sqltype.Date || k == sqltype.Time || k == sqltype.Timestamp
}

// IsConst tells whether e reads no column, so that one value stands for all
// rows of an execution; it may have parameters, and no volatile functions.
func IsConst(e Expr) bool {
	return len(Columns(e)) == 0 && Volatility(e) < builtin.Volatile
}

// HasParams tells whether e reads a parameter.
func HasParams(e Expr) bool {
	found := false
	Walk(e, func(e Expr) bool {
		_, is := e.(*ParamExpr)
		found = found || is
		return !found
	})
	return found
}

// AsConst gives the constant that e is, if it is one.
func AsConst(e Expr) (sqltype.Value, bool) {
	if c, ok := e.(*ConstExpr); ok {
		return c.Value, true
	}
	return sqltype.Value{}, false
}

// Fold replaces every part of e that depends on nothing but constants by its
// value, and simplifies AND, OR, CASE and COALESCE with constant operands. What
// is NULL because of one constant operand is NULL, and its other operands are
// not computed. A part whose evaluation fails stays, so that its error is raised only when a
// row reaches it.
func Fold(e Expr) Expr {
	out, err := Transform(e, func(e Expr) (Expr, error) { return foldNode(e), nil })
	if err != nil {
		return e
	}
	return out
}

func foldNode(e Expr) Expr {
	switch n := e.(type) {
	case *ConstExpr, *ColumnExpr, *ParamExpr:
		return e
	case *AndExpr:
		return foldLogic(n.Args, true)
	case *OrExpr:
		return foldLogic(n.Args, false)
	case *CaseExpr:
		return foldCase(n)
	case *CoalesceExpr:
		return foldCoalesce(n)
	case *CallExpr:
		if n.Fn.Volatility != builtin.Immutable {
			return e
		}
		if n.Fn.Strict {
			for _, a := range n.Args {
				if isNull(a) {
					return Const(sqltype.NullOf(n.typ.Kind), n.typ)
				}
			}
		}
	case *CompareExpr:
		if !n.Distinct && (isNull(n.L) || isNull(n.R)) {
			return Const(sqltype.NullOf(sqltype.Boolean), sqltype.TBoolean)
		}
	case *LikeExpr:
		if isNull(n.X) || isNull(n.Pattern) {
			return Const(sqltype.NullOf(sqltype.Boolean), sqltype.TBoolean)
		}
	case *InExpr:
		if isNull(n.X) {
			return Const(sqltype.NullOf(sqltype.Boolean), sqltype.TBoolean)
		}
	case *CastExpr:
		if Volatility(n) != builtin.Immutable && !dateCast(n) {
			return e
		}
	}
	for _, c := range e.Children() {
		if _, ok := c.(*ConstExpr); !ok {
			return e
		}
	}
	if e.Type().Kind == sqltype.Unknown {
		return e
	}
	v, err := Compile(e).EvalRow(&Context{}, nil)
	if err != nil {
		return e
	}
	return Const(v, e.Type())
}

// isNull tells the constant NULL.
func isNull(e Expr) bool {
	c, ok := e.(*ConstExpr)
	return ok && c.Value.IsNull()
}

// dateCast tells a cast of a constant text that does not look at the clock.
func dateCast(n *CastExpr) bool {
	c, ok := n.X.(*ConstExpr)
	return ok && (c.Value.IsNull() || c.Value.Kind() != sqltype.Text || !clockText(c.Value.Str()))
}

// foldLogic drops operands that decide nothing; unit is true for AND.
func foldLogic(args []Expr, unit bool) Expr {
	kept := make([]Expr, 0, len(args))
	for _, a := range args {
		v, ok := AsConst(a)
		switch {
		case !ok || v.IsNull():
			kept = append(kept, a)
		case v.Bool() != unit:
			// What stands before may fail, but SQL promises no order.
			return Bool(!unit)
		}
	}
	if unit {
		return And(kept...)
	}
	return Or(kept...)
}

func foldCase(n *CaseExpr) Expr {
	out := &CaseExpr{Else: n.Else, typ: n.typ}
	for _, w := range n.Whens {
		v, ok := AsConst(w.Cond)
		if !ok {
			out.Whens = append(out.Whens, w)
		} else if !v.IsNull() && v.Bool() {
			out.Else = w.Result
			break
		}
	}
	if len(out.Whens) == 0 && out.Else.Type() == n.typ {
		return out.Else
	}
	return out
}

func foldCoalesce(n *CoalesceExpr) Expr {
	out := &CoalesceExpr{typ: n.typ}
	for _, a := range n.Args {
		v, ok := AsConst(a)
		if ok && v.IsNull() {
			continue
		}
		out.Args = append(out.Args, a)
		if ok {
			break
		}
	}
	switch {
	case len(out.Args) == 0:
		return Const(sqltype.NullOf(n.typ.Kind), n.typ)
	case len(out.Args) == 1 && out.Args[0].Type() == n.typ:
		return out.Args[0]
	}
	return out
}
