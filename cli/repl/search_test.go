package repl

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/cli/history"
)

func TestSearchFinds(t *testing.T) {
	h, err := history.Open(filepath.Join(t.TempDir(), "history"), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"SELECT 1;", "select\n  2;", "INSERT x;", "SELECT 1;", "DELETE y;"} {
		if err := h.Add(line); err != nil {
			t.Fatal(err)
		}
	}
	s := search{hist: h}
	for _, tc := range []struct {
		text  string
		newer int
		want  string // "" means that there is none
	}{
		{"", 0, "DELETE y;"}, {"", 1, "SELECT 1;"}, {"", 3, "select\n  2;"}, {"", 4, ""},
		{"sel", 0, "SELECT 1;"}, {"SEL", 1, "select\n  2;"}, {"sel", 2, ""}, {"nothing", 0, ""},
	} {
		if got, ok := s.find(tc.text, tc.newer); got != tc.want || ok != (tc.want != "") {
			t.Errorf("%q behind %d gives %q, %v", tc.text, tc.newer, got, ok)
		}
	}
}

func TestAround(t *testing.T) {
	long := strings.Repeat("a ", 50) + "HERE" + strings.Repeat(" b", 50)
	for _, tc := range []struct {
		entry, text string
		columns     int
		want        string
	}{
		{"SELECT\n  1;", "sel", 40, "SELECT 1;"},
		{long, "a", 20, "a a a a a a a a a a…"},
		{long, "here", 20, "… a a HERE b b b b …"},
		{long, "b", 21, "…HERE b b b b b b b …"},
		{"日本" + strings.Repeat("語", 30), "語", 11, "日本語語語…"},
		{"\x1b[31mred", "red", 40, `\x1b[31mred`},
	} {
		if got := around(tc.entry, tc.text, tc.columns); got != tc.want {
			t.Errorf("%q in %d columns: %q, want %q", tc.text, tc.columns, got, tc.want)
		}
	}
}
