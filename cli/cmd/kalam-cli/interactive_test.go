package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func session1(t *testing.T, s *testServer, args ...string) *terminal {
	t.Helper()
	tm := start(t, t.TempDir(), 80, append([]string{"-h", s.URL, "-u", "ada", "--color", "false"}, args...)...)
	tm.expect("kalam>")
	return tm
}

func TestWelcomeQueryQuit(t *testing.T) {
	s := newTestServer(t)
	tm := start(t, t.TempDir(), 80, "-h", s.URL, "-u", "ada", "--color", "false")
	tm.expect("Connected to " + s.URL + " as ada.")
	tm.expect("kalam>")
	tm.typ("SELECT 1 as test;\r")
	tm.expect("| test |")
	tm.expect("|    1 |")
	tm.expect("(1 row)")
	tm.expect("kalam>")
	tm.typ("\\quit\r")
	if code := tm.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestStatementOverSeveralLines(t *testing.T) {
	s := newTestServer(t)
	tm := session1(t, s)
	tm.typ("SELECT 1\r")
	tm.typ("  as test;\r")
	tm.expect("(1 row)")
	tm.expect("kalam>")
	// The whole statement comes back from the history.
	tm.typ("\x1b[A\r")
	tm.expect("(1 row)")
	tm.expect("kalam>")
	tm.typ("\x04")
	if code := tm.exit(); code != 0 {
		t.Errorf("exit code %d after Ctrl+D", code)
	}
	n := 0
	for _, sql := range s.sent() {
		if sql == "SELECT 1\n  as test" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("sent %q", s.sent())
	}
}

// What happens when a user executes a long-running query and tries to cancel
// with Ctrl+C?
func TestCtrlCClearsTheLineAndCancelsTheStatement(t *testing.T) {
	s := newTestServer(t)
	tm := session1(t, s)
	tm.typ("SELECT half a sta")
	tm.typ("\x03")
	tm.expect("kalam>")
	tm.typ("SELECT slow;\r")
	tm.await("the statement at the server", s.slow) // it is there before Ctrl+C
	tm.typ("\x03")
	tm.expect("Cancelled.")
	tm.await("its end at the server", s.gone)
	tm.expect("kalam>")
	tm.typ("SELECT 1;\r")
	tm.expect("(1 row)")
	tm.typ("\\q\r")
	if code := tm.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, sql := range s.sent() {
		if strings.Contains(sql, "half") {
			t.Error("a line that was given up was sent")
		}
	}
}

func TestTabCompletes(t *testing.T) {
	s := newTestServer(t)
	tm := session1(t, s)
	tm.typ("SEL\t")
	tm.expect("SELECT")
	tm.typ("1;\r")
	tm.expect("(1 row)")
	tm.expect("kalam>")
	tm.typ("\t")
	for _, kw := range []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "SHOW", "DESCRIBE"} {
		expectAnywhere(tm, kw)
	}
	tm.typ("\x03")
	tm.typ("\x03")
	tm.expect("kalam>")
}

// expectAnywhere waits for the text without order.
func expectAnywhere(tm *terminal, text string) {
	tm.t.Helper()
	at := tm.at
	tm.expect(text)
	tm.mu.Lock()
	tm.at = at
	tm.mu.Unlock()
}

