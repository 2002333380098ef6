package badgerkv

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/readpoint"
)

// snapshot reads at one timestamp.
type snapshot struct {
	b     *Backend
	point *readpoint.Point

	// mu keeps Release and Close, which hold it whole, from taking Badger's
	// memory away under a read, which shares it.
	mu    sync.RWMutex
	txn   *badger.Txn
	ended error
	// iters are the open iterators; guarded by itersMu, as reads that share mu
	// open and close them.
	itersMu sync.Mutex
	iters   map[*iterator]struct{}
}

// Snapshot implements kv.Backend.
func (b *Backend) Snapshot() (kv.Snapshot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// Close looks for open snapshots under mu after it has set closed: one made
	// here is either refused or found.
	if b.closed.Load() {
		return nil, kv.ErrClosed
	}
	p := b.points.Pin(b.visible)
	s := &snapshot{b: b, point: p, txn: b.db.NewTransactionAt(p.Seq, false)}
	b.open[s] = struct{}{}
	return s, nil
}

// Release implements kv.Snapshot.
func (s *snapshot) Release() { s.end(kv.ErrReleased) }

// end closes the snapshot; reads answer err from now on.
func (s *snapshot) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = err
		for it := range s.iters {
			it.it.Close()
		}
		s.iters = nil
		s.txn.Discard()
		s.b.mu.Lock()
		s.b.points.Unpin(s.point)
		delete(s.b.open, s)
		s.b.mu.Unlock()
	}
}

// Get implements kv.Snapshot.
func (s *snapshot) Get(p kv.Partition, key []byte) ([]byte, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ended != nil {
		return nil, false, s.ended
	}
	if !p.Valid() || len(key) > kv.MaxKeySize {
		return nil, false, nil
	}
	k := appendDataKey(make([]byte, 0, len(p)+len(key)+2), p, key)
	item, err := s.txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, unavailable("read", fmt.Errorf("get: %w", err))
	}
	v, err := readValue(item, nil)
	if err != nil {
		return nil, false, unavailable("read", fmt.Errorf("get value: %w", err))
	}
	return v, true, nil
}

// Scan implements kv.Snapshot.
func (s *snapshot) Scan(p kv.Partition, r kv.Range) kv.Iterator {
	if !p.Valid() {
		return &iterator{s: s, closed: true}
	}
	base := appendDataKey(make([]byte, 0, len(p)+2), p, nil)
	start := append(base[:len(base):len(base)], r.Start...)
	var end []byte
	if r.End != nil {
		end = append(base[:len(base):len(base)], r.End...)
	} else {
		end = kv.Successor(base)
	}
	return s.scan(start, end, len(base), r.Reverse, r.KeysOnly)
}

// scan walks the physical keys from start to before end. strip is what Key
// leaves out of them.
func (s *snapshot) scan(start, end []byte, strip int, reverse, keysOnly bool) *iterator {
	it := &iterator{s: s, start: start, end: end, strip: strip, reverse: reverse, keysOnly: keysOnly}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ended != nil {
		it.err, it.closed = s.ended, true
		return it
	}
	if bytes.Compare(start, end) >= 0 {
		it.closed = true
		return it
	}
	// All keys of the range share what its bounds share; with it Badger looks
	// into fewer files.
	it.it = s.txn.NewIterator(badger.IteratorOptions{Reverse: reverse, Prefix: commonPrefix(start, end)})
	s.itersMu.Lock()
	defer s.itersMu.Unlock()
	if s.iters == nil {
		s.iters = make(map[*iterator]struct{})
	}
	s.iters[it] = struct{}{}
	return it
}

func commonPrefix(a, b []byte) []byte {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return a[:i]
		}
	}
	return a[:n]
}

// Partitions implements kv.Snapshot.
func (s *snapshot) Partitions(prefix kv.Partition) iter.Seq2[kv.Partition, error] {
	return func(yield func(kv.Partition, error) bool) {
		start := appendRegistryKey(nil, prefix)
		it := s.scan(start, kv.Successor(start), 1, false, true)
		defer it.Close()
		for it.Next() {
			if !yield(kv.Partition(it.Key()), nil) {
				return
			}
		}
		if err := it.Err(); err != nil {
			yield("", err)
		}
	}
}

// iterator implements kv.Iterator.
type iterator struct {
	s                 *snapshot
	it                *badger.Iterator
	start, end        []byte
	strip             int
	reverse, keysOnly bool

	started, closed, valid bool
	key, value             []byte
	hasValue               bool
	large                  []byte // memory for large values
	err                    error
}

// readValue reads a value. A small one is in memory that Badger made for the
// item: its own after a Get, its own until the next step in a scan. A large
// one lies in a mapped file that may be unmapped at once, so it is copied to
// dst.
func readValue(item *badger.Item, dst []byte) (v []byte, err error) {
	err = item.Value(func(b []byte) error {
		if v = b; len(b) >= largeValue {
			v = append(dst, b...)
		}
		return nil
	})
	return v, err
}

// Next implements kv.Iterator.
func (it *iterator) Next() bool {
	it.valid, it.hasValue = false, false
	if it.closed || it.err != nil {
		return false
	}
	it.s.mu.RLock()
	defer it.s.mu.RUnlock()
	if it.s.ended != nil {
		it.err = it.s.ended
		return false
	}
	switch {
	case it.started:
		if !it.it.Valid() {
			return false
		}
		it.it.Next()
	case it.reverse:
		// Seek finds the greatest key not above end, which is not in the range.
		it.it.Seek(it.end)
		if it.it.Valid() && bytes.Equal(it.it.Item().Key(), it.end) {
			it.it.Next()
		}
	default:
		it.it.Seek(it.start)
	}
	it.started = true
	if !it.it.Valid() {
		return false
	}
	k := it.it.Item().Key()
	if it.reverse {
		if bytes.Compare(k, it.start) < 0 {
			return false
		}
	} else if bytes.Compare(k, it.end) >= 0 {
		return false
	}
	it.key, it.valid = k[it.strip:], true
	return true
}

// Key implements kv.Iterator. Badger's key is a copy that it reuses, so it
// outlives a Release in another goroutine.
func (it *iterator) Key() []byte {
	if !it.valid {
		return nil
	}
	return it.key
}

// Value implements kv.Iterator.
func (it *iterator) Value() ([]byte, error) {
	if !it.valid || it.keysOnly {
		return nil, it.err
	}
	if it.hasValue {
		return it.value, nil
	}
	it.s.mu.RLock()
	defer it.s.mu.RUnlock()
	if it.s.ended != nil || it.closed {
		it.err = it.s.ended
		return nil, it.err
	}
	v, err := readValue(it.it.Item(), it.large[:0])
	if err != nil {
		it.err = unavailable("read", fmt.Errorf("scan value: %w", err))
		return nil, it.err
	}
	if len(v) >= largeValue {
		it.large = v
	}
	it.value, it.hasValue = v, true
	return v, nil
}

// Err implements kv.Iterator.
func (it *iterator) Err() error { return it.err }

// Close implements kv.Iterator.
func (it *iterator) Close() {
	it.valid = false
	if it.closed {
		return
	}
	it.closed = true
	it.s.mu.RLock()
	defer it.s.mu.RUnlock()
	if it.s.ended != nil {
		return // closed with the snapshot
	}
	it.s.itersMu.Lock()
	delete(it.s.iters, it)
	it.s.itersMu.Unlock()
	it.it.Close()
}
