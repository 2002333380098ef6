package render

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/cli/theme"
	"github.com/kalamdb/kalamdb/commons/golden"
	"github.com/kalamdb/kalamdb/link"
)

func cols(spec ...string) []link.Column {
	var out []link.Column
	for i := 0; i < len(spec); i += 2 {
		out = append(out, link.Column{Name: spec[i], Type: spec[i+1]})
	}
	return out
}

func rows(c []link.Column, lines ...string) []*link.Record {
	var out []*link.Record
	for _, l := range lines {
		var raw []json.RawMessage
		if err := json.Unmarshal([]byte(l), &raw); err != nil {
			panic(err)
		}
		var cells [][]byte
		for _, r := range raw {
			cells = append(cells, r)
		}
		out = append(out, link.NewRecord(c, cells))
	}
	return out
}

var messageCols = cols("id", "BIGINT", "author", "TEXT", "content", "TEXT", "score", "DECIMAL(8,2)", "seen", "BOOLEAN", "meta", "JSON", "at", "TIMESTAMP")

var messages = rows(messageCols,
	`[1,"ada","hello","1.50",true,{"a":1},"2025-10-21T10:00:00.000001Z"]`,
	`[9223372036854775807,"日本語の名前","wide 😀 and combining é","-120.00",false,null,null]`,
	`[3,"","control \u001b[31m and\ttab\nand line | pipe, comma \"quote\"",null,null,["x"],"2025-10-21T10:00:00Z"]`,
	`[4,null,"`+strings.Repeat("long ", 40)+`","0.00",true,"text","2025-10-21T10:00:00Z"]`)

