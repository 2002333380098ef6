package table

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/histogram"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv"
)

// request is what waits for the committer: a prepared write set or a command.
type request struct {
	ctx     context.Context
	prep    *prepared    // nil for a command
	command func() error // runs between two batches
	at      time.Time    // when it came; for a write set
	err     error
	done    chan struct{} // one place
}

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// enqueue hands a request over and waits for its answer. A request that was
// taken in is always answered, so a statement never ends without its fate
// being known, whatever its context says meanwhile. While it waits, others
// compute in the statement's place: so all who want to write can share a sync.
func (s *Store) enqueue(ctx context.Context, prep *prepared, command func() error) error {
	r := requests.Get().(*request)
	r.ctx, r.prep, r.command, r.err = ctx, prep, command, nil
	if prep != nil {
		r.at = s.opts.Now().Truncate(time.Microsecond)
	}
	place := slot.Of(ctx)
	place.Lend()
	defer place.Back()
	if err := s.takeIn(ctx, r); err != nil {
		return err
	}
	<-r.done
	err := r.err
	r.ctx, r.prep, r.command, r.err = nil, nil, nil, nil
	requests.Put(r)
	return err
}

func (s *Store) takeIn(ctx context.Context, r *request) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return kv.ErrClosed
	}
	select {
	case s.reqs <- r:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *request) answer(err error) {
	r.err = err
	r.done <- struct{}{}
}

// Commit makes a statement's changes to the user's partitions last, all or
// none, in the order given. It returns when they are durable and visible.
//
// read is the state that the statement read, if the caller still has it: then
// what it read of cold rows need not be looked up again.
//
// A *Conflict means that the state has moved on since the statement read it:
// it must be run again on a new state. UNIQUE_VIOLATION, STORAGE_UNAVAILABLE
// and TOO_LARGE are final. After an error nothing of the write sets is visible.
func (s *Store) Commit(ctx context.Context, read *State, user ident.UserID, sets ...*exec.WriteSet) error {
	for {
		p, err := s.prepareAll(ctx, read, user, sets)
		if p == nil || err != nil {
			return err
		}
		// A flush has come between: the same once more, on what it has left.
		if err = s.enqueue(ctx, p, nil); err != errMoved {
			return err
		}
	}
}

// errMoved says that rows have moved between the tiers since a write set was
// prepared.
var errMoved = errors.New("the table's segments have changed")

// command runs fn on the committer's goroutine between two batches.
func (s *Store) command(ctx context.Context, fn func() error) error {
	return s.enqueue(ctx, nil, fn)
}

// post is command for what nobody waits for. It may be forgotten when much else
// waits.
func (s *Store) post(fn func() error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return
	}
	select {
	case s.reqs <- &request{ctx: s.ctx, command: fn, done: make(chan struct{}, 1)}:
	default:
	}
}

// Between runs fn between two batches with the state that is the newest one
// meanwhile, as no other can come. fn must not wait for anything that needs
// the committer, and must not keep the state without retaining it: use
// Acquire, which gives this very state.
func (s *Store) Between(ctx context.Context, fn func(now *State) error) error {
	return s.command(ctx, func() error { return fn(s.cur.Load()) })
}

// Define changes the catalog. fn runs between two batches, so what it checks
// still holds when its changes take effect; its error gives them up. The
// catalog that is returned has the changes.
func (s *Store) Define(ctx context.Context, fn func(*catalog.Edit) error) (*catalog.Snapshot, error) {
	return s.DefineThen(ctx, fn, nil)
}

// DefineThen is Define with something to do once the changes are written and
// shown, before the first statement can commit that was planned with them.
// then keeps the rules of fn and is not called when nothing has changed.
func (s *Store) DefineThen(ctx context.Context, fn func(*catalog.Edit) error, then func(*catalog.Snapshot)) (cat *catalog.Snapshot, err error) {
	err = s.command(ctx, func() error {
		if s.broken != nil {
			return s.broken
		}
		cur := s.cur.Load()
		edit := cur.Catalog.Edit(s.opts.Now())
		if err := s.guarded(edit, fn); err != nil {
			return err
		}
		if !edit.Changed() {
			cat = cur.Catalog
			return nil
		}
		s.batch.Reset()
		s.batch.Append(edit.Batch())
		for _, t := range edit.Dropped() {
			s.counts.remove(&s.batch, t.ID)
		}
		if err := s.write(); err != nil {
			return err
		}
		s.opts.Step(StepDefined)
		for _, t := range edit.Dropped() {
			s.counts.forget(t.ID)
			s.streams.drop(t.ID)
			s.codecs.forget(t.ID)
			delete(s.written, t.ID)
		}
		if err := s.advance(edit.Next()); err != nil {
			return err
		}
		for _, t := range edit.Dropped() {
			s.reap.add(catalog.Dropped{ID: t.ID, Type: t.Type})
		}
		cat = edit.Next()
		if then != nil {
			then(cat)
		}
		return nil
	})
	return cat, err
}

