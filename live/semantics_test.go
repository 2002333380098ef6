package live

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/live/filter"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// TestChangeKinds checks what a change means to a result.
func TestChangeKinds(t *testing.T) {
	for _, c := range []struct {
		name  string
		where predicate
		cols  []int
		ops   []op
		want  []string
	}{
		{"no filter", all(), nil,
			[]op{{id: 1, room: "a", n: 1}, {id: 1, room: "b", n: 2}, {id: 1, del: true}},
			[]string{"insert 1: 1/a/1", "update 2: 1/b/2[1/a/1]", "delete 3: 1/b/2[1/b/2]"}},
		{"enters", roomIs("b"), nil,
			[]op{{id: 1, room: "a", n: 1}, {id: 1, room: "b", n: 2}},
			[]string{"insert 2: 1/b/2"}},
		{"leaves, and is gone for good", roomIs("a"), nil,
			[]op{{id: 1, room: "a", n: 1}, {id: 1, room: "b", n: 2}, {id: 1, del: true}},
			[]string{"insert 1: 1/a/1", "delete 2: 1/b/2[1/a/1]"}},
		{"stays", nBelow(10), nil,
			[]op{{id: 1, room: "a", n: 1}, {id: 1, room: "b", n: 2}},
			[]string{"insert 1: 1/a/1", "update 2: 1/b/2[1/a/1]"}},
		{"never there", and(roomIs("a"), nBelow(0)), nil,
			[]op{{id: 1, room: "a", n: 1}, {id: 1, room: "a", n: 2}, {id: 1, del: true}}, nil},
		{"deleted and inserted again", all(), nil,
			[]op{{id: 1, room: "a"}, {id: 1, del: true}, {id: 1, room: "b"}},
			[]string{"insert 1: 1/a/0", "delete 2: 1/a/0[1/a/0]", "insert 3: 1/b/0"}},
		{"projection of some columns and _seq", all(), []int{colN, colSeq},
			[]op{{id: 1, room: "a", n: 5}, {id: 1, room: "a", n: 6}},
			[]string{"insert 1: 5/1", "update 2: 6/2[5/1]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newDatabase(t, Options{})
			s := db.subscribe(spec("u", plan(c.where, c.cols...)))
			for _, o := range c.ops {
				db.write("u", o)
			}
			expect(t, db.poll(s), c.want...)
		})
	}
}

// TestFloatEquality checks that an equality which SQL decides with rounding
// does not hide a change.
func TestFloatEquality(t *testing.T) {
	db := newDatabase(t, Options{})
	table := messages(1)
	table.Columns[colN].Type = sqltype.TFloat
	where := predicate{
		text:  "n = 0.1",
		equal: []filter.Equality{{Ordinal: colN, Value: sqltype.NewDouble(0.1)}, {Ordinal: 17, Value: sqltype.NewBigInt(1)}},
		match: func(sqltype.Row) (bool, error) { return true, nil },
	}
	s := db.subscribe(spec("u", planOn(table, where, colID)))
	db.write("u", op{id: 1})
	expect(t, db.poll(s), "insert 1: 1")
}

func TestOwnRowsOnly(t *testing.T) {
	db := newDatabase(t, Options{})
	a, b := db.subscribe(spec("a", plan(all()))), db.subscribe(spec("b", plan(all())))
	db.write("a", op{id: 1, room: "x"})
	db.write("b", op{id: 1, room: "y"})
	db.write("c", op{id: 1, room: "z"})
	expect(t, db.poll(a), "insert 1: 1/x/0")
	expect(t, db.poll(b), "insert 2: 1/y/0")
}

