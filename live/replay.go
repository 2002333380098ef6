package live

import (
	"context"
	"fmt"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// A message from a source has at most partRows rows and, unless it has one row
// only, partBytes.
const (
	partRows  = 512
	partBytes = 1 << 20
)

// replay makes messages of the rows of a source: initial rows, or rows that
// changed and come as changes. Its last message is marked, for until then a
// client has no sequence number to resume from. Only the reader uses it.
//
// A coalesced row comes as an insert when it is in the result now, whether or
// not the reader has an older state of it, and as a delete when it is not, even
// if the reader never had it: what it had is not known here. So a reader that
// keeps rows by their key replaces and removes.
type replay struct {
	then            *replay // what is read after it
	src             RowSource
	kind            Kind // Initial, or 0: changes
	catchUp, resync bool
	plan            *Plan
	seq             change.Seq

	rows []replayRow // read and not given yet
	at   int
	end  bool
	done bool
}

type replayRow struct {
	row  sqltype.Row
	seq  change.Seq
	time sqltype.Value
	kind Kind
}

func newReplay(src RowSource, kind Kind, plan *Plan, seq change.Seq) *replay {
	return &replay{src: src, kind: kind, plan: plan, seq: seq}
}

// next gives the next message; not ok and no error: that was all. Initial rows
// are one message at least.
func (r *replay) next(ctx context.Context) (Message, bool, error) {
	if r.done {
		return Message{}, false, nil
	}
	// One row more than the message shows whether it is the last.
	for !r.end && len(r.rows)-r.at <= partRows {
		if err := r.read(ctx); err != nil {
			return Message{}, false, err
		}
	}
	left := r.rows[r.at:]
	if len(left) == 0 && r.kind != Initial {
		r.done = true
		return Message{}, false, nil
	}
	n, size := 0, 0
	for n < len(left) && n < partRows && left[n].kind == left[0].kind {
		if size += rowBytes(left[n].row); n > 0 && size > partBytes {
			break
		}
		n++
	}
	b := &Batch{Kind: r.kind, Columns: r.plan.Delivered(), Seq: r.seq, Rows: make([]sqltype.Row, n)}
	for i := range n {
		b.Rows[i] = left[i].row
		left[i].row = nil
	}
	if r.kind != Initial {
		b.Kind, b.Seq = left[0].kind, left[n-1].seq
		if t := left[n-1].time; !t.IsNull() {
			b.Time = time.UnixMicro(t.Int()).UTC()
		}
	}
	r.at += n
	m := Message{Batch: b, CatchUp: r.catchUp, Resync: r.resync}
	if r.end && r.at == len(r.rows) {
		m.Last, r.done = true, true
	}
	return m, true, nil
}

// read appends the source's next batch to rows.
func (r *replay) read(ctx context.Context) error {
	in, err := r.src.Next(ctx)
	if err != nil {
		return err
	}
	if in == nil {
		r.end = true
		return nil
	}
	r.rows, r.at = append(r.rows[:0], r.rows[r.at:]...), 0
	l := r.plan.layout()
	n, want := len(r.plan.Columns), len(r.plan.Columns)+3
	if r.kind != Initial {
		want++
	}
	if len(in.Cols) < want {
		return fmt.Errorf("read rows of a live query: %d columns instead of %d", len(in.Cols), want)
	}
	buf := make(sqltype.Row, len(in.Cols))
	for i := range in.Rows() {
		in.ReadRow(i, buf)
		out := replayRow{row: make(sqltype.Row, len(l.columns)), seq: change.Seq(buf[n].Int()), time: buf[n+1], kind: r.kind}
		for j := range n {
			out.row[j] = buf[j].Clone()
		}
		l.system(out.row, buf[n+1], buf[n+2])
		if r.kind != Initial {
			out.kind = Insert
			if in := buf[n+3]; in.IsNull() || !in.Bool() {
				out.kind = Delete
			}
		}
		r.rows = append(r.rows, out)
	}
	return nil
}
