package slot

import (
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// soonest and latest bound when one who is refused is told to come back. A
// client should not go away for minutes for a crowd that may be gone by then.
const soonest, latest = time.Second, 30 * time.Second

// errOverloaded refuses a statement. SQLSTATE 53000 is insufficient_resources.
var errOverloaded = dberr.New(dberr.ResourceExhausted, "The server has more statements to run than it can.").
	WithState("53000").WithHint("Nothing of the request was run. Try again in a moment.").WithRetry(soonest)

// errStopped ends a query that has begun and gets no processor any more.
var errStopped = dberr.New(dberr.ResourceExhausted, "The server has more long statements to run than it can.").
	WithState("53000").WithHint("The query was stopped, it has changed nothing. Try again later.").WithRetry(soonest)

// overloaded refuses a statement for a crowd that will be gone after about a
// time.
func overloaded(after time.Duration) error {
	if after <= soonest {
		return errOverloaded // refusing has to be cheap
	}
	return errOverloaded.WithRetry(min(after, latest))
}

// Stopped is the error of a query that stood still for others for a time and is
// ended for that: they may be as many when it comes back.
func Stopped(stood time.Duration) *dberr.Error {
	return errStopped.WithRetry(min(max(stood, soonest), latest))
}

// delay is for how long those of a lane have waited whose turn is next.
func (g *Gate) delay(lane laneID, now time.Duration) (longest time.Duration) {
	for _, q := range g.lanes[lane].ring {
		if len(q.turns) > 0 {
			longest = max(longest, now-q.turns[0].queued)
		}
		if len(q.paused) > 0 {
			longest = max(longest, now-q.paused[0].queued)
		}
	}
	return longest
}
