package live

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
)

// Options tune a Hub; the zero value takes every default.
type Options struct {
	// Limits are the bounds on subscriptions and their queues; zero fields
	// take the defaults of the configuration.
	Limits config.Live
	// Backlog is how many changes may wait for the dispatchers. Past it a
	// change is dropped and the subscriptions of its table and user resync.
	// Default 65536.
	Backlog int
	// BacklogBytes is how many bytes of rows those changes may have.
	// Default 64 MiB.
	BacklogBytes int
	// QueuedBytes is how many bytes all queues together may hold, a batch
	// that lies in several counted once. Past it a subscription that has
	// something in its queue already is treated as too slow. Default 1 GiB.
	QueuedBytes int64
	// Dispatchers is how many goroutines evaluate filters. Changes of one
	// table and user always go to the same one. Default: one for each CPU,
	// at most 8.
	Dispatchers int
	// Source re-reads what a slow subscription missed. Without one it ends
	// with RESYNC_REQUIRED.
	Source Source
	// Log gets a line for every subscription that ends. Default: none.
	Log *slog.Logger
}

// Hub connects the commit loop with the subscriptions. All methods may be
// called from any goroutine, but for Publish, which has one caller.
type Hub struct {
	opt    Options
	log    *slog.Logger
	shards []*shard
	seed   maphash.Seed
	stats  counters
	stop   sync.Once
	wg     sync.WaitGroup

	mu       sync.Mutex // guards what follows; nothing else is locked under it
	subs     map[ident.LiveID]*Subscription
	perUser  map[ident.UserID]int
	perConn  map[ident.ConnectionID]int
	perTable map[ident.TableID]int
	showing  map[ident.TableID]int // those of perTable that show deleted rows
	versions map[ident.TableID]uint32
	closed   bool
}

func orDefault[T cmp.Ordered](v *T, def T) {
	var zero T
	if *v <= zero {
		*v = def
	}
}

