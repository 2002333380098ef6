package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/link"
	"github.com/kalamdb/kalamdb/link/protocoltest"
)

// TestProtocol plays the server's part of every conversation to the client.
func TestProtocol(t *testing.T) {
	all, err := protocoltest.Load("testdata/protocol")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) { newScript(t).play(c.Steps) })
	}
}

// script is a server that says what a conversation says.
type script struct {
	t    *testing.T
	ctx  context.Context
	vars protocoltest.Variables
	db   *link.Client

	sockets  chan *websocket.Conn
	socket   *websocket.Conn
	requests chan exchange
	asked    exchange

	sub     *link.Subscription
	started chan outcome // of the call that runs
	ended   outcome
}

// exchange is an HTTP request that waits for its answer.
type exchange struct {
	r      *http.Request
	body   []byte
	answer chan protocoltest.Response
}

// outcome is what a call gave.
type outcome struct {
	results []link.Result
	sub     *link.Subscription
	err     error
}

func newScript(t *testing.T) *script {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	s := &script{
		t: t, ctx: ctx, vars: protocoltest.Variables{"$ns": "app"},
		sockets: make(chan *websocket.Conn), requests: make(chan exchange), started: make(chan outcome, 1),
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	var err error
	if s.db, err = link.New(srv.URL, link.WithNamespace("app"), link.WithBackoff(link.Backoff{Min: time.Millisecond, Max: time.Millisecond})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.db.Close()
		if s.socket != nil {
			_ = s.socket.CloseNow()
		}
	})
	return s
}

// ServeHTTP hands what the client sends to the conversation.
func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == wire.PathWS {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			s.t.Error(err)
			return
		}
		select {
		case s.sockets <- ws:
		case <-s.ctx.Done():
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	x := exchange{r: r, body: body, answer: make(chan protocoltest.Response)}
	select {
	case s.requests <- x:
	case <-s.ctx.Done():
		return
	}
	select {
	case a := <-x.answer:
		for k, v := range a.Headers {
			w.Header().Set(k, v)
		}
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
	case <-s.ctx.Done():
	}
}

func (s *script) play(steps []protocoltest.Step) {
	s.t.Helper()
	for i, step := range steps {
		if err := s.step(step); err != nil {
			s.t.Fatalf("step %d: %v", i+1, err)
		}
	}
}

func (s *script) step(step protocoltest.Step) error {
	switch {
	case step.Call != nil:
		return s.call(step.Call)
	case step.Client != nil:
		return s.receive(step.Client)
	case step.Server != nil:
		b, err := s.vars.Fill(step.Server)
		if err != nil {
			return err
		}
		return s.socket.Write(s.ctx, websocket.MessageText, b)
	case step.Cut:
		_ = s.socket.CloseNow()
		s.socket = nil
	case step.Event != nil:
		return s.event(step.Event)
	case step.Request != nil:
		return s.request(step.Request)
	case step.Response != nil:
		answer := *step.Response
		var err error
		if answer.Body, err = s.vars.Fill(answer.Body); err != nil {
			return err
		}
		s.asked.answer <- answer
		return s.outcome()
	case step.Results != nil:
		return s.vars.Match(step.Results, results(s.ended.results))
	case step.Error != nil:
		return s.fails(step.Error)
	}
	return nil // what happens to the data elsewhere is nothing to the client
}

func (s *script) call(c *protocoltest.Call) error {
	var params []any
	for _, p := range c.Params {
		var v any
		if err := json.Unmarshal(p, &v); err != nil {
			return err
		}
		if _, number := v.(float64); number {
			v = json.Number(p)
		}
		params = append(params, v)
	}
	switch c.Do {
	case "batch":
		go func() {
			rs, err := s.db.Batch(s.ctx, c.SQL, params...)
			s.started <- outcome{results: rs, err: err}
		}()
	case "subscribe":
		opts := []link.SubscribeOption{link.Params(params...)}
		if c.LastRows != nil {
			opts = append(opts, link.LastRows(*c.LastRows))
		}
		if c.OnSlow != "" {
			opts = append(opts, link.OnSlow(link.SlowPolicy(c.OnSlow)))
		}
		go func() {
			sub, err := s.db.Subscribe(s.ctx, c.SQL, opts...)
			s.started <- outcome{sub: sub, err: err}
		}()
	default:
		return errors.New("no such call: " + c.Do)
	}
	return nil
}

