package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/integration/stress"
	"github.com/kalamdb/kalamdb/link"
)

var (
	stressTime = flag.Duration("stress.time", time.Second, "how long the load of the stress tests lasts; their bars count from a minute on")
	stressOut  = flag.String("stress.out", "", "the folder for the stress tests' reports; none are written without it")
)

// stressLong is from when on figures about time and memory are judged.
const stressLong = time.Minute

const (
	stressUser    = "ada"
	stressWriters = 10
	stressHearers = 20
	stressBatch   = 10 // rows of a statement
)

// stressLoad is a server under load: writers that insert numbered rows, and
// listeners that must hear each of them once and in order, while somebody asks
// for rows that were acknowledged.
type stressLoad struct {
	*stressReport
	server *harness.Server
	watch  *stress.Watch
	// idle is the server before the first client.
	idle stress.Metrics

	// rate is how many rows are written a second, all together; 0: as many as
	// the server takes.
	rate int
	// body is the text of each row.
	body string

	ctx      context.Context
	fail     context.CancelCauseFunc
	ends     []atomic.Int64 // the last acknowledged row of a writer
	stopping chan struct{}
	finished chan struct{}
	working  sync.WaitGroup // writers and those who ask
	hearing  sync.WaitGroup
	clients  []*link.Client
	// heardBefore is what listeners need not hear of a writer: the rows of an
	// earlier load.
	heardBefore []int64
	told        atomic.Int64 // rows that all listeners heard of
	begun       time.Time
}

// newStress starts a server with a table for load.
func newStress(t *testing.T, env ...string) *stressLoad {
	t.Helper()
	l := &stressLoad{stressReport: newReport(t), server: harness.Start(t, env...), body: "somebody has said something of a usual length",
		begun: time.Now(), ends: make([]atomic.Int64, stressWriters), stopping: make(chan struct{}), finished: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 2*(*stressTime)+2*harness.Limit)
	t.Cleanup(cancel)
	l.ctx, l.fail = context.WithCancelCause(ctx)
	l.idle = l.metrics()
	admin := l.client("")
	harness.Exec(t, admin, "CREATE NAMESPACE app; CREATE USER TABLE app.messages (w INT NOT NULL, n BIGINT NOT NULL, sent BIGINT NOT NULL, body TEXT, PRIMARY KEY (w, n)) FLUSH INTERVAL 10s ROW_THRESHOLD "+strconv.Itoa(stressFlushRows))
	every := min(max(*stressTime/60, 100*time.Millisecond), time.Second)
	l.watch = stress.Start(l.server.URL, l.server.PID(), every)
	t.Cleanup(func() { _, _ = l.watch.Stop() })
	return l
}

// client connects a user, "" being the local admin; settle ends it.
func (l *stressLoad) client(user string) *link.Client {
	l.t.Helper()
	c := l.server.Admin
	if user != "" {
		c = func(t testing.TB, opts ...link.Option) *link.Client { return l.server.As(t, user, opts...) }
	}
	out := c(l.t)
	l.clients = append(l.clients, out)
	return out
}

func (l *stressLoad) metrics() stress.Metrics {
	l.t.Helper()
	m, err := stress.Scrape(l.t.Context(), l.server.URL)
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

// start begins the load.
func (l *stressLoad) start(writers, listeners int) {
	l.t.Helper()
	for i := range listeners {
		sub := subscribe(l.t, l.client(stressUser), "SELECT w, n, sent FROM app.messages")
		l.hearing.Go(func() {
			if err := l.hear(sub); err != nil {
				l.fail(fmt.Errorf("listener %d: %w", i, err))
			}
		})
	}
	for w := range writers {
		c := l.client(stressUser)
		l.working.Go(func() {
			if err := l.write(c, w, writers); err != nil {
				l.fail(fmt.Errorf("writer %d: %w", w, err))
			}
		})
	}
	c := l.client(stressUser)
	l.working.Go(func() {
		if err := l.ask(c, writers); err != nil {
			l.fail(fmt.Errorf("a query under load: %w", err))
		}
	})
}

// again begins a second load, whose listeners hear of the rows behind those of
// the first.
func (l *stressLoad) again() {
	l.t.Helper()
	l.heardBefore = make([]int64, len(l.ends))
	for w := range l.ends {
		l.heardBefore[w] = l.ends[w].Load()
	}
	l.stopping, l.finished = make(chan struct{}), make(chan struct{})
	l.start(stressWriters, stressHearers)
}

// write inserts rows until the load is to end.
func (l *stressLoad) write(c *link.Client, w, writers int) error {
	pause := time.Nanosecond
	if l.rate > 0 {
		pause = time.Second * time.Duration(stressBatch*writers) / time.Duration(l.rate)
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := l.ends[w].Load(); ; {
		select {
		case <-tick.C:
		case <-l.stopping:
			return nil
		case <-l.ctx.Done():
			return l.ctx.Err()
		}
		var sql strings.Builder
		sql.WriteString("INSERT INTO app.messages VALUES ")
		now := time.Now().UnixMicro()
		for i := range int64(stressBatch) {
			fmt.Fprintf(&sql, "(%d, %d, %d, $1),", w, n+i+1, now)
		}
		if _, err := c.Exec(l.ctx, strings.TrimSuffix(sql.String(), ","), l.body); err != nil {
			return err
		}
		n += stressBatch
		l.ends[w].Store(n)
		l.watch.Wrote(stressBatch)
	}
}

// hear hears every row of every writer, once and in order; rows that the
// server brought to a listener that was too slow may come out of order.
func (l *stressLoad) hear(sub *link.Subscription) error {
	heard := newHeardRows(len(l.ends))
	copy(heard.until, l.heardBefore)
	for !heard.all(l.ends, l.finished) {
		wait, stop := context.WithTimeout(l.ctx, 100*time.Millisecond)
		e, err := sub.Next(wait)
		stop()
		switch {
		case l.ctx.Err() != nil:
			return fmt.Errorf("heard %v: %w", heard.until, l.ctx.Err())
		case errors.Is(err, context.DeadlineExceeded):
			continue // the end of the writers may come when everything was heard
		case err != nil:
			return err
		case e.Kind == link.EventReconnecting, e.Kind == link.EventResynced, e.Kind.HasRow() && e.Kind != link.EventInsert:
			return fmt.Errorf("heard of a %s: %v", e.Kind, e.Err)
		case !e.Kind.HasRow():
			continue
		}
		var w int
		var n int64
		if err := e.Row.Scan(&w, &n, nil, nil, nil); err != nil {
			return err
		}
		if err := heard.row(w, n, e.Resync); err != nil {
			return err
		}
		l.told.Add(1)
		l.watch.Heard(1)
	}
	return nil
}

// askPause is between two queries of the one who asks.
const askPause = 10 * time.Millisecond

// ask asks for the newest acknowledged row of one writer after the other: it
// must be there.
func (l *stressLoad) ask(c *link.Client, writers int) error {
	tick := time.NewTicker(askPause)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-l.stopping:
			return nil
		case <-l.ctx.Done():
			return l.ctx.Err()
		}
		w := i % writers
		n := l.ends[w].Load()
		begin := time.Now()
		rows, err := link.Collect[string](c.Query(l.ctx, "SELECT body FROM app.messages WHERE w = $1 AND n = $2", w, n))
		if err != nil {
			return err
		}
		if want := min(n, 1); int64(len(rows)) != want || want == 1 && rows[0] != l.body {
			return fmt.Errorf("row %d of writer %d is acknowledged, and SELECT gives %d rows", n, w, len(rows))
		}
		l.watch.Asked(time.Since(begin))
	}
}

