package table

import (
	"bytes"
	"container/list"
	"context"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/vector"
)

// image is what a scan without an order needs to know of a partition with cold
// rows at a state: the hot rows that no segment has, decoded column by column
// when they are first wanted, and of each segment the rows that are covered,
// which is to say that a newer segment or the hot tier has their key. Segments
// are then read as they lie, without their keys, and pruned by any column,
// since what covers a row is known without looking at the other one.
//
// An image is never changed; the next one is made of it and of the keys that
// were written since.
type image struct {
	gen  uint64
	seq  change.Seq
	list *coldList
	// parts are the hot rows, each key once in a row that is not gone.
	parts []imagePart
	// covers are by the entries of the list.
	covers []cover
	// logged is the number of the tracker's first entry that is not in it.
	logged int
	size   int64
}

// cover says which rows of a segment count no more.
type cover struct {
	rows vector.Bitmap // nil: none
	// n counts them, deleted those of them that are soft-deleted.
	n, deleted int64
}

// imagePart is some hot rows of an image.
type imagePart struct {
	*imageRows
	gone  vector.Bitmap // rows with a newer version in another part; nil: none
	nGone int
	// live counts the rows that are neither gone nor deleted.
	live int
}

// imageRows are up to a batch of hot rows, in the order of their keys.
type imageRows struct {
	keys    *vector.Vector
	rows    [][]byte
	seqs    []change.Seq
	deleted []bool
	maxSeq  change.Seq
	size    int64

	mu   sync.Mutex // guards cols
	cols map[imageColumn]*vector.Vector
}

// imageColumn names a decoded column: that of a schema version, by its scan
// ordinal.
type imageColumn struct {
	version uint32
	ordinal int
}

// The bounds of images: of one, of all, and of how many partitions have one.
const (
	imageBytes  = 16 << 20 // of rows; it takes three times as much
	imagesBytes = 96 << 20
	imagesMost  = 4096
	// imageLog is how many keys may be written before an image takes them in.
	imageLog = 1 << 16
)

// images are the trackers of all partitions, the least recently used ones go
// first.
type images struct {
	mu    sync.Mutex // guards what follows
	m     map[kv.Partition]*list.Element
	order list.List // of *tracker, the most recently used first
	size  int64
	// count is len(m), for the committer, which mostly has nothing to note.
	count atomic.Int64
}

// tracker notes the keys that the committer writes to a partition, and has the
// partition's newest image.
type tracker struct {
	p kv.Partition
	// since is the state from which on every key is noted.
	since change.Seq
	// building is held by whoever makes an image: one place.
	building chan struct{}
	now      atomic.Pointer[image]
	// size is what images counts for it; guarded by images.mu.
	size int64

	mu sync.Mutex // guards what follows
	// log has the keys in the order of their commits, from the number first
	// on.
	log   []loggedKey
	first int
	// lost says that keys were not noted any more, or that the hot rows are too
	// many for an image of this generation.
	lost     bool
	tooLarge uint64
}

type loggedKey struct {
	seq change.Seq
	key string
}

// find gives the tracker of a partition, or nil.
func (m *images) find(p kv.Partition) *tracker {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.m[p]
	if e == nil {
		return nil
	}
	m.order.MoveToFront(e)
	return e.Value.(*tracker)
}

// track makes the committer note what it writes to a partition, soon.
func (s *Store) track(p kv.Partition) {
	s.post(func() error {
		m := &s.images
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.m == nil {
			m.m = map[kv.Partition]*list.Element{}
		}
		if m.m[p] == nil {
			m.m[p] = m.order.PushFront(&tracker{p: p, since: s.cur.Load().Seq, building: make(chan struct{}, 1)})
			m.trim()
		}
		return nil
	})
}

// trim keeps to the bounds. The caller holds mu.
func (m *images) trim() {
	for m.order.Len() > 1 && (m.order.Len() > imagesMost || m.size > imagesBytes) {
		m.drop(m.order.Back())
	}
	m.count.Store(int64(len(m.m)))
}

