package table

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/segment"
)

// The named steps of a restore, where Options.Step is called.
const (
	// StepRestoreReserved: the tables have ids, and notes that they are to go.
	StepRestoreReserved = "restore:reserved"
	// StepRestoreNoted: the names of some files are noted, no file is there.
	StepRestoreNoted = "restore:noted"
	// StepRestoreWritten: the files are there, no list has them.
	StepRestoreWritten = "restore:written"
	// StepRestoreListed: they are listed, of tables that do not exist.
	StepRestoreListed = "restore:listed"
	// StepRestoreDefined: the tables exist.
	StepRestoreDefined = "restore:defined"
)

// restoreGap is how many sequence numbers are left out behind those of a
// backup. The server that made it may have gone on, and its clients may have
// seen what came after: their numbers must not be ones that are yet to be
// given, or they would take other changes for the ones that they know.
const restoreGap change.Seq = 1 << 32

// Restoring is tables on their way into the database.
//
// # Protocol
//
//  1. Reserve. The tables get ids; the catalog notes these ids as those of
//     dropped tables. The sequence goes past the backup's.
//  2. Fill. Files go in groups, each as in a flush: they are noted, then copied
//     and synced, then put on the lists of their partitions. The lists belong
//     to tables that nobody can name.
//  3. Define. One batch has the namespace, the definitions and the figures, and
//     takes the notes of 1 away.
//
// Until the end of 3 nothing of it shows. A crash, or Abort, leaves tables that
// are noted as dropped: their lists and files go as those of any dropped table,
// and what was not listed yet goes by its own notes.
type Restoring struct {
	s      *Store
	defs   *catalog.Restored
	ids    []ident.TableID
	deltas map[ident.TableID]count
	// through is the greatest number that the backup has, seq the one that the
	// database was at when the restore began.
	through, seq change.Seq
	opts         FlushOptions
	ended        bool
}

// Restore begins to restore tables. It gives all versions of them their ids.
// through is the greatest sequence number of the backup. Commit or Abort ends
// it.
func (s *Store) Restore(ctx context.Context, defs *catalog.Restored, through change.Seq, opts FlushOptions) (*Restoring, error) {
	if s.opts.Files == nil {
		return nil, dberr.New(dberr.Unsupported, "This database has no place for cold files.")
	}
	if err := s.Settled(ctx); err != nil {
		return nil, err
	}
	r := &Restoring{s: s, defs: defs, through: through, opts: opts.withDefaults(), deltas: map[ident.TableID]count{}}
	err := s.command(ctx, func() error {
		if s.broken != nil {
			return s.broken
		}
		edit := s.cur.Load().Catalog.Edit(s.opts.Now())
		var err error
		if r.ids, err = edit.Reserve(defs.Tables); err != nil {
			return err
		}
		s.batch.Reset()
		s.batch.Append(edit.Batch())
		seq, limit := max(s.seq, through+restoreGap), s.seqLimit
		if seq > limit {
			limit = seq + seqBlock
			s.batch.Put(metaPartition, metaSequence, binary.BigEndian.AppendUint64(nil, uint64(limit)))
		}
		if err := s.write(); err != nil {
			return err
		}
		s.seq, s.seqLimit, r.seq = seq, limit, seq
		return s.advance(edit.Next())
	})
	if err != nil {
		return nil, err
	}
	for i, versions := range defs.Tables {
		for j := range versions {
			// Versions are shared by whoever has the definitions.
			t := *versions[j].Table
			t.ID = r.ids[i]
			versions[j].Table = &t
		}
	}
	s.opts.Step(StepRestoreReserved)
	return r, nil
}

// Table is a table as it will be.
func (r *Restoring) Table(i int) *ddl.Table {
	versions := r.defs.Tables[i]
	return versions[len(versions)-1].Table
}

