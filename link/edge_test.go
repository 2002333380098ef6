package link

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// How does `kalam-link` handle API endpoint URL changes without code
// recompilation? The address is a value, and may have a path: every endpoint is
// below it.
func TestEndpointsMoveWithTheAddress(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path] = true
		mu.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, wire.PathHealth):
			io.WriteString(w, `{"status":"healthy","version":"1.0","api_version":"v1","uptime_seconds":3}`)
		case strings.HasSuffix(r.URL.Path, wire.PathSQL):
			io.WriteString(w, `{"status":"success","results":[{"columns":["a"],"rows":[[1]],"row_count":1}]}`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(srv.Close)
	for _, base := range []string{"", "/moved", "/behind/a/proxy/"} {
		c, err := Connect(t.Context(), srv.URL+base)
		if err != nil {
			t.Fatalf("%q: %v", base, err)
		}
		if _, err := c.Exec(t.Context(), "SELECT 1"); err != nil {
			t.Errorf("%q: %v", base, err)
		}
		if _, err := c.Health(t.Context()); err != nil {
			t.Errorf("%q: %v", base, err)
		}
		if _, err := c.Subscribe(t.Context(), "SELECT 1"); CodeOf(err) != CodeUnauthenticated {
			t.Errorf("%q: the handshake gives %v", base, err)
		}
		for _, path := range []string{wire.PathSQL, wire.PathHealth, wire.PathWS} {
			if want := strings.TrimSuffix(base, "/") + path; !asked[want] {
				t.Errorf("%q: %s was not asked for, but %v", base, want, asked)
			}
		}
		c.Close()
	}
}

// What happens when `kalam-link` receives malformed JSON from the server? It is
// a ProtocolError, whatever is wrong, or a lost connection where the answer ends
// too early; it is never rows that nobody sent, and never a panic.
func TestMalformedAnswers(t *testing.T) {
	for _, body := range []string{
		"", "{", "[]", "null", "true", `"text"`, "<html>", `{"status":"success","results":[{"columns":["a"],"rows":[[1`,
		`{"status":"success","results":{}}`, `{"status":"success","results":[{"columns":["a"],"rows":[[1]}]}`, `{"results":[{"columns":"a","rows":[[1]]}]}`,
		`{"results":[{"columns":["a"],"rows":[5]}]}`,
		strings.Repeat("[", 100_000), `{"status":` + strings.Repeat(`{"a":`, 50_000),
		// What RFC 8259 does not allow is no JSON either.
		`{"results":[{"columns":["a"],"rows":[[01]]}]}`, `{"results":[{"columns":["a"],"rows":[[1.]]}]}`, `{"results":[{"columns":["a"],"rows":[{"a":.5}]}]}`,
		"{\"results\":[{\"columns\":[\"a\"],\"rows\":[[\"line\nbreak\"]]}]}", "{\"results\":[{\"columns\":[\"a\"],\"rows\":[{\"\x00\":1}]}]}",
		`{"results":[{"columns":["a"],"rows":[["\q"]]}]}`, `{"results":[{"columns":["a"],"rows":[[nul]]}]}`, `{"results":[{"columns":["a"],"rows":[[{"b":01}]]}]}`,
		`{"results":[{"columns":["a"],"rows":[[1,]]}]}`, `{"status":yes,"results":[]}`, "{\"sta\ntus\":1,\"results\":[]}", `{"results":[]} {}`,
		`{"results":[{"columns":["a"],"properties":{"b":+1},"rows":[]}]}`,
	} {
		c := clientFor(t, replies(200, body))
		rows, err := c.Query(t.Context(), "INSERT INTO t VALUES (1)") // which is not repeated
		n := 0
		if err == nil {
			for rows.Next() {
				n++
			}
			rows.NextResult()
			err = rows.Err()
			rows.Close()
		}
		if n > strings.Count(body, "[1]") || !isProtocol(err) && !isTransport(err) {
			t.Errorf("%.60q gives %d rows and %v", body, n, err)
		}
		if isProtocol(err) && CodeOf(err) != CodeInvalidAnswer {
			t.Errorf("%.60q has the code %q", body, CodeOf(err))
		}
	}
}

func TestSkipDamagedIsAsked(t *testing.T) {
	c := clientFor(t, func(w http.ResponseWriter, r *http.Request) {
		var req wire.SQLRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"status":"success","results":[{"columns":["a"],"rows":[[%q]],"row_count":1,"message":"1 file damaged or missing, and left out: f"}]}`, req.Options.Damaged)
	})
	for want, c := range map[string]*Client{"": c, "skip": c.With(WithSkipDamaged())} {
		rows, err := c.Query(t.Context(), "SELECT 1")
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for rows.Next() {
			if err := rows.Scan(&got); err != nil {
				t.Fatal(err)
			}
		}
		if rows.Err() != nil || got != want || !strings.Contains(rows.Summary().Message, "left out: f") {
			t.Errorf("asked %q, want %q; the message is %q; %v", got, want, rows.Summary().Message, rows.Err())
		}
		rows.Close()
	}
}

// How does `kalam-link` behave in WebAssembly context when attempting to access
// file system or OS-specific features? It does not attempt to: nothing of it
// imports what would.
func TestUsesNothingOfTheMachine(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			switch first, _, _ := strings.Cut(path, "/"); {
			case first == "os", first == "syscall", path == "path/filepath", path == "plugin", path == "unsafe", strings.HasPrefix(path, "golang.org/x/sys"):
				t.Errorf("%s imports %s", e.Name(), path)
			}
		}
	}
	if files < 10 {
		t.Errorf("only %d files were looked at", files)
	}
}
