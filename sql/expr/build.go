package expr

import (
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
)

// Binary is an infix operator, comparisons included.
func Binary(op ast.Op, l, r Expr) (Expr, error) {
	if op.IsComparison() {
		return compare(op, l, r, false)
	}
	m, err := builtin.ResolveOperator(op.String(), []sqltype.Type{l.Type(), r.Type()})
	if err != nil {
		return nil, err
	}
	return call(m, []Expr{l, r})
}

// Unary is a prefix operator.
func Unary(op ast.Op, x Expr) (Expr, error) {
	m, err := builtin.ResolveOperator(op.String(), []sqltype.Type{x.Type()})
	if err != nil {
		return nil, err
	}
	return call(m, []Expr{x})
}

// Call is a call of a scalar function by name (lower case). COALESCE and
// NULLIF, which are no functions, are known here, too.
func Call(name string, args ...Expr) (Expr, error) {
	switch name {
	case "coalesce":
		return Coalesce(args...)
	case "ifnull", "nvl":
		if len(args) == 2 {
			return Coalesce(args...)
		}
	case "nullif":
		if len(args) == 2 {
			return NullIf(args[0], args[1])
		}
	case "pg_typeof":
		if len(args) == 1 && args[0].Type().Kind == sqltype.Unknown {
			if _, literal := AsConst(args[0]); literal {
				// No other function can tell a literal that nothing gave a type.
				return Const(sqltype.NewText("unknown"), sqltype.TText), nil
			}
		}
	}
	types := make([]sqltype.Type, len(args))
	for i, a := range args {
		types[i] = a.Type()
	}
	m, err := builtin.Resolve(name, types)
	if err != nil {
		return nil, err
	}
	if m.Fn.Kind != builtin.Scalar {
		return nil, dberr.Newf(dberr.InvalidSQL, "%s function %s is not allowed here", m.Fn.Kind, name).WithState("42803")
	}
	return call(m, args)
}

