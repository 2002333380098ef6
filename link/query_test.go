package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
)

func clientFor(t *testing.T, h http.HandlerFunc, opts ...Option) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	opts = append([]Option{WithRetry(RetryPolicy{BaseDelay: time.Millisecond})}, opts...)
	c, err := New(srv.URL, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func replies(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestQueryDecodesWhateverOrderAndForm(t *testing.T) {
	want := `[[9007199254740993 hi true 2025-10-21 10:00:00.123456 +0000 UTC <nil>] [-1  false <nil> 1.5]]`
	for name, body := range map[string]string{
		"arrays": `{"status":"success","took_ms":1.5,"results":[{"columns":["id","text","ok","at","f"],
			"schema":[{"name":"id","type":"BIGINT"},{"name":"text","type":"TEXT"},{"name":"ok","type":"BOOLEAN"},{"name":"at","type":"TIMESTAMP"},{"name":"f","type":"DOUBLE"}],
			"rows":[[9007199254740993,"hi",true,"2025-10-21T10:00:00.123456Z",null],[-1,"",false,null,1.5]],"row_count":2}]}`,
		"objects": `{"status":"success","results":[{"columns":["id","text","ok","at","f"],
			"schema":[{"name":"id","type":"BIGINT"},{"name":"text","type":"TEXT"},{"name":"ok","type":"BOOLEAN"},{"name":"at","type":"TIMESTAMP"},{"name":"f","type":"DOUBLE"}],
			"rows":[{"id":9007199254740993,"text":"hi","ok":true,"at":"2025-10-21T10:00:00.123456Z","f":null},{"id":-1,"text":"","ok":false,"at":null,"f":1.5}],"row_count":2}],"took_ms":1.5}`,
		"integers as text, unknown keys": ` { "new" : {"a":[1,{"b":"}"}]}, "results" : [ {"x":null, "columns":["id","text","ok","at","f"],
			"schema":[{"name":"id","type":"BIGINT"},{"name":"text","type":"TEXT"},{"name":"ok","type":"BOOLEAN"},{"name":"at","type":"TIMESTAMP"},{"name":"f","type":"DOUBLE"}],
			"rows" : [ ["9007199254740993" , "hi",true,"2025-10-21T10:00:00.123456Z",null] , [ "-1","",false,null,1.5 ] ], "y":"]" } ], "status":"success" } `,
	} {
		t.Run(name, func(t *testing.T) {
			c := clientFor(t, replies(200, body))
			rows, err := c.Query(t.Context(), "SELECT 1")
			if err != nil {
				t.Fatal(err)
			}
			if got := rows.Columns()[3]; got != (Column{Name: "at", Type: "TIMESTAMP"}) {
				t.Errorf("column 3 is %v", got)
			}
			var all []any
			for rows.Next() {
				v, err := rows.Record().Values()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, v)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(all); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if rows.NextResult() {
				t.Error("a second result appeared")
			}
		})
	}
}

func TestBatchGivesWhatSucceededAndTheError(t *testing.T) {
	c := clientFor(t, replies(404, `{"status":"error","took_ms":0.4,"results":[{"columns":[],"row_count":3,"message":"3 rows inserted"},
		{"columns":["a"],"schema":[{"name":"a","type":"INT"}],"rows":[[1],[2]],"row_count":2,"execution_time_ms":2.5}],
		"error":{"code":"TABLE_NOT_FOUND","sqlstate":"42P01","message":"Statement 3 failed: table app.x does not exist","details":"SELECT * FROM app.x","hint":"Create it.","statement":3,"line":1,"column":15}}`))
	res, err := c.Batch(t.Context(), "INSERT …; SELECT …; SELECT * FROM app.x")
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	want := &Error{Code: CodeTableNotFound, SQLState: "42P01", Message: "Statement 3 failed: table app.x does not exist",
		Details: "SELECT * FROM app.x", Hint: "Create it.", Statement: 3, Line: 1, Column: 15, HTTPStatus: 404}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("got  %+v\nwant %+v", e, want)
	}
	if len(res) != 2 || res[0].RowCount != 3 || res[0].Message != "3 rows inserted" || len(res[1].Rows) != 2 || res[1].ExecutionTime != 2500*time.Microsecond {
		t.Errorf("results %+v", res)
	}
	if v, _ := res[1].Rows[1].Get("a"); v != int64(2) {
		t.Errorf("row 1 is %v", v)
	}
	if !errors.Is(err, &Error{Code: CodeTableNotFound}) || CodeOf(fmt.Errorf("wrapped: %w", err)) != CodeTableNotFound {
		t.Error("the code is not found in the chain")
	}
}

func TestErrorsAreTold(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		check  func(error) bool
	}{
		{"coded", 400, `{"status":"error","results":[],"error":{"code":"INVALID_SQL","message":"no"}}`,
			func(err error) bool { return CodeOf(err) == CodeInvalidSQL }},
		{"error before results", 400, `{"error":{"code":"INVALID_SQL","message":"no"},"results":[]}`,
			func(err error) bool { return CodeOf(err) == CodeInvalidSQL }},
		{"bare 401", 401, `{}`, func(err error) bool { return CodeOf(err) == CodeUnauthenticated }},
		{"no JSON", 200, `hello`, isProtocol},
		{"cut off", 200, `{"status":"success","results":[`, isTransport},
		{"wrong nesting", 200, `{"results":[}`, isProtocol},
		{"array at the top", 200, `[]`, isProtocol},
		{"success with an error status", 500, `{"status":"success","results":[]}`, isProtocol},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := clientFor(t, replies(tc.status, tc.body))
			_, err := c.Query(t.Context(), "SELECT 1")
			if err == nil || !tc.check(err) {
				t.Errorf("error %T %v", err, err)
			}
		})
	}
}