// NewHub makes a Hub and starts its dispatchers. Close stops them.
func NewHub(opt Options) *Hub {
	orDefault(&opt.Limits.MaxPerUser, 100)
	orDefault(&opt.Limits.MaxPerConnection, 100)
	orDefault(&opt.Limits.MaxTotal, 200_000)
	orDefault(&opt.Limits.Queue, 1024)
	orDefault(&opt.Limits.QueueBytes, 4<<20)
	orDefault(&opt.Backlog, 65_536)
	orDefault(&opt.BacklogBytes, 64<<20)
	orDefault(&opt.QueuedBytes, 1<<30)
	orDefault(&opt.Dispatchers, min(runtime.GOMAXPROCS(0), 8))
	h := &Hub{
		opt:      opt,
		log:      opt.Log,
		seed:     maphash.MakeSeed(),
		subs:     make(map[ident.LiveID]*Subscription),
		perUser:  make(map[ident.UserID]int),
		perConn:  make(map[ident.ConnectionID]int),
		perTable: make(map[ident.TableID]int),
		showing:  make(map[ident.TableID]int),
		versions: make(map[ident.TableID]uint32),
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	for range opt.Dispatchers {
		s := newShard(h, opt.Backlog/opt.Dispatchers+1, opt.BacklogBytes/opt.Dispatchers+1)
		h.shards = append(h.shards, s)
		h.wg.Go(s.run)
	}
	return h
}

// OnSlow says what happens to a subscription whose queue is full.
type OnSlow uint8

// The policies.
const (
	// Resync drops the queue and later delivers the newest state of what was
	// missed. The default.
	Resync OnSlow = iota
	// CloseSlow ends the subscription.
	CloseSlow
)

// Spec describes a subscription to register.
type Spec struct {
	// ID is unique on the server.
	ID         ident.LiveID
	Connection ident.ConnectionID
	// ClientID is the client's name for it.
	ClientID ident.SubscriptionID
	// User is whose rows it sees.
	User ident.UserID
	Plan *Plan
	// Query is the statement's text and Options the client's options, both
	// for system.live_queries.
	Query   string
	Options json.RawMessage
	// Buffer is how many undelivered rows the subscription may hold; 0 and
	// anything above the server's limit mean the limit.
	Buffer int
	OnSlow OnSlow
	// Mux is who reads it; nil: a reader of its own, who calls Next.
	Mux *Mux
	// Tag is the reader's own; the Hub never looks at it.
	Tag any
}

// Register adds a subscription, which buffers changes from now on until it is
// started. It is called before the snapshot for its initial rows is taken.
//
// It is refused with UNSUPPORTED for a table that is not per user, with
// RESOURCE_EXHAUSTED past a limit, with ALREADY_EXISTS for an id that is
// taken, and with CONFLICT when the table was altered since the plan was made:
// then the statement is prepared again.
func (h *Hub) Register(spec Spec) (*Subscription, error) {
	t := spec.Plan.Table
	if !t.Type.PerUser() {
		if t.Type == ident.SharedTable {
			return nil, dberr.New(dberr.Unsupported, "Live query subscriptions not supported on shared tables").
				WithHint("Subscribe to a USER or STREAM table; read a SHARED one with SELECT.")
		}
		return nil, dberr.Newf(dberr.Unsupported, "Live query subscriptions not supported on table %s", t.Ident()).
			WithHint("Subscribe to a USER or STREAM table.")
	}
	spec.Plan.layout()
	s := newSubscription(h, spec)
	if err := h.admit(s); err != nil {
		return nil, err
	}
	h.shardOf(s.key()).attach(s)

	// An ALTER that went through between admit and attach did not see the
	// subscription in its topic.
	h.mu.Lock()
	stale := h.versions[t.ID] > t.SchemaVersion
	h.mu.Unlock()
	if stale {
		s.finish(&Closed{Reason: ReasonUnsubscribed})
		return nil, alteredError(t.Ident())
	}
	h.stats.registered.Add(1)
	return s, nil
}

func alteredError(t ident.Table) error {
	return dberr.Newf(dberr.Conflict, "table %s was altered meanwhile", t).WithHint("Try again.")
}

// admit checks the limits and enters the subscription into the registry.
func (h *Hub) admit(s *Subscription) error {
	t := s.plan.Table
	h.mu.Lock()
	defer h.mu.Unlock()
	lim := &h.opt.Limits
	limit := func(what string, n int) error {
		h.stats.refused.Add(1)
		return dberr.Newf(dberr.ResourceExhausted, "too many live queries: %s may have %d", what, n).
			WithHint("End subscriptions that are no longer needed, or raise the limit in [live] of the configuration.")
	}
	switch {
	case h.closed:
		return dberr.New(dberr.StorageUnavailable, "the server is shutting down")
	case h.versions[t.ID] > t.SchemaVersion:
		return alteredError(t.Ident())
	case len(h.subs) >= lim.MaxTotal:
		return limit("the server", lim.MaxTotal)
	case h.perUser[s.user] >= lim.MaxPerUser:
		return limit("a user", lim.MaxPerUser)
	case s.conn != "" && h.perConn[s.conn] >= lim.MaxPerConnection:
		return limit("a connection", lim.MaxPerConnection)
	}
	if _, ok := h.subs[s.id]; ok || s.id == "" {
		return dberr.Newf(dberr.AlreadyExists, "live query id %q is taken", s.id)
	}
	h.subs[s.id] = s
	h.perUser[s.user]++
	h.perConn[s.conn]++
	h.perTable[t.ID]++
	if s.shows {
		h.showing[t.ID]++
	}
	return nil
}

// forget takes an ended subscription out of topic and registry.
func (h *Hub) forget(s *Subscription) {
	s.mu.Lock()
	attached, closed, table := s.attached, s.closed, s.plan.Table.Ident()
	s.mu.Unlock()
	if attached {
		h.shardOf(s.key()).detach(s)
	}
	h.log.Info("live query closed", "live_id", s.id, "user", s.user, "table", table,
		"reason", string(closed.Reason), "error", closed.Err, "changes", s.changes.Load())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs[s.id] != s {
		return
	}
	delete(h.subs, s.id)
	decrement(h.perUser, s.user)
	decrement(h.perConn, s.conn)
	decrement(h.perTable, s.table)
	if s.shows {
		decrement(h.showing, s.table)
	}
}

func decrement[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}

// ref counts a batch that is put into a queue, unref one that leaves it.
func (h *Hub) ref(b *Batch) {
	if b.refs.Add(1) == 1 {
		h.stats.queuedBytes.Add(int64(b.bytes))
	}
}

func (h *Hub) unref(b *Batch) {
	if b.refs.Add(-1) == 0 {
		h.stats.queuedBytes.Add(-int64(b.bytes))
	}
}

// full tells whether the queues together hold as much as they may.
func (h *Hub) full() bool { return h.stats.queuedBytes.Load() > h.opt.QueuedBytes }

// Lookup finds a subscription by its id.
func (h *Hub) Lookup(id ident.LiveID) (*Subscription, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.subs[id]
	return s, ok
}

// Kill ends a subscription at once with the reason "killed". An id that is not
// there gives SUBSCRIPTION_NOT_FOUND. Whether the caller may do so is for the
// engine to decide, with Lookup and User.
func (h *Hub) Kill(id ident.LiveID) error {
	s, ok := h.Lookup(id)
	if !ok || !s.finish(&Closed{Reason: ReasonKilled}) {
		return dberr.Newf(dberr.SubscriptionNotFound, "Live query '%s' not found", id).
			WithHint("SELECT live_id FROM system.live_queries lists the live queries.")
	}
	return nil
}

// CountByTable is how many subscriptions a table has.
func (h *Hub) CountByTable(t ident.TableID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.perTable[t]
}

// ShowsDeleted tells whether a subscription of a table shows deleted rows.
func (h *Hub) ShowsDeleted(t ident.TableID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.showing[t] > 0
}

// collect gives the subscriptions that keep says yes to; it runs under the
// registry's lock.
func (h *Hub) collect(keep func(*Subscription) bool) []*Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*Subscription
	for _, s := range h.subs {
		if keep(s) {
			out = append(out, s)
		}
	}
	return out
}

