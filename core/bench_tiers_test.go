package core

import (
	"fmt"
	"strings"
	"testing"

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
