package link

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Record is one row: cells beside the columns that name and type them.
type Record struct {
	cols  []Column
	cells [][]byte
}

// load splits the JSON row that raw begins with and tells how long it is;
// errRowEnds means that raw holds a part of it. The cells point into raw.
func (r *Record) load(raw []byte, cols []Column) (n int, err error) {
	r.cells = r.cells[:0]
	var named []Column
	r.cells, n, err = splitRow(raw, r.cells, func(i int, name []byte) error {
		// An object repeats the columns' names; only a row that differs from
		// the announced columns needs names of its own.
		if named == nil && i < len(cols) && matches(name, cols[i].Name) {
			return nil
		}
		if named == nil {
			named = append(named, cols[:min(i, len(cols))]...)
		}
		n, err := unquote(name)
		if err != nil {
			return err
		}
		col := Column{Name: n}
		for _, c := range cols {
			if c.Name == n {
				col.Type = c.Type
			}
		}
		named = append(named, col)
		return nil
	})
	if err != nil {
		return 0, err
	}
	switch {
	case named != nil:
		r.cols = named
	case len(r.cells) <= len(cols):
		r.cols = cols[:len(r.cells)]
	default:
		return 0, &syntaxError{fmt.Sprintf("a row has %d values for %d columns", len(r.cells), len(cols))}
	}
	if raw[0] == '[' && len(r.cells) != len(cols) {
		return 0, &syntaxError{fmt.Sprintf("a row has %d values for %d columns", len(r.cells), len(cols))}
	}
	return n, nil
}

func matches(quoted []byte, name string) bool {
	return len(quoted) == len(name)+2 && string(quoted[1:len(quoted)-1]) == name
}

// clone makes a record that stays valid.
func (r *Record) clone() Record {
	n := 0
	for _, c := range r.cells {
		n += len(c)
	}
	buf := make([]byte, 0, n)
	out := Record{cols: r.cols, cells: make([][]byte, len(r.cells))}
	for i, c := range r.cells {
		at := len(buf)
		buf = append(buf, c...)
		out.cells[i] = buf[at:len(buf):len(buf)]
	}
	return out
}

// Len is the number of cells.
func (r *Record) Len() int { return len(r.cells) }

// Columns are the columns of the cells, in order.
func (r *Record) Columns() []Column { return r.cols }

// Raw is the JSON text of cell i, as the server sent it.
func (r *Record) Raw(i int) json.RawMessage { return r.cells[i] }

// IsNull tells whether cell i is NULL.
func (r *Record) IsNull(i int) bool { return string(r.cells[i]) == "null" }

// Text is cell i as people read it: text without quotes, numbers with all
// their digits, JSON as JSON. ok is false for NULL.
func (r *Record) Text(i int) (text string, ok bool) {
	c := r.cells[i]
	switch {
	case string(c) == "null":
		return "", false
	case len(c) > 0 && c[0] == '"' && !isJSON(r.cols[i].Type):
		if s, err := unquote(c); err == nil {
			return s, true
		}
	}
	return string(c), true
}

// Value is cell i as a Go value: nil, bool, int64, float64, string, time.Time
// (TIMESTAMP and DATE), []byte (BYTES) or json.RawMessage (JSON). DECIMAL, TIME,
// UUID and INTERVAL are text.
func (r *Record) Value(i int) (any, error) {
	v, err := decodeCell(r.cells[i], r.cols[i].Type)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", r.cols[i].Name, err)
	}
	return v, nil
}

// Get is the value of the named column; ok is false when there is none of that
// name or it cannot be decoded.
func (r *Record) Get(name string) (v any, ok bool) {
	for i, c := range r.cols {
		if c.Name == name {
			v, err := r.Value(i)
			return v, err == nil
		}
	}
	return nil, false
}

