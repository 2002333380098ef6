package live

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/live/filter"
)

// A message has at most maxBatchRows rows and, unless it has one row only,
// little more than maxBatchBytes; a larger commit comes in several.
const (
	maxBatchRows  = 256
	maxBatchBytes = 256 << 10
)

// maxHold is how many changes are dispatched under one hold of the topic's
// lock, and maxAsked how many filters are asked, but for those of one change:
// whoever registers waits for the lock, and the committer with him.
const (
	maxHold  = 4 * maxBatchRows
	maxAsked = 4 * maxHold
)

// dispatcher turns changes into batches. It belongs to one shard's goroutine.
type dispatcher struct {
	hub   *Hub
	shard *shard

	event *change.Event
	last  change.Seq // of the run that is being dispatched
	// before and after are the event's rows in scan order at a width of
	// declared columns; made again when a plan has another width.
	before, after       sqltype.Row
	beforeBuf, afterBuf sqltype.Row
	width               int
	asked               int // filters under the present hold of the topic's lock
	opened              []*projection
	deaf                []*projection
	ended               []*Subscription
	failed              []failure
	visit               func(*group)
}

// failure is an error in evaluating a change for a projection. It ends the
// subscriptions that the change concerns.
type failure struct {
	proj      *projection
	subs      []*Subscription
	seq, last change.Seq
	err       error
}

// dispatch hands a run of changes of one topic, all of one call of Publish, to
// the subscriptions that they concern.
func (d *dispatcher) dispatch(t *topic, run []entry) {
	if d.visit == nil {
		d.visit = d.offer
	}
	d.last = run[len(run)-1].event.Seq
	for len(run) > 0 {
		run = run[d.part(t, run):]
		d.settle()
	}
	for i, p := range d.deaf {
		p.deaf = false
		d.deaf[i] = nil
	}
	d.deaf, d.event = d.deaf[:0], nil
}

// part dispatches the first n of a run, in messages of their own.
func (d *dispatcher) part(t *topic, run []entry) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for d.asked = 0; n < min(len(run), maxHold) && d.asked < maxAsked; n++ {
		e := run[n].event
		d.event, d.width = e, -1
		t.index.Visit(e.Old, e.New, d.visit)
	}
	for i, p := range d.opened {
		d.flush(p)
		d.opened[i] = nil
	}
	d.opened = d.opened[:0]
	return n
}

// settle ends the subscriptions that cannot go on. It runs without the topic's
// lock, which ending needs.
func (d *dispatcher) settle() {
	for i, f := range d.failed {
		for _, s := range f.subs {
			s.fail(f)
		}
		d.failed[i] = failure{}
	}
	d.failed = d.failed[:0]
	for i, s := range d.ended {
		d.hub.forget(s)
		s.release()
		d.ended[i] = nil
	}
	d.ended = d.ended[:0]
}

// scan brings the event's rows into scan order for plans with so many declared
// columns. A row of another schema version is cut or filled with NULLs: ADD
// COLUMN appends, and any other ALTER comes with a Rebind.
func (d *dispatcher) scan(width int) {
	if d.width == width {
		return
	}
	d.width = width
	e := d.event
	d.afterBuf = fill(d.afterBuf, e.New, width, e.Seq, sqltype.NewInt(sqltype.Timestamp, e.Time.UnixMicro()), e.Op == change.Delete)
	d.after = d.afterBuf
	d.before = nil
	if e.Op == change.Insert && e.Old == nil {
		return
	}
	old := e.Old
	if old == nil {
		old = e.New
	}
	updated := sqltype.NullOf(sqltype.Timestamp)
	if !e.OldTime.IsZero() {
		updated = sqltype.NewInt(sqltype.Timestamp, e.OldTime.UnixMicro())
	}
	d.beforeBuf = fill(d.beforeBuf, old, width, e.OldSeq, updated, e.Op == change.Insert)
	d.before = d.beforeBuf
}

func fill(buf, row sqltype.Row, width int, seq change.Seq, updated sqltype.Value, deleted bool) sqltype.Row {
	if cap(buf) < width+3 {
		buf = make(sqltype.Row, width+3)
	}
	buf = buf[:width+3]
	n := copy(buf[:width], row)
	clear(buf[n:width])
	buf[width] = sqltype.NewBigInt(int64(seq))
	buf[width+1] = updated
	buf[width+2] = sqltype.NewBool(deleted)
	return buf
}

// offer asks a filter what the event means to its result.
func (d *dispatcher) offer(g *group) {
	first := g.projs[0]
	if first.deaf && len(g.projs) == 1 {
		return
	}
	d.asked++
	kind, err := d.classify(first)
	if err != nil {
		for _, p := range g.projs {
			d.fail(p, fmt.Errorf("evaluate the filter: %w", err))
		}
		return
	}
	for _, p := range g.projs {
		switch kind {
		case 0:
		case reread:
			d.reread(p)
		default:
			d.add(p, kind)
		}
	}
}

// reread is what classify gives for a change that no single message tells.
const reread Kind = 255

