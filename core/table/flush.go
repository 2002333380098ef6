package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/crew"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
)

// FlushOptions says how to flush a table.
type FlushOptions struct {
	// MinRows leaves the partitions out that have fewer hot entries. Default 1.
	MinRows int64
	// Writers is how many files are written at a time. Default 2. While
	// statements are committed it is one, which leaves the disk and the other
	// processors to them.
	Writers int
	// Step and Hold hear of what is being done, and of how much memory is
	// taken and given back. Nil: nobody.
	Step func(what string)
	Hold func(bytes int64)
	// Work runs a part of the work that has a goroutine for itself, so that
	// its processor time can be measured. Nil: it is just run.
	Work func(func())
}

func (o FlushOptions) withDefaults() FlushOptions {
	if o.MinRows <= 0 {
		o.MinRows = 1
	}
	if o.Writers <= 0 {
		o.Writers = 2
	}
	if o.Step == nil {
		o.Step = func(string) {}
	}
	if o.Hold == nil {
		o.Hold = func(int64) {}
	}
	if o.Work == nil {
		o.Work = func(f func()) { f() }
	}
	return o
}

// FlushResult is what a flush has moved.
type FlushResult struct {
	// Rows counts rows and deletions.
	Rows, Files, Bytes int64
	// Crowded counts the partitions that have many segments now, so that they
	// are better compacted.
	Crowded int64
	// Looked counts the partitions that were looked at: those that were written
	// since the flush before, or all where that is not known.
	Looked int64
}

// Crowd is from how many segments on a partition has many.
const Crowd = 16

// The named steps of a flush, where Options.Step is called.
const (
	// StepNoted: the names of the files are noted, no file is there.
	StepNoted = "flush:noted"
	// StepWritten: the files are there, no list has them.
	StepWritten = "flush:written"
	// StepListed: the files are listed, all rows are still hot, too.
	StepListed = "flush:listed"
	// StepRemoving: some of the hot rows are gone.
	StepRemoving = "flush:removing"
	// StepRemoved: all of them are.
	StepRemoved = "flush:removed"
)

// A group of partitions is flushed together: as many as groupFiles.
const groupFiles = 64

// removeKeys is how many hot rows are removed in one batch; removeBusy, while
// statements are committed, which wait for a batch at most.
const (
	removeKeys = 1024
	removeBusy = 128
)

// Flush moves a table's hot rows into cold files, one for each partition that
// has any.
//
// # Protocol
//
// A state S is taken. Partitions go in groups, each in these steps:
//
//  1. Note. The names of the files are noted in the backend.
//  2. Write. Each partition's rows of S that no segment has are written into a
//     segment, sorted by key, and synced with its folder.
//  3. List. Between two batches of the committer one batch puts the segments
//     on their lists and takes the notes away. A state with both is shown.
//  4. Remove. The hot rows up to S are deleted, in pieces, between two batches
//     each. A row that was written since is kept: it is newer than S. The
//     committer knows of these, as it notes what it writes to a partition from
//     step 3 on.
//
// After a crash:
//
//   - before the end of 1: nothing has happened.
//   - before the end of 3: files may be there that no list has; all rows are
//     hot. The notes name these files, and the next start deletes them.
//   - after 3: rows are in both tiers, in the same version, of which readers
//     see one. The next flush leaves out the hot rows that a segment has (those
//     up to the greatest number in the partition's segments) and removes them.
//   - after 4: rows are in the cold tier.
//
// A failure ends the flush with what the groups before have moved. A partition
// is never half listed. The caller sees to it that a table is flushed once at a
// time. Readers and writers are held up by single batches of the committer
// only.
func (s *Store) Flush(ctx context.Context, id ident.TableID, opts FlushOptions) (FlushResult, error) {
	f := &flusher{s: s, opts: opts.withDefaults(), id: id}
	if s.opts.Files == nil {
		return f.res, dberr.New(dberr.Unsupported, "This database has no place for cold files.")
	}
	select {
	case <-s.files.clean:
	case <-ctx.Done():
		return f.res, context.Cause(ctx)
	}
	written, err := s.beginFlush(ctx, f)
	if err != nil {
		return f.res, err
	}
	defer f.st.Release()
	err = f.run(ctx, written)
	s.endFlush(ctx, f, err == nil)
	return f.res, err
}

