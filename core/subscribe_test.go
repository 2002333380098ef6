package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/parser"
)

// hearing is how long a test waits for a message that must come.
const hearing = 20 * time.Second

func (d *db) subscribe(as string, req SubscribeRequest) *live.Subscription {
	d.Helper()
	sub, err := d.session(who(as)).Subscribe(context.Background(), req)
	if err != nil {
		d.Fatalf("%s: %v", req.SQL, err)
	}
	d.Cleanup(sub.Close)
	return sub
}

func ptr[T any](v T) *T { return &v }

// heard is a message's rows as text: the kind, then the first column of each.
type heard struct {
	kind    string
	ids     []int64
	catchUp bool
	last    bool
}

// next waits for the next message with rows, or for the last initial one.
func next(t testing.TB, sub *live.Subscription) heard {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hearing)
	defer cancel()
	m, err := sub.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	h := heard{kind: m.Kind.String(), catchUp: m.CatchUp, last: m.Last}
	for _, r := range m.Rows {
		h.ids = append(h.ids, r[0].Int())
	}
	return h
}

func (d *db) notes() {
	d.Helper()
	d.must(admin, `CREATE NAMESPACE app; CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, room TEXT);
		CREATE SHARED TABLE app.words (w TEXT); CREATE VIEW app.peek AS SELECT * FROM app.words;
		CREATE STREAM TABLE app.events (id BIGINT) TTL 1h MAX_BUFFER 100`)
}

func TestSubscriptionHearsItsRowsOnly(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.notes()
		sub := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id, room FROM app.notes WHERE room = 'a'"})
		d.must("bob", "INSERT INTO app.notes VALUES (1, 'a')")
		d.must("ann", "INSERT INTO app.notes VALUES (2, 'b'), (3, 'a')")
		d.must("ann", "UPDATE app.notes SET room = 'a' WHERE id = 2")
		d.must("ann", "UPDATE app.notes SET room = 'c' WHERE id = 3")
		d.must("ann", "DELETE FROM app.notes WHERE id = 2")
		for _, want := range []heard{{kind: "insert", ids: []int64{3}}, {kind: "insert", ids: []int64{2}}, {kind: "delete", ids: []int64{3}}, {kind: "delete", ids: []int64{2}}} {
			if got := next(t, sub); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("heard %+v, want %+v", got, want)
			}
		}
		if got := d.rows(admin, "SELECT user_id, namespace, table_name, changes, node FROM system.live_queries"); got != "ann|app|notes|4|test" {
			t.Errorf("system.live_queries: %s", got)
		}
		if got := d.rows("bob", "SELECT count(*) FROM system.live_queries"); got != "0" {
			t.Errorf("bob sees %s live queries", got)
		}
	})
}

