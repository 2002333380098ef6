// Package plancache keeps plans by their statement's normalised text: the
// words in lower case, spaces and comments gone, and the literals of simple
// statements lifted out, so that statements that differ in those only share a
// plan. A hit runs the lexer and nothing else.
package plancache

import (
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
)

// MaxBytes is how many bytes all plans of a cache may have, and maxPlan how
// many one may: a short text can make a large plan.
const (
	MaxBytes = 32 << 20
	maxPlan  = MaxBytes / 8
)

// Cache is a bounded set of plans; the one that was not used for longest goes
// first. It may be used from several goroutines.
type Cache[P any] struct {
	mu      sync.Mutex // guards what follows
	lru     *lru.LRU[string, *Entry[P]]
	bytes   int
	evicted int64
}

// Entry is a cached plan. Who holds one does not keep the plan alive.
type Entry[P any] struct {
	plan  atomic.Pointer[P]
	key   string
	bytes int
	info  Info
	hits  atomic.Int64
	last  atomic.Int64
}

// Plan gives the plan; ok is false when it has left the cache.
func (e *Entry[P]) Plan() (plan P, ok bool) {
	p := e.plan.Load()
	if p == nil {
		return plan, false
	}
	return *p, true
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
	c := &Cache[P]{}
	var err error
	if c.lru, err = lru.NewLRU(max(size, 1), func(_ string, e *Entry[P]) {
		c.bytes -= e.bytes
		e.plan.Store(nil)
	}); err != nil {
		panic("plancache: " + err.Error()) // only for sizes below 1
	}
	return c
}

// Get finds a plan. now is for statistics.
func (c *Cache[P]) Get(key string, now time.Time) (plan P, ok bool) {
	c.mu.Lock()
	e, ok := c.lru.Get(key)
	c.mu.Unlock()
	if !ok {
		return plan, false
	}
	e.used(now)
	return e.Plan()
}

func (e *Entry[P]) used(now time.Time) (hits int64) {
	e.last.Store(now.UnixNano())
	return e.hits.Add(1)
}

// Entry finds an entry for those who use it by themselves, and tell so by Hit.
func (c *Cache[P]) Entry(key string) (*Entry[P], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Peek(key)
}

// stayEvery is how many hits that Hit is told of keep an entry from being the
// one that was not used for longest.
const stayEvery = 64

// Hit tells that an entry was used.
func (c *Cache[P]) Hit(e *Entry[P], now time.Time) {
	if e.used(now)%stayEvery == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lru.Get(e.key)
	}
}

// overhead is what an entry takes beside its plan and its texts.
const overhead = 512

// Put keeps a plan of about so many bytes, unless these are too many. One
// without a statement is not listed.
func (c *Cache[P]) Put(key string, plan P, bytes int, statement string, compile time.Duration, now time.Time) {
	e := &Entry[P]{key: key, bytes: overhead + len(key) + len(statement) + bytes, info: Info{Statement: statement, Compile: compile, CreatedAt: now}}
	e.plan.Store(&plan)
	e.last.Store(now.UnixNano())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(key)
	if e.bytes > maxPlan {
		return
	}
	c.bytes += e.bytes
	if c.lru.Add(key, e) {
		c.evicted++
	}
	for c.bytes > MaxBytes {
		c.lru.RemoveOldest()
		c.evicted++
	}
}

// Stats are the figures of a cache: how many plans had to make room for
// others, ever; how many there are, and their bytes.
type Stats struct {
	Evicted        int64
	Entries, Bytes int
}

// Stats reads the figures.
func (c *Cache[P]) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{c.evicted, c.lru.Len(), c.bytes}
}

// Clear forgets every plan.
func (c *Cache[P]) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Purge()
}

// List describes the plans, the least recently used first.
func (c *Cache[P]) List() []Info {
	c.mu.Lock()
	entries := c.lru.Values()
	c.mu.Unlock()
	var out []Info
	for _, e := range entries {
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