// A connection that is lost, by whatever timeout, is announced and made again,
// and nothing is missed: the answer to "How does CLI handle WebSocket ping/pong
// timeout during an active subscription?" How a silent connection is noticed is
// link's business and tested there.
func TestSubscriptionStreams(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	tm := session1(t, s)
	tm.typ("SUBSCRIBE TO app.m WHERE id > 0;\r")
	tm.expect("Subscribed to app.m (live id live-7)")
	s.subscribed(1)
	s.publish(insertOf(1, "hello there"))
	tm.expect("03:04:05.000 + INSERT  id=1  text='hello there'")
	s.publish(updateOf(1, "hello there", "bye"))
	tm.expect("~ UPDATE  id=1  text='hello there' → bye")
	tm.typ("\\pause\r")
	tm.expect("Paused")
	s.publish(insertOf(2, "held"))
	// The connection is not what is paused.
	s.kick()
	tm.expect("Connection lost")
	tm.expect("Reconnected; nothing was missed.")
	tm.typ("\\continue\r")
	tm.expect("Going on.")
	tm.expect("+ INSERT  id=2  text=held")
	s.kick()
	tm.expect("Connection lost")
	tm.expect("Reconnected; nothing was missed.")
	s.publish(insertOf(3, "after"))
	tm.expect("id=3")
	tm.typ("\x03")
	tm.expect("Subscription ended: 4 changes (3 insert, 1 update)")
	tm.expect("kalam>")
	s.subscribed(0)
	tm.typ("SUBSCRIBE TO app.missing;\r")
	tm.expect("ERROR TABLE_NOT_FOUND (42P01): table app.missing does not exist")
	tm.expect("LINE 1: SUBSCRIBE TO app.missing")
	tm.expect("^")
	tm.expect("kalam>")
	tm.typ("\\q\r")
	if code := tm.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestPages(t *testing.T) {
	s := newTestServer(t)
	tm := session1(t, s)
	tm.typ("SELECT * FROM big2500;\r")
	tm.expect("row number 999 of many")
	tm.expect("Press Enter for more...")
	tm.typ("\r")
	tm.expect("row number 1999 of many")
	tm.expect("Press Enter for more...")
	tm.typ("q\r")
	tm.expect("(2,000 rows shown)")
	tm.expect("kalam>")
}

func TestPagerOfTheUser(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	home := t.TempDir()
	got := filepath.Join(home, "paged")
	tm := startEnv(t, append(environment(home), "PAGER=cat > "+got), home, 80, "-h", s.URL, "--color", "false")
	tm.expect("kalam>")
	tm.enter("SELECT * FROM big2500;")
	tm.expect("kalam>")
	data, err := os.ReadFile(got)
	if text := string(data); err != nil || strings.Count(text, "\n") != 2500+5 || !strings.Contains(text, "| row number 2499 of many |") || !strings.Contains(text, "(2,500 rows)") {
		t.Errorf("the pager got %d lines, %v", strings.Count(string(data), "\n"), err)
	}
	// What fits on the screen does not need it.
	os.Remove(got)
	tm.enter("SELECT 1;")
	tm.expect("(1 row)")
	tm.expect("kalam>")
	if _, err := os.Stat(got); err == nil {
		t.Error("one row went through the pager")
	}
	tm.typ("\\q\r")
	tm.exit()

	// A pager that is left early ends the result; one that is missing is named.
	tm = startEnv(t, append(environment(home), "PAGER=no-such-pager", "KALAM_PAGER=head -2"), home, 80, "-h", s.URL, "--color", "false")
	tm.expect("kalam>")
	tm.enter("SELECT * FROM big100000;")
	tm.expect("| text")
	if shown := tm.expect("kalam>"); strings.Contains(shown, "ERROR") || strings.Contains(shown, "row number") {
		t.Errorf("head -2 shows %q", shown)
	}
	tm.typ("\\q\r")
	tm.exit()
	tm = startEnv(t, append(environment(home), "PAGER=no-such-pager"), home, 80, "-h", s.URL, "--color", "false")
	tm.expect("kalam>")
	tm.typ("SELECT * FROM big100;\r")
	tm.expect(`Warning: the pager "no-such-pager" does not work`)
	tm.expect("kalam>")
}

func TestWatchRepeatsTheLatestQuery(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	tm := session1(t, s)
	tm.typ("\\watch 1\r")
	tm.expect(`\watch needs a query`)
	tm.expect("kalam>")
	tm.typ("SELECT 1 as again;\r")
	tm.expect("(1 row)")
	tm.expect("kalam>")
	tm.typ("\\watch 0.1\r")
	tm.expect("(every 100ms)")
	tm.expect("(1 row)")
	tm.expect("(1 row)")
	tm.typ("\x03")
	tm.expect("Cancelled.")
	tm.expect("kalam>")
}

func TestConfirmation(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	tm := session1(t, s)
	tm.typ("DROP TABLE app.m;\r")
	tm.expect("[y/N]")
	tm.typ("n\r")
	tm.expect("Nothing was done.")
	tm.expect("kalam>")
	tm.typ("DELETE FROM app.m; -- where?\r")
	tm.expect("every row. Continue? [y/N]")
	tm.typ("yes\r")
	tm.expect("done")
	tm.expect("kalam>")
	tm.typ("DELETE FROM app.m WHERE id = 1;\r")
	tm.expect("done")
	sent := strings.Join(s.sent(), ";")
	if strings.Contains(sent, "DROP") || strings.Count(sent, "DELETE") != 2 {
		t.Errorf("sent %q", sent)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	other := newTestServer(t)
	tm := session1(t, s)
	for _, step := range [][2]string{
		{`\help`, `\connect`},
		{`\health`, "version  1.2.3"},
		{`\flush`, "done"},
		{`\d app.m`, "current schema version  2"},
		{`\config`, "credentials  none"},
		{`\x on`, "Expanded display is on."},
		{`SELECT 1;`, "test | 1"},
		{`\timing off`, "Timing is off."},
		{`\nonsense`, "no command \\nonsense"},
		{`\set n 5`, "kalam>"},
		{`INSERT INTO t VALUES (:n, :'n');`, "1 row inserted"},
		{`\pause`, "no stream is running"},
		{`\connect ` + s.URL + `1`, "still connected to " + s.URL},
		{`\connect -h ` + other.URL + ` -u eve`, "Connected to " + other.URL + " as eve."},
		{`\history 2`, `\connect -h ` + other.URL},
		{`USE shop;`, "done"},
		{`SELECT 1;`, "test | 1"},
	} {
		tm.typ(step[0] + "\r")
		tm.expect(step[1])
		if step[1] != "kalam>" {
			tm.expect("kalam>")
		}
	}
	tm.typ("exit\r")
	if code := tm.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if sent := strings.Join(s.sent(), ";"); !strings.Contains(sent, "INSERT INTO t VALUES (5, '5')") || !strings.Contains(sent, "FLUSH ALL TABLES") {
		t.Errorf("sent %q", sent)
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	last := other.requests[len(other.requests)-1]
	for i, r := range other.requests {
		if r.SQL == "SELECT 1" {
			last = other.requests[i]
		}
	}
	if last.NamespaceID != "shop" || other.headers[0].Get("X-USER-ID") != "eve" {
		t.Errorf("the second server got %+v as %s", last, other.headers[0].Get("X-USER-ID"))
	}
}

func TestHistoryOutlivesTheSessionAndHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	home := t.TempDir()
	tm := start(t, home, 80, "-h", s.URL, "--color", "false")
	tm.expect("kalam>")
	tm.typ("SELECT 1 as remembered;\r")
	tm.expect("(1 row)")
	tm.expect("kalam>")
	tm.typ("\\connect --token abcdef\r")
	tm.expect("Connected")
	tm.expect("kalam>")
	tm.typ("\\q\r")
	tm.exit()
	data, err := os.ReadFile(filepath.Join(home, ".kalam", "history"))
	if err != nil || !strings.Contains(string(data), "remembered") || strings.Contains(string(data), "abcdef") {
		t.Errorf("history %q, %v", data, err)
	}
	tm = start(t, home, 80, "-h", s.URL, "--color", "false")
	tm.expect("kalam>")
	tm.typ("\x1b[A\x1b[A")
	tm.expect("remembered")
	tm.typ("\r")
	tm.expect("(1 row)")
}

func TestServerThatGoesAwayLeavesThePrompt(t *testing.T) {
	s := newTestServer(t)
	tm := session1(t, s)
	s.CloseClientConnections()
	s.Close()
	tm.typ("SELECT 1;\r")
	tm.expect("cannot connect to " + s.URL + ": connection refused")
	tm.expect("kalam>")
}

func TestTerminalIsRestored(t *testing.T) {
	s := newTestServer(t)
	tm := session1(t, s)
	tm.cmd.Process.Signal(syscall.SIGTERM)
	if code := tm.exit(); code != 143 {
		t.Errorf("exit code %d", code)
	}
}
