package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/job"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
)

// notes keeps where backups are being made, by their folders.
var notes = keyenc.CatalogPartition("backups")

// noteFormat is the version of the notes.
const noteFormat = 1

// note says that a backup is being made somewhere.
type note struct {
	Format int    `json:"format"`
	Folder string `json:"folder"`
	Path   string `json:"path"`
}

func (s *Service) note(ctx context.Context, n note) error {
	n.Format = noteFormat
	data, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("note a backup: %w", err)
	}
	var b kv.Batch
	b.Put(notes, []byte(n.Folder), data)
	if err := s.opts.Backend.Write(ctx, &b); err != nil {
		return fmt.Errorf("note a backup: %w", err)
	}
	return nil
}

func (s *Service) forget(ctx context.Context, n note) error {
	var b kv.Batch
	b.Delete(notes, []byte(n.Folder))
	if err := s.opts.Backend.Write(ctx, &b); err != nil {
		return fmt.Errorf("forget the note of a backup: %w", err)
	}
	return nil
}

// giveUp removes what a backup has written that will not be one, and its note.
// What cannot be removed now is removed by the next start.
func (s *Service) giveUp(ctx context.Context, p *place, n note) {
	ctx = context.WithoutCancel(ctx)
	if err := s.settle(ctx, p, n); err != nil {
		s.opts.Logger.Warn("remove what is left of a backup; it is tried again at the next start", "path", n.Path, "error", err)
	}
}

// settle removes the files of a backup that has no manifest, and the note.
func (s *Service) settle(ctx context.Context, p *place, n note) error {
	m, err := p.read(ctx, n.Path)
	switch {
	case err == nil && m.Folder == n.Folder:
		// A failure of the medium at the last moment may leave it whole.
	case err == nil, dberr.CodeOf(err) == dberr.NotFound:
		if err := p.clear(ctx, n.Folder); err != nil {
			return err
		}
	default:
		return err
	}
	return s.forget(ctx, n)
}

// again starts the Origin of jobs that are done again.
const again = "again, as the server ended in "

// Resume cleans up, in the background, after backups that a server died in, and
// then does again what its jobs were about; once, as it may be what the server
// died of.
func (s *Service) Resume(interrupted []job.Job) error {
	left, err := s.load()
	if err != nil {
		return err
	}
	s.wg.Go(func() {
		defer close(s.resumed)
		if err := s.opts.Store.Settled(s.ctx); err != nil {
			return
		}
		for _, n := range left {
			s.resolve(n)
		}
		for _, j := range interrupted {
			s.redo(j)
		}
	})
	return nil
}

// Resumed is closed when what Resume has begun is done.
func (s *Service) Resumed() <-chan struct{} { return s.resumed }

func (s *Service) load() ([]note, error) {
	snap, err := s.opts.Backend.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("read notes of backups: %w", err)
	}
	defer snap.Release()
	it := snap.Scan(notes, kv.Range{})
	defer it.Close()
	var out []note
	for it.Next() {
		data, err := it.Value()
		if err != nil {
			return nil, fmt.Errorf("read notes of backups: %w", err)
		}
		var n note
		if err := json.Unmarshal(data, &n); err != nil {
			return nil, fmt.Errorf("read notes of backups: %q: %w", it.Key(), err)
		}
		if n.Format > noteFormat {
			return nil, dberr.Newf(dberr.StorageUnavailable, "The notes of backups were written by a newer server (format %d, this one knows %d).", n.Format, noteFormat).
				WithHint("Start the newer version.")
		}
		out = append(out, n)
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read notes of backups: %w", err)
	}
	return out, nil
}

// resolve cleans up after one backup.
func (s *Service) resolve(n note) {
	p, err := s.open(s.opts.Store.Catalog(), n.Path, false)
	switch {
	case dberr.CodeOf(err) == dberr.NotFound:
		// The folder, or the storage, is gone, and all in it.
		err = s.forget(s.ctx, n)
	case err == nil:
		err = s.settle(s.ctx, p, n)
		p.close()
	}
	if err != nil && s.ctx.Err() == nil {
		s.opts.Logger.Warn("remove what is left of a backup; it is tried again at the next start", "path", n.Path, "error", err)
	}
}

// redo does again what a job was about.
func (s *Service) redo(j job.Job) {
	if s.ctx.Err() != nil || j.Type != JobType && j.Type != RestoreJobType || len(j.Parameters) < 2 || strings.HasPrefix(j.Origin, again) {
		return
	}
	req := Request{
		Namespace: ident.NamespaceID(j.Parameters[0]), Path: j.Parameters[1],
		Origin: again + string(j.ID), User: j.User,
	}
	var err error
	if j.Type == JobType {
		_, err = s.Backup(s.ctx, req)
	} else {
		if len(j.Parameters) > 2 {
			req.As = ident.NamespaceID(j.Parameters[2])
		}
		_, err = s.Restore(s.ctx, req)
	}
	// It exists: the job had done its work, but for telling.
	if err != nil && dberr.CodeOf(err) != dberr.AlreadyExists && !errors.Is(err, context.Canceled) {
		s.opts.Logger.Warn("do a job again", "job", j.ID, "type", j.Type, "error", err)
	}
}