// CloseTable ends every subscription of a table with the reason
// "table_dropped", behind what was published before.
func (h *Hub) CloseTable(t ident.TableID) {
	h.drain()
	for _, s := range h.collect(func(s *Subscription) bool { return s.table == t }) {
		s.finish(&Closed{Reason: ReasonTableDropped})
	}
}

// CloseConnection ends every subscription of a connection that has gone.
// Nothing is reported to its reader.
func (h *Hub) CloseConnection(c ident.ConnectionID) {
	for _, s := range h.collect(func(s *Subscription) bool { return s.conn == c }) {
		s.finish(&Closed{Reason: ReasonUnsubscribed})
	}
}

// CloseAll refuses new subscriptions from now on and ends those that are
// there. With ReasonShutdown a reader first gets what was published before.
func (h *Hub) CloseAll(reason Reason) {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.drain()
	for _, s := range h.collect(func(*Subscription) bool { return true }) {
		s.finish(&Closed{Reason: reason})
	}
}

// Close delivers what was published, ends all subscriptions with the reason
// "shutdown" and stops the dispatchers. It may be called twice. Changes that
// are published later are forgotten.
func (h *Hub) Close() {
	h.stop.Do(func() {
		h.CloseAll(ReasonShutdown)
		for _, s := range h.shards {
			s.close()
		}
	})
	h.wg.Wait()
}

// drain waits until everything published before is in the queues.
func (h *Hub) drain() {
	var wg sync.WaitGroup
	for _, s := range h.shards {
		wg.Add(1)
		if !s.control(func(*dispatcher) { wg.Done() }) {
			wg.Done()
		}
	}
	wg.Wait()
}

// Info is one row of system.live_queries.
type Info struct {
	ID           ident.LiveID
	Connection   ident.ConnectionID
	Subscription ident.SubscriptionID
	User         ident.UserID
	Table        ident.Table
	Query        string
	Options      json.RawMessage
	// Changes is how many rows were handed to the reader as changes.
	Changes   uint64
	CreatedAt time.Time
	// LastUpdate is when the last of them was; zero: never.
	LastUpdate time.Time
	// QueuedRows and QueuedBytes are what the reader has not taken yet.
	QueuedRows, QueuedBytes int
	// Resyncs is how often the reader was too slow.
	Resyncs uint64
}

// panicked logs a panic over what a live query asks for, and makes the error of
// it that the query ends with.
func (h *Hub) panicked(p any, where ...any) error {
	h.log.Error("panic in a live query", append(where, "panic", p, "stack", string(debug.Stack()))...)
	return dberr.New(dberr.Internal, "The live query has failed.").Wrap(fmt.Errorf("panic: %v", p))
}

// List describes the subscriptions of a user, or all of them when user is
// empty, in the order of their creation.
func (h *Hub) List(user ident.UserID) []Info {
	subs := h.collect(func(s *Subscription) bool { return user == "" || s.user == user })
	out := make([]Info, len(subs))
	for i, s := range subs {
		out[i] = s.Info()
	}
	slices.SortFunc(out, func(a, b Info) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return out
}
