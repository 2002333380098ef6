package ast

// NullLit is NULL.
type NullLit struct{ Pos }

// BoolLit is TRUE or FALSE.
type BoolLit struct {
	Pos
	Value bool
}

// IntLit is a whole number that fits an int64. A sign is a UnaryExpr around
// it.
type IntLit struct {
	Pos
	Value int64
}

// DecimalLit is a number with a point or an exponent, or a whole number that
// does not fit an int64 (as in -9223372036854775808, whose sign is a UnaryExpr
// around it). Text has no underscores and is decimal.
type DecimalLit struct {
	Pos
	Text string
}

// StringLit is a text constant, with its quotes and escapes removed.
type StringLit struct {
	Pos
	Value string
}

// BytesLit is X'…': the bytes.
type BytesLit struct {
	Pos
	Value string
}

// BitLit is B'…': the digits 0 and 1.
type BitLit struct {
	Pos
	Bits string
}

// TypedLit is a type name before a text constant: DATE '2025-10-21',
// INTERVAL '5' DAY (Type.Fields is then "day"), JSON '{}'.
type TypedLit struct {
	Pos
	Type  TypeName
	Value string
}

// Param is $1 and its like; Index counts from 1.
type Param struct {
	Pos
	Index int
}

// DefaultExpr is the keyword DEFAULT in place of a value, in INSERT … VALUES
// and UPDATE … SET only.
type DefaultExpr struct{ Pos }

// ColumnRef names a column, perhaps qualified: c, t.c, ns.t.c, ns.user.t.c.
// Whether t in t.c is a table or a value with fields is for the binder.
type ColumnRef struct {
	Pos
	Namespace     string
	UserQualified bool
	Table         string
	Name          string
}

// Star is * or t.* in a select list or RETURNING.
type Star struct {
	Pos
	Namespace     string
	UserQualified bool
	Table         string
}

// FieldExpr is (x).name.
type FieldExpr struct {
	Pos
	X    Expr
	Name string
}

// UnaryExpr is a prefix operator before X. NOT is a NotExpr.
type UnaryExpr struct {
	Pos
	Op Op
	X  Expr
}

// BinaryExpr is an infix operator; Pos is the operator's place. AND, OR, LIKE
// and the like have nodes of their own.
type BinaryExpr struct {
	Pos
	Op   Op
	L, R Expr
}

// NotExpr is NOT X.
type NotExpr struct {
	Pos
	X Expr
}

// AndExpr is a chain of two or more conditions joined by AND.
type AndExpr struct {
	Pos
	Args []Expr
}

// OrExpr is a chain of two or more conditions joined by OR.
type OrExpr struct {
	Pos
	Args []Expr
}

// LikeKind tells the pattern languages apart.
type LikeKind uint8

// The pattern languages.
const (
	Like LikeKind = iota
	ILike
	SimilarTo
)

// LikeExpr is X [NOT] LIKE | ILIKE | SIMILAR TO Pattern [ESCAPE Escape].
type LikeExpr struct {
	Pos
	Kind    LikeKind
	Not     bool
	X       Expr
	Pattern Expr
	// Escape is nil when it was not given.
	Escape Expr
}

// BetweenExpr is X [NOT] BETWEEN [SYMMETRIC] Lo AND Hi.
type BetweenExpr struct {
	Pos
	Not       bool
	Symmetric bool
	X, Lo, Hi Expr
}

// InExpr is X [NOT] IN (…): either a list or a query.
type InExpr struct {
	Pos
	Not bool
	X   Expr
	// List is nil when Query is set.
	List  []Expr
	Query *Query
}

// QuantifiedExpr is X op ANY (…) or X op ALL (…), over an array or a query.
// Op may also be OpLike, OpNotLike, OpILike and OpNotILike, a comparison with a
// regular expression or ^@.
type QuantifiedExpr struct {
	Pos
	Op  Op
	All bool
	X   Expr
	// Array is nil when Query is set.
	Array Expr
	Query *Query
}

// IsKind is what an IsExpr tests for.
type IsKind uint8

