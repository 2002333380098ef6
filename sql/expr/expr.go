package expr

import (
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
)

// Context is what an evaluation depends on beside its rows: parameters, the
// statement's time, the user.
type Context = builtin.Context

// Expr is a typed expression. The set of implementations is closed: the types
// of this package.
type Expr interface {
	// Type is the expression's type; Unknown for a text literal, NULL or a
	// parameter that has not met a typed neighbour yet (see Resolve).
	Type() sqltype.Type
	// Children are the direct operands, in the order of evaluation.
	Children() []Expr
	// with is the same node over other children.
	with(children []Expr) Expr
}

// ColumnExpr is a column of the input, by its ordinal in the batch.
type ColumnExpr struct {
	Ordinal int
	// Name is for people only.
	Name string
	typ  sqltype.Type
}

// ConstExpr is a constant.
type ConstExpr struct {
	Value sqltype.Value
	typ   sqltype.Type
}

// ParamExpr is the parameter $Index (counted from 1).
type ParamExpr struct {
	Index int
	typ   sqltype.Type
	set   *Params
}

// CallExpr is a call of a scalar function or operator. Its arguments have the
// types of the signature.
type CallExpr struct {
	Fn   *builtin.Function
	Args []Expr
	typ  sqltype.Type
}

// CompareExpr is one of = <> < <= > >= over two operands of one
// representation, or IS [NOT] DISTINCT FROM.
type CompareExpr struct {
	Op   ast.Op // OpEq … OpGe
	L, R Expr
	// Distinct says that NULL compares as a value: IS DISTINCT FROM has OpNe,
	// IS NOT DISTINCT FROM has OpEq.
	Distinct bool
}

// CastExpr converts X to a type.
type CastExpr struct {
	X    Expr
	Mode CastMode
	to   sqltype.Type
}

// CastMode says what asked for a conversion, which decides what is allowed and
// what happens to text that is too long.
type CastMode uint8

// The modes.
const (
	// CastImplicit is a conversion that PostgreSQL makes anywhere.
	CastImplicit CastMode = iota
	// CastAssign is the conversion to a column's type in INSERT and UPDATE:
	// text longer than VARCHAR(n) is an error.
	CastAssign
	// CastExplicit is CAST and ::, which cut such text.
	CastExplicit
	// CastTry is TRY_CAST: what cannot be converted is NULL.
	CastTry
)

// AndExpr is a conjunction; OrExpr a disjunction. Both have at least two
// arguments, none of which is of the same kind itself.
type AndExpr struct{ Args []Expr }

// OrExpr is a disjunction of two or more conditions.
type OrExpr struct{ Args []Expr }

// NotExpr is NOT X.
type NotExpr struct{ X Expr }

// IsExpr is X IS [NOT] NULL | TRUE | FALSE | UNKNOWN.
type IsExpr struct {
	Kind ast.IsKind
	Not  bool
	X    Expr
}

// When is one branch of a CaseExpr.
type When struct{ Cond, Result Expr }

// CaseExpr is CASE in its searched form: the result of the first branch whose
// condition is true, else Else (never nil; NULL when it was not given).
type CaseExpr struct {
	Whens []When
	Else  Expr
	typ   sqltype.Type
}

// CoalesceExpr is the first argument that is not NULL.
type CoalesceExpr struct {
	Args []Expr
	typ  sqltype.Type
}

// InExpr is X [NOT] IN (list), whose items have X's representation.
type InExpr struct {
	X    Expr
	List []Expr
	Not  bool
}

// LikeExpr is X [NOT] LIKE | ILIKE | SIMILAR TO Pattern [ESCAPE Escape].
type LikeExpr struct {
	Kind       ast.LikeKind
	Not        bool
	X, Pattern Expr
	// Escape is nil for the backslash.
	Escape Expr
}

// QuantifiedExpr is X op ANY (Array) or X op ALL (Array). Op is a comparison
// or one of the LIKE operators, of the operators of regular expressions, or ^@.
type QuantifiedExpr struct {
	Op       ast.Op
	All      bool
	X, Array Expr
}

// ArrayExpr is ARRAY[…].
type ArrayExpr struct {
	Elems []Expr
	typ   sqltype.Type
}

