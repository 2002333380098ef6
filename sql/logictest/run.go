package logictest

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// timeout is how long one record may take; only a hang takes it.
const timeout = 20 * time.Second

// Class says what a record can tell about an engine that is not the script's.
type Class uint8

// The classes of records.
const (
	// Covered records have a result that does not depend on the engine.
	Covered Class = iota
	// Plan records show how the script's engine would run a statement. Here
	// they must only end in a result or a coded error.
	Plan
	// Setting records set up the script's engine; they are not run.
	Setting
)

// Class is the record's class.
func (r *Record) Class() Class {
	f := strings.Fields(strings.ToLower(r.SQL))
	if len(f) == 0 {
		return Covered
	}
	switch f[0] {
	case "explain":
		return Plan
	case "set", "pragma", "flush", "reset":
		return Setting
	}
	return Covered
}

// Changes tells whether the record's statement changes tables, so that what
// comes after it depends on it.
func (r *Record) Changes() bool {
	f := strings.Fields(strings.ToLower(r.SQL))
	if len(f) > 0 && f[0] == "with" {
		return slices.ContainsFunc(f, func(w string) bool { return w == "(insert" || w == "(update" || w == "(delete" })
	}
	return len(f) > 0 && slices.Contains([]string{"insert", "update", "delete", "create", "drop", "alter", "truncate"}, f[0])
}

