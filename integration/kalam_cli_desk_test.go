package integration

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// desk is one test's place for kalam-cli: a namespace, and the arguments that
// connect a user to it.
type desk struct {
	server *harness.Server
	ns     string
	admin  *link.Client
	user   *link.Client
	args   []string
}

// newDesk makes a namespace in which the statements were run.
func newDesk(t *testing.T, statements string) *desk {
	t.Helper()
	s := harness.Shared(t)
	ns := s.Namespace(t)
	d := &desk{server: s, ns: ns, admin: s.Admin(t, link.WithNamespace(ns)), user: s.As(t, "jamal", link.WithNamespace(ns))}
	if statements != "" {
		harness.Exec(t, d.admin, statements)
	}
	d.args = []string{"-h", s.URL, "-u", "jamal", "--token", harness.Token(t, "jamal", "user"), "-n", ns}
	return d
}

// run runs statements by -e.
func (d *desk) run(t *testing.T, sql string, flags ...string) harness.Ran {
	t.Helper()
	return harness.RunClient(t, "", "", slices.Concat(d.args, flags, []string{"-e", sql})...)
}

// prompt starts an interactive session and waits for its prompt.
func (d *desk) prompt(t *testing.T, flags ...string) *harness.Terminal {
	t.Helper()
	c := harness.StartClient(t, slices.Concat(d.args, flags)...)
	c.Expect(harness.Prompt)
	return c
}

const cliTable = `CREATE USER TABLE messages (id BIGINT PRIMARY KEY, user_id TEXT NOT NULL, content TEXT)`

// fill inserts five messages.
func (d *desk) fill(t *testing.T) {
	t.Helper()
	harness.Exec(t, d.user, `INSERT INTO messages VALUES (1, 'jamal', 'hi'), (2, 'jamal', 'a longer message'), (30, 'ada', NULL), (4, 'ada', 'naïve 日本'), (5, 'ada', 'x, "y"')`)
}

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := harness.Context(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come", what)
		case <-tick.C:
		}
	}
}

// configured writes a configuration file and gives its home directory.
func configured(t *testing.T, text string) string {
	t.Helper()
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".kalam"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".kalam", "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}
