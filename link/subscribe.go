package link

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// SlowPolicy says what happens to a subscription whose events are not read
// fast enough.
type SlowPolicy string

// The policies for slow readers.
const (
	// SlowResync drops the events that do not fit and then gives the newest
	// state of the rows they were about, marked Resync. It is the default.
	SlowResync SlowPolicy = wire.OnSlowResync
	// SlowClose ends the subscription with a ClosedError.
	SlowClose SlowPolicy = wire.OnSlowClose
)

type subOptions struct {
	lastRows    *int
	fromSeq     *uint64
	params      []any
	buffer      int
	serverQueue int
	onSlow      SlowPolicy
	noReconnect bool
}

// SubscribeOption changes a subscription.
type SubscribeOption func(*subOptions)

// LastRows asks for the newest n matching rows first, oldest of them first; -1
// asks for all of them. They are never dropped for a slow reader; the server
// limits how many there can be.
func LastRows(n int) SubscribeOption { return func(o *subOptions) { o.lastRows = &n } }

// FromSeq starts behind a commit sequence that the program kept earlier, from
// Subscription.Seq. Subscribe fails with CodeResyncRequired when the server no longer
// has what came since.
func FromSeq(seq uint64) SubscribeOption { return func(o *subOptions) { o.fromSeq = &seq } }

// Params fill $1, $2, … of the query.
func Params(params ...any) SubscribeOption { return func(o *subOptions) { o.params = params } }

// Buffer is how many events may wait to be read in this program before the
// policy for slow readers applies. Default 4096.
func Buffer(n int) SubscribeOption { return func(o *subOptions) { o.buffer = n } }

// ServerBuffer is how many changes may wait on the server before the policy for
// slow readers applies. Default: the server's.
func ServerBuffer(n int) SubscribeOption { return func(o *subOptions) { o.serverQueue = n } }

// OnSlow sets the policy for slow readers.
func OnSlow(p SlowPolicy) SubscribeOption { return func(o *subOptions) { o.onSlow = p } }

// AutoReconnect says whether a lost connection is made again; it is by default.
// Without it the loss ends the subscription with a TransportError.
func AutoReconnect(on bool) SubscribeOption { return func(o *subOptions) { o.noReconnect = !on } }

// Subscription is a live query. Its events are read by one goroutine at a time;
// Close may be called from any.
type Subscription struct {
	m     *mux
	sql   string
	ns    string
	opts  subOptions
	param []json.RawMessage
	ready chan struct{} // closed when the first acknowledgement or error is there

	mu     sync.Mutex // guards what follows
	queue  []Event
	notify chan struct{} // capacity 1
	err    error         // why no event follows those in the queue
	acked  bool          // the first acknowledgement came
	wireID string        // the name on the current connection, "" when there is none
	liveID string

	schema           []Column
	rowCols, oldCols []Column // the layouts of the last row and old row, to skip parsing names

	resume   uint64 // every change up to it is in the queue or was read
	ackSeq   uint64
	floor    uint64 // changes up to it are repetitions
	loading  bool   // initial data is to come or incomplete
	fresh    bool   // the next subscribe starts anew, the server cannot resume
	resuming bool   // the pending subscribe is a resume
	lagging  bool   // events were dropped; resumes when the queue is empty
	lagged   bool   // mark what the resume brings as Resync
	lost     bool   // a reconnect is to be announced

	// While catching is true the server repeats what was missed, each row in
	// its newest state and in no order of sequence: resume must not move before
	// it is through, which its last message says, or the first live change when
	// nothing was missed. Should the connection be lost in between, given knows
	// which states the reader has got already.
	catching bool
	catchSeq uint64 // what resume becomes then
	given    map[uint64]struct{}
}

// maxGiven bounds Subscription.given. Past it the queue grows instead.
const maxGiven = 1 << 20

var givenSeed = maphash.MakeSeed()