func TestEqualitiesOfAFilter(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.notes()
	d.must(admin, "CREATE VIEW app.v AS SELECT id AS room, room AS id FROM app.notes")
	tab := d.mustTable("app", "notes")
	for text, want := range map[string]string{
		"SELECT * FROM app.notes WHERE room = 'a'":                           "[{1 a}]",
		"SELECT * FROM app.notes n WHERE 'a' = n.room AND id = 7 AND id > 3": "[{1 a} {0 7}]",
		"SELECT * FROM app.notes WHERE room = $1":                            "[{1 p}]",
		"SELECT * FROM app.notes WHERE room = 'a' OR id = 7":                 "[]",
		"SELECT * FROM app.notes WHERE NOT (room = 'a')":                     "[]",
		"SELECT * FROM app.notes WHERE room = lower('A')":                    "[]",
		"SELECT * FROM app.notes WHERE id = 1.5":                             "[]",
		"SELECT * FROM app.notes AS n(room, id) WHERE room = 7":              "[]",
		"SELECT * FROM app.v WHERE room = 7":                                 "[]",
		"SELECT * FROM app.notes":                                            "[]",
	} {
		x, err := parser.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got := "["
		for i, e := range equalities(tab, x.(*ast.Query), "", []sqltype.Value{sqltype.NewText("p")}) {
			if i > 0 {
				got += " "
			}
			got += fmt.Sprintf("{%d %s}", e.Ordinal, e.Value.Text())
		}
		if got += "]"; got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	// A parameter finds its rows through them.
	sub := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.notes WHERE room = $1 AND id > 1", Params: []sqltype.Value{sqltype.NewText("a")}})
	d.must("ann", "INSERT INTO app.notes VALUES (1, 'a'), (2, 'b'), (3, 'a')")
	if got := next(t, sub); !slices.Equal(got.ids, []int64{3}) {
		t.Errorf("heard %+v", got)
	}
}

func TestSubscriptionIsRefused(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.notes()
	const shared = "Live query subscriptions not supported on shared tables"
	for _, c := range []struct {
		sql  string
		code dberr.Code
		text string
	}{
		{"SELECT * FROM app.words", dberr.Unsupported, shared},
		{"SELECT x.w FROM app.words AS x", dberr.Unsupported, shared},
		{"SELECT * FROM (SELECT * FROM app.words) AS x", dberr.Unsupported, shared},
		{"SELECT * FROM app.peek", dberr.Unsupported, shared},
		{"SELECT * FROM app.notes WHERE room IN (SELECT w FROM app.words)", dberr.Unsupported, shared},
		{"SUBSCRIBE TO app.words", dberr.Unsupported, shared},
		{"SELECT * FROM system.users", dberr.Unsupported, "system"},
		{"SELECT count(*) FROM app.notes", dberr.Unsupported, ""},
		{"SELECT * FROM app.notes a JOIN app.notes b ON a.id = b.id", dberr.Unsupported, ""},
		{"SELECT * FROM app.nope", dberr.TableNotFound, "app.nope"},
		{"INSERT INTO app.notes VALUES (1, 'x')", dberr.InvalidSQL, "SELECT or SUBSCRIBE"},
		{"SUBSCRIBE TO app.notes OPTIONS (last_rows = -2)", dberr.InvalidSQL, "last_rows"},
		{"SUBSCRIBE TO app.notes OPTIONS (last_rows = 99999999)", dberr.InvalidSQL, "at most"},
		{"SUBSCRIBE TO app.notes OPTIONS (colour = 'red')", dberr.InvalidSQL, "colour"},
		{"SUBSCRIBE TO app.notes OPTIONS (on_slow = 'cry')", dberr.InvalidSQL, "on_slow"},
		{"SUBSCRIBE TO app.notes OPTIONS (from_seq = 99999999)", dberr.ResyncRequired, "ahead"},
		{"SELEC", dberr.InvalidSQL, ""},
	} {
		sub, err := d.session(who("ann")).Subscribe(t.Context(), SubscribeRequest{SQL: c.sql})
		if err == nil {
			sub.Close()
		}
		if dberr.CodeOf(err) != c.code || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: %v", c.sql, err)
		}
	}
	if n := len(d.hub.List("")); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
	s := d.session(Principal{User: "system", Role: "admin"})
	if _, err := s.Subscribe(t.Context(), SubscribeRequest{SQL: "SELECT * FROM app.user.notes"}); dberr.CodeOf(err) != dberr.PermissionDenied {
		t.Errorf("the .user. qualifier without a user: %v", err)
	}
	a := d.must("ann", "SUBSCRIBE TO app.notes WHERE room = 'a' OPTIONS (last_rows = 5)")
	if a[0].cols[0] != "status" || !strings.HasPrefix(a[0].rows[0], "subscription_required|ws://127.0.0.1:8080/v1/ws|{") || !strings.Contains(a[0].rows[0], `"last_rows":5`) {
		t.Errorf("SUBSCRIBE TO over HTTP: %+v", a[0])
	}
	d.fails("ann", "SUBSCRIBE TO app.words", dberr.Unsupported, shared)
}

