package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// testServer answers like a KalamDB server for a handful of statements. The
// program under test talks to it over real sockets.
type testServer struct {
	*httptest.Server
	mu       sync.Mutex
	requests []wire.SQLRequest
	headers  []http.Header
	conns    map[*wsConn]string // the subscription's name
	changed  *sync.Cond
	log      []string      // change messages without name, seq = index+1
	slow     chan struct{} // gets one when SELECT slow has begun
	gone     chan struct{} // gets one when it was cancelled
}

func newTestServer(t *testing.T) *testServer {
	s := &testServer{conns: map[*wsConn]string{}, slow: make(chan struct{}, 16), gone: make(chan struct{}, 16)}
	s.changed = sync.NewCond(&s.mu)
	mux := http.NewServeMux()
	mux.HandleFunc(wire.PathSQL, s.sql)
	mux.HandleFunc(wire.PathWS, s.ws)
	mux.HandleFunc(wire.PathHealth, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"status":"healthy","version":"1.2.3","api_version":"v1","uptime_seconds":61,"commit":"abc"}`)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.kick()
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

const columnsIDText = `"columns":["id","text"],"schema":[{"name":"id","type":"BIGINT"},{"name":"text","type":"TEXT"}]`

func (s *testServer) sql(w http.ResponseWriter, r *http.Request) {
	var req wire.SQLRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, req)
	s.headers = append(s.headers, r.Header.Clone())
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	ok := func(result string) {
		fmt.Fprintf(w, `{"status":"success","took_ms":0.1,"results":[{%s}]}`, result)
	}
	fail := func(status int, e string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"status":"error","took_ms":0.1,"results":[],"error":{%s}}`, e)
	}
	if r.Header.Get("Authorization") == "Bearer invalid" {
		fail(401, `"code":"UNAUTHENTICATED","sqlstate":"28000","message":"The token is not valid."`)
		return
	}
	sql := req.SQL
	if r.Header.Get("Authorization") == "Bearer old" && strings.HasSuffix(sql, "late") {
		fail(401, `"code":"TOKEN_EXPIRED","sqlstate":"28000","message":"The token expired at 12:00."`)
		return
	}
	switch {
	case strings.HasPrefix(sql, "SELECT * FROM damaged"):
		if req.Options.Damaged != "skip" {
			fail(500, `"code":"INTERNAL","message":"part-1.parquet is damaged"`)
			return
		}
		ok(columnsIDText + `,"rows":[[1,"sound"]],"row_count":1,"message":"1 file damaged or missing, and left out: part-1.parquet"`)
	case strings.HasPrefix(sql, "SELECT 1"):
		ok(`"columns":["test"],"schema":[{"name":"test","type":"INT"}],"rows":[[1]],"row_count":1`)
	case strings.HasPrefix(sql, "SELECT * FROM app.m"):
		ok(columnsIDText + `,"rows":[[1,"hi"],[22,null],[3,"a\tb\u001b[31mred"],[4,"日本"]],"row_count":4`)
	case strings.HasPrefix(sql, "SELECT * FROM wide"):
		ok(columnsIDText + `,"rows":[[1,"` + strings.Repeat("many words ", 40) + `"]],"row_count":1`)
	case strings.HasPrefix(sql, "SELECT * FROM broad"):
		var names, schema, row []string
		for i := range 40 {
			names = append(names, fmt.Sprintf(`"column_%d"`, i))
			schema = append(schema, fmt.Sprintf(`{"name":"column_%d","type":"BIGINT"}`, i))
			row = append(row, fmt.Sprint(1000000+i))
		}
		ok(fmt.Sprintf(`"columns":[%s],"schema":[%s],"rows":[[%s]],"row_count":1`, strings.Join(names, ","), strings.Join(schema, ","), strings.Join(row, ",")))
	case strings.HasPrefix(sql, "SELECT * FROM big"):
		io.WriteString(w, `{"status":"success","results":[{`+columnsIDText+`,"rows":[`)
		var n int
		fmt.Sscanf(sql, "SELECT * FROM big%d", &n)
		bw := bufio.NewWriterSize(w, 1<<16)
		for i := range n {
			if i > 0 {
				bw.WriteByte(',')
			}
			fmt.Fprintf(bw, `[%d,"row number %d of many"]`, i, i)
		}
		fmt.Fprintf(bw, `],"row_count":%d}]}`, n)
		bw.Flush()
	case strings.HasPrefix(sql, "SELECT slow"):
		w.(http.Flusher).Flush()
		s.slow <- struct{}{}
		<-r.Context().Done()
		s.gone <- struct{}{}
	case strings.HasPrefix(sql, "SELEC"):
		fail(400, `"code":"INVALID_SQL","sqlstate":"42601","message":"Statement 1 failed: unexpected \"SELEC\"","hint":"Did you mean SELECT?","statement":1,"line":1,"column":1`)
	case strings.HasPrefix(sql, "SUBSCRIBE TO"):
		if strings.Contains(sql, "missing") {
			fail(404, `"code":"TABLE_NOT_FOUND","sqlstate":"42P01","message":"table app.missing does not exist","statement":1,"line":1,"column":14`)
			return
		}
		ok(`"columns":["status","ws_url","subscription","message"],"schema":[{"name":"status","type":"TEXT"},{"name":"ws_url","type":"TEXT"},{"name":"subscription","type":"JSON"},{"name":"message","type":"TEXT"}],
			"rows":[["subscription_required","/v1/ws",{"id":"s","sql":"SELECT * FROM app.m"},"x"]],"row_count":1`)
	case strings.HasPrefix(sql, "DESCRIBE"):
		ok(`"columns":["column_name","data_type","is_nullable"],"schema":[{"name":"column_name","type":"TEXT"},{"name":"data_type","type":"TEXT"},{"name":"is_nullable","type":"BOOLEAN"}],
			"rows":[["id","BIGINT",false]],"row_count":1,"properties":{"table_type":"user","current_schema_version":2}`)
	case strings.HasPrefix(sql, "SHOW NAMESPACES"):
		ok(`"columns":["name"],"schema":[{"name":"name","type":"TEXT"}],"rows":[["app"]],"row_count":1`)
	case strings.Contains(sql, "information_schema.columns"):
		ok(`"columns":["table_schema","table_name","column_name"],"schema":[{"name":"table_schema","type":"TEXT"},{"name":"table_name","type":"TEXT"},{"name":"column_name","type":"TEXT"}],
			"rows":[["app","messages","content"],["app","messages","room"]],"row_count":2`)
	case strings.HasPrefix(sql, "INSERT"):
		ok(`"columns":[],"row_count":1,"message":"1 row inserted"`)
	default:
		ok(`"columns":[],"row_count":0,"message":"done"`)
	}
}

