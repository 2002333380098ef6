package logictest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
)

// generator makes random queries that are valid and whose errors, if any, do
// not depend on the order of evaluation.
type generator struct {
	r *rand.Rand
	// params collects the values when literals become parameters.
	params []sqltype.Value
	lift   bool
}

func (g *generator) pick(list ...string) string { return list[g.r.IntN(len(list))] }

// num is a number, text a text: as literals, or as parameters.
func (g *generator) num() string {
	n := int64(g.r.IntN(12) - 1)
	if g.lift {
		g.params = append(g.params, sqltype.NewBigInt(n))
		return fmt.Sprintf("$%d", len(g.params))
	}
	return fmt.Sprint(n)
}

func (g *generator) text() string {
	s := g.pick("a", "b", "c", "dd", "")
	if g.lift {
		g.params = append(g.params, sqltype.NewText(s))
		return fmt.Sprintf("$%d", len(g.params))
	}
	return "'" + s + "'"
}

func (g *generator) pred(t string, depth int) string {
	if depth > 0 && g.r.IntN(3) == 0 {
		return "(" + g.pred(t, depth-1) + g.pick(" AND ", " OR ") + g.pred(t, depth-1) + ")"
	}
	col := t + "." + g.pick("id", "id", "n", "k")
	switch g.r.IntN(10) {
	case 0:
		return col + " IS " + g.pick("", "NOT ") + "NULL"
	case 1:
		return fmt.Sprintf("%s %sIN (%s, %s, %s)", col, g.pick("", "NOT "), g.num(), g.num(), g.num())
	case 2:
		return fmt.Sprintf("%s BETWEEN %s AND %s", col, g.num(), g.num())
	case 3:
		return fmt.Sprintf("%s.s %s %s", t, g.pick("=", "<>", "<", ">="), g.text())
	case 4:
		return fmt.Sprintf("NOT %s.s LIKE 'd%%'", t)
	case 5:
		return fmt.Sprintf("%s.n %sIN (SELECT y.k FROM u y WHERE %s)", t, g.pick("", "NOT "), g.pred("y", 0))
	case 6:
		return fmt.Sprintf("%sEXISTS (SELECT 1 FROM u z WHERE z.k %s %s.n)", g.pick("", "NOT "), g.pick("=", "<"), t)
	case 7:
		return fmt.Sprintf("(SELECT %s FROM u q WHERE q.k = %s.k) > %s", g.pick("count(*)", "max(q.n)", "sum(q.n) + 1"), t, g.num())
	}
	return fmt.Sprintf("%s %s %s", col, g.pick("=", "<>", "<", "<=", ">", ">="), g.num())
}

func (g *generator) query() string {
	where := " WHERE " + g.pred("x", 2)
	switch g.r.IntN(18) {
	case 0:
		return "SELECT x.s, count(*), sum(x.n), min(x.k) FROM t x" + where + " GROUP BY x.s"
	case 1:
		return "SELECT DISTINCT x.k, x.s FROM t x" + where
	case 2:
		return "SELECT x.id, w.id FROM t x " + g.pick("JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN") + " u w ON x.k = w.k" + g.pick("", " AND x.n < w.n") + where
	case 3:
		return "SELECT * FROM t x" + where + " ORDER BY x.id " + g.pick("", "DESC") + " LIMIT " + g.num1() + " OFFSET 1"
	case 4:
		return "SELECT x.id, sum(x.n) OVER (PARTITION BY x.k ORDER BY x.id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM t x" + where
	case 5:
		return "SELECT x.id FROM t x" + where + g.pick(" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ") + "SELECT w.id FROM u w WHERE " + g.pred("w", 1)
	case 6:
		return "SELECT x.id, y.c FROM t x JOIN (SELECT k, count(*) AS c FROM u GROUP BY k) y ON y.k = x.k" + where
	}
	return g.nested(where)
}

