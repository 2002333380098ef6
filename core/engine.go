package core

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"github.com/kalamdb/kalamdb/commons/buildinfo"
	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/crew"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/apikey"
	"github.com/kalamdb/kalamdb/core/backup"
	"github.com/kalamdb/kalamdb/core/flush"
	"github.com/kalamdb/kalamdb/core/job"
	"github.com/kalamdb/kalamdb/core/session"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/core/storage"
	"github.com/kalamdb/kalamdb/core/systable"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/core/user"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/badgerkv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
	"github.com/kalamdb/kalamdb/store/kv/rediskv"
)

// What the data directory holds.
const (
	lockFile  = "LOCK"
	hotFolder = "hot"
	ownerFile = "redis-owner"
)

// Engine is an open database. It may be used from several goroutines.
type Engine struct {
	plans    livePlans
	cfg      config.Config
	log      *slog.Logger
	lock     *flock.Flock // nil without a data directory
	backend  kv.Backend
	store    *table.Store
	hub      *live.Hub
	compiler *sql.Compiler
	system   *systable.Registry
	host     *systable.Host
	users    *user.Users
	keys     *apikey.Keys
	sessions *session.Manager
	storages *storage.Manager
	jobs     *job.Manager
	flushes  *flush.Service
	backups  *backup.Service
	started  time.Time
	turns    turns
	// gate has the places of statements that compute.
	gate *slot.Gate
	slow slowLog
	// memory is what all statements share.
	memory *exec.MemoryPool
	// parallelism is how many goroutines a query may use.
	parallelism int
	// rows is store.EstimatedRows, for the planner.
	rows    func(*ddl.Table) int64
	ids     *builtin.IDGenerator
	version string

	// running counts the statements under way; stopped ends them when Close
	// has waited long enough.
	running  crew.Door
	stopped  context.Context
	stop     context.CancelCauseFunc
	closing  sync.Once
	closeErr error

	nextProbe atomic.Int64 // Unix nanoseconds
	probed    atomic.Pointer[error]
}

// errStopped is the cause with which Close ends what still runs.
var errStopped = dberr.New(dberr.StorageUnavailable, "The server is shutting down.").WithHint("Try again in a moment.")

// step is called at each named step of a protocol that a crash may interrupt.
// Tests set it, to crash there.
var step func(name string)

// wrapBackend is called with a backend that was opened. Tests set it, to put
// faults before it.
var wrapBackend = func(b kv.Backend) kv.Backend { return b }

