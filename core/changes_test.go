package core

import (
	"fmt"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
)

// TestSeveralChanges holds that the changes of one statement's WITH commit
// together over all kinds of tables, and need the rights of each.
func TestSeveralChanges(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.must(admin, `CREATE NAMESPACE app; CREATE SHARED TABLE app.open (id INT PRIMARY KEY, n INT) ACCESS open; CREATE SHARED TABLE app.pub (id INT PRIMARY KEY, n INT);
			CREATE USER TABLE app.mine (id INT PRIMARY KEY, n INT); CREATE USER TABLE app.old (id INT PRIMARY KEY, n INT); CREATE STREAM TABLE app.ev (id INT PRIMARY KEY, n INT) TTL 60;
			INSERT INTO app.pub VALUES (1, 10)`)
		d.script([]line{
			{as: "ann", sql: "INSERT INTO app.mine VALUES (1, 1), (2, 2), (3, 3)", want: ""},
			{as: "ann", sql: "WITH d AS (DELETE FROM app.mine WHERE id < 3 RETURNING *), e AS (INSERT INTO app.ev SELECT * FROM d), o AS (INSERT INTO app.open SELECT id + 100, n FROM d) INSERT INTO app.old SELECT * FROM d RETURNING id", want: "1\n2"},
			{as: "ann", sql: "SELECT (SELECT count(*) FROM app.mine), (SELECT count(*) FROM app.ev), (SELECT count(*) FROM app.open), (SELECT count(*) FROM app.old)", want: "1|2|2|2"},
			{as: "bob", sql: "SELECT (SELECT count(*) FROM app.mine), (SELECT count(*) FROM app.ev), (SELECT count(*) FROM app.open), (SELECT count(*) FROM app.old)", want: "0|0|2|0"},
			// The last fails: nothing of the others is there, not even in the stream.
			{as: "ann", sql: "WITH d AS (DELETE FROM app.mine RETURNING *), e AS (INSERT INTO app.ev VALUES (9, 9)), o AS (DELETE FROM app.open) INSERT INTO app.old VALUES (7, 7), (1, 1)", want: "!UNIQUE_VIOLATION "},
			{as: "ann", sql: "SELECT (SELECT count(*) FROM app.mine), (SELECT count(*) FROM app.ev), (SELECT count(*) FROM app.open), (SELECT count(*) FROM app.old)", want: "1|2|2|2"},
			{as: "ann", sql: "WITH d AS (DELETE FROM app.mine RETURNING *), p AS (DELETE FROM app.pub) SELECT * FROM d", want: "!PERMISSION_DENIED "},
			{as: "ann", sql: "WITH p AS (DELETE FROM app.pub RETURNING *) INSERT INTO app.mine SELECT * FROM p", want: "!PERMISSION_DENIED "},
			{as: "ann", sql: "WITH d AS (DELETE FROM app.mine) UPDATE app.pub SET n = 0", want: "!PERMISSION_DENIED "},
			{sql: "WITH d AS (DELETE FROM app.pub) DELETE FROM system.users WHERE user_id = 'ann'", want: "!UNSUPPORTED "},
			{as: "ann", sql: "SELECT (SELECT count(*) FROM app.mine), n FROM app.pub", want: "1|10"},
			// The numbers go through all changes; RETURNING gives those of the last.
			{as: "ann", sql: "WITH d AS (DELETE FROM app.mine RETURNING *) INSERT INTO app.old SELECT id, n FROM d RETURNING _seq = 0, id", want: "!UNSUPPORTED "},
		})
		got := d.rows("ann", "WITH d AS (DELETE FROM app.mine RETURNING *) INSERT INTO app.old SELECT id, n FROM d RETURNING _seq")
		if want := d.rows("ann", "SELECT o._seq FROM app.old o JOIN app.mine m ON m.id = o.id WHERE m._deleted AND m._seq = o._seq - 1"); got == "" || got != want {
			t.Errorf("RETURNING gave %s, the row has %q", got, want)
		}
	})
}

// TestSeveralChangesAtOnce lets statements move amounts between two tables
// while others do the same: each runs again when another was first, and
// nothing is lost or made.
func TestSeveralChangesAtOnce(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, `CREATE NAMESPACE app; CREATE SHARED TABLE app.a (id INT PRIMARY KEY, n INT); CREATE SHARED TABLE app.b (id INT PRIMARY KEY, n INT);
		INSERT INTO app.a VALUES (1, 1000), (2, 1000); INSERT INTO app.b VALUES (1, 1000), (2, 1000)`)
	const workers, moves = 4, 25
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range moves {
				from, to := "a", "b"
				if (w+i)%2 == 0 {
					from, to = to, from
				}
				sql := fmt.Sprintf("WITH x AS (UPDATE app.%s SET n = n - %d WHERE id = %d RETURNING n) UPDATE app.%s SET n = n + %[2]d WHERE id = %d", from, i+1, 1+i%2, to, 1+w%2)
				if _, err := d.exec(admin, sql); err != nil {
					t.Errorf("%s: %v", sql, err)
				}
			}
		})
	}
	for range 50 {
		if got := d.rows(admin, "SELECT (SELECT sum(n) FROM app.a) + (SELECT sum(n) FROM app.b)"); got != "4000" {
			t.Errorf("the sum is %s in between, want 4000", got)
		}
	}
	all.Wait()
	if got := d.rows(admin, "SELECT (SELECT sum(n) FROM app.a) + (SELECT sum(n) FROM app.b)"); got != "4000" {
		t.Errorf("the sum is %s, want 4000", got)
	}
}
