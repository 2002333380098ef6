package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/vector"
)

// A scan in parts cuts the space of keys into pieces. All versions of a row,
// hot and cold, have one key and so lie in one piece, which is read like any
// scan of a range: what a piece gives does not depend on the others. The parts
// take pieces from one counter, so that a part whose pieces have many rows
// takes fewer of them.
//
// Where to cut is known of segments from their indexes. Of hot rows nothing is
// known but their keys: the space between the first and the last one is halved
// again and again, and each half is made as narrow as the keys in it.

// partSizes are from when on, and how finely, a scan is cut.
type partSizes struct {
	// cold is how many cold rows a piece has about, hot from how many hot rows
	// on they are cut, too.
	cold, hot int64
}

var defaultPartSizes = partSizes{cold: 32 << 10, hot: 8 << 10}

// piecesPerPart is how many pieces there are for each part, about: the more,
// the less a part has to wait for another at the end.
const piecesPerPart = 8

// ScanParts implements exec.Partitioned. There are none for few rows, and for
// a count of rows, which lists of segments answer.
func (s *storedTable) ScanParts(ctx context.Context, req exec.ScanRequest, n int) ([]exec.Scanner, error) {
	return s.scanParts(ctx, req, n, defaultPartSizes)
}

func (s *storedTable) scanParts(ctx context.Context, req exec.ScanRequest, n int, sizes partSizes) ([]exec.Scanner, error) {
	l, err := s.coldList(ctx)
	if err != nil || l != nil && len(req.Columns) == 0 && req.Ranges == nil {
		return nil, err
	}
	sc, err := s.byImage(ctx, req, l)
	if err != nil {
		return nil, s.damaged(err)
	}
	if sc != nil {
		return sc.parts(ctx, n, sizes.cold)
	}
	if _, err := s.c.wants(req.Columns); err != nil {
		return nil, err
	}
	spans := s.spans(&req)
	for i := range spans {
		if spans[i].point != nil {
			spans[i] = span{Range: kv.Range{Start: spans[i].point, End: append(bytes.Clone(spans[i].point), 0)}}
		}
	}
	if len(spans) == 0 {
		return nil, nil
	}
	cuts, rows, err := s.coldCuts(ctx, &req, spans, l, sizes.cold)
	if err != nil {
		return nil, s.damaged(err)
	}
	many, err := s.manyHot(ctx, spans, sizes.hot)
	if err != nil {
		return nil, err
	}
	if many {
		hot, err := s.hotCuts(spans, piecesPerPart*n)
		if err != nil {
			return nil, err
		}
		cuts = append(cuts, hot...)
	} else if rows < 2*sizes.cold {
		return nil, nil
	}
	slices.SortFunc(cuts, bytes.Compare)
	cuts = slices.CompactFunc(cuts, bytes.Equal)
	if most := 2 * piecesPerPart * n; len(cuts) > most {
		for i := range most {
			cuts[i] = cuts[i*len(cuts)/most]
		}
		cuts = cuts[:most]
	}
	work := &pieces{spans: cutSpans(spans, cuts)}
	if len(work.spans) < 2 {
		return nil, nil
	}
	out := make([]exec.Scanner, min(n, len(work.spans)))
	for i := range out {
		out[i] = &partScanner{s: s, req: req, cold: l, work: work}
	}
	return out, nil
}

// coldCuts are keys at which the segments of a scan fall into runs of about as
// many rows; rows is about how many they have of the spans.
func (s *storedTable) coldCuts(ctx context.Context, req *exec.ScanRequest, spans []span, l *coldList, every int64) (cuts [][]byte, rows int64, err error) {
	if l == nil {
		return nil, 0, nil
	}
	c, err := newColdScan(&scanner{s: s, req: *req, spans: spans})
	if err != nil {
		return nil, 0, err
	}
	for _, chain := range c.chains(l) {
		for _, w := range chain {
			cuts = append(cuts, w.e.FirstKey)
			if w.e.Rows < 2*every {
				rows += w.e.Rows
				continue
			}
			seg, err := s.v.Store.openSegment(ctx, w.e)
			if err != nil {
				return nil, 0, err
			}
			for i := range spans {
				var n int64
				cuts, n = seg.Cuts(cuts, spans[i].Start, spans[i].End, every)
				rows += n
			}
			seg.Close()
		}
	}
	return cuts, rows, nil
}

// manyHot tells whether the spans have at least n hot entries. It looks at no
// more of them.
func (s *storedTable) manyHot(ctx context.Context, spans []span, n int64) (bool, error) {
	c := s.v.Store.counts.get(s.t.ID)
	if c.hot+c.hotDeleted < n {
		return false, nil
	}
	for _, sp := range spans {
		r, any := s.v.Store.clamp(s.v.State, s.t.ID, s.p, sp.Range)
		if !any {
			continue
		}
		r.KeysOnly = true
		it := s.v.State.kv.Scan(s.p, r)
		for n > 0 && it.Next() {
			n--
			if n&1023 == 0 && ctx.Err() != nil {
				break
			}
		}
		err := it.Err()
		it.Close()
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return false, err
		}
		if n == 0 {
			return true, nil
		}
	}
	return false, nil
}

