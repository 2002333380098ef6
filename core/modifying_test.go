package core

import (
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
)

// TestModifyingCTE holds that a change of rows in WITH commits, gives its rows,
// and needs the same rights as the statement itself.
func TestModifyingCTE(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.must(admin, `CREATE NAMESPACE app; CREATE SHARED TABLE app.pub (id INT PRIMARY KEY, n INT); CREATE USER TABLE app.notes (id INT PRIMARY KEY, body TEXT);
			CREATE SHARED TABLE app.secret (id INT PRIMARY KEY) ACCESS private; INSERT INTO app.secret VALUES (1)`)
		d.script([]line{
			{sql: "WITH i AS (INSERT INTO app.pub VALUES (1, 10), (2, 20) RETURNING *) SELECT sum(n), (SELECT count(*) FROM app.pub) FROM i", want: "30|0"},
			{sql: "SELECT count(*) FROM app.pub", want: "2"},
			{as: "ann", sql: "WITH i AS (INSERT INTO app.pub VALUES (3, 30) RETURNING *) SELECT * FROM i", want: "!PERMISSION_DENIED "},
			{as: "ann", sql: "WITH i AS (DELETE FROM app.pub RETURNING *) SELECT 1", want: "!PERMISSION_DENIED "},
			{as: "ann", sql: "WITH i AS (INSERT INTO app.notes VALUES (1, 'mine') RETURNING *) SELECT i.body, p.n FROM i JOIN app.pub p ON p.id = i.id", want: "mine|10"},
			{as: "ann", sql: "WITH i AS (INSERT INTO app.notes VALUES (2, 'x') RETURNING *) SELECT * FROM i, app.secret", want: "!PERMISSION_DENIED "},
			{as: "ann", sql: "INSERT INTO app.notes VALUES (2, 'x') RETURNING (SELECT id FROM app.secret)", want: "!PERMISSION_DENIED "},
			{as: "ann", sql: "INSERT INTO app.notes VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET body = (SELECT id::text FROM app.secret)", want: "!PERMISSION_DENIED "},
			{as: "ann", sql: "INSERT INTO app.notes VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET body = (SELECT n::text FROM app.pub WHERE id = excluded.id) RETURNING body, (SELECT count(*) FROM app.pub)", want: "10|2"},
			{as: "ann", sql: "SELECT * FROM app.notes", want: "1|10"},
			{as: "bob", sql: "WITH d AS (DELETE FROM app.notes RETURNING *) SELECT count(*) FROM d", want: "0"},
			{as: "ann", sql: "WITH d AS (DELETE FROM app.notes RETURNING *) SELECT body FROM d", want: "10"},
			{as: "ann", sql: "SELECT count(*) FROM app.notes", want: "0"},
		})
	})
}

// TestPlansKeepTheirRights holds that a plan that is used again, because DDL
// elsewhere did not touch it, is not used past a change of its own table.
func TestPlansKeepTheirRights(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY); INSERT INTO app.t VALUES (1)")
	read := func(want string) {
		t.Helper()
		for range 4 {
			d.script([]line{{as: "ann", sql: "SELECT id FROM app.t WHERE id = 1", want: want}})
		}
	}
	read("1")
	d.must(admin, "CREATE SHARED TABLE app.other (id INT)")
	read("1")
	if got := d.rows(admin, "SELECT hits FROM system.plan_cache WHERE statement LIKE 'SELECT id FROM app.t%'"); got != "7" {
		t.Errorf("the plan has %s hits, want 7: another table made it useless", got)
	}
	d.must(admin, "ALTER TABLE app.t SET (access = 'private')")
	read("!PERMISSION_DENIED ")
	d.must(admin, "ALTER TABLE app.t SET (access = 'public')")
	read("1")
	d.must(admin, "DROP TABLE app.t; CREATE VIEW app.t AS SELECT 1 AS id, 'view' AS what")
	d.script([]line{{as: "ann", sql: "SELECT * FROM app.t WHERE id = 1", want: "1|view"}})
	read("1")
	d.must(admin, "DROP VIEW app.t; CREATE USER TABLE app.t (id INT PRIMARY KEY)")
	read("")
}
