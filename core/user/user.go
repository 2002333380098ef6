// Package user keeps the rules of system.users: what a row of it must look
// like, what the server fills in, and what the failures are called (FR-132 to
// FR-145). The rows themselves are stored and committed like any others, so a
// user id is unique under concurrency, too.
package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
)

// The ordinals of the columns of system.users.
const (
	userID = iota
	username
	metadata
	createdAt
	updatedAt
)

// Users reads and checks system.users.
type Users struct {
	store *table.Store
	def   *ddl.Table
}

// New makes the rules for the table of the definition.
func New(store *table.Store, def *ddl.Table) *Users { return &Users{store: store, def: def} }

// Role is what the user's metadata says under "role", empty when it says
// nothing. registered is false for a user that the table does not hold.
func (u *Users) Role(ctx context.Context, id ident.UserID) (role string, registered bool, err error) {
	st := u.store.Acquire()
	defer st.Release()
	v := table.View{Store: u.store, State: st}
	t, err := v.Stored(u.def)
	if err != nil {
		return "", false, err
	}
	row := make(sqltype.Row, 1)
	found, err := t.Get(ctx, sqltype.Row{sqltype.NewText(string(id))}, []int{metadata}, false, row)
	if err != nil || !found {
		return "", false, err
	}
	if row[0].IsNull() {
		return "", true, nil
	}
	var m struct {
		Role any `json:"role"`
	}
	// Metadata that is JSON but no object, or whose role is no text, names no
	// role.
	if json.Unmarshal([]byte(row[0].Str()), &m) != nil {
		return "", true, nil
	}
	role, _ = m.Role.(string)
	return role, true, nil
}

// Complete checks the rows that a statement wants to write and fills in the
// times. Rows are changed in place; they belong to the write set.
func (u *Users) Complete(ws *exec.WriteSet, now time.Time) error {
	at := sqltype.NewInt(sqltype.Timestamp, now.UnixMicro())
	for i := range ws.Writes {
		w := &ws.Writes[i]
		if w.Op == change.Delete {
			continue
		}
		if err := check(w.New); err != nil {
			return err
		}
		w.New[updatedAt] = at
		if w.Op == change.Insert {
			w.New[createdAt] = at
			continue
		}
		w.New[createdAt] = w.Old[createdAt]
		if w.New[userID].Str() != w.Old[userID].Str() {
			return dberr.New(dberr.Unsupported, "A user_id cannot be changed.").
				WithHint("Insert a new user and delete the old one; the rows of a user belong to its id.")
		}
	}
	return nil
}

func check(row sqltype.Row) error {
	if row[userID].IsNull() || row[username].IsNull() {
		return dberr.New(dberr.NotNullViolation, "user_id and username of a user must not be NULL.")
	}
	if _, err := ident.ParseUserID(row[userID].Str()); err != nil {
		return err
	}
	if row[username].Str() == "" {
		return dberr.New(dberr.InvalidSQL, "username must not be empty").WithState("22023")
	}
	if m := row[metadata]; !m.IsNull() && !json.Valid([]byte(m.Str())) {
		return dberr.New(dberr.InvalidJSON, "metadata is not valid JSON")
	}
	return nil
}

// Failure gives the error of a commit the words that system.users has for it.
func Failure(err error) error {
	var dup *table.Duplicate
	if errors.As(err, &dup) {
		return dberr.New(dberr.AlreadyExists, fmt.Sprintf("User with user_id '%s' already exists", dup.Row[userID].Str())).WithState("23505")
	}
	return err
}

// NotFound is the answer to an UPDATE or DELETE of one user that is not there.
func NotFound(id ident.UserID) error {
	return dberr.New(dberr.NotFound, fmt.Sprintf("User with user_id '%s' not found", id))
}