func TestInitialRowsAreTheNewest(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.notes()
	for _, id := range []int{5, 3, 9, 1, 7} {
		d.must("ann", fmt.Sprintf("INSERT INTO app.notes VALUES (%d, 'a')", id))
	}
	d.must("ann", "UPDATE app.notes SET room = 'a' WHERE id = 5; DELETE FROM app.notes WHERE id = 1; INSERT INTO app.notes VALUES (100, 'other')")
	for _, c := range []struct {
		n    int64
		want []int64
	}{{2, []int64{7, 5}}, {-1, []int64{3, 9, 7, 5}}, {50, []int64{3, 9, 7, 5}}} {
		sub := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.notes WHERE room = 'a'", LastRows: ptr(c.n)})
		if got := next(t, sub); got.kind != "initial" || !got.last || !slices.Equal(got.ids, c.want) {
			t.Errorf("last_rows %d: %+v", c.n, got)
		}
		sub.Close()
	}
	sub := d.subscribe("eve", SubscribeRequest{SQL: "SUBSCRIBE TO app.notes OPTIONS (last_rows = 5)"})
	if got := next(t, sub); got.kind != "initial" || len(got.ids) != 0 || !got.last {
		t.Errorf("without rows: %+v", got)
	}
}

func TestResume(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.notes()
		d.must("ann", "INSERT INTO app.notes VALUES (1, 'a'), (2, 'a'), (3, 'a')")
		st := d.store.Acquire()
		seq := uint64(st.Seq)
		st.Release()
		d.must("ann", "UPDATE app.notes SET room = 'a' WHERE id = 2; UPDATE app.notes SET room = 'a' WHERE id = 2; DELETE FROM app.notes WHERE id = 3; INSERT INTO app.notes VALUES (4, 'a'), (5, 'b')")
		sub := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.notes WHERE room = 'a'", FromSeq: &seq})
		d.must("ann", "INSERT INTO app.notes VALUES (6, 'a')")
		got := map[int64]string{}
		var order []int64
		for got[6] == "" {
			h := next(t, sub)
			for _, id := range h.ids {
				if got[id] != "" {
					t.Fatalf("row %d came twice", id)
				}
				got[id] = h.kind
				order = append(order, id)
				if h.catchUp != (id != 6) {
					t.Errorf("row %d is marked %v", id, h.catchUp)
				}
			}
		}
		if got[2] != "insert" || got[3] != "delete" || got[4] != "insert" || got[1] != "" {
			t.Errorf("caught up with %v", got)
		}
		if order[0] != 2 {
			t.Errorf("in the order %v", order)
		}
	})
}

// TestInitialRowsOfAStreamAreOfOneMoment deletes and pushes out rows between
// the start of a subscription and its first message: they are in the initial
// rows, and the delete follows.
func TestInitialRowsOfAStreamAreOfOneMoment(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.notes()
	d.must("ann", "INSERT INTO app.events SELECT g FROM generate_series(1, 100) AS t(g)")
	sub := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.events WHERE id <= 3 OR id > 100", LastRows: ptr(int64(-1))})
	d.must("ann", "DELETE FROM app.events WHERE id = 2")
	d.must("ann", "INSERT INTO app.events VALUES (101), (102), (103)") // pushes 1 and 3 out
	if got := d.rows("ann", "SELECT min(id), count(*) FROM app.events"); got != "4|100" {
		t.Fatalf("SELECT gives %s", got)
	}
	for _, want := range []heard{
		{kind: "initial", ids: []int64{1, 2, 3}, last: true},
		{kind: "delete", ids: []int64{2}},
		{kind: "insert", ids: []int64{101, 102, 103}},
	} {
		if got := next(t, sub); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("heard %+v, want %+v", got, want)
		}
	}
}