// Open opens the database of a configuration: it locks the data directory,
// opens the backend, reads the catalog and starts the commit loop. A nil log
// means none. The engine must be closed.
//
// Errors: STORAGE_UNAVAILABLE when another process has the data directory, or
// when a newer server wrote it.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (*Engine, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{cfg: cfg, log: log, started: time.Now()}
	e.stopped, e.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	e.gate = slot.New(places(cfg.Query), e.stopped.Done())
	if err := e.open(ctx); err != nil {
		e.stop(errStopped)
		return nil, errors.Join(err, e.release())
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context) error {
	if err := e.openBackend(ctx); err != nil {
		return err
	}
	e.memory = exec.NewMemoryPool(totalMemory(e.cfg.Query))
	e.system = systable.New()
	e.hub = live.NewHub(live.Options{Limits: e.cfg.Live, Source: resume{e}, Log: e.log})
	e.storages = storage.New(storage.Options{
		Location: e.cfg.Storage.DefaultLocation, InMemory: e.cfg.Store.Backend == config.BackendMemory && e.cfg.Data.Dir == "",
		UserTemplate: e.cfg.Storage.UserTemplate, SharedTemplate: e.cfg.Storage.SharedTemplate,
	})
	var err error
	e.store, err = table.Open(ctx, e.backend, e.hub, table.Options{
		System:           e.system.Tables(),
		Hard:             []ident.TableID{systable.UsersID},
		MaxBuffer:        e.cfg.Stream.MaxBuffer,
		EvictionInterval: e.cfg.Stream.EvictionInterval.Std(),
		Files:            e.storages,
		Step:             step,
		Logger:           e.log,
	})
	if err != nil {
		return err
	}
	e.rows = e.store.EstimatedRows
	var interrupted []job.Job
	e.jobs, interrupted, err = job.Open(ctx, e.backend, job.Options{
		Node: e.node(), Workers: e.cfg.Flush.Workers, Retention: e.cfg.Retention.Jobs.Std(), Logger: e.log,
	})
	if err != nil {
		return err
	}
	e.flushes = flush.New(flush.Options{
		Store: e.store, Jobs: e.jobs, Interval: e.cfg.Flush.DefaultInterval.Std(), Rows: e.cfg.Flush.DefaultRows,
		DeletedRows: e.cfg.Retention.DeletedRows.Std(), CheckInterval: e.cfg.Flush.CheckInterval.Std(), MinRowsPerUser: e.cfg.Flush.MinRowsPerUser, Logger: e.log,
	})
	if e.parallelism = e.cfg.Query.Parallelism; e.parallelism <= 0 {
		e.parallelism = runtime.GOMAXPROCS(0)
	}
	plans := e.cfg.Query.PlanCacheSize
	if plans == 0 {
		plans = -1 // none, which is no default
	}
	e.compiler = sql.NewCompiler(sql.Options{PlanCacheSize: plans})
	e.ids = builtin.NewIDGenerator(e.cfg.Flush.NodeID, nil)
	e.users = user.New(e.store, e.system.Users())
	if err := e.openKeys(ctx); err != nil {
		return err
	}
	e.sessions = session.NewManager(session.Options{
		IdleTimeout: e.cfg.Session.IdleTimeout.Std(),
		Max:         e.cfg.Session.MaxSessions,
		MaxTables:   e.cfg.Session.MaxCachedTables,
	})
	e.version = buildinfo.Get().Version
	e.host = e.newHost()
	e.backups = backup.New(backup.Options{
		Store: e.store, Jobs: e.jobs, Files: e.storages, Backend: e.backend,
		DataDir: e.cfg.Data.Dir, Server: e.version, Step: step, Logger: e.log,
	})
	e.flushes.Start()
	e.flushes.Again(ctx, interrupted)
	return e.backups.Resume(interrupted)
}

func (e *Engine) openBackend(ctx context.Context) error {
	dir := e.cfg.Data.Dir
	st := e.cfg.Store
	if dir == "" && st.Backend != config.BackendMemory {
		return errors.New("open database: no data directory is set")
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("open data directory: %w", err)
		}
		l := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
		ok, err := l.TryLock()
		if err != nil {
			return fmt.Errorf("lock data directory: %w", err)
		}
		if !ok {
			return dberr.Newf(dberr.StorageUnavailable, "The data directory %s is in use by another server.", dir).
				Wrap(ErrInUse).WithHint("Stop the other server, or give this one a data directory of its own.")
		}
		e.lock = l
	}
	var err error
	switch st.Backend {
	case config.BackendMemory:
		e.backend = memkv.New(memkv.Options{})
	case config.BackendBadger, "":
		e.backend, err = badgerkv.Open(badgerkv.Options{
			Dir:          filepath.Join(dir, hotFolder),
			NoSync:       !st.Sync,
			MemTable:     st.Badger.MemTable.Bytes(),
			BlockCache:   st.Badger.BlockCache.Bytes(),
			IndexCache:   st.Badger.IndexCache.Bytes(),
			ValueLogFile: st.Badger.ValueLogFile.Bytes(),
			Compactors:   st.Badger.Compactors,
			MinFree:      st.Badger.MinFree.Bytes(),
			Logger:       e.log,
		})
	case config.BackendRedis:
		e.backend, err = openRedis(ctx, dir, st, e.log)
	default:
		err = dberr.Newf(dberr.Unsupported, "the storage backend %q is not part of this server", st.Backend).
			WithHint("Use badger, memory or redis.")
	}
	if err != nil {
		e.backend = nil
		return fmt.Errorf("open storage: %w", err)
	}
	e.backend = wrapBackend(e.backend)
	return nil
}

