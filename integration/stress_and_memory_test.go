package integration

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/integration/stress"
	"github.com/kalamdb/kalamdb/link"
)

// The tests of story 12. Most of them judge the one run under load; each can
// run alone, and then makes it. With -stress.time of a minute or more the bars
// about time and memory count; a short run checks what is not about time: that
// nothing is lost, doubled, refused or kept.

// TestMemoryStabilityUnderWriteLoad is story 12, scenarios 1 and 5: while ten
// writers insert, the server's memory does not grow.
func TestMemoryStabilityUnderWriteLoad(t *testing.T) {
	r := run(t)
	s := r.report(t)
	if r.rows == 0 {
		t.Error("nothing was written")
	}
	s.bar(stress.Bar{What: "rows of a writer", Got: float64(r.rows) / stressWriters, Limit: 10_000, Unit: "rows", Least: true})
	s.bar(stress.Bar{What: "growth of what is in use", Got: stress.Growth(r.load, live), Limit: 10, Unit: "%"})
	s.bar(stress.Bar{What: "growth of memory", Got: stress.Growth(r.load, own), Limit: 10, Unit: "%"})
}

func own(s stress.Sample) float64 { return s.Own }

func live(s stress.Sample) float64 { return s.Live }

// TestConcurrentWritersAndListeners is story 12, scenarios 2 and 4: ten
// writers and twenty listeners, of which none loses its connection, a row or
// the order, and none hears a row twice.
func TestConcurrentWritersAndListeners(t *testing.T) {
	r := run(t)
	s := r.report(t)
	if r.told != r.rows*stressHearers {
		t.Errorf("of %d rows %d listeners have heard %d", r.rows, stressHearers, r.told)
	}
	for _, m := range []stress.Metrics{r.connected, r.loaded} {
		if m["kalamdb_subscriptions"] != stressHearers || m["kalamdb_websocket_connections"] != stressHearers {
			t.Errorf("%d listeners are %v live queries of %v connections", stressHearers, m["kalamdb_subscriptions"], m["kalamdb_websocket_connections"])
		}
	}
	for _, x := range r.load[1:] { // the first began before the load
		if x.WebSockets != stressHearers {
			t.Errorf("after %v there are %v connections of %d", x.At, x.WebSockets, stressHearers)
		}
	}
	if ended := r.loaded["kalamdb_subscriptions_ended_total"] - r.connected["kalamdb_subscriptions_ended_total"]; ended != 0 {
		t.Errorf("%v live queries ended under load", ended)
	}
	s.bar(stress.Bar{What: "rows written", Got: float64(r.rows) / r.lasted.Seconds(), Limit: 1000, Unit: "rows/s", Least: true})
	s.bar(stress.Bar{What: "notifications", Got: float64(r.told), Limit: 100_000, Unit: "rows", Least: true})
}

// TestCpuUsageUnderLoad is story 12, scenario 3: more than a thousand inserts a
// second leave the processor time for more, and queries are answered.
func TestCpuUsageUnderLoad(t *testing.T) {
	r := run(t)
	s := r.report(t)
	used := stress.Mean(r.load, func(s stress.Sample) float64 { return s.CPU })
	if used <= 0 || used > 1.1 {
		t.Errorf("the server used %v of the processors", used)
	}
	s.bar(stress.Bar{What: "rows written", Got: float64(r.rows) / r.lasted.Seconds(), Limit: 1000, Unit: "rows/s", Least: true})
	s.bar(stress.Bar{What: "CPU on average", Got: 100 * used, Limit: 80, Unit: "%"})
	s.bar(stress.Bar{What: "p95 of queries", Got: r.p95.Seconds() * 1000, Limit: 500, Unit: "ms"})
}

