package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/cli/config"
	"github.com/kalamdb/kalamdb/cli/render"
)

// What happens when CLI is launched without network connectivity to the server?
func TestEdgeNoNetwork(t *testing.T) {
	t.Parallel()
	for host, reason := range map[string]string{"http://127.0.0.1:1": "connection refused", "http://no-such-host.invalid": "no-such-host.invalid"} {
		tm := start(t, t.TempDir(), 80, "-h", host, "--color", "false")
		if code := tm.exit(); code != 2 {
			t.Errorf("%s: exit code %d", host, code)
		}
		shown := ansi.ReplaceAllString(string(tm.out), "")
		if !strings.HasPrefix(shown, "cannot connect to "+host+": ") || !strings.Contains(shown, reason) || strings.Count(shown, "\n") != 1 {
			t.Errorf("%s shows %q", host, shown)
		}
	}
}

// How does CLI handle server shutdown while a subscription is active?
func TestEdgeServerShutdownWhileSubscribed(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	tm := session1(t, s)
	tm.typ("SUBSCRIBE TO app.m;\r")
	tm.expect("Subscribed to app.m")
	s.subscribed(1)
	go s.Close() // waits for the connection that kick ends
	s.kick()
	tm.expect("Connection lost")
	tm.expect("reconnecting")
	tm.typ("\x03") // it tries until somebody stops it
	tm.expect("Subscription ended: 0 changes")
	tm.expect("kalam>")
	tm.typ("\\q\r")
	if code := tm.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// lines cuts what the terminal showed.
func lines(shown string) []string {
	return strings.Split(strings.ReplaceAll(ansi.ReplaceAllString(shown, ""), "\r", ""), "\n")
}

// What occurs when the terminal window is resized during table output rendering?
func TestEdgeResizeWhileRendering(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	tm := session1(t, s)
	tm.typ("SELECT * FROM big1500;\r")
	tm.expect("Press Enter for more...")
	tm.resize(50) // the table that has begun keeps its columns in line
	tm.typ("\r")
	tm.expect("| 1499 | row number 1499 of many |")
	tm.expect("(1,500 rows)")
	tm.expect("kalam>")
	for _, cols := range []uint16{50, 120} { // and the next one has the new width
		tm.resize(cols)
		tm.enter("SELECT * FROM wide;")
		widest := 0
		for _, l := range lines(tm.expect("(1 row)")) {
			if strings.HasPrefix(l, "|") || strings.HasPrefix(l, "+") {
				widest = max(widest, render.Width(l))
			}
		}
		if widest != int(cols) {
			t.Errorf("at %d columns the table has %d", cols, widest)
		}
		tm.expect("kalam>")
	}
}

// How does CLI handle very wide tables that exceed terminal width?
func TestEdgeWideTables(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	tm := session1(t, s)
	for _, tc := range []struct{ command, sql, want string }{
		{`\x auto`, "SELECT * FROM wide;", "words many…"},    // a text is cut,
		{`\wrap on`, "SELECT * FROM wide;", "words |"},       // or goes on below,
		{`\x auto`, "SELECT * FROM broad;", "-[ RECORD 1 ]"}, // and numbers never are: records
	} {
		tm.enter(tc.command)
		tm.expect("kalam>")
		tm.enter(tc.sql)
		shown := tm.expect("(1 row)")
		if !strings.Contains(shown, tc.want) {
			t.Errorf("%s does not show %q:\n%s", tc.sql, tc.want, shown)
		}
		for _, l := range lines(shown) {
			if render.Width(l) > 80 {
				t.Errorf("%s: %d columns wide: %s", tc.sql, render.Width(l), l)
			}
		}
		tm.expect("kalam>")
	}
	tm.typ("SELECT * FROM broad;\r")
	tm.expect("column_39 | 1000039")
}

// What happens when config file contains malformed TOML syntax?
func TestEdgeMalformedConfiguration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[connection]\nhost = http://x\n":       ":2:",
		"[connection\n":                         ":1:",
		"[connection]\nhots = \"http://x\"\n":   `there is no setting "connection.hots"`,
		"[output]\n\nformat = \"yaml\"\n":       `:3:1: format is "yaml"; it must be table`,
		"[output]\nwide = \"somehow\"\n":        `:2:1: wide is "somehow"; it must be cut or wrap`,
		"[connection]\ntimeout = \"forever\"\n": `timeout is "forever"; it must look like 30s`,
	} {
		home := t.TempDir()
		path := filepath.Join(home, ".kalam", "config.toml")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := runEnv(t, environment(home), "", "-e", "SELECT 1")
		if r.code != 1 || !strings.Contains(r.err, path+":") || !strings.Contains(r.err, want) {
			t.Errorf("%q gives code %d and %q", text, r.code, r.err)
		}
		if after, _ := os.ReadFile(path); string(after) != text {
			t.Errorf("the file was changed to %q", after)
		}
	}
}

