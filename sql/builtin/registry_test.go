package builtin_test

import (
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/builtin"
)

// TestRegistry checks that every function is described and can be run.
func TestRegistry(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range builtin.Functions() {
		sig := f.Kind.String() + " " + f.Signature()
		if seen[sig] {
			t.Errorf("%s is there twice", sig)
		}
		seen[sig] = true
		if f.Category == "" || !strings.HasSuffix(f.Doc, ".") || f.Doc[0] < 'A' || f.Doc[0] > 'Z' || strings.Count(f.Doc, ". ") > 0 {
			t.Errorf("%s: category %q, doc %q", sig, f.Category, f.Doc)
		}
		if f.Name != strings.ToLower(f.Name) {
			t.Errorf("%s is not in lower case", sig)
		}
		switch f.Kind {
		case builtin.Scalar, builtin.Operator:
			if f.Eval == nil {
				t.Errorf("%s cannot be called", sig)
			}
		case builtin.Aggregate:
			if f.NewState == nil {
				t.Errorf("%s has no state", sig)
			}
		case builtin.Table:
			if f.Rows == nil || len(f.Columns) == 0 {
				t.Errorf("%s gives no rows", sig)
			}
		}
		if f.Kernel != nil && (!f.Strict || f.Result.Physical() == sqltype.PhysString) {
			t.Errorf("%s must not have a kernel", sig)
		}
	}
	if len(seen) < 400 {
		t.Errorf("only %d functions", len(seen))
	}
	if k, ok := builtin.KindOf("sum"); !ok || k != builtin.Aggregate {
		t.Errorf("sum is %v, %v", k, ok)
	}
	if _, ok := builtin.KindOf("no_such"); ok {
		t.Error("no_such is known")
	}
}

