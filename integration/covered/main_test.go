package main

import (
	"strings"
	"testing"
)

// TestReport sums blocks that several runs reached, leaves out what only tests
// use, and refuses what is no profile.
func TestReport(t *testing.T) {
	var out strings.Builder
	err := report(&out, strings.NewReader(`mode: set
github.com/kalamdb/kalamdb/live/a.go:1.1,2.2 3 0
github.com/kalamdb/kalamdb/live/a.go:1.1,2.2 3 1
github.com/kalamdb/kalamdb/live/a.go:3.1,4.2 1 0
github.com/kalamdb/kalamdb/core/b.go:3.1,4.2 4 7
github.com/kalamdb/kalamdb/store/kv/kvtest/c.go:3.1,4.2 100 0
`))
	if err == nil || !strings.Contains(err.Error(), "below the goal") {
		t.Errorf("87.5 %% are enough: %v", err)
	}
	var rows []string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"core 100.0 %", "live 75.0 % below; 1 statements unreached", "all 87.5 % of 8 statements; the goal is 90 %"}
	if strings.Join(rows, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", rows)
	}
	if err := report(&out, strings.NewReader("mode: set\ngithub.com/kalamdb/kalamdb/live/a.go:1.1,2.2 9 1\ngithub.com/kalamdb/kalamdb/live/a.go:2.1,2.2 1 0\n")); err != nil {
		t.Errorf("90 %% are not enough: %v", err)
	}
	for _, bad := range []string{"", "mode: set\n", "one two\n", "a.go:1.1,2.2 x 1\n"} {
		if report(&out, strings.NewReader(bad)) == nil {
			t.Errorf("%q is taken for a profile", bad)
		}
	}
}
