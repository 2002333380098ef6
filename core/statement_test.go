package core

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

func (d *db) mustTable(ns ident.NamespaceID, name ident.TableName) *ddl.Table {
	d.Helper()
	t, err := d.store.Catalog().Table(ns, name)
	if err != nil {
		d.Fatal(err)
	}
	return t
}

func TestStatements(t *testing.T) {
	forRestarts(t, func(t *testing.T, d *db) {
		d.must(admin, `CREATE NAMESPACE app;
			CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL, done BOOLEAN DEFAULT false);
			CREATE SHARED TABLE app.words (word TEXT PRIMARY KEY, n INT) ACCESS open;
			CREATE USER TABLE app.log (line TEXT);
			CREATE VIEW app.open_notes AS SELECT id, body FROM app.notes WHERE NOT done`)
		d.script([]line{
			{as: "ann", sql: "INSERT INTO app.notes (id, body) VALUES (1, 'milk'), (2, 'bread'), (3, 'tea')", want: "-- 3 rows inserted"},
			{as: "ann", sql: "INSERT INTO app.notes (id, body) VALUES (4, 'jam')", want: "-- 1 row inserted"},
			{as: "bob", sql: "INSERT INTO app.notes (id, body) VALUES (1, 'bob''s')", want: "-- 1 row inserted"},
			{as: "ann", sql: "SELECT * FROM app.notes ORDER BY id", want: "1|milk|f\n2|bread|f\n3|tea|f\n4|jam|f"},
			{as: "bob", sql: "SELECT * FROM app.notes", want: "1|bob's|f"},
			{as: "ann", sql: "SELECT body FROM app.user.notes WHERE id = 2", want: "bread"},
			{as: "ann", sql: "UPDATE app.notes SET done = true WHERE id <= 2", want: "-- 2 rows updated"},
			{as: "ann", sql: "SELECT body FROM app.open_notes ORDER BY 1", want: "jam\ntea"},
			{as: "bob", sql: "SELECT body FROM app.open_notes", want: "bob's"},
			{as: "ann", sql: "DELETE FROM app.notes WHERE id = 1", want: "-- 1 row deleted"},
			{as: "ann", sql: "DELETE FROM app.notes WHERE id = 1", want: "-- 0 rows deleted"},
			{as: "ann", sql: "SELECT id FROM app.notes ORDER BY id", want: "2\n3\n4"},
			{as: "ann", sql: "SELECT id, _deleted FROM app.notes ORDER BY id", want: "1|t\n2|f\n3|f\n4|f"},
			{as: "ann", sql: "INSERT INTO app.notes (id, body) VALUES (1, 'again')", want: "-- 1 row inserted"},
			{as: "ann", sql: "INSERT INTO app.notes (id, body) VALUES (1, 'twice')", want: "!UNIQUE_VIOLATION (id)=(1)"},
			{as: "ann", sql: "INSERT INTO app.notes (id, body) VALUES (8, 'x'), (8, 'y')", want: "!UNIQUE_VIOLATION (id)=(8)"},
			{as: "ann", sql: "INSERT INTO app.notes (id) VALUES (9)", want: "!NOT_NULL_VIOLATION body"},
			{as: "ann", sql: "INSERT INTO app.notes (id, body) VALUES (1, 'x') ON CONFLICT DO NOTHING", want: "-- 0 rows inserted"},
			{as: "ann", sql: "INSERT INTO app.notes (id, body) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET body = excluded.body", want: "-- 1 row inserted"},
			{as: "ann", sql: "UPDATE app.notes SET id = id + 1", want: "-- 4 rows updated"},
			{as: "ann", sql: "SELECT id, body FROM app.notes ORDER BY id", want: "2|x\n3|bread\n4|tea\n5|jam"},
			{as: "ann", sql: "SELECT count(DISTINCT _seq), count(*) FROM app.notes", want: "4|4"},
			{as: "ann", sql: "UPDATE app.notes SET _seq = 1", want: "!INVALID_SQL _seq"},
			{as: "ann", sql: "INSERT INTO app.log VALUES ('a'), ('a'), ('b')", want: "-- 3 rows inserted"},
			{as: "ann", sql: "UPDATE app.log SET line = 'c' WHERE line = 'a'", want: "-- 2 rows updated"},
			{as: "ann", sql: "DELETE FROM app.log WHERE line = 'b'", want: "-- 1 row deleted"},
			{as: "ann", sql: "SELECT line FROM app.log", want: "c\nc"},
			{as: "ann", sql: "TRUNCATE TABLE app.log", want: "-- 2 rows deleted"},
			{as: "ann", sql: "SELECT count(*) FROM app.log", want: "0"},
			{as: "ann", sql: "INSERT INTO app.words VALUES ('a', 1) RETURNING word, n + 1 AS m", want: "a|2"},
			{as: "bob", sql: "SELECT word, n FROM app.words", want: "a|1"},
			{as: "ann", sql: "SELECT x.body FROM app.notes x JOIN app.words w ON w.n = x.id - 1 ORDER BY 1", want: "x"},
			{as: "ann", sql: "SELECT * FROM app.nope", want: "!TABLE_NOT_FOUND app.nope"},
			{as: "ann", sql: "SELECT * FROM notes", want: "!NAMESPACE_NOT_FOUND none is selected"},
			{as: "ann", sql: "SELECT nope FROM app.notes", want: "!COLUMN_NOT_FOUND nope"},
			{as: "ann", sql: "SELECT 1/0", want: "!DIVISION_BY_ZERO "},
			{as: "ann", sql: "SELEC 1", want: "!INVALID_SQL "},
			{as: "ann", sql: "", want: "!INVALID_SQL no statement"},
			{as: "ann", sql: " ; -- nothing\n;", want: "!INVALID_SQL no statement"},
		})
		for as, total := range map[string]int{admin: 5, "ann": 4} {
			got := strings.Split(d.rows(as, "SHOW TABLE STATS app.notes"), "|")
			hot, _ := strconv.Atoi(got[2])
			cold, _ := strconv.Atoi(got[3])
			if all, _ := strconv.Atoi(got[4]); all != total || hot+cold != total {
				t.Errorf("statistics of %s: %v", as, got)
			}
		}
		if got := d.rows("ann", "EXPLAIN SELECT * FROM app.notes WHERE id = 2"); got == "" {
			t.Error("EXPLAIN shows nothing")
		}
	})
}

