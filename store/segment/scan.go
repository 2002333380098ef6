package segment

import (
	"cmp"
	"context"
	"slices"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/pack"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/vector"
)

// ScanOptions says what a scan reads. The zero value reads the keys of all
// rows that are not deleted.
type ScanOptions struct {
	// Want are the columns of the batches. rowenc.SeqColumn and its like and
	// RowIDColumn are columns too.
	Want []rowenc.Want
	// Ranges limit the scan to keys, in ascending order and apart from each
	// other; nil: everything. Of each only Start and End count. The scan gives
	// exactly the rows inside.
	Ranges []kv.Range
	// Bounds are conjuncts of the predicate. The scan skips blocks in which no
	// row satisfies them, and gives the others whole.
	//
	// A skipped row does not hide an older version of itself elsewhere. So
	// bounds on columns that are not part of the key may be given only where
	// no other file or tier has older versions of these keys.
	Bounds []Bound
	// AfterSeq leaves out rows whose _seq is not greater.
	AfterSeq change.Seq
	// IncludeDeleted gives soft-deleted rows, too.
	IncludeDeleted bool
	// Reverse gives the rows in descending order of their keys.
	Reverse bool
	// Limit ends the scan after as many rows; 0: all.
	Limit int64
	// Covered leaves rows out by their positions in the segment, from 0 on:
	// those whose bit is set. Nil: none.
	Covered vector.Bitmap
	// FromBlock and ToBlock (exclusive) limit the scan to some of the blocks;
	// ToBlock 0: there is no such limit.
	FromBlock, ToBlock int
	// Newest gives the blocks with the greatest numbers first, not in the order
	// of the keys, and leaves out what Above, asked before each block, says is
	// of no use any more: rows whose _seq is not greater.
	Newest bool
	Above  func() change.Seq
}

// item is a block that a scan visits.
type item struct {
	block int
	// ranges are those of the options that reach into the block; whole: all of
	// its rows count.
	ranges []kv.Range
	whole  bool
}

// Scanner gives the rows of a segment in order of their keys. It belongs to
// one goroutine and must be closed before its Segment.
type Scanner struct {
	seg   *Segment
	opts  ScanOptions
	items []item
	at    int // the present item; -1 before the first
	cols  []*column
	fills []*vector.Vector // constants for columns that the file does not have
	seq   *column
	del   *column
	keys  *keyColumns
	dec   *pageDecoder
	given int64
	err   error
	// from and to (exclusive) are the present batch's rows in its block.
	from, to int
}

// Scan prepares a scan. It reads at most the statistics of the columns that
// are bounded.
//
// Errors: INTERNAL for a column that is stored in another representation than
// it is wanted in, ErrDamaged, or what the bucket gives.
func (s *Segment) Scan(ctx context.Context, opts ScanOptions) (*Scanner, error) {
	sc := &Scanner{seg: s, opts: opts, at: -1, keys: newKeyColumns(s)}
	for _, w := range opts.Want {
		o := s.annex.find(w.ID)
		if o < 0 {
			v := w.Default
			if !v.IsNull() && v.Kind().Physical() != w.Type.Physical() {
				return nil, dberr.Newf(dberr.Internal, "column %d has a default of type %s and cannot be read as %s", w.ID, v.Kind(), w.Type)
			}
			sc.cols = append(sc.cols, nil)
			sc.fills = append(sc.fills, vector.NewConst(w.Type, v, 1))
			continue
		}
		if st := &s.annex.cols[o]; st.typ.Physical() != w.Type.Physical() {
			return nil, dberr.Newf(dberr.Internal, "column %d is stored as %s and cannot be read as %s", w.ID, st.typ, w.Type)
		}
		sc.cols = append(sc.cols, newColumn(s, o))
		sc.fills = append(sc.fills, nil)
	}
	skip, err := s.skips(ctx, &opts)
	if err != nil {
		return nil, err
	}
	sc.plan(skip)
	sc.dec = s.cache.decoder()
	return sc, nil
}

// skips tells which blocks have no row that could count; nil: none.
func (s *Segment) skips(ctx context.Context, opts *ScanOptions) ([]bool, error) {
	a := s.annex
	var skip []bool
	set := func(b int) {
		if skip == nil {
			skip = make([]bool, len(a.blocks))
		}
		skip[b] = true
	}
	for i := range a.blocks {
		b := &a.blocks[i]
		if b.maxSeq <= opts.AfterSeq && opts.AfterSeq > 0 || !opts.IncludeDeleted && b.deleted == b.rows {
			set(i)
		}
	}
	for _, bound := range opts.Bounds {
		o := a.find(bound.Column)
		if o < 0 || a.stats[o].size == 0 {
			continue
		}
		raw, err := s.read(ctx, a.stats[o], nil)
		if err != nil {
			return nil, err
		}
		d := decoder{pack.Reader{Rest: raw}}
		for i := range a.blocks {
			r := d.valueRange(a.cols[o].typ.Kind)
			if d.Bad {
				return nil, damaged(s.key.name, "its statistics make no sense")
			}
			if !r.May(bound.Op, bound.Value) {
				set(i)
			}
		}
	}
	return skip, nil
}

