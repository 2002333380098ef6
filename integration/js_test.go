package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// jsClient builds the client for JavaScript and gives its folder.
func jsClient(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(harness.Root(), "link", "js")
	// Another test, or somebody at work, may load the files at the same time:
	// they appear whole or not at all.
	dist := filepath.Join(dir, "dist")
	if err := os.MkdirAll(dist, 0o755); err != nil {
		t.Fatal(err)
	}
	build := filepath.Join(t.TempDir(), "kalamdb.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", build, "./link/js/wasm")
	cmd.Dir = harness.Root()
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the client: %v\n%s", err, out)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	for from, name := range map[string]string{
		build: "kalamdb.wasm",
		filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js"): "wasm_exec.js",
	} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		whole := filepath.Join(dist, name+".new")
		if err := os.WriteFile(whole, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(whole, filepath.Join(dist, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// controller is what a program in JavaScript asks to do things from outside,
// and where a browser loads it from.
type controller struct {
	*httptest.Server
	done chan string // what a page says at its end: nothing, or what went wrong
}

// newController starts a controller and the server that the program will use,
// which lets in pages of the controller's origin.
func newController(t *testing.T, dir string) *controller {
	c := &controller{done: make(chan string, 1)}
	mux := http.NewServeMux()
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	server := harness.Start(t, "KALAMDB_SERVER_ALLOWED_ORIGINS="+c.URL)
	admin := server.Admin(t)
	harness.Exec(t, admin, "CREATE NAMESPACE js; CREATE USER TABLE js.messages (id BIGINT PRIMARY KEY, room TEXT, body TEXT)")
	token := harness.Token(t, "ada", "admin")
	mux.Handle("GET /js/", http.StripPrefix("/js/", http.FileServer(http.Dir(dir))))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(dir, "test", "page.html"))
	})
	answer := func(do func(body []byte) (any, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			var out any
			if err == nil {
				out, err = do(body)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(w).Encode(out)
		}
	}
	insert := func(body []byte) (any, error) {
		var in struct{ Insert []int }
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		db, err := link.Connect(t.Context(), server.URL, link.WithToken(token))
		if err != nil {
			return nil, err
		}
		defer db.Close()
		for _, id := range in.Insert {
			if _, err := db.Exec(t.Context(), "INSERT INTO js.messages VALUES ($1, 'go', 'from outside')", id); err != nil {
				return nil, err
			}
		}
		return struct{}{}, nil
	}
	mux.Handle("POST /config", answer(func([]byte) (any, error) {
		return map[string]string{"url": server.URL, "token": token, "namespace": "js"}, nil
	}))
	mux.Handle("POST /step/insert", answer(insert))
	mux.Handle("POST /step/restart", answer(func(body []byte) (any, error) {
		server.Kill()
		server.Restart()
		return insert(body)
	}))
	mux.Handle("POST /done", answer(func(body []byte) (any, error) {
		var in struct{ Error string }
		err := json.Unmarshal(body, &in)
		c.done <- in.Error
		return struct{}{}, err
	}))
	return c
}

// TestJavaScriptInNode runs the JavaScript client in Node.js: queries, errors,
// live queries, a server that is killed, and resuming.
func TestJavaScriptInNode(t *testing.T) {
	harness.NeedDurable(t)
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("Node.js is not installed: the JavaScript client was not run in it")
	}
	out, err := exec.Command(node, "-p", "process.versions.node.split('.')[0]").Output()
	if err != nil {
		t.Fatal(err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	if major < 20 {
		t.Skipf("Node.js %d has no WebSocket: the JavaScript client was not run in it", major)
	}
	dir := jsClient(t)
	c := newController(t, dir)
	args := []string{filepath.Join(dir, "test", "node.mjs"), c.URL}
	if major < 22 {
		args = append([]string{"--experimental-websocket"}, args...)
	}
	cmd := exec.CommandContext(harness.Context(t), node, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestJavaScriptInBrowser runs the same in a page in headless Chromium, whose
// origin is not the server's.
func TestJavaScriptInBrowser(t *testing.T) {
	harness.NeedDurable(t)
	browser := harness.StartBrowser(t)
	c := newController(t, jsClient(t))
	browser.Open(c.URL)
	select {
	case problem := <-c.done:
		if problem != "" {
			t.Fatal(problem)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the page said nothing")
	}
}