func TestCreateTableAs(t *testing.T) {
	forRestarts(t, func(t *testing.T, d *db) {
		d.must(admin, "CREATE NAMESPACE app")
		d.script([]line{
			{sql: "CREATE SHARED TABLE app.a AS SELECT i AS id, 'n' || i AS name, i / 2.0 AS half FROM generate_series(1, 3) AS g(i)", want: "-- Table app.a created, 3 rows inserted"},
			{sql: "SELECT id, name FROM app.a ORDER BY id", want: "1|n1\n2|n2\n3|n3"},
			{sql: "CREATE TABLE IF NOT EXISTS app.a AS SELECT 1 AS x", want: "-- Table app.a exists already"},
			{sql: "CREATE TABLE app.a AS SELECT 1 AS x", want: "!ALREADY_EXISTS app.a"},
			{sql: "CREATE USER TABLE app.b (x, y) AS SELECT id, name FROM app.a WHERE id > 1", want: "-- Table app.b created, 2 rows inserted"},
			{sql: "SELECT x, y FROM app.b ORDER BY x", want: "2|n2\n3|n3"},
			{sql: "CREATE TABLE app.c AS SELECT 10 / (id - 2) AS q FROM app.a", want: "!DIVISION_BY_ZERO "},
			{sql: "SELECT * FROM app.c", want: "!TABLE_NOT_FOUND app.c"},
			{sql: "CREATE TABLE app.d AS SELECT * FROM app.nope", want: "!TABLE_NOT_FOUND app.nope"},
		})
	})
}

