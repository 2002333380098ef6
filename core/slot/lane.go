package slot

import (
	"slices"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
)

// lane is a number of places and who waits for them.
type lane struct {
	limit int
	// running are those who have a place. At times they are more than limit.
	running []*Turn
	// back are those who have lent their place and want it again.
	back []*Turn
	// ring has the users who wait, in the order of their turns.
	ring    []*queue
	users   map[ident.UserID]*queue
	waiting int // of them have not begun
	paused  int // have
}

// queue is a user's statements that wait. It is never empty.
type queue struct {
	user   ident.UserID
	turns  []*Turn       // have not begun
	paused []*Turn       // have, the eldest first
	since  time.Duration // when it came to the end of the ring
}

func (q *queue) empty() bool { return len(q.turns)+len(q.paused) == 0 }

// wanted is how many wait for a place of the lane.
func (l *lane) wanted() int { return l.waiting + l.paused + len(l.back) }

// free tells whether a newcomer finds a place.
func (l *lane) free() bool { return len(l.running) < l.limit && l.wanted() == 0 }

// queue gives a user's queue, making it if there is none.
func (l *lane) queue(user ident.UserID, now time.Duration) *queue {
	q := l.users[user]
	if q == nil {
		q = &queue{user: user, since: now}
		l.users[user] = q
		l.ring = append(l.ring, q)
	}
	return q
}

func (l *lane) push(t *Turn, now time.Duration) {
	q := l.queue(t.user, now)
	q.turns = append(q.turns, t)
	l.waiting++
}

// pop takes the next one out, if it may begin: the oldest of the user whose
// turn it is.
func (l *lane) pop(now time.Duration) *Turn {
	q := l.next()
	if q == nil {
		return nil
	}
	var t *Turn
	if len(q.paused) > 0 {
		t = q.paused[0]
		q.paused = slices.Delete(q.paused, 0, 1)
		l.paused--
	} else {
		t = q.turns[0]
		q.turns = slices.Delete(q.turns, 0, 1)
		l.waiting--
	}
	if q.empty() {
		l.forget(q)
	} else {
		l.last(q, now)
	}
	return t
}

// last puts a queue at the end of the ring.
func (l *lane) last(q *queue, now time.Duration) {
	at := slices.Index(l.ring, q)
	l.ring = append(slices.Delete(l.ring, at, at+1), q)
	q.since = now
}

func (l *lane) forget(q *queue) {
	delete(l.users, q.user)
	at := slices.Index(l.ring, q)
	l.ring = slices.Delete(l.ring, at, at+1)
}

func (l *lane) remove(t *Turn) {
	q := l.users[t.user]
	same := func(x *Turn) bool { return x == t }
	if t.resume != nil {
		q.paused = slices.DeleteFunc(q.paused, same)
		l.paused--
	} else {
		q.turns = slices.DeleteFunc(q.turns, same)
		l.waiting--
	}
	if q.empty() {
		l.forget(q)
	}
}

func (l *lane) unlist(t *Turn) {
	last := len(l.running) - 1
	l.running[t.index] = l.running[last]
	l.running[t.index].index = t.index
	l.running[last] = nil
	l.running = l.running[:last]
}

// of counts a user's turns that have a place.
func (l *lane) of(user ident.UserID) (n int) {
	for _, t := range l.running {
		if t.user == user {
			n++
		}
	}
	return n
}

// next is the queue whose turn it is: that of the user who has the fewest
// places, among equals the one who has waited longest. nil: those who wait have
// not begun, and statements of enough others have.
func (l *lane) next() (best *queue) {
	if l.paused == 0 { // so it is the first lane, or nobody stands still
		if len(l.ring) > 0 {
			best = l.ring[0]
		}
		return best
	}
	full, fewest := l.full(), 0
	for _, q := range l.ring {
		if len(q.paused) == 0 && full {
			continue
		}
		if n := l.of(q.user); best == nil || n < fewest {
			best, fewest = q, n
		}
	}
	return best
}

// full tells whether statements of so many users have begun that those of no
// others may.
func (l *lane) full() bool {
	n := len(l.running)
	for _, q := range l.ring {
		if len(q.paused) > 0 && l.of(q.user) == 0 {
			n++
		}
	}
	return n >= overflow*l.limit
}
