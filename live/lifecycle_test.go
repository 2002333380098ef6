package live

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

func TestSlowReaderResyncs(t *testing.T) {
	db := newDatabase(t, limits(3))
	s := db.subscribe(spec("u", plan(roomIs("a"))))
	db.write("u", op{id: 1, room: "a"}, op{id: 2, room: "a"})
	db.hub.drain()
	if m, ok, err := s.Poll(context.Background()); !ok || err != nil || show(m) != "insert 2: 1/a/0 2/a/0" {
		t.Fatal(m, ok, err)
	}
	db.write("u", op{id: 9, room: "x"}) // concerns nobody
	for i := range 5 {
		db.write("u", op{id: 3, room: "a", n: int64(i)})
	}
	db.write("u", op{id: 1, del: true})
	db.write("u", op{id: 2, room: "b"})
	db.hub.drain()
	if in := s.Info(); in.QueuedRows != 0 || in.QueuedBytes != 0 {
		t.Errorf("the queue of a subscription that was too slow keeps %d rows, %d bytes", in.QueuedRows, in.QueuedBytes)
	}
	expect(t, db.poll(s), "insert 8: 3/a/4 resync", "delete 10: 1/a/0 2/b/0 last resync")
	db.write("u", op{id: 4, room: "a"})
	expect(t, db.poll(s), "insert 11: 4/a/0")
	if in := s.Info(); in.Changes != 6 || in.Resyncs != 1 {
		t.Errorf("info %+v", in)
	}
	if st := db.hub.Stats(); st.Resyncs != 1 || st.DroppedRows == 0 || st.DeliveredRows != 6 {
		t.Errorf("stats %+v", st)
	}
}

// TestResyncStartsAtTheQueue checks that a resync re-reads from what the
// reader has, not from long ago.
func TestResyncStartsAtTheQueue(t *testing.T) {
	db := newDatabase(t, limits(2))
	s := db.subscribe(spec("u", plan(roomIs("a"))))
	for i := range 100 {
		db.write("u", op{id: int64(i), room: "x"})
	}
	for i := range 5 {
		db.write("u", op{id: int64(i), room: "a"})
	}
	expect(t, db.poll(s), "insert 105: 0/a/0 1/a/0 2/a/0 3/a/0 4/a/0 last resync")
}

func TestChangesDuringResync(t *testing.T) {
	db := newDatabase(t, limits(2))
	s := db.subscribe(spec("u", plan(all())))
	for i := range 5 {
		db.write("u", op{id: int64(i)})
	}
	db.hub.drain()
	db.delay = func() { // behind the snapshot: must come once, as a change
		db.delay = nil
		db.write("u", op{id: 5})
		db.hub.drain()
	}
	expect(t, db.poll(s), "insert 5: 0//0 1//0 2//0 3//0 4//0 last resync", "insert 6: 5//0")

	// So many during the resync that the queue is full again.
	for i := range 3 {
		db.write("u", op{id: int64(i)})
	}
	db.hub.drain()
	db.delay = func() {
		db.delay = nil
		for i := range 4 {
			db.write("u", op{id: int64(10 + i)})
		}
		db.hub.drain()
	}
	expect(t, db.poll(s), "insert 9: 0//0 1//0 2//0 last resync", "insert 13: 10//0 11//0 12//0 13//0 last resync")
}

func TestQueueBoundByBytes(t *testing.T) {
	opt := Options{}
	opt.Limits.QueueBytes = 4000
	db := newDatabase(t, opt)
	s := db.subscribe(spec("u", plan(all())))
	big := strings.Repeat("x", 3000)
	db.write("u", op{id: 1, room: big + big}) // alone it may be larger than the bound
	if got := db.poll(s); len(got) != 1 || strings.HasSuffix(got[0], "resync") {
		t.Errorf("got %d messages", len(got))
	}
	db.write("u", op{id: 2, room: big})
	db.write("u", op{id: 3, room: big})
	if got := db.poll(s); len(got) != 1 || !strings.HasSuffix(got[0], "resync") {
		t.Errorf("got %d messages", len(got))
	}
}

