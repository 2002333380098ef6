package oracle

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/oracle/engine"
	"github.com/kalamdb/kalamdb/sql/tpch"
)

// tpchScale is the scale factor of the comparison.
const tpchScale = 0.01

func fillTPCH(t *testing.T, dbs ...engine.Database) {
	t.Helper()
	ctx := t.Context()
	for _, db := range dbs {
		if err := db.Use(ctx, "tpch"); err != nil {
			t.Fatal(err)
		}
		for _, tab := range tpch.Tables {
			if r := db.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (%s)", tab.Name, tab.Columns)); r.Err != nil {
				t.Fatalf("%s: create %s: %v", db.Name(), tab.Name, r.Err)
			}
		}
	}
	var table string
	var rows []string
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		sql := "INSERT INTO " + table + " VALUES (" + strings.Join(rows, "), (") + ")"
		rows = rows[:0]
		for _, db := range dbs {
			if r := db.Exec(ctx, sql); r.Err != nil {
				return fmt.Errorf("%s: fill %s: %w", db.Name(), table, r.Err)
			}
		}
		return nil
	}
	err := tpch.NewGenerator(tpchScale).Rows(func(name, row string) error {
		if name != table || len(rows) == 1000 {
			if err := flush(); err != nil {
				return err
			}
			table = name
		}
		rows = append(rows, row)
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestTPCHAgreesWithPostgres runs the 22 queries over the same rows on both
// sides.
func TestTPCHAgreesWithPostgres(t *testing.T) {
	ours, theirs := kalam(t), postgres(t)
	fillTPCH(t, ours, theirs)
	// The primary keys alone make PostgreSQL read all line items for each part.
	for _, sql := range []string{"CREATE INDEX ON lineitem (l_partkey, l_suppkey)", "CREATE INDEX ON orders (o_custkey)", "ANALYZE"} {
		if r := theirs.Exec(t.Context(), sql); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	compareTPCH(t, ours, theirs, Compare)
}

func compareTPCH(t *testing.T, ours, theirs engine.Database, compare func(ours, theirs engine.Result, ordered bool) *Difference) {
	t.Helper()
	for n := 1; n <= 22; n++ {
		t.Run(fmt.Sprintf("Q%02d", n), func(t *testing.T) {
			sql, err := tpch.Query(n)
			if err != nil {
				t.Fatal(err)
			}
			a, mine := timed(t.Context(), ours, sql)
			b, other := timed(t.Context(), theirs, sql)
			t.Logf("%d rows; %s %v, %s %v", len(b.Rows), ours.Name(), mine, theirs.Name(), other)
			if d := compare(a, b, true); d != nil {
				t.Errorf("%s\n%s: %s\n%s: %s", d.Kind, ours.Name(), Describe(a), theirs.Name(), Describe(b))
			}
		})
	}
}

func timed(ctx context.Context, db engine.Database, sql string) (engine.Result, time.Duration) {
	start := time.Now()
	r := db.Exec(ctx, sql)
	return r, time.Since(start).Round(time.Millisecond)
}
