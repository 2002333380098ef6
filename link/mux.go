package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// maxMessage bounds one WebSocket message of the server.
const maxMessage = 64 << 20

// writeTimeout bounds how long a message may take to be sent; past it the
// connection counts as lost.
const writeTimeout = 10 * time.Second

var errSilent = errors.New("the server has not been heard of")

// mux carries all subscriptions of a client over one WebSocket connection.
//
// One goroutine, run, makes the connection, subscribes everything on it, reads
// it, and begins again when it is lost; it ends when no subscription is left.
// Each subscribe message has a name that was never used before, so that what a
// lost connection or an earlier attempt still says about a subscription is
// never taken for news.
type mux struct {
	c      *Client
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	subs   map[*Subscription]struct{}
	routes map[string]*Subscription // by the name on the current connection
	conn   *websocket.Conn          // nil while there is none
	cur    *runner                  // the run that may touch conn and routes; nil when none runs
	nextID uint64
	closed bool
}

// runner is one life of run. A subscription that comes right after the last
// one left starts a new life while the old one still says goodbye.
type runner struct {
	ctx  context.Context
	stop context.CancelFunc
}

func (c *Client) mux() (*mux, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if c.live == nil {
		ctx, cancel := context.WithCancel(context.Background())
		c.live = &mux{c: c, ctx: ctx, cancel: cancel, subs: map[*Subscription]struct{}{}, routes: map[string]*Subscription{}}
	}
	return c.live, nil
}

func (m *mux) add(s *Subscription) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	m.subs[s] = struct{}{}
	connected := m.conn != nil
	if m.cur == nil {
		r := &runner{}
		r.ctx, r.stop = context.WithCancel(m.ctx)
		m.cur = r
		m.wg.Go(func() { m.run(r) })
	}
	m.mu.Unlock()
	if connected {
		m.subscribe(s)
	}
	return nil
}

// remove takes a subscription off; the last one takes the connection with it.
func (m *mux) remove(s *Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.subs[s]; !ok {
		return
	}
	delete(m.subs, s)
	id := m.unroute(s)
	conn := m.conn
	if len(m.subs) == 0 {
		r := m.cur
		m.cur, m.conn = nil, nil
		if conn == nil {
			r.stop()
			return
		}
		m.wg.Go(func() {
			// A server that does not say goodbye in return is not waited for.
			t := time.AfterFunc(time.Second, func() { conn.CloseNow() })
			defer t.Stop()
			conn.Close(websocket.StatusNormalClosure, "")
			r.stop()
		})
		return
	}
	if conn != nil && id != "" {
		m.wg.Go(func() { m.send(conn, wire.ClientMessage{Type: wire.TypeUnsubscribe, SubscriptionID: id}) })
	}
}

// unroute forgets the subscription's name; m.mu is held.
func (m *mux) unroute(s *Subscription) string {
	for id, r := range m.routes {
		if r == s {
			delete(m.routes, id)
			return id
		}
	}
	return ""
}

func (m *mux) close() {
	m.mu.Lock()
	m.closed = true
	subs := m.list()
	m.mu.Unlock()
	for _, s := range subs {
		s.end(ErrClosed)
		m.remove(s)
	}
	m.cancel()
	m.wg.Wait()
}

// list copies the subscriptions; m.mu is held.
func (m *mux) list() []*Subscription {
	out := make([]*Subscription, 0, len(m.subs))
	for s := range m.subs {
		out = append(out, s)
	}
	return out
}

// drop ends a subscription for good.
func (m *mux) drop(s *Subscription, err error) {
	s.end(err)
	m.remove(s)
}