// hotCuts are at most n keys that cut the hot rows of the spans.
func (s *storedTable) hotCuts(spans []span, n int) ([][]byte, error) {
	all := kv.Range{Start: spans[0].Start, End: spans[len(spans)-1].End}
	all, any := s.v.Store.clamp(s.v.State, s.t.ID, s.p, all)
	if !any {
		return nil, nil
	}
	lo, err := s.probe(all)
	if err != nil || lo == nil {
		return nil, err
	}
	all.Reverse = true
	hi, err := s.probe(all)
	if err != nil || hi == nil {
		return nil, err
	}
	var cuts [][]byte
	// The halves wait in the order in which they came to be, so that all are
	// halved once before one is halved again.
	wait := [][2][]byte{{lo, hi}}
	for len(wait) > 0 && len(cuts) < n {
		lo, hi := wait[0][0], wait[0][1]
		wait = wait[1:]
		if bytes.Equal(lo, hi) {
			continue
		}
		mid := between(lo, hi)
		above, err := s.probe(kv.Range{Start: mid, End: append(bytes.Clone(hi), 0)})
		if err != nil {
			return nil, err
		}
		below, err := s.probe(kv.Range{Start: lo, End: mid, Reverse: true})
		if err != nil {
			return nil, err
		}
		if above == nil || below == nil {
			continue // hi and lo are there; only a damaged backend forgets them
		}
		cuts = append(cuts, above)
		wait = append(wait, [2][]byte{lo, below}, [2][]byte{above, hi})
	}
	return cuts, nil
}

// probe is the first hot key of a range in its direction, or nil.
func (s *storedTable) probe(r kv.Range) ([]byte, error) {
	r.KeysOnly = true
	it := s.v.State.kv.Scan(s.p, r)
	defer it.Close()
	if it.Next() {
		return bytes.Clone(it.Key()), nil
	}
	return nil, it.Err()
}

// between is a key above lo and up to hi, about in the middle; lo is less than
// hi.
func between(lo, hi []byte) []byte {
	p := 0
	for p < len(lo) && p < len(hi) && lo[p] == hi[p] {
		p++
	}
	a, b := word(lo[p:]), word(hi[p:])
	if a == b {
		// They differ in zeros at the end, or behind.
		return bytes.Clone(hi)
	}
	mid := binary.BigEndian.AppendUint64(bytes.Clone(lo[:p]), a+(b-a+1)/2)
	return bytes.TrimRight(mid, "\x00")
}

// word is the first eight bytes as a number, with zeros behind a shorter text.
func word(b []byte) uint64 {
	var w [8]byte
	copy(w[:], b)
	return binary.BigEndian.Uint64(w[:])
}

// cutSpans cuts spans, which are in ascending order and apart from each other,
// at keys in ascending order.
func cutSpans(spans []span, cuts [][]byte) (out [][]span) {
	var now []span
	for _, sp := range spans {
		for len(cuts) > 0 && (sp.End == nil || bytes.Compare(cuts[0], sp.End) < 0) {
			cut := cuts[0]
			cuts = cuts[1:]
			if bytes.Compare(cut, sp.Start) > 0 {
				now = append(now, span{Range: kv.Range{Start: sp.Start, End: cut}})
				sp.Start = cut
			}
			if len(now) > 0 {
				out = append(out, now)
				now = nil
			}
		}
		now = append(now, sp)
	}
	if len(now) > 0 {
		out = append(out, now)
	}
	return out
}

// pieces are what the parts of a scan share.
type pieces struct {
	spans [][]span
	// next is the first piece that no part has taken.
	next atomic.Int64
}

// partScanner is a part of a scan.
type partScanner struct {
	s    *storedTable
	req  exec.ScanRequest
	cold *coldList
	work *pieces
	// now reads the present piece.
	now  exec.Scanner
	err  error
	done bool
}

// Next implements exec.Scanner.
func (p *partScanner) Next(ctx context.Context) (*vector.Batch, error) {
	for p.err == nil && !p.done {
		if p.now == nil {
			i := p.work.next.Add(1) - 1
			if i >= int64(len(p.work.spans)) {
				p.done = true
				break
			}
			if p.now, p.err = p.s.scan(p.req, p.work.spans[i], p.cold); p.err != nil {
				break
			}
		}
		b, err := p.now.Next(ctx)
		if b != nil {
			return b, nil
		}
		p.err = err
		p.now.Close()
		p.now = nil
	}
	return nil, p.err
}

// Close implements exec.Scanner.
func (p *partScanner) Close() {
	p.done = true
	if p.now != nil {
		p.now.Close()
		p.now = nil
	}
}

// guessedRows is what EstimatedRows says of tables whose rows nobody counts.
const guessedRows = 1000

// EstimatedRows is about how many rows a table has, for the planner. Of USER
// and SHARED tables it is their exact number, all users together; rings of
// STREAM tables and the server's own tables are taken to be small. It costs a
// look at a number that is kept.
func (s *Store) EstimatedRows(t *ddl.Table) int64 {
	switch t.Type {
	case ident.UserTable, ident.SharedTable:
		return s.counts.get(t.ID).live
	}
	return guessedRows
}
