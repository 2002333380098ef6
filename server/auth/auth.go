package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core/apikey"
	"github.com/kalamdb/kalamdb/server/limit"
)

// Principal is who a request comes from and how that is known.
type Principal struct {
	User ident.UserID
	Role ident.Role
	// ExplicitUser says that the request itself named the user, by a token, an
	// API key or X-USER-ID.
	ExplicitUser bool
	// Bypass says that the request came in without credentials.
	Bypass bool
	// KeyID is the id of the API key that was presented; empty: none was.
	KeyID ident.APIKeyID
	// Expires is when the credentials end, with the leeway for clocks; zero:
	// they do not.
	Expires time.Time
}

// Users tells what system.users knows. It may be called from several
// goroutines.
type Users interface {
	// UserRole is the user's metadata.role, empty when there is none.
	// registered is false for a user that system.users does not hold.
	UserRole(ctx context.Context, user ident.UserID) (role string, registered bool, err error)
}

// APIKeys knows the API keys. It may be called from several goroutines.
type APIKeys interface {
	// UseAPIKey finds the key that a request presents.
	UseAPIKey(key string) (id ident.APIKeyID, user ident.UserID, ok bool)
	// HasAPIKey tells whether there still is a key of that id.
	HasAPIKey(id ident.APIKeyID) bool
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
	// TrustedProxies are [server] trusted_proxies.
	TrustedProxies []string
	Users          Users
	// APIKeys may be nil; then there are none.
	APIKeys APIKeys
	Logger  *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Authenticator authenticates requests. It may be used from several
// goroutines, and must be closed.
type Authenticator struct {
	rules    atomic.Pointer[rules]
	failures *limit.Rates // by address
	proxies  Proxies
	origins  Origins
	users    Users
	keys     APIKeys
	log      *slog.Logger
	now      func() time.Time
}

// rules are what a reload changes, all at once.
type rules struct {
	tokens  *verifier
	bypass  *Bypass // nil: there is none
	require bool
}

// New makes an Authenticator.
func New(o Options) (*Authenticator, error) {
	a := &Authenticator{origins: NewOrigins(o.AllowedOrigins), users: o.Users, keys: o.APIKeys, log: o.Logger, now: o.Now}
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.now == nil {
		a.now = time.Now
	}
	var err error
	if a.proxies, err = NewProxies(o.TrustedProxies); err != nil {
		return nil, err
	}
	a.failures = limit.NewRates(o.Auth.MaxFailures, time.Minute, o.Auth.MaxFailures)
	r, err := a.newRules(context.Background(), o.Auth, o.Secret, false)
	if err != nil {
		return nil, err
	}
	a.rules.Store(r)
	return a, nil
}

func (a *Authenticator) newRules(ctx context.Context, c config.Auth, secret []byte, strict bool) (*rules, error) {
	r := &rules{require: c.RequireRegisteredUser}
	if c.LocalhostBypass {
		role, err := ident.ParseRole(c.LocalhostRole)
		if err != nil {
			return nil, &config.KeyError{Key: "auth.localhost_role", Reason: err.Error()}
		}
		r.bypass = &Bypass{User: ident.UserID(c.LocalhostUser), Role: role, Origins: a.origins}
	}
	var err error
	r.tokens, err = newVerifier(ctx, c, secret, a.now, a.log, strict)
	return r, err
}

// Reload takes a changed configuration and reads all keys again. After an error
// everything is as before. Connections that are open stay as long as the
// credentials that they came in with were to last.
func (a *Authenticator) Reload(ctx context.Context, c config.Auth, secret []byte) error {
	r, err := a.newRules(ctx, c, secret, true)
	if err != nil {
		return err
	}
	a.failures.Set(c.MaxFailures, time.Minute, c.MaxFailures)
	a.rules.Swap(r).tokens.close()
	return nil
}

// Close ends what runs in the background.
func (a *Authenticator) Close() { a.rules.Load().tokens.close() }

// Address is who a request comes from, as limits count and logs name it.
func (a *Authenticator) Address(r *http.Request) string { return a.proxies.Address(r) }

// Local tells whether a request comes from a program on this machine, by the
// rules of the localhost bypass, whether or not that is configured.
func (a *Authenticator) Local(r *http.Request) bool {
	b := Bypass{Origins: a.origins}
	return b.Refuses(r) == ""
}

// Presents tells whether a request has credentials, good or bad.
func (*Authenticator) Presents(r *http.Request) bool {
	return len(r.Header[headerAuthorization]) > 0 || len(r.Header[headerAPIKey]) > 0
}

// Valid tells whether a principal's credentials are still good.
func (a *Authenticator) Valid(p Principal) bool {
	return p.KeyID == "" || a.keys.HasAPIKey(p.KeyID)
}

// Request authenticates an HTTP request or a WebSocket handshake.
//
// Benchmark: BenchmarkTokenCached, BenchmarkAPIKey.
func (a *Authenticator) Request(r *http.Request) (Principal, error) {
	p, err := a.request(r)
	if err != nil && !errors.Is(err, ErrNoCredentials) {
		a.failed(r.Context(), a.Address(r), r.URL.Path, err)
	}
	return p, err
}

// failed counts and logs an attempt that failed. Tokens that have expired were
// good once, so they are no attempts to guess one.
func (a *Authenticator) failed(ctx context.Context, address, path string, err error) {
	if _, over := limit.Wait(err); over {
		return // the attempt was not looked at
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "authentication failed",
		slog.String("remote", address), slog.String("path", path), slog.String("reason", reason(err)))
	if dberr.CodeOf(err) != dberr.Unauthenticated {
		return
	}
	a.failures.Allow(address)
	if wait, over := a.failures.Exceeded(address); over {
		a.log.LogAttrs(ctx, slog.LevelWarn, "too many failed authentications; credentials from this address are not looked at for a while",
			slog.String("remote", address), slog.Duration("wait", wait))
	}
}

// tooMany refuses an address that has failed too often.
func (a *Authenticator) tooMany(address string) error {
	if wait, over := a.failures.Exceeded(address); over {
		return limit.Refuse(dberr.RateLimited, "Too many attempts to authenticate from this address have failed.", wait)
	}
	return nil
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
	key, err := header(r, headerAPIKey)
	if err != nil {
		return Principal{}, err
	}
	if _, has := r.Header[headerAPIKey]; has {
		if authorization != "" {
			return Principal{}, dberr.New(dberr.Unauthenticated, "The request has a token and an API key.").WithHint("Send one of them.")
		}
		return a.apiKey(r.Context(), a.Address(r), key, actAs)
	}
	if authorization != "" {
		scheme, token, _ := strings.Cut(authorization, " ")
		token = strings.TrimSpace(token)
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			return Principal{}, dberr.New(dberr.Unauthenticated, "The Authorization header is not of the form: Bearer <token>.")
		}
		return a.credentials(r.Context(), a.Address(r), token, actAs)
	}
	bypass := a.rules.Load().bypass
	if bypass == nil {
		return Principal{}, noCredentials("")
	}
	if why := bypass.Refuses(r); why != "" {
		return Principal{}, noCredentials(why)
	}
	p := Principal{User: bypass.User, Role: bypass.Role, Bypass: true}
	if actAs != "" {
		user, err := ident.ParseUserID(actAs)
		if err != nil {
			return Principal{}, badUser(err)
		}
		p.User, p.ExplicitUser = user, true
	}
	return p, nil
}

