package rediskv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kalamdb/kalamdb/commons/crew"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/readpoint"
)

var _ kv.Backend = (*Backend)(nil)

// formatVersion is the layout of the keys; see the package comment.
const formatVersion = "1"

// maxKnown bounds the cache of partitions that are known to exist.
const maxKnown = 1 << 16

// Backend is an open database in Redis.
//
// Locks, in the order in which they are taken: writing, renewing, mu. The
// first two are channels of one place and may be held while Redis answers.
type Backend struct {
	opt    Options
	client *redis.Client
	log    *slog.Logger
	// by names this opening of the database, owner is what others may read of it.
	by, owner string
	calls     crew.Door
	// ended is cancelled when Close has waited for the writer: it ends reads.
	ended context.Context
	end   context.CancelFunc
	beat  sync.WaitGroup

	// failed is why the backend will not work again until it is opened anew.
	failed atomic.Pointer[dberr.Error]
	// down is set while Redis does not answer: calls then try once only.
	down atomic.Bool
	// acquired is set once the database is ours, so that each new connection
	// is checked to lead to it.
	acquired atomic.Bool
	born     time.Time
	// leaseUntil is when the lease ends, counted from born.
	leaseUntil atomic.Int64
	renewing   chan struct{}

	// writing is held by whoever changes Redis.
	writing chan struct{}

	// The fields below belong to the holder of writing.

	known map[kv.Partition]struct{}
	epoch int64
	// seq is the last batch in Redis; visible stays below it after a batch
	// that was taken back.
	seq uint64
	// doubt is the change whose answer was lost.
	doubt *doubt
	// garbage is how many versions wait to be removed.
	garbage int64

	// mu guards what follows.
	mu      sync.Mutex
	visible uint64
	points  readpoint.List
	open    map[*snapshot]struct{}
}

// Open takes the database of a Redis server. When another owner has it, Open
// waits for one lease: the time after which a crashed owner has lost it.
//
// Errors: STORAGE_UNAVAILABLE when another server has the database, or Redis
// does not answer, or does not keep what it acknowledges.
func Open(ctx context.Context, opt Options) (*Backend, error) {
	opt, ro, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Backend{
		opt:      opt,
		log:      opt.Logger,
		by:       randomID(),
		born:     time.Now(),
		renewing: make(chan struct{}, 1),
		writing:  make(chan struct{}, 1),
		known:    make(map[kv.Partition]struct{}),
		open:     make(map[*snapshot]struct{}),
	}
	id := opt.Owner
	if id == "" {
		id = b.by
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	b.owner = fmt.Sprintf("%s process %d on %s", id, os.Getpid(), host)
	b.ended, b.end = context.WithCancel(context.Background())
	ro.OnConnect = b.checkConnection
	b.client = redis.NewClient(ro)
	if err := b.start(ctx, id); err != nil {
		b.end()
		return nil, errors.Join(err, b.client.Close())
	}
	b.beat.Go(b.heartbeats)
	return b, nil
}

func (b *Backend) start(ctx context.Context, id string) error {
	if err := b.retry(ctx, "reached", func(ctx context.Context) error { return b.checkServer(ctx) }); err != nil {
		return err
	}
	return b.acquire(ctx, id)
}

func randomID() string {
	var id [8]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// Names of keys; see the package comment.
func (b *Backend) metaKey() string                { return b.opt.Prefix + ":meta" }
func (b *Backend) ownerKey() string               { return b.opt.Prefix + ":owner" }
func (b *Backend) registryKey() string            { return b.opt.Prefix + ":r" }
func (b *Backend) garbageKey() string             { return b.opt.Prefix + ":gc" }
func (b *Backend) dataKey(p kv.Partition) string  { return b.opt.Prefix + ":d:" + string(p) }
func (b *Backend) valueKey(p kv.Partition) string { return b.opt.Prefix + ":v:" + string(p) }

// Limits implements kv.Backend. A step is about three commands of Redis, so a
// batch of this size keeps it for some ten milliseconds.
func (b *Backend) Limits() kv.Limits {
	return kv.Limits{BatchLen: 2000, BatchSize: 1 << 20, MaxBatchSize: b.opt.MaxBatch}
}

// Size implements kv.Backend: the memory that Redis says its keys take, which
// for large sorted sets it estimates from a few members.
func (b *Backend) Size(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s, err := b.Snapshot()
	if err != nil {
		return 0, err
	}
	defer s.Release()
	total := int64(0)
	keys := []string{b.metaKey(), b.registryKey(), b.garbageKey()}
	add := func() error {
		err := b.read("read", func(rctx context.Context) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			cmds, err := b.client.Pipelined(rctx, func(p redis.Pipeliner) error {
				for _, k := range keys {
					p.MemoryUsage(rctx, k)
				}
				return nil
			})
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			for _, c := range cmds {
				total += c.(*redis.IntCmd).Val()
			}
			return nil
		})
		keys = keys[:0]
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	for p, err := range s.Partitions("") {
		if err != nil {
			return 0, err
		}
		if keys = append(keys, b.dataKey(p), b.valueKey(p)); len(keys) >= 512 {
			if err := add(); err != nil {
				return 0, err
			}
		}
	}
	if err := add(); err != nil {
		return 0, err
	}
	return total, nil
}

// Close implements kv.Backend.
func (b *Backend) Close() error {
	if !b.calls.Close() {
		return nil
	}
	b.writing <- struct{}{}
	defer release(b.writing)
	b.end()
	b.beat.Wait()
	<-b.calls.Empty()
	b.mu.Lock()
	for s := range b.open {
		s.end(kv.ErrClosed)
	}
	clear(b.open)
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), b.opt.RetryFor)
	defer cancel()
	// A Redis that is away needs no goodbye: the lease ends by itself.
	if err := leaveScript.Run(ctx, b.client, []string{b.metaKey(), b.ownerKey()}, b.by).Err(); err != nil {
		b.log.Warn("redis: the database stays taken until its lease ends", "error", err)
	}
	if err := b.client.Close(); err != nil {
		return b.unavailable("closed", err)
	}
	return nil
}

