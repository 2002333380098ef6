package core

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
)

func TestNamespaces(t *testing.T) {
	forRestarts(t, func(t *testing.T, d *db) {
		d.script([]line{
			{sql: "CREATE NAMESPACE app", want: "-- Namespace app created"},
			{sql: "CREATE NAMESPACE app", want: "!ALREADY_EXISTS Namespace 'app' already exists"},
			{sql: "CREATE NAMESPACE IF NOT EXISTS app", want: "-- Namespace app exists already"},
			{sql: "CREATE NAMESPACE system", want: "!ALREADY_EXISTS reserved"},
			{sql: "CREATE NAMESPACE information_schema", want: "!ALREADY_EXISTS reserved"},
			{sql: "ALTER NAMESPACE app SET OPTIONS (owner = 'ann', limit_rows = 5)", want: "-- Namespace app altered"},
			{sql: "ALTER NAMESPACE nope SET OPTIONS (owner = 'ann')", want: "!NAMESPACE_NOT_FOUND Namespace 'nope' does not exist. Create it first with CREATE NAMESPACE."},
			{sql: "ALTER NAMESPACE system SET OPTIONS (owner = 'ann')", want: "!PERMISSION_DENIED system"},
			{sql: "USE nope", want: "!NAMESPACE_NOT_FOUND 'nope'"},
			{sql: "USE app", want: "-- Using namespace app"},
			{sql: "CREATE TABLE t (id BIGINT PRIMARY KEY)", want: "-- Table app.t created"},
			{sql: "DROP NAMESPACE app", want: "!CONFLICT it holds 1 table(s)"},
			{sql: "DROP NAMESPACE system CASCADE", want: "!PERMISSION_DENIED system"},
			{sql: "DROP NAMESPACE app CASCADE", want: "-- Namespace app dropped"},
			{sql: "DROP NAMESPACE app", want: "!NAMESPACE_NOT_FOUND 'app'"},
			{sql: "DROP NAMESPACE IF EXISTS app", want: "-- Namespace app does not exist"},
			{as: "ann", sql: "CREATE NAMESPACE mine", want: "!PERMISSION_DENIED admin"},
			{as: "bot:service", sql: "DROP NAMESPACE IF EXISTS mine", want: "!PERMISSION_DENIED admin"},
		})
	})
}

func TestCreateTableNeedsItsNamespace(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	const text = "Namespace 'nowhere' does not exist. Create it first with CREATE NAMESPACE."
	for _, kind := range []string{"USER", "SHARED", "STREAM", ""} {
		create := "CREATE " + kind + " TABLE nowhere.t" + kind + " (id BIGINT PRIMARY KEY)"
		d.fails(admin, create, dberr.NamespaceNotFound, text)
		d.must(admin, "CREATE NAMESPACE nowhere")
		d.must(admin, create)
		d.must(admin, "DROP NAMESPACE nowhere CASCADE")
	}
	d.fails(admin, "CREATE USER TABLE t (id INT)", dberr.NamespaceNotFound, "none is selected")
	d.fails(admin, "CREATE TABLE system.t (id INT)", dberr.PermissionDenied, "system")
}

// TestNamespaceRace drops and creates namespaces while tables are created in
// them: no table may be left without a namespace (FR-040).
func TestNamespaceRace(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	var created atomic.Int32
	parallel(8, func(i int) {
		for n := range 40 {
			if i%2 == 0 {
				_, _ = d.exec(admin, "CREATE NAMESPACE IF NOT EXISTS race; DROP NAMESPACE race CASCADE")
				continue
			}
			_, err := d.exec(admin, fmt.Sprintf("CREATE NAMESPACE IF NOT EXISTS race; CREATE TABLE race.t_%d_%d (id INT)", i, n))
			switch code := dberr.CodeOf(err); {
			case err == nil:
				created.Add(1)
			case code != dberr.NamespaceNotFound:
				t.Error(err)
			}
		}
	})
	cat := d.store.Catalog()
	if _, err := cat.Namespace("race"); err != nil && cat.TableCount("race") > 0 {
		t.Error("tables are left without their namespace")
	}
}

