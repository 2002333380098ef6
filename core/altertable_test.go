package core

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/live"
)

func TestAlterTable(t *testing.T) {
	forRestarts(t, func(t *testing.T, d *db) {
		d.script([]line{
			{sql: "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, a TEXT, b INT)", want: "-- Table app.t created"},
			{as: "ann", sql: "INSERT INTO app.t VALUES (1, 'one', 10), (2, 'two', 20)", want: "-- 2 rows inserted"},
			{as: "ann", sql: "ALTER TABLE app.t ADD COLUMN c INT", want: "!PERMISSION_DENIED admin"},
			{sql: "ALTER TABLE app.t ADD COLUMN c DECIMAL(8,2) NOT NULL DEFAULT 1.5, ADD d TEXT", want: "-- Table app.t altered: schema version 2"},
			{as: "ann", sql: "SELECT * FROM app.t ORDER BY id", want: "1|one|10|1.50|NULL\n2|two|20|1.50|NULL"},
			{as: "ann", sql: "INSERT INTO app.t (id, a, c, d) VALUES (3, 'three', 7, 'd')", want: "-- 1 row inserted"},
			{as: "ann", sql: "UPDATE app.t SET d = 'new' WHERE id = 1", want: "-- 1 row updated"},
			{as: "ann", sql: "SELECT * FROM app.t WHERE c > 1 ORDER BY id DESC", want: "3|three|NULL|7.00|d\n2|two|20|1.50|NULL\n1|one|10|1.50|new"},
			// A dropped column is gone, and one of its name has nothing of it.
			{sql: "ALTER TABLE app.t DROP COLUMN a", want: "-- Table app.t altered: schema version 3"},
			{as: "ann", sql: "SELECT a FROM app.t", want: "!COLUMN_NOT_FOUND a"},
			{sql: "ALTER TABLE app.t ADD COLUMN a TEXT", want: "-- Table app.t altered: schema version 4"},
			{as: "ann", sql: "SELECT id, a FROM app.t ORDER BY id", want: "1|NULL\n2|NULL\n3|NULL"},
			// A renamed one keeps its values.
			{sql: "ALTER TABLE app.t RENAME COLUMN b TO bee", want: "-- Table app.t altered: schema version 5"},
			{as: "ann", sql: "SELECT id, bee FROM app.t WHERE bee IS NOT NULL ORDER BY id", want: "1|10\n2|20"},
			{sql: "ALTER TABLE app.t SET (flush_interval = '60s', flush_rows = 7)", want: "-- Table app.t altered: schema version 6"},
			{sql: "SELECT version, changes FROM system.table_schemas WHERE table_name = 't' ORDER BY version", want: strings.Join([]string{
				"1|CREATE TABLE",
				"2|ADD COLUMN c DECIMAL(8,2) NOT NULL DEFAULT 1.5, ADD COLUMN d TEXT",
				"3|DROP COLUMN a", "4|ADD COLUMN a TEXT", "5|RENAME COLUMN b TO bee", "6|SET (flush_interval = '60s', flush_rows = 7)"}, "\n")},
			{sql: "SELECT schema_version, flush_policy FROM system.tables WHERE table_name = 't'", want: "6|INTERVAL 1m ROW_THRESHOLD 7"},
			// What is refused.
			{sql: "ALTER TABLE app.t ADD COLUMN e INT NOT NULL", want: "!NOT_NULL_VIOLATION has no default"},
			{sql: "ALTER TABLE app.t ADD COLUMN e INT NOT NULL DEFAULT NULL", want: "!NOT_NULL_VIOLATION e"},
			{sql: "ALTER TABLE app.t ADD COLUMN e INT PRIMARY KEY", want: "!INVALID_SQL primary key"},
			{sql: "ALTER TABLE app.t ADD COLUMN d INT", want: "!ALREADY_EXISTS d"},
			{sql: "ALTER TABLE app.t ADD COLUMN IF NOT EXISTS d INT", want: "-- Table app.t is unchanged"},
			{sql: "ALTER TABLE app.t ADD COLUMN _seq INT", want: "!INVALID_SQL reserved"},
			{sql: "ALTER TABLE app.t ADD COLUMN e INT DEFAULT 'x'", want: "!TYPE_MISMATCH DEFAULT"},
			{sql: "ALTER TABLE app.t DROP COLUMN id", want: "!INVALID_SQL primary key"},
			{sql: "ALTER TABLE app.t DROP COLUMN nope", want: "!COLUMN_NOT_FOUND nope"},
			{sql: "ALTER TABLE app.t DROP COLUMN IF EXISTS nope", want: "-- Table app.t is unchanged"},
			{sql: "ALTER TABLE app.t RENAME COLUMN nope TO x", want: "!COLUMN_NOT_FOUND nope"},
			{sql: "ALTER TABLE app.t RENAME COLUMN c TO d", want: "!INVALID_SQL more than once"},
			{sql: "ALTER TABLE app.t RENAME COLUMN c TO _deleted", want: "!INVALID_SQL reserved"},
			{sql: "ALTER TABLE app.t SET (type = 'shared')", want: "!INVALID_SQL type"},
			{sql: "ALTER TABLE app.t SET (ttl = '5s')", want: "!INVALID_SQL STREAM"},
			{sql: "ALTER TABLE app.t SET (colour = 'red')", want: "!INVALID_SQL colour"},
			{sql: "ALTER TABLE app.nope ADD COLUMN x INT", want: "!TABLE_NOT_FOUND app.nope"},
			{sql: "ALTER TABLE IF EXISTS app.nope ADD COLUMN x INT", want: "-- Table app.nope does not exist"},
			{sql: "ALTER TABLE system.users ADD COLUMN x INT", want: "!PERMISSION_DENIED system"},
			{sql: "CREATE STREAM TABLE app.s (id INT) TTL 5s; ALTER TABLE app.s ADD COLUMN x INT", want: "!UNSUPPORTED STREAM"},
			{sql: "CREATE TABLE app.one (id INT); ALTER TABLE app.one DROP COLUMN id", want: "!INVALID_SQL last column"},
			{sql: "ALTER TABLE app.one ADD COLUMN n BIGSERIAL", want: "-- Table app.one altered: schema version 2"},
			{sql: "CREATE VIEW app.v AS SELECT bee FROM app.t", want: "-- View app.v created"},
			{sql: "ALTER TABLE app.t DROP COLUMN bee", want: "!CONFLICT view app.v"},
			{sql: "ALTER TABLE app.t DROP COLUMN d", want: "-- Table app.t altered: schema version 7"},
		})
		var props struct {
			Version int    `json:"current_schema_version"`
			History string `json:"history"`
		}
		if err := json.Unmarshal(d.must(admin, "DESCRIBE app.t")[0].properties, &props); err != nil {
			t.Fatal(err)
		}
		if props.Version != 7 {
			t.Errorf("DESCRIBE says version %d", props.Version)
		}
		if got := d.must(admin, props.History)[0]; len(got.rows) != 7 {
			t.Errorf("the history has %d rows: %s", len(got.rows), props.History)
		}
	})
}