func (m *images) drop(e *list.Element) {
	t := m.order.Remove(e).(*tracker)
	delete(m.m, t.p)
	m.size -= t.size
	t.mu.Lock()
	t.lost, t.log = true, nil
	t.mu.Unlock()
	t.now.Store(nil)
}

// wrote notes a key that is about to be written. It is the committer's.
func (m *images) wrote(p kv.Partition, key []byte, seq change.Seq) {
	if m.count.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.m[p]
	if e == nil {
		return
	}
	t := e.Value.(*tracker)
	t.mu.Lock()
	full := len(t.log) >= imageLog
	if !full {
		t.log = append(t.log, loggedKey{seq, string(key)})
	}
	t.mu.Unlock()
	if full {
		m.drop(e)
		m.count.Store(int64(len(m.m)))
	}
}

// resize notes how much memory a tracker's image takes.
func (m *images) resize(t *tracker, size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.m[t.p]; e == nil || e.Value.(*tracker) != t {
		t.now.Store(nil)
		return
	}
	m.size += size - t.size
	t.size = size
	m.trim()
}

// written are the keys that were written up to a state and are not in an image
// yet, sorted; ok is false when they are not known.
func (t *tracker) written(from int, through change.Seq) (keys []string, next int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost || from < t.first {
		return nil, 0, false
	}
	log := t.log[from-t.first:]
	n := 0
	for n < len(log) && log[n].seq <= through {
		keys = append(keys, log[n].key)
		n++
	}
	slices.Sort(keys)
	return slices.Compact(keys), from + n, true
}

// prune forgets what an image has.
func (t *tracker) prune(through int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := min(through-t.first, len(t.log)); n > 0 {
		// The rest moves, so that the memory of what went is given back.
		t.log = append([]loggedKey(nil), t.log[n:]...)
		t.first += n
	}
}