// TestAllQueuesTogether checks the bound that all queues share: it hits those
// who leave things lying, not those who read.
func TestAllQueuesTogether(t *testing.T) {
	db := newDatabase(t, Options{QueuedBytes: 30_000})
	idle1, idle2, reader := db.subscribe(spec("u", plan(all()))), db.subscribe(spec("u", plan(all()))), db.subscribe(spec("v", plan(all())))
	for i := range 10 {
		db.write("u", op{id: int64(i), room: strings.Repeat("x", 1500)})
	}
	db.hub.drain()
	if st := db.hub.Stats(); st.QueuedBytes < 15_000 || st.QueuedBytes > 25_000 || st.DroppedRows != 0 {
		t.Errorf("a batch in two queues counts once: %+v", st)
	}
	for i := range 10 {
		db.write("u", op{id: int64(10 + i), room: strings.Repeat("x", 1500)})
		db.write("v", op{id: int64(i)})
		if got := db.poll(reader); len(got) != 1 || strings.HasSuffix(got[0], "resync") {
			t.Fatalf("the healthy reader got %q", got)
		}
	}
	if st := db.hub.Stats(); st.QueuedBytes > 33_000 || st.DroppedRows == 0 {
		t.Errorf("stats %+v", st)
	}
	for _, s := range []*Subscription{idle1, idle2} {
		if got := db.poll(s); len(got) == 0 || !strings.HasSuffix(got[0], "resync") {
			t.Errorf("the slow reader got %d messages", len(got))
		}
	}
	if st := db.hub.Stats(); st.QueuedBytes != 0 {
		t.Errorf("%d bytes queued at rest", st.QueuedBytes)
	}
}

