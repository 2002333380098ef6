package live

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
)

// Reason is why a subscription ended.
type Reason string

// The reasons.
const (
	ReasonKilled       Reason = wire.ReasonKilled
	ReasonTableDropped Reason = wire.ReasonTableDropped
	ReasonSlowConsumer Reason = wire.ReasonSlowConsumer
	ReasonShutdown     Reason = wire.ReasonShutdown
	// ReasonError is an error of the query itself or of re-reading its rows;
	// Closed.Err tells.
	ReasonError Reason = "error"
	// ReasonUnsubscribed is the reader's own doing.
	ReasonUnsubscribed Reason = "unsubscribed"
)

// Closed is the error that a reader gets when its subscription has ended.
type Closed struct {
	Reason Reason
	// Err is the cause with ReasonError.
	Err error
}

// Error names the reason.
func (c *Closed) Error() string {
	if c.Err != nil {
		return fmt.Sprintf("subscription closed: %v", c.Err)
	}
	return "subscription closed: " + string(c.Reason)
}

// Unwrap is the cause.
func (c *Closed) Unwrap() error { return c.Err }

// drains tells whether what is queued is still delivered before the end.
func (c *Closed) drains() bool {
	return c.Reason == ReasonShutdown || c.Reason == ReasonTableDropped
}

// Subscription is one live query. Its life:
//
//	buffering → initial rows → catch-up → changes ⇄ resync → ended
//
// While it buffers, and while the reader is busy with the rows of a source,
// changes collect in the bounded queue. floor is the sequence number up to
// which the reader's state is complete once the current source is read; queued
// changes at or below it are in that source already and are dropped. When the
// queue overflows, or the dispatcher lost changes, the queue is dropped and
// lostFrom remembers the last sequence number that the reader will have
// complete, lostTo the last that was dropped. Should a snapshot turn out to
// have them all, nothing was missed. Otherwise the reader, when it comes,
// clears the mark, so that changes collect again, and only then opens the
// Source, whose snapshot therefore has all that was dropped.
//
// One goroutine reads a subscription; everything else may be called from any.
type Subscription struct {
	hub      *Hub
	id       ident.LiveID
	conn     ident.ConnectionID
	clientID ident.SubscriptionID
	user     ident.UserID
	query    string
	options  json.RawMessage
	mux      *Mux
	tag      any
	created  int64 // Unix microseconds
	table    ident.TableID
	maxRows  int32

	proj *projection // guarded by the topic's lock, as is at
	at   int32
	head int32 // of queue; guarded by mu

	changes    atomic.Uint64
	lastUpdate atomic.Int64 // Unix microseconds
	resyncs    atomic.Uint64

	reading sync.Mutex // held while the reader is in Poll; guards replays
	replays *replay    // the first of those that are left

	mu          sync.Mutex // guards what follows; never held over a callback
	plan        *Plan
	queue       []*Batch
	rows, bytes int
	from, floor change.Seq
	lostFrom    change.Seq
	lostTo      change.Seq
	closed      *Closed
	// The small fields are together: there are very many subscriptions.
	started  bool
	lost     bool
	announce bool // the reader has not heard of the plan's columns
	attached bool // it is in its topic
	shows    bool // deleted rows; does not change

	listed bool   // guarded by mux.mu
	onSlow OnSlow // does not change
}

func newSubscription(h *Hub, spec Spec) *Subscription {
	s := &Subscription{
		hub: h, id: spec.ID, conn: spec.Connection, clientID: spec.ClientID, user: spec.User,
		table: spec.Plan.tableID(), query: spec.Query, options: spec.Options, mux: spec.Mux, tag: spec.Tag,
		created: time.Now().UnixMicro(), maxRows: int32(min(h.opt.Limits.Queue, math.MaxInt32)), onSlow: spec.OnSlow, plan: spec.Plan,
		shows: spec.Plan.ShowsDeleted,
	}
	if spec.Buffer > 0 {
		s.maxRows = int32(min(int(s.maxRows), spec.Buffer))
	}
	if s.mux == nil {
		s.mux = NewMux()
	}
	return s
}

func (s *Subscription) key() topicKey { return topicKey{s.table, s.user} }

// ID is the live query's id.
func (s *Subscription) ID() ident.LiveID { return s.id }

// ClientID is the client's name for it.
func (s *Subscription) ClientID() ident.SubscriptionID { return s.clientID }

// User is whose rows it sees.
func (s *Subscription) User() ident.UserID { return s.user }

// Tag is what Spec.Tag was.
func (s *Subscription) Tag() any { return s.tag }

// Plan is its plan; a Rebind changes it.
func (s *Subscription) Plan() *Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plan
}

// Seq is the sequence number that it was started at: every later change of the
// result is delivered. A later resync does not change it.
func (s *Subscription) Seq() change.Seq {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from
}

