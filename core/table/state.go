package table

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/store/kv"
)

// State is what the database held after one commit. All who read between that
// commit and the next share it, with the one snapshot of the backend that it
// holds. It must be released.
//
// The snapshot has the lists of cold segments, too, so a state is one of both
// tiers. Files that a later state no longer lists are kept until no state that
// lists them is left.
type State struct {
	// Seq is the sequence number of the last change in it.
	Seq     change.Seq
	Catalog *catalog.Snapshot

	kv   kv.Snapshot
	refs atomic.Int64
	// cold has a generation number for each table that has cold segments; it
	// changes with them. The map is never changed.
	cold map[ident.TableID]uint64
	// streams is nil when the STREAM rows of the state are no longer kept.
	streams atomic.Pointer[streamState]

	// number counts the states; all, next and prev are for finding the oldest
	// one that is still there.
	number     uint64
	all        *states
	next, prev *State
}

// retain takes another reference, unless the last one is gone already.
func (st *State) retain() bool {
	for {
		n := st.refs.Load()
		if n == 0 {
			return false
		}
		if st.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives the state back. It is called once for each Acquire.
func (st *State) Release() {
	switch n := st.refs.Add(-1); {
	case n == 0:
		st.kv.Release()
		st.all.remove(st)
	case n < 0:
		panic("table: state released too often")
	}
}

// Acquire takes the newest state.
func (s *Store) Acquire() *State {
	for {
		// The pointer's own reference may be gone by the time it is read; then
		// a newer state is there already.
		if st := s.cur.Load(); st.retain() {
			return st
		}
	}
}

// Catalog is the newest catalog, for those who read no rows.
func (s *Store) Catalog() *catalog.Snapshot { return s.cur.Load().Catalog }

// show makes a state the newest one, with the STREAM rows that there are now.
func (s *Store) show(st *State) {
	st.refs.Store(1)
	st.streams.Store(s.streams.freeze())
	s.states.add(st)
	if old := s.cur.Swap(st); old != nil {
		old.Release()
	}
	s.states.forgetStreams(s.streams.removed - s.opts.StreamBytes)
}

// regenerate notes that a table's segments have changed, for the states to
// come. It is the committer's.
func (s *Store) regenerate(id ident.TableID) {
	s.coldGen++
	s.coldNow = maps.Clone(s.coldNow)
	if s.coldNow == nil {
		s.coldNow = map[ident.TableID]uint64{}
	}
	s.coldNow[id] = s.coldGen
}

// states is every state that somebody still has, the oldest first.
type states struct {
	mu          sync.Mutex // guards what follows
	first, last *State
	number      uint64
	// waiting are told when the states before a number are gone, in the order
	// of the numbers.
	waiting []awaited
}

type awaited struct {
	number uint64
	gone   func()
}

func (l *states) add(st *State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	st.number, st.all, st.prev = l.number, l, l.last
	if l.last != nil {
		l.last.next = st
	} else {
		l.first = st
	}
	l.last = st
}

func (l *states) remove(st *State) {
	l.mu.Lock()
	if st.prev != nil {
		st.prev.next = st.next
	} else {
		l.first = st.next
	}
	if st.next != nil {
		st.next.prev = st.prev
	} else {
		l.last = st.prev
	}
	st.prev, st.next = nil, nil
	due := l.due()
	l.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// forgetStreams takes the STREAM rows away from the states that were shown
// before so many bytes had been removed from the rings, but for the newest.
func (l *states) forgetStreams(removed int64) {
	if removed <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for st := l.first; st != l.last; st = st.next {
		if s := st.streams.Load(); s != nil && s.removed >= removed {
			return
		}
		st.streams.Store(nil)
	}
}

// due takes out those that need wait no more. The caller holds mu.
func (l *states) due() (out []func()) {
	n := 0
	for n < len(l.waiting) && (l.first == nil || l.first.number >= l.waiting[n].number) {
		out = append(out, l.waiting[n].gone)
		n++
	}
	l.waiting = l.waiting[n:]
	return out
}

// afterOlder calls gone, which must not wait for anything, once every state is
// released that is older than the newest one.
func (l *states) afterOlder(gone func()) {
	l.mu.Lock()
	l.waiting = append(l.waiting, awaited{l.number, gone})
	due := l.due()
	l.mu.Unlock()
	for _, f := range due {
		f()
	}
}
