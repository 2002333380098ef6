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

// merger is a scan of both tiers.
//
// Its sources are the hot rows and chains of segments: within a chain segments
// follow each other without sharing keys, so that each source is in the order
// of the keys, and there are as few chains as segments overlap. The sources are
// walked together in that order; of rows with the same key the newest one
// counts, and whether that is deleted. Where no other source reaches into a
// batch, or into a whole segment, its keys are not looked at: a batch goes
// through as it is, and a segment of which only the number of rows is wanted is
// not even opened.
type merger struct {
	s   *storedTable
	req exec.ScanRequest
	out *output
	src []*source
	err error
	end bool
}

var _ exec.Scanner = (*merger)(nil)

// newMerger takes over the scan of the hot rows.
func newMerger(hot *scanner, l *coldList) (*merger, error) {
	m := &merger{s: hot.s, req: hot.req}
	m.out = &output{req: &m.req, cols: len(m.req.Columns)}
	c, err := newColdScan(hot)
	if err != nil {
		return nil, err
	}
	hot.narrow()
	m.src = append(m.src, &source{feed: &hotFeed{sc: hot}, rank: ^change.Seq(0), reverse: m.req.Reverse})
	for _, chain := range c.chains(l) {
		m.src = append(m.src, &source{feed: &coldFeed{c: c, todo: chain}, reverse: m.req.Reverse})
	}
	return m, nil
}

// newColdMerger merges segments alone, and gives every run of rows that count
// with the keys of all positions of its batch, in order. Next then gives none.
func newColdMerger(f *flusher, req exec.ScanRequest, l *coldList, emit func(*vector.Batch, *vector.Vector) error) (*merger, error) {
	v := &View{Store: f.s, State: f.st}
	s := &storedTable{v: v, t: f.t, c: f.c}
	c, err := newColdScan(&scanner{s: s, req: req})
	if err != nil {
		return nil, err
	}
	m := &merger{s: s, req: req}
	m.out = &output{req: &m.req, cols: len(req.Columns), emit: emit}
	for _, chain := range c.chains(l) {
		m.src = append(m.src, &source{feed: &coldFeed{c: c, todo: chain}})
	}
	return m, nil
}

// Next implements exec.Scanner.
func (m *merger) Next(ctx context.Context) (*vector.Batch, error) {
	for {
		if m.err != nil {
			return nil, m.err
		}
		if b := m.out.take(m.end); b != nil {
			return b, nil
		}
		if m.end {
			return nil, nil
		}
		if m.err = context.Cause(ctx); m.err == nil {
			m.end, m.err = m.step(ctx)
		}
		if m.err == nil {
			m.err = m.out.failed
		}
		if m.out.full() {
			m.end = true
		}
		if m.err != nil || m.end {
			m.close()
		}
	}
}

// step moves on by one batch, one run of rows, or one row; end: there are no
// more.
func (m *merger) step(ctx context.Context) (end bool, err error) {
	for i := 0; i < len(m.src); i++ {
		s := m.src[i]
		if s.has() {
			continue
		}
		m.out.finish(s)
		if err := s.load(ctx); err != nil {
			return false, m.s.damaged(err)
		}
		if !s.has() {
			s.feed.close()
			m.src = slices.Delete(m.src, i, i+1)
			i--
		}
	}
	if len(m.src) == 0 {
		return true, nil
	}
	first := m.src[0]
	for _, s := range m.src[1:] {
		if s.leads(first) {
			first = s
		}
	}
	if m.before(first) {
		return false, m.rest(ctx, first)
	}
	if !first.exact() {
		return false, first.sharpen(ctx)
	}
	return false, m.run(ctx, first)
}

// before tells whether all that s has comes before all that the others have.
func (m *merger) before(s *source) bool {
	for _, o := range m.src {
		if o != s && !s.endsBefore(o) {
			return false
		}
	}
	return true
}

// rest gives all that a source has, which nothing else reaches into.
func (m *merger) rest(ctx context.Context, s *source) error {
	if s.cur.b == nil {
		if n, ok := s.feed.(*coldFeed).countable(&s.cur); ok {
			m.out.count(n)
			s.drop()
			return nil
		}
		return s.sharpen(ctx)
	}
	if m.out.emit != nil && !s.exact() {
		return s.sharpen(ctx)
	}
	m.out.add(s, s.pos, s.n)
	s.pos = s.n
	return nil
}

// run gives the rows of a source up to where another one comes in, or decides
// about rows of one key.
func (m *merger) run(ctx context.Context, first *source) error {
	key := first.key(first.pos)
	same := first
	for _, s := range m.src {
		if s == first {
			continue
		}
		if !s.exact() {
			if s.mayReach(key) {
				return s.sharpen(ctx)
			}
			continue
		}
		if bytes.Equal(s.key(s.pos), key) && s.rankNow() > same.rankNow() {
			same = s
		}
	}
	others := false
	for _, s := range m.src {
		if s != same && s.exact() && bytes.Equal(s.key(s.pos), key) {
			others = true
			s.pos++
		}
	}
	if others {
		m.out.add(same, same.pos, same.pos+1)
		same.pos++
		return nil
	}
	to := first.n
	for _, s := range m.src {
		if s != first {
			to = min(to, first.until(s))
		}
	}
	m.out.add(first, first.pos, to)
	first.pos = to
	return nil
}

func (m *merger) close() {
	for _, s := range m.src {
		s.feed.close()
	}
	m.src = nil
}

// Close implements exec.Scanner.
func (m *merger) Close() {
	m.close()
	m.out.drop()
	m.end = true
}

