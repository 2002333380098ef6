package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/storage"
	"github.com/kalamdb/kalamdb/core/systable"
	"github.com/kalamdb/kalamdb/core/table"
)

// ErrInUse is in the chain of the error of a data directory that a server has.
var ErrInUse = errors.New("the data directory is in use")

// Offline is a database that is looked at and not run: no job, no schedule, and
// nothing is removed that a server would remove at its start. It must be
// closed. Opening the backend may finish what a crash has interrupted in it, as
// a start would.
type Offline struct {
	e      *Engine
	system *systable.Registry
}

// OpenOffline opens the database of a configuration for looking at it.
//
// Errors: NOT_FOUND when there is none, STORAGE_UNAVAILABLE with ErrInUse when a
// server has it, UNSUPPORTED for a database in memory.
func OpenOffline(ctx context.Context, cfg config.Config, log *slog.Logger) (*Offline, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	switch cfg.Store.Backend {
	case config.BackendMemory:
		return nil, dberr.New(dberr.Unsupported, "A database in memory is gone with its server; there is nothing to look at.")
	case config.BackendBadger, "":
		if _, err := os.Stat(filepath.Join(cfg.Data.Dir, hotFolder)); errors.Is(err, fs.ErrNotExist) {
			return nil, dberr.Newf(dberr.NotFound, "There is no database in %s.", cfg.Data.Dir).
				WithHint("The configuration says where it is: [data] dir, or KALAMDB_DATA_DIR.")
		}
	}
	o := &Offline{e: &Engine{cfg: cfg, log: log}, system: systable.New()}
	o.e.storages = storage.New(storage.Options{
		Location: cfg.Storage.DefaultLocation, UserTemplate: cfg.Storage.UserTemplate, SharedTemplate: cfg.Storage.SharedTemplate,
	})
	if err := o.e.openBackend(ctx); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// Close gives the database up.
func (o *Offline) Close() error { return o.e.release() }

// Audit looks at the database: at everything that the depth says. What is not
// as it should be goes to finding, every listed file to segment; either may be
// nil.
func (o *Offline) Audit(ctx context.Context, depth table.Depth, finding func(table.Finding), segment func(table.AuditedSegment)) (*table.AuditResult, error) {
	snap, err := o.e.backend.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("look at the database: %w", err)
	}
	defer snap.Release()
	a := &table.Audit{
		Snapshot: snap, System: o.system.Tables(), Files: o.e.storages, Depth: depth,
		Finding: finding, Segment: segment,
	}
	return a.Run(ctx)
}

// Size is how many bytes the hot rows take on their medium.
func (o *Offline) Size(ctx context.Context) (int64, error) { return o.e.backend.Size(ctx) }

// Users lists the rows of system.users: ids and names.
func (o *Offline) Users(ctx context.Context, res *table.AuditResult) ([]RegisteredUser, error) {
	snap, err := o.e.backend.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("look at the users: %w", err)
	}
	defer snap.Release()
	var out []RegisteredUser
	err = table.EachStored(snap, res.Catalog, o.system.Users(), func(row []sqltype.Value) error {
		u := RegisteredUser{ID: ident.UserID(row[0].Text())}
		if !row[1].IsNull() {
			u.Name = row[1].Text()
		}
		out = append(out, u)
		return context.Cause(ctx)
	})
	return out, err
}

// RegisteredUser is a row of system.users.
type RegisteredUser struct {
	ID   ident.UserID `json:"user_id"`
	Name string       `json:"username,omitempty"`
}
