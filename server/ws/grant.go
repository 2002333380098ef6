package ws

import (
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/live"
)

// grant is what a connection's credentials allow, and for how long.
//
// Credentials end while a connection is open: a token expires, an API key is
// dropped. Its live queries then end with an error that says why, nothing more
// of them is sent, and no new ones are taken; the connection stays, so that
// the client may authenticate again and go on from the sequence number that it
// has. The connection's mu guards it.
type grant struct {
	user  ident.UserID
	keyID ident.APIKeyID
	ends  time.Time // zero: never
	timer *time.Timer
	// over is why the credentials are not good any more; nil: they are.
	over error
	told chan struct{} // closed when the client has been told so
}

func (g *grant) stop() {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
}

var (
	errExpired = dberr.New(dberr.TokenExpired, "The token has expired.").
			WithHint("Send a message of type authenticate with a new one, and subscribe again from the last seq.")
	errRevoked = dberr.New(dberr.Unauthenticated, "The API key was dropped.").
			WithHint("Send a message of type authenticate with other credentials.")
)

// watch begins to look after credentials that were just found to be good. The
// connection is known to the server by now, so that a key that is dropped from
// now on is heard of.
func (c *conn) watch() {
	p := c.principal
	c.mu.Lock()
	c.grant.stop()
	c.grant = grant{user: p.User, keyID: p.KeyID, ends: p.Expires}
	c.lost.Store(false)
	if !p.Expires.IsZero() {
		c.grant.timer = time.AfterFunc(time.Until(p.Expires), c.expire)
	}
	c.mu.Unlock()
	if !c.srv.o.Auth.Valid(p) {
		c.revoke(p.KeyID) // it was dropped just before
	}
}

// expire ends what the credentials allowed, unless they were renewed meanwhile.
func (c *conn) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.grant.ends.IsZero() && !time.Now().Before(c.grant.ends) {
		c.lose(errExpired)
	}
}

// revoke ends what an API key allowed.
func (c *conn) revoke(id ident.APIKeyID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id != "" && c.grant.keyID == id {
		c.lose(errRevoked)
	}
}

// lose ends the live queries. Telling the client may take as long as the client
// likes, so that is done beside. The caller holds mu.
func (c *conn) lose(why error) {
	if c.grant.over != nil || c.ctx.Err() != nil {
		return
	}
	told := make(chan struct{})
	c.grant.over, c.grant.told = why, told
	c.lost.Store(true)
	var subs []*sub
	for _, s := range c.subs {
		if s.live != nil {
			subs = append(subs, s)
		}
	}
	c.log.Info("live queries end with their credentials", "user", c.grant.user, "subscriptions", len(subs), "reason", why.Error())
	c.pump.Go(func() {
		// The error of the connection comes first: a client that can get a new
		// token connects again at once and loses none of its live queries.
		c.fail("", why)
		close(told)
		for _, s := range subs {
			c.endFor(s, why)
		}
	})
}

// endLate ends a live query that came just too late to be ended with the others.
func (c *conn) endLate(s *sub) {
	c.mu.Lock()
	why, told := c.grant.over, c.grant.told
	c.mu.Unlock()
	if why == nil {
		return
	}
	select {
	case <-told:
		c.endFor(s, why)
	case <-c.ctx.Done():
	}
}

// endFor ends one live query for want of credentials.
func (c *conn) endFor(s *sub, why error) {
	if !c.awaitAck(s) {
		return
	}
	c.closed(s, &live.Closed{Reason: live.ReasonError, Err: why})
	s.live.Close()
}

// over is why the client may not have live queries now, or nil.
func (c *conn) over() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.grant.over
}
