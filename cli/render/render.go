package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/cli/theme"
	"github.com/kalamdb/kalamdb/link"
)

// Format names a form of output.
type Format string

// The forms of output.
const (
	Table    Format = "table"
	JSON     Format = "json"
	NDJSON   Format = "ndjson"
	CSV      Format = "csv"
	TSV      Format = "tsv"
	Markdown Format = "markdown"
	Vertical Format = "vertical"
)

// Formats lists every form, for help and completion.
var Formats = []Format{Table, JSON, NDJSON, CSV, TSV, Markdown, Vertical}

// ParseFormat finds a form by its name.
func ParseFormat(s string) (Format, error) {
	for _, f := range Formats {
		if strings.EqualFold(s, string(f)) {
			return f, nil
		}
	}
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = string(f)
	}
	return "", fmt.Errorf("unknown format %q; it is one of %s", s, strings.Join(names, ", "))
}

// Machine tells whether programs read this form: then nothing but the data may
// be written beside it.
func (f Format) Machine() bool { return f != Table && f != Vertical && f != Markdown }

// Options say how rows are written. The zero value is a table without colours
// and without a limit of its width.
type Options struct {
	Format Format
	// Colors are the colours; the zero value has none.
	Colors theme.Palette
	// Terminal tells that people look at the output: no control character of
	// the data is written as it is, whatever the form.
	Terminal bool
	// Width is how many columns the terminal has; 0 means no limit.
	Width int
	// Wrap continues values that are too long for a table's column on further
	// lines, instead of cutting them off.
	Wrap bool
	// Null stands for NULL in tables and records. Default "NULL".
	Null string
	// Border is "ascii" (the default), "light", "rounded" or "none".
	Border string
	// Sample is from how many rows a table takes its widths. Default 10,000.
	Sample int
	// Footer writes the line below a table with its number of rows.
	Footer bool
	// Timing adds how long it took to that line.
	Timing bool
	// Page is after how many rows More is asked; 0 means never.
	Page int
	// More is asked after every page; the writing ends when it answers false.
	More func() bool
}

// Printer writes the rows of one result. Row returns io.EOF when the reader
// wants no more.
type Printer interface {
	// Row writes a row, or keeps it until the widths are known. It does not
	// keep the record.
	Row(r *link.Record) error
	// Close writes what is left and the footer.
	Close(took time.Duration) error
}

// New makes the printer for one result's columns.
func New(w io.Writer, cols []link.Column, o Options) Printer {
	if o.Null == "" {
		o.Null = "NULL"
	}
	if o.Sample <= 0 {
		o.Sample = 10_000
	}
	switch o.Format {
	case JSON:
		return &jsonPrinter{w: w, array: true}
	case NDJSON:
		return &jsonPrinter{w: w}
	case CSV:
		return newDelimited(w, cols, ',', o)
	case TSV:
		return newDelimited(w, cols, '\t', o)
	case Markdown:
		return newMarkdown(w, cols, o)
	case Vertical:
		return newVertical(w, cols, o)
	}
	return newTable(w, cols, o)
}

// numeric tells whether a column's values are aligned to the right.
func numeric(typ string) bool {
	name, _, _ := strings.Cut(typ, "(")
	switch strings.ToUpper(name) {
	case "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "INTEGER", "REAL", "NUMERIC", "SERIAL", "BIGSERIAL":
		return true
	}
	return false
}

func (o *Options) valueColor(typ string, null bool) theme.Color {
	switch {
	case null:
		return o.Colors.Null
	case numeric(typ):
		return o.Colors.Number
	case typ == "BOOLEAN":
		return o.Colors.Bool
	}
	return ""
}

// Rows says a number of rows in words: "1 row", "1,234 rows".
func Rows(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return Thousands(n) + " rows"
}

// Thousands writes a number with commas.
func Thousands(n int64) string {
	s := fmt.Sprint(n)
	neg := strings.TrimPrefix(s, "-")
	sign := s[:len(s)-len(neg)]
	for i := len(neg) - 3; i > 0; i -= 3 {
		neg = neg[:i] + "," + neg[i:]
	}
	return sign + neg
}

// Duration writes a time with the digits that matter.
func Duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func footer(o Options, n int64, took time.Duration, stopped bool) string {
	s := "(" + Rows(n)
	if stopped {
		s += " shown"
	}
	s += ")"
	if o.Timing {
		s += "  " + Duration(took)
	}
	return o.Colors.Quiet.Paint(s)
}
