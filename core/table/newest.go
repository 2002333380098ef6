package table

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
	"github.com/kalamdb/kalamdb/store/vector"
)

// newestScanner is a scan of both tiers that gives the newest rows first: those
// of the hot tier, which are newer than all others, then segments from the
// newest to the oldest, and in them blocks, and in those rows, by their
// numbers. Whether a cold row is still the newest version of itself is looked
// up: in the keys of the hot rows and in newer segments. So it costs what the
// rows cost that the reader wants, however many there are, where an image would
// have to be made of all first.
type newestScanner struct {
	s   *storedTable
	c   *coldScan
	l   *coldList
	hot *hotFeed // nil once it has ended
	// keys are those of hot rows that no segment has.
	keys map[string]bool
	// entry is the index of the present segment, which counts down.
	entry int
	seg   *segment.Segment
	scan  *segment.Scanner
	// block is the present one, with keys and the number of each position;
	// order has the positions that are left, the newest first.
	block *vector.Batch
	ks    *vector.Vector
	seqs  *vector.Vector
	order []int32
	err   error
	done  bool
}

// newestRows is how many rows of a block are looked up at a time.
const newestRows = 64

// newest opens a scan that gives the newest rows first, or nil when that is not
// to be had: for a part of the table.
func (s *storedTable) newest(req exec.ScanRequest, l *coldList) (*newestScanner, error) {
	if l == nil || req.Newest == nil || req.Ranges != nil || req.Ordered || req.Reverse {
		return nil, nil
	}
	w, err := s.c.wants(req.Columns)
	if err != nil {
		return nil, err
	}
	hot := &scanner{s: s, req: req, dec: rowenc.NewDecoder(s.c.layouts, append(slices.Clip(w), seqWant)), rowID: slices.Index(req.Columns, s.t.RowIDOrdinal()), spans: []span{{}}}
	c, err := newColdScan(hot)
	if err != nil {
		return nil, err
	}
	c.opts.Want = append(slices.Clip(c.opts.Want), seqWant)
	c.opts.IncludeDeleted = req.IncludeDeleted
	// A row that the bounds leave out is not given; what it covers is looked up
	// in its segment's keys, whatever the bounds.
	c.opts.Bounds = c.bounds
	c.opts.Newest, c.opts.Above = true, req.Newest.Above
	hot.narrow()
	return &newestScanner{s: s, c: c, l: l, hot: &hotFeed{sc: hot}, keys: map[string]bool{}, entry: len(l.entries)}, nil
}

// seqWant is the column of the numbers.
var seqWant = rowenc.Want{Column: rowenc.Column{ID: rowenc.SeqColumn, Type: sqltype.TBigInt}}

// Next implements exec.Scanner.
func (n *newestScanner) Next(ctx context.Context) (*vector.Batch, error) {
	for n.err == nil && !n.done {
		var b *vector.Batch
		if n.err = context.Cause(ctx); n.err != nil {
			break
		}
		switch {
		case n.hot != nil:
			b, n.err = n.nextHot(ctx)
		case len(n.order) > 0:
			b, n.err = n.rows(ctx)
		default:
			n.err = n.nextBlock(ctx)
		}
		if n.err != nil {
			n.err = n.s.damaged(n.err)
			break
		}
		if b != nil && b.Rows() > 0 {
			return b, nil
		}
	}
	return nil, n.err
}

// nextHot gives the next hot rows that no segment has.
func (n *newestScanner) nextHot(ctx context.Context) (*vector.Batch, error) {
	p, err := n.hot.next(ctx)
	if err != nil {
		return nil, err
	}
	if p.b == nil {
		n.hot.close()
		n.hot = nil
		return nil, nil
	}
	last := len(p.b.Cols) - 1
	seqs := p.b.Cols[last]
	p.b.Cols = p.b.Cols[:last]
	above := n.c.req.Newest.Above()
	sel := make([]int32, 0, p.b.Len())
	for i := range p.b.Len() {
		seq := change.Seq(seqs.Ints[i])
		if seq <= n.l.seq {
			continue // a copy of a cold row
		}
		n.keys[p.keys.Str(i)] = true
		if seq > above && (p.del == nil || n.c.req.IncludeDeleted || !p.del.Bools[i]) {
			sel = append(sel, int32(i))
		}
	}
	p.b.Sel = sel
	return p.b, nil
}

