package table

import (
	"cmp"
	"container/heap"
	"context"
	"math"
	"slices"
	"sort"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tidwall/btree"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/keyenc"
)

// streams keeps the rows of STREAM tables: a ring for each table and user, in
// order of their sequence numbers, which is also that of their times.
//
// A row goes when its time is up, when its ring is full, when the memory of
// all rings is, and by DELETE. It goes from the states that are shown later; a
// State keeps the rings as they were when it was shown, in a copy-on-write
// tree, so that whoever reads it sees one moment of all of them.
//
// What states alone still have is bounded too: past Options.StreamBytes the
// oldest states lose their STREAM rows, and reading these fails with
// RESOURCE_EXHAUSTED.
//
// The committer owns everything but what is marked otherwise.
type streams struct {
	store *Store
	// start is the sequence number at which the server started: it knows
	// nothing of what was before.
	start change.Seq

	rings map[ringKey]*ring
	// byExpiry has the rings by when their oldest row expires.
	byExpiry expiryHeap
	// views are those of rings, and lost is at least the last change of all
	// rings that are gone: what the next state will show. changed says that
	// this is not what shown has.
	views   *btree.BTreeG[*ringView]
	lost    change.Seq
	changed bool
	// removed is how many bytes have left the rings so far.
	removed int64

	// For everybody: shown is what the newest state has; due is when the next
	// row expires, in microseconds; rows and bytes are what the rings hold.
	shown       atomic.Pointer[streamState]
	due         atomic.Int64
	rows, bytes atomic.Int64
}

type ringKey struct {
	table ident.TableID
	user  ident.UserID
}

// ring is one user's part of a STREAM table.
type ring struct {
	*ringView
	max   int
	index map[string]change.Seq // in a table with a primary key
	pos   int                   // in byExpiry
}

// ringView is a ring's rows at one time. Nobody changes it.
type ringView struct {
	key  ringKey
	ttl  int64 // microseconds; 0: for ever
	rows []streamRow
	// lost is the last change that left no trace: who resumes from before it
	// cannot be told what happened.
	lost change.Seq
}

type streamRow struct {
	seq  change.Seq
	at   int64 // microseconds
	key  string
	row  sqltype.Row
	size int64
}

// streamState is what a State has of all rings. Nobody changes it.
type streamState struct {
	views       *btree.BTreeG[*ringView]
	start, lost change.Seq
	removed     int64 // when it was made
}

// streamOp is a change of a ring that waits for its batch to be written.
type streamOp struct {
	ring   ringKey
	table  *ddl.Table
	delete change.Seq // the row to delete; 0: insert
	insert streamRow
	seq    change.Seq
}

const (
	rowOverhead = 96
	rowHeader   = int64(unsafe.Sizeof(streamRow{}))
)

func newStreams(s *Store) *streams {
	st := &streams{store: s, rings: map[ringKey]*ring{}, changed: true}
	st.views = btree.NewBTreeGOptions(func(a, b *ringView) bool {
		return cmp.Or(cmp.Compare(a.key.table, b.key.table), cmp.Compare(a.key.user, b.key.user)) < 0
	}, btree.Options{NoLocks: true})
	st.due.Store(math.MaxInt64)
	return st
}

// freeze gives what the next state shows.
func (st *streams) freeze() *streamState {
	if st.changed {
		st.changed = false
		st.shown.Store(&streamState{views: st.views.Copy(), start: st.start, lost: st.lost, removed: st.removed})
	}
	return st.shown.Load()
}

// expiry is when a row's time is up.
func (v *ringView) expiry(at int64) int64 {
	if v.ttl == 0 || at > math.MaxInt64-v.ttl {
		return math.MaxInt64
	}
	return at + v.ttl
}

// read gives the rows of a ring whose time is not up, and the last change
// that left no trace among them.
func (st *streamState) read(k ringKey, now time.Time) (rows []streamRow, lost change.Seq) {
	v, ok := st.views.Get(&ringView{key: k})
	if !ok {
		return nil, max(st.start, st.lost)
	}
	rows, lost = v.rows, max(st.start, v.lost)
	if m := now.UnixMicro(); v.expiry(rows[0].at) <= m {
		cut := sort.Search(len(rows), func(i int) bool { return v.expiry(rows[i].at) > m })
		lost = max(lost, rows[cut-1].seq)
		rows = rows[cut:]
	}
	return rows, lost
}

var errStreamsGone = dberr.New(dberr.ResourceExhausted, "The rows of STREAM tables have changed too much since the statement began.").
	WithHint("Run it again.")

// stream reads a user's part of a STREAM table at a state.
func (st *State) stream(k ringKey, now time.Time) (rows []streamRow, lost change.Seq, err error) {
	all := st.streams.Load()
	if all == nil {
		return nil, 0, errStreamsGone
	}
	rows, lost = all.read(k, now)
	return rows, lost, nil
}

