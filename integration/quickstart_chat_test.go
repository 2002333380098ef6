package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// chatExample is the running example of docs/quickstart/chat.
type chatExample struct {
	url    string
	server *harness.Server
	cmd    *exec.Cmd
	args   []string
	env    []string
}

// startChat builds and starts the example beside a server of its own.
func startChat(t *testing.T) *chatExample {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := &chatExample{url: "http://" + addr}
	c.server = harness.Start(t, "KALAMDB_SERVER_ALLOWED_ORIGINS="+c.url)
	program := filepath.Join(t.TempDir(), "chat")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join(harness.Root(), "docs", "quickstart", "chat")
	build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the example: %v\n%s", err, out)
	}
	c.args = []string{program, "-listen", addr, "-database", c.server.URL, "-js", filepath.Join(harness.Root(), "link", "js"), "-pause", "20ms"}
	c.env = append(os.Environ(), "KALAMDB_AUTH_JWT_SECRET="+harness.Secret)
	c.start(t)
	t.Cleanup(func() { c.end() })
	return c
}

func (c *chatExample) start(t *testing.T) {
	t.Helper()
	var log bytes.Buffer
	c.cmd = exec.Command(c.args[0], c.args[1:]...)
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = c.env, &log, &log
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(harness.Limit); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(c.url)
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		if time.Now().After(end) {
			c.end()
			t.Fatalf("the example does not answer: %v\n%s", err, log.String())
		}
	}
}