// wsConn is the server's end of a WebSocket, as much of it as is needed to
// write texts and to read the client's.
type wsConn struct {
	mu sync.Mutex
	c  net.Conn
	r  *bufio.Reader
}

func (s *testServer) ws(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	c := &wsConn{c: conn, r: rw.Reader}
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.changed.Broadcast()
		s.mu.Unlock()
	}()
	for {
		text, err := c.read()
		if err != nil {
			return
		}
		var m wire.ClientMessage
		if json.Unmarshal(text, &m) != nil || m.Type != wire.TypeSubscribe {
			continue
		}
		sub := m.Subscriptions[0]
		s.mu.Lock()
		c.write(fmt.Sprintf(`{"type":"subscription_ack","subscription_id":%q,"live_id":"live-7","seq":%d,"schema":[{"name":"id","type":"BIGINT"},{"name":"text","type":"TEXT"}]}`, sub.ID, len(s.log)))
		if from := sub.Options.FromSeq; from != nil {
			for i := int(*from); i < len(s.log); i++ {
				c.write(fmt.Sprintf(s.log[i], sub.ID, i+1))
			}
		} else if n := sub.Options.LastRows; n != nil {
			c.write(fmt.Sprintf(`{"type":"initial_data","subscription_id":%q,"rows":[{"id":0,"text":"old"}],"count":1,"seq":%d,"last":true}`, sub.ID, len(s.log)))
		}
		s.conns[c] = sub.ID
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

func (c *wsConn) read() ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return nil, err
	}
	n := int(head[1] & 0x7f)
	if n == 126 {
		var ext [2]byte
		if _, err := io.ReadFull(c.r, ext[:]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(ext[:]))
	}
	buf := make([]byte, 4+n)
	if _, err := io.ReadFull(c.r, buf); err != nil {
		return nil, err
	}
	for i := range n {
		buf[4+i] ^= buf[i%4]
	}
	if head[0]&0x0f == 8 {
		return nil, io.EOF
	}
	return buf[4:], nil
}

func (c *wsConn) write(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head := []byte{0x81, byte(len(text))}
	if len(text) > 125 {
		head = []byte{0x81, 126, byte(len(text) >> 8), byte(len(text))}
	}
	c.c.Write(append(head, text...))
}

// publish sends a change to every subscription; format has %q for the name and
// %d for the sequence.
func (s *testServer) publish(format string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, format)
	for c, id := range s.conns {
		c.write(fmt.Sprintf(format, id, len(s.log)))
	}
}

func insertOf(id int, text string) string {
	return fmt.Sprintf(`{"type":"change","subscription_id":%%q,"change_type":"insert","rows":[{"id":%d,"text":%q,"_updated":"2026-01-02T03:04:05Z","_deleted":false}],"seq":%%d,"timestamp":"2026-01-02T03:04:05.000006Z"}`, id, text)
}

func updateOf(id int, old, text string) string {
	return fmt.Sprintf(`{"type":"change","subscription_id":%%q,"change_type":"update","rows":[{"id":%d,"text":%q}],"old_values":[{"id":%d,"text":%q}],"seq":%%d,"timestamp":"2026-01-02T03:04:05.000006Z"}`, id, text, id, old)
}

// subscribed waits for n subscriptions.
func (s *testServer) subscribed(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) != n {
		s.changed.Wait()
	}
}

func (s *testServer) kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.c.Close()
	}
}

func (s *testServer) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, r := range s.requests {
		out = append(out, r.SQL)
	}
	return out
}
