package table

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
	"github.com/kalamdb/kalamdb/store/vector"
)

// imageScanner is a scan of both tiers, or a part of one, by an image: in no
// particular order, or the newest rows first.
type imageScanner struct {
	s    *storedTable
	c    *coldScan
	im   *image
	want []rowenc.Want
	work *imageWork
	seg  *segment.Segment
	scan *segment.Scanner
	rows int64 // that are to be given without columns
	err  error
	done bool
}

// imageWork is what the parts of a scan take their units from.
type imageWork struct {
	units []imageUnit
	next  atomic.Int64
}

// imageUnit is a part of an image's hot rows, or some blocks of a segment.
type imageUnit struct {
	part     *imagePart
	entry    int
	from, to int
	maxSeq   change.Seq
}

var _ exec.Scanner = (*imageScanner)(nil)

// byImage opens a scan of everything by the image, if there is one.
func (s *storedTable) byImage(ctx context.Context, req exec.ScanRequest, l *coldList) (*imageScanner, error) {
	if l == nil || req.Ranges != nil || req.Ordered || req.Reverse || req.Limit > 0 {
		return nil, nil
	}
	im, err := s.image(ctx, l, req.Newest != nil)
	if err != nil || im == nil {
		return nil, err
	}
	sc, err := s.newImageScanner(req, im)
	if err != nil {
		return nil, err
	}
	sc.work = sc.units()
	return sc, nil
}

func (s *storedTable) newImageScanner(req exec.ScanRequest, im *image) (*imageScanner, error) {
	w, err := s.c.wants(req.Columns)
	if err != nil {
		return nil, err
	}
	c, err := newColdScan(&scanner{s: s, req: req, spans: []span{{}}})
	if err != nil {
		return nil, err
	}
	c.opts.IncludeDeleted = req.IncludeDeleted
	c.opts.Bounds = c.bounds
	return &imageScanner{s: s, c: c, im: im, want: w}, nil
}

// units are what there is to read.
func (sc *imageScanner) units() *imageWork {
	w := &imageWork{}
	for i := range sc.im.parts {
		p := &sc.im.parts[i]
		w.units = append(w.units, imageUnit{part: p, maxSeq: p.maxSeq})
	}
	for i := range sc.im.list.entries {
		// What is covered is known, so that any column may leave rows out.
		if e := &sc.im.list.entries[i]; sc.c.wants(e, true) && e.Rows > sc.im.covers[i].n {
			w.units = append(w.units, imageUnit{entry: i, maxSeq: e.MaxSeq})
		}
	}
	if sc.c.req.Newest != nil {
		slices.SortStableFunc(w.units, func(a, b imageUnit) int { return cmp.Compare(b.maxSeq, a.maxSeq) })
	}
	return w
}

// parts are at most n scanners that share the units, or none when there are few
// rows. Segments are cut into runs of blocks with about as many rows.
func (sc *imageScanner) parts(ctx context.Context, n int, every int64) ([]exec.Scanner, error) {
	var units []imageUnit
	var total int64
	for _, u := range sc.work.units {
		if u.part != nil {
			total += int64(u.part.live)
			units = append(units, u)
			continue
		}
		e := &sc.im.list.entries[u.entry]
		total += e.Rows
		if e.Rows < 2*every {
			units = append(units, u)
			continue
		}
		seg, err := sc.s.v.Store.openSegment(ctx, e)
		if err != nil {
			return nil, sc.s.damaged(err)
		}
		blocks := seg.Blocks()
		seg.Close()
		step := max(1, int(int64(blocks)*every/e.Rows))
		for from := 0; from < blocks; from += step {
			u.from, u.to = from, min(from+step, blocks)
			units = append(units, u)
		}
	}
	if total < 2*every || len(units) < 2 {
		return nil, nil
	}
	work := &imageWork{units: units}
	out := make([]exec.Scanner, min(n, len(units)))
	for i := range out {
		p := *sc
		p.work = work
		out[i] = &p
	}
	return out, nil
}