// TestBulkCommitStopsWork checks that a commit that is larger than the queues
// is not built into messages that nobody will take.
func TestBulkCommitStopsWork(t *testing.T) {
	db := newDatabase(t, limits(300))
	s := db.subscribe(spec("u", plan(all())))
	ops := make([]op, 10_000)
	for i := range ops {
		ops[i] = op{id: int64(i)}
	}
	db.write("u", ops...)
	db.hub.drain()
	if st := db.hub.Stats(); st.Messages > 3 {
		t.Errorf("%d messages were built", st.Messages)
	}
	rows := 0
	for {
		m, ok, err := s.Poll(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if !m.Resync {
			t.Fatalf("got %s", m.Kind)
		}
		rows += len(m.Rows)
	}
	if rows != len(ops) {
		t.Errorf("got %d rows", rows)
	}
	db.write("u", op{id: -1})
	if got := db.poll(s); len(got) != 1 || strings.HasSuffix(got[0], "resync") {
		t.Errorf("afterwards: %q", got)
	}
}

func TestSlowReaderIsClosed(t *testing.T) {
	var log bytes.Buffer
	opt := limits(1000)
	opt.Log = slog.New(slog.NewTextHandler(&log, nil))
	db := newDatabase(t, opt)
	sp := spec("u", plan(all()))
	sp.OnSlow, sp.Buffer = CloseSlow, 2
	s := db.register(sp)
	db.start(s, true)
	healthy := db.subscribe(spec("u", plan(all())))
	for i := range 3 {
		db.write("u", op{id: int64(i)})
	}
	expect(t, db.poll(s), "subscription closed: slow_consumer")
	if got := db.poll(healthy); len(got) != 3 {
		t.Errorf("a slow reader cost another one: %q", got)
	}
	if _, ok := db.hub.Lookup(s.ID()); ok || db.hub.CountByTable(7) != 1 {
		t.Error("a closed subscription is still registered")
	}
	if !strings.Contains(log.String(), "reason=slow_consumer") {
		t.Errorf("log: %s", log.String())
	}
	if st := db.hub.Stats(); st.SlowClosed != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestOverflowBeforeStart(t *testing.T) {
	db := newDatabase(t, limits(2))
	s := db.register(spec("u", plan(all())))
	for i := range 5 {
		db.write("u", op{id: int64(i)})
	}
	db.hub.drain()
	rows, seq := db.snapshot("u")
	for i := range 4 {
		db.write("u", op{id: int64(10 + i)})
	}
	db.hub.drain()
	if err := s.Start(Start{Seq: seq, Initial: db.read(s.Plan(), rows, false, 0)}); err != nil {
		t.Fatal(err)
	}
	expect(t, db.poll(s), "initial 5: 0//0 1//0 2//0 3//0 4//0 last", "insert 9: 10//0 11//0 12//0 13//0 last resync")

	sp := spec("u", plan(all()))
	sp.OnSlow = CloseSlow
	s = db.register(sp)
	for i := range 3 {
		db.write("u", op{id: int64(i)})
	}
	db.hub.drain()
	rows, seq = db.snapshot("u")
	expectClosed(t, s.Start(Start{Seq: seq, Initial: db.read(s.Plan(), rows, false, 0)}), ReasonSlowConsumer)
}

// TestBacklogFull holds the dispatcher up and publishes more than may wait.
func TestBacklogFull(t *testing.T) {
	db := newDatabase(t, Options{Backlog: 20, Dispatchers: 1})
	s := db.subscribe(spec("u", plan(all())))
	other := db.subscribe(spec("v", plan(all())))
	sp := spec("u", plan(all()))
	sp.OnSlow = CloseSlow
	strict := db.subscribe(sp)
	release := make(chan struct{})
	held := make(chan struct{})
	db.hub.shards[0].control(func(*dispatcher) { close(held); <-release })
	<-held
	for i := range 100 {
		db.write("u", op{id: int64(i % 10), n: int64(i)})
	}
	for i := range 5 {
		db.write("v", op{id: int64(i)})
	}
	st := db.hub.Stats()
	if st.BacklogRows > 21 || st.BacklogLost < 80 {
		t.Errorf("backlog %d rows, lost %d", st.BacklogRows, st.BacklogLost)
	}
	// What is published between the snapshot and the news of the loss.
	late := db.register(spec("u", plan(all())))
	db.start(late, false)
	db.write("u", op{id: 50})
	close(release)
	expect(t, db.poll(s), "insert 106: 0//90 1//91 2//92 3//93 4//94 5//95 6//96 7//97 8//98 9//99 50//0 last resync")
	expect(t, db.poll(late), "insert 106: 50//0 last resync")
	expect(t, db.poll(strict), "subscription closed: slow_consumer")
	if got := db.poll(other); len(got) != 5 {
		t.Errorf("one busy user cost another: %q", got)
	}
	if st := db.hub.Stats(); st.BacklogRows != 0 || st.BacklogBytes != 0 {
		t.Errorf("backlog %d rows, %d bytes at rest", st.BacklogRows, st.BacklogBytes)
	}
	db.write("u", op{id: 51})
	expect(t, db.poll(s), "insert 107: 51//0")
}

func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(*database, *Subscription)
		drains bool
		want   Reason
	}{
		{"kill", func(db *database, s *Subscription) {
			if err := db.hub.Kill(s.ID()); err != nil {
				t.Error(err)
			}
			expectCode(t, db.hub.Kill(s.ID()), dberr.SubscriptionNotFound)
		}, false, ReasonKilled},
		{"shutdown", func(db *database, _ *Subscription) { db.hub.Close() }, true, ReasonShutdown},
		{"drop", func(db *database, _ *Subscription) { db.hub.CloseTable(7) }, true, ReasonTableDropped},
		{"unsubscribe", func(_ *database, s *Subscription) { s.Close() }, false, ReasonUnsubscribed},
		{"connection", func(db *database, _ *Subscription) { db.hub.CloseConnection("") }, false, ReasonUnsubscribed},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newDatabase(t, Options{})
			s := db.register(spec("u", plan(all())))
			db.start(s, true)
			waiting := db.register(spec("u", plan(all())))
			db.write("u", op{id: 1})
			c.end(db, s)
			got := db.poll(s)
			want := []string{"subscription closed: " + string(c.want)}
			if c.drains {
				want = append([]string{"initial 0: last", "insert 1: 1//0"}, want...)
			}
			expect(t, got, want...)
			_, err := s.Next(context.Background())
			expectClosed(t, err, c.want)
			if c.drains {
				expectClosed(t, waiting.Start(Start{Initial: db.read(waiting.Plan(), nil, false, 0)}), c.want)
			}
			s.Close()
			if _, ok := db.hub.Lookup(s.ID()); ok {
				t.Error("still registered")
			}
		})
	}
}

// TestCloseWithoutReading checks that an ended subscription whose reader never
// comes back frees its sources.
func TestCloseWithoutReading(t *testing.T) {
	db := newDatabase(t, Options{})
	for _, end := range []func(*Subscription){
		func(s *Subscription) { s.Close() },
		func(s *Subscription) { _ = db.hub.Kill(s.ID()) },
		func(s *Subscription) { db.hub.CloseTable(7); s.Close() },
	} {
		s := db.register(spec("u", plan(all())))
		db.start(s, true)
		end(s)
		db.mu.Lock()
		if db.opened != 0 {
			t.Error("the source is still open")
		}
		db.mu.Unlock()
	}
}

func TestRegisterAfterShutdown(t *testing.T) {
	db := newDatabase(t, Options{})
	db.hub.Close()
	db.hub.Close()
	_, err := db.hub.Register(spec("u", plan(all())))
	expectCode(t, err, dberr.StorageUnavailable)
	db.write("u", op{id: 1})
}

