package table

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// outageQuiet is for how long the log is not told of another outage: where the
// disk is nearly full, small writes succeed and larger ones fail by turns.
const outageQuiet = time.Minute

// outage keeps account of whether the backend takes writes, and tells the log
// when that changes, not of each write that fails. The commit loop changes it,
// anybody may read failed.
type outage struct {
	// failed is why the last write failed; nil: it did not.
	failed atomic.Pointer[dberr.Error]

	since time.Time // when it began of which the log was told
	told  bool      // the log was told of the one there is
}

// begin notes that a write has failed.
func (o *outage) begin(log *slog.Logger, e *dberr.Error) {
	o.failed.Store(e)
	now := time.Now()
	if o.told || now.Sub(o.since) < outageQuiet {
		return
	}
	o.told, o.since = true, now
	cause := error(e)
	if inner := e.Unwrap(); inner != nil {
		cause = inner
	}
	log.Error("the storage takes no writes; they are refused until it does, reading goes on",
		"reason", e.Message, "hint", e.Hint, "error", cause)
}

// end notes that a write has succeeded.
func (o *outage) end(log *slog.Logger) {
	if o.failed.Load() == nil {
		return
	}
	o.failed.Store(nil)
	if o.told {
		o.told = false
		log.Info("the storage takes writes again", "after", time.Since(o.since).Round(time.Millisecond))
	}
}
