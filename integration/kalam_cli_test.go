package integration

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// TestCliConnectionAndPrompt is story 0, scenario 1: the welcome names user and
// server, the prompt follows.
func TestCliConnectionAndPrompt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	c := harness.StartClient(t, d.args...)
	welcome := c.Expect(harness.Prompt)
	for _, want := range []string{"KalamDB", "jamal", d.server.URL, `\help`} {
		if !strings.Contains(welcome, want) {
			t.Errorf("the welcome does not name %s:\n%s", want, welcome)
		}
	}
	if strings.Contains(strings.ToLower(welcome), "tenant") {
		t.Errorf("the welcome speaks of a tenant:\n%s", welcome)
	}
}

// TestCliBasicQueryExecution is story 0, scenario 2.
func TestCliBasicQueryExecution(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	shown := d.prompt(t).Enter("SELECT 1 as test;")
	if !regexp.MustCompile(`(?s)\| test \|.*\|    1 \|.*\(1 row\)`).MatchString(shown) {
		t.Errorf("the terminal shows\n%s", shown)
	}
	if r := d.run(t, "SELECT 1 AS test"); r.Code != 0 || !strings.Contains(r.Out, "| test |") || r.Err != "" {
		t.Errorf("%+v", r)
	}
}

// TestCliTableOutputFormatting is story 0, scenario 2 with five rows: borders
// and columns stand in line, whatever the widths of the characters.
func TestCliTableOutputFormatting(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	d.fill(t)
	r := d.run(t, "SELECT * FROM messages ORDER BY id")
	want := strings.TrimLeft(`
+----+---------+------------------+
| id | user_id | content          |
+----+---------+------------------+
|  1 | jamal   | hi               |
|  2 | jamal   | a longer message |
|  4 | ada     | naïve 日本       |
|  5 | ada     | x, "y"           |
| 30 | ada     | NULL             |
+----+---------+------------------+
`, "\n")
	if !strings.HasPrefix(r.Out, want) || !strings.Contains(r.Out, "(5 rows)") || r.Code != 0 {
		t.Errorf("code %d, got\n%s\nwant\n%s", r.Code, r.Out, want)
	}
	if shown := d.prompt(t).Enter("SELECT * FROM messages WHERE id > 100;"); !strings.Contains(shown, "(0 rows)") {
		t.Errorf("no row shows\n%s", shown)
	}
}

// TestCliJsonOutputFormat is story 0, scenario 3 with --json.
func TestCliJsonOutputFormat(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	d.fill(t)
	r := d.run(t, "SELECT * FROM messages ORDER BY id", "--json")
	type row struct {
		ID      int64   `json:"id"`
		UserID  string  `json:"user_id"`
		Content *string `json:"content"`
	}
	var rows []row
	if err := json.Unmarshal([]byte(r.Out), &rows); err != nil || len(rows) != 5 || rows[0].ID != 1 || *rows[3].Content != `x, "y"` || rows[4].Content != nil {
		t.Errorf("%v: %s", err, r.Out)
	}
	// A notice is no part of the data, a SELECT without rows is an empty array.
	r = d.run(t, "INSERT INTO messages VALUES (6, 'x', 'y'); SELECT * FROM messages WHERE id = 0", "--json")
	if err := json.Unmarshal([]byte(r.Out), &rows); err != nil || len(rows) != 0 || !strings.Contains(r.Err, "1 row inserted") {
		t.Errorf("%v: output %q, errors %q", err, r.Out, r.Err)
	}
}

// TestCliCsvOutputFormat is story 0, scenario 3 with --csv.
func TestCliCsvOutputFormat(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	d.fill(t)
	r := d.run(t, "SELECT * FROM messages ORDER BY id", "--csv")
	got, err := csv.NewReader(strings.NewReader(r.Out)).ReadAll()
	want := [][]string{{"id", "user_id", "content"}, {"1", "jamal", "hi"}, {"2", "jamal", "a longer message"}, {"4", "ada", "naïve 日本"}, {"5", "ada", `x, "y"`}, {"30", "ada", ""}}
	if err != nil || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v: %s", err, r.Out)
	}
	if r := d.run(t, "SELECT 1", "--csv", "--json"); r.Code != 1 || r.Err == "" {
		t.Errorf("two formats: %+v", r)
	}
}

