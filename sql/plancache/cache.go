// Package plancache keeps plans by their statement's normalised text: the
// words in lower case, spaces and comments gone, and the literals of simple
// statements lifted out, so that statements that differ in those only share a
// plan. A hit runs the lexer and nothing else.
package plancache

import (
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Cache is a bounded set of plans; the one that was not used for longest goes
// first. It may be used from several goroutines.
type Cache[P any] struct {
	lru     *lru.Cache[string, *Entry[P]]
	evicted atomic.Int64
}

// Entry is a cached plan.
type Entry[P any] struct {
	Plan P
	key  string
	info Info
	hits atomic.Int64
	last atomic.Int64
}

// Info describes an entry.
type Info struct {
	Statement string
	Hits      int64
	Compile   time.Duration
	CreatedAt time.Time
	LastUsed  time.Time
}

// New makes a cache of up to size plans.
func New[P any](size int) *Cache[P] {
	c, err := lru.New[string, *Entry[P]](max(size, 1))
	if err != nil {
		panic("plancache: " + err.Error()) // only for sizes below 1
	}
	return &Cache[P]{lru: c}
}

// Get finds a plan. now is for statistics.
func (c *Cache[P]) Get(key string, now time.Time) (plan P, ok bool) {
	e, ok := c.lru.Get(key)
	if !ok {
		return plan, false
	}
	e.used(now)
	return e.Plan, true
}

func (e *Entry[P]) used(now time.Time) (hits int64) {
	e.last.Store(now.UnixNano())
	return e.hits.Add(1)
}

// Entry finds an entry for those who use it by themselves, and tell so by Hit.
func (c *Cache[P]) Entry(key string) (*Entry[P], bool) { return c.lru.Peek(key) }

// stayEvery is how many hits that Hit is told of keep an entry from being the
// one that was not used for longest.
const stayEvery = 64

// Hit tells that an entry was used.
func (c *Cache[P]) Hit(e *Entry[P], now time.Time) {
	if e.used(now)%stayEvery == 0 {
		c.lru.Get(e.key)
	}
}

// Put keeps a plan. One without a statement is not listed.
func (c *Cache[P]) Put(key string, plan P, statement string, compile time.Duration, now time.Time) {
	e := &Entry[P]{Plan: plan, key: key, info: Info{Statement: statement, Compile: compile, CreatedAt: now}}
	e.last.Store(now.UnixNano())
	if c.lru.Add(key, e) {
		c.evicted.Add(1)
	}
}

// Evicted is how many plans had to make room for others, ever.
func (c *Cache[P]) Evicted() int64 { return c.evicted.Load() }

// Clear forgets every plan.
func (c *Cache[P]) Clear() { c.lru.Purge() }

// Len is how many plans there are.
func (c *Cache[P]) Len() int { return c.lru.Len() }

// List describes the plans, the least recently used first.
func (c *Cache[P]) List() []Info {
	var out []Info
	for _, e := range c.lru.Values() {
		if e.info.Statement == "" {
			continue
		}
		i := e.info
		i.Hits = e.hits.Load()
		i.LastUsed = time.Unix(0, e.last.Load())
		out = append(out, i)
	}
	return out
}