// plan lists the blocks to visit.
func (sc *Scanner) plan(skip []bool) {
	a := sc.seg.annex
	add := func(b int, r *kv.Range) {
		if skip != nil && skip[b] || b < sc.opts.FromBlock || sc.opts.ToBlock > 0 && b >= sc.opts.ToBlock {
			return
		}
		n := len(sc.items)
		if n == 0 || sc.items[n-1].block != b {
			sc.items = append(sc.items, item{block: b})
			n++
		}
		it := &sc.items[n-1]
		if r == nil || a.inside(b, r.Start, r.End) {
			it.whole = true
		} else {
			it.ranges = append(it.ranges, *r)
		}
	}
	if sc.opts.Ranges == nil {
		for b := range a.blocks {
			add(b, nil)
		}
	}
	for i := range sc.opts.Ranges {
		r := &sc.opts.Ranges[i]
		from, to := a.within(r.Start, r.End)
		for b := from; b < to; b++ {
			add(b, r)
		}
	}
	switch {
	case sc.opts.Newest:
		slices.SortStableFunc(sc.items, func(x, y item) int { return cmp.Compare(a.blocks[y.block].maxSeq, a.blocks[x.block].maxSeq) })
	case sc.opts.Reverse:
		slices.Reverse(sc.items)
	}
}

// Next gives the rows of the next block that has any, or nil at the end. The
// batch shares no memory with the scanner and may be kept. After an error, or
// the end, Next gives the same again.
func (sc *Scanner) Next(ctx context.Context) (*vector.Batch, error) {
	a := sc.seg.annex
	for sc.err == nil && sc.at < len(sc.items) {
		if sc.opts.Limit > 0 && sc.given >= sc.opts.Limit {
			sc.at = len(sc.items)
			break
		}
		if sc.err = context.Cause(ctx); sc.err != nil {
			break
		}
		if sc.at++; sc.at == len(sc.items) {
			break
		}
		if sc.opts.Above != nil {
			if sc.opts.AfterSeq = max(sc.opts.AfterSeq, sc.opts.Above()); a.blocks[sc.items[sc.at].block].maxSeq <= sc.opts.AfterSeq {
				continue
			}
		}
		b, err := sc.batch(ctx, &sc.items[sc.at])
		if err != nil {
			sc.err = err
			break
		}
		if b == nil || b.Rows() == 0 {
			continue
		}
		if sc.opts.Limit > 0 {
			b = b.Head(int(min(sc.opts.Limit-sc.given, int64(b.Rows()))))
			if b.Sel == nil {
				// Head cut the columns; keys have to be as long.
				if sc.opts.Reverse {
					sc.from = sc.to - b.Len()
				} else {
					sc.to = sc.from + b.Len()
				}
			}
		}
		sc.given += int64(b.Rows())
		return b, nil
	}
	return nil, sc.err
}

// following is the block that is wanted after block b, or -1.
func (sc *Scanner) following(b int) int {
	i := sc.at
	// Blocks are asked for in the order of the items, most often the next one.
	for i < len(sc.items) && sc.items[i].block != b {
		i++
	}
	if i+1 < len(sc.items) {
		return sc.items[i+1].block
	}
	return -1
}

// batch reads a block.
func (sc *Scanner) batch(ctx context.Context, it *item) (*vector.Batch, error) {
	blk := &sc.seg.annex.blocks[it.block]
	n := int(blk.rows)
	sel, err := sc.selected(ctx, it, n)
	if err != nil {
		return nil, err
	}
	if sel != nil && len(sel) == 0 {
		return nil, nil
	}
	// Rows next to each other need no selection.
	sc.from, sc.to = 0, n
	if sel != nil && int(sel[len(sel)-1]-sel[0]) == len(sel)-1 {
		sc.from, sc.to = int(sel[0]), int(sel[len(sel)-1])+1
		sel = nil
	}
	cols := make([]*vector.Vector, len(sc.cols))
	for i, c := range sc.cols {
		if c == nil {
			v := *sc.fills[i]
			v.SetLen(sc.to - sc.from)
			cols[i] = &v
			continue
		}
		v, err := c.load(ctx, sc.dec, it.block, sc.opts.Want[i].Type, sc.following)
		if err != nil {
			return nil, err
		}
		cols[i] = sc.cut(v)
	}
	out := vector.NewBatch(cols, sc.to-sc.from)
	if out.Sel = sel; sel != nil && sc.opts.Reverse {
		for i := range sel {
			sel[i] = int32(n-1) - sel[i]
		}
		slices.Reverse(sel)
	}
	return out, nil
}

// cut takes the present batch's rows out of a block's column, in the order of
// the scan.
func (sc *Scanner) cut(v *vector.Vector) *vector.Vector {
	if sc.opts.Reverse {
		order := make([]int32, sc.to-sc.from)
		for i := range order {
			order[i] = int32(sc.to - 1 - i)
		}
		return v.Gather(order)
	}
	if sc.from == 0 && sc.to == v.Len() {
		return v
	}
	return v.Slice(sc.from, sc.to)
}

