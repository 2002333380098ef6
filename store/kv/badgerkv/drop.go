package badgerkv

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

// smallDrop is how many keys are removed by deleting them one by one, in one
// transaction and beside everything else. Above it Badger's DropPrefix
// rewrites files, which leaves no tombstones but stops the world for a while.
const smallDrop = 2000

// DropPartitions implements kv.Backend.
func (b *Backend) DropPartitions(ctx context.Context, prefix kv.Partition) error {
	if !prefix.Valid() {
		return dberr.Newf(dberr.Internal, "invalid prefix of partitions %q", string(prefix))
	}
	return b.drop(ctx,
		append([]byte{dataTag}, prefix...),
		appendRegistryKey(nil, prefix),
		func(p kv.Partition) bool { return len(p) >= len(prefix) && p[:len(prefix)] == prefix },
		false)
}

// DropPartition implements kv.Backend.
func (b *Backend) DropPartition(ctx context.Context, name kv.Partition) error {
	if !name.Valid() {
		return dberr.Newf(dberr.Internal, "invalid partition name %q", string(name))
	}
	return b.drop(ctx,
		appendDataKey(nil, name, nil),
		appendRegistryKey(nil, name),
		func(p kv.Partition) bool { return p == name },
		true)
}

// drop removes all data keys that start with data, and the registry keys that
// start with registry, or with exact the one that equals it. Few keys do not
// wait for a compaction under way.
func (b *Backend) drop(ctx context.Context, data, registry []byte, gone func(kv.Partition) bool, exact bool) error {
	few := func() error { return b.dropSmall(data, registry, exact, b.nextTs()) }
	err := b.dropWith(ctx, gone, few)
	if !errors.Is(err, badger.ErrTxnTooBig) {
		return err
	}
	if err := acquire(ctx, b.maintaining); err != nil {
		return err
	}
	defer release(b.maintaining)
	return b.dropWith(ctx, gone, func() error {
		// The data goes before the registry, so that what a crash leaves can
		// still be found by its name.
		if err := b.dropPrefix(data); err != nil {
			return err
		}
		err := few()
		if !errors.Is(err, badger.ErrTxnTooBig) {
			return err
		}
		return b.dropPrefix(registry)
	})
}

// dropPrefix has Badger rewrite its files, which begins another log file.
func (b *Backend) dropPrefix(prefix []byte) error {
	err := b.db.DropPrefix(prefix)
	if err == nil && !b.opt.NoSync {
		err = b.folder.look()
	}
	if err != nil {
		return b.fail(fmt.Errorf("drop partitions: %w", err))
	}
	return nil
}

// dropWith runs a drop as the only writer.
func (b *Backend) dropWith(ctx context.Context, gone func(kv.Partition) bool, drop func() error) error {
	if err := acquire(ctx, b.writing); err != nil {
		return err
	}
	defer release(b.writing)
	if err := b.writable(0); err != nil {
		return err
	}
	for p := range b.known {
		if gone(p) {
			delete(b.known, p)
		}
	}
	return drop()
}

// dropSmall deletes the keys in one transaction, or answers ErrTxnTooBig when
// there are too many, with nothing done.
func (b *Backend) dropSmall(data, registry []byte, exact bool, ts uint64) error {
	txn := b.db.NewTransactionAt(b.latest(), true)
	defer txn.Discard()
	keys, err := firstKeys(txn, data, smallDrop)
	if err != nil {
		return err
	}
	if exact {
		keys = append(keys, registry)
	} else {
		names, err := firstKeys(txn, registry, smallDrop)
		if err != nil {
			return err
		}
		keys = append(keys, names...)
	}
	for _, k := range keys {
		if err := txn.Delete(k); err != nil {
			return stepError(err)
		}
	}
	if err := b.commit(txn, ts); err != nil {
		return err
	}
	b.publish(ts)
	return nil
}

// firstKeys lists the keys with a prefix, or answers ErrTxnTooBig when there
// are more than most.
func firstKeys(txn *badger.Txn, prefix []byte, most int) ([][]byte, error) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	var keys [][]byte
	for it.Rewind(); it.Valid(); it.Next() {
		if len(keys) == most {
			return nil, badger.ErrTxnTooBig
		}
		keys = append(keys, bytes.Clone(it.Item().Key()))
	}
	return keys, nil
}
