package table

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
)

// System opens the server's own tables.
type System interface {
	Open(ctx context.Context, v *View, t *ddl.Table) (exec.Table, error)
}

// View is a State as one user sees it: of USER and STREAM tables the user's
// own partition, SHARED tables whole. It keeps the State only as long as its
// maker does.
// It sees STREAM rows as they were at the State, but for those whose time is
// up by now, and fails to when the State is too old for them to be kept.
type View struct {
	Store *Store
	State *State
	User  ident.UserID
	// Now decides which STREAM rows have expired.
	Now time.Time
	// System opens the server's own tables; nil: there are none.
	System System
	// Sound, if there is one, leaves out damaged files. Reset takes it away.
	Sound *Sound

	// first is where the first stored table is put, mostly the only one.
	first storedTable
	used  atomic.Bool
}

var _ exec.Snapshot = (*View)(nil)

// Reset makes the view one of another state. Tables that were opened from it
// are no longer of use.
func (v *View) Reset(s *Store, st *State, user ident.UserID, now time.Time, system System) {
	v.Store, v.State, v.User, v.Now, v.System, v.Sound = s, st, user, now, system, nil
	v.used.Store(false)
}

// Table implements exec.Snapshot.
func (v *View) Table(ctx context.Context, t *ddl.Table) (exec.Table, error) {
	switch t.Type {
	case ident.UserTable:
		return v.stored(t, keyenc.UserPartition(t.ID, v.User))
	case ident.SharedTable:
		return v.stored(t, keyenc.SharedPartition(t.ID))
	case ident.StreamTable:
		return v.stream(t)
	}
	return v.System.Open(ctx, v, t)
}

// Stored opens one of the server's own tables that is kept in the backend.
func (v *View) Stored(t *ddl.Table) (exec.Table, error) {
	return v.stored(t, keyenc.SharedPartition(t.ID))
}

func (v *View) stored(t *ddl.Table, p kv.Partition) (exec.Table, error) {
	c, err := v.Store.codecs.of(t, v.State.Catalog)
	if err != nil {
		return nil, err
	}
	s := &v.first
	if v.used.Swap(true) {
		s = new(storedTable)
	}
	*s = storedTable{v: v, t: t, c: c, p: p}
	return s, nil
}

func (v *View) stream(t *ddl.Table) (exec.Table, error) {
	c, err := v.Store.codecs.of(t, v.State.Catalog)
	if err != nil {
		return nil, err
	}
	rows, _, err := v.State.stream(ringKey{t.ID, v.User}, v.Now)
	if err != nil {
		return nil, err
	}
	return &streamTable{t: t, c: c, rows: rows}, nil
}
