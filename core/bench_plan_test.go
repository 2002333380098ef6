package core

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// pattern is a statement that clients send again and again with other values.
type pattern struct {
	name string
	// sql has parameters; literal is the same statement with the values of
	// execution i spelled out.
	sql    string
	params func(i int) []sqltype.Value
}

// literal spells the parameters out.
func (p pattern) literal(i int) string {
	text := p.sql
	vals := p.params(i)
	for k := len(vals); k > 0; k-- {
		v := vals[k-1].Text()
		if vals[k-1].Kind() == sqltype.Text {
			v = "'" + v + "'"
		}
		text = strings.ReplaceAll(text, fmt.Sprint("$", k), v)
	}
	return text
}

// patterns are what a chat application asks.
var patterns = []pattern{
	{"point", "SELECT * FROM app.t WHERE id = $1",
		func(i int) []sqltype.Value { return []sqltype.Value{sqltype.NewBigInt(int64(i%1000 + 1))} }},
	{"latest", "SELECT id, b, c FROM app.t WHERE id > $1 AND b = $2 ORDER BY id DESC LIMIT 20",
		func(i int) []sqltype.Value {
			return []sqltype.Value{sqltype.NewBigInt(int64(900 + i%50)), sqltype.NewText(fmt.Sprint("room ", i%10))}
		}},
	{"join", "SELECT t.id, t.b, u.a FROM app.t AS t JOIN app.t AS u ON u.id = t.id WHERE t.id = $1 AND u.a >= 0",
		func(i int) []sqltype.Value { return []sqltype.Value{sqltype.NewBigInt(int64(i%1000 + 1))} }},
	{"aggregate", "SELECT b, count(*), max(id) FROM app.t WHERE id BETWEEN $1 AND $2 GROUP BY b HAVING count(*) > 0 ORDER BY b",
		func(i int) []sqltype.Value {
			return []sqltype.Value{sqltype.NewBigInt(int64(i % 900)), sqltype.NewBigInt(int64(i%900 + 30))}
		}},
	{"update", "UPDATE app.t SET a = a + 1, c = $2 WHERE id = $1",
		func(i int) []sqltype.Value {
			return []sqltype.Value{sqltype.NewBigInt(int64(i%1000 + 1)), sqltype.NewText(fmt.Sprint("changed ", i))}
		}},
}

func planDB(tb testing.TB, cached bool) *Session {
	cfg := testConfig(config.BackendMemory, "")
	if !cached {
		cfg.Query.PlanCacheSize = 0
	}
	d := openDB(tb, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, a INT, b TEXT, c TEXT, d DOUBLE, e TIMESTAMP DEFAULT NOW()) FLUSH INTERVAL 1h ROW_THRESHOLD 100000000")
	d.fill(1000)
	return d.session(who("ann"))
}

// BenchmarkCachedPlans runs each pattern with parameters and a cached plan, and
// the same statement with literals compiled each time, by turns (SC-001: at
// least 40 % faster), from the text to the last row. It also runs the literals
// with the cache, whose plans they share.
func BenchmarkCachedPlans(b *testing.B) {
	for _, p := range patterns {
		b.Run(p.name, func(b *testing.B) {
			cached, compiling := planDB(b, true), planDB(b, false)
			ctx := context.Background()
			var sink nowhere
			var took [3]time.Duration
			execute := func(way int, s *Session, req Request) {
				start := time.Now()
				if err := s.Execute(ctx, req, &sink); err != nil {
					b.Fatal(err)
				}
				took[way] += time.Since(start)
			}
			n := 0
			for b.Loop() {
				literal := Request{SQL: p.literal(n)}
				execute(0, cached, Request{SQL: p.sql, Params: p.params(n)})
				execute(1, compiling, literal)
				execute(2, cached, literal)
				n++
			}
			per := func(way int) float64 { return float64(took[way].Nanoseconds()) / float64(n) }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(per(0), "ns-parameters")
			b.ReportMetric(per(1), "ns-compiling")
			b.ReportMetric(per(2), "ns-literals")
			b.ReportMetric(100*(1-per(0)/per(1)), "%-faster")
		})
	}
}

// TestCompilationsOfRepeatedPatterns runs a workload of repeated patterns and
// counts (SC-008: at least 80 % fewer compilations): once with parameters, once
// with literals. Another user's statements share the plans.
func TestCompilationsOfRepeatedPatterns(t *testing.T) {
	const rounds = 40
	run := func(cached, literals bool) (compiled int64) {
		s := planDB(t, cached)
		e := s.e
		d := &db{TB: t, Engine: e}
		d.must("bob", "INSERT INTO app.t (id, a, b) SELECT g, g, 'room 1' FROM generate_series(1, 50) g")
		bob := d.session(who("bob"))
		var sink nowhere
		before := e.compiler.CacheStats()
		for i := range rounds {
			for _, p := range patterns {
				req := Request{SQL: p.sql, Params: p.params(i)}
				if literals {
					req = Request{SQL: p.literal(i)}
				}
				for _, s := range []*Session{s, bob} {
					if err := s.Execute(context.Background(), req, &sink); err != nil {
						t.Fatalf("%s: %v", req.SQL, err)
					}
				}
			}
		}
		now := e.compiler.CacheStats()
		if n := now.Hits + now.Misses - before.Hits - before.Misses; n != int64(2*rounds*len(patterns)) {
			t.Errorf("cached %v, literals %v: %d statements were counted", cached, literals, n)
		}
		if sink.rows == 0 {
			t.Error("no rows")
		}
		return now.Misses - before.Misses
	}
	all := run(false, false)
	if all != int64(2*rounds*len(patterns)) {
		t.Errorf("without a cache %d statements were compiled", all)
	}
	for _, literals := range []bool{false, true} {
		n := run(true, literals)
		if n > all/5 {
			t.Errorf("literals %v: %d compilations of %d", literals, n, all)
		}
		t.Logf("literals %v: %d compilations instead of %d, %.1f %% fewer", literals, n, all, 100*(1-float64(n)/float64(all)))
	}
}
