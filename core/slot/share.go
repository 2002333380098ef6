package slot

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// overflow is by how many times statements that have begun may outnumber
	// the places of the second lane before others begin.
	overflow = 4
	// hasty is for how long a statement may keep a place of the first lane
	// whose user has long statements under way.
	hasty = 2 * beat
	// stint is for how long a long statement computes without giving the core
	// away.
	stint = 2 * time.Millisecond
	// breath is for how long it does: enough for the runtime to find that there
	// is nothing to do and to ask the kernel.
	breath = 50 * time.Microsecond
)

// makeWay moves statements that have had a place for long into the second lane.
func (g *Gate) makeWay(now time.Duration) {
	short, long := &g.lanes[shortLane], &g.lanes[longLane]
	for _, t := range slices.Clone(short.running) {
		if t.since == 0 {
			t.since = now // from now on somebody waits for it
			continue
		}
		most := quantum
		if t.pauses.Load() && (long.users[t.user] != nil || long.of(t.user) > 0) {
			most = hasty
		}
		if t.used+now-t.since < most {
			continue
		}
		if !g.room(t) {
			if t.pauses.Load() && t.err == nil { // a crowd of its user stands still already
				g.refused[Crowded]++
				t.err = Stopped(g.delay(longLane, now))
				t.asked.Store(true)
			}
			continue
		}
		t.used += now - t.since
		short.unlist(t)
		g.take(t, longLane)
		t.since = now
		g.isLong(t)
		if most == quantum {
			g.known.learn(t.hash, t.used)
		}
	}
}

// isLong notes that a turn has come to the second lane.
func (g *Gate) isLong(t *Turn) {
	if t.order == 0 {
		t.long.Store(true)
		g.moved++
		t.order = g.moved
	}
	if t.hash == 0 {
		t.hash = g.known.hash(t.text)
	}
}

// room tells whether the second lane takes one more that turned out to be long.
// One that can stand still there is in nobody's way.
func (g *Gate) room(t *Turn) bool {
	l := &g.lanes[longLane]
	if t.pauses.Load() {
		q := l.users[t.user]
		return l.paused < overflow*crowd*l.limit && (q == nil || len(q.paused) < crowd)
	}
	return len(l.running) < overflow*l.limit
}

// share has those of the second lane take turns: it asks statements to stand
// still that are too many, and those of users who have more places than others
// who wait.
func (g *Gate) share(now time.Duration) {
	l := &g.lanes[longLane]
	asked := 0
	for _, t := range l.running {
		if t.since == 0 {
			t.since = now
		}
		g.isLong(t)
		if used := t.used + now - t.since; used >= quantum {
			g.known.learn(t.hash, used)
		}
		if t.asked.Load() {
			asked++
		}
	}
	for n := len(l.running) - asked - l.limit; n > 0; n-- {
		if !l.ask(0, now, -1) {
			break
		}
	}
	if len(l.running)-asked < l.limit {
		return // there is a place, or will be
	}
	full := l.full()
	for _, q := range l.ring {
		if len(q.paused) == 0 && full {
			continue
		}
		if n := l.of(q.user); !l.ask(quantum, now, n) && n == 0 {
			return
		}
	}
}

// ask asks a turn to stand still, among those who have had their place for a
// time, of the user who has most places, which must be more than another has.
func (l *lane) ask(slice, now time.Duration, than int) bool {
	var worst *Turn
	most := than
	for _, t := range l.running {
		if t.asked.Load() || !t.pauses.Load() || t.slice+now-t.since < slice {
			continue
		}
		n := l.of(t.user)
		for _, x := range l.running {
			if x.asked.Load() && x.user == t.user {
				n--
			}
		}
		if n > most || worst != nil && n == most && l.rather(t, worst) {
			worst, most = t, n
		}
	}
	if worst == nil {
		return false
	}
	worst.asked.Store(true)
	return true
}

// rather tells whether a is to stand still rather than b: of one user's the
// younger, of two users' the one who has had the place for longer.
func (l *lane) rather(a, b *Turn) bool {
	if a.user == b.user {
		return a.order > b.order
	}
	return a.slice-a.since > b.slice-b.since
}