// Next implements exec.Scanner.
func (sc *imageScanner) Next(ctx context.Context) (*vector.Batch, error) {
	for sc.err == nil && !sc.done {
		if sc.rows > 0 {
			n := int(min(sc.rows, vector.BatchSize))
			sc.rows -= int64(n)
			return vector.NewBatch(nil, n), nil
		}
		if sc.scan != nil {
			b, err := sc.scan.Next(ctx)
			if b != nil {
				return b, nil
			}
			sc.closeSegment()
			if err != nil {
				return nil, sc.fail(sc.s.damaged(err))
			}
		}
		if sc.err = context.Cause(ctx); sc.err != nil {
			break
		}
		i := sc.work.next.Add(1) - 1
		if i >= int64(len(sc.work.units)) {
			sc.done = true
			break
		}
		u := &sc.work.units[i]
		if u.maxSeq <= sc.above() && u.maxSeq > 0 {
			continue
		}
		if u.part == nil {
			if err := sc.open(ctx, u); err != nil {
				return nil, sc.fail(sc.s.damaged(err))
			}
			continue
		}
		b, err := sc.hot(u.part)
		if err != nil {
			return nil, sc.fail(sc.s.damaged(err))
		}
		if b != nil {
			return b, nil
		}
	}
	return nil, sc.err
}

// above is up to which number rows are of no use.
func (sc *imageScanner) above() change.Seq {
	after := sc.c.opts.AfterSeq
	if sc.c.req.Newest != nil {
		after = max(after, sc.c.req.Newest.Above())
	}
	return after
}

// hot gives the rows of a part; nil: none.
func (sc *imageScanner) hot(p *imagePart) (*vector.Batch, error) {
	if p.nGone == len(p.rows) || p.live == 0 && !sc.c.req.IncludeDeleted {
		return nil, nil
	}
	if len(sc.c.req.Columns) == 0 && sc.above() == 0 {
		if sc.c.req.IncludeDeleted {
			return vector.NewBatch(nil, len(p.rows)-p.nGone), nil
		}
		return vector.NewBatch(nil, p.live), nil
	}
	sel := p.selected(sc.c.req.IncludeDeleted, sc.above())
	if sel != nil && len(sel) == 0 {
		return nil, nil
	}
	cols, err := p.columns(sc.s, sc.c.req.Columns, sc.want)
	if err != nil {
		return nil, err
	}
	b := vector.NewBatch(cols, len(p.rows))
	b.Sel = sel
	return b, nil
}

// open begins a segment, or counts its rows if nothing else is wanted of it.
func (sc *imageScanner) open(ctx context.Context, u *imageUnit) error {
	e, c := &sc.im.list.entries[u.entry], &sc.im.covers[u.entry]
	if sc.countable(u) {
		if sc.rows = e.Rows - c.n; !sc.c.req.IncludeDeleted {
			sc.rows -= e.Deleted - c.deleted
		}
		return nil
	}
	seg, err := sc.s.v.Store.openSegment(ctx, e)
	if err != nil {
		return err
	}
	opts := sc.c.opts
	opts.Covered = c.rows
	opts.FromBlock, opts.ToBlock = u.from, u.to
	if sc.c.req.Newest != nil {
		opts.Newest, opts.Above = true, sc.c.req.Newest.Above
	}
	if sc.scan, err = seg.Scan(ctx, opts); err != nil {
		seg.Close()
		return err
	}
	sc.seg = seg
	return nil
}

func (sc *imageScanner) countable(u *imageUnit) bool {
	return len(sc.c.req.Columns) == 0 && u.to == 0 && sc.above() == 0 && len(sc.c.bounds) == 0
}

func (sc *imageScanner) fail(err error) error {
	sc.err = err
	return err
}

func (sc *imageScanner) closeSegment() {
	if sc.scan != nil {
		sc.scan.Close()
		sc.seg.Close()
		sc.scan, sc.seg = nil, nil
	}
}

// Close implements exec.Scanner.
func (sc *imageScanner) Close() {
	sc.done = true
	sc.rows = 0
	sc.closeSegment()
}

// eachKeys gives the keys of all rows of a segment, in order.
func (s *storedTable) eachKeys(ctx context.Context, e *manifest.Entry, f func(keys *vector.Vector) error) error {
	seg, err := s.v.Store.openSegment(ctx, e)
	if err != nil {
		return err
	}
	defer seg.Close()
	sc, err := seg.Scan(ctx, segment.ScanOptions{IncludeDeleted: true})
	if err != nil {
		return err
	}
	defer sc.Close()
	for {
		b, err := sc.Next(ctx)
		if b == nil || err != nil {
			return err
		}
		keys, err := sc.Keys(ctx)
		if err != nil {
			return err
		}
		if err := f(keys); err != nil {
			return err
		}
	}
}
