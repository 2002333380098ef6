package tpch

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/exec"
)

// analyzed is a step as EXPLAIN (ANALYZE, FORMAT JSON) gives it.
type analyzed struct {
	Step    string      `json:"step"`
	Rows    *int64      `json:"rows"`
	Loops   *int64      `json:"loops"`
	Time    *float64    `json:"time_ms"`
	Memory  *int64      `json:"memory_bytes"`
	Workers int64       `json:"workers"`
	Inputs  []*analyzed `json:"inputs"`
}

func (a *analyzed) find(prefix string) *analyzed {
	if strings.HasPrefix(a.Step, prefix) {
		return a
	}
	for _, in := range a.Inputs {
		if f := in.find(prefix); f != nil {
			return f
		}
	}
	return nil
}

// TestRowsAreCountedAsTheyAreKept joins with a few rows of a large table, whose
// batches are parts of whole columns: what the join holds is those rows.
func TestRowsAreCountedAsTheyAreKept(t *testing.T) {
	db, err := NewDatabase(0.02, sql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := result(t, db, exec.Env{}, `EXPLAIN (ANALYZE, FORMAT JSON) SELECT l_comment, o_totalprice FROM orders JOIN lineitem ON l_orderkey = o_orderkey
		WHERE l_shipmode = 'MAIL' AND l_linenumber = 7 AND l_tax = 0`)
	var root analyzed
	if err := json.Unmarshal([]byte(strings.Join(text, "")), &root); err != nil {
		t.Fatal(err)
	}
	if j := root.find("Hash"); j == nil || *j.Memory == 0 || *j.Memory > 1<<20 {
		t.Errorf("the join holds too much: %s", text)
	}
}

// TestAnalyzedSteps looks at rows, time and memory of each step, with one
// goroutine and with several.
func TestAnalyzedSteps(t *testing.T) {
	db, err := NewDatabase(0.02, sql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const query = "SELECT l_suppkey, count(*) AS n FROM lineitem WHERE l_linenumber = 1 GROUP BY l_suppkey ORDER BY n, l_suppkey"
	var counts [2]string
	for _, q := range []string{"SELECT count(*) FROM lineitem", "SELECT count(*) FROM lineitem WHERE l_linenumber = 1"} {
		counts[0], counts[1] = counts[1], strings.Join(result(t, db, exec.Env{}, q), "")
	}
	for _, workers := range []int{1, 3} {
		text := result(t, db, exec.Env{Parallelism: workers}, "EXPLAIN (ANALYZE, FORMAT JSON) "+query)
		var root analyzed
		if err := json.Unmarshal([]byte(strings.Join(text, "")), &root); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		var walk func(a *analyzed)
		walk = func(a *analyzed) {
			if a.Rows == nil || a.Loops == nil || a.Time == nil || a.Memory == nil || *a.Time < 0 {
				t.Errorf("%d workers: step %s misses something", workers, a.Step)
			}
			for _, in := range a.Inputs {
				walk(in)
			}
		}
		walk(&root)
		scan, filter, agg, sort := root.find("Scan main.lineitem"), root.find("Filter"), root.find("Aggregate"), root.find("Sort")
		if scan == nil || filter == nil || agg == nil || sort == nil {
			t.Fatalf("%d workers: %s", workers, text)
		}
		if got := []string{strconv.FormatInt(*scan.Rows, 10), strconv.FormatInt(*filter.Rows, 10)}; got[0] != counts[0] || got[1] != counts[1] {
			t.Errorf("%d workers: the scan and the filter gave %v rows, want %v", workers, got, counts)
		}
		if *agg.Rows != *sort.Rows || *agg.Rows == 0 {
			t.Errorf("%d workers: %d groups, %d sorted", workers, *agg.Rows, *sort.Rows)
		}
		if *agg.Memory == 0 || *sort.Memory == 0 || *filter.Memory != 0 || *scan.Memory != 0 {
			t.Errorf("%d workers: memory %d of the aggregate, %d of the sort, %d of the filter, %d of the scan", workers, *agg.Memory, *sort.Memory, *filter.Memory, *scan.Memory)
		}
		if want := int64(workers); workers > 1 && (scan.Workers != want || filter.Workers != want) || workers == 1 && scan.Workers != 0 || sort.Workers != 0 {
			t.Errorf("%d workers: %d and %d of them read", workers, scan.Workers, filter.Workers)
		}
		lines := strings.Join(result(t, db, exec.Env{Parallelism: workers}, "EXPLAIN ANALYZE "+query), "\n")
		if strings.Count(lines, " bytes") < 5 || strings.Contains(lines, "workers=3") != (workers == 3) {
			t.Errorf("%d workers:\n%s", workers, lines)
		}
	}
}
