package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/ws/wstest"
)

// exec runs statements that must succeed.
func exec(t testing.TB, s *Server, sql string, headers ...string) answer {
	t.Helper()
	a := post(t, s, wire.SQLRequest{SQL: sql}, headers...)
	if a.HTTP != 200 || a.Status != wire.StatusSuccess {
		t.Fatalf("%s: %d %s", sql, a.HTTP, a.Text)
	}
	return a
}

// rowsOf are the rows of the last result, one a line.
func rowsOf(a answer) string {
	var out []string
	for _, r := range a.Results[len(a.Results)-1].Rows {
		out = append(out, string(r))
	}
	return strings.Join(out, "\n")
}

const schema = `CREATE NAMESPACE app;
	CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, room TEXT NOT NULL, body TEXT);
	CREATE SHARED TABLE app.settings (name TEXT PRIMARY KEY, value DECIMAL(10,2))`

func TestQueries(t *testing.T) {
	s := start(t, testConfig(t))
	exec(t, s, schema)

	a := exec(t, s, `INSERT INTO app.notes VALUES (1, 'a', 'one'), (2, 'b', 'two'); SELECT id, body FROM app.notes ORDER BY id`, wire.HeaderUserID, "ann")
	if len(a.Results) != 2 || a.Results[0].RowCount != 2 || rowsOf(a) != `{"id":1,"body":"one"}`+"\n"+`{"id":2,"body":"two"}` {
		t.Error(a.Text)
	}
	if a = exec(t, s, `SELECT * FROM app.notes`, wire.HeaderUserID, "bob"); len(a.Results[0].Rows) != 0 {
		t.Error("bob sees ann's rows:", a.Text)
	}
	a = post(t, s, wire.SQLRequest{
		SQL: "SELECT body FROM notes WHERE id = $1", Params: []json.RawMessage{json.RawMessage("2")}, NamespaceID: "app",
	}, wire.HeaderUserID, "ann")
	if rowsOf(a) != `{"body":"two"}` {
		t.Error(a.Text)
	}
	exec(t, s, "INSERT INTO app.settings VALUES ('limit', 12.30)")
	if a = exec(t, s, "SELECT name, value, value AS value FROM app.settings"); rowsOf(a) != `{"name":"limit","value":"12.30","value_2":"12.30"}` {
		t.Error(a.Text)
	}
}

func TestStatementErrorsReachTheClient(t *testing.T) {
	s := start(t, testConfig(t))
	exec(t, s, schema)
	for _, tc := range []struct {
		sql    string
		params []json.RawMessage
		status int
		code   dberr.Code
		num    int
	}{
		{"SELEC 1", nil, 400, dberr.InvalidSQL, 1},
		{"SELECT * FROM app.nothing", nil, 404, dberr.TableNotFound, 1},
		{"SELECT nothing FROM app.notes", nil, 404, dberr.ColumnNotFound, 1},
		{"CREATE USER TABLE nope.t (id BIGINT)", nil, 404, dberr.NamespaceNotFound, 1},
		{"CREATE NAMESPACE app", nil, 409, dberr.AlreadyExists, 1},
		{"INSERT INTO app.settings VALUES ('x', 1); INSERT INTO app.settings VALUES ('x', 2); INSERT INTO app.settings VALUES ('y', 2)", nil, 409, dberr.UniqueViolation, 2},
		{"INSERT INTO app.notes VALUES (9, NULL, 'x')", nil, 400, dberr.NotNullViolation, 1},
		{"SELECT $1", nil, 400, dberr.ParameterMismatch, 1},
		{"SELECT * FROM app.notes WHERE id = $1", []json.RawMessage{json.RawMessage(`"x"`)}, 400, dberr.TypeMismatch, 1},
	} {
		a := post(t, s, wire.SQLRequest{SQL: tc.sql, Params: tc.params})
		if a.HTTP != tc.status || a.Error == nil || a.Error.Code != string(tc.code) || a.Error.Statement != tc.num || len(a.Results) != tc.num-1 {
			t.Errorf("%s: %d %s", tc.sql, a.HTTP, a.Text)
		}
	}
	a := exec(t, s, "SELECT name FROM app.settings")
	if rowsOf(a) != `{"name":"x"}` {
		t.Error("a batch goes on behind a failure, or undoes what stood before it:", a.Text)
	}
}

func TestRolesOverHTTP(t *testing.T) {
	c := testConfig(t)
	c.Auth.LocalhostRole = "user"
	s := start(t, c)
	if a := post(t, s, wire.SQLRequest{SQL: "CREATE NAMESPACE app"}); a.HTTP != 403 || a.Error.Code != string(dberr.PermissionDenied) {
		t.Error(a.HTTP, a.Text)
	}
}

