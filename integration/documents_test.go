package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// pages gives every Markdown page of the repository by its path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	root := harness.Root()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || slices.Contains([]string{"bin", "dist", "data", "node_modules", "testdata"}, d.Name())) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		out[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d pages were found", len(out))
	}
	return out
}

var (
	fence    = regexp.MustCompile("(?ms)^ *```(\\w*)\\n(.*?)^ *```$")
	codeSpan = regexp.MustCompile("`[^`\n]*`")
	pageLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.*)$`)
)

// anchors gives the anchors of a page's headings, as GitHub and most others
// make them.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, m[1])
		out = append(out, slug)
	}
	return out
}

// badLinks gives the links of a page that lead nowhere.
func badLinks(path, text string, all map[string]string) (bad []string) {
	prose := codeSpan.ReplaceAllString(fence.ReplaceAllString(text, ""), "")
	for _, m := range pageLink.FindAllStringSubmatch(prose, -1) {
		target, anchor, _ := strings.Cut(m[1], "#")
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		to := path
		if target != "" {
			to = filepath.ToSlash(filepath.Join(filepath.Dir(path), target))
			if _, err := os.Stat(filepath.Join(harness.Root(), filepath.FromSlash(to))); err != nil || strings.HasPrefix(to, "..") {
				bad = append(bad, m[1])
				continue
			}
		}
		if anchor != "" && !slices.Contains(anchors(all[to]), anchor) {
			bad = append(bad, m[1])
		}
	}
	return bad
}

// TestLinksLead follows every relative link of every page, and its anchor
// (FR-063, FR-096).
func TestLinksLead(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for path, text := range all {
		for _, l := range badLinks(path, text, all) {
			t.Errorf("%s: %s leads nowhere", path, l)
		}
	}
	for text, want := range map[string]int{
		"[a](README.md) [b](docs/build/README.md#building-and-testing) [c](https://example.com) `[d](nothing)`": 0,
		"[a](nothing.md)": 1, "[a](README.md#nothing)": 1, "[a](../outside.md)": 1, "# A b!\n[a](#a-b)": 0, "[a](#a)": 1,
		"```text\n[a](nothing)\n```\n[b](docs)": 0,
	} {
		if got := badLinks("page.md", text, map[string]string{"page.md": text, "README.md": all["README.md"], "docs/build/README.md": all["docs/build/README.md"]}); len(got) != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestDecisionsSayWhy is SC-DOC-004: every decision tells its context, the
// choice and what it costs, and those of the specification are among them.
func TestDecisionsSayWhy(t *testing.T) {
	t.Parallel()
	var titles []string
	for path, text := range pages(t) {
		if !strings.HasPrefix(path, "docs/architecture/decisions/") {
			continue
		}
		title, _, _ := strings.Cut(text, "\n")
		titles = append(titles, strings.ToLower(title))
		for _, part := range []string{"Context", "Choice", "Cost"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no %s", path, part)
			}
		}
	}
	for _, about := range []string{"cache", "flush"} {
		if !slices.ContainsFunc(titles, func(title string) bool { return strings.Contains(title, about) }) {
			t.Errorf("no decision is about %s", about)
		}
	}
}

// TestReadmeSaysWhatItMust is FR-064 and FR-065: Parquet at most once, clients
// connect directly, and the way from nothing to a first query is there.
func TestReadmeSaysWhatItMust(t *testing.T) {
	t.Parallel()
	text := pages(t)["README.md"]
	if n := strings.Count(strings.ToLower(text), "parquet"); n > 1 {
		t.Errorf("Parquet is named %d times", n)
	}
	for _, want := range []string{"directly to the server", "go run ./server", "make test", "## Limits", "PocketBase", "Supabase", "SurrealDB", "Convex", "PostgreSQL"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

// example runs the examples of one page, in their order, against a server of
// its own, as a local user named jamal.
type example struct {
	t      *testing.T
	server *harness.Server
	client *link.Client
	// folder stands for /srv, bin holds the programs that the commands name.
	folder, bin string
}

// takenForGranted is what a page's examples need and do not make.
var takenForGranted = map[string]string{
	"docs/architecture/operations.md": "CREATE NAMESPACE app; CREATE USER TABLE app.messages (id BIGINT PRIMARY KEY); INSERT INTO app.messages VALUES (1)",
}

// TestDocumentedExamples runs what README and docs show: shell commands, SQL
// with its errors, configuration, Go programs, messages. Whatever is no input
// is marked as text.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	for path, text := range pages(t) {
		if path != "README.md" && !strings.HasPrefix(path, "docs/") || !fence.MatchString(text) {
			continue
		}
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var e *example
			for _, m := range fence.FindAllStringSubmatch(text, -1) {
				if e == nil && slices.Contains([]string{"bash", "sql", "toml", "json"}, m[1]) {
					e = newExample(t)
					if sql := takenForGranted[path]; sql != "" {
						harness.Exec(t, e.client, sql)
					}
				}
				switch m[1] {
				case "bash":
					e.shell(m[2])
				case "sql":
					e.sql(m[2])
				case "toml":
					e.toml(m[2])
				case "json":
					e.message(m[2])
				case "go":
					if !excerpt(t, path, ".go", m[2]) {
						compile(t, m[2])
					}
				case "js":
					if !excerpt(t, path, ".js", m[2]) {
						t.Errorf("no program beside the page has\n%s", m[2])
					}
				case "text", "mermaid", "syntax":
				default:
					t.Errorf("a block is marked %q: mark what is no input as text\n%s", m[1], m[2])
				}
			}
		})
	}
}

func newExample(t *testing.T) *example {
	e := &example{t: t, server: harness.Start(t), folder: t.TempDir(), bin: t.TempDir()}
	e.client = e.server.Admin(t, link.WithUser("jamal"))
	port := e.server.URL[strings.LastIndexByte(e.server.URL, ':')+1:]
	curl, _ := exec.LookPath("curl")
	// What the commands begin with: the built programs in the place of go run,
	// curl with the server that runs in the place of port 8080.
	for name, script := range map[string]string{
		"go": `case "$1 $2" in
