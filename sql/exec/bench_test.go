package exec_test

import (
	"context"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/exec"
)

var million = sync.OnceValue(func() *columnar { return newColumnar(1_000_000) })

func runQuery(tb testing.TB, c *sql.Compiler, t *columnar, env *exec.Env, text string, params ...sqltype.Value) int {
	ctx := context.Background()
	p, err := c.Prepare(ctx, sql.Request{Text: text, Namespace: "main", Catalog: catalog{t}, Params: params})
	if err != nil {
		tb.Fatal(err)
	}
	rows, err := p.Query(ctx, env)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for {
		b, err := rows.Next(ctx)
		if err != nil {
			tb.Fatal(err)
		}
		if b == nil {
			return n
		}
		n += b.Rows()
	}
}

// BenchmarkPointQuery is a lookup by primary key with a cached plan, from the
// text to the row.
func BenchmarkPointQuery(b *testing.B) {
	t := newColumnar(1000)
	c := sql.NewCompiler(sql.Options{})
	env := &exec.Env{Snapshot: snapshot{t}}
	b.Run("parameter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if runQuery(b, c, t, env, "SELECT * FROM big WHERE id = $1", sqltype.NewBigInt(77)) != 1 {
				b.Fatal("no row")
			}
		}
	})
	b.Run("literal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if runQuery(b, c, t, env, "SELECT id, room, price * 2 FROM big WHERE id = 77") != 1 {
				b.Fatal("no row")
			}
		}
	})
}

// BenchmarkMillion runs queries over a million rows.
func BenchmarkMillion(b *testing.B) {
	for _, q := range []struct{ name, text string }{
		{"count", "SELECT count(*) FROM big"},
		{"filter-sum", "SELECT sum(price) FROM big WHERE grp < 500"},
		{"filter-like", "SELECT count(*) FROM big WHERE room LIKE 'room-1%'"},
		{"group-int", "SELECT grp, count(*), avg(price) FROM big GROUP BY grp"},
		{"group-text", "SELECT room, count(*), max(price) FROM big GROUP BY room"},
		{"group-two", "SELECT grp, room, count(*) FROM big GROUP BY grp, room"},
		{"distinct", "SELECT DISTINCT room FROM big"},
		{"sort", "SELECT id, price FROM big ORDER BY price, id"},
		{"top-n", "SELECT id, price FROM big ORDER BY price DESC LIMIT 50"},
		{"join", "SELECT count(*) FROM big a JOIN (SELECT DISTINCT grp FROM big WHERE grp < 100) d ON a.grp = d.grp"},
		{"in-subquery", "SELECT count(*) FROM big WHERE grp IN (SELECT grp FROM big WHERE id < 50)"},
		{"window", "SELECT max(r) FROM (SELECT row_number() OVER (PARTITION BY grp ORDER BY id) r FROM big) x"},
		{"sort-parallel", "SELECT id, price FROM big ORDER BY price, id"},
	} {
		b.Run(q.name, func(b *testing.B) {
			t := million()
			c := sql.NewCompiler(sql.Options{})
			env := &exec.Env{Snapshot: snapshot{t}, MemoryLimit: 4 << 30}
			if q.name == "sort-parallel" {
				env.Parallelism = 2
			}
			b.ReportAllocs()
			for b.Loop() {
				runQuery(b, c, t, env, q.text)
			}
			b.ReportMetric(float64(t.n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}
