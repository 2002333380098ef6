package slot

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
)

// ContextKey is the key under which the context of a statement has its *Turn,
// so that what waits deep inside can lend the place.
type ContextKey struct{}

// Of gives the turn of the statement that a context belongs to, or nil.
func Of(ctx context.Context) *Turn {
	t, _ := ctx.Value(ContextKey{}).(*Turn)
	return t
}

// Turn is one request's place, or its wait for one. The zero value has none: it
// is what Enter is given, and what Leave leaves. Methods of a nil Turn, and of
// one that never entered, do nothing.
type Turn struct {
	gate *Gate // nil: it has not entered

	// pauses says that it calls Pause, long that it is of the second lane, asked
	// that it shall stand still when it calls.
	pauses, long, asked atomic.Bool
	rested              atomic.Int64 // when it last gave its core away

	// The gate's mu guards what follows.
	user      ident.UserID
	text      string
	lane      laneID
	spare     bool // counts against the reserve
	begun     bool // has had a place after a wait
	runs      bool // has a place
	lent      int  // how many of its goroutines wait for something
	index     int  // in the lane's list of those with a place
	predicted bool // began in the second lane, for its text
	// since is when it got its place, as far as that is known: the usual
	// statement, beside which nobody waits, never looks at the clock. used is
	// how long it had one before, slice that part since others had their turn,
	// and stood how long it stood still for them.
	since, used, slice, stood time.Duration
	queued                    time.Duration // when it began to wait
	ready                     chan bool     // true: there is a place; false: it is refused
	// order counts those who have come to the second lane, 0: it has not; hash
	// is what its text is remembered by.
	order  int64
	hash   uint64
	resume chan struct{} // closed when it may go on that stands still
	err    error         // why it may not go on
}

// reset makes it the zero value again.
func (t *Turn) reset() {
	for _, b := range []*atomic.Bool{&t.pauses, &t.long, &t.asked} {
		if b.Load() { // which costs less than to store
			b.Store(false)
		}
	}
	t.gate, t.user, t.text, t.lane = nil, "", "", shortLane
	t.spare, t.begun, t.runs, t.predicted = false, false, false, false
	t.lent, t.index, t.order, t.hash = 0, 0, 0, 0
	t.since, t.used, t.slice, t.stood, t.queued = 0, 0, 0, 0, 0
	t.ready, t.resume, t.err = nil, nil, nil
}

// Lend gives the place to others while the caller waits for something that
// needs no processor. Back or BackInTurn must follow. Several goroutines of a
// statement may do it at the same time: the place is given back by the last
// one.
func (t *Turn) Lend() {
	if t == nil || t.gate == nil {
		return
	}
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	t.lent++
	if t.lent == 1 && t.runs {
		g.drop(t)
		g.pass(t.lane)
	}
}

// Back takes the place again. It does not wait, so it may be called with locks
// held that others in a place wait for: for a moment one more than the limit
// computes, and the next newcomer waits until that is over.
func (t *Turn) Back() {
	if t == nil || t.gate == nil {
		return
	}
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.lent--; t.lent == 0 && t.resume == nil {
		g.take(t, t.lane)
	}
}

// BackInTurn takes the place again, when there is one: before everybody who has
// not begun, but behind those who run. It is for who lends often and holds
// nothing that others wait for, such as one who sends a large result.
func (t *Turn) BackInTurn() {
	if t == nil || t.gate == nil {
		return
	}
	g := t.gate
	g.mu.Lock()
	if t.lent--; t.lent > 0 || t.resume != nil {
		g.mu.Unlock()
		return
	}
	if t.lane == shortLane && t.used >= quantum && g.room(t) {
		t.lane = longLane
		g.isLong(t)
		g.known.learn(t.hash, t.used)
	}
	l := &g.lanes[t.lane]
	if len(l.running) < l.limit {
		g.take(t, t.lane)
		t.since = g.now()
		g.mu.Unlock()
		return
	}
	if t.lane == longLane && t.slice >= quantum {
		g.isLong(t)
		g.stand(t)
		resume := t.resume
		g.mu.Unlock()
		<-resume // which Pause tells of, if it has to end
		return
	}
	ready := make(chan bool, 1)
	t.ready, t.begun = ready, true
	l.back = append(l.back, t)
	g.watch()
	g.mu.Unlock()
	<-ready
}

// Leave gives the place back for good.
func (t *Turn) Leave() {
	if t == nil || t.gate == nil {
		return
	}
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.runs {
		lane := t.lane
		g.drop(t)
		g.pass(lane)
	}
	if t.predicted && t.hash == 0 {
		t.hash = g.known.hash(t.text)
	}
	if t.hash != 0 && t.err == nil {
		g.known.done(t.hash, t.used)
	}
	g.inlet.done++
	g.end(t)
}
