package segment

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/parquet-go/parquet-go/bloom"

	"github.com/kalamdb/kalamdb/store/object"
)

// CacheOptions sets how much a Cache keeps. The zero value of each field means
// its default.
type CacheOptions struct {
	// Bytes is how much memory the annexes and bloom filters may take.
	// Default 64 MiB.
	Bytes int64
	// Open is how many segments may be kept open while nobody reads them.
	// Default 512.
	Open int
}

// Cache keeps the annexes of segments, their bloom filters and their open
// handles, the least recently used ones go first. It may be used from several
// goroutines.
type Cache struct {
	opts CacheOptions
	// decoders are those that nobody uses, *pageDecoder. They are the cache's,
	// not a Segment's, because a point query opens one for itself.
	decoders sync.Pool

	mu    sync.Mutex // guards what follows
	lru   *simplelru.LRU[cacheKey, *entry]
	bytes int64
	stats CacheStats
}

// CacheStats counts what a Cache did.
type CacheStats struct {
	Hits, Misses int64
	// Bytes and Entries are what it holds now.
	Bytes, Entries int64
}

type cacheKey struct {
	bucket object.Bucket
	name   string
}

// entry is an open segment, shared by all who read it.
type entry struct {
	key    cacheKey
	handle object.Handle
	annex  *annex
	// filters are the bloom filters that were read as a whole, by group.
	filters []atomic.Pointer[bloom.SplitBlockFilter]
	// lookups counts by group how often a filter was asked before it was read.
	lookups []atomic.Int32

	refs  int   // guarded by Cache.mu
	size  int64 // guarded by Cache.mu
	alone bool  // no longer in the cache; guarded by Cache.mu
}

// NewCache makes an empty cache.
func NewCache(opts CacheOptions) *Cache {
	if opts.Bytes <= 0 {
		opts.Bytes = 64 << 20
	}
	if opts.Open <= 0 {
		opts.Open = 512
	}
	c := &Cache{opts: opts}
	// The size is checked by trim, so the list's own bound is never reached.
	c.lru, _ = simplelru.NewLRU[cacheKey, *entry](1<<30, nil)
	return c
}

// decoder lends a decoder until giveBack.
func (c *Cache) decoder() *pageDecoder {
	if d, ok := c.decoders.Get().(*pageDecoder); ok {
		return d
	}
	return new(pageDecoder)
}

// keptPage is how large the buffer of a decoder may be that is kept. Pages are
// far smaller, but for those with a value that alone is large.
const keptPage = 1 << 20

func (c *Cache) giveBack(d *pageDecoder) {
	if cap(d.plainBuf) <= keptPage {
		c.decoders.Put(d)
	}
}

// get finds a segment and takes hold of it, or nil.
func (c *Cache) get(k cacheKey, checksum uint64) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, found := c.lru.Get(k)
	if !found || checksum != 0 && checksum != e.annex.checksum {
		c.stats.Misses++
		return nil
	}
	c.stats.Hits++
	e.refs++
	return e
}

// add takes a newly opened segment in, with one hold on it.
func (c *Cache) add(e *entry) {
	var closing []*entry
	c.mu.Lock()
	if old, found := c.lru.Peek(e.key); found {
		closing = c.drop(old, closing)
	}
	e.refs = 1
	e.size = e.annex.size()
	c.bytes += e.size
	c.lru.Add(e.key, e)
	closing = c.trim(closing)
	c.mu.Unlock()
	closeAll(closing)
}

// drop takes an entry out. It is closed when nobody holds it.
func (c *Cache) drop(e *entry, closing []*entry) []*entry {
	c.lru.Remove(e.key)
	c.bytes -= e.size
	e.alone = true
	if e.refs == 0 {
		closing = append(closing, e)
	}
	return closing
}

func (c *Cache) trim(closing []*entry) []*entry {
	for c.lru.Len() > 1 && (c.bytes > c.opts.Bytes || c.lru.Len() > c.opts.Open) {
		_, e, _ := c.lru.GetOldest()
		closing = c.drop(e, closing)
	}
	return closing
}

func closeAll(entries []*entry) {
	for _, e := range entries {
		// Nothing was written through it, so there is nothing to lose.
		_ = e.handle.Close()
	}
}

// grow notes that an entry takes more memory than before.
func (c *Cache) grow(e *entry, n int64) {
	var closing []*entry
	c.mu.Lock()
	e.size += n
	if !e.alone {
		c.bytes += n
		closing = c.trim(closing)
	}
	c.mu.Unlock()
	closeAll(closing)
}

func (c *Cache) release(e *entry) {
	c.mu.Lock()
	e.refs--
	last := e.refs == 0 && e.alone
	c.mu.Unlock()
	if last {
		_ = e.handle.Close()
	}
}

// Forget drops a segment whose file is deleted. Those who read it now go on.
func (c *Cache) Forget(b object.Bucket, name string) {
	var closing []*entry
	c.mu.Lock()
	if e, found := c.lru.Peek(cacheKey{b, name}); found {
		closing = c.drop(e, closing)
	}
	c.mu.Unlock()
	closeAll(closing)
}

// Clear drops everything.
func (c *Cache) Clear() {
	var closing []*entry
	c.mu.Lock()
	for c.lru.Len() > 0 {
		_, e, _ := c.lru.GetOldest()
		closing = c.drop(e, closing)
	}
	c.mu.Unlock()
	closeAll(closing)
}

// Stats tells what the cache did and holds.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Bytes, s.Entries = c.bytes, int64(c.lru.Len())
	return s
}

// blockFilter reads one block of a bloom filter through the checks.
type blockFilter struct {
	ctx context.Context // of the one call
	s   *Segment
	at  place
}

// ReadAt implements io.ReaderAt.
func (f blockFilter) ReadAt(p []byte, off int64) (int, error) {
	b, err := f.s.read(f.ctx, place{f.at.off + off, int64(len(p))}, nil)
	return copy(p, b), err
}
