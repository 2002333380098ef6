package ws

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/syncbuf"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/live/filter"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = []byte(strings.Repeat("k", 32))

// engine is a real hub behind one table: app.messages(id BIGINT, room TEXT). A
// query's text is the name of the room, or "all".
type engine struct {
	hub *live.Hub

	mu        sync.Mutex
	seq       change.Seq
	subs      int
	principal core.Principal
}

type session struct {
	*engine
	p core.Principal
}

func (e *engine) Session(p core.Principal, _ ident.SessionID) (Session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.principal = p
	return session{e, p}, nil
}

var table = &ddl.Table{
	ID: 7, Namespace: "app", Name: "messages", Type: ident.UserTable, SchemaVersion: 1,
	Columns: []ddl.Column{{ID: 1, Name: "id", Type: sqltype.TBigInt}, {ID: 2, Name: "room", Type: sqltype.TText}},
}

type room string

func (r room) Match(row sqltype.Row) (bool, error) {
	return r == "all" || row[1].Str() == string(r), nil
}
func (room) Project(row, dst sqltype.Row) error { copy(dst, row[:2]); return nil }

func (s session) Subscribe(ctx context.Context, req core.SubscribeRequest) (*live.Subscription, error) {
	if strings.HasPrefix(req.SQL, "SELECT") {
		return nil, &core.StatementError{Number: 1, Text: req.SQL, Err: dberr.New(dberr.TableNotFound, "table app.x does not exist")}
	}
	if req.SQL == "broken" {
		return nil, fmt.Errorf("open /secret/path: bad disk")
	}
	if req.SQL == "gone" { // the client goes while its query starts, which the query finds out
		<-ctx.Done()
		return nil, fmt.Errorf("read rows: %w", context.Cause(ctx))
	}
	if req.SQL == "panic" {
		panic("boom")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs++
	sub, err := s.hub.Register(live.Spec{
		ID: ident.LiveID(fmt.Sprint("live-", s.subs)), Connection: req.Connection, ClientID: req.ID, User: s.p.User,
		Query: req.SQL, Options: req.Options, Buffer: req.Buffer, Mux: req.Mux, Tag: req.Tag,
		Plan: &live.Plan{
			Table: table, FilterKey: req.SQL, ProjectionKey: "*",
			Columns: []live.Column{{Name: "id", Type: sqltype.TBigInt}, {Name: "room", Type: sqltype.TText}},
			NewEval: func() filter.Evaluator { return room(req.SQL) },
		},
	})
	if err != nil {
		return nil, err
	}
	return sub, sub.Start(live.Start{Seq: s.seq})
}

// insert commits rows of a user.
func (e *engine) insert(user ident.UserID, room string, ids ...int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	events := make([]*change.Event, len(ids))
	for i, id := range ids {
		e.seq++
		events[i] = &change.Event{
			Seq: e.seq, Time: time.UnixMicro(1761051909250000), Op: change.Insert, Table: 7, User: user, SchemaVersion: 1,
			New: sqltype.Row{sqltype.NewBigInt(id), sqltype.NewText(room)},
		}
	}
	e.hub.Publish(events)
}

type fixture struct {
	*httptest.Server
	ws     *Server
	engine *engine
}

func serve(t testing.TB, change ...func(*Options)) *fixture {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	a, err := auth.New(auth.Options{Auth: config.Default().Auth, Secret: secret, AllowedOrigins: []string{"https://app.example"}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Live: config.Default().Live, Auth: a, AllowedOrigins: []string{"https://app.example"}, Logger: log}
	o.Live.MaxPerConnection = 3
	for _, c := range change {
		c(&o)
	}
	f := &fixture{ws: New(o), engine: &engine{hub: live.NewHub(live.Options{Limits: o.Live})}}
	f.ws.Serve(f.engine)
	f.Server = httptest.NewServer(f.ws)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f.ws.Shutdown(ctx)
		f.Close()
		f.engine.hub.Close()
		if n := f.ws.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		if l := f.engine.hub.List(""); len(l) != 0 {
			t.Errorf("%d subscriptions are left", len(l))
		}
	})
	return f
}