// openRedis opens the backend in Redis. The data directory, which this process
// has locked, tells Redis who it is: after a crash a server on the same
// directory need not wait for its own lease.
func openRedis(ctx context.Context, dir string, st config.Store, log *slog.Logger) (kv.Backend, error) {
	path := filepath.Join(dir, ownerFile)
	owner, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(owner) == 0 {
		owner = []byte(rand.Text())
		err = os.WriteFile(path, owner, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("name the owner of the redis database: %w", err)
	}
	return rediskv.Open(ctx, rediskv.Options{
		URL: st.RedisURL, Prefix: st.RedisPrefix, Owner: string(owner), NoSync: !st.Sync, Logger: log,
	})
}

// Close stops the engine: new statements are refused, those under way may
// finish until the context ends, then they are cancelled; subscribers are told;
// what is committed is there when the engine is opened again. A second call
// waits for the first and gives its error.
func (e *Engine) Close(ctx context.Context) error {
	e.closing.Do(func() {
		e.running.Close()
		select {
		case <-e.running.Empty():
		case <-ctx.Done():
			e.stop(errStopped)
			<-e.running.Empty()
		}
		e.flushes.Stop()
		e.backups.Close()
		e.flushAtEnd(ctx)
		e.jobs.Close(ctx)
		e.stop(errStopped)
		e.closeErr = e.release()
	})
	return e.closeErr
}

// flushAtEnd flushes all tables before the end, as FR-028 has it. What cannot be
// flushed stays hot, where it is as safe. A database in memory ends with its
// process, so it has nothing to gain.
func (e *Engine) flushAtEnd(ctx context.Context) {
	if e.cfg.Store.Backend == config.BackendMemory || e.store.Unavailable() != nil {
		return
	}
	if _, err := e.flushes.FlushAll(ctx, "", flush.Request{Origin: "shutdown"}); err != nil {
		e.log.Warn("flush before the end; the rows stay in the hot tier", "error", err)
	}
	e.store.Tidy(ctx)
}

// release closes what is open, the last opened first.
func (e *Engine) release() error {
	var errs []error
	if e.hub != nil {
		if e.store != nil {
			// What was answered is published then. An error means that nothing
			// can be committed any more.
			_ = e.store.Between(context.Background(), func(*table.State) error { return nil })
		}
		e.hub.CloseAll(live.ReasonShutdown)
	}
	if e.keys != nil {
		errs = append(errs, e.keys.Close(context.Background()))
	}
	if e.flushes != nil {
		e.flushes.Stop()
	}
	if e.backups != nil {
		e.backups.Close()
	}
	if e.jobs != nil {
		e.jobs.Close(context.Background())
	}
	if e.store != nil {
		errs = append(errs, e.store.Close())
	}
	if e.hub != nil {
		e.hub.Close()
	}
	if e.storages != nil {
		errs = append(errs, e.storages.Close())
	}
	if e.backend != nil {
		errs = append(errs, e.backend.Close())
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Unlock())
	}
	return errors.Join(errs...)
}

// probeInterval is how often a broken storage is tried.
const probeInterval = time.Second

// Health says whether the engine can do its work. At most once a second it asks
// the storage: with a small write while that refuses writes, else with one that
// writes nothing, as a storage that is away may have been met by reads only.
func (e *Engine) Health() Health {
	if e.running.Closed() {
		return Health{Reason: "the server is shutting down"}
	}
	err := e.store.Unavailable()
	now := time.Now().UnixNano()
	if next := e.nextProbe.Load(); now >= next && e.nextProbe.CompareAndSwap(next, now+int64(probeInterval)) {
		ctx, cancel := context.WithTimeout(e.stopped, probeInterval)
		defer cancel()
		if err != nil {
			err = e.store.Probe(ctx)
		} else if err = e.backend.Write(ctx, new(kv.Batch)); dberr.CodeOf(err) != dberr.StorageUnavailable {
			err = nil // busy is not ill
		}
		e.probed.Store(&err)
	} else if probed := e.probed.Load(); err == nil && probed != nil {
		err = *probed
	}
	if err == nil {
		return Health{Writable: true}
	}
	if d, ok := dberr.As(err); ok {
		return Health{Reason: d.Message}
	}
	return Health{Reason: "the storage cannot be written now"}
}

