package ast

// Query is a whole query: SELECT, VALUES, or set operations over them, with
// the clauses around it. It is a Statement, and in parentheses a QueryBody.
type Query struct {
	Pos
	// With is nil when there is no WITH clause.
	With    *With
	Body    QueryBody
	OrderBy []OrderItem
	// Limit is nil when there is none, or for LIMIT ALL and LIMIT NULL. FETCH
	// FIRST n ROWS ONLY is the same as LIMIT n.
	Limit Expr
	// WithTies is FETCH FIRST n ROWS WITH TIES.
	WithTies bool
	// Offset is nil when there is none.
	Offset Expr
}

// With is a WITH clause.
type With struct {
	Pos
	Recursive bool
	CTEs      []*CTE
}

// Materialize is what a CTE says about being computed once.
type Materialize uint8

// What a CTE says about being computed once.
const (
	MaterializeDefault Materialize = iota
	Materialized
	NotMaterialized
)

// CTE is one named query of a WITH clause. Pos is its name's place.
type CTE struct {
	Pos
	Name         string
	Columns      []Ident
	Materialized Materialize
	// Stmt is a *Query, or an *Insert, *Update or *Delete with RETURNING.
	Stmt Statement
}

// OrderDir is the direction of an ORDER BY item.
type OrderDir uint8

// The directions of an ORDER BY item; the default sorts as ASC.
const (
	OrderDefault OrderDir = iota
	Asc
	Desc
)

// NullsOrder is where an ORDER BY item puts NULLs.
type NullsOrder uint8

// Where NULLs go; by default last for ASC and first for DESC.
const (
	NullsOrderDefault NullsOrder = iota
	NullsFirst
	NullsLast
)

// OrderItem is one item of an ORDER BY.
type OrderItem struct {
	Pos
	X     Expr
	Dir   OrderDir
	Nulls NullsOrder
}

// Descending tells whether the item sorts from high to low.
func (o *OrderItem) Descending() bool { return o.Dir == Desc }

// PutsNullsFirst tells where NULLs go, with the default resolved.
func (o *OrderItem) PutsNullsFirst() bool {
	if o.Nulls == NullsOrderDefault {
		return o.Dir == Desc
	}
	return o.Nulls == NullsFirst
}

// SelectItem is one item of a select list or of RETURNING.
type SelectItem struct {
	Pos
	// X may be a *Star.
	X Expr
	// Alias is empty when none was given.
	Alias string
}

// Select is SELECT … FROM … WHERE … GROUP BY … HAVING … WINDOW ….
type Select struct {
	Pos
	Distinct bool
	// DistinctOn is DISTINCT ON (…); Distinct is false then.
	DistinctOn []Expr
	// Items may be empty, as PostgreSQL allows.
	Items []SelectItem
	// From holds what the commas of FROM separate; empty without FROM.
	From  []TableExpr
	Where Expr
	// GroupDistinct is GROUP BY DISTINCT.
	GroupDistinct bool
	// GroupBy may hold *GroupingExpr, and *RowExpr for (a, b) and ().
	GroupBy []Expr
	Having  Expr
	Windows []NamedWindow
}

// Values is VALUES (…), (…). In an INSERT its values may be *DefaultExpr.
type Values struct {
	Pos
	Rows [][]Expr
}

// SetOpKind is UNION, INTERSECT or EXCEPT.
type SetOpKind uint8

// The set operations.
const (
	Union SetOpKind = iota
	Intersect
	Except
)

// SetOp combines two queries; Pos is the operator's place.
type SetOp struct {
	Pos
	Kind SetOpKind
	All  bool
	L, R QueryBody
}

// NamedWindow is one item of a WINDOW clause.
type NamedWindow struct {
	Pos
	Name string
	Spec *WindowSpec
}