// nextBlock goes to the next block that has rows of any use.
func (n *newestScanner) nextBlock(ctx context.Context) error {
	for n.scan == nil {
		if n.entry--; n.entry < 0 {
			n.done = true
			return nil
		}
		e := &n.l.entries[n.entry]
		if e.MaxSeq <= n.c.req.Newest.Above() || !n.c.wants(e, true) {
			continue
		}
		seg, err := n.s.v.Store.openSegment(ctx, e)
		if err != nil {
			return err
		}
		if n.scan, err = seg.Scan(ctx, n.c.opts); err != nil {
			seg.Close()
			return err
		}
		n.seg = seg
	}
	b, err := n.scan.Next(ctx)
	if err != nil {
		return err
	}
	if b == nil {
		n.closeSegment()
		return nil
	}
	if n.ks, err = n.scan.Keys(ctx); err != nil {
		return err
	}
	last := len(b.Cols) - 1
	n.seqs = b.Cols[last]
	b.Cols = b.Cols[:last]
	n.block, n.order = b, n.order[:0]
	for i := range b.Rows() {
		n.order = append(n.order, int32(b.Row(i)))
	}
	slices.SortFunc(n.order, func(x, y int32) int { return cmp.Compare(n.seqs.Ints[y], n.seqs.Ints[x]) })
	return nil
}

// rows gives some rows of the present block.
func (n *newestScanner) rows(ctx context.Context) (*vector.Batch, error) {
	above := int64(n.c.req.Newest.Above())
	k := min(len(n.order), newestRows)
	for k > 0 && n.seqs.Ints[n.order[k-1]] <= above {
		k--
		n.order = n.order[:k] // those behind it are older still
	}
	sel := slices.Clone(n.order[:k])
	n.order = n.order[k:]
	slices.Sort(sel)
	sel = slices.DeleteFunc(sel, func(r int32) bool { return n.keys[n.ks.Str(int(r))] })
	covered, err := n.covered(ctx, sel)
	if err != nil {
		return nil, err
	}
	b := *n.block
	b.Sel = sel
	if covered != nil {
		b.Sel = sel[:0]
		for i, r := range sel {
			if !covered[i] {
				b.Sel = append(b.Sel, r)
			}
		}
	}
	return &b, nil
}

// covered tells which rows of the present block newer segments have, too; nil:
// none.
func (n *newestScanner) covered(ctx context.Context, sel []int32) (out []bool, err error) {
	if len(sel) == 0 || n.l.alone[n.entry] {
		return nil, nil
	}
	keys := n.ks.Gather(sel)
	first, last := keys.Str(0), keys.Str(keys.Len()-1)
	for j := n.entry + 1; j < len(n.l.entries); j++ {
		e := &n.l.entries[j]
		if !overlaps(e, first, last) {
			continue
		}
		seg, err := n.s.v.Store.openSegment(ctx, e)
		if err != nil {
			return nil, err
		}
		err = seg.Locate(ctx, keys, func(k int, _ int64, _ bool) {
			if out == nil {
				out = make([]bool, len(sel))
			}
			out[k] = true
		})
		seg.Close()
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// overlaps tells whether a segment may have a key from first to last.
func overlaps(e *manifest.Entry, first, last string) bool {
	return bytes.Compare(e.LastKey, []byte(first)) >= 0 && bytes.Compare(e.FirstKey, []byte(last)) <= 0
}

func (n *newestScanner) closeSegment() {
	if n.scan != nil {
		n.scan.Close()
		n.seg.Close()
		n.scan, n.seg = nil, nil
	}
}

// Close implements exec.Scanner.
func (n *newestScanner) Close() {
	n.done, n.order = true, nil
	n.closeSegment()
	if n.hot != nil {
		n.hot.close()
		n.hot = nil
	}
}
