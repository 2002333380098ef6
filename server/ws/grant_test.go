package ws

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/admission"
	"github.com/kalamdb/kalamdb/server/auth"
)

// keys is a set of API keys.
type keys struct {
	mu sync.Mutex
	m  map[string]ident.UserID
}

func (k *keys) UseAPIKey(key string) (ident.APIKeyID, ident.UserID, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	u, ok := k.m[key]
	return ident.APIKeyID(key), u, ok
}

func (k *keys) HasAPIKey(id ident.APIKeyID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.m[string(id)] != ""
}

func (k *keys) drop(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.m, id)
}

// strict makes an authenticator that allows for no difference of clocks.
func strict(t testing.TB, k *keys) func(*Options) {
	cfg := config.Default().Auth
	cfg.Leeway = 0
	a, err := auth.New(auth.Options{Auth: cfg, Secret: secret, APIKeys: k, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Auth = a }
}

// short issues a token that ends within two seconds.
func short(t testing.TB, user ident.UserID) string {
	token, err := auth.Issue(config.Default().Auth, secret, user, ident.RoleUser, time.Now(), 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenExpiryEndsSubscriptions(t *testing.T) {
	f := serve(t, strict(t, nil))
	c := f.dial(t, "Authorization", "Bearer "+short(t, "ann"))
	c.subscribe("s1", "a")
	c.subscribe("s2", "all")
	c.wantError("", dberr.TokenExpired) // when its time comes
	ended := map[string]bool{}
	for range 2 {
		m, text := c.read()
		if m.Type != wire.TypeError || m.Code != string(dberr.TokenExpired) {
			t.Fatal(text)
		}
		ended[m.SubscriptionID] = true
	}
	if !ended["s1"] || !ended["s2"] {
		t.Error(ended)
	}
	if l := f.engine.hub.List(""); len(l) != 0 {
		t.Errorf("%d live queries outlive the token", len(l))
	}
	f.engine.insert("ann", "a", 1) // nobody hears of it
	c.send(`{"subscriptions":[{"id":"s3","sql":"a"}]}`)
	c.wantError("s3", dberr.TokenExpired)
	c.send(`{"type":"ping"}`)
	c.want(`{"type":"pong"}`)

	c.send(`{"type":"authenticate","token":"` + f.token(t, "ann") + `"}`)
	c.want(`{"type":"authenticated","user_id":"ann"}`)
	c.subscribe("s1", "a")
	f.engine.insert("ann", "a", 2)
	if m, text := c.read(); m.Type != wire.TypeChange || m.SubscriptionID != "s1" {
		t.Error(text)
	}
}

func TestRenewedTokenKeepsSubscriptions(t *testing.T) {
	f := serve(t, strict(t, nil))
	c := f.dial(t, "Authorization", "Bearer "+short(t, "ann"))
	c.subscribe("s1", "a")
	c.send(`{"type":"authenticate","token":"` + f.token(t, "ann") + `"}`)
	c.want(`{"type":"authenticated","user_id":"ann"}`)
	other := f.dial(t, "Authorization", "Bearer "+short(t, "bob"))
	other.wantError("", dberr.TokenExpired) // the first token has ended before
	f.engine.insert("ann", "a", 1)
	if m, text := c.read(); m.Type != wire.TypeChange {
		t.Error(text)
	}
}

func TestDroppedKeyEndsSubscriptions(t *testing.T) {
	k := &keys{m: map[string]ident.UserID{"kalam_1": "ann", "kalam_2": "ann"}}
	f := serve(t, strict(t, k))
	c := f.dial(t, "X-API-KEY", "kalam_1")
	c.subscribe("s1", "a")
	other := f.dial(t, "X-Forwarded-For", "192.0.2.1") // no bypass
	other.send(`{"type":"authenticate","token":"kalam_2"}`)
	other.want(`{"type":"authenticated","user_id":"ann"}`)
	other.subscribe("s1", "a")

	k.drop("kalam_1")
	f.ws.Revoke("kalam_1")
	c.wantError("", dberr.Unauthenticated)
	c.wantError("s1", dberr.Unauthenticated)
	c.send(`{"subscriptions":[{"id":"s2","sql":"a"}]}`)
	c.wantError("s2", dberr.Unauthenticated)
	f.engine.insert("ann", "a", 1)
	if m, text := other.read(); m.Type != wire.TypeChange {
		t.Error(text)
	}
	c.send(`{"type":"authenticate","token":"kalam_1"}`)
	c.wantError("", dberr.Unauthenticated)
	c.send(`{"type":"authenticate","token":"kalam_2"}`)
	c.want(`{"type":"authenticated","user_id":"ann"}`)
	c.subscribe("s2", "a")
}

func TestTooManyMessages(t *testing.T) {
	rate := config.Default().RateLimit
	rate.MessagesPerSecond = 1 // two at once
	control := admission.New(rate)
	f := serve(t, func(o *Options) { o.Admission = control })
	c := f.dial(t, "Authorization", "Bearer "+f.token(t, "ann"))
	c.send(`{"type":"ping"}`)
	c.want(`{"type":"pong"}`)
	c.send(`{"type":"ping"}`)
	c.want(`{"type":"pong"}`)
	c.send(`{"subscriptions":[{"id":"s1","sql":"a"},{"id":"s2","sql":"a"}]}`)
	c.wantError("s1", dberr.RateLimited)
	c.wantError("s2", dberr.RateLimited)
	c.send(`{"type":"unsubscribe","subscription_id":"s1"}`)
	c.wantError("s1", dberr.RateLimited)

	free := f.dial(t) // by the bypass
	for range 20 {
		free.send(`{"type":"ping"}`)
		free.want(`{"type":"pong"}`)
	}
	flood := f.dial(t, "Authorization", "Bearer "+f.token(t, "eve"))
	go func() {
		for i := range 2 * maxExcess {
			if flood.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"ping","n":%d}`, i)) != nil {
				return
			}
		}
	}()
	for {
		if _, err := flood.next(); err != nil {
			if s := websocket.CloseStatus(err); s != websocket.StatusPolicyViolation && s != -1 {
				t.Error(err)
			}
			break
		}
	}
}

func TestHandshakesAreLimited(t *testing.T) {
	rate := config.Default().RateLimit
	rate.AddressQueriesPerSecond, rate.AddressBurst = 1, 3
	f := serve(t, func(o *Options) { o.Admission = admission.New(rate) })
	limited := 0
	for range 8 {
		_, res, err := f.tryDial(t, "X-Forwarded-For", "192.0.2.1")
		if err != nil {
			if res == nil || res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
				t.Fatal(err, res)
			}
			limited++
		}
	}
	if limited < 4 {
		t.Error("only", limited, "handshakes were refused")
	}
	f.dial(t) // this machine is exempt
}
