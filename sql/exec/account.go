package exec

import (
	"sync"
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// account counts the memory that one execution holds. Operators reserve
// before they grow; goroutines of one execution share it.
//
// What it holds it borrows from the pool in steps, so that the pool, which
// every execution shares, is seldom touched. end gives all of it back.
type account struct {
	limit int64
	pool  *MemoryPool // nil: the limit alone counts
	used  atomic.Int64
	peak  atomic.Int64
	// lent is what the pool has lent; it changes under mu only.
	lent atomic.Int64
	// up is the account that this one only observes a part of: one step of an
	// explained plan. It keeps the limit.
	up *account

	mu    sync.Mutex // guards what follows
	ended bool
}

// loanStep is what an account borrows at a time.
const loanStep = 256 << 10

// grow takes n bytes more.
func (a *account) grow(n int64) error {
	if a.up != nil {
		if err := a.up.grow(n); err != nil {
			return err
		}
		a.note(a.used.Add(n))
		return nil
	}
	used := a.used.Add(n)
	if n <= 0 {
		a.repay()
		return nil
	}
	if used > a.limit {
		a.used.Add(-n)
		return dberr.Newf(dberr.ResourceExhausted, "the query needs more than its memory limit of %d bytes", a.limit).
			WithHint("Narrow the query with WHERE or LIMIT, or raise query.memory_limit.")
	}
	if a.pool != nil && used > a.lent.Load() {
		if err := a.borrow(); err != nil {
			a.used.Add(-n)
			return err
		}
	}
	a.note(used)
	return nil
}

// note remembers the most that was used.
func (a *account) note(used int64) {
	for {
		p := a.peak.Load()
		if used <= p || a.peak.CompareAndSwap(p, used) {
			return
		}
	}
}

// shrink gives n bytes back.
func (a *account) shrink(n int64) {
	a.used.Add(-n)
	if a.up != nil {
		a.up.shrink(n)
		return
	}
	a.repay()
}

// borrow takes from the pool what is used beyond the loan.
func (a *account) borrow() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	lent := a.lent.Load()
	more := a.used.Load() - lent
	if more <= 0 || a.ended {
		return nil
	}
	more = (more + loanStep - 1) / loanStep * loanStep
	if err := a.pool.Take(more); err != nil {
		return err
	}
	a.lent.Store(lent + more)
	return nil
}

// repay gives back to the pool what is far from being used.
func (a *account) repay() {
	const keep = 4 * loanStep
	if a.pool == nil || a.lent.Load()-a.used.Load() < 2*keep {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	lent := a.lent.Load()
	if less := (lent - a.used.Load() - keep) / loanStep * loanStep; less > 0 && less <= lent {
		a.pool.Give(less)
		a.lent.Store(lent - less)
	}
}

// end gives the whole loan back, when nothing of the execution is left. It may
// be called twice.
func (a *account) end() {
	if a.pool == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	a.pool.Give(a.lent.Swap(0))
}

// reservation is one operator's share of an account.
type reservation struct {
	acct *account
	held int64
}

// set changes the share to n bytes.
func (r *reservation) set(n int64) error {
	if err := r.acct.grow(n - r.held); err != nil {
		return err
	}
	r.held = n
	return nil
}

// add grows the share.
func (r *reservation) add(n int64) error { return r.set(r.held + n) }

// release gives everything back; it may be called twice.
func (r *reservation) release() {
	r.acct.shrink(r.held)
	r.held = 0
}
