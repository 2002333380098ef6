package app

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/httpapi"
	"github.com/kalamdb/kalamdb/server/ws"
)

// forHTTP and forWS are the engine as the interfaces declare it: their Session
// methods return interfaces, the engine's returns a struct.
type (
	forHTTP struct{ *core.Engine }
	forWS   struct{ *core.Engine }
)

var (
	_ httpapi.Engine = forHTTP{}
	_ ws.Engine      = forWS{}
	_ auth.Users     = users{}
	_ auth.APIKeys   = users{}
)

// Session is the caller's session.
func (e forHTTP) Session(p core.Principal, id ident.SessionID) (httpapi.Session, error) {
	return e.Engine.Session(p, id)
}

// Session is the caller's session.
func (e forWS) Session(p core.Principal, id ident.SessionID) (ws.Session, error) {
	return e.Engine.Session(p, id)
}

// users looks users and API keys up in an engine that is opened later than the
// authenticator is made.
type users struct{ s *Server }

// UserRole asks system.users.
func (u users) UserRole(ctx context.Context, id ident.UserID) (role string, registered bool, err error) {
	return u.s.engine.UserRole(ctx, id)
}

// UseAPIKey asks the API keys.
func (u users) UseAPIKey(key string) (id ident.APIKeyID, user ident.UserID, ok bool) {
	k, ok := u.s.engine.APIKeys().Use(key)
	return k.ID, k.User, ok
}

// HasAPIKey asks the API keys.
func (u users) HasAPIKey(id ident.APIKeyID) bool { return u.s.engine.APIKeys().Exists(id) }

// endLiveQueries tells every subscriber that the server stops.
func endLiveQueries(e *core.Engine) { e.Hub().CloseAll(live.ReasonShutdown) }