// TestCliShowTablesCommand is story 0, scenario 4.
func TestCliShowTablesCommand(t *testing.T) {
	t.Parallel()
	d := newDesk(t, `CREATE USER TABLE first (id BIGINT); CREATE SHARED TABLE second (id BIGINT); CREATE STREAM TABLE third (id BIGINT) TTL 10`)
	c := d.prompt(t)
	for _, command := range []string{"SHOW TABLES;", `\dt`, `\d`} {
		if shown := c.Enter(command); !strings.Contains(shown, "first") || !strings.Contains(shown, "second") || !strings.Contains(shown, "third") {
			t.Errorf("%s shows\n%s", command, shown)
		}
	}
	if shown := c.Enter("SHOW TABLES IN nowhere_at_all;"); !strings.Contains(shown, "ERROR") {
		t.Errorf("a namespace that does not exist shows\n%s", shown)
	}
}

// TestCliDescribeTableCommand is story 0, scenario 5.
func TestCliDescribeTableCommand(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	r := d.run(t, "DESCRIBE messages")
	for _, want := range []string{`\| id +\| BIGINT +\| (false|NO) `, `\| user_id +\| TEXT +\| (false|NO) `, `\| content +\| TEXT +\| (true|YES) `} {
		if !regexp.MustCompile(want).MatchString(r.Out) {
			t.Errorf("%s is not in\n%s", want, r.Out)
		}
	}
	if shown := d.prompt(t).Enter(`\d messages`); !strings.Contains(shown, "user_id") {
		t.Errorf("\\d shows\n%s", shown)
	}
	if r := d.run(t, "DESCRIBE nothing"); r.Code != 1 || !strings.Contains(r.Err, "TABLE_NOT_FOUND") {
		t.Errorf("a table that does not exist: %+v", r)
	}
}

// TestCliWebsocketSubscription is story 0, scenarios 6 and 7: changes that
// others make are shown as they happen, with time and kind.
func TestCliWebsocketSubscription(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	c := d.prompt(t)
	c.Type("SUBSCRIBE TO messages;\r")
	c.Expect("Subscribed to messages (live id ")
	done := make(chan error, 1)
	go func() {
		_, err := d.user.Batch(harness.Context(t), `INSERT INTO messages VALUES (1, 'jamal', 'hello'); UPDATE messages SET content = 'bye' WHERE id = 1; DELETE FROM messages WHERE id = 1`)
		done <- err
	}()
	before := c.Expect("+ INSERT")
	if !regexp.MustCompile(`\d\d:\d\d:\d\d\.\d\d\d $`).MatchString(before) {
		t.Errorf("no time stands before the change: %q", before)
	}
	c.Expect("id=1  user_id=jamal  content=hello")
	c.Expect("~ UPDATE  id=1  user_id=jamal  content=hello → bye")
	c.Expect("- DELETE  id=1")
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.Type(harness.CtrlC)
	c.Expect(harness.Prompt)
	if shown := c.Enter("SUBSCRIBE TO nothing;"); !strings.Contains(shown, "TABLE_NOT_FOUND") {
		t.Errorf("a table that does not exist shows\n%s", shown)
	}
}

// TestCliSubscriptionWithFilter is story 0, scenario 6 with WHERE.
func TestCliSubscriptionWithFilter(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	c := d.prompt(t)
	c.Type("SUBSCRIBE TO messages WHERE user_id='jamal';\r")
	c.Expect("Subscribed to messages")
	for i := range 10 {
		harness.Exec(t, d.user, "INSERT INTO messages VALUES ($1, $2, 'x')", i, []string{"ada", "jamal"}[i%2])
	}
	c.Expect("id=9")
	c.Type(harness.CtrlC)
	c.Expect("5 changes")
	c.Expect(harness.Prompt)
	if shown := c.Enter("SUBSCRIBE TO messages WHERE nobody = 1;"); !strings.Contains(shown, "COLUMN_NOT_FOUND") {
		t.Errorf("a filter on no column shows\n%s", shown)
	}
}

// TestCliSubscriptionCancel is story 0, scenario 8: Ctrl+C ends the stream, on
// the server too, and the prompt is back.
func TestCliSubscriptionCancel(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	c := d.prompt(t)
	for range 2 {
		c.Type("SUBSCRIBE TO messages;\r")
		c.Expect("Ctrl+C stops")
		c.Type(harness.CtrlC)
		c.Expect("Subscription ended")
		c.Expect(harness.Prompt)
	}
	await(t, "the end of the live queries", func() bool {
		return harness.Query[int64](t, d.admin, "SELECT count(*) FROM system.live_queries WHERE namespace = $1", d.ns)[0] == 0
	})
	if shown := c.Enter("SELECT 7 AS still;"); !strings.Contains(shown, "|     7 |") {
		t.Errorf("after Ctrl+C the terminal shows\n%s", shown)
	}
}