// What an IsExpr tests for.
const (
	IsNull IsKind = iota
	IsTrue
	IsFalse
	IsUnknown
)

// IsExpr is X IS [NOT] NULL | TRUE | FALSE | UNKNOWN.
type IsExpr struct {
	Pos
	Kind IsKind
	Not  bool
	X    Expr
}

// DistinctExpr is L IS [NOT] DISTINCT FROM R.
type DistinctExpr struct {
	Pos
	Not  bool
	L, R Expr
}

// ExistsExpr is EXISTS (query).
type ExistsExpr struct {
	Pos
	Query *Query
}

// SubqueryExpr is a query in parentheses used as a value: one row, one column
// (or one row compared with a RowExpr).
type SubqueryExpr struct {
	Pos
	Query *Query
}

// ArraySubqueryExpr is ARRAY(query).
type ArraySubqueryExpr struct {
	Pos
	Query *Query
}

// ArrayExpr is ARRAY[…]; an inner […] is an ArrayExpr too.
type ArrayExpr struct {
	Pos
	Elems []Expr
}

// RowExpr is ROW(…) or (a, b). In GROUP BY, an empty one is ().
type RowExpr struct {
	Pos
	Items []Expr
}

// IndexExpr is X[Index].
type IndexExpr struct {
	Pos
	X, Index Expr
}

// SliceExpr is X[Lo:Hi]; a bound left out is nil.
type SliceExpr struct {
	Pos
	X, Lo, Hi Expr
}

// When is one branch of a CaseExpr.
type When struct {
	Cond, Result Expr
}

// CaseExpr is CASE [Operand] WHEN … THEN … [ELSE …] END.
type CaseExpr struct {
	Pos
	// Operand is nil in the searched form, where each Cond is a condition.
	Operand Expr
	Whens   []When
	// Else is nil when it was not given.
	Else Expr
}

// CastExpr is CAST(X AS Type), X::Type or TRY_CAST(X AS Type).
type CastExpr struct {
	Pos
	Try  bool
	X    Expr
	Type TypeName
}

// CollateExpr is X COLLATE "name".
type CollateExpr struct {
	Pos
	X         Expr
	Collation string
}

// AtTimeZoneExpr is X AT TIME ZONE Zone.
type AtTimeZoneExpr struct {
	Pos
	X, Zone Expr
}

// NamedArg is an argument given by name: f(name => X). It occurs in
// FuncCall.Args only.
type NamedArg struct {
	Pos
	Name string
	X    Expr
}

// FuncCall is a call of a function, aggregate or window function.
//
// The special syntaxes of SQL become calls with PostgreSQL's internal names
// and argument order:
//
//	EXTRACT(year FROM x)               extract('year', x)
//	POSITION(a IN b)                   position(b, a)
//	SUBSTRING(x FROM a FOR b)          substring(x, a, b)
//	SUBSTRING(x FOR b)                 substring(x, 1, b)
//	SUBSTRING(x SIMILAR p ESCAPE e)    substring(x, p, e)
//	OVERLAY(x PLACING y FROM a FOR b)  overlay(x, y, a, b)
//	TRIM([BOTH] [c FROM] x)            btrim(x[, c]); LEADING ltrim, TRAILING rtrim
//	(a, b) OVERLAPS (c, d)             overlaps(a, b, c, d)
//	CURRENT_DATE, CURRENT_TIMESTAMP(3), CURRENT_USER, USER, …
//	                                   calls of that name (USER is current_user)
type FuncCall struct {
	Pos
	// Schema is a qualifier such as pg_catalog; mostly empty.
	Schema string
	// Name is in lower case unless it was quoted.
	Name string
	// Star is count(*): no Args then.
	Star     bool
	Distinct bool
	// Variadic says that the last argument was marked VARIADIC.
	Variadic bool
	Args     []Expr
	// OrderBy is the ORDER BY inside the parentheses.
	OrderBy []OrderItem
	// WithinGroup is WITHIN GROUP (ORDER BY …).
	WithinGroup []OrderItem
	// Filter is FILTER (WHERE …); nil when it was not given.
	Filter Expr
	// Nulls is IGNORE NULLS or RESPECT NULLS.
	Nulls NullTreatment
	// Over is set for a window call.
	Over *WindowSpec
}

