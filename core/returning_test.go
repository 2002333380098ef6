package core

import (
	"slices"
	"strings"
	"testing"
)

// TestReturningNumbers holds that RETURNING gives the numbers and times that
// the commit has given the rows, whatever the statement and the kind of table.
func TestReturningNumbers(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.must(admin, `CREATE NAMESPACE app; CREATE SHARED TABLE app.s (id INT PRIMARY KEY, n INT); CREATE USER TABLE app.u (id INT PRIMARY KEY, n INT);
			CREATE SHARED TABLE app.bare (n INT); CREATE STREAM TABLE app.ev (id INT PRIMARY KEY, n INT) TTL 60`)
		for _, table := range []string{"app.s", "app.u", "app.bare", "app.ev"} {
			cols := "n AS id, n, "
			from := "INSERT INTO " + table + " SELECT g"
			if table != "app.bare" {
				cols, from = "id, n, ", from+", g"
			}
			// More rows than a batch holds.
			cols += "_seq, _updated AS at"
			got := d.rows(admin, from+" FROM generate_series(1, 3000) AS g RETURNING "+cols)
			if want := d.rows(admin, "SELECT "+cols+" FROM "+table+" ORDER BY _seq"); got == "" || got != want {
				t.Errorf("INSERT into %s returned other numbers than the rows have:\n%.300s\n%.300s", table, got, want)
			}
			if table == "app.ev" {
				continue
			}
			got = d.rows(admin, "UPDATE "+table+" SET n = n + 1 WHERE n > 2990 RETURNING "+cols)
			if want := d.rows(admin, "SELECT "+cols+" FROM "+table+" ORDER BY _seq DESC LIMIT 10"); len(got) == 0 || !sameLines(got, want) {
				t.Errorf("UPDATE of %s returned other numbers than the rows have:\n%s\n%s", table, got, want)
			}
			got = d.rows(admin, "DELETE FROM "+table+" WHERE n = 1 RETURNING _seq")
			if want := d.rows(admin, "SELECT _seq FROM "+table+" WHERE _deleted"); got == "" || got != want {
				t.Errorf("DELETE from %s returned %s, the deleted row has %s", table, got, want)
			}
		}
		got := d.rows(admin, "INSERT INTO app.s VALUES (1000, 0), (9000, 0) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING id, _seq")
		if want := d.rows(admin, "SELECT id, _seq FROM app.s WHERE id IN (1000, 9000) ORDER BY _seq"); got != want {
			t.Errorf("ON CONFLICT returned %s, the rows have %s", got, want)
		}
		d.script([]line{
			{sql: "UPDATE app.s SET n = 5 WHERE id = 77777 RETURNING _seq", want: ""},
			{sql: "UPDATE app.s SET n = 5 WHERE id = 77 RETURNING _seq + 1", want: "!UNSUPPORTED "},
			{sql: "UPDATE app.s SET n = 5 WHERE id = 77 RETURNING (SELECT max(n) FROM app.u WHERE id = s._seq)", want: "!UNSUPPORTED "},
			{sql: "UPDATE app.s SET n = 5 WHERE id = 77 RETURNING _seq, (SELECT max(n) FROM app.u)", want: "!UNSUPPORTED "},
			{sql: "WITH w AS (UPDATE app.s SET n = 5 WHERE id = 77 RETURNING _seq) SELECT * FROM w", want: "!UNSUPPORTED "},
			{sql: "SELECT n FROM app.s WHERE id = 77", want: "77"},
			{sql: "DELETE FROM app.s WHERE id = 77 RETURNING *", want: "77|77"},
		})
	})
}

// sameLines compares two answers as sets of rows.
func sameLines(a, b string) bool {
	sorted := func(s string) []string { return slices.Sorted(strings.SplitSeq(s, "\n")) }
	return slices.Equal(sorted(a), sorted(b))
}
