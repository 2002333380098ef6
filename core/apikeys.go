package core

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/apikey"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/exec"
)

// openKeys opens the API keys.
func (e *Engine) openKeys(ctx context.Context) (err error) {
	e.keys, err = apikey.Open(ctx, apikey.Options{
		Backend: e.backend, Logger: e.log,
		Registered: func(ctx context.Context, id ident.UserID) (bool, error) {
			_, registered, err := e.users.Role(ctx, id)
			return registered, err
		},
	})
	return err
}

// APIKeys are the API keys, for whoever authenticates requests.
func (e *Engine) APIKeys() *apikey.Keys { return e.keys }

// createAPIKey runs CREATE API KEY. The user need not be in system.users: users
// that only tokens name are users, too.
func (st *statement) createAPIKey(ctx context.Context, x *ast.CreateAPIKey) error {
	user, err := ident.ParseUserID(x.UserID)
	if err != nil {
		return st.at(err, x.Pos)
	}
	key, info, err := st.s.e.keys.Create(ctx, user, x.Name)
	if err != nil {
		return st.at(err, x.Pos)
	}
	var r result
	r.texts("key_id", "api_key", "user_id")
	r.add(sqltype.NewText(string(info.ID)), sqltype.NewText(key), sqltype.NewText(string(info.User)))
	return st.show(&r, Outcome{Message: "API key created. Keep it now: it is not shown again."})
}

// dropAPIKey runs DROP API KEY. The key is refused from then on, and
// connections that came in with it lose their live queries.
func (st *statement) dropAPIKey(ctx context.Context, x *ast.DropAPIKey) error {
	found, err := st.s.e.keys.Drop(ctx, ident.APIKeyID(x.KeyID))
	switch {
	case err != nil:
		return err
	case found:
		return st.answer("API key dropped")
	case x.IfExists:
		return st.answer("There is no such API key; nothing was dropped")
	}
	return dberr.Newf(dberr.NotFound, "There is no API key with the id '%s'.", x.KeyID).
		WithHint("SELECT key_id, user_id, name FROM system.api_keys lists them.").At(x.Pos.In(st.text))
}

// endKeysOf drops the API keys of users that a statement has deleted. The users
// are gone already, so a failure is not the statement's: the keys stop
// working all the same, and their records are removed at the next start.
func (e *Engine) endKeysOf(ctx context.Context, ws *exec.WriteSet) {
	for i := range ws.Writes {
		w := &ws.Writes[i]
		if w.Op != change.Delete {
			continue
		}
		user := ident.UserID(w.Old[0].Str()) // user_id is the first column
		if _, err := e.keys.DropUser(context.WithoutCancel(ctx), user); err != nil {
			e.log.Error("records of API keys of a deleted user stay until the next start", "user", user, "error", err)
		}
	}
}