func TestOne(t *testing.T) {
	type row struct {
		A int
		M map[string]int
		L []string
	}
	c := clientFor(t, replies(200, `{"results":[{"columns":["a","m","l"],"schema":[{"name":"a","type":"INT"},{"name":"m","type":"JSON"},{"name":"l","type":"JSON"}],"rows":[[1,null,null],[2,{"x":3},["y"]]],"row_count":2}]}`))
	r, err := One[row](c.Query(t.Context(), "SELECT"))
	if err != nil || r.A != 1 || r.M != nil || r.L != nil {
		t.Errorf("%+v, %v", r, err)
	}
	all, err := Collect[row](c.Query(t.Context(), "SELECT"))
	if err != nil || len(all) != 2 || all[1].M["x"] != 3 || all[1].L[0] != "y" {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := One[row](nil, ErrClosed); err != ErrClosed {
		t.Errorf("the query's error became %v", err)
	}
	if _, err := One[string](c.Query(t.Context(), "SELECT")); err == nil {
		t.Error("three columns went into one variable")
	}
	c = clientFor(t, replies(200, `{"results":[{"columns":["a"],"rows":[],"row_count":0}]}`))
	if _, err := One[int](c.Query(t.Context(), "SELECT")); err != ErrNoRows {
		t.Errorf("no row gives %v", err)
	}
}

func isProtocol(err error) bool  { _, ok := errors.AsType[*ProtocolError](err); return ok }
func isTransport(err error) bool { _, ok := errors.AsType[*TransportError](err); return ok }

// What happens when `kalam-link` receives malformed JSON from the server? In an
// answer; TestMalformedMessageIsALostConnection has it in a stream.
func TestProxyPageIsNoAnswer(t *testing.T) {
	c := clientFor(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(502)
		io.WriteString(w, "<h1>Bad Gateway</h1>")
	})
	_, err := c.Query(t.Context(), "SELECT 1")
	var pe *ProtocolError
	if !errors.As(err, &pe) || pe.Status != 502 || !strings.Contains(err.Error(), "Bad Gateway") {
		t.Errorf("error %v", err)
	}
}

