package builtin

import (
	"iter"
	"math/rand/v2"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Context is what an evaluation depends on beside its rows. It belongs to one
// execution of one statement and is used by one goroutine at a time; parallel
// parts of an execution each take a Clone.
type Context struct {
	// Params are the values of $1, $2, …, converted to their types already.
	Params []sqltype.Value
	// Now is the statement's time; every NOW() in it gives this.
	Now time.Time
	// User and Namespace are what CURRENT_USER() and CURRENT_SCHEMA() give.
	User      ident.UserID
	Namespace ident.NamespaceID
	// IDs makes the values of SNOWFLAKE_ID(), UUID_V7() and ULID(); nil: a
	// process-wide generator for node 0.
	IDs IDSource
	// Rand is the source of RANDOM(); nil: the process's.
	Rand *rand.Rand
	// Clock is what CLOCK_TIMESTAMP() reads; nil: time.Now.
	Clock func() time.Time
	// Version is what VERSION() gives.
	Version string
	// Interrupt is why the statement should end now, or nil. Expressions ask
	// between rows, functions that take long in between. nil: it never should.
	Interrupt func() error
}

// Clone copies the context for another goroutine of the same execution.
func (c *Context) Clone() *Context {
	d := *c
	d.Rand = nil
	return &d
}

// IDSource makes identifiers. It may be used from several goroutines.
type IDSource interface {
	SnowflakeID() int64
	UUIDv7() [16]byte
	ULID() string
}

// Volatility says what a function's result depends on.
type Volatility uint8

// The volatilities, from the tamest on.
const (
	// Immutable: on the arguments alone.
	Immutable Volatility = iota
	// Stable: on the execution too, but equal for all its rows.
	Stable
	// Volatile: may differ at every call.
	Volatile
)

// String is the word for it in SQL.
func (v Volatility) String() string { return [...]string{"immutable", "stable", "volatile"}[v] }

// Kind says how a function is called.
type Kind uint8

// The kinds.
const (
	Scalar Kind = iota
	Operator
	Aggregate
	// Window functions need OVER; aggregates may have it.
	Window
	// Table functions give rows and stand in FROM.
	Table
)

// String is the kind's word in the documentation.
func (k Kind) String() string {
	return [...]string{"scalar", "operator", "aggregate", "window", "table"}[k]
}

// Eval is a function's implementation over single values. args have the
// kinds of the signature, belong to the caller and are not kept; none is NULL
// if the function is strict. An error is coded.
type Eval func(ctx *Context, args []sqltype.Value) (sqltype.Value, error)

// Kernel is a strict function's implementation over vectors. It computes
// out's positions sel (never nil), at which every argument is valid, and
// leaves the others alone. An argument may be constant. out has the
// function's type, which is none that is held as bytes; out.Valid is the
// caller's.
type Kernel func(ctx *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error

// Function is one signature of one name. Functions are made when the program
// starts and never change.
type Function struct {
	Name string
	Kind Kind
	// Args are the declared types of the arguments. The pseudo-types
	// AnyElement, AnyArray and Any may stand among them.
	Args []sqltype.Type
	// Variadic says that the last argument may come any number of times,
	// and at least once.
	Variadic bool
	// Result is the declared type; for AnyElement and AnyArray the call's
	// arguments decide.
	Result sqltype.Type
	// Strict says that one NULL argument makes the result NULL, without a
	// call.
	Strict     bool
	Volatility Volatility
	Category   string
	// Doc is one sentence for people.
	Doc string

	// Eval is set for scalar functions and operators.
	Eval   Eval
	Kernel Kernel
	// NewState is set for aggregates.
	NewState func(spec AggSpec) AggState
	// Ordered is set for aggregates that need WITHIN GROUP (ORDER BY …):
	// their last argument is the ordered value.
	Ordered bool
	// Rows is set for table functions; Columns names what they give.
	Rows    func(ctx *Context, args []sqltype.Value) iter.Seq2[sqltype.Row, error]
	Columns []Column
	// Defined says that the statement names the columns that it wants of the
	// JSON objects in the only one of Columns: AS t (id INT, name TEXT).
	Defined bool
}

// Column is one result column of a table function.
type Column struct {
	Name string
	// Type may be AnyElement.
	Type sqltype.Type
}

// Pseudo-kinds stand in signatures only; no value has them.
const (
	// AnyElement is any type; all AnyElement arguments of one call have the
	// same one, and AnyArray arguments have it as element.
	AnyElement sqltype.Kind = 200 + iota
	// AnyArray is an array of AnyElement.
	AnyArray
	// Any is any type, different from one argument to the next.
	Any
)

// AggSpec is what an aggregate's state needs to know about the call.
type AggSpec struct {
	// Args are the types of the arguments after their conversion.
	Args []sqltype.Type
	// Result is the call's type.
	Result sqltype.Type
	// Descending is the direction of WITHIN GROUP (ORDER BY … DESC).
	Descending bool
}

// AggState holds the state of one aggregate call for all groups, in flat
// arrays indexed by group. It is used by one goroutine at a time.
//
// DISTINCT, FILTER and ORDER BY inside the call are the executor's: it passes
// only the rows that count, in the order in which they count.
type AggState interface {
	// Grow makes room for groups 0 to n-1; new ones are empty.
	Grow(n int)
	// Add takes the rows sel (nil: 0 to n-1) of the argument vectors in.
	// groups[i] is the group of the i-th of these rows; nil: group 0.
	// count(*) gets no arguments. Strings are copied where they are kept.
	Add(ctx *Context, args []*vector.Vector, sel []int32, n int, groups []int32) error
	// Merge takes over what another state of the same call has gathered:
	// its group i counts towards this state's groups[i]. The other state is
	// not used afterwards.
	Merge(other AggState, groups []int32) error
	// Result is a group's value. Asking does not change the state.
	Result(group int) (sqltype.Value, error)
	// Size is about how many bytes of memory the state takes.
	Size() int
}