func TestStreamStatements(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, "CREATE NAMESPACE app; CREATE STREAM TABLE app.s (id INT, body TEXT) TTL 1h MAX_BUFFER 3")
	d.script([]line{
		{as: "ann", sql: "INSERT INTO app.s VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')", want: "-- 4 rows inserted"},
		{as: "ann", sql: "SELECT id FROM app.s ORDER BY _seq", want: "2\n3\n4"},
		{as: "bob", sql: "SELECT id FROM app.s", want: ""},
		{as: "ann", sql: "UPDATE app.s SET body = 'x'", want: "!UNSUPPORTED "},
		{as: "ann", sql: "DELETE FROM app.s WHERE id = 3", want: "-- 1 row deleted"},
		{as: "ann", sql: "SELECT id, _deleted FROM app.s ORDER BY id", want: "2|f\n4|f"},
		{sql: "SHOW TABLE STATS app.s", want: "app|s|2|0|2|0|0|NULL|NULL"},
	})
}

func TestBatches(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY)")
	a, err := d.exec(admin, "INSERT INTO app.t VALUES (1);\n-- a comment\nINSERT INTO app.t VALUES (2);\n  SELECT * FROM app.nope; INSERT INTO app.t VALUES (3)")
	var st *StatementError
	if len(a) != 2 || !errors.As(err, &st) {
		t.Fatalf("%d answers, %v", len(a), err)
	}
	if st.Number != 3 || st.Line != 4 || st.Column != 3 || !strings.HasPrefix(st.Error(), "Statement 3 failed: ") || st.Text != "SELECT * FROM app.nope" {
		t.Errorf("the error is %+v: %v", st, st)
	}
	var e *dberr.Error
	if !errors.As(err, &e) || e.Pos.Line != 4 || e.Pos.Column != 17 {
		t.Errorf("its place is %+v", e.Pos)
	}
	if got := d.rows(admin, "SELECT id FROM app.t ORDER BY id"); got != "1\n2" {
		t.Errorf("rows: %s", got)
	}
	// The third statement is only split when its turn comes: a quote that is
	// never closed does not keep the first from running.
	if _, err := d.exec(admin, "INSERT INTO app.t VALUES (10); SELECT 'open"); dberr.CodeOf(err) != dberr.InvalidSQL {
		t.Errorf("got %v", err)
	}
	if got := d.rows(admin, "SELECT count(*) FROM app.t WHERE id = 10"); got != "1" {
		t.Errorf("the first statement did not run")
	}
	// Parameters belong to the whole batch.
	one, two := sqltype.NewBigInt(21), sqltype.NewBigInt(22)
	d.must(admin, "INSERT INTO app.t VALUES ($1); INSERT INTO app.t VALUES ($2); SELECT 1", one, two)
	d.fails(admin, "INSERT INTO app.t VALUES ($1); SELECT 1", dberr.ParameterMismatch, "parameter mismatch", one, two)
	d.fails(admin, "SELECT $1 + 1", dberr.ParameterMismatch, "parameter mismatch")
	d.fails(admin, "SELECT 1", dberr.ParameterMismatch, "parameter mismatch", one)
}

func TestCurrentNamespace(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, "CREATE NAMESPACE a; CREATE NAMESPACE b; CREATE SHARED TABLE a.t (x TEXT); CREATE SHARED TABLE b.t (x TEXT); INSERT INTO a.t VALUES ('in a'); INSERT INTO b.t VALUES ('in b')")
	if got := d.rows("ann", "USE a; SELECT x FROM t"); got != "in a" {
		t.Errorf("after USE a: %s", got)
	}
	if got := d.rows("ann", "SELECT x FROM t"); got != "in a" {
		t.Errorf("the session forgot: %s", got)
	}
	d.fails("bob", "SELECT x FROM t", dberr.NamespaceNotFound, "none is selected")
	var r recorder
	if err := d.session(who("ann")).Execute(t.Context(), Request{SQL: "SELECT x FROM t", Namespace: "b"}, &r); err != nil || r.answers[0].rows[0] != "in b" {
		t.Errorf("the request's namespace: %v, %v", r.answers, err)
	}
}