// TestCliSubscriptionPauseResume is story 0 with \pause and \continue: what
// happens in between is held back, and then shown.
func TestCliSubscriptionPauseResume(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	c := d.prompt(t)
	c.Type("SUBSCRIBE TO messages;\r")
	c.Expect("Subscribed to messages")
	harness.Exec(t, d.user, "INSERT INTO messages VALUES (1, 'a', 'before')")
	c.Expect("content=before")
	c.Type("\\pause\r")
	c.Expect("Paused")
	harness.Exec(t, d.user, "INSERT INTO messages VALUES (2, 'a', 'meanwhile')")
	c.Type("\\continue\r")
	if held := c.Expect("Going on."); strings.Contains(held, "meanwhile") {
		t.Errorf("a paused stream shows\n%s", held)
	}
	c.Expect("content=meanwhile")
	harness.Exec(t, d.user, "INSERT INTO messages VALUES (3, 'a', 'after')")
	c.Expect("content=after")
	c.Type("\\quit\r")
	c.Expect("3 changes")
}

// TestCliConfigFileCreation is story 0, scenario 9: the first run writes host
// and user into the file, for nobody else to read, and no credential.
func TestCliConfigFileCreation(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	home := t.TempDir()
	c := harness.StartClientAt(t, home, d.args...)
	c.Expect(harness.Prompt)
	path := filepath.Join(home, ".kalam", "config.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[connection]", `"` + d.server.URL + `"`, `"jamal"`} {
		if !strings.Contains(strings.ReplaceAll(string(text), "'", `"`), want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "eyJ") || strings.Contains(string(text), "tenant") {
		t.Errorf("the file holds a token or a tenant:\n%s", text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	// What is there already stays.
	if err := os.WriteFile(path, []byte("[connection]\nhost = \"http://127.0.0.1:1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := harness.RunClient(t, home, "", append(d.args, "-e", "SELECT 1")...); r.Code != 0 {
		t.Errorf("%+v", r)
	}
	if again, err := os.ReadFile(path); err != nil || !strings.Contains(string(again), "127.0.0.1:1") {
		t.Errorf("the file became %s, %v", again, err)
	}
}

// TestCliConfigFileLoading is story 0, scenario 10: without flags the file
// counts, a flag counts more, and a broken file is named with its line.
func TestCliConfigFileLoading(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	d.fill(t)
	home := configured(t, fmt.Sprintf("[connection]\nhost = %q\nuser = \"jamal\"\ntoken = %q\nnamespace = %q\n[output]\nformat = \"csv\"\n",
		d.server.URL, harness.Token(t, "jamal", "user"), d.ns))
	if r := harness.RunClient(t, home, "", "-e", "SELECT count(*) AS n FROM messages"); r.Code != 0 || r.Out != "n\n5\n" {
		t.Errorf("by the file: %+v", r)
	}
	if r := harness.RunClient(t, home, "", "--json", "-e", "SELECT count(*) AS n FROM messages"); !json.Valid([]byte(r.Out)) {
		t.Errorf("by file and flag: %+v", r)
	}
	c := harness.StartClientAt(t, home)
	if welcome := c.Expect(harness.Prompt); !strings.Contains(welcome, d.server.URL) || !strings.Contains(welcome, "jamal") {
		t.Errorf("the welcome is\n%s", welcome)
	}
	for text, line := range map[string]string{"[connection]\nhost = http://x\n": ":2:", "[connection]\ntenant_id = \"x\"\n": ":2:", "[output]\nformat = \"xml\"\n": ":2"} {
		home := configured(t, text)
		if r := harness.RunClient(t, home, "", "-e", "SELECT 1"); r.Code != 1 || !strings.Contains(r.Err, "config.toml"+line) {
			t.Errorf("%q: %+v", text, r)
		}
	}
}

// TestCliConnectionToMultipleHosts is story 0 with \connect.
func TestCliConnectionToMultipleHosts(t *testing.T) {
	t.Parallel()
	first := newDesk(t, "")
	second := harness.Start(t)
	harness.Exec(t, second.Admin(t), "CREATE NAMESPACE only_on_the_second")
	c := harness.StartClient(t, "-h", first.server.URL)
	c.Expect(harness.Prompt)
	if shown := c.Enter("SHOW NAMESPACES;"); !strings.Contains(shown, first.ns) || strings.Contains(shown, "only_on_the_second") {
		t.Errorf("the first server shows\n%s", shown)
	}
	if shown := c.Enter(`\connect -h ` + second.URL); !strings.Contains(shown, second.URL) {
		t.Errorf("\\connect shows\n%s", shown)
	}
	if shown := c.Enter("SHOW NAMESPACES;"); strings.Contains(shown, first.ns) || !strings.Contains(shown, "only_on_the_second") {
		t.Errorf("the second server shows\n%s", shown)
	}
	// A server that is not there is no reason to leave the one that is.
	if shown := c.Enter(`\connect -h http://127.0.0.1:1`); !strings.Contains(shown, "127.0.0.1:1") || !strings.Contains(shown, "refused") {
		t.Errorf("\\connect to nobody shows\n%s", shown)
	}
	if shown := c.Enter("SHOW NAMESPACES;"); !strings.Contains(shown, "only_on_the_second") {
		t.Errorf("after the failed \\connect the terminal shows\n%s", shown)
	}
}

// TestCliHelpCommand is story 0, scenario 12.
func TestCliHelpCommand(t *testing.T) {
	t.Parallel()
	c := newDesk(t, "").prompt(t)
	shown := c.Enter(`\help`)
	for _, want := range []string{"SELECT", "INSERT", "CREATE", "SUBSCRIBE TO", "DESCRIBE", `\quit`, `\q`, `\help`, `\connect`, `\config`, `\flush`, `\health`, `\pause`, `\continue`} {
		if !strings.Contains(shown, want) {
			t.Errorf("\\help does not name %s", want)
		}
	}
	if shown := c.Enter(`\hepl`); !strings.Contains(shown, `\help`) {
		t.Errorf("a mistyped command shows\n%s", shown)
	}
	if r := harness.RunClient(t, "", "", "--help"); r.Code != 0 || !strings.Contains(r.Out, "--host") || !strings.Contains(r.Out, "--token") {
		t.Errorf("%+v", r)
	}
}

// TestCliQuitCommands is story 0, scenario 11.
func TestCliQuitCommands(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	for _, keys := range []string{"\\quit\r", "\\q\r", harness.CtrlD} {
		c := d.prompt(t)
		c.Type(keys)
		if code := c.Wait(); code != 0 {
			t.Errorf("%q ended with code %d", keys, code)
		}
	}
	if r := harness.RunClient(t, "", "SELECT 1;\n\\quit\nSELEC;\n", d.args...); r.Code != 0 || !strings.Contains(r.Out, "(1 row)") || r.Err != "" {
		t.Errorf("in a script: %+v", r)
	}
}

// TestCliJwtAuthentication is story 0, scenario 13: a token, by flag,
// environment or standard input, says who one is.
func TestCliJwtAuthentication(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, "KALAMDB_AUTH_LOCALHOST_BYPASS=false")
	token := harness.Token(t, "jamal", "user")
	for name, r := range map[string]harness.Ran{
		"flag":           harness.RunClient(t, "", "", "-h", s.URL, "--token", token, "--csv", "-e", "SELECT CURRENT_USER() AS who"),
		"with its user":  harness.RunClient(t, "", "", "-h", s.URL, "-u", "jamal", "--token", token, "--csv", "-e", "SELECT CURRENT_USER() AS who"),
		"standard input": harness.RunClient(t, "", token+"\n", "-h", s.URL, "--token-stdin", "--csv", "-e", "SELECT CURRENT_USER() AS who"),
	} {
		if r.Code != 0 || r.Out != "who\njamal\n" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := harness.RunClient(t, "", "", "-h", s.URL, "-u", "ada", "--token", token, "-e", "SELECT 1"); r.Code == 0 || !strings.Contains(r.Err, "ada") && !strings.Contains(strings.ToLower(r.Err), "user") {
		t.Errorf("as somebody else: %+v", r)
	}
}

// TestCliInvalidTokenError is story 0, scenario 13 with credentials that are
// none.
func TestCliInvalidTokenError(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	expired := harness.Sign(t, harness.Secret, map[string]any{"user_id": "jamal", "exp": time.Now().Add(-time.Hour).Unix()})
	endless := harness.Sign(t, harness.Secret, map[string]any{"user_id": "jamal"})
	forged := harness.Sign(t, "another secret that is long enough for HS256", map[string]any{"user_id": "jamal", "exp": time.Now().Add(time.Hour).Unix()})
	for name, token := range map[string]string{"no token": "invalid", "expired": expired, "without end": endless, "forged": forged, "alg none": "eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoiamFtYWwiLCJleHAiOjQxMDAwMDAwMDB9."} {
		r := harness.RunClient(t, "", "", "-h", s.URL, "--token", token, "-e", "SELECT 1")
		if r.Code != 2 || !strings.Contains(r.Err, "authentication failed") || strings.Count(strings.TrimSpace(r.Err), "\n") != 0 || strings.Contains(r.Err, token) && len(token) > 20 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	c := harness.StartClient(t, "-h", s.URL, "--token", "invalid")
	c.Expect("authentication failed")
	if code := c.Wait(); code != 2 {
		t.Errorf("the session ended with code %d", code)
	}
}

// TestCliLocalhostBypassMode is story 0 with FR-054 to FR-056: a local client
// needs no token and is the configured user, unless the server says otherwise.
func TestCliLocalhostBypassMode(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env  []string
		args []string
		out  string
		code int
	}{
		"default":    {nil, nil, "who\nsystem\n", 0},
		"configured": {[]string{"KALAMDB_AUTH_LOCALHOST_USER=dev"}, nil, "who\ndev\n", 0},
		"named":      {nil, []string{"-u", "ada"}, "who\nada\n", 0},
		"off":        {[]string{"KALAMDB_AUTH_LOCALHOST_BYPASS=false"}, nil, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, tc.env...)
			r := harness.RunClient(t, "", "", append([]string{"-h", s.URL, "--csv", "-e", "SELECT CURRENT_USER() AS who"}, tc.args...)...)
			if r.Out != tc.out || r.Code != tc.code {
				t.Errorf("%+v, want %q", r, tc.out)
			}
		})
	}
}

// TestCliBatchFileExecution is story 0, scenario 14: a file's statements run in
// order; a failing one is named with file and line, and the rest goes on.
func TestCliBatchFileExecution(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "test.sql")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("-- three statements; one comment\nINSERT INTO messages VALUES (1, 'jamal', 'semi;colon');\nSELECT content\n  FROM messages;\nSELECT 3 AS last")
	r := harness.RunClient(t, "", "", append(d.args, "--file", good)...)
	if r.Code != 0 || !strings.Contains(r.Out, "1 row inserted") || !strings.Contains(r.Out, "semi;colon") || !strings.Contains(r.Out, "| last |") {
		t.Errorf("%+v", r)
	}
	bad := write("SELECT 1 AS a;\n\nSELECT * FROM nothing;\nSELECT 2 AS b;\n")
	r = harness.RunClient(t, "", "", append(d.args, "--file", bad)...)
	if r.Code != 1 || !strings.Contains(r.Err, "test.sql:3: ERROR TABLE_NOT_FOUND") || !strings.Contains(r.Out, "| a |") || !strings.Contains(r.Out, "| b |") {
		t.Errorf("a failing statement: %+v", r)
	}
	r = harness.RunClient(t, "", "", append(d.args, "-v", "ON_ERROR_STOP=1", "--file", bad)...)
	if r.Code != 3 || strings.Contains(r.Out, "| b |") {
		t.Errorf("with ON_ERROR_STOP: %+v", r)
	}
	if r = harness.RunClient(t, "", "", append(d.args, "--file", bad+".missing")...); r.Code != 1 || !strings.Contains(r.Err, "no such file") {
		t.Errorf("no file: %+v", r)
	}
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "INSERT INTO messages VALUES (%d, 'bulk', 'x');\n", 1000+i)
	}
	if r = harness.RunClient(t, "", "", append(d.args, "--file", write(many.String()))...); r.Code != 0 {
		t.Errorf("100 statements: %+v", r)
	}
	if n := harness.Query[int64](t, d.user, "SELECT count(*) FROM messages WHERE user_id = 'bulk'")[0]; n != 100 {
		t.Errorf("%d of 100 statements ran", n)
	}
}

