package table

import (
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/store/kv"
)

// State is what the database held after one commit. All who read between that
// commit and the next share it, with the one snapshot of the backend that it
// holds. It must be released.
type State struct {
	// Seq is the sequence number of the last change in it.
	Seq     change.Seq
	Catalog *catalog.Snapshot

	kv   kv.Snapshot
	refs atomic.Int64
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

// show makes a state the newest one.
func (s *Store) show(st *State) {
	st.refs.Store(1)
	if old := s.cur.Swap(st); old != nil {
		old.Release()
	}
}