func TestAccess(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, `CREATE NAMESPACE app;
		CREATE SHARED TABLE app.public (id INT) ACCESS public;
		CREATE SHARED TABLE app.open (id INT) ACCESS open;
		CREATE SHARED TABLE app.restricted (id INT) ACCESS restricted;
		CREATE SHARED TABLE app.private (id INT) ACCESS private;
		CREATE USER TABLE app.own (id INT);
		CREATE VIEW app.peek AS SELECT id FROM app.private`)
	roles := []string{"u:user", "s:service", "a:admin"}
	for _, c := range []struct {
		sql string
		may [3]bool
	}{
		{"SELECT * FROM app.public", [3]bool{true, true, true}},
		{"INSERT INTO app.public VALUES (1)", [3]bool{false, true, true}},
		{"SELECT * FROM app.open", [3]bool{true, true, true}},
		{"INSERT INTO app.open VALUES (1)", [3]bool{true, true, true}},
		{"SELECT * FROM app.restricted", [3]bool{false, true, true}},
		{"DELETE FROM app.restricted", [3]bool{false, true, true}},
		{"SELECT * FROM app.private", [3]bool{false, false, true}},
		{"UPDATE app.private SET id = 1", [3]bool{false, false, true}},
		{"SELECT * FROM app.peek", [3]bool{false, false, true}},
		{"DESCRIBE app.peek", [3]bool{false, false, true}},
		{"SELECT 1 WHERE EXISTS (SELECT 1 FROM app.private)", [3]bool{false, false, true}},
		{"INSERT INTO app.own SELECT id FROM app.private", [3]bool{false, false, true}},
		{"EXPLAIN SELECT * FROM app.private", [3]bool{false, false, true}},
		{"SHOW TABLE STATS app.private", [3]bool{false, false, true}},
		{"TRUNCATE TABLE app.public", [3]bool{false, true, true}},
		{"SELECT * FROM app.own", [3]bool{true, true, true}},
		{"INSERT INTO app.own VALUES (1)", [3]bool{true, true, true}},
		{"CREATE SHARED TABLE IF NOT EXISTS app.public (id INT)", [3]bool{false, false, true}},
		{"CREATE OR REPLACE VIEW app.w AS SELECT 1 AS x", [3]bool{false, false, true}},
		{"INSERT INTO system.users (user_id, username) VALUES (ulid(), 'x')", [3]bool{false, false, true}},
		{"SELECT * FROM system.users", [3]bool{true, true, true}},
		{"DELETE FROM system.tables", [3]bool{false, false, false}},
	} {
		for i, r := range roles {
			_, err := d.exec(r, c.sql)
			switch {
			case c.may[i] && err != nil:
				t.Errorf("%s: %s: %v", r, c.sql, err)
			case !c.may[i] && dberr.CodeOf(err) != dberr.PermissionDenied:
				t.Errorf("%s: %s: want a refusal, got %v", r, c.sql, err)
			}
		}
	}
	var r recorder
	s := d.session(Principal{User: "system", Role: ident.RoleAdmin})
	if err := s.Execute(t.Context(), Request{SQL: "SELECT * FROM app.user.own"}, &r); dberr.CodeOf(err) != dberr.PermissionDenied || !strings.Contains(err.Error(), ".user.") {
		t.Errorf("the .user. qualifier without a user: %v", err)
	}
	if _, err := d.Session(Principal{}, ""); dberr.CodeOf(err) != dberr.Unauthenticated {
		t.Errorf("a session for nobody: %v", err)
	}
}

