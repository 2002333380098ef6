package table

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/segment"
)

// Publisher hears committed changes. The live hub is one. It is called on the
// committer's goroutine only and must not wait for anything.
type Publisher interface {
	// Publish takes the changes of one batch in commit order.
	Publish(events []*change.Event)
	// CountByTable is how many listen to a table. While it is 0 no events are
	// made for it.
	CountByTable(id ident.TableID) int
	// ShowsDeleted tells whether some of them show deleted rows. While none
	// does, nobody is told of the deleted rows whose keys are used again.
	ShowsDeleted(id ident.TableID) bool
}

// Options sets how a Store works. The zero value of each field means its
// default.
type Options struct {
	// System are the definitions of the server's own tables.
	System []*ddl.Table
	// Hard lists those of them that are kept in the backend as rows that a
	// DELETE removes at once.
	Hard []ident.TableID
	// MaxBuffer is how many rows of a user a STREAM table keeps, where its
	// definition does not say. Default 10000.
	MaxBuffer int
	// EvictionInterval is how often expired STREAM rows are dropped.
	// Default 1s.
	EvictionInterval time.Duration
	// StreamBytes bounds the memory of all STREAM rows; past it the rows that
	// would expire first go first. Default 256 MiB.
	StreamBytes int64
	// Queue is how many statements may wait for the committer before callers
	// wait to get in. Default 1024.
	Queue int
	// Files are where cold files lie. Nil: nothing is flushed.
	Files Files
	// SegmentCache bounds the memory that is used for knowing segments.
	// Default 64 MiB.
	SegmentCache int64
	// Retry is how long after a failure to remove what is no longer needed it is
	// tried again. Default 5m.
	Retry time.Duration
	// Step is called at each named step of a protocol that a crash may
	// interrupt, so that tests can crash there. Nil: nothing.
	Step func(name string)
	// Now is the clock. Default time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.MaxBuffer <= 0 {
		o.MaxBuffer = 10_000
	}
	if o.EvictionInterval <= 0 {
		o.EvictionInterval = time.Second
	}
	if o.StreamBytes <= 0 {
		o.StreamBytes = 256 << 20
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Retry <= 0 {
		o.Retry = 5 * time.Minute
	}
	if o.Step == nil {
		o.Step = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Store keeps the rows of all tables.
//
// # The commit loop
//
// One goroutine, the committer, is the only writer. Statements reach it as
// prepared write sets: keys and rows are encoded already, only the sequence
// numbers are missing. It takes all that wait and does, in this order:
//
//  1. Check. Each statement in turn is checked against the state as of its
//     turn: the last committed state, overlaid by what the statements before
//     it in this batch will write. Its table must still have the schema that
//     it was planned with; a row that it updates or deletes must still have
//     the sequence number that it was read with, else the statement is a
//     conflict and is run again by its session on a new state; a key that it
//     inserts must be free. A statement that fails leaves no trace in the
//     overlay. A statement that passes gets its sequence numbers, one for
//     each row version, which are written into its encoded rows.
//  2. Write. All rows, the row counts of the touched tables and, when the
//     reserved numbers run out, the new sequence limit go to the backend as
//     one atomic batch with one sync.
//  3. Apply. Changes of STREAM tables go into their rings.
//  4. Show. A new State, with a new snapshot of the backend, becomes the one
//     that readers get.
//  5. Answer. Every statement of the batch gets its result, failed ones too:
//     a duplicate key may be one that this very batch wrote.
//  6. Publish. The change events go to the live hub, in commit order, before
//     anything else is done.
//
// A definition (CREATE, DROP, ALTER), the start of a subscription and a flush
// are commands: they run on the committer's goroutine between two batches, so
// that what they see is neither old nor half.
//
// After a crash:
//
//   - before the end of 2: nothing of the batch is there, nobody was answered.
//     (A failure that is reported after the medium took the batch may leave it
//     there; its statements were answered STORAGE_UNAVAILABLE, never success.)
//   - after 2: every row of the batch is there, once, with its number. Some
//     statements may not have been answered. No subscriber was told of a
//     change that is not there, as 6 comes after 2.
//
// Sequence numbers are reserved in blocks: the backend holds a limit that is
// raised, in the same batch, before a number above it is used. After a crash
// numbering goes on behind the limit, so that no number is ever given twice,
// also not to STREAM rows, which leave nothing behind.
//
// An error of the backend fails exactly the statements of its batch. Nothing
// of them is shown. The numbers that they had are not used again.
type Store struct {
	backend kv.Backend
	limits  kv.Limits
	pub     Publisher
	opts    Options
	hard    map[ident.TableID]bool
	streams *streams
	codecs  codecs
	// segments keeps what was read of segments, lists the lists of them.
	segments *segment.Cache
	lists    coldLists
	hot      hotRanges
	images   images
	files    files
	states   states
	// garbage is how many rows were removed since the backend was tidied last.
	garbage atomic.Int64
	tidy    chan struct{} // one place
	tidying chan struct{} // one place: who has it compacts the backend

	cur    atomic.Pointer[State]
	counts counts
	outage outage
	stats  commitStats

	// mu guards closed against enqueue: a request that was taken in is
	// answered.
	mu     sync.RWMutex
	closed bool
	reqs   chan *request
	wg     sync.WaitGroup
	// reap are the tables whose rows and files are to be removed.
	reap *pile[catalog.Dropped]
	// ctx ends with Close; the goroutines beside the committer live by it.
	ctx    context.Context
	cancel context.CancelFunc

	// The fields below belong to the committer.

	seq        change.Seq // last number given
	seqLimit   change.Seq // last number reserved
	lastTime   time.Time
	batch      kv.Batch
	group      group
	seqScratch []change.Seq
	broken     error // set when the state in memory is no longer that of the backend
	// coldNow is the newest State.cold, coldGen the last number in it.
	coldNow map[ident.TableID]uint64
	coldGen uint64
	// watched has, for each partition whose flushed rows are being removed,
	// the keys that were written meanwhile.
	watched map[kv.Partition]map[string]bool
	// written has the partitions of a table that were written since its last
	// flush began, or had too few rows for it. There is none for a table before
	// its first flush since the start, or after one that failed.
	written map[ident.TableID]map[kv.Partition]bool
}

// The keys of the meta partition; count.go has more.
var (
	metaPartition = keyenc.MetaPartition()

	metaFormat   = []byte("format")
	metaSequence = []byte("sequence")
)

// Format is the version of the whole layout of the data in the backend.
const Format = 1

// seqBlock is how many sequence numbers are reserved at a time.
const seqBlock = 1 << 16

// Open reads the catalog and starts the commit loop. The backend stays the
// caller's, to close after the Store.
func Open(ctx context.Context, backend kv.Backend, pub Publisher, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	s := &Store{
		stats:   newCommitStats(),
		backend: backend,
		limits:  backend.Limits(),
		pub:     pub,
		opts:    opts,
		hard:    map[ident.TableID]bool{},
		reqs:    make(chan *request, opts.Queue),
		tidy:    make(chan struct{}, 1),
		tidying: make(chan struct{}, 1),
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, id := range opts.Hard {
		s.hard[id] = true
	}
	s.segments = segment.NewCache(segment.CacheOptions{Bytes: opts.SegmentCache})
	s.streams = newStreams(s)
	if err := s.checkFormat(ctx); err != nil {
		return nil, err
	}
	snap, err := backend.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("open tables: %w", err)
	}
	cat, dropped, err := catalog.Load(snap, opts.System)
	if err != nil {
		snap.Release()
		return nil, err
	}
	if err := s.recoverSequence(snap); err != nil {
		snap.Release()
		return nil, err
	}
	if err := s.counts.load(snap); err != nil {
		snap.Release()
		return nil, err
	}
	for id, n := range s.counts.tables {
		if n.files > 0 {
			s.regenerate(id)
		}
	}
	pending, err := s.files.load(s, snap)
	if err != nil {
		snap.Release()
		return nil, err
	}
	// Whatever was left over from tables that were being dropped is removed
	// in the background: their ids are never used again.
	s.reap = newPile(dropped)
	s.show(&State{Seq: s.seq, Catalog: cat, kv: snap, cold: s.coldNow})
	s.wg.Go(s.run)
	s.wg.Go(s.reaper)
	s.wg.Go(s.tidier)
	s.wg.Go(func() { s.files.run(pending) })
	s.wg.Go(s.streams.evictor)
	return s, nil
}

// checkFormat marks a new database and refuses one of a newer server.
func (s *Store) checkFormat(ctx context.Context) error {
	snap, err := s.backend.Snapshot()
	if err != nil {
		return fmt.Errorf("open tables: %w", err)
	}
	v, found, err := snap.Get(metaPartition, metaFormat)
	switch {
	case err != nil:
	case !found:
		var b kv.Batch
		b.Put(metaPartition, metaFormat, binary.BigEndian.AppendUint32(nil, Format))
		err = s.backend.Write(ctx, &b)
	case len(v) != 4:
		err = errors.New("the format's record is damaged")
	default:
		if have := binary.BigEndian.Uint32(v); have > Format {
			err = dberr.Newf(dberr.StorageUnavailable, "The data was written by a newer server (format %d, this one knows %d).", have, Format).
				WithHint("Start the newer version.")
		}
	}
	snap.Release()
	if err != nil {
		return fmt.Errorf("check data format: %w", err)
	}
	return nil
}

func (s *Store) recoverSequence(snap kv.Snapshot) error {
	v, found, err := snap.Get(metaPartition, metaSequence)
	if err != nil {
		return fmt.Errorf("recover sequence: %w", err)
	}
	if found {
		if len(v) != 8 {
			return errors.New("recover sequence: its record is damaged")
		}
		s.seq = change.Seq(binary.BigEndian.Uint64(v))
	}
	s.seqLimit = s.seq
	s.streams.start = s.seq
	return nil
}

// Close stops the commit loop when everything that waits for it is done. A
// second call does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.wg.Wait()
		return nil
	}
	s.closed = true
	close(s.reqs)
	s.cancel()
	s.mu.Unlock()
	s.wg.Wait()
	s.segments.Clear()
	if s.outage.failed.Load() == nil && s.broken == nil && s.seq != s.seqLimit {
		// A clean end gives the numbers back that were reserved.
		var b kv.Batch
		b.Put(metaPartition, metaSequence, binary.BigEndian.AppendUint64(nil, uint64(s.seq)))
		if err := s.backend.Write(context.Background(), &b); err != nil {
			return fmt.Errorf("close tables: %w", err)
		}
	}
	return nil
}