"run ./server") shift 2; [ $# = 0 ] && exit 0; exec ` + harness.ServerBinary(t) + ` "$@";;
"run ./cli/cmd/kalam-cli") shift 2; exec ` + harness.ClientBinary(t) + ` -h ` + e.server.URL + ` "$@" </dev/null;;
"test "*|"build "*) exit 0;;
"run ./"*) [ -d "` + harness.Root() + `/$2" ] && exit 0;;
esac
echo "unexpected: go $*" >&2; exit 9`,
		"curl": `exec ` + curl + ` --fail-with-body --max-time 60 --connect-to localhost:8080:127.0.0.1:` + port + ` "$@"`,
		"make": `cd ` + harness.Root() + ` && exec /usr/bin/env -i PATH="$REAL_PATH" HOME="$HOME" make -n "$@" >/dev/null`,
	} {
		if err := os.WriteFile(filepath.Join(e.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// shell runs a block of commands; none may fail.
func (e *example) shell(script string) {
	e.t.Helper()
	for _, need := range []string{"bash", "curl", "make"} {
		if _, err := exec.LookPath(need); err != nil {
			e.t.Logf("not run, as there is no %s:\n%s", need, script)
			return
		}
	}
	cmd := exec.CommandContext(harness.Context(e.t), "bash", "-eu", "-o", "pipefail", "-c", script)
	cmd.Dir = e.server.Dir
	cmd.Env = append(os.Environ(), "PATH="+e.bin+string(os.PathListSeparator)+os.Getenv("PATH"), "REAL_PATH="+os.Getenv("PATH"), "HOME="+e.folder)
	cmd.Env = append(cmd.Env, e.server.Environment()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		e.t.Errorf("%v\n%s\n%s", err, script, out)
	}
	if strings.Contains(string(out), `"status":"error"`) {
		e.t.Errorf("the answer is an error\n%s\n%s", script, out)
	}
}

var fails = regexp.MustCompile(`-- fails: (\w+)`)

// sql runs a block's statements; those with the comment fails: CODE must.
func (e *example) sql(block string) {
	e.t.Helper()
	var statement strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(block, "'/srv", "'"+e.folder)) {
		code, _, _ := strings.Cut(line, "-- ")
		statement.WriteString(code)
		if !strings.HasSuffix(strings.TrimSpace(code), ";") {
			continue
		}
		want := link.Code("")
		if m := fails.FindStringSubmatch(line); m != nil {
			want = link.Code(m[1])
		}
		if _, err := e.client.Exec(harness.Context(e.t), statement.String()); link.CodeOf(err) != want || err != nil && want == "" {
			e.t.Errorf("%s: %v, want %q", strings.TrimSpace(statement.String()), err, want)
		}
		statement.Reset()
	}
	if rest := strings.TrimSpace(statement.String()); rest != "" {
		e.t.Errorf("no semicolon ends %s", rest)
	}
}

// toml has the server read a configuration.
func (e *example) toml(text string) {
	e.t.Helper()
	file := filepath.Join(e.folder, "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
	if out, code := e.server.Command("--config", file, "config"); code != 0 {
		e.t.Errorf("exit code %d\n%s\n%s", code, text, out)
	}
}

// message sends a message over WebSocket, which must be taken.
func (e *example) message(text string) {
	e.t.Helper()
	var m struct {
		Subscriptions []json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil || len(m.Subscriptions) == 0 {
		e.t.Errorf("%v\n%s", err, text)
		return
	}
	s := e.server.Socket(e.t, "jamal")
	defer s.Close()
	if err := s.Send(json.RawMessage(text)); err != nil {
		e.t.Fatal(err)
	}
	answer, err := s.ReadText(time.Minute)
	if err != nil || !strings.Contains(string(answer), `"subscription_ack"`) {
		e.t.Errorf("%s is answered %s, %v", text, answer, err)
	}
}

// excerpt tells whether a block is a part of a program beside its page, which
// tests of its own run.
func excerpt(t *testing.T, page, ext, block string) (found bool) {
	t.Helper()
	flat := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	dir := filepath.Join(harness.Root(), filepath.FromSlash(filepath.Dir(page)))
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ext {
			return err
		}
		text, err := os.ReadFile(path)
		found = found || strings.Contains(flat(string(text)), flat(block))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// compile builds a Go example: a program, or the body of a function that has a
// context and returns an error.
func compile(t *testing.T, body string) {
	t.Helper()
	program := body
	if !strings.HasPrefix(body, "package ") {
		program = fmt.Sprintf(`package main

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/link"
)

func main() { fmt.Println(example(context.Background())) }

func example(ctx context.Context) error {
%s
	return nil
}
`, body)
	}
	dir := t.TempDir()
	file, overlay := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(harness.Root(), "link", "documentedexample", "main.go"): file}})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{file: []byte(program), overlay: replace} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(harness.Context(t), "go", "build", "-overlay", overlay, "-o", filepath.Join(dir, "program"), "./link/documentedexample")
	cmd.Dir = harness.Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, body, out)
	}
}