func (c *chatExample) end() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// enter signs a person in, and gives the token for the database.
func (c *chatExample) enter(t *testing.T, user, password string) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Jar: jar, Timeout: harness.Limit}
	body, err := json.Marshal(map[string]string{"user": user, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := web.Post(c.url+"/login", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return ""
	}
	if resp, err = web.Get(c.url + "/token"); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct{ User, Database, Token string }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	if out.User != user || out.Database != c.server.URL {
		t.Fatalf("%+v", out)
	}
	return out.Token
}

func connectAs(t *testing.T, url, token string) *link.Client {
	t.Helper()
	db, err := link.Connect(harness.Context(t), url, link.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestQuickstartChat runs the example of docs/quickstart/chat as a Go client
// sees it: who may sign in, an answer that comes token by token and is kept as
// a whole, a question that was asked while the agent was away, and nothing of
// it for anybody else.
func TestQuickstartChat(t *testing.T) {
	t.Parallel()
	harness.NeedDurable(t)
	c := startChat(t)
	if c.enter(t, "ada", "wrong") != "" || c.enter(t, "nobody", "") != "" {
		t.Error("somebody was let in with a wrong password")
	}
	if resp, err := http.Get(c.url + "/token"); err != nil {
		t.Fatal(err)
	} else if _ = resp.Body.Close(); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token without a login: %s", resp.Status)
	}

	ctx := harness.Context(t)
	ada := connectAs(t, c.server.URL, c.enter(t, "ada", "lovelace"))
	tokens, err := ada.Subscribe(ctx, "SELECT * FROM chat.tokens")
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	messages, err := ada.Subscribe(ctx, "SELECT * FROM chat.messages WHERE author = 'agent'")
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Close()
	if _, err := ada.Exec(ctx, "INSERT INTO chat.messages (author, body) VALUES ('user', 'how?')"); err != nil {
		t.Fatal(err)
	}
	whole := nextCell[string](t, ctx, messages, "body")
	if !strings.Contains(whole, "“how?”") {
		t.Errorf("the answer %q does not answer", whole)
	}
	var typed strings.Builder
	for n := int64(0); typed.Len() < len(whole); n++ {
		typed.WriteString(nextCell[string](t, ctx, tokens, "token"))
	}
	if typed.String() != whole {
		t.Errorf("typed %q, kept %q", typed.String(), whole)
	}

	// Alan has the same tables and none of the rows, and may not act for ada.
	alanToken := c.enter(t, "alan", "turing")
	alan := connectAs(t, c.server.URL, alanToken)
	for _, table := range []string{"chat.messages", "chat.tokens"} {
		var n int
		if err := alan.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != 0 {
			t.Errorf("alan sees %d rows of %s, %v", n, table, err)
		}
	}
	if posing, err := link.Connect(ctx, c.server.URL, link.WithToken(alanToken), link.WithUser("ada")); err == nil {
		var n int
		if err := posing.QueryRow(ctx, "SELECT count(*) FROM chat.messages").Scan(&n); err == nil {
			t.Errorf("alan, as ada, reads %d messages", n)
		}
		_ = posing.Close()
	}

	// What is asked while the agent is away is answered when it is back, and
	// what it answered is not answered again.
	c.end()
	if _, err := ada.Exec(ctx, "INSERT INTO chat.messages (author, body) VALUES ('user', 'anybody?')"); err != nil {
		t.Fatal(err)
	}
	c.start(t)
	c.enter(t, "ada", "lovelace")
	if second := nextCell[string](t, ctx, messages, "body"); !strings.Contains(second, "“anybody?”") {
		t.Errorf("the second answer is %q", second)
	}
	var n int
	if err := ada.QueryRow(ctx, "SELECT count(*) FROM chat.messages").Scan(&n); err != nil || n != 4 {
		t.Errorf("%d messages, %v; want two questions and two answers", n, err)
	}
}

// nextCell waits for the next row of a live query and gives one of its columns.
func nextCell[T any](t *testing.T, ctx context.Context, sub *link.Subscription, column string) T {
	t.Helper()
	for {
		event, err := sub.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !event.Kind.HasRow() {
			continue
		}
		v, ok := event.Row.Get(column)
		if !ok {
			t.Fatalf("no column %s", column)
		}
		out, ok := v.(T)
		if !ok {
			t.Fatalf("%s is a %T", column, v)
		}
		return out
	}
}

// TestQuickstartChatInBrowser chats with the example's page in Chromium, as
// two people at once.
func TestQuickstartChatInBrowser(t *testing.T) {
	harness.NeedDurable(t)
	browser := harness.StartBrowser(t)
	jsClient(t)
	c := startChat(t)
	enter := func(user, password string) *harness.Page {
		p := browser.Open(c.url)
		p.Wait(`document.getElementById('login') && !document.getElementById('login').hidden`)
		p.Eval(`(() => { const f = document.getElementById('login'); f.elements.user.value = '`+user+`'; f.elements.password.value = '`+password+`'; f.requestSubmit(); })()`, nil)
		return p
	}
	wrong := enter("ada", "babbage")
	wrong.Wait(`document.getElementById('state').textContent.includes('wrong')`)

	ada, alan := enter("ada", "lovelace"), enter("alan", "turing")
	for _, p := range []*harness.Page{ada, alan} {
		p.Wait(`!document.getElementById('chat').hidden`)
	}
	ask := func(p *harness.Page, what string) {
		p.Eval(`(() => {
			window.typing = new Set();
			new MutationObserver(() => document.querySelectorAll('li.typing').forEach((li) => window.typing.add(li.textContent)))
				.observe(document.getElementById('messages'), { childList: true, subtree: true, characterData: true });
			const f = document.getElementById('ask'); f.elements.body.value = '`+what+`'; f.requestSubmit();
		})()`, nil)
	}
	ask(ada, "what is a loom?")
	ada.Wait(`document.querySelectorAll('li.agent:not(.typing)').length === 1 && !document.querySelector('li.typing')`)
	var steps int
	if ada.Eval(`window.typing.size`, &steps); steps < 3 {
		t.Errorf("the page showed %d states of the answer while it was typed", steps)
	}
	var texts []string
	ada.Eval(`[...document.querySelectorAll('#messages li')].map((li) => li.textContent)`, &texts)
	if len(texts) != 2 || texts[0] != "what is a loom?" || !strings.Contains(texts[1], "“what is a loom?”") {
		t.Errorf("the page shows %q", texts)
	}

	// Alan's page is his own: it shows his question and nothing of ada's.
	ask(alan, "and a tape?")
	alan.Wait(`document.querySelectorAll('li.agent:not(.typing)').length === 1`)
	alan.Eval(`[...document.querySelectorAll('#messages li')].map((li) => li.textContent)`, &texts)
	if len(texts) != 2 || strings.Contains(strings.Join(texts, " "), "loom") {
		t.Errorf("alan's page shows %q", texts)
	}

	// Loaded again, the page shows what was said.
	ada.Eval(`location.reload()`, nil)
	ada.Wait(`document.querySelectorAll('li.agent:not(.typing)').length === 1 && document.querySelectorAll('li.user').length === 1`)
	resp, err := http.Get(c.url + "/chat.js")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.Header.Get("Content-Security-Policy") == "" || len(body) == 0 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}
