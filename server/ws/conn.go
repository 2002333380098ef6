package ws

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/limit"
	"github.com/kalamdb/kalamdb/server/wireconv"
)

// conn is one connection.
//
// Messages go to the network past the WebSocket library, which would take as
// long for each of a thousand listeners as the network does. They are written
// without a deadline: one would cost a timer each, and a write that hangs is
// ended by the heartbeat, which closes the connection of a client that does not
// answer.
type conn struct {
	srv       *Server
	ws        *websocket.Conn
	cork      *corkConn
	id        ident.ConnectionID
	remote    string
	address   string // as limits count it
	actAs     string
	sessionID ident.SessionID
	namespace ident.NamespaceID
	log       *slog.Logger

	ctx    context.Context // of the connection; ends when it does
	cancel context.CancelCauseFunc
	mux    *live.Mux
	last   atomic.Int64 // when the client was heard last, in nanoseconds

	// Of the reading goroutine alone.
	session   Session
	principal auth.Principal
	rate      limit.Rate // of what the client sends
	excess    int        // how many messages in a row were beyond it

	lost atomic.Bool // the credentials are not good any more

	out   sync.Mutex // held while a message is written; guards what follows and sub.gone
	frame []byte     // the message that is being written
	left  bool       // no more messages are

	mu    sync.Mutex // guards what follows
	subs  map[ident.SubscriptionID]*sub
	ended bool           // nothing more is delivered
	pump  sync.WaitGroup // of goroutines that deliver
	empty chan struct{}  // told when the last of subs goes
	beat  *time.Timer
	grant grant
}

// run reads the connection to its end.
func (c *conn) run() {
	c.seen()
	defer c.end()
	defer c.recover()
	c.heartbeat()
	if c.session == nil {
		ok := false
		c.aside(func() { ok = c.firstMessage() })
		if !ok {
			return
		}
	}
	c.watch()
	c.ws.SetReadLimit(c.srv.limit)
	for {
		data, ok := c.read()
		if !ok {
			return
		}
		var over error
		if wait, ok := c.rate.Allow(); ok {
			c.excess = 0
		} else {
			over = limit.Refuse(dberr.RateLimited, "The client sends too many messages on this connection.", wait)
			if c.excess++; c.excess > maxExcess {
				c.fail("", over)
				c.leave(websocket.StatusPolicyViolation, "too many messages")
				return
			}
		}
		c.aside(func() { c.handle(data, over) })
	}
}

// aside runs fn on a goroutine of its own and waits for it: what answering a
// message needs of stack is not kept by the goroutine that mostly waits.
func (c *conn) aside(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer c.recover()
		fn()
	}()
	<-done
}

// recover turns a panic over one message into the end of one connection.
func (c *conn) recover() {
	if p := recover(); p != nil {
		id := wireconv.NewID()
		c.log.Error("panic on a connection", "id", id, "panic", p, "stack", string(debug.Stack()))
		c.sendError("", wireconv.InternalFailure(id))
		c.leave(websocket.StatusInternalError, "internal error "+id)
	}
}

// end frees everything that belongs to the connection.
func (c *conn) end() {
	c.cancel(net.ErrClosed)
	c.mu.Lock()
	c.ended = true
	c.beat.Stop()
	c.grant.stop()
	subs := make([]*live.Subscription, 0, len(c.subs))
	for _, s := range c.subs {
		if s.live != nil {
			subs = append(subs, s.live)
		}
	}
	clear(c.subs)
	c.mu.Unlock()
	_ = c.ws.CloseNow()
	for _, s := range subs {
		s.Close()
	}
	c.pump.Wait()
}

// seen notes that the client is there.
func (c *conn) seen() { c.last.Store(time.Now().UnixNano()) }

