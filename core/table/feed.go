package table

import (
	"bytes"
	"context"
	"slices"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
	"github.com/kalamdb/kalamdb/store/vector"
)

// narrow leaves out the keys where no hot rows are that matter.
func (sc *scanner) narrow() {
	v := sc.s.v
	out := sc.spans[:0]
	for _, sp := range sc.spans {
		any := true
		if sp.point == nil {
			sp.Range, any = v.Store.clamp(v.State, sc.s.t.ID, sc.s.p, sp.Range)
		}
		if any {
			out = append(out, sp)
		}
	}
	sc.spans = out
}

// hotFeed gives the hot rows.
type hotFeed struct {
	sc   *scanner
	more bool
}

func (h *hotFeed) open(context.Context, *piece) error { return nil }

func (h *hotFeed) close() { h.sc.Close() }

// next decodes the next hot rows, with their keys.
func (h *hotFeed) next(ctx context.Context) (piece, error) {
	sc := h.sc
	limit := vector.BatchSize
	if !h.more {
		limit = firstBatch
	}
	h.more = true
	builders := sc.dec.NewBuilders(limit)
	offsets := make([]int32, 1, limit+1)
	var data []byte
	var ids []int64
	var del []bool
	deleted := false
	n, size := 0, 0
	for n < limit && size < batchBytes && !sc.done {
		ok, err := sc.step(ctx)
		if err != nil {
			return piece{}, err
		}
		if !ok {
			sc.Close()
			break
		}
		key, row, err := sc.row()
		if err != nil {
			return piece{}, err
		}
		r := rowenc.Row(row)
		if err := r.Check(); err != nil {
			return piece{}, err
		}
		if len(builders) > 0 {
			if err := sc.dec.DecodeInto(row, builders...); err != nil {
				return piece{}, err
			}
		}
		if sc.rowID >= 0 {
			ids = append(ids, sc.s.rowID(key))
		}
		deleted = deleted || r.Deleted()
		del = append(del, r.Deleted())
		data = append(data, key...)
		offsets = append(offsets, int32(len(data)))
		n++
		size += len(row)
	}
	if n == 0 {
		return piece{}, nil
	}
	cols := make([]*vector.Vector, len(builders))
	for i, b := range builders {
		cols[i] = b.Finish()
	}
	if sc.rowID >= 0 {
		cols[sc.rowID] = vector.FromInts(sqltype.TBigInt, ids, nil)
	}
	p := piece{b: vector.NewBatch(cols, n), keys: vector.FromStrings(sqltype.TBytes, offsets, data, nil)}
	if deleted {
		p.del = vector.FromBools(del, nil)
	}
	return p, nil
}

// coldScan is what the segments of a scan are asked for.
type coldScan struct {
	s      *Store
	req    *exec.ScanRequest
	opts   segment.ScanOptions
	ranges []kv.Range // nil: everything
	// bounds are all that the request has, those of the key and of the number
	// among them.
	bounds []segment.Bound
}

func newColdScan(hot *scanner) (*coldScan, error) {
	c := &coldScan{s: hot.s.v.Store, req: &hot.req}
	want, err := hot.s.c.coldWants(hot.req.Columns)
	if err != nil {
		return nil, err
	}
	c.opts = segment.ScanOptions{Want: want, Reverse: hot.req.Reverse}
	if !slices.ContainsFunc(hot.spans, func(sp span) bool { return sp.everything() }) {
		c.ranges = []kv.Range{}
		for _, sp := range hot.spans {
			r := sp.Range
			if sp.point != nil {
				r = kv.Range{Start: sp.point, End: append(bytes.Clone(sp.point), 0)}
			}
			c.ranges = append(c.ranges, r)
		}
		if hot.req.Reverse {
			slices.Reverse(c.ranges)
		}
		c.opts.Ranges = c.ranges
	}
	t := hot.s.t
	for _, b := range hot.req.Bounds {
		switch {
		case b.Value.IsNull():
		case b.Column < len(t.Columns) && alike(b.Value.Kind(), t.Columns[b.Column].Type.Kind):
			c.bounds = append(c.bounds, segment.Bound{Column: uint32(t.Columns[b.Column].ID), Op: segment.BoundOp(b.Op), Value: b.Value})
		case b.Column == t.SeqOrdinal() && b.Value.Kind().IsInteger():
			// Older versions have smaller numbers still, so that what this
			// leaves out hides nothing.
			after := b.Value.Int()
			switch b.Op {
			case exec.BoundGe, exec.BoundEq:
				after--
			case exec.BoundGt:
			default:
				continue
			}
			if after > 0 {
				c.opts.AfterSeq = max(c.opts.AfterSeq, change.Seq(after))
			}
		}
	}
	return c, nil
}

