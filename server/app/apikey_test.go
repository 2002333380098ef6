package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/ws/wstest"
)

// createKey makes an API key for a user.
func createKey(t testing.TB, s *Server, user string) (id, key string) {
	t.Helper()
	a := exec(t, s, "CREATE API KEY FOR '"+user+"'")
	var row struct {
		KeyID  string `json:"key_id"`
		APIKey string `json:"api_key"`
		UserID string `json:"user_id"`
	}
	if err := json.Unmarshal(a.Results[0].Rows[0], &row); err != nil || row.UserID != user {
		t.Fatal(err, a.Text)
	}
	return row.KeyID, row.APIKey
}

// TestAPIKeyOfALiveQuery uses a key over HTTP and WebSocket and drops it: the
// requests are refused and the live query ends, while those of others go on.
func TestAPIKeyOfALiveQuery(t *testing.T) {
	s := start(t, testConfig(t))
	exec(t, s, schema)
	id, key := createKey(t, s, "ann")
	_, other := createKey(t, s, "ann")
	dial := func(key string) *wstest.Client {
		c := wstest.DialWith(t, s.URL(), http.Header{"X-Api-Key": {key}})
		if m := c.Subscribe(wire.Subscription{ID: "s", SQL: "SELECT * FROM app.notes"}); m.Type != wire.TypeSubscriptionAck {
			t.Fatalf("%+v", m)
		}
		return c
	}
	lost, kept := dial(key), dial(other)
	exec(t, s, "INSERT INTO app.notes VALUES (1, 'a', 'x')", "X-API-KEY", key)
	if m := lost.Read(); m.Type != wire.TypeChange {
		t.Errorf("%+v", m)
	}
	if a := exec(t, s, "SELECT user_id FROM system.api_keys WHERE last_used IS NOT NULL AND key_id = '"+id+"'"); rowsOf(a) != `{"user_id":"ann"}` {
		t.Error(a.Text)
	}
	exec(t, s, "DROP API KEY '"+id+"'")
	if a := post(t, s, wire.SQLRequest{SQL: "SELECT 1"}, "X-API-KEY", key); a.HTTP != 401 {
		t.Error(a.Text)
	}
	for _, id := range []string{"", "s"} { // the connection's, then the live query's
		if m := lost.Read(); m.Type != wire.TypeError || m.SubscriptionID != id || m.Code != string(dberr.Unauthenticated) {
			t.Errorf("%+v", m)
		}
	}
	exec(t, s, "INSERT INTO app.notes VALUES (2, 'a', 'y')", "X-API-KEY", other)
	for range 2 {
		if m := kept.Read(); m.Type != wire.TypeChange {
			t.Errorf("%+v", m)
		}
	}
}

// BenchmarkAuthenticate is what a request with credentials costs before its
// statement: who it comes from, the limits, and its session, all of it warm.
func BenchmarkAuthenticate(b *testing.B) {
	c := testConfig(b)
	c.Auth.JWTSecret = strings.Repeat("bench-secret-", 4)
	c.RateLimit.QueriesPerSecond, c.RateLimit.AddressQueriesPerSecond = 1<<30, 1<<30
	c.RateLimit.Burst, c.RateLimit.AddressBurst = 1<<30, 1<<30
	s := start(b, c)
	token, err := auth.Issue(c.Auth, []byte(c.Auth.JWTSecret), "ann", ident.RoleUser, time.Now(), time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	exec(b, s, "INSERT INTO system.users (user_id, username, metadata) VALUES ('ann', 'Ann', '{\"role\":\"service\"}')")
	_, key := createKey(b, s, "ann")
	for _, tc := range []struct{ name, header, value string }{
		{"token", "Authorization", "Bearer " + token}, {"key", "X-Api-Key", key},
	} {
		b.Run(tc.name, func(b *testing.B) {
			r := httptest.NewRequest("POST", wire.PathSQL, nil)
			r.Header.Set(tc.header, tc.value)
			b.ReportAllocs()
			for b.Loop() {
				p, err := s.auth.Request(r)
				if err == nil {
					err = s.admission.Request(p, s.auth.Address(r))
				}
				if err == nil {
					_, err = s.engine.Session(core.Principal{User: p.User, Role: p.Role, ExplicitUser: true}, "")
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