// TestCliSyntaxErrorHandling is story 0 with FR-CLI-048: the place, and what
// was probably meant.
func TestCliSyntaxErrorHandling(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	c := d.prompt(t)
	shown := c.Enter("SELEC * FROM;")
	for _, want := range []string{"ERROR INVALID_SQL", "LINE 1: SELEC * FROM", "^", "Did you mean SELECT?"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in\n%s", want, shown)
		}
	}
	if shown = c.Enter("SELECT conten FROM messages;"); !strings.Contains(shown, "COLUMN_NOT_FOUND") || !strings.Contains(shown, "content") {
		t.Errorf("a mistyped column shows\n%s", shown)
	}
	if shown = c.Enter("SELECT 1/0;"); !strings.Contains(shown, "DIVISION_BY_ZERO") {
		t.Errorf("a division by zero shows\n%s", shown)
	}
	if r := d.run(t, "SELEC 1"); r.Code != 1 || r.Out != "" {
		t.Errorf("%+v", r)
	}
}

// TestCliConnectionFailureHandling is story 0 with FR-CLI-047: one clear line
// and no prompt.
func TestCliConnectionFailureHandling(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"http://nonexistent:9999": "cannot connect to http://nonexistent:9999", "http://127.0.0.1:1": "connection refused"} {
		r := harness.RunClient(t, "", "", "-h", host, "--timeout", "20s", "-e", "SELECT 1")
		if r.Code != 2 || !strings.Contains(r.Err, want) || strings.Count(r.Err, "\n") != 1 || r.Out != "" {
			t.Errorf("%s: %+v", host, r)
		}
	}
	c := harness.StartClient(t, "-h", "http://127.0.0.1:1")
	if code := c.Wait(); code != 2 {
		t.Errorf("the session ended with code %d", code)
	}
	// A server that goes away leaves the prompt, and is found again.
	s := harness.Start(t)
	c = harness.StartClient(t, "-h", s.URL)
	c.Expect(harness.Prompt)
	s.Kill()
	if shown := c.Enter("SELECT 1;"); !strings.Contains(shown, "cannot connect to "+s.URL) {
		t.Errorf("without the server the terminal shows\n%s", shown)
	}
	s.Restart()
	if shown := c.Enter("SELECT 1 AS back;"); !strings.Contains(shown, "| back |") {
		t.Errorf("with the server back the terminal shows\n%s", shown)
	}
}