// hopeless tells whether a newcomer of the second lane would wait for too long,
// or, beside others, not come to its end in its time, and then after how long it
// may come back. 0: it has hope.
func (g *Gate) hopeless(t *Turn) time.Duration {
	l := &g.lanes[longLane]
	took := g.known.took(t.hash)
	users, ahead := len(l.ring), time.Duration(0)
	if q := l.users[t.user]; q != nil {
		for _, x := range slices.Concat(q.turns, q.paused) {
			ahead += max(g.known.took(x.hash)-x.used, 0)
		}
	} else {
		users++
	}
	for i, x := range l.running {
		if x.user == t.user {
			ahead += max(took-x.used, 0)
		} else if l.users[x.user] == nil && !slices.ContainsFunc(l.running[:i], func(y *Turn) bool { return y.user == x.user }) {
			users++
		}
	}
	// Each user has an equal part of the places, but no statement more than one.
	wait := ahead * time.Duration(users) / time.Duration(l.limit)
	run := took * time.Duration(max(users, l.limit)) / time.Duration(l.limit)
	over := wait - g.longest(longLane)
	if took <= g.opts.Limit {
		over = max(over, wait+run-g.opts.Limit)
	}
	return max(over, 0)
}

// Pause lets others compute if it is their turn, and returns when it is the
// caller's again. A query calls it now and then, where it holds nothing that
// others wait for; several goroutines of it may. It costs next to nothing when
// nobody waits.
//
// Errors: RESOURCE_EXHAUSTED when the query must end for others, or why the
// context has ended.
func (t *Turn) Pause(ctx context.Context) error {
	if t == nil || t.gate == nil {
		return nil
	}
	if !t.asked.Load() {
		if !t.pauses.Load() {
			t.pauses.Store(true)
		}
		if t.long.Load() {
			t.rest()
		}
		return nil
	}
	g := t.gate
	g.mu.Lock()
	if !g.park(t) {
		err := t.err
		g.mu.Unlock()
		return err
	}
	resume := t.resume
	g.mu.Unlock()
	select {
	case <-resume:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.resume == resume { // nobody has woken it
		g.lanes[t.lane].remove(t)
		t.wake()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.err = Stopped(g.now() - t.queued)
		}
	}
	if t.err != nil {
		return t.err
	}
	return context.Cause(ctx)
}

// rest gives the core away for a moment. The runtime would let the statement
// have it for 10 ms at each step of somebody's lookup, and while a core always
// has something to do, nobody asks the kernel which requests have come.
func (t *Turn) rest() {
	now, last := int64(t.gate.now()), t.rested.Load()
	if now-last < int64(stint) || !t.rested.CompareAndSwap(last, now) {
		return
	}
	time.Sleep(breath)
}

// park has a turn that was asked to stand still do so. It is false when there
// is no need any more.
func (g *Gate) park(t *Turn) bool {
	if t.resume != nil {
		return true // another of its goroutines was first
	}
	if t.err != nil {
		return false
	}
	if !t.runs || t.lane != longLane {
		t.asked.Store(false)
		return false
	}
	g.drop(t)
	g.stand(t)
	g.pass(longLane)
	return t.resume != nil
}

// stand has a turn of the second lane, which has no place, wait for its user's
// turn.
func (g *Gate) stand(t *Turn) {
	now := g.now()
	t.resume, t.queued = make(chan struct{}), now
	l := &g.lanes[longLane]
	q := l.queue(t.user, now)
	l.last(q, now) // it has just had its turn
	at, _ := slices.BinarySearchFunc(q.paused, t, func(a, b *Turn) int { return cmp.Compare(a.order, b.order) })
	q.paused = slices.Insert(q.paused, at, t)
	l.paused++
	g.watch()
}

// wake lets a turn go on that stands still. One that has to end keeps being
// asked, so that all of its goroutines hear of it.
func (t *Turn) wake() {
	close(t.resume)
	t.resume = nil
	t.asked.Store(t.err != nil)
}

// Starved tells whether the statement stood still for others for a quarter of
// the time since it began, or more: then it is no fault of its own alone that it
// has not come to its end.
func (t *Turn) Starved(elapsed time.Duration) bool {
	if t == nil || t.gate == nil {
		return false
	}
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	return t.stood > 0 && 4*t.stood >= elapsed
}