func TestUsers(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.script([]line{
			{sql: `INSERT INTO system.users (user_id, username, metadata) VALUES ('user123', 'john_doe', '{"role": "service"}')`, want: "-- 1 row inserted"},
			{sql: "INSERT INTO system.users (user_id, username) VALUES ('user123', 'other')", want: "!ALREADY_EXISTS User with user_id 'user123' already exists"},
			{sql: "SELECT user_id, username, metadata FROM system.users", want: `user123|john_doe|{"role": "service"}`},
			{sql: "UPDATE system.users SET username = 'jane_doe' WHERE user_id = 'user123'", want: "-- 1 row updated"},
			{sql: "SELECT username, metadata FROM system.users WHERE username LIKE '%jane%'", want: `jane_doe|{"role": "service"}`},
			{sql: "UPDATE system.users SET username = 'x' WHERE user_id = 'nobody'", want: "!NOT_FOUND User with user_id 'nobody' not found"},
			{sql: "DELETE FROM system.users WHERE user_id = 'nobody'", want: "!NOT_FOUND User with user_id 'nobody' not found"},
			{sql: "DELETE FROM system.users WHERE 'nobody' = user_id", want: "!NOT_FOUND User with user_id 'nobody' not found"},
			{sql: "DELETE FROM system.users WHERE username = 'nobody'", want: "-- 0 rows deleted"},
			{sql: `INSERT INTO system.users (user_id, username, metadata) VALUES ('u2', 'x', '{"invalid}')`, want: "!INVALID_JSON "},
			{sql: "INSERT INTO system.users (username) VALUES ('x')", want: "!NOT_NULL_VIOLATION user_id"},
			{sql: "INSERT INTO system.users (user_id) VALUES ('u2')", want: "!NOT_NULL_VIOLATION username"},
			{sql: "INSERT INTO system.users (user_id, username) VALUES ('', 'x')", want: "!INVALID_SQL user_id must not be empty"},
			{sql: "INSERT INTO system.users (user_id, username) VALUES ('u2', '')", want: "!INVALID_SQL username must not be empty"},
			{sql: "UPDATE system.users SET username = NULL WHERE user_id = 'user123'", want: "!NOT_NULL_VIOLATION username"},
			{sql: "UPDATE system.users SET user_id = 'new' WHERE user_id = 'user123'", want: "!UNSUPPORTED user_id cannot be changed"},
			{sql: "SELECT created_at = updated_at, created_at < updated_at, created_at > now() - interval '1 minute' FROM system.users", want: "f|t|t"},
			{sql: "UPDATE system.users SET metadata = NULL WHERE user_id = 'user123'", want: "-- 1 row updated"},
			{sql: "SELECT metadata IS NULL FROM system.users", want: "t"},
			{sql: "DELETE FROM system.users WHERE user_id = 'user123'", want: "-- 1 row deleted; the rows of USER tables that belong to the user are kept"},
			{sql: "SELECT count(*) FROM system.users", want: "0"},
			{sql: "INSERT INTO system.users (user_id, username) VALUES ('user123', 'back')", want: "-- 1 row inserted"},
			{sql: "INSERT INTO system.users (user_id, username) VALUES ('ann', 'Ann')", want: "-- 1 row inserted"},
			{as: "ann", sql: "SELECT user_id FROM system.users", want: "ann"},
			{as: "ann", sql: "SELECT count(*) FROM system.users WHERE user_id = 'user123'", want: "0"},
			{as: "ann", sql: "SELECT user_id FROM system.users WHERE user_id > 'a' AND user_id <= 'ann'", want: "ann"},
			{as: "ann", sql: "SELECT user_id FROM system.users WHERE user_id > 'ann'", want: ""},
			{as: "ann", sql: "SELECT user_id FROM system.users WHERE user_id IN ('ann', 'user123')", want: "ann"},
		})
		role, registered, err := d.UserRole(t.Context(), "nobody")
		if role != "" || registered || err != nil {
			t.Errorf("nobody is %q, %v, %v", role, registered, err)
		}
		d.must(admin, `UPDATE system.users SET metadata = '{"role":"admin"}' WHERE user_id = 'ann'`)
		role, registered, err = d.UserRole(t.Context(), "ann")
		if role != "admin" || !registered || err != nil {
			t.Errorf("ann is %q, %v, %v", role, registered, err)
		}
		var made atomic.Int32
		parallel(8, func(int) {
			switch _, err := d.exec(admin, "INSERT INTO system.users (user_id, username) VALUES ('once', 'x')"); dberr.CodeOf(err) {
			case "":
				made.Add(1)
			case dberr.AlreadyExists:
			default:
				t.Error(err)
			}
		})
		if made.Load() != 1 {
			t.Errorf("one user was made %d times", made.Load())
		}
	})
}

