package app

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/link"
	"github.com/kalamdb/kalamdb/server/auth"
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
	dial := func(key string) *link.Subscription {
		c, err := link.New(s.URL(), link.WithAPIKey(key))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		sub, err := c.Subscribe(t.Context(), "SELECT * FROM app.notes")
		if err != nil {
			t.Fatal(err)
		}
		return sub
	}
	lost, kept := dial(key), dial(other)
	exec(t, s, "INSERT INTO app.notes VALUES (1, 'a', 'x')", "X-API-KEY", key)
	if a := exec(t, s, "SELECT user_id FROM system.api_keys WHERE last_used IS NOT NULL AND key_id = '"+id+"'"); rowsOf(a) != `{"user_id":"ann"}` {
		t.Error(a.Text)
	}
	exec(t, s, "DROP API KEY '"+id+"'")
	if a := post(t, s, wire.SQLRequest{SQL: "SELECT 1"}, "X-API-KEY", key); a.HTTP != 401 {
		t.Error(a.Text)
	}
	next := func(sub *link.Subscription) (link.Event, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return sub.Next(ctx)
	}
	var err error
	for err == nil {
		_, err = next(lost)
	}
	if !strings.Contains(err.Error(), string(dberr.Unauthenticated)) {
		t.Error(err)
	}
	exec(t, s, "INSERT INTO app.notes VALUES (2, 'a', 'y')", "X-API-KEY", other)
	for seen := 0; seen < 2; {
		e, err := next(kept)
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == link.EventInsert {
			seen++
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
