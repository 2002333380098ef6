package tpch

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

var (
	small = sync.OnceValues(func() (*Database, error) { return NewDatabase(0.01, sql.Options{}) })
	large = sync.OnceValues(func() (*Database, error) { return NewDatabase(0.1, sql.Options{}) })
)

func result(t *testing.T, db *Database, env exec.Env, text string) []string {
	t.Helper()
	var rows []string
	err := db.Run(t.Context(), env, text, func(b *vector.Batch) {
		for i := range b.Rows() {
			cells := make([]string, len(b.Cols))
			for c, col := range b.Cols {
				v := col.Value(b.Row(i))
				cells[c] = v.Text()
				if v.IsNull() {
					cells[c] = "NULL"
				}
			}
			rows = append(rows, strings.Join(cells, "|"))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestQueries compares the 22 queries at scale factor 0.01 with what
// PostgreSQL 15 (collation C) gave for the rows of NewGenerator(0.01), printed
// by psql -A -t -P null=NULL. Every query orders its rows wholly, or the rows
// at hand have no ties.
func TestQueries(t *testing.T) {
	db, err := small()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 22; n++ {
		t.Run(fmt.Sprintf("Q%02d", n), func(t *testing.T) {
			text, err := Query(n)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(fmt.Sprintf("testdata/q%02d.txt", n))
			if err != nil {
				t.Fatal(err)
			}
			for _, env := range []exec.Env{{}, {Parallelism: 4, BatchSize: 100}} {
				got := strings.Join(result(t, db, env, text), "\n")
				if w := strings.TrimSuffix(string(want), "\n"); got != w {
					t.Errorf("with %d goroutines:\n%s\nwant:\n%s", max(1, env.Parallelism), got, w)
				}
			}
		})
	}
}

// BenchmarkQueries runs the queries at scale factor 0.1 with one goroutine.
func BenchmarkQueries(b *testing.B) {
	for n := 1; n <= 22; n++ {
		b.Run(fmt.Sprintf("Q%02d", n), func(b *testing.B) {
			db, err := large()
			if err != nil {
				b.Fatal(err)
			}
			text, err := Query(n)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := db.Run(b.Context(), exec.Env{MemoryLimit: 2 << 30}, text, func(*vector.Batch) {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
