package table

import (
	"bytes"
	"sync"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/kv"
)

// hotRanges knows between which keys the hot rows of flushed partitions lie.
//
// A backend may have to step over what was deleted, for long after it was: a
// scan of a partition whose rows have all moved would cost as much as they did.
// So the end of a flush notes what it has left, and the committer widens that
// by what it writes. A partition that is not known here has no bounds.
type hotRanges struct {
	mu sync.RWMutex // guards m
	m  map[kv.Partition]*hotRange
}

// hotRange is the bounds of a partition's hot rows at every state whose
// generation of the table's segments is gen or a later one. Of hot rows outside
// of it such a state has the cold copies.
type hotRange struct {
	gen uint64
	// min and max are the first and the last key; any is false when there is
	// no row.
	min, max []byte
	any      bool
}

// maxHotRanges is how many partitions are known at most.
const maxHotRanges = 100_000

func (r *hotRange) widen(key []byte) {
	switch {
	case !r.any:
		r.min, r.max, r.any = bytes.Clone(key), bytes.Clone(key), true
	case bytes.Compare(key, r.min) < 0:
		r.min = bytes.Clone(key)
	case bytes.Compare(key, r.max) > 0:
		r.max = bytes.Clone(key)
	}
}

// wrote widens the range of a partition by a key that is about to be written.
func (h *hotRanges) wrote(p kv.Partition, key []byte) {
	h.mu.RLock()
	r := h.m[p]
	inside := r != nil && r.any && bytes.Compare(key, r.min) >= 0 && bytes.Compare(key, r.max) <= 0
	h.mu.RUnlock()
	if r == nil || inside {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	// Readers may have the old one.
	next := *r
	next.widen(key)
	h.m[p] = &next
}

// set notes what a flush has left. The committer calls it, between two batches.
func (h *hotRanges) set(p kv.Partition, r *hotRange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil {
		h.m = map[kv.Partition]*hotRange{}
	}
	if h.m[p] == nil && len(h.m) >= maxHotRanges {
		for other := range h.m {
			delete(h.m, other)
			break
		}
	}
	h.m[p] = r
}

// clamp narrows a range of a partition's keys to where a state has hot rows
// that matter. It is false when there are none.
func (s *Store) clamp(st *State, id ident.TableID, p kv.Partition, r kv.Range) (kv.Range, bool) {
	s.hot.mu.RLock()
	h := s.hot.m[p]
	s.hot.mu.RUnlock()
	if h == nil || st.cold[id] < h.gen {
		return r, true
	}
	if !h.any {
		return r, false
	}
	if bytes.Compare(h.min, r.Start) > 0 {
		r.Start = h.min
	}
	if end := append(bytes.Clone(h.max), 0); r.End == nil || bytes.Compare(end, r.End) < 0 {
		r.End = end
	}
	return r, bytes.Compare(r.Start, r.End) < 0
}