// Unavailable is why writes fail now, or nil. While they fail, Probe tells
// whether they would still.
func (s *Store) Unavailable() error {
	if e := s.outage.failed.Load(); e != nil {
		return e
	}
	return nil
}

// Probe writes something small, to find out whether the backend takes writes
// again.
func (s *Store) Probe(ctx context.Context) error {
	return s.command(ctx, func() error {
		if s.broken != nil {
			return s.broken
		}
		s.batch.Reset()
		s.batch.Put(metaPartition, metaSequence, binary.BigEndian.AppendUint64(nil, uint64(s.seqLimit)))
		return s.write()
	})
}

// reaper removes the rows of dropped tables. What fails is tried again later.
func (s *Store) reaper() {
	var failed []catalog.Dropped
	remove := func(tables []catalog.Dropped) {
		for _, d := range tables {
			if s.ctx.Err() != nil {
				return
			}
			if err := s.removeRows(s.ctx, d); err != nil && s.ctx.Err() == nil {
				s.opts.Logger.Error("remove rows of a dropped table; it is tried again later", "table_id", d.ID, "error", err)
				failed = append(failed, d)
			}
		}
	}
	var again <-chan time.Time
	for {
		if again == nil && len(failed) > 0 {
			again = time.After(s.opts.Retry)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-s.reap.more:
			remove(s.reap.take())
		case <-again:
			tables := failed
			failed, again = nil, nil
			remove(tables)
		}
	}
}

