package auth

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
)

var (
	secret = []byte("0123456789abcdef0123456789abcdef")
	now    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

type users map[ident.UserID]string

func (u users) UserRole(_ context.Context, id ident.UserID) (string, bool, error) {
	if id == "broken" {
		return "", false, errors.New("disk on fire")
	}
	role, ok := u[id]
	return role, ok, nil
}

func authenticator(t testing.TB, change func(*Options)) *Authenticator {
	o := Options{
		Auth: config.Default().Auth, Secret: secret, Now: func() time.Time { return now },
		Users:  users{"ada": "admin", "eve": "root", "bob": ""},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func sign(t testing.TB, alg jwa.SignatureAlgorithm, key any, claims map[string]any) string {
	tok := jwt.New()
	for k, v := range claims {
		if err := tok.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	b, err := jwt.Sign(tok, jwt.WithKey(alg, key))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func hs(t testing.TB, claims map[string]any) string {
	if _, ok := claims["exp"]; !ok {
		claims["exp"] = now.Add(time.Hour)
	}
	return sign(t, jwa.HS256, secret, claims)
}

func TestToken(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	none := enc([]byte(`{"alg":"none"}`)) + "." + enc([]byte(`{"user_id":"u","exp":99999999999}`)) + "."
	good := hs(t, map[string]any{"user_id": "u"})
	noExp := sign(t, jwa.HS256, secret, map[string]any{"user_id": "u"})
	parts := strings.Split(good, ".")

	cases := []struct {
		name  string
		token string
		actAs string
		want  Principal
		code  dberr.Code
	}{
		{name: "user_id", token: good, want: Principal{User: "u", Role: ident.RoleUser}},
		{name: "sub", token: hs(t, map[string]any{"sub": "auth0|5f"}), want: Principal{User: "auth0|5f", Role: ident.RoleUser}},
		{name: "user_id before sub", token: hs(t, map[string]any{"sub": "s", "user_id": "u"}), want: Principal{User: "u", Role: ident.RoleUser}},
		{name: "role claim", token: hs(t, map[string]any{"sub": "s", "role": "service"}), want: Principal{User: "s", Role: ident.RoleService}},
		{name: "dba is admin", token: hs(t, map[string]any{"sub": "s", "role": "DBA"}), want: Principal{User: "s", Role: ident.RoleAdmin}},
		{name: "registered role", token: hs(t, map[string]any{"sub": "ada"}), want: Principal{User: "ada", Role: ident.RoleAdmin}},
		{name: "claim before registered role", token: hs(t, map[string]any{"sub": "ada", "role": "user"}), want: Principal{User: "ada", Role: ident.RoleUser}},
		{name: "misspelled registered role", token: hs(t, map[string]any{"sub": "eve"}), want: Principal{User: "eve", Role: ident.RoleUser}},
		{name: "service acts for another", token: hs(t, map[string]any{"sub": "s", "role": "service"}), actAs: "u2", want: Principal{User: "u2", Role: ident.RoleService}},
		{name: "user names itself", token: good, actAs: "u", want: Principal{User: "u", Role: ident.RoleUser}},
		{name: "user acts for another", token: good, actAs: "u2", code: dberr.PermissionDenied},
		{name: "bad X-USER-ID", token: hs(t, map[string]any{"sub": "s", "role": "admin"}), actAs: "a\x01", code: dberr.Unauthenticated},
		{name: "no claim grants system", token: hs(t, map[string]any{"sub": "s", "role": "system"}), code: dberr.Unauthenticated},
		{name: "unknown role", token: hs(t, map[string]any{"sub": "s", "role": "root"}), code: dberr.Unauthenticated},
		{name: "role is no string", token: hs(t, map[string]any{"sub": "s", "role": []string{"admin"}}), code: dberr.Unauthenticated},
		{name: "user_id is no string", token: hs(t, map[string]any{"user_id": 7, "sub": "s"}), code: dberr.Unauthenticated},
		{name: "empty user_id", token: hs(t, map[string]any{"user_id": "", "sub": "s"}), code: dberr.Unauthenticated},
		{name: "no user", token: hs(t, map[string]any{}), code: dberr.Unauthenticated},
		{name: "expired", token: hs(t, map[string]any{"sub": "u", "exp": now.Add(-time.Minute)}), code: dberr.TokenExpired},
		{name: "expired within leeway", token: hs(t, map[string]any{"sub": "u", "exp": now.Add(-10 * time.Second)}), want: Principal{User: "u", Role: ident.RoleUser}},
		{name: "not yet valid", token: hs(t, map[string]any{"sub": "u", "nbf": now.Add(time.Hour)}), code: dberr.Unauthenticated},
		{name: "no exp", token: noExp, code: dberr.Unauthenticated},
		{name: "alg none", token: none, code: dberr.Unauthenticated},
		{name: "HS512 with the same key", token: sign(t, jwa.HS512, secret, map[string]any{"sub": "u", "exp": now.Add(time.Hour)}), code: dberr.Unauthenticated},
		{name: "RS256", token: sign(t, jwa.RS256, rsaKey, map[string]any{"sub": "u", "exp": now.Add(time.Hour)}), code: dberr.Unauthenticated},
		{name: "another secret", token: sign(t, jwa.HS256, []byte(strings.Repeat("x", 32)), map[string]any{"sub": "u", "exp": now.Add(time.Hour)}), code: dberr.Unauthenticated},
		{name: "changed claims", token: parts[0] + "." + enc([]byte(`{"user_id":"ada","exp":99999999999}`)) + "." + parts[2], code: dberr.Unauthenticated},
		{name: "cut off signature", token: parts[0] + "." + parts[1] + ".", code: dberr.Unauthenticated},
		{name: "garbage", token: "a.b.c", code: dberr.Unauthenticated},
		{name: "empty", token: "", code: dberr.Unauthenticated},
		{name: "JSON serialisation", token: `{"payload":"","signatures":[]}`, code: dberr.Unauthenticated},
		{name: "huge", token: strings.Repeat("a", maxTokenLen+1), code: dberr.Unauthenticated},
	}
	a := authenticator(t, nil)
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			for _, pass := range []string{"cold", "cached"} {
				p, err := a.Token(t.Context(), "192.0.2.9", tc.token, tc.actAs)
				if dberr.CodeOf(err) != tc.code {
					t.Fatalf("%s: %v, want %q", pass, err, tc.code)
				}
				if err != nil {
					if tc.token != "" && len(tc.token) < 1000 && strings.Contains(err.Error(), tc.token) {
						t.Fatal("the token is in the message")
					}
					continue
				}
				if !p.ExplicitUser || p.Bypass || p.Expires.IsZero() {
					t.Errorf("%s: %+v", pass, p)
				}
				if p.User != tc.want.User || p.Role != tc.want.Role {
					t.Errorf("%s: %+v, want %+v", pass, p, tc.want)
				}
			}
		})
	}
}

func TestCachedTokenExpires(t *testing.T) {
	clock := now
	a := authenticator(t, func(o *Options) { o.Now = func() time.Time { return clock } })
	token := hs(t, map[string]any{"sub": "u", "exp": now.Add(time.Minute)})
	if _, err := a.Token(t.Context(), "192.0.2.9", token, ""); err != nil {
		t.Fatal(err)
	}
	clock = now.Add(2 * time.Minute)
	if _, err := a.Token(t.Context(), "192.0.2.9", token, ""); dberr.CodeOf(err) != dberr.TokenExpired {
		t.Fatal(err)
	}
}

func TestTokenCacheForgets(t *testing.T) {
	var c tokenCache
	for i := range 5 * tokenCacheSize {
		var key [32]byte
		key[0], key[1], key[2] = byte(i), byte(i>>8), byte(i>>16)
		c.put(key, claims{}, 0)
		if len(c.new)+len(c.old) > 2*tokenCacheSize {
			t.Fatal("the cache grows without a bound")
		}
	}
}

func TestIssuerAndAudience(t *testing.T) {
	a := authenticator(t, func(o *Options) { o.Auth.Issuer, o.Auth.Audience = "https://id.example", "kalam" })
	for _, tc := range []struct {
		claims map[string]any
		code   dberr.Code
	}{
		{map[string]any{"sub": "u", "iss": "https://id.example", "aud": "kalam"}, ""},
		{map[string]any{"sub": "u", "iss": "https://id.example", "aud": []string{"x", "kalam"}}, ""},
		{map[string]any{"sub": "u", "iss": "https://evil.example", "aud": "kalam"}, dberr.Unauthenticated},
		{map[string]any{"sub": "u", "iss": "https://id.example", "aud": "other"}, dberr.Unauthenticated},
		{map[string]any{"sub": "u"}, dberr.Unauthenticated},
	} {
		if _, err := a.Token(t.Context(), "192.0.2.9", hs(t, tc.claims), ""); dberr.CodeOf(err) != tc.code {
			t.Errorf("%v: %v", tc.claims, err)
		}
	}
}

func TestIssuedTokenIsTaken(t *testing.T) {
	cfg := config.Default().Auth
	cfg.Issuer, cfg.Audience = "me", "you"
	token, err := Issue(cfg, secret, "u", ident.RoleAdmin, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a := authenticator(t, func(o *Options) { o.Auth = cfg })
	p, err := a.Token(t.Context(), "192.0.2.9", token, "")
	if err != nil || p.User != "u" || p.Role != ident.RoleAdmin || !p.Expires.Equal(now.Add(time.Hour+cfg.Leeway.Std())) {
		t.Fatalf("%+v %v", p, err)
	}
}

func TestRequireRegisteredUser(t *testing.T) {
	a := authenticator(t, func(o *Options) { o.Auth.RequireRegisteredUser = true })
	if _, err := a.Token(t.Context(), "192.0.2.9", hs(t, map[string]any{"sub": "stranger", "role": "admin"}), ""); dberr.CodeOf(err) != dberr.Unauthenticated {
		t.Error(err)
	}
	if p, err := a.Token(t.Context(), "192.0.2.9", hs(t, map[string]any{"sub": "bob"}), ""); err != nil || p.Role != ident.RoleUser {
		t.Error(p, err)
	}
	if _, err := a.Token(t.Context(), "192.0.2.9", hs(t, map[string]any{"sub": "broken"}), ""); dberr.CodeOf(err) != dberr.Internal {
		t.Error("a fault of ours must not look like a refusal:", err)
	}
}

func TestRequest(t *testing.T) {
	token := hs(t, map[string]any{"sub": "u"})
	admin := hs(t, map[string]any{"sub": "boss", "role": "admin"})
	old := hs(t, map[string]any{"sub": "u", "exp": now.Add(-time.Hour)})
	const local, remote = "127.0.0.1:5000", "192.0.2.7:5000"
	none := dberr.Unauthenticated

	cases := []struct {
		name    string
		peer    string
		host    string
		headers []string // name, value, …
		user    ident.UserID
		role    ident.Role
		code    dberr.Code
	}{
		{"local without anything", local, "localhost:8080", nil, "system", ident.RoleAdmin, ""},
		{"local over IPv6", "[::1]:5000", "[::1]:8080", nil, "system", ident.RoleAdmin, ""},
		{"local over mapped IPv4", "[::ffff:127.0.0.1]:5000", "127.0.0.1:8080", nil, "system", ident.RoleAdmin, ""},
		{"local with another loopback address", "127.8.0.1:1", "127.0.0.2", nil, "system", ident.RoleAdmin, ""},
		{"local as a user", local, "localhost", []string{"X-USER-ID", "ann"}, "ann", ident.RoleAdmin, ""},
		{"local as a bad user", local, "localhost", []string{"X-USER-ID", "a\x02"}, "", "", none},
		{"local with a token", local, "localhost", []string{"Authorization", "Bearer " + token}, "u", ident.RoleUser, ""},
		{"local with an expired token", local, "localhost", []string{"Authorization", "Bearer " + old}, "", "", dberr.TokenExpired},
		{"local with a bad scheme", local, "localhost", []string{"Authorization", "Basic abc"}, "", "", none},
		{"local with an empty bearer", local, "localhost", []string{"Authorization", "Bearer "}, "", "", none},
		{"local with an API key", local, "localhost", []string{"X-API-KEY", "k"}, "", "", none},
		{"local with an empty API key", local, "localhost", []string{"X-API-KEY", ""}, "", "", none},
		{"two tokens", local, "localhost", []string{"Authorization", "Bearer " + token, "Authorization", "Bearer " + admin}, "", "", none},
		{"two users", local, "localhost", []string{"X-USER-ID", "a", "X-USER-ID", "b"}, "", "", none},
		{"remote without anything", remote, "db.example:8080", nil, "", "", none},
		{"remote that claims localhost", remote, "localhost", nil, "", "", none},
		{"remote with X-Forwarded-For localhost", remote, "localhost", []string{"X-Forwarded-For", "127.0.0.1"}, "", "", none},
		{"remote with a token", remote, "db.example", []string{"Authorization", "bearer " + token}, "u", ident.RoleUser, ""},
		{"remote user for another", remote, "db.example", []string{"Authorization", "Bearer " + token, "X-USER-ID", "v"}, "", "", dberr.PermissionDenied},
		{"remote admin for another", remote, "db.example", []string{"Authorization", "Bearer " + admin, "X-USER-ID", "v"}, "v", ident.RoleAdmin, ""},
		{"proxy X-Forwarded-For", local, "localhost", []string{"X-Forwarded-For", "192.0.2.7"}, "", "", none},
		{"proxy empty X-Forwarded-For", local, "localhost", []string{"X-Forwarded-For", ""}, "", "", none},
		{"proxy Forwarded", local, "localhost", []string{"Forwarded", "for=192.0.2.7"}, "", "", none},
		{"proxy X-Real-IP", local, "localhost", []string{"X-Real-IP", "192.0.2.7"}, "", "", none},
		{"proxy Via", local, "localhost", []string{"Via", "1.1 x"}, "", "", none},
		{"proxied with a token", local, "db.example", []string{"X-Forwarded-For", "192.0.2.7", "Authorization", "Bearer " + token}, "u", ident.RoleUser, ""},
		{"DNS rebinding", local, "evil.example:8080", nil, "", "", none},
		{"host that begins like localhost", local, "localhost.evil.example", nil, "", "", none},
		{"host that begins like an address", local, "127.0.0.1.evil.example", nil, "", "", none},
		{"no host", local, "", nil, "", "", none},
		{"private address as host", local, "10.0.0.1", nil, "", "", none},
		{"same origin", local, "localhost:8080", []string{"Origin", "http://localhost:8080"}, "system", ident.RoleAdmin, ""},
		{"same origin in other letters", local, "LOCALHOST:8080", []string{"Origin", "http://localhost:8080"}, "system", ident.RoleAdmin, ""},
		{"another port of this machine", local, "localhost:8080", []string{"Origin", "http://localhost:3000"}, "", "", none},
		{"allowed origin", local, "localhost:8080", []string{"Origin", "http://localhost:5173"}, "system", ident.RoleAdmin, ""},
		{"foreign origin", local, "localhost:8080", []string{"Origin", "https://evil.example"}, "", "", none},
		{"null origin", local, "localhost:8080", []string{"Origin", "null"}, "", "", none},
		{"empty origin", local, "localhost:8080", []string{"Origin", ""}, "", "", none},
		{"rebound same origin", local, "evil.example:8080", []string{"Origin", "http://evil.example:8080"}, "", "", none},
		{"two origins", local, "localhost:8080", []string{"Origin", "http://localhost:8080", "Origin", "https://evil.example"}, "", "", none},
		{"cross-site without origin", local, "localhost:8080", []string{"Sec-Fetch-Site", "cross-site"}, "", "", none},
		{"foreign origin with a token", local, "localhost:8080", []string{"Origin", "https://evil.example", "Authorization", "Bearer " + token}, "u", ident.RoleUser, ""},
	}
	a := authenticator(t, func(o *Options) { o.AllowedOrigins = []string{"http://localhost:5173", "*"} })
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/v1/api/sql", nil)
			r.RemoteAddr, r.Host = tc.peer, tc.host
			for i := 0; i < len(tc.headers); i += 2 {
				r.Header.Add(tc.headers[i], tc.headers[i+1])
			}
			p, err := a.Request(r)
			if dberr.CodeOf(err) != tc.code || p.User != tc.user || p.Role != tc.role {
				t.Fatalf("%+v, %v", p, err)
			}
		})
	}
	off := authenticator(t, func(o *Options) { o.Auth.LocalhostBypass = false })
	r := httptest.NewRequest(http.MethodPost, "/v1/api/sql", nil)
	r.RemoteAddr, r.Host = local, "localhost"
	if _, err := off.Request(r); !errors.Is(err, ErrNoCredentials) {
		t.Error("the bypass is off:", err)
	}
}

func BenchmarkTokenCached(b *testing.B) {
	a := authenticator(b, nil)
	r := httptest.NewRequest(http.MethodPost, "/v1/api/sql", nil)
	r.Header.Set("Authorization", "Bearer "+hs(b, map[string]any{"sub": "u", "role": "user"}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Request(r); err != nil {
			b.Fatal(err)
		}
	}
}