// TestCliFlushCommand is story 0 with \flush: the flush is done when the prompt
// is back, and tells what it did.
func TestCliFlushCommand(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	d.fill(t)
	c := harness.StartClient(t, "-h", d.server.URL, "-n", d.ns)
	c.Expect(harness.Prompt)
	shown := c.Enter(`\flush ` + d.ns + `.messages`)
	if !strings.Contains(shown, "records_flushed") || !strings.Contains(shown, "5") || !strings.Contains(shown, "messages") {
		t.Errorf("\\flush shows\n%s", shown)
	}
	if got := tableStats(t, d.admin, "messages"); got.BufferedRows != 0 || got.FlushedRows != 5 {
		t.Errorf("the table has %+v", got)
	}
	if shown := c.Enter(`\flush nothing`); !strings.Contains(shown, "TABLE_NOT_FOUND") {
		t.Errorf("a table that does not exist shows\n%s", shown)
	}
	if r := d.run(t, `\flush messages`); r.Code != 1 || !strings.Contains(r.Err, "PERMISSION_DENIED") {
		t.Errorf("a user flushes: %+v", r)
	}
}

// TestCliHealthCheckCommand is story 0 with \health.
func TestCliHealthCheckCommand(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	shown := d.prompt(t).Enter(`\health`)
	for _, want := range []string{"healthy", "uptime", "version"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in\n%s", want, shown)
		}
	}
	if r := harness.RunClient(t, "", "", "-h", d.server.URL, "ping", "-c", "2"); r.Code != 0 {
		t.Errorf("ping: %+v", r)
	}
	if r := harness.RunClient(t, "", "", "-h", "http://127.0.0.1:1", "ping", "-c", "1"); r.Code == 0 {
		t.Errorf("ping of nobody: %+v", r)
	}
}