func TestSystemTables(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, `CREATE NAMESPACE app; CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body VARCHAR(9) NOT NULL, price DECIMAL(8,2) DEFAULT 1);
		CREATE SHARED TABLE app.secret (id INT) ACCESS private; CREATE VIEW app.v AS SELECT id FROM app.notes`)
	d.script([]line{
		{sql: "SELECT namespace_id, table_count FROM system.namespaces WHERE namespace_id = 'app'", want: "app|2"},
		{sql: "SELECT namespace, table_name, table_type, storage_id, flush_policy, schema_version, access FROM system.tables ORDER BY table_name",
			want: "app|notes|user|local|INTERVAL 5m ROW_THRESHOLD 10000|1|NULL\napp|secret|shared|local|INTERVAL 5m ROW_THRESHOLD 10000|1|private"},
		{as: "ann", sql: "SELECT table_name FROM system.tables", want: "notes"},
		{sql: "SELECT table_name, version, changes FROM system.table_schemas WHERE table_name = 'notes'", want: "notes|1|CREATE TABLE"},
		{sql: "SELECT storage_id, storage_type FROM system.storages", want: "local|filesystem"},
		{as: "ann", sql: "SELECT uri IS NULL, user_tables_template IS NULL FROM system.storages", want: "t|t"},
		{sql: "SELECT count(*) FROM system.live_queries", want: "0"},
		{as: "ann", sql: "SELECT DISTINCT user_id FROM system.sessions", want: "ann"},
		{as: "ann", sql: "SELECT count(*) FROM system.plan_cache", want: "0"},
		{sql: "SELECT schema_name FROM information_schema.schemata ORDER BY 1", want: "app\ninformation_schema\nsystem"},
		{sql: "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'app' ORDER BY 1", want: "notes|BASE TABLE\nsecret|BASE TABLE\nv|VIEW"},
		{sql: "SELECT column_name, ordinal_position, column_default, is_nullable, data_type, character_maximum_length, numeric_precision, numeric_scale FROM information_schema.columns WHERE table_name = 'notes' ORDER BY 2",
			want: "id|1|NULL|NO|BIGINT|NULL|64|0\nbody|2|NULL|NO|VARCHAR|9|NULL|NULL\nprice|3|1|YES|DECIMAL|NULL|8|2"},
		{sql: "SELECT table_name FROM information_schema.views", want: "v"},
		{sql: "SELECT constraint_name, column_name FROM information_schema.key_column_usage WHERE table_schema = 'app'", want: "notes_pkey|id"},
		{sql: "SELECT count(*) > 50 FROM information_schema.routines", want: "t"},
		{sql: "DELETE FROM system.namespaces", want: "!PERMISSION_DENIED "},
		{sql: "INSERT INTO information_schema.tables (table_name) VALUES ('x')", want: "!PERMISSION_DENIED "},
	})
}

func TestPlanCacheIsShownAndCleared(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY)")
	for range 5 {
		d.must(admin, "SELECT id FROM app.t WHERE id = 7")
	}
	if got := d.rows(admin, "SELECT hits FROM system.plan_cache WHERE statement LIKE 'SELECT id%'"); got != "4" {
		t.Errorf("the plan has %s hits", got)
	}
	if got := d.rows("ann", "SELECT count(*) FROM system.plan_cache"); got != "0" {
		t.Errorf("a user sees %s plans", got)
	}
	if got := d.rows(admin, "CLEAR CACHE; SELECT count(*) FROM system.plan_cache WHERE statement LIKE 'SELECT id%'"); got != "0" {
		t.Errorf("%s plans are left", got)
	}
	if got := d.rows("ann", "SELECT id FROM app.t; SELECT id FROM app.t; SELECT cached_tables, cache_hits, cache_misses FROM system.sessions"); got != "1|1|1" {
		t.Errorf("the session is %s", got)
	}
}