// guarded makes an edit. What fn looks at is made of what people have written;
// a panic over it is its error, and as nothing has happened yet the committer
// goes on.
func (s *Store) guarded(edit *catalog.Edit, fn func(*catalog.Edit) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.opts.Logger.Error("panic in a definition", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("define: panic: %v", p)
		}
	}()
	return fn(edit)
}

// run is the committer.
func (s *Store) run() {
	for r := range s.reqs {
		for r != nil {
			r = s.round(r)
		}
	}
	// The last state stays: who still reads gets what it has, until the
	// backend is closed and ends its snapshot.
}

// round commits r and what waits behind it, as far as it makes one batch. It
// returns the request that begins the next one.
func (s *Store) round(r *request) (next *request) {
	s.group.reset()
	s.batch.Reset()
	for {
		switch {
		case r.command != nil:
			s.finish()
			if err := context.Cause(r.ctx); err != nil {
				r.answer(err)
			} else {
				r.answer(r.command())
			}
			return nil
		case len(s.group.members) > 0 && !s.fits(r.prep):
			s.finish()
			return r
		}
		s.group.members = append(s.group.members, r)
		if r.at.After(s.group.time) {
			// It came while the batch was put together: nothing that it writes
			// is older than itself.
			s.group.time = time.Time{}
		}
		switch err := context.Cause(r.ctx); {
		case err != nil:
			r.err = err
		case s.broken != nil:
			r.err = s.broken
		default:
			r.err = s.check(r.prep)
		}
		select {
		case more, ok := <-s.reqs:
			if ok {
				r = more
				continue
			}
		default:
		}
		s.finish()
		return nil
	}
}

func (s *Store) fits(p *prepared) bool {
	return s.batch.Len()+p.steps <= s.limits.BatchLen && s.batch.Size()+p.size <= s.limits.BatchSize
}

// finish does steps 2 to 6 of the protocol for the group.
func (s *Store) finish() {
	g := &s.group
	if len(g.members) == 0 {
		return
	}
	events, err := s.commitGroup()
	if err != nil {
		for _, r := range g.members {
			// What failed by itself keeps its own reason, unless that is a
			// duplicate of what this batch did not write.
			if r.err == nil || errors.Is(r.err, errDuplicate) {
				r.err = err
			}
		}
	}
	for _, r := range g.members {
		r.answer(r.err)
	}
	// The hub's goroutine comes last, so that it is the next to run on this
	// thread: a change does not wait behind the statements that were answered.
	if len(events) > 0 {
		s.pub.Publish(events)
	}
	g.reset()
	s.batch.Reset()
}

// commitGroup does steps 2 to 4. It gives the events to publish.
func (s *Store) commitGroup() ([]*change.Event, error) {
	g := &s.group
	if g.passed == 0 {
		return nil, nil
	}
	limit := s.seqLimit
	if s.seq > limit {
		limit = s.seq + seqBlock
		s.batch.Put(metaPartition, metaSequence, binary.BigEndian.AppendUint64(nil, uint64(limit)))
	}
	if s.batch.Len() > 0 {
		s.counts.put(&s.batch, g.deltas)
		if err := s.write(); err != nil {
			return nil, err
		}
		s.seqLimit = limit
	}
	s.counts.apply(g.deltas)
	s.streams.apply(g.streams)
	if err := s.advance(s.cur.Load().Catalog); err != nil {
		return nil, err
	}
	s.stats.commits.Add(int64(g.passed))
	s.stats.sizes.Observe(float64(g.passed))
	return g.events, nil
}

// write writes the batch and keeps account of whether the backend can.
func (s *Store) write() error {
	start := time.Now()
	err := s.backend.Write(context.Background(), &s.batch)
	s.stats.writes.Observe(time.Since(start).Seconds())
	if err == nil {
		s.outage.end(s.opts.Logger)
		return nil
	}
	e, ok := dberr.As(err)
	if !ok {
		e = dberr.New(dberr.StorageUnavailable, "The storage cannot be written now.").Wrap(err)
	}
	if e.Code == dberr.StorageUnavailable {
		s.outage.begin(s.opts.Logger, e)
	}
	return e
}