func TestLargeResultIsStreamed(t *testing.T) {
	s := start(t, testConfig(t))
	exec(t, s, schema)
	const n = 5000
	for from := 0; from < n; from += 1000 {
		var values []string
		for i := range 1000 {
			values = append(values, fmt.Sprintf("(%d, 'a', '%s')", from+i, strings.Repeat("x", 100)))
		}
		exec(t, s, "INSERT INTO app.notes VALUES "+strings.Join(values, ", "))
	}
	a := exec(t, s, "SELECT * FROM app.notes; SELECT count(*) AS n FROM app.notes")
	if !strings.HasPrefix(a.Text, `{"results":[`) || len(a.Results[0].Rows) != n || a.Results[0].RowCount != n || rowsOf(a) != `{"n":5000}` {
		t.Errorf("%.100s … %.200s", a.Text, a.Text[max(len(a.Text)-200, 0):])
	}
}

func TestDataSurvivesARestart(t *testing.T) {
	c := testConfig(t)
	c.Store.Backend = config.BackendBadger
	func() {
		s := New(c, quiet())
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		exec(t, s, schema)
		exec(t, s, "INSERT INTO app.notes VALUES (1, 'a', 'one')", wire.HeaderUserID, "ann")
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}()
	s := start(t, c)
	if a := exec(t, s, "SELECT body FROM app.notes", wire.HeaderUserID, "ann"); rowsOf(a) != `{"body":"one"}` {
		t.Error(a.Text)
	}
}

// socket is a WebSocket client that compares changes.
type socket struct {
	*wstest.Client
	t testing.TB
}

func dial(t testing.TB, s *Server, user string) *socket {
	return &socket{wstest.Dial(t, s.URL(), user), t}
}

// want reads a change and compares kind, rows (without the system columns) and
// old values.
func (c *socket) want(kind, row string) wire.ServerMessage {
	c.t.Helper()
	m := c.Read()
	if m.Type != wire.TypeChange || m.ChangeType != kind || len(m.Rows) != 1 || !strings.HasPrefix(string(m.Rows[0]), row) {
		c.t.Fatalf("got %+v %s, want %s of %s", m, m.Rows, kind, row)
	}
	return m
}

func TestLiveQuery(t *testing.T) {
	s := start(t, testConfig(t))
	exec(t, s, schema)
	ann := []string{wire.HeaderUserID, "ann"}
	exec(t, s, "INSERT INTO app.notes VALUES (1, 'a', 'one'), (2, 'a', 'two'), (3, 'b', 'three')", ann...)
	c := dial(t, s, "ann")
	last := 1
	ack := c.Subscribe(wire.Subscription{
		ID: "s", SQL: "SELECT id, body FROM app.notes WHERE room = $1", Params: []json.RawMessage{json.RawMessage(`"a"`)},
		Options: &wire.SubscriptionOptions{LastRows: &last},
	})
	if ack.Type != wire.TypeSubscriptionAck || ack.LiveID == "" || ack.Seq == 0 || len(ack.Schema) != 2 {
		t.Fatalf("%+v", ack)
	}
	if m := c.Read(); m.Type != wire.TypeInitialData || len(m.Rows) != 1 || !m.Last || !strings.HasPrefix(string(m.Rows[0]), `{"id":2,"body":"two"`) {
		t.Fatalf("%+v %s", m, m.Rows)
	}
	exec(t, s, "INSERT INTO app.notes VALUES (4, 'a', 'bob')", wire.HeaderUserID, "bob")
	exec(t, s, "INSERT INTO app.notes VALUES (4, 'b', 'other room')", ann...)
	exec(t, s, "INSERT INTO app.notes VALUES (5, 'a', 'five')", ann...)
	first := c.want("insert", `{"id":5,"body":"five"`)
	exec(t, s, "UPDATE app.notes SET body = 'FIVE' WHERE id = 5", ann...)
	m := c.want("update", `{"id":5,"body":"FIVE"`)
	if m.Seq <= first.Seq || len(m.OldValues) != 1 || !strings.HasPrefix(string(m.OldValues[0]), `{"id":5,"body":"five"`) {
		t.Errorf("%+v %s", m, m.OldValues)
	}
	exec(t, s, "UPDATE app.notes SET room = 'a' WHERE id = 3", ann...)
	c.want("insert", `{"id":3,"body":"three"`)
	exec(t, s, "UPDATE app.notes SET room = 'b' WHERE id = 3", ann...)
	c.want("delete", `{"id":3,"body":"three"`)
	exec(t, s, "DELETE FROM app.notes WHERE id = 1", ann...)
	if m = c.want("delete", `{"id":1,"body":"one"`); !strings.Contains(string(m.Rows[0]), `"_deleted":true`) {
		t.Errorf("%s", m.Rows)
	}
	exec(t, s, "KILL LIVE QUERY '"+ack.LiveID+"'")
	if m = c.Read(); m.Type != wire.TypeClosed || m.Reason != wire.ReasonKilled {
		t.Errorf("%+v", m)
	}
}