// NullTreatment is how a window function takes NULLs.
type NullTreatment uint8

// How a window function takes NULLs.
const (
	NullsDefault NullTreatment = iota
	RespectNulls
	IgnoreNulls
)

// GroupingKind tells the grouping constructs apart.
type GroupingKind uint8

// The grouping constructs.
const (
	GroupingSets GroupingKind = iota
	Rollup
	Cube
)

// GroupingExpr is GROUPING SETS (…), ROLLUP (…) or CUBE (…). It occurs in
// Select.GroupBy, and in the Items of GROUPING SETS. An item that is a RowExpr
// is a set of several columns; an empty RowExpr is the grand total.
type GroupingExpr struct {
	Pos
	Kind  GroupingKind
	Items []Expr
}

func (*NullLit) node()           {}
func (*BoolLit) node()           {}
func (*IntLit) node()            {}
func (*DecimalLit) node()        {}
func (*StringLit) node()         {}
func (*BytesLit) node()          {}
func (*BitLit) node()            {}
func (*TypedLit) node()          {}
func (*Param) node()             {}
func (*DefaultExpr) node()       {}
func (*ColumnRef) node()         {}
func (*Star) node()              {}
func (*FieldExpr) node()         {}
func (*UnaryExpr) node()         {}
func (*BinaryExpr) node()        {}
func (*NotExpr) node()           {}
func (*AndExpr) node()           {}
func (*OrExpr) node()            {}
func (*LikeExpr) node()          {}
func (*BetweenExpr) node()       {}
func (*InExpr) node()            {}
func (*QuantifiedExpr) node()    {}
func (*IsExpr) node()            {}
func (*DistinctExpr) node()      {}
func (*ExistsExpr) node()        {}
func (*SubqueryExpr) node()      {}
func (*ArraySubqueryExpr) node() {}
func (*ArrayExpr) node()         {}
func (*RowExpr) node()           {}
func (*IndexExpr) node()         {}
func (*SliceExpr) node()         {}
func (*CaseExpr) node()          {}
func (*CastExpr) node()          {}
func (*CollateExpr) node()       {}
func (*AtTimeZoneExpr) node()    {}
func (*NamedArg) node()          {}
func (*FuncCall) node()          {}
func (*GroupingExpr) node()      {}

func (*NullLit) expr()           {}
func (*BoolLit) expr()           {}
func (*IntLit) expr()            {}
func (*DecimalLit) expr()        {}
func (*StringLit) expr()         {}
func (*BytesLit) expr()          {}
func (*BitLit) expr()            {}
func (*TypedLit) expr()          {}
func (*Param) expr()             {}
func (*DefaultExpr) expr()       {}
func (*ColumnRef) expr()         {}
func (*Star) expr()              {}
func (*FieldExpr) expr()         {}
func (*UnaryExpr) expr()         {}
func (*BinaryExpr) expr()        {}
func (*NotExpr) expr()           {}
func (*AndExpr) expr()           {}
func (*OrExpr) expr()            {}
func (*LikeExpr) expr()          {}
func (*BetweenExpr) expr()       {}
func (*InExpr) expr()            {}
func (*QuantifiedExpr) expr()    {}
func (*IsExpr) expr()            {}
func (*DistinctExpr) expr()      {}
func (*ExistsExpr) expr()        {}
func (*SubqueryExpr) expr()      {}
func (*ArraySubqueryExpr) expr() {}
func (*ArrayExpr) expr()         {}
func (*RowExpr) expr()           {}
func (*IndexExpr) expr()         {}
func (*SliceExpr) expr()         {}
func (*CaseExpr) expr()          {}
func (*CastExpr) expr()          {}
func (*CollateExpr) expr()       {}
func (*AtTimeZoneExpr) expr()    {}
func (*NamedArg) expr()          {}
func (*FuncCall) expr()          {}
func (*GroupingExpr) expr()      {}
