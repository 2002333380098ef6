package exec

import (
	"context"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Env is what one execution of a statement reads its world from. The caller
// makes one for each execution and does not change it meanwhile.
type Env struct {
	// Snapshot is the state that the statement reads.
	Snapshot Snapshot
	// Now is the statement's time: what NOW() gives wherever it stands.
	// The zero time means the time at which the execution starts.
	Now time.Time
	// User and Role are the caller, Namespace the current namespace.
	User      ident.UserID
	Role      ident.Role
	Namespace ident.NamespaceID
	// IDs makes the values of SNOWFLAKE_ID() and its like; nil: a generator of
	// the process for node 0.
	IDs builtin.IDSource
	// Version is what VERSION() gives.
	Version string
	// MemoryLimit is how many bytes the execution may hold at a time in hash
	// tables, sorts and materialised results; past it comes
	// RESOURCE_EXHAUSTED. 0: DefaultMemoryLimit.
	MemoryLimit int64
	// Memory is what the execution shares with all others; nil: it shares
	// nothing.
	Memory *MemoryPool
	// Parallelism is how many goroutines a query may use at most; 0 and 1:
	// the caller's own only.
	Parallelism int
	// Pauser is asked between batches, where the query holds nothing that others
	// wait for, and may let others compute first; nil: nobody is.
	Pauser Pauser
	// BatchSize is how many rows a batch that operators make has at most;
	// 0: vector.BatchSize. Tests vary it.
	BatchSize int
}

// Pauser has statements take turns with the processor. Several goroutines of a
// query may ask at a time.
type Pauser interface {
	// Pause returns when it is the query's turn, or why the query must end.
	Pause(ctx context.Context) error
}

// pause lets others compute if it is their turn, and tells why the query must
// end if it must.
func (e *Env) pause(ctx context.Context) error {
	if e.Pauser != nil {
		if err := e.Pauser.Pause(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// DefaultMemoryLimit is the memory of a query whose Env sets no limit.
const DefaultMemoryLimit = 256 << 20

// Rows gives a query's result. One goroutine uses it.
type Rows interface {
	// Next gives the next batch, which has at least one row, or nil at the
	// end. The batch is valid until the next call of Next or
	// Close. After an error, or the
	// end, Next gives the same again.
	Next(ctx context.Context) (*vector.Batch, error)
	// Close frees what the query holds; it may be called twice, and at any
	// time.
	Close()
}