func TestSourceErrors(t *testing.T) {
	db := newDatabase(t, limits(1))
	gone := dberr.New(dberr.ResyncRequired, "the changes are no longer kept")

	s := db.register(spec("u", plan(all())))
	src := db.read(s.Plan(), nil, false, 0)
	src.fail = gone
	if err := s.Start(Start{Initial: src}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Next(context.Background())
	expectClosed(t, err, ReasonError)
	expectCode(t, err, dberr.ResyncRequired)

	// A reader's own context that ends costs nothing.
	s = db.subscribe(spec("u", plan(all())))
	db.write("u", op{id: 1})
	db.write("u", op{id: 2})
	db.hub.drain()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	expect(t, db.poll(s), "insert 2: 1//0 2//0 last resync")

	// Without a source a slow reader is told to start again.
	hub := NewHub(limits(1))
	defer hub.Close()
	db.hub.Close()
	db.hub = hub
	s = db.subscribe(spec("u", plan(all())))
	db.write("u", op{id: 3})
	db.write("u", op{id: 4})
	hub.drain()
	_, err = s.Next(context.Background())
	expectCode(t, err, dberr.ResyncRequired)

	// A source with too few columns is a fault of ours, not a panic.
	s = db.register(spec("u", plan(all())))
	if err := s.Start(Start{Initial: db.source([]sqltype.Type{sqltype.TBigInt}, []sqltype.Row{{sqltype.NewBigInt(1)}})}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Next(context.Background())
	expectClosed(t, err, ReasonError)
}

// TestRebind alters the table under its subscriptions: room goes, so that n
// becomes the second column.
func TestRebind(t *testing.T) {
	db := newDatabase(t, limits(4))
	byN, byRoom, slow := db.subscribe(spec("u", plan(nBelow(10), colID, colN))), db.subscribe(spec("u", plan(roomIs("a")))), db.subscribe(spec("u", plan(nBelow(10), colID, colN)))
	if n := len(db.hub.Plans(7)); n != 3 || len(db.hub.Plans(8)) != 0 {
		t.Errorf("%d plans", n)
	}
	db.write("u", op{id: 1, room: "a", n: 1})
	v2 := messages(2)
	v2.Columns = []ddl.Column{v2.Columns[0], v2.Columns[2]}
	where := predicate{text: "n < 10", match: func(r sqltype.Row) (bool, error) { return r[1].Int() < 10, nil }}
	calls := 0
	db.hub.Rebind(7, 2, func(p *Plan) (*Plan, error) {
		calls++
		if p.FilterKey != "n < 10" {
			return nil, dberr.New(dberr.ColumnNotFound, "column room does not exist")
		}
		return planOn(v2, where), nil
	})
	_, err := db.hub.Register(spec("u", plan(all())))
	expectCode(t, err, dberr.Conflict) // compiled before the ALTER
	db.hub.drain()
	if calls != 3 {
		t.Errorf("%d plans were made again, want 3", calls)
	}
	fresh := db.subscribe(spec("u", planOn(v2, where)))
	if st := db.hub.Stats(); st.Filters != 1 {
		t.Errorf("%d filters, want the shared one", st.Filters)
	}
	v2write := func(id, n int64) {
		db.mu.Lock()
		db.seq++
		seq := db.seq
		db.rows["u"][id] = version{row: sqltype.Row{sqltype.NewBigInt(id), sqltype.NewBigInt(n)}, seq: seq}
		db.mu.Unlock()
		db.hub.Publish(insertV2(seq, id, n))
	}
	v2write(2, 2)
	v2write(3, 30)
	expect(t, db.poll(byN), "insert 1: 1/1", "schema 0:", "insert 2: 2/2")
	expect(t, db.poll(fresh), "insert 2: 2/2")
	db.hub.drain()
	if m, err := byRoom.Next(context.Background()); err == nil {
		t.Errorf("a subscription whose column was dropped goes on with %s", show(m))
	} else {
		expectClosed(t, err, ReasonError)
		expectCode(t, err, dberr.ColumnNotFound)
	}
	// One that was too slow still hears of the columns, first.
	for i := range 8 {
		v2write(int64(10+i), 1)
	}
	db.hub.drain()
	m, ok, err := slow.Poll(context.Background())
	if !ok || err != nil || m.Kind != Schema || len(m.Columns) != 4 {
		t.Errorf("got %v, %v, %v", m, ok, err)
	}
	slow.Close()
}

func TestMux(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase(t, Options{})
		mux := NewMux()
		var subs []*Subscription
		for _, where := range []predicate{all(), roomIs("a"), roomIs("b")} {
			sp := spec("u", plan(where))
			sp.Mux, sp.Tag = mux, where.text
			subs = append(subs, db.register(sp))
		}
		got := make(chan string, 100)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				s, m, err := mux.Next(ctx)
				switch {
				case s == nil:
					if !errors.Is(err, context.Canceled) {
						t.Errorf("got %v", err)
					}
					return
				case err != nil:
					got <- s.Tag().(string) + " " + err.Error()
				default:
					got <- s.Tag().(string) + " " + show(m)
				}
			}
		}()
		all := func() map[string]int {
			synctest.Wait()
			out := make(map[string]int)
			for len(got) > 0 {
				out[<-got]++
			}
			return out
		}
		check := func(got map[string]int, want ...string) {
			t.Helper()
			if len(got) != len(want) {
				t.Errorf("got %v, want %q", got, want)
			}
			for _, w := range want {
				if got[w] != 1 {
					t.Errorf("%q came %d times", w, got[w])
				}
			}
		}
		db.write("u", op{id: 1, room: "a"})
		check(all())
		for _, s := range subs {
			db.start(s, true)
		}
		check(all(), " initial 1: 1/a/0 last", "room = 'a' initial 1: 1/a/0 last", "room = 'b' initial 1: last")
		time.Sleep(time.Minute)
		db.write("u", op{id: 2, room: "b"})
		check(all(), " insert 2: 2/b/0", "room = 'b' insert 2: 2/b/0")
		subs[0].Close() // its reader knows
		if err := db.hub.Kill(subs[1].ID()); err != nil {
			t.Error(err)
		}
		check(all(), "room = 'a' subscription closed: killed")
		db.write("u", op{id: 3, room: "b"}, op{id: 4, room: "b"})
		check(all(), "room = 'b' insert 4: 3/b/0 4/b/0")
		cancel()
		<-done
		db.hub.Close()
	})
}