// How does CLI behave when ~/.kalam/ directory doesn't exist or isn't writable?
func TestEdgeHome(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	home := filepath.Join(t.TempDir(), "new", "home")
	if r := runEnv(t, environment(home), "", "-h", s.URL, "-e", "SELECT 1"); r.code != 0 || r.err != "" {
		t.Errorf("a home that is not there: %+v", r)
	}
	if fi, err := os.Stat(filepath.Join(home, ".kalam")); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", fi, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tm := startEnv(t, append(environment(file), "KALAM_HOME="+file+"/x"), file, 80, "-h", s.URL, "--color", "false")
	tm.expect("Warning: ")
	tm.expect("going on without a configuration file")
	tm.expect("the history lasts for this session only")
	tm.expect("kalam>")
	tm.typ("SELECT 1 as first;\r")
	tm.expect("(1 row)")
	tm.expect("kalam>")
	tm.typ("\x1b[A\r") // which it does
	tm.expect("(1 row)")
}

// What occurs when command history file becomes corrupted?
func TestEdgeCorruptedHistory(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	home := t.TempDir()
	path := filepath.Join(home, ".kalam", "history")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("\x00\x01\x02\nSELECT 1 as kept;\n\xff\xfe\x1b[2J\nSELECT 'torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	tm := start(t, home, 80, "-h", s.URL, "--color", "false")
	tm.expect("kalam>")
	tm.typ("\\history\r")
	if shown := tm.expect("3  \\history"); !strings.Contains(shown, "1  SELECT 1 as kept;") || !strings.Contains(shown, "2  SELECT 'torn") {
		t.Errorf("the history is %q", shown)
	}
	tm.expect("kalam>")
	tm.typ("\\q\r")
	if code := tm.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// How does CLI handle authentication token expiration during an active session?
func TestEdgeTokenExpires(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	tm := session1(t, s, "--token", "old")
	tm.typ("SELECT 1 as late;\r")
	tm.expect("ERROR TOKEN_EXPIRED (28000): The token expired at 12:00.")
	tm.expect(`HINT: \connect --token NEW-TOKEN goes on with another token.`)
	tm.expect("kalam>")
	tm.typ("\\connect --token new\r")
	tm.expect("Connected to " + s.URL + " as ada.")
	tm.expect("kalam>")
	tm.typ("SELECT 1 as late;\r")
	tm.expect("(1 row)")
}

// How does CLI display query results with special characters or Unicode that the
// terminal doesn't support?
func TestEdgeSpecialCharacters(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	for _, format := range []string{"table", "vertical", "markdown", "csv", "tsv", "json", "ndjson"} {
		tm := start(t, t.TempDir(), 80, "-h", s.URL, "--color", "false", "--format", format, "-e", "SELECT * FROM app.m")
		if code := tm.exit(); code != 0 {
			t.Errorf("%s: exit code %d", format, code)
		}
		shown := strings.ReplaceAll(string(tm.out), "\r\n", "\n") // the terminal's own line ends
		if strings.ContainsAny(strings.ReplaceAll(shown, "\t", ""), "\x1b\r\x07\x00") || !strings.Contains(shown, "日本") {
			t.Errorf("%s shows %q", format, shown)
		}
		if strings.Contains(shown, "\t") && format != "tsv" {
			t.Errorf("%s shows the tab as it is: %q", format, shown)
		}
	}
	// A program that reads gets every byte.
	if r := run1(t, "", "-h", s.URL, "--csv", "-e", "SELECT * FROM app.m"); !strings.Contains(r.out, "a\tb\x1b[31mred") {
		t.Errorf("to a pipe %q", r.out)
	}
}

// What occurs when multiple CLI instances try to write to the same config or
// history file simultaneously?
func TestEdgeManyInstances(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	home := t.TempDir()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if r := runEnv(t, environment(home), "", "-h", s.URL, "-u", fmt.Sprintf("user%d", i), "-e", "SELECT 1"); r.code != 0 || r.err != "" {
				t.Errorf("%d: %+v", i, r)
			}
		})
	}
	wg.Wait()
	cfg, exists, err := config.Load(filepath.Join(home, ".kalam", "config.toml"))
	if err != nil || !exists || cfg.Connection.Host != s.URL || !strings.HasPrefix(cfg.Connection.User, "user") {
		t.Errorf("the file is %+v, %v", cfg, err)
	}
	a := start(t, home, 80, "-h", s.URL, "--color", "false")
	b := start(t, home, 80, "-h", s.URL, "--color", "false")
	for i, tm := range []*terminal{a, b} {
		tm.expect("kalam>")
		tm.typ(fmt.Sprintf("SELECT 1 as by%d;\r", i))
		tm.expect("(1 row)")
		tm.expect("kalam>")
	}
	for _, tm := range []*terminal{a, b} {
		tm.typ("\\q\r")
		tm.exit()
	}
	data, err := os.ReadFile(filepath.Join(home, ".kalam", "history"))
	if err != nil || string(data) != "SELECT 1 as by0;\nSELECT 1 as by1;\n\\\\q\n\\\\q\n" {
		t.Errorf("the history is %q, %v", data, err)
	}
}
