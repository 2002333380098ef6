package kv

import (
	"bytes"
	"context"
	"errors"
	"iter"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// Bounds that are the same for every backend, so that data written with one
// can be moved to another.
const (
	// MaxPartitionName is the longest name of a partition, in bytes.
	MaxPartitionName = 1024
	// MaxKeySize is the longest key, in bytes.
	MaxKeySize = 32 << 10
	// MaxValueSize is the longest value, in bytes.
	MaxValueSize = 16 << 20
)

// ErrClosed is what every call answers after Backend.Close.
var ErrClosed = dberr.New(dberr.StorageUnavailable, "The storage is closed.")

// ErrReleased is what a snapshot and its iterators answer after Release. It
// is a fault of the calling code.
var ErrReleased = errors.New("read from a released snapshot")

// Partition is the name of an ordered, droppable key range: 1 to
// MaxPartitionName bytes, none of them zero. Names are made by package keyenc.
type Partition string

// Valid tells whether the name keeps the rules of its type.
func (p Partition) Valid() bool {
	if len(p) == 0 || len(p) > MaxPartitionName {
		return false
	}
	for i := 0; i < len(p); i++ {
		if p[i] == 0 {
			return false
		}
	}
	return true
}

// Backend keeps bytes. All methods may be called from several goroutines.
type Backend interface {
	// Snapshot freezes the present state for reading. It is cheap, many may be
	// open at a time, and each must be released.
	Snapshot() (Snapshot, error)

	// Write applies the batch atomically; partitions that it names for the
	// first time come into being with it. The context is looked at before the
	// work begins: a batch that is being written is written to its end. The
	// batch is only read, and may be reset and reused once Write has returned.
	// An empty one writes nothing and tells whether writes are taken.
	//
	// Errors: TOO_LARGE when the batch or a part of it is past a limit,
	// STORAGE_UNAVAILABLE when the medium fails or the backend is closed. After
	// an error nothing of the batch is visible, but after STORAGE_UNAVAILABLE
	// it may turn out to have been written once the backend is opened again.
	Write(ctx context.Context, b *Batch) error

	// DropPartitions removes every partition whose name starts with prefix,
	// with all its keys; an empty prefix is refused. Writes that arrive
	// meanwhile wait. It is repeatable, and must be repeated after a crash in
	// its middle, which may leave any part of the data behind: record the drop
	// elsewhere first.
	//
	// A snapshot taken before sees, in dropped partitions only, either the old
	// keys or none.
	DropPartitions(ctx context.Context, prefix Partition) error

	// DropPartition removes the one partition of exactly this name. It keeps
	// the rules of DropPartitions.
	DropPartition(ctx context.Context, name Partition) error

	// Compact gives back the space of what was deleted and overwritten. It is
	// slow, runs beside reads and writes, and looks at the context between its
	// steps.
	Compact(ctx context.Context) error

	// Limits tells how large a batch should and may be.
	Limits() Limits

	// Size is how many bytes the data takes on its medium.
	Size(ctx context.Context) (int64, error)

	// Close ends all snapshots, waits for calls under way and gives up the
	// medium. A second call does nothing.
	Close() error
}

// Limits are the sizes of batches that suit a backend. Batch.Len and
// Batch.Size are measured against them.
type Limits struct {
	// BatchLen and BatchSize are where to stop gathering unrelated writes into
	// one batch: up to them a batch takes the fast way. A larger one is as
	// atomic, but costs about twice its writing.
	BatchLen  int
	BatchSize int64
	// MaxBatchSize is where Write answers TOO_LARGE.
	MaxBatchSize int64
}

// Snapshot is a frozen state. Its methods may be called from several
// goroutines; an iterator belongs to one.
type Snapshot interface {
	// Get finds a key. The value is valid until Release and must not be
	// changed. A partition that does not exist is an empty one.
	Get(p Partition, key []byte) (value []byte, found bool, err error)

	// Scan walks the keys of a range in order. An error shows in the
	// iterator's Err. The range's slices must stay unchanged until Close.
	Scan(p Partition, r Range) Iterator

	// Partitions lists, in order of their bytes, the names that start with
	// prefix. The walk ends after the first error.
	Partitions(prefix Partition) iter.Seq2[Partition, error]

	// Release ends the snapshot and closes the iterators that are still open.
	// A second call does nothing.
	Release()
}

// Range selects keys of one partition. The zero value is all of them, in
// ascending order.
type Range struct {
	// Start is the first key; nil means from the beginning.
	Start []byte
	// End is the first key that is not in the range; nil means to the end.
	End []byte
	// Reverse walks from the end to the start.
	Reverse bool
	// KeysOnly says that Value will not be called.
	KeysOnly bool
}

// Iterator stands before the first key when it is made:
//
//	for it.Next() {
//		use(it.Key())
//	}
//	err := it.Err()
//	it.Close()
type Iterator interface {
	// Next goes to the next key. It answers false at the end, after an error,
	// and after Close.
	Next() bool
	// Key is the current key. It is valid until the next call of Next or
	// Close and must not be changed.
	Key() []byte
	// Value is the current value, under the same rule as Key. With KeysOnly it
	// is nil.
	Value() ([]byte, error)
	// Err is what ended the walk early, or nil.
	Err() error
	// Close frees the iterator. A second call does nothing.
	Close()
}

// PrefixRange is the range of all keys that start with prefix.
func PrefixRange(prefix []byte) Range {
	return Range{Start: prefix, End: Successor(prefix)}
}

// Successor is the smallest key greater than every key that starts with
// prefix, or nil when there is none.
func Successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			s := bytes.Clone(prefix[:i+1])
			s[i]++
			return s
		}
	}
	return nil
}

// Partitions lists the partitions of the present state whose names start with
// prefix.
func Partitions(b Backend, prefix Partition) ([]Partition, error) {
	s, err := b.Snapshot()
	if err != nil {
		return nil, err
	}
	defer s.Release()
	var names []Partition
	for p, err := range s.Partitions(prefix) {
		if err != nil {
			return nil, err
		}
		names = append(names, p)
	}
	return names, nil
}
