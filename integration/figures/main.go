// Command figures turns what benchmarks printed into a table in Markdown and a
// plot of the ratios:
//
//	figures -bench bench.txt -duckdb duckdb.txt -out dist/bench
//
// bench.txt is the output of go test -bench; duckdb.txt, which may be missing,
// that of the comparison with DuckDB in integration/oracle/bench.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

func main() {
	bench := flag.String("bench", "", "output of go test -bench")
	duckdb := flag.String("duckdb", "", "table of the comparison with DuckDB; may be missing")
	out := flag.String("out", filepath.Join("dist", "bench"), "folder to write to")
	flag.Parse()
	if err := run(*bench, *duckdb, *out); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(bench, duckdb, out string) error {
	text, err := os.ReadFile(bench)
	if err != nil {
		return err
	}
	measured := parse(string(text))
	if len(measured) == 0 {
		return fmt.Errorf("%s has no benchmark", bench)
	}
	compared, err := os.ReadFile(duckdb)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	duck := parseDuck(string(compared))
	var ratios []ratio
	for _, m := range measured {
		if r, ok := m.values["ratio"]; ok {
			ratios = append(ratios, ratio{m.name, r})
		}
	}
	for _, r := range duck {
		ratios = append(ratios, ratio{"DuckDB: " + r.name, r.value})
	}
	table := markdown(measured, duck, len(ratios) > 0)
	fmt.Print(table)
	if err := os.WriteFile(filepath.Join(out, "README.md"), []byte(table), 0o644); err != nil || len(ratios) == 0 {
		return err
	}
	return draw(ratios, filepath.Join(out, "ratios.png"))
}

// measurement is one line of a benchmark's output.
type measurement struct {
	pkg, name string
	values    map[string]float64
	units     []string
}

type ratio struct {
	name  string
	value float64
}

func parse(text string) (out []measurement) {
	pkg := ""
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 2 && fields[0] == "pkg:" {
			pkg = strings.TrimPrefix(fields[1], "github.com/kalamdb/kalamdb/")
		}
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		m := measurement{pkg: pkg, name: strings.TrimPrefix(fields[0], "Benchmark"), values: map[string]float64{}}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				m.values[fields[i+1]] = v
				m.units = append(m.units, fields[i+1])
			}
		}
		out = append(out, m)
	}
	return out
}

// parseDuck reads lines of a name, two times and a ratio such as 1.20x.
func parseDuck(text string) (out []ratio) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasSuffix(fields[len(fields)-1], "x") {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSuffix(fields[len(fields)-1], "x"), 64)
		if err != nil {
			continue
		}
		name := fields[0]
		if name == "geometric" {
			name = "geometric mean"
		}
		out = append(out, ratio{name, v})
	}
	return out
}

func markdown(measured []measurement, duck []ratio, plotted bool) string {
	var s strings.Builder
	s.WriteString("# Benchmarks\n\nTrust the ratios, whose sides took turns in one run; other figures depend on the machine and on what else it did.\n\n")
	s.WriteString("| package | benchmark | figures |\n|---|---|---|\n")
	for _, m := range measured {
		var figures []string
		for _, u := range m.units {
			figures = append(figures, strconv.FormatFloat(m.values[u], 'g', 6, 64)+" "+u)
		}
		fmt.Fprintf(&s, "| %s | %s | %s |\n", m.pkg, m.name, strings.Join(figures, ", "))
	}
	if len(duck) > 0 {
		s.WriteString("\n## Beside DuckDB\n\nTimes as multiples of DuckDB's, both on one core; below 1 is faster.\n\n| query | ratio |\n|---|---|\n")
		for _, r := range duck {
			fmt.Fprintf(&s, "| %s | %.2f |\n", r.name, r.value)
		}
	}
	if plotted {
		s.WriteString("\n![ratios](ratios.png)\n")
	}
	return s.String()
}

func draw(ratios []ratio, file string) error {
	p := plot.New()
	p.X.Label.Text = "ratio"
	values := make(plotter.Values, len(ratios))
	names := make([]string, len(ratios))
	for i, r := range ratios {
		values[len(ratios)-1-i], names[len(ratios)-1-i] = r.value, r.name
	}
	bars, err := plotter.NewBarChart(values, vg.Points(8))
	if err != nil {
		return err
	}
	bars.Horizontal = true
	p.Add(bars, plotter.NewGrid())
	p.NominalY(names...)
	return p.Save(20*vg.Centimeter, vg.Points(float64(60+14*len(ratios))), file)
}