// nested are queries with queries inside.
func (g *generator) nested(where string) string {
	and := strings.Replace(where, " WHERE ", " AND ", 1)
	switch g.r.IntN(12) {
	case 0:
		return "WITH c AS (SELECT k, max(n) AS m FROM u GROUP BY k) SELECT x.id, c.m FROM t x LEFT JOIN c ON c.k = x.k" + where
	case 1:
		return "SELECT x.k, count(DISTINCT x.n), sum(DISTINCT x.n) FROM t x" + where + " GROUP BY x.k HAVING count(*) > 1"
	case 2:
		return "SELECT x.id, (SELECT count(*) FROM u a WHERE a.k = x.k AND EXISTS (SELECT 1 FROM t b WHERE b.n = a.n AND b.id > x.id)) FROM t x" + where
	case 3:
		return "SELECT x.id FROM t x WHERE x.n " + g.pick("IN", "NOT IN") + " (SELECT y.n FROM u y WHERE y.k = x.k)" + and
	case 4:
		return "SELECT x.id, y.id, z.id FROM t x, u y, t z WHERE x.k = y.k AND z.id = y.n" + and
	case 5:
		return "SELECT x.id, rank() OVER (PARTITION BY x.k ORDER BY x.n NULLS LAST), dense_rank() OVER (ORDER BY x.s NULLS FIRST), lag(x.id, 2) OVER (ORDER BY x.id) FROM t x" + where
	case 6:
		return "SELECT s, c FROM (SELECT x.s AS s, count(*) AS c FROM t x" + where + " GROUP BY x.s) q WHERE c > " + g.num()
	case 7:
		return "SELECT x.id FROM t x WHERE (SELECT max(y.n) FROM u y WHERE y.k = x.k AND y.id < (SELECT max(z.id) FROM t z WHERE z.k = y.k)) >= x.n" + and
	case 8:
		return "SELECT x.id, CASE WHEN x.n > 5 THEN 'hi' WHEN EXISTS (SELECT 1 FROM u WHERE u.k = x.k) THEN 'u' ELSE 'lo' END FROM t x" + where
	case 9:
		return "SELECT x.k, x.s, grouping(x.k), count(*) FROM t x" + where + " GROUP BY " + g.pick("ROLLUP", "CUBE") + " (x.k, x.s)"
	case 10:
		return "SELECT a.id, b.id FROM (SELECT * FROM t x" + where + ") a LEFT JOIN (SELECT * FROM u w WHERE " + g.pred("w", 0) + ") b ON a.k = b.k AND a.n <= b.n WHERE b.id IS NULL OR b.id > 3"
	}
	return "SELECT x.id, x.n * 2, coalesce(x.s, '?') FROM t x" + where
}

func (g *generator) num1() string {
	if g.lift {
		g.params = append(g.params, sqltype.NewBigInt(int64(1+g.r.IntN(5))))
		return fmt.Sprintf("$%d", len(g.params))
	}
	return fmt.Sprint(1 + g.r.IntN(5))
}

func fillRandom(t *testing.T, db *DB) {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(7, 7))
	for _, q := range []string{
		"CREATE TABLE t (id INT PRIMARY KEY, n BIGINT, k INT, s TEXT)",
		"CREATE TABLE u (id INT, k INT, n BIGINT, s TEXT, PRIMARY KEY (k, id))",
	} {
		if _, err := db.Exec(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	null := func(s string) string {
		if r.IntN(6) == 0 {
			return "NULL"
		}
		return s
	}
	for i := range 40 {
		q := fmt.Sprintf("INSERT INTO t VALUES (%d, %s, %s, %s)", i, null(fmt.Sprint(r.IntN(10))), null(fmt.Sprint(r.IntN(6))), null("'"+[]string{"a", "b", "dd", ""}[r.IntN(4)]+"'"))
		if _, err := db.Exec(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 90 {
		q := fmt.Sprintf("INSERT INTO u VALUES (%d, %d, %s, %s)", i, r.IntN(6), null(fmt.Sprint(r.IntN(10))), null("'c'"))
		if _, err := db.Exec(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []string{"DELETE FROM t WHERE id IN (3, 17)", "UPDATE t SET n = n + 1 WHERE k = 2"} {
		if _, err := db.Exec(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDifferential holds that no plan, cache, parameter or batch size changes
// a result: the same random query runs in many ways.
func TestDifferential(t *testing.T) {
	t.Parallel()
	type way struct {
		name string
		db   *DB
		lift bool
	}
	var ways []way
	for _, w := range []struct {
		batch int
		opts  sql.Options
		lift  bool
	}{
		{2048, sql.Options{}, false}, {2048, sql.Options{}, true}, {7, sql.Options{PlanCacheSize: -1}, false}, {7, sql.Options{PlanCacheSize: -1}, true},
		{1, sql.Options{}, false}, {1, sql.Options{}, true}, {2048, sql.Options{NoPushdown: true}, false}, {7, sql.Options{NoPushdown: true}, true},
	} {
		db := NewDB(w.opts)
		db.Env.BatchSize = w.batch
		fillRandom(t, db)
		ways = append(ways, way{fmt.Sprintf("batch %d, %+v, parameters %v", w.batch, w.opts, w.lift), db, w.lift})
	}
	ctx := context.Background()
	count := 200
	if testing.Short() {
		count = 50
	}
	rows := 0
	for seed := range count {
		var want, first string
		for i, w := range ways {
			g := &generator{r: rand.New(rand.NewPCG(uint64(seed), 1)), lift: w.lift}
			q := g.query()
			got := ""
			res, err := w.db.Exec(ctx, q, g.params...)
			if err != nil {
				if dberr.CodeOf(err) == dberr.Internal {
					t.Fatalf("%s: %v\n%s", w.name, err, q)
				}
				got = string(dberr.CodeOf(err))
			} else {
				lines := strings.Split(show(res), "\n")
				if !strings.Contains(q, "ORDER BY x.id ") || strings.Contains(q, "OVER") {
					slices.Sort(lines)
				}
				got = strings.Join(lines, "\n")
				rows += len(res.Rows)
			}
			if i == 0 {
				want, first = got, q
			} else if got != want {
				t.Fatalf("seed %d: %s differs\n%s\n%s\n got:\n%s\nwant:\n%s", seed, w.name, first, q, got, want)
			}
		}
	}
	if rows < count*len(ways) {
		t.Errorf("only %d rows came: the queries test little", rows)
	}
}
