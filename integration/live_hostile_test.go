package integration

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// figure reads one of the server's metrics.
func figure(t *testing.T, s *harness.Server, name string) float64 {
	t.Helper()
	resp, err := http.Get(s.URL + wire.PathMetrics)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if key, value, _ := strings.Cut(lines.Text(), " "); key == name {
			f, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
	t.Fatalf("the server has no metric %s", name)
	return 0
}

// TestHostileConnectionsEndAlone breaks the WebSocket protocol in every way,
// each on a connection that has a live query: that connection is closed with
// the code of RFC 6455, others go on, and nothing is left of it, neither a live
// query nor a goroutine nor the memory that it claimed to need.
func TestHostileConnectionsEndAlone(t *testing.T) {
	server := harness.Start(t)
	admin := server.Admin(t)
	harness.Exec(t, admin, "CREATE NAMESPACE app; CREATE USER TABLE app.messages (id BIGINT PRIMARY KEY)")
	open := func(ids ...string) *harness.Socket {
		s := server.Socket(t, "ada")
		for _, id := range ids {
			if err := s.Send(wire.ClientMessage{Subscriptions: []wire.Subscription{{ID: id, SQL: "SELECT * FROM app.messages"}}}); err != nil {
				t.Fatal(err)
			}
			if m := read(t, s); m.Type != wire.TypeSubscriptionAck {
				t.Fatalf("the answer is %+v", m)
			}
		}
		return s
	}
	steady := open("steady")
	writer := server.As(t, "ada")
	row := 0
	alive := func(what string) {
		t.Helper()
		row++
		harness.Exec(t, writer, "INSERT INTO app.messages VALUES ($1)", row)
		if m := read(t, steady); m.Type != wire.TypeChange || !strings.Contains(string(m.Rows[0]), fmt.Sprintf(`"id":%d,`, row)) {
			t.Fatalf("after %s another connection read %+v", what, m)
		}
	}
	alive("nothing")
	settle := func(what, name string, most float64) {
		t.Helper()
		for deadline := time.Now().Add(harness.Limit / 4); figure(t, server, name) > most; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("after %s %s is %v, not %v", what, name, figure(t, server, name), most)
			}
		}
	}
	goroutines := figure(t, server, "go_goroutines")
	memory := figure(t, server, "go_memstats_sys_bytes")

	mask := "\x00\x00\x00\x00" // which changes nothing
	huge := string(binary.BigEndian.AppendUint64(nil, 1<<62))
	// Without a code the connection just ends.
	const atOnce, protocolError, unsupported, tooBig = 0, 1002, 1003, 1009
	for what, tc := range map[string]struct {
		send string
		code int
	}{
		"a frame that is not masked":         {"\x81\x02hi", atOnce},
		"reserved bits":                      {"\xf1\x82" + mask + "{}", protocolError},
		"an unknown kind of frame":           {"\x83\x82" + mask + "{}", protocolError},
		"a continuation of nothing":          {"\x80\x82" + mask + "{}", protocolError},
		"a ping in parts":                    {"\x09\x80" + mask, protocolError},
		"a ping that is too long":            {"\x89\xfe\x00\x80" + mask + strings.Repeat("x", 128), protocolError},
		"a message in a message":             {"\x01\x81" + mask + "{" + "\x81\x82" + mask + "{}", protocolError},
		"a frame that says it is 4 EiB long": {"\x81\xff" + huge + mask + strings.Repeat(" ", 2<<20), tooBig},
		"a frame of a negative length":       {"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + mask, atOnce},
		"a message in endless parts":         {"\x01\xfe\xff\xff" + mask + strings.Repeat(" ", 65535) + strings.Repeat("\x00\xfe\xff\xff"+mask+strings.Repeat(" ", 65535), 20), tooBig},
		"binary":                             {"\x82\x82" + mask + "{}", unsupported},
	} {
		s := open("s")
		// The server may close before it has read everything.
		_ = s.Raw([]byte(tc.send))
		for {
			if _, err := s.ReadText(harness.Limit / 4); err != nil {
				code := atOnce
				if closed, ok := errors.AsType[*harness.ErrClosed](err); ok {
					code = closed.Code
				}
				// What is too big may fill the network before the code is read.
				if code != tc.code && !(code == atOnce && tc.code == tooBig) || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: the connection ended with %v, want code %d", what, err, tc.code)
				}
				break
			}
		}
		_ = s.Close()
		alive(what)
	}
	settle("broken frames", "kalamdb_subscriptions", 1)

	// More live queries than a connection may have: as many as it may.
	s := open()
	var m wire.ClientMessage
	const asked = 5000
	for i := range asked {
		m.Subscriptions = append(m.Subscriptions, wire.Subscription{ID: strconv.Itoa(i), SQL: "SELECT * FROM app.messages"})
	}
	if err := s.Send(m); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for range asked {
		switch m := read(t, s); {
		case m.Type == wire.TypeSubscriptionAck:
			taken++
		case m.Code != string(link.CodeResourceExhausted):
			t.Fatalf("the answer is %+v", m)
		}
	}
	if taken != 99 { // of the user's 100, one is the steady connection's
		t.Errorf("%d live queries were started", taken)
	}
	alive("too many live queries")
	_ = s.Close()
	settle("too many live queries", "kalamdb_subscriptions", 1)

	// Pings whose answers nobody reads.
	s = open("s")
	pings := []byte(strings.Repeat("\x89\xfd"+mask+strings.Repeat("p", 125), 100))
	go func() {
		for range 2000 { // 26 MB; ends when the connection does
			if s.Raw(pings) != nil {
				return
			}
		}
	}()
	for range 20 {
		alive("pings whose answers nobody reads")
	}
	_ = s.Close()

	settle("all", "kalamdb_subscriptions", 1)
	settle("all", "go_goroutines", goroutines+8) // those of HTTP come and go
	settle("all", "go_memstats_sys_bytes", memory+64<<20)
}