// beginFlush takes the state that a flush moves the rows of, and the partitions
// that were written since the one before; nil: they are not known.
func (s *Store) beginFlush(ctx context.Context, f *flusher) (written map[kv.Partition]bool, err error) {
	err = s.command(ctx, func() error {
		f.st = s.Acquire()
		written = s.written[f.id]
		if s.written == nil {
			s.written = map[ident.TableID]map[kv.Partition]bool{}
		}
		s.written[f.id] = map[kv.Partition]bool{}
		return nil
	})
	return written, err
}

// endFlush adds the partitions whose rows have stayed to those that are written
// from now on. After a failure it is not known which ones these are.
func (s *Store) endFlush(ctx context.Context, f *flusher, done bool) {
	// It fails only when the store is closed, and with it forgets all this.
	_ = s.command(context.WithoutCancel(ctx), func() error {
		known := s.written[f.id]
		switch {
		case known == nil:
		case !done:
			delete(s.written, f.id)
		default:
			for _, p := range f.left {
				known[p] = true
			}
		}
		return nil
	})
}

// writtenMost is how many written partitions of a table are kept; when there
// are more, the next flush looks at all that there are.
const writtenMost = 1 << 18

// run flushes the partitions that were written, or all.
func (f *flusher) run(ctx context.Context, written map[kv.Partition]bool) error {
	if err := f.prepare(); err != nil {
		return err
	}
	partitions := f.st.kv.Partitions(keyenc.TablePrefix(f.id))
	if written != nil {
		partitions = func(yield func(kv.Partition, error) bool) {
			for _, p := range slices.Sorted(maps.Keys(written)) {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
	var group []*flushed
	for p, err := range partitions {
		if err != nil {
			return fmt.Errorf("flush %s: %w", f.t.Ident(), err)
		}
		one, err := f.look(p)
		if err != nil {
			return err
		}
		if one == nil {
			continue
		}
		if group = append(group, one); len(group) == groupFiles {
			if err := f.group(ctx, group); err != nil {
				return err
			}
			group = group[:0]
		}
	}
	if len(group) > 0 {
		return f.group(ctx, group)
	}
	return nil
}

// flusher is one flush of a table.
type flusher struct {
	s    *Store
	opts FlushOptions
	id   ident.TableID
	st   *State
	t    *ddl.Table
	c    *codec
	res  FlushResult
	// commits is how many statements were committed when busy was asked last,
	// lastBusy the last time when there were new ones.
	commits, lastBusy atomic.Int64
	// left are the partitions that had too few rows.
	left []kv.Partition
}

// quietTime is for how long no statement is committed before a flush takes that
// nobody waits for the committer.
const quietTime = 50 * time.Millisecond

// busy tells whether statements are being committed beside the flush.
func (f *flusher) busy() bool {
	now, commits := time.Now().UnixNano(), f.s.stats.commits.Load()
	if f.commits.Swap(commits) != commits {
		f.lastBusy.Store(now)
		return true
	}
	return now-f.lastBusy.Load() < int64(quietTime)
}

// restShare is how long a flush rests after a step of its work, while statements
// are committed, by the time that the step took.
const restShare = 1

// rest lets statements have the disk and the processors to themselves for a
// while: otherwise each of them would wait for something that the flush does.
func (f *flusher) rest(ctx context.Context, worked time.Duration) {
	if !f.busy() {
		return
	}
	t := time.NewTimer(restShare * worked)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// flushed is one partition on its way.
type flushed struct {
	p    kv.Partition
	user ident.UserID
	// after is the number up to which segments have the rows.
	after change.Seq
	// segments is how many the partition had before.
	segments int
	// fresh says that there are rows to write, into the segment entry.
	fresh bool
	entry manifest.Entry
}

func (f *flusher) prepare() error {
	for t := range f.st.Catalog.Tables("") {
		if t.ID == f.id {
			f.t = t
		}
	}
	switch {
	case f.t == nil:
		return dberr.New(dberr.TableNotFound, "The table does not exist any more.")
	case f.t.Type != ident.UserTable && f.t.Type != ident.SharedTable:
		return dberr.Newf(dberr.Unsupported, "table %s is never flushed", f.t.Ident())
	}
	var err error
	f.c, err = f.s.codecs.of(f.t, f.st.Catalog)
	return err
}

// look finds out whether a partition has anything to flush; nil: it has not.
func (f *flusher) look(p kv.Partition) (*flushed, error) {
	name, err := keyenc.ParsePartition(p)
	if err != nil {
		return nil, err
	}
	f.res.Looked++
	one := &flushed{p: p, user: name.User}
	l, err := f.s.cold(f.st, f.id, p)
	if err != nil {
		return nil, err
	}
	if l != nil {
		one.after, one.segments = l.seq, len(l.entries)
	}
	r, any := f.s.clamp(f.st, f.id, p, kv.Range{})
	if !any {
		return nil, nil
	}
	it := f.st.kv.Scan(p, r)
	defer it.Close()
	var n, fresh int64
	for fresh < f.opts.MinRows && it.Next() {
		row, err := it.Value()
		if err != nil {
			return nil, err
		}
		n++
		if rowenc.Row(row).Seq() > one.after {
			fresh++
		}
	}
	if err := it.Err(); err != nil {
		return nil, err
	}
	switch {
	case fresh >= f.opts.MinRows:
		one.fresh, one.entry.Storage = true, f.t.Storage
		return one, nil
	case fresh > 0:
		f.left = append(f.left, p)
	}
	if n > fresh {
		// What a crash has left is removed; the rest waits.
		return one, nil
	}
	return nil, nil
}

// group takes a group of partitions through the steps of the protocol.
func (f *flusher) group(ctx context.Context, group []*flushed) error {
	f.opts.Step(fmt.Sprintf("writing %d file(s)", len(group)))
	names, err := f.note(ctx, group)
	if err != nil {
		return err
	}
	f.s.opts.Step(StepNoted)
	if err := f.write(ctx, group); err != nil {
		f.giveUp(ctx, names)
		return err
	}
	f.s.opts.Step(StepWritten)
	f.opts.Step(fmt.Sprintf("listing %d file(s)", len(group)))
	state, tried, err := f.list(ctx, group)
	if err != nil {
		if !tried {
			f.giveUp(ctx, names)
		}
		return err
	}
	f.s.opts.Step(StepListed)
	defer state.Release()
	// From here on the rows have moved, whatever becomes of the rest.
	before := f.res.Rows
	for _, one := range group {
		if one.fresh {
			f.res.Rows += one.entry.Rows
			f.res.Files++
			f.res.Bytes += one.entry.Bytes
		}
		if one.segments+1 >= Crowd {
			f.res.Crowded++
		}
	}
	f.opts.Step("removing hot rows")
	if err := f.remove(ctx, state, group); err != nil {
		return err
	}
	f.s.opts.Step(StepRemoved)
	f.s.removed(f.res.Rows - before)
	return nil
}

// note is step 1.
func (f *flusher) note(ctx context.Context, group []*flushed) ([]noted, error) {
	var b kv.Batch
	var out []noted
	id := f.s.files.numbers(len(group), &b)
	for _, one := range group {
		if !one.fresh {
			continue
		}
		one.entry.ID = id
		var err error
		if one.entry.Name, err = f.s.opts.Files.ObjectName(f.st.Catalog, f.t, one.user, manifest.FileName(f.t.ID, id)); err != nil {
			return nil, err
		}
		n := noted{one.entry.Storage, one.entry.Name}
		b.Put(notes, n.key(), nil)
		out = append(out, n)
		id++
	}
	if len(out) == 0 {
		return nil, nil
	}
	if err := f.s.backend.Write(ctx, &b); err != nil {
		return nil, fmt.Errorf("note files: %w", err)
	}
	return out, nil
}

// giveUp deletes what was written of a group that will not be listed.
func (f *flusher) giveUp(ctx context.Context, names []noted) {
	if len(names) > 0 {
		f.s.files.delete(context.WithoutCancel(ctx), names)
	}
}

// write is step 2: the files of a group, several at a time.
func (f *flusher) write(ctx context.Context, group []*flushed) error {
	if !f.writes(group) {
		return nil
	}
	bucket, err := f.s.opts.Files.Bucket(f.st.Catalog, f.t.Storage)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg crew.Crew
	var next atomic.Int32
	for w := range min(f.opts.Writers, len(group)) {
		wg.Go(func() {
			f.opts.Work(func() {
				for ctx.Err() == nil {
					if w > 0 && f.busy() && int(next.Load()) < len(group) {
						time.Sleep(quietTime / 5)
						continue
					}
					i := int(next.Add(1)) - 1
					if i >= len(group) {
						return
					}
					if !group[i].fresh {
						continue
					}
					start := time.Now()
					if err := f.file(ctx, bucket, group[i]); err != nil {
						cancel(err)
					}
					f.rest(ctx, time.Since(start))
				}
			})
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (f *flusher) writes(group []*flushed) bool {
	for _, one := range group {
		if one.fresh {
			return true
		}
	}
	return false
}

// fileMemory is about what a segment's writer holds beside the rows.
const fileMemory = 256 << 10

// groupMemory is where a segment's writer gives its rows away.
const groupMemory = 32 << 20

// file writes one partition's segment.
func (f *flusher) file(ctx context.Context, bucket object.Bucket, one *flushed) (err error) {
	w, err := segment.Create(ctx, bucket, one.entry.Name, f.c.schema(), segment.WriterOptions{Layouts: f.c.layouts, GroupBytes: groupMemory})
	if err != nil {
		return err
	}
	defer w.Abort()
	held := int64(fileMemory)
	f.opts.Hold(held)
	defer func() { f.opts.Hold(-held) }()
	r, _ := f.s.clamp(f.st, f.id, one.p, kv.Range{})
	it := f.st.kv.Scan(one.p, r)
	defer it.Close()
	for it.Next() {
		row, err := it.Value()
		if err != nil {
			return err
		}
		if rowenc.Row(row).Seq() <= one.after {
			continue
		}
		if err := w.AppendRow(it.Key(), row); err != nil {
			return fmt.Errorf("flush %s: %w", f.t.Ident(), err)
		}
		if held < groupMemory {
			held += int64(len(row))
			f.opts.Hold(int64(len(row)))
		}
		if w.Rows()%16 == 0 {
			// Statements go first.
			runtime.Gosched()
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	if one.entry.Summary, err = w.Finish(); err != nil {
		return err
	}
	one.entry.Created = f.s.opts.Now()
	return nil
}

// list is step 3. It gives the first state that has the segments; from it on
// the committer watches what is written to the partitions. When it fails after
// it has tried to write, the backend may have the lists all the same: the files
// stay, and the next start knows by the notes.
func (f *flusher) list(ctx context.Context, group []*flushed) (state *State, tried bool, err error) {
	s := f.s
	err = f.command(ctx, func(cat *catalog.Snapshot) error {
		delta := count{flushed: s.opts.Now().UnixMicro()}
		for _, one := range group {
			if !one.fresh {
				continue
			}
			manifest.Add(&s.batch, one.p, &one.entry)
			s.batch.Delete(notes, noted{one.entry.Storage, one.entry.Name}.key())
			delta.files++
			delta.bytes += one.entry.Bytes
		}
		if delta.files > 0 {
			tried = true
			if err := f.commit(cat, delta); err != nil {
				return err
			}
		}
		if s.watched == nil {
			s.watched = map[kv.Partition]map[string]bool{}
		}
		for _, one := range group {
			s.watched[one.p] = map[string]bool{}
		}
		state = s.Acquire()
		return nil
	})
	return state, tried, err
}

// command has the committer run a step, with an empty batch and the catalog that
// is in force, unless the table is gone.
func (f *flusher) command(ctx context.Context, step func(*catalog.Snapshot) error) error {
	s := f.s
	return s.command(ctx, func() error {
		if s.broken != nil {
			return s.broken
		}
		cat := s.cur.Load().Catalog
		if now, err := cat.Table(f.t.Namespace, f.t.Name); err != nil || now.ID != f.id {
			return dberr.Newf(dberr.TableNotFound, "table %s was dropped meanwhile", f.t.Ident())
		}
		s.batch.Reset()
		return step(cat)
	})
}

// commit writes the batch, which changes the table's files, and makes what it
// wrote the present state. Within command only.
func (f *flusher) commit(cat *catalog.Snapshot, delta count) error {
	s := f.s
	deltas := map[ident.TableID]count{f.id: delta}
	s.counts.put(&s.batch, deltas)
	if err := s.write(); err != nil {
		return err
	}
	s.counts.apply(deltas)
	s.regenerate(f.id)
	return s.advance(cat)
}

// touched notes a key that is about to be written, where that matters: in a
// partition that is watched, and in one whose bounds are known.
func (s *Store) touched(id ident.TableID, p kv.Partition, key []byte, seq change.Seq) {
	if known := s.written[id]; known != nil && !known[p] {
		if known[p] = true; len(known) > writtenMost {
			delete(s.written, id)
		}
	}
	s.hot.wrote(p, key)
	s.images.wrote(p, key, seq)
	if len(s.watched) > 0 {
		if keys := s.watched[p]; keys != nil {
			keys[string(key)] = true
		}
	}
}

// errUnlisted keeps rows hot that were to be removed.
var errUnlisted = errors.New("the table was dropped meanwhile")