// run keeps the connection until no subscription is left.
func (m *mux) run(r *runner) {
	ctx := r.ctx
	defer r.stop()
	backoff := m.c.set.backoff.filled()
	refresh := false
	for attempt := 0; ctx.Err() == nil; {
		conn, err := m.dial(ctx, refresh)
		var acked bool
		if err == nil {
			acked, err = m.serve(r, conn)
		}
		if ctx.Err() != nil {
			return
		}
		if acked {
			attempt, refresh = 0, false
		}
		attempt++
		m.c.set.log.Debug("live connection lost", "attempt", attempt, "error", err)
		auth := false
		if e, ok := errors.AsType[*Error](err); ok {
			auth = e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden || e.Auth()
		}
		final := auth && (m.c.set.tokenSource == nil || refresh)
		refresh = auth
		m.mu.Lock()
		if m.cur != r {
			m.mu.Unlock()
			return
		}
		subs := m.list()
		m.mu.Unlock()
		for _, s := range subs {
			if s.lose(err, attempt, final, refresh) {
				m.remove(s)
			}
		}
		if ctx.Err() != nil {
			return
		}
		d := backoff.Min << min(attempt-1, 20)
		if sleep(ctx, jitter(d, backoff.Max)) != nil {
			return
		}
	}
}

// lose tells the subscription that its connection was lost and tells whether
// that was its end.
func (s *Subscription) lose(err error, attempt int, final, refresh bool) (ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wireID = ""
	switch {
	case s.err != nil:
		return true
	case final, s.acked && s.opts.noReconnect, !s.acked && !refresh:
		s.endLocked(err)
		return true
	}
	if s.acked {
		s.lost = true
		s.pushLocked(Event{Kind: EventReconnecting, Err: err, Attempt: attempt})
	}
	return false
}

// dial makes the connection and authenticates it.
func (m *mux) dial(ctx context.Context, refresh bool) (*websocket.Conn, error) {
	c := m.c
	if c.set.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.set.timeout, errTimeout)
		defer cancel()
	}
	h, err := c.header(ctx, refresh)
	if err != nil {
		return nil, err
	}
	token := ""
	if c.set.firstMsg || !headersOnHandshake {
		token = strings.TrimPrefix(h.Get("Authorization"), "Bearer ")
		h.Del("Authorization")
	}
	u := *c.base
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	u.Path += wire.PathWS
	conn, resp, err := dialWebSocket(ctx, u.String(), c.http, h)
	if err != nil {
		return nil, dialError(c, resp, err)
	}
	conn.SetReadLimit(maxMessage)
	if token == "" {
		return conn, nil
	}
	if err := authenticate(ctx, conn, token); err != nil {
		conn.CloseNow()
		if _, ok := errors.AsType[*Error](err); ok {
			return nil, err
		}
		return nil, &TransportError{Op: "authenticate", URL: c.URL(), Err: err}
	}
	return conn, nil
}

func dialError(c *Client, resp *http.Response, err error) error {
	if pe, ok := errors.AsType[*ProtocolError](err); ok {
		return pe
	}
	if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		var body []byte
		if resp.Body != nil {
			body, _ = io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		}
		err := errorAnswer(resp, body)
		if pe, ok := err.(*ProtocolError); ok {
			pe.Reason = "it did not open a WebSocket"
		}
		return err
	}
	// The library's "failed to WebSocket dial: failed to send handshake
	// request:" says nothing that Op does not.
	for inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), "failed to"); inner = errors.Unwrap(err) {
		err = inner
	}
	return &TransportError{Op: "connect", URL: c.URL(), Err: err}
}

func authenticate(ctx context.Context, conn *websocket.Conn, token string) error {
	msg, err := json.Marshal(wire.ClientMessage{Type: wire.TypeAuthenticate, Token: token})
	if err != nil {
		return err
	}
	if err := conn.Write(ctx, websocket.MessageText, msg); err != nil {
		return err
	}
	_, data, err := conn.Read(ctx)
	if err != nil {
		return err
	}
	var sm wire.ServerMessage
	if err := json.Unmarshal(data, &sm); err != nil {
		return fmt.Errorf("the answer is not valid JSON: %w", err)
	}
	switch sm.Type {
	case wire.TypeAuthenticated:
		return nil
	case wire.TypeError:
		return &Error{Code: Code(sm.Code), Message: sm.Message, Hint: sm.Hint, HTTPStatus: http.StatusUnauthorized}
	}
	return fmt.Errorf("the server answered with %q", sm.Type)
}