func TestErrorInTheMiddleOfRows(t *testing.T) {
	c := clientFor(t, replies(200, `{"results":[{"columns":["a"],"rows":[[1]]}],"status":"error","error":{"code":"TIMEOUT","message":"too long"}}`))
	rows, err := c.Query(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	rows.NextResult()
	if n != 1 || CodeOf(rows.Err()) != CodeTimeout {
		t.Errorf("%d rows, error %v", n, rows.Err())
	}
}

func TestHeaders(t *testing.T) {
	var got http.Header
	var body wire.SQLRequest
	c := clientFor(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		json.NewDecoder(r.Body).Decode(&body)
		io.WriteString(w, `{"status":"success","results":[]}`)
	}, WithUser("ada"), WithToken("tok"), WithAPIKey("key"), WithNamespace("app"), WithSession("s-1"))
	if _, err := c.Exec(t.Context(), "SELECT $1", int64(1)<<62); err != nil {
		t.Fatal(err)
	}
	for h, want := range map[string]string{
		"X-USER-ID": "ada", "Authorization": "Bearer tok", "X-API-KEY": "key", "X-SESSION-ID": "s-1",
		"X-NAMESPACE": "app", "Content-Type": "application/json", "X-TENANT-ID": "",
	} {
		if got.Get(h) != want {
			t.Errorf("%s is %q, want %q", h, got.Get(h), want)
		}
	}
	if body.NamespaceID != "app" || string(body.Params[0]) != "4611686018427387904" {
		t.Errorf("body %+v", body)
	}
	other := c.With(WithUser("eve"))
	if other.Session() == c.Session() || other.User() != "eve" || c.User() != "ada" {
		t.Error("With shares what it must not")
	}
}

// breaking answers the first n requests by cutting the connection after it has
// read them.
func breaking(n int64, count *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if count.Add(1) <= n {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
			return
		}
		io.WriteString(w, `{"status":"success","results":[{"columns":["a"],"rows":[[1]],"row_count":1}]}`)
	}
}

func TestOnlyReadsAreSentTwice(t *testing.T) {
	for sql, retried := range map[string]bool{
		"SELECT 1":                                    true,
		"-- why\n /* x */ show tables;":               true,
		"INSERT INTO t VALUES (1)":                    false,
		"SELECT 1; DELETE FROM t":                     false,
		"WITH x AS (SELECT 1) INSERT INTO t SELECT 1": false,
		"EXPLAIN ANALYZE DELETE FROM t":               false,
	} {
		t.Run(sql, func(t *testing.T) {
			var count atomic.Int64
			c := clientFor(t, breaking(1, &count))
			_, err := c.Exec(t.Context(), sql)
			if retried && (err != nil || count.Load() != 2) {
				t.Errorf("%d requests, error %v", count.Load(), err)
			}
			var te *TransportError
			if !retried && (count.Load() != 1 || !errors.As(err, &te) || !te.Sent) {
				t.Errorf("%d requests, error %v", count.Load(), err)
			}
		})
	}
}

func TestFailedDialIsRetriedForWritesToo(t *testing.T) {
	srv := httptest.NewServer(replies(200, `{"status":"success","results":[{"columns":[],"row_count":1}]}`))
	t.Cleanup(srv.Close)
	var dials atomic.Int64
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1) < 3 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	c, _ := New(srv.URL, WithHTTPClient(&http.Client{Transport: tr}), WithRetry(RetryPolicy{BaseDelay: time.Millisecond}))
	if _, err := c.Exec(t.Context(), "INSERT INTO t VALUES (1)"); err != nil || dials.Load() != 3 {
		t.Errorf("%d dials, error %v", dials.Load(), err)
	}
}

func TestNoServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	_, err = Connect(t.Context(), addr, WithRetry(RetryPolicy{Attempts: 1}))
	var te *TransportError
	if !errors.As(err, &te) || te.Op != "connect" || te.Sent || te.URL != "http://"+addr {
		t.Errorf("error %#v", err)
	}
}

// How does `kalam-link` handle HTTP redirect responses?
func TestRedirects(t *testing.T) {
	var leaked atomic.Bool
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { leaked.Store(true) }))
	t.Cleanup(foreign.Close)
	to := func(target string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/moved") {
				b, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, `{"status":"success","results":[{"columns":["n"],"rows":[[%d]]}]}`, len(b))
				return
			}
			http.Redirect(w, r, target, status)
		}
	}
	opts := []Option{WithToken("secret"), WithAPIKey("secret"), WithUser("ada")}
	c := clientFor(t, to(foreign.URL+"/v1/api/sql", 307), opts...)
	if _, err := c.Query(t.Context(), "SELECT 1"); !isProtocol(err) || leaked.Load() {
		t.Errorf("redirect to another host: %v, leaked %v", err, leaked.Load())
	}
	if _, err := c.Subscribe(t.Context(), "SELECT 1"); err == nil || leaked.Load() {
		t.Errorf("redirect of the handshake: %v, leaked %v", err, leaked.Load())
	}
	c = clientFor(t, to("/moved", 302), opts...)
	if _, err := c.Query(t.Context(), "SELECT 1"); !isProtocol(err) {
		t.Errorf("redirect that loses the statement: %v", err)
	}
	c = clientFor(t, to("/moved", 308), opts...)
	var n int
	if err := c.QueryRow(t.Context(), "SELECT 1").Scan(&n); err != nil || n == 0 {
		t.Errorf("redirect on the same host: %d bytes, %v", n, err)
	}
}