// RowExpr is ROW(…).
type RowExpr struct{ Items []Expr }

// Column is the input's column at the ordinal.
func Column(ordinal int, t sqltype.Type, name string) Expr {
	return &ColumnExpr{Ordinal: ordinal, Name: name, typ: t}
}

// Const is a constant. A text literal whose type its neighbours decide has
// the type Unknown and a value made by sqltype.NewText; NULL likewise.
func Const(v sqltype.Value, t sqltype.Type) Expr { return &ConstExpr{Value: v, typ: t} }

// Literal is the constant of a text literal: of Unknown type.
func Literal(s string) Expr { return Const(sqltype.NewText(s), sqltype.TUnknown) }

// Null is the constant NULL, of Unknown type.
func Null() Expr { return Const(sqltype.Null(), sqltype.TUnknown) }

// Bool is the constant TRUE or FALSE.
func Bool(b bool) Expr { return Const(sqltype.NewBool(b), sqltype.TBoolean) }

// Param is the parameter $index (counted from 1) of a known type. Use Params
// for parameters whose type the context decides. Outer columns of a
// correlated subquery bind as parameters, too, behind those of the statement.
func Param(index int, t sqltype.Type) Expr { return &ParamExpr{Index: index, typ: t} }

// MaxParams is how many parameters a statement may have.
const MaxParams = 65535

// Params collects the types of a statement's parameters while it is bound: the
// first typed neighbour decides, as in PostgreSQL.
type Params struct{ types []sqltype.Type }

// Expr is the parameter $index, of the type known so far.
func (p *Params) Expr(index int) (Expr, error) {
	if index < 1 || index > MaxParams {
		return nil, dberr.Newf(dberr.InvalidSQL, "there is no parameter $%d: they count from 1 to %d", index, MaxParams).WithState("42P02")
	}
	for len(p.types) < index {
		p.types = append(p.types, sqltype.TUnknown)
	}
	return &ParamExpr{Index: index, typ: p.types[index-1], set: p}, nil
}

// Types lists the types by index-1, as far as the statement names parameters.
// One that met no typed neighbour is Unknown, and keeps the type that its
// value comes with.
func (p *Params) Types() []sqltype.Type { return p.types }

// Type is the column's type.
func (e *ColumnExpr) Type() sqltype.Type { return e.typ }

// Type is the constant's type.
func (e *ConstExpr) Type() sqltype.Type { return e.typ }

// Type is the parameter's type.
func (e *ParamExpr) Type() sqltype.Type { return e.typ }

// Type is the call's type.
func (e *CallExpr) Type() sqltype.Type { return e.typ }

// Type is BOOLEAN.
func (e *CompareExpr) Type() sqltype.Type { return sqltype.TBoolean }

// Type is the target type.
func (e *CastExpr) Type() sqltype.Type { return e.to }

// Type is BOOLEAN.
func (e *AndExpr) Type() sqltype.Type { return sqltype.TBoolean }

// Type is BOOLEAN.
func (e *OrExpr) Type() sqltype.Type { return sqltype.TBoolean }

// Type is BOOLEAN.
func (e *NotExpr) Type() sqltype.Type { return sqltype.TBoolean }

// Type is BOOLEAN.
func (e *IsExpr) Type() sqltype.Type { return sqltype.TBoolean }

// Type is the branches' common type.
func (e *CaseExpr) Type() sqltype.Type { return e.typ }

// Type is the arguments' common type.
func (e *CoalesceExpr) Type() sqltype.Type { return e.typ }

// Type is BOOLEAN.
func (e *InExpr) Type() sqltype.Type { return sqltype.TBoolean }

// Type is BOOLEAN.
func (e *LikeExpr) Type() sqltype.Type { return sqltype.TBoolean }

// Type is BOOLEAN.
func (e *QuantifiedExpr) Type() sqltype.Type { return sqltype.TBoolean }

// Type is an array type.
func (e *ArrayExpr) Type() sqltype.Type { return e.typ }

// Type is RECORD.
func (e *RowExpr) Type() sqltype.Type { return sqltype.TRecord }