// TestCliColorOutputToggle is story 0 with --color.
func TestCliColorOutputToggle(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	for flag, colored := range map[string]bool{"--color=true": true, "--color=false": false, "--color=auto": false} {
		if r := d.run(t, "SELECT NULL AS x, 1 AS y", flag); r.Code != 0 || strings.Contains(r.Out, "\x1b[") != colored {
			t.Errorf("%s: %+v", flag, r)
		}
	}
	if r := d.run(t, "SELECT 1", "--color=perhaps"); r.Code != 1 || r.Err == "" {
		t.Errorf("a bad value: %+v", r)
	}
}

// TestCliSubscriptionLastRows is story 0 with story 9, scenario 2: through the
// command line, too, the newest rows come before the changes, by the
// configuration or the statement.
func TestCliSubscriptionLastRows(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	for i := 1; i <= 6; i++ {
		harness.Exec(t, d.user, "INSERT INTO messages VALUES ($1, 'x', 'y')", i)
	}
	home := configured(t, "[subscription]\nlast_rows = 3\n")
	c := harness.StartClientAt(t, home, d.args...)
	c.Expect(harness.Prompt)
	c.Type("SUBSCRIBE TO messages;\r")
	c.Expect("Subscribed to messages")
	first := c.Expect("id=4")
	if strings.Contains(first, "id=3") {
		t.Errorf("more than 3 rows came:\n%s", first)
	}
	c.Expect("id=5")
	c.Expect("id=6")
	harness.Exec(t, d.user, "INSERT INTO messages VALUES (7, 'x', 'y')")
	c.Expect("+ INSERT  id=7")
	c.Type(harness.CtrlC)
	c.Expect(harness.Prompt)
	c.Type("SUBSCRIBE TO messages OPTIONS (last_rows = 1);\r")
	c.Expect("Subscribed to messages")
	if between := c.Expect("id=7"); strings.Contains(between, "id=6") {
		t.Errorf("more than one row came:\n%s", between)
	}
	c.Type(harness.CtrlC)
	c.Expect(harness.Prompt)
}