func (f *fixture) token(t testing.TB, user ident.UserID) string {
	token, err := auth.Issue(config.Default().Auth, secret, user, ident.RoleUser, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// client is one side of a connection that says what it expects.
type client struct {
	t testing.TB
	*websocket.Conn
}

func (f *fixture) dial(t testing.TB, headers ...string) *client {
	c, res, err := f.tryDial(t, headers...)
	if err != nil {
		t.Fatal(err, res)
	}
	return c
}

func (f *fixture) tryDial(t testing.TB, headers ...string) (*client, *http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, f.URL, &websocket.DialOptions{HTTPHeader: h, HTTPClient: f.Client()})
	if err != nil {
		return nil, res, err
	}
	conn.SetReadLimit(1 << 24)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t, conn}, res, nil
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) next() (text string, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	_, b, err := c.Read(ctx)
	return string(b), err
}

func (c *client) read() (wire.ServerMessage, string) {
	c.t.Helper()
	text, err := c.next()
	if err != nil {
		c.t.Fatal(err)
	}
	var m wire.ServerMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		c.t.Fatalf("%v: %s", err, text)
	}
	return m, text
}

func (c *client) want(text string) {
	c.t.Helper()
	if _, got := c.read(); got != text {
		c.t.Fatalf("got  %s\nwant %s", got, text)
	}
}

func (c *client) wantError(id string, code dberr.Code) string {
	c.t.Helper()
	m, text := c.read()
	if m.Type != wire.TypeError || m.SubscriptionID != id || m.Code != string(code) || m.Message == "" {
		c.t.Fatalf("got %s, want error %s of %q", text, code, id)
	}
	return m.Message
}

func (c *client) wantClose(code websocket.StatusCode) {
	c.t.Helper()
	text, err := c.next()
	if websocket.CloseStatus(err) != code {
		c.t.Fatalf("got %q %v, want close status %d", text, err, code)
	}
}