// heartbeat pings the client from time to time, and closes the connection
// when it was not heard for too long. Between two beats it costs a timer and
// no goroutine.
func (c *conn) heartbeat() {
	every, idle := c.srv.o.Live.PingInterval.Std(), c.srv.o.Live.IdleTimeout.Std()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beat = time.AfterFunc(every, func() {
		deadline := time.Unix(0, c.last.Load()).Add(idle)
		ctx, cancel := context.WithDeadline(c.ctx, deadline)
		defer cancel()
		if c.ws.Ping(ctx) == nil {
			c.seen()
		} else if c.ctx.Err() == nil && time.Since(time.Unix(0, c.last.Load())) >= idle {
			c.log.Info("connection closed: the client is silent", "remote", c.remote, "idle_timeout", idle)
			c.cancel(errors.New("the client is silent"))
			c.abort()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ctx.Err() == nil {
			c.beat.Reset(every)
		}
	})
}

// read reads one text message; ok is false at the end of the connection.
func (c *conn) read() (data []byte, ok bool) {
	kind, data, err := c.ws.Read(context.Background())
	if err != nil {
		if websocket.CloseStatus(err) == -1 {
			c.gone(err)
		}
		return nil, false
	}
	c.seen()
	if kind != websocket.MessageText {
		c.fail("", dberr.New(dberr.Unsupported, "Messages are JSON texts, not binary."))
		c.leave(websocket.StatusUnsupportedData, "messages are JSON texts")
		return nil, false
	}
	return data, true
}

// firstMessage waits for the credentials of a client that sent none with its
// handshake.
func (c *conn) firstMessage() bool {
	c.ws.SetReadLimit(min(maxAuthMessage, c.srv.limit))
	late := time.AfterFunc(c.srv.o.AuthTimeout, func() {
		c.fail("", dberr.Newf(dberr.Unauthenticated, "No message of type authenticate came within %v.", c.srv.o.AuthTimeout))
		c.leave(websocket.StatusPolicyViolation, "authentication timeout")
	})
	data, ok := c.read()
	if !late.Stop() || !ok {
		return false
	}
	var m wire.ClientMessage
	if err := json.Unmarshal(data, &m); err != nil || m.Type != wire.TypeAuthenticate {
		c.fail("", dberr.New(dberr.Unauthenticated, "The first message of a connection without credentials must be of type authenticate."))
		c.leave(websocket.StatusPolicyViolation, "not authenticated")
		return false
	}
	if err := c.authenticate(m.Token); err != nil {
		c.fail("", err)
		c.leave(websocket.StatusPolicyViolation, "not authenticated")
		return false
	}
	return true
}

// leave ends the connection, giving the client a moment to say goodbye.
func (c *conn) leave(code websocket.StatusCode, reason string) {
	late := time.AfterFunc(closeTimeout, c.abort)
	defer late.Stop()
	c.out.Lock() // the close is the last frame
	c.left = true
	c.out.Unlock()
	_ = c.ws.Close(code, reason)
}

// abort breaks the connection; whoever reads or writes it fails. (CloseNow of
// the library would wait for a Close that is under way.)
func (c *conn) abort() { _ = c.cork.Conn.Close() }

// authenticate takes the token of a message. On a connection that has live
// queries it may renew who the client is, not change it.
func (c *conn) authenticate(token string) error {
	p, err := c.srv.o.Auth.Token(c.ctx, c.address, token, c.actAs)
	if err != nil {
		return err
	}
	if c.session != nil && (p.User != c.principal.User || p.Role != c.principal.Role) {
		c.mu.Lock()
		n := len(c.subs)
		c.mu.Unlock()
		if n > 0 {
			return dberr.New(dberr.PermissionDenied, "A connection with live queries cannot become another user's.").
				WithHint("Open another connection.")
		}
	}
	if err := c.authenticated(p); err != nil {
		return err
	}
	c.watch()
	c.send(func(b []byte) []byte {
		b = append(b, `{"type":"authenticated","user_id":`...)
		return append(wireconv.AppendString(b, string(p.User)), '}')
	})
	return nil
}

// authenticated gives the connection its user.
func (c *conn) authenticated(p auth.Principal) error {
	c.srv.mu.Lock()
	engine := c.srv.engine
	c.srv.mu.Unlock()
	session, err := engine.Session(core.Principal{User: p.User, Role: p.Role, ExplicitUser: p.ExplicitUser}, c.sessionID)
	if err != nil {
		return err
	}
	c.session, c.principal, c.rate = session, p, c.srv.o.Admission.Messages(p)
	return nil
}

// maxExcess is how many messages in a row may be beyond the rate before the
// connection is closed.
const maxExcess = 1000

// handle answers one message of an authenticated client; over is why it is not
// taken, or nil.
func (c *conn) handle(data []byte, over error) {
	var m wire.ClientMessage
	if err := json.Unmarshal(data, &m); err != nil {
		c.fail("", dberr.New(dberr.InvalidJSON, "The message is not a JSON object of the protocol."))
		return
	}
	if over != nil {
		if len(m.Subscriptions) == 0 {
			c.fail(clipped(m.SubscriptionID), over)
		}
		for i := range m.Subscriptions {
			c.fail(clipped(m.Subscriptions[i].ID), over)
		}
		return
	}
	switch {
	case m.Type == wire.TypePing:
		c.send(func(b []byte) []byte { return append(b, `{"type":"pong"}`...) })
	case m.Type == wire.TypeUnsubscribe:
		c.unsubscribe(ident.SubscriptionID(m.SubscriptionID))
	case m.Type == wire.TypeAuthenticate:
		if err := c.authenticate(m.Token); err != nil {
			c.fail("", err)
		}
	case m.Type == wire.TypeSubscribe, m.Type == "" && m.Subscriptions != nil:
		if len(m.Subscriptions) == 0 {
			c.fail("", dberr.New(dberr.InvalidSQL, "The message has no subscriptions."))
		}
		for i := range m.Subscriptions {
			c.subscribe(&m.Subscriptions[i])
		}
	case m.Type == "":
		c.fail("", dberr.New(dberr.Unsupported, "The message has no type."))
	default:
		c.fail(clipped(m.SubscriptionID), dberr.Newf(dberr.Unsupported, "There are no messages of type %q.", wireconv.Clip(m.Type, 64)))
	}
}

// send writes one message, which build appends. Errors are not reported: the
// reading goroutine finds the connection broken, too.
func (c *conn) send(build func([]byte) []byte) {
	c.out.Lock()
	defer c.out.Unlock()
	c.frame = build(c.frame[:0])
	c.write(c.frame)
	c.trim()
}

// write writes a message; the caller holds out.
func (c *conn) write(message []byte) {
	if c.left {
		return
	}
	if err := c.cork.writeText(message); err != nil {
		c.broken(err)
	}
}

// gone notes that the client has gone without a goodbye, once.
func (c *conn) gone(err error) {
	if c.ctx.Err() == nil {
		c.log.Debug("connection lost", "remote", c.remote, "error", err)
	}
	c.cancel(err)
}

// broken ends a connection that cannot be written any more.
func (c *conn) broken(err error) {
	c.gone(err)
	c.abort()
}

// trim lets a large message's memory go.
func (c *conn) trim() {
	if cap(c.frame) > 8<<10 {
		c.frame = nil
	}
}

// fail tells the client of an error; id is the subscription that it concerns,
// or empty.
func (c *conn) fail(id ident.SubscriptionID, err error) {
	if c.ctx.Err() != nil && (errors.Is(err, context.Cause(c.ctx)) || errors.Is(err, context.Canceled)) {
		return // what failed did so because the client is gone
	}
	c.sendError(id, wireconv.Failure(c.ctx, c.log, err))
}

func (c *conn) sendError(id ident.SubscriptionID, f wire.Error) {
	c.srv.o.Metrics.Error(f.Code)
	c.send(func(b []byte) []byte { return appendError(b, id, f) })
}

// shutdown ends the connection because the server stops.
func (c *conn) shutdown(ctx context.Context) {
	for {
		c.mu.Lock()
		n := len(c.subs)
		c.mu.Unlock()
		if n == 0 {
			break
		}
		select {
		case <-c.empty:
			continue
		case <-c.ctx.Done():
		case <-ctx.Done():
			c.closeSubs()
		}
		break
	}
	c.leave(websocket.StatusGoingAway, "the server is shutting down")
	c.abort()
}
