package table

import (
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// output makes batches of what counts. In a scan that need not be in order, a
// source's batch goes out as a whole, with a selection; else runs are put
// together in order.
type output struct {
	req   *exec.ScanRequest
	cols  int
	given int64
	ready []*vector.Batch
	// runs are the rows that wait to be put together, n how many.
	runs []picked
	n    int
	rows int64 // rows without columns
	// emit, if there is one, gets the runs instead; failed is its error.
	emit   func(*vector.Batch, *vector.Vector) error
	failed error
}

// picked is rows of a batch.
type picked struct {
	b    *vector.Batch
	rows []int32
}

// enough is how many rows are put together at least, and from how many on a
// run stands for itself.
const (
	enough = 1024
	alone  = 256
)

func (o *output) ordered() bool { return o.req.Ordered || o.req.Reverse }

// full tells whether the reader wants no more.
func (o *output) full() bool {
	return o.req.Limit > 0 && o.given+int64(o.n)+o.waiting() >= o.req.Limit
}

func (o *output) waiting() (n int64) {
	n = o.rows
	for _, b := range o.ready {
		n += int64(b.Rows())
	}
	return n
}

// count gives rows of which nothing else is wanted.
func (o *output) count(n int64) { o.rows += n }

// add gives rows of a source's present batch.
func (o *output) add(s *source, from, to int) {
	if from >= to {
		return
	}
	if !o.ordered() {
		if k := len(s.kept); k > 0 && s.kept[k-1].to == from {
			s.kept[k-1].to = to
		} else {
			s.kept = append(s.kept, rowRun{from, to})
		}
		return
	}
	rows, all := o.pick(s, []rowRun{{from, to}})
	switch n := len(rows); {
	case o.emit != nil && o.failed == nil:
		b := *s.cur.b
		if !all {
			b.Sel = rows
		}
		o.failed = o.emit(&b, s.cur.keys)
	case o.emit != nil:
	case all:
		o.flush()
		o.ready = append(o.ready, s.cur.b)
	case n >= alone:
		o.flush()
		b := *s.cur.b
		b.Sel = rows
		o.ready = append(o.ready, &b)
	case n > 0:
		o.runs = append(o.runs, picked{s.cur.b, rows})
		if o.n += n; o.n >= enough {
			o.flush()
		}
	}
}

// finish gives what counts of a source's batch that is done.
func (o *output) finish(s *source) {
	if len(s.kept) == 0 || s.cur.b == nil {
		return
	}
	rows, all := o.pick(s, s.kept)
	switch {
	case all:
		o.ready = append(o.ready, s.cur.b)
	case len(rows) > 0:
		b := *s.cur.b
		b.Sel = rows
		o.ready = append(o.ready, &b)
	}
	s.kept = s.kept[:0]
}

// pick lists the positions of rows that are not deleted; all: it is every row
// of the batch.
func (o *output) pick(s *source, spans []rowRun) (rows []int32, all bool) {
	b, del := s.cur.b, s.cur.del
	if o.req.IncludeDeleted {
		del = nil
	}
	if del == nil && len(spans) == 1 && spans[0] == (rowRun{0, b.Rows()}) {
		return nil, true
	}
	for _, sp := range spans {
		for i := sp.from; i < sp.to; i++ {
			if r := b.Row(i); del == nil || !del.Bools[del.Index(r)] {
				rows = append(rows, int32(r))
			}
		}
	}
	return rows, false
}

// flush puts the waiting runs together.
func (o *output) flush() {
	if o.n == 0 {
		return
	}
	cols := make([]*vector.Vector, o.cols)
	for c := range cols {
		b := vector.NewBuilder(o.runs[0].b.Cols[c].Type, o.n)
		for _, r := range o.runs {
			v := r.b.Cols[c]
			for _, i := range r.rows {
				b.AppendFrom(v, int(i))
			}
		}
		cols[c] = b.Finish()
	}
	o.ready = append(o.ready, vector.NewBatch(cols, o.n))
	clear(o.runs)
	o.runs, o.n = o.runs[:0], 0
}

// take gives a batch that is ready; last: no more rows will come.
func (o *output) take(last bool) *vector.Batch {
	if last || o.full() {
		o.flush()
	}
	var b *vector.Batch
	switch {
	case len(o.ready) > 0:
		b = o.ready[0]
		o.ready = o.ready[1:]
	case o.rows > 0:
		b = vector.NewBatch(nil, int(min(o.rows, vector.BatchSize)))
		o.rows -= int64(b.Rows())
	default:
		return nil
	}
	o.given += int64(b.Rows())
	return b
}

func (o *output) drop() { o.ready, o.runs, o.n, o.rows = nil, nil, 0, 0 }