func TestResumeOfAStreamAfterARestart(t *testing.T) {
	cfg := testConfig(config.BackendBadger, t.TempDir())
	d := openDB(t, cfg)
	d.notes()
	d.must("ann", "INSERT INTO app.events VALUES (1)")
	sub := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.events", LastRows: ptr(int64(-1))})
	if got := next(t, sub); !slices.Equal(got.ids, []int64{1}) {
		t.Fatalf("initial rows: %+v", got)
	}
	seq := uint64(sub.Seq())
	d.must("ann", "INSERT INTO app.events VALUES (2)")
	again := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.events", FromSeq: &seq})
	if got := next(t, again); !slices.Equal(got.ids, []int64{2}) || !got.catchUp {
		t.Fatalf("resumed with %+v", got)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var closed *live.Closed
	if _, err := sub.Next(t.Context()); !errors.As(err, &closed) {
		// What was queued comes before the end.
		if _, err = sub.Next(t.Context()); !errors.As(err, &closed) || closed.Reason != live.ReasonShutdown {
			t.Errorf("after the shutdown: %v", err)
		}
	}
	d = openDB(t, cfg)
	if _, err := d.session(who("ann")).Subscribe(t.Context(), SubscribeRequest{SQL: "SELECT id FROM app.events", FromSeq: &seq}); dberr.CodeOf(err) != dberr.ResyncRequired {
		t.Errorf("after a restart: %v", err)
	}
}

// TestSubscriptionsStartUnderLoad starts subscriptions while rows are written:
// their initial rows and their changes together have every row once.
func TestSubscriptionsStartUnderLoad(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.notes()
		const writers, each, subs = 4, 60, 12
		// Subscription i begins when 15 i rows are written.
		var begin [subs]chan struct{}
		for i := range begin {
			begin[i] = make(chan struct{})
		}
		close(begin[0])
		var written atomic.Int32
		var wg sync.WaitGroup
		wg.Go(func() {
			parallel(writers, func(w int) {
				for i := range each {
					if _, err := d.exec("ann", fmt.Sprintf("INSERT INTO app.notes VALUES (%d, 'a')", w*1000+i)); err != nil {
						t.Error(err)
					}
					if n := written.Add(1); n%15 == 0 && n/15 < subs {
						close(begin[n/15])
					}
				}
			})
		})
		parallel(subs, func(i int) {
			<-begin[i]
			s, err := d.Session(who("ann"), "")
			if err != nil {
				t.Error(err)
				return
			}
			sub, err := s.Subscribe(context.Background(), SubscribeRequest{SQL: "SELECT id FROM app.notes WHERE room = 'a'", LastRows: ptr(int64(-1))})
			if err != nil {
				t.Error(err)
				return
			}
			defer sub.Close()
			ctx, cancel := context.WithTimeout(context.Background(), hearing)
			defer cancel()
			seen := map[int64]bool{}
			for len(seen) < writers*each {
				m, err := sub.Next(ctx)
				if err != nil {
					t.Errorf("subscription %d after %d rows: %v", i, len(seen), err)
					return
				}
				for _, r := range m.Rows {
					if seen[r[0].Int()] {
						t.Errorf("subscription %d got row %d twice", i, r[0].Int())
					}
					seen[r[0].Int()] = true
				}
			}
		})
		wg.Wait()
	})
}

func TestDropIsRefusedWhileSubscribed(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.notes()
	a := d.subscribe("ann", SubscribeRequest{SQL: "SELECT * FROM app.notes"})
	b := d.subscribe("bob", SubscribeRequest{SQL: "SELECT * FROM app.notes"})
	d.script([]line{
		{sql: "DROP TABLE app.notes", want: "!ACTIVE_SUBSCRIPTIONS Cannot drop table 'app.notes': 2 active subscription(s) exist"},
		{sql: "DROP NAMESPACE app CASCADE", want: "!ACTIVE_SUBSCRIPTIONS Cannot drop table 'app.notes': 2 active subscription(s) exist"},
		{as: "bob", sql: fmt.Sprintf("KILL LIVE QUERY '%s'", a.ID()), want: "!SUBSCRIPTION_NOT_FOUND not found"},
		{as: "ann", sql: fmt.Sprintf("KILL LIVE QUERY '%s'", a.ID()), want: fmt.Sprintf("-- Live query %s terminated", a.ID())},
		{sql: "DROP TABLE app.notes", want: "!ACTIVE_SUBSCRIPTIONS Cannot drop table 'app.notes': 1 active subscription(s) exist"},
		{sql: fmt.Sprintf("KILL LIVE QUERY '%s'", b.ID()), want: fmt.Sprintf("-- Live query %s terminated", b.ID())},
		{sql: fmt.Sprintf("KILL LIVE QUERY '%s'", b.ID()), want: "!SUBSCRIPTION_NOT_FOUND "},
		{sql: "DROP TABLE app.notes", want: "-- Table app.notes dropped"},
	})
	var closed *live.Closed
	if _, err := a.Next(t.Context()); !errors.As(err, &closed) || closed.Reason != live.ReasonKilled {
		t.Errorf("the killed subscription: %v", err)
	}
}