// serve subscribes everything on a new connection and reads it to its end. It
// tells whether the server acknowledged anything on it.
func (m *mux) serve(r *runner, conn *websocket.Conn) (acked bool, err error) {
	ctx := r.ctx
	cctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var seen atomic.Int64
	seen.Store(time.Now().UnixNano())
	var beat sync.WaitGroup
	beat.Go(func() { m.heartbeat(cctx, cancel, conn, &seen) })
	defer func() {
		m.mu.Lock()
		if m.conn == conn {
			m.conn = nil
			clear(m.routes)
		}
		m.mu.Unlock()
		cancel(nil)
		conn.CloseNow()
		beat.Wait()
	}()

	m.mu.Lock()
	if m.cur != r {
		m.mu.Unlock()
		return false, ErrClosed
	}
	m.conn = conn
	clear(m.routes)
	subs := m.list()
	m.mu.Unlock()
	for _, s := range subs {
		m.subscribe(s)
	}
	for {
		_, data, err := conn.Read(cctx)
		if err != nil {
			if cause := context.Cause(cctx); cause != nil && ctx.Err() == nil {
				err = cause
			}
			return acked, &TransportError{Op: "read", URL: m.c.URL(), Err: closeReason(err), Sent: true}
		}
		seen.Store(time.Now().UnixNano())
		var msg wire.ServerMessage
		if err := json.Unmarshal(data, &msg); err != nil {
			return acked, &ProtocolError{Reason: "a live message is not valid JSON: " + err.Error(), Body: head(data)}
		}
		if msg.Type == wire.TypeSubscriptionAck {
			acked = true
		}
		if err := m.dispatch(conn, &msg); err != nil {
			return acked, err
		}
	}
}

func closeReason(err error) error {
	if ce, ok := errors.AsType[websocket.CloseError](err); ok {
		if ce.Reason != "" {
			return errors.New("the server closed the connection: " + ce.Reason)
		}
		return fmt.Errorf("the server closed the connection (%d)", ce.Code)
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the connection was lost")
	}
	return err
}

// heartbeat asks for a sign of life and gives up a connection without one.
func (m *mux) heartbeat(ctx context.Context, cancel context.CancelCauseFunc, conn *websocket.Conn, seen *atomic.Int64) {
	every := m.c.set.heartbeat
	if every <= 0 {
		return
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if silent := time.Since(time.Unix(0, seen.Load())); silent > 2*every {
			cancel(fmt.Errorf("%w for %s", errSilent, silent.Round(time.Millisecond)))
			conn.CloseNow()
			return
		}
		m.send(conn, wire.ClientMessage{Type: wire.TypePing})
	}
}

// subscribe sends the subscribe message on the current connection; without one,
// the next connection will.
func (m *mux) subscribe(s *Subscription) {
	m.mu.Lock()
	conn := m.conn
	if _, ok := m.subs[s]; !ok || conn == nil {
		m.mu.Unlock()
		return
	}
	m.unroute(s)
	m.nextID++
	id := "s" + strconv.FormatUint(m.nextID, 10)
	m.routes[id] = s
	m.mu.Unlock()
	m.send(conn, wire.ClientMessage{Type: wire.TypeSubscribe, Subscriptions: []wire.Subscription{s.request(id)}})
}

// send writes a message. A failure closes the connection, which its reader
// notices.
func (m *mux) send(conn *websocket.Conn, msg wire.ClientMessage) {
	data, err := encode(msg)
	if err == nil {
		ctx, cancel := context.WithTimeout(m.ctx, writeTimeout)
		defer cancel()
		err = conn.Write(ctx, websocket.MessageText, data)
	}
	if err != nil {
		conn.CloseNow()
	}
}