// Subscribe starts a live query and returns once the server has acknowledged
// it: every change committed from then on comes as an event. The query is a
// SELECT, or SUBSCRIBE TO t [WHERE …] [OPTIONS (…)], which asks the server for
// its SELECT first; options given here win.
//
// All subscriptions of a Client share one connection, which is made again when
// it is lost.
func (c *Client) Subscribe(ctx context.Context, sql string, opts ...SubscribeOption) (*Subscription, error) {
	s := &Subscription{sql: sql, ns: c.set.namespace, ready: make(chan struct{}), notify: make(chan struct{}, 1)}
	for _, o := range opts {
		o(&s.opts)
	}
	if s.opts.buffer <= 0 {
		s.opts.buffer = 4096
	}
	var err error
	if s.param, err = encodeParams(s.opts.params); err != nil {
		return nil, err
	}
	if word, _, _ := strings.Cut(skipSpace(sql), " "); strings.EqualFold(strings.TrimSpace(word), "SUBSCRIBE") {
		if err := c.resolveSubscribe(ctx, s); err != nil {
			return nil, err
		}
	}
	m, err := c.mux()
	if err != nil {
		return nil, err
	}
	s.m = m
	if err := m.add(s); err != nil {
		return nil, err
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
		s.end(context.Cause(ctx))
		m.remove(s)
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.acked {
		return nil, s.err
	}
	return s, nil
}

// resolveSubscribe asks the server over HTTP for the query and the options
// that a SUBSCRIBE TO stands for, so that a mistake in it gets its place.
func (c *Client) resolveSubscribe(ctx context.Context, s *Subscription) error {
	rows, err := c.Query(ctx, s.sql, s.opts.params...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if rows.Err() != nil {
			return rows.Err()
		}
		return &ProtocolError{Reason: "SUBSCRIBE TO gave no row"}
	}
	for i, col := range rows.rec.cols {
		if col.Name != "subscription" {
			continue
		}
		raw := []byte(rows.rec.cells[i])
		if len(raw) > 0 && raw[0] == '"' {
			text, err := unquote(raw)
			if err != nil {
				return &ProtocolError{Reason: "the subscription cannot be read: " + err.Error()}
			}
			raw = []byte(text)
		}
		var w wire.Subscription
		if err := json.Unmarshal(raw, &w); err != nil || w.SQL == "" {
			return &ProtocolError{Reason: fmt.Sprintf("the subscription cannot be read: %v", err), Body: head(raw)}
		}
		s.sql = w.SQL
		if w.NamespaceID != "" {
			s.ns = w.NamespaceID
		}
		if o := w.Options; o != nil {
			if s.opts.lastRows == nil {
				s.opts.lastRows = o.LastRows
			}
			if s.opts.fromSeq == nil {
				s.opts.fromSeq = o.FromSeq
			}
			if s.opts.serverQueue == 0 {
				s.opts.serverQueue = o.Buffer
			}
			if s.opts.onSlow == "" {
				s.opts.onSlow = SlowPolicy(o.OnSlow)
			}
		}
		return nil
	}
	return &ProtocolError{Reason: "SUBSCRIBE TO gave no subscription"}
}

// SQL is the query that the server runs.
func (s *Subscription) SQL() string { return s.sql }

// LiveID is the server's name of the live query, for KILL LIVE QUERY. It
// changes when the connection is made again.
func (s *Subscription) LiveID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.liveID
}

// Columns are the columns of the query.
func (s *Subscription) Columns() []Column {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.schema
}

// Seq is the commit sequence up to which every change was received (and waits
// to be read, or was). A program that keeps it can resume after a restart with
// FromSeq.
func (s *Subscription) Seq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resume
}

// Next waits for the next event. The error is final unless it is the context's:
// a *ClosedError, an *Error, a *TransportError, or ErrClosed after Close.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			ev := s.queue[0]
			s.queue[0] = Event{}
			s.queue = s.queue[1:]
			again := len(s.queue) == 0 && s.lagging && s.err == nil
			if len(s.queue) == 0 {
				s.queue = nil
			}
			if again {
				s.lagging, s.lagged = false, true
			}
			s.mu.Unlock()
			if again {
				s.m.subscribe(s)
			}
			return ev, nil
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return Event{}, err
		}
		select {
		case <-s.notify:
		case <-ctx.Done():
			return Event{}, context.Cause(ctx)
		}
	}
}

// Events ranges over the events until the subscription or the context ends; the
// reason is the last thing it yields, except after Close.
func (s *Subscription) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			ev, err := s.Next(ctx)
			if err == ErrClosed {
				return
			}
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// Each calls f with every event, one after the other, until f returns an error,
// which it gives back, or the subscription or the context ends; it gives nil
// after Close.
func (s *Subscription) Each(ctx context.Context, f func(Event) error) error {
	for ev, err := range s.Events(ctx) {
		if err != nil {
			return err
		}
		if err := f(ev); err != nil {
			return err
		}
	}
	return nil
}

