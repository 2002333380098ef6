package ws

import (
	"context"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/server/wireconv"
)

// maxSubscriptionID is how many bytes a client's id of a subscription may have.
const maxSubscriptionID = 256

// clipped is an id that a client gave as an answer may repeat it.
func clipped(id string) ident.SubscriptionID {
	return ident.SubscriptionID(wireconv.Clip(id, maxSubscriptionID))
}

// sub is one subscription of a connection.
type sub struct {
	id       ident.SubscriptionID
	member   string // "subscription_id":"s1",
	lastRows *int   // as the client asked for
	encoder  *wireconv.Encoder
	columns  *live.Column // whose encoder it is
	// live is set when the engine has taken the subscription, and acked when
	// the client has been told so, or will not be; who cannot wait for that
	// otherwise puts a channel into ack. The connection's mu guards them.
	live  *live.Subscription
	ack   chan struct{}
	acked bool
	// gone is set when the client was told, or told us, that it is over: no
	// more frames of it are sent. The connection's out guards it.
	gone bool

	format  wireconv.Format
	variant live.Variant
}

// subscribe starts a live query.
func (c *conn) subscribe(in *wire.Subscription) {
	s, req, err := c.newSub(in)
	if err == nil {
		err = c.over()
	}
	if err != nil {
		c.fail(clipped(in.ID), err)
		return
	}
	c.mu.Lock()
	if _, taken := c.subs[s.id]; taken {
		c.mu.Unlock()
		c.fail(s.id, dberr.Newf(dberr.AlreadyExists, "This connection has a subscription %q already.", s.id))
		return
	}
	c.subs[s.id] = s
	c.mu.Unlock()

	sub, err := c.session.Subscribe(c.ctx, req)
	if err != nil {
		var st *core.StatementError
		if errors.As(err, &st) {
			err = st.Err
		}
		c.fail(s.id, err)
		c.drop(s)
		c.acknowledged(s)
		return
	}
	c.mu.Lock()
	s.live = sub
	c.mu.Unlock()
	c.send(func(b []byte) []byte { return appendAck(b, s, sub) })
	c.acknowledged(s)
	c.endLate(s)
}

// acknowledged lets the messages of a subscription go to the client.
func (c *conn) acknowledged(s *sub) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.acked = true
	if s.ack != nil {
		close(s.ack)
	}
}

