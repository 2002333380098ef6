package badgerkv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/readpoint"
)

var _ kv.Backend = (*Backend)(nil)

// maxKnown bounds the cache of partitions that are known to exist.
const maxKnown = 1 << 16

// largeValue is the size from which on Badger keeps a value in a file beside
// the tree. A batch with such a value goes through the journal, whatever its
// size, as two files cannot be made durable at once. It must not change for data that is there.
const largeValue = 1 << 20

// tableSize is the compressed size of the files below the first level, of which
// the last level's have twice as much. While files are merged Badger holds up
// to thirteen new ones in memory, as they are before compression and with as
// much room again: rows that shrink to a twentieth made more than a gigabyte of
// its default of 2 MiB. Smaller files cost nothing that can be measured.
const tableSize = 256 << 10

// Backend is an open Badger database.
//
// Locks, in the order in which they are taken: maintaining, writing, mu. The
// first two are channels of one place, so that waiting ends with the context.
type Backend struct {
	db     *badger.DB
	opt    Options
	limits kv.Limits
	closed atomic.Bool
	// failed is the first error of the medium during a write. What it left in
	// memory is not known to be on disk, so nothing may be written after it.
	failed atomic.Pointer[dberr.Error]

	// maintaining is held by drops and compactions: Badger stops and starts
	// its compactors in both and does not expect them side by side.
	maintaining chan struct{}
	// writing is held by whoever writes. Badger commits one transaction after
	// the other anyhow; taking turns here keeps timestamps in commit order.
	writing chan struct{}

	// The fields below belong to the holder of writing.

	known      map[kv.Partition]struct{}
	arena      []byte
	folder     folder
	freeUntil  int64 // bytes that may be written before the disk is looked at again
	freeAt     time.Time
	journalled uint64
	// values says that the write under way may have large values.
	values bool
	// step, set by tests, is called before each named step of a large batch;
	// its error ends the batch there as a crash would.
	step func(name string) error

	// mu guards what follows.
	mu      sync.Mutex
	visible uint64
	// points are the timestamps that snapshots read at; Badger must keep what
	// the oldest sees.
	points readpoint.List
	open   map[*snapshot]struct{}
}

// Open opens the database in a folder, and finishes what a crash left behind.
// It fails when another process, or another Backend, has the folder open.
func Open(opt Options) (*Backend, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open badger: %w", err)
	}
	f := newFolder(opt.Dir)
	f.freeBytes = opt.freeBytes
	if err := f.roomToOpen(openRoom * opt.MemTable); err != nil {
		return nil, err
	}
	if err := f.tryWriting(); err != nil {
		return nil, fmt.Errorf("open badger: %w", err)
	}
	bo := badger.DefaultOptions(opt.Dir).
		WithSyncWrites(!opt.NoSync && !ownSync).
		WithMemTableSize(opt.MemTable).
		WithNumMemtables(2).
		WithBlockCacheSize(opt.BlockCache).
		WithIndexCacheSize(opt.IndexCache).
		WithBaseTableSize(tableSize).
		WithValueThreshold(largeValue).
		WithValueLogFileSize(opt.ValueLogFile).
		WithNumCompactors(opt.Compactors).
		WithMetricsEnabled(false).
		WithDetectConflicts(false).
		WithLogger(logBridge{opt.Logger})
	db, err := badger.OpenManaged(bo)
	if err != nil {
		if strings.Contains(err.Error(), "directory lock") {
			return nil, dberr.New(dberr.StorageUnavailable, "The data directory is in use by another process.").
				WithHint("Stop the other server, or give this one a data directory of its own (%s).", opt.Dir).
				Wrap(err)
		}
		return nil, fmt.Errorf("open badger: %w", err)
	}
	b := &Backend{
		db:          db,
		opt:         opt,
		maintaining: make(chan struct{}, 1),
		writing:     make(chan struct{}, 1),
		known:       make(map[kv.Partition]struct{}),
		visible:     db.MaxVersion(),
		open:        make(map[*snapshot]struct{}),
		limits: kv.Limits{
			// A step may carry a registry entry with it.
			BatchLen:     int(db.MaxBatchCount()/2) - 2,
			BatchSize:    db.MaxBatchSize() / 2,
			MaxBatchSize: opt.MaxBatch,
		},
	}
	b.db.SetDiscardTs(b.visible)
	b.folder = f
	if !opt.NoSync {
		if err := b.folder.open(); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	b.values = true // there may be some in the journal
	err = b.recoverJournal()
	b.values = false
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open badger: finish large batch: %w", err), db.Close())
	}
	return b, nil
}