// feed gives a source's batches in the order of the scan.
type feed interface {
	// next gives the next piece; one without anything at the end.
	next(ctx context.Context) (piece, error)
	// open makes the batch of a piece that has none yet, or its keys.
	open(ctx context.Context, p *piece) error
	close()
}

// piece is a batch of a source, or a segment that is not opened yet.
type piece struct {
	b *vector.Batch
	// del tells which rows are deleted; nil: none.
	del *vector.Vector
	// keys has the key of each position of the batch; nil: not read yet.
	keys *vector.Vector
	// All keys are from low on and below high; nil high: there is no bound.
	low, high []byte
	entry     *manifest.Entry
	rank      change.Seq
}

// source is one source at its present piece.
type source struct {
	feed    feed
	rank    change.Seq
	reverse bool
	cur     piece
	// pos counts the rows of the piece that are done, n all of them; a segment
	// that is not opened counts as one.
	pos, n int
	// kept are the runs of rows that count.
	kept []span2
}

// span2 is the rows from the first number to before the second.
type span2 struct{ from, to int }

func (s *source) has() bool { return s.pos < s.n }

func (s *source) drop() { s.pos, s.n, s.kept, s.cur = 0, 0, s.kept[:0], piece{} }

// load goes to the next piece.
func (s *source) load(ctx context.Context) error {
	s.drop()
	p, err := s.feed.next(ctx)
	if err != nil {
		return err
	}
	s.set(p)
	return nil
}

func (s *source) set(p piece) {
	s.cur = p
	switch {
	case p.b != nil:
		s.n = p.b.Rows()
	case p.entry != nil:
		s.n = 1
	}
}

// sharpen opens a segment, or reads the keys of a batch.
func (s *source) sharpen(ctx context.Context) error {
	opened := s.cur.b != nil
	if err := s.feed.open(ctx, &s.cur); err != nil {
		return err
	}
	if !opened {
		p := s.cur
		s.drop()
		s.set(p)
	}
	return nil
}

func (s *source) rankNow() change.Seq { return max(s.rank, s.cur.rank) }

// exact tells whether the keys are known.
func (s *source) exact() bool { return s.cur.b != nil && s.cur.keys != nil }

func (s *source) key(i int) []byte {
	v := s.cur.keys
	r := v.Index(s.cur.b.Row(i))
	return v.Data[v.Offsets[r]:v.Offsets[r+1]]
}

// leads tells whether s has, or may have, the row that comes first.
func (s *source) leads(o *source) bool {
	if s.reverse {
		return s.top().above(o.top())
	}
	return bytes.Compare(s.bottom(), o.bottom()) < 0
}

// bottom is the least key that may be left, in a scan in ascending order.
func (s *source) bottom() []byte {
	if s.exact() {
		return s.key(s.pos)
	}
	return s.cur.low
}

// bound is above all keys that may be left: inclusive or exclusive; the zero
// bound is none.
type bound struct {
	key       []byte
	inclusive bool
}

func (b bound) above(o bound) bool {
	switch {
	case o.key == nil:
		return false
	case b.key == nil:
		return true
	}
	c := bytes.Compare(b.key, o.key)
	return c > 0 || c == 0 && b.inclusive && !o.inclusive
}

// top is above all that is left, in a scan in descending order.
func (s *source) top() bound {
	if s.exact() {
		return bound{s.key(s.pos), true}
	}
	return bound{s.cur.high, false}
}

// endsBefore tells whether all that is left of s's piece comes before all that
// is left of o.
func (s *source) endsBefore(o *source) bool {
	if s.reverse {
		if s.exact() {
			return o.beyond(s.key(s.n - 1))
		}
		t := o.top()
		if t.key == nil {
			return false
		}
		c := bytes.Compare(s.cur.low, t.key)
		return c > 0 || c == 0 && !t.inclusive
	}
	if s.exact() {
		return bytes.Compare(s.key(s.n-1), o.bottom()) < 0
	}
	return s.cur.high != nil && bytes.Compare(s.cur.high, o.bottom()) <= 0
}

// beyond tells whether all that is left comes behind a key.
func (s *source) beyond(key []byte) bool {
	if !s.reverse {
		return bytes.Compare(s.bottom(), key) > 0
	}
	t := s.top()
	if t.key == nil {
		return false
	}
	c := bytes.Compare(t.key, key)
	return c < 0 || c == 0 && !t.inclusive
}

// mayReach tells whether a source whose keys are not known may have a key.
func (s *source) mayReach(key []byte) bool { return !s.beyond(key) }

// until is the first row of s from pos on that does not come before all of o.
// The row at pos does.
func (s *source) until(o *source) int {
	inside := func(i int) bool { return o.beyond(s.key(i)) }
	if inside(s.n - 1) {
		return s.n
	}
	lo, step := s.pos, 1
	for lo+step < s.n && inside(lo+step) {
		lo += step
		step *= 2
	}
	hi := min(lo+step, s.n-1) // not inside
	for lo+1 < hi {
		if mid := (lo + hi) / 2; inside(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

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
			s.kept = append(s.kept, span2{from, to})
		}
		return
	}
	rows, all := o.pick(s, []span2{{from, to}})
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
func (o *output) pick(s *source, spans []span2) (rows []int32, all bool) {
	b, del := s.cur.b, s.cur.del
	if o.req.IncludeDeleted {
		del = nil
	}
	if del == nil && len(spans) == 1 && spans[0] == (span2{0, b.Rows()}) {
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
	if hot.req.Ranges != nil {
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
		case b.Column < len(t.Columns):
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
