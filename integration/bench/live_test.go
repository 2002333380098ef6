package bench

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/integration/harness"
)

// echo answers WebSocket messages with themselves, each after it was appended
// to a file of dir and synced: the least that a message costs which is to be
// durable before somebody hears of it. It knows unfragmented messages of less
// than 126 bytes.
func echo(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer conn.Close()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		if err := echoFrames(rw.Reader, conn, filepath.Join(dir, "echo")); err != nil && !errors.Is(err, io.EOF) {
			fmt.Fprintln(os.Stderr, err)
		}
	})
}

func echoFrames(in *bufio.Reader, out io.Writer, name string) error {
	log, err := os.Create(name)
	if err != nil {
		return err
	}
	defer log.Close()
	var head [6]byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		n := int(head[1] & 0x7f)
		if n > 125 {
			return errors.New("the message is too long to be echoed")
		}
		frame := make([]byte, 2+n)
		frame[0], frame[1] = head[0], byte(n)
		if _, err := io.ReadFull(in, frame[2:]); err != nil {
			return err
		}
		for i := range n {
			frame[2+i] ^= head[2+i%4]
		}
		if _, err := log.Write(frame); err != nil {
			return err
		}
		if err := log.Sync(); err != nil {
			return err
		}
		if _, err := out.Write(frame); err != nil {
			return err
		}
	}
}

// liveServer starts a server that takes any number of live queries, with a
// table of messages.
func liveServer(b *testing.B, env ...string) *harness.Server {
	b.Helper()
	server := harness.Start(b, append(env, "KALAMDB_LIVE_MAX_PER_USER=1000000", "KALAMDB_LIVE_MAX_PER_CONNECTION=1000", "KALAMDB_LIVE_PING_INTERVAL=1h", "KALAMDB_LIVE_IDLE_TIMEOUT=2h")...)
	harness.Exec(b, server.Admin(b), "CREATE NAMESPACE app; CREATE USER TABLE app.messages (id BIGINT PRIMARY KEY, room TEXT, body TEXT)")
	return server
}

// dialAll opens sockets for the users, some at a time.
func dialAll(b *testing.B, server *harness.Server, users []string) []*harness.Socket {
	b.Helper()
	out := make([]*harness.Socket, len(users))
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(users); i = int(next.Add(1)) - 1 {
				s, err := harness.Open(server.URL, http.Header{wire.HeaderUserID: {users[i]}})
				if err != nil {
					b.Error(err)
					return
				}
				out[i] = s
			}
		})
	}
	wg.Wait()
	b.Cleanup(func() {
		for _, s := range out {
			if s != nil {
				_ = s.Close()
			}
		}
	})
	if b.Failed() {
		b.FailNow()
	}
	return out
}

// subscribe starts live queries on a socket and waits until they are
// acknowledged.
func subscribe(s *harness.Socket, queries ...string) error {
	m := wire.ClientMessage{}
	for i, q := range queries {
		m.Subscriptions = append(m.Subscriptions, wire.Subscription{ID: strconv.Itoa(i), SQL: q})
	}
	if err := s.Send(m); err != nil {
		return err
	}
	for range queries {
		if m, err := s.Read(); err != nil || m.Type != wire.TypeSubscriptionAck {
			return fmt.Errorf("the answer is %+v: %w", m, err)
		}
	}
	return nil
}

// subscribeAll does subscribe on all sockets, some at a time.
func subscribeAll(b *testing.B, sockets []*harness.Socket, queries func(i int) []string) {
	b.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(sockets); i = int(next.Add(1)) - 1 {
				if err := subscribe(sockets[i], queries(i)...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = prefix + strconv.Itoa(i)
	}
	return out
}

// inserter inserts messages of a user over HTTP, on one connection.
type inserter struct {
	b      *testing.B
	client *http.Client
	url    string
	user   string
	id     int
}

func newInserter(b *testing.B, server *harness.Server, user string) *inserter {
	return &inserter{b: b, client: &http.Client{Transport: &http.Transport{}}, url: server.URL + wire.PathSQL, user: user}
}

func (in *inserter) insert() error {
	in.id++
	body := fmt.Sprintf(`{"sql":"INSERT INTO app.messages VALUES ($1, $2, $3)","params":[%d,"lobby","how are you today?"]}`, in.id)
	req, err := http.NewRequest(http.MethodPost, in.url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(wire.HeaderUserID, in.user)
	resp, err := in.client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w %s", resp.Status, err, answer)
	}
	return nil
}

// must inserts one message.
func (in *inserter) must() {
	if err := in.insert(); err != nil {
		in.b.Fatal(err)
	}
}

// wireClient is an HTTP client that costs as little as the one of the echo: it writes
// a request to its connection and reads the answer from it, on the goroutine
// that measures.
type wireClient struct {
	conn net.Conn
	in   *bufio.Reader
	head string
}

func newWireClient(b *testing.B, server *harness.Server, user string) *wireClient {
	b.Helper()
	host := strings.TrimPrefix(server.URL, "http://")
	conn, err := net.DialTimeout("tcp", host, harness.Limit)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return &wireClient{conn: conn, in: bufio.NewReader(conn), head: "POST " + wire.PathSQL + " HTTP/1.1\r\nHost: " + host +
		"\r\nContent-Type: application/json\r\n" + wire.HeaderUserID + ": " + user + "\r\nContent-Length: "}
}

func (c *wireClient) send(body string) error {
	_, err := io.WriteString(c.conn, c.head+strconv.Itoa(len(body))+"\r\n\r\n"+body)
	return err
}

func (c *wireClient) answer() error {
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w %s", resp.Status, err, answer)
	}
	return nil
}