func TestResolve(t *testing.T) {
	unknown, ints, texts := sqltype.TUnknown, sqltype.TInteger, sqltype.TText
	for _, tt := range []struct {
		name string
		args []sqltype.Type
		want string
	}{
		{"length", []sqltype.Type{unknown}, "length(TEXT) → INT"},
		{"abs", []sqltype.Type{sqltype.TSmallInt}, "abs(SMALLINT) → SMALLINT"},
		{"abs", []sqltype.Type{unknown}, "abs(DOUBLE) → DOUBLE"},
		{"sqrt", []sqltype.Type{ints}, "sqrt(DOUBLE) → DOUBLE"},
		{"round", []sqltype.Type{ints}, "round(DOUBLE) → DOUBLE"},
		{"round", []sqltype.Type{sqltype.TDecimal, ints}, "round(DECIMAL, INT) → DECIMAL"},
		{"substr", []sqltype.Type{unknown, unknown, unknown}, "substr(TEXT, INT, INT) → TEXT"},
		{"substr", []sqltype.Type{texts, ints, unknown}, "substr(TEXT, INT, INT) → TEXT"},
		{"concat", []sqltype.Type{ints, texts, unknown}, "concat(VARIADIC ANY) → TEXT"},
		{"greatest", []sqltype.Type{ints, sqltype.TDecimal}, "greatest(VARIADIC ANYELEMENT) → ANYELEMENT"},
		{"date_trunc", []sqltype.Type{unknown, sqltype.TDate}, "date_trunc(TEXT, TIMESTAMP) → TIMESTAMP"},
		{"sum", []sqltype.Type{sqltype.TBigInt}, "sum(BIGINT) → DECIMAL"},
		{"count", nil, "count() → BIGINT"},
		{"length", []sqltype.Type{ints}, ""},
		{"lower", nil, ""},
		{"concat", nil, ""},
	} {
		m, err := builtin.Resolve(tt.name, tt.args)
		got := ""
		if err == nil {
			got = m.Fn.Signature()
		} else if dberr.CodeOf(err) != dberr.FunctionNotFound {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got != tt.want {
			t.Errorf("%s%v: %q (%v), want %q", tt.name, tt.args, got, err, tt.want)
		}
	}
	m, err := builtin.Resolve("greatest", []sqltype.Type{ints, sqltype.TDecimal, unknown})
	if err != nil || m.Result.Kind != sqltype.Decimal || m.Args[2].Kind != sqltype.Decimal {
		t.Errorf("greatest of INT, DECIMAL and a literal: %v, %v", m, err)
	}
	m, err = builtin.Resolve("array_append", []sqltype.Type{sqltype.ArrayOf(ints), sqltype.TSmallInt})
	if err != nil || m.Result != sqltype.ArrayOf(ints) {
		t.Errorf("array_append: %v, %v", m, err)
	}
}

func rowsOf(t *testing.T, name string, args ...sqltype.Value) string {
	t.Helper()
	types := make([]sqltype.Type, len(args))
	for i, a := range args {
		types[i] = sqltype.Type{Kind: a.Kind()}
		if a.Kind() == sqltype.Array {
			types[i] = sqltype.ArrayOf(sqltype.Type{Kind: a.List()[0].Kind()})
		}
	}
	m, err := builtin.Resolve(name, types)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for row, err := range m.Fn.Rows(&builtin.Context{}, args) {
		if err != nil {
			return "ERROR " + string(dberr.CodeOf(err))
		}
		if len(row) != len(m.Fn.Columns) {
			t.Fatalf("%s gives %d columns and names %d", name, len(row), len(m.Fn.Columns))
		}
		var cells []string
		for _, v := range row {
			if v.IsNull() {
				cells = append(cells, "NULL")
			} else {
				cells = append(cells, v.Text())
			}
		}
		if out = append(out, strings.Join(cells, ":")); len(out) == 5 {
			break
		}
	}
	return strings.Join(out, " ")
}

func TestTableFunctions(t *testing.T) {
	n := func(v int64) sqltype.Value { return sqltype.NewInt(sqltype.Integer, v) }
	s := sqltype.NewText
	j := func(v string) sqltype.Value { return sqltype.NewString(sqltype.JSON, v) }
	for _, tt := range []struct {
		name string
		args []sqltype.Value
		want string
	}{
		{"generate_series", []sqltype.Value{n(1), n(3)}, "1 2 3"},
		{"generate_series", []sqltype.Value{n(5), n(1), n(-2)}, "5 3 1"},
		{"generate_series", []sqltype.Value{n(1), n(3), n(0)}, "ERROR VALUE_OUT_OF_RANGE"},
		{"generate_series", []sqltype.Value{n(3), n(1)}, ""},
		{"generate_series", []sqltype.Value{sqltype.NewBigInt(1<<63 - 2), sqltype.NewBigInt(1<<63 - 1)}, "9223372036854775806 9223372036854775807"},
		{"unnest", []sqltype.Value{sqltype.NewArray([]sqltype.Value{n(1), sqltype.Null()})}, "1 NULL"},
		{"json_array_elements", []sqltype.Value{j(`[1, "a", {"b": 2}]`)}, `1 "a" {"b": 2}`},
		{"json_array_elements_text", []sqltype.Value{j(`[1, "a", null]`)}, `1 a NULL`},
		{"json_array_elements", []sqltype.Value{j(`{}`)}, "ERROR VALUE_OUT_OF_RANGE"},
		{"json_object_keys", []sqltype.Value{j(`{"b": 1, "a": 2}`)}, "b a"},
		{"json_each", []sqltype.Value{j(`{"b": [1, 2], "a\"x": null}`)}, `b:[1, 2] a"x:null`},
		{"json_each_text", []sqltype.Value{j(`{"b": "x", "a": null}`)}, `b:x a:NULL`},
		{"regexp_matches", []sqltype.Value{s("foobarbaz"), s("b(.)"), s("g")}, "{a} {a}"},
		{"regexp_split_to_table", []sqltype.Value{s("a, b"), s(`,\s*`)}, "a b"},
		{"string_to_table", []sqltype.Value{s("a-b"), s("-")}, "a b"},
	} {
		if got := rowsOf(t, tt.name, tt.args...); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestIdentifiers checks that ids grow, are unique among goroutines, and have
// the promised form, also when the clock steps back.
func TestIdentifiers(t *testing.T) {
	at := time.Date(2025, 10, 21, 12, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	step := 0
	g := builtin.NewIDGenerator(7, func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		step++
		return at.Add(time.Duration(step%5) * time.Millisecond)
	})
	var wg sync.WaitGroup
	ids := make([][]int64, 4)
	uuids, ulids := make([][]string, 4), make([][]string, 4)
	for w := range ids {
		wg.Go(func() {
			for range 10_000 {
				ids[w] = append(ids[w], g.SnowflakeID())
				u := g.UUIDv7()
				uuids[w] = append(uuids[w], string(u[:]))
				ulids[w] = append(ulids[w], g.ULID())
			}
		})
	}
	wg.Wait()
	seenID, seenText := map[int64]bool{}, map[string]bool{}
	form := regexp.MustCompile(`^[0-7][0-9A-HJKMNP-TV-Z]{25}$`)
	for w := range ids {
		for i, id := range ids[w] {
			if seenID[id] || id>>12&1023 != 7 || i > 0 && id <= ids[w][i-1] {
				t.Fatalf("id %d: node %d", id, id>>12&1023)
			}
			seenID[id] = true
			u, l := uuids[w][i], ulids[w][i]
			if seenText[u] || u[6]>>4 != 7 || u[8]>>6 != 2 || i > 0 && u <= uuids[w][i-1] {
				t.Fatalf("UUID %x", u)
			}
			if seenText[l] || !form.MatchString(l) || i > 0 && l <= ulids[w][i-1] {
				t.Fatalf("ULID %s", l)
			}
			seenText[u], seenText[l] = true, true
		}
	}
	if ms := ids[0][0]>>22 + builtin.SnowflakeEpoch; time.UnixMilli(ms).Sub(at).Abs() > time.Minute {
		t.Errorf("the id's time is %s", time.UnixMilli(ms))
	}
}

func TestLike(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"%", "", true}, {"%%", "abc", true}, {"_%_", "a", false}, {"_%_", "ab", true}, {"%_", "日", true}, {"a%b%c", "aXbYc", true}, {"a%b%c", "aXbY", false},
		{"%ab%ab", "abab", true}, {"%ab%ab", "ab", false}, {"%aab", "aaab", true}, {"%a_b", "aaXb", true}, {"_", "", false}, {"__", "日本", true}, {"abc%", "ab", false},
		{`\%`, "%", true}, {`\_`, "a", false}, {`a\\b`, `a\b`, true}, {"%b_d%", "abbcde", true}, {"%b_d%", "abcde", true}, {"%_%_%", "ab", true}, {"%a%a%a%", "aaa", true}, {"%a%a%a%", "aa", false}, {`a\`, "a", false}, {`\`, "", false},
		{`a\`, "b", false}, {`%a\`, "ba", false}, {`_\`, "日", false}, {`%\`, "", false},
	} {
		if got, err := like(t, tt.pattern, tt.text, false); err != nil || got != tt.want {
			t.Errorf("%q LIKE %q: %v, %v, want %v", tt.text, tt.pattern, got, err, tt.want)
		}
		if got, err := like(t, strings.ToUpper(tt.pattern), tt.text, true); err != nil || got != tt.want {
			t.Errorf("%q ILIKE %q: %v, %v, want %v", tt.text, strings.ToUpper(tt.pattern), got, err, tt.want)
		}
	}
	// The end of a pattern that stops within an escape is an error for the
	// texts that come to it.
	for _, tt := range []struct{ pattern, text string }{{`\`, "a"}, {`a\`, "ab"}, {`%\`, "a"}, {`%b\`, "abba"}, {`a_\`, "aäb"}} {
		for _, fold := range []bool{false, true} {
			_, err := like(t, tt.pattern, tt.text, fold)
			if d, ok := dberr.As(err); !ok || d.State() != "22025" {
				t.Errorf("%q LIKE %q, fold %v: %v", tt.text, tt.pattern, fold, err)
			}
		}
	}
	if _, err := builtin.CompileLike("a", "ab", false); err == nil {
		t.Error("an escape of two characters is accepted")
	}
	// Many wildcards over a long text must not take forever.
	m, err := builtin.CompileLike(strings.Repeat("%a_", 50), `\`, false)
	if err != nil {
		t.Fatal(err)
	}
	if hit, err := m.Match(strings.Repeat("ab", 50_000) + "!"); hit || err != nil {
		t.Errorf("many wildcards: %v, %v", hit, err)
	}
}

func like(t *testing.T, pattern, text string, fold bool) (bool, error) {
	t.Helper()
	p, err := builtin.CompileLike(pattern, `\`, fold)
	if err != nil {
		t.Fatal(err)
	}
	return p.Match(text)
}

// FuzzLike holds the matcher to the regular expression of the same meaning.
func FuzzLike(f *testing.F) {
	f.Add("a%b_", "axxbc")
	f.Add("%_%", "日本")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if strings.ContainsAny(pattern, `\`) || !utf8.ValidString(pattern) || !utf8.ValidString(text) || len(pattern) > 30 {
			return
		}
		got, err := like(t, pattern, text, false)
		if err != nil {
			t.Fatal(err)
		}
		re := regexp.MustCompile(`(?s)^` + strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(pattern)) + `$`)
		if got != re.MatchString(text) {
			t.Errorf("%q LIKE %q: %v", text, pattern, got)
		}
	})
}