// Chan gives the events by a channel, which is closed when the subscription or
// the context ends; Err then tells why. It is another way to read the same
// events, not to be mixed with Next.
func (s *Subscription) Chan(ctx context.Context) <-chan Event {
	ch := make(chan Event)
	go func() {
		defer close(ch)
		for {
			ev, err := s.Next(ctx)
			if err != nil {
				return
			}
			select {
			case ch <- ev:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

// Err is why the subscription ended; nil while it runs and after Close.
func (s *Subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == ErrClosed {
		return nil
	}
	return s.err
}

// Close ends the subscription on the server. Events that were not read are
// dropped. It may be called twice.
func (s *Subscription) Close() error {
	s.mu.Lock()
	s.queue = nil
	s.mu.Unlock()
	s.end(ErrClosed)
	s.m.remove(s)
	return nil
}

// end makes err the last thing that the reader gets; the first end counts.
func (s *Subscription) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(err)
}

func (s *Subscription) endLocked(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	s.settle()
	s.wake()
}

// settle lets Subscribe return.
func (s *Subscription) settle() {
	select {
	case <-s.ready:
	default:
		close(s.ready)
	}
}

func (s *Subscription) wake() {
	select {
	case s.notify <- struct{}{}:
	default:
	}
}

func (s *Subscription) pushLocked(ev Event) {
	if s.err != nil {
		return
	}
	if n := len(s.queue); n > 0 && ev.Kind == EventReconnecting && s.queue[n-1].Kind == EventReconnecting {
		s.queue[n-1] = ev // an unread attempt is of no interest once the next one comes
		return
	}
	s.queue = append(s.queue, ev)
	s.wake()
}

// request makes the subscribe message under a new name.
func (s *Subscription) request(id string) wire.Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wireID = id
	o := &wire.SubscriptionOptions{Buffer: s.opts.serverQueue, OnSlow: string(s.opts.onSlow)}
	if s.lagging {
		s.lagging, s.lagged = false, true
	}
	s.resuming = s.acked && !s.loading && !s.fresh
	if s.resuming {
		seq := s.resume
		o.FromSeq, s.floor = &seq, seq
	} else {
		if s.acked && s.loading { // the initial data was cut off: what came of it is repeated
			s.pushLocked(Event{Kind: EventResynced, LiveID: s.liveID})
			s.lost = false
		}
		s.floor = 0
		o.LastRows = s.opts.lastRows
		s.loading = s.opts.lastRows != nil
		if !s.acked && s.opts.fromSeq != nil {
			o.FromSeq = s.opts.fromSeq
			s.floor, s.resume = *o.FromSeq, *o.FromSeq
		}
		s.fresh, s.catching, s.catchSeq, s.given = false, false, 0, nil
	}
	return wire.Subscription{ID: id, SQL: s.sql, Params: s.param, NamespaceID: s.ns, Options: o}
}

// onAck notes the acknowledgement.
func (s *Subscription) onAck(m *wire.ServerMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.liveID, s.ackSeq = m.LiveID, m.Seq
	if len(m.Schema) > 0 {
		s.setSchema(m.Schema)
	}
	if s.resuming || !s.acked && s.opts.fromSeq != nil {
		s.catchUp(m.Seq)
	} else if !s.loading {
		s.resume = max(s.resume, m.Seq)
	}
	switch {
	case !s.acked:
		s.acked = true
		s.pushLocked(Event{Kind: EventReady, LiveID: m.LiveID, Columns: s.schema, Seq: m.Seq})
		s.settle()
	case s.lost:
		s.pushLocked(Event{Kind: EventReconnected, LiveID: m.LiveID, Seq: m.Seq})
	}
	s.lost = false
}

func (s *Subscription) setSchema(cols []Column) {
	s.schema = cols
	layout := append([]Column(nil), cols...)
	for _, sys := range []Column{{Name: "_updated", Type: "TIMESTAMP"}, {Name: "_deleted", Type: "BOOLEAN"}} {
		found := false
		for _, c := range cols {
			found = found || c.Name == sys.Name
		}
		if !found {
			layout = append(layout, sys)
		}
	}
	s.rowCols, s.oldCols = layout, layout
}

// onInitial queues a part of the initial data.
func (s *Subscription) onInitial(m *wire.ServerMessage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, raw := range m.Rows {
		rec, err := s.record(raw, &s.rowCols)
		if err != nil {
			return err
		}
		s.pushLocked(Event{Kind: EventInitial, Row: rec, Seq: m.Seq})
	}
	if m.Last {
		s.loading = false
		s.resume = max(s.ackSeq, m.Seq)
		s.floor = s.resume
		s.pushLocked(Event{Kind: EventLoaded, Seq: s.resume})
	}
	return nil
}

func (s *Subscription) record(raw []byte, layout *[]Column) (*Record, error) {
	rec := &Record{}
	if _, err := rec.load(raw, *layout); err != nil {
		return nil, err
	}
	if len(rec.cols) > 0 && (len(rec.cols) != len(*layout) || &rec.cols[0] != &(*layout)[0]) {
		*layout = rec.cols
	}
	return rec, nil
}

// onChange queues a change. It returns false when the queue is full: the
// change was dropped and the subscription has to be taken off the connection.
func (s *Subscription) onChange(m *wire.ServerMessage) (fits bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || m.Seq <= s.floor && m.Seq != 0 {
		return true, nil
	}
	marked := m.CatchUp || m.Resync
	if len(s.queue) >= s.opts.buffer && !(marked && len(s.given) >= maxGiven) {
		if s.opts.onSlow == SlowClose {
			s.endLocked(&ClosedError{Reason: wire.ReasonSlowConsumer, LiveID: s.liveID})
		}
		s.lagging = true
		s.wireID = ""
		return false, nil
	}
	ev := Event{Seq: m.Seq, CatchUp: m.CatchUp && !s.lagged, Resync: m.Resync || m.CatchUp && s.lagged}
	switch m.ChangeType {
	case "insert":
		ev.Kind = EventInsert
	case "update":
		ev.Kind = EventUpdate
	case "delete":
		ev.Kind = EventDelete
	default:
		return true, &syntaxError{"unknown change_type " + m.ChangeType}
	}
	if m.Timestamp != "" {
		if t, err := time.Parse(time.RFC3339Nano, m.Timestamp); err == nil {
			ev.Time = t
		}
	}
	for i := range max(len(m.Rows), len(m.OldValues)) {
		e := ev
		if i < len(m.OldValues) {
			if e.Old, err = s.record(m.OldValues[i], &s.oldCols); err != nil {
				return true, err
			}
		}
		if i < len(m.Rows) {
			if e.Row, err = s.record(m.Rows[i], &s.rowCols); err != nil {
				return true, err
			}
		} else {
			e.Row = e.Old
		}
		if !marked || s.isNews(m, i) {
			s.pushLocked(e)
		}
	}
	if marked {
		s.catchUp(m.Seq)
		if m.Last {
			s.caughtUp()
		}
		return true, nil
	}
	s.resume = max(s.resume, m.Seq)
	s.caughtUp()
	return true, nil
}

// catchUp notes that the server is repeating what was missed.
func (s *Subscription) catchUp(seq uint64) {
	s.catching, s.catchSeq = true, max(s.catchSeq, seq)
}

// caughtUp notes that everything that was missed is there.
func (s *Subscription) caughtUp() {
	if s.catching {
		s.catching, s.lagged, s.given = false, false, nil
		s.resume = max(s.resume, s.catchSeq)
	}
}

// isNews tells whether the reader has not got this state of the row from an
// earlier attempt to catch up, and remembers it.
func (s *Subscription) isNews(m *wire.ServerMessage, i int) bool {
	raw := []byte(nil)
	if i < len(m.Rows) {
		raw = m.Rows[i]
	} else {
		raw = m.OldValues[i]
	}
	h := maphash.Bytes(givenSeed, raw) ^ uint64(m.ChangeType[0])
	if _, known := s.given[h]; known {
		return false
	}
	if len(s.given) < maxGiven {
		if s.given == nil {
			s.given = map[uint64]struct{}{}
		}
		s.given[h] = struct{}{}
	}
	return true
}
