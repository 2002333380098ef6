package live

import (
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// Kind says what a message brings.
type Kind uint8

// The kinds of messages.
const (
	// Initial has rows that were in the result when the subscription started.
	Initial Kind = iota + 1
	// Insert has rows that came into the result.
	Insert
	// Update has rows that stayed in the result and changed.
	Update
	// Delete has rows that left the result.
	Delete
	// Schema has no rows: from here on rows have its Columns.
	Schema
)

// String is the change_type on the wire; other names for the kinds that
// are no change.
func (k Kind) String() string {
	switch k {
	case Initial:
		return "initial"
	case Insert:
		return "insert"
	case Update:
		return "update"
	case Delete:
		return "delete"
	case Schema:
		return "schema"
	}
	return "none"
}

// IsChange tells whether rows of this kind count as changes.
func (k Kind) IsChange() bool { return k == Insert || k == Update || k == Delete }

// Variant is one of the encodings that a Batch keeps bytes for.
type Variant uint8

// The variants.
const (
	// Int64Number writes 64-bit integers as JSON numbers.
	Int64Number Variant = iota
	// Int64String writes them as strings.
	Int64String
	variants
)

// Batch is the rows of one message. Every subscription with the same filter
// and projection gets the same Batch: nobody changes it.
type Batch struct {
	Kind Kind
	// Columns are the columns of Rows and Old.
	Columns []Column
	// Rows are the rows after the change. A row that an update took out of
	// the result is there as it is now; a deleted one as it was, with
	// _deleted true.
	Rows []sqltype.Row
	// Old are the rows before an Update or a Delete, one for each of Rows. It
	// is nil for the other kinds, and where the state before is not known (in
	// a catch-up or resync).
	Old []sqltype.Row
	// Seq is the sequence number of the last row; of Initial rows, the one
	// that they were read at.
	Seq change.Seq
	// Time is when the change was committed; zero for kinds that are no
	// change.
	Time time.Time

	seqs  []change.Seq // of Rows, ascending; nil unless Kind is a change
	bytes int
	refs  atomic.Int32 // queues that it is in
	enc   [variants]atomic.Pointer[[]byte]

	// Places for the one row that most batches have.
	row1, old1 [1]sqltype.Row
	seq1       [1]change.Seq
}

// Encoded gives the batch's bytes in a variant, calling encode for the first
// caller. Two that come at once may both encode; all get the same bytes, which
// nobody changes.
func (b *Batch) Encoded(v Variant, encode func(*Batch) []byte) []byte {
	if p := b.enc[v].Load(); p != nil {
		return *p
	}
	data := encode(b)
	if !b.enc[v].CompareAndSwap(nil, &data) {
		return *b.enc[v].Load()
	}
	return data
}

// first is the sequence number of the first row.
func (b *Batch) first() change.Seq {
	if len(b.seqs) > 0 {
		return b.seqs[0]
	}
	return b.Seq
}

// after gives the rows above seq only: b itself when that is all of them.
func (b *Batch) after(seq change.Seq) *Batch {
	n := 0
	for n < len(b.seqs) && b.seqs[n] <= seq {
		n++
	}
	if n == 0 {
		return b
	}
	out := &Batch{Kind: b.Kind, Columns: b.Columns, Rows: b.Rows[n:], Seq: b.Seq, Time: b.Time, seqs: b.seqs[n:], bytes: b.bytes}
	if b.Old != nil {
		out.Old = b.Old[n:]
	}
	return out
}

// Message is what a reader gets. Kind, rows and columns are the Batch's.
type Message struct {
	*Batch
	// Last marks the last message of the initial rows, of a catch-up and of a
	// resync.
	Last bool
	// CatchUp marks a change from before the subscription was resumed.
	CatchUp bool
	// Resync marks a change that stands for those that the reader missed.
	Resync bool
}
