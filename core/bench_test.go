package core

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/store/vector"
)

// nowhere is a sink that counts rows.
type nowhere struct{ rows int }

func (*nowhere) Begin([]sql.ResultColumn) error { return nil }
func (n *nowhere) Batch(b *vector.Batch) error  { n.rows += b.Rows(); return nil }
func (*nowhere) End(Outcome) error              { return nil }

// benchDB has a table that stays hot.
func benchDB(b *testing.B, sync bool) *db {
	cfg := testConfig(config.BackendBadger, b.TempDir())
	cfg.Store.Sync = sync
	d := openDB(b, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, a INT, b TEXT, c TEXT, d DOUBLE, e TIMESTAMP DEFAULT NOW()) FLUSH INTERVAL 1h ROW_THRESHOLD 100000000")
	return d
}

func (d *db) fill(n int) {
	for from := 1; from <= n; from += 1000 {
		d.must("ann", fmt.Sprintf("INSERT INTO app.t (id, a, b, c, d) SELECT i, i %% 100, 'room ' || (i %% 10), 'a text of some length ' || i, i / 3.0 FROM generate_series(%d, %d) AS g(i)", from, min(n, from+999)))
	}
}

func BenchmarkPointQuery(b *testing.B) {
	d := benchDB(b, false)
	d.fill(10_000)
	s := d.session(who("ann"))
	ctx := context.Background()
	req := Request{SQL: "SELECT * FROM app.t WHERE id = $1", Params: []sqltype.Value{{}}}
	var sink nowhere
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		req.Params[0] = sqltype.NewBigInt(int64(i%10_000 + 1))
		if err := s.Execute(ctx, req, &sink); err != nil {
			b.Fatal(err)
		}
		i++
	}
	if sink.rows != i {
		b.Fatalf("%d rows of %d", sink.rows, i)
	}
}

func BenchmarkDurableInsert(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			d := benchDB(b, true)
			s := d.session(who("ann"))
			ctx := context.Background()
			var next atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			parallel(writers, func(int) {
				var sink nowhere
				for id := next.Add(1); id <= int64(b.N); id = next.Add(1) {
					err := s.Execute(ctx, Request{
						SQL:    "INSERT INTO app.t (id, a, b) VALUES ($1, $2, $3)",
						Params: []sqltype.Value{sqltype.NewBigInt(id), sqltype.NewBigInt(7), sqltype.NewText("some text")},
					}, &sink)
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkScan100k(b *testing.B) {
	d := benchDB(b, false)
	d.fill(100_000)
	s := d.session(who("ann"))
	for _, q := range []struct{ name, sql string }{
		{"count", "SELECT count(*) FROM app.t"},
		{"sum of two columns", "SELECT sum(a), max(d) FROM app.t"},
		{"all columns", "SELECT * FROM app.t"},
		{"filter", "SELECT id FROM app.t WHERE a = 7"},
	} {
		b.Run(q.name, func(b *testing.B) {
			var sink nowhere
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Execute(context.Background(), Request{SQL: q.sql}, &sink); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkUsers changes system.users durably, one change after the other: a
// user must be there within 10 ms (SC-041, SC-042).
func BenchmarkUsers(b *testing.B) {
	d := openDB(b, testConfig(config.BackendBadger, b.TempDir()))
	s := d.session(who(admin))
	var made int64
	for _, c := range []struct{ name, sql string }{
		{"insert", `INSERT INTO system.users (user_id, username, metadata) VALUES ($1, 'Somebody', '{"role":"user"}')`},
		{"update", "UPDATE system.users SET username = 'Somebody else' WHERE user_id = $1"},
		{"select", "SELECT username, metadata FROM system.users WHERE user_id = $1"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := made
				if c.name == "insert" {
					made++
				} else {
					n = 0
				}
				var sink nowhere
				if err := s.Execute(context.Background(), Request{SQL: c.sql, Params: []sqltype.Value{sqltype.NewText(fmt.Sprint("user-", n))}}, &sink); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
