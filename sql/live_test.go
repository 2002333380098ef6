package sql_test

import (
	"context"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/sql/logictest"
)

func live(t *testing.T, db *logictest.DB, query string, params ...sqltype.Value) (*sql.LivePlan, error) {
	t.Helper()
	p, err := prepare(t, db, query, params...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return p.Live()
}

func TestLiveRefuses(t *testing.T) {
	db := newDB(t, sql.Options{})
	for query, want := range map[string]string{
		"SELECT * FROM pub":                                "Live query subscriptions not supported on shared tables",
		"SELECT p.* FROM (SELECT * FROM pub) p":            "Live query subscriptions not supported on shared tables",
		"SELECT count(*) FROM msg":                         "aggregates",
		"SELECT room FROM msg GROUP BY room":               "aggregates",
		"SELECT DISTINCT room FROM msg":                    "DISTINCT",
		"SELECT * FROM msg ORDER BY id":                    "ORDER BY",
		"SELECT * FROM msg LIMIT 3":                        "LIMIT",
		"SELECT a.id FROM msg a JOIN msg b USING (id)":     "joins",
		"SELECT * FROM msg WHERE n IN (SELECT n FROM msg)": "subqueries",
		"SELECT * FROM msg WHERE at > now()":               "NOW()",
		"SELECT random() FROM msg":                         "RANDOM()",
		"SELECT 1":                                         "no table",
		"SELECT * FROM msg UNION SELECT * FROM msg":        "UNION",
		"SELECT id, row_number() OVER () FROM msg":         "window",
	} {
		_, err := live(t, db, query)
		if dberr.CodeOf(err) != dberr.Unsupported || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}

func TestLiveMatchesAndProjects(t *testing.T) {
	db := newDB(t, sql.Options{})
	l, err := live(t, db, "SELECT id, upper(room) AS r FROM msg m WHERE m.room = $1 AND n > 5", sqltype.NewText("a"))
	if err != nil {
		t.Fatal(err)
	}
	ev := l.NewEval()
	row := func(id int64, room string, n int64) sqltype.Row {
		return sqltype.Row{sqltype.NewBigInt(id), sqltype.NewText(room), sqltype.NewInt(sqltype.Integer, n), sqltype.Null(), sqltype.Null(), sqltype.Null()}
	}
	for _, c := range []struct {
		row  sqltype.Row
		want bool
	}{{row(1, "a", 6), true}, {row(1, "a", 5), false}, {row(1, "b", 6), false}, {sqltype.Row{sqltype.NewBigInt(1), sqltype.Null(), sqltype.Null()}, false}} {
		if got, err := ev.Match(c.row); err != nil || got != c.want {
			t.Errorf("%v: %v %v, want %v", c.row, got, err, c.want)
		}
	}
	dst := make(sqltype.Row, 2)
	if err := ev.Project(row(7, "a", 6), dst); err != nil || dst[0].Int() != 7 || dst[1].Str() != "A" {
		t.Errorf("projected %v, %v", dst, err)
	}
	if got := testing.AllocsPerRun(100, func() { _, _ = ev.Match(c0) }); got > 0 {
		t.Errorf("a match allocates %v times", got)
	}
}

var c0 = sqltype.Row{sqltype.NewBigInt(1), sqltype.NewText("a"), sqltype.NewInt(sqltype.Integer, 9)}

func TestLiveKeys(t *testing.T) {
	db := newDB(t, sql.Options{})
	key := func(query string, params ...sqltype.Value) (string, string) {
		l, err := live(t, db, query, params...)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return l.FilterKey, l.ProjectionKey
	}
	f1, p1 := key("SELECT * FROM msg WHERE room = 'a' AND n > 5")
	f2, p2 := key("SELECT x.* FROM main.msg AS x WHERE x.n > $1 AND x.room = $2", sqltype.NewBigInt(5), sqltype.NewText("a"))
	if f1 != f2 || p1 != p2 {
		t.Errorf("equal subscriptions have different keys:\n%s\n%s\n%s\n%s", f1, f2, p1, p2)
	}
	f3, p3 := key("SELECT id FROM msg WHERE room = 'b' AND n > 5")
	if f3 == f1 || p3 == p1 {
		t.Error("different subscriptions have one key")
	}
	if f, _ := key("SELECT * FROM msg"); f != "" {
		t.Errorf("no filter has the key %q", f)
	}
}

func TestLiveInitialAndSince(t *testing.T) {
	db := newDB(t, sql.Options{})
	ctx := context.Background()
	l, err := live(t, db, "SELECT id FROM msg WHERE room = 'a'")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"INSERT INTO msg (id, room) VALUES (4, 'a'), (5, 'z')", // 4, 5
		"UPDATE msg SET n = 99 WHERE id = 1",                   // 6
		"UPDATE msg SET room = 'q' WHERE id = 3",               // 7
		"DELETE FROM msg WHERE id = 4",                         // 8
	} {
		if _, err := db.Exec(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	env := db.Environment()
	read := func(rows exec.Rows, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var out []string
		for {
			b, err := rows.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				return strings.Join(out, " ")
			}
			for i := range b.Rows() {
				s := ""
				for c, col := range b.Cols {
					if c != 2 { // not the time
						s += col.Value(b.Row(i)).Text() + "/"
					}
				}
				out = append(out, s)
			}
		}
	}
	if got := read(l.Initial(ctx, env, -1)); got != "1/6/f/" {
		t.Errorf("initial rows: %s", got)
	}
	if got := read(l.Initial(ctx, env, 0)); got != "" {
		t.Errorf("none of the initial rows: %s", got)
	}
	if got := read(l.Since(ctx, env, 4)); got != "5/5/f/f/ 1/6/f/t/ 3/7/f/f/ 4/8/t/f/" {
		t.Errorf("rows since 4: %s", got)
	}
}

// BenchmarkLiveMatch is one filter on one row.
func BenchmarkLiveMatch(b *testing.B) {
	db := logictest.NewDB(sql.Options{})
	if _, err := db.Exec(context.Background(), "CREATE USER TABLE msg (id BIGINT PRIMARY KEY, room TEXT, n INT)"); err != nil {
		b.Fatal(err)
	}
	p, err := db.Compiler.Prepare(context.Background(), sql.Request{Text: "SELECT * FROM msg WHERE room = 'a' AND n > 5", Namespace: "main", Catalog: db})
	if err != nil {
		b.Fatal(err)
	}
	l, err := p.Live()
	if err != nil {
		b.Fatal(err)
	}
	ev := l.NewEval()
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := ev.Match(c0); !ok || err != nil {
			b.Fatal("no match")
		}
	}
}
