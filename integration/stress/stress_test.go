package stress

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := parse(strings.NewReader("# HELP a b\na 1.5\nerrors{code=\"A B\"} 2\nerrors{code=\"C\"} 3\n\nbig 1e+09\n"))
	if err != nil || m["a"] != 1.5 || m["errors"] != 5 || m["big"] != 1e9 {
		t.Errorf("%v %v", m, err)
	}
	for _, bad := range []string{"a", "a b", "a{x=\"1\"}"} {
		if m, err := parse(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read as %v", bad, m)
		}
	}
}

func TestProcessMemory(t *testing.T) {
	t.Parallel()
	m, ok := ProcessMemory(os.Getpid())
	if !ok {
		t.Skip("the system does not tell")
	}
	if m.Own <= 0 || m.Own > m.Resident {
		t.Errorf("%+v", m)
	}
	if m, ok := ProcessMemory(-1); ok {
		t.Errorf("no process has %+v", m)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	list := []time.Duration{5, 1, 4, 2, 3}
	for share, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.95: 5, 1: 5} {
		if got := quantile(list, share); got != want {
			t.Errorf("%v: %d, want %d", share, got, want)
		}
	}
	if quantile(nil, 0.5) != 0 {
		t.Error("nothing has a quantile")
	}
}

// TestReport writes a report and reads it again: each bar says whether it is
// met, and the plot is an image.
func TestReport(t *testing.T) {
	t.Parallel()
	r := Report{Title: "A run", Facts: []string{"two cores"}, Bars: []Bar{
		{What: "growth", Got: 12, Limit: 10, Unit: "%", Judged: true},
		{What: "rate", Got: 12, Limit: 10, Unit: "rows/s", Least: true, Judged: true},
		{What: "p95", Got: 900, Limit: 500, Unit: "ms"},
	}}
	for i := range 200 {
		r.Samples = append(r.Samples, Sample{At: time.Duration(i) * time.Second, Memory: Memory{Own: 1 << 20, Resident: 2 << 20}, Rows: float64(i), P95: time.Millisecond, Phase: []string{"first", "second"}[i/100]})
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := r.Write(dir, "run"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "run.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# A run", "- two cores", "| growth | 12 % | ≤ 10 % | **no** |", "| rate | 12 rows/s | ≥ 10 rows/s | yes |", "| p95 | 900 ms | ≤ 500 ms | too short to count |", "run.png", "| 3m19s | 1.0 | 2.0 |", "| second |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
	if n := strings.Count(string(text), "\n| "); n > reportRows+5 {
		t.Errorf("the report has %d lines of tables", n)
	}
	image, err := os.ReadFile(filepath.Join(dir, "run.png"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := png.DecodeConfig(bytes.NewReader(image)); err != nil || c.Width < 300 || c.Height < 300 {
		t.Errorf("the plot: %+v %v", c, err)
	}
	if err := r.Write(filepath.Join(dir, "run.md", "below a file"), "run"); err == nil {
		t.Error("a folder below a file was made")
	}
}

// TestGrowth: what grows all the time is told from what goes up and down.
func TestGrowth(t *testing.T) {
	t.Parallel()
	run := func(of func(i int) float64) []Sample {
		out := make([]Sample, 300)
		for i := range out {
			out[i].Own = of(i)
		}
		return out
	}
	sawtooth := func(i int) float64 { return 100 + float64(i%7)*3 }
	for name, x := range map[string]struct {
		list        []Sample
		least, most float64
	}{
		"nothing":            {nil, 0, 0},
		"warms up":           {run(func(i int) float64 { return min(float64(i)*2, 100) }), 0, 0},
		"garbage":            {run(sawtooth), -3, 3},
		"a peak now":         {run(func(i int) float64 { return sawtooth(i) + max(0, float64(i%60-50)*50) }), -3, 3},
		"a leak":             {run(func(i int) float64 { return sawtooth(i) + float64(i)/2 }), 40, 90},
		"a leak below peaks": {run(func(i int) float64 { return 100 + float64(i)/10 + max(0, float64(i%30-20)*20) }), 12, 35},
		"shrinks":            {run(func(i int) float64 { return 200 - float64(i)/3 }), -60, -20},
	} {
		if got := Growth(x.list, func(s Sample) float64 { return s.Own }); got < x.least || got > x.most {
			t.Errorf("%s: grows by %v %%, want %v to %v", name, got, x.least, x.most)
		}
	}
	if got := Median([]Sample{{Rows: 9}, {Rows: 1}, {Rows: 2}}, func(s Sample) float64 { return s.Rows }); got != 2 {
		t.Errorf("the median is %v", got)
	}
}
