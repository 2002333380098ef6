package core

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/apikey"
)

// createKey runs CREATE API KEY and gives the key's id and the key.
func (d *db) createKey(sql string) (id, key string) {
	d.Helper()
	id, rest, _ := strings.Cut(d.rows(admin, sql), "|")
	key, _, _ = strings.Cut(rest, "|")
	return id, key
}

func TestAPIKeys(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		id, key := d.createKey("CREATE API KEY FOR 'ann' NAME 'laptop'")
		if got, ok := d.APIKeys().Use(key); !ok || string(got.ID) != id || got.User != "ann" || got.Name != "laptop" {
			t.Fatalf("%+v %v", got, ok)
		}
		other, _ := d.createKey("CREATE API KEY FOR 'bob'")
		d.script([]line{
			{sql: "SELECT user_id, name, last_used IS NULL FROM system.api_keys ORDER BY user_id", want: "ann|laptop|f\nbob|NULL|t"},
			{as: "ann", sql: "SELECT key_id FROM system.api_keys", want: id},
			{as: "eve", sql: "SELECT key_id FROM system.api_keys", want: ""},
			{as: "ann", sql: "CREATE API KEY FOR 'ann'", want: "!PERMISSION_DENIED"},
			{as: "ann", sql: "DROP API KEY '" + id + "'", want: "!PERMISSION_DENIED"},
			{as: "svc:service", sql: "DROP API KEY '" + id + "'", want: "!PERMISSION_DENIED"},
			{sql: "CREATE API KEY FOR ''", want: "!INVALID_SQL"},
			{sql: "CREATE API KEY FOR 'x' NAME '" + strings.Repeat("n", apikey.MaxName+1) + "'", want: "!INVALID_SQL"},
			{sql: "DROP API KEY 'nothing'", want: "!NOT_FOUND no API key"},
			{sql: "DROP API KEY IF EXISTS 'nothing'", want: "-- There is no such API key; nothing was dropped"},
			{sql: "DROP API KEY '" + id + "'", want: "-- API key dropped"},
			{sql: "SELECT key_id FROM system.api_keys", want: other},
			{sql: "INSERT INTO system.api_keys (key_id) VALUES ('x')", want: "!PERMISSION_DENIED"},
		})
		if _, ok := d.APIKeys().Use(key); ok {
			t.Error("a dropped key still works")
		}
	})
}

func TestDeletedUserLosesItsKeys(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.must(admin, "INSERT INTO system.users (user_id, username) VALUES ('ann', 'Ann'), ('bob', 'Bob')")
		_, ann := d.createKey("CREATE API KEY FOR 'ann'")
		_, bob := d.createKey("CREATE API KEY FOR 'bob'")
		var dropped []ident.APIKeyID
		d.APIKeys().OnDrop(func(id ident.APIKeyID) { dropped = append(dropped, id) })
		d.must(admin, "UPDATE system.users SET username = 'x' WHERE user_id = 'bob'")
		d.must(admin, "DELETE FROM system.users WHERE user_id = 'ann'")
		if _, ok := d.APIKeys().Use(ann); ok {
			t.Error("ann's key outlives ann")
		}
		if _, ok := d.APIKeys().Use(bob); !ok {
			t.Error("bob's key is gone")
		}
		if len(dropped) != 1 {
			t.Error(dropped)
		}
	})
}

// TestAPIKeysSurvive opens a database again: keys and the time of their last
// use are there.
func TestAPIKeysSurvive(t *testing.T) {
	cfg := testConfig(config.BackendBadger, t.TempDir())
	ctx := context.Background()
	e, err := Open(ctx, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &db{TB: t, Engine: e}
	d.must(admin, "INSERT INTO system.users (user_id, username) VALUES ('ann', 'Ann')")
	_, ann := d.createKey("CREATE API KEY FOR 'ann'")
	_, free := d.createKey("CREATE API KEY FOR 'free'")
	used, ok := e.APIKeys().Use(free)
	if !ok || used.LastUsed.IsZero() {
		t.Fatal(used)
	}
	if err := e.Close(ctx); err != nil {
		t.Fatal(err)
	}
	d = openDB(t, cfg)
	if k := d.APIKeys().List(); len(k) != 2 || !slices.ContainsFunc(k, func(k apikey.Key) bool { return k.LastUsed.Equal(used.LastUsed) }) {
		t.Errorf("%+v", k)
	}
	if _, ok := d.APIKeys().Use(ann); !ok {
		t.Error("ann's key is gone")
	}
}
