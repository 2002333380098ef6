package repl

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/cli/render"
)

// TestHelpFits reads the list of commands in narrow and wide windows: no line
// is cut by the window's edge, and no word is lost.
func TestHelpFits(t *testing.T) {
	for _, width := range []int{80, 100, 200} {
		for _, c := range commands {
			text := helpEntry(c.usage(), c.help, width)
			for _, line := range strings.Split(text, "\n") {
				if render.Width(line) > width {
					t.Errorf("%d columns: %q", width, line)
				}
			}
			if got, want := strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(c.usage()+" "+c.help), " "); got != want {
				t.Errorf("%d columns: %q", width, got)
			}
		}
	}
	if got := helpEntry(`\x`, strings.Repeat("word ", 40), 0); strings.Count(got, "\n") != 1 {
		t.Errorf("without a terminal it is wrapped: %q", got)
	}
	if got, want := helpEntry(`\watch [SECONDS] [SQL] and what else`, "repeats it", 80), "  \\watch [SECONDS] [SQL] and what else\n"+strings.Repeat(" ", 37)+"repeats it\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