// Values are all cells as Go values; see Value.
func (r *Record) Values() ([]any, error) {
	out := make([]any, len(r.cells))
	for i := range r.cells {
		v, err := r.Value(i)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// Map is the row by column name.
func (r *Record) Map() (map[string]any, error) {
	out := make(map[string]any, len(r.cells))
	for i := range r.cells {
		v, err := r.Value(i)
		if err != nil {
			return nil, err
		}
		out[r.cols[i].Name] = v
	}
	return out, nil
}

// Scan copies the cells into the variables that dest points to, one each; nil
// skips a cell. Numbers are checked against the variable's range and lose no
// digit; NULL needs a variable that can be nil (a *string, a map, a slice, an
// any) or a type with an own Scan, such as sql.NullString.
func (r *Record) Scan(dest ...any) error {
	if len(dest) != len(r.cells) {
		return fmt.Errorf("scan of %d columns into %d variables", len(r.cells), len(dest))
	}
	for i, d := range dest {
		if d == nil {
			continue
		}
		if err := assign(d, r.cells[i], r.cols[i].Type); err != nil {
			return fmt.Errorf("column %s: %w", r.cols[i].Name, err)
		}
	}
	return nil
}

// ScanStruct copies the cells into the fields of the struct that v points to. A
// column's field is the one tagged `kalam:"column"`, else `db:"column"` or
// `json:"column"`, else the one whose name is the column's apart from case and
// underscores. Columns without a field are skipped; fields without a column are
// left as they are.
func (r *Record) ScanStruct(v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() || rv.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("scan into %T: a pointer to a struct is needed", v)
	}
	rv = rv.Elem()
	fields := fieldsOf(rv.Type())
	for i, c := range r.cols {
		at, ok := fields[c.Name]
		if !ok {
			if at, ok = fields[fold(c.Name)]; !ok {
				continue
			}
		}
		f, err := rv.FieldByIndexErr(at)
		if err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		if err := assign(f.Addr().Interface(), r.cells[i], c.Type); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return nil
}

// into scans into a struct's fields, or the only cell into any other value.
func (r *Record) into(v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer && !rv.IsNil() {
		switch e := rv.Elem(); {
		case e.Type() == reflect.TypeFor[Record]():
			*v.(*Record) = r.clone()
			return nil
		case e.Type() == reflect.TypeFor[map[string]any]():
			m, err := r.Map()
			*v.(*map[string]any) = m
			return err
		case e.Kind() == reflect.Struct && e.Type() != reflect.TypeFor[time.Time]() && !scans(v):
			return r.ScanStruct(v)
		}
	}
	return r.Scan(v)
}

func scans(v any) bool {
	switch v.(type) {
	case valueScanner, encoding.TextUnmarshaler, json.Unmarshaler:
		return true
	}
	return false
}

// MarshalJSON gives the row as an object with its columns in order.
func (r *Record) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, c := range r.cols {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(c.Name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(r.cells[i])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// valueScanner is database/sql's Scanner, by its method.
type valueScanner interface{ Scan(src any) error }

var errNull = errors.New("the value is NULL; a variable or field for it is a pointer (*string), a map, a slice, an any, or has a Scan of its own")

func isJSON(typ string) bool { return typ == "JSON" || typ == "JSONB" }

func decodeCell(c []byte, typ string) (any, error) {
	switch {
	case string(c) == "null":
		return nil, nil
	case isJSON(typ):
		if !json.Valid(c) {
			return nil, &syntaxError{"invalid JSON"}
		}
		return json.RawMessage(bytes.Clone(c)), nil
	case string(c) == "true":
		return true, nil
	case string(c) == "false":
		return false, nil
	case len(c) > 0 && c[0] == '"':
		s, err := unquote(c)
		if err != nil {
			return nil, err
		}
		return decodeText(s, typ)
	case len(c) > 0 && (c[0] == '-' || c[0] >= '0' && c[0] <= '9'):
		if bytes.ContainsAny(c, ".eE") || typ == "FLOAT" || typ == "DOUBLE" {
			return strconv.ParseFloat(string(c), 64)
		}
		n, err := strconv.ParseInt(string(c), 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			return json.Number(c), nil
		}
		return n, err
	case json.Valid(c):
		return json.RawMessage(bytes.Clone(c)), nil
	}
	return nil, &syntaxError{"invalid JSON: " + head(c)}
}

func decodeText(s, typ string) (any, error) {
	switch typ {
	case "TIMESTAMP", "DATE":
		if t, err := parseTime(s); err == nil {
			return t, nil
		}
		return s, nil // infinity and the like have no time.Time
	case "BYTES":
		return base64.StdEncoding.DecodeString(s)
	case "BIGINT", "INT", "SMALLINT":
		return strconv.ParseInt(s, 10, 64)
	case "FLOAT", "DOUBLE":
		return strconv.ParseFloat(s, 64)
	}
	return s, nil
}

func parseTime(s string) (time.Time, error) {
	if len(s) == len(time.DateOnly) {
		return time.Parse(time.DateOnly, s)
	}
	return time.Parse(time.RFC3339Nano, s)
}

// assign decodes one cell into the variable that dest points to.
func assign(dest any, c []byte, typ string) error {
	null := string(c) == "null"
	switch d := dest.(type) {
	case *any:
		v, err := decodeCell(c, typ)
		*d = v
		return err
	case *json.RawMessage:
		*d = bytes.Clone(c)
		return nil
	case valueScanner:
		v, err := decodeCell(c, typ)
		if err != nil {
			return err
		}
		if raw, ok := v.(json.RawMessage); ok {
			v = []byte(raw)
		}
		return d.Scan(v)
	case *[]byte:
		return assignBytes(d, c, typ)
	case *string:
		if null {
			return errNull
		}
		if len(c) > 0 && c[0] == '"' && !isJSON(typ) {
			s, err := unquote(c)
			*d = s
			return err
		}
		*d = string(c)
		return nil
	case *time.Time:
		if null {
			return errNull
		}
		s, err := unquote(c)
		if err == nil {
			*d, err = parseTime(s)
		}
		return err
	}
	rv := reflect.ValueOf(dest)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return fmt.Errorf("scan into %T: a pointer is needed", dest)
	}
	return assignReflect(rv.Elem(), dest, c, typ)
}

func assignBytes(d *[]byte, c []byte, typ string) error {
	switch {
	case string(c) == "null":
		*d = nil
		return nil
	case len(c) > 0 && c[0] == '"' && !isJSON(typ):
		s, err := unquote(c)
		if err != nil {
			return err
		}
		if typ == "BYTES" {
			*d, err = base64.StdEncoding.DecodeString(s)
			return err
		}
		*d = []byte(s)
		return nil
	}
	*d = bytes.Clone(c)
	return nil
}

func assignReflect(rv reflect.Value, dest any, c []byte, typ string) error {
	null := string(c) == "null"
	if rv.Kind() == reflect.Pointer {
		if null {
			rv.SetZero()
			return nil
		}
		p := reflect.New(rv.Type().Elem())
		if err := assign(p.Interface(), c, typ); err != nil {
			return err
		}
		rv.Set(p)
		return nil
	}
	if null {
		switch rv.Kind() {
		case reflect.Map, reflect.Slice: // whose nil is "none"
			rv.SetZero()
			return nil
		}
		return errNull
	}
	text := string(c)
	quoted := len(c) > 0 && c[0] == '"'
	if quoted && !isJSON(typ) {
		s, err := unquote(c)
		if err != nil {
			return err
		}
		text = s
		if u, ok := dest.(encoding.TextUnmarshaler); ok {
			return u.UnmarshalText([]byte(s))
		}
	}
	if u, ok := dest.(json.Unmarshaler); ok {
		return u.UnmarshalJSON(c)
	}
	var err error
	switch rv.Kind() {
	case reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(text); err == nil {
			rv.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		if n, err = strconv.ParseInt(text, 10, rv.Type().Bits()); err == nil {
			rv.SetInt(n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		var n uint64
		if n, err = strconv.ParseUint(text, 10, rv.Type().Bits()); err == nil {
			rv.SetUint(n)
		}
	case reflect.Float32, reflect.Float64:
		var f float64
		if f, err = strconv.ParseFloat(text, rv.Type().Bits()); err == nil {
			rv.SetFloat(f)
		}
	case reflect.String:
		rv.SetString(text)
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array, reflect.Interface:
		err = json.Unmarshal(c, dest)
	default:
		return fmt.Errorf("cannot scan into %T", dest)
	}
	if err != nil {
		return fmt.Errorf("%s value %s does not fit %T: %w", typ, head(c), dest, reason(err))
	}
	return nil
}

// reason drops the function name that strconv puts into its errors.
func reason(err error) error {
	if ne, ok := errors.AsType[*strconv.NumError](err); ok {
		return ne.Err
	}
	return err
}

var structFields sync.Map // reflect.Type → map[string][]int

// fieldsOf maps column names to a struct's fields, embedded ones too.
func fieldsOf(t reflect.Type) map[string][]int {
	if m, ok := structFields.Load(t); ok {
		return m.(map[string][]int)
	}
	m := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct {
			continue
		}
		if len(f.Index) > 1 && !embedsValues(t, f.Index) {
			continue
		}
		name := ""
		for _, tag := range []string{"kalam", "db", "json"} {
			if v, ok := f.Tag.Lookup(tag); ok {
				name, _, _ = strings.Cut(v, ",")
				break
			}
		}
		if name == "-" {
			continue
		}
		if name != "" {
			m[name] = f.Index
			continue
		}
		if _, taken := m[fold(f.Name)]; !taken {
			m[fold(f.Name)] = f.Index
		}
	}
	structFields.Store(t, m)
	return m
}

// embedsValues tells whether a promoted field is reached without a pointer
// that may be nil.
func embedsValues(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		t = t.Field(i).Type
		if t.Kind() != reflect.Struct {
			return false
		}
	}
	return true
}

func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// NewRecord makes a record of own columns and cells, each cell the JSON text of
// its value; for programs that pass rows on in another shape. It keeps both
// slices.
func NewRecord(cols []Column, cells [][]byte) *Record {
	return &Record{cols: cols[:min(len(cols), len(cells))], cells: cells[:min(len(cols), len(cells))]}
}