// selected are the rows of a block that count, in ascending order; nil: all.
func (sc *Scanner) selected(ctx context.Context, it *item, n int) ([]int32, error) {
	blk := &sc.seg.annex.blocks[it.block]
	var sel []int32
	if !it.whole {
		if err := sc.keys.load(ctx, sc.dec, it.block, none); err != nil {
			return nil, err
		}
		sel = make([]int32, 0, 16)
		for _, r := range it.ranges {
			from, to := 0, n
			if r.Start != nil {
				from = sc.keys.search(r.Start)
			}
			if r.End != nil {
				to = sc.keys.search(r.End)
			}
			for i := from; i < to; i++ {
				sel = append(sel, int32(i))
			}
		}
	}
	if c := sc.opts.Covered; c != nil && some(c, int(blk.row), n) {
		sel = uncovered(c, int(blk.row), sel, n)
		if len(sel) == 0 {
			return sel, nil
		}
	}
	if blk.minSeq <= sc.opts.AfterSeq && sc.opts.AfterSeq > 0 {
		if sc.seq == nil {
			sc.seq = newColumn(sc.seg, sc.seg.annex.find(rowenc.SeqColumn))
		}
		v, err := sc.seq.load(ctx, sc.dec, it.block, sqltype.TBigInt, sc.following)
		if err != nil {
			return nil, err
		}
		sel = filter(sel, n, func(i int32) bool { return change.Seq(v.Ints[i]) > sc.opts.AfterSeq })
	}
	if blk.deleted > 0 && !sc.opts.IncludeDeleted {
		if sc.del == nil {
			sc.del = newColumn(sc.seg, sc.seg.annex.find(rowenc.DeletedColumn))
		}
		v, err := sc.del.load(ctx, sc.dec, it.block, sqltype.TBoolean, sc.following)
		if err != nil {
			return nil, err
		}
		sel = filter(sel, n, func(i int32) bool { return !v.Bools[i] })
	}
	return sel, nil
}

// uncovered keeps the rows of sel, or of all n, whose bits, from one on, are not
// set. Nothing in its loops depends on the bits but the place of the next row.
func uncovered(b vector.Bitmap, from int, sel []int32, n int) []int32 {
	k := 0
	if sel != nil {
		for _, i := range sel {
			at := from + int(i)
			sel[k] = i
			k += int(^b[at>>6] >> (at & 63) & 1)
		}
		return sel[:k]
	}
	sel = make([]int32, n)
	for i := range n {
		at := from + i
		sel[k] = int32(i)
		k += int(^b[at>>6] >> (at & 63) & 1)
	}
	return sel[:k]
}

// some tells whether any of n bits from one on is set.
func some(b vector.Bitmap, from, n int) bool {
	for i := from >> 6; i <= (from+n-1)>>6; i++ {
		w := b[i]
		if i == from>>6 {
			w &= ^uint64(0) << (from & 63)
		}
		if i == (from+n-1)>>6 {
			w &= ^uint64(0) >> (63 - (from+n-1)&63)
		}
		if w != 0 {
			return true
		}
	}
	return false
}

// none says that nothing is wanted after a block.
func none(int) int { return -1 }

// filter keeps the rows of sel, or of all n, that pass.
func filter(sel []int32, n int, pass func(int32) bool) []int32 {
	if sel == nil {
		sel = make([]int32, n)
		for i := range sel {
			sel[i] = int32(i)
		}
	}
	out := sel[:0]
	for _, i := range sel {
		if pass(i) {
			out = append(out, i)
		}
	}
	return out
}

// Keys are the keys of the present batch, one for each position of its
// columns, selected or not. They are decoded only when asked for.
func (sc *Scanner) Keys(ctx context.Context) (*vector.Vector, error) {
	if sc.at < 0 || sc.at >= len(sc.items) {
		return nil, dberr.New(dberr.Internal, "keys are asked for without a batch")
	}
	if err := sc.keys.load(ctx, sc.dec, sc.items[sc.at].block, sc.following); err != nil {
		return nil, err
	}
	return sc.cut(sc.keys.vector()), nil
}

// Span are keys between which those of the present batch lie, low inclusive
// and high exclusive; nil: no bound is known. It reads nothing.
func (sc *Scanner) Span() (low, high []byte) {
	if sc.at < 0 || sc.at >= len(sc.items) {
		return nil, nil
	}
	a := sc.seg.annex
	b := sc.items[sc.at].block
	low = a.blocks[b].key
	switch {
	case b+1 == len(a.blocks):
		high = append(slices.Clone(a.lastKey), 0)
	case a.blocks[b+1].cut:
		high = kv.Successor(a.blocks[b+1].key)
	default:
		high = a.blocks[b+1].key
	}
	return low, high
}

// Close ends the scan. A second call does nothing.
func (sc *Scanner) Close() {
	if sc.dec != nil {
		sc.seg.cache.giveBack(sc.dec)
		sc.dec = nil
	}
	sc.at, sc.items = 0, nil
}