func (c *client) subscribe(id, sql string) {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"subscriptions":[{"id":%q,"sql":%q}]}`, id, sql))
	if m, text := c.read(); m.Type != wire.TypeSubscriptionAck || m.SubscriptionID != id || m.LiveID == "" {
		c.t.Fatal(text)
	}
}

func TestSubscription(t *testing.T) {
	f := serve(t)
	f.engine.insert("ann", "a", 1)
	c := f.dial(t, wire.HeaderUserID, "ann")
	c.send(`{"type":"subscribe","subscriptions":[{"id":"s1","sql":"a"},{"id":"s2","sql":"all","options":{"int64":"string","last_rows":0}}]}`)
	c.want(`{"type":"subscription_ack","subscription_id":"s1","live_id":"live-1","seq":1,"schema":[{"name":"id","type":"BIGINT"},{"name":"room","type":"TEXT"}]}`)
	c.want(`{"type":"subscription_ack","subscription_id":"s2","live_id":"live-2","last_rows":0,"seq":1,"schema":[{"name":"id","type":"BIGINT"},{"name":"room","type":"TEXT"}]}`)

	f.engine.insert("bob", "a", 2)
	f.engine.insert("ann", "a", 3)
	got := map[string]bool{}
	for range 2 {
		_, text := c.read()
		got[text] = true
	}
	tail := `,"room":"a","_updated":"2025-10-21T13:05:09.250000Z","_deleted":false}],"seq":3,"timestamp":"2025-10-21T13:05:09.250000Z"}`
	for _, want := range []string{
		`{"type":"change","subscription_id":"s1","change_type":"insert","rows":[{"id":3` + tail,
		`{"type":"change","subscription_id":"s2","change_type":"insert","rows":[{"id":"3"` + tail,
	} {
		if !got[want] {
			t.Errorf("got %v\nwant %s", got, want)
		}
	}

	c.send(`{"type":"unsubscribe","subscription_id":"s2"}`)
	c.send(`{"type":"ping"}`)
	c.want(`{"type":"pong"}`)
	f.engine.insert("ann", "b", 4)
	f.engine.insert("ann", "a", 5)
	if m, text := c.read(); m.SubscriptionID != "s1" || m.Seq != 5 {
		t.Error("an unsubscribed query still speaks:", text)
	}
	c.subscribe("s2", "b") // the id is free again
}

func TestOrderUnderLoad(t *testing.T) {
	f := serve(t, func(o *Options) { o.Live.Queue, o.Live.QueueBytes = 100_000, 64*config.MiB })
	const rounds, each = 500, 3
	c := f.dial(t, wire.HeaderUserID, "ann")
	c.subscribe("s1", "a")
	c.subscribe("s2", "all")
	go func() {
		for i := range rounds {
			f.engine.insert("ann", []string{"a", "b"}[i%2], int64(i), int64(i), int64(i))
		}
	}()
	rows, last := map[string]int{}, map[string]uint64{}
	for rows["s1"] < rounds*each/2 || rows["s2"] < rounds*each {
		m, text := c.read()
		if m.Type != wire.TypeChange || m.Seq <= last[m.SubscriptionID] {
			t.Fatalf("after %d came %s", last[m.SubscriptionID], text)
		}
		last[m.SubscriptionID] = m.Seq
		rows[m.SubscriptionID] += len(m.Rows)
	}
	if rows["s1"] != rounds*each/2 || rows["s2"] != rounds*each {
		t.Error(rows)
	}
}

func TestMistakes(t *testing.T) {
	f := serve(t)
	c := f.dial(t)
	for _, tc := range []struct {
		send, id string
		code     dberr.Code
	}{
		{`{"type":`, "", dberr.InvalidJSON},
		{`[]`, "", dberr.InvalidJSON},
		{`{"type":7}`, "", dberr.InvalidJSON},
		{`{"subscriptions":[{"id":1}]}`, "", dberr.InvalidJSON},
		{`{}`, "", dberr.Unsupported},
		{`null`, "", dberr.Unsupported},
		{`{"type":"shout"}`, "", dberr.Unsupported},
		{`{"type":"subscribe"}`, "", dberr.InvalidSQL},
		{`{"subscriptions":[]}`, "", dberr.InvalidSQL},
		{`{"subscriptions":[{"sql":"a"}]}`, "", dberr.InvalidSQL},
		{`{"subscriptions":[{"id":"x","sql":"a","options":{"last_rows":-2}}]}`, "x", dberr.InvalidSQL},
		{`{"subscriptions":[{"id":"x","sql":"a","options":{"buffer":-1}}]}`, "x", dberr.InvalidSQL},
		{`{"subscriptions":[{"id":"x","sql":"a","options":{"on_slow":"wait"}}]}`, "x", dberr.InvalidSQL},
		{`{"subscriptions":[{"id":"x","sql":"a","options":{"int64":"big"}}]}`, "x", dberr.InvalidSQL},
		{`{"subscriptions":[{"id":"x","sql":"a","params":[1e999]}]}`, "x", dberr.TypeMismatch},
		{`{"subscriptions":[{"id":"x","sql":"SELECT * FROM app.x"}]}`, "x", dberr.TableNotFound},
		{`{"subscriptions":[{"id":"x","sql":"broken"}]}`, "x", dberr.Internal},
		{`{"type":"unsubscribe","subscription_id":"nobody"}`, "nobody", dberr.SubscriptionNotFound},
		{`{"type":"unsubscribe"}`, "", dberr.SubscriptionNotFound},
	} {
		c.send(tc.send)
		if msg := c.wantError(tc.id, tc.code); strings.Contains(msg, "secret") {
			t.Error(msg)
		}
	}
	c.subscribe("x", "a")
	c.send(`{"subscriptions":[{"id":"x","sql":"a"}]}`)
	c.wantError("x", dberr.AlreadyExists)
	c.subscribe("y", "a")
	c.subscribe("z", "a")
	c.send(`{"subscriptions":[{"id":"more","sql":"a"}]}`)
	c.wantError("more", dberr.ResourceExhausted)
	f.engine.insert("system", "a", 1)
	for range 3 {
		if m, text := c.read(); m.Type != wire.TypeChange {
			t.Error(text)
		}
	}
}

func TestFaultsEndTheConnection(t *testing.T) {
	f := serve(t)
	c := f.dial(t)
	if err := c.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	c.wantError("", dberr.Unsupported)
	c.wantClose(websocket.StatusUnsupportedData)

	c = f.dial(t)
	c.send(`{"type":"ping","token":"` + strings.Repeat("x", maxMessage) + `"}`)
	c.wantClose(websocket.StatusMessageTooBig)

	c = f.dial(t)
	c.send(`{"subscriptions":[{"id":"x","sql":"panic"}]}`)
	c.wantError("", dberr.Internal)
	c.wantClose(websocket.StatusInternalError)
}

func TestHandshake(t *testing.T) {
	f := serve(t)
	token := f.token(t, "ann")
	for _, tc := range []struct {
		name    string
		headers []string
		status  int
		user    ident.UserID
	}{
		{"bypass", nil, 101, "system"},
		{"token", []string{"Authorization", "Bearer " + token}, 101, "ann"},
		{"wrong token", []string{"Authorization", "Bearer x.y.z"}, 401, ""},
		{"API key", []string{"X-API-KEY", "k"}, 401, ""},
		{"other user", []string{"Authorization", "Bearer " + token, "X-USER-ID", "bob"}, 403, ""},
		{"foreign origin", []string{"Origin", "https://evil.example"}, 403, ""},
		{"foreign origin with a token", []string{"Origin", "https://evil.example", "Authorization", "Bearer " + token}, 403, ""},
		{"null origin", []string{"Origin", "null"}, 403, ""},
		{"allowed origin", []string{"Origin", "https://app.example"}, 101, "system"},
		{"own origin", []string{"Origin", f.URL}, 101, "system"},
		{"bad session", []string{"X-SESSION-ID", strings.Repeat("s", 200)}, 400, ""},
		{"bad namespace", []string{"X-NAMESPACE", strings.Repeat("s", 200)}, 400, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, res, _ := f.tryDial(t, tc.headers...)
			if res == nil || res.StatusCode != tc.status {
				t.Fatalf("%+v", res)
			}
			if tc.status != 101 {
				var out wire.SQLResponse
				if err := json.NewDecoder(res.Body).Decode(&out); err != nil || out.Error == nil {
					t.Error(err, out)
				}
				return
			}
			c.send(`{"type":"ping"}`)
			c.want(`{"type":"pong"}`)
			if f.engine.principal.User != tc.user {
				t.Error(f.engine.principal)
			}
		})
	}
	res, err := f.Client().Get(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUpgradeRequired {
		t.Error(res.Status)
	}
}

func TestAuthenticateByMessage(t *testing.T) {
	f := serve(t)
	proxied := []string{"X-Forwarded-For", "192.0.2.1"} // takes the bypass away

	c := f.dial(t, proxied...)
	c.send(`{"type":"authenticate","token":"` + f.token(t, "ann") + `"}`)
	c.want(`{"type":"authenticated","user_id":"ann"}`)
	c.subscribe("s", "a")
	f.engine.insert("ann", "a", 1)
	if m, text := c.read(); m.Type != wire.TypeChange {
		t.Error(text)
	}
	// The same user may renew its token; nobody else may take the queries over.
	c.send(`{"type":"authenticate","token":"` + f.token(t, "ann") + `"}`)
	c.want(`{"type":"authenticated","user_id":"ann"}`)
	c.send(`{"type":"authenticate","token":"` + f.token(t, "bob") + `"}`)
	c.wantError("", dberr.PermissionDenied)
	c.send(`{"type":"authenticate","token":"x"}`)
	c.wantError("", dberr.Unauthenticated)

	for _, first := range []string{
		`{"type":"authenticate","token":"x.y.z"}`, `{"type":"authenticate"}`, `{"type":"ping"}`, `nonsense`,
		`{"subscriptions":[{"id":"s","sql":"a"}]}`,
	} {
		c := f.dial(t, proxied...)
		c.send(first)
		c.wantError("", dberr.Unauthenticated)
		c.wantClose(websocket.StatusPolicyViolation)
	}
	c = f.dial(t, proxied...)
	c.send(strings.Repeat(" ", maxAuthMessage+1))
	c.wantClose(websocket.StatusMessageTooBig)
}

func TestAuthenticationTimeout(t *testing.T) {
	f := serve(t, func(o *Options) { o.AuthTimeout = 20 * time.Millisecond })
	c := f.dial(t, "X-Forwarded-For", "192.0.2.1")
	c.wantError("", dberr.Unauthenticated)
	c.wantClose(websocket.StatusPolicyViolation)
}

func TestKilledAndDropped(t *testing.T) {
	f := serve(t)
	c := f.dial(t)
	c.subscribe("s", "a")
	c.subscribe("t", "a")
	if err := f.engine.hub.Kill("live-1"); err != nil {
		t.Fatal(err)
	}
	c.want(`{"type":"closed","subscription_id":"s","reason":"killed"}`)
	f.engine.insert("system", "a", 1)
	if m, text := c.read(); m.SubscriptionID != "t" {
		t.Error(text)
	}
	f.engine.hub.CloseTable(7)
	c.want(`{"type":"closed","subscription_id":"t","reason":"table_dropped"}`)
	c.subscribe("s", "a")
}

func TestShutdown(t *testing.T) {
	f := serve(t)
	c := f.dial(t)
	idle := f.dial(t)
	c.subscribe("s", "a")
	f.engine.insert("system", "a", 1)
	done := make(chan struct{})
	f.engine.hub.Close() // delivers what was published first
	go func() {
		defer close(done)
		f.ws.Shutdown(t.Context())
	}()
	if m, text := c.read(); m.Type != wire.TypeChange {
		t.Error("the last change is lost:", text)
	}
	c.want(`{"type":"closed","subscription_id":"s","reason":"shutdown"}`)
	c.wantClose(websocket.StatusGoingAway)
	idle.wantClose(websocket.StatusGoingAway)
	<-done
	if c, _, err := f.tryDial(t); err == nil {
		if _, err := c.next(); err == nil {
			t.Error("a stopped server takes connections")
		}
	}
}

func TestShutdownWithoutTheEngine(t *testing.T) {
	f := serve(t)
	c := f.dial(t)
	c.subscribe("s", "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.ws.Shutdown(ctx)
	}()
	c.want(`{"type":"closed","subscription_id":"s","reason":"shutdown"}`)
	c.wantClose(websocket.StatusGoingAway)
	<-done
}

func TestSilentClientIsClosed(t *testing.T) {
	f := serve(t, func(o *Options) {
		o.Live.PingInterval, o.Live.IdleTimeout = config.Duration(10*time.Millisecond), config.Duration(500*time.Millisecond)
	})
	// A client that does not read does not answer pings.
	c := f.dial(t)
	c.send(`{"type":"ping"}`)
	for deadline := time.Now().Add(10 * time.Second); f.ws.Connections() > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the silent client is still connected")
		}
		time.Sleep(time.Millisecond)
	}
	// One that reads does, and stays.
	c = f.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
	defer cancel()
	if _, _, err := c.Read(ctx); ctx.Err() == nil {
		t.Error("a living client was closed:", err)
	}
}

func TestStalledReaderCostsOthersNothing(t *testing.T) {
	f := serve(t, func(o *Options) { o.Live.Queue = 10 })
	stalled := f.dial(t, wire.HeaderUserID, "ann")
	stalled.subscribe("s", "all")
	c := f.dial(t, wire.HeaderUserID, "ann")
	c.subscribe("s", "b")
	long := strings.Repeat("x", 1<<20)
	for i := range 20 { // far more than sockets and queue hold
		f.engine.insert("ann", long, int64(i))
	}
	f.engine.insert("ann", "b", 1)
	if m, text := c.read(); m.Type != wire.TypeChange || len(m.Rows) != 1 {
		t.Errorf("%.100s", text)
	}
}

func TestVanishingClientsLeaveNothing(t *testing.T) {
	f := serve(t)
	for i := range 20 {
		c := f.dial(t, wire.HeaderUserID, fmt.Sprint("u", i))
		c.subscribe("s", "a")
		if i%2 == 0 {
			_ = c.CloseNow()
		} else if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); f.ws.Connections() > 0 || len(f.engine.hub.List("")) > 0; {
		if time.Now().After(deadline) {
			t.Fatal(f.ws.Connections(), "connections are left")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestALostConnectionIsNoInternalError breaks a connection while its reader
// starts a query and changes are written to it: the log has no error.
func TestALostConnectionIsNoInternalError(t *testing.T) {
	var log syncbuf.Buffer
	f := serve(t, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	c := f.dial(t, "Authorization", "Bearer "+f.token(t, "ann"))
	c.subscribe("s", "all")
	c.send(`{"subscriptions":[{"id":"g","sql":"gone"}]}`)
	_ = c.CloseNow()
	for i := int64(0); f.ws.Connections() > 0; i++ {
		f.engine.insert("ann", "a", i)
		time.Sleep(time.Millisecond)
	}
	f.ws.Shutdown(context.Background())
	if text := log.String(); !strings.Contains(text, "connection lost") || strings.Contains(text, "level=ERROR") {
		t.Errorf("the log has\n%s", text)
	}
}

// BenchmarkDelivery writes one change at a time to 1,000 subscriptions on ten
// connections.
func BenchmarkDelivery(b *testing.B) {
	f := serve(b, func(o *Options) {
		o.Live.MaxPerConnection, o.Live.MaxPerUser, o.Live.Queue = 100, 1000, 100_000
	})
	var got sync.WaitGroup
	for range 10 {
		c := f.dial(b, wire.HeaderUserID, "ann")
		for i := range 100 {
			c.subscribe(fmt.Sprint("s", i), "a")
		}
		go func() {
			for {
				if _, _, err := c.Read(context.Background()); err != nil {
					return
				}
				got.Done()
			}
		}()
	}
	b.ReportAllocs()
	for b.Loop() {
		got.Add(1000)
		f.engine.insert("ann", "a", 1)
		got.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/delivery")
}
