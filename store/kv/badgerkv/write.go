package badgerkv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

// Physical keys; see the package comment.
const (
	dataTag     = 'd'
	registryTag = 'r'
	journalTag  = 'j'
)

func appendDataKey(dst []byte, p kv.Partition, key []byte) []byte {
	dst = append(dst, dataTag)
	dst = append(dst, p...)
	dst = append(dst, 0)
	return append(dst, key...)
}

func appendRegistryKey(dst []byte, p kv.Partition) []byte {
	dst = append(dst, registryTag)
	return append(dst, p...)
}

// Write implements kv.Backend. A batch within Limits is one transaction of
// Badger; a larger one, or one with a large value, goes through the journal.
func (b *Backend) Write(ctx context.Context, batch *kv.Batch) error {
	if err := batch.Check(b.opt.MaxBatch); err != nil {
		return err
	}
	if err := acquire(ctx, b.writing); err != nil {
		return err
	}
	defer release(b.writing)
	if err := b.writable(batch.Size()); err != nil {
		return err
	}
	if batch.Len() == 0 {
		return nil
	}
	fresh, err := b.unregistered(batch)
	if err != nil {
		return err
	}
	ts := b.nextTs()
	err = badger.ErrTxnTooBig
	if !hasLargeValue(batch) {
		err = b.writeSmall(batch, fresh, ts)
	}
	if errors.Is(err, badger.ErrTxnTooBig) {
		err = b.writeLarge(batch, fresh, ts)
	}
	if err != nil {
		return err
	}
	b.publish(ts)
	b.remember(fresh)
	return nil
}

func hasLargeValue(batch *kv.Batch) bool {
	if batch.Size() < largeValue {
		return false
	}
	for i := range batch.Len() {
		if len(batch.Op(i).Value) >= largeValue {
			return true
		}
	}
	return false
}

// freeAge is how long the room on the disk is taken to be the same, as others
// may fill it too.
const freeAge = time.Second

// writable checks that the medium may be written to.
func (b *Backend) writable(size int64) error {
	if b.closed.Load() {
		return kv.ErrClosed
	}
	if err := b.failed.Load(); err != nil {
		return err
	}
	// Badger holds the write in its log and later in a sorted file.
	if b.freeUntil -= 2 * size; b.freeUntil > 0 && time.Since(b.freeAt) < freeAge {
		return nil
	}
	b.freeAt = time.Now()
	free, known := b.folder.free()
	if !known {
		b.freeUntil = b.opt.MinFree
		return nil
	}
	if need := b.opt.MinFree + 4*size; free < need {
		b.freeUntil = 0
		return dberr.New(dberr.StorageUnavailable, "The storage is full.").
			WithHint("Free some disk space; reading goes on meanwhile.").
			Wrap(fmt.Errorf("%d bytes free, %d needed", free, need))
	}
	b.freeUntil = b.opt.MinFree / 4
	return nil
}

// unregistered finds the partitions of a batch that have no registry entry.
func (b *Backend) unregistered(batch *kv.Batch) ([]kv.Partition, error) {
	var fresh []kv.Partition
	var seen map[kv.Partition]struct{}
	var last kv.Partition
	var txn *badger.Txn
	for i := range batch.Len() {
		op := batch.Op(i)
		if op.Kind == kv.OpDelete || op.Partition == last {
			continue
		}
		last = op.Partition
		if _, ok := b.known[op.Partition]; ok {
			continue
		}
		if _, ok := seen[op.Partition]; ok {
			continue
		}
		if txn == nil {
			txn = b.db.NewTransactionAt(b.latest(), false)
			defer txn.Discard()
			seen = make(map[kv.Partition]struct{})
		}
		seen[op.Partition] = struct{}{}
		_, err := txn.Get(appendRegistryKey(nil, op.Partition))
		switch {
		case err == nil:
			b.remember([]kv.Partition{op.Partition})
		case errors.Is(err, badger.ErrKeyNotFound):
			fresh = append(fresh, op.Partition)
		default:
			return nil, unavailable("read", fmt.Errorf("look up partition: %w", err))
		}
	}
	return fresh, nil
}

func (b *Backend) remember(names []kv.Partition) {
	for _, p := range names {
		if len(b.known) >= maxKnown {
			clear(b.known)
		}
		b.known[p] = struct{}{}
	}
}

// writeSmall writes a batch as one transaction. It answers ErrTxnTooBig, with
// nothing written, when it is not small.
func (b *Backend) writeSmall(batch *kv.Batch, fresh []kv.Partition, ts uint64) error {
	l := int64(batch.Len() + len(fresh))
	if l >= b.db.MaxBatchCount() {
		return badger.ErrTxnTooBig
	}
	txn := b.db.NewTransactionAt(b.latest(), true)
	defer txn.Discard()
	// Badger keeps the keys until the commit, so they live in one arena, which
	// must not move; growing it in the middle leaves the old one to them.
	arena := b.arena[:0]
	defer func() {
		if cap(arena) <= 1<<20 {
			b.arena = arena[:0]
		}
	}()
	for _, p := range fresh {
		from := len(arena)
		arena = appendRegistryKey(arena, p)
		if err := txn.Set(arena[from:len(arena):len(arena)], nil); err != nil {
			return stepError(err)
		}
	}
	for i := range batch.Len() {
		op := batch.Op(i)
		if op.Kind == kv.OpCreatePartition {
			continue
		}
		from := len(arena)
		arena = appendDataKey(arena, op.Partition, op.Key)
		key := arena[from:len(arena):len(arena)]
		var err error
		if op.Kind == kv.OpPut {
			err = txn.Set(key, op.Value)
		} else {
			err = txn.Delete(key)
		}
		if err != nil {
			return stepError(err)
		}
	}
	return b.commit(txn, ts)
}

func stepError(err error) error {
	if errors.Is(err, badger.ErrTxnTooBig) {
		return err
	}
	return unavailable("written", fmt.Errorf("add to transaction: %w", err))
}

// commit makes a transaction durable. Its error says nothing of what reached
// the disk or Badger's memory, so it closes the backend for writing: a later
// commit would make the rest of this one visible.
func (b *Backend) commit(txn *badger.Txn, ts uint64) error {
	err := txn.CommitAt(ts, nil)
	if errors.Is(err, badger.ErrTxnTooBig) {
		return err
	}
	if err == nil && !b.opt.NoSync {
		err = b.folder.commit(b.values)
	}
	if err != nil {
		return b.fail(fmt.Errorf("commit: %w", err))
	}
	return nil
}

// fail closes the backend for writing until it is opened again.
func (b *Backend) fail(cause error) error {
	e := unavailable("written", cause).WithHint("The server must be restarted once its disk is well.")
	b.failed.CompareAndSwap(nil, e)
	b.opt.Logger.Error("storage failed; no more writes are taken", "error", cause)
	return e
}

func (b *Backend) latest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.visible
}

// nextTs is the timestamp of the write under way.
func (b *Backend) nextTs() uint64 { return b.latest() + 1 }

// publish makes all writes up to ts visible, and tells Badger which versions
// nobody can see any more.
func (b *Backend) publish(ts uint64) {
	b.mu.Lock()
	b.visible = ts
	discard := b.points.Oldest(ts)
	b.mu.Unlock()
	b.db.SetDiscardTs(discard)
}