// during waits while the load goes on, and ends the test when it went wrong.
func (l *stressLoad) during(d time.Duration) {
	l.t.Helper()
	select {
	case <-time.After(d):
	case <-l.ctx.Done():
		l.t.Fatal(context.Cause(l.ctx))
	}
}

// finish ends the load, waits until every listener has heard everything and
// checks that each acknowledged row is there once.
func (l *stressLoad) finish() (rows int64) {
	l.t.Helper()
	close(l.stopping)
	l.working.Wait()
	close(l.finished)
	l.hearing.Wait()
	if l.ctx.Err() != nil {
		l.t.Fatal(context.Cause(l.ctx))
	}
	admin := l.client(stressUser)
	for w := range l.ends {
		end := l.ends[w].Load()
		got := harness.Query[struct{ Rows, Different, Last int64 }](l.t, admin,
			"SELECT count(*) AS rows, count(DISTINCT n) AS different, coalesce(max(n), 0) AS last FROM app.messages WHERE w = $1", w)[0]
		if got.Rows != end || got.Different != end || got.Last != end {
			l.t.Errorf("writer %d has inserted %d rows, and there are %+v", w, end, got)
		}
		rows += end
	}
	return rows
}

// leftover is how many goroutines the server may have more than before its
// first client: caches and pools that stay.
const leftover = 12

// settle ends all clients and waits until the server has let go of what they
// used: connections, live queries, queues, memory of statements, goroutines.
func (l *stressLoad) settle() {
	l.t.Helper()
	for _, c := range l.clients {
		_ = c.Close()
	}
	l.clients = nil
	limit := time.After(harness.Limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		kept := unreleased(l.metrics(), l.idle)
		if len(kept) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			l.t.Fatalf("the server keeps what nobody uses: %s", strings.Join(kept, "; "))
		}
	}
}

// unreleased tells what a server holds, by its metrics, that it need not hold
// when nobody uses it; idle is the server before its first client.
func unreleased(m, idle stress.Metrics) (kept []string) {
	for name, most := range map[string]float64{
		"kalamdb_websocket_connections": 0, "kalamdb_subscriptions": 0, "kalamdb_live_topics": 0, "kalamdb_live_filters": 0,
		"kalamdb_live_queued_bytes": 0, "kalamdb_live_backlog_rows": 0, "kalamdb_query_memory_bytes": 0, "kalamdb_requests_running": 0,
		"kalamdb_connections": 2, // those who look at the metrics
		"go_goroutines":       idle["go_goroutines"] + leftover,
	} {
		if v, ok := m[name]; !ok || v > most {
			kept = append(kept, fmt.Sprintf("%s is %v, at most %v", name, v, most))
		}
	}
	return kept
}

// sockets counts the open sockets of the server as the system does; ok is
// false where it does not tell.
func (l *stressLoad) sockets() (n int, ok bool) {
	dir := fmt.Sprintf("/proc/%d/fd", l.server.PID())
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0, false
	}
	for _, f := range list {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n, true
}

// end ends the watch and writes the report.
func (l *stressLoad) end(rows int64) []stress.Sample {
	l.t.Helper()
	samples, err := l.watch.Stop()
	if err != nil {
		l.t.Errorf("a look at the server: %v", err)
	}
	l.page.Samples = samples
	l.fact("%d rows written in all, on %d cores, which server and clients share", rows, runtime.NumCPU())
	return samples
}