func TestCancelReachesTheServer(t *testing.T) {
	gone := make(chan struct{})
	c := clientFor(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"results":[{"columns":["a"],"rows":[[1],`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := c.Query(ctx, "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	rows.Next()
	cancel()
	if rows.Next() || !errors.Is(rows.Err(), context.Canceled) {
		t.Errorf("error %v", rows.Err())
	}
	<-gone
}

func TestTimeoutCoversTheAnswersBeginningOnly(t *testing.T) {
	release := make(chan struct{})
	c := clientFor(t, func(w http.ResponseWriter, r *http.Request) { <-release }, WithTimeout(20*time.Millisecond))
	_, err := c.Query(t.Context(), "SELECT 1")
	close(release)
	if !errors.Is(err, errTimeout) {
		t.Errorf("error %v", err)
	}
}

func TestTokenIsRenewedOnce(t *testing.T) {
	var calls atomic.Int64
	c := clientFor(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.Header.Get("Authorization") != "Bearer new" {
			replies(401, `{"status":"error","results":[],"error":{"code":"TOKEN_EXPIRED","message":"expired"}}`)(w, r)
			return
		}
		io.WriteString(w, `{"status":"success","results":[]}`)
	}, WithTokenSource(func(_ context.Context, refresh bool) (string, error) {
		if refresh {
			return "new", nil
		}
		return "old", nil
	}))
	if _, err := c.Exec(t.Context(), "INSERT INTO t VALUES (1)"); err != nil || calls.Load() != 2 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
	c = clientFor(t, replies(401, `{"status":"error","results":[],"error":{"code":"TOKEN_EXPIRED","message":"expired"}}`),
		WithTokenSource(func(context.Context, bool) (string, error) { return "x", nil }))
	if _, err := c.Exec(t.Context(), "SELECT 1"); CodeOf(err) != CodeTokenExpired {
		t.Errorf("error %v", err)
	}
}

// What occurs when `kalam-link` is used concurrently from multiple threads?
func TestManyGoroutines(t *testing.T) {
	c := clientFor(t, func(w http.ResponseWriter, r *http.Request) {
		var req wire.SQLRequest
		json.NewDecoder(r.Body).Decode(&req)
		fmt.Fprintf(w, `{"status":"success","results":[{"columns":["a"],"rows":[[%s]]}]}`, req.Params[0])
	})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 20 {
				var got int
				if err := c.QueryRow(t.Context(), "SELECT $1", i*100+j).Scan(&got); err != nil || got != i*100+j {
					t.Errorf("got %d, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestConnectionsAreReused(t *testing.T) {
	var conns atomic.Int64
	srv := httptest.NewUnstartedServer(replies(200, `{"status":"success","results":[{"columns":["a"],"rows":[[1],[2],[3]]}]}`))
	srv.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c, _ := New(srv.URL)
	t.Cleanup(func() { c.Close() })
	for way, query := range map[string]func() error{
		"Exec":     func() error { _, err := c.Exec(t.Context(), "SELECT 1"); return err },
		"One":      func() error { _, err := One[int](c.Query(t.Context(), "SELECT 1")); return err },
		"QueryRow": func() error { return c.QueryRow(t.Context(), "SELECT 1").Scan(new(int)) },
		"Close": func() error {
			rows, err := c.Query(t.Context(), "SELECT 1")
			if err != nil {
				return err
			}
			return rows.Close()
		},
	} {
		for range 20 {
			if err := query(); err != nil {
				t.Fatal(way, err)
			}
		}
		if n := conns.Load(); n != 1 {
			t.Fatalf("%d connections after 20 queries by %s", n, way)
		}
	}
}

// An answer that has no end yet is not waited for: closing it tells the server
// to stop.
func TestCloseCancels(t *testing.T) {
	gone := make(chan struct{})
	c := clientFor(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"results":[{"columns":["a"],"rows":[[1],`)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	if err := c.QueryRow(t.Context(), "SELECT 1").Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the server still answers")
	}
}

// BenchmarkQueryRow is a query of one row, beside the same request by net/http
// alone.
func BenchmarkQueryRow(b *testing.B) {
	srv := httptest.NewServer(replies(200, `{"status":"success","results":[{"columns":["id","body"],"schema":[{"name":"id","type":"BIGINT"},{"name":"body","type":"TEXT"}],"rows":[[1,"hello"]],"row_count":1}],"took_ms":0.1}`))
	b.Cleanup(srv.Close)
	c, err := New(srv.URL)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	b.Run("link", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var id int64
			var body string
			if err := c.QueryRow(b.Context(), "SELECT id, body FROM messages WHERE id = $1", 1).Scan(&id, &body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			resp, err := c.http.Post(srv.URL, "application/json", strings.NewReader(`{"sql":"SELECT id, body FROM messages WHERE id = $1","params":[1],"options":{"rows":"array"}}`))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				b.Fatal(err)
			}
			resp.Body.Close()
		}
	})
}

func TestHealth(t *testing.T) {
	c := clientFor(t, replies(503, `{"status":"draining","version":"1.0","api_version":"v1","uptime_seconds":3}`))
	h, err := c.Health(t.Context())
	if err != nil || h.Status != "draining" {
		t.Errorf("%+v, %v", h, err)
	}
	if err := c.Ping(t.Context()); CodeOf(err) != CodeResourceExhausted {
		t.Errorf("ping %v", err)
	}
	c = clientFor(t, replies(200, `<html>`))
	if _, err := c.Health(t.Context()); !isProtocol(err) {
		t.Errorf("error %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"localhost:8080":          "http://localhost:8080",
		"https://db.example/kal/": "https://db.example/kal",
		" http://[::1]:8080 ":     "http://[::1]:8080",
	} {
		c, err := New(in)
		if err != nil || c.URL() != want {
			t.Errorf("%q gives %v, %v", in, c, err)
		}
	}
	for _, in := range []string{"", "ftp://x", "http://", "http://u:secret@h", "http://h:port", "http://:8080"} {
		if _, err := New(in); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q gives error %v", in, err)
		}
	}
}