// TestCliMultipleSessions is story 0: two sessions at the same time know
// nothing of each other's namespace.
func TestCliMultipleSessions(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	other := newDesk(t, "CREATE USER TABLE messages (other TEXT)")
	args := d.args[:len(d.args)-2] // without a namespace
	one, two := harness.StartClient(t, args...), harness.StartClient(t, args...)
	one.Expect(harness.Prompt)
	two.Expect(harness.Prompt)
	one.Enter("USE " + d.ns + ";")
	if shown := two.Enter("SELECT * FROM messages;"); !strings.Contains(shown, "ERROR") {
		t.Errorf("the namespace of one session is that of the other:\n%s", shown)
	}
	two.Enter("USE " + other.ns + ";")
	one.Enter("INSERT INTO messages VALUES (1, 'jamal', 'one');")
	two.Enter("INSERT INTO messages VALUES ('two');")
	if shown := one.Enter("SELECT * FROM messages;"); !strings.Contains(shown, "| one ") || strings.Contains(shown, "two") {
		t.Errorf("the first session shows\n%s", shown)
	}
	if shown := two.Enter("SELECT * FROM messages;"); !strings.Contains(shown, "| two ") || strings.Contains(shown, "jamal") {
		t.Errorf("the second session shows\n%s", shown)
	}
}

// TestCliSessionTimeoutHandling is story 0: a session that the server has
// forgotten goes on where it was, or says clearly what is missing.
func TestCliSessionTimeoutHandling(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, "KALAMDB_SESSION_IDLE_TIMEOUT=100ms")
	harness.Exec(t, s.Admin(t), "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT)")
	c := harness.StartClient(t, "-h", s.URL, "-u", "jamal")
	c.Expect(harness.Prompt)
	c.Enter("USE app;")
	watcher := s.Admin(t)
	await(t, "the end of the session", func() bool {
		return harness.Query[int64](t, watcher, "SELECT count(*) FROM system.sessions WHERE user_id = 'jamal'")[0] == 0
	})
	if shown := c.Enter("INSERT INTO t VALUES (1);"); !strings.Contains(shown, "1 row inserted") {
		t.Errorf("after the timeout the terminal shows\n%s", shown)
	}
}

// TestCliInteractiveHistory is story 0 with FR-CLI-049 and FR-CLI-050.
func TestCliInteractiveHistory(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	home := t.TempDir()
	const up = "\x1b[A"
	c := harness.StartClientAt(t, home, d.args...)
	c.Expect(harness.Prompt)
	for _, sql := range []string{"SELECT 1 AS first;", "SELECT 2 AS second;", "SELECT 3 AS third;"} {
		c.Enter(sql)
	}
	c.Type(up + up)
	c.Expect("SELECT 2 AS second")
	c.Type("\r")
	c.Expect("|      2 |")
	c.Expect(harness.Prompt)
	c.Type("\\q\r")
	c.Wait()
	again := harness.StartClientAt(t, home, d.args...)
	again.Expect(harness.Prompt)
	again.Type(up + up + up)
	again.Expect("SELECT 3 AS third")
	again.Type("\r")
	again.Expect("|     3 |")
	if text, err := os.ReadFile(filepath.Join(home, ".kalam", "history")); err != nil || strings.Contains(string(text), "eyJ") {
		t.Errorf("the history is %s, %v", text, err)
	}
}

// TestCliAutocompleteSelect is story 0, scenario 15.
func TestCliAutocompleteSelect(t *testing.T) {
	t.Parallel()
	c := newDesk(t, "").prompt(t)
	c.Type("SEL\t")
	c.Expect("SELECT")
	c.Type("41+1 AS completed;\r")
	c.Expect("|        42 |")
	c.Expect(harness.Prompt)
	c.Type("sel\t")
	c.Expect("select")
	c.Type("40+1 AS lower;\r")
	c.Expect("|    41 |")
}