// Args converts a call's arguments to the types that the resolution chose: for
// aggregates, window and table functions, whose calls the plan holds itself.
func Args(m builtin.Match, args []Expr) ([]Expr, error) {
	out := make([]Expr, len(args))
	for i, a := range args {
		to := m.Args[i]
		if a.Type().Kind == sqltype.Unknown && (to.Kind == sqltype.Text || to.Kind == sqltype.Decimal) {
			// The length of another argument's type does not cut a literal.
			to = sqltype.Type{Kind: to.Kind}
		}
		c, err := convert(a, to, CastImplicit)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

func call(m builtin.Match, args []Expr) (Expr, error) {
	conv, err := Args(m, args)
	if err != nil {
		return nil, err
	}
	return &CallExpr{Fn: m.Fn, Args: conv, typ: m.Result}, nil
}

// CallOf is a call of a function that was resolved elsewhere, over arguments
// that have the types of its signature already.
func CallOf(f *builtin.Function, args []Expr, result sqltype.Type) Expr {
	return &CallExpr{Fn: f, Args: args, typ: result}
}

// Condition checks that e can stand in WHERE, ON, HAVING or FILTER (what: the
// clause, for the message) and gives it as BOOLEAN.
func Condition(e Expr, what string) (Expr, error) {
	switch e.Type().Kind {
	case sqltype.Boolean:
		return e, nil
	case sqltype.Unknown:
		return convertUnknown(e, sqltype.TBoolean, CastImplicit)
	}
	return nil, dberr.Newf(dberr.TypeMismatch, "argument of %s must be type boolean, not type %s", what, e.Type().PostgresName())
}

// conditions is Condition for all operands of a logical operator.
func conditions(args []Expr, what string) ([]Expr, error) {
	out := make([]Expr, len(args))
	for i, a := range args {
		c, err := Condition(a, what)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

// BindAnd is AND over operands that may be of another type than BOOLEAN,
// which is an error.
func BindAnd(args ...Expr) (Expr, error) {
	c, err := conditions(args, "AND")
	if err != nil {
		return nil, err
	}
	return And(c...), nil
}

// BindOr is OR over operands that may be of another type than BOOLEAN, which
// is an error.
func BindOr(args ...Expr) (Expr, error) {
	c, err := conditions(args, "OR")
	if err != nil {
		return nil, err
	}
	return Or(c...), nil
}

// And joins conditions; nested conjunctions are flattened, and one condition
// is returned as it is. Without any it is TRUE.
func And(args ...Expr) Expr {
	var flat []Expr
	for _, a := range args {
		if n, ok := a.(*AndExpr); ok {
			flat = append(flat, n.Args...)
		} else {
			flat = append(flat, a)
		}
	}
	switch len(flat) {
	case 0:
		return Bool(true)
	case 1:
		return flat[0]
	}
	return &AndExpr{Args: flat}
}

// Or joins alternatives; nested ones are flattened, and one alternative is
// returned as it is. Without any it is FALSE.
func Or(args ...Expr) Expr {
	var flat []Expr
	for _, a := range args {
		if n, ok := a.(*OrExpr); ok {
			flat = append(flat, n.Args...)
		} else {
			flat = append(flat, a)
		}
	}
	switch len(flat) {
	case 0:
		return Bool(false)
	case 1:
		return flat[0]
	}
	return &OrExpr{Args: flat}
}

// Conjuncts takes a condition apart at its ANDs.
func Conjuncts(e Expr) []Expr {
	if a, ok := e.(*AndExpr); ok {
		return a.Args
	}
	return []Expr{e}
}

// Not is NOT x.
func Not(x Expr) (Expr, error) {
	c, err := Condition(x, "NOT")
	if err != nil {
		return nil, err
	}
	return &NotExpr{X: c}, nil
}

// Is is x IS [NOT] NULL, TRUE, FALSE or UNKNOWN.
func Is(kind ast.IsKind, not bool, x Expr) (Expr, error) {
	if kind != ast.IsNull {
		c, err := Condition(x, "IS")
		if err != nil {
			return nil, err
		}
		x = c
	}
	return &IsExpr{Kind: kind, Not: not, X: x}, nil
}

// IsNull is x IS [NOT] NULL.
func IsNull(x Expr, not bool) Expr { return &IsExpr{Kind: ast.IsNull, Not: not, X: x} }

// Distinct is l IS [NOT] DISTINCT FROM r.
func Distinct(l, r Expr, not bool) (Expr, error) {
	if not {
		return compare(ast.OpEq, l, r, true)
	}
	return compare(ast.OpNe, l, r, true)
}

func compare(op ast.Op, l, r Expr, distinct bool) (Expr, error) {
	if lr, ok := l.(*RowExpr); ok {
		if rr, ok := r.(*RowExpr); ok {
			return compareRows(op, lr, rr, distinct)
		}
	}
	if _, ok := builtin.CommonType(l.Type(), r.Type()); !ok {
		return nil, builtin.OperatorNotFound(op.String(), []sqltype.Type{l.Type(), r.Type()}, false)
	}
	sides, _, err := unify([]Expr{l, r})
	if err != nil {
		return nil, err
	}
	return &CompareExpr{Op: op, L: sides[0], R: sides[1], Distinct: distinct}, nil
}

// unify brings operands to types that compare by value: their common type,
// except that integers of different widths (whose values are held alike) stay
// as they are.
func unify(args []Expr) ([]Expr, sqltype.Type, error) {
	t, err := CommonType(args...)
	if err != nil {
		return nil, t, err
	}
	if t.Kind == sqltype.Unknown {
		t = sqltype.TText
	}
	out := make([]Expr, len(args))
	for i, a := range args {
		k := a.Type().Kind
		if k.IsInteger() && t.Kind.IsInteger() || k == t.Kind && k != sqltype.Array {
			out[i] = a
			continue
		}
		c, err := convert(a, sqltype.Type{Kind: t.Kind, Elem: t.Elem}, CastImplicit)
		if err != nil {
			return nil, t, err
		}
		out[i] = c
	}
	return out, t, nil
}

// CommonType is the type that CASE, COALESCE, IN, UNION and VALUES bring the
// expressions to; Unknown when all are Unknown.
func CommonType(args ...Expr) (sqltype.Type, error) { return commonType("", args) }

// commonType names the construct (such as "CASE ") in its error.
func commonType(what string, args []Expr) (sqltype.Type, error) {
	t := sqltype.TUnknown
	for i, a := range args {
		c, ok := builtin.CommonType(t, a.Type())
		if !ok {
			return t, dberr.Newf(dberr.TypeMismatch, "%stypes %s and %s cannot be matched", what, t.PostgresName(), a.Type().PostgresName())
		}
		if i > 0 && t.Kind == a.Type().Kind && t != a.Type() && t.Kind != sqltype.Array {
			c = sqltype.Type{Kind: t.Kind}
		}
		t = c
	}
	// A length or a scale holds for values that have it already: a literal
	// beside them is not cut.
	if t.Kind == sqltype.Text || t.Kind == sqltype.Decimal {
		for _, a := range args {
			if v, ok := AsConst(a); ok && a.Type().Kind == sqltype.Unknown && !v.IsNull() {
				return sqltype.Type{Kind: t.Kind}, nil
			}
		}
	}
	return t, nil
}

// Coerce brings an expression to a type that CommonType gave.
func Coerce(e Expr, t sqltype.Type) (Expr, error) { return convert(e, t, CastImplicit) }

// toCommon brings all to one type; all Unknown: TEXT.
func toCommon(what string, args []Expr) ([]Expr, sqltype.Type, error) {
	t, err := commonType(what, args)
	if err != nil {
		return nil, t, err
	}
	if t.Kind == sqltype.Unknown {
		t = sqltype.TText
	}
	out := make([]Expr, len(args))
	for i, a := range args {
		if out[i], err = convert(a, t, CastImplicit); err != nil {
			return nil, t, err
		}
	}
	return out, t, nil
}

// Case is CASE [operand] WHEN … THEN … [ELSE els] END; operand and els may be
// nil.
func Case(operand Expr, whens []When, els Expr) (Expr, error) {
	if els == nil {
		els = Null()
	}
	results := make([]Expr, 0, len(whens)+1)
	for _, w := range whens {
		results = append(results, w.Result)
	}
	if v, ok := operand.(*ConstExpr); ok {
		operand = Resolve(v) // a literal is text, whatever it is compared with
	}
	results, t, err := toCommon("CASE ", append(results, els))
	if err != nil {
		return nil, err
	}
	c := &CaseExpr{Else: results[len(whens)], typ: t}
	for i, w := range whens {
		cond := w.Cond
		if operand != nil {
			cond, err = compare(ast.OpEq, operand, cond, false)
		} else {
			cond, err = Condition(cond, "CASE/WHEN")
		}
		if err != nil {
			return nil, err
		}
		c.Whens = append(c.Whens, When{Cond: cond, Result: results[i]})
	}
	return c, nil
}

// Coalesce is the first argument that is not NULL.
func Coalesce(args ...Expr) (Expr, error) {
	if len(args) == 0 {
		return nil, dberr.New(dberr.InvalidSQL, "COALESCE needs an argument")
	}
	args, t, err := toCommon("COALESCE ", args)
	if err != nil {
		return nil, err
	}
	if len(args) == 1 {
		return args[0], nil
	}
	return &CoalesceExpr{Args: args, typ: t}, nil
}

// NullIf is NULL when l = r, else l, in the type in which PostgreSQL compares
// numbers of different kinds.
func NullIf(l, r Expr) (Expr, error) {
	eq, err := compare(ast.OpEq, l, r, false)
	if err != nil {
		return nil, err
	}
	if k := l.Type().Kind; k.IsInteger() || k == sqltype.Decimal {
		switch other := r.Type().Kind; {
		case other == sqltype.Float || other == sqltype.Double:
			l, err = convert(l, sqltype.TDouble, CastImplicit)
		case other == sqltype.Decimal && k != other:
			l, err = convert(l, sqltype.TDecimal, CastImplicit)
		}
		if err != nil {
			return nil, err
		}
	}
	if l.Type().Kind == sqltype.Unknown {
		if c, ok := eq.(*CompareExpr); ok {
			l = c.L
		}
	}
	l = Resolve(l)
	return &CaseExpr{
		Whens: []When{{Cond: eq, Result: Const(sqltype.NullOf(l.Type().Kind), l.Type())}},
		Else:  l, typ: l.Type(),
	}, nil
}

// In is x [NOT] IN (list).
func In(x Expr, list []Expr, not bool) (Expr, error) {
	if _, row := x.(*RowExpr); row {
		var eqs []Expr
		for _, item := range list {
			eq, err := compare(ast.OpEq, x, item, false)
			if err != nil {
				return nil, err
			}
			eqs = append(eqs, eq)
		}
		if not {
			return &NotExpr{X: Or(eqs...)}, nil
		}
		return Or(eqs...), nil
	}
	args, _, err := unify(append([]Expr{x}, list...))
	if err != nil {
		for _, item := range list {
			if _, e := compare(ast.OpEq, x, item, false); e != nil {
				return nil, e
			}
		}
		return nil, err
	}
	return &InExpr{X: args[0], List: args[1:], Not: not}, nil
}

// Between is x [NOT] BETWEEN [SYMMETRIC] lo AND hi.
func Between(x, lo, hi Expr, not, symmetric bool) (Expr, error) {
	between := func(lo, hi Expr) (Expr, error) {
		a, err := compare(ast.OpGe, x, lo, false)
		if err != nil {
			return nil, err
		}
		b, err := compare(ast.OpLe, x, hi, false)
		if err != nil {
			return nil, err
		}
		return And(a, b), nil
	}
	e, err := between(lo, hi)
	if err != nil {
		return nil, err
	}
	if symmetric {
		other, err := between(hi, lo)
		if err != nil {
			return nil, err
		}
		e = Or(e, other)
	}
	if not {
		return &NotExpr{X: e}, nil
	}
	return e, nil
}

// Like is x [NOT] LIKE, ILIKE or SIMILAR TO pattern; escape may be nil.
func Like(kind ast.LikeKind, not bool, x, pattern, escape Expr) (Expr, error) {
	name := [...]string{ast.Like: "~~", ast.ILike: "~~*", ast.SimilarTo: "similar to"}[kind]
	text := func(e Expr) (Expr, error) {
		c, err := convert(e, sqltype.TText, CastImplicit)
		if err != nil {
			return nil, builtin.OperatorNotFound(name, []sqltype.Type{x.Type(), pattern.Type()}, false)
		}
		return c, nil
	}
	e := &LikeExpr{Kind: kind, Not: not}
	var err error
	if e.X, err = text(x); err != nil {
		return nil, err
	}
	if e.Pattern, err = text(pattern); err != nil {
		return nil, err
	}
	if escape != nil {
		if e.Escape, err = text(escape); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Quantified is x op ANY (array), or x op ALL (array).
func Quantified(op ast.Op, all bool, x, array Expr) (Expr, error) {
	like := op >= ast.OpLike && op <= ast.OpNotILike || textTest(op)
	if !like && !op.IsComparison() {
		return nil, dberr.Newf(dberr.Unsupported, "operator %s cannot be used with ANY or ALL", op)
	}
	if k := array.Type().Kind; k != sqltype.Array && k != sqltype.Unknown {
		return nil, dberr.New(dberr.TypeMismatch, "op ANY/ALL (array) requires array on right side").WithState("42809")
	}
	elem := sqltype.TUnknown
	if array.Type().Kind == sqltype.Array {
		elem = array.Type().ElemType()
	}
	t, ok := builtin.CommonType(x.Type(), elem)
	if !ok {
		return nil, builtin.OperatorNotFound(op.String(), []sqltype.Type{x.Type(), elem}, false)
	}
	if like || t.Kind == sqltype.Unknown {
		t = sqltype.TText
	}
	t = sqltype.Type{Kind: t.Kind, Elem: t.Elem}
	x, err := convert(x, t, CastImplicit)
	if err != nil {
		return nil, err
	}
	if array, err = convert(array, sqltype.ArrayOf(t), CastImplicit); err != nil {
		return nil, err
	}
	return &QuantifiedExpr{Op: op, All: all, X: x, Array: array}, nil
}

// textTest tells the operators that are functions of two texts.
func textTest(op ast.Op) bool { return op >= ast.OpMatch && op <= ast.OpStartsWith }

// Array is ARRAY[…]. An empty one is an array of Unknown until a cast gives
// it a type.
func Array(elems ...Expr) (Expr, error) {
	if len(elems) == 0 {
		return Const(sqltype.NewArray(nil), sqltype.ArrayOf(sqltype.TUnknown)), nil
	}
	args, t, err := toCommon("ARRAY ", elems)
	if err != nil {
		return nil, err
	}
	if t.Kind == sqltype.Array {
		return nil, dberr.New(dberr.Unsupported, "arrays of arrays are not supported")
	}
	return &ArrayExpr{Elems: args, typ: sqltype.ArrayOf(t)}, nil
}

// RowOf is ROW(…).
func RowOf(items ...Expr) Expr {
	out := make([]Expr, len(items))
	for i, e := range items {
		out[i] = Resolve(e)
	}
	return &RowExpr{Items: out}
}

// Row is (…) as one side of a comparison or of IN: its fields keep Unknown
// types, for the other side to decide. Anywhere else use RowOf.
func Row(items ...Expr) Expr { return &RowExpr{Items: items} }

// Index is x[i]: an array's element, counted from 1, or a member of a JSON
// object or array.
func Index(x, i Expr) (Expr, error) {
	if x.Type().Kind == sqltype.JSON {
		return Binary(ast.OpJSONGet, x, i)
	}
	return Call("array_element", x, i)
}

// Slice is x[lo:hi]; a bound that was left out is nil.
func Slice(x, lo, hi Expr) (Expr, error) {
	if lo == nil {
		lo = Const(sqltype.NewInt(sqltype.Integer, 1), sqltype.TInteger)
	}
	if hi == nil {
		hi = Const(sqltype.NewInt(sqltype.Integer, 1<<31-1), sqltype.TInteger)
	}
	return Call("array_slice", x, lo, hi)
}

// AtTimeZone is x AT TIME ZONE zone.
func AtTimeZone(x, zone Expr) (Expr, error) { return Call("timezone", zone, x) }
