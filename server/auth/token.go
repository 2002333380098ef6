package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
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
	expires time.Time
}

// verifier checks HS256 tokens. The algorithm is pinned: a token's own "alg"
// chooses nothing, so that neither "none" nor a public key used as a secret
// gets through.
type verifier struct {
	secret   []byte
	issuer   string
	audience string
	leeway   time.Duration
	now      func() time.Time
	cache    tokenCache
}

func newVerifier(c config.Auth, secret []byte, now func() time.Time) (*verifier, error) {
	if len(secret) < config.MinSecretLen {
		return nil, fmt.Errorf("the token secret has %d bytes, at least %d are needed", len(secret), config.MinSecretLen)
	}
	if now == nil {
		now = time.Now
	}
	return &verifier{secret: secret, issuer: c.Issuer, audience: c.Audience, leeway: c.Leeway.Std(), now: now}, nil
}

// verify checks a token's signature and claims.
func (v *verifier) verify(token string) (claims, error) {
	if len(token) > maxTokenLen {
		return claims{}, dberr.New(dberr.Unauthenticated, "The token is too long.")
	}
	key := sha256.Sum256([]byte(token))
	if c, ok := v.cache.get(key); ok {
		if v.now().After(c.expires.Add(v.leeway)) {
			return claims{}, expired()
		}
		return c, nil
	}
	c, err := v.check([]byte(token))
	if err == nil {
		v.cache.put(key, c)
	}
	return c, err
}

func (v *verifier) check(token []byte) (claims, error) {
	// Critical headers that nobody here understands make a token invalid
	// (RFC 7515, section 4.1.11).
	msg, err := jws.Parse(token, jws.WithCompact())
	if err != nil || len(msg.Signatures()) != 1 || len(msg.Signatures()[0].ProtectedHeaders().Critical()) > 0 {
		return claims{}, dberr.New(dberr.Unauthenticated, "The token is not a signed JWT.")
	}
	opts := []jwt.ParseOption{
		jwt.WithKey(jwa.HS256, v.secret), jwt.WithValidate(true), jwt.WithAcceptableSkew(v.leeway),
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
		return claims{}, dberr.New(dberr.Unauthenticated, "The token's signature or algorithm is not valid.")
	}
	return readClaims(t)
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
	mu       sync.Mutex // guards both maps
	new, old map[[sha256.Size]byte]claims
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

func (c *tokenCache) put(key [sha256.Size]byte, v claims) {
	c.mu.Lock()
	defer c.mu.Unlock()
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