// TestCliAutocompleteMultipleMatches is story 0, scenario 16.
func TestCliAutocompleteMultipleMatches(t *testing.T) {
	t.Parallel()
	c := newDesk(t, "").prompt(t)
	c.Type("CRE\t")
	c.Expect("CREATE")
	c.Type(harness.CtrlC)
	c.Expect(harness.Prompt)
	c.Type("D\t")
	c.Expect("DELETE")
	c.Expect("DROP")
	c.Type(harness.CtrlC)
	c.Expect(harness.Prompt)
	// Nothing begins like this, and the line stays as it was typed.
	c.Type("XYZ\t")
	c.Type(harness.CtrlC)
	c.Expect(harness.Prompt)
	if shown := c.Enter("SELECT 5 AS fine;"); !strings.Contains(shown, "|    5 |") {
		t.Errorf("after TAB on nothing the terminal shows\n%s", shown)
	}
}

// TestCliAutocompleteSqlKeywords is story 0, scenario 16 on an empty line.
func TestCliAutocompleteSqlKeywords(t *testing.T) {
	t.Parallel()
	c := newDesk(t, "").prompt(t)
	c.Type("\t")
	c.ExpectAll("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "SHOW", "DESCRIBE")
}

// TestKalamLinkIndependentUsage is story 0: the library alone connects,
// queries and reports errors.
func TestKalamLinkIndependentUsage(t *testing.T) {
	t.Parallel()
	s := harness.Shared(t)
	ns := s.Namespace(t)
	ctx := harness.Context(t)
	c, err := link.Connect(ctx, s.URL, link.WithUser("jamal"), link.WithToken(harness.Token(t, "jamal", "user")), link.WithNamespace(ns))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if h, err := c.Health(ctx); err != nil || h.Status != "healthy" || h.Version == "" {
		t.Errorf("health: %+v, %v", h, err)
	}
	harness.Exec(t, s.Admin(t, link.WithNamespace(ns)), cliTable)
	harness.Exec(t, c, "INSERT INTO messages VALUES ($1, $2, $3), (9223372036854775807, 'x', NULL)", 1, "jamal", "hi")
	type row struct {
		ID      int64
		UserID  string
		Content *string
	}
	got := harness.Query[row](t, c, "SELECT * FROM messages ORDER BY id")
	if len(got) != 2 || got[0].ID != 1 || *got[0].Content != "hi" || got[1].ID != 9223372036854775807 || got[1].Content != nil {
		t.Errorf("%+v", got)
	}
	if _, err := c.Exec(ctx, "SELEC"); link.CodeOf(err) != link.CodeInvalidSQL {
		t.Errorf("bad SQL: %v", err)
	}
	if err := c.QueryRow(ctx, "SELECT id FROM messages WHERE id = 5").Scan(new(int64)); err != link.ErrNoRows {
		t.Errorf("no row: %v", err)
	}
	if _, err := link.Connect(ctx, s.URL, link.WithToken("invalid")); link.CodeOf(err) != link.CodeUnauthenticated {
		t.Errorf("a bad token: %v", err)
	}
	if _, err := link.Connect(ctx, "http://127.0.0.1:1"); err == nil {
		t.Error("connected to nobody")
	}
}

// TestKalamLinkWebsocketSubscription is story 0: the library alone subscribes
// and hears what happens.
func TestKalamLinkWebsocketSubscription(t *testing.T) {
	t.Parallel()
	d := newDesk(t, cliTable)
	sub := subscribe(t, d.user, "SELECT id, content FROM messages WHERE user_id = $1", link.Params("jamal"))
	e, err := sub.Next(harness.Context(t))
	if err != nil || e.Kind != link.EventReady || len(e.Columns) != 2 || e.LiveID == "" {
		t.Errorf("the first event is %+v, %v", e, err)
	}
	harness.Exec(t, d.user, "INSERT INTO messages VALUES (1, 'jamal', 'a'), (2, 'ada', 'b'), (3, 'jamal', 'c')")
	events := rows(t, sub, 2)
	if field[int64](t, events[0].Row, "id") != 1 || field[int64](t, events[1].Row, "id") != 3 {
		t.Errorf("heard %v", events)
	}
	_ = sub.Close()
	if _, err := sub.Next(harness.Context(t)); err != link.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
	// link also understands the statement of the command line.
	by := subscribe(t, d.user, "SUBSCRIBE TO messages WHERE user_id = 'ada' OPTIONS (last_rows = 5)")
	if e := rows(t, by, 1)[0]; e.Kind != link.EventInitial || field[int64](t, e.Row, "id") != 2 {
		t.Errorf("SUBSCRIBE TO gives %s %v", e.Kind, e.Row)
	}
}