// TestWebsocketConnectionLeakDetection is story 12, scenario 4: of fifty
// connections with a live query each, twenty-five end, some with a goodbye and
// some without; the server lets go of just these, as system.live_queries, its
// metrics and the system's sockets tell. Doing it again leaves no more behind.
func TestWebsocketConnectionLeakDetection(t *testing.T) {
	l := newStress(t)
	admin, writer := l.client(""), l.client(stressUser)
	before, known := l.sockets()
	var left []float64 // goroutines after a round
	for round := range 3 {
		open := make([]*harness.Socket, 50)
		for i := range open {
			s := l.server.Socket(t, stressUser)
			if err := s.Send(map[string]any{"subscriptions": []any{map[string]any{"id": "s", "sql": "SELECT w, n FROM app.messages"}}}); err != nil {
				t.Fatal(err)
			}
			if ack := read(t, s); ack.Type != "subscription_ack" {
				t.Fatalf("the answer is %+v", ack)
			}
			open[i] = s
		}
		l.connected(admin, 50)
		for i, s := range open[:25] {
			if i%2 == 0 {
				_ = s.Frame(harness.OpClose, []byte{0x03, 0xe8}) // normal end
			}
			_ = s.Close()
		}
		l.connected(admin, 25)
		harness.Exec(t, writer, "INSERT INTO app.messages VALUES ($1, 1, 0, 'to those who stay')", round)
		for i, s := range open[25:] {
			if m := read(t, s); m.Type != "change" || len(m.Rows) != 1 {
				t.Errorf("listener %d that stays hears %+v", i, m)
			}
			_ = s.Close()
		}
		l.connected(admin, 0)
		if known {
			await(t, "the end of the sockets", func() bool {
				now, _ := l.sockets()
				return now <= before+2
			})
		}
		left = append(left, l.metrics()["go_goroutines"])
	}
	l.end(int64(len(left)))
	l.settle()
	l.fact("goroutines after each round: %v", left)
	if left[2] > left[0]+leftover {
		t.Errorf("goroutines after each round: %v", left)
	}
}

// connected waits until there are so many live queries, each of a connection.
func (l *stressLoad) connected(admin *link.Client, n int) {
	l.t.Helper()
	await(l.t, fmt.Sprint(n, " live queries"), func() bool {
		listed := harness.Query[int](l.t, admin, "SELECT count(*) FROM system.live_queries WHERE table_name = 'messages'")[0]
		m := l.metrics()
		return listed == n && m["kalamdb_subscriptions"] == float64(n) && m["kalamdb_websocket_connections"] == float64(n)
	})
}

// TestMemoryReleaseAfterStress is story 12, scenario 7: a minute after the
// load the server's memory is what it was before, when it was warm, and so is
// all else that the load needed: connections, live queries, goroutines, files.
func TestMemoryReleaseAfterStress(t *testing.T) {
	r := run(t)
	s := r.report(t)
	// Sessions are remembered for session.idle_timeout, so there are more.
	for name, more := range map[string]float64{
		"kalamdb_websocket_connections": 0, "kalamdb_subscriptions": 0, "kalamdb_live_queued_bytes": 0, "kalamdb_query_memory_bytes": 0,
		"kalamdb_connections": 1, "go_goroutines": leftover, "process_open_fds": leftover,
	} {
		if before, after := r.before[name], r.after[name]; after > before+more {
			t.Errorf("%s was %v before the load and is %v after it", name, before, after)
		}
	}
	compare := func(what string, before, after, apart float64) {
		if before <= 0 || after <= 0 {
			t.Errorf("%s: %v bytes, before %v", what, after, before)
			return
		}
		s.fact("%s: %.1f MiB, before the load %.1f MiB", what, after/(1<<20), before/(1<<20))
		s.bar(stress.Bar{What: what + ", more than before", Got: 100 * ((after-apart)/before - 1), Limit: 5, Unit: "%"})
	}
	// Between two collections what the tests' own questions leave adds up. Of the
	// table that takes the writes only the part that is filled has pages: it may
	// have been empty before and be full after. Objects are counted whole.
	const memTable = 8 << 20 // store.badger.mem_table
	compare("memory at rest but for the table of writes", stress.Lowest(stress.In(phaseBefore, r.all), own), stress.Lowest(stress.In(phaseAfter, r.all), own), memTable)
	// There are more cold rows than before, and the Bloom filters of those that
	// are looked for stay in a cache, which is bounded.
	const filter = 1.25 // bytes of a row
	compare("in use at rest without filters", r.before["go_gc_heap_live_bytes"]-filter*r.before["kalamdb_cold_rows"],
		r.after["go_gc_heap_live_bytes"]-filter*r.after["kalamdb_cold_rows"], 0)
}