// dispatch hands a message to its subscription. An error ends the connection.
func (m *mux) dispatch(conn *websocket.Conn, msg *wire.ServerMessage) error {
	m.mu.Lock()
	s := m.routes[msg.SubscriptionID]
	m.mu.Unlock()
	if s == nil {
		if msg.Type == wire.TypeError && msg.SubscriptionID == "" {
			e := liveError(msg)
			if e.Auth() {
				return e
			}
			m.c.set.log.Warn("the server reports an error on the live connection", "error", e)
		}
		return nil // or news of a subscription that has gone
	}
	var err error
	switch msg.Type {
	case wire.TypeSubscriptionAck:
		s.onAck(msg)
	case wire.TypeInitialData:
		err = s.onInitial(msg)
	case wire.TypeChange:
		var fits bool
		if fits, err = s.onChange(msg); !fits {
			m.detach(conn, s, msg.SubscriptionID)
		}
	case wire.TypeSchema:
		s.mu.Lock()
		s.setSchema(msg.Schema)
		s.pushLocked(Event{Kind: EventSchema, Columns: msg.Schema, Seq: msg.Seq})
		s.mu.Unlock()
	case wire.TypeError:
		m.onError(s, liveError(msg))
	case wire.TypeClosed:
		closed := &ClosedError{Reason: msg.Reason, LiveID: s.LiveID()}
		if msg.Reason == wire.ReasonShutdown && !s.opts.noReconnect {
			return &TransportError{Op: "read", URL: m.c.URL(), Err: closed, Sent: true}
		}
		m.mu.Lock()
		m.unroute(s) // the server has forgotten it already
		m.mu.Unlock()
		m.drop(s, closed)
	}
	if err != nil {
		return &ProtocolError{Reason: "a live message cannot be read: " + err.Error()}
	}
	return nil
}

func liveError(msg *wire.ServerMessage) *Error {
	return &Error{Code: Code(msg.Code), Message: msg.Message, Hint: msg.Hint}
}

// detach takes a subscription that is not read fast enough off the connection.
// It comes back, from where it was, once its reader has caught up.
func (m *mux) detach(conn *websocket.Conn, s *Subscription, id string) {
	if s.Err() != nil {
		m.remove(s)
		return
	}
	m.mu.Lock()
	delete(m.routes, id)
	m.mu.Unlock()
	m.send(conn, wire.ClientMessage{Type: wire.TypeUnsubscribe, SubscriptionID: id})
}

// onError handles a refused subscribe message.
func (m *mux) onError(s *Subscription, e *Error) {
	s.mu.Lock()
	acked := s.acked
	s.mu.Unlock()
	switch {
	case e.Code == CodeResyncRequired && acked: // on resuming, or of a slow reader
		s.mu.Lock()
		s.pushLocked(Event{Kind: EventResynced, LiveID: s.liveID, Err: e})
		s.fresh, s.lost, s.lagged = true, false, false
		s.mu.Unlock()
		m.subscribe(s)
	case acked && transient(e.Code) && !s.opts.noReconnect:
		s.mu.Lock()
		s.lost = true
		s.pushLocked(Event{Kind: EventReconnecting, Err: e, Attempt: 1})
		s.mu.Unlock()
		m.wg.Go(func() {
			b := m.c.set.backoff.filled()
			if sleep(m.ctx, jitter(max(b.Min, b.Max/4), b.Max)) == nil {
				m.subscribe(s)
			}
		})
	default:
		m.mu.Lock()
		m.unroute(s)
		m.mu.Unlock()
		m.drop(s, e)
	}
}

func transient(c Code) bool {
	switch c {
	case CodeRateLimited, CodeResourceExhausted, CodeStorageUnavailable, CodeTimeout, CodeInternal, CodeConflict:
		return true
	}
	return false
}
