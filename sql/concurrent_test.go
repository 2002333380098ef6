package sql_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/logictest"
)

// TestPlansAreShared runs cached plans from many goroutines at a time.
func TestPlansAreShared(t *testing.T) {
	db := newDB(t, sql.Options{})
	ctx := context.Background()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 40 {
				id := int64(1 + (g+i)%3)
				for _, q := range []string{
					"SELECT n FROM msg WHERE id = $1",
					"SELECT n FROM msg WHERE n = (SELECT max(n) FROM msg m WHERE m.id = $1)",
					"SELECT sum(n) FROM msg WHERE id IN ($1) GROUP BY room ORDER BY 1 LIMIT 1",
				} {
					p, err := db.Compiler.Prepare(ctx, sql.Request{Text: q, Namespace: "main", Catalog: db, Params: []sqltype.Value{sqltype.NewBigInt(id)}})
					if err != nil {
						t.Error(err)
						return
					}
					rows, err := p.Query(ctx, db.Environment())
					if err != nil {
						t.Error(err)
						return
					}
					b, err := rows.Next(ctx)
					if err != nil || b == nil || b.Rows() != 1 || b.Cols[0].Value(b.Row(0)).Int() != id*10 && b.Cols[0].Value(b.Row(0)).Text() != fmt.Sprint(id*10) {
						t.Errorf("%s with %d: %v %v", q, id, b, err)
					}
					rows.Close()
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkInsert is a single-row INSERT with a cached plan, up to its
// WriteSet.
func BenchmarkInsert(b *testing.B) {
	db := logictest.NewDB(sql.Options{})
	ctx := context.Background()
	if _, err := db.Exec(ctx, "CREATE TABLE msg (id BIGINT PRIMARY KEY, room TEXT, n INT DEFAULT 5, at TIMESTAMP DEFAULT now())"); err != nil {
		b.Fatal(err)
	}
	env := db.Environment()
	params := []sqltype.Value{sqltype.NewBigInt(1), sqltype.NewText("go")}
	b.ReportAllocs()
	for b.Loop() {
		p, err := db.Compiler.Prepare(ctx, sql.Request{Text: "INSERT INTO msg (id, room) VALUES ($1, $2)", Namespace: "main", Catalog: db, Params: params})
		if err != nil {
			b.Fatal(err)
		}
		res, err := p.Modify(ctx, env)
		if err != nil || len(res.Writes.Writes) != 1 {
			b.Fatal(err)
		}
	}
}

// BenchmarkPrepareMiss is what a statement costs that the cache does not have.
func BenchmarkPrepareMiss(b *testing.B) {
	db := logictest.NewDB(sql.Options{PlanCacheSize: -1})
	ctx := context.Background()
	if _, err := db.Exec(ctx, "CREATE TABLE msg (id BIGINT PRIMARY KEY, room TEXT, n INT)"); err != nil {
		b.Fatal(err)
	}
	for _, q := range []struct{ name, text string }{
		{"point", "SELECT * FROM msg WHERE id = 5"},
		{"group", "SELECT room, count(*) AS c, sum(n) FROM msg WHERE n > 5 GROUP BY room HAVING count(*) > 1 ORDER BY c DESC LIMIT 10"},
		{"join", "WITH x AS (SELECT room, max(n) AS m FROM msg GROUP BY room) SELECT a.id, x.m FROM msg a JOIN x ON x.room = a.room WHERE EXISTS (SELECT 1 FROM msg b WHERE b.n = a.n)"},
	} {
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := db.Compiler.Prepare(ctx, sql.Request{Text: q.text, Namespace: "main", Catalog: db}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