// Run runs one record and gives what is wrong, nil if nothing.
func (s *Script) Run(db *DB, r *Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	class := r.Class()
	if class == Setting {
		return nil
	}
	res, err := db.Exec(ctx, temporary.ReplaceAllString(r.SQL, "CREATE $1"))
	if class == Plan && s.foreign {
		if dberr.CodeOf(err) == dberr.Internal {
			return err
		}
		return nil
	}
	if r.Error {
		if err == nil {
			return errors.New("it should fail")
		}
		if dberr.CodeOf(err) == dberr.Internal {
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	if r.Count >= 0 && r.Count != res.Affected {
		return fmt.Errorf("%d rows, want %d", res.Affected, r.Count)
	}
	if r.Kind != "query" || !r.HasExpected {
		return nil
	}
	return s.check(r, res)
}

// temporary tables of other engines are tables of a database that ends with
// the script.
var temporary = regexp.MustCompile(`(?i)^\s*CREATE\s+(?:OR\s+REPLACE\s+)?TEMP(?:ORARY)?\s+(TABLE|VIEW)`)

// isoTime finds timestamps that other engines write with a T.
var isoTime = regexp.MustCompile(`(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)`)

// check compares a result with what is expected.
func (s *Script) check(r *Record, res *Result) error {
	values := make([][]string, len(res.Rows))
	for i, row := range res.Rows {
		for c, v := range row {
			values[i] = append(values[i], s.format(v, typeAt(r.Types, c)))
		}
	}
	if len(r.Expected) == 1 && strings.Contains(r.Expected[0], "values hashing to") {
		return checkHash(r, values)
	}
	if got, ok := s.valueWise(r, values); ok {
		return compare(r.Expected, got, r.Sort)
	}
	rows := make([]string, len(values))
	for i, v := range values {
		rows[i] = strings.Join(v, " ")
	}
	mode := r.Sort
	if mode == "valuesort" {
		mode = "rowsort"
	}
	return compare(r.Expected, rows, mode)
}

func typeAt(types string, i int) byte {
	if i < len(types) {
		return types[i]
	}
	return 'T'
}

// valueWise tells whether the script has a line for each value.
func (s *Script) valueWise(r *Record, values [][]string) ([]string, bool) {
	if len(values) == 0 || len(values[0]) < 2 && r.Sort != "valuesort" || len(r.Expected) != len(values)*len(values[0]) {
		return nil, false
	}
	if r.Sort == "rowsort" {
		slices.SortFunc(values, slices.Compare)
		r = &Record{Sort: "nosort"}
	}
	return slices.Concat(values...), true
}

func compare(want, got []string, mode string) error {
	want, got = slices.Clone(want), slices.Clone(got)
	for i := range want {
		want[i] = squeeze(want[i])
	}
	for i := range got {
		got[i] = squeeze(got[i])
	}
	if mode != "nosort" {
		slices.Sort(want)
		slices.Sort(got)
	}
	if len(want) != len(got) {
		return fmt.Errorf("%d lines, want %d\n got: %s\nwant: %s", len(got), len(want), clip(got), clip(want))
	}
	for i := range want {
		if !same(want[i], got[i]) {
			return fmt.Errorf("line %d\n got: %s\nwant: %s", i+1, got[i], want[i])
		}
	}
	return nil
}

func clip(l []string) string {
	if len(l) > 8 {
		l = append(slices.Clone(l[:8]), "…")
	}
	return strings.Join(l, " / ")
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// same compares lines; numbers may differ in how they are written and in their
// last digits, booleans and empty texts in how they are written.
func same(want, got string) bool {
	if want == got {
		return true
	}
	if strings.Contains(want, "<slt:ignore>") {
		return true
	}
	want = isoTime.ReplaceAllString(want, "$1 $2")
	w, g := strings.Fields(want), strings.Fields(got)
	if len(w) != len(g) {
		return strings.ReplaceAll(strings.ReplaceAll(want, "(empty)", ""), " ", "") == strings.ReplaceAll(strings.ReplaceAll(got, "(empty)", ""), " ", "")
	}
	for i := range w {
		if !sameValue(w[i], g[i]) {
			return false
		}
	}
	return true
}

func sameValue(want, got string) bool {
	if want == got {
		return true
	}
	a, err1 := strconv.ParseFloat(want, 64)
	b, err2 := strconv.ParseFloat(got, 64)
	if err1 == nil && err2 == nil {
		if a == b || math.IsNaN(a) && math.IsNaN(b) {
			return true
		}
		diff := math.Abs(a - b)
		if diff <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) {
			return true
		}
		// A rounded number matches as far as it goes.
		if dot := strings.IndexByte(want, '.'); dot >= 0 && !strings.ContainsAny(want, "eE") {
			return diff <= 0.51*math.Pow(10, -float64(len(want)-dot-1)) && len(want)-dot-1 >= 3
		}
		return false
	}
	boolean := func(s string) string {
		switch strings.ToLower(s) {
		case "t", "true", "1":
			return "t"
		case "f", "false", "0":
			return "f"
		}
		return s
	}
	if boolean(want) == boolean(got) {
		return true
	}
	return strings.TrimSuffix(strings.Replace(want, "T", " ", 1), "Z") == got || strings.TrimSuffix(want, "+00:00") == got
}

// format writes a value as sqllogictest does.
func (s *Script) format(v sqltype.Value, letter byte) string {
	if v.IsNull() {
		return "NULL"
	}
	switch {
	case v.Kind() == sqltype.Array && s.brackets:
		items := make([]string, len(v.List()))
		for i, e := range v.List() {
			if items[i] = "NULL"; !e.IsNull() {
				items[i] = e.Text()
			}
		}
		return "[" + strings.Join(items, ", ") + "]"
	case v.Kind() == sqltype.Boolean:
		return strconv.FormatBool(v.Bool())
	case letter == 'R' && v.Kind().Physical() == sqltype.PhysFloat:
		return v.Text()
	}
	if text := v.Text(); text != "" {
		return text
	}
	return "(empty)"
}

// checkHash compares the MD5 of the values, written as SQLite's runner does.
func checkHash(r *Record, values [][]string) error {
	var flat []string
	if r.Sort == "rowsort" {
		slices.SortFunc(values, slices.Compare)
	}
	for _, row := range values {
		for c, v := range row {
			if typeAt(r.Types, c) == 'R' && v != "NULL" {
				if f, err := strconv.ParseFloat(v, 64); err == nil {
					v = strconv.FormatFloat(f, 'f', 3, 64)
				}
			}
			flat = append(flat, v)
		}
	}
	if r.Sort == "valuesort" {
		slices.Sort(flat)
	}
	h := md5.New()
	for _, v := range flat {
		_, _ = h.Write([]byte(v + "\n"))
	}
	got := fmt.Sprintf("%d values hashing to %s", len(flat), hex.EncodeToString(h.Sum(nil)))
	if got != squeeze(r.Expected[0]) {
		return fmt.Errorf("got %s, want %s", got, r.Expected[0])
	}
	return nil
}

// Rewrite gives the script with the results that the database gives.
func (s *Script) Rewrite(db *DB) string {
	out := slices.Clone(s.lines)
	ctx := context.Background()
	type patch struct {
		from, to int
		lines    []string
	}
	var patches []patch
	for i := range s.Records {
		r := &s.Records[i]
		res, err := db.Exec(ctx, r.SQL)
		if r.Kind != "query" || r.Error || err != nil {
			continue
		}
		var lines []string
		for _, row := range res.Rows {
			var parts []string
			for c, v := range row {
				parts = append(parts, s.format(v, typeAt(r.Types, c)))
			}
			lines = append(lines, strings.Join(parts, " "))
		}
		if r.Sort != "nosort" {
			slices.Sort(lines)
		}
		if !r.HasExpected {
			lines = append([]string{"----"}, lines...)
		}
		patches = append(patches, patch{r.from, r.to, lines})
	}
	for i := len(patches) - 1; i >= 0; i-- {
		p := patches[i]
		out = slices.Concat(out[:p.from], p.lines, out[p.to:])
	}
	return strings.Join(out, "\n")
}