// TestQueryPerformanceUnderStress is story 12, scenario 6: while ten write and
// twenty listen, a SELECT finds what was acknowledged, and soon.
func TestQueryPerformanceUnderStress(t *testing.T) {
	r := run(t)
	s := r.report(t)
	asked, worst := 0, 0.0
	for _, x := range r.load {
		asked += x.Asked
		worst = max(worst, x.P95.Seconds()*1000)
	}
	if asked == 0 {
		t.Error("no query was answered")
	}
	s.fact("%d queries; p95 of the worst sample: %.1f ms", asked, worst)
	s.bar(stress.Bar{What: "p95 of queries", Got: r.p95.Seconds() * 1000, Limit: 500, Unit: "ms"})
}

// TestFlushOperationsDuringStress is story 12, scenario 1: flushes go on under
// load and by hand, each one succeeds, nothing is lost between the tiers, and
// what waits to be flushed does not pile up.
func TestFlushOperationsDuringStress(t *testing.T) {
	r := run(t)
	s := r.report(t)
	if r.flushes == 0 {
		t.Error("nothing was flushed by hand")
	}
	m := r.emptied
	if m["kalamdb_flush_waiting_rows"] != 0 || m["kalamdb_hot_rows"] != 0 || m["kalamdb_cold_rows"] != float64(r.kept) || m["kalamdb_flush_failures_total"] != 0 {
		t.Errorf("after the last flush of %d rows: %v wait, %v hot, %v cold, %v flushes failed", r.kept,
			m["kalamdb_flush_waiting_rows"], m["kalamdb_hot_rows"], m["kalamdb_cold_rows"], m["kalamdb_flush_failures_total"])
	}
	if len(r.jobs) > 0 {
		t.Errorf("jobs: %v", r.jobs)
	}
	s.bar(stress.Bar{What: "rows that wait to be flushed", Got: stress.Highest(r.load, func(s stress.Sample) float64 { return s.Waiting }), Limit: 2 * stressFlushRows, Unit: "rows"})
	s.bar(stress.Bar{What: "growth of memory", Got: stress.Growth(r.load, own), Limit: 10, Unit: "%"})
}

// TestActorSystemStability is story 12, scenarios 3 and 5, for the goroutines
// that own queues: those of live queries stay within their bound and empty
// themselves, their number is the same all the time, and no job is stuck or
// failed.
func TestActorSystemStability(t *testing.T) {
	r := run(t)
	s := r.report(t)
	if len(r.jobs) > 0 {
		t.Errorf("jobs: %v", r.jobs)
	}
	const queueBytes = 4 << 20 // live.queue_bytes
	if most := stress.Highest(r.load, func(s stress.Sample) float64 { return s.Queued }); most > (stressHearers+1)*queueBytes {
		t.Errorf("the queues of %d listeners had %v bytes", stressHearers, most)
	}
	s.bar(stress.Bar{What: "rows that full queues lost", Got: r.emptied["kalamdb_live_rows_dropped_total"] - r.connected["kalamdb_live_rows_dropped_total"], Limit: 0, Unit: "rows"})
	s.bar(stress.Bar{What: "growth of goroutines", Got: stress.Growth(r.load, func(s stress.Sample) float64 { return s.Goroutines }), Limit: 10, Unit: "%"})
}