// outcome waits for the call that runs.
func (s *script) outcome() error {
	select {
	case s.ended = <-s.started:
		return nil
	case <-s.ctx.Done():
		return errors.New("the call does not end")
	}
}

// receive holds the client's next message against a line; pings are not part
// of a conversation.
func (s *script) receive(line json.RawMessage) error {
	if s.socket == nil {
		select {
		case s.socket = <-s.sockets:
		case <-s.ctx.Done():
			return errors.New("the client does not connect")
		}
	}
	_, got, err := s.socket.Read(s.ctx)
	if err != nil {
		return err
	}
	return s.vars.Match(line, got)
}

func (s *script) request(want *protocoltest.Request) error {
	select {
	case s.asked = <-s.requests:
	case <-s.ctx.Done():
		return errors.New("the client asks nothing")
	}
	if s.asked.r.Method != want.Method || s.asked.r.URL.Path != want.Path {
		return errors.New("the client asks " + s.asked.r.Method + " " + s.asked.r.URL.Path)
	}
	for k, v := range want.Headers {
		w, err := json.Marshal(v)
		if err != nil {
			return err
		}
		g, err := json.Marshal(s.asked.r.Header.Get(k))
		if err != nil {
			return err
		}
		if err := s.vars.Match(w, g); err != nil {
			return err
		}
	}
	return s.vars.Match(want.Body, s.asked.body)
}

// subscription is the one that the last call started.
func (s *script) subscription() (*link.Subscription, error) {
	if s.sub == nil {
		if err := s.outcome(); err != nil {
			return nil, err
		}
		s.sub = s.ended.sub
	}
	return s.sub, s.ended.err
}

func (s *script) event(line json.RawMessage) error {
	sub, err := s.subscription()
	if err != nil {
		return err
	}
	ev, err := sub.Next(s.ctx)
	if err != nil {
		return err
	}
	got := map[string]any{"kind": ev.Kind.String()}
	if ev.Seq > 0 {
		got["seq"] = ev.Seq
	}
	if ev.Row != nil {
		got["row"] = object(ev.Row)
	}
	if ev.Old != nil {
		got["old"] = object(ev.Old)
	}
	if ev.CatchUp {
		got["catch_up"] = true
	}
	if ev.Resync {
		got["resync"] = true
	}
	b, err := json.Marshal(got)
	if err != nil {
		return err
	}
	return s.vars.Match(line, b)
}

func object(r *link.Record) map[string]json.RawMessage {
	o := map[string]json.RawMessage{}
	for i, c := range r.Columns() {
		o[c.Name] = r.Raw(i)
	}
	return o
}

func results(rs []link.Result) []byte {
	out := []map[string]any{}
	for _, r := range rs {
		o := map[string]any{"row_count": r.RowCount}
		if r.Message != "" {
			o["message"] = r.Message
		}
		rows := []any{}
		for i := range r.Rows {
			rows = append(rows, object(&r.Rows[i]))
		}
		o["rows"] = rows
		out = append(out, o)
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(err) // of values made above
	}
	return b
}

// fails holds the error of the call, or the one that ended the subscription,
// against a line.
func (s *script) fails(line json.RawMessage) error {
	err := s.ended.err
	if s.ended.results == nil && err == nil {
		var sub *link.Subscription
		if sub, err = s.subscription(); err == nil {
			_, err = sub.Next(s.ctx)
		}
	}
	got := map[string]any{}
	var e *link.Error
	var closed *link.ClosedError
	switch {
	case errors.As(err, &closed):
		got["reason"] = closed.Reason
	case errors.As(err, &e):
		got["code"] = e.Code
		if e.Statement > 0 {
			got["sqlstate"], got["details"], got["statement"], got["line"], got["column"] = e.SQLState, e.Details, e.Statement, e.Line, e.Column
		}
	default:
		return errors.Join(errors.New("no error of the server"), err)
	}
	b, err := json.Marshal(got)
	if err != nil {
		return err
	}
	return s.vars.Match(line, b)
}
