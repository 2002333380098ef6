package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

// A signer makes tokens that the database trusts, with the secret that both
// have.
type signer string

// lifetime is how long a token is good. The page asks for another in time, so
// who is signed out here has no access to the database soon after.
const lifetime = 5 * time.Minute

// token makes an HS256 JSON Web Token.
func (s signer) token(user, role string) (string, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"user_id": user, "role": role, "iat": now.Unix(), "exp": now.Add(lifetime).Unix(),
	})
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(s))
	mac.Write([]byte(signed))
	return signed + "." + enc.EncodeToString(mac.Sum(nil)), nil
}

// source gives this program's own tokens, each until shortly before its end.
func (s signer) source(user, role string) link.TokenSource {
	var mu sync.Mutex
	var last string
	var made time.Time
	return func(_ context.Context, refresh bool) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if !refresh && time.Since(made) < lifetime*4/5 {
			return last, nil
		}
		token, err := s.token(user, role)
		if err == nil {
			last, made = token, time.Now()
		}
		return token, err
	}
}

func parseAccounts(list string) (map[string]string, error) {
	accounts := map[string]string{}
	for pair := range strings.SplitSeq(list, ",") {
		name, password, ok := strings.Cut(pair, ":")
		if !ok || name == "" || password == "" {
			return nil, fmt.Errorf("-people: %q is not name:password", pair)
		}
		accounts[name] = password
	}
	return accounts, nil
}

// visit is how long somebody stays signed in.
const visit = 12 * time.Hour

// A door knows who is signed in. It stands for the login that your application
// has already.
type door struct {
	accounts map[string]string
	sign     signer
	database string
	enters   func(user string)

	mu     sync.Mutex
	inside map[string]guest // by cookie
}

type guest struct {
	user  string
	until time.Time
}

const cookie = "chat"

func (d *door) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ User, Password string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in); err != nil {
		http.Error(w, "a user and a password are needed", http.StatusBadRequest)
		return
	}
	want, known := d.accounts[in.User]
	if subtle.ConstantTimeCompare([]byte(want), []byte(in.Password)) != 1 || !known {
		http.Error(w, "the name or the password is wrong", http.StatusUnauthorized)
		return
	}
	key := rand.Text()
	now := time.Now()
	d.mu.Lock()
	if d.inside == nil {
		d.inside = map[string]guest{}
	}
	for k, g := range d.inside {
		if now.After(g.until) {
			delete(d.inside, k)
		}
	}
	d.inside[key] = guest{user: in.User, until: now.Add(visit)}
	d.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: key, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(visit / time.Second)})
	w.WriteHeader(http.StatusNoContent)
}

// token gives somebody who is signed in a token for the database, as that user
// and with a user's rights.
func (d *door) token(w http.ResponseWriter, r *http.Request) {
	var g guest
	if c, err := r.Cookie(cookie); err == nil {
		d.mu.Lock()
		g = d.inside[c.Value]
		d.mu.Unlock()
	}
	if time.Now().After(g.until) {
		http.Error(w, "sign in first", http.StatusUnauthorized)
		return
	}
	token, err := d.sign.token(g.user, "user")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	d.enters(g.user)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]string{"user": g.user, "database": d.database, "token": token})
}

// guarded lets pages load from here only, and talk to us and the database only.
func guarded(h http.Handler, database string) http.Handler {
	socket := database
	if u, err := url.Parse(database); err == nil {
		u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
		socket = u.String()
	}
	policy := "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' " + database + " " + socket
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		h.ServeHTTP(w, r)
	})
}
