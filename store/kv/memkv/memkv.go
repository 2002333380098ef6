// Package memkv keeps the database's bytes in memory, in copy-on-write
// B-trees: a snapshot costs nothing and never holds up a writer. Nothing
// survives Close. It is a backend in its own right, for tests, for caches and
// for databases that live as long as their process.
package memkv

import (
	"bytes"
	"context"
	"iter"
	"sync"

	"github.com/tidwall/btree"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

var _ kv.Backend = (*Backend)(nil)

// entryOverhead is about what a key costs beside its bytes.
const entryOverhead = 80

// Options sets how much is kept. The zero value of each field means its
// default.
type Options struct {
	// MaxBytes is where writes that add data are refused with
	// RESOURCE_EXHAUSTED. What old snapshots alone still see is not counted.
	// Default: no limit.
	MaxBytes int64
	// MaxBatch is the size in bytes of the largest batch. Default 256 MiB.
	MaxBatch int64
}

// Backend is a database in memory.
type Backend struct {
	opt Options

	// mu guards what follows. It is held for a whole batch, so readers that
	// take a snapshot wait for one, and no longer.
	mu     sync.Mutex
	closed bool
	data   *btree.BTreeG[entry]
	names  *btree.BTreeG[kv.Partition]
	bytes  int64
	// frozen is the state that snapshots share until the next write.
	frozen *state
	open   map[*snapshot]struct{}
}

// entry is a key with its partition's name and a zero byte before it, and its
// value. Neither is ever changed, so snapshots may hand them out.
type entry struct {
	key   []byte
	value []byte
}

func (e entry) size() int64 { return int64(len(e.key) + len(e.value) + entryOverhead) }

// state is an immutable copy of both trees.
type state struct {
	data  *btree.BTreeG[entry]
	names *btree.BTreeG[kv.Partition]
}

// New makes an empty database.
func New(opt Options) *Backend {
	if opt.MaxBatch <= 0 {
		opt.MaxBatch = 256 << 20
	}
	o := btree.Options{NoLocks: true}
	return &Backend{
		opt:   opt,
		data:  btree.NewBTreeGOptions(func(a, b entry) bool { return bytes.Compare(a.key, b.key) < 0 }, o),
		names: btree.NewBTreeGOptions(func(a, b kv.Partition) bool { return a < b }, o),
		open:  make(map[*snapshot]struct{}),
	}
}

func appendKey(dst []byte, p kv.Partition, key []byte) []byte {
	dst = append(dst, p...)
	dst = append(dst, 0)
	return append(dst, key...)
}

// Snapshot implements kv.Backend.
func (b *Backend) Snapshot() (kv.Snapshot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, kv.ErrClosed
	}
	if b.frozen == nil {
		b.frozen = &state{data: b.data.Copy(), names: b.names.Copy()}
	}
	s := &snapshot{b: b, state: b.frozen}
	b.open[s] = struct{}{}
	return s, nil
}

// Write implements kv.Backend.
func (b *Backend) Write(ctx context.Context, batch *kv.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := batch.Check(b.opt.MaxBatch); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return kv.ErrClosed
	}
	if b.opt.MaxBytes > 0 && b.bytes+growth(batch) > b.opt.MaxBytes {
		return dberr.Newf(dberr.ResourceExhausted, "The memory of the database, %d bytes, is full.", b.opt.MaxBytes).
			WithHint("Delete rows, or raise the limit.")
	}
	b.frozen = nil
	var last kv.Partition
	for i := range batch.Len() {
		op := batch.Op(i)
		if op.Kind != kv.OpDelete && op.Partition != last {
			b.names.Set(op.Partition)
			last = op.Partition
		}
		if op.Kind == kv.OpCreatePartition {
			continue
		}
		mem := make([]byte, 0, len(op.Partition)+1+len(op.Key)+len(op.Value))
		mem = appendKey(mem, op.Partition, op.Key)
		e := entry{key: mem[:len(mem):len(mem)]}
		var old entry
		var had bool
		if op.Kind == kv.OpPut {
			e.value = append(mem, op.Value...)[len(mem):]
			b.bytes += e.size()
			old, had = b.data.Set(e)
		} else {
			old, had = b.data.Delete(e)
		}
		if had {
			b.bytes -= old.size()
		}
	}
	return nil
}

// growth is how much a batch adds at most.
func growth(batch *kv.Batch) int64 {
	var n int64
	for i := range batch.Len() {
		if op := batch.Op(i); op.Kind == kv.OpPut {
			n += int64(len(op.Partition)+1+len(op.Key)+len(op.Value)) + entryOverhead
		}
	}
	return n
}

// DropPartitions implements kv.Backend.
func (b *Backend) DropPartitions(ctx context.Context, prefix kv.Partition) error {
	if !prefix.Valid() {
		return dberr.Newf(dberr.Internal, "invalid prefix of partitions %q", string(prefix))
	}
	return b.drop(ctx, []byte(prefix), prefix, kv.Partition(kv.Successor([]byte(prefix))))
}

// DropPartition implements kv.Backend.
func (b *Backend) DropPartition(ctx context.Context, name kv.Partition) error {
	if !name.Valid() {
		return dberr.Newf(dberr.Internal, "invalid partition name %q", string(name))
	}
	return b.drop(ctx, appendKey(nil, name, nil), name, name+"\x00")
}

