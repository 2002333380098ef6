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
