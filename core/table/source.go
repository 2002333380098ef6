package table

import (
	"bytes"
	"context"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/vector"
)

// feed gives a source's batches in the order of the scan.
type feed interface {
	// next gives the next piece; one without anything at the end.
	next(ctx context.Context) (piece, error)
	// open makes the batch of a piece that has none yet, or its keys.
	open(ctx context.Context, p *piece) error
	close()
}

// piece is a batch of a source, or a segment that is not opened yet.
type piece struct {
	b *vector.Batch
	// del tells which rows are deleted; nil: none.
	del *vector.Vector
	// keys has the key of each position of the batch; nil: not read yet.
	keys *vector.Vector
	// All keys are from low on and below high; nil high: there is no bound.
	low, high []byte
	entry     *manifest.Entry
	rank      change.Seq
}

// source is one source at its present piece.
type source struct {
	feed    feed
	rank    change.Seq
	reverse bool
	cur     piece
	// pos counts the rows of the piece that are done, n all of them; a segment
	// that is not opened counts as one.
	pos, n int
	// kept are the runs of rows that count.
	kept []rowRun
}

// rowRun is the rows from the first number to before the second.
type rowRun struct{ from, to int }

func (s *source) has() bool { return s.pos < s.n }

func (s *source) drop() { s.pos, s.n, s.kept, s.cur = 0, 0, s.kept[:0], piece{} }

// load goes to the next piece.
func (s *source) load(ctx context.Context) error {
	s.drop()
	p, err := s.feed.next(ctx)
	if err != nil {
		return err
	}
	s.set(p)
	return nil
}

func (s *source) set(p piece) {
	s.cur = p
	switch {
	case p.b != nil:
		s.n = p.b.Rows()
	case p.entry != nil:
		s.n = 1
	}
}

// sharpen opens a segment, or reads the keys of a batch.
func (s *source) sharpen(ctx context.Context) error {
	opened := s.cur.b != nil
	if err := s.feed.open(ctx, &s.cur); err != nil {
		return err
	}
	if !opened {
		p := s.cur
		s.drop()
		s.set(p)
	}
	return nil
}

func (s *source) rankNow() change.Seq { return max(s.rank, s.cur.rank) }

// exact tells whether the keys are known.
func (s *source) exact() bool { return s.cur.b != nil && s.cur.keys != nil }

func (s *source) key(i int) []byte {
	v := s.cur.keys
	r := v.Index(s.cur.b.Row(i))
	return v.Data[v.Offsets[r]:v.Offsets[r+1]]
}

// leads tells whether s has, or may have, the row that comes first.
func (s *source) leads(o *source) bool {
	if s.reverse {
		return s.top().above(o.top())
	}
	return bytes.Compare(s.bottom(), o.bottom()) < 0
}

// bottom is the least key that may be left, in a scan in ascending order.
func (s *source) bottom() []byte {
	if s.exact() {
		return s.key(s.pos)
	}
	return s.cur.low
}

// bound is above all keys that may be left: inclusive or exclusive; the zero
// bound is none.
type bound struct {
	key       []byte
	inclusive bool
}

func (b bound) above(o bound) bool {
	switch {
	case o.key == nil:
		return false
	case b.key == nil:
		return true
	}
	c := bytes.Compare(b.key, o.key)
	return c > 0 || c == 0 && b.inclusive && !o.inclusive
}

// top is above all that is left, in a scan in descending order.
func (s *source) top() bound {
	if s.exact() {
		return bound{s.key(s.pos), true}
	}
	return bound{s.cur.high, false}
}

// endsBefore tells whether all that is left of s's piece comes before all that
// is left of o.
func (s *source) endsBefore(o *source) bool {
	if s.reverse {
		if s.exact() {
			return o.beyond(s.key(s.n - 1))
		}
		t := o.top()
		if t.key == nil {
			return false
		}
		c := bytes.Compare(s.cur.low, t.key)
		return c > 0 || c == 0 && !t.inclusive
	}
	if s.exact() {
		return bytes.Compare(s.key(s.n-1), o.bottom()) < 0
	}
	return s.cur.high != nil && bytes.Compare(s.cur.high, o.bottom()) <= 0
}

// beyond tells whether all that is left comes behind a key.
func (s *source) beyond(key []byte) bool {
	if !s.reverse {
		return bytes.Compare(s.bottom(), key) > 0
	}
	t := s.top()
	if t.key == nil {
		return false
	}
	c := bytes.Compare(t.key, key)
	return c < 0 || c == 0 && !t.inclusive
}

// mayReach tells whether a source whose keys are not known may have a key.
func (s *source) mayReach(key []byte) bool { return !s.beyond(key) }

// until is the first row of s from pos on that does not come before all of o.
// The row at pos does.
func (s *source) until(o *source) int {
	inside := func(i int) bool { return o.beyond(s.key(i)) }
	if inside(s.n - 1) {
		return s.n
	}
	lo, step := s.pos, 1
	for lo+step < s.n && inside(lo+step) {
		lo += step
		step *= 2
	}
	hi := min(lo+step, s.n-1) // not inside
	for lo+1 < hi {
		if mid := (lo + hi) / 2; inside(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}