// classify finds what happened to the result of the projection's filter: 0 is
// nothing.
//
// For most queries a DELETE takes a row out of the result, and an INSERT brings
// one. A query that shows deleted rows still has the row after a DELETE, if its
// filter says so, and had the deleted one before an INSERT of the same key. An
// UPDATE of the primary key may show it two rows where there was one: that it
// reads again.
func (d *dispatcher) classify(p *projection) (_ Kind, err error) {
	defer d.recover(p, &err)
	ev := p.evaluator()
	d.scan(len(p.plan.Table.Columns))
	d.hub.stats.evaluated.Add(1)
	e, deleted := d.event, p.plan.ShowsDeleted
	was, is := false, false
	if e.Moved && deleted {
		left, err := d.leaves(ev)
		if left || err != nil {
			return reread, err
		}
	}
	if d.before != nil && (e.Op != change.Insert || deleted) {
		if was, err = ev.Match(d.before); err != nil {
			return 0, err
		}
	}
	if e.Op != change.Delete || deleted {
		if is, err = ev.Match(d.after); err != nil {
			return 0, err
		}
	}
	switch {
	case was && is:
		return Update, nil
	case is:
		return Insert, nil
	case was:
		return Delete, nil
	}
	return 0, nil
}

// leaves tells whether an UPDATE of the primary key may have brought deleted
// rows into the result of a filter, or taken them out.
func (d *dispatcher) leaves(ev filter.Evaluator) (bool, error) {
	if d.event.Covers {
		return true, nil
	}
	n := d.width
	seq, updated, deleted := d.before[n], d.before[n+1], d.before[n+2]
	d.before[n], d.before[n+1], d.before[n+2] = d.after[n], d.after[n+1], sqltype.NewBool(true)
	left, err := ev.Match(d.before)
	d.before[n], d.before[n+1], d.before[n+2] = seq, updated, deleted
	return left, err
}

// reread has the projection's subscriptions read again what the change has done.
func (d *dispatcher) reread(p *projection) {
	d.flush(p)
	if p.deaf {
		return // all of them will anyway
	}
	for _, s := range p.subs {
		s.reread(d.event.Seq, d.last)
	}
	p.deaf = true
	d.deaf = append(d.deaf, p)
}

// project makes a delivered row of one in scan order.
func (d *dispatcher) project(p *projection, from, into sqltype.Row) (err error) {
	defer d.recover(p, &err)
	if err := p.evaluator().Project(from, into[:len(p.plan.Columns)]); err != nil {
		return fmt.Errorf("evaluate the projection: %w", err)
	}
	p.plan.layout().system(into, from[d.width+1], from[d.width+2])
	return nil
}

// recover turns a panic in evaluating into an error, which ends the
// subscriptions that it concerns and nothing else.
func (d *dispatcher) recover(p *projection, err *error) {
	if r := recover(); r != nil {
		p.eval = nil // it may be in any state
		*err = d.hub.panicked(r, "table", d.event.Table, "user", d.event.User)
	}
}

func (d *dispatcher) fail(p *projection, err error) {
	for _, f := range d.failed {
		if f.proj == p {
			return
		}
	}
	d.failed = append(d.failed, failure{p, slices.Clone(p.subs), d.event.Seq, d.last, err})
	p.deaf = true
	d.deaf = append(d.deaf, p)
}

const batchBytes = int(unsafe.Sizeof(Batch{}))

// add projects the event's rows into the projection's open batch.
func (d *dispatcher) add(p *projection, kind Kind) {
	if p.deaf {
		return
	}
	e := d.event
	b := p.open
	if b != nil && (b.Kind != kind || len(b.Rows) >= maxBatchRows || b.bytes >= maxBatchBytes || !b.Time.Equal(e.Time)) {
		if d.flush(p); p.deaf {
			return
		}
		b = nil
	}
	l := p.plan.layout()
	n := len(l.columns)
	d.scan(len(p.plan.Table.Columns))
	slab := make(sqltype.Row, n, 2*n)
	if kind != Insert {
		slab = slab[:2*n]
	}
	row, old := slab[:n:n], slab[n:]
	err := d.project(p, d.after, row)
	if err == nil && kind != Insert {
		err = d.project(p, d.before, old)
	}
	if err != nil {
		d.fail(p, err)
		return
	}
	if b == nil {
		b = &Batch{Kind: kind, Columns: l.columns, Time: e.Time, bytes: batchBytes}
		b.Rows, b.seqs = b.row1[:0], b.seq1[:0]
		if kind != Insert {
			b.Old = b.old1[:0]
		}
		p.open = b
		d.opened = append(d.opened, p)
		d.hub.stats.messages.Add(1)
	}
	b.Rows = append(b.Rows, row)
	b.seqs = append(b.seqs, e.Seq)
	b.Seq = e.Seq
	b.bytes += rowBytes(row)
	if kind != Insert {
		b.Old = append(b.Old, old)
		b.bytes += rowBytes(old)
	}
}

// flush puts the projection's open batch into the queues of its subscriptions.
// When all of them are too slow the rest of the dispatched changes, which were
// all published by now, needs no work: whoever comes back reads them again.
func (d *dispatcher) flush(p *projection) {
	b := p.open
	if b == nil {
		return
	}
	p.open = nil
	p.deaf = true
	for _, s := range p.subs {
		deaf, ended := s.push(b, d.last)
		if ended {
			d.ended = append(d.ended, s)
		}
		p.deaf = p.deaf && deaf
	}
	if p.deaf {
		d.deaf = append(d.deaf, p)
	}
	d.hub.stats.deliveries.Add(uint64(len(p.subs)))
}

// lose tells the subscriptions of topics that found the backlog full.
func (d *dispatcher) lose(topics []*topic) {
	for _, t := range topics {
		d.shard.mu.Lock()
		first, last := t.lostFirst, t.lostLast
		t.lostFirst, t.lostLast = 0, 0
		d.shard.mu.Unlock()
		t.mu.Lock()
		for _, g := range t.list {
			for _, p := range g.projs {
				for _, s := range p.subs {
					if s.miss(first, last) {
						d.ended = append(d.ended, s)
					}
				}
			}
		}
		t.mu.Unlock()
		d.settle()
	}
}
