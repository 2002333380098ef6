package exec

import (
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// account counts the memory that one execution holds. Operators reserve
// before they grow; goroutines of one execution share it.
type account struct {
	limit int64
	used  atomic.Int64
	peak  atomic.Int64
}

func (a *account) grow(n int64) error {
	used := a.used.Add(n)
	if used > a.limit && n > 0 {
		a.used.Add(-n)
		return dberr.Newf(dberr.ResourceExhausted, "the query needs more than its memory limit of %d bytes", a.limit).
			WithHint("Narrow the query with WHERE or LIMIT, or raise query.memory_limit.")
	}
	for {
		p := a.peak.Load()
		if used <= p || a.peak.CompareAndSwap(p, used) {
			return nil
		}
	}
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
	r.acct.used.Add(-r.held)
	r.held = 0
}
