package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/buildinfo"
	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/wireconv"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine is a scripted database: what no real one does on request, such as
// failing in the middle of a result.
type engine struct {
	execute  func(ctx context.Context, req core.Request, sink core.Sink) error
	writable bool
	memory   *exec.MemoryPool

	mu        sync.Mutex
	principal core.Principal
	session   ident.SessionID
	request   core.Request
}

func (e *engine) Session(p core.Principal, id ident.SessionID) (Session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.principal, e.session = p, id
	return e, nil
}

// TestOverloaded refuses a statement that the engine has no place for, and
// stays healthy.
func TestOverloaded(t *testing.T) {
	places := slot.New(slot.Options{Most: 1}, nil)
	running, goOn := make(chan struct{}), make(chan struct{})
	f := serve(t, func(ctx context.Context, req core.Request, sink core.Sink) error {
		if err := places.Enter(ctx, req.Turn, "ann", req.SQL, false); err != nil {
			return err
		}
		defer req.Turn.Leave()
		running <- struct{}{}
		<-goOn
		return sink.End(core.Outcome{Message: "done"})
	})
	first := make(chan int, 1)
	go func() {
		res, _ := f.do(t, "POST", wire.PathSQL, `{"sql":"x"}`)
		first <- res.StatusCode
	}()
	<-running
	res, body := f.do(t, "POST", wire.PathSQL, `{"sql":"x"}`)
	if res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" || !strings.Contains(body, `"code":"RESOURCE_EXHAUSTED","sqlstate":"53000"`) {
		t.Error(res.Status, res.Header, body)
	}
	if res, body := f.do(t, "GET", wire.PathHealth, ""); res.StatusCode != 200 {
		t.Error("an overloaded server is not ill:", body)
	}
	close(goOn)
	if status := <-first; status != 200 {
		t.Error(status)
	}
}

// TestComeBackLater tells a client that is refused when to come back, if the
// error knows, and says nothing of it beside other errors.
func TestComeBackLater(t *testing.T) {
	busy := dberr.New(dberr.ResourceExhausted, "busy")
	for _, c := range []struct {
		err  error
		want string
	}{
		{busy, "1"},
		{busy.WithRetry(6300 * time.Millisecond), "7"},
		{&core.StatementError{Number: 2, Text: "SELECT 1", Err: busy.WithRetry(4 * time.Second)}, "4"},
		{dberr.New(dberr.InvalidSQL, "wrong"), ""},
	} {
		f := serve(t, func(context.Context, core.Request, core.Sink) error { return c.err })
		res, body := f.do(t, "POST", wire.PathSQL, `{"sql":"x"}`)
		if got := res.Header.Get("Retry-After"); got != c.want {
			t.Errorf("%v: %d, Retry-After %q, want %q: %s", c.err, res.StatusCode, got, c.want, body)
		}
	}
}

// TestSlowClientLendsItsPlace answers others while a client does not read.
func TestSlowClientLendsItsPlace(t *testing.T) {
	places := slot.New(slot.Options{Running: 1}, nil)
	sent := make(chan error, 1)
	f := serve(t, func(ctx context.Context, req core.Request, sink core.Sink) error {
		if err := places.Enter(ctx, req.Turn, "ann", req.SQL, false); err != nil {
			return err
		}
		defer req.Turn.Leave()
		if req.SQL != "large" {
			return oneRow(ctx, req, sink)
		}
		b := vector.NewBuilder(sqltype.TText, 1)
		b.Append(sqltype.NewText(strings.Repeat("x", 64<<10)))
		batch := vector.NewBatch([]*vector.Vector{b.Finish()}, 1)
		err := sink.Begin([]sql.ResultColumn{{Name: "body", Type: sqltype.TText}})
		for err == nil && ctx.Err() == nil { // until the client goes away
			err = sink.Batch(batch)
		}
		sent <- err
		return err
	})
	res, err := f.Client().Post(f.URL+wire.PathSQL, "application/json", strings.NewReader(`{"sql":"large"}`))
	if err != nil {
		t.Fatal(err)
	}
	for places.Stats().Running > 0 { // until the connection takes no more
		runtime.Gosched()
	}
	if status, _, text := f.sql(t, `{"sql":"small"}`); status != 200 {
		t.Error(text)
	}
	res.Body.Close()
	<-sent
}

