package exec

import (
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// MemoryPool is the memory that all executions of a process share: many of
// them, each below its own limit, cannot take more than the pool has. It may
// be used from several goroutines. Nobody waits for memory: who waits for it
// while holding some could wait for ever.
type MemoryPool struct {
	limit   int64
	used    atomic.Int64
	refused atomic.Int64
}

// NewMemoryPool makes a pool of that many bytes.
func NewMemoryPool(limit int64) *MemoryPool { return &MemoryPool{limit: limit} }

// Take takes n bytes, which Give gives back.
//
// Errors: RESOURCE_EXHAUSTED when there are not as many left.
func (p *MemoryPool) Take(n int64) error {
	if p.used.Add(n) <= p.limit {
		return nil
	}
	p.used.Add(-n)
	p.refused.Add(1)
	return dberr.New(dberr.ResourceExhausted, "the statements that run now use all the memory that the server has for them").
		WithHint("Try again in a moment, narrow the query, or raise query.total_memory_limit.")
}

// Give gives n bytes back.
func (p *MemoryPool) Give(n int64) { p.used.Add(-n) }

// PoolStats are the figures of a MemoryPool.
type PoolStats struct {
	// Limit is how many bytes there are, Used how many are taken.
	Limit, Used int64
	// Refused is how often there were not enough.
	Refused int64
}

// Stats reads the figures.
func (p *MemoryPool) Stats() PoolStats {
	return PoolStats{Limit: p.limit, Used: p.used.Load(), Refused: p.refused.Load()}
}
