package expr

import (
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/builtin"
)

// convert gives e the target kind. Same kinds need nothing: an implicit
// conversion never looks at modifiers.
func convert(e Expr, to sqltype.Type, mode CastMode) (Expr, error) {
	from := e.Type()
	if from.Kind == sqltype.Unknown {
		return convertUnknown(e, to, mode)
	}
	if mode == CastImplicit && from.Kind == to.Kind && from.Elem == to.Elem {
		return e, nil
	}
	return Cast(e, to, mode)
}

// convertUnknown gives a literal, NULL or a parameter its type.
func convertUnknown(e Expr, to sqltype.Type, mode CastMode) (Expr, error) {
	switch x := e.(type) {
	case *ParamExpr:
		bare := sqltype.Type{Kind: to.Kind, Elem: to.Elem}
		if x.set != nil {
			if known := x.set.types[x.Index-1]; known.Kind != sqltype.Unknown {
				return Cast(&ParamExpr{Index: x.Index, typ: known, set: x.set}, to, CastExplicit)
			}
			x.set.types[x.Index-1] = bare
		}
		p := &ParamExpr{Index: x.Index, typ: bare, set: x.set}
		if bare == to || mode == CastImplicit {
			return p, nil
		}
		return &CastExpr{X: p, Mode: mode, to: to}, nil
	case *ConstExpr:
		if to.Kind == sqltype.Unknown {
			return e, nil
		}
		if x.Value.IsNull() {
			return &ConstExpr{Value: sqltype.NullOf(to.Kind), typ: to}, nil
		}
		if to.Kind == sqltype.Text && to.Precision == 0 {
			return &ConstExpr{Value: x.Value, typ: to}, nil
		}
		if !clockText(x.Value.Str()) {
			v, err := builtin.Convert(nil, x.Value, to, mode != CastAssign)
			if err != nil {
				if mode == CastTry {
					return &ConstExpr{Value: sqltype.NullOf(to.Kind), typ: to}, nil
				}
				return nil, err
			}
			return &ConstExpr{Value: v, typ: to}, nil
		}
		return &CastExpr{X: &ConstExpr{Value: x.Value, typ: sqltype.TText}, Mode: mode, to: to}, nil
	}
	return &CastExpr{X: e, Mode: mode, to: to}, nil
}

// clockText tells texts whose meaning depends on the time of the execution,
// such as 'now'; a cached plan must not freeze them.
func clockText(s string) bool {
	s = strings.ToLower(s)
	for _, w := range []string{"now", "today", "tomorrow", "yesterday"} {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// Cast converts x to a type, or says why it cannot: TYPE_MISMATCH.
func Cast(x Expr, to sqltype.Type, mode CastMode) (Expr, error) {
	from := x.Type()
	if from.Kind == sqltype.Unknown {
		return convertUnknown(x, to, mode)
	}
	if from == to {
		return x, nil
	}
	at := builtin.Explicit
	switch mode {
	case CastImplicit:
		at = builtin.Implicit
	case CastAssign:
		at = builtin.Assignment
	}
	if _, ok := builtin.FindCast(from, to, at); !ok {
		if mode == CastAssign {
			return nil, dberr.Newf(dberr.TypeMismatch, "expression is of type %s but the column is of type %s", from.PostgresName(), to.PostgresName()).
				WithHint("You will need to rewrite or cast the expression.")
		}
		return nil, dberr.Newf(dberr.TypeMismatch, "cannot cast type %s to %s", from.PostgresName(), to.PostgresName()).WithState("42846")
	}
	if from.Kind == to.Kind && from.Elem == to.Elem && to.Precision == 0 {
		// Dropping a modifier changes no value.
		if mode == CastImplicit || from.Precision == 0 {
			return x, nil
		}
	}
	if c, ok := x.(*CastExpr); ok && mode == CastImplicit && c.to == to {
		return x, nil
	}
	return &CastExpr{X: x, Mode: mode, to: to}, nil
}

// Resolve gives an expression that stayed Unknown the type TEXT, as a select
// list does.
func Resolve(e Expr) Expr {
	if e.Type().Kind != sqltype.Unknown {
		return e
	}
	r, err := convertUnknown(e, sqltype.TText, CastImplicit)
	if err != nil {
		return e
	}
	return r
}
