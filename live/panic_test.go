package live

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/live/filter"
	"github.com/kalamdb/kalamdb/store/vector"
)

// fragile is a filter that panics at n = 13, and a projection that does at 14.
type fragile struct{ filter.Evaluator }

func (e fragile) Match(row sqltype.Row) (bool, error) {
	if row[colN].Int() == 13 {
		panic("thirteen")
	}
	return e.Evaluator.Match(row)
}

func (e fragile) Project(row, dst sqltype.Row) error {
	if row[colN].Int() == 14 {
		panic("fourteen")
	}
	return e.Evaluator.Project(row, dst)
}

func fragilePlan() *Plan {
	p := plan(nBelow(1000))
	p.FilterKey, p.ProjectionKey = "fragile", "fragile"
	whole := p.NewEval
	p.NewEval = func() filter.Evaluator { return fragile{whole()} }
	return p
}

// TestPanicInFilter has what a subscription asks for panic: that subscription
// ends with INTERNAL and a line in the log, and nobody else notices.
func TestPanicInFilter(t *testing.T) {
	for _, n := range []int64{13, 14} {
		var log bytes.Buffer
		db := newDatabase(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Dispatchers: 1})
		bad, twin := db.subscribe(spec("u", fragilePlan())), db.subscribe(spec("u", fragilePlan()))
		sameFilter, good, other := fragilePlan(), db.subscribe(spec("u", plan(all(), colID))), db.subscribe(spec("w", fragilePlan()))
		sameFilter.ProjectionKey, sameFilter.NewEval = "whole", plan(nBelow(1000)).NewEval
		beside := db.subscribe(spec("u", sameFilter))
		db.write("u", op{id: 1, room: "a", n: 1}, op{id: 2, room: "a", n: n}, op{id: 3, room: "a", n: 3})
		db.write("w", op{id: 4, room: "a", n: 4})
		db.hub.drain()
		for _, s := range []*Subscription{bad, twin} {
			for {
				_, err := s.Next(context.Background())
				if err == nil {
					continue // what came before
				}
				expectClosed(t, err, ReasonError)
				expectCode(t, err, dberr.Internal)
				break
			}
		}
		expect(t, db.poll(good), "insert 3: 1 2 3")
		expect(t, db.poll(other), "insert 4: 4/a/4")
		// Whose evaluator it was that panicked over the common filter is chance.
		if n == 14 {
			expect(t, db.poll(beside), "insert 3: 1/a/1 2/a/14 3/a/3")
		}
		if got := db.hub.CountByTable(7); got != map[int64]int{13: 2, 14: 3}[n] {
			t.Errorf("%d subscriptions are left", got)
		}
		if out := log.String(); strings.Count(out, `msg="panic in a live query"`) != 1 || !strings.Contains(out, "panic_test.go") {
			t.Errorf("the log has no trace of the panic, or several:\n%s", out)
		}
		// The table and the user can be subscribed to as before.
		again := db.subscribe(spec("u", fragilePlan()))
		db.write("u", op{id: 5, room: "b", n: 5})
		db.hub.drain()
		expect(t, db.poll(again), "insert 5: 5/b/5")
		expect(t, db.poll(good), "insert 5: 5")
	}
}

// brokenSource panics when it is read.
type brokenSource struct{ RowSource }

func (brokenSource) Next(context.Context) (*vector.Batch, error) { panic("broken") }

// brokenEngine gives such sources, or panics itself.
type brokenEngine struct {
	*database
	at string
}

func (e brokenEngine) Since(ctx context.Context, p *Plan, user ident.UserID, after change.Seq) (RowSource, change.Seq, error) {
	if e.at == "since" {
		panic("broken")
	}
	src, at, err := e.database.Since(ctx, p, user, after)
	return brokenSource{src}, at, err
}

// TestPanicInSource has reading initial rows and what was missed panic.
func TestPanicInSource(t *testing.T) {
	for _, at := range []string{"initial", "since", "next"} {
		db := newDatabase(t, limits(1))
		s, good := db.register(spec("u", plan(all()))), db.subscribe(spec("u", plan(all(), colID)))
		var st Start
		if at == "initial" {
			st.Initial = brokenSource{db.read(s.Plan(), nil, false, 0)}
		}
		db.hub.opt.Source = brokenEngine{db, at}
		if err := s.Start(st); err != nil {
			t.Fatal(err)
		}
		db.write("u", op{id: 1})
		if at != "initial" {
			db.hub.drain()
			expect(t, db.poll(good), "insert 1: 1")
			db.write("u", op{id: 2})
		}
		db.hub.drain()
		_, err := s.Next(t.Context())
		expectClosed(t, err, ReasonError)
		expectCode(t, err, dberr.Internal)
		expect(t, db.poll(good), map[bool]string{true: "insert 1: 1", false: "insert 2: 2"}[at == "initial"])
	}
}

// TestPanicInRebind has compiling the query for an altered table panic.
func TestPanicInRebind(t *testing.T) {
	db := newDatabase(t, Options{Dispatchers: 1})
	bad, good := db.subscribe(spec("u", fragilePlan())), db.subscribe(spec("u", plan(all(), colID)))
	v2 := messages(2)
	db.hub.Rebind(7, 2, func(p *Plan) (*Plan, error) {
		if p.FilterKey == "fragile" {
			panic("broken")
		}
		return planOn(v2, all(), colID), nil
	})
	_, err := bad.Next(t.Context())
	expectClosed(t, err, ReasonError)
	expectCode(t, err, dberr.Internal)
	db.write("u", op{id: 1})
	db.hub.drain()
	m, err := good.Next(t.Context())
	if err != nil || m.Kind != Schema {
		t.Errorf("got %v, %v", m.Kind, err)
	}
	expect(t, db.poll(good), "insert 1: 1")
}