// advance shows the state after a successful write. Without a snapshot of it
// nothing can be checked against it any more, so that ends all writing.
func (s *Store) advance(cat *catalog.Snapshot) error {
	snap, err := s.backend.Snapshot()
	if err != nil {
		e := dberr.New(dberr.StorageUnavailable, "The storage cannot be read now.").Wrap(fmt.Errorf("take snapshot: %w", err))
		s.broken = e
		s.outage.begin(s.opts.Logger, e)
		return e
	}
	s.show(&State{Seq: s.seq, Catalog: cat, kv: snap, cold: s.coldNow})
	return nil
}

// commitTime is the time of a batch, or of the part of it that is being put
// together. It never goes back, also when the clock does.
func (s *Store) commitTime() time.Time {
	if s.group.time.IsZero() {
		t := s.opts.Now().UTC().Truncate(time.Microsecond)
		if t.Before(s.lastTime) {
			t = s.lastTime
		}
		s.lastTime, s.group.time = t, t
	}
	return s.group.time
}

// group is the batch that is being put together.
type group struct {
	members []*request
	passed  int
	time    time.Time
	// overlay is what the statements that passed have made of keys.
	overlay map[rowKey]version
	undo    []undo
	events  []*change.Event
	streams []streamOp
	deltas  map[ident.TableID]count
}

type rowKey struct {
	partition kv.Partition
	key       string
}

// version is what the committer knows of a row: the number of its newest
// version, 0 for none.
type version struct {
	seq     change.Seq
	deleted bool
	// cold says that the hot tier has nothing of the row.
	cold bool
	// by is what deletes the row in the batch that is being put together.
	by *exec.Write
}

func (v version) live() bool { return v.seq != 0 && !v.deleted }

type undo struct {
	key rowKey
	old version
	had bool
}

func (g *group) reset() {
	clear(g.members)
	clear(g.overlay)
	clear(g.undo)
	clear(g.streams)
	clear(g.deltas)
	if g.overlay == nil || len(g.overlay) > 1<<12 {
		g.overlay = map[rowKey]version{}
	}
	if g.deltas == nil {
		g.deltas = map[ident.TableID]count{}
	}
	g.members, g.undo, g.streams = g.members[:0], g.undo[:0], g.streams[:0]
	// The hub keeps the events.
	g.events = nil
	g.passed, g.time = 0, time.Time{}
}

func (g *group) set(k rowKey, v version) {
	old, had := g.overlay[k]
	g.undo = append(g.undo, undo{k, old, had})
	g.overlay[k] = v
}

// rollback takes back what a statement set.
func (g *group) rollback() {
	for i := len(g.undo) - 1; i >= 0; i-- {
		u := &g.undo[i]
		if u.had {
			g.overlay[u.key] = u.old
		} else {
			delete(g.overlay, u.key)
		}
	}
	g.undo = g.undo[:0]
}

// Conflict says that a statement must be run again: a row is no longer what
// the statement read, or a table has another definition. Statements that
// conflict about the same do well to take turns.
type Conflict struct {
	Table ident.TableID
	// Key names the row; it is empty when it is about the definition.
	Key string
}

// Error implements error. It is the answer to a statement that is given up
// after too many tries.
func (c *Conflict) Error() string {
	if c.Key == "" {
		return "the table was altered by another statement meanwhile"
	}
	return "the row was changed by another statement meanwhile"
}

type commitStats struct {
	commits atomic.Int64
	sizes   *histogram.Histogram
	writes  *histogram.Histogram
}

func newCommitStats() commitStats {
	return commitStats{
		sizes:  histogram.New(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
		writes: histogram.New(.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5),
	}
}

// CommitStats counts what the committer has done since the start.
type CommitStats struct {
	// Commits is the number of statements.
	Commits int64
	// Sizes are the numbers of statements that shared a batch, and with it one
	// sync.
	Sizes histogram.Snapshot
	// Writes are the times, in seconds, that writing and syncing a batch took,
	// those of definitions and flushes included.
	Writes histogram.Snapshot
}

// CommitStats reads the counters.
func (s *Store) CommitStats() CommitStats {
	return CommitStats{Commits: s.stats.commits.Load(), Sizes: s.stats.sizes.Snapshot(), Writes: s.stats.writes.Snapshot()}
}
