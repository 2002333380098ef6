package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
)

// maxTokenLen bounds what is hashed and decoded for a token.
const maxTokenLen = 16 << 10

// claims is what a valid token says.
type claims struct {
	user    ident.UserID
	role    ident.Role // empty: the token does not say
	expires time.Time  // with the leeway, once verify has given it
}

// verifier checks tokens. Each algorithm has keys of its own: HS256 the secret,
// RS256, ES256 and EdDSA the public keys of the key set that are of that kind.
// So a token's "alg" chooses among keys that were made for it and nothing else:
// neither "none" nor a public key used as a secret gets through. What a token
// says about where its key is ("jku", "jwk", "x5u", "x5c") is never looked at.
type verifier struct {
	secret   []byte
	keys     *keySet // nil: there is none
	issuer   string
	audience string
	leeway   time.Duration
	now      func() time.Time
	cache    tokenCache
}

// newVerifier makes a verifier and reads its key set. A file must be readable;
// a URL may be out of reach, unless strict: the server starts before its
// identity provider is up.
func newVerifier(ctx context.Context, c config.Auth, secret []byte, now func() time.Time, log *slog.Logger, strict bool) (*verifier, error) {
	if len(secret) < config.MinSecretLen {
		return nil, fmt.Errorf("the token secret has %d bytes, at least %d are needed", len(secret), config.MinSecretLen)
	}
	v := &verifier{secret: secret, issuer: c.Issuer, audience: c.Audience, leeway: c.Leeway.Std(), now: now}
	if v.keys = newKeySet(c, log, now, v.cache.clear); v.keys == nil {
		return v, nil
	}
	if err := v.keys.fetch(ctx); err != nil {
		key := "auth.jwks_url"
		if c.JWKSFile != "" {
			key = "auth.jwks_file"
		}
		err = fmt.Errorf("%s: read token keys from %s: %w", key, v.keys.from(), err)
		if strict || c.JWKSFile != "" {
			v.close()
			return nil, err
		}
		log.Warn("tokens signed with keys of the key set are refused until it can be read", "error", err)
	}
	return v, nil
}

func (v *verifier) close() {
	if v.keys != nil {
		v.keys.close()
	}
}

// cached gives what a token says that was found to be valid before. ok is
// false when the token must be checked.
func (v *verifier) cached(key [sha256.Size]byte) (c claims, ok bool, err error) {
	if c, ok = v.cache.get(key); ok && v.now().After(c.expires) {
		return claims{}, true, expired()
	}
	return c, ok, nil
}

// verify checks a token's signature and claims, and remembers it when it is
// valid.
func (v *verifier) verify(ctx context.Context, token string, key [sha256.Size]byte) (claims, error) {
	generation := v.cache.generation()
	c, err := v.check(ctx, []byte(token))
	if err == nil {
		c.expires = c.expires.Add(v.leeway)
		v.cache.put(key, c, generation)
	}
	return c, err
}

func (v *verifier) check(ctx context.Context, token []byte) (claims, error) {
	// Critical headers that nobody here understands make a token invalid
	// (RFC 7515, section 4.1.11).
	msg, err := jws.Parse(token, jws.WithCompact())
	if err != nil || len(msg.Signatures()) != 1 || len(msg.Signatures()[0].ProtectedHeaders().Critical()) > 0 {
		return claims{}, dberr.New(dberr.Unauthenticated, "The token is not a signed JWT.")
	}
	alg, key, err := v.key(ctx, msg.Signatures()[0].ProtectedHeaders())
	if err != nil {
		return claims{}, err
	}
	opts := []jwt.ParseOption{
		jwt.WithKey(alg, key), jwt.WithValidate(true), jwt.WithAcceptableSkew(v.leeway),
		jwt.WithRequiredClaim(jwt.ExpirationKey), jwt.WithClock(jwt.ClockFunc(v.now)),
	}
	if v.issuer != "" {
		opts = append(opts, jwt.WithIssuer(v.issuer))
	}
	if v.audience != "" {
		opts = append(opts, jwt.WithAudience(v.audience))
	}
	t, err := jwt.Parse(token, opts...)
	switch {
	case err == nil:
	case errors.Is(err, jwt.ErrTokenExpired()):
		return claims{}, expired()
	case errors.Is(err, jwt.ErrInvalidIssuer()), errors.Is(err, jwt.ErrInvalidAudience()):
		return claims{}, dberr.New(dberr.Unauthenticated, "The token was issued by or for somebody else.")
	case errors.Is(err, jwt.ErrTokenNotYetValid()), errors.Is(err, jwt.ErrInvalidIssuedAt()):
		return claims{}, dberr.New(dberr.Unauthenticated, "The token is not valid yet.")
	case errors.Is(err, jwt.ErrRequiredClaim()), errors.Is(err, jwt.ErrMissingRequiredClaim("")):
		return claims{}, dberr.New(dberr.Unauthenticated, "The token has no exp claim.")
	default:
		return claims{}, badSignature()
	}
	return readClaims(t)
}

