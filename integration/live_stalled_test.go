package integration

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/integration/stress"
	"github.com/kalamdb/kalamdb/link"
)

var soakStalled = flag.Duration("soak.stalled", time.Second, "how long subscribers listen to a thousand rows a second beside one that is stalled")

const (
	stallWriters  = 4
	stallRows     = 10                    // of a statement
	stallPause    = 35 * time.Millisecond // between two statements of a writer: 1,140 rows a second
	stallTimeBar  = 50 * time.Millisecond // of 99 of 100 deliveries, in a long run
	stallLongRun  = time.Minute
	stallSettling = 20 * time.Second // how long a stalled listener stays before another one takes its place
)

// TestStalledListenerCostsOthersNothing has 19 listeners hear all of 1,000 and
// more rows a second, in order and once, while a twentieth reads nothing: it
// is told everything too once it reads. With -soak.stalled of a minute or more
// the server's memory must stay flat and 99 of 100 rows arrive within 50 ms of
// being sent.
func TestStalledListenerCostsOthersNothing(t *testing.T) {
	server := harness.Start(t)
	admin := server.Admin(t)
	harness.Exec(t, admin, "CREATE NAMESPACE app; CREATE USER TABLE app.messages (w INT NOT NULL, n BIGINT NOT NULL, sent BIGINT NOT NULL, body TEXT, PRIMARY KEY (w, n))")
	long := *soakStalled >= stallLongRun
	ctx, cancel := context.WithTimeout(context.Background(), *soakStalled+harness.Limit)
	defer cancel()

	// What goes wrong ends the test; the first error is the one that counts.
	var failed error
	var once sync.Once
	fail := func(err error) {
		once.Do(func() { failed = err; cancel() })
	}
	end := make(chan struct{}) // the writers are to stop
	ends := make([]atomic.Int64, stallWriters)
	finished := make(chan struct{}) // they have

	var listening sync.WaitGroup
	delays := make([]delayCount, 19)
	for i := range delays {
		sub := subscribe(t, server.As(t, "ada"), "SELECT w, n, sent FROM app.messages")
		listening.Go(func() {
			if err := delays[i].listen(ctx, sub, ends, finished); err != nil {
				fail(fmt.Errorf("listener %d: %w", i, err))
			}
		})
	}
	listening.Go(func() {
		if err := stall(ctx, t, server, end, finished); err != nil {
			fail(fmt.Errorf("the stalled listener: %w", err))
		}
	})
	memory := make(chan []float64, 1)
	go func() { memory <- sampleMemory(server.PID(), end) }()
	var writing sync.WaitGroup
	begun := time.Now()
	for w := range ends {
		c := server.As(t, "ada")
		writing.Go(func() {
			if err := stallWrite(ctx, c, w, &ends[w], end); err != nil {
				fail(fmt.Errorf("writer %d: %w", w, err))
			}
		})
	}
	select {
	case <-time.After(*soakStalled):
	case <-ctx.Done():
	}
	close(end)
	writing.Wait()
	took := time.Since(begun)
	close(finished)
	listening.Wait()
	if failed != nil {
		t.Fatal(failed)
	}

	var all delayCount
	for i := range delays {
		all.add(&delays[i])
	}
	var rows int64
	for w := range ends {
		rows += ends[w].Load()
	}
	p50, p99 := all.quantile(0.5), all.quantile(0.99)
	t.Logf("%d rows in %v, %.0f a second, to 19 listeners; delays: half within %v, 99 of 100 within %v, the longest %v; %d rows came as resync",
		rows, took.Round(time.Millisecond), float64(rows)/took.Seconds(), p50, p99, all.longest, all.missed)
	used := <-memory
	if len(used) >= 3 {
		third := len(used) / 3
		before, after := highest(used[third:2*third]), highest(used[2*third:])
		t.Logf("the server's memory: at most %.0f MB in the second third of the time, %.0f MB in the last", before, after)
		if long && after > 1.25*before+16 {
			t.Errorf("the server's memory grew from %.0f to %.0f MB", before, after)
		}
	}
	if long {
		if p99 > stallTimeBar {
			t.Errorf("99 of 100 rows came within %v, not %v", p99, stallTimeBar)
		}
		if perSecond := float64(rows) / took.Seconds(); perSecond < 1000 {
			t.Errorf("%.0f rows were written a second", perSecond)
		}
	}
}

