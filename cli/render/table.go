package render

import (
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/kalamdb/kalamdb/cli/theme"
	"github.com/kalamdb/kalamdb/link"
)

// minColumn is how narrow a column of text may become to fit the terminal.
const minColumn = 6

// minTime keeps the seconds of a timestamp.
const minTime = 20

// least is how narrow a column may become: half a number would be another
// number.
func least(c link.Column, width int) int {
	switch {
	case numeric(c.Type):
		return width
	case c.Type == "TIMESTAMP":
		return min(width, minTime)
	}
	return min(width, minColumn)
}

// maxSampleBytes bounds the text that is kept while the widths are not known.
const maxSampleBytes = 16 << 20

type cell struct {
	text string
	null bool
}

// tablePrinter keeps the first rows, finds the widths of the columns from them,
// and then writes every row at once.
type tablePrinter struct {
	w    io.Writer
	o    Options
	cols []link.Column
	box  table.BoxStyle

	kept      []cell // rows × columns
	keptBytes int
	widths    []int // nil while the rows are kept
	n         int64
	stopped   bool
	fallback  Printer // one below the other, when the columns do not fit
	line      strings.Builder
}

func newTable(w io.Writer, cols []link.Column, o Options) *tablePrinter {
	t := &tablePrinter{w: w, o: o, cols: cols}
	switch o.Border {
	case "light":
		t.box = table.StyleBoxLight
	case "rounded":
		t.box = table.StyleBoxRounded
	default:
		t.box = table.StyleBoxDefault
	}
	return t
}

func (t *tablePrinter) Row(r *link.Record) error {
	if t.stopped {
		return io.EOF
	}
	if t.fallback != nil {
		return t.fallback.Row(r)
	}
	if t.widths == nil {
		for i := range t.cols {
			c := t.cell(r, i)
			t.keptBytes += len(c.text)
			t.kept = append(t.kept, c)
		}
		if len(t.kept) >= t.o.Sample*max(len(t.cols), 1) || t.keptBytes > maxSampleBytes {
			return t.begin()
		}
		return nil
	}
	row := make([]cell, len(t.cols))
	for i := range row {
		row[i] = t.cell(r, i)
	}
	return t.write(row)
}

func (t *tablePrinter) cell(r *link.Record, i int) cell {
	if i >= r.Len() {
		return cell{t.o.Null, true}
	}
	s, ok := r.Text(i)
	if !ok {
		return cell{t.o.Null, true}
	}
	return cell{Safe(s), false}
}

// begin finds the widths, writes the head and the rows that were kept.
func (t *tablePrinter) begin() error {
	widths := make([]int, len(t.cols))
	for i, c := range t.cols {
		widths[i] = max(Width(Safe(c.Name)), 1)
	}
	for i, c := range t.kept {
		col := i % len(t.cols)
		widths[col] = max(widths[col], Width(c.text))
	}
	if t.o.Width > 0 {
		floors := make([]int, len(widths))
		for i, c := range t.cols {
			floors[i] = least(c, widths[i])
		}
		if !shrink(widths, floors, t.o.Width-1-3*len(widths)) {
			return t.expand()
		}
	}
	t.widths = widths
	if err := t.rule(t.box.TopLeft, t.box.TopSeparator, t.box.TopRight); err != nil {
		return err
	}
	head := make([]cell, len(t.cols))
	for i, c := range t.cols {
		head[i] = cell{Safe(c.Name), false}
	}
	if err := t.cells(head, func(int, cell) theme.Color { return t.o.Colors.Head }); err != nil {
		return err
	}
	if err := t.rule(t.box.LeftSeparator, t.box.MiddleSeparator, t.box.RightSeparator); err != nil {
		return err
	}
	kept := t.kept
	t.kept = nil
	for len(kept) > 0 {
		if err := t.write(kept[:len(t.cols)]); err != nil {
			return err
		}
		kept = kept[len(t.cols):]
	}
	return nil
}

// shrink makes the widest columns narrower, none below its floor, until all fit
// into the space. It tells whether that was possible.
func shrink(widths, floors []int, space int) bool {
	total, floor := 0, 0
	for i, w := range widths {
		total += w
		floor += floors[i]
	}
	if total > space && floor > space {
		return false
	}
	for total > space {
		widest := -1
		for i, w := range widths {
			if w > floors[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		// Down to the second widest at least, so that few steps are needed.
		next := floors[widest]
		for i, w := range widths {
			if i != widest && w > floors[i] {
				next = max(next, w-1)
			}
		}
		cut := min(max(widths[widest]-next, 1), total-space)
		widths[widest] -= cut
		total -= cut
	}
	return true
}

// expand writes the records one below the other, because the columns do not fit
// beside each other.
func (t *tablePrinter) expand() error {
	v := newVertical(t.w, t.cols, t.o)
	t.fallback = v
	kept := t.kept
	t.kept = nil
	for len(kept) > 0 {
		if err := v.write(kept[:len(t.cols)]); err != nil {
			return err
		}
		kept = kept[len(t.cols):]
	}
	return nil
}

func (t *tablePrinter) rule(left, middle, right string) error {
	t.line.Reset()
	t.line.WriteString(left)
	for i, w := range t.widths {
		if i > 0 {
			t.line.WriteString(middle)
		}
		t.line.WriteString(strings.Repeat(t.box.MiddleHorizontal, w+2))
	}
	t.line.WriteString(right)
	t.line.WriteByte('\n')
	_, err := io.WriteString(t.w, t.line.String())
	return err
}

func (t *tablePrinter) write(row []cell) error {
	if t.o.Page > 0 && t.n > 0 && t.n%int64(t.o.Page) == 0 && t.o.More != nil && !t.o.More() {
		t.stopped = true
		return io.EOF
	}
	t.n++
	return t.cells(row, func(i int, c cell) theme.Color { return t.o.valueColor(t.cols[i].Type, c.null) })
}

// cells writes one row between its borders: on one line with what is too long
// cut off, or on as many as its longest value needs.
func (t *tablePrinter) cells(row []cell, color func(int, cell) theme.Color) error {
	height := 1
	var parts [][]string
	if t.o.Wrap {
		parts = make([][]string, len(row))
		for i, c := range row {
			parts[i] = Wrap(c.text, t.widths[i])
			height = max(height, len(parts[i]))
		}
	}
	t.line.Reset()
	for n := range height {
		t.line.WriteString(t.box.Left)
		for i, c := range row {
			if i > 0 {
				t.line.WriteString(t.box.MiddleVertical)
			}
			s := c.text
			if parts != nil {
				s = ""
				if n < len(parts[i]) {
					s = parts[i][n]
				}
			}
			t.line.WriteByte(' ')
			t.line.WriteString(color(i, c).Paint(Fit(s, t.widths[i], numeric(t.cols[i].Type))))
			t.line.WriteByte(' ')
		}
		t.line.WriteString(t.box.Right)
		t.line.WriteByte('\n')
	}
	_, err := io.WriteString(t.w, t.line.String())
	return err
}

func (t *tablePrinter) Close(took time.Duration) error {
	if t.widths == nil && t.fallback == nil && len(t.cols) > 0 {
		if err := t.begin(); err != nil && err != io.EOF {
			return err
		}
	}
	if t.fallback != nil {
		return t.fallback.Close(took)
	}
	if len(t.cols) > 0 {
		if err := t.rule(t.box.BottomLeft, t.box.BottomSeparator, t.box.BottomRight); err != nil {
			return err
		}
	}
	if !t.o.Footer {
		return nil
	}
	_, err := io.WriteString(t.w, footer(t.o, t.n, took, t.stopped)+"\n")
	return err
}
