package tpch

import (
	"slices"
	"testing"

	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
)

// TestJoinOrder gives the relations of a query in several orders: the plan
// does not depend on them.
func TestJoinOrder(t *testing.T) {
	db, err := small()
	if err != nil {
		t.Fatal(err)
	}
	const where = ` WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey AND c_nationkey = s_nationkey
		AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'ASIA' GROUP BY n_name ORDER BY n_name`
	var plan, rows []string
	for _, from := range []string{
		"customer, orders, lineitem, supplier, nation, region", "region, lineitem, nation, customer, supplier, orders",
		"lineitem, customer, supplier, region, orders, nation", "supplier, customer, region, nation, orders, lineitem",
	} {
		text := "SELECT n_name, count(*), sum(l_quantity) FROM " + from + where
		gotPlan, gotRows := result(t, db, exec.Env{}, "EXPLAIN "+text), result(t, db, exec.Env{}, text)
		if plan == nil {
			plan, rows = gotPlan, gotRows
		}
		if !slices.Equal(gotRows, rows) {
			t.Errorf("FROM %s: %s, want %s", from, gotRows, rows)
		}
		if len(gotPlan) != len(plan) {
			t.Errorf("FROM %s:\n%s\nwant\n%s", from, gotPlan, plan)
		}
	}
}

// TestPlanOfOtherSizes prepares a statement before and after its tables grow:
// the plan of empty tables is not kept.
func TestPlanOfOtherSizes(t *testing.T) {
	db, err := small()
	if err != nil {
		t.Fatal(err)
	}
	c := sql.NewCompiler(sql.Options{})
	const text = "SELECT count(*) FROM lineitem, orders, customer WHERE l_orderkey = o_orderkey AND o_custkey = c_custkey"
	factor := int64(0)
	prepare := func() int64 {
		p, err := c.Prepare(t.Context(), sql.Request{Text: text, Namespace: "main", Catalog: db,
			Rows: func(tab *ddl.Table) int64 { return factor * db.rows(tab) }})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := p.Query(t.Context(), &exec.Env{Snapshot: db.Snapshot()})
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		b, err := rows.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return b.Cols[0].Ints[0]
	}
	want := prepare()
	created := c.CachedPlans()[0].CreatedAt
	prepare()
	if at := c.CachedPlans()[0].CreatedAt; at != created {
		t.Error("the plan was made again without a reason")
	}
	factor = 1
	if got := prepare(); got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
	if at := c.CachedPlans()[0].CreatedAt; at == created || len(c.CachedPlans()) != 1 {
		t.Error("the plan for empty tables is still there")
	}
}