// drop removes the data keys that start with a prefix and the names from first
// to before end; an empty end is behind every name.
func (b *Backend) drop(ctx context.Context, data []byte, first, end kv.Partition) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return kv.ErrClosed
	}
	b.frozen = nil
	var entries []entry
	b.data.Ascend(entry{key: data}, func(e entry) bool {
		if !bytes.HasPrefix(e.key, data) {
			return false
		}
		entries = append(entries, e)
		return true
	})
	for _, e := range entries {
		b.data.Delete(e)
		b.bytes -= e.size()
	}
	var names []kv.Partition
	b.names.Ascend(first, func(p kv.Partition) bool {
		if end != "" && p >= end {
			return false
		}
		names = append(names, p)
		return true
	})
	for _, p := range names {
		b.names.Delete(p)
	}
	return nil
}

// Compact implements kv.Backend: the garbage collector does it.
func (b *Backend) Compact(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return kv.ErrClosed
	}
	return nil
}

// Limits implements kv.Backend.
func (b *Backend) Limits() kv.Limits {
	return kv.Limits{BatchLen: 10_000, BatchSize: 4 << 20, MaxBatchSize: b.opt.MaxBatch}
}

// Size implements kv.Backend: about the bytes of memory of the present state.
func (b *Backend) Size(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, kv.ErrClosed
	}
	return b.bytes, nil
}

// Close implements kv.Backend.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for s := range b.open {
		s.end(kv.ErrClosed)
	}
	b.open, b.frozen = nil, nil
	b.data.Clear()
	b.names.Clear()
	b.bytes = 0
	return nil
}

// snapshot reads an immutable state.
type snapshot struct {
	b *Backend

	// mu guards what follows.
	mu    sync.RWMutex
	state *state
	ended error
}

// reading is the state, or why there is none any more.
func (s *snapshot) reading() (*state, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state, s.ended
}

func (s *snapshot) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.state, s.ended = nil, err
	}
}

// Release implements kv.Snapshot.
func (s *snapshot) Release() {
	s.b.mu.Lock()
	delete(s.b.open, s)
	s.b.mu.Unlock()
	s.end(kv.ErrReleased)
}

// Get implements kv.Snapshot.
func (s *snapshot) Get(p kv.Partition, key []byte) ([]byte, bool, error) {
	st, err := s.reading()
	if err != nil {
		return nil, false, err
	}
	if !p.Valid() {
		return nil, false, nil
	}
	e, ok := st.data.Get(entry{key: appendKey(make([]byte, 0, len(p)+1+len(key)), p, key)})
	return e.value, ok, nil
}

// Scan implements kv.Snapshot.
func (s *snapshot) Scan(p kv.Partition, r kv.Range) kv.Iterator {
	it := &iterator{s: s, reverse: r.Reverse, keysOnly: r.KeysOnly, strip: len(p) + 1}
	st, err := s.reading()
	if err != nil {
		it.err, it.closed = err, true
		return it
	}
	if !p.Valid() {
		it.closed = true
		return it
	}
	base := appendKey(make([]byte, 0, len(p)+1), p, nil)
	it.start = append(base[:len(base):len(base)], r.Start...)
	if r.End != nil {
		it.end = append(base[:len(base):len(base)], r.End...)
	} else {
		it.end = kv.Successor(base)
	}
	it.closed = bytes.Compare(it.start, it.end) >= 0
	it.it = st.data.Iter()
	return it
}

// Partitions implements kv.Snapshot.
func (s *snapshot) Partitions(prefix kv.Partition) iter.Seq2[kv.Partition, error] {
	return func(yield func(kv.Partition, error) bool) {
		st, err := s.reading()
		if err != nil {
			yield("", err)
			return
		}
		st.names.Ascend(prefix, func(p kv.Partition) bool {
			if len(p) < len(prefix) || p[:len(prefix)] != prefix {
				return false
			}
			if _, err := s.reading(); err != nil {
				yield("", err)
				return false
			}
			return yield(p, nil)
		})
	}
}

// iterator implements kv.Iterator over the state that it was made with.
type iterator struct {
	s                 *snapshot
	it                btree.IterG[entry]
	start, end        []byte
	strip             int
	reverse, keysOnly bool

	started, closed, valid bool
	err                    error
}

// Next implements kv.Iterator.
func (it *iterator) Next() bool {
	it.valid = false
	if it.closed || it.err != nil {
		return false
	}
	if _, err := it.s.reading(); err != nil {
		it.err = err
		return false
	}
	if !it.step() {
		it.closed = true
		return false
	}
	k := it.it.Item().key
	if it.reverse && bytes.Compare(k, it.start) < 0 || !it.reverse && bytes.Compare(k, it.end) >= 0 {
		it.closed = true
		return false
	}
	it.valid = true
	return true
}

func (it *iterator) step() bool {
	switch {
	case it.started && it.reverse:
		return it.it.Prev()
	case it.started:
		return it.it.Next()
	}
	it.started = true
	if !it.reverse {
		return it.it.Seek(entry{key: it.start})
	}
	// The tree finds the first key not below end; the one before is the last
	// of the range.
	if it.it.Seek(entry{key: it.end}) {
		return it.it.Prev()
	}
	return it.it.Last()
}

// Key implements kv.Iterator.
func (it *iterator) Key() []byte {
	if !it.valid {
		return nil
	}
	return it.it.Item().key[it.strip:]
}

// Value implements kv.Iterator.
func (it *iterator) Value() ([]byte, error) {
	if !it.valid || it.keysOnly {
		return nil, it.err
	}
	return it.it.Item().value, nil
}

// Err implements kv.Iterator.
func (it *iterator) Err() error { return it.err }

// Close implements kv.Iterator.
func (it *iterator) Close() {
	it.valid, it.closed = false, true
	it.it.Release()
}
