package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

// verticalPrinter writes each record as lines of name and value.
type verticalPrinter struct {
	w       io.Writer
	o       Options
	cols    []link.Column
	names   int // the width of the longest name
	n       int64
	stopped bool
	b       strings.Builder
}

func newVertical(w io.Writer, cols []link.Column, o Options) *verticalPrinter {
	v := &verticalPrinter{w: w, o: o, cols: cols}
	for _, c := range cols {
		v.names = max(v.names, Width(Safe(c.Name)))
	}
	return v
}

func (v *verticalPrinter) Row(r *link.Record) error {
	row := make([]cell, len(v.cols))
	for i := range row {
		row[i] = cell{v.o.Null, true}
		if i < r.Len() {
			if s, ok := r.Text(i); ok {
				row[i] = cell{safe(s, true), false}
			}
		}
	}
	return v.write(row)
}

func (v *verticalPrinter) write(row []cell) error {
	if v.stopped {
		return io.EOF
	}
	if v.o.Page > 0 && v.n > 0 && v.n%int64(v.o.Page) == 0 && v.o.More != nil && !v.o.More() {
		v.stopped = true
		return io.EOF
	}
	v.n++
	v.b.Reset()
	head := fmt.Sprintf("-[ RECORD %d ]", v.n)
	line := v.names + 20
	if v.o.Width > 0 {
		line = min(line, v.o.Width)
	}
	v.b.WriteString(v.o.Colors.Quiet.Paint(head + strings.Repeat("-", max(0, line-len(head)))))
	v.b.WriteByte('\n')
	for i, c := range row {
		name := v.o.Colors.Head.Paint(Fit(Safe(v.cols[i].Name), v.names, false))
		for j, part := range strings.Split(c.text, "\n") {
			if j == 0 {
				v.b.WriteString(name)
			} else {
				v.b.WriteString(spaces(v.names))
			}
			v.b.WriteString(" | ")
			v.b.WriteString(v.o.valueColor(v.cols[i].Type, c.null).Paint(part))
			v.b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(v.w, v.b.String())
	return err
}

func (v *verticalPrinter) Close(took time.Duration) error {
	if !v.o.Footer {
		return nil
	}
	_, err := io.WriteString(v.w, footer(v.o, v.n, took, v.stopped)+"\n")
	return err
}
