package main

import (
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFigures makes a table and a plot of outputs as the two kinds of
// benchmarks print them, and refuses an output that measured nothing.
func TestFigures(t *testing.T) {
	dir := t.TempDir()
	bench, duck := filepath.Join(dir, "bench.txt"), filepath.Join(dir, "duckdb.txt")
	for name, text := range map[string]string{
		bench: "pkg: github.com/kalamdb/kalamdb/sql\nBenchmarkPlan-2 \t 100\t 250.5 ns/op\t 3.5 ratio\nPASS\n",
		duck:  "TPC-H\nquery  KalamDB DuckDB ratio\nq1  10.00ms  8.00ms  1.25x\ngeometric mean  1.25x\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(bench, duck, dir); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| sql | Plan-2 | 250.5 ns/op, 3.5 ratio |", "| q1 | 1.25 |", "| geometric mean | 1.25 |"} {
		if !strings.Contains(string(table), want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	f, err := os.Open(filepath.Join(dir, "ratios.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
	if err := run(bench, filepath.Join(dir, "none"), dir); err != nil {
		t.Errorf("without DuckDB: %v", err)
	}
	if err := os.WriteFile(bench, []byte("PASS\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if run(bench, duck, dir) == nil || run(filepath.Join(dir, "none"), duck, dir) == nil {
		t.Error("nothing was measured, and that is no error")
	}
}
