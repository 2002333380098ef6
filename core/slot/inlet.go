package slot

import (
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
)

// inlet is what the gate knows of requests that have not come to it yet. When
// small requests come faster than the server can even read them, they wait in
// their sockets and for a processor, and each that comes through finds a place.
// So somebody outside measures how long that takes.
type inlet struct {
	// choked says that it takes too long.
	choked bool
	delay  time.Duration // as reported last
	at     time.Duration // of the last report
	// passed are those who came to the gate since then, done those who left it.
	passed, done int
	// arrivals and departures are passed and done in a second, lately.
	arrivals, departures float64
	// taken are those who were let in since the last report, by user, while it
	// is choked; share is how many each may have.
	taken map[ident.UserID]int
	share int
}

// Delayed tells the gate how long requests lie around before they come to it,
// and on how many connections they can, since each has one at a time. It must
// be called again and again while it answers that it is busy. Where
// that is longer than a newcomer to a crowd may expect, and more requests lie
// around than may wait here, each user is let in so often that together they
// are half of what the server has managed lately; the others are refused, which
// costs less. That is the same for all, so one user's flood does not take the
// share of another.
func (g *Gate) Delayed(delay time.Duration, connections int) (busy bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	in := &g.inlet
	now := g.now()
	took := (now - in.at).Seconds()
	in.at, in.delay = now, delay
	busy = in.passed > 0 || g.underWay > 0
	if took > 0 {
		// An average over about ten reports, so that one long statement, or one
		// moment without a processor, does not count as the server's speed.
		const weight = .1
		in.arrivals += weight * (float64(in.passed)/took - in.arrivals)
		in.departures += weight * (float64(in.done)/took - in.departures)
	}
	in.passed, in.done = 0, 0
	users := max(len(in.taken), 1)
	clear(in.taken)
	// A delay that the machine makes, busy with other programs, is no crowd.
	lie := min(delay.Seconds()*in.arrivals, float64(connections))
	in.choked = delay > g.longest(shortLane)/haste && lie > float64(crowd*g.lanes[shortLane].limit)
	in.share = max(int(in.departures*took/2)/users, 1)
	return busy
}

// takes tells whether a user may have one more while the inlet is choked.
func (in *inlet) takes(user ident.UserID) bool {
	n := in.taken[user]
	if n < in.share {
		in.taken[user] = n + 1
		return true
	}
	in.taken[user] = n // who asks counts as somebody to share with
	return false
}
