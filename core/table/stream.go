package table

import (
	"container/heap"
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/keyenc"
)

// streams keeps the rows of STREAM tables: a ring for each table and user, in
// order of their sequence numbers, which is also that of their times.
//
// The committer changes rings; readers take a ring's view, which nobody
// changes. A row goes when its time is up, when its ring is full, when the
// memory of all rings is, and by DELETE.
type streams struct {
	store *Store
	// start is the sequence number at which the server started: it knows
	// nothing of what was before.
	start change.Seq

	mu    sync.RWMutex // guards rings as a map; the committer writes it
	rings map[ringKey]*ring

	// due is when the next row expires, in microseconds.
	due   atomic.Int64
	bytes atomic.Int64

	// lost is at least the last change of all rings that are gone.
	lost atomic.Uint64

	// byExpiry is the committer's: rings by when their oldest row expires.
	byExpiry expiryHeap
}

type ringKey struct {
	table ident.TableID
	user  ident.UserID
}

// ring is one user's part of a STREAM table.
type ring struct {
	key  ringKey
	ttl  int64 // microseconds; 0: for ever
	max  int
	view atomic.Pointer[ringView]

	// The committer's:

	index map[string]change.Seq // in a table with a primary key
	pos   int                   // in byExpiry
}

// ringView is a ring's rows at one time.
type ringView struct {
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

// streamOp is a change of a ring that waits for its batch to be written.
type streamOp struct {
	ring   ringKey
	table  *ddl.Table
	delete change.Seq // the row to delete; 0: insert
	insert streamRow
	seq    change.Seq
}

const rowOverhead = 96

func newStreams(s *Store) *streams {
	st := &streams{store: s, rings: map[ringKey]*ring{}}
	st.due.Store(math.MaxInt64)
	return st
}

func (st *streams) find(k ringKey) *ring {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.rings[k]
}

// expiry is when a row's time is up.
func (r *ring) expiry(at int64) int64 {
	if r.ttl == 0 || at > math.MaxInt64-r.ttl {
		return math.MaxInt64
	}
	return at + r.ttl
}

// rows gives the rows of a ring that a reader at a state sees, and the last
// change that it cannot know of.
func (st *streams) read(k ringKey, upTo change.Seq, now time.Time) (rows []streamRow, lost change.Seq) {
	lost = st.start
	r := st.find(k)
	if r == nil {
		return nil, max(lost, change.Seq(st.lost.Load()))
	}
	v := r.view.Load()
	rows = v.rows
	if n := len(rows); n > 0 && rows[n-1].seq > upTo {
		rows = rows[:sort.Search(n, func(i int) bool { return rows[i].seq > upTo })]
	}
	if m := now.UnixMicro(); len(rows) > 0 && r.expiry(rows[0].at) <= m {
		cut := sort.Search(len(rows), func(i int) bool { return r.expiry(rows[i].at) > m })
		lost = max(lost, rows[cut-1].seq)
		rows = rows[cut:]
	}
	return rows, max(lost, v.lost)
}

// Lost is the last change of a user's part of a table that left nothing behind
// at a state: who knows less than that cannot be told what it missed.
func (s *Store) Lost(at *State, t *ddl.Table, user ident.UserID, now time.Time) change.Seq {
	switch t.Type {
	case ident.StreamTable:
	case ident.UserTable:
		return s.lostRows(at, keyenc.UserPartition(t.ID, user))
	default:
		return 0
	}
	_, lost := s.streams.read(ringKey{t.ID, user}, at.Seq, now)
	return lost
}

// lookup finds a row by its key; the committer asks after it has evicted what
// is expired.
func (st *streams) lookup(k ringKey, key string) version {
	r := st.find(k)
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

func (r *ring) position(seq change.Seq) (int, bool) {
	return slices.BinarySearchFunc(r.view.Load().rows, seq, func(a streamRow, s change.Seq) int {
		switch {
		case a.seq < s:
			return -1
		case a.seq > s:
			return 1
		}
		return 0
	})
}

// apply makes the changes of a batch that was written. The committer calls it.
func (st *streams) apply(ops []streamOp) {
	if len(ops) == 0 {
		return
	}
	now := st.store.opts.Now().UnixMicro()
	for i := range ops {
		op := &ops[i]
		if op.delete != 0 {
			if r := st.find(op.ring); r != nil {
				st.deleteRow(r, op.delete, op.seq)
			}
			continue
		}
		r := st.open(op.ring, op.table)
		st.evictRing(r, now)
		v := r.view.Load()
		rows, lost := v.rows, v.lost
		if drop := len(rows) + 1 - r.max; drop > 0 {
			st.forget(r, rows[:drop])
			lost = max(lost, rows[drop-1].seq)
			rows = rows[drop:]
		}
		// Readers have views of the rows before, never of the place behind
		// them, so appending in place disturbs nobody.
		rows = append(rows, op.insert)
		if r.index != nil {
			r.index[op.insert.key] = op.insert.seq
		}
		st.bytes.Add(op.insert.size)
		st.setView(r, &ringView{rows: rows, lost: lost})
	}
	st.shrink()
	st.schedule()
}

// open finds or makes a ring. Rings without rows are kept nowhere: setView puts
// a ring with its first row into the map, and takes it out with its last.
func (st *streams) open(k ringKey, t *ddl.Table) *ring {
	if r := st.find(k); r != nil {
		return r
	}
	r := &ring{key: k, ttl: t.TTL.Microseconds(), max: t.MaxBuffer, pos: -1}
	if r.max <= 0 {
		r.max = st.store.opts.MaxBuffer
	}
	if len(t.PrimaryKey) > 0 {
		r.index = map[string]change.Seq{}
	}
	r.view.Store(&ringView{lost: change.Seq(st.lost.Load())})
	return r
}

func (st *streams) setView(r *ring, v *ringView) {
	r.view.Store(v)
	switch {
	case len(v.rows) == 0:
		if r.pos >= 0 {
			heap.Remove(&st.byExpiry, r.pos)
		}
		st.mu.Lock()
		delete(st.rings, r.key)
		st.mu.Unlock()
		st.lost.Store(max(st.lost.Load(), uint64(v.lost)))
	case r.pos < 0:
		heap.Push(&st.byExpiry, r)
		st.mu.Lock()
		st.rings[r.key] = r
		st.mu.Unlock()
	default:
		heap.Fix(&st.byExpiry, r.pos)
	}
}

func (st *streams) deleteRow(r *ring, seq, by change.Seq) {
	i, ok := r.position(seq)
	if !ok {
		return
	}
	v := r.view.Load()
	st.forget(r, v.rows[i:i+1])
	rows := make([]streamRow, 0, len(v.rows))
	rows = append(append(rows, v.rows[:i]...), v.rows[i+1:]...)
	st.setView(r, &ringView{rows: rows, lost: max(v.lost, by)})
}

// forget takes rows out of the index and the account.
func (st *streams) forget(r *ring, rows []streamRow) {
	for i := range rows {
		st.bytes.Add(-rows[i].size)
		if r.index != nil && r.index[rows[i].key] == rows[i].seq {
			delete(r.index, rows[i].key)
		}
	}
}

// evictRing drops the expired rows of a ring.
func (st *streams) evictRing(r *ring, now int64) {
	v := r.view.Load()
	n := sort.Search(len(v.rows), func(i int) bool { return r.expiry(v.rows[i].at) > now })
	st.evictFirst(r, n)
}

// evictFirst drops the n oldest rows of a ring.
func (st *streams) evictFirst(r *ring, n int) {
	if n == 0 {
		return
	}
	v := r.view.Load()
	st.forget(r, v.rows[:n])
	rest := v.rows[n:]
	if len(rest) < cap(v.rows)/4 {
		// What was dropped must not stay in memory behind what remains.
		rest = slices.Clone(rest)
	}
	st.setView(r, &ringView{rows: rest, lost: max(v.lost, v.rows[n-1].seq)})
}

// evict drops everything that is expired. It runs on the committer.
func (st *streams) evict() {
	now := st.store.opts.Now().UnixMicro()
	for len(st.byExpiry) > 0 && st.byExpiry[0].firstExpiry() <= now {
		st.evictRing(st.byExpiry[0], now)
	}
	st.schedule()
}

// shrink keeps the memory bound: the rows that would expire first go first, a
// quarter of a ring at a time.
func (st *streams) shrink() {
	for st.bytes.Load() > st.store.opts.StreamBytes && len(st.byExpiry) > 0 {
		r := st.byExpiry[0]
		st.evictFirst(r, max(1, len(r.view.Load().rows)/4))
	}
}

func (st *streams) schedule() {
	due := int64(math.MaxInt64)
	if len(st.byExpiry) > 0 {
		due = st.byExpiry[0].firstExpiry()
	}
	st.due.Store(due)
}

// drop forgets the rings of a dropped table. It runs on the committer.
func (st *streams) drop(id ident.TableID) {
	for k, r := range st.rings {
		if k.table == id {
			v := r.view.Load()
			st.forget(r, v.rows)
			st.setView(r, &ringView{lost: v.lost})
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
			// An error means that the store is being closed.
			_ = st.store.command(st.store.ctx, func() error { st.evict(); return nil })
		}
	}
}

// StreamStats is how many rows and bytes all STREAM tables hold.
func (s *Store) StreamStats() (rows int, bytes int64) {
	s.streams.mu.RLock()
	defer s.streams.mu.RUnlock()
	for _, r := range s.streams.rings {
		rows += len(r.view.Load().rows)
	}
	return rows, s.streams.bytes.Load()
}

// StreamCount is how many rows a STREAM table holds, of all users together.
func (s *Store) StreamCount(id ident.TableID) (rows, bytes int64) {
	s.streams.mu.RLock()
	defer s.streams.mu.RUnlock()
	for k, r := range s.streams.rings {
		if k.table == id {
			v := r.view.Load()
			rows += int64(len(v.rows))
			for i := range v.rows {
				bytes += v.rows[i].size
			}
		}
	}
	return rows, bytes
}

func (r *ring) firstExpiry() int64 { return r.expiry(r.view.Load().rows[0].at) }

// expiryHeap orders rings by when their oldest row expires; those whose rows
// never do, by age.
type expiryHeap []*ring

func (h expiryHeap) Len() int { return len(h) }

func (h expiryHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	if x, y := a.firstExpiry(), b.firstExpiry(); x != y {
		return x < y
	}
	return a.view.Load().rows[0].at < b.view.Load().rows[0].at
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