// TestLargeBodiesShareMemory refuses a large body while others use what memory
// there is; a small one always passes.
func TestLargeBodiesShareMemory(t *testing.T) {
	running, goOn := make(chan struct{}), make(chan struct{})
	f := serve(t, func(ctx context.Context, req core.Request, sink core.Sink) error {
		if strings.HasPrefix(req.SQL, "WAIT") {
			running <- struct{}{}
			<-goOn
		}
		return oneRow(ctx, req, sink)
	}, func(o *Options) { o.Server.MaxBody = config.MiB })
	large := func(word string) string { return `{"sql":"` + word + strings.Repeat(" x", 300<<10) + `"}` }
	done := make(chan int)
	go func() {
		res, _ := f.do(t, "POST", wire.PathSQL, large("WAIT"))
		done <- res.StatusCode
	}()
	<-running
	res, body := f.do(t, "POST", wire.PathSQL, large("SELECT"))
	if res.StatusCode != 503 || !strings.Contains(body, string(dberr.ResourceExhausted)) || res.Header.Get("Retry-After") == "" {
		t.Errorf("beside another: %d %s", res.StatusCode, body)
	}
	if res, body := f.do(t, "POST", wire.PathSQL, `{"sql":"SELECT 1"}`); res.StatusCode != 200 {
		t.Errorf("a small one: %d %s", res.StatusCode, body)
	}
	close(goOn)
	if status := <-done; status != 200 {
		t.Error("the first one:", status)
	}
	if res, body := f.do(t, "POST", wire.PathSQL, large("SELECT")); res.StatusCode != 200 {
		t.Errorf("alone: %d %.200s", res.StatusCode, body)
	}
	if used := f.engine.memory.Stats().Used; used != 0 {
		t.Error("not given back:", used)
	}
}

