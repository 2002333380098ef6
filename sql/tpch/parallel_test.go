package tpch

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// TestParallelAggregates compares what one goroutine gives with what several
// give, over a table that is large enough for several.
func TestParallelAggregates(t *testing.T) {
	db, err := NewDatabase(0.02, sql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"SELECT count(*), sum(l_quantity), min(l_comment), max(l_shipdate), avg(l_tax) FROM lineitem",
		"SELECT count(*), sum(l_linenumber) FROM lineitem WHERE false",
		"SELECT l_returnflag, count(*), avg(l_discount), sum(l_extendedprice * (1 - l_discount)) FROM lineitem GROUP BY l_returnflag ORDER BY 1",
		"SELECT l_suppkey, l_shipmode, count(*), min(l_quantity), max(l_comment) FROM lineitem WHERE l_discount > 0.03 GROUP BY l_suppkey, l_shipmode ORDER BY 1, 2",
		"SELECT l_partkey % 7, count(l_comment) FILTER (WHERE l_tax > 0.02), bool_or(l_tax > 0.07) FROM lineitem WHERE l_orderkey > 1000 GROUP BY 1 ORDER BY 1",
		"SELECT count(DISTINCT l_suppkey), string_agg(l_shipmode, ',' ORDER BY l_orderkey, l_linenumber) FROM lineitem WHERE l_quantity = 50 AND l_tax = 0",
		"SELECT count(*), sum(l_quantity::double precision) FROM lineitem",
	} {
		want := result(t, db, exec.Env{}, text)
		for range 3 {
			if got := result(t, db, exec.Env{Parallelism: 4}, text); !slices.Equal(got, want) {
				t.Errorf("%s\n%s\nwant %s", text, got, want)
			}
		}
	}
	run := func(ctx context.Context, env exec.Env, text string) error {
		return db.Run(ctx, env, text, func(*vector.Batch) {})
	}
	env := exec.Env{Parallelism: 4}
	if err := run(t.Context(), env, "SELECT sum(1 / (l_orderkey - l_orderkey)) FROM lineitem"); dberr.CodeOf(err) != dberr.DivisionByZero {
		t.Errorf("division by zero: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, env, "SELECT max(l_tax) FROM lineitem"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	env.MemoryLimit = 1 << 20
	if err := run(t.Context(), env, "SELECT l_orderkey, l_comment, count(*) FROM lineitem GROUP BY 1, 2"); dberr.CodeOf(err) != dberr.ResourceExhausted {
		t.Errorf("memory limit: %v", err)
	}
}

// BenchmarkParallelAggregate is Q1 with one goroutine and with two.
func BenchmarkParallelAggregate(b *testing.B) {
	db, err := large()
	if err != nil {
		b.Fatal(err)
	}
	text, err := Query(1)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		n    int
	}{{"one", 1}, {"two", 2}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := db.Run(b.Context(), exec.Env{Parallelism: c.n}, text, func(*vector.Batch) {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
