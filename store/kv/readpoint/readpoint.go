// Package readpoint keeps the list of states that open snapshots read, so that
// a backend with versions knows which of them nobody can see any more. It owns
// no lock: its callers guard a List with theirs.
package readpoint

// Point is a state that at least one snapshot reads.
type Point struct {
	// Seq is the number of the last batch that the state holds.
	Seq          uint64
	refs         int
	older, newer *Point
}

// List holds the points in use, in order of their numbers. The zero value is
// an empty list.
type List struct {
	oldest, newest *Point
	n              int
}

// Len is how many different states are read.
func (l *List) Len() int { return l.n }

// Pin adds a reader of the state seq, which must not be below one that was
// pinned before.
func (l *List) Pin(seq uint64) *Point {
	if l.newest == nil || l.newest.Seq != seq {
		p := &Point{Seq: seq, older: l.newest}
		if l.newest != nil {
			l.newest.newer = p
		} else {
			l.oldest = p
		}
		l.newest = p
		l.n++
	}
	l.newest.refs++
	return l.newest
}

// Unpin takes a reader away again.
func (l *List) Unpin(p *Point) {
	if p.refs--; p.refs > 0 {
		return
	}
	l.n--
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		l.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		l.newest = p.older
	}
}

// Oldest is the least number that is read, or otherwise when nothing is.
func (l *List) Oldest(otherwise uint64) uint64 {
	if l.oldest == nil {
		return otherwise
	}
	return l.oldest.Seq
}
