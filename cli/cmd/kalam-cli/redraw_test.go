package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hinshun/vt10x"

	"github.com/kalamdb/kalamdb/commons/golden"
)

// dots are the colours of the status dot on a terminal of which nothing is
// known.
var dots = map[vt10x.Color]string{28: "good", 196: "bad", 130: "warn"}

// screen is what the terminal shows now, the colour of a status dot in words.
func (tm *terminal) screen() string {
	tm.mu.Lock()
	out := append([]byte(nil), tm.out...)
	tm.mu.Unlock()
	vt := vt10x.New(vt10x.WithSize(int(tm.cols), 40))
	if _, err := vt.Write(out); err != nil {
		tm.t.Fatal(err)
	}
	var b strings.Builder
	for y := range 40 {
		var row strings.Builder
		for x := range int(tm.cols) {
			g := vt.Cell(x, y)
			row.WriteRune(g.Char)
			if g.Char == '●' {
				row.WriteString("(" + dots[g.FG] + ")")
			}
		}
		b.WriteString(strings.TrimRight(row.String(), " \x00") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// varying is what no two runs have in common.
var varying = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "SERVER"},
	{regexp.MustCompile(`\d+\.\d/s`), "RATE"},
	{regexp.MustCompile(`Connection lost \([^)]*\)`), "Connection lost (REASON)"},
	{regexp.MustCompile(`changes \(([^)]*)\) in .*\.`), "changes ($1) in TIME."},
}

// TestRedraw compares the whole screen, as a terminal shows it, with a golden
// file at each step of a session: the prompt and its further lines, the list of
// completions, the status line with what is typed while rows come, a connection
// that is lost.
func TestRedraw(t *testing.T) {
	t.Parallel()
	for _, cols := range []uint16{80, 200} {
		t.Run(fmt.Sprint(cols), func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t)
			tm := start(t, t.TempDir(), cols, "-h", s.URL, "-u", "ada", "--color", "true")
			path := filepath.Join("testdata", fmt.Sprintf("redraw_%d.golden", cols))
			want := map[string]string{}
			if data, err := os.ReadFile(path); err == nil {
				for _, part := range strings.Split(string(data), "=== ")[1:] {
					name, screen, _ := strings.Cut(part, "\n")
					want[name] = screen
				}
			}
			var all strings.Builder
			see := func(step string) {
				t.Helper()
				deadline := time.After(15 * time.Second)
				if golden.Rewriting() {
					deadline = time.After(1500 * time.Millisecond)
				}
				for {
					got := tm.screen()
					for _, v := range varying {
						got = v.what.ReplaceAllString(got, v.name)
					}
					if got == want[step] && !golden.Rewriting() {
						return
					}
					select {
					case <-tm.more:
					case <-deadline:
						if !golden.Rewriting() {
							t.Fatalf("%s: the terminal shows\n%s\nwant\n%s", step, got, want[step])
						}
						all.WriteString("=== " + step + "\n" + got)
						return
					}
				}
			}
			see("start")
			tm.typ("\\timing off\r")
			tm.typ("SELECT 1\r")
			tm.typ("as te")
			see("a statement over two lines")
			tm.typ("st;\r")
			see("its result")
			tm.typ("cre\t")
			see("completions")
			tm.typ("\x03")
			see("given up")
			tm.typ("SELECT half a sta")
			tm.typ("\x12sel")
			see("the history is searched")
			tm.typ("\x12")
			see("for an older one")
			tm.typ("zzz")
			see("for what was never typed")
			tm.typ("\x03")
			see("the line is back")
			tm.typ("\x12AS TE\r")
			see("found and run")
			tm.typ("SUBSCRIBE TO app.m;\r")
			s.subscribed(1)
			see("subscribed")
			s.publish(insertOf(1, "hello there"))
			tm.typ("\\pax\x7f")
			see("typing while a row came")
			s.publish(updateOf(1, "hello there", "bye"))
			see("a further row")
			tm.typ("use\r")
			see("paused")
			tm.typ("\\continue\r")
			see("going on")
			s.kick()
			s.subscribed(1)
			see("connected again")
			tm.typ("\x03")
			see("the stream is over")
			s.CloseClientConnections()
			s.Close()
			tm.typ("SELECT 1;\r")
			see("the server is gone")
			if golden.Rewriting() {
				golden.Write(t, path, all.String())
			}
		})
	}
}