// awaitAck waits until a subscription is acknowledged; false: the connection
// has ended.
func (c *conn) awaitAck(s *sub) bool {
	c.mu.Lock()
	if s.acked {
		c.mu.Unlock()
		return true
	}
	if s.ack == nil {
		s.ack = make(chan struct{})
	}
	ack := s.ack
	c.mu.Unlock()
	select {
	case <-ack:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// newSub checks a client's request.
func (c *conn) newSub(in *wire.Subscription) (*sub, core.SubscribeRequest, error) {
	bad := func(format string, args ...any) (*sub, core.SubscribeRequest, error) {
		return nil, core.SubscribeRequest{}, dberr.Newf(dberr.InvalidSQL, format, args...)
	}
	if in.ID == "" || len(in.ID) > maxSubscriptionID || !utf8.ValidString(in.ID) {
		return bad("A subscription needs an id of 1 to %d bytes.", maxSubscriptionID)
	}
	req := core.SubscribeRequest{
		SQL: in.SQL, Namespace: c.namespace, Connection: c.id, ID: ident.SubscriptionID(in.ID), Mux: c.mux,
	}
	var err error
	if req.Params, err = wireconv.Params(in.Params); err != nil {
		return nil, req, err
	}
	if in.NamespaceID != "" {
		if req.Namespace, err = ident.ParseNamespace(in.NamespaceID); err != nil {
			return nil, req, err
		}
	}
	s := &sub{id: req.ID}
	var buf [128]byte
	s.member = string(append(wireconv.AppendString(append(buf[:0], `"subscription_id":`...), in.ID), ','))
	req.Tag = s
	o := in.Options
	if o == nil {
		return s, req, nil
	}
	if o.LastRows != nil {
		if *o.LastRows < -1 {
			return bad("options.last_rows is %d; it must be a number of rows, or -1 for all.", *o.LastRows)
		}
		n := int64(*o.LastRows)
		req.LastRows, s.lastRows = &n, o.LastRows
	}
	req.FromSeq = o.FromSeq
	if o.Buffer < 0 {
		return bad("options.buffer is %d; it must not be negative.", o.Buffer)
	}
	req.Buffer = o.Buffer
	switch o.OnSlow {
	case "", wire.OnSlowResync:
	case wire.OnSlowClose:
		req.CloseOnSlow = true
	default:
		return bad("options.on_slow is %q; it must be %s or %s.", o.OnSlow, wire.OnSlowResync, wire.OnSlowClose)
	}
	switch o.Int64 {
	case "", "number":
	case "string":
		s.format.Int64Strings, s.variant = true, live.Int64String
	default:
		return bad("options.int64 is %q; it must be number or string.", o.Int64)
	}
	if req.Options, err = json.Marshal(o); err != nil {
		return nil, req, err
	}
	return s, req, nil
}

// unsubscribe ends a live query at the client's wish.
func (c *conn) unsubscribe(id ident.SubscriptionID) {
	c.mu.Lock()
	s := c.subs[id]
	c.mu.Unlock()
	if s == nil {
		shown := clipped(string(id))
		c.fail(shown, dberr.Newf(dberr.SubscriptionNotFound, "This connection has no subscription %q.", shown))
		return
	}
	// A frame of it may be under way; after this none follows.
	c.out.Lock()
	s.gone = true
	c.out.Unlock()
	c.drop(s)
	s.live.Close()
}

// drop forgets a subscription.
func (c *conn) drop(s *sub) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subs[s.id] != s {
		return
	}
	delete(c.subs, s.id)
	if len(c.subs) == 0 {
		select {
		case c.empty <- struct{}{}:
		default:
		}
	}
}

// closeSubs tells the client that the subscriptions which are left are closed
// by the shutdown, although they may still have something.
func (c *conn) closeSubs() {
	c.mu.Lock()
	left := make([]*sub, 0, len(c.subs))
	for _, s := range c.subs {
		if s.live != nil {
			left = append(left, s)
		}
	}
	c.mu.Unlock()
	for _, s := range left {
		c.closed(s, &live.Closed{Reason: live.ReasonShutdown})
		s.live.Close()
	}
}

// maxBurst is how many messages are put into one write at most.
const maxBurst = 256

// wake starts the delivery of what the connection's live queries have; it
// goes on until there is nothing more.
func (c *conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.pump.Go(c.deliverAll)
	}
}

// deliverAll writes what the connection's live queries bring until they have
// nothing more.
func (c *conn) deliverAll() {
	defer c.recover()
	s, msg, err := c.mux.Poll(c.ctx)
	for s != nil {
		c.cork.hold()
		for range maxBurst {
			c.deliver(s, msg, err)
			if s, msg, err = c.mux.Poll(c.ctx); s == nil {
				break
			}
		}
		if e := c.cork.release(); e != nil {
			c.broken(e)
			return
		}
	}
	if err != nil && c.ctx.Err() == nil {
		c.log.Error("live queries of a connection cannot be read", "error", err)
		c.abort()
	}
}

// deliver writes one message of a live query, or its end.
func (c *conn) deliver(ls *live.Subscription, msg live.Message, err error) {
	s := ls.Tag().(*sub)
	// The reading goroutine acknowledges it first.
	if !c.awaitAck(s) {
		return
	}
	if err != nil {
		var closed *live.Closed
		if !errors.As(err, &closed) {
			closed = &live.Closed{Reason: live.ReasonError, Err: err}
		}
		c.closed(s, closed)
		ls.Close()
		return
	}
	c.out.Lock()
	defer c.out.Unlock()
	if s.gone || c.lost.Load() {
		return
	}
	c.frame = s.appendMessage(c.frame[:0], msg)
	c.write(c.frame)
	c.trim()
}

// closed tells the client that a subscription has ended, and forgets it.
func (c *conn) closed(s *sub, why *live.Closed) {
	// Who waits for the last one to be dropped ends the connection, and must not
	// come in between.
	c.out.Lock()
	defer c.out.Unlock()
	c.drop(s)
	if s.gone {
		return
	}
	s.gone = true
	if why.Reason == live.ReasonError {
		c.frame = appendError(c.frame[:0], s.id, wireconv.Failure(context.Background(), c.log, why.Err))
	} else {
		c.frame = appendClosed(c.frame[:0], s, why.Reason)
	}
	c.write(c.frame)
}