func print1(t *testing.T, o Options, c []link.Column, recs []*link.Record) string {
	t.Helper()
	var b strings.Builder
	p := New(&b, c, o)
	for _, r := range recs {
		if err := p.Row(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(1234 * time.Microsecond); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for name, o := range map[string]Options{
		"table_100":     {Width: 100, Footer: true, Terminal: true},
		"table_80":      {Width: 80, Footer: true, Timing: true, Terminal: true},
		"table_200":     {Width: 200, Footer: true, Terminal: true},
		"wrap_80":       {Width: 80, Footer: true, Terminal: true, Wrap: true},
		"wrap_200":      {Width: 200, Footer: true, Terminal: true, Wrap: true},
		"table_nolimit": {Footer: true},
		"table_40":      {Width: 40, Footer: true, Terminal: true},
		"table_light":   {Width: 120, Border: "light", Null: "∅"},
		"table_color":   {Width: 120, Colors: theme.Choose("dark", os.Getenv), Footer: true},
		"vertical_80":   {Format: Vertical, Width: 80, Footer: true},
		"markdown":      {Format: Markdown},
		"json":          {Format: JSON},
		"ndjson":        {Format: NDJSON},
		"csv":           {Format: CSV},
		"csv_terminal":  {Format: CSV, Terminal: true},
		"tsv":           {Format: TSV},
	} {
		t.Run(name, func(t *testing.T) {
			got := print1(t, o, messageCols, messages)
			golden.Screen(t, filepath.Join("testdata", name+".golden"), got)
			if strings.HasPrefix(got, "+") && o.Width > 0 && o.Colors == (theme.Palette{}) {
				for _, l := range strings.Split(got, "\n") {
					if Width(l) > o.Width {
						t.Errorf("%d columns wide: %s", Width(l), l)
					}
				}
			}
			if o.Terminal && strings.ContainsAny(strings.ReplaceAll(got, "\n", ""), "\x1b\t\r\x00") {
				t.Error("a control character reaches the terminal")
			}
		})
	}
}

func TestMachineFormsReadBack(t *testing.T) {
	var objs []map[string]any
	dec := json.NewDecoder(strings.NewReader(print1(t, Options{Format: JSON}, messageCols, messages)))
	dec.UseNumber()
	if err := dec.Decode(&objs); err != nil || len(objs) != 4 || objs[1]["id"] != json.Number("9223372036854775807") {
		t.Errorf("%v %v", objs, err)
	}
	recs, err := csv.NewReader(strings.NewReader(print1(t, Options{Format: CSV}, messageCols, messages))).ReadAll()
	if err != nil || len(recs) != 5 || recs[3][2] != "control \x1b[31m and\ttab\nand line | pipe, comma \"quote\"" {
		t.Errorf("%q %v", recs, err)
	}
	for f, want := range map[Format]string{JSON: "[]\n", NDJSON: "", CSV: "a\n", TSV: "a\n", Markdown: "| a |\n| ---: |\n"} {
		if got := print1(t, Options{Format: f}, cols("a", "INT"), nil); got != want {
			t.Errorf("%s of no rows: %q", f, got)
		}
	}
}

func TestEmptyTable(t *testing.T) {
	if got := print1(t, Options{Footer: true}, cols("a", "INT"), nil); got != "+---+\n| a |\n+---+\n+---+\n(0 rows)\n" {
		t.Errorf("%q", got)
	}
}

func TestLongTablesKeepTheWidthsOfTheirFirstRows(t *testing.T) {
	c := cols("a", "INT", "b", "TEXT")
	recs := rows(c, `[1,"xx"]`, `[2,"yy"]`, `[3,"longer than before"]`)
	got := print1(t, Options{Sample: 2}, c, recs)
	want := "+---+----+\n| a | b  |\n+---+----+\n| 1 | xx |\n| 2 | yy |\n| 3 | l… |\n+---+----+\n"
	if got != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestPaging(t *testing.T) {
	c := cols("a", "INT")
	var recs []*link.Record
	for i := range 10 {
		recs = append(recs, rows(c, fmt.Sprintf("[%d]", i))...)
	}
	for _, f := range []Format{Table, Vertical} {
		asked := 0
		var b strings.Builder
		p := New(&b, c, Options{Format: f, Page: 3, Footer: true, Sample: 1, More: func() bool { asked++; return asked < 2 }})
		var err error
		for _, r := range recs {
			if err = p.Row(r); err != nil {
				break
			}
		}
		p.Close(0)
		if !errors.Is(err, io.EOF) || asked != 2 || !strings.Contains(b.String(), "(6 rows shown)") {
			t.Errorf("%s: asked %d times, %v:\n%s", f, asked, err, b.String())
		}
	}
}

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "é日😀": "é日😀", "a\x1b[2Jb": `a\x1b[2Jb`, "a\u009bb": `a\x9bb`, "\x7f": `\x7f`,
		"a\u202eb": `a\u202eb`, "\xff\xfe": `\xff\xfe`, "a\r\nb": `a\r\nb`, "👨\u200d👩": "👨\u200d👩",
	} {
		if got := Safe(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestSafeJSON(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":"b"}`: `{"a":"b"}`, "{\"a\":\"\u009b\x7f\"}": `{"a":"\u009b\u007f"}`, "{\n \"a\": 1\n}": `{"a":1}`, `"é"`: `"é"`,
	} {
		if got := string(SafeJSON([]byte(in))); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, tc := range []struct {
		in    string
		n     int
		right bool
		want  string
	}{
		{"ab", 4, false, "ab  "}, {"12", 4, true, "  12"}, {"abcdef", 4, false, "abc…"}, {"日本語", 5, false, "日本…"}, {"日本語", 4, false, "日… "}, {"", 2, false, "  "},
	} {
		if got := Fit(tc.in, tc.n, tc.right); got != tc.want || Width(got) != tc.n {
			t.Errorf("%q in %d gives %q", tc.in, tc.n, got)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tc := range []struct {
		in   string
		n    int
		want []string
	}{
		{"", 4, []string{""}}, {"abcd", 4, []string{"abcd"}}, {"abcdef", 4, []string{"abcd", "ef"}}, {"some words here", 10, []string{"some words", "here"}},
		{"a bcdefghij", 6, []string{"a bcde", "fghij"}}, {"日本語", 5, []string{"日本", "語"}}, {"日本", 1, []string{"日", "本"}}, {"one two three", 9, []string{"one two", "three"}},
	} {
		if got := Wrap(tc.in, tc.n); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q in %d gives %q", tc.in, tc.n, got)
		}
	}
	// Nothing is lost, wherever it is wrapped.
	text := "wide 😀 and combining é, " + strings.Repeat("long", 40)
	for n := 2; n < 60; n++ {
		lines := Wrap(text, n)
		if got, want := strings.ReplaceAll(strings.Join(lines, ""), " ", ""), strings.ReplaceAll(text, " ", ""); got != want {
			t.Errorf("in %d columns %q", n, got)
		}
		for _, l := range lines {
			if Width(l) > n {
				t.Errorf("%q is wider than %d", l, n)
			}
		}
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[int64]string{0: "0 rows", 1: "1 row", 1234567: "1,234,567 rows", -1000: "-1,000 rows", 999: "999 rows"} {
		if got := Rows(n); got != want {
			t.Errorf("%d gives %q", n, got)
		}
	}
	if _, err := ParseFormat("NDJSON"); err != nil {
		t.Error(err)
	}
	if _, err := ParseFormat("xml"); err == nil {
		t.Error("xml was accepted")
	}
}

func BenchmarkTable(b *testing.B) {
	c := cols("id", "BIGINT", "user", "TEXT", "content", "TEXT", "at", "TIMESTAMP")
	recs := rows(c, `[123,"user-7","some words of a message","2025-10-21T10:00:00.000001Z"]`)
	b.ReportAllocs()
	p := New(io.Discard, c, Options{Sample: 1})
	for b.Loop() {
		p.Row(recs[0])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