// Lost is the last change of a user's part of a table that left nothing behind
// at a state: who knows less than that cannot be told what it missed.
func (s *Store) Lost(at *State, t *ddl.Table, user ident.UserID, now time.Time) (change.Seq, error) {
	// A restored table has one for all of its users.
	restored := s.lostRows(at, keyenc.TablePrefix(t.ID))
	switch t.Type {
	case ident.StreamTable:
		_, lost, err := at.stream(ringKey{t.ID, user}, now)
		return max(restored, lost), err
	case ident.UserTable:
		return max(restored, s.lostRows(at, keyenc.UserPartition(t.ID, user))), nil
	}
	return 0, nil
}

// lookup finds a row by its key; the committer asks after it has evicted what
// is expired.
func (st *streams) lookup(k ringKey, key string) version {
	r := st.rings[k]
	if r == nil {
		return version{}
	}
	if r.index != nil {
		return version{seq: r.index[key]}
	}
	seq := change.Seq(rowIDOf([]byte(key)))
	if _, ok := r.position(seq); ok {
		return version{seq: seq}
	}
	return version{}
}

func (v *ringView) position(seq change.Seq) (int, bool) {
	return slices.BinarySearchFunc(v.rows, seq, func(a streamRow, s change.Seq) int { return cmp.Compare(a.seq, s) })
}

// apply makes the changes of a batch that was written.
func (st *streams) apply(ops []streamOp) {
	if len(ops) == 0 {
		return
	}
	now := st.store.opts.Now().UnixMicro()
	for i := 0; i < len(ops); {
		n := 1
		if ops[i].delete == 0 {
			st.insert(&ops[i], now)
		} else {
			for i+n < len(ops) && ops[i+n].delete != 0 && ops[i+n].ring == ops[i].ring {
				n++
			}
			st.deleteRows(ops[i : i+n])
		}
		i += n
	}
	st.shrink()
	st.schedule()
}

func (st *streams) insert(op *streamOp, now int64) {
	r := st.open(op.ring, op.table)
	st.evictRing(r, now)
	rows, lost := r.rows, r.lost
	if drop := len(rows) + 1 - r.max; drop > 0 {
		st.forget(r, rows[:drop])
		lost = max(lost, rows[drop-1].seq)
		rows = rows[drop:]
	}
	if len(rows) == cap(rows) {
		st.removed += int64(len(rows)) * rowHeader // it is moved to a new place
	}
	// Readers have views of the rows before, never of the place behind them,
	// so appending in place disturbs nobody.
	rows = append(rows, op.insert)
	if r.index != nil {
		r.index[op.insert.key] = op.insert.seq
	}
	st.rows.Add(1)
	st.bytes.Add(op.insert.size)
	st.setView(r, rows, lost)
}

// open finds or makes a ring. Rings without rows are kept nowhere: setView
// enters a ring with its first row, and takes it out with its last.
func (st *streams) open(k ringKey, t *ddl.Table) *ring {
	if r := st.rings[k]; r != nil {
		return r
	}
	r := &ring{ringView: &ringView{key: k, ttl: t.TTL.Microseconds(), lost: st.lost}, max: t.MaxBuffer, pos: -1}
	if r.max <= 0 {
		r.max = st.store.opts.MaxBuffer
	}
	if len(t.PrimaryKey) > 0 {
		r.index = map[string]change.Seq{}
	}
	return r
}

func (st *streams) setView(r *ring, rows []streamRow, lost change.Seq) {
	st.changed = true
	r.ringView = &ringView{key: r.key, ttl: r.ttl, rows: rows, lost: lost}
	if len(rows) == 0 {
		if r.pos >= 0 {
			heap.Remove(&st.byExpiry, r.pos)
		}
		delete(st.rings, r.key)
		st.views.Delete(r.ringView)
		st.lost = max(st.lost, lost)
		return
	}
	st.views.Set(r.ringView)
	if r.pos < 0 {
		heap.Push(&st.byExpiry, r)
		st.rings[r.key] = r
		return
	}
	heap.Fix(&st.byExpiry, r.pos)
}

// deleteRows deletes rows of one ring.
func (st *streams) deleteRows(ops []streamOp) {
	r := st.rings[ops[0].ring]
	if r == nil {
		return
	}
	gone := make([]int, 0, len(ops))
	lost := r.lost
	for i := range ops {
		if at, ok := r.position(ops[i].delete); ok {
			gone = append(gone, at)
			lost = max(lost, ops[i].seq)
		}
	}
	slices.Sort(gone)
	old := r.rows
	rest := make([]streamRow, 0, len(old))
	from := 0
	for _, at := range slices.Compact(gone) {
		st.forget(r, old[at:at+1])
		rest = append(rest, old[from:at]...)
		from = at + 1
	}
	st.removed += int64(len(old)) * rowHeader
	st.setView(r, append(rest, old[from:]...), lost)
}