// Size is how many bytes the hot rows take on their medium.
func (e *Engine) Size(ctx context.Context) (int64, error) { return e.backend.Size(ctx) }

// Hub is where the live queries are, for the connections that read them.
func (e *Engine) Hub() *live.Hub { return e.hub }

// UserRole is the role that system.users gives a user by its metadata.role,
// empty when it gives none. registered is false for a user that is not there.
func (e *Engine) UserRole(ctx context.Context, id ident.UserID) (role string, registered bool, err error) {
	return e.users.Role(ctx, id)
}

// SetLimits takes from a changed configuration how many statements may run and
// wait. What runs beyond that runs on.
func (e *Engine) SetLimits(q config.Query) { e.gate.Set(places(q)) }

// Delayed tells how long requests lie around before they come to the engine,
// and on how many connections they can, so that it knows of an overload that it
// does not see. It must be called again and again, and soon while it answers
// that statements run.
func (e *Engine) Delayed(delay time.Duration, connections int) (busy bool) {
	return e.gate.Delayed(delay, connections)
}

func places(q config.Query) slot.Options {
	return slot.Options{Most: q.MaxConcurrent, Running: q.MaxRunning, Wait: q.MaxWait.Std(), Limit: q.Timeout.Std()}
}

// Stats are the engine's figures for monitoring.
type Stats struct {
	Commit      table.CommitStats
	Tables      table.Totals
	Flush       flush.Stats
	Live        live.Stats
	Sessions    session.Stats
	StreamRows  int
	StreamBytes int64
	Plans       sql.CacheStats
	APIKeys     int
	Memory      exec.PoolStats
	Gate        slot.Stats
	Uptime      time.Duration
}

// Stats reads the figures.
func (e *Engine) Stats() Stats {
	rows, bytes := e.store.StreamStats()
	return Stats{
		Commit: e.store.CommitStats(), Tables: e.store.Totals(), Flush: e.flushes.Stats(), Live: e.hub.Stats(), Sessions: e.sessions.Stats(),
		StreamRows: rows, StreamBytes: bytes,
		Plans: e.compiler.CacheStats(), APIKeys: e.keys.Len(), Memory: e.memory.Stats(), Gate: e.gate.Stats(), Uptime: time.Since(e.started),
	}
}

// node is this server's name in system tables.
func (e *Engine) node() ident.NodeID {
	if e.cfg.Server.Node != "" {
		return e.cfg.Server.Node
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		return ident.NodeID(h)
	}
	return "localhost"
}

func (e *Engine) newHost() *systable.Host {
	return &systable.Host{
		Node:        e.node(),
		LiveQueries: e.hub.List,
		Jobs:        e.jobs.List,
		APIKeys:     e.keys.List,
		Sessions: func() []systable.Session {
			var out []systable.Session
			for _, s := range e.sessions.List() {
				out = append(out, systable.Session(s))
			}
			return out
		},
		Plans: func() []systable.Plan {
			var out []systable.Plan
			for _, p := range e.compiler.CachedPlans() {
				out = append(out, systable.Plan(p))
			}
			return out
		},
		Storages: func() []systable.Storage {
			out := []systable.Storage{shownStorage(e.storages.Local())}
			for st := range e.store.Catalog().Storages() {
				out = append(out, shownStorage(st))
			}
			return out
		},
		FlushPolicy: e.flushPolicy,
	}
}

// flushPolicy describes when a table is flushed, with the server's defaults
// where the table does not say.
func (e *Engine) flushPolicy(interval time.Duration, rows int64) string {
	if interval == 0 && rows == 0 {
		interval, rows = e.cfg.Flush.DefaultInterval.Std(), e.cfg.Flush.DefaultRows
	}
	switch {
	case interval == 0:
		return fmt.Sprintf("ROW_THRESHOLD %d", rows)
	case rows == 0:
		return fmt.Sprintf("INTERVAL %s", config.Duration(interval))
	}
	return fmt.Sprintf("INTERVAL %s ROW_THRESHOLD %d", config.Duration(interval), rows)
}