// stallWrite inserts rows at a steady pace, whatever the server does.
func stallWrite(ctx context.Context, c *link.Client, w int, done *atomic.Int64, end <-chan struct{}) error {
	tick := time.NewTicker(stallPause)
	defer tick.Stop()
	for n := int64(0); ; n += stallRows {
		select {
		case <-tick.C:
		case <-end:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		var sql strings.Builder
		sql.WriteString("INSERT INTO app.messages VALUES ")
		now := time.Now().UnixMicro()
		for i := range int64(stallRows) {
			fmt.Fprintf(&sql, "(%d, %d, %d, 'somebody has said something of a usual length'),", w, n+i+1, now)
		}
		if _, err := c.Exec(ctx, strings.TrimSuffix(sql.String(), ",")); err != nil {
			return err
		}
		done.Store(n + stallRows)
	}
}

// delayCount counts deliveries by their delay in milliseconds.
type delayCount struct {
	count   [1000]int64
	longest time.Duration
	total   int64
	missed  int64
}

func (d *delayCount) observe(delay time.Duration) {
	d.count[min(max(delay.Milliseconds(), 0), int64(len(d.count)-1))]++
	d.longest = max(d.longest, delay)
	d.total++
}

func (d *delayCount) add(o *delayCount) {
	for i, n := range o.count {
		d.count[i] += n
	}
	d.longest = max(d.longest, o.longest)
	d.total += o.total
	d.missed += o.missed
}

// quantile is the delay that a share of the deliveries did not exceed.
func (d *delayCount) quantile(share float64) time.Duration {
	sum := int64(0)
	for i, n := range d.count {
		if sum += n; float64(sum) >= share*float64(d.total) {
			return time.Duration(i+1) * time.Millisecond
		}
	}
	return d.longest
}

// listen hears every row of every writer, once; those of a writer in order
// unless they come as a resync.
func (d *delayCount) listen(ctx context.Context, sub *link.Subscription, ends []atomic.Int64, finished <-chan struct{}) error {
	heard := newHeardRows(len(ends))
	for !heard.all(ends, finished) {
		wait, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		e, err := sub.Next(wait)
		stop()
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("heard %v", heard.until)
		case errors.Is(err, context.DeadlineExceeded):
			continue // the end of the writers may come when everything was heard
		case err != nil:
			return err
		case e.Kind != link.EventInsert && e.Kind.HasRow(), e.Kind == link.EventResynced, e.Kind == link.EventReconnecting:
			return fmt.Errorf("heard of a %s: %v", e.Kind, e.Err)
		case e.Kind != link.EventInsert:
			continue
		}
		var w int
		var n, sent int64
		if err := e.Row.Scan(&w, &n, &sent, nil, nil); err != nil {
			return err
		}
		d.observe(time.Since(time.UnixMicro(sent)))
		if e.Resync {
			d.missed++
		}
		if err := heard.row(w, n, e.Resync); err != nil {
			return err
		}
	}
	return nil
}

// heardRows is which rows of the writers were heard.
type heardRows struct {
	until []int64 // all rows up to it
	ahead []map[int64]bool
}

func newHeardRows(writers int) *heardRows {
	return &heardRows{make([]int64, writers), make([]map[int64]bool, writers)}
}

// row notes a row; resync allows it to come before earlier ones.
func (h *heardRows) row(w int, n int64, resync bool) error {
	if n <= h.until[w] || h.ahead[w][n] {
		return fmt.Errorf("row %d of writer %d came twice", n, w)
	}
	if n != h.until[w]+1 && !resync {
		return fmt.Errorf("row %d of writer %d came behind row %d", n, w, h.until[w])
	}
	if h.ahead[w] == nil {
		h.ahead[w] = map[int64]bool{}
	}
	h.ahead[w][n] = true
	for h.ahead[w][h.until[w]+1] {
		h.until[w]++
		delete(h.ahead[w], h.until[w])
	}
	return nil
}

func (h *heardRows) all(ends []atomic.Int64, finished <-chan struct{}) bool {
	select {
	case <-finished:
	default:
		return false
	}
	for w := range ends {
		if h.until[w] < ends[w].Load() {
			return false
		}
	}
	return true
}

// stall listens without reading. From time to time another takes the place of
// a listener that does, because the server ends the connection of a client
// that does not answer its pings. The last one reads in the end: what it could
// not take is told it then, each row once.
func stall(ctx context.Context, t *testing.T, server *harness.Server, end, finished <-chan struct{}) error {
	token := http.Header{"Authorization": {"Bearer " + harness.Token(t, "ada", "user")}}
	for last := false; ; {
		s, err := harness.Open(server.URL, token)
		if err != nil {
			return err
		}
		defer s.Close()
		if err := s.Send(wire.ClientMessage{Subscriptions: []wire.Subscription{{ID: "s", SQL: "SELECT w, n FROM app.messages"}}}); err != nil {
			return err
		}
		ack, err := s.Read()
		if err != nil || ack.Type != wire.TypeSubscriptionAck {
			return fmt.Errorf("the answer is %+v: %w", ack, err)
		}
		select {
		case <-time.After(stallSettling):
		case <-end:
			last = true
		case <-ctx.Done():
			return ctx.Err()
		}
		if !last {
			_ = s.Close()
			continue
		}
		<-finished
		return readStalled(t, server, s, ack.Seq)
	}
}

// readStalled reads every row behind a sequence number.
func readStalled(t *testing.T, server *harness.Server, s *harness.Socket, from uint64) error {
	want := harness.Query[int64](t, server.As(t, "ada"), "SELECT count(*) FROM app.messages WHERE _seq > $1", int64(from))[0]
	seen := map[[2]int64]bool{}
	for int64(len(seen)) < want {
		m, err := s.Read()
		if err != nil {
			return fmt.Errorf("after %d of %d rows: %w", len(seen), want, err)
		}
		if m.Type != wire.TypeChange || m.ChangeType != "insert" {
			return fmt.Errorf("read %+v", m)
		}
		for _, raw := range m.Rows {
			var row struct{ W, N int64 }
			if err := json.Unmarshal(raw, &row); err != nil {
				return err
			}
			key := [2]int64{row.W, row.N}
			if seen[key] {
				return fmt.Errorf("row %d of writer %d came twice", row.N, row.W)
			}
			seen[key] = true
		}
	}
	t.Logf("the stalled listener was told its %d rows in the end", want)
	return nil
}

// sampleMemory is the resident memory of a process in MB, every second.
func sampleMemory(pid int, end <-chan struct{}) (out []float64) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-end:
			return out
		}
		m, ok := stress.ProcessMemory(pid)
		if !ok {
			return nil // not on this system
		}
		out = append(out, m.Resident/(1<<20))
	}
}

func highest(list []float64) (out float64) {
	for _, v := range list {
		out = max(out, v)
	}
	return out
}