// alike tells whether statistics of one kind of values say anything about a
// value of another.
func alike(value, column sqltype.Kind) bool {
	return value == column || value.IsInteger() && column.IsInteger()
}

// listed is a segment in a chain; alone: it shares no keys with another one.
type listed struct {
	e     *manifest.Entry
	alone bool
}

// chains are the segments that the scan must look at, in chains whose segments
// do not overlap, in the order of the scan.
func (c *coldScan) chains(l *coldList) [][]listed {
	var want []listed
	for i := range l.entries {
		if e := &l.entries[i]; c.wants(e, l.alone[i]) {
			want = append(want, listed{e, l.alone[i]})
		}
	}
	slices.SortFunc(want, func(a, b listed) int { return bytes.Compare(a.e.FirstKey, b.e.FirstKey) })
	var out [][]listed
	for _, w := range want {
		i := slices.IndexFunc(out, func(chain []listed) bool {
			return bytes.Compare(chain[len(chain)-1].e.LastKey, w.e.FirstKey) < 0
		})
		if i < 0 {
			out = append(out, nil)
			i = len(out) - 1
		}
		out[i] = append(out[i], w)
	}
	if c.req.Reverse {
		for _, chain := range out {
			slices.Reverse(chain)
		}
	}
	return out
}

func (c *coldScan) wants(e *manifest.Entry, alone bool) bool {
	if e.MaxSeq <= c.opts.AfterSeq && c.opts.AfterSeq > 0 || alone && !e.May(c.bounds) {
		return false
	}
	return c.ranges == nil || slices.ContainsFunc(c.ranges, func(r kv.Range) bool { return e.Overlaps(r.Start, r.End) })
}

// coldFeed gives the rows of a chain of segments, one after the other.
type coldFeed struct {
	c    *coldScan
	todo []listed
	now  listed
	seg  *segment.Segment
	scan *segment.Scanner
	// del says that the batches have a column behind the others that tells
	// which rows are deleted.
	del bool
}

// next gives the next batch of the open segment, or the next segment, closed.
func (f *coldFeed) next(ctx context.Context) (piece, error) {
	if f.scan != nil {
		b, err := f.scan.Next(ctx)
		if err != nil {
			return piece{}, err
		}
		if b == nil {
			f.close()
			return f.following(), nil
		}
		p := piece{b: b, rank: f.now.e.MaxSeq}
		p.low, p.high = f.scan.Span()
		if f.del {
			last := len(b.Cols) - 1
			p.del = b.Cols[last]
			b.Cols = b.Cols[:last]
		}
		return p, nil
	}
	return f.following(), nil
}

// following goes to the next segment, without opening it; there is none when
// the piece has no entry.
func (f *coldFeed) following() piece {
	if len(f.todo) == 0 {
		return piece{}
	}
	f.now, f.todo = f.todo[0], f.todo[1:]
	e := f.now.e
	return piece{entry: e, rank: e.MaxSeq, low: e.FirstKey, high: append(bytes.Clone(e.LastKey), 0)}
}

// open opens the segment and goes to its first batch, or reads the keys of the
// present one.
func (f *coldFeed) open(ctx context.Context, p *piece) (err error) {
	if p.b != nil {
		p.keys, err = f.scan.Keys(ctx)
		return err
	}
	if f.seg, err = f.c.s.openSegment(ctx, f.now.e); err != nil {
		return err
	}
	opts := f.c.opts
	opts.IncludeDeleted = f.c.req.IncludeDeleted
	f.del = false
	if f.now.alone {
		opts.Bounds = f.c.bounds
	} else if !opts.IncludeDeleted && f.now.e.Deleted > 0 {
		// A deleted row hides older versions of itself elsewhere.
		opts.IncludeDeleted, f.del = true, true
		opts.Want = append(slices.Clip(opts.Want), deletedWant)
	}
	if f.scan, err = f.seg.Scan(ctx, opts); err != nil {
		return err
	}
	*p, err = f.next(ctx)
	return err
}

// deletedWant is the column that tells which rows are deleted.
var deletedWant = rowenc.Want{Column: rowenc.Column{ID: rowenc.DeletedColumn, Type: sqltype.TBoolean}}

// countable is how many rows a whole segment gives, when nothing else of them
// is wanted and its list entry says so.
func (f *coldFeed) countable(p *piece) (int64, bool) {
	if len(f.c.req.Columns) > 0 || f.c.opts.AfterSeq > 0 || f.c.ranges != nil {
		return 0, false
	}
	if f.c.req.IncludeDeleted {
		return p.entry.Rows, true
	}
	return p.entry.Rows - p.entry.Deleted, true
}

func (f *coldFeed) close() {
	if f.scan != nil {
		f.scan.Close()
		f.seg.Close()
		f.scan, f.seg = nil, nil
	}
}
