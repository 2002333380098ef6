package logictest

import (
	"context"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/sql"
)

func show(r *Result) string {
	var b strings.Builder
	for _, row := range r.Rows {
		for i, v := range row {
			if i > 0 {
				b.WriteByte('|')
			}
			if v.IsNull() {
				b.WriteString("NULL")
			} else {
				b.WriteString(v.Text())
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestSmoke(t *testing.T) {
	db := NewDB(sql.Options{})
	ctx := context.Background()
	for _, q := range []string{
		"CREATE TABLE t (id BIGINT PRIMARY KEY, room TEXT, n INT NOT NULL DEFAULT 5, price DECIMAL(10,2))",
		"INSERT INTO t (id, room, n) VALUES (1, 'go', 10), (2, 'rust', 20), (3, 'go', 30)",
		"INSERT INTO t (id) VALUES (4) RETURNING *",
		"SELECT * FROM t",
		"SELECT id, _deleted FROM t WHERE id = 2",
		"SELECT * FROM t WHERE id = 2",
		"SELECT room, count(*), sum(n) AS s FROM t GROUP BY room ORDER BY s DESC NULLS LAST",
		"SELECT room r, count(*) FROM t WHERE n > 5 GROUP BY 1 HAVING count(*) > 1",
		"SELECT DISTINCT room FROM t ORDER BY room LIMIT 1 OFFSET 1",
		"SELECT id, n * 2 AS d FROM t ORDER BY d DESC LIMIT 2",
		"SELECT id FROM t WHERE id IN (1, 3, 3, 9) ORDER BY id DESC",
		"SELECT id FROM t WHERE id > 1 AND id < 4",
		"UPDATE t SET n = n + 1, room = 'x' WHERE id >= 3 RETURNING id, n, room",
		"DELETE FROM t WHERE id = 1 RETURNING id",
		"SELECT * FROM t",
		"SELECT id FROM t WHERE _deleted",
		"INSERT INTO t (id, n) VALUES (2, 7) ON CONFLICT (id) DO UPDATE SET n = excluded.n + t.n RETURNING n",
		"INSERT INTO t (id, n) VALUES (2, 7) ON CONFLICT DO NOTHING RETURNING n",
		"SELECT a.id, b.id FROM t a JOIN t b ON a.room = b.room AND a.id <= b.id ORDER BY 1, 2",
		"SELECT a.id, b.id FROM t a LEFT JOIN t b ON a.id = b.id + 1 ORDER BY 1, 2",
		"SELECT id, (SELECT max(id) FROM t) m, EXISTS (SELECT 1 FROM t b WHERE b.id = a.id - 1) FROM t a ORDER BY id",
		"SELECT id FROM t a WHERE id NOT IN (SELECT b.id FROM t b WHERE b.n > 20) ORDER BY 1",
		"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r",
		"SELECT 1 UNION SELECT 2 UNION ALL SELECT 2 ORDER BY 1",
		"SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v(x, y) WHERE x > 1",
		"SELECT * FROM generate_series(1, 3) g",
		"SELECT 'a' AS x, 1 AS x, NULL",
		"EXPLAIN SELECT id FROM t WHERE id = 3 AND n > 1",
		"EXPLAIN ANALYZE SELECT room, count(*) FROM t WHERE n > 1 GROUP BY room ORDER BY 2 LIMIT 3",
		"SELECT room, n, GROUPING(room), sum(n) FROM t GROUP BY ROLLUP (room, n) ORDER BY 1, 2",
	} {
		r, err := db.Exec(ctx, q)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		t.Logf("%s\n%s", q, show(r))
	}
}
