package plan

import (
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/expr"
)

// Node is a relation: a bag of rows, some in an order.
type Node interface {
	// Columns are the identities of the columns of the node's rows.
	Columns() []int
	// Inputs are the nodes that this one reads.
	Inputs() []Node
	// WithInputs is a copy over other inputs.
	WithInputs(in []Node) Node
}

// Scan reads a table.
type Scan struct {
	Table *ddl.Table
	// Alias is the name that the statement gives the table.
	Alias string
	// Ordinals are the scan ordinals that are read, Cols their identities.
	Ordinals []int
	Cols     []int
	// IncludeDeleted gives rows that were deleted, too.
	IncludeDeleted bool
	// Filter is what the rows satisfy; nil: nothing.
	Filter []expr.Expr
	// Ranges limit the scan to parts of the primary key; nil: everything.
	Ranges []KeyRange
	// Bounds are conjuncts that the storage may use to skip rows.
	Bounds []Bound
	// Ordered and Reverse ask for the order of the primary key.
	Ordered, Reverse bool
	// Limit, when there is one, is how many rows the reader takes at most.
	Limit expr.Expr
	// Point says that Ranges are complete keys, each one row at most.
	Point bool
}

// KeyRange is a range of the primary key whose ends are expressions without
// columns: a prefix of equalities, then an interval of the next column.
type KeyRange struct {
	Prefix            []expr.Expr
	Low, High         expr.Expr
	LowOpen, HighOpen bool
}

// Bound is the conjunct "ordinal op value", where value has no columns.
type Bound struct {
	Ordinal int
	// Op is one of = < <= > >=.
	Op    ast.Op
	Value expr.Expr
}

// Values gives rows of expressions.
type Values struct {
	Cols []int
	Rows [][]expr.Expr
}

// Changed gives the rows that the statement has changed, in the order in which
// it did, as far as Write or Conflict say.
type Changed struct {
	Cols []int
	// Row is a column that counts the rows from 0; -1: none.
	Row int
	// Step, from 1, is the earlier change whose result these are; 0: they are
	// what Write or Conflict say.
	Step int
}

// Filter keeps the rows for which every predicate is true.
type Filter struct {
	In    Node
	Preds []expr.Expr
}

// Project computes columns; a column that is passed on unchanged keeps its
// identity.
type Project struct {
	In    Node
	Exprs []expr.Expr
	Cols  []int
}

// Aggregate groups rows.
type Aggregate struct {
	In Node
	// Groups are columns of In.
	Groups []int
	// Sets, when not nil, are the grouping sets as indexes into Groups.
	Sets [][]int
	// SetCols are, with Sets, the identities that the groups have in the
	// output, where a column that is not in the row's set is NULL. Without
	// Sets a group column keeps its identity.
	SetCols []int
	// SetID, with Sets, is a column with the number of the row's set.
	SetID int
	Aggs  []Agg
}

// Agg is one aggregate of an Aggregate. What it reads are columns of In.
type Agg struct {
	Fn       *builtin.Function
	Spec     builtin.AggSpec
	Args     []int
	Distinct bool
	// Filter is a BOOLEAN column; -1: every row counts.
	Filter int
	// OrderBy is the order in which the rows come to the aggregate.
	OrderBy []SortKey
	Col     int
	// Text describes the call in an explained plan.
	Text string
}

// Distinct keeps one row of those that are equal in the On columns: the first
// that comes.
type Distinct struct {
	In Node
	On []int
}

// SortKey is one key of an order.
type SortKey struct {
	Col        int
	Desc       bool
	NullsFirst bool
}

// Sort orders rows. With a Limit it keeps only the first Limit + Offset rows,
// and leaves skipping the Offset to the Limit node above.
type Sort struct {
	In            Node
	Keys          []SortKey
	Limit, Offset expr.Expr
}

// Limit skips Offset rows and gives Limit of the rest; nil means 0 and all.
// NULL values mean the same.
type Limit struct {
	In            Node
	Limit, Offset expr.Expr
	// Ties gives the rows after the last that are equal to it in these keys,
	// too.
	Ties []SortKey
}

// JoinKind is the kind of a join.
type JoinKind uint8

// The kinds of joins.
const (
	Inner JoinKind = iota
	Left
	Right
	Full
	// Mark gives each left row once, with a column that says whether any right
	// row matches.
	Mark
	// Single is Left, with an error when a left row has two matches.
	Single
)

// String is the kind's name in an explained plan.
func (k JoinKind) String() string {
	return [...]string{"Inner", "Left", "Right", "Full", "Mark", "Single"}[k]
}