// TestRocksdbMemoryBounds is story 12, scenario 5, for the store of the hot
// tier: with small bounds it takes far more than they are, and stays small.
func TestRocksdbMemoryBounds(t *testing.T) {
	if harness.Backend() != config.BackendBadger {
		t.Skipf("the backend %s has no bounds of its own", harness.Backend())
	}
	l := newStress(t, "KALAMDB_STORE_BADGER_MEM_TABLE=8MiB", "KALAMDB_STORE_BADGER_BLOCK_CACHE=4MiB", "KALAMDB_STORE_BADGER_INDEX_CACHE=4MiB",
		"KALAMDB_STORE_BADGER_VALUE_LOG_FILE=32MiB", "KALAMDB_QUERY_MEMORY_LIMIT=32MiB", "KALAMDB_QUERY_TOTAL_MEMORY_LIMIT=64MiB")
	// Everything stays in the hot tier.
	harness.Exec(t, l.client(""), "ALTER TABLE app.messages SET (flush_rows = 100000000, flush_interval = '10h')")
	l.body = strings.Repeat("sixteen letters ", 256)
	l.rate = 5000
	l.start(stressWriters, 0)
	l.during(*stressTime / 5)
	for begin := time.Now(); l.sum()*int64(len(l.body)) < 32<<20 && time.Since(begin) < harness.Limit; {
		l.during(10 * time.Millisecond) // a slow machine has not reached the bounds yet
	}
	rows := l.finish()
	m := l.metrics()
	samples := l.end(rows)
	l.settle()
	written := float64(rows) * float64(len(l.body))
	if m["kalamdb_hot_rows"] != float64(rows) || written < 32<<20 {
		t.Errorf("%v rows are hot of %d, with %v bytes", m["kalamdb_hot_rows"], rows, written)
	}
	// Bounds of 5 memory tables, two caches and the statements' memory; a merge
	// makes 13 files of half a MiB at a time, which before compression are
	// twenty times as large, in buffers of twice the size. And what a Go process
	// keeps beside: as much garbage as it has objects.
	const merging = 13 * 0.5 * 20 * 2
	l.fact("%.0f MiB of rows", written/(1<<20))
	l.bar(stress.Bar{What: "memory", Got: stress.Highest(samples, own) / (1 << 20), Limit: 2 * (5*8 + 4 + 4 + 64 + merging), Unit: "MiB"})
}

func (l *stressLoad) sum() (rows int64) {
	for w := range l.ends {
		rows += l.ends[w].Load()
	}
	return rows
}

// TestGracefulDegradation is story 12, scenario 6 and SC-060: with ever more
// clients the server answers slower and refuses some, but nothing fails in
// another way, nothing acknowledged is lost, and when they have gone it
// answers all again.
func TestGracefulDegradation(t *testing.T) {
	l := newStress(t, "KALAMDB_QUERY_MAX_CONCURRENT=64")
	m := &mixed{sender: newSender(t, l.server), table: "app.notes"}
	harness.Exec(t, l.client(""), "CREATE USER TABLE "+m.table+" (id BIGINT PRIMARY KEY, room INT, body TEXT)")
	for u := range 8 {
		harness.Exec(t, l.client(fmt.Sprint("u", u)), "INSERT INTO "+m.table+" SELECT g, g % 13, 'note ' || (g * 7919 % 1000) FROM generate_series(1, 1000) AS x(g)")
	}
	best, last := 0.0, 0.0
	for _, clients := range []int{1, 8, 64, 256, 1024} {
		rate, refused := l.step(m, clients, *stressTime/10)
		l.fact("%d clients: %.0f answers/s, %d refused", clients, rate, refused)
		best, last = max(best, rate), rate
		if t.Failed() {
			return
		}
	}
	m.recovered(t, time.Now())
	m.closed(t, 8, 200*time.Millisecond) // everything is answered again
	m.acked.check(t, l.server, m.table)
	if _, h := healthOf(t, l.server); h.UptimeSeconds < time.Since(l.begun).Seconds()-1 {
		t.Errorf("the server has been there for %v s", h.UptimeSeconds)
	}
	l.end(int64(m.next.Load()))
	m.client.CloseIdleConnections()
	l.settle()
	l.bar(stress.Bar{What: "answers at the highest load, of the most", Got: 100 * last / best, Limit: 50, Unit: "%", Least: true})
}

// retryAfter is how long a client waits that was refused, as the server's header
// Retry-After tells it.
const retryAfter = time.Second

// step keeps clients busy for a time and gives how many requests a second were
// answered and how many refused; one that is refused waits as it is told.
func (l *stressLoad) step(m *mixed, clients int, during time.Duration) (rate float64, refused int64) {
	ctx, cancel := context.WithTimeout(l.ctx, during)
	defer cancel()
	var answered, no atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				begin := time.Now()
				switch status, body, err := m.ask(l.ctx); {
				case err == nil && status == http.StatusOK:
					answered.Add(1)
					l.watch.Asked(time.Since(begin))
				case err == nil && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && strings.Contains(body, "RESOURCE_EXHAUSTED"):
					no.Add(1)
					select {
					case <-time.After(retryAfter):
					case <-ctx.Done():
					}
				default:
					l.t.Errorf("with %d clients: %d %.300s %v", clients, status, body, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(answered.Load()) / time.Since(begin).Seconds(), no.Load()
}