// Token authenticates by what a message of a connection holds: a token or an
// API key. address is the connection's, as Address gives it; actAs is the user
// to act for, as X-USER-ID names it, or empty.
func (a *Authenticator) Token(ctx context.Context, address, token, actAs string) (Principal, error) {
	p, err := a.credentials(ctx, address, token, actAs)
	if err != nil {
		a.failed(ctx, address, wire.PathWS, err)
	}
	return p, err
}

// credentials authenticates by a token, or by an API key in its place: browsers
// can send neither header with a WebSocket handshake.
func (a *Authenticator) credentials(ctx context.Context, address, token, actAs string) (Principal, error) {
	if strings.HasPrefix(token, apikey.Prefix) {
		return a.apiKey(ctx, address, token, actAs)
	}
	return a.token(ctx, address, token, actAs)
}

func (a *Authenticator) token(ctx context.Context, address, token, actAs string) (Principal, error) {
	if len(token) > maxTokenLen {
		return Principal{}, dberr.New(dberr.Unauthenticated, "The token is too long.")
	}
	r := a.rules.Load()
	key := sha256.Sum256([]byte(token))
	c, known, err := r.tokens.cached(key)
	if err == nil && !known {
		if err = a.tooMany(address); err == nil {
			c, err = r.tokens.verify(ctx, token, key)
		}
	}
	if err != nil {
		return Principal{}, err
	}
	p := Principal{User: c.user, Role: c.role, ExplicitUser: true, Expires: c.expires}
	return a.complete(ctx, p, actAs, r.require)
}

// apiKey authenticates by an API key. Looking one up costs next to nothing and
// tells a wrong one from a good one only, so good ones work from an address
// that has failed too often.
func (a *Authenticator) apiKey(ctx context.Context, address, key, actAs string) (Principal, error) {
	if a.keys == nil {
		return Principal{}, dberr.New(dberr.Unauthenticated, "This server has no API keys.")
	}
	id, user, ok := a.keys.UseAPIKey(key)
	if !ok {
		if err := a.tooMany(address); err != nil {
			return Principal{}, err
		}
		return Principal{}, dberr.New(dberr.Unauthenticated, "The API key is not valid.")
	}
	p := Principal{User: user, ExplicitUser: true, KeyID: id}
	return a.complete(ctx, p, actAs, a.rules.Load().require)
}

// complete adds what system.users knows, and the user that is acted for.
func (a *Authenticator) complete(ctx context.Context, p Principal, actAs string, require bool) (Principal, error) {
	if p.Role == "" || require {
		if err := a.lookUp(ctx, &p, require); err != nil {
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
		return Principal{}, dberr.New(dberr.PermissionDenied, "X-USER-ID names another user than the credentials.").
			WithHint("Only the roles service and admin may act for other users.")
	}
	p.User = user
	return p, nil
}

// lookUp completes a principal by what system.users has of its user.
func (a *Authenticator) lookUp(ctx context.Context, p *Principal, require bool) error {
	var name string
	registered := false
	if a.users != nil {
		var err error
		if name, registered, err = a.users.UserRole(ctx, p.User); err != nil {
			return err
		}
	}
	if require && !registered {
		return dberr.New(dberr.Unauthenticated, "The credentials' user is not registered here.").
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
		WithHint("Send a token (Authorization: Bearer <token>) or an API key (X-API-KEY).").Wrap(ErrNoCredentials)
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
