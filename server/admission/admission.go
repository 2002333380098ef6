// Package admission decides whether the server takes a request now, by rates:
// of a user, of an address, and of messages on a connection. What is over a
// limit is refused at once, with the time to come back. How many statements run
// at a time is the engine's to decide, as it knows what they wait for.
package admission

import (
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/limit"
)

// Control keeps the limits. It may be used from several goroutines. A nil
// Control takes everything.
type Control struct {
	rate      atomic.Pointer[config.RateLimit]
	users     *limit.Rates
	addresses *limit.Rates
}

// New makes a Control of [rate_limit].
func New(rate config.RateLimit) *Control {
	c := &Control{users: limit.NewRates(0, time.Second, 0), addresses: limit.NewRates(0, time.Second, 0)}
	c.Reload(rate)
	return c
}

// Reload takes changed limits. What was used up of the old ones stays used up.
func (c *Control) Reload(rate config.RateLimit) {
	c.rate.Store(&rate)
	users, addresses := rate.QueriesPerSecond, rate.AddressQueriesPerSecond
	if !rate.Enabled {
		users, addresses = 0, 0
	}
	c.users.Set(users, time.Second, rate.Burst)
	c.addresses.Set(addresses, time.Second, rate.AddressBurst)
}

// Stranger takes a request of nobody in particular, such as one that failed to
// authenticate.
//
// Errors: RATE_LIMITED.
func (c *Control) Stranger(address string) error {
	if c == nil {
		return nil
	}
	if wait, ok := c.addresses.Allow(address); !ok {
		return limit.Refuse(dberr.RateLimited, "Too many requests come from this address.", wait)
	}
	return nil
}

// Request takes a request of a caller.
//
// Errors: RATE_LIMITED.
func (c *Control) Request(p auth.Principal, address string) error {
	if c.Exempt(p) {
		return nil
	}
	if err := c.Stranger(address); err != nil {
		return err
	}
	if wait, ok := c.users.Allow(string(p.User)); !ok {
		return limit.Refuse(dberr.RateLimited, "Too many requests of this user.", wait)
	}
	return nil
}

// Exempt tells whether no rate limits a caller.
func (c *Control) Exempt(p auth.Principal) bool {
	return c == nil || p.Bypass && c.rate.Load().BypassExempt
}

// Messages is the limit of what a caller sends on one connection.
func (c *Control) Messages(p auth.Principal) limit.Rate {
	if c.Exempt(p) {
		return limit.Rate{}
	}
	r := c.rate.Load()
	if !r.Enabled {
		return limit.Rate{}
	}
	return limit.NewRate(r.MessagesPerSecond, time.Second, 2*r.MessagesPerSecond)
}
