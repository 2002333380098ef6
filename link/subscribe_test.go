package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// take reads n events and gives them in short: the kind, the row's id, marks.
func take(t *testing.T, s *Subscription, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out []string
	for range n {
		ev, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("after %v: %v", out, err)
		}
		out = append(out, short(ev))
	}
	return out
}

func short(ev Event) string {
	s := ev.Kind.String()
	if ev.Row != nil {
		id, _ := ev.Row.Get("id")
		s += fmt.Sprint(" ", id)
	}
	if ev.Old != nil {
		text, _ := ev.Old.Get("text")
		s += fmt.Sprint(" was ", text)
	}
	if ev.CatchUp {
		s += " catch-up"
	}
	if ev.Resync {
		s += " resync"
	}
	return s
}

func equal(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func mustSubscribe(t *testing.T, c *Client, sql string, opts ...SubscribeOption) *Subscription {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := c.Subscribe(ctx, sql, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSubscribeEvents(t *testing.T) {
	srv := newLiveServer(t)
	for i := range 3 {
		srv.insert(i + 1)
	}
	sub := mustSubscribe(t, srv.client(WithUser("ada")), "SELECT * FROM m", LastRows(2))
	srv.insert(4)
	srv.publish("update", `{"id":4,"text":"new","_updated":"2026-01-02T03:04:05Z","_deleted":false}`, `{"id":4,"text":"row 4"}`)
	srv.publish("delete", `{"id":4,"text":"new","_updated":"2026-01-02T03:04:05Z","_deleted":true}`, `{"id":4,"text":"new"}`)
	equal(t, take(t, sub, 7), "ready", "initial 2", "initial 3", "loaded", "insert 4", "update 4 was row 4", "delete 4 was new")
	if sub.Seq() != 6 || sub.LiveID() != "live-1" || len(sub.Columns()) != 2 {
		t.Errorf("seq %d, live id %s, columns %v", sub.Seq(), sub.LiveID(), sub.Columns())
	}
	sub.Close()
	if _, err := sub.Next(t.Context()); err != ErrClosed {
		t.Errorf("after Close: %v", err)
	}
	srv.wait(func() bool { return len(srv.conns) == 0 })
}

func TestReconnectResumesExactlyOnce(t *testing.T) {
	srv := newLiveServer(t)
	sub := mustSubscribe(t, srv.client(), "SELECT * FROM m")
	take(t, sub, 1)
	seen := map[string]int{}
	const n = 200
	go func() {
		for i := range n {
			srv.insert(i)
			if i%37 == 0 {
				srv.kick()
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	last := int64(-1)
	for len(seen) < n {
		ev, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("%d of %d rows: %v", len(seen), n, err)
		}
		if ev.Kind == EventInsert {
			id, _ := ev.Row.Get("id")
			if id.(int64) != last+1 {
				t.Fatalf("row %v came after %d", id, last)
			}
			last = id.(int64)
			seen[fmt.Sprint(id)]++
		}
	}
	for id, k := range seen {
		if k != 1 {
			t.Errorf("row %s came %d times", id, k)
		}
	}
}

func TestReconnectIsAnnounced(t *testing.T) {
	srv := newLiveServer(t)
	sub := mustSubscribe(t, srv.client(), "SELECT * FROM m", LastRows(-1))
	equal(t, take(t, sub, 2), "ready", "loaded")
	srv.insert(1)
	equal(t, take(t, sub, 1), "insert 1")
	srv.mu.Lock()
	srv.handshake = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(503); return false }
	srv.mu.Unlock()
	srv.kick()
	equal(t, take(t, sub, 1), "reconnecting")
	srv.insert(2)
	srv.mu.Lock()
	srv.handshake = nil
	srv.mu.Unlock()
	var got []string
	for len(got) == 0 || got[len(got)-1] != "insert 2 catch-up" {
		got = append(got, take(t, sub, 1)...)
	}
	for len(got) > 0 && got[0] == "reconnecting" {
		got = got[1:]
	}
	equal(t, got, "reconnected", "insert 2 catch-up")
}

func TestResyncStartsAnew(t *testing.T) {
	srv := newLiveServer(t)
	srv.insert(1)
	sub := mustSubscribe(t, srv.client(), "SELECT * FROM m", LastRows(-1))
	equal(t, take(t, sub, 3), "ready", "initial 1", "loaded")
	srv.mu.Lock()
	srv.handshake = func(http.ResponseWriter, *http.Request) bool {
		srv.mu.Lock()
		defer srv.mu.Unlock()
		srv.handshake = nil
		for i := range 3 {
			srv.log = append(srv.log, logged{"insert", fmt.Sprintf(`{"id":%d,"text":"x"}`, i+2), ""})
		}
		srv.oldest = 4
		return true
	}
	srv.mu.Unlock()
	srv.kick()
	equal(t, take(t, sub, 7), "reconnecting", "resynced", "initial 1", "initial 2", "initial 3", "initial 4", "loaded")
	srv.insert(9)
	equal(t, take(t, sub, 1), "insert 9")
	// The server may also say so to a subscription that it has acknowledged:
	// its reader was too slow, and what was missed is gone.
	srv.mu.Lock()
	for c := range srv.conns {
		for id := range c.subs {
			c.send(`{"type":"error","subscription_id":%q,"code":"RESYNC_REQUIRED","message":"gone"}`, id)
			delete(c.subs, id)
		}
	}
	srv.mu.Unlock()
	equal(t, take(t, sub, 7), "resynced", "initial 1", "initial 2", "initial 3", "initial 4", "initial 9", "loaded")
	srv.insert(10)
	equal(t, take(t, sub, 1), "insert 10")
}

func TestSlowReaderGetsNewestState(t *testing.T) {
	srv := newLiveServer(t)
	c := srv.client()
	slow := mustSubscribe(t, c, "SELECT * FROM slow", Buffer(5))
	quick := mustSubscribe(t, c, "SELECT * FROM quick")
	for i := range 50 {
		srv.insert(i)
	}
	if got := take(t, quick, 51); got[50] != "insert 49" {
		t.Errorf("the quick reader got %q", got[50])
	}
	got := take(t, slow, 51)
	if got[4] != "insert 3" || got[5] != "insert 4 resync" || got[50] != "insert 49 resync" {
		t.Errorf("the slow reader got %q", got)
	}
	srv.insert(50)
	equal(t, take(t, slow, 1), "insert 50")
}

func TestSlowReaderMayBeClosed(t *testing.T) {
	srv := newLiveServer(t)
	sub := mustSubscribe(t, srv.client(), "SELECT * FROM m", Buffer(2), OnSlow(SlowClose))
	for i := range 10 {
		srv.insert(i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var err error
	n := 0
	for ; err == nil; n++ {
		srv.wait(func() bool { return len(srv.conns) == 0 })
		_, err = sub.Next(ctx)
	}
	var ce *ClosedError
	if !errors.As(err, &ce) || ce.Reason != wire.ReasonSlowConsumer || n != 3 {
		t.Errorf("after %d: %v", n, err)
	}
}

func TestManySubscriptionsShareOneConnection(t *testing.T) {
	srv := newLiveServer(t)
	c := srv.client()
	var subs []*Subscription
	for range 20 {
		subs = append(subs, mustSubscribe(t, c, "SELECT * FROM m"))
	}
	srv.insert(1)
	for _, s := range subs {
		equal(t, take(t, s, 2), "ready", "insert 1")
	}
	srv.mu.Lock()
	accepted := srv.accepted
	srv.mu.Unlock()
	if accepted != 1 {
		t.Errorf("%d connections", accepted)
	}
	for _, s := range subs[1:] {
		s.Close()
	}
	srv.wait(func() bool { return srv.subscriptions() == 1 })
	srv.insert(2)
	equal(t, take(t, subs[0], 1), "insert 2")
	subs[0].Close()
	again := mustSubscribe(t, c, "SELECT * FROM m")
	srv.wait(func() bool { return srv.accepted == 2 })
	srv.insert(3)
	equal(t, take(t, again, 2), "ready", "insert 3")
}

func TestServerEndsASubscription(t *testing.T) {
	for _, tc := range []struct {
		message string
		check   func(error) bool
	}{
		{`{"type":"closed","subscription_id":%q,"reason":"killed"}`,
			func(err error) bool { return strings.Contains(err.Error(), "live-1 was terminated") }},
		{`{"type":"closed","subscription_id":%q,"reason":"table_dropped"}`,
			func(err error) bool { return strings.Contains(err.Error(), "dropped") }},
		{`{"type":"error","subscription_id":%q,"code":"PERMISSION_DENIED","message":"no more"}`,
			func(err error) bool { return CodeOf(err) == CodePermissionDenied }},
	} {
		srv := newLiveServer(t)
		sub := mustSubscribe(t, srv.client(), "SELECT * FROM m")
		take(t, sub, 1)
		srv.wait(func() bool { return srv.subscriptions() == 1 })
		srv.broadcast(tc.message)
		var last error
		for _, err := range sub.Events(t.Context()) {
			last = err
		}
		if last == nil || !tc.check(last) || sub.Err() != last {
			t.Errorf("%s gives %v", tc.message, last)
		}
	}
}

func TestShutdownIsARestart(t *testing.T) {
	srv := newLiveServer(t)
	sub := mustSubscribe(t, srv.client(), "SELECT * FROM m")
	take(t, sub, 1)
	srv.wait(func() bool { return srv.subscriptions() == 1 })
	srv.broadcast(`{"type":"closed","subscription_id":%q,"reason":"shutdown"}`)
	equal(t, take(t, sub, 2), "reconnecting", "reconnected")
}

// What occurs when a WebSocket connection is established but no ping/pong is
// received?
func TestSilentConnectionIsGivenUp(t *testing.T) {
	srv := newLiveServer(t)
	sub := mustSubscribe(t, srv.client(WithHeartbeat(100*time.Millisecond)), "SELECT * FROM m")
	take(t, sub, 1)
	srv.mu.Lock()
	srv.mute = true
	srv.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ev, err := sub.Next(ctx)
	if err != nil || ev.Kind != EventReconnecting || !errors.Is(ev.Err, errSilent) {
		t.Errorf("%v %v", ev, err)
	}
}

// What happens when `kalam-link` receives malformed JSON from the server?
func TestMalformedMessageIsALostConnection(t *testing.T) {
	for _, bad := range []string{`{"type":`, `{"type":"change","subscription_id":%q,"change_type":"odd","rows":[{}],"seq":99}`,
		`{"type":"change","subscription_id":%q,"change_type":"insert","rows":[5],"seq":99}`} {
		srv := newLiveServer(t)
		sub := mustSubscribe(t, srv.client(), "SELECT * FROM m")
		take(t, sub, 1)
		srv.wait(func() bool { return srv.subscriptions() == 1 })
		if strings.Contains(bad, "%") {
			srv.broadcast(bad)
		} else {
			srv.broadcast(bad + "%.0q")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		ev, err := sub.Next(ctx)
		cancel()
		if err != nil || ev.Kind != EventReconnecting || !isProtocol(ev.Err) {
			t.Errorf("%s gives %v %v", bad, ev, err)
		}
		sub.Close()
	}
}

// How does `kalam-link` handle WebSocket connection upgrade failures?
func TestSubscribeEach(t *testing.T) {
	srv := newLiveServer(t)
	sub := mustSubscribe(t, srv.client(), "SELECT * FROM m")
	srv.insert(1)
	srv.insert(2)
	enough := errors.New("enough")
	rows := 0
	err := sub.Each(t.Context(), func(ev Event) error {
		if ev.Kind == EventInsert {
			if rows++; rows == 2 {
				return enough
			}
		}
		return nil
	})
	if err != enough || rows != 2 {
		t.Errorf("%d rows, %v", rows, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	if err := sub.Each(ctx, func(Event) error { return nil }); err != enough {
		t.Errorf("the context ended: %v", err)
	}
	sub.Close()
	if err := sub.Each(t.Context(), func(Event) error { return nil }); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestSubscribeRefused(t *testing.T) {
	srv := newLiveServer(t)
	c := srv.client()
	if _, err := c.Subscribe(t.Context(), "SELECT * FROM missing"); CodeOf(err) != CodeTableNotFound {
		t.Errorf("missing table: %v", err)
	}
	srv.mu.Lock()
	srv.oldest = 10
	srv.mu.Unlock()
	if _, err := c.Subscribe(t.Context(), "SELECT * FROM m", FromSeq(3)); CodeOf(err) != CodeResyncRequired {
		t.Errorf("lost sequence: %v", err)
	}
	for status, check := range map[int]func(error) bool{
		401: func(err error) bool { return CodeOf(err) == CodeUnauthenticated },
		404: isProtocol,
	} {
		srv.mu.Lock()
		srv.handshake = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(status); return false }
		srv.mu.Unlock()
		if _, err := c.Subscribe(t.Context(), "SELECT * FROM m"); err == nil || !check(err) {
			t.Errorf("handshake with %d: %v", status, err)
		}
	}
	srv.Server.Close()
	if _, err := c.Subscribe(t.Context(), "SELECT * FROM m"); !isTransport(err) {
		t.Errorf("no server: %v", err)
	}
	c.Close()
	if _, err := c.Subscribe(t.Context(), "SELECT * FROM m"); err != ErrClosed {
		t.Errorf("closed client: %v", err)
	}
}

func TestSubscribeMayBeCancelled(t *testing.T) {
	srv := newLiveServer(t)
	hold := make(chan struct{})
	srv.handshake = func(http.ResponseWriter, *http.Request) bool { <-hold; return true }
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := srv.client().Subscribe(ctx, "SELECT * FROM m")
	close(hold)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestWithoutReconnectALossIsTheEnd(t *testing.T) {
	srv := newLiveServer(t)
	sub := mustSubscribe(t, srv.client(), "SELECT * FROM m", AutoReconnect(false))
	ch := sub.Chan(t.Context())
	if ev := <-ch; ev.Kind != EventReady {
		t.Errorf("first event %v", ev.Kind)
	}
	srv.kick()
	for range ch {
	}
	if !isTransport(sub.Err()) {
		t.Errorf("error %v", sub.Err())
	}
}

func TestAuthenticateMessage(t *testing.T) {
	srv := newLiveServer(t)
	var header http.Header
	srv.handshake = func(_ http.ResponseWriter, r *http.Request) bool { header = r.Header; return true }
	sub := mustSubscribe(t, srv.client(WithToken("good"), WithAuthenticateMessage()), "SELECT * FROM m")
	take(t, sub, 1)
	if header.Get("Authorization") != "" {
		t.Error("the token is in a header too")
	}
	_, err := srv.client(WithToken("bad"), WithAuthenticateMessage()).Subscribe(t.Context(), "SELECT * FROM m")
	if CodeOf(err) != CodeUnauthenticated {
		t.Errorf("error %v", err)
	}
}

func TestSubscribeToAsksForItsQuery(t *testing.T) {
	srv := newLiveServer(t)
	srv.sql = func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"status":"success","results":[{"columns":["status","ws_url","subscription","message"],
		"schema":[{"name":"status","type":"TEXT"},{"name":"ws_url","type":"TEXT"},{"name":"subscription","type":"JSON"},{"name":"message","type":"TEXT"}],
		"rows":[["subscription_required","ws://x/v1/ws",{"id":"sub","sql":"SELECT * FROM app.m","options":{"last_rows":1}},"m"]]}]}`)
	}
	srv.insert(1)
	srv.insert(2)
	sub := mustSubscribe(t, srv.client(), "subscribe to app.m OPTIONS (last_rows = 1)", Params("x"))
	equal(t, take(t, sub, 3), "ready", "initial 2", "loaded")
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if s := srv.messages[0].Subscriptions[0]; s.SQL != "SELECT * FROM app.m" || string(s.Params[0]) != `"x"` {
		t.Errorf("subscribed to %+v", s)
	}
}

// A catch-up names rows in any order of sequence. One that is cut off, however
// long nothing came before, is asked for again from its beginning; what was
// given is not given twice.
func TestCatchUpThatIsCutOff(t *testing.T) {
	srv := newLiveServer(t)
	c := srv.client(WithHeartbeat(150 * time.Millisecond))
	sub := mustSubscribe(t, c, "SELECT * FROM m")
	take(t, sub, 1)
	srv.wait(func() bool { return srv.subscriptions() == 1 })
	srv.mu.Lock()
	srv.scramble = 2
	for i := range 5 {
		srv.log = append(srv.log, logged{"insert", fmt.Sprintf(`{"id":%d,"text":"x"}`, i+1), ""})
	}
	srv.mu.Unlock()
	srv.kick()
	var rows, states []string
	for cut := false; len(rows) < 5; {
		if len(rows) == 2 && !cut { // after a while of nothing but heartbeats
			cut = true
			srv.wait(func() bool { return srv.pongs > 2 })
			srv.kick()
		}
		if ev := take(t, sub, 1)[0]; strings.HasPrefix(ev, "insert") {
			rows = append(rows, ev)
		} else {
			states = append(states, ev)
		}
	}
	equal(t, rows, "insert 5 catch-up", "insert 4 catch-up", "insert 3 catch-up", "insert 2 catch-up", "insert 1 catch-up")
	if seq := sub.Seq(); seq != 5 {
		t.Errorf("caught up to %d", seq)
	}
	if states[0] != "reconnecting" || states[1] != "reconnected" {
		t.Errorf("states %v", states)
	}
	srv.insert(6)
	for {
		if ev := take(t, sub, 1)[0]; strings.HasPrefix(ev, "insert") {
			equal(t, []string{ev}, "insert 6")
			break
		}
	}
}

// A catch-up larger than the reader's buffer comes in pieces and ends.
func TestCatchUpLargerThanTheBuffer(t *testing.T) {
	srv := newLiveServer(t)
	sub := mustSubscribe(t, srv.client(), "SELECT * FROM m", Buffer(7))
	take(t, sub, 1)
	srv.wait(func() bool { return srv.subscriptions() == 1 })
	srv.mu.Lock()
	srv.scramble = 1000
	for i := range 200 {
		srv.log = append(srv.log, logged{"insert", fmt.Sprintf(`{"id":%d,"text":"x"}`, i+1), ""})
	}
	srv.mu.Unlock()
	srv.kick()
	seen := map[string]int{}
	for len(seen) < 200 {
		if ev := take(t, sub, 1)[0]; strings.HasPrefix(ev, "insert") {
			id := strings.Fields(ev)[1]
			if seen[id]++; seen[id] > 1 {
				t.Fatalf("row %s came twice", id)
			}
		}
	}
}