// TestSystemColumns checks the columns that every delivered row has.
func TestSystemColumns(t *testing.T) {
	db := newDatabase(t, Options{})
	s := db.subscribe(spec("u", plan(all(), colID)))
	named := db.subscribe(spec("u", plan(all(), colDeleted, colUpdated)))
	db.write("u", op{id: 1, room: "a"})
	db.write("u", op{id: 1, room: "b"})
	db.write("u", op{id: 1, del: true})
	db.hub.drain()
	at := func(us int64) int64 { return 1_700_000_000_000_000 + us }
	for i, want := range []struct {
		kind         Kind
		updated, old int64
		deleted      bool
	}{{Insert, at(0), 0, false}, {Update, at(1), at(0), false}, {Delete, at(2), at(1), true}} {
		m, ok, err := s.Poll(context.Background())
		if err != nil || !ok || m.Kind != want.kind {
			t.Fatalf("message %d: %v, %v, %v", i, m, ok, err)
		}
		if len(m.Columns) != 3 || m.Columns[1].Name != "_updated" || m.Columns[2].Name != "_deleted" {
			t.Fatalf("columns %v", m.Columns)
		}
		if r := m.Rows[0]; r[1].Int() != want.updated || r[2].Bool() != want.deleted {
			t.Errorf("message %d: row %v", i, r)
		}
		if m.Time.UnixMicro() != want.updated {
			t.Errorf("message %d: time %v", i, m.Time)
		}
		if m.Old != nil && (m.Old[0][1].Int() != want.old || m.Old[0][2].Bool()) {
			t.Errorf("message %d: old row %v", i, m.Old[0])
		}
		if (m.Old != nil) != (want.kind != Insert) {
			t.Errorf("message %d: old rows %v", i, m.Old)
		}
		m, ok, err = named.Poll(context.Background())
		if err != nil || !ok || len(m.Columns) != 2 || m.Rows[0][0].Bool() != want.deleted || m.Rows[0][1].Int() != want.updated {
			t.Errorf("message %d of the query that names them: %v, %v, %v", i, m, ok, err)
		}
	}
}

