package link

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// liveServer speaks the live protocol truly, from a log of changes in memory:
// acknowledgement, initial data, resume, RESYNC_REQUIRED.
type liveServer struct {
	*httptest.Server
	t *testing.T

	mu        sync.Mutex
	log       []logged          // the changes, seq = index+1
	oldest    uint64            // changes below it cannot be resumed
	conns     map[*liveConn]int // number of subscriptions
	accepted  int
	messages  []wire.ClientMessage
	handshake func(w http.ResponseWriter, r *http.Request) bool
	sql       http.HandlerFunc
	changed   *sync.Cond
	mute      bool // say nothing
	scramble  int  // catch up backwards, and stop once behind so many rows, as if the rest took its time
	pongs     int  // sent since then
	nextLive  int
}

type logged struct {
	kind, row, old string
}

type liveConn struct {
	ws   *websocket.Conn
	subs map[string]bool
}

func newLiveServer(t *testing.T) *liveServer {
	s := &liveServer{t: t, conns: map[*liveConn]int{}}
	s.changed = sync.NewCond(&s.mu)
	mux := http.NewServeMux()
	mux.HandleFunc(wire.PathWS, s.ws)
	mux.HandleFunc(wire.PathSQL, func(w http.ResponseWriter, r *http.Request) {
		if s.sql != nil {
			s.sql(w, r)
			return
		}
		io.WriteString(w, `{"status":"success","results":[{"columns":["?"],"rows":[[1]],"row_count":1}]}`)
	})
	mux.HandleFunc(wire.PathHealth, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"status":"healthy","version":"1","api_version":"v1"}`)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.kick()
		s.Server.Close()
	})
	return s
}

func (s *liveServer) ws(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	hs := s.handshake
	s.mu.Unlock()
	if hs != nil && !hs(w, r) {
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	c := &liveConn{ws: ws, subs: map[string]bool{}}
	s.mu.Lock()
	s.accepted++
	s.conns[c] = 0
	s.changed.Broadcast()
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.changed.Broadcast()
		s.mu.Unlock()
		ws.CloseNow()
	}()
	for {
		_, data, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		var m wire.ClientMessage
		if err := json.Unmarshal(data, &m); err != nil {
			s.t.Errorf("client sent %s: %v", data, err)
			return
		}
		s.mu.Lock()
		if m.Type != wire.TypePing {
			s.messages = append(s.messages, m)
		}
		switch m.Type {
		case wire.TypePing:
			if !s.mute {
				c.send(`{"type":"pong"}`)
				s.pongs++
			}
		case wire.TypeAuthenticate:
			if m.Token == "good" {
				c.send(`{"type":"authenticated","user_id":"ada"}`)
			} else {
				c.send(`{"type":"error","code":"UNAUTHENTICATED","message":"The token is not valid."}`)
			}
		case wire.TypeUnsubscribe:
			delete(c.subs, m.SubscriptionID)
		case wire.TypeSubscribe:
			for _, sub := range m.Subscriptions {
				s.subscribe(c, sub)
			}
		}
		s.conns[c] = len(c.subs)
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

func (s *liveServer) subscribe(c *liveConn, sub wire.Subscription) {
	seq := uint64(len(s.log))
	if strings.Contains(sub.SQL, "missing") {
		c.send(`{"type":"error","subscription_id":%q,"code":"TABLE_NOT_FOUND","message":"table missing does not exist"}`, sub.ID)
		return
	}
	if o := sub.Options; o.FromSeq != nil && *o.FromSeq+1 < s.oldest {
		c.send(`{"type":"error","subscription_id":%q,"code":"RESYNC_REQUIRED","message":"gone"}`, sub.ID)
		return
	}
	s.nextLive++
	c.subs[sub.ID] = true
	c.send(`{"type":"subscription_ack","subscription_id":%q,"live_id":"live-%d","seq":%d,"schema":[{"name":"id","type":"BIGINT"},{"name":"text","type":"TEXT"}]}`, sub.ID, s.nextLive, seq)
	if o := sub.Options; o.FromSeq != nil && s.scramble != 0 {
		for i := seq; i > *o.FromSeq; i-- {
			s.sendChange(c, sub.ID, i, catchUp(i == *o.FromSeq+1))
			if seq-i+1 == uint64(s.scramble) {
				s.scramble, s.pongs = 1<<30, 0
				return
			}
		}
	} else if o.FromSeq != nil {
		for i := *o.FromSeq; i < seq; i++ {
			s.sendChange(c, sub.ID, i+1, catchUp(i+1 == seq))
		}
	} else if o.LastRows != nil {
		var rows []string
		for _, l := range s.log {
			if l.kind == "insert" {
				rows = append(rows, l.row)
			}
		}
		if n := *o.LastRows; n >= 0 && len(rows) > n {
			rows = rows[len(rows)-n:]
		}
		half := len(rows) / 2
		c.send(`{"type":"initial_data","subscription_id":%q,"rows":[%s],"count":%d,"seq":%d}`, sub.ID, strings.Join(rows[:half], ","), half, seq)
		c.send(`{"type":"initial_data","subscription_id":%q,"rows":[%s],"count":%d,"seq":%d,"last":true}`, sub.ID, strings.Join(rows[half:], ","), len(rows)-half, seq)
	}
}

func catchUp(last bool) string {
	if last {
		return `,"last":true,"catch_up":true`
	}
	return `,"catch_up":true`
}

func (s *liveServer) sendChange(c *liveConn, id string, seq uint64, extra string) {
	l := s.log[seq-1]
	old := ""
	if l.old != "" {
		old = `,"old_values":[` + l.old + `]`
	}
	c.send(`{"type":"change","subscription_id":%q,"change_type":%q,"rows":[%s]%s,"seq":%d,"timestamp":"2026-01-02T03:04:05.000006Z"%s}`,
		id, l.kind, l.row, old, seq, extra)
}

func (c *liveConn) send(format string, args ...any) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c.ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, args...))
}

// publish commits a change and sends it to everybody.
func (s *liveServer) publish(kind, row, old string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, logged{kind, row, old})
	for c := range s.conns {
		for id := range c.subs {
			s.sendChange(c, id, uint64(len(s.log)), "")
		}
	}
}

func (s *liveServer) insert(id int) {
	s.publish("insert", fmt.Sprintf(`{"id":%d,"text":"row %d","_updated":"2026-01-02T03:04:05Z","_deleted":false}`, id, id), "")
}

// broadcast sends a message to every subscription; %q is its name.
func (s *liveServer) broadcast(format string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		for id := range c.subs {
			c.send(format, id)
		}
	}
}

// kick cuts every connection.
func (s *liveServer) kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.ws.CloseNow()
	}
}

// wait waits until the condition holds; s.mu is held while it is asked.
func (s *liveServer) wait(cond func() bool) {
	s.t.Helper()
	stop := time.AfterFunc(10*time.Second, func() { s.mu.Lock(); s.changed.Broadcast(); s.mu.Unlock() })
	defer stop.Stop()
	end := time.Now().Add(10 * time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	for !cond() {
		if time.Now().After(end) {
			s.t.Fatal("the server waited in vain")
		}
		s.changed.Wait()
	}
}

func (s *liveServer) subscriptions() int {
	n := 0
	for _, k := range s.conns {
		n += k
	}
	return n
}

func (s *liveServer) client(opts ...Option) *Client {
	s.t.Helper()
	opts = append([]Option{WithBackoff(Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond})}, opts...)
	c, err := New(s.URL, opts...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}
