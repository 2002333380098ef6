package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"
	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKeys are made once: RSA keys take their time.
var testKeys = sync.OnceValue(func() (k struct {
	rsa, rsaOther *rsa.PrivateKey
	ec, ecLarge   *ecdsa.PrivateKey
	ed            ed25519.PrivateKey
}) {
	var err error
	must := func() {
		if err != nil {
			panic(err)
		}
	}
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must()
	k.rsaOther, err = rsa.GenerateKey(rand.Reader, 2048)
	must()
	k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must()
	k.ecLarge, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must()
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	must()
	return k
})

// public makes a JWK of a private key's public half.
func public(t testing.TB, private any, kid string, more ...string) jwk.Key {
	t.Helper()
	k, err := jwk.FromRaw(private)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := k.PublicKey(); err == nil && k.KeyType() != jwa.OctetSeq {
		k = p
	}
	if kid != "" {
		more = append(more, "kid", kid)
	}
	for i := 0; i < len(more); i += 2 {
		if err := k.Set(more[i], more[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func setOf(t testing.TB, keys ...jwk.Key) []byte {
	t.Helper()
	s := jwk.NewSet()
	for _, k := range keys {
		if err := s.AddKey(k); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signed makes a token with headers: name, value, …
func signed(t testing.TB, alg jwa.SignatureAlgorithm, key any, headers ...string) string {
	t.Helper()
	h := jws.NewHeaders()
	for i := 0; i < len(headers); i += 2 {
		if err := h.Set(headers[i], headers[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := jwt.NewBuilder().Subject("u").Expiration(now.Add(time.Hour)).Build()
	if err != nil {
		t.Fatal(err)
	}
	b, err := jwt.Sign(tok, jwt.WithKey(alg, key, jws.WithProtectedHeaders(h)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKeySetTokens(t *testing.T) {
	k := testKeys()
	file := filepath.Join(t.TempDir(), "keys.json")
	set := setOf(t,
		public(t, k.rsa, "rsa", "alg", "RS256", "use", "sig"), public(t, k.ec, "ec"), public(t, k.ed, "ed"),
		public(t, secret, "oct"), public(t, k.ecLarge, "large"), public(t, k.rsaOther, "enc", "use", "enc"),
		public(t, k.rsaOther, "ps", "alg", "PS256"))
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	a := authenticator(t, func(o *Options) {
		o.Auth.JWKSFile = file
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	for _, left := range []string{"oct", "large", "enc", "ps"} {
		if !strings.Contains(log.String(), "kid="+left) {
			t.Errorf("the log does not say that key %s is left out: %s", left, log.String())
		}
	}
	der, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwkText, err := json.Marshal(public(t, k.rsa, "rsa", "alg", "RS256", "use", "sig"))
	if err != nil {
		t.Fatal(err)
	}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("a token's own key address was visited")
		w.Write(setOf(t, public(t, k.rsaOther, "evil")))
	}))
	defer evil.Close()
	enc := base64.RawURLEncoding.EncodeToString
	none := func(header string) string {
		return enc([]byte(header)) + "." + enc([]byte(`{"sub":"u","exp":99999999999}`)) + "."
	}

	for _, tc := range []struct {
		name, token string
		good        bool
	}{
		{"RS256", signed(t, jwa.RS256, k.rsa, "kid", "rsa"), true},
		{"ES256", signed(t, jwa.ES256, k.ec, "kid", "ec"), true},
		{"EdDSA", signed(t, jwa.EdDSA, k.ed, "kid", "ed"), true},
		{"the server's own secret", signed(t, jwa.HS256, secret), true},
		{"the secret whatever the kid", signed(t, jwa.HS256, secret, "kid", "rsa"), true},
		{"no kid, one key of the algorithm", signed(t, jwa.ES256, k.ec), true},
		{"another key under a known kid", signed(t, jwa.RS256, k.rsaOther, "kid", "rsa"), false},
		{"unknown kid", signed(t, jwa.RS256, k.rsa, "kid", "other"), false},
		{"kid of a key of another kind", signed(t, jwa.ES256, k.ec, "kid", "rsa"), false},
		{"kid that is a path", signed(t, jwa.HS256, []byte{0}, "kid", "../../../../dev/null"), false},
		{"kid that is SQL", signed(t, jwa.HS256, []byte("x"), "kid", "x' UNION SELECT 'x"), false},
		{"RS384", signed(t, jwa.RS384, k.rsa, "kid", "rsa"), false},
		{"PS256 with an RS256 key", signed(t, jwa.PS256, k.rsa, "kid", "rsa"), false},
		{"a key that is for encryption", signed(t, jwa.RS256, k.rsaOther, "kid", "enc"), false},
		{"a key on another curve", signed(t, jwa.ES384, k.ecLarge, "kid", "large"), false},
		{"public key as secret, PEM", signed(t, jwa.HS256, asPEM, "kid", "rsa"), false},
		{"public key as secret, DER", signed(t, jwa.HS256, der, "kid", "rsa"), false},
		{"public key as secret, JWK", signed(t, jwa.HS256, jwkText, "kid", "rsa"), false},
		{"public key as secret, modulus", signed(t, jwa.HS256, k.rsa.N.Bytes(), "kid", "rsa"), false},
		{"own key set address", signed(t, jwa.RS256, k.rsaOther, "kid", "evil", "jku", evil.URL), false},
		{"own certificate address", signed(t, jwa.RS256, k.rsaOther, "kid", "rsa", "x5u", evil.URL), false},
		{"none", none(`{"alg":"none","kid":"rsa"}`), false},
		{"None", none(`{"alg":"None"}`), false},
		{"no algorithm", none(`{"kid":"rsa"}`), false},
		{"empty algorithm", none(`{"alg":""}`), false},
		{"algorithm that is no text", none(`{"alg":["HS256"]}`), false},
		{"critical header", signed(t, jwa.RS256, k.rsa, "kid", "rsa"), true}, // the base of the next
		{"critical header nobody knows", critical(t, k.rsa), false},
	} {
		for _, pass := range []string{"cold", "cached"} {
			p, err := a.Token(t.Context(), "192.0.2."+pass+tc.name, tc.token, "")
			if tc.good && (err != nil || p.User != "u") || !tc.good && dberr.CodeOf(err) != dberr.Unauthenticated {
				t.Errorf("%s, %s: %+v %v", tc.name, pass, p, err)
			}
		}
	}
}

func critical(t testing.TB, key *rsa.PrivateKey) string {
	h := jws.NewHeaders()
	for name, v := range map[string]any{"kid": "rsa", "crit": []string{"exp-policy"}, "exp-policy": "x"} {
		if err := h.Set(name, v); err != nil {
			t.Fatal(err)
		}
	}
	b, err := jws.Sign([]byte(`{"sub":"u","exp":99999999999}`), jws.WithKey(jwa.RS256, key, jws.WithProtectedHeaders(h)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// provider is an identity provider's key set.
type provider struct {
	*httptest.Server
	set    atomic.Pointer[[]byte]
	status atomic.Int64
	asked  atomic.Int64
}

func newProvider(t testing.TB, set []byte) *provider {
	p := &provider{}
	p.set.Store(&set)
	p.status.Store(http.StatusOK)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		w.WriteHeader(int(p.status.Load()))
		w.Write(*p.set.Load())
	}))
	t.Cleanup(p.Close)
	return p
}

// clock may be set while others read it.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return now.Add(time.Duration(c.at.Load())) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func TestKeySetRotation(t *testing.T) {
	k := testKeys()
	p := newProvider(t, setOf(t, public(t, k.rsa, "1")))
	var c clock
	a := authenticator(t, func(o *Options) { o.Auth.JWKSURL, o.Now = p.URL, c.now })
	old, fresh := signed(t, jwa.RS256, k.rsa, "kid", "1"), signed(t, jwa.RS256, k.rsaOther, "kid", "2")
	try := func(token string, want dberr.Code, asked int64) {
		t.Helper()
		if _, err := a.Token(t.Context(), "192.0.2.1", token, ""); dberr.CodeOf(err) != want {
			t.Errorf("got %v, want %q", err, want)
		}
		if n := p.asked.Load(); n != asked {
			t.Errorf("the provider was asked %d times, want %d", n, asked)
		}
	}
	try(old, "", 1)
	try(fresh, dberr.Unauthenticated, 2) // looked for, not there yet

	// Both keys are published: found as soon as it may be looked for again.
	both := setOf(t, public(t, k.rsa, "1"), public(t, k.rsaOther, "2"))
	p.set.Store(&both)
	try(fresh, dberr.Unauthenticated, 2)
	c.advance(retryInterval)
	try(fresh, "", 3)
	try(old, "", 3)

	// Any number of unknown kids costs one fetch in an interval.
	c.advance(retryInterval)
	for range 20 {
		try(signed(t, jwa.RS256, k.rsa, "kid", "3"), dberr.Unauthenticated, 4)
	}

	// The old key is withdrawn: tokens of it end with the next refresh, though
	// they were found to be valid before.
	only := setOf(t, public(t, k.rsaOther, "2"))
	p.set.Store(&only)
	try(old, "", 4)
	c.advance(16 * time.Minute)
	rules := a.rules.Load()
	if _, ok := rules.tokens.keys.find(t.Context(), keyName{"2", jwa.RS256}); !ok {
		t.Error("a stale key set is not used while it is fetched")
	}
	rules.tokens.keys.wg.Wait()
	try(old, dberr.Unauthenticated, 5)

	// The provider goes down: what is known stays.
	p.status.Store(http.StatusBadGateway)
	c.advance(20 * time.Minute)
	if _, ok := rules.tokens.keys.find(t.Context(), keyName{"2", jwa.RS256}); !ok {
		t.Error("the keys are gone with the provider")
	}
	rules.tokens.keys.wg.Wait()
	if _, ok := rules.tokens.keys.find(t.Context(), keyName{"2", jwa.RS256}); !ok {
		t.Error("the keys are gone with the provider")
	}
}

func TestKeySetURLMayComeLater(t *testing.T) {
	k := testKeys()
	p := newProvider(t, []byte("not yet"))
	p.status.Store(http.StatusServiceUnavailable)
	var c clock
	a := authenticator(t, func(o *Options) { o.Auth.JWKSURL, o.Now = p.URL, c.now })
	token := signed(t, jwa.RS256, k.rsa, "kid", "1")
	if _, err := a.Token(t.Context(), "192.0.2.1", token, ""); dberr.CodeOf(err) != dberr.Unauthenticated {
		t.Error(err)
	}
	set := setOf(t, public(t, k.rsa, "1"))
	p.set.Store(&set)
	p.status.Store(http.StatusOK)
	c.advance(retryInterval)
	if _, err := a.Token(t.Context(), "192.0.2.1", token, ""); err != nil {
		t.Error(err)
	}
}

func TestBadKeySets(t *testing.T) {
	k := testKeys()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this toolchain makes no short keys:", err)
	}
	many := make([]jwk.Key, 0, maxKeys+1)
	for i := range maxKeys + 1 {
		many = append(many, public(t, k.ed, strings.Repeat("k", i+1)))
	}
	for name, set := range map[string][]byte{
		"no JSON":         []byte("keys"),
		"empty":           []byte(`{"keys":[]}`),
		"nothing usable":  setOf(t, public(t, secret, "oct"), public(t, short, "short")),
		"too many":        setOf(t, many...),
		"too large":       append([]byte(`{"keys":[`), bytes.Repeat([]byte(" "), maxKeySet)...),
		"a key id twice":  []byte(`{"keys":[` + keyJSON(t, k.rsa, "1") + `,` + keyJSON(t, k.rsaOther, "1") + `]}`),
		"damaged numbers": []byte(`{"keys":[{"kty":"RSA","kid":"1","n":"!!","e":"AQAB"}]}`),
	} {
		file := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(file, set, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := config.Default().Auth
		cfg.JWKSFile = file
		if _, err := New(Options{Auth: cfg, Secret: secret, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "auth.jwks_file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func keyJSON(t testing.TB, key any, kid string) string {
	b, err := json.Marshal(public(t, key, kid))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReload(t *testing.T) {
	k := testKeys()
	cfg := config.Default().Auth
	a := authenticator(t, nil)
	old := hs(t, map[string]any{"sub": "u"})
	if _, err := a.Token(t.Context(), "192.0.2.1", old, ""); err != nil {
		t.Fatal(err)
	}
	cfg.JWKSFile = filepath.Join(t.TempDir(), "keys.json")
	if err := a.Reload(t.Context(), cfg, secret); err == nil {
		t.Fatal("a key set that is not there was taken")
	}
	if _, err := a.Token(t.Context(), "192.0.2.1", old, ""); err != nil {
		t.Error("a failed reload changed something:", err)
	}
	if err := os.WriteFile(cfg.JWKSFile, setOf(t, public(t, k.ec, "1")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(t.Context(), cfg, []byte(strings.Repeat("n", 32))); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Token(t.Context(), "192.0.2.1", old, ""); dberr.CodeOf(err) != dberr.Unauthenticated {
		t.Error("a token of the old secret:", err)
	}
	if _, err := a.Token(t.Context(), "192.0.2.1", signed(t, jwa.ES256, k.ec, "kid", "1"), ""); err != nil {
		t.Error(err)
	}
}

// apiKeys is a set of keys: text and user.
type apiKeys map[string]ident.UserID

func (k apiKeys) UseAPIKey(key string) (ident.APIKeyID, ident.UserID, bool) {
	u, ok := k[key]
	return ident.APIKeyID(key), u, ok
}
func (k apiKeys) HasAPIKey(id ident.APIKeyID) bool { return k[string(id)] != "" }

func TestAPIKeyRequests(t *testing.T) {
	keys := apiKeys{"kalam_1": "ada", "kalam_2": "stranger", "kalam_3": "svc"}
	a := authenticator(t, func(o *Options) {
		o.APIKeys = keys
		o.Users = users{"ada": "admin", "svc": "service"}
	})
	strict := authenticator(t, func(o *Options) {
		o.APIKeys, o.Auth.RequireRegisteredUser = keys, true
		o.Users = users{"ada": "admin", "svc": "service"}
	})
	for _, tc := range []struct {
		name    string
		headers []string
		user    ident.UserID
		role    ident.Role
		code    dberr.Code
		strict  dberr.Code
	}{
		{"role from system.users", []string{"X-API-KEY", "kalam_1"}, "ada", ident.RoleAdmin, "", ""},
		{"user that is not registered", []string{"X-API-KEY", "kalam_2"}, "stranger", ident.RoleUser, "", dberr.Unauthenticated},
		{"as a bearer", []string{"Authorization", "Bearer kalam_1"}, "ada", ident.RoleAdmin, "", ""},
		{"acting for another", []string{"X-API-KEY", "kalam_3", "X-USER-ID", "bob"}, "bob", ident.RoleService, "", ""},
		{"user acting for another", []string{"X-API-KEY", "kalam_2", "X-USER-ID", "bob"}, "", "", dberr.PermissionDenied, dberr.Unauthenticated},
		{"unknown", []string{"X-API-KEY", "kalam_9"}, "", "", dberr.Unauthenticated, dberr.Unauthenticated},
		{"empty", []string{"X-API-KEY", ""}, "", "", dberr.Unauthenticated, dberr.Unauthenticated},
		{"two keys", []string{"X-API-KEY", "kalam_1", "X-API-KEY", "kalam_2"}, "", "", dberr.Unauthenticated, dberr.Unauthenticated},
		{"key and token", []string{"X-API-KEY", "kalam_1", "Authorization", "Bearer x"}, "", "", dberr.Unauthenticated, dberr.Unauthenticated},
		{"in other letters", []string{"x-aPi-kEy", "kalam_1"}, "ada", ident.RoleAdmin, "", ""},
	} {
		for _, b := range []struct {
			a    *Authenticator
			code dberr.Code
		}{{a, tc.code}, {strict, tc.strict}} {
			r := httptest.NewRequest(http.MethodPost, "/v1/api/sql", nil)
			for i := 0; i < len(tc.headers); i += 2 {
				r.Header.Add(tc.headers[i], tc.headers[i+1])
			}
			p, err := b.a.Request(r)
			if dberr.CodeOf(err) != b.code {
				t.Errorf("%s: %v, want %q", tc.name, err, b.code)
				continue
			}
			if err != nil {
				if strings.Contains(err.Error(), "kalam_") {
					t.Errorf("%s: the key is in the message: %v", tc.name, err)
				}
				continue
			}
			if p.User != tc.user || p.Role != tc.role || !p.ExplicitUser || p.KeyID == "" || !b.a.Valid(p) {
				t.Errorf("%s: %+v", tc.name, p)
			}
		}
	}
	p, err := a.Token(t.Context(), "192.0.2.1", "kalam_3", "")
	if err != nil || p.User != "svc" {
		t.Error(p, err)
	}
	delete(keys, "kalam_3")
	if a.Valid(p) {
		t.Error("a dropped key is still valid")
	}
}

func TestFailuresAreLimited(t *testing.T) {
	var log bytes.Buffer
	keys := apiKeys{"kalam_1": "ada"}
	a := authenticator(t, func(o *Options) {
		o.Auth.MaxFailures, o.APIKeys = 5, keys
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	known, fresh := hs(t, map[string]any{"sub": "u"}), hs(t, map[string]any{"sub": "v"})
	send := func(peer string, headers ...string) dberr.Code {
		r := httptest.NewRequest(http.MethodPost, "/v1/api/sql", nil)
		r.RemoteAddr = peer
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		_, err := a.Request(r)
		return dberr.CodeOf(err)
	}
	const bad, other = "192.0.2.1:1000", "192.0.2.2:1000"
	if c := send(bad, "Authorization", "Bearer "+known); c != "" {
		t.Fatal(c)
	}
	for range 20 { // no attempt: nothing was presented
		send(bad)
	}
	for range 20 { // was good once
		send(bad, "Authorization", "Bearer "+hs(t, map[string]any{"sub": "u", "exp": now.Add(-time.Hour)}))
	}
	for i := range 5 {
		if c := send(bad, "Authorization", "Bearer canary-guess"); c != dberr.Unauthenticated {
			t.Fatal(i, c)
		}
	}
	for _, tc := range []struct {
		what, peer string
		headers    []string
		want       dberr.Code
	}{
		{"the next guess", bad, []string{"Authorization", "Bearer canary-guess"}, dberr.RateLimited},
		{"a good token that was not seen before", bad, []string{"Authorization", "Bearer " + fresh}, dberr.RateLimited},
		{"a wrong API key", bad, []string{"X-API-KEY", "kalam_9"}, dberr.RateLimited},
		{"a token that is known", bad, []string{"Authorization", "Bearer " + known}, ""},
		{"a good API key", bad, []string{"X-API-KEY", "kalam_1"}, ""},
		{"another port of the address", "192.0.2.1:2000", []string{"Authorization", "Bearer canary-guess"}, dberr.RateLimited},
		{"another address", other, []string{"Authorization", "Bearer " + fresh}, ""},
	} {
		if c := send(tc.peer, tc.headers...); c != tc.want {
			t.Errorf("%s: %q, want %q", tc.what, c, tc.want)
		}
	}
	if strings.Contains(log.String(), "canary-guess") || strings.Count(log.String(), "too many failed") != 1 {
		t.Error(log.String())
	}
}

func TestAddress(t *testing.T) {
	p, err := NewProxies([]string{"10.0.0.0/8", "::1", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		peer string
		xff  []string
		want string
	}{
		{"192.0.2.1:5", nil, "192.0.2.1"},
		{"192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1"}, // nobody we know says so
		{"[::ffff:192.0.2.1]:5", nil, "192.0.2.1"},
		{"10.1.1.1:5", nil, "10.1.1.1"},
		{"10.1.1.1:5", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.1.1.1:5", []string{"1.1.1.1, 198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		{"10.1.1.1:5", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		{"10.1.1.1:5", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"10.1.1.1:5", []string{"198.51.100.1, nonsense"}, "10.1.1.1"},
		{"10.1.1.1:5", []string{"10.3.3.3"}, "10.3.3.3"},
		{"[::1]:5", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"},
		{"[2001:db8:1:2:ffff::1]:5", nil, "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:5", nil, "fe80::/64"},
		{"pipe", nil, "pipe"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tc.peer
		if tc.xff != nil {
			r.Header["X-Forwarded-For"] = tc.xff
		}
		if got := p.Address(r); got != tc.want {
			t.Errorf("%s %v: %s, want %s", tc.peer, tc.xff, got, tc.want)
		}
	}
	if _, err := NewProxies([]string{"x"}); err == nil {
		t.Error("x is no network")
	}
}

func BenchmarkAPIKey(b *testing.B) {
	a := authenticator(b, func(o *Options) { o.APIKeys = apiKeys{"kalam_1": "ada"} })
	r := httptest.NewRequest(http.MethodPost, "/v1/api/sql", nil)
	r.Header.Set("X-API-KEY", "kalam_1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Request(r); err != nil {
			b.Fatal(err)
		}
	}
}
