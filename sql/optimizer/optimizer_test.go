package optimizer_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/golden"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/logictest"
)

// TestPlans holds the plans of testdata/plans.txt: each statement, then the
// plan it has, indented.
func TestPlans(t *testing.T) {
	const file = "testdata/plans.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	db := logictest.NewDB(sql.Options{})
	var out strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		var stmt, plan []string
		for line := range strings.SplitSeq(block, "\n") {
			if strings.HasPrefix(line, "    ") {
				plan = append(plan, line)
			} else {
				stmt = append(stmt, line)
			}
		}
		query := strings.Join(stmt, "\n")
		var got []string
		if strings.HasPrefix(query, "CREATE") {
			if _, err := db.Exec(ctx, query); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		} else {
			r, err := db.Exec(ctx, "EXPLAIN "+query)
			if err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			for _, row := range r.Rows {
				got = append(got, "    "+row[0].Str())
			}
		}
		if !golden.Rewriting() && strings.Join(got, "\n") != strings.Join(plan, "\n") {
			t.Errorf("%s\n got:\n%s\nwant:\n%s", query, strings.Join(got, "\n"), strings.Join(plan, "\n"))
		}
		out.WriteString(strings.Join(append(stmt, got...), "\n") + "\n\n")
	}
	if golden.Rewriting() {
		golden.Write(t, file, strings.TrimRight(out.String(), "\n")+"\n")
	}
}

// TestNestedLoopsComeFirst holds the order of joins to what it costs to test a
// condition on every pair of rows: on the pairs of two tables, not on those of
// their product with a third one.
func TestNestedLoopsComeFirst(t *testing.T) {
	ctx := context.Background()
	db := logictest.NewDB(sql.Options{})
	for _, s := range []string{
		"CREATE TABLE large (id INT PRIMARY KEY, s TEXT)", "INSERT INTO large SELECT n, n::text FROM generate_series(1, 1000) AS g(n)",
		"CREATE TABLE small (id INT PRIMARY KEY)", "INSERT INTO small SELECT n FROM generate_series(1, 30) AS g(n)",
	} {
		if _, err := db.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	r, err := db.Exec(ctx, "EXPLAIN SELECT 1 FROM large a CROSS JOIN small b JOIN large c ON starts_with(c.s, a.s || 'x')")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, row := range r.Rows {
		lines = append(lines, strings.TrimLeft(row[0].Str(), " "))
	}
	at := func(word string) int {
		for i, l := range lines {
			if strings.Contains(l, word) {
				return i
			}
		}
		t.Fatalf("no %s in\n%s", word, strings.Join(lines, "\n"))
		return 0
	}
	if nested, other := at("starts_with"), at("join"); nested <= other {
		t.Errorf("the condition is not below the other join:\n%s", strings.Join(lines, "\n"))
	}
}