// Join combines the rows of two inputs.
type Join struct {
	Kind JoinKind
	L, R Node
	On   []expr.Expr
	// Test, in a Mark join, is the condition whose result is the mark, over
	// the pairs for which On is true: true if it is for one, else NULL if it
	// is for one, else false. Without it the mark tells whether On is true
	// for any.
	Test []expr.Expr
	// MarkCol is the column of a Mark join.
	MarkCol int
	// When, when not nil, is a condition over the left columns. A row for
	// which it is not true asks for no match: it finds none, the condition is
	// not computed for it, and if no row asks, the right side may fail. Only
	// Left, Single and Mark joins have it; the mark of such a row is any value.
	When expr.Expr
	// Else, when not nil, is the right side for one left row, whose columns it
	// reads, without need of On. If R fails because of a value, which may stand
	// in a row that no left row asks for, Else is evaluated for each that does.
	Else Node
	// Sized says that the right side is known to be the smaller one.
	Sized bool
	// Gate says that the right side is one row, or none when a condition on
	// all of the left side is not true: it is computed first, and no other
	// join takes it into its order.
	Gate bool
	// Keep, when not nil, are the columns of the rows: those that somebody
	// reads. A Mark join keeps all.
	Keep []int
}

// ApplyKind says what an Apply makes of the right rows.
type ApplyKind uint8

// The kinds of Apply.
const (
	// ApplyCross and ApplyLeft are LATERAL joins.
	ApplyCross ApplyKind = iota
	ApplyLeft
	// ApplySingle is ApplyLeft that fails on a second row.
	ApplySingle
	// ApplyScalar adds the right side's only column of its only row, NULL
	// without a row, and fails on a second one.
	ApplyScalar
	// ApplyExists adds a column that tells whether there is a right row.
	ApplyExists
	// ApplyMark is Join's Mark with On.
	ApplyMark
	// ApplyArray adds an array of the right side's only column.
	ApplyArray
)

// String is the kind's name in an explained plan.
func (k ApplyKind) String() string {
	return [...]string{"Cross", "Left", "Single", "Scalar", "Exists", "Mark", "Array"}[k]
}

// Apply evaluates R anew for each row of L, whose columns R may name.
type Apply struct {
	Kind ApplyKind
	L, R Node
	// On is the condition of ApplyMark and ApplyLeft.
	On []expr.Expr
	// Col is the column that is added, for the kinds that add one.
	Col int
	// When, when not nil, is a condition over the left columns, for the kinds
	// that stand for a subquery in an expression: what is around it asks for
	// the subquery's value only where the condition is true. For the other
	// rows nothing is computed, and what is added is any value.
	When expr.Expr
}

// SetOpKind is the kind of a set operation.
type SetOpKind uint8

// The set operations.
const (
	Union SetOpKind = iota
	Intersect
	Except
)

// String is the operation's name in an explained plan.
func (k SetOpKind) String() string { return [...]string{"Union", "Intersect", "Except"}[k] }

// SetOp combines rows of two inputs with columns of the same types, position
// by position.
type SetOp struct {
	Kind SetOpKind
	All  bool
	L, R Node
	Cols []int
}

// Window adds window functions that share a partition and an order.
type Window struct {
	In        Node
	Partition []int
	Order     []SortKey
	Funcs     []WindowFunc
}

// WindowFunc is one function of a Window node. What it reads are columns of
// In.
type WindowFunc struct {
	Fn   *builtin.Function
	Spec builtin.AggSpec
	Args []int
	// Filter is a BOOLEAN column; -1: every row counts.
	Filter      int
	IgnoreNulls bool
	Frame       Frame
	Col         int
	Text        string
}

// Frame is a window frame with its defaults resolved.
type Frame struct {
	Mode       ast.FrameMode
	Start, End FrameBound
	Exclude    ast.FrameExclude
}

// FrameBound is one end of a frame. Offset has no columns.
type FrameBound struct {
	Kind   ast.BoundKind
	Offset expr.Expr
}

// TableFunc gives the rows of table functions, side by side.
type TableFunc struct {
	Funcs []TableFuncCall
	// Ordinality is a column that counts the rows from 1; -1: none.
	Ordinality int
}

// TableFuncCall is one function of a TableFunc. Its arguments have no columns
// but those of an outer query.
type TableFuncCall struct {
	Fn   *builtin.Function
	Args []expr.Expr
	Cols []int
}

// CTE is a query that is computed once and read by CTERefs.
type CTE struct {
	Name string
	In   Node
	// Cols are the columns of In that make the CTE's, in order.
	Cols []int
	// Materialized says that the statement asks for the CTE to be computed
	// once, Refs how often it is read outside of its own step.
	Materialized bool
	Refs         int
	// Step is the recursive part; it reads the rows of the last round through
	// a CTERef with Working set. nil: not recursive.
	Step Node
	// StepCols are the columns of Step that make the CTE's.
	StepCols []int
	// Distinct drops rows that came before, as UNION without ALL does.
	Distinct bool
}

// With computes CTEs on demand for Body.
type With struct {
	CTEs []*CTE
	Body Node
}

// CTERef reads a CTE's rows under identities of its own.
type CTERef struct {
	CTE     *CTE
	Cols    []int
	Working bool
}
