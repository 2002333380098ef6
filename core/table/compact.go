package table

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/segment"
	"github.com/kalamdb/kalamdb/store/vector"
)

// CompactOptions says how to compact a table.
type CompactOptions struct {
	// DeletedBefore drops rows that were deleted before then. Zero: none.
	DeletedBefore time.Time
	// MinSegments leaves out the partitions that have fewer segments, unless
	// it is 0. Those that are not left out are then not made one segment: as
	// many of the newest go together as are not much larger than the rest of
	// them.
	MinSegments int
	// Step and Hold are those of FlushOptions.
	Step func(what string)
	Hold func(bytes int64)
}

// CompactResult is what a compaction has done.
type CompactResult struct {
	// Rows counts the rows and deletions that were written anew, Dropped those
	// that are gone, because they were deleted long ago or changed since.
	Rows, Dropped int64
	// Files counts the files that were made, Replaced those that they stand
	// for.
	Files, Replaced int64
	Bytes           int64
}

// The named steps of a compaction.
const (
	StepCompactNoted   = "compact:noted"
	StepCompactWritten = "compact:written"
	StepCompactListed  = "compact:listed"
)

// Compact merges segments of each partition of a table: the newest version of
// each row stays, and rows that were deleted long ago go, where all segments of
// the partition are merged.
//
// It goes as Flush does: the new file is noted, then written, then listed, in
// one batch that takes the old ones off the list and notes them. They are
// deleted when nobody has a state any more that lists them. The caller sees to
// it that a table is not flushed meanwhile.
func (s *Store) Compact(ctx context.Context, id ident.TableID, opts CompactOptions) (CompactResult, error) {
	f := &flusher{s: s, id: id, opts: FlushOptions{Step: opts.Step, Hold: opts.Hold}.withDefaults()}
	c := &compacter{f: f, opts: opts}
	if s.opts.Files == nil {
		return c.res, dberr.New(dberr.Unsupported, "This database has no place for cold files.")
	}
	select {
	case <-s.files.clean:
	case <-ctx.Done():
		return c.res, context.Cause(ctx)
	}
	f.st = s.Acquire()
	defer f.st.Release()
	if err := f.prepare(); err != nil {
		return c.res, err
	}
	var p kv.Partition
	var entries []manifest.Entry
	for o, err := range manifest.All(f.st.kv, keyenc.TablePrefix(id)) {
		if err != nil {
			return c.res, err
		}
		if o.Partition != p {
			if err := c.partition(ctx, p, entries); err != nil {
				return c.res, err
			}
			p, entries = o.Partition, nil
		}
		entries = append(entries, o.Entry)
	}
	return c.res, c.partition(ctx, p, entries)
}

type compacter struct {
	f    *flusher
	opts CompactOptions
	res  CompactResult
}

// choose is the segments that are merged, the newest of l, and whether they are
// all of them.
func (c *compacter) choose(l *coldList) (entries []manifest.Entry, all bool) {
	n := len(l.entries)
	if c.opts.MinSegments == 0 {
		for i := range l.entries {
			e := &l.entries[i]
			if n > 1 || e.Storage != c.f.t.Storage || c.expired(e) {
				return l.entries, true
			}
		}
		return nil, false
	}
	if n < c.opts.MinSegments {
		return nil, false
	}
	from, sum := n, int64(0)
	for from > 0 && (n-from < c.opts.MinSegments/2 || l.entries[from-1].Rows <= 4*sum) {
		from--
		sum += l.entries[from].Rows
	}
	return l.entries[from:], from == 0
}

// expired tells whether a segment may have rows that were deleted long ago.
func (c *compacter) expired(e *manifest.Entry) bool {
	return e.Deleted > 0 && e.MinUpdated < c.opts.DeletedBefore.UnixMicro()
}

// partition compacts one partition.
func (c *compacter) partition(ctx context.Context, p kv.Partition, entries []manifest.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	f := c.f
	old, all := c.choose(newColdList(entries))
	if len(old) == 0 || len(old) == 1 && !all {
		return nil
	}
	name, err := keyenc.ParsePartition(p)
	if err != nil {
		return err
	}
	one := &flushed{p: p, user: name.User, fresh: true}
	one.entry.Storage = f.t.Storage
	for i := range old {
		one.entry.Level = max(one.entry.Level, old[i].Level+1)
	}
	f.opts.Step(fmt.Sprintf("merging %d files", len(old)))
	names, err := f.note(ctx, []*flushed{one})
	if err != nil {
		return err
	}
	f.s.opts.Step(StepCompactNoted)
	state, err := c.watch(ctx, p)
	if err != nil {
		f.giveUp(ctx, names)
		return err
	}
	defer c.unwatch(ctx, p)
	defer state.Release()
	out, err := c.merge(ctx, state, one, newColdList(old), all)
	if err != nil {
		f.giveUp(ctx, names)
		return err
	}
	f.s.opts.Step(StepCompactWritten)
	tried, err := c.list(ctx, one, old, out)
	if err != nil {
		if !tried {
			f.giveUp(ctx, names)
		}
		return err
	}
	f.s.opts.Step(StepCompactListed)
	c.res.Rows += one.entry.Rows
	c.res.Dropped += manifest.Sum(old).Rows - one.entry.Rows
	c.res.Replaced += int64(len(old))
	if one.entry.Rows > 0 {
		c.res.Files++
		c.res.Bytes += one.entry.Bytes
	}
	return nil
}

// watch makes the committer note what it writes to a partition from the state
// on that it gives: a row that is dropped here and written meanwhile is no
// longer counted as a deleted one.
func (c *compacter) watch(ctx context.Context, p kv.Partition) (state *State, err error) {
	s := c.f.s
	err = s.command(ctx, func() error {
		if s.watched == nil {
			s.watched = map[kv.Partition]map[string]bool{}
		}
		s.watched[p] = map[string]bool{}
		state = s.Acquire()
		return nil
	})
	return state, err
}

