package sql_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql"
)

// endless are queries that take minutes, at least, each for another operator's
// sake.
var endless = map[string]string{
	"table function":      "SELECT count(*) FROM generate_series(1, 1000000000000) g",
	"cross join":          "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000) b",
	"nested loop":         "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.a + b.b = -1",
	"hash build":          "SELECT count(*) FROM generate_series(1, 3) a JOIN generate_series(1, 1000000000) b ON a.a = b.b",
	"hash probe":          "SELECT count(*) FROM generate_series(1, 1000000000000) a JOIN generate_series(1, 1000) b ON a.a % 1000 = b.b",
	"many matches":        "SELECT count(*) FROM generate_series(1, 30000) a JOIN generate_series(1, 30000) b ON a.a % 2 = b.b % 2 JOIN generate_series(1, 30000) c ON b.b % 2 = c.c % 2",
	"full join":           "SELECT count(*) FROM generate_series(1, 1000000000) a FULL JOIN generate_series(1, 1000000000) b ON a.a = b.b",
	"filter":              "SELECT count(*) FROM generate_series(1, 1000000000000) g WHERE g < 0",
	"project":             "SELECT sum(length(md5(g::text))) FROM generate_series(1, 1000000000000) g",
	"regular expressions": "SELECT count(*) FROM generate_series(1, 1000000) g WHERE (repeat('ab', 20000) || g) ~ '(a|b|ab)*c$'",
	"similar to":          "SELECT count(*) FROM generate_series(1, 1000000) g WHERE (repeat('ab', 20000) || g) SIMILAR TO '(a|b|ab)*c'",
	"replace":             "SELECT max(regexp_replace(repeat('ab', 20000) || g, '(a|b)b', '\\1', 'g')) FROM generate_series(1, 1000000) g",
	"group":               "SELECT g % 1000, count(*) FROM generate_series(1, 1000000000000) g GROUP BY 1",
	"grouping sets":       "SELECT count(*) FROM generate_series(1, 1000000000000) g GROUP BY GROUPING SETS ((), (g.g % 10), (g.g % 100))",
	"distinct":            "SELECT DISTINCT g % 10 FROM generate_series(1, 1000000000000) g",
	"count distinct":      "SELECT count(DISTINCT g % 10) FROM generate_series(1, 1000000000000) g",
	"sort":                "SELECT g FROM generate_series(1, 1000000000000) g ORDER BY g % 10",
	"top rows":            "SELECT g FROM generate_series(1, 1000000000000) g ORDER BY g % 10 LIMIT 5",
	"offset":              "SELECT g FROM generate_series(1, 1000000000000) g OFFSET 1000000000000",
	"sliding window":      "SELECT max(length(n)) FROM (SELECT string_agg(g::text, ',') OVER (ORDER BY g ROWS BETWEEN 20000 PRECEDING AND CURRENT ROW) n FROM generate_series(1, 60000) g) x",
	"window with a gap":   "SELECT count(n) FROM (SELECT array_agg(g) OVER (ORDER BY g ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW) n FROM generate_series(1, 60000) g) x",
	"lag over NULLs":      "SELECT max(n) FROM (SELECT lag(nullif(g, g)) IGNORE NULLS OVER (ORDER BY g) n FROM generate_series(1, 100000) g) x",
	"value of a frame":    "SELECT max(n) FROM (SELECT first_value(nullif(g, g)) IGNORE NULLS OVER (ORDER BY g ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) n FROM generate_series(1, 100000) g) x",
	"union":               "SELECT count(*) FROM (SELECT 1 FROM generate_series(1, 1000000000000) UNION ALL SELECT 2) x",
	"except":              "SELECT g % 10 FROM generate_series(1, 1000000000000) g EXCEPT SELECT g % 10 FROM generate_series(1, 1000000000000) g",
	"recursion":           "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT (n + 1) % 1000000 FROM r) SELECT count(*) FROM r",
	"recursive union":     "WITH RECURSIVE r(n) AS (SELECT 1::bigint UNION SELECT n + 1 FROM r) SELECT max(n) FROM r",
	"subquery":            "SELECT count((SELECT count(*) FROM generate_series(1, a.a + 1000) b WHERE b.b > a.a)) FROM generate_series(1, 1000000000) a",
	"lateral":             "SELECT count(*) FROM generate_series(1, 1000000000) a, LATERAL (SELECT a.a + b AS n FROM generate_series(1, 1000) b) x WHERE n < 0",
	"exists":              "SELECT count(*) FROM generate_series(1, 100000) a WHERE EXISTS (SELECT 1 FROM generate_series(1, 1000000) b WHERE b.b + a.a < 0)",
}

// TestCancelEverywhere cancels a query of each operator while it works. How
// soon it ends is logged; the assertion is that it does.
func TestCancelEverywhere(t *testing.T) {
	const hang = 20 * time.Second
	for name, text := range endless {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDB(t, sql.Options{})
			db.Env.MemoryLimit = 1 << 30
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			p, err := db.Compiler.Prepare(ctx, sql.Request{Text: text, Catalog: db})
			if err != nil {
				t.Fatal(err)
			}
			var cancelled time.Time
			ended := make(chan error, 1)
			time.AfterFunc(50*time.Millisecond, func() { cancelled = time.Now(); cancel() })
			go func() {
				rows, err := p.Query(ctx, db.Environment())
				if err != nil {
					ended <- err
					return
				}
				defer rows.Close()
				for {
					b, err := rows.Next(ctx)
					if b == nil || err != nil {
						ended <- err
						return
					}
				}
			}()
			select {
			case err := <-ended:
				if dberr.CodeOf(err) != dberr.Cancelled || !errors.Is(err, context.Canceled) {
					t.Errorf("ended with %v", err)
				}
				t.Logf("ended %v after it was cancelled", time.Since(cancelled).Round(time.Microsecond))
			case <-time.After(hang):
				t.Fatalf("still running %v after it was cancelled", hang)
			}
		})
	}
}
