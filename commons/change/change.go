// Package change describes committed changes of rows: what the commit loop
// publishes and what subscribers and replicas hear.
package change

import (
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// Seq is a commit sequence number. It grows strictly within a server, also
// over restarts; every changed row has its own.
type Seq uint64

// Op is what happened to a row.
type Op uint8

// The operations.
const (
	Insert Op = iota + 1
	Update
	Delete
)

// String is the operation's name on the wire.
func (o Op) String() string {
	switch o {
	case Insert:
		return "insert"
	case Update:
		return "update"
	case Delete:
		return "delete"
	}
	return "none"
}

// Event is one committed change of one row. Events are shared by everybody
// who hears them and are never changed.
//
// Old and New hold the declared columns in the order of the table's schema at
// SchemaVersion, and nothing else: Seq, Time and Op tell the system columns.
type Event struct {
	Seq   Seq
	Time  time.Time
	Op    Op
	Table ident.TableID
	// User owns the row; empty in a SHARED table.
	User          ident.UserID
	SchemaVersion uint32
	// Old is the row before an Update or Delete. After an Insert it is nil, but
	// for a key that a deleted row had, when somebody shows such rows: then it is
	// that row.
	Old sqltype.Row
	// OldSeq is the sequence number that the row had before.
	OldSeq Seq
	// OldTime is when that version was committed; zero when it is not known.
	OldTime time.Time
	// New is the row after an Insert or Update. After a Delete it is the row
	// that was deleted, so that it can be shown.
	New sqltype.Row
	// Moved says that an Update has given the row another primary key: at the
	// old one it has left a deleted row. Covers says that there was a deleted
	// row at the new one.
	Moved, Covers bool
}
