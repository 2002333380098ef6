package slot

import (
	"context"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/histogram"
	"github.com/kalamdb/kalamdb/commons/ident"
)

const (
	// quantum is for how long a statement may keep a place of the first lane
	// while others wait for one.
	quantum = 100 * time.Millisecond
	// beat is how often the gate looks after those who wait.
	beat = 10 * time.Millisecond
	// crowd is how many must wait for each place before anybody is refused for
	// the time that the wait would take.
	crowd = 16
	// haste is the part of the longest wait that a newcomer to a crowd may
	// expect.
	haste = 16
	// apart is which part of the places may be taken before anybody looks
	// whether a long statement has one.
	apart = 4
	// patience is how much longer than others statements wait that are known to
	// be long.
	patience = 5
	// reserve is the part of all that may be under way that is kept for users
	// who have little of it, and little how many such a user may have there.
	reserve, little = 8, 4
)

// Options set the limits of a Gate.
type Options struct {
	// Most is how many statements may be under way, running, lent or waiting.
	// Default 1024.
	Most int
	// Running is how many compute at a time. Default four for each core, at
	// least 8.
	Running int
	// Long is how many long ones compute beside them. Default a quarter of
	// Running, which is one for each core, or one.
	Long int
	// Wait is how long one may wait for a place. Default 2s.
	Wait time.Duration
	// Limit is the time limit of a statement; 0: none.
	Limit time.Duration
}

type laneID uint8

const (
	shortLane laneID = iota
	longLane
	lanes
)

// Gate has the places. It may be used from several goroutines.
//
// Benchmark: BenchmarkEnter.
type Gate struct {
	start   time.Time
	stopped <-chan struct{}

	mu       sync.Mutex // guards what follows
	opts     Options
	lanes    [lanes]lane
	underWay int
	modest   map[ident.UserID]int // those in the reserve
	known    known
	moved    int64 // how many have come to the second lane
	timer    *time.Timer
	beating  bool
	inlet    inlet
	refused  [reasons]int64
	waits    *histogram.Histogram
}

// Reason says why statements were refused.
type Reason uint8

// The reasons.
const (
	// Full: there are as many under way as there may be.
	Full Reason = iota
	// Crowded: the wait would be too long.
	Crowded
	// Waited: the wait was too long.
	Waited
	reasons
)

// String names the reason in metrics.
func (r Reason) String() string {
	return [...]string{"full", "crowded", "waited"}[r]
}

// New makes a Gate. Who waits when stopped is closed gets a place at once, to
// find out about the end by itself.
func New(opts Options, stopped <-chan struct{}) *Gate {
	g := &Gate{
		start: time.Now(), stopped: stopped, modest: map[ident.UserID]int{}, known: known{seed: maphash.MakeSeed()},
		waits: histogram.New(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10),
	}
	for i := range g.lanes {
		g.lanes[i].users = map[ident.UserID]*queue{}
	}
	g.inlet.taken = map[ident.UserID]int{}
	g.Set(opts)
	return g
}