func TestSubscribeOverHTTPNamesTheSocket(t *testing.T) {
	s := start(t, testConfig(t))
	exec(t, s, schema)
	a := exec(t, s, "SUBSCRIBE TO app.notes")
	if want := `"ws_url":"ws://` + s.Addr().String() + wire.PathWS + `"`; !strings.Contains(rowsOf(a), want) {
		t.Errorf("no %s in %s", want, a.Text)
	}
}

func TestLiveQueryIsRefused(t *testing.T) {
	s := start(t, testConfig(t))
	exec(t, s, schema)
	c := dial(t, s, "ann")
	for sql, code := range map[string]dberr.Code{
		"SELECT * FROM app.settings":                   dberr.Unsupported,
		"SELECT * FROM app.nothing":                    dberr.TableNotFound,
		"SELECT count(*) FROM app.notes":               dberr.Unsupported,
		"SELEC":                                        dberr.InvalidSQL,
		"DELETE FROM app.notes":                        dberr.InvalidSQL,
		"SELECT * FROM app.notes; DROP TABLE app.note": dberr.InvalidSQL,
	} {
		if m := c.Subscribe(wire.Subscription{ID: "s", SQL: sql}); m.Type != wire.TypeError || m.SubscriptionID != "s" || m.Code != string(code) {
			t.Errorf("%s: %+v", sql, m)
		}
	}
}

// TestStopUnderLoad stops a server that many write to: every statement is
// either answered or refused, and what was answered is there afterwards.
func TestStopUnderLoad(t *testing.T) {
	c := testConfig(t)
	c.Store.Backend = config.BackendBadger
	s := New(c, quiet())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, s, schema)
	sub := dial(t, s, "u0")
	if m := sub.Subscribe(wire.Subscription{ID: "s", SQL: "SELECT id FROM app.notes"}); m.Type != wire.TypeSubscriptionAck {
		t.Fatalf("%+v", m)
	}
	const writers = 8
	acknowledged := make([]int, writers)
	var wg sync.WaitGroup
	enough := make(chan struct{}, 1)
	for w := range writers {
		wg.Go(func() {
			for i := 0; ; i++ {
				a, ok := tryPost(t, s, fmt.Sprintf(`{"sql":"INSERT INTO app.notes VALUES (%d, 'a', 'x')"}`, i), fmt.Sprint("u", w))
				if !ok || a != 200 {
					if ok && a != 503 {
						t.Errorf("status %d during the stop", a)
					}
					return
				}
				acknowledged[w]++
				if i == 20 {
					select {
					case enough <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	<-enough
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(t.Context()) }()
	changes := 0
	for {
		m := sub.Read()
		if m.Type == wire.TypeChange {
			changes += len(m.Rows)
			continue
		}
		if m.Type != wire.TypeClosed || m.Reason != wire.ReasonShutdown {
			t.Errorf("%+v", m)
		}
		break
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	wg.Wait()
	if changes < acknowledged[0] {
		t.Errorf("the subscriber got %d changes of %d acknowledged ones", changes, acknowledged[0])
	}
	s = start(t, c)
	for w, want := range acknowledged {
		a := exec(t, s, "SELECT count(*) AS n FROM app.notes", wire.HeaderUserID, fmt.Sprint("u", w))
		var row struct{ N int }
		if err := json.Unmarshal(a.Results[0].Rows[0], &row); err != nil || row.N < want || row.N > want+1 {
			t.Errorf("user %d has %d rows, %d were acknowledged", w, row.N, want)
		}
	}
}

// BenchmarkHTTP holds a point query by its key against handlers that do
// nothing, in one run and with one client: 16 connections, keep-alive.
func BenchmarkHTTP(b *testing.B) {
	s := start(b, testConfig(b))
	exec(b, s, schema)
	exec(b, s, "INSERT INTO app.notes VALUES (1, 'a', 'one')")
	const query = `{"sql":"SELECT * FROM app.notes WHERE id = $1","params":[1]}`
	size := len(post(b, s, json.RawMessage(query)).Text)
	floor := func(answer []byte) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = w.Write(answer)
		}))
		b.Cleanup(srv.Close)
		return srv.URL
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	for _, bc := range []struct{ name, url string }{
		{"empty", floor(nil)}, {"same-size", floor(make([]byte, size))}, {"point-query", s.URL() + wire.PathSQL},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					res, err := client.Post(bc.url, "application/json", strings.NewReader(query))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
					if res.StatusCode != 200 {
						b.Error(res.Status)
						return
					}
				}
			})
		})
	}
}