func TestCreateTableClauses(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, "CREATE NAMESPACE app")
	type table struct {
		Type    string `json:"table_type"`
		Flush   string `json:"flush_policy"`
		Storage string `json:"storage_id"`
		Access  string `json:"access"`
		TTL     string `json:"ttl"`
		Buffer  int    `json:"max_buffer"`
	}
	const def = "INTERVAL 5m ROW_THRESHOLD 10000"
	for i, c := range []struct {
		sql  string
		want table
	}{
		{"CREATE TABLE %s (id INT)", table{Type: "shared", Flush: def, Storage: "local", Access: "public"}},
		{"CREATE USER TABLE %s (id INT)", table{Type: "user", Flush: def, Storage: "local"}},
		{"CREATE SHARED TABLE %s (id INT) ACCESS restricted", table{Type: "shared", Flush: def, Storage: "local", Access: "restricted"}},
		{"CREATE STREAM TABLE %s (id INT) TTL 10", table{Type: "stream", TTL: "10s"}},
		{"CREATE STREAM TABLE %s (id INT) TTL 5m MAX_BUFFER 50", table{Type: "stream", TTL: "5m0s", Buffer: 50}},
		{"CREATE USER TABLE %s (id INT) FLUSH INTERVAL 300s", table{Type: "user", Flush: "INTERVAL 5m", Storage: "local"}},
		{"CREATE USER TABLE %s (id INT) FLUSH ROW_THRESHOLD 1000", table{Type: "user", Flush: "ROW_THRESHOLD 1000", Storage: "local"}},
		{"CREATE USER TABLE %s (id INT) STORAGE local FLUSH INTERVAL 60s ROW_THRESHOLD 7", table{Type: "user", Flush: "INTERVAL 1m ROW_THRESHOLD 7", Storage: "local"}},
		{"CREATE USER TABLE %s (id INT) FLUSH ROWS 7", table{Type: "user", Flush: "ROW_THRESHOLD 7", Storage: "local"}},
		{"CREATE USER TABLE %s (id INT) FLUSH SECONDS 7", table{Type: "user", Flush: "INTERVAL 7s", Storage: "local"}},
		{"CREATE TABLE %s (id INT) WITH (type = 'user', storage = 'local', flush_interval = '300s', flush_rows = 1000)", table{Type: "user", Flush: "INTERVAL 5m ROW_THRESHOLD 1000", Storage: "local"}},
		{"CREATE TABLE %s (id INT) WITH (type = 'stream', ttl = '10s')", table{Type: "stream", TTL: "10s"}},
		{"CREATE TABLE %s (id INT) WITH (access = 'private')", table{Type: "shared", Flush: def, Storage: "local", Access: "private"}},
	} {
		name := fmt.Sprintf("app.t%d", i)
		d.must(admin, fmt.Sprintf(c.sql, name))
		a := d.must(admin, "DESCRIBE TABLE "+name)
		var got table
		if err := json.Unmarshal(a[0].properties, &got); err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.sql, got, c.want)
		}
	}
}