// commitTime is the time at which a change was committed, as its message says:
// when the server took the statement up to commit it, before the sync.
func commitTime(message []byte) (time.Time, error) {
	const member = `"timestamp":"`
	_, rest, ok := strings.Cut(string(message), member)
	text, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		return time.Time{}, fmt.Errorf("no time in %s", message)
	}
	return time.Parse(time.RFC3339Nano, text)
}

// BenchmarkChangeLatency is the time until a subscriber has read a change, which
// is synced before: from its commit, and from sending the INSERT, which has the
// request over HTTP in it. It takes turns with a bare WebSocket echo with one
// sync. All clients write to a socket and read from one on the goroutine that
// measures, and both servers are processes of their own.
func BenchmarkChangeLatency(b *testing.B) {
	server := liveServer(b)
	sock := dialAll(b, server, []string{"ann"})[0]
	if err := subscribe(sock, "SELECT * FROM app.messages WHERE room = 'lobby'"); err != nil {
		b.Fatal(err)
	}
	bare, err := harness.Open(startHelper(b, echoServer), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bare.Close() })
	client := newWireClient(b, server, "ann")
	message := []byte(strings.Repeat("x", 100))
	var sent, committed, floor []time.Duration
	for id := 1; b.Loop(); id++ {
		body := fmt.Sprintf(`{"sql":"INSERT INTO app.messages VALUES ($1, $2, $3)","params":[%d,"lobby","how are you today?"]}`, id)
		start := time.Now()
		if err := client.send(body); err != nil {
			b.Fatal(err)
		}
		change, err := sock.ReadText(harness.Limit)
		if err != nil {
			b.Fatal(err)
		}
		now := time.Now()
		at, err := commitTime(change)
		if err != nil {
			b.Fatal(err)
		}
		sent, committed = append(sent, now.Sub(start)), append(committed, now.Sub(at))
		if err := client.answer(); err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		if err := bare.Frame(harness.OpText, message); err != nil {
			b.Fatal(err)
		}
		if _, err := bare.ReadText(harness.Limit); err != nil {
			b.Fatal(err)
		}
		floor = append(floor, time.Since(start))
	}
	s, c, f := median(sent), median(committed), median(floor)
	b.ReportMetric(float64(c.Nanoseconds()), "from-commit-ns")
	b.ReportMetric(float64(s.Nanoseconds()), "from-sending-ns")
	b.ReportMetric(float64(f.Nanoseconds()), "echo+sync-ns")
	b.ReportMetric(float64(c)/float64(f), "ratio")
	b.ReportMetric(float64(s)/float64(f), "ratio-from-sending")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFanOut is the server's CPU time for a delivery: 1,000 subscribers
