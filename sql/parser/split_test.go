package parser

import (
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// splitCases are scripts and their statements, each "line:column text".
var splitCases = []struct {
	name, script string
	want         []string
}{
	{"empty", "", nil},
	{"nothing", " ;; -- x\n ; /* ; */ ", nil},
	{"one", "SELECT 1", []string{"1:1 SELECT 1"}},
	{"two", "SELECT 1;SELECT 2;", []string{"1:1 SELECT 1", "1:10 SELECT 2"}},
	{"lines", "\n  SELECT 1\n;\n\n  äö ;  SELECT\n2", []string{"2:3 SELECT 1", "5:3 äö", "5:9 SELECT\n2"}},
	{"quotes", `SELECT ';', "a;b", E'\';', $$;$$, $t$;$$;$t$; SELECT 2`, []string{`1:1 SELECT ';', "a;b", E'\';', $$;$$, $t$;$$;$t$`, "1:47 SELECT 2"}},
	{"comments", "-- a;\nSELECT /* ; /* ; */ ; */ 1 -- ;\n; -- b\nSELECT 2", []string{"2:1 SELECT /* ; /* ; */ ; */ 1", "4:1 SELECT 2"}},
	{"no SQL at all", "hello; world", []string{"1:1 hello", "1:8 world"}},
}

func TestSplit(t *testing.T) {
	for _, c := range splitCases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for p, err := range Split(c.script) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, itoa(p.Line)+":"+itoa(p.Column)+" "+p.Text)
			}
			if !slices.Equal(got, c.want) {
				t.Fatalf("got %q\nwant %q", got, c.want)
			}
		})
	}
}

func itoa(n int) string {
	if n >= 10 {
		return itoa(n/10) + itoa(n%10)
	}
	return string(rune('0' + n))
}

func TestSplitIsLazy(t *testing.T) {
	script := "SELECT 1; SELECT 2; SELECT 'open"
	var seen []string
	for p, err := range Split(script) {
		if err != nil {
			t.Fatalf("an error before it was asked for: %v", err)
		}
		seen = append(seen, p.Text)
		if len(seen) == 2 {
			break
		}
	}
	if len(seen) != 2 {
		t.Fatal(seen)
	}
}

func TestSplitErrors(t *testing.T) {
	script := "SELECT 1;\nSELECT `a`;\nSELECT 2; SELECT 'open; SELECT 3"
	var texts []string
	var places []dberr.Pos
	for p, err := range Split(script) {
		texts = append(texts, p.Text)
		if err == nil {
			continue
		}
		e, ok := dberr.As(p.Locate(err))
		if !ok {
			t.Fatal(err)
		}
		places = append(places, e.Pos)
		if e.Pos.Offset != strings.Index(script, []string{"`a`", "'open"}[len(places)-1]) {
			t.Errorf("offset %d", e.Pos.Offset)
		}
	}
	if want := []string{"SELECT 1", "SELECT `a`", "SELECT 2", "SELECT 'open; SELECT 3"}; !slices.Equal(texts, want) {
		t.Errorf("pieces %q", texts)
	}
	if len(places) != 2 || places[0].Line != 2 || places[0].Column != 8 || places[1].Line != 3 || places[1].Column != 18 {
		t.Errorf("places %+v", places)
	}
}

func TestSplitTerminated(t *testing.T) {
	var got []bool
	for p := range Split("SELECT 1; SELECT 2") {
		got = append(got, p.Terminated)
	}
	if !slices.Equal(got, []bool{true, false}) {
		t.Fatal(got)
	}
}

func TestSplitManyBadPieces(t *testing.T) {
	n := 0
	for _, err := range Split(strings.Repeat("12ab;", 300_000)) {
		if err == nil {
			t.Fatal("no error")
		}
		n++
	}
	if n != 300_000 {
		t.Fatal(n)
	}
}

func TestParseAll(t *testing.T) {
	list, err := ParseAll("SELECT 1; ; SELECT 2;")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	_, err = ParseAll("SELECT 1;\n  SELECT FROM WHERE;")
	e, ok := dberr.As(err)
	if !ok || e.Pos.Line != 2 || e.Pos.Column != 15 || e.Pos.Offset != 24 {
		t.Fatalf("%+v", e)
	}
}