func (c *compacter) unwatch(ctx context.Context, p kv.Partition) {
	_ = c.f.s.command(context.WithoutCancel(ctx), func() error {
		delete(c.f.s.watched, p)
		return nil
	})
}

// merged is what a merge has left out for good.
type merged struct {
	// dropped are the keys of rows that were deleted long ago and that the hot
	// tier has nothing of. size is their bytes.
	dropped map[string]bool
	size    int
	// lost is the greatest number of a row that was left out.
	lost change.Seq
}

// maxDropped bounds the bytes of the keys of rows that one merge drops; what is
// more waits for the next.
const maxDropped = 16 << 20

// merge writes the new segment. Without any rows left there is none.
func (c *compacter) merge(ctx context.Context, state *State, one *flushed, l *coldList, all bool) (out merged, err error) {
	f := c.f
	out.dropped = map[string]bool{}
	bucket, err := f.s.opts.Files.Bucket(f.st.Catalog, f.t.Storage)
	if err != nil {
		return out, err
	}
	w, err := segment.Create(ctx, bucket, one.entry.Name, f.c.schema(), segment.WriterOptions{GroupBytes: groupMemory})
	if err != nil {
		return out, err
	}
	defer w.Abort()
	f.opts.Hold(fileMemory + groupMemory)
	defer f.opts.Hold(-fileMemory - groupMemory)
	req := exec.ScanRequest{IncludeDeleted: true, Ordered: true}
	for i := range f.t.Columns {
		req.Columns = append(req.Columns, i)
	}
	n := len(req.Columns)
	req.Columns = append(req.Columns, f.t.SeqOrdinal(), f.t.UpdatedOrdinal(), f.t.DeletedOrdinal())
	limit := int64(0)
	if all && !c.opts.DeletedBefore.IsZero() {
		limit = c.opts.DeletedBefore.UnixMicro()
	}
	m, err := newColdMerger(f, req, l, func(b *vector.Batch, keys *vector.Vector) error {
		if limit > 0 {
			seqs, updated, deleted := b.Cols[n], b.Cols[n+1], b.Cols[n+2]
			kept := b.Sel[:0:0]
			for i := range b.Rows() {
				r := b.Row(i)
				if !deleted.Bools[deleted.Index(r)] || updated.Ints[updated.Index(r)] >= limit || out.size > maxDropped {
					kept = append(kept, int32(r))
					continue
				}
				key := keys.Str(r)
				if _, hot, err := state.kv.Get(one.p, []byte(key)); err != nil {
					return err
				} else if !hot {
					out.dropped[strings.Clone(key)] = true
					out.size += len(key) + 64
				}
				out.lost = max(out.lost, change.Seq(seqs.Ints[seqs.Index(r)]))
			}
			if len(kept) == 0 {
				return nil
			}
			cut := *b
			cut.Sel = kept
			b = &cut
		}
		return w.AppendBatch(b, keys)
	})
	if err != nil {
		return out, err
	}
	defer m.Close()
	for {
		b, err := m.Next(ctx)
		if err != nil {
			return out, err
		}
		if b == nil {
			break
		}
	}
	if w.Rows() == 0 {
		return out, nil
	}
	if one.entry.Summary, err = w.Finish(); err != nil {
		return out, err
	}
	one.entry.Created = f.s.opts.Now()
	return out, nil
}

// list puts the new segment in the place of the old ones.
func (c *compacter) list(ctx context.Context, one *flushed, old []manifest.Entry, out merged) (tried bool, err error) {
	f, s := c.f, c.f.s
	var gone []noted
	err = f.command(ctx, func(cat *catalog.Snapshot) error {
		sums := manifest.Sum(old)
		delta := count{files: -sums.Files, bytes: -sums.Bytes, deleted: -int64(len(out.dropped))}
		for key := range s.watched[one.p] {
			if out.dropped[key] {
				delta.deleted++
			}
		}
		for i := range old {
			manifest.Remove(&s.batch, one.p, old[i].ID)
			n := noted{old[i].Storage, old[i].Name}
			s.batch.Put(notes, n.key(), nil)
			gone = append(gone, n)
		}
		made := noted{one.entry.Storage, one.entry.Name}
		if one.entry.Rows > 0 {
			manifest.Add(&s.batch, one.p, &one.entry)
			s.batch.Delete(notes, made.key())
			delta.files++
			delta.bytes += one.entry.Bytes
		} else {
			gone = append(gone, made)
		}
		if out.lost > 0 {
			s.batch.Put(lostPartition, []byte(one.p), binary.BigEndian.AppendUint64(nil, uint64(max(out.lost, s.lostRows(s.cur.Load(), one.p)))))
		}
		tried = true
		return f.commit(cat, delta)
	})
	if err == nil {
		s.files.retire(gone)
	}
	return tried, err
}

// lostPartition has, for each partition that rows were dropped from, the
// greatest number of one: who was away since before cannot be told of them. For
// a table that was restored it has, under the beginning of its partitions'
// names, the number that the database was at.
var lostPartition = keyenc.CatalogPartition("dropped-rows")

// lostRows is that number. A record that cannot be read counts as everything.
func (s *Store) lostRows(st *State, p kv.Partition) change.Seq {
	v, found, err := st.kv.Get(lostPartition, []byte(p))
	switch {
	case err != nil || found && len(v) != 8:
		return st.Seq
	case !found:
		return 0
	}
	return change.Seq(binary.BigEndian.Uint64(v))
}