// TestShownDeleted checks queries that show deleted rows: they hear what SELECT
// would then say of each.
func TestShownDeleted(t *testing.T) {
	db := newDatabase(t, Options{})
	every, trash := db.subscribe(spec("u", plan(shown(all())))), db.subscribe(spec("u", plan(shown(gone(true)))))
	kept, a := db.subscribe(spec("u", plan(shown(gone(false))))), db.subscribe(spec("u", plan(shown(roomIs("a")))))
	usual := db.subscribe(spec("u", plan(all()))) // it has the same filter as the first
	heard := func(what string, s *Subscription, want ...string) {
		t.Helper()
		if got := db.poll(s); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	expectAll := func(wantEvery, wantTrash, wantKept, wantA, wantUsual string) {
		t.Helper()
		for i, want := range []string{wantEvery, wantTrash, wantKept, wantA, wantUsual} {
			var lines []string
			if want != "" {
				lines = strings.Split(want, "; ")
			}
			heard([]string{"every", "trash", "kept", "a", "usual"}[i], []*Subscription{every, trash, kept, a, usual}[i], lines...)
		}
	}
	db.write("u", op{id: 1, room: "a"})
	expectAll("insert 1: 1/a/0", "", "insert 1: 1/a/0", "insert 1: 1/a/0", "insert 1: 1/a/0")
	db.write("u", op{id: 1, del: true})
	expectAll("update 2: 1/a/0[1/a/0]", "insert 2: 1/a/0", "delete 2: 1/a/0[1/a/0]", "update 2: 1/a/0[1/a/0]", "delete 2: 1/a/0[1/a/0]")
	db.write("u", op{id: 1, room: "b"})
	expectAll("update 3: 1/b/0[1/a/0]", "delete 3: 1/b/0[1/a/0]", "insert 3: 1/b/0", "delete 3: 1/b/0[1/a/0]", "insert 3: 1/b/0")
	// At the old key of a row that gets another a deleted one is left.
	db.write("u", op{id: 1, to: 2, room: "c"})
	expectAll("insert 4: 1/b/0 2/c/0 last resync", "insert 4: 1/b/0 resync; delete 4: 2/c/0 last resync", "update 4: 2/c/0[1/b/0]", "", "update 4: 2/c/0[1/b/0]")
	db.write("u", op{id: 2, to: 1, room: "a"})
	expectAll("insert 5: 2/c/0 1/a/0 last resync", "insert 5: 2/c/0 resync; delete 5: 1/a/0 last resync",
		"delete 5: 2/c/0 resync; insert 5: 1/a/0 last resync", "delete 5: 2/c/0 resync; insert 5: 1/a/0 last resync", "update 5: 1/a/0[2/c/0]")
}

// TestShownDeletedIsNobodysFault has a subscription that closes when its reader
// is too slow read again what an UPDATE of a key has done.
func TestShownDeletedIsNobodysFault(t *testing.T) {
	db := newDatabase(t, Options{})
	sp := spec("u", plan(shown(all())))
	sp.OnSlow = CloseSlow
	s := db.subscribe(sp)
	db.write("u", op{id: 1, room: "a"})
	db.write("u", op{id: 1, to: 2, room: "a"}, op{id: 3, room: "b"})
	db.write("u", op{id: 4, room: "b"})
	got := db.poll(s)
	slices.Sort(got)
	expect(t, got, "insert 4: 1/a/0 2/a/0 3/b/0 4/b/0 last resync")
}

// TestOneMessageACommit checks which rows share a message.
func TestOneMessageACommit(t *testing.T) {
	db := newDatabase(t, Options{})
	s := db.subscribe(spec("u", plan(all())))
	db.write("u", op{id: 1, room: "a"}, op{id: 2, room: "a"}, op{id: 1, room: "b"}, op{id: 2, del: true}, op{id: 3, room: "c"}, op{id: 4, room: "c"})
	db.write("u", op{id: 5, room: "d"})
	expect(t, db.poll(s),
		"insert 2: 1/a/0 2/a/0", "update 3: 1/b/0[1/a/0]", "delete 4: 2/a/0[2/a/0]", "insert 6: 3/c/0 4/c/0", "insert 7: 5/d/0")

	ops := make([]op, maxBatchRows+1)
	for i := range ops {
		ops[i] = op{id: int64(100 + i), room: "bulk"}
	}
	db.write("u", ops...)
	db.hub.drain()
	for _, want := range []int{maxBatchRows, 1} {
		m, ok, err := s.Poll(context.Background())
		if err != nil || !ok || len(m.Rows) != want {
			t.Fatalf("got %d rows, %v, %v, want %d", len(m.Rows), ok, err, want)
		}
	}
}

// TestManyFiltersLetOthersIn checks that a large commit does not keep the
// topic's lock for as long as all filters take for all of it.
func TestManyFiltersLetOthersIn(t *testing.T) {
	db := newDatabase(t, Options{Limits: config.Live{MaxPerUser: 1000, Queue: 2000}})
	const filters, rows = 200, 300
	var subs []*Subscription
	for n := range filters {
		subs = append(subs, db.subscribe(spec("u", plan(nBelow(int64(1000+n))))))
	}
	ops := make([]op, rows)
	for i := range ops {
		ops[i] = op{id: int64(i), room: "bulk"}
	}
	db.write("u", ops...)
	db.hub.drain()
	for _, s := range subs {
		for got := 0; got < rows; {
			m, ok, err := s.Poll(t.Context())
			if err != nil || !ok {
				t.Fatalf("after %d rows: %v, %v", got, ok, err)
			}
			if len(m.Rows) > maxAsked/filters+1 {
				t.Fatalf("%d rows were dispatched to %d filters under one lock", len(m.Rows), filters)
			}
			got += len(m.Rows)
		}
	}
}

// TestSharedBatch checks that what is equal is computed and encoded once.
func TestSharedBatch(t *testing.T) {
	db := newDatabase(t, Options{})
	where := roomIs("a")
	s1, s2 := db.subscribe(spec("u", plan(where))), db.subscribe(spec("u", plan(where)))
	s3 := db.subscribe(spec("u", plan(where, colID)))
	db.write("u", op{id: 1, room: "a"})
	db.hub.drain()
	get := func(s *Subscription) Message {
		m, ok, err := s.Poll(context.Background())
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return m
	}
	m1, m2, m3 := get(s1), get(s2), get(s3)
	if m1.Batch != m2.Batch || m1.Batch == m3.Batch {
		t.Error("the same filter and projection share a batch, another projection has its own")
	}
	if st := db.hub.Stats(); st.Evaluated != 1 || st.Messages != 2 || st.Deliveries != 3 || st.Filters != 1 {
		t.Errorf("stats %+v", st)
	}
	calls := 0
	encode := func(b *Batch) []byte { calls++; return []byte(b.Kind.String()) }
	for _, m := range []Message{m1, m2} {
		if string(m.Encoded(Int64Number, encode)) != "insert" {
			t.Error("wrong bytes")
		}
	}
	if m1.Encoded(Int64String, encode); calls != 2 {
		t.Errorf("encoded %d times, want once for each variant", calls)
	}
}

func TestNonMatchingEqualityCostsNothing(t *testing.T) {
	db := newDatabase(t, Options{})
	for _, room := range []string{"b", "c", "d"} {
		db.subscribe(spec("u", plan(roomIs(room))))
		db.subscribe(spec("u", plan(and(nBelow(5), roomIs(room)))))
	}
	db.write("u", op{id: 1, room: "a"})
	db.hub.drain()
	if st := db.hub.Stats(); st.Evaluated != 0 || st.Routed != 1 {
		t.Errorf("stats %+v", st)
	}
	db.write("nobody", op{id: 1, room: "a"})
	if st := db.hub.Stats(); st.Routed != 1 || st.Published != 2 {
		t.Errorf("a change of a user without subscriptions was routed: %+v", st)
	}
}

// TestFilterError checks that a query that cannot be evaluated ends, with the
// error that SELECT would give, and that others go on.
func TestFilterError(t *testing.T) {
	db := newDatabase(t, Options{})
	boom := dberr.New(dberr.DivisionByZero, "division by zero")
	bad := predicate{text: "1 / n > 0", match: func(r sqltype.Row) (bool, error) {
		if r[colN].Int() == 0 {
			return false, boom
		}
		return true, nil
	}}
	s, s2, ok := db.subscribe(spec("u", plan(bad))), db.subscribe(spec("u", plan(bad, colID))), db.subscribe(spec("u", plan(all())))
	db.write("u", op{id: 1, room: "a", n: 1})
	db.write("u", op{id: 2, room: "a", n: 0}, op{id: 3, room: "a", n: 0})
	expect(t, db.poll(ok), "insert 1: 1/a/1", "insert 3: 2/a/0 3/a/0")
	for _, s := range []*Subscription{s, s2} {
		_, err := s.Next(context.Background())
		expectClosed(t, err, ReasonError)
		expectCode(t, err, dberr.DivisionByZero)
	}
	if n := db.hub.CountByTable(7); n != 1 {
		t.Errorf("%d subscriptions left, want 1", n)
	}
}

// TestFilterErrorBeforeStart checks that a change from before the snapshot
// does not end a subscription.
func TestFilterErrorBeforeStart(t *testing.T) {
	db := newDatabase(t, Options{})
	bad := predicate{text: "1 / n > 0", match: func(r sqltype.Row) (bool, error) {
		if r[colN].Int() == 0 {
			return false, dberr.New(dberr.DivisionByZero, "division by zero")
		}
		return true, nil
	}}
	s := db.register(spec("u", plan(bad)))
	db.write("u", op{id: 1, n: 0})
	db.write("u", op{id: 1, n: 1})
	db.hub.drain()
	db.start(s, true)
	db.write("u", op{id: 2, n: 1})
	expect(t, db.poll(s), "initial 2: 1//1 last", "insert 3: 2//1")

	s = db.register(spec("u", plan(bad)))
	_, seq := db.snapshot("u")
	db.write("u", op{id: 3, n: 0})
	db.write("u", op{id: 3, n: 2})
	db.hub.drain()
	if err := s.Start(Start{Seq: seq}); err != nil {
		t.Fatal(err)
	}
	expect(t, db.poll(s), "insert 5: 3//2 last resync")
}

// TestLargeRows checks that messages are bounded in bytes, too.
func TestLargeRows(t *testing.T) {
	db := newDatabase(t, Options{})
	s := db.subscribe(spec("u", plan(all())))
	var ops []op
	for i := range 10 {
		ops = append(ops, op{id: int64(i), room: strings.Repeat("x", 200<<10)})
	}
	db.write("u", ops...)
	if got := db.poll(s); len(got) != 5 {
		t.Errorf("%d messages, want 5 with two rows each", len(got))
	}
	s = db.register(spec("u", plan(all())))
	db.start(s, true)
	if got := db.poll(s); len(got) != 2 {
		t.Errorf("%d parts, want 2 with five rows each", len(got))
	}
}

func TestStartDropsWhatTheSnapshotHas(t *testing.T) {
	db := newDatabase(t, Options{})
	s := db.register(spec("u", plan(all())))
	db.write("u", op{id: 1, room: "a"})
	db.hub.drain()
	expect(t, db.poll(s)) // nothing before the start
	seq := db.start(s, true)
	if seq != 1 {
		t.Fatal(seq)
	}
	db.write("u", op{id: 2, room: "b"})
	expect(t, db.poll(s), "initial 1: 1/a/0 last", "insert 2: 2/b/0")
	if in := s.Info(); in.Changes != 1 || in.LastUpdate.IsZero() {
		t.Errorf("%d changes at %v, want 1: initial rows are no changes", in.Changes, in.LastUpdate)
	}
}

// TestStartInsideABatch starts at a sequence number between the rows of one
// message.
func TestStartInsideABatch(t *testing.T) {
	db := newDatabase(t, Options{})
	late, early := db.register(spec("u", plan(all()))), db.register(spec("u", plan(all())))
	if err := early.Start(Start{Seq: 2}); err != nil {
		t.Fatal(err)
	}
	db.write("u", op{id: 1}, op{id: 2}, op{id: 3}, op{id: 1}, op{id: 2})
	db.hub.drain()
	if err := late.Start(Start{Seq: 4}); err != nil {
		t.Fatal(err)
	}
	expect(t, db.poll(early), "insert 3: 3//0", "update 5: 1//0[1//0] 2//0[2//0]")
	expect(t, db.poll(late), "update 5: 2//0[2//0]")
}

// TestOverflowThatTheSnapshotHas fills the queue before the start with changes
// that the snapshot turns out to have.
func TestOverflowThatTheSnapshotHas(t *testing.T) {
	db := newDatabase(t, limits(1))
	s := db.register(spec("u", plan(all(), colID)))
	for i := range 3 {
		db.write("u", op{id: int64(i)})
	}
	db.hub.drain()
	db.start(s, true)
	db.write("u", op{id: 9})
	expect(t, db.poll(s), "initial 3: 0 1 2 last", "insert 4: 9")
	if s.Seq() != 3 {
		t.Errorf("started at %d", s.Seq())
	}
}

func TestInitialParts(t *testing.T) {
	for _, n := range []int{0, 1, partRows - 1, partRows, partRows + 1, 2*partRows + 7} {
		db := newDatabase(t, Options{})
		ops := make([]op, n)
		for i := range ops {
			ops[i] = op{id: int64(i)}
		}
		db.write("u", ops...)
		s := db.register(spec("u", plan(all())))
		db.start(s, true)
		db.write("u", op{id: -1})
		rows, last := 0, false
		for !last {
			m, ok, err := s.Poll(context.Background())
			if !ok || err != nil || m.Kind != Initial || len(m.Rows) > partRows || m.Seq != change.Seq(n) {
				t.Fatalf("%d rows: %v, %v, %v", n, m, ok, err)
			}
			for i, r := range m.Rows {
				if r[0].Int() != int64(rows+i) {
					t.Fatalf("row %d of %d is %v", rows+i, n, r)
				}
			}
			rows += len(m.Rows)
			last = m.Last
		}
		if rows != n {
			t.Errorf("got %d rows, want %d", rows, n)
		}
		if got := db.poll(s); len(got) != 1 {
			t.Errorf("behind the initial rows: %q", got)
		}
	}
}

func TestCatchUp(t *testing.T) {
	db := newDatabase(t, Options{})
	db.write("u", op{id: 1, room: "a"}, op{id: 2, room: "a"}, op{id: 3, room: "a"})
	from := db.write("u", op{id: 4, room: "b"})
	db.write("u", op{id: 1, room: "b"})
	db.write("u", op{id: 2, del: true})
	db.write("u", op{id: 5, room: "a"}, op{id: 5, room: "a", n: 1})
	s := db.register(spec("u", plan(roomIs("a"))))
	rows, at := db.snapshot("u")
	if err := s.Start(Start{Seq: at, CatchUp: db.read(s.Plan(), rows, true, from)}); err != nil {
		t.Fatal(err)
	}
	db.write("u", op{id: 6, room: "a"})
	expect(t, db.poll(s), "delete 6: 1/b/0 2/a/0 catch_up", "insert 8: 5/a/1 last catch_up", "insert 9: 6/a/0")
	if in := s.Info(); in.Changes != 4 {
		t.Errorf("%d changes, want 4", in.Changes)
	}
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase(t, Options{})
		s := db.subscribe(spec("u", plan(all())))
		got := make(chan string)
		go func() {
			for range 3 {
				m, err := s.Next(t.Context())
				if err != nil {
					t.Error(err)
				}
				got <- show(m)
			}
		}()
		for i := range 3 {
			synctest.Wait()
			time.Sleep(time.Hour) // of the bubble's clock: the reader really waits
			db.write("u", op{id: int64(i)})
			if m := <-got; m == "" {
				t.Error("nothing arrived")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		db.hub.Close()
	})
}

func TestRegisterRefuses(t *testing.T) {
	opt := Options{}
	opt.Limits.MaxPerUser, opt.Limits.MaxPerConnection, opt.Limits.MaxTotal = 2, 3, 4
	db := newDatabase(t, opt)
	shared := messages(1)
	shared.Type = ident.SharedTable
	_, err := db.hub.Register(spec("u", planOn(shared, all())))
	expectCode(t, err, dberr.Unsupported)
	if err == nil || err.(*dberr.Error).Message != "Live query subscriptions not supported on shared tables" {
		t.Errorf("message %v", err)
	}
	system := &ddl.Table{ID: 9, Type: ident.SystemTable}
	_, err = db.hub.Register(spec("u", planOn(system, all())))
	expectCode(t, err, dberr.Unsupported)

	add := func(user ident.UserID, conn ident.ConnectionID) (*Subscription, error) {
		sp := spec(user, plan(all()))
		sp.Connection = conn
		return db.hub.Register(sp)
	}
	must := func(s *Subscription, err error) *Subscription {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := must(add("a", "c1"))
	must(add("a", "c1"))
	_, err = add("a", "c2")
	expectCode(t, err, dberr.ResourceExhausted)
	must(add("b", "c1"))
	_, err = add("c", "c1")
	expectCode(t, err, dberr.ResourceExhausted)
	must(add("c", "c2"))
	_, err = add("d", "c3")
	expectCode(t, err, dberr.ResourceExhausted)
	if st := db.hub.Stats(); st.Refused != 3 || st.Subscriptions != 4 {
		t.Errorf("stats %+v", st)
	}
	a.Close()
	a.Close()
	again := spec("d", plan(all()))
	s := must(db.hub.Register(again))
	s.Close()
	again.ID = must(add("d", "")).ID()
	_, err = db.hub.Register(again)
	expectCode(t, err, dberr.ResourceExhausted)
	db.hub.CloseConnection("c1")
	_, err = db.hub.Register(again)
	expectCode(t, err, dberr.AlreadyExists)
	if n := len(db.hub.List("")); n != 2 {
		t.Errorf("%d live queries left, want 2", n)
	}
	if n := len(db.hub.List("d")); n != 1 {
		t.Errorf("%d live queries of d, want 1", n)
	}
}
