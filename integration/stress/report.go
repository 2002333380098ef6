package stress

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Bar is a figure of a run and what it must be.
type Bar struct {
	What  string
	Got   float64
	Limit float64
	Unit  string
	// Least is set where Limit is the least that Got may be, not the most.
	Least bool
	// Judged is set where the run was long enough for the figure to count.
	Judged bool
}

// Met tells whether the figure is what it must be.
func (b Bar) Met() bool {
	if b.Least {
		return b.Got >= b.Limit
	}
	return b.Got <= b.Limit
}

// String writes the figure down with its limit.
func (b Bar) String() string {
	word := "at most"
	if b.Least {
		word = "at least"
	}
	return fmt.Sprintf("%s: %s %s (%s %s)", b.What, number(b.Got), b.Unit, word, number(b.Limit))
}

// row is the figure as a part of a table's row.
func (b Bar) row() string {
	sign, met := "≤", "yes"
	if b.Least {
		sign = "≥"
	}
	switch {
	case !b.Judged:
		met = "too short to count"
	case !b.Met():
		met = "**no**"
	}
	return fmt.Sprintf("%s | %s %s | %s %s %s | %s", b.What, number(b.Got), b.Unit, sign, number(b.Limit), b.Unit, met)
}

// number writes large figures as whole numbers, others with what counts.
func number(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// Report is what there is to say about a run.
type Report struct {
	Title string
	// Failed is set where something else than a bar was missed.
	Failed  bool
	Facts   []string
	Bars    []Bar
	Samples []Sample
}

// reportRows bounds the table of samples.
const reportRows = 40

// Write writes the report into a folder, which is made: name.md, and name.png
// beside it where there are samples.
func (r *Report) Write(dir, name string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, name+".md"), []byte(r.markdown(name)), 0o644); err != nil {
		return err
	}
	if len(r.Samples) < 2 {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, name+".csv"), []byte(r.csv()), 0o644); err != nil {
		return err
	}
	return r.plot(filepath.Join(dir, name+".png"))
}

func (r *Report) markdown(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", r.Title)
	for _, f := range r.Facts {
		fmt.Fprintf(&b, "- %s\n", f)
	}
	if len(r.Bars) > 0 {
		b.WriteString("\n| figure | measured | bar | met |\n|---|---:|---:|---|\n")
		for _, x := range r.Bars {
			fmt.Fprintf(&b, "| %s |\n", x.row())
		}
	}
	if len(r.Samples) < 2 {
		return b.String()
	}
	fmt.Fprintf(&b, "\n![memory, latency and throughput](%s.png)\n\n", name)
	b.WriteString("| time | own memory MiB | resident MiB | heap MiB | in use MiB | CPU % | goroutines | WebSockets | rows/s written | rows/s heard | query p50 ms | query p95 ms | rows to flush | queued KiB | phase |\n")
	b.WriteString("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n")
	step := (len(r.Samples) + reportRows - 1) / reportRows
	for chunk := range slices.Chunk(r.Samples, step) {
		s := chunk[len(chunk)-1]
		s.CPU = Mean(chunk, func(s Sample) float64 { return s.CPU })
		s.Rows = Mean(chunk, func(s Sample) float64 { return s.Rows })
		s.Heard = Mean(chunk, func(s Sample) float64 { return s.Heard })
		s.P95 = time.Duration(Highest(chunk, func(s Sample) float64 { return float64(s.P95) }))
		fmt.Fprintf(&b, "| %v | %.1f | %.1f | %.1f | %.1f | %.0f | %.0f | %.0f | %.0f | %.0f | %.2f | %.2f | %.0f | %.1f | %s |\n",
			s.At.Round(100*time.Millisecond), mib(s.Own), mib(s.Resident), mib(s.Heap), mib(s.Live), 100*s.CPU, s.Goroutines, s.WebSockets,
			s.Rows, s.Heard, ms(s.P50), ms(s.P95), s.Waiting, s.Queued/1024, s.Phase)
	}
	return b.String()
}

