package harness

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/syncbuf"
)

// Browser is a headless Chromium, steered through its debugging protocol.
type Browser struct {
	t   testing.TB
	log syncbuf.Buffer
	out io.Writer
	in  *bufio.Reader

	mu   sync.Mutex
	last int
}

// StartBrowser starts Chromium, or skips the test where there is none. It ends
// with the test.
func StartBrowser(t testing.TB) *Browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("skipped: Chromium is not installed, no page was tried in a browser")
	}
	args := []string{
		"--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir=" + filepath.Join(t.TempDir(), "profile"), "--remote-debugging-pipe",
	}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // which root cannot have
	}
	b := &Browser{t: t}
	fromUs, toBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromBrowser, toUs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b.out, b.in = toBrowser, bufio.NewReader(fromBrowser)
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &b.log, &b.log
	cmd.ExtraFiles = []*os.File{fromUs, toUs} // descriptors 3 and 4
	err = cmd.Start()
	_ = errors.Join(fromUs.Close(), toUs.Close())
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		_ = cmd.Process.Kill()
		_ = errors.Join(cmd.Wait(), toBrowser.Close(), fromBrowser.Close())
		if t.Failed() {
			t.Logf("the browser's log:\n%s", b.Log())
		}
	})
	return b
}

// Log is what the browser has written so far.
func (b *Browser) Log() string { return b.log.String() }

// call sends a command and reads until its answer; events are left out.
func (b *Browser) call(session, method string, params, result any) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	command := map[string]any{"id": b.last, "method": method, "params": params}
	if session != "" {
		command["sessionId"] = session
	}
	message, err := json.Marshal(command)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.out.Write(append(message, 0)); err != nil {
		b.t.Fatalf("the browser ended: %v", err)
	}
	for {
		text, err := b.in.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("the browser ended before it answered %s: %v", method, err)
		}
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  json.RawMessage
		}
		if err := json.Unmarshal(text[:len(text)-1], &answer); err != nil {
			b.t.Fatal(err)
		}
		if answer.ID != b.last {
			continue
		}
		if answer.Error != nil {
			b.t.Fatalf("%s: %s", method, answer.Error)
		}
		if err := json.Unmarshal(answer.Result, result); err != nil {
			b.t.Fatal(err)
		}
		return
	}
}

// Page is a page in a browser, with cookies of its own.
type Page struct {
	browser *Browser
	session string
}

// Open loads a page that shares nothing with the browser's other pages.
func (b *Browser) Open(url string) *Page {
	b.t.Helper()
	var made struct{ BrowserContextID, TargetID, SessionID string }
	b.call("", "Target.createBrowserContext", map[string]any{}, &made)
	b.call("", "Target.createTarget", map[string]any{"url": url, "browserContextId": made.BrowserContextID}, &made)
	b.call("", "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &made)
	return &Page{browser: b, session: made.SessionID}
}

// Eval runs JavaScript in the page, waits for the promise that it gives, and
// reads its value.
func (p *Page) Eval(script string, value any) {
	p.browser.t.Helper()
	var out struct {
		Result struct {
			Value       json.RawMessage
			Description string
		}
		ExceptionDetails json.RawMessage
	}
	p.browser.call(p.session, "Runtime.evaluate", map[string]any{
		"expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true,
	}, &out)
	if out.ExceptionDetails != nil {
		p.browser.t.Fatalf("%s: %s %s", script, out.Result.Description, out.ExceptionDetails)
	}
	if value == nil {
		return
	}
	if err := json.Unmarshal(out.Result.Value, value); err != nil {
		p.browser.t.Fatalf("%s gave %q: %v", script, out.Result.Value, err)
	}
}

// Wait waits until a condition in JavaScript holds.
func (p *Page) Wait(condition string) {
	p.browser.t.Helper()
	for end := time.Now().Add(Limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var holds bool
		if p.Eval("Boolean("+condition+")", &holds); holds {
			return
		}
	}
	var seen string
	p.Eval("document.documentElement.outerHTML", &seen)
	p.browser.t.Fatalf("the page never came to %s; it is\n%s", condition, seen)
}
