package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/kalamdb/kalamdb/commons/config"
)

const (
	// fetchTimeout bounds one fetch of keys.
	fetchTimeout = 5 * time.Second
	// retryInterval is the least time between two fetches, however many tokens
	// name keys that are not known.
	retryInterval = 10 * time.Second
	// maxKeySet is the largest key set that is read, in bytes.
	maxKeySet = 1 << 20
	// maxKeys is how many keys of it are kept.
	maxKeys = 128
	// minRSABits is the shortest RSA key that is taken (RFC 7518, section 3.3).
	minRSABits = 2048
)

// keyName is how a token names a key: by its id, and by the algorithm that it
// says it is signed with. As every key has one algorithm, a token cannot choose
// how a key is used.
type keyName struct {
	kid string
	alg jwa.SignatureAlgorithm
}

// keySet has the public keys of a JWKS file or URL.
//
// Keys are fetched again when they are older than the refresh interval, in the
// background, and when a token names one that is not known, while that token
// waits. There is one fetch at a time, and none sooner than retryInterval after
// the last. When a fetch fails the keys that are there stay in use: an identity
// provider that is down must not take the database with it.
type keySet struct {
	file, url string
	refresh   time.Duration
	client    *http.Client
	log       *slog.Logger
	now       func() time.Time
	// changed is called when the keys have changed.
	changed func()

	ctx    context.Context // of fetches
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	keys    map[keyName]any
	raw     []byte        // what keys was read from
	fetched time.Time     // when it was read
	tried   time.Time     // when the last fetch began
	flight  chan struct{} // closed at the end of the fetch under way; nil: none
	closed  bool          // nothing is fetched any more
}

// newKeySet gives the key set of a configuration; nil when it has none. Nothing
// is fetched yet.
func newKeySet(c config.Auth, log *slog.Logger, now func() time.Time, changed func()) *keySet {
	if c.JWKSFile == "" && c.JWKSURL == "" {
		return nil
	}
	s := &keySet{file: c.JWKSFile, url: c.JWKSURL, log: log, now: now, changed: changed}
	if s.url != "" {
		s.refresh = c.JWKSRefresh.Std()
		s.client = &http.Client{
			Timeout:   fetchTimeout,
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSHandshakeTimeout: fetchTimeout},
			CheckRedirect: func(r *http.Request, via []*http.Request) error {
				if len(via) > 3 || via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
					return errors.New("the redirect is not followed")
				}
				return nil
			},
		}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// close ends a fetch that is under way.
func (s *keySet) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// find gives the key of a name; a token without a key id may use the only key
// of its algorithm.
func (s *keySet) find(ctx context.Context, name keyName) (key any, ok bool) {
	s.mu.Lock()
	key, ok = s.get(name)
	now := s.now()
	stale := s.refresh > 0 && now.Sub(s.fetched) >= s.refresh
	if s.flight == nil && !s.closed && (stale || !ok) && (s.tried.IsZero() || now.Sub(s.tried) >= retryInterval) {
		s.start(now)
	}
	flight := s.flight
	s.mu.Unlock()
	if ok || flight == nil {
		return key, ok
	}
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(name)
}

// get looks a key up. The caller holds mu.
func (s *keySet) get(name keyName) (key any, ok bool) {
	if name.kid != "" {
		key, ok = s.keys[name]
		return key, ok
	}
	for n, k := range s.keys {
		if n.alg != name.alg {
			continue
		}
		if ok {
			return nil, false
		}
		key, ok = k, true
	}
	return key, ok
}

// start begins a fetch. The caller holds mu.
func (s *keySet) start(now time.Time) {
	s.tried = now
	flight := make(chan struct{})
	s.flight = flight
	s.wg.Go(func() {
		if err := s.fetch(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Warn("token keys cannot be fetched; those that are known stay in use", "from", s.from(), "error", err)
		}
		s.mu.Lock()
		s.flight = nil
		s.mu.Unlock()
		close(flight)
	})
}

func (s *keySet) from() string {
	if s.file != "" {
		return s.file
	}
	return s.url
}

// fetch reads the keys.
func (s *keySet) fetch(ctx context.Context) error {
	raw, err := s.read(ctx)
	if err != nil {
		return err
	}
	keys, err := s.parse(raw)
	if err != nil {
		return err
	}
	s.mu.Lock()
	same := bytes.Equal(raw, s.raw)
	s.keys, s.raw, s.fetched = keys, raw, s.now()
	s.mu.Unlock()
	if !same {
		s.changed()
		s.log.Info("token keys read", "from", s.from(), "keys", len(keys))
	}
	return nil
}

func (s *keySet) read(ctx context.Context) ([]byte, error) {
	if s.file != "" {
		f, err := os.Open(s.file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readLimited(f)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has the status %s", res.Status)
	}
	return readLimited(res.Body)
}

func readLimited(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err == nil && len(raw) > maxKeySet {
		err = fmt.Errorf("the key set is larger than %d bytes", maxKeySet)
	}
	return raw, err
}

// parse reads a key set and keeps what can verify tokens.
func (s *keySet) parse(raw []byte) (map[keyName]any, error) {
	set, err := jwk.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("it is no JSON Web Key Set: %w", err)
	}
	keys := make(map[keyName]any)
	for i := range set.Len() {
		k, _ := set.Key(i)
		alg, key, err := usable(k)
		if err != nil {
			s.log.Warn("a token key is left out", "from", s.from(), "kid", k.KeyID(), "reason", err.Error())
			continue
		}
		name := keyName{k.KeyID(), alg}
		if _, twice := keys[name]; twice {
			return nil, fmt.Errorf("it has two keys with the id %q", name.kid)
		}
		if len(keys) == maxKeys {
			return nil, fmt.Errorf("it has more than %d keys", maxKeys)
		}
		keys[name] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

// usable gives the one algorithm that a key verifies, and the key itself.
func usable(k jwk.Key) (jwa.SignatureAlgorithm, any, error) {
	if use := k.KeyUsage(); use != "" && use != "sig" {
		return "", nil, fmt.Errorf("its use is %q", use)
	}
	public, err := k.PublicKey()
	if err != nil {
		return "", nil, err
	}
	var raw any
	if err := public.Raw(&raw); err != nil {
		return "", nil, err
	}
	var alg jwa.SignatureAlgorithm
	switch key := raw.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return "", nil, fmt.Errorf("it has %d bits, at least %d are needed", key.N.BitLen(), minRSABits)
		}
		alg = jwa.RS256
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return "", nil, errors.New("its curve is not P-256")
		}
		alg = jwa.ES256
	case ed25519.PublicKey:
		alg = jwa.EdDSA
	default:
		// Above all a symmetric key: it would let everybody who may read the
		// set sign tokens.
		return "", nil, fmt.Errorf("its type is %s", k.KeyType())
	}
	if a := k.Algorithm().String(); a != "" && a != alg.String() {
		return "", nil, fmt.Errorf("its algorithm is %q", a)
	}
	return alg, raw, nil
}
