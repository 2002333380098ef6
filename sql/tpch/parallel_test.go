package tpch

import (
	"context"
	"errors"
	"fmt"
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
		// Joins below an aggregate: tables built once, looked up by all.
		"SELECT count(*), sum(o_totalprice), max(p_name) FROM lineitem JOIN orders ON l_orderkey = o_orderkey JOIN part ON p_partkey = l_partkey WHERE o_orderpriority < '3'",
		"SELECT n_name, count(*), sum(l_extendedprice) FROM lineitem, supplier, nation WHERE l_suppkey = s_suppkey AND s_nationkey = n_nationkey GROUP BY n_name ORDER BY 1",
		"SELECT count(*), count(o_orderkey), sum(l_quantity) FROM lineitem LEFT JOIN orders ON l_orderkey = o_orderkey AND o_totalprice > l_extendedprice * 4",
		"SELECT count(*), count(l_orderkey) FROM orders FULL JOIN lineitem ON l_orderkey = o_orderkey AND l_tax > 0.05",
		"SELECT l_shipmode, count(*) FROM lineitem WHERE l_orderkey NOT IN (SELECT o_orderkey FROM orders WHERE o_orderpriority LIKE '1%') GROUP BY 1 ORDER BY 1",
		"SELECT count(*) FROM lineitem WHERE EXISTS (SELECT 1 FROM orders WHERE o_orderkey = l_orderkey AND o_orderdate > l_commitdate)",
		"SELECT count(*) FROM lineitem, region WHERE l_linenumber < r_regionkey",
		"SELECT count(*) FROM lineitem JOIN orders ON l_orderkey = o_orderkey WHERE o_orderkey IN (1, 2, 3)",
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

// BenchmarkParallelAggregate is Q1, and Q5 and Q12 with their joins, with one
// goroutine and with two.
func BenchmarkParallelAggregate(b *testing.B) {
	db, err := large()
	if err != nil {
		b.Fatal(err)
	}
	for _, q := range []int{1, 5, 12} {
		text, err := Query(q)
		if err != nil {
			b.Fatal(err)
		}
		for n := 1; n <= 2; n++ {
			b.Run(fmt.Sprintf("Q%d/%d", q, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := db.Run(b.Context(), exec.Env{Parallelism: n}, text, func(*vector.Batch) {}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