// of one table and user, 10 writes a second, on connections of their own and
// on ten.
func BenchmarkFanOut(b *testing.B) {
	const subscribers = 1000
	for _, conns := range []int{1000, 10} {
		b.Run(fmt.Sprint(conns, " connections"), func(b *testing.B) {
			server := liveServer(b)
			users := make([]string, conns)
			for i := range users {
				users[i] = "ann"
			}
			sockets := dialAll(b, server, users)
			queries := make([]string, subscribers/conns)
			for i := range queries {
				queries[i] = "SELECT * FROM app.messages"
			}
			subscribeAll(b, sockets, func(int) []string { return queries })
			var deliveries atomic.Int64
			for _, s := range sockets {
				go func() {
					for {
						if _, err := s.ReadText(time.Hour); err != nil {
							return
						}
						deliveries.Add(1)
					}
				}()
			}
			in := newInserter(b, server, "ann")
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			writes := func(n int) {
				want := deliveries.Load() + int64(n)*subscribers
				for range n {
					<-tick.C
					in.must()
				}
				for limit := time.Now().Add(harness.Limit); deliveries.Load() < want; time.Sleep(time.Millisecond) {
					if time.Now().After(limit) {
						b.Fatalf("%d of %d deliveries", deliveries.Load(), want)
					}
				}
			}
			writes(5)
			before, rounds := cpu(b, server.PID()), 0
			for b.Loop() {
				writes(10)
				rounds++
			}
			used := cpu(b, server.PID()) - before
			b.ReportMetric(float64(used.Microseconds())/float64(rounds*10*subscribers), "CPU-µs/delivery")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cpu is the CPU time that a process has used.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Skipf("the CPU time of a process is read from /proc: %v", err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// BenchmarkIdleSubscriptions is what 10,000 subscriptions that nothing happens
// to add to the server's memory, on a connection each and on 100.
func BenchmarkIdleSubscriptions(b *testing.B) {
	const subscriptions = 10_000
	for _, conns := range []int{10_000, 100} {
		b.Run(fmt.Sprint(conns, " connections"), func(b *testing.B) {
			for b.Loop() {
				profiler := freeAddress(b)
				server := liveServer(b, "KALAMDB_SERVER_PPROF_ADDR="+profiler)
				warm := dialAll(b, server, names("warm", 100))
				subscribeAll(b, warm, func(int) []string { return []string{"SELECT * FROM app.messages"} })
				before, beforeLive := settled(b, server, profiler), reachable(b, server)
				sockets := dialAll(b, server, names("user", conns))
				subscribeAll(b, sockets, func(int) []string {
					queries := make([]string, subscriptions/conns)
					for i := range queries {
						queries[i] = fmt.Sprintf("SELECT * FROM app.messages WHERE room = 'room %d'", i)
					}
					return queries
				})
				after, afterLive := settled(b, server, profiler), reachable(b, server)
				b.ReportMetric((after-before)*1024/subscriptions, "resident-KB/subscription")
				b.ReportMetric((afterLive-beforeLive)*1024/subscriptions, "reachable-KB/subscription")
				server.Kill()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// reachable is the memory in MB that a server's objects and stacks take, without
// what its collector keeps in reserve.
func reachable(b *testing.B, server *harness.Server) float64 {
	b.Helper()
	resp, err := http.Get(server.URL + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	sum := 0.0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if name == "go_memstats_heap_alloc_bytes" || name == "go_memstats_stack_inuse_bytes" {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += n
		}
	}
	return sum / (1 << 20)
}

// settled is the memory in MB that a process holds when its collector has run
// and it had time to give back what it freed: the server looks every ten
// seconds whether it is idle, and gives back at the second look.
func settled(b *testing.B, server *harness.Server, profiler string) float64 {
	b.Helper()
	for range 2 { // what pools keep goes with the second
		resp, err := http.Get("http://" + profiler + "/debug/pprof/heap?gc=1")
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	low := residentMB(b, server.PID())
	for quiet := 0; quiet < 88; quiet++ {
		time.Sleep(250 * time.Millisecond)
		if now := residentMB(b, server.PID()); now < low-0.25 {
			low, quiet = now, 0
		}
	}
	return low
}

// BenchmarkWriteBesideSubscriptions is an INSERT on a server with no
// subscriptions and on one with 100,000 that it does not concern, in turns:
// those of other users, and those of the writer with another room each.
func BenchmarkWriteBesideSubscriptions(b *testing.B) {
	const subscriptions, perConn = 100_000, 500
	for _, c := range []struct {
		name  string
		user  func(conn int) string
		query func(n int) string
	}{
		{"other users", func(conn int) string { return "user" + strconv.Itoa(conn) }, func(int) string { return "SELECT * FROM app.messages" }},
		{"other rooms", func(int) string { return "ann" }, func(n int) string { return fmt.Sprintf("SELECT * FROM app.messages WHERE room = 'room %d'", n) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			none, many := liveServer(b), liveServer(b)
			users := make([]string, subscriptions/perConn)
			for i := range users {
				users[i] = c.user(i)
			}
			subscribeAll(b, dialAll(b, many, users), func(conn int) []string {
				queries := make([]string, perConn)
				for i := range queries {
					queries[i] = c.query(conn*perConn + i)
				}
				return queries
			})
			servers := []*inserter{newInserter(b, none, "ann"), newInserter(b, many, "ann")}
			var times [2][]time.Duration
			for b.Loop() {
				for i, in := range servers {
					start := time.Now()
					in.must()
					times[i] = append(times[i], time.Since(start))
				}
			}
			n, m := median(times[0]), median(times[1])
			b.ReportMetric(float64(n.Nanoseconds()), "beside-0-ns")
			b.ReportMetric(float64(m.Nanoseconds()), "beside-100000-ns")
			b.ReportMetric(float64(m)/float64(n), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}
