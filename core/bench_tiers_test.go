package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
)

// BenchmarkColdQueries runs queries over 300,000 flushed rows of a user.
func BenchmarkColdQueries(b *testing.B) {
	d := openDB(b, testConfig(config.BackendBadger, b.TempDir()))
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.m (id BIGINT PRIMARY KEY, room INT, body TEXT)")
	const rows, set = 300_000, 5000
	for from := 0; from < rows; from += set {
		var sql strings.Builder
		sql.WriteString("INSERT INTO app.m VALUES ")
		for i := range set {
			if i > 0 {
				sql.WriteByte(',')
			}
			fmt.Fprintf(&sql, "(%d,%d,'message number %d')", from+i, (from+i)%1000, from+i)
		}
		d.must("ann", sql.String())
	}
	run := func(when string) {
		for _, c := range []struct{ name, sql string }{
			{"count", "SELECT count(*) FROM app.m"},
			{"sum", "SELECT sum(id) FROM app.m WHERE room = 7"},
			{"group", "SELECT room, count(*) FROM app.m GROUP BY room"},
			{"latest", "SELECT * FROM app.m ORDER BY id DESC LIMIT 50"},
			{"last_rows", "SELECT * FROM app.m ORDER BY _seq DESC LIMIT 50"},
			{"point", "SELECT * FROM app.m WHERE id = 77777"},
			{"update", "UPDATE app.m SET room = room + 1 WHERE id = 77777"},
		} {
			b.Run(when+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					d.must("ann", c.sql)
				}
			})
		}
	}
	run("hot")
	d.must(admin, "FLUSH TABLE app.m")
	run("cold")
}

// BenchmarkHotOverCold runs queries over a million flushed rows of a user, and
// over as many of which 25,000 have changed since, with 25,000 new ones, by
// turns. The aim is that the second take at most 1.3 times as long (x-cold),
// and that the latest rows come within 5 ms.
func BenchmarkHotOverCold(b *testing.B) {
	cfg := testConfig(config.BackendBadger, b.TempDir())
	// Nothing is flushed but what is told.
	cfg.Flush.DefaultRows, cfg.Flush.DefaultInterval = 100_000_000, config.Duration(time.Hour)
	d := openDB(b, cfg)
	const rows, set = 1_000_000, 5000
	add := func(table string, from, to int) {
		for ; from < to; from += set {
			d.must("ann", fmt.Sprintf("INSERT INTO %s SELECT i, i %% 1000, i %% 77, 'message number ' || i FROM generate_series(%d, %d) AS g(i)", table, from, from+set-1))
		}
	}
	settle := func() {
		if err := d.backend.Compact(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	d.must(admin, "CREATE NAMESPACE app")
	for _, table := range []string{"app.cold", "app.both"} {
		d.must(admin, "CREATE USER TABLE "+table+" (id BIGINT PRIMARY KEY, room INT, n INT, body TEXT)")
		add(table, 0, rows)
		d.must(admin, "FLUSH TABLE "+table)
		settle()
	}
	for from := 0; from < rows; from += rows / 25 {
		d.must("ann", fmt.Sprintf("UPDATE app.both SET n = n + 1 WHERE id >= %d AND id < %d AND id %% 40 = 0", from, from+rows/25))
	}
	add("app.both", rows, rows+25_000)
	settle()
	for _, c := range []struct{ name, sql string }{
		{"count", "SELECT count(*) FROM %s"},
		{"sum", "SELECT sum(n) FROM %s WHERE room < 500"},
		{"group", "SELECT room, count(*), sum(n) FROM %s GROUP BY room"},
		{"text", "SELECT max(body) FROM %s"},
		{"latest", "SELECT * FROM %s ORDER BY id DESC LIMIT 50"},
		{"newest", "SELECT * FROM %s ORDER BY _seq DESC LIMIT 50"},
		{"newest_filtered", "SELECT * FROM %s WHERE room = 7 ORDER BY _seq DESC LIMIT 50"},
	} {
		cold, both := fmt.Sprintf(c.sql, "app.cold"), fmt.Sprintf(c.sql, "app.both")
		for range 3 { // the first ones find the tracker and make the image
			d.must("ann", cold)
			d.must("ann", both)
		}
		b.Run(c.name, func(b *testing.B) {
			var took [2]time.Duration
			for b.Loop() {
				for i, sql := range []string{cold, both} {
					start := time.Now()
					d.must("ann", sql)
					took[i] += time.Since(start)
				}
			}
			b.ReportMetric(float64(took[0].Microseconds())/float64(b.N), "µs-cold")
			b.ReportMetric(float64(took[1].Microseconds())/float64(b.N), "µs-both")
			b.ReportMetric(float64(took[1])/float64(took[0]), "x-cold")
		})
	}
	b.Run("last_rows", func(b *testing.B) {
		last := int64(50)
		for b.Loop() {
			sub := d.subscribe("ann", SubscribeRequest{SQL: "SELECT * FROM app.both", LastRows: &last})
			if got := len(next(b, sub).ids); got != 50 {
				b.Fatal(got)
			}
			sub.Close()
		}
	})
	if got := d.rows("ann", "SHOW TABLE STATS app.both"); !strings.Contains(got, "50000") {
		b.Fatalf("the hot rows are gone: %s", got)
	}
}
