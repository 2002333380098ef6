package vector

import "github.com/kalamdb/kalamdb/commons/sqltype"

// Batch is a run of rows: columns of one length and, where rows have been
// filtered out, the selection of those that remain.
type Batch struct {
	Cols []*Vector
	// Sel lists the rows that count, in ascending order; nil: all of them.
	Sel []int32
	n   int
}

// NewBatch makes a batch of n rows over the columns; n stands alone for
// batches without columns (SELECT 1, count(*)).
func NewBatch(cols []*Vector, n int) *Batch { return &Batch{Cols: cols, n: n} }

// Rows is how many rows count.
func (b *Batch) Rows() int {
	if b.Sel != nil {
		return len(b.Sel)
	}
	return b.n
}

// Len is how many rows the columns hold, whatever the selection.
func (b *Batch) Len() int { return b.n }

// Row is the position of the i-th row that counts.
func (b *Batch) Row(i int) int {
	if b.Sel != nil {
		return int(b.Sel[i])
	}
	return i
}

// Compact gives a batch without a selection, copying the rows that count. It
// returns b itself when there is nothing to leave out.
func (b *Batch) Compact() *Batch {
	if b.Sel == nil {
		return b
	}
	out := &Batch{Cols: make([]*Vector, len(b.Cols)), n: len(b.Sel)}
	for i, c := range b.Cols {
		out.Cols[i] = c.Gather(b.Sel)
	}
	return out
}

// Head keeps the first n rows that count. It shares memory with b.
func (b *Batch) Head(n int) *Batch {
	if n >= b.Rows() {
		return b
	}
	out := *b
	if b.Sel != nil {
		out.Sel = b.Sel[:n]
		return &out
	}
	out.n = n
	out.Cols = make([]*Vector, len(b.Cols))
	for i, c := range b.Cols {
		out.Cols[i] = c.Slice(0, n)
	}
	return &out
}

// Tail drops the first n rows that count. It shares memory with b.
func (b *Batch) Tail(n int) *Batch {
	if n <= 0 {
		return b
	}
	n = min(n, b.Rows())
	out := *b
	if b.Sel != nil {
		out.Sel = b.Sel[n:]
		return &out
	}
	out.n = b.n - n
	out.Cols = make([]*Vector, len(b.Cols))
	for i, c := range b.Cols {
		out.Cols[i] = c.Slice(n, b.n)
	}
	return &out
}

// ReadRow puts the values of the i-th row that counts into dst, which has a
// place for every column. Strings share the batch's memory.
func (b *Batch) ReadRow(i int, dst sqltype.Row) {
	r := b.Row(i)
	for c, col := range b.Cols {
		dst[c] = col.Value(r)
	}
}

// Size is about how many bytes of memory the batch holds.
func (b *Batch) Size() int {
	n := 4 * len(b.Sel)
	for _, c := range b.Cols {
		n += c.Size()
	}
	return n
}