// The named steps of a definition and of what a DROP leaves to be done, where
// Options.Step is called.
const (
	// StepDefined: a change of the catalog is written, nobody knows of it.
	StepDefined = "define:written"
	// StepDropUnlisted: a dropped table's files are noted and in no list.
	StepDropUnlisted = "drop:unlisted"
	// StepDropRemoved: its hot rows are gone, the note of it is still there.
	StepDropRemoved = "drop:removed"
	// StepDropForgotten: nothing is left of it, but for files that somebody
	// still reads.
	StepDropForgotten = "drop:forgotten"
)

// removeRows removes what is left of a table that the catalog notes as dropped.
// Each of its steps can be done twice; the note goes with the last one.
func (s *Store) removeRows(ctx context.Context, d catalog.Dropped) error {
	if err := s.removeFiles(ctx, d.ID); err != nil {
		return err
	}
	s.opts.Step(StepDropUnlisted)
	if err := s.backend.DropPartitions(ctx, keyenc.TablePrefix(d.ID)); err != nil {
		return err
	}
	s.opts.Step(StepDropRemoved)
	var b kv.Batch
	catalog.Forget(&b, d.ID)
	if err := s.backend.Write(ctx, &b); err != nil {
		return err
	}
	s.opts.Step(StepDropForgotten)
	return nil
}
