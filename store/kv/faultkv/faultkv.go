package faultkv

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/kalamdb/kalamdb/store/kv"
)

var _ kv.Backend = (*Backend)(nil)

// Backend is a backend with faults.
type Backend struct {
	inner kv.Backend

	// mu guards what follows; it is not held while a rule or the wrapped
	// backend is at work.
	mu      sync.Mutex
	rules   []*Rule
	counts  map[Op]int
	crashed bool
}

// New wraps a backend.
func New(inner kv.Backend, rules ...*Rule) *Backend {
	return &Backend{inner: inner, rules: rules, counts: make(map[Op]int)}
}

// Set replaces the rules; without any, all goes well again, except after a
// crash.
func (b *Backend) Set(rules ...*Rule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = slices.Clone(rules)
}

// Count is how many calls of a kind there were, with those that failed.
func (b *Backend) Count(op Op) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[op]
}

// Crashed tells whether a rule has crashed the backend.
func (b *Backend) Crashed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.crashed
}

// do runs a call under the first rule that is about it.
func (b *Backend) do(ctx context.Context, c Call, call func() error) (err error) {
	rule, err := b.find(c)
	if err != nil {
		return err
	}
	if rule == nil {
		return call()
	}
	if rule.after != nil {
		defer func() { rule.after(c, err) }()
	}
	if rule.before != nil {
		if err := rule.before(ctx, c); err != nil {
			return err
		}
	}
	switch rule.crash {
	case crashBefore:
		return b.die()
	case crashAfter:
		if err := call(); err != nil {
			return err
		}
		return b.die()
	}
	if b.Crashed() {
		return ErrCrashed // while this call was held up
	}
	return call()
}

func (b *Backend) die() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.crashed = true
	return ErrCrashed
}

// find counts a call and looks for its rule.
func (b *Backend) find(c Call) (*Rule, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[c.Op]++
	if b.crashed {
		return nil, ErrCrashed
	}
	for _, r := range b.rules {
		if r.op != c.Op || r.times == 0 || r.in != "" && !c.touches(r.in) {
			continue
		}
		if r.skip > 0 {
			r.skip--
			continue
		}
		if r.times > 0 {
			r.times--
		}
		return r, nil
	}
	return nil, nil
}

// Snapshot implements kv.Backend.
func (b *Backend) Snapshot() (s kv.Snapshot, err error) {
	err = b.do(context.Background(), Call{Op: Snapshot}, func() error {
		inner, err := b.inner.Snapshot()
		s = &snapshot{Snapshot: inner, b: b}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Write implements kv.Backend.
func (b *Backend) Write(ctx context.Context, batch *kv.Batch) error {
	return b.do(ctx, Call{Op: Write, Batch: batch}, func() error { return b.inner.Write(ctx, batch) })
}

// DropPartitions implements kv.Backend.
func (b *Backend) DropPartitions(ctx context.Context, prefix kv.Partition) error {
	return b.do(ctx, Call{Op: Drop, Partition: prefix}, func() error { return b.inner.DropPartitions(ctx, prefix) })
}

// DropPartition implements kv.Backend.
func (b *Backend) DropPartition(ctx context.Context, name kv.Partition) error {
	return b.do(ctx, Call{Op: Drop, Partition: name}, func() error { return b.inner.DropPartition(ctx, name) })
}

// Compact implements kv.Backend.
func (b *Backend) Compact(ctx context.Context) error {
	return b.do(ctx, Call{Op: Compact}, func() error { return b.inner.Compact(ctx) })
}

// Size implements kv.Backend.
func (b *Backend) Size(ctx context.Context) (n int64, err error) {
	err = b.do(ctx, Call{Op: Size}, func() (err error) { n, err = b.inner.Size(ctx); return err })
	return n, err
}

// Limits implements kv.Backend.
func (b *Backend) Limits() kv.Limits { return b.inner.Limits() }

// Close implements kv.Backend. After a crash it leaves the wrapped backend
// open.
func (b *Backend) Close() error {
	if b.Crashed() {
		return nil
	}
	return b.inner.Close()
}

type snapshot struct {
	kv.Snapshot
	b *Backend
}

// Get implements kv.Snapshot.
func (s *snapshot) Get(p kv.Partition, key []byte) (v []byte, found bool, err error) {
	err = s.b.do(context.Background(), Call{Op: Get, Partition: p}, func() (err error) {
		v, found, err = s.Snapshot.Get(p, key)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return v, found, nil
}

// Scan implements kv.Snapshot.
func (s *snapshot) Scan(p kv.Partition, r kv.Range) kv.Iterator {
	return &iterator{Iterator: s.Snapshot.Scan(p, r), b: s.b, p: p}
}

// Partitions implements kv.Snapshot.
func (s *snapshot) Partitions(prefix kv.Partition) iter.Seq2[kv.Partition, error] {
	return func(yield func(kv.Partition, error) bool) {
		for p, err := range s.Snapshot.Partitions(prefix) {
			if err == nil {
				err = s.b.do(context.Background(), Call{Op: Next, Partition: p}, func() error { return nil })
			}
			if err != nil {
				yield("", err)
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// iterator fails where a rule about Next says so, and then stands still.
type iterator struct {
	kv.Iterator
	b   *Backend
	p   kv.Partition
	err error
}

// Next implements kv.Iterator.
func (it *iterator) Next() (ok bool) {
	if it.err != nil {
		return false
	}
	it.err = it.b.do(context.Background(), Call{Op: Next, Partition: it.p}, func() error {
		ok = it.Iterator.Next()
		return nil
	})
	return ok && it.err == nil
}

// Key implements kv.Iterator.
func (it *iterator) Key() []byte {
	if it.err != nil {
		return nil
	}
	return it.Iterator.Key()
}

// Value implements kv.Iterator.
func (it *iterator) Value() ([]byte, error) {
	if it.err != nil {
		return nil, it.err
	}
	return it.Iterator.Value()
}

// Err implements kv.Iterator.
func (it *iterator) Err() error {
	if it.err != nil {
		return it.err
	}
	return it.Iterator.Err()
}