// Info describes it for system.live_queries.
func (s *Subscription) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := Info{
		ID: s.id, Connection: s.conn, Subscription: s.clientID, User: s.user, Table: s.plan.Table.Ident(),
		Query: s.query, Options: s.options, Changes: s.changes.Load(), CreatedAt: time.UnixMicro(s.created),
		QueuedRows: s.rows, QueuedBytes: s.bytes, Resyncs: s.resyncs.Load(),
	}
	if us := s.lastUpdate.Load(); us != 0 {
		in.LastUpdate = time.UnixMicro(us)
	}
	return in
}

// Start is what a subscription begins with.
type Start struct {
	// Seq is the sequence number of a snapshot that was taken after
	// Register: every change above it is delivered, and none below.
	Seq change.Seq
	// Initial are the rows in the result at the snapshot, oldest first, with
	// the plan's Columns, then _seq, _updated and _deleted. nil: the client
	// wants none. No change is delivered before its last part.
	Initial RowSource
	// CatchUp are the rows that changed since the client was last there, as
	// Source.Since gives them, at the snapshot. They are delivered as
	// changes, in front of the live ones.
	CatchUp RowSource
}

// Start lets the subscription begin. It is called once, and takes the sources
// over also when it fails, which it does with a *Closed when the subscription
// has ended meanwhile.
func (s *Subscription) Start(st Start) error {
	s.reading.Lock()
	s.mu.Lock()
	if st.CatchUp != nil {
		s.replays = newReplay(st.CatchUp, 0, s.plan, st.Seq)
		s.replays.catchUp = true
	}
	if st.Initial != nil {
		r := newReplay(st.Initial, Initial, s.plan, st.Seq)
		r.then, s.replays = s.replays, r
	}
	closed := s.closed
	if closed == nil {
		s.started, s.from = true, st.Seq
		s.raise(st.Seq)
	}
	s.mu.Unlock()
	if closed != nil {
		s.closeSources()
	}
	s.reading.Unlock()
	if closed != nil {
		return closed
	}
	s.mux.put(s)
	s.release() // in case it ended just now
	return nil
}

// raise lifts the floor and drops what is below it. The caller holds mu.
func (s *Subscription) raise(seq change.Seq) {
	s.floor = max(s.floor, seq)
	s.lostFrom = max(s.lostFrom, s.floor)
	old := s.queue[s.head:]
	s.queue, s.head, s.rows, s.bytes = nil, 0, 0, 0
	for _, b := range old {
		if b.Kind == Schema {
			s.enqueue(b)
		} else if b.Seq > s.floor {
			s.enqueue(b.after(s.floor))
		}
	}
	for _, b := range old {
		s.hub.unref(b)
	}
	if s.lost && s.lostTo <= s.floor {
		s.lost = false
		if s.announce {
			s.announce = false
			s.enqueue(schemaBatch(s.plan))
		}
	}
}

