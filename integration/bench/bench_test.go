package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// These make this test binary serve something bare at their address instead of
// running tests: an empty handler, the floor of any request over HTTP; and an
// echo, that of any message over WebSocket.
const (
	emptyServer = "KALAMDB_BENCH_EMPTY_SERVER"
	echoServer  = "KALAMDB_BENCH_ECHO_SERVER"
	// helperDir is where a helper may write.
	helperDir = "KALAMDB_BENCH_DIR"
)

func TestMain(m *testing.M) {
	empty := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	})
	if addr := os.Getenv(emptyServer); addr != "" {
		serve(addr, empty)
	}
	if addr := os.Getenv(echoServer); addr != "" {
		mux := http.NewServeMux()
		mux.Handle("/", empty)
		mux.Handle(wire.PathWS, echo(os.Getenv(helperDir)))
		serve(addr, mux)
	}
	harness.Main(m)
}

func serve(addr string, h http.Handler) {
	fmt.Fprintln(os.Stderr, http.ListenAndServe(addr, h))
	os.Exit(1)
}

// freeAddress is one that nobody listens at.
func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startHelper starts this binary as one of the bare servers.
func startHelper(b *testing.B, which string) (url string) {
	b.Helper()
	addr := freeAddress(b)
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), which+"="+addr, helperDir+"="+b.TempDir())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	url = "http://" + addr
	for range 500 {
		if resp, err := http.Get(url); err == nil {
			_ = resp.Body.Close()
			return url
		}
		time.Sleep(2 * time.Millisecond)
	}
	b.Fatal("the bare server did not start")
	return ""
}

// post sends one request and reads the whole answer; what fails is an error of
// the benchmark, from any goroutine.
func post(b *testing.B, c *http.Client, url string, body []byte) []byte {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return nil
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		b.Error(err)
		return nil
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Errorf("%s: %v %s", resp.Status, err, answer)
	}
	return answer
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkPointQuery is a primary-key lookup over HTTP beside a handler that
// does nothing, in turns: on one connection, whose times are those of a machine
// that waits most of the time, and on sixteen, which keep it busy. Each ratio is
// of two turns that follow each other, so that what else the machine does
// weighs on both.
func BenchmarkPointQuery(b *testing.B) {
	server := harness.Start(b)
	admin := server.Admin(b)
	harness.Exec(b, admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, room TEXT, body TEXT)")
	for i := range 1000 {
		harness.Exec(b, admin, "INSERT INTO app.t VALUES ($1, $2, $3)", i, "lobby", "hello")
	}
	empty := startHelper(b, emptyServer)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	body := []byte(`{"sql":"SELECT id, room, body FROM app.t WHERE id = $1","params":[500]}`)
	if answer := post(b, client, server.URL+wire.PathSQL, body); !bytes.Contains(answer, []byte(`"rows":[{"id":500,`)) {
		b.Fatalf("the answer is %s", answer)
	}
	const turn = 50 // requests of each connection
	for _, connections := range []int{1, 16} {
		b.Run(fmt.Sprint(connections), func(b *testing.B) {
			// ask gives the time that a connection has for each request.
			ask := func(url string) time.Duration {
				start := time.Now()
				var wg sync.WaitGroup
				for range connections {
					wg.Go(func() {
						for range turn {
							post(b, client, url, body)
						}
					})
				}
				wg.Wait()
				return time.Since(start) / turn
			}
			var query, floor []time.Duration
			var ratios []float64
			for b.Loop() {
				q, f := ask(server.URL+wire.PathSQL), ask(empty+wire.PathSQL)
				query, floor, ratios = append(query, q), append(floor, f), append(ratios, float64(q)/float64(f))
			}
			slices.Sort(ratios)
			b.ReportMetric(float64(median(query).Nanoseconds()), "query-ns")
			b.ReportMetric(float64(median(floor).Nanoseconds()), "empty-ns")
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkDurableInserts compares single-row inserts, each synced before it
// is acknowledged, on sixteen and sixty-four connections and on one, in turns.
func BenchmarkDurableInserts(b *testing.B) {
	server := harness.Start(b)
	admin := server.Admin(b)
	harness.Exec(b, admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, body TEXT)")
	var id atomic.Int64
	round := func(clients int) float64 {
		const length = 400 * time.Millisecond
		ctx, cancel := context.WithTimeout(context.Background(), length)
		defer cancel()
		var done atomic.Int64
		var wg sync.WaitGroup
		start := time.Now()
		for range clients {
			c := admin.With(link.WithUser("writer"))
			wg.Go(func() {
				defer c.Close()
				for ctx.Err() == nil {
					if _, err := c.Exec(context.Background(), "INSERT INTO app.t VALUES ($1, 'hello')", id.Add(1)); err != nil {
						b.Error(err)
						return
					}
					done.Add(1)
				}
			})
		}
		wg.Wait()
		return float64(done.Load()) / time.Since(start).Seconds()
	}
	round(16)
	var one, sixteen, many float64
	rounds := 0
	for b.Loop() {
		one += round(1)
		sixteen += round(16)
		many += round(64)
		rounds++
	}
	b.ReportMetric(one/float64(rounds), "inserts/s-1")
	b.ReportMetric(sixteen/float64(rounds), "inserts/s-16")
	b.ReportMetric(many/float64(rounds), "inserts/s-64")
	b.ReportMetric(sixteen/one, "ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkStart is the time from executing the server to the answer of its
// first query, on a data directory that has been used before, and the memory
// that it then holds.
func BenchmarkStart(b *testing.B) {
	server := harness.Start(b)
	harness.Exec(b, server.Admin(b), "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, body TEXT); INSERT INTO app.t VALUES (1, 'hello')")
	body := []byte(`{"sql":"SELECT body FROM app.t WHERE id = 1"}`)
	var times []time.Duration
	var resident float64
	for b.Loop() {
		server.Stop()
		start := time.Now()
		server.Restart()
		post(b, http.DefaultClient, server.URL+wire.PathSQL, body)
		times = append(times, time.Since(start))
		resident = max(resident, residentMB(b, server.PID()))
	}
	b.ReportMetric(float64(median(times).Milliseconds()), "first-query-ms")
	b.ReportMetric(resident, "resident-MB")
	b.ReportMetric(0, "ns/op")
}

func residentMB(b *testing.B, pid int) float64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Skipf("the memory of a process is read from /proc: %v", err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kb) / 1024
		}
	}
	b.Fatal("the process has no VmRSS")
	return 0
}
