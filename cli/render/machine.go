package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/link"
)

// jsonPrinter writes objects, one a line, as one array or each for itself.
type jsonPrinter struct {
	w     io.Writer
	array bool
	n     int64
}

func (p *jsonPrinter) Row(r *link.Record) error {
	raw, err := r.MarshalJSON()
	if err != nil {
		return err
	}
	sep := ""
	if p.array {
		sep = "[\n  "
		if p.n > 0 {
			sep = ",\n  "
		}
	} else if p.n > 0 {
		sep = "\n"
	}
	p.n++
	if _, err := io.WriteString(p.w, sep); err != nil {
		return err
	}
	_, err = p.w.Write(SafeJSON(raw))
	return err
}

func (p *jsonPrinter) Close(time.Duration) error {
	var end string
	switch {
	case p.array && p.n == 0:
		end = "[]\n"
	case p.array:
		end = "\n]\n"
	case p.n > 0:
		end = "\n"
	}
	_, err := io.WriteString(p.w, end)
	return err
}

// SafeJSON writes the control characters that JSON allows as they are, and that
// a terminal may obey, as escapes. The meaning stays the same. The text is put
// on one line.
func SafeJSON(raw []byte) []byte {
	clean := true
	for _, c := range raw {
		if c < ' ' || c == 0x7f || c >= utf8.RuneSelf {
			clean = false
			break
		}
	}
	if clean {
		return raw
	}
	var b bytes.Buffer
	if bytes.ContainsAny(raw, "\n\r\t") {
		if json.Compact(&b, raw) == nil {
			raw = append([]byte(nil), b.Bytes()...)
		}
		b.Reset()
	}
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\ufffd`)
		case r < ' ' || r >= 0x7f && r < 0xa0 || hidden(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.Write(raw[:n])
		}
		raw = raw[n:]
	}
	return b.Bytes()
}

// delimited writes values with a character between them: CSV as RFC 4180 has
// it, TSV as PostgreSQL's COPY has it.
type delimited struct {
	w    io.Writer
	cols []link.Column
	sep  byte
	tty  bool
	b    strings.Builder
	head bool
}

func newDelimited(w io.Writer, cols []link.Column, sep byte, o Options) *delimited {
	return &delimited{w: w, cols: cols, sep: sep, tty: o.Terminal}
}

func (d *delimited) header() error {
	if d.head {
		return nil
	}
	d.head = true
	d.b.Reset()
	for i, c := range d.cols {
		if i > 0 {
			d.b.WriteByte(d.sep)
		}
		d.value(c.Name, true)
	}
	return d.end()
}

func (d *delimited) Row(r *link.Record) error {
	if err := d.header(); err != nil {
		return err
	}
	d.b.Reset()
	for i := range d.cols {
		if i > 0 {
			d.b.WriteByte(d.sep)
		}
		s, ok := "", false
		if i < r.Len() {
			s, ok = r.Text(i)
		}
		d.value(s, ok)
	}
	return d.end()
}

func (d *delimited) end() error {
	d.b.WriteByte('\n')
	_, err := io.WriteString(d.w, d.b.String())
	return err
}

// value writes one value; present is false for NULL, which is nothing in CSV
// (the empty text is "") and \N in TSV.
func (d *delimited) value(s string, present bool) {
	if d.sep == '\t' {
		if !present {
			d.b.WriteString(`\N`)
			return
		}
		s = tsvEscapes.Replace(s)
		if d.tty {
			s = Safe(s)
		}
		d.b.WriteString(s)
		return
	}
	if !present {
		return
	}
	if d.tty {
		s = safe(s, true)
	}
	if s == "" || strings.ContainsAny(s, ",\"\r\n") || s[0] == ' ' || s[len(s)-1] == ' ' {
		d.b.WriteByte('"')
		d.b.WriteString(strings.ReplaceAll(s, `"`, `""`))
		d.b.WriteByte('"')
		return
	}
	d.b.WriteString(s)
}

var tsvEscapes = strings.NewReplacer("\\", `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

func (d *delimited) Close(time.Duration) error { return d.header() }

// markdownPrinter writes a table as GitHub reads it.
type markdownPrinter struct {
	w    io.Writer
	cols []link.Column
	o    Options
	head bool
}

func newMarkdown(w io.Writer, cols []link.Column, o Options) *markdownPrinter {
	return &markdownPrinter{w: w, cols: cols, o: o}
}

var markdownEscapes = strings.NewReplacer("|", `\|`, "\r\n", "<br>", "\n", "<br>", "<", "&lt;", "`", "\\`", "*", `\*`, "_", `\_`)

func (m *markdownPrinter) header() error {
	if m.head {
		return nil
	}
	m.head = true
	var a, b strings.Builder
	for _, c := range m.cols {
		a.WriteString("| " + Safe(markdownEscapes.Replace(c.Name)) + " ")
		if numeric(c.Type) {
			b.WriteString("| ---: ")
		} else {
			b.WriteString("| --- ")
		}
	}
	_, err := io.WriteString(m.w, a.String()+"|\n"+b.String()+"|\n")
	return err
}

func (m *markdownPrinter) Row(r *link.Record) error {
	if err := m.header(); err != nil {
		return err
	}
	var b strings.Builder
	for i := range m.cols {
		s, ok := "", false
		if i < r.Len() {
			s, ok = r.Text(i)
		}
		if !ok {
			s = "*" + m.o.Null + "*"
		} else {
			s = Safe(markdownEscapes.Replace(s))
		}
		b.WriteString("| " + s + " ")
	}
	_, err := io.WriteString(m.w, b.String()+"|\n")
	return err
}

func (m *markdownPrinter) Close(time.Duration) error { return m.header() }