// Set changes the limits. What runs beyond them runs on.
func (g *Gate) Set(opts Options) {
	if opts.Most <= 0 {
		opts.Most = 1024
	}
	if opts.Running <= 0 {
		opts.Running = max(4*runtime.GOMAXPROCS(0), 8)
		if opts.Long <= 0 {
			opts.Long = runtime.GOMAXPROCS(0)
		}
	}
	if opts.Long <= 0 {
		opts.Long = max(opts.Running/4, 1)
	}
	if opts.Wait <= 0 {
		opts.Wait = 2 * time.Second
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opts = opts
	g.lanes[shortLane].limit, g.lanes[longLane].limit = opts.Running, opts.Long
	g.pass(shortLane)
	g.pass(longLane)
}

func (g *Gate) now() time.Duration { return time.Since(g.start) + 1 }

// Enter gives t a place, as soon as there is one; Leave must follow unless it
// fails. text is what runs. A patient caller is not refused for a crowd.
//
// Errors: RESOURCE_EXHAUSTED, with when to come back, or why the context has
// ended.
func (g *Gate) Enter(ctx context.Context, t *Turn, user ident.UserID, text string, patient bool) error {
	g.mu.Lock()
	g.inlet.passed++
	switch {
	case g.underWay >= g.opts.Most-g.opts.Most/reserve && !g.spare(t, user):
		g.refused[Full]++
		after := g.delay(shortLane, g.now())
		g.mu.Unlock()
		return overloaded(after)
	case g.inlet.choked && !patient && !g.inlet.takes(user):
		g.refused[Crowded]++
		g.yieldSpare(t, user)
		after := g.inlet.delay
		g.mu.Unlock()
		return overloaded(after)
	}
	g.underWay++
	t.gate, t.user, t.text = g, user, text
	l := &g.lanes[shortLane]
	if l.wanted() == 0 && len(l.running)+len(g.lanes[longLane].running) < max(l.limit/apart, 1) {
		g.take(t, shortLane)
		g.mu.Unlock()
		return nil
	}
	return g.enterBusy(ctx, t, patient)
}

// spare tells whether there is room for one more where most of it is taken: for
// a user who has little in the rest. So nobody's flood locks out the others.
func (g *Gate) spare(t *Turn, user ident.UserID) bool {
	if g.underWay >= g.opts.Most || g.modest[user] >= little {
		return false
	}
	g.modest[user]++
	t.spare = true
	return true
}

func (g *Gate) yieldSpare(t *Turn, user ident.UserID) {
	if !t.spare {
		return
	}
	t.spare = false
	if g.modest[user]--; g.modest[user] == 0 {
		delete(g.modest, user)
	}
}

// end takes a turn out of the count.
func (g *Gate) end(t *Turn) {
	g.yieldSpare(t, t.user)
	g.underWay--
	t.reset()
}

// enterBusy is Enter when not everybody finds a place. It has the lock, and
// gives it up.
func (g *Gate) enterBusy(ctx context.Context, t *Turn, patient bool) error {
	if hash, ok := g.known.find(t.text); ok {
		t.lane, t.hash, t.predicted = longLane, hash, true
	}
	l := &g.lanes[t.lane]
	if l.free() {
		g.take(t, t.lane)
		t.since = g.now()
		g.watch()
		g.mu.Unlock()
		return nil
	}
	now := g.now()
	if !patient {
		var after time.Duration
		if t.lane == shortLane {
			after = g.crowded(l, t, now)
		} else {
			after = g.hopeless(t)
		}
		if after > 0 {
			g.refused[Crowded]++
			g.end(t)
			g.mu.Unlock()
			return overloaded(after)
		}
	}
	ready := make(chan bool, 1)
	t.ready, t.queued = ready, now
	l.push(t, now)
	g.watch()
	g.mu.Unlock()
	ok := false
	select {
	case ok = <-ready:
	case <-ctx.Done():
		if g.withdraw(t, ready) {
			return context.Cause(ctx)
		}
		ok = <-ready
	case <-g.stopped:
		if g.withdraw(t, ready) {
			return errOverloaded
		}
		ok = <-ready
	}
	if !ok {
		return overloaded(g.now() - now) // others will have to wait as long
	}
	return nil
}

// crowded tells whether a newcomer to a lane would wait too long, and then for
// how long: by how long its user's queue is, or by how long the turn takes to
// come round. 0: it would not.
func (g *Gate) crowded(l *lane, t *Turn, now time.Duration) time.Duration {
	if l.waiting < crowd*l.limit {
		return 0
	}
	wait := now - l.ring[0].since
	if q := l.users[t.user]; q != nil && len(q.turns) > 0 {
		wait = max(wait, now-q.turns[0].queued)
	}
	if wait > g.longest(t.lane)/haste {
		return wait
	}
	return 0
}

// longest is how long one may wait in a lane.
func (g *Gate) longest(lane laneID) time.Duration {
	if lane == longLane {
		return patience * g.opts.Wait
	}
	return g.opts.Wait
}

// withdraw takes one who waits out of the queue; false: it has its answer
// already.
func (g *Gate) withdraw(t *Turn, ready chan bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.ready != ready {
		return false
	}
	g.lanes[t.lane].remove(t)
	g.end(t)
	return true
}

// take gives a turn a place, whether or not there is one.
func (g *Gate) take(t *Turn, lane laneID) {
	l := &g.lanes[lane]
	t.lane, t.runs, t.since, t.index = lane, true, 0, len(l.running)
	l.running = append(l.running, t)
}

// drop takes a turn's place away.
func (g *Gate) drop(t *Turn) {
	if t.since != 0 {
		took := g.now() - t.since
		t.used += took
		t.slice += took
	}
	t.runs, t.since = false, 0
	g.lanes[t.lane].unlist(t)
}

// pass gives free places to those who wait.
func (g *Gate) pass(lane laneID) {
	l := &g.lanes[lane]
	if l.wanted() == 0 {
		return
	}
	now := g.now()
	for len(l.running) < l.limit {
		var t *Turn
		if len(l.back) > 0 {
			t = l.back[0]
			l.back = slices.Delete(l.back, 0, 1)
		} else if t = l.pop(now); t == nil {
			return
		}
		switch {
		case t.resume != nil:
			t.slice, t.stood = 0, t.stood+now-t.queued
			if t.wake(); t.lent > 0 {
				continue // it takes the place when it is back
			}
			g.take(t, lane)
			t.since = now
			continue
		case t.begun:
		case lane == shortLane && !g.stays(t, now):
			continue // it was found to be long while this one waited
		default:
			g.waits.Observe((now - t.queued).Seconds())
		}
		g.take(t, t.lane)
		t.since = now
		t.answer(true)
	}
}

// stays tells whether one whose turn it is may run, in the second lane if it is
// known to be long by now; false: it waits there.
func (g *Gate) stays(t *Turn, now time.Duration) bool {
	hash, ok := g.known.find(t.text)
	if !ok {
		return true
	}
	t.lane, t.hash, t.predicted = longLane, hash, true
	l := &g.lanes[longLane]
	if l.free() {
		return true
	}
	l.push(t, now)
	return false
}

func (t *Turn) answer(ok bool) {
	ready := t.ready
	t.ready, t.begun = nil, true
	ready <- ok
}

// watch starts the beat that looks after those who wait, or are in each other's
// way, for as long as there are any.
func (g *Gate) watch() {
	if g.beating {
		return
	}
	g.beating = true
	if g.timer == nil {
		g.timer = time.AfterFunc(beat, g.look)
	} else {
		g.timer.Reset(beat)
	}
}

// busy tells whether statements of the first lane are in each other's way.
func (g *Gate) busy() bool {
	l := &g.lanes[shortLane]
	return l.wanted() > 0 || len(l.running) > 0 && len(l.running)+len(g.lanes[longLane].running) >= max(l.limit/apart, 1)
}

// look moves long statements out of the way, has them take turns, and refuses
// who has waited for too long.
func (g *Gate) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if g.busy() {
		g.makeWay(now)
		g.pass(shortLane)
	}
	g.share(now)
	g.pass(longLane)
	left := max(len(g.lanes[longLane].running)-g.lanes[longLane].limit, 0)
	for id := range g.lanes {
		l, longest := &g.lanes[id], g.longest(laneID(id))
		for _, q := range slices.Clone(l.ring) {
			for len(q.turns) > 0 && now-q.turns[0].queued > longest {
				t := q.turns[0]
				l.remove(t)
				g.refused[Waited]++
				ready := t.ready
				g.end(t)
				ready <- false
			}
			for _, t := range slices.Clone(q.paused) {
				if now-t.queued > longest {
					g.refused[Waited]++
					l.remove(t)
					t.err = Stopped(now - t.queued)
					t.wake()
				}
			}
		}
		left += l.wanted()
	}
	if g.beating = left > 0 || g.busy(); g.beating {
		g.timer.Reset(beat)
	}
}

// Stats are the figures of a Gate.
type Stats struct {
	// UnderWay is how many statements have entered: they run, have lent their
	// place, or wait.
	UnderWay int
	// Running compute, RunningLong of them as long ones. Waiting wait for a
	// place, WaitingLong of them for one of a long statement, those included
	// that stand still for others.
	Running, RunningLong, Waiting, WaitingLong int
	// Refused counts by reason.
	Refused [reasons]int64
	// Waits are the times, in seconds, that those waited who then ran.
	Waits histogram.Snapshot
}

// Stats reads the figures.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{UnderWay: g.underWay, Refused: g.refused, Waits: g.waits.Snapshot()}
	for id := range g.lanes {
		l := &g.lanes[id]
		s.Running += len(l.running)
		s.Waiting += l.wanted()
	}
	s.RunningLong = len(g.lanes[longLane].running)
	s.WaitingLong = g.lanes[longLane].wanted()
	return s
}
