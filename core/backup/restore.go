package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/job"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/segment"
)

// Restore puts a backup back, under its own name or another one, and returns
// when it is done. When the context ends before, the job goes on.
//
// A table whose storage this database does not have goes to "local". Schema
// versions, row numbers (_seq) and times stay as they were; new numbers are
// greater than all of the backup.
//
// Errors: NOT_FOUND when there is no backup, or one of another namespace;
// ALREADY_EXISTS when the namespace exists; STORAGE_UNAVAILABLE, naming the
// file, when the backup is damaged. After an error nothing of it is there.
func (s *Service) Restore(ctx context.Context, req Request) (Answer, error) {
	as := req.as()
	if _, err := ident.ParseNamespace(string(as)); err != nil {
		return Answer{}, err
	}
	if err := absent(s.opts.Store.Catalog(), as); err != nil {
		return Answer{}, err
	}
	a, err := s.Show(ctx, req.Path)
	if err != nil {
		return Answer{}, err
	}
	if err := req.means(a.Namespace); err != nil {
		return Answer{}, err
	}
	return s.run(ctx, req.spec(RestoreJobType, "restore of "+string(as)), func(ctx context.Context, task *job.Task) (Answer, error) {
		return s.restore(ctx, task, req)
	})
}

func (r Request) as() ident.NamespaceID {
	if r.As != "" {
		return r.As
	}
	return r.Namespace
}

// means tells whether the backup is the one that the request speaks of.
func (r Request) means(ns ident.NamespaceID) error {
	if ns == r.Namespace {
		return nil
	}
	return dberr.Newf(dberr.NotFound, "The backup at '%s' is of namespace '%s', not of '%s'.", r.Path, ns, r.Namespace).
		WithHint("RESTORE DATABASE %s FROM … AS %s gives it another name.", ns, r.as())
}

// absent refuses a namespace that exists.
func absent(cat *catalog.Snapshot, ns ident.NamespaceID) error {
	_, err := cat.Edit(time.Time{}).CreateNamespace(ns, nil, false)
	if e, ok := dberr.As(err); ok && e.Code == dberr.AlreadyExists {
		return e.WithHint("Drop it first, or restore it under another name: RESTORE DATABASE … FROM … AS ….")
	}
	return err
}

// restore is the job.
func (s *Service) restore(ctx context.Context, task *job.Task, req Request) (a Answer, err error) {
	store, as := s.opts.Store, req.as()
	if err := absent(store.Catalog(), as); err != nil {
		return a, err
	}
	p, err := s.open(store.Catalog(), req.Path, false)
	if err != nil {
		return a, err
	}
	defer p.close()
	m, err := p.read(ctx, req.Path)
	if err != nil {
		return a, err
	}
	if err := req.means(m.namespace()); err != nil {
		return a, err
	}
	defs, err := m.restored(as)
	if err != nil {
		return a, err
	}
	a = m.answer(as, req.Path)
	a.Moved = settle(defs, store.Catalog())
	r, err := store.Restore(ctx, defs, m.Sequence, options(task))
	if err != nil {
		return a, err
	}
	defer r.Abort()
	done := 0
	for i := range m.Tables {
		t := &m.Tables[i]
		for _, l := range t.Lists {
			task.Step(fmt.Sprintf("table %d of %d: %s; %d of %d files so far", i+1, len(m.Tables), t.Name, done, m.Files))
			all, err := p.readList(ctx, l)
			if err != nil {
				return a, err
			}
			if err := r.Fill(ctx, i, p.bucket, all); err != nil {
				return a, ofBackup(err)
			}
			done += l.Files
		}
		r.SetRows(i, t.Rows, t.Deleted)
	}
	task.Step("defining the namespace")
	return a, r.Commit(ctx, as)
}

// ofBackup says of a damaged or missing file that it is the backup's.
func ofBackup(err error) error {
	if !errors.Is(err, segment.ErrDamaged) && !errors.Is(err, object.ErrNotFound) {
		return err
	}
	e, ok := dberr.As(err)
	if !ok {
		return err
	}
	return dberr.Newf(dberr.StorageUnavailable, "The backup cannot be restored. %s", e.Message).Wrap(err).
		WithHint("Use another backup, or another copy of this one.")
}

// settle gives tables whose storage is not here the one that is always there,
// and lists them.
func settle(defs *catalog.Restored, cat *catalog.Snapshot) (moved []ident.TableName) {
	for _, versions := range defs.Tables {
		now := versions[len(versions)-1].Table
		if !cat.HasStorage(now.Storage) {
			moved = append(moved, now.Name)
		}
		for i := range versions {
			if t := versions[i].Table; !cat.HasStorage(t.Storage) {
				t.Storage = sysname.DefaultStorage
			}
		}
	}
	return moved
}

// renamed is a view's query with the names of a namespace's tables changed to
// those of another one.
func renamed(query string, from, to ident.NamespaceID) (string, error) {
	tree, err := parser.Parse(query)
	if err != nil {
		return "", err
	}
	if from == to {
		return query, nil
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.TableRef:
			rename(&x.Name.Namespace, from, to)
		case *ast.ColumnRef:
			rename(&x.Namespace, from, to)
		case *ast.Star:
			rename(&x.Namespace, from, to)
		}
		return true
	})
	return ast.SQL(tree), nil
}

func rename(name *string, from, to ident.NamespaceID) {
	if *name == string(from) {
		*name = string(to)
	}
}
