package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
)

// Principal is who a request comes from and how that is known.
type Principal struct {
	User ident.UserID
	Role ident.Role
	// ExplicitUser says that the request itself named the user, by a token or
	// by X-USER-ID.
	ExplicitUser bool
	// Bypass says that the request came in without credentials.
	Bypass bool
	// Expires is when the credentials end; zero: they do not.
	Expires time.Time
}

// Users tells what system.users knows. It may be called from several
// goroutines.
type Users interface {
	// UserRole is the user's metadata.role, empty when there is none.
	// registered is false for a user that system.users does not hold.
	UserRole(ctx context.Context, user ident.UserID) (role string, registered bool, err error)
}

// ErrNoCredentials is in the chain of the error of a request that has no
// credentials and may not do without.
var ErrNoCredentials = errors.New("no credentials")

// Options configure an Authenticator.
type Options struct {
	Auth config.Auth
	// Secret is the HS256 key.
	Secret []byte
	// AllowedOrigins are [server] allowed_origins.
	AllowedOrigins []string
	Users          Users
	Logger         *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Authenticator authenticates requests. It is immutable and may be used from
// several goroutines.
type Authenticator struct {
	tokens  *verifier
	bypass  *Bypass
	users   Users
	require bool
	log     *slog.Logger
}

// New makes an Authenticator.
func New(o Options) (*Authenticator, error) {
	tokens, err := newVerifier(o.Auth, o.Secret, o.Now)
	if err != nil {
		return nil, err
	}
	a := &Authenticator{tokens: tokens, users: o.Users, require: o.Auth.RequireRegisteredUser, log: o.Logger}
	if a.log == nil {
		a.log = slog.Default()
	}
	if o.Auth.LocalhostBypass {
		role, err := ident.ParseRole(o.Auth.LocalhostRole)
		if err != nil {
			return nil, &config.KeyError{Key: "auth.localhost_role", Reason: err.Error()}
		}
		a.bypass = &Bypass{User: ident.UserID(o.Auth.LocalhostUser), Role: role, Origins: NewOrigins(o.AllowedOrigins)}
	}
	return a, nil
}

// Request authenticates an HTTP request or a WebSocket handshake.
func (a *Authenticator) Request(r *http.Request) (Principal, error) {
	p, err := a.request(r)
	if err != nil && !errors.Is(err, ErrNoCredentials) {
		a.log.LogAttrs(r.Context(), slog.LevelInfo, "authentication failed",
			slog.String("remote", r.RemoteAddr), slog.String("path", r.URL.Path), slog.String("reason", reason(err)))
	}
	return p, err
}

func (a *Authenticator) request(r *http.Request) (Principal, error) {
	actAs, err := header(r, headerUserID)
	if err != nil {
		return Principal{}, err
	}
	authorization, err := header(r, headerAuthorization)
	if err != nil {
		return Principal{}, err
	}
	if _, has := r.Header[headerAPIKey]; has {
		return Principal{}, dberr.New(dberr.Unauthenticated, "This server does not accept API keys.").
			WithHint("Send a token: Authorization: Bearer <token>. kalamdb-server token --user NAME issues one.")
	}
	if authorization != "" {
		scheme, token, _ := strings.Cut(authorization, " ")
		token = strings.TrimSpace(token)
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			return Principal{}, dberr.New(dberr.Unauthenticated, "The Authorization header is not of the form: Bearer <token>.")
		}
		return a.Token(r.Context(), token, actAs)
	}
	if a.bypass == nil {
		return Principal{}, noCredentials("")
	}
	if why := a.bypass.Refuses(r); why != "" {
		return Principal{}, noCredentials(why)
	}
	p := Principal{User: a.bypass.User, Role: a.bypass.Role, Bypass: true}
	if actAs != "" {
		user, err := ident.ParseUserID(actAs)
		if err != nil {
			return Principal{}, badUser(err)
		}
		p.User, p.ExplicitUser = user, true
	}
	return p, nil
}

// Token authenticates by a token alone. actAs is the user to act for, as
// X-USER-ID names it, or empty.
func (a *Authenticator) Token(ctx context.Context, token, actAs string) (Principal, error) {
	c, err := a.tokens.verify(token)
	if err != nil {
		return Principal{}, err
	}
	p := Principal{User: c.user, Role: c.role, ExplicitUser: true, Expires: c.expires}
	if p.Role == "" || a.require {
		if err := a.lookUp(ctx, &p); err != nil {
			return Principal{}, err
		}
	}
	if actAs == "" || actAs == string(p.User) {
		return p, nil
	}
	user, err := ident.ParseUserID(actAs)
	if err != nil {
		return Principal{}, badUser(err)
	}
	if !p.Role.MayActForOthers() {
		return Principal{}, dberr.New(dberr.PermissionDenied, "X-USER-ID names another user than the token.").
			WithHint("Only the roles service and admin may act for other users.")
	}
	p.User = user
	return p, nil
}

// lookUp completes a principal by what system.users has of its user.
func (a *Authenticator) lookUp(ctx context.Context, p *Principal) error {
	var name string
	registered := false
	if a.users != nil {
		var err error
		if name, registered, err = a.users.UserRole(ctx, p.User); err != nil {
			return err
		}
	}
	if a.require && !registered {
		return dberr.New(dberr.Unauthenticated, "The token's user is not registered here.").
			WithHint("An admin registers users: INSERT INTO system.users …")
	}
	if p.Role != "" {
		return nil
	}
	p.Role = ident.RoleUser
	if name != "" {
		role, err := ident.ParseRole(name)
		if err != nil {
			// A user whose role is misspelled must not get more than the least.
			a.log.WarnContext(ctx, "metadata.role in system.users is no role; user is assumed", "user", p.User, "role", name)
			return nil
		}
		p.Role = role
	}
	return nil
}

// The headers' names as net/http keeps them, so that nobody has to convert
// them for every request.
var (
	headerAuthorization = http.CanonicalHeaderKey("Authorization")
	headerUserID        = http.CanonicalHeaderKey(wire.HeaderUserID)
	headerAPIKey        = http.CanonicalHeaderKey(wire.HeaderAPIKey)
)

// header reads a header that may be there once; name is its canonical name.
func header(r *http.Request, name string) (string, error) {
	v := r.Header[name]
	switch len(v) {
	case 0:
		return "", nil
	case 1:
		return v[0], nil
	}
	return "", dberr.Newf(dberr.Unauthenticated, "The request has the header %s more than once.", name)
}

func noCredentials(why string) error {
	e := dberr.New(dberr.Unauthenticated, "The request has no credentials.").
		WithHint("Send a token: Authorization: Bearer <token>.").Wrap(ErrNoCredentials)
	if why != "" {
		e.Message = "The request has no credentials, and the localhost bypass does not apply: " + why + "."
	}
	return e
}

func badUser(err error) error {
	e, _ := dberr.As(err)
	return dberr.Newf(dberr.Unauthenticated, "%s is no user id: %s.", wire.HeaderUserID, e.Message)
}

// reason is an error's text for the log.
func reason(err error) string {
	if e, ok := dberr.As(err); ok {
		return e.Message
	}
	return err.Error()
}