func TestCreateTableRefuses(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, "CREATE NAMESPACE app; CREATE TABLE app.there (id INT); CREATE VIEW app.v AS SELECT 1 AS one")
	for _, c := range []struct {
		sql  string
		code dberr.Code
		text string
	}{
		{"CREATE TABLE app.there (id INT)", dberr.AlreadyExists, "app.there already exists"},
		{"CREATE TABLE app.v (id INT)", dberr.AlreadyExists, "view"},
		{"CREATE TABLE app.t (a INT, a TEXT)", dberr.InvalidSQL, `column "a" is specified more than once`},
		{"CREATE TABLE app.t (_seq INT)", dberr.InvalidSQL, "reserved"},
		{"CREATE TABLE app.t (_mine INT)", dberr.InvalidSQL, "reserved"},
		{"CREATE TABLE app.t (a NOTYPE)", dberr.InvalidSQL, "does not exist"},
		{"CREATE TABLE app.t (a JSON PRIMARY KEY)", dberr.InvalidSQL, "cannot be part of a primary key"},
		{"CREATE TABLE app.t (a INT[] PRIMARY KEY)", dberr.InvalidSQL, "cannot be part of a primary key"},
		{"CREATE TABLE app.t (a INT, PRIMARY KEY (b))", dberr.ColumnNotFound, `"b"`},
		{"CREATE TABLE app.t (a INT, PRIMARY KEY (a, a))", dberr.InvalidSQL, "twice"},
		{"CREATE TABLE app.t (a INT PRIMARY KEY, b INT PRIMARY KEY)", dberr.InvalidSQL, "primary key"},
		{"CREATE TABLE app.t (a DECIMAL(50,2))", dberr.InvalidSQL, "precision"},
		{"CREATE TABLE app.t (a DECIMAL(5,9))", dberr.InvalidSQL, "scale"},
		{"CREATE TABLE app.t (a VARCHAR(0))", dberr.InvalidSQL, "length"},
		{"CREATE TABLE app.t (a INTERVAL)", dberr.Unsupported, "INTERVAL"},
		{"CREATE TABLE app.t (a TEXT AUTO_INCREMENT)", dberr.InvalidSQL, "integer"},
		{"CREATE TABLE app.t (a INT) STORAGE mars", dberr.NotFound, "Storage 'mars'"},
		{"CREATE TABLE app.t (a INT) TTL 10", dberr.InvalidSQL, "STREAM"},
		{"CREATE USER TABLE app.t (a INT) MAX_BUFFER 10", dberr.InvalidSQL, "STREAM"},
		{"CREATE USER TABLE app.t (a INT) ACCESS public", dberr.InvalidSQL, "SHARED"},
		{"CREATE SHARED TABLE app.t (a INT) ACCESS everyone", dberr.InvalidSQL, "access level"},
		{"CREATE STREAM TABLE app.t (a INT) FLUSH INTERVAL 10s", dberr.InvalidSQL, "never flushed"},
		{"CREATE STREAM TABLE app.t (a INT) STORAGE local", dberr.InvalidSQL, "memory"},
		{"CREATE STREAM TABLE app.t (a INT) TTL 0", dberr.InvalidSQL, "duration"},
		{"CREATE STREAM TABLE app.t (a INT) MAX_BUFFER 0", dberr.InvalidSQL, "between"},
		{"CREATE TABLE app.t (a INT) WITH (colour = 'red')", dberr.InvalidSQL, "colour"},
		{"CREATE TABLE app.user.t (a INT)", dberr.InvalidSQL, ".user."},
		{`CREATE TABLE app."" (a INT)`, dberr.InvalidSQL, ""},
		{"CREATE TABLE app." + strings.Repeat("x", 64) + " (a INT)", dberr.InvalidSQL, "63"},
	} {
		d.fails(admin, c.sql, c.code, c.text)
	}
	d.must(admin, "CREATE TABLE IF NOT EXISTS app.there (other TEXT)")
	d.fails("ann", "CREATE USER TABLE app.mine (a INT)", dberr.PermissionDenied, "admin")
}

func TestDefaultExpressions(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, "CREATE NAMESPACE app")
	for i, c := range []struct{ typ, expr, fails string }{
		{"INT", "7", ""},
		{"INT", "1 + 2 * 3", ""},
		{"TEXT", "'it''s'", ""},
		{"TIMESTAMP", "NOW()", ""},
		{"BIGINT", "SNOWFLAKE_ID()", ""},
		{"UUID", "UUID_V7()", ""},
		{"TEXT", "ULID()", ""},
		{"TEXT", "CURRENT_USER()", ""},
		{"TEXT", "upper('x') || '-'", ""},
		{"JSON", `'{"a":1}'`, ""},
		{"INT", "NULL", ""},
		{"INT", "'abc'", "DEFAULT"},
		{"INT", "true", "DEFAULT"},
		{"INT", "other", `column "other" cannot be used here`},
		{"INT", "(SELECT 1)", "subquery"},
		{"INT", "$1", "parameter"},
		{"DOUBLE", "random()", "another value each time"},
		{"BIGINT", "count(*)", "cannot be used here"},
		{"INT", "no_such_function()", ""},
	} {
		create := fmt.Sprintf("CREATE TABLE app.d%d (id INT, v %s DEFAULT %s)", i, c.typ, c.expr)
		_, err := d.exec(admin, create)
		switch {
		case c.expr == "no_such_function()":
			if dberr.CodeOf(err) != dberr.FunctionNotFound {
				t.Errorf("%s: %v", create, err)
			}
		case c.fails == "" && err != nil, c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%s: %v", create, err)
		}
	}
}