// current is the tracker's image if it is one of the state, else nil. later
// says that the image is of a later state.
func (t *tracker) current(gen uint64, seq change.Seq) (im *image, later bool) {
	im = t.now.Load()
	switch {
	case im == nil || im.gen < gen:
		return nil, false
	case im.gen > gen || im.seq > seq:
		return nil, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost || im.logged < t.first {
		return nil, true
	}
	if i := im.logged - t.first; i < len(t.log) && t.log[i].seq <= seq {
		return nil, false
	}
	return im, false
}

// image gives the image of the table's partition at its state, and nil when
// there is none: at first, for a state that is no longer the newest one, and
// where there are too many hot rows. For a reader of few rows none is made of
// nothing.
func (s *storedTable) image(ctx context.Context, l *coldList, few bool) (*image, error) {
	store, st := s.v.Store, s.v.State
	if c := store.counts.get(s.t.ID); c.hot+c.hotDeleted == 0 && l.disjoint {
		return nil, nil // nothing is covered
	}
	t := store.images.find(s.p)
	gen := st.cold[s.t.ID]
	switch {
	case few && (t == nil || !t.has(gen)):
		return nil, nil
	case t == nil:
		store.track(s.p)
		return nil, nil
	}
	if im, later := t.current(gen, st.Seq); im != nil || later || st.Seq < t.since {
		return im, nil
	}
	if err := acquire(ctx, t.building); err != nil {
		return nil, err
	}
	defer func() { <-t.building }()
	im, later := t.current(gen, st.Seq)
	if im != nil || later {
		return im, nil
	}
	b := imageBuilder{s: s, t: t, ctx: ctx, im: &image{gen: gen, seq: st.Seq, list: l}}
	im, err := b.build(t.now.Load())
	if err != nil || im == nil {
		return nil, err
	}
	t.now.Store(im)
	t.prune(im.logged)
	store.images.resize(t, im.size)
	return im, nil
}

// has tells whether there is an image of a generation.
func (t *tracker) has(gen uint64) bool {
	im := t.now.Load()
	return im != nil && im.gen == gen
}

func acquire(ctx context.Context, place chan struct{}) error {
	select {
	case place <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// imageBuilder makes an image, of the one before if that helps.
type imageBuilder struct {
	s   *storedTable
	t   *tracker
	ctx context.Context // of the one call
	im  *image
}

func (b *imageBuilder) build(old *image) (*image, error) {
	im := b.im
	im.covers = make([]cover, len(im.list.entries))
	if old != nil && old.gen == im.gen {
		keys, next, ok := b.t.written(old.logged, im.seq)
		if ok {
			im.parts, im.logged = slices.Clone(old.parts), next
			copy(im.covers, old.covers)
			if err := b.extend(keys); err != nil {
				return nil, err
			}
			if im.size > 4*imageBytes {
				b.t.giveUp(im.gen)
				return nil, nil
			}
			return im, nil
		}
	}
	b.t.mu.Lock()
	tooLarge := b.t.tooLarge == im.gen
	b.t.mu.Unlock()
	_, next, ok := b.t.written(b.t.start(), im.seq)
	if !ok || tooLarge {
		return nil, nil
	}
	im.logged = next
	fits, err := b.hotRows()
	if err != nil {
		return nil, err
	}
	if !fits {
		b.t.giveUp(im.gen)
		return nil, nil
	}
	if err := b.coldCovers(old); err != nil {
		return nil, err
	}
	for i := range im.parts {
		if err := b.coverBy(im.parts[i].keys, len(im.list.entries)); err != nil {
			return nil, err
		}
	}
	b.measure()
	return im, nil
}

// giveUp ends the making of images of a generation, whose hot rows are too many.
func (t *tracker) giveUp(gen uint64) {
	t.now.Store(nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tooLarge = gen
}

// start is the number of the first key that is noted.
func (t *tracker) start() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.first
}

// hotRows reads the hot rows. It is false when they are too large.
func (b *imageBuilder) hotRows() (fits bool, err error) {
	s := b.s
	r, any := s.v.Store.clamp(s.v.State, s.t.ID, s.p, kv.Range{})
	if !any {
		return true, nil
	}
	it := s.v.State.kv.Scan(s.p, r)
	defer it.Close()
	var rows rowsBuilder
	var size int64
	for n := 0; it.Next(); n++ {
		if n&1023 == 1023 && b.ctx.Err() != nil {
			return false, context.Cause(b.ctx)
		}
		row, err := it.Value()
		if err != nil {
			return false, err
		}
		if rowenc.Row(row).Seq() <= b.im.list.seq {
			continue // a copy of a cold row
		}
		if size += int64(len(row) + len(it.Key())); size > imageBytes {
			return false, nil
		}
		if err := rows.add(it.Key(), row); err != nil {
			return false, err
		}
	}
	b.im.parts = rows.finish()
	return true, it.Err()
}

// rowsBuilder gathers rows that come in the order of their keys.
type rowsBuilder struct {
	parts   []imagePart
	now     *imageRows
	offsets []int32
	keys    []byte
}

func (r *rowsBuilder) add(key, row []byte) error {
	head := rowenc.Row(row)
	if err := head.Check(); err != nil {
		return err
	}
	if r.now == nil {
		r.now, r.offsets, r.keys = &imageRows{}, make([]int32, 1, 64), nil
	}
	n := r.now
	r.keys = append(r.keys, key...)
	r.offsets = append(r.offsets, int32(len(r.keys)))
	n.rows = append(n.rows, bytes.Clone(row))
	n.seqs = append(n.seqs, head.Seq())
	n.deleted = append(n.deleted, head.Deleted())
	n.maxSeq = max(n.maxSeq, head.Seq())
	n.size += int64(len(key) + len(row) + 64)
	if len(n.rows) == vector.BatchSize {
		r.end()
	}
	return nil
}

func (r *rowsBuilder) end() {
	n := r.now
	n.keys = vector.FromStrings(sqltype.TBytes, r.offsets, r.keys, nil)
	live := 0
	for _, d := range n.deleted {
		if !d {
			live++
		}
	}
	r.parts = append(r.parts, imagePart{imageRows: n, live: live})
	r.now = nil
}

func (r *rowsBuilder) finish() []imagePart {
	if r.now != nil {
		r.end()
	}
	return r.parts
}

func (r *imageRows) key(i int) []byte { return r.keys.Data[r.keys.Offsets[i]:r.keys.Offsets[i+1]] }

// find is the place of a key, or -1.
func (r *imageRows) find(key []byte) int {
	n := len(r.rows)
	if bytes.Compare(key, r.key(0)) < 0 || bytes.Compare(key, r.key(n-1)) > 0 {
		return -1
	}
	i := sort.Search(n, func(i int) bool { return bytes.Compare(r.key(i), key) >= 0 })
	if i < n && bytes.Equal(r.key(i), key) {
		return i
	}
	return -1
}

// coldCovers finds the rows of segments that newer segments cover. What an
// older image found stays so for as long as a segment is there.
func (b *imageBuilder) coldCovers(old *image) error {
	l := b.im.list
	known := make([]bool, len(l.entries))
	if old != nil {
		for i := range l.entries {
			j := slices.IndexFunc(old.list.entries, func(e manifest.Entry) bool { return e.ID == l.entries[i].ID })
			if known[i] = j >= 0; known[i] {
				b.im.covers[i] = old.covers[j]
			}
		}
	}
	for j := range l.entries {
		if l.alone[j] {
			continue
		}
		// Of two segments that were known before nothing new is to be found.
		var older []int
		for i := range j {
			if !(known[i] && known[j]) && l.entries[i].Overlaps(l.entries[j].FirstKey, append(bytes.Clone(l.entries[j].LastKey), 0)) {
				older = append(older, i)
			}
		}
		if len(older) == 0 {
			continue
		}
		if err := b.s.eachKeys(b.ctx, &l.entries[j], func(keys *vector.Vector) error {
			for _, i := range older {
				if err := b.coverIn(i, keys); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// coverBy notes that the first segments' rows with these keys are covered.
func (b *imageBuilder) coverBy(keys *vector.Vector, segments int) error {
	for i := range segments {
		if err := b.coverIn(i, keys); err != nil {
			return err
		}
	}
	return nil
}

func (b *imageBuilder) coverIn(i int, keys *vector.Vector) error {
	n := keys.Len()
	e := &b.im.list.entries[i]
	if n == 0 || !e.Overlaps(keys.Data[:keys.Offsets[1]], append(bytes.Clone(keys.Data[keys.Offsets[n-1]:keys.Offsets[n]]), 0)) {
		return nil
	}
	seg, err := b.s.v.Store.openSegment(b.ctx, e)
	if err != nil {
		return err
	}
	defer seg.Close()
	c := b.im.covers[i]
	// Another image may have the bits.
	own := false
	err = seg.Locate(b.ctx, keys, func(_ int, row int64, deleted bool) {
		if c.rows != nil && c.rows.Get(int(row)) {
			return
		}
		if !own {
			if own = true; c.rows == nil {
				c.rows = vector.NewBitmap(int(e.Rows))
			} else {
				c.rows = c.rows.Clone(int(e.Rows))
			}
		}
		c.rows.Set(int(row))
		c.n++
		if deleted {
			c.deleted++
		}
	})
	b.im.covers[i] = c
	return err
}

// extend takes keys in that were written since the image before.
func (b *imageBuilder) extend(keys []string) error {
	s, im := b.s, b.im
	var rows rowsBuilder
	var fresh *vector.Builder
	for n, k := range keys {
		if n&255 == 255 && b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		key := []byte(k)
		row, found, err := s.v.State.kv.Get(s.p, key)
		if err != nil {
			return err
		}
		if !found || rowenc.Row(row).Seq() <= im.list.seq {
			continue // its write has failed
		}
		if im.supersede(key) {
			if err := rows.add(key, row); err != nil {
				return err
			}
			continue
		}
		if fresh == nil {
			fresh = vector.NewBuilder(sqltype.TBytes, 16)
		}
		fresh.AppendBytes(key)
		if err := rows.add(key, row); err != nil {
			return err
		}
	}
	im.parts = append(im.parts, rows.finish()...)
	if fresh != nil {
		if err := b.coverBy(fresh.Finish(), len(im.list.entries)); err != nil {
			return err
		}
	}
	if err := b.gather(); err != nil {
		return err
	}
	b.measure()
	return nil
}

// supersede marks the row of a key as gone; it is false when there is none.
func (im *image) supersede(key []byte) bool {
	for i := range im.parts {
		p := &im.parts[i]
		r := p.find(key)
		if r < 0 || p.gone != nil && p.gone.Get(r) {
			continue
		}
		n := len(p.rows)
		if p.gone == nil {
			p.gone = vector.NewBitmap(n)
		} else {
			p.gone = p.gone.Clone(n)
		}
		p.gone.Set(r)
		p.nGone++
		if !p.deleted[r] {
			p.live--
		}
		return true
	}
	return false
}

// smallParts is how many parts may be less than half full.
const smallParts = 8

// gather puts small parts together when they have become many.
func (b *imageBuilder) gather() error {
	im := b.im
	type place struct{ part, row int }
	var small []place
	n := 0
	keep := im.parts[:0:0]
	for i := range im.parts {
		p := &im.parts[i]
		if len(p.rows)-p.nGone >= vector.BatchSize/2 {
			keep = append(keep, *p)
			continue
		}
		n++
		for r := range p.rows {
			if p.gone == nil || !p.gone.Get(r) {
				small = append(small, place{i, r})
			}
		}
	}
	if n <= smallParts {
		return nil
	}
	key := func(p place) []byte { return im.parts[p.part].key(p.row) }
	slices.SortFunc(small, func(x, y place) int { return bytes.Compare(key(x), key(y)) })
	var rows rowsBuilder
	for _, p := range small {
		if err := rows.add(key(p), im.parts[p.part].rows[p.row]); err != nil {
			return err
		}
	}
	im.parts = append(keep, rows.finish()...)
	return nil
}

// measure estimates the memory: decoded columns take about as much as the rows.
func (b *imageBuilder) measure() {
	im := b.im
	im.size = 256
	for i := range im.parts {
		im.size += 3*im.parts[i].size + int64(8*len(im.parts[i].gone))
	}
	for i := range im.covers {
		im.size += int64(8 * len(im.covers[i].rows))
	}
}

// columns gives decoded columns of all rows.
func (r *imageRows) columns(s *storedTable, ordinals []int, want []rowenc.Want) ([]*vector.Vector, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cols == nil {
		r.cols = map[imageColumn]*vector.Vector{}
	}
	out := make([]*vector.Vector, len(ordinals))
	var missing []rowenc.Want
	var places []int
	for i, o := range ordinals {
		k := imageColumn{s.t.SchemaVersion, o}
		if v := r.cols[k]; v != nil {
			out[i] = v
			continue
		}
		if o == s.t.RowIDOrdinal() {
			ids := make([]int64, len(r.rows))
			for n := range ids {
				ids[n] = s.rowID(r.key(n))
			}
			out[i] = vector.FromInts(want[i].Type, ids, nil)
			r.cols[k] = out[i]
			continue
		}
		missing, places = append(missing, want[i]), append(places, i)
	}
	if len(missing) > 0 {
		if len(r.cols) > 64 {
			clear(r.cols) // of schema versions that are over
		}
		d := rowenc.NewDecoder(s.c.layouts, missing)
		builders := d.NewBuilders(len(r.rows))
		for _, row := range r.rows {
			if err := d.DecodeInto(row, builders...); err != nil {
				return nil, err
			}
		}
		for n, b := range builders {
			v := b.Finish()
			out[places[n]] = v
			r.cols[imageColumn{s.t.SchemaVersion, ordinals[places[n]]}] = v
		}
	}
	for i := range out {
		// Readers may shorten theirs.
		v := *out[i]
		out[i] = &v
	}
	return out, nil
}

// selected are the rows that count, with numbers above after; nil: all.
func (p *imagePart) selected(deleted bool, after change.Seq) []int32 {
	n := len(p.rows)
	if after == 0 && (p.live == n || deleted && p.nGone == 0) {
		return nil
	}
	sel := make([]int32, 0, n)
	for i := range p.rows {
		if (p.gone == nil || !p.gone.Get(i)) && (deleted || !p.imageRows.deleted[i]) && p.seqs[i] > after {
			sel = append(sel, int32(i))
		}
	}
	return sel
}