func TestLostUpdates(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.must(admin, "CREATE NAMESPACE app; CREATE SHARED TABLE app.c (id INT PRIMARY KEY, n INT) ACCESS open; INSERT INTO app.c VALUES (1, 0)")
		const writers, each = 8, 20
		parallel(writers, func(i int) {
			for range each {
				if _, err := d.exec(fmt.Sprint("u", i), "UPDATE app.c SET n = n + 1 WHERE id = 1"); err != nil {
					t.Error(err)
				}
				if _, err := d.exec(fmt.Sprint("u", i), "INSERT INTO app.c VALUES (2, 1) ON CONFLICT (id) DO UPDATE SET n = c.n + 1"); err != nil {
					t.Error(err)
				}
			}
		})
		if got, want := d.rows(admin, "SELECT n FROM app.c ORDER BY id"), fmt.Sprintf("%d\n%d", writers*each, writers*each); got != want {
			t.Errorf("the counters are %q, want %q", got, want)
		}
	})
}

func TestTimeoutAndCancel(t *testing.T) {
	cfg := testConfig(config.BackendMemory, "")
	cfg.Query.Timeout = config.Duration(300 * time.Millisecond)
	d := openDB(t, cfg)
	const endless = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
	d.fails(admin, endless, dberr.Timeout, "time limit")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var r recorder
	if err := d.session(who("ann")).Execute(ctx, Request{SQL: endless}, &r); dberr.CodeOf(err) != dberr.Cancelled {
		t.Errorf("got %v", err)
	}
	d.must(admin, "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT); INSERT INTO app.t VALUES (1)")
	r.fail = errors.New("gone away")
	if err := d.session(who("ann")).Execute(t.Context(), Request{SQL: "SELECT * FROM app.t"}, &r); !errors.Is(err, r.fail) {
		t.Errorf("a sink that fails: %v", err)
	}
}

func TestCloseEndsWhatStillRuns(t *testing.T) {
	cfg := testConfig(config.BackendMemory, "")
	cfg.Query.Timeout = 0
	d := openDB(t, cfg)
	result := make(chan error, 1)
	s := d.session(who("ann"))
	go func() {
		result <- s.Execute(context.Background(), Request{SQL: "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"}, &recorder{})
	}()
	for d.running.Inside() == 0 {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-result; dberr.CodeOf(err) != dberr.StorageUnavailable || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("the statement ended with %v", err)
	}
}

func TestOpenAndClose(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(config.BackendBadger, dir)
	d := openDB(t, cfg)
	if h := d.Health(); !h.Writable {
		t.Errorf("health: %+v", h)
	}
	_, err := Open(t.Context(), cfg, nil)
	if dberr.CodeOf(err) != dberr.StorageUnavailable || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second server: %v", err)
	}
	s := d.session(who(admin))
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if err := s.Execute(t.Context(), Request{SQL: "SELECT 1"}, &recorder{}); dberr.CodeOf(err) != dberr.StorageUnavailable {
		t.Errorf("a statement after Close: %v", err)
	}
	if _, err := s.Subscribe(t.Context(), SubscribeRequest{SQL: "SELECT 1"}); dberr.CodeOf(err) != dberr.StorageUnavailable {
		t.Errorf("a subscription after Close: %v", err)
	}
	if h := d.Health(); h.Writable || h.Reason == "" {
		t.Errorf("health after Close: %+v", h)
	}
	again, err := Open(t.Context(), cfg, nil)
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	if err := again.Close(t.Context()); err != nil {
		t.Error(err)
	}
	bad := cfg
	bad.Store.Backend = "sled"
	if _, err := Open(t.Context(), bad, nil); dberr.CodeOf(err) != dberr.Unsupported {
		t.Errorf("an unknown backend: %v", err)
	}
	bad = testConfig(config.BackendBadger, "")
	if _, err := Open(t.Context(), bad, nil); err == nil {
		t.Error("opened without a data directory")
	}
}