func mib(bytes float64) float64 { return bytes / (1 << 20) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// csv is every sample.
func (r *Report) csv() string {
	var b strings.Builder
	b.WriteString("seconds,phase,own,resident,heap,live,cpu,goroutines,websockets,rows_per_second,heard_per_second,p50_ms,p95_ms,waiting_rows,queued_bytes\n")
	for _, s := range r.Samples {
		fmt.Fprintf(&b, "%.1f,%s,%.0f,%.0f,%.0f,%.0f,%.4f,%.0f,%.0f,%.0f,%.0f,%.3f,%.3f,%.0f,%.0f\n", s.At.Seconds(), s.Phase, s.Own, s.Resident, s.Heap, s.Live,
			s.CPU, s.Goroutines, s.WebSockets, s.Rows, s.Heard, ms(s.P50), ms(s.P95), s.Waiting, s.Queued)
	}
	return b.String()
}

// Mean is the average of a figure over the samples, 0 when there are none.
func Mean(list []Sample, of func(Sample) float64) (out float64) {
	for _, s := range list {
		out += of(s) / float64(len(list))
	}
	return out
}

// Highest is the largest value of a figure in the samples, 0 when there are
// none.
func Highest(list []Sample, of func(Sample) float64) (out float64) {
	for _, s := range list {
		out = max(out, of(s))
	}
	return out
}

// Lowest is the smallest value of a figure in the samples, 0 when there are
// none.
func Lowest(list []Sample, of func(Sample) float64) float64 {
	if len(list) == 0 {
		return 0
	}
	least := math.Inf(1)
	for _, s := range list {
		least = min(least, of(s))
	}
	return least
}

// plotColors tell the figures of one panel apart, also in grey.
var plotColors = []color.Color{color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff}, color.RGBA{R: 0xe0, G: 0x7b, B: 0x39, A: 0xff}}

// line is a figure of a plot.
type line struct {
	name string
	of   func(Sample) float64
}

// plot draws memory, latency and throughput over time, one below the other.
func (r *Report) plot(path string) error {
	panels := []struct {
		axis  string
		lines []line
	}{
		{"memory, MiB", []line{
			{"own", func(s Sample) float64 { return mib(s.Own) }},
			{"in use", func(s Sample) float64 { return mib(s.Live) }}}},
		{"query latency, ms", []line{
			{"p50", func(s Sample) float64 { return ms(s.P50) }},
			{"p95", func(s Sample) float64 { return ms(s.P95) }}}},
		{"rows a second", []line{
			{"written", func(s Sample) float64 { return s.Rows }},
			{"heard", func(s Sample) float64 { return s.Heard }}}},
	}
	column := make([][]*plot.Plot, len(panels))
	for i, panel := range panels {
		p := plot.New()
		p.Y.Label.Text = panel.axis
		p.Y.Min = 0
		p.Legend.Top = true
		p.Add(plotter.NewGrid())
		if err := r.phases(p, i == 0); err != nil {
			return err
		}
		for j, l := range panel.lines {
			points := make(plotter.XYs, len(r.Samples))
			for k, s := range r.Samples {
				points[k] = plotter.XY{X: s.At.Seconds(), Y: l.of(s)}
			}
			drawn, err := plotter.NewLine(points)
			if err != nil {
				return err
			}
			drawn.Color = plotColors[j]
			drawn.Width = vg.Points(1.5)
			p.Add(drawn)
			p.Legend.Add(l.name, drawn)
		}
		p.Y.Min = 0
		p.Y.Max *= 1.15 // room for the legend
		column[i] = []*plot.Plot{p}
	}
	column[0][0].Title.Text = r.Title
	column[0][0].Title.Padding = vg.Points(6)
	column[len(column)-1][0].X.Label.Text = "seconds"
	image := vgimg.New(18*vg.Centimeter, 22*vg.Centimeter)
	tiles := draw.Tiles{Rows: len(column), Cols: 1, PadX: vg.Millimeter, PadY: 4 * vg.Millimeter, PadTop: 2 * vg.Millimeter, PadBottom: 2 * vg.Millimeter, PadLeft: 2 * vg.Millimeter, PadRight: 4 * vg.Millimeter}
	for i, canvases := range plot.Align(column, tiles, draw.New(image)) {
		column[i][0].Draw(canvases[0])
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := (vgimg.PngCanvas{Canvas: image}).WriteTo(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// phases marks where each phase begins, and names it.
func (r *Report) phases(p *plot.Plot, named bool) error {
	last := ""
	for _, s := range r.Samples {
		if s.Phase == last {
			continue
		}
		if last = s.Phase; last == "" {
			continue
		}
		at := plotter.XY{X: s.At.Seconds()}
		mark, err := plotter.NewScatter(plotter.XYs{at})
		if err != nil {
			return err
		}
		mark.Shape, mark.Color, mark.Radius = draw.TriangleGlyph{}, color.Black, vg.Points(3)
		p.Add(mark)
		if !named {
			continue
		}
		names, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{at}, Labels: []string{s.Phase}})
		if err != nil {
			return err
		}
		names.Offset = vg.Point{X: vg.Points(4), Y: vg.Points(2)}
		p.Add(names)
	}
	return nil
}