// Fill takes over portions of a table from where a backup lies.
//
// Errors: segment.ErrDamaged and object.ErrNotFound when the backup is not what
// it was, or what the storages give.
func (r *Restoring) Fill(ctx context.Context, i int, from object.Bucket, all []Portion) error {
	for len(all) > 0 {
		n := min(len(all), groupFiles)
		if err := r.group(ctx, i, from, all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

func (r *Restoring) group(ctx context.Context, i int, from object.Bucket, all []Portion) error {
	s, t := r.s, r.Table(i)
	var b kv.Batch
	id := s.files.numbers(len(all), &b)
	entries := make([]manifest.Entry, len(all))
	names := make([]noted, len(all))
	for j := range all {
		e := all[j].Entry
		if e.MaxSeq > r.through || !r.knows(i, e.SchemaVersion) {
			return dberr.Newf(dberr.StorageUnavailable, "The backup's file %s does not belong to table %s.", e.Name, t.Name)
		}
		name, err := s.opts.Files.ObjectName(s.Catalog(), t, all[j].User, manifest.FileName(t.ID, id))
		if err != nil {
			return err
		}
		e.ID, e.Storage, e.Name, e.Created = id, t.Storage, name, s.opts.Now()
		entries[j], names[j] = e, noted{e.Storage, e.Name}
		b.Put(notes, names[j].key(), nil)
		id++
	}
	to, err := s.opts.Files.Bucket(s.Catalog(), t.Storage)
	if err != nil {
		return err
	}
	if err := s.backend.Write(ctx, &b); err != nil {
		return fmt.Errorf("note files: %w", err)
	}
	s.opts.Step(StepRestoreNoted)
	err = atOnce(ctx, r.opts, len(all), func(ctx context.Context, j int) error {
		e := &all[j].Entry
		return segment.Copy(ctx, segment.Ref{Bucket: from, Name: e.Name, Size: e.Bytes, Checksum: e.Checksum}, to, entries[j].Name)
	})
	if err != nil {
		s.files.delete(context.WithoutCancel(ctx), names)
		return err
	}
	s.opts.Step(StepRestoreWritten)
	delta := r.deltas[t.ID]
	err = s.command(ctx, func() error {
		if s.broken != nil {
			return s.broken
		}
		s.batch.Reset()
		for j := range entries {
			p := keyenc.SharedPartition(t.ID)
			if t.Type == ident.UserTable {
				p = keyenc.UserPartition(t.ID, all[j].User)
			}
			manifest.Add(&s.batch, p, &entries[j])
			s.batch.Delete(notes, names[j].key())
			delta.files++
			delta.bytes += entries[j].Bytes
		}
		if err := s.write(); err != nil {
			return err
		}
		return s.advance(s.cur.Load().Catalog)
	})
	if err != nil {
		// The backend may have the lists all the same: the files stay, and the
		// next start knows by the notes.
		return err
	}
	r.deltas[t.ID] = delta
	s.opts.Step(StepRestoreListed)
	return nil
}

// knows tells whether a table has had a version.
func (r *Restoring) knows(i int, version uint32) bool {
	for _, v := range r.defs.Tables[i] {
		if v.Table.SchemaVersion == version {
			return true
		}
	}
	return false
}

// SetRows says how many rows a table has, deleted ones apart.
func (r *Restoring) SetRows(i int, live, deleted int64) {
	id := r.ids[i]
	c := r.deltas[id]
	c.live, c.deleted = live, deleted
	r.deltas[id] = c
}

// Commit makes the tables exist, in a namespace that must not. When it fails
// the restore is aborted.
func (r *Restoring) Commit(ctx context.Context, ns ident.NamespaceID) error {
	s := r.s
	tried := false
	err := s.command(ctx, func() error {
		if s.broken != nil {
			return s.broken
		}
		edit := s.cur.Load().Catalog.Edit(s.opts.Now())
		if err := edit.Restore(ns, r.defs); err != nil {
			return err
		}
		s.batch.Reset()
		s.batch.Append(edit.Batch())
		for id, c := range r.deltas {
			if c.files > 0 {
				c.flushed = s.opts.Now().UnixMicro()
				r.deltas[id] = c
			}
		}
		s.counts.put(&s.batch, r.deltas)
		for _, id := range r.ids {
			// Nobody who listened to the table elsewhere can be told what it
			// has missed.
			s.batch.Put(lostPartition, []byte(keyenc.TablePrefix(id)), binary.BigEndian.AppendUint64(nil, uint64(r.seq)))
		}
		tried = true
		if err := s.write(); err != nil {
			return err
		}
		s.counts.apply(r.deltas)
		for id, c := range r.deltas {
			if c.files > 0 {
				s.regenerate(id)
			}
		}
		return s.advance(edit.Next())
	})
	switch {
	case err == nil:
		r.ended = true
		s.opts.Step(StepRestoreDefined)
	case tried:
		// The backend may have it all the same. The next start knows.
		r.ended = true
	default:
		r.Abort()
	}
	return err
}

// Abort gives the restore up; what it has made is removed in the background.
// After Commit it does nothing, so it can be deferred.
func (r *Restoring) Abort() {
	if r.ended {
		return
	}
	r.ended = true
	for i, id := range r.ids {
		r.s.reap.add(catalog.Dropped{ID: id, Type: r.Table(i).Type})
	}
}