// read runs an exchange that changes nothing, again and again while Redis does
// not answer and there is time.
func (b *Backend) read(done string, do func(ctx context.Context) error) error {
	if !b.calls.Enter() {
		return kv.ErrClosed
	}
	defer b.calls.Leave()
	return b.retry(b.ended, done, func(ctx context.Context) error {
		if err := b.holdLease(ctx); err != nil {
			return err
		}
		return do(ctx)
	})
}

// retry runs an exchange that may be repeated. Its error is coded, or the
// context's; done says what could not be done to the storage.
func (b *Backend) retry(ctx context.Context, done string, do func(ctx context.Context) error) error {
	until := time.Now().Add(b.opt.RetryFor)
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := b.once(ctx, do)
		if err == nil {
			if b.down.CompareAndSwap(true, false) {
				b.log.Info("redis: answers again")
			}
			return nil
		}
		if b.ended.Err() != nil {
			return kv.ErrClosed
		}
		if e := b.failed.Load(); e != nil {
			return e
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !transient(err) {
			return b.unavailable(done, err)
		}
		if b.down.Load() || time.Now().After(until) {
			if b.down.CompareAndSwap(false, true) {
				b.log.Error("redis: does not answer", "error", err)
			}
			return b.unavailable(done, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

func (b *Backend) once(ctx context.Context, do func(ctx context.Context) error) error {
	if e := b.failed.Load(); e != nil {
		return e
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.opt.CallTimeout)
	defer cancel()
	return do(ctx)
}

// transient tells whether an error may pass by itself within moments: all of
// the connection, and a Redis that starts or is busy.
func transient(err error) bool {
	var coded *dberr.Error
	if errors.As(err, &coded) {
		return false
	}
	var answer redis.Error
	if !errors.As(err, &answer) {
		return true
	}
	for _, p := range []string{"LOADING ", "BUSY ", "MASTERDOWN ", "TRYAGAIN "} {
		if strings.HasPrefix(answer.Error(), p) {
			return true
		}
	}
	return false
}

// unavailable is the coded error for a failed exchange.
func (b *Backend) unavailable(done string, cause error) error {
	var coded *dberr.Error
	if errors.As(cause, &coded) {
		return coded
	}
	if strings.Contains(cause.Error(), "OOM command not allowed") {
		return dberr.New(dberr.StorageUnavailable, "The storage is full.").
			WithHint("Raise maxmemory of Redis; reading goes on meanwhile.").Wrap(cause)
	}
	return dberr.New(dberr.StorageUnavailable, "The storage cannot be "+done+" now.").Wrap(fmt.Errorf("redis: %w", cause))
}

// fail ends the backend's work until it is opened again.
func (b *Backend) fail(status string) *dberr.Error {
	e := dberr.New(dberr.StorageUnavailable, "Another server has taken over the storage.").
		WithHint("Stop one of the two servers, or give each its own redis_prefix.")
	if status == statusLost {
		e = dberr.New(dberr.StorageUnavailable, "The storage has lost acknowledged writes.").
			WithHint("Redis came back with older data. Restart the server to go on with what there is.")
	}
	if b.failed.CompareAndSwap(nil, e) {
		b.log.Error("redis: the storage failed for good", "reason", e.Message)
	}
	return b.failed.Load()
}

// lock takes a lock, or gives up with the context or the backend.
func (b *Backend) lock(ctx context.Context, lock chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.ended.Done():
		return kv.ErrClosed
	}
}

func release(lock chan struct{}) { <-lock }