// WindowSpec is what follows OVER, or AS in a WINDOW clause.
type WindowSpec struct {
	Pos
	// Ref is the name in OVER w, without parentheses; all else is empty then.
	Ref string
	// Base is the window that OVER (w …) starts from.
	Base        string
	PartitionBy []Expr
	OrderBy     []OrderItem
	// Frame is nil when it was not given.
	Frame *Frame
}

// FrameMode is what a frame counts.
type FrameMode uint8

// What a frame counts.
const (
	FrameRange FrameMode = iota
	FrameRows
	FrameGroups
)

// BoundKind is where a frame starts or ends.
type BoundKind uint8

// Where a frame starts or ends.
const (
	UnboundedPreceding BoundKind = iota
	OffsetPreceding
	CurrentRow
	OffsetFollowing
	UnboundedFollowing
)

// FrameBound is one end of a frame. Offset is set for the Offset… kinds.
type FrameBound struct {
	Kind   BoundKind
	Offset Expr
}

// FrameExclude is the EXCLUDE option of a frame.
type FrameExclude uint8

// What a frame leaves out.
const (
	ExcludeNoOthers FrameExclude = iota
	ExcludeCurrentRow
	ExcludeGroup
	ExcludeTies
)

// Frame is a window's frame. Without BETWEEN its End is the current row.
type Frame struct {
	Pos
	Mode       FrameMode
	Start, End FrameBound
	Exclude    FrameExclude
}

// Alias is a table alias, perhaps with column aliases. The zero value means
// that there is none.
type Alias struct {
	Name    string
	Columns []Ident
}

// TableRef is a table, view or CTE in FROM.
type TableRef struct {
	Pos
	Name  TableName
	Alias Alias
}

// SubqueryTable is a query in FROM.
type SubqueryTable struct {
	Pos
	Lateral bool
	Query   *Query
	Alias   Alias
}

// FuncTable is a table function in FROM, or several with ROWS FROM (…).
type FuncTable struct {
	Pos
	Lateral bool
	// Funcs holds one call unless ROWS FROM was written.
	Funcs []*FuncCall
	// Ordinality is WITH ORDINALITY.
	Ordinality bool
	// Alias may lack the name when Types are given.
	Alias Alias
	// Types are those of the alias's columns, when a column definition list
	// was written; else none.
	Types []TypeName
}

// JoinKind is the kind of a join.
type JoinKind uint8

// The kinds of joins.
const (
	InnerJoin JoinKind = iota
	LeftJoin
	RightJoin
	FullJoin
	CrossJoin
)

// Join is a join of two tables; Pos is the place of its first keyword. A join
// that is not CROSS has exactly one of Natural, On and Using.
type Join struct {
	Pos
	Kind    JoinKind
	Natural bool
	L, R    TableExpr
	On      Expr
	Using   []Ident
	// UsingAlias is the alias in USING (…) AS a.
	UsingAlias string
}

// AliasedJoin is a join in parentheses with an alias.
type AliasedJoin struct {
	Pos
	Join  *Join
	Alias Alias
}

func (*Query) node()         {}
func (*With) node()          {}
func (*CTE) node()           {}
func (*OrderItem) node()     {}
func (*SelectItem) node()    {}
func (*Select) node()        {}
func (*Values) node()        {}
func (*SetOp) node()         {}
func (*NamedWindow) node()   {}
func (*WindowSpec) node()    {}
func (*Frame) node()         {}
func (*TableRef) node()      {}
func (*SubqueryTable) node() {}
func (*FuncTable) node()     {}
func (*Join) node()          {}
func (*AliasedJoin) node()   {}
func (*Ident) node()         {}
func (*TableName) node()     {}
func (*TypeName) node()      {}
func (*Option) node()        {}

func (*Query) statement() {}

func (*Query) queryBody()  {}
func (*Select) queryBody() {}
func (*Values) queryBody() {}
func (*SetOp) queryBody()  {}

func (*TableRef) tableExpr()      {}
func (*SubqueryTable) tableExpr() {}
func (*FuncTable) tableExpr()     {}
func (*Join) tableExpr()          {}
func (*AliasedJoin) tableExpr()   {}