// TestDropAgainstSubscribe lets both happen at once: either the subscription
// keeps the table, or the table is gone and the subscription is refused.
func TestDropAgainstSubscribe(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, "CREATE NAMESPACE app")
	for i := range 40 {
		d.must(admin, "CREATE USER TABLE app.t (id INT)")
		s := d.session(who("ann"))
		var sub *live.Subscription
		var subErr, dropErr error
		parallel(2, func(who int) {
			if who == 0 {
				sub, subErr = s.Subscribe(context.Background(), SubscribeRequest{SQL: "SELECT * FROM app.t"})
			} else {
				_, dropErr = d.exec(admin, "DROP TABLE app.t")
			}
		})
		switch {
		case subErr == nil && dberr.CodeOf(dropErr) == dberr.ActiveSubscriptions:
			sub.Close()
			d.must(admin, "DROP TABLE app.t")
		case dberr.CodeOf(subErr) == dberr.TableNotFound && dropErr == nil:
		default:
			t.Fatalf("round %d: subscribe: %v, drop: %v", i, subErr, dropErr)
		}
	}
}

func TestSubscriptionLimits(t *testing.T) {
	cfg := testConfig(config.BackendMemory, "")
	cfg.Live.MaxPerUser = 2
	d := openDB(t, cfg)
	d.notes()
	d.subscribe("ann", SubscribeRequest{SQL: "SELECT * FROM app.notes"})
	d.subscribe("ann", SubscribeRequest{SQL: "SELECT * FROM app.notes"})
	if _, err := d.session(who("ann")).Subscribe(t.Context(), SubscribeRequest{SQL: "SELECT * FROM app.notes"}); dberr.CodeOf(err) != dberr.ResourceExhausted {
		t.Errorf("a third one: %v", err)
	}
	d.subscribe("bob", SubscribeRequest{SQL: "SELECT * FROM app.notes"})
}

// A filter over _updated needs to know when the old version was committed,
// and so does whoever shows a change.
func TestSubscriptionKnowsWhenTheOldRowWasWritten(t *testing.T) {
	forBackends(t, func(t *testing.T, d *db) {
		d.notes()
		sub := d.subscribe("ann", SubscribeRequest{SQL: "SELECT id FROM app.notes WHERE _updated > '2001-01-01'"})
		d.must("ann", "INSERT INTO app.notes VALUES (1, 'a')")
		d.must("ann", "UPDATE app.notes SET room = 'b'")
		d.must("ann", "INSERT INTO app.notes VALUES (1, 'c') ON CONFLICT (id) DO UPDATE SET room = excluded.room")
		d.must("ann", "DELETE FROM app.notes")
		ctx, cancel := context.WithTimeout(context.Background(), hearing)
		defer cancel()
		var before sqltype.Value
		for _, want := range []string{"insert", "update", "update", "delete"} {
			m, err := sub.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if m.Kind.String() != want || len(m.Rows) != 1 {
				t.Fatalf("heard %s of %d rows, want %s", m.Kind, len(m.Rows), want)
			}
			// The rows hold the column, then _updated and _deleted.
			if want != "insert" && !sqltype.Equal(m.Old[0][1], before) {
				t.Errorf("%s: the old row was written at %q, not at %q", want, m.Old[0][1].Text(), before.Text())
			}
			before = m.Rows[0][1]
		}
	})
}

// TestEndedEarly checks what a client is told of a live query that was ended
// while its first rows were being looked up: never INTERNAL.
func TestEndedEarly(t *testing.T) {
	own := dberr.New(dberr.DivisionByZero, "division by zero")
	for want, err := range map[dberr.Code]error{
		dberr.StorageUnavailable: &live.Closed{Reason: live.ReasonShutdown},
		dberr.DivisionByZero:     &live.Closed{Reason: live.ReasonError, Err: own},
		dberr.ResourceExhausted:  &live.Closed{Reason: live.ReasonSlowConsumer},
		dberr.Cancelled:          &live.Closed{Reason: live.ReasonKilled},
		dberr.Timeout:            dberr.New(dberr.Timeout, "something else"),
	} {
		if got := dberr.CodeOf(endedEarly(err)); got != want {
			t.Errorf("%v is told as %s, want %s", err, got, want)
		}
	}
}