// forget takes rows out of the index and the account.
func (st *streams) forget(r *ring, rows []streamRow) {
	for i := range rows {
		st.bytes.Add(-rows[i].size)
		st.removed += rows[i].size
		if r.index != nil && r.index[rows[i].key] == rows[i].seq {
			delete(r.index, rows[i].key)
		}
	}
	st.rows.Add(-int64(len(rows)))
}

// evictRing drops the expired rows of a ring.
func (st *streams) evictRing(r *ring, now int64) {
	st.evictFirst(r, sort.Search(len(r.rows), func(i int) bool { return r.expiry(r.rows[i].at) > now }))
}

// evictFirst drops the n oldest rows of a ring.
func (st *streams) evictFirst(r *ring, n int) {
	if n == 0 {
		return
	}
	old := r.rows
	st.forget(r, old[:n])
	rest := old[n:]
	if len(rest) < cap(old)/4 {
		// What was dropped must not stay in memory behind what remains.
		rest = slices.Clone(rest)
	}
	st.setView(r, rest, max(r.lost, old[n-1].seq))
}

// evict drops everything that is expired, and tells whether that was anything.
func (st *streams) evict() (some bool) {
	now := st.store.opts.Now().UnixMicro()
	for len(st.byExpiry) > 0 && st.byExpiry[0].firstExpiry() <= now {
		st.evictRing(st.byExpiry[0], now)
		some = true
	}
	st.schedule()
	return some
}

// shrink keeps the memory bound: the rows that would expire first go first, a
// quarter of a ring at a time.
func (st *streams) shrink() {
	for st.bytes.Load() > st.store.opts.StreamBytes && len(st.byExpiry) > 0 {
		r := st.byExpiry[0]
		st.evictFirst(r, max(1, len(r.rows)/4))
	}
}

func (st *streams) schedule() {
	due := int64(math.MaxInt64)
	if len(st.byExpiry) > 0 {
		due = st.byExpiry[0].firstExpiry()
	}
	st.due.Store(due)
}

// drop forgets the rings of a dropped table.
func (st *streams) drop(id ident.TableID) {
	for k, r := range st.rings {
		if k.table == id {
			st.forget(r, r.rows)
			st.setView(r, nil, r.lost)
		}
	}
	st.schedule()
}

// evictor asks the committer to evict when something is due.
func (st *streams) evictor() {
	tick := time.NewTicker(st.store.opts.EvictionInterval)
	defer tick.Stop()
	for {
		select {
		case <-st.store.ctx.Done():
			return
		case <-tick.C:
			if st.due.Load() > st.store.opts.Now().UnixMicro() {
				continue
			}
			// An error means that the store is being closed, or is broken for
			// everybody.
			_ = st.store.evict(st.store.ctx)
		}
	}
}

// evict shows a state without the STREAM rows whose time is up.
func (s *Store) evict(ctx context.Context) error {
	return s.command(ctx, func() error {
		if s.broken != nil || !s.streams.evict() {
			return s.broken
		}
		return s.advance(s.cur.Load().Catalog)
	})
}

// StreamStats is how many rows and bytes all STREAM tables hold.
func (s *Store) StreamStats() (rows int, bytes int64) {
	return int(s.streams.rows.Load()), s.streams.bytes.Load()
}

// StreamCount is how many rows a STREAM table holds, of all users together.
func (s *Store) StreamCount(id ident.TableID) (rows, bytes int64) {
	s.streams.shown.Load().views.Ascend(&ringView{key: ringKey{table: id}}, func(v *ringView) bool {
		if v.key.table != id {
			return false
		}
		rows += int64(len(v.rows))
		for i := range v.rows {
			bytes += v.rows[i].size
		}
		return true
	})
	return rows, bytes
}

func (r *ring) firstExpiry() int64 { return r.expiry(r.rows[0].at) }

// expiryHeap orders rings by when their oldest row expires; those whose rows
// never do, by age.
type expiryHeap []*ring

func (h expiryHeap) Len() int { return len(h) }

func (h expiryHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	if x, y := a.firstExpiry(), b.firstExpiry(); x != y {
		return x < y
	}
	return a.rows[0].at < b.rows[0].at
}

func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

// Push implements heap.Interface.
func (h *expiryHeap) Push(x any) {
	r := x.(*ring)
	r.pos = len(*h)
	*h = append(*h, r)
}

// Pop implements heap.Interface.
func (h *expiryHeap) Pop() any {
	old := *h
	r := old[len(old)-1]
	r.pos = -1
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return r
}
