package exec

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Snapshot is one consistent state of all tables as one caller may see it:
// of a USER or STREAM table it shows the caller's partition and no other.
// A statement reads from one Snapshot from its beginning to its end.
//
// A Snapshot may be used from several goroutines.
type Snapshot interface {
	// Table opens a table that the binder found in the catalog. Opening is
	// cheap and needs no closing.
	Table(ctx context.Context, t *ddl.Table) (Table, error)
}

// Table is one partition of a table at a Snapshot. It may be used from
// several goroutines.
type Table interface {
	// Scan reads rows. It is the one way from the storage into a query: it
	// merges the newest versions of rows from wherever they lie, leaves
	// deleted ones out unless the request includes them, and touches only
	// what the request names.
	Scan(ctx context.Context, req ScanRequest) (Scanner, error)
	// Get reads the row whose primary key is key (in key order, of the
	// columns' own types) into dst, which has a place for each of the scan
	// ordinals cols. Strings in dst stay valid as long as the Snapshot.
	// found is false for a deleted row, unless deleted is set.
	Get(ctx context.Context, key sqltype.Row, cols []int, deleted bool, dst sqltype.Row) (found bool, err error)
	// Rows is about how many rows a full scan gives; the planner asks.
	Rows() int64
}

// Partitioned is a Table whose rows several goroutines can read at the same
// time.
type Partitioned interface {
	Table
	// ScanParts opens at most n scans that together give every row that Scan
	// would give, each in one of them. Each is read by one goroutine and
	// closed by its reader, also when another one fails. How many rows a part
	// has may be decided while they are read, so that fast readers take more.
	// None: there is too little to read, one goroutine is to Scan it. Ordered,
	// Reverse and Limit are not set in the request.
	ScanParts(ctx context.Context, req ScanRequest, n int) ([]Scanner, error)
}

// ScanRequest says what a scan reads. The zero request with Columns reads
// every row that is not deleted, in no particular order.
type ScanRequest struct {
	// Columns are the scan ordinals of the columns that batches hold, in
	// this order. It may be empty: then only the number of rows counts.
	Columns []int
	// Ranges limit the scan to parts of the primary key, in ascending order
	// and apart from each other; nil: everything. The scan gives exactly the
	// rows inside.
	Ranges []KeyRange
	// Bounds are conjuncts of the predicate in a form that statistics
	// understand. They are advice: the scan may skip rows that fail them and
	// may give rows that fail them.
	Bounds []Bound
	// IncludeDeleted gives soft-deleted rows, too.
	IncludeDeleted bool
	// Ordered asks for rows in the order of the primary key (of the row id
	// in a table without one); Reverse for the opposite order.
	Ordered, Reverse bool
	// Limit is how many rows the reader will take at most; 0: all. Advice.
	Limit int64
	// Newest says that the reader looks for rows with the greatest numbers
	// (_seq): they do well to come first, and those that it says are too old
	// need not come. Nil: it does not. Advice.
	Newest *Newest
}

// Newest is what the reader of a scan has found so far of the newest rows.
type Newest struct{ above atomic.Int64 }

// Above is the number up to which rows are of no use any more.
func (n *Newest) Above() change.Seq { return change.Seq(n.above.Load()) }

// Raise says that rows up to a number are of no use any more.
func (n *Newest) Raise(to change.Seq) {
	if int64(to) > n.above.Load() {
		n.above.Store(int64(to))
	}
}

// KeyRange is the rows whose key begins with Prefix (values of the first key
// columns) and whose next key column lies between Low and High, where those
// are given.
type KeyRange struct {
	Prefix sqltype.Row
	// Low and High bound the key column behind the prefix; a NULL value
	// means no bound on that side.
	Low, High         sqltype.Value
	LowOpen, HighOpen bool
}

// Bound is the conjunct "column op value" with op one of = < <= > >=.
type Bound struct {
	Column int
	Op     BoundOp
	Value  sqltype.Value
}

// BoundOp is a comparison.
type BoundOp uint8

// The comparisons.
const (
	BoundEq BoundOp = iota
	BoundLt
	BoundLe
	BoundGt
	BoundGe
)

// Scanner gives a scan's batches.
type Scanner interface {
	// Next gives the next batch, which has at least one row, or nil at the
	// end. The batch is valid until the next call. After an error, or the
	// end, Next gives the same again.
	Next(ctx context.Context) (*vector.Batch, error)
	// Close frees what the scan holds; it may be called twice, and at any
	// time.
	Close()
}

// WriteSet is everything that one statement changes. It commits wholly or
// not at all. It holds values, not expressions, so that committing it again
// elsewhere gives the same rows.
type WriteSet struct {
	Table  *ddl.Table
	Writes []Write
	// Time is that of the commit, which sets it.
	Time time.Time
}

// Write is one row's change. Rows hold the declared columns in declared
// order, complete and converted to the columns' types.
type Write struct {
	Op change.Op
	// New is the row after an Insert or Update.
	New sqltype.Row
	// Old is the row as the statement read it; for Update and Delete.
	Old sqltype.Row
	// OldSeq is the sequence number of the version that was read. When the
	// row has another one by the time of the commit, the statement is run
	// again on a new snapshot.
	OldSeq change.Seq
	// OldTime is when the version that was read was committed, for
	// subscribers; zero in a table that keeps no such time.
	OldTime time.Time
	// RowID is the row's hidden id, in a table without a primary key; 0 for
	// an Insert.
	RowID int64
	// NewSeq is the number of the new version. The commit sets it.
	NewSeq change.Seq
	// Upsert marks an Insert of ON CONFLICT: a key that exists by the time
	// of the commit is no error, but a reason to run the statement again.
	Upsert bool
}
