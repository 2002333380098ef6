package live

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/vector"
)

// RowSource gives rows that were read from the table. sql's result rows are
// one.
type RowSource interface {
	// Next gives the next batch, or nil at the end. The batch is valid until
	// the next call.
	Next(ctx context.Context) (*vector.Batch, error)
	// Close frees what the source holds. It is called once, and not while
	// Next runs.
	Close()
}

// Source re-reads what a subscription missed. The engine implements it. It is
// called from the goroutines of readers.
type Source interface {
	// Since reads, at a snapshot that it takes now, the rows of the user's
	// partition that changed after a sequence number, each once in its newest
	// state, deleted ones and those outside the filter included, in ascending
	// order of their sequence numbers. The rows have the plan's Columns, then
	// _seq, _updated, _deleted and a BOOLEAN that tells whether the row is in
	// the result now.
	//
	// at is the sequence number of the snapshot: it has every change up to
	// at, and at least every change that was published before the call. When
	// deletions since after are no longer kept the error is RESYNC_REQUIRED.
	Since(ctx context.Context, plan *Plan, user ident.UserID, after change.Seq) (rows RowSource, at change.Seq, err error)
}