// TestAddedDefaultIsEvaluatedOnce adds a column whose default changes with
// time, and finds one value for all old rows, also after a restart.
func TestAddedDefaultIsEvaluatedOnce(t *testing.T) {
	cfg := testConfig(config.BackendBadger, t.TempDir())
	d := openDB(t, cfg)
	d.must(admin, `CREATE NAMESPACE app; CREATE TABLE app.t (id INT PRIMARY KEY); INSERT INTO app.t VALUES (1), (2), (3);
		ALTER TABLE app.t ADD COLUMN at TIMESTAMP NOT NULL DEFAULT NOW(), ADD COLUMN u UUID DEFAULT UUID_V7(), ADD COLUMN f DOUBLE DEFAULT -0.0, ADD COLUMN tags TEXT[] DEFAULT '{a,b}'`)
	const q = "SELECT DISTINCT at, u, f, tags FROM app.t"
	before := d.rows(admin, q)
	if strings.Count(before, "\n") != 0 || !strings.HasSuffix(before, "|{a,b}") {
		t.Fatalf("old rows have %q", before)
	}
	d.must(admin, "INSERT INTO app.t (id) VALUES (4)")
	if got := d.rows(admin, "SELECT count(DISTINCT u) FROM app.t"); got != "2" {
		t.Errorf("%s values of u", got)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d = openDB(t, cfg)
	if got := d.rows(admin, q+" WHERE id < 4"); got != before {
		t.Errorf("after a restart old rows have %q, before %q", got, before)
	}
}

func TestAlterUnderSubscriptions(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, room TEXT, body TEXT)")
		all := d.subscribe("ann", SubscribeRequest{SQL: "SELECT * FROM app.t"})
		d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.t WHERE room = 'a'"})
		d.subscribe("bob", SubscribeRequest{SQL: "SELECT id FROM app.t WHERE room = 'a'"})
		d.fails(admin, "ALTER TABLE app.t DROP COLUMN room", dberr.ActiveSubscriptions, "Cannot alter table 'app.t': 2 active subscription(s)")
		d.fails(admin, "ALTER TABLE app.t RENAME COLUMN room TO place", dberr.ActiveSubscriptions, "2 active")
		d.fails(admin, "ALTER TABLE app.t RENAME COLUMN room TO place, RENAME COLUMN body TO room", dberr.ActiveSubscriptions, "2 active")
		d.must("ann", "INSERT INTO app.t VALUES (1, 'a', 'x')")
		d.must(admin, "ALTER TABLE app.t ADD COLUMN n INT DEFAULT 5, DROP COLUMN body")
		d.must("ann", "INSERT INTO app.t VALUES (2, 'b', 6)")
		ctx, cancel := context.WithTimeout(context.Background(), hearing)
		defer cancel()
		var got []string
		for range 3 {
			m, err := all.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var cols []string
			for _, c := range m.Columns {
				cols = append(cols, c.Name)
			}
			line := m.Kind.String()
			if m.Kind == live.Schema {
				line += " " + strings.Join(cols, ",")
			}
			for _, r := range m.Rows {
				line += fmt.Sprint(" ", r[0].Text(), " ", r[2].Text())
			}
			got = append(got, line)
		}
		want := "insert 1 x; schema id,room,n,_updated,_deleted; insert 2 6"
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("heard %q, want %q", s, want)
		}
		// A subscriber that comes back reads old rows in the new form.
		sub := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id, n FROM app.t", LastRows: ptr[int64](-1)})
		if h := next(t, sub); fmt.Sprint(h.ids) != "[1 2]" {
			t.Errorf("initial rows are %v", h.ids)
		}
	})
}