func TestDropTable(t *testing.T) {
	forRestarts(t, func(t *testing.T, d *db) {
		d.script([]line{
			{sql: "CREATE NAMESPACE app; CREATE USER TABLE app.a (id INT); CREATE SHARED TABLE app.b (id INT); CREATE TABLE app.c (id INT); CREATE VIEW app.v AS SELECT id FROM app.a", want: "-- View app.v created"},
			{as: "ann", sql: "DROP TABLE app.a", want: "!PERMISSION_DENIED admin"},
			{sql: "DROP SHARED TABLE app.a", want: "!INVALID_SQL USER table"},
			{sql: "DROP USER TABLE app.a", want: "-- Table app.a dropped"},
			{sql: "DROP TABLE app.a", want: "!TABLE_NOT_FOUND app.a does not exist"},
			{sql: "DROP TABLE IF EXISTS app.a", want: "-- Table app.a does not exist"},
			{sql: "DROP TABLE app.b, app.nope", want: "!TABLE_NOT_FOUND app.nope"},
			{sql: "DROP TABLE app.v", want: "!TABLE_NOT_FOUND app.v is a view"},
			{sql: "DROP TABLE app.b, app.c", want: "-- 2 tables dropped"},
			{sql: "DROP VIEW app.v", want: "-- View app.v dropped"},
			{sql: "DROP VIEW app.v", want: "!TABLE_NOT_FOUND app.v does not exist"},
			{sql: "DROP VIEW IF EXISTS app.v", want: "-- View app.v does not exist"},
			{sql: "DROP TABLE system.users", want: "!PERMISSION_DENIED system"},
		})
	})
}