// TestMuxTakesTurns checks that a subscription with much to say does not keep
// others waiting.
func TestMuxTakesTurns(t *testing.T) {
	db := newDatabase(t, Options{})
	mux := NewMux()
	var subs []*Subscription
	for range 3 {
		sp := spec("u", plan(all()))
		sp.Mux = mux
		subs = append(subs, db.subscribe(sp))
	}
	for i := range 10 {
		db.write("u", op{id: int64(i)})
	}
	db.hub.drain()
	for i := range 10 {
		seen := make(map[*Subscription]bool)
		for range subs {
			s, m, err := mux.Poll(context.Background())
			if s == nil || err != nil || int(m.Seq) != i+1 {
				t.Fatalf("round %d: %v, %v, %v", i, s, m, err)
			}
			seen[s] = true
		}
		if len(seen) != len(subs) {
			t.Fatalf("round %d: only %d subscriptions had their turn", i, len(seen))
		}
	}
	if s, _, err := mux.Poll(context.Background()); s != nil || err != nil {
		t.Errorf("more than there was: %v, %v", s, err)
	}
}

// TestMuxFunc has readers that are there only while there is something to read:
// never two at a time, and none too few.
func TestMuxFunc(t *testing.T) {
	h := NewHub(Options{})
	defer h.Close()
	var reading sync.WaitGroup
	var readers, starts, rows atomic.Int64
	var m *Mux
	m = NewMuxFunc(func() {
		starts.Add(1)
		reading.Go(func() {
			for {
				s, msg, err := m.Poll(context.Background())
				if s == nil {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if readers.Add(1) > 1 {
					t.Error("two read at a time")
				}
				if err == nil {
					rows.Add(int64(len(msg.Rows)))
				}
				readers.Add(-1)
			}
		})
	})
	var subs []*Subscription
	for range 10 {
		sp := spec("u", plan(all()))
		sp.Mux = m
		s, err := h.Register(sp)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(Start{}); err != nil {
			t.Fatal(err)
		}
		subs = append(subs, s)
	}
	for seq := 1; seq <= 500; seq++ {
		h.Publish([]*change.Event{insert(seq, "u")})
		if seq%50 == 0 { // sometimes it falls asleep in between
			h.drain()
			reading.Wait()
			if got := rows.Load(); got != int64(seq*len(subs)) {
				t.Fatalf("%d rows were read of %d", got, seq*len(subs))
			}
		}
	}
	if n := starts.Load(); n < 10 {
		t.Errorf("readers were started %d times", n)
	}
	for _, s := range subs {
		s.Close()
	}
	reading.Wait()
}
