package slot

import (
	"context"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
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
	// patience is how much longer than others statements wait that are known to
	// be long.
	patience = 5
	// overflow is by how many times statements that turned out to be long may
	// fill the second lane.
	overflow = 4
	// maxKnown is how many texts are remembered as long, and maxHashed how many
	// bytes of each are looked at.
	maxKnown, maxHashed = 1024, 4 << 10
)

// Options set the limits of a Gate.
type Options struct {
	// Most is how many statements may be under way, running, lent or waiting.
	// Default 1024.
	Most int
	// Running is how many compute at a time, beside half as many long ones.
	// Default four for each core, at least 8.
	Running int
	// Wait is how long one may wait for a place. Default 2s.
	Wait time.Duration
}

type laneID uint8

const (
	shortLane laneID = iota
	longLane
	lanes
)

// lane is a number of places and who waits for them.
type lane struct {
	limit, running int
	// back are those who have lent their place and want it again.
	back []*Turn
	// ring has the users who wait, in the order of their turns.
	ring    []*queue
	users   map[ident.UserID]*queue
	waiting int
}

// queue is a user's statements that wait. It is never empty.
type queue struct {
	user  ident.UserID
	turns []*Turn
	since time.Duration // when it came to the end of the ring
}

// Gate has the places. It may be used from several goroutines.
//
// Benchmark: BenchmarkEnter.
type Gate struct {
	start   time.Time
	stopped <-chan struct{}
	seed    maphash.Seed

	mu       sync.Mutex // guards what follows
	opts     Options
	lanes    [lanes]lane
	running  []*Turn // those of the first lane
	underWay int
	known    [maxKnown]uint64 // hashes of texts that were long
	any      bool             // known has had one
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

// errOverloaded refuses a statement. SQLSTATE 53000 is insufficient_resources.
var errOverloaded = dberr.New(dberr.ResourceExhausted, "The server has more statements to run than it can.").
	WithState("53000").WithHint("Nothing of the request was run. Try again in a moment.")

// New makes a Gate. Who waits when stopped is closed gets a place at once, to
// find out about the end by itself.
func New(opts Options, stopped <-chan struct{}) *Gate {
	g := &Gate{
		start: time.Now(), stopped: stopped, seed: maphash.MakeSeed(),
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
	}
	if opts.Wait <= 0 {
		opts.Wait = 2 * time.Second
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opts = opts
	g.lanes[shortLane].limit, g.lanes[longLane].limit = opts.Running, max(opts.Running/2, 1)
	g.pass(shortLane)
	g.pass(longLane)
}

func (g *Gate) now() time.Duration { return time.Since(g.start) + 1 }

// Enter gives t a place, as soon as there is one; Leave must follow unless it
// fails. text is what runs. A patient caller is not refused for a crowd.
//
// Errors: RESOURCE_EXHAUSTED, or why the context has ended.
func (g *Gate) Enter(ctx context.Context, t *Turn, user ident.UserID, text string, patient bool) error {
	g.mu.Lock()
	g.inlet.passed++
	switch {
	case g.underWay >= g.opts.Most:
		g.refused[Full]++
		g.mu.Unlock()
		return errOverloaded
	case g.inlet.choked && !patient && !g.inlet.takes(user):
		g.refused[Crowded]++
		g.mu.Unlock()
		return errOverloaded
	}
	g.underWay++
	t.gate, t.user, t.text = g, user, text
	l := &g.lanes[shortLane]
	if l.waiting == 0 && len(l.back) == 0 && (l.running < l.limit/2 || !g.any && l.running < l.limit) {
		g.take(t, shortLane)
		g.mu.Unlock()
		return nil
	}
	return g.enterBusy(ctx, t, patient)
}

// enterBusy is Enter when not everybody finds a place. It has the lock, and
// gives it up.
func (g *Gate) enterBusy(ctx context.Context, t *Turn, patient bool) error {
	if g.knows(t.text) {
		t.lane, t.predicted = longLane, true
	}
	l := &g.lanes[t.lane]
	if l.waiting == 0 && len(l.back) == 0 && l.running < l.limit {
		g.take(t, t.lane)
		if t.predicted {
			t.since = g.now()
		}
		g.mu.Unlock()
		return nil
	}
	now := g.now()
	if !patient && g.crowded(l, t, now) {
		g.refused[Crowded]++
		g.underWay--
		*t = Turn{}
		g.mu.Unlock()
		return errOverloaded
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
		return errOverloaded
	}
	return nil
}

// crowded tells whether a newcomer to a lane would wait too long: by how long
// its user's queue is, or by how long the turn takes to come round.
func (g *Gate) crowded(l *lane, t *Turn, now time.Duration) bool {
	if l.waiting < crowd*l.limit {
		return false
	}
	most := g.longest(t.lane) / haste
	if q := l.users[t.user]; q != nil && now-q.turns[0].queued > most {
		return true
	}
	return now-l.ring[0].since > most
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
	g.underWay--
	*t = Turn{}
	return true
}

func (l *lane) push(t *Turn, now time.Duration) {
	q := l.users[t.user]
	if q == nil {
		q = &queue{user: t.user, since: now}
		l.users[t.user] = q
		l.ring = append(l.ring, q)
	}
	q.turns = append(q.turns, t)
	l.waiting++
}

// pop takes the next one out: the oldest of the user whose turn it is.
func (l *lane) pop(now time.Duration) *Turn {
	q := l.ring[0]
	t := q.turns[0]
	q.turns = slices.Delete(q.turns, 0, 1)
	l.ring = slices.Delete(l.ring, 0, 1)
	if len(q.turns) > 0 {
		q.since = now
		l.ring = append(l.ring, q)
	} else {
		delete(l.users, q.user)
	}
	l.waiting--
	return t
}

func (l *lane) remove(t *Turn) {
	q := l.users[t.user]
	q.turns = slices.DeleteFunc(q.turns, func(x *Turn) bool { return x == t })
	if len(q.turns) == 0 {
		delete(l.users, q.user)
		l.ring = slices.DeleteFunc(l.ring, func(x *queue) bool { return x == q })
	}
	l.waiting--
}

// take gives a turn a place, whether or not there is one.
func (g *Gate) take(t *Turn, lane laneID) {
	t.lane, t.runs, t.since = lane, true, 0
	g.lanes[lane].running++
	if lane == shortLane {
		t.index = len(g.running)
		g.running = append(g.running, t)
	}
}

// drop takes a turn's place away.
func (g *Gate) drop(t *Turn) {
	if t.since != 0 {
		t.used += g.now() - t.since
	}
	t.runs, t.since = false, 0
	g.lanes[t.lane].running--
	if t.lane == shortLane {
		g.unlist(t)
	}
}

func (g *Gate) unlist(t *Turn) {
	last := len(g.running) - 1
	g.running[t.index] = g.running[last]
	g.running[t.index].index = t.index
	g.running[last] = nil
	g.running = g.running[:last]
}

// pass gives free places to those who wait.
func (g *Gate) pass(lane laneID) {
	l := &g.lanes[lane]
	if l.waiting == 0 && len(l.back) == 0 {
		return
	}
	now := g.now()
	for l.running < l.limit && (len(l.back) > 0 || l.waiting > 0) {
		var t *Turn
		if len(l.back) > 0 {
			t = l.back[0]
			l.back = slices.Delete(l.back, 0, 1)
		} else {
			t = l.pop(now)
			if lane == shortLane && g.knows(t.text) && !g.enterLong(t, now) {
				continue // it was found to be long while this one waited
			}
			g.waits.Observe((now - t.queued).Seconds())
		}
		g.take(t, t.lane)
		t.since = now
		t.answer(true)
	}
}

// enterLong moves one who waits into the second lane; false: it waits there.
func (g *Gate) enterLong(t *Turn, now time.Duration) bool {
	t.lane, t.predicted = longLane, true
	l := &g.lanes[longLane]
	if l.waiting == 0 && len(l.back) == 0 && l.running < l.limit {
		return true
	}
	l.push(t, now)
	return false
}

func (t *Turn) answer(ok bool) {
	ready := t.ready
	t.ready = nil
	ready <- ok
}

// watch starts the beat that looks after those who wait, for as long as there
// are any.
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

// look moves long statements out of the way and refuses who has waited for too
// long.
func (g *Gate) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if l := &g.lanes[shortLane]; l.waiting > 0 || len(l.back) > 0 {
		g.makeWay(now)
		g.pass(shortLane)
	}
	left := 0
	for id := range g.lanes {
		l := &g.lanes[id]
		for _, q := range slices.Clone(l.ring) {
			for len(q.turns) > 0 && now-q.turns[0].queued > g.longest(laneID(id)) {
				t := q.turns[0]
				l.remove(t)
				g.refused[Waited]++
				g.underWay--
				ready := t.ready
				*t = Turn{}
				ready <- false
			}
		}
		left += l.waiting + len(l.back)
	}
	if g.beating = left > 0; g.beating {
		g.timer.Reset(beat)
	}
}

// room tells whether the second lane takes one more that turned out to be long.
func (g *Gate) room() bool {
	l := &g.lanes[longLane]
	return l.running < overflow*l.limit
}

// makeWay moves statements that have had a place for long into the second lane.
func (g *Gate) makeWay(now time.Duration) {
	for _, t := range slices.Clone(g.running) {
		if t.since == 0 {
			t.since = now // from now on somebody waits for it
			continue
		}
		if t.used+now-t.since < quantum || !g.room() {
			continue
		}
		g.remember(t.text)
		g.lanes[shortLane].running--
		g.unlist(t)
		t.lane = longLane
		g.lanes[longLane].running++
	}
}

// hash is never 0.
func (g *Gate) hash(text string) uint64 {
	h := maphash.String(g.seed, text[:min(len(text), maxHashed)])
	return max(h, 1)
}

func (g *Gate) remember(text string) {
	h := g.hash(text)
	g.known[h%maxKnown], g.any = h, true
}

func (g *Gate) forget(text string) {
	if h := g.hash(text); g.known[h%maxKnown] == h {
		g.known[h%maxKnown] = 0
	}
}

func (g *Gate) knows(text string) bool {
	if !g.any {
		return false
	}
	h := g.hash(text)
	return g.known[h%maxKnown] == h
}

// Stats are the figures of a Gate.
type Stats struct {
	// UnderWay is how many statements have entered: they run, have lent their
	// place, or wait.
	UnderWay int
	// Running compute, RunningLong of them as long ones. Waiting wait for a
	// place, WaitingLong of them for one of a long statement.
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
		s.Running += l.running
		s.Waiting += l.waiting + len(l.back)
	}
	s.RunningLong = g.lanes[longLane].running
	s.WaitingLong = g.lanes[longLane].waiting + len(g.lanes[longLane].back)
	return s
}