// TestAlterBesideWriters alters a table again and again, without a pause, while
// others write and subscribe: no statement fails but for a column that is gone,
// none is lost, and nobody is overtaken for ever.
func TestAlterBesideWriters(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, `CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY, n INT) ACCESS open; INSERT INTO app.t VALUES (0, 0);
		CREATE USER TABLE app.mine (id INT PRIMARY KEY)`)
	through := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.mine WHERE id > 0"})
	ctx, cancel := context.WithCancel(t.Context())
	var altering sync.WaitGroup
	for _, name := range []string{"app.t", "app.t", "app.mine"} {
		altering.Go(func() {
			for i := 0; i < 5 || ctx.Err() == nil; i++ {
				col := fmt.Sprintf("c%d", rand.Int64())
				for _, s := range []string{"ADD COLUMN " + col + " INT DEFAULT 1", "RENAME COLUMN " + col + " TO " + col + "b", "DROP COLUMN " + col + "b"} {
					if _, err := d.exec(admin, "ALTER TABLE "+name+" "+s); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	const writers, each = 4, 100
	parallel(writers+1, func(w int) {
		for i := range each {
			if w == writers {
				d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.mine"}).Close()
				continue
			}
			if _, err := d.exec("ann", fmt.Sprintf("UPDATE app.t SET n = n + 1 WHERE id = 0; INSERT INTO app.t (id, n) VALUES (%d, 1)", 1+w*each+i)); err != nil {
				t.Error(err)
			}
		}
	})
	cancel()
	altering.Wait()
	if got := d.rows(admin, "SELECT count(*), max(n) FROM app.t"); got != "401|400" {
		t.Errorf("counted %s", got)
	}
	d.must("ann", "INSERT INTO app.mine VALUES (1)")
	for h := next(t, through); h.kind != "insert"; h = next(t, through) {
		if h.kind != "schema" {
			t.Fatalf("a live query through all of it hears %+v", h)
		}
	}
	if got := d.must(admin, "SELECT table_name FROM system.tables WHERE table_name IN ('t', 'mine') AND schema_version > 10")[0].rows; len(got) != 2 {
		t.Errorf("only %v were altered often", got)
	}
	d.idle()
}
