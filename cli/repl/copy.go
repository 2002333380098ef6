package repl

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/cli/render"
)

// copyBatch is how many rows one INSERT of \copy carries.
const copyBatch = 500

var (
	copyFrom = regexp.MustCompile(`(?is)^\s*([\w."]+)\s*(\([^)]*\))?\s+FROM\s+'((?:[^']|'')+)'\s*(?:WITH\s*)?(?:\((.*)\))?\s*$`)
	copyTo   = regexp.MustCompile(`(?is)^\s*([\w."]+|\(.*\))\s+TO\s+'((?:[^']|'')+)'\s*(?:WITH\s*)?(?:\(([^']*(?:'[^']*'[^']*)*)\))?\s*$`)
)

type copyOptions struct {
	format    string
	header    bool
	delimiter rune
}

// copy moves rows between a table and a file on this machine.
func (a *App) copy(ctx context.Context, _ []string, rest string) error {
	if m := copyFrom.FindStringSubmatch(rest); m != nil {
		path := strings.ReplaceAll(m[3], "''", "'")
		o, err := parseCopyOptions(m[4], path)
		if err != nil {
			return err
		}
		return a.copyIn(ctx, m[1], m[2], path, o)
	}
	if m := copyTo.FindStringSubmatch(rest); m != nil {
		path := strings.ReplaceAll(m[2], "''", "'")
		o, err := parseCopyOptions(m[3], path)
		if err != nil {
			return err
		}
		query := "SELECT * FROM " + m[1]
		if strings.HasPrefix(m[1], "(") {
			query = m[1][1 : len(m[1])-1]
		}
		return a.copyOut(ctx, query, path, o)
	}
	return errors.New(`\copy is written: \copy ns.t FROM 'file' or \copy ns.t TO 'file' or \copy (SELECT …) TO 'file', each with [WITH (FORMAT csv|json|ndjson, HEADER, DELIMITER ',')]`)
}

func parseCopyOptions(s, path string) (copyOptions, error) {
	o := copyOptions{format: "csv", header: true, delimiter: ','}
	switch {
	case strings.HasSuffix(path, ".json"):
		o.format = "json"
	case strings.HasSuffix(path, ".ndjson"), strings.HasSuffix(path, ".jsonl"):
		o.format = "ndjson"
	case strings.HasSuffix(path, ".tsv"):
		o.delimiter = '\t'
	}
	// A comma may be the delimiter itself: it is taken out before the cut.
	s = strings.ReplaceAll(s, "','", "'comma'")
	for _, part := range strings.Split(s, ",") {
		words := strings.Fields(strings.ReplaceAll(part, "=", " "))
		if len(words) == 0 {
			continue
		}
		value := ""
		if len(words) > 1 {
			value = strings.Trim(words[1], "'")
		}
		switch strings.ToUpper(words[0]) {
		case "FORMAT":
			o.format = strings.ToLower(value)
		case "HEADER":
			o.header = value == "" || strings.EqualFold(value, "true") || strings.EqualFold(value, "on")
		case "DELIMITER":
			switch {
			case value == "comma":
				value = ","
			case value == `\t`:
				value = "\t"
			}
			if r := []rune(value); len(r) == 1 {
				o.delimiter = r[0]
			} else {
				return o, fmt.Errorf("the delimiter %q is not one character", value)
			}
		default:
			return o, fmt.Errorf(`\copy does not know the option %s`, words[0])
		}
	}
	switch o.format {
	case "csv", "json", "ndjson":
		return o, nil
	}
	return o, fmt.Errorf(`\copy does not know the format %q; it is csv, json or ndjson`, o.format)
}

func (a *App) copyOut(ctx context.Context, query, path string, o copyOptions) (err error) {
	start := time.Now()
	rows, err := a.client.Query(ctx, query)
	if err != nil {
		return of(query, err)
	}
	defer rows.Close()
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, pathReason(err))
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	w := bufio.NewWriterSize(f, 64<<10)
	n := int64(0)
	progress := a.progress(nil)
	defer progress(-1)
	var p render.Printer
	var cw *csv.Writer
	var fields []string
	if o.format == "csv" {
		cw = csv.NewWriter(w)
		cw.Comma = o.delimiter
		fields = make([]string, len(rows.Columns()))
		for i, c := range rows.Columns() {
			fields[i] = c.Name
		}
		if o.header {
			cw.Write(fields)
		}
	} else {
		p = render.New(w, rows.Columns(), render.Options{Format: render.Format(o.format)})
	}
	for rows.Next() {
		if cw != nil {
			for i := range fields {
				fields[i], _ = rows.Record().Text(i)
			}
			err = cw.Write(fields)
		} else {
			err = p.Row(rows.Record())
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		if n++; n%1000 == 0 {
			progress(n)
		}
	}
	if rows.Err() != nil {
		return rows.Err()
	}
	if cw != nil {
		cw.Flush()
		err = cw.Error()
	} else {
		err = p.Close(0)
	}
	if ferr := w.Flush(); err == nil {
		err = ferr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	progress(-1)
	a.say("%s copied to %s  %s", render.Rows(n), path, since(start))
	return nil
}

// rowReader gives the rows of a file; every row has the same columns.
type rowReader interface {
	columns() []string
	next() ([]any, error)
}

func (a *App) copyIn(ctx context.Context, table, cols, path string, o copyOptions) error {
	start := time.Now()
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, pathReason(err))
	}
	defer f.Close()
	in := &meter{r: f}
	if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
		in.size = fi.Size()
	}
	var named []string
	if cols != "" {
		for _, c := range strings.Split(strings.Trim(cols, "() "), ",") {
			named = append(named, strings.TrimSpace(c))
		}
	}
	var r rowReader
	if o.format == "csv" {
		r, err = newCSVReader(in, o, named)
	} else {
		r, err = newJSONReader(in, named)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if r.columns() == nil && o.format != "csv" {
		a.say("0 rows copied to %s", table)
		return nil
	}
	progress := a.progress(in)
	defer progress(-1)
	total := int64(0)
	var params []any
	rows := 0
	send := func() error {
		if rows == 0 {
			return nil
		}
		insert := insertSQL(table, r.columns(), rows, len(params)/rows)
		if _, err := a.client.Exec(ctx, insert, params...); err != nil {
			if total > 0 {
				a.notice("%s were copied before.", render.Rows(total))
			}
			return &failure{insert, fmt.Sprintf("%s, rows %d to %d: ", path, total+1, total+int64(rows)), err}
		}
		total += int64(rows)
		params, rows = params[:0], 0
		progress(total)
		return nil
	}
	for {
		row, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s after row %d: %w", path, total+int64(rows), err)
		}
		params = append(params, row...)
		if rows++; rows >= copyBatch {
			if err := send(); err != nil {
				return err
			}
		}
	}
	if err := send(); err != nil {
		return err
	}
	progress(-1)
	a.say("%s copied to %s  %s", render.Rows(total), table, since(start))
	return nil
}

