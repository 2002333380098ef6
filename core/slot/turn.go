package slot

import (
	"context"
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

	// The gate's mu guards what follows.
	user      ident.UserID
	text      string
	lane      laneID
	runs      bool // has a place
	lent      int  // how many of its goroutines wait for something
	index     int  // in the gate's list of the first lane
	predicted bool // began in the second lane, for its text
	// since is when it got its place, as far as that is known: the usual
	// statement, beside which nobody waits, never looks at the clock. used is
	// how long it had one before.
	since, used time.Duration
	queued      time.Duration // when it began to wait
	ready       chan bool     // true: there is a place; false: it is refused
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
	if t.lent--; t.lent == 0 {
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
	if t.lent--; t.lent > 0 {
		g.mu.Unlock()
		return
	}
	if t.lane == shortLane && t.used >= quantum && g.room() {
		g.remember(t.text)
		t.lane = longLane
	}
	l := &g.lanes[t.lane]
	if l.running < l.limit {
		g.take(t, t.lane)
		t.since = g.now()
		g.mu.Unlock()
		return
	}
	ready := make(chan bool, 1)
	t.ready = ready
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
		g.drop(t)
		g.pass(t.lane)
	}
	if t.predicted && t.used < quantum/4 {
		g.forget(t.text)
	}
	g.underWay--
	g.inlet.done++
	*t = Turn{}
}