func (s *Subscription) enqueue(b *Batch) {
	if s.head > 0 && len(s.queue) == cap(s.queue) {
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
	s.queue = append(s.queue, b)
	s.hub.ref(b)
	s.rows += len(b.Rows)
	s.bytes += b.bytes
}

// push queues a batch of changes; last is the newest sequence number that is
// being dispatched with it. deaf is true when the subscription wants
// nothing of what was published up to now: it has ended, or will read it again.
// ended is true when this batch ended it; the caller then has the Hub forget
// it.
func (s *Subscription) push(b *Batch, last change.Seq) (deaf, ended bool) {
	s.mu.Lock()
	switch {
	case s.closed != nil || s.lost:
		s.lostTo = max(s.lostTo, last)
		s.mu.Unlock()
		return true, false
	case b.Seq <= s.floor:
		s.mu.Unlock()
		return false, false
	case b.first() <= s.floor:
		b = b.after(s.floor)
	}
	// An empty queue takes any batch: none has more than maxBatchRows rows.
	if s.rows > 0 && (s.rows+len(b.Rows) > int(s.maxRows) || s.bytes+b.bytes > int(s.hub.opt.Limits.QueueBytes) || s.hub.full()) {
		s.hub.stats.dropped.Add(uint64(len(b.Rows)))
		ended = s.overflow(b.first()-1, last)
	} else {
		s.enqueue(b)
	}
	// A reader that leaves something in the queue comes again by itself.
	notify := s.started && (s.lost || len(s.queue)-int(s.head) == 1) || ended
	deaf = s.lost || ended
	s.mu.Unlock()
	if notify {
		s.mux.put(s)
	}
	return deaf, ended
}

// miss notes that the dispatcher lost changes. It is true when that ended the
// subscription.
func (s *Subscription) miss(first, last change.Seq) (ended bool) {
	s.mu.Lock()
	if s.closed != nil || s.lost || last <= s.floor {
		s.lostTo = max(s.lostTo, last)
		s.mu.Unlock()
		return false
	}
	ended = s.overflow(first-1, last)
	notify := s.started || ended
	s.mu.Unlock()
	if notify {
		s.mux.put(s)
	}
	return ended
}

// fail ends the subscription because a change could not be evaluated. Before
// the start it may be one that the snapshot has, perhaps of an older version
// of the table: then it counts as lost, and is read again if it has to be.
func (s *Subscription) fail(f failure) {
	s.mu.Lock()
	covered, started := f.seq <= s.floor, s.started
	s.mu.Unlock()
	switch {
	case covered:
	case started:
		s.finish(&Closed{Reason: ReasonError, Err: f.err})
	case s.miss(f.seq, f.last):
		s.hub.forget(s)
		s.release()
	}
}

// overflow gives the queue up: what lies in it, and everything above seq, at
// least up to last, has to be read again, or the subscription ends. The caller
// holds mu.
func (s *Subscription) overflow(seq, last change.Seq) (ended bool) {
	if s.onSlow == CloseSlow {
		s.end(&Closed{Reason: ReasonSlowConsumer})
		return true
	}
	s.lose(seq, last)
	return false
}

// lose is overflow for whoever is not at fault.
func (s *Subscription) lose(seq, last change.Seq) {
	for _, b := range s.queue[s.head:] {
		if b.Kind == Schema {
			s.announce = true
		} else {
			seq = min(seq, b.first()-1)
		}
	}
	s.hub.stats.dropped.Add(uint64(s.rows))
	s.clear()
	s.lost, s.lostFrom, s.lostTo = true, max(seq, s.floor), last
}

// reread has the reader read again what the changes from first on have done, at
// least up to last.
func (s *Subscription) reread(first, last change.Seq) {
	s.mu.Lock()
	if s.closed != nil || s.lost || last <= s.floor {
		s.lostTo = max(s.lostTo, last)
		s.mu.Unlock()
		return
	}
	s.lose(first-1, last)
	notify := s.started
	s.mu.Unlock()
	if notify {
		s.mux.put(s)
	}
}

// replan gives the subscription a new plan, from here on in the queue.
func (s *Subscription) replan(p *Plan) {
	s.mu.Lock()
	s.plan = p
	switch {
	case s.closed != nil:
	case s.lost:
		s.announce = true
	default:
		s.enqueue(schemaBatch(p))
	}
	notify := s.started
	s.mu.Unlock()
	if notify {
		s.mux.put(s)
	}
}

func schemaBatch(p *Plan) *Batch {
	return &Batch{Kind: Schema, Columns: p.Delivered(), bytes: batchBytes}
}

// end marks the subscription ended; the first reason counts. The caller holds
// mu, and later has the Hub forget it.
func (s *Subscription) end(c *Closed) bool {
	if s.closed != nil {
		return false
	}
	s.closed = c
	if !c.drains() {
		s.clear()
	}
	s.hub.stats.closed(c.Reason)
	return true
}

// finish ends the subscription and takes it out of the hub. False: it had
// ended before.
func (s *Subscription) finish(c *Closed) bool {
	s.mu.Lock()
	first := s.end(c)
	s.mu.Unlock()
	if !first {
		return false
	}
	s.hub.forget(s)
	s.release()
	s.mux.put(s)
	return true
}

// Close ends the subscription for its reader and frees what it holds. It may
// be called twice, also while Next runs, which then gives a *Closed with
// ReasonUnsubscribed. Who registers a subscription closes it in the end.
func (s *Subscription) Close() {
	c := &Closed{Reason: ReasonUnsubscribed}
	if s.finish(c) {
		return
	}
	s.mu.Lock()
	if s.closed.drains() {
		s.closed = c
		s.clear()
	}
	s.mu.Unlock()
	s.release()
}

// release closes the sources of an ended subscription, unless the reader is
// just using them: then it does so itself when it is done.
func (s *Subscription) release() {
	s.mu.Lock()
	done := s.closed != nil && !s.closed.drains()
	s.mu.Unlock()
	if !done || !s.reading.TryLock() {
		return
	}
	s.closeSources()
	s.reading.Unlock()
}

// closeSources closes what is left of the sources. The caller holds reading.
func (s *Subscription) closeSources() {
	for ; s.replays != nil; s.replays = s.replays.then {
		s.replays.src.Close()
	}
}

// clear drops the queue. The caller holds mu.
func (s *Subscription) clear() {
	for _, b := range s.queue[s.head:] {
		s.hub.unref(b)
	}
	s.queue, s.head, s.rows, s.bytes = nil, 0, 0, 0
}
