package core

import (
	"context"
	"fmt"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// BenchmarkRepeatedAccess runs one statement again and again (SC-002): in a
// session that has it and its table registered; in one that registers them each
// time, first with plans that the server has already made, then without.
func BenchmarkRepeatedAccess(b *testing.B) {
	for _, q := range []struct{ name, sql string }{
		{"point", "SELECT * FROM app.t WHERE id = $1"},
		{"join", "SELECT t.id, t.b, u.a FROM app.t AS t JOIN app.t AS u ON u.id = t.id WHERE t.id = $1 AND u.a >= 0 ORDER BY t.id LIMIT 10"},
		{"update", "UPDATE app.t SET a = a + 1 WHERE id = $1"},
	} {
		for _, how := range []string{"registered", "each time", "each time, plans too"} {
			b.Run(q.name+"/"+how, func(b *testing.B) {
				cfg := testConfig(config.BackendBadger, b.TempDir())
				cfg.Store.Sync = false
				if how == "each time, plans too" {
					cfg.Query.PlanCacheSize = 0
				}
				d := openDB(b, cfg)
				d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, a INT, b TEXT, c TEXT, d DOUBLE, e TIMESTAMP DEFAULT NOW()) FLUSH INTERVAL 1h ROW_THRESHOLD 100000000")
				d.fill(1000)
				req := Request{SQL: q.sql, Params: []sqltype.Value{sqltype.NewBigInt(7)}}
				var sink nowhere
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					id := ident.SessionID("one")
					if how != "registered" {
						id = ident.SessionID(fmt.Sprint("n", i))
					}
					i++
					s, err := d.Session(who("ann"), id)
					if err != nil {
						b.Fatal(err)
					}
					if err := s.Execute(context.Background(), req, &sink); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
