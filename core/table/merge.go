package table

import (
	"bytes"
	"context"
	"slices"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// merger is a scan of both tiers.
//
// Its sources are the hot rows and chains of segments: within a chain segments
// follow each other without sharing keys, so that each source is in the order
// of the keys, and there are as few chains as segments overlap. The sources are
// walked together in that order; of rows with the same key the newest one
// counts, and whether that is deleted. Where no other source reaches into a
// batch, or into a whole segment, its keys are not looked at: a batch goes
// through as it is, and a segment of which only the number of rows is wanted is
// not even opened.
type merger struct {
	s   *storedTable
	req exec.ScanRequest
	out *output
	src []*source
	err error
	end bool
}

var _ exec.Scanner = (*merger)(nil)

// newMerger takes over the scan of the hot rows.
func newMerger(hot *scanner, l *coldList) (*merger, error) {
	m := &merger{s: hot.s, req: hot.req}
	m.out = &output{req: &m.req, cols: len(m.req.Columns)}
	c, err := newColdScan(hot)
	if err != nil {
		return nil, err
	}
	hot.narrow()
	m.src = append(m.src, &source{feed: &hotFeed{sc: hot}, rank: ^change.Seq(0), reverse: m.req.Reverse})
	for _, chain := range c.chains(l) {
		m.src = append(m.src, &source{feed: &coldFeed{c: c, todo: chain}, reverse: m.req.Reverse})
	}
	return m, nil
}

// newColdMerger merges segments alone, and gives every run of rows that count
// with the keys of all positions of its batch, in order. Next then gives none.
func newColdMerger(f *flusher, req exec.ScanRequest, l *coldList, emit func(*vector.Batch, *vector.Vector) error) (*merger, error) {
	v := &View{Store: f.s, State: f.st}
	s := &storedTable{v: v, t: f.t, c: f.c}
	c, err := newColdScan(&scanner{s: s, req: req, spans: []span{{}}})
	if err != nil {
		return nil, err
	}
	m := &merger{s: s, req: req}
	m.out = &output{req: &m.req, cols: len(req.Columns), emit: emit}
	for _, chain := range c.chains(l) {
		m.src = append(m.src, &source{feed: &coldFeed{c: c, todo: chain}})
	}
	return m, nil
}

// Next implements exec.Scanner.
func (m *merger) Next(ctx context.Context) (*vector.Batch, error) {
	for {
		if m.err != nil {
			return nil, m.err
		}
		if b := m.out.take(m.end); b != nil {
			return b, nil
		}
		if m.end {
			return nil, nil
		}
		if m.err = context.Cause(ctx); m.err == nil {
			m.end, m.err = m.step(ctx)
		}
		if m.err == nil {
			m.err = m.out.failed
		}
		if m.out.full() {
			m.end = true
		}
		if m.err != nil || m.end {
			m.close()
		}
	}
}

// step moves on by one batch, one run of rows, or one row; end: there are no
// more.
func (m *merger) step(ctx context.Context) (end bool, err error) {
	for i := 0; i < len(m.src); i++ {
		s := m.src[i]
		if s.has() {
			continue
		}
		m.out.finish(s)
		if err := s.load(ctx); err != nil {
			return false, m.s.damaged(err)
		}
		if !s.has() {
			s.feed.close()
			m.src = slices.Delete(m.src, i, i+1)
			i--
		}
	}
	if len(m.src) == 0 {
		return true, nil
	}
	first := m.src[0]
	for _, s := range m.src[1:] {
		if s.leads(first) {
			first = s
		}
	}
	if m.before(first) {
		return false, m.rest(ctx, first)
	}
	if !first.exact() {
		return false, first.sharpen(ctx)
	}
	return false, m.run(ctx, first)
}

// before tells whether all that s has comes before all that the others have.
func (m *merger) before(s *source) bool {
	for _, o := range m.src {
		if o != s && !s.endsBefore(o) {
			return false
		}
	}
	return true
}

// rest gives all that a source has, which nothing else reaches into.
func (m *merger) rest(ctx context.Context, s *source) error {
	if s.cur.b == nil {
		if n, ok := s.feed.(*coldFeed).countable(&s.cur); ok {
			m.out.count(n)
			s.drop()
			return nil
		}
		return s.sharpen(ctx)
	}
	if m.out.emit != nil && !s.exact() {
		return s.sharpen(ctx)
	}
	m.out.add(s, s.pos, s.n)
	s.pos = s.n
	return nil
}

// run gives the rows of a source up to where another one comes in, or decides
// about rows of one key.
func (m *merger) run(ctx context.Context, first *source) error {
	key := first.key(first.pos)
	same := first
	for _, s := range m.src {
		if s == first {
			continue
		}
		if !s.exact() {
			if s.mayReach(key) {
				return s.sharpen(ctx)
			}
			continue
		}
		if bytes.Equal(s.key(s.pos), key) && s.rankNow() > same.rankNow() {
			same = s
		}
	}
	others := false
	for _, s := range m.src {
		if s != same && s.exact() && bytes.Equal(s.key(s.pos), key) {
			others = true
			s.pos++
		}
	}
	if others {
		m.out.add(same, same.pos, same.pos+1)
		same.pos++
		return nil
	}
	to := first.n
	for _, s := range m.src {
		if s != first {
			to = min(to, first.until(s))
		}
	}
	m.out.add(first, first.pos, to)
	first.pos = to
	return nil
}

func (m *merger) close() {
	for _, s := range m.src {
		s.feed.close()
	}
	m.src = nil
}

// Close implements exec.Scanner.
func (m *merger) Close() {
	m.close()
	m.out.drop()
	m.end = true
}
