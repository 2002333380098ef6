package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// testConfig is a server of its own on a free port, in memory.
func testConfig(t testing.TB) config.Config {
	c := config.Default()
	c.Server.Port = 0
	c.Data.Dir = filepath.Join(t.TempDir(), "data")
	c.Store.Backend = config.BackendMemory
	c.Storage.DefaultLocation = filepath.Join(c.Data.Dir, "storage")
	return c
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start starts a server that the end of the test stops.
func start(t testing.TB, c config.Config) *Server {
	s := New(c, quiet())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// answer is a decoded answer with its HTTP status.
type answer struct {
	wire.SQLResponse
	HTTP int
	Text string
}

// post sends statements; headers are name, value, …
func post(t testing.TB, s *Server, body any, headers ...string) answer {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	status, text, _ := send(t, s, string(b), headers...)
	a := answer{HTTP: status, Text: text}
	if err := json.Unmarshal([]byte(text), &a.SQLResponse); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return a
}

// send sends any body to where statements go.
func send(t testing.TB, s *Server, body string, headers ...string) (status int, text string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+wire.PathSQL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return roundTrip(t, r, headers)
}

// roundTrip sends a request with further headers.
func roundTrip(t testing.TB, r *http.Request, headers []string) (status int, body string, header http.Header) {
	t.Helper()
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res.StatusCode, "", res.Header // what follows is a connection
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// tryPost sends a body and gives the HTTP status; ok is false when the server
// is not there any more.
func tryPost(t testing.TB, s *Server, body, user string) (status int, ok bool) {
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+wire.PathSQL, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, false
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(wire.HeaderUserID, user)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, true
}

func health(t testing.TB, url string) (int, wire.Health) {
	t.Helper()
	res, err := http.Get(url + wire.PathHealth)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var h wire.Health
	if err := json.NewDecoder(res.Body).Decode(&h); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, h
}

func TestStartAndStop(t *testing.T) {
	c := testConfig(t)
	c.Store.Backend = config.BackendBadger
	for range 2 { // the second start finds the data of the first
		s := New(c, quiet())
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status, h := health(t, s.URL()); status != 200 || h.Status != wire.Healthy {
			t.Error(status, h)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if conn, err := net.Dial("tcp", s.Addr().String()); err == nil {
			conn.Close()
			t.Error("a stopped server still listens")
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := testConfig(t)
	c.Server.Port = ln.Addr().(*net.TCPAddr).Port
	err = New(c, quiet()).Start(t.Context())
	if !errors.Is(err, ErrListen) || !strings.Contains(err.Error(), fmt.Sprintf("KALAMDB_SERVER_PORT=%d", c.Server.Port+1)) {
		t.Error(err)
	}
	if _, err := os.Stat(c.Data.Dir); !os.IsNotExist(err) {
		t.Error("the data directory was touched before the port was there")
	}
}

func TestDataDirectoryInUse(t *testing.T) {
	c := testConfig(t)
	c.Store.Backend = config.BackendBadger
	start(t, c)
	second := New(c, quiet())
	err := second.Start(t.Context())
	if !errors.Is(err, ErrData) || !strings.Contains(err.Error(), "in use by another server") {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", second.Addr().String()); err == nil {
		conn.Close()
		t.Error("a server that did not start still listens")
	}
}

func TestDataDirectoryThatCannotBe(t *testing.T) {
	c := testConfig(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Data.Dir = filepath.Join(file, "data")
	err := New(c, quiet()).Start(t.Context())
	if !errors.Is(err, ErrData) || !strings.Contains(err.Error(), "KALAMDB_DATA_DIR") {
		t.Fatal(err)
	}
}

func TestBadTLSFiles(t *testing.T) {
	c := testConfig(t)
	c.Server.TLSCert, c.Server.TLSKey = "no.pem", "no.key"
	if err := New(c, quiet()).Start(t.Context()); !errors.Is(err, ErrListen) || !strings.Contains(err.Error(), "server.tls_cert") {
		t.Error(err)
	}
}

func TestConnectionLimit(t *testing.T) {
	c := testConfig(t)
	c.Server.MaxConnections = 2
	s := start(t, c)
	open := func() net.Conn {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	// ask tells whether the server answers on a connection.
	ask := func(conn net.Conn) bool {
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", wire.PathHealth)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _ := conn.Read(make([]byte, 16))
		return n > 0
	}
	a, b := open(), open()
	defer b.Close()
	if !ask(a) || !ask(b) {
		t.Fatal("connections within the limit are refused")
	}
	over := open()
	if ask(over) {
		t.Error("a connection beyond the limit is answered")
	}
	over.Close()
	a.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		again := open()
		ok := ask(again)
		again.Close()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a closed connection does not give its place back")
		}
	}
}

func TestSlowHeadersEndTheConnection(t *testing.T) {
	c := testConfig(t)
	c.Server.RequestTimeout = config.Duration(50 * time.Millisecond)
	s := start(t, c)
	for _, half := range []string{
		"POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",                                                       // the head never ends
		"POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", // nor the body
	} {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, half)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadAll(conn); err != nil {
			t.Errorf("the server holds on to a slow client: %v", err)
		}
		conn.Close()
	}
}

func TestPprofAddress(t *testing.T) {
	c := testConfig(t)
	c.Server.PprofAddr = "127.0.0.1:0"
	s := start(t, c)
	res, err := http.Get("http://" + s.pprof.Addr().String() + "/debug/pprof/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res, err = http.Get(s.URL() + "/debug/pprof/"); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 404 {
		t.Error("the profiler is on the public port")
	}
}