func TestCredentialsAreNotRepeated(t *testing.T) {
	for text, want := range map[string]bool{
		"CREATE STORAGE s CREDENTIALS 'x'": true, "alter storage s set Credentials = 'x'": true,
		"SELECT credential FROM t": false, "": false, "c": false, "CREATE TABLE t (a INT)": false,
	} {
		if got := holdsSecret(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func (e *engine) Health() core.Health { return core.Health{Writable: e.writable} }

func (e *engine) Reserve(n int64) (func(), error) {
	if err := e.memory.Take(n); err != nil {
		return nil, err
	}
	return func() { e.memory.Give(n) }, nil
}

func (e *engine) Execute(ctx context.Context, req core.Request, sink core.Sink) error {
	e.mu.Lock()
	e.request = req
	e.mu.Unlock()
	return e.execute(ctx, req, sink)
}

type fixture struct {
	*httptest.Server
	handler *Handler
	engine  *engine
	log     *bytes.Buffer
	cfg     config.Config
}

func serve(t testing.TB, execute func(context.Context, core.Request, core.Sink) error, change ...func(*Options)) *fixture {
	f := &fixture{engine: &engine{execute: execute, writable: true, memory: exec.NewMemoryPool(1 << 20)}, log: &bytes.Buffer{}, cfg: config.Default()}
	log := slog.New(slog.NewTextHandler(&lockedWriter{w: f.log}, &slog.HandlerOptions{Level: slog.LevelError}))
	f.cfg.Server.MaxBody = 64 * config.KiB
	f.cfg.Server.AllowedOrigins = []string{"https://app.example"}
	a, err := auth.New(auth.Options{
		Auth: f.cfg.Auth, Secret: []byte(strings.Repeat("k", 32)), Logger: log, AllowedOrigins: f.cfg.Server.AllowedOrigins,
	})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Server: f.cfg.Server, API: f.cfg.API, Auth: a, Logger: log, Build: buildinfo.Info{Version: "1.2.3", Branch: "main", Commit: "abc"}}
	for _, c := range change {
		c(&o)
	}
	f.handler = New(o)
	f.handler.Serve(f.engine)
	f.Server = httptest.NewServer(f.handler)
	t.Cleanup(f.Close)
	return f
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// do sends a request; headers are name, value, …
func (f *fixture) do(t testing.TB, method, path, body string, headers ...string) (*http.Response, string) {
	r, err := http.NewRequestWithContext(t.Context(), method, f.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := f.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func (f *fixture) sql(t testing.TB, body string, headers ...string) (int, wire.SQLResponse, string) {
	res, text := f.do(t, "POST", wire.PathSQL, body, headers...)
	var out wire.SQLResponse
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %.300s", err, text)
	}
	return res.StatusCode, out, text
}

var twoColumns = []sql.ResultColumn{{Name: "id", Type: sqltype.TBigInt}, {Name: "content", Type: sqltype.TText}}

func rows(ids ...int64) *vector.Batch {
	text := vector.NewBuilder(sqltype.TText, len(ids))
	for _, id := range ids {
		text.AppendString(fmt.Sprintf("row %d", id))
	}
	return vector.NewBatch([]*vector.Vector{vector.FromInts(sqltype.TBigInt, ids, nil), text.Finish()}, len(ids))
}

func oneRow(_ context.Context, _ core.Request, s core.Sink) error {
	if err := s.Begin(twoColumns); err != nil {
		return err
	}
	if err := s.Batch(rows(1)); err != nil {
		return err
	}
	return s.End(core.Outcome{HasRows: true, RowCount: 1, Elapsed: 1500 * time.Microsecond})
}

func TestAnswer(t *testing.T) {
	f := serve(t, func(ctx context.Context, req core.Request, s core.Sink) error {
		if err := oneRow(ctx, req, s); err != nil {
			return err
		}
		return s.End(core.Outcome{RowCount: 3, Message: "3 rows inserted", Properties: json.RawMessage(`{"a":1}`)})
	})
	status, out, text := f.sql(t, `{"sql":"SELECT 1; INSERT …"}`)
	if status != 200 || out.Status != wire.StatusSuccess || len(out.Results) != 2 {
		t.Fatal(status, text)
	}
	if !strings.HasPrefix(text, `{"status":"success","took_ms":`) {
		t.Error("a small answer has the documented order:", text)
	}
	_, results, _ := strings.Cut(text, `"results":`)
	want := `[{"columns":["id","content"],"schema":[{"name":"id","type":"BIGINT"},{"name":"content","type":"TEXT"}],` +
		`"rows":[{"id":1,"content":"row 1"}],"row_count":1},` +
		`{"columns":[],"row_count":3,"message":"3 rows inserted","properties":{"a":1}}]}` + "\n"
	if results != want {
		t.Errorf("got  %s\nwant %s", results, want)
	}
}

func TestExecutionTime(t *testing.T) {
	f := serve(t, oneRow, func(o *Options) { o.API.ReportExecutionTime = true })
	_, out, text := f.sql(t, `{"sql":"SELECT 1"}`)
	if ms := out.Results[0].ExecutionTimeMS; ms == nil || *ms != 1.5 {
		t.Fatal(text)
	}
}

func TestRequestIsPassedOn(t *testing.T) {
	f := serve(t, oneRow)
	_, _, text := f.sql(t, `{"sql":"SELECT $1","params":[9007199254740993,"x",null],"namespace_id":"app","options":{"rows":"array","int64":"string"}}`,
		wire.HeaderSessionID, "s1", wire.HeaderNamespace, "other", wire.HeaderUserID, "ann")
	if !strings.Contains(text, `"rows":[["1","row 1"]]`) {
		t.Error(text)
	}
	e := f.engine
	if e.principal != (core.Principal{User: "ann", Role: ident.RoleAdmin, ExplicitUser: true}) || e.session != "s1" {
		t.Errorf("%+v %q", e.principal, e.session)
	}
	if e.request.Namespace != "app" || len(e.request.Params) != 3 || e.request.Params[0].Int() != 9007199254740993 {
		t.Errorf("%+v", e.request)
	}
	f.sql(t, `{"sql":"SELECT 1"}`, wire.HeaderNamespace, "other", "Content-Type", "application/json; charset=UTF-8")
	if e.request.Namespace != "other" || e.principal.ExplicitUser {
		t.Errorf("%+v %+v", e.request, e.principal)
	}
}

func TestRefusals(t *testing.T) {
	f := serve(t, oneRow)
	big := `{"sql":"` + strings.Repeat("x", 70<<10) + `"}`
	cases := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     dberr.Code
	}{
		{"unknown path", "POST", "/v1/api/sqlx", `{}`, nil, 404, dberr.NotFound},
		{"trailing slash", "POST", "/v1/api/sql/", `{}`, nil, 404, dberr.NotFound},
		{"dots in the path", "GET", "/v1/../health", ``, nil, 404, dberr.NotFound},
		{"GET of statements", "GET", wire.PathSQL, ``, nil, 405, dberr.Unsupported},
		{"DELETE of health", "DELETE", wire.PathHealth, ``, nil, 405, dberr.Unsupported},
		{"OPTIONS without an origin", "OPTIONS", wire.PathSQL, ``, nil, 405, dberr.Unsupported},
		{"form body", "POST", wire.PathSQL, `sql=SELECT 1`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, dberr.Unsupported},
		{"text body", "POST", wire.PathSQL, `{"sql":"x"}`, []string{"Content-Type", "text/plain"}, 415, dberr.Unsupported},
		{"other charset", "POST", wire.PathSQL, `{"sql":"x"}`, []string{"Content-Type", "application/json; charset=latin1"}, 415, dberr.Unsupported},
		{"no content type", "POST", wire.PathSQL, `{"sql":"x"}`, []string{"Content-Type", ""}, 415, dberr.Unsupported},
		{"large body", "POST", wire.PathSQL, big, nil, 413, dberr.TooLarge},
		{"empty body", "POST", wire.PathSQL, ``, nil, 400, dberr.InvalidJSON},
		{"no JSON", "POST", wire.PathSQL, `SELECT 1`, nil, 400, dberr.InvalidJSON},
		{"half a JSON", "POST", wire.PathSQL, `{"sql":"SELECT 1"`, nil, 400, dberr.InvalidJSON},
		{"two JSONs", "POST", wire.PathSQL, `{"sql":"SELECT 1"}{}`, nil, 400, dberr.InvalidJSON},
		{"an array", "POST", wire.PathSQL, `[]`, nil, 400, dberr.InvalidJSON},
		{"no UTF-8", "POST", wire.PathSQL, "{\"sql\":\"\xff\"}", nil, 400, dberr.InvalidJSON},
		{"sql is a number", "POST", wire.PathSQL, `{"sql":1}`, nil, 400, dberr.InvalidJSON},
		{"params is an object", "POST", wire.PathSQL, `{"sql":"x","params":{}}`, nil, 400, dberr.InvalidJSON},
		{"no sql", "POST", wire.PathSQL, `{}`, nil, 400, dberr.InvalidSQL},
		{"null", "POST", wire.PathSQL, `null`, nil, 400, dberr.InvalidSQL},
		{"blank sql", "POST", wire.PathSQL, `{"sql":" \n"}`, nil, 400, dberr.InvalidSQL},
		{"bad option", "POST", wire.PathSQL, `{"sql":"x","options":{"rows":"arrays"}}`, nil, 400, dberr.InvalidSQL},
		{"bad int64 option", "POST", wire.PathSQL, `{"sql":"x","options":{"int64":"bigint"}}`, nil, 400, dberr.InvalidSQL},
		{"bad namespace", "POST", wire.PathSQL, `{"sql":"x","namespace_id":"` + strings.Repeat("n", 64) + `"}`, nil, 400, dberr.InvalidSQL},
		{"bad session", "POST", wire.PathSQL, `{"sql":"x"}`, []string{wire.HeaderSessionID, strings.Repeat("s", 200)}, 400, dberr.InvalidSQL},
		{"wrong token", "POST", wire.PathSQL, `{"sql":"x"}`, []string{"Authorization", "Bearer x.y.z"}, 401, dberr.Unauthenticated},
		{"API key", "POST", wire.PathSQL, `{"sql":"x"}`, []string{wire.HeaderAPIKey, "k"}, 401, dberr.Unauthenticated},
		{"foreign origin", "POST", wire.PathSQL, `{"sql":"x"}`, []string{"Origin", "https://evil.example"}, 401, dberr.Unauthenticated},
		{"proxied", "POST", wire.PathSQL, `{"sql":"x"}`, []string{"X-Forwarded-For", "1.2.3.4"}, 401, dberr.Unauthenticated},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			res, text := f.do(t, tc.method, tc.path, tc.body, tc.headers...)
			var out wire.SQLResponse
			if err := json.Unmarshal([]byte(text), &out); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			if res.StatusCode != tc.status || out.Status != wire.StatusError || out.Error == nil || out.Error.Code != string(tc.code) || out.Results == nil {
				t.Fatalf("%d %s", res.StatusCode, text)
			}
			if out.Error.Message == "" || out.Error.SQLState == "" {
				t.Error(text)
			}
			switch tc.status {
			case 405:
				if res.Header.Get("Allow") == "" {
					t.Error("no Allow header")
				}
			case 401:
				if res.Header.Get("WWW-Authenticate") == "" {
					t.Error("no WWW-Authenticate header")
				}
			}
			if strings.Contains(text, "wire.") || strings.Contains(text, "goroutine") {
				t.Error("the answer shows our insides:", text)
			}
		})
	}
}

func TestHostOfAnotherName(t *testing.T) {
	f := serve(t, oneRow)
	r := httptest.NewRequest("POST", wire.PathSQL, strings.NewReader(`{"sql":"x"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Host, r.RemoteAddr = "evil.example:8080", "127.0.0.1:4711"
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	if w.Code != 401 {
		t.Fatal(w.Code, w.Body)
	}
}

func TestStatementErrors(t *testing.T) {
	failing := func(err error) func(context.Context, core.Request, core.Sink) error {
		return func(ctx context.Context, req core.Request, s core.Sink) error {
			if e := oneRow(ctx, req, s); e != nil {
				return e
			}
			// The second one fails when it has given rows.
			if e := s.Begin(twoColumns); e != nil {
				return e
			}
			if e := s.Batch(rows(7, 8)); e != nil {
				return e
			}
			return &core.StatementError{Number: 2, Text: "SELECT * FROM app.x", Line: 2, Column: 5, Err: err}
		}
	}
	notFound := dberr.New(dberr.TableNotFound, "table app.x does not exist").At(dberr.Pos{Line: 2, Column: 19}).WithHint("Make it.")
	f := serve(t, failing(notFound))
	status, out, text := f.sql(t, `{"sql":"SELECT 1;\n    SELECT * FROM app.x"}`)
	want := wire.Error{
		Code: "TABLE_NOT_FOUND", SQLState: "42P01", Message: "Statement 2 failed: table app.x does not exist",
		Details: "SELECT * FROM app.x", Hint: "Make it.", Statement: 2, Line: 1, Column: 15,
	}
	if status != 404 || len(out.Results) != 1 || out.Error == nil || *out.Error != want {
		t.Errorf("%d %s", status, text)
	}

	f = serve(t, failing(fmt.Errorf("open /secret/path: %w", errors.New("bad disk"))))
	status, out, text = f.sql(t, `{"sql":"SELECT 1; SELECT * FROM app.x"}`)
	if status != 500 || out.Error.Code != "INTERNAL" || out.Error.ID == "" || strings.Contains(text, "secret") {
		t.Errorf("%d %s", status, text)
	}
	if log := f.log.String(); !strings.Contains(log, out.Error.ID) || !strings.Contains(log, "/secret/path") {
		t.Error("the log does not explain the id:", log)
	}

	f = serve(t, func(context.Context, core.Request, core.Sink) error {
		return &core.StatementError{Number: 1, Text: "SELEC", Line: 1, Column: 2, Err: dberr.New(dberr.InvalidSQL, "what is SELEC?")}
	})
	if _, out, text = f.sql(t, `{"sql":" SELEC ;"}`); out.Error.Message != "what is SELEC?" {
		t.Error("a lone statement needs no number:", text)
	}
}

// large gives n rows and then fails with err.
func large(n int, err error) func(context.Context, core.Request, core.Sink) error {
	return func(_ context.Context, _ core.Request, s core.Sink) error {
		if e := s.Begin(twoColumns); e != nil {
			return e
		}
		for i := range n / 1000 {
			ids := make([]int64, 1000)
			for j := range ids {
				ids[j] = int64(i*1000 + j)
			}
			if e := s.Batch(rows(ids...)); e != nil {
				return e
			}
		}
		if err != nil {
			return &core.StatementError{Number: 1, Text: "SELECT", Err: err}
		}
		return s.End(core.Outcome{HasRows: true, RowCount: int64(n)})
	}
}

func TestLargeAnswer(t *testing.T) {
	const n = 50_000
	f := serve(t, large(n, nil))
	res, text := f.do(t, "POST", wire.PathSQL, `{"sql":"SELECT"}`)
	var out wire.SQLResponse
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	if res.ContentLength != -1 || out.Status != wire.StatusSuccess || out.Results[0].RowCount != n || len(out.Results[0].Rows) != n {
		t.Fatal(res.ContentLength, out.Status)
	}
	if string(out.Results[0].Rows[n-1]) != `{"id":49999,"content":"row 49999"}` {
		t.Errorf("%s", out.Results[0].Rows[n-1])
	}
	if !strings.HasPrefix(text, `{"results":[`) {
		t.Errorf("%.80s", text)
	}
}

func TestErrorAfterStreamingBegan(t *testing.T) {
	f := serve(t, large(20_000, dberr.New(dberr.DivisionByZero, "division by zero")))
	status, out, text := f.sql(t, `{"sql":"SELECT"}`)
	if status != 200 || out.Status != wire.StatusError || out.Error == nil || out.Error.Code != "DIVISION_BY_ZERO" {
		t.Fatalf("%d %s", status, text[len(text)-300:])
	}
	if len(out.Results) != 1 || out.Results[0].RowCount != 20_000 || !out.Results[0].Incomplete {
		t.Error(text[len(text)-300:])
	}
}

func TestPanicBecomesInternal(t *testing.T) {
	f := serve(t, func(context.Context, core.Request, core.Sink) error { panic("boom") })
	status, out, text := f.sql(t, `{"sql":"SELECT"}`)
	if status != 500 || out.Error.Code != "INTERNAL" || strings.Contains(text, "boom") || strings.Contains(text, ".go") {
		t.Error(status, text)
	}
	if log := f.log.String(); !strings.Contains(log, out.Error.ID) || !strings.Contains(log, "boom") {
		t.Error(log)
	}

	// In the middle of an answer nothing can be said any more: the client
	// must not take the beginning for the whole.
	f = serve(t, func(ctx context.Context, r core.Request, s core.Sink) error {
		if err := large(20_000, errors.New("x"))(ctx, r, s); err == nil {
			t.Error("no error")
		}
		panic("boom")
	})
	res, err := f.Client().Post(f.URL+wire.PathSQL, "application/json", strings.NewReader(`{"sql":"SELECT"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err = io.ReadAll(res.Body); err == nil {
		t.Error("the answer looks complete")
	}
}

func TestClientThatLeavesCancels(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	f := serve(t, func(ctx context.Context, _ core.Request, _ core.Sink) error {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "POST", f.URL+wire.PathSQL, strings.NewReader(`{"sql":"SELECT"}`))
	r.Header.Set("Content-Type", "application/json")
	go func() {
		<-started
		cancel()
	}()
	if res, err := f.Client().Do(r); err == nil {
		res.Body.Close()
		t.Fatal("an answer came")
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestSlowReaderEndsTheStatement(t *testing.T) {
	ended := make(chan error, 1)
	f := serve(t, func(ctx context.Context, r core.Request, s core.Sink) error {
		err := large(50_000_000, nil)(ctx, r, s)
		ended <- err
		return err
	})
	conn, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"sql\":\"SELECT\"}", wire.PathSQL)
	one := make([]byte, 1)
	if _, err := io.ReadFull(conn, one); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := <-ended; err == nil {
		t.Error("the statement ran to its end although nobody reads it")
	}
}

func TestTimeout(t *testing.T) {
	f := serve(t, func(ctx context.Context, req core.Request, _ core.Sink) error {
		ctx, cancel := context.WithDeadline(ctx, req.Deadline)
		defer cancel()
		<-ctx.Done()
		return &core.StatementError{Number: 1, Text: "SELECT", Err: ctx.Err()}
	}, func(o *Options) { o.Server.RequestTimeout = config.Duration(20 * time.Millisecond) })
	status, out, text := f.sql(t, `{"sql":"SELECT"}`)
	if status != 504 || out.Error.Code != "TIMEOUT" {
		t.Error(status, text)
	}
}

func TestHealth(t *testing.T) {
	f := serve(t, oneRow)
	for _, path := range []string{wire.PathHealth, wire.PathHealthAlias, wire.PathHealthShort} {
		res, text := f.do(t, "GET", path, "")
		var h wire.Health
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != 200 || h.Status != "healthy" || h.Version != "1.2.3" || h.APIVersion != "v1" || h.Commit != "abc" || h.Branch != "main" {
			t.Error(text)
		}
	}
	f.engine.writable = false
	if res, text := f.do(t, "GET", wire.PathHealth, ""); res.StatusCode != 503 || !strings.Contains(text, `"unhealthy"`) {
		t.Error(text)
	}
	if res, text := f.do(t, "HEAD", wire.PathHealth, ""); res.StatusCode != 503 || text != "" {
		t.Error(text)
	}
}

func TestStartingAndDraining(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	f := serve(t, func(ctx context.Context, r core.Request, s core.Sink) error {
		close(started)
		<-release
		return oneRow(ctx, r, s)
	})
	fresh := New(Options{Server: f.cfg.Server, Auth: f.handler.o.Auth, Logger: f.handler.log})
	w := httptest.NewRecorder()
	fresh.ServeHTTP(w, httptest.NewRequest("GET", wire.PathHealth, nil))
	if w.Code != 503 || !strings.Contains(w.Body.String(), `"starting"`) {
		t.Error(w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	fresh.ServeHTTP(w, httptest.NewRequest("POST", wire.PathSQL, nil))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Error(w.Code, w.Body)
	}

	answered := make(chan int)
	go func() {
		status, _, _ := f.sql(t, `{"sql":"SELECT"}`)
		answered <- status
	}()
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.handler.Drain(ctx); err == nil {
		t.Error("a statement still runs")
	}
	if status, _, text := f.sql(t, `{"sql":"SELECT"}`); status != 503 {
		t.Error(text)
	}
	if res, text := f.do(t, "GET", wire.PathHealth, ""); res.StatusCode != 503 || !strings.Contains(text, `"draining"`) {
		t.Error(text)
	}
	close(release)
	if status := <-answered; status != 200 {
		t.Error("the running statement ended with", status)
	}
	if err := f.handler.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCORS(t *testing.T) {
	f := serve(t, oneRow)
	preflight := []string{"Origin", "https://app.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type"}
	res, _ := f.do(t, "OPTIONS", wire.PathSQL, "", preflight...)
	if res.StatusCode != 204 || res.Header.Get("Access-Control-Allow-Origin") != "https://app.example" ||
		!strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "Authorization") || res.Header.Get("Access-Control-Allow-Methods") != "POST" {
		t.Error(res.StatusCode, res.Header)
	}
	preflight[1] = "https://evil.example"
	res, _ = f.do(t, "OPTIONS", wire.PathSQL, "", preflight...)
	if res.StatusCode != 403 || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error(res.StatusCode, res.Header)
	}
	res, _ = f.do(t, "POST", wire.PathSQL, `{"sql":"x"}`, "Origin", "https://app.example")
	if res.StatusCode != 200 || res.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || res.Header.Get("Vary") != "Origin" {
		t.Error(res.StatusCode, res.Header)
	}
	if res.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Error("pages must not send cookies or the like")
	}
}

func TestKeepAlive(t *testing.T) {
	f := serve(t, oneRow)
	fresh := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if !i.Reused {
			fresh++
		}
	}})
	for i := range 10 {
		body := []string{`{"sql":"x"}`, `{"sql":1}`}[i%2]
		r, err := http.NewRequestWithContext(ctx, "POST", f.URL+wire.PathSQL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := f.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	if fresh > 1 {
		t.Errorf("errors cost the connection: %d connections", fresh)
	}
}

func TestShapeCache(t *testing.T) {
	var c shapeCache
	a := c.get(twoColumns, wireconv.Format{})
	if b := c.get(twoColumns, wireconv.Format{}); a.encoder != b.encoder {
		t.Error("the shape is made twice")
	}
	if b := c.get(twoColumns, wireconv.Format{Arrays: true}); a.encoder == b.encoder {
		t.Error("formats share a shape")
	}
	if b := c.get(twoColumns[:1], wireconv.Format{}); a.encoder == b.encoder || len(b.encoder.Columns()) != 1 {
		t.Error("results of different columns share a shape")
	}
	for range 5 * maxShapes {
		c.get([]sql.ResultColumn{{Name: "x"}}, wireconv.Format{})
		c.get(twoColumns, wireconv.Format{})
	}
	if len(c.new)+len(c.old) > 2*maxShapes {
		t.Error("the cache grows without a bound")
	}
	if b := c.get(twoColumns, wireconv.Format{}); a.encoder != b.encoder {
		t.Error("a shape in use is forgotten")
	}
	for range 200 {
		c.get(make([]sql.ResultColumn, maxColumns/16), wireconv.Format{})
		c.get(make([]sql.ResultColumn, maxColumns/16+1), wireconv.Format{})
	}
	columns := 0
	for _, half := range []map[shapeKey]shape{c.new, c.old} {
		for k := range half {
			columns += k.n
		}
	}
	if columns > 2*maxColumns || len(c.new) < 2 {
		t.Errorf("%d shapes have %d columns", len(c.new)+len(c.old), columns)
	}
}

// FuzzBody sends anything as a body: the answer is JSON and blames the client.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"sql":"SELECT 1","params":[1,"a",null,true,1.5,{"x":[]}],"namespace_id":"n","options":{"rows":"array","int64":"string"}}`,
		`{"sql":"x","params":[1e400]}`, `{"sql":"\ud800"}`, `[[[[`, `{"sql":{}}`, "{\"sql\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	srv := serve(f, oneRow)
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", wire.PathSQL, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
		w := httptest.NewRecorder()
		srv.handler.ServeHTTP(w, r)
		var out wire.SQLResponse
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code >= 500 || (w.Code == 200) != (out.Status == wire.StatusSuccess) {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
	})
}

// bench sends one request again and again on one connection.
func bench(b *testing.B, url string) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	body := []byte(`{"sql":"SELECT * FROM t WHERE id = $1","params":[1]}`)
	b.ReportAllocs()
	for b.Loop() {
		res, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

func BenchmarkPointQuery(b *testing.B) {
	bench(b, serve(b, oneRow).URL+wire.PathSQL)
}

// BenchmarkEmptyHandler is the floor: a handler that does nothing.
func BenchmarkEmptyHandler(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	bench(b, s.URL)
}

// BenchmarkConstantAnswer is the floor for an answer of a point query's size.
func BenchmarkConstantAnswer(b *testing.B) {
	body := []byte(`{"status":"success","took_ms":0.005,"results":[{"columns":["id","content"],` +
		`"schema":[{"name":"id","type":"BIGINT"},{"name":"content","type":"TEXT"}],"rows":[{"id":1,"content":"row 1"}],"row_count":1}]}`)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	defer s.Close()
	bench(b, s.URL)
}
