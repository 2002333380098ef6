package repl

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/cli/theme"
)

func TestSplit(t *testing.T) {
	for _, tc := range []struct{ name, in, want, rest string }{
		{"two", "SELECT 1; SELECT 2;", "1:SELECT 1|1:SELECT 2", ""},
		{"lines", "\n-- first\nSELECT 1;\n\n/* a\nb */ SELECT\n2;", "3:SELECT 1|6:SELECT\n2", ""},
		{"unfinished", "SELECT 1;\nSELECT 2", "1:SELECT 1", "SELECT 2"},
		{"quotes", `SELECT 'a;''b', "c;d";`, `1:SELECT 'a;''b', "c;d"`, ""},
		{"escapes", `SELECT E'a\';b', 'c\';`, `1:SELECT E'a\';b', 'c\'`, ""},
		{"dollar quotes", "SELECT $$a;b$$, $x$;$$;$x$, $1;", "1:SELECT $$a;b$$, $x$;$$;$x$, $1", ""},
		{"nested comment", "SELECT /* a /* ; */ ; */ 1;", "1:SELECT /* a /* ; */ ; */ 1", ""},
		{"line comment", "SELECT 1 -- ;\n;", "1:SELECT 1 -- ;", ""},
		{"empty ones", ";;  ;SELECT 1;;", "1:SELECT 1", ""},
		{"command", "\\x on\nSELECT 1;\n  \\quit", "1:\\x on|2:SELECT 1|3:\\quit", ""},
		{"open quote", "SELECT 'a;", "", "SELECT 'a;"},
		{"open comment", "/* a;", "", "/* a;"},
		{"open dollar quote", "SELECT $a$ ;", "", "SELECT $a$ ;"},
		{"byte order mark", "\ufeffSELECT 1;", "1:SELECT 1", ""},
		{"nothing", " -- only a comment", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stmts, rest, _ := Split(tc.in, 1)
			var got []string
			for _, s := range stmts {
				got = append(got, fmt.Sprintf("%d:%s", s.Line, s.Text))
				if s.Meta != strings.HasPrefix(s.Text, `\`) {
					t.Errorf("%q: Meta is %v", s.Text, s.Meta)
				}
			}
			if g := strings.Join(got, "|"); g != tc.want || rest != tc.rest {
				t.Errorf("got %q rest %q", g, rest)
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"SELECT 1;", "'", "$$", "$a$;$a$", "/*/**/", "\\x\n;", "E'\\", "--\n;", "\"\"\";"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		stmts, rest, line := Split(s, 1)
		if line < 1 || line > strings.Count(s, "\n")+1 {
			t.Fatalf("%q: the rest is on line %d", s, line)
		}
		if !strings.HasSuffix(s, rest) {
			t.Fatalf("%q: the rest is %q", s, rest)
		}
		for _, st := range stmts {
			if st.Text == "" || !strings.Contains(s, st.Text) {
				t.Fatalf("%q gives the statement %q", s, st.Text)
			}
			substitute(st.Text, map[string]string{"a": "b"})
			dangerous(st.Text)
			caret(st.Text, 1, len(st.Text))
			highlight([]rune(st.Text), theme.Palette{})
		}
	})
}

func TestSubstitute(t *testing.T) {
	vars := map[string]string{"n": "5", "who": "O'Neil", "t": `my"t`}
	for in, want := range map[string]string{
		"SELECT :n":                        "SELECT 5",
		"SELECT :'who', :\"t\"":            `SELECT 'O''Neil', "my""t"`,
		"SELECT ':n', a::n, :missing":      "SELECT ':n', a::n, :missing",
		"SELECT '12:30', 5 -- :n\n, :n+:n": "SELECT '12:30', 5 -- :n\n, 5+5",
		"SELECT a[1:2], :'n":               "SELECT a[1:2], :'n",
	} {
		if got := substitute(in, vars); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestDangerous(t *testing.T) {
	for sql, asks := range map[string]bool{
		"DROP TABLE t": true, "drop namespace n": true, "DELETE FROM t": true, "UPDATE t SET a = 1": true,
		"DELETE FROM t WHERE id = 1": false, "UPDATE t SET a = 'x where y'": true, "/* where */ DELETE FROM t": true,
		"SELECT 1": false, "-- DROP\nSELECT 1": false, "DROP": false,
	} {
		if got := dangerous(sql) != ""; got != asks {
			t.Errorf("%q: %v", sql, got)
		}
	}
}

func TestCaret(t *testing.T) {
	long := strings.Repeat("x", 100) + " HERE " + strings.Repeat("y", 100)
	for _, tc := range []struct {
		text      string
		line, col int
		want      string
	}{
		{"SELECT 'é日', nope", 1, 14, "LINE 1: SELECT 'é日', nope\n                      ^\n"},
		{"SELECT\n\tnope", 2, 2, "LINE 2: \\tnope\n          ^\n"},
		{"SELECT 1", 0, 0, ""}, {"SELECT 1", 5, 1, ""}, {"ab", 1, 99, "LINE 1: ab\n          ^\n"},
	} {
		if got := caret(tc.text, tc.line, tc.col); got != tc.want {
			t.Errorf("%q %d:%d gives\n%s\nwant\n%s", tc.text, tc.line, tc.col, got, tc.want)
		}
	}
	got := strings.Split(caret(long, 1, 102), "\n")
	if at := strings.IndexByte(got[1], '^'); got[0][at:at+4] != "HERE" || len(got[0]) > 140 {
		t.Errorf("%q", got)
	}
}

func TestIsComplete(t *testing.T) {
	for in, want := range map[string]bool{
		"": true, "SELECT 1": false, "SELECT 1;": true, `\d t`: true, "SELECT ';": false, "quit": true,
		"SELECT 1; SELECT 2": false, "SELECT 1; -- done": true,
		"exit;": true, "HELP": true, "?": true, ".tables": true, "SELECT 1\n\\q": true, "SELECT\nquit": false, "SELECT '\n\\q": false,
	} {
		if got := isComplete(in); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
	for in, want := range map[string]string{"Quit;": `\quit`, "exit": `\quit`, "help ;": `\help`, "?": `\help`, "SELECT 1": "", "": ""} {
		if got := wordCommand(in); got != want {
			t.Errorf("%q means %q, want %q", in, got, want)
		}
	}
}

func TestCopyOptions(t *testing.T) {
	for in, want := range map[string]copyOptions{
		"": {"csv", true, ','},
		"FORMAT csv, HEADER false, DELIMITER ','": {"csv", false, ','},
		"DELIMITER ';'": {"csv", true, ';'},
		"FORMAT ndjson": {"ndjson", true, ','},
	} {
		if got, err := parseCopyOptions(in, "x.csv"); err != nil || got != want {
			t.Errorf("%q gives %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"FORMAT xml", "DELIMITER 'ab'", "QUOTE '\"'"} {
		if _, err := parseCopyOptions(in, "x.csv"); err == nil {
			t.Errorf("%q was accepted", in)
		}
	}
}