// key gives the algorithm and the key that a token must be signed with.
func (v *verifier) key(ctx context.Context, h jws.Headers) (jwa.SignatureAlgorithm, any, error) {
	switch alg := h.Algorithm(); alg {
	case jwa.HS256:
		return alg, v.secret, nil
	case jwa.RS256, jwa.ES256, jwa.EdDSA:
		if v.keys == nil {
			break
		}
		key, ok := v.keys.find(ctx, keyName{h.KeyID(), alg})
		if !ok {
			return "", nil, dberr.New(dberr.Unauthenticated, "The token is signed with a key that this server does not know.")
		}
		return alg, key, nil
	}
	return "", nil, badSignature()
}

func badSignature() error {
	return dberr.New(dberr.Unauthenticated, "The token's signature or algorithm is not valid.")
}

func readClaims(t jwt.Token) (claims, error) {
	c := claims{expires: t.Expiration()}
	if c.expires.IsZero() {
		return c, dberr.New(dberr.Unauthenticated, "The token has no exp claim.")
	}
	name := t.Subject()
	if v, has := t.Get("user_id"); has {
		s, ok := v.(string)
		if !ok {
			return c, dberr.New(dberr.Unauthenticated, "The token's user_id claim is not a string.")
		}
		name = s
	}
	user, err := ident.ParseUserID(name)
	if err != nil {
		return c, dberr.New(dberr.Unauthenticated, "The token has no user: neither its user_id nor its sub claim is a user id.")
	}
	c.user = user
	if v, has := t.Get("role"); has {
		s, _ := v.(string)
		if c.role, err = ident.ParseRole(s); err != nil {
			return c, dberr.New(dberr.Unauthenticated, "The token's role claim is none of user, service, admin.")
		}
	}
	return c, nil
}

func expired() error {
	return dberr.New(dberr.TokenExpired, "The token has expired.").WithHint("Get a new one and try again.")
}

// Issue makes an HS256 token for a user.
func Issue(c config.Auth, secret []byte, user ident.UserID, role ident.Role, now time.Time, ttl time.Duration) (string, error) {
	b := jwt.NewBuilder().Subject(string(user)).Claim("user_id", string(user)).IssuedAt(now).Expiration(now.Add(ttl))
	if role != "" {
		b = b.Claim("role", string(role))
	}
	if c.Issuer != "" {
		b = b.Issuer(c.Issuer)
	}
	if c.Audience != "" {
		b = b.Audience([]string{c.Audience})
	}
	t, err := b.Build()
	if err != nil {
		return "", fmt.Errorf("build token: %w", err)
	}
	signed, err := jwt.Sign(t, jwt.WithKey(jwa.HS256, secret))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return string(signed), nil
}

// tokenCacheSize is how many checked tokens each half of the cache holds.
const tokenCacheSize = 2048

// tokenCache remembers tokens that were valid, by their hash. It has two
// halves: when the new one is full it becomes the old one, and what was in
// the old one and not asked for since is forgotten.
type tokenCache struct {
	mu       sync.Mutex // guards what follows
	new, old map[[sha256.Size]byte]claims
	cleared  int
}

// generation tells how often the cache was cleared.
func (c *tokenCache) generation() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cleared
}

// clear forgets everything, because the keys have changed.
func (c *tokenCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.new, c.old = nil, nil
	c.cleared++
}

func (c *tokenCache) get(key [sha256.Size]byte) (claims, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.new[key]; ok {
		return v, true
	}
	v, ok := c.old[key]
	if ok {
		c.add(key, v)
	}
	return v, ok
}

// put remembers a token that was checked since a generation began. One that
// was checked with keys that are gone is not.
func (c *tokenCache) put(key [sha256.Size]byte, v claims, generation int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.cleared {
		return
	}
	c.add(key, v)
}

func (c *tokenCache) add(key [sha256.Size]byte, v claims) {
	if len(c.new) >= tokenCacheSize {
		c.old, c.new = c.new, nil
	}
	if c.new == nil {
		c.new = make(map[[sha256.Size]byte]claims)
	}
	c.new[key] = v
}
