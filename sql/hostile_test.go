package sql_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/plancache"
)

// TestHostileStatements holds that statements of absurd size end in rows or in
// a clear error, through all layers. The timeout is there to catch a hang.
func TestHostileStatements(t *testing.T) {
	if testing.Short() {
		t.Skip("large statements")
	}
	db := newDB(t, sql.Options{})
	ctx := context.Background()
	if _, err := db.Exec(ctx, "CREATE TABLE h (id INT PRIMARY KEY, n INT)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(ctx, "INSERT INTO h VALUES (1, 1), (2, 2), (700001, 3)"); err != nil {
		t.Fatal(err)
	}
	list := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ",%d", 2*i+1)
		}
		return b.String()[1:]
	}
	times := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
		}
		return b.String()
	}
	million := list(1_000_000)
	for _, c := range []struct{ name, text, want string }{
		{"a million terms in IN", "SELECT n FROM h WHERE n IN (" + million + ") ORDER BY n", "1 3"},
		{"a million terms in IN over the key", "SELECT n FROM h WHERE id IN (" + million + ") ORDER BY n", "1 3"},
		{"a million terms in NOT IN", "SELECT n FROM h WHERE id NOT IN (" + million + ")", "2"},
		{"a hundred thousand conjuncts", "SELECT count(*) FROM h WHERE n > 0" + strings.Repeat(" AND n < 9", 100_000), "3"},
		{"a hundred thousand alternatives", "SELECT count(*) FROM h WHERE n = 0" + times(100_000, func(i int) string { return fmt.Sprintf(" OR n = %d", i) }), "3"},
		{"ten thousand branches", "SELECT CASE n" + times(10_000, func(i int) string { return fmt.Sprintf(" WHEN %d THEN %d", i, i) }) + " END FROM h WHERE id = 2", "2"},
		{"ten thousand columns", "SELECT count(*) FROM (SELECT 1" + times(10_000, func(i int) string { return fmt.Sprintf(", n + %d AS c%d", i, i) }) + " FROM h) x", "3"},
		{"a thousand joins", "SELECT count(*) FROM h" + times(1000, func(i int) string { return fmt.Sprintf(" JOIN h h%d ON h%d.id = h.id", i, i) }), ""},
		{"a thousand tables", "SELECT count(*) FROM h" + times(1000, func(i int) string { return fmt.Sprintf(", h h%d", i) }) + " WHERE h.id = 1" +
			times(1000, func(i int) string { return fmt.Sprintf(" AND h%d.id = h.id", i) }), ""},
		{"four hundred unions", "SELECT count(*) FROM (SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 400) + ") x", "401"},
		{"three hundred subqueries", "SELECT count(*) FROM h WHERE n > 0" + times(300, func(i int) string { return " AND EXISTS (SELECT 1 FROM h x WHERE x.id = h.id)" }), "3"},
		{"a thousand CTEs", "WITH c0 AS (SELECT n FROM h)" + times(999, func(i int) string { return fmt.Sprintf(", c%d AS (SELECT n FROM c%d)", i+1, i) }) + " SELECT count(*) FROM c999", ""},
		{"10 MB of parentheses", "SELECT " + strings.Repeat("(", 10<<20), ""},
		{"10 MB of parentheses in FROM", "SELECT * FROM " + strings.Repeat("(", 10<<20), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
			defer cancel()
			start := time.Now()
			r, err := db.Exec(ctx, c.text)
			t.Logf("%.50s… took %v: %.120v", c.text, time.Since(start), err)
			if err != nil {
				code := dberr.CodeOf(err)
				if c.want != "" || code != dberr.TooLarge && code != dberr.InvalidSQL && code != dberr.ResourceExhausted {
					t.Fatalf("error %v", err)
				}
				return
			}
			var got []string
			for _, row := range r.Rows {
				got = append(got, row[0].Text())
			}
			if c.want != "" && strings.Join(got, " ") != c.want {
				t.Fatalf("got %v, want %s", got, c.want)
			}
		})
	}
}

// TestPlansAreBoundedInBytes sends many statements whose plans are large though
// their texts are not: long select lists and VALUES, windows, and constants
// that are computed once. What the plan cache keeps of them is bounded.
func TestPlansAreBoundedInBytes(t *testing.T) {
	db := newDB(t, sql.Options{})
	used := func() uint64 {
		runtime.GC()
		runtime.GC() // what a pool held is gone after the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := used()
	for what, text := range map[string]string{
		"columns":   "SELECT 1" + strings.Repeat(",1", 7000) + " AS c%d",
		"rows":      "SELECT count(*) AS c%d FROM (VALUES (1)" + strings.Repeat(",(2)", 3000) + ") AS t(x)",
		"windows":   "SELECT 1 AS c%d" + strings.Repeat(", sum(x) OVER (ORDER BY x), max(x) OVER (ORDER BY -x)", 100) + " FROM (VALUES (1)) AS t(x)",
		"constants": "SELECT x AS c%d FROM (VALUES (1)) AS t(x) WHERE x::text <> repeat('y', 2000000)",
	} {
		for i := range 50 {
			if _, err := db.Exec(context.Background(), fmt.Sprintf(text, i)); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	if kept := int64(used()) - int64(before); kept > 2*plancache.MaxBytes {
		t.Errorf("200 statements leave %d MiB, at most %d MiB are to be kept", kept>>20, plancache.MaxBytes>>20)
	}
	runtime.KeepAlive(db)
}