// Limits implements kv.Backend.
func (b *Backend) Limits() kv.Limits { return b.limits }

// Size implements kv.Backend: the bytes that the files take on the disk, which
// for Badger's sparse log files are fewer than their lengths.
func (b *Backend) Size(ctx context.Context) (int64, error) {
	if b.closed.Load() {
		return 0, kv.ErrClosed
	}
	var total int64
	err := filepath.WalkDir(b.opt.Dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // merged away meanwhile
		}
		if err != nil {
			return err
		}
		total += diskBytes(info)
		return nil
	})
	switch {
	case err == nil:
		return total, nil
	case ctx.Err() != nil:
		return 0, ctx.Err()
	}
	return 0, unavailable("read", fmt.Errorf("measure files: %w", err))
}

// Compact implements kv.Backend: it merges the tree's levels, which drops
// deleted keys, then rewrites files of large values that are half garbage.
func (b *Backend) Compact(ctx context.Context) error {
	if err := acquire(ctx, b.maintaining); err != nil {
		return err
	}
	defer release(b.maintaining)
	if b.closed.Load() {
		return kv.ErrClosed
	}
	if err := b.db.Flatten(1); err != nil {
		return unavailable("written", fmt.Errorf("flatten: %w", err))
	}
	for {
		if more, err := b.collectValues(ctx); err != nil || !more {
			return err
		}
	}
}

// collectValues rewrites one file of large values, if one is half garbage. It
// is the only writer meanwhile: rewriting writes to the log files, too. Badger
// deletes no such file while somebody iterates, so what was rewritten is made
// durable before the old one goes.
func (b *Backend) collectValues(ctx context.Context) (more bool, err error) {
	if err := acquire(ctx, b.writing); err != nil {
		return false, err
	}
	defer release(b.writing)
	if err := b.failed.Load(); err != nil {
		return false, err
	}
	txn := b.db.NewTransactionAt(b.latest(), false)
	defer txn.Discard()
	keep := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{journalTag}})
	defer keep.Close()
	collected := b.db.RunValueLogGC(0.5)
	if errors.Is(collected, badger.ErrNoRewrite) {
		return false, nil
	}
	if !b.opt.NoSync {
		if err := b.folder.look(); err != nil {
			return false, b.fail(fmt.Errorf("collect value log: %w", err))
		}
	}
	if collected != nil {
		return false, unavailable("written", fmt.Errorf("collect value log: %w", collected))
	}
	return true, nil
}

// Close implements kv.Backend.
func (b *Backend) Close() error {
	if !b.closed.CompareAndSwap(false, true) {
		return nil
	}
	b.maintaining <- struct{}{}
	defer release(b.maintaining)
	b.writing <- struct{}{}
	defer release(b.writing)
	for {
		s := b.anyOpen()
		if s == nil {
			break
		}
		s.end(kv.ErrClosed)
	}
	b.folder.close()
	if err := b.db.Close(); err != nil {
		return unavailable("written", fmt.Errorf("close badger: %w", err))
	}
	return nil
}

func (b *Backend) anyOpen() *snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.open {
		return s
	}
	return nil
}

// acquire takes a lock, or gives up with the context.
func acquire(ctx context.Context, lock chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func release(lock chan struct{}) { <-lock }

// unavailable is the coded error for a failure of the medium. done says what
// could not be done to it.
func unavailable(done string, cause error) *dberr.Error {
	return dberr.New(dberr.StorageUnavailable, "The storage cannot be "+done+" now.").Wrap(cause)
}
