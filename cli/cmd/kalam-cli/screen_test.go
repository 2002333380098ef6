package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/golden"
)

// TestScreens compares what a terminal of 80 and of 200 columns shows with the
// files in testdata.
func TestScreens(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	for _, cols := range []uint16{80, 200} {
		for name, args := range map[string][]string{
			"table":    {"-e", "SELECT * FROM app.m"},
			"wide":     {"-e", "SELECT * FROM wide", "-e", `\wrap on`, "-e", "SELECT * FROM wide"},
			"expanded": {"-e", "SELECT * FROM broad"},
			"error":    {"-e", "SELEC * FROM app.m"},
			"describe": {"-e", `\d app.m`},
			"help":     {"-e", `\help`},
		} {
			t.Run(fmt.Sprintf("%s_%d", name, cols), func(t *testing.T) {
				home := t.TempDir()
				tm := start(t, home, cols, append([]string{"-h", s.URL, "--color", "false"}, append([]string{"-e", `\timing off`}, args...)...)...)
				tm.exit()
				compareScreen(t, fmt.Sprintf("%s_%d", name, cols), string(tm.out))
			})
		}
	}
}

// compareScreen compares what was shown with a golden file.
func compareScreen(t *testing.T, name, shown string) {
	t.Helper()
	golden.Screen(t, filepath.Join("testdata", name+".golden"), strings.ReplaceAll(shown, "\r\n", "\n"))
}

// TestStreamScreen is the same for a subscription.
func TestStreamScreen(t *testing.T) {
	t.Parallel()
	for _, cols := range []uint16{80, 200} {
		s := newTestServer(t)
		tm := start(t, t.TempDir(), cols, "-h", s.URL, "--color", "false", "-e", "SUBSCRIBE TO app.m OPTIONS (last_rows = 1)")
		s.subscribed(1)
		s.publish(insertOf(1, "hello there"))
		s.publish(updateOf(1, "hello there", "日本"))
		tm.expect("Subscribed to")
		tm.expect("日本")
		tm.expect("\n")
		tm.mu.Lock()
		shown := string(tm.out)
		tm.mu.Unlock()
		compareScreen(t, fmt.Sprintf("stream_%d", cols), shown)
	}
}

// TestStreamAsCSV: each change is a row, with the operation and the sequence
// before the columns, and nothing else is on the output.
func TestStreamAsCSV(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	home := t.TempDir()
	file := filepath.Join(home, "changes.csv")
	tm := start(t, home, 80, "-h", s.URL, "--csv", "-o", file, "tail", "--last", "1", "SELECT * FROM app.m")
	tm.expect("Subscribed to app.m")
	s.subscribed(1)
	s.publish(insertOf(1, "a, b"))
	s.publish(updateOf(1, "a, b", "c"))
	const want = "event,seq,id,text\ninitial,0,0,old\ninsert,1,1,\"a, b\"\nupdate,2,1,c\n"
	var got []byte
	for deadline := time.Now().Add(15 * time.Second); string(got) != want; time.Sleep(5 * time.Millisecond) {
		var err error
		if got, err = os.ReadFile(file); err != nil || time.Now().After(deadline) {
			t.Fatalf("the file has %q, %v", got, err)
		}
	}
	tm.typ("\x03")
	tm.expect("Subscription ended: 2 changes (1 insert, 1 update)")
	if code := tm.exit(); code != 130 {
		t.Errorf("exit code %d", code)
	}
}