func TestDescribeAndShow(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, `CREATE NAMESPACE app;
		CREATE USER TABLE app.notes (id SERIAL PRIMARY KEY, title VARCHAR(20) NOT NULL, price DECIMAL(8,2) DEFAULT 1.5, at DATETIME DEFAULT NOW());
		CREATE SHARED TABLE app.secret (id INT) ACCESS private;
		CREATE NAMESPACE other; CREATE STREAM TABLE other.s (id INT) TTL 5s`)
	want := strings.Join([]string{
		"id|BIGINT|f|SNOWFLAKE_ID()|t|f",
		"title|VARCHAR(20)|f|NULL|f|f",
		"price|DECIMAL(8,2)|t|1.5|f|f",
		"at|TIMESTAMP|t|now()|f|f",
		"_seq|BIGINT|f|NULL|f|t",
		"_updated|TIMESTAMP|f|NULL|f|t",
		"_deleted|BOOLEAN|f|NULL|f|t",
	}, "\n")
	a := d.must(admin, "DESCRIBE app.notes")
	if got := strings.Join(a[0].rows, "\n"); !strings.EqualFold(got, want) {
		t.Errorf("DESCRIBE:\n%s\nwant:\n%s", got, want)
	}
	var props map[string]any
	if err := json.Unmarshal(a[0].properties, &props); err != nil {
		t.Fatal(err)
	}
	if props["table_type"] != "user" || props["current_schema_version"] != 1.0 || !strings.Contains(props["history"].(string), "system.table_schemas") {
		t.Errorf("properties are %v", props)
	}
	names := func(as, text string) string {
		var out []string
		for _, r := range d.must(as, text)[0].rows {
			out = append(out, strings.Join(strings.Split(r, "|")[:3], "|"))
		}
		return strings.Join(out, " ")
	}
	if got := names(admin, "SHOW TABLES"); got != "app|notes|user app|secret|shared other|s|stream" {
		t.Errorf("SHOW TABLES: %s", got)
	}
	if got := names("ann", "SHOW TABLES"); got != "app|notes|user other|s|stream" {
		t.Errorf("a user's SHOW TABLES: %s", got)
	}
	if got := names(admin, "SHOW TABLES IN other"); got != "other|s|stream" {
		t.Errorf("SHOW TABLES IN other: %s", got)
	}
	d.script([]line{
		{sql: "SHOW TABLES IN nope", want: "!NAMESPACE_NOT_FOUND 'nope'"},
		{sql: "DESCRIBE app.nope", want: "!TABLE_NOT_FOUND app.nope"},
		{as: "ann", sql: "DESCRIBE app.secret", want: "!PERMISSION_DENIED app.secret"},
		{sql: "DESCRIBE notes", want: "!NAMESPACE_NOT_FOUND none is selected"},
		{sql: "SHOW TABLE STATS app.notes", want: "app|notes|0|0|0|0|0|NULL|INTERVAL 5m ROW_THRESHOLD 10000"},
		{sql: "SHOW STATS FOR TABLE other.s", want: "other|s|0|0|0|0|0|NULL|NULL"},
		{as: "ann", sql: "FLUSH TABLE app.notes", want: "!PERMISSION_DENIED admin"},
		{as: "ann", sql: "BACKUP DATABASE app TO '/tmp/x'", want: "!PERMISSION_DENIED admin"},
		{sql: "CLEAR CACHE", want: "-- Caches cleared"},
		{as: "ann", sql: "CLEAR CACHE", want: "-- Session cache cleared"},
		{sql: "KILL LIVE QUERY 'lq_nope'", want: "!SUBSCRIPTION_NOT_FOUND lq_nope"},
	})
	if got := d.rows(admin, "SHOW NAMESPACES"); !strings.Contains(got, "app|2|") || !strings.Contains(got, "system|") {
		t.Errorf("SHOW NAMESPACES: %s", got)
	}
	if got := d.rows("ann", "SHOW STORAGES"); !strings.HasPrefix(got, "local|Local filesystem|filesystem|NULL|2") {
		t.Errorf("SHOW STORAGES: %s", got)
	}
}

func TestDefinitionsSurviveARestart(t *testing.T) {
	cfg := testConfig(config.BackendBadger, t.TempDir())
	d := openDB(t, cfg)
	d.must(admin, `CREATE NAMESPACE app; ALTER NAMESPACE app SET OPTIONS (owner = 'ann'); CREATE NAMESPACE empty;
		CREATE USER TABLE app.notes (id SERIAL PRIMARY KEY, tags TEXT[], price DECIMAL(8,2) DEFAULT 1.5) FLUSH INTERVAL 60s;
		CREATE TABLE app.gone (id INT); DROP TABLE app.gone`)
	before, err := d.store.Catalog().Table("app", "notes")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d = openDB(t, cfg)
	after, err := d.store.Catalog().Table("app", "notes")
	if err != nil {
		t.Fatal(err)
	}
	b, a := *before, *after
	if b.CreatedAt.UnixMicro() != a.CreatedAt.UnixMicro() {
		t.Errorf("created at %v, was %v", a.CreatedAt, b.CreatedAt)
	}
	b.CreatedAt = a.CreatedAt
	if fmt.Sprintf("%+v", b) != fmt.Sprintf("%+v", a) {
		t.Errorf("the table is\n%+v, was\n%+v", a, b)
	}
	if _, err := d.store.Catalog().Table("app", "gone"); dberr.CodeOf(err) != dberr.TableNotFound {
		t.Errorf("the dropped table: %v", err)
	}
	d.must(admin, "CREATE TABLE app.next (id INT)")
	if next, _ := d.store.Catalog().Table("app", "next"); next.ID <= before.ID+1 {
		t.Errorf("the id %d was given again", next.ID)
	}
	n, err := d.store.Catalog().Namespace("app")
	if err != nil || n.Options["owner"] != "ann" {
		t.Errorf("the namespace is %+v, %v", n, err)
	}
}