func insertSQL(table string, cols []string, rows, width int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + table)
	if len(cols) > 0 {
		b.WriteString(" (")
		for i, c := range cols {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quoteIdent(c))
		}
		b.WriteString(")")
	}
	b.WriteString(" VALUES ")
	n := 0
	for r := range rows {
		if r > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		for c := range width {
			if c > 0 {
				b.WriteString(", ")
			}
			n++
			fmt.Fprintf(&b, "$%d", n)
		}
		b.WriteByte(')')
	}
	return b.String()
}

var plainIdent = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

func quoteIdent(s string) string {
	if plainIdent.MatchString(s) || strings.HasPrefix(s, `"`) {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

type csvReader struct {
	r    *csv.Reader
	cols []string
}

func newCSVReader(f io.Reader, o copyOptions, named []string) (*csvReader, error) {
	c := &csvReader{r: csv.NewReader(bufio.NewReaderSize(f, 64<<10)), cols: named}
	c.r.Comma = o.delimiter
	c.r.ReuseRecord = true
	if o.header {
		head, err := c.r.Read()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		if c.cols == nil {
			for i, h := range head {
				if i == 0 {
					h = strings.TrimPrefix(h, "\ufeff")
				}
				c.cols = append(c.cols, strings.TrimSpace(h))
			}
		}
	}
	return c, nil
}

func (c *csvReader) columns() []string { return c.cols }

// next gives texts; an empty value is NULL.
func (c *csvReader) next() ([]any, error) {
	rec, err := c.r.Read()
	if err != nil {
		return nil, err
	}
	out := make([]any, len(rec))
	for i, s := range rec {
		if s != "" {
			out[i] = s
		}
	}
	return out, nil
}

type jsonReader struct {
	dec   *json.Decoder
	cols  []string
	first map[string]any
	array bool
}

// newJSONReader reads an array of objects or one object after the other. The
// first object names the columns.
func newJSONReader(f io.Reader, named []string) (*jsonReader, error) {
	br := bufio.NewReaderSize(f, 64<<10)
	j := &jsonReader{cols: named}
	for {
		b, err := br.ReadByte()
		if errors.Is(err, io.EOF) {
			j.dec = json.NewDecoder(strings.NewReader(""))
			return j, nil
		}
		if err != nil {
			return nil, err
		}
		if b == ' ' || b == '\n' || b == '\r' || b == '\t' {
			continue
		}
		br.UnreadByte()
		j.array = b == '['
		break
	}
	j.dec = json.NewDecoder(br)
	j.dec.UseNumber()
	if j.array {
		if _, err := j.dec.Token(); err != nil {
			return nil, err
		}
	}
	raw, err := j.object()
	if errors.Is(err, io.EOF) {
		return j, nil
	}
	if err != nil {
		return nil, err
	}
	if j.cols == nil {
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		dec.Token()
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			j.cols = append(j.cols, fmt.Sprint(k))
			var skip json.RawMessage
			if err := dec.Decode(&skip); err != nil {
				return nil, err
			}
		}
	}
	j.first, err = decodeObject(raw)
	return j, err
}

func (j *jsonReader) object() (json.RawMessage, error) {
	if j.array && !j.dec.More() {
		return nil, io.EOF
	}
	var raw json.RawMessage
	if err := j.dec.Decode(&raw); err != nil {
		return nil, err
	}
	if len(raw) == 0 || raw[0] != '{' {
		return nil, fmt.Errorf("found %.40s where an object is expected", raw)
	}
	return raw, nil
}

func decodeObject(raw []byte) (map[string]any, error) {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var m map[string]any
	err := dec.Decode(&m)
	return m, err
}

func (j *jsonReader) columns() []string { return j.cols }

func (j *jsonReader) next() ([]any, error) {
	m := j.first
	j.first = nil
	if m == nil {
		raw, err := j.object()
		if err != nil {
			return nil, err
		}
		if m, err = decodeObject(raw); err != nil {
			return nil, err
		}
	}
	out := make([]any, len(j.cols))
	for i, c := range j.cols {
		out[i] = m[strings.Trim(c, `"`)]
		delete(m, strings.Trim(c, `"`))
	}
	for k := range m {
		return nil, fmt.Errorf("the object has the key %q, which the first one does not have", k)
	}
	return out, nil
}
