package slot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
)

// inside runs a test in a bubble whose clock moves when everybody waits.
func inside(t *testing.T, opts Options, f func(t *testing.T, g *Gate)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := New(opts, t.Context().Done())
		f(t, g)
		synctest.Wait()
		s := g.Stats()
		if s.UnderWay != 0 || s.Running != 0 || s.Waiting != 0 || len(g.lanes[shortLane].running) != 0 {
			t.Errorf("something is left: %+v", s)
		}
		time.Sleep(2 * beat)
		if g.mu.Lock(); g.beating {
			t.Error("the beat goes on for nobody")
		}
		g.mu.Unlock()
	})
}

func enter(t *testing.T, g *Gate, user ident.UserID, text string) *Turn {
	t.Helper()
	var x Turn
	if err := g.Enter(t.Context(), &x, user, text, false); err != nil {
		t.Fatalf("%s, %s: %v", user, text, err)
	}
	return &x
}

// asker has entered, or waits to.
type asker struct {
	turn Turn
	err  chan error
}

func ask(ctx context.Context, g *Gate, user ident.UserID, text string) *asker {
	a := &asker{err: make(chan error, 1)}
	go func() { a.err <- g.Enter(ctx, &a.turn, user, text, false) }()
	synctest.Wait()
	return a
}

// in tells whether it has entered.
func (a *asker) in(t *testing.T) bool {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-a.err:
		if err != nil {
			t.Fatal(err)
		}
		return true
	default:
		return false
	}
}

func refused(t *testing.T, err error, g *Gate, why Reason, n int64) {
	t.Helper()
	if dberr.CodeOf(err) != dberr.ResourceExhausted {
		t.Errorf("%v", err)
	}
	if got := g.Stats().Refused[why]; got != n {
		t.Errorf("%d were refused as %s, want %d", got, why, n)
	}
}

func TestPlacesAreBounded(t *testing.T) {
	inside(t, Options{Running: 2, Most: 4}, func(t *testing.T, g *Gate) {
		a, b := enter(t, g, "ann", "q"), enter(t, g, "ann", "q")
		c, d := ask(t.Context(), g, "ann", "q"), ask(t.Context(), g, "ann", "q")
		var e Turn
		refused(t, g.Enter(t.Context(), &e, "ann", "q", true), g, Full, 1)
		e.Leave() // nothing
		if s := g.Stats(); s.Running != 2 || s.Waiting != 2 || s.UnderWay != 4 || c.in(t) || d.in(t) {
			t.Errorf("%+v", s)
		}
		a.Leave()
		if !c.in(t) || d.in(t) {
			t.Error("who came first is not the next")
		}
		a.Leave() // nothing: it has left
		if d.in(t) {
			t.Error("one place was given back twice")
		}
		b.Leave()
		c.turn.Leave()
		if !d.in(t) {
			t.Error("a free place is not given")
		}
		d.turn.Leave()
		if n := g.Stats().Waits.Count; n != 2 {
			t.Errorf("%d waits were counted", n)
		}
	})
}

func TestUsersTakeTurns(t *testing.T) {
	inside(t, Options{Running: 1}, func(t *testing.T, g *Gate) {
		first := enter(t, g, "flood", "q")
		var order []ident.UserID
		var wg sync.WaitGroup
		for _, user := range []ident.UserID{"flood", "flood", "flood", "ann", "flood", "bob", "ann"} {
			wg.Go(func() {
				var x Turn
				if err := g.Enter(t.Context(), &x, user, "q", false); err != nil {
					t.Error(err)
				}
				order = append(order, user) // it has the only place
				x.Leave()
			})
			synctest.Wait()
		}
		first.Leave()
		wg.Wait()
		want := []ident.UserID{"flood", "ann", "bob", "flood", "ann", "flood", "flood"}
		if !slices.Equal(order, want) {
			t.Errorf("the order is %v, want %v", order, want)
		}
	})
}

func TestWaitIsBounded(t *testing.T) {
	inside(t, Options{Running: 1, Wait: 500 * time.Millisecond}, func(t *testing.T, g *Gate) {
		long := enter(t, g, "ann", "q")
		long.used = -time.Hour // keep it from making way
		start := time.Now()
		var x Turn
		refused(t, g.Enter(t.Context(), &x, "ann", "q", true), g, Waited, 1)
		if took := time.Since(start); took < 500*time.Millisecond || took > 500*time.Millisecond+2*beat {
			t.Errorf("it waited %v", took)
		}
		long.Leave()
	})
}

// TestCrowdIsRefusedAtOnce fills the queue of one user: from when on its wait
// would be too long it is refused at once, and another user is not.
func TestCrowdIsRefusedAtOnce(t *testing.T) {
	inside(t, Options{Running: 1, Wait: time.Second, Most: 100}, func(t *testing.T, g *Gate) {
		held := enter(t, g, "flood", "q")
		held.used = -time.Hour
		var all []*asker
		for range crowd {
			all = append(all, ask(t.Context(), g, "flood", "q"))
		}
		late := ask(t.Context(), g, "flood", "q") // many wait, but not for long
		if g.Stats().Refused != [reasons]int64{} {
			t.Error("refused too early:", g.Stats().Refused)
		}
		time.Sleep(time.Second/haste + beat)
		start := time.Now()
		var x Turn
		refused(t, g.Enter(t.Context(), &x, "flood", "q", false), g, Crowded, 1)
		if took := time.Since(start); took != 0 {
			t.Errorf("it was refused after %v", took)
		}
		// The turn has come round: the flood's is behind everybody else's.
		held.Leave()
		if !all[0].in(t) {
			t.Fatal("nobody is let in")
		}
		all[0].turn.used = -time.Hour
		ann := ask(t.Context(), g, "ann", "q")
		if _, waits := g.lanes[shortLane].users["ann"]; !waits {
			t.Error("one user's flood refuses another")
		}
		patient := make(chan error, 1)
		go func() {
			var p Turn
			err := g.Enter(t.Context(), &p, "flood", "q", true)
			p.Leave()
			patient <- err
		}()
		synctest.Wait()
		for _, a := range append(all, late) {
			if a != all[0] && !a.in(t) {
				t.Error("lost")
			}
			a.turn.Leave()
			synctest.Wait()
			select {
			case err := <-ann.err:
				if err != nil {
					t.Error(err)
				}
				ann.turn.Leave()
			default:
			}
		}
		if err := <-patient; err != nil {
			t.Error("a patient one is refused for a crowd:", err)
		}
	})
}

func TestWithdraw(t *testing.T) {
	inside(t, Options{Running: 1}, func(t *testing.T, g *Gate) {
		held := enter(t, g, "ann", "q")
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := ask(ctx, g, "ann", "q")
		stays := ask(t.Context(), g, "ann", "q")
		why := errors.New("the client has gone")
		cancel(why)
		if err := <-gone.err; !errors.Is(err, why) {
			t.Error(err)
		}
		held.Leave()
		if !stays.in(t) {
			t.Error("the place went to who has gone")
		}
		stays.turn.Leave()
	})
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		g := New(Options{Running: 1}, stop)
		held := enter(t, g, "ann", "q")
		waits := ask(t.Context(), g, "ann", "q")
		close(stop)
		if err := <-waits.err; dberr.CodeOf(err) != dberr.ResourceExhausted {
			t.Error(err)
		}
		held.Leave()
		time.Sleep(2 * beat)
	})
}

// TestLend has writers wait for one sync: all may, as none of them computes.
func TestLend(t *testing.T) {
	inside(t, Options{Running: 1}, func(t *testing.T, g *Gate) {
		var lent []*Turn
		for range 32 {
			x := enter(t, g, "ann", "insert")
			x.Lend()
			lent = append(lent, x)
		}
		if s := g.Stats(); s.Running != 0 || s.UnderWay != 32 {
			t.Errorf("%+v", s)
		}
		for _, x := range lent {
			x.Back()
		}
		if s := g.Stats(); s.Running != 32 {
			t.Errorf("%+v", s)
		}
		next := ask(t.Context(), g, "ann", "insert")
		for i, x := range lent {
			if next.in(t) {
				t.Fatal("a newcomer gets in before it is", i)
			}
			x.Leave()
		}
		if !next.in(t) {
			t.Fatal("the place is lost")
		}
		// Two goroutines of one statement lend: the place is back with both.
		next.turn.Lend()
		next.turn.Lend()
		next.turn.Back()
		if n := g.Stats().Running; n != 0 {
			t.Error(n)
		}
		next.turn.Back()
		if n := g.Stats().Running; n != 1 {
			t.Error(n)
		}
		next.turn.Leave()
	})
}

func TestBackInTurn(t *testing.T) {
	inside(t, Options{Running: 1}, func(t *testing.T, g *Gate) {
		streams := enter(t, g, "ann", "stream")
		newcomer, later := ask(t.Context(), g, "bob", "q"), ask(t.Context(), g, "bob", "q")
		streams.Lend()
		if !newcomer.in(t) {
			t.Fatal("what was lent is not used")
		}
		back := make(chan struct{})
		go func() {
			streams.BackInTurn()
			close(back)
		}()
		synctest.Wait()
		newcomer.turn.Leave()
		<-back
		if later.in(t) {
			t.Error("a newcomer comes before who has begun")
		}
		streams.Leave()
		if !later.in(t) {
			t.Error("the place is lost")
		}
		later.turn.Leave()
		var none *Turn
		none.Lend()
		none.Back()
		none.BackInTurn()
		none.Leave()
	})
}

// TestLongMakesWay fills the places with long statements: short ones get in
// after a moment, the text is remembered, and the next time it does not take
// the places of short ones, until it is short again.
func TestLongMakesWay(t *testing.T) {
	inside(t, Options{Running: 2, Long: 2}, func(t *testing.T, g *Gate) {
		a, b := enter(t, g, "ann", "report"), enter(t, g, "ann", "report")
		start := time.Now()
		lookup := enter(t, g, "ann", "lookup")
		if took := time.Since(start); took < quantum || took > quantum+3*beat {
			t.Errorf("a short one waited %v for long ones", took)
		}
		time.Sleep(3 * beat)
		if s := g.Stats(); s.RunningLong != 2 || s.Running != 3 {
			t.Errorf("%+v", s)
		}
		report := ask(t.Context(), g, "ann", "report")
		other := enter(t, g, "ann", "lookup")
		if report.in(t) {
			t.Error("a report begins beside others")
		}
		other.Leave()
		a.Leave()
		if !report.in(t) {
			t.Error("the place is lost")
		}
		b.Leave()
		report.turn.Leave() // it was short
		again := enter(t, g, "ann", "report")
		if again.lane != shortLane {
			t.Error("it is still taken for long")
		}
		again.Leave()
		lookup.Leave()
	})
}

// TestManyLongAtOnce has more of one long statement come at once than there are
// places, before anybody knows that it is long: those that still wait do not
// take the places of short ones when it is known.
func TestManyLongAtOnce(t *testing.T) {
	inside(t, Options{Running: 4, Long: 4, Wait: time.Minute}, func(t *testing.T, g *Gate) {
		var all []*asker
		for range 20 {
			all = append(all, ask(t.Context(), g, "boss", "report"))
		}
		for range 50 {
			enter(t, g, "ann", "lookup").Leave()
			time.Sleep(quantum / 5)
		}
		if s := g.Stats(); s.RunningLong < 4 || s.RunningLong > 5 || s.RunningLong+s.WaitingLong != 20 {
			t.Errorf("%+v", s)
		}
		start := time.Now()
		enter(t, g, "ann", "lookup").Leave()
		if took := time.Since(start); took != 0 {
			t.Errorf("a short one waited %v", took)
		}
		for len(all) > 0 {
			for i, a := range all {
				if a.in(t) {
					a.turn.Leave()
					all = append(all[:i], all[i+1:]...)
					break
				}
			}
		}
	})
}

// TestLongStream keeps a place by small pieces.
func TestLongStream(t *testing.T) {
	inside(t, Options{Running: 1}, func(t *testing.T, g *Gate) {
		x := enter(t, g, "ann", "stream")
		for range 20 {
			x.Lend()
			x.BackInTurn()
			time.Sleep(quantum / 10)
		}
		if s := g.Stats(); s.RunningLong != 1 {
			t.Errorf("%+v", s)
		}
		enter(t, g, "ann", "q").Leave()
		x.Leave()
	})
}

func TestSet(t *testing.T) {
	inside(t, Options{Running: 1}, func(t *testing.T, g *Gate) {
		a := enter(t, g, "ann", "q")
		b := ask(t.Context(), g, "ann", "q")
		g.Set(Options{Running: 2})
		if !b.in(t) {
			t.Error("a new place is not given")
		}
		a.Leave()
		b.turn.Leave()
	})
}

// TestChoked has requests lie around before they come: users are let in evenly
// until that is over, and who asks little always is.
func TestChoked(t *testing.T) {
	inside(t, Options{Running: 2, Wait: time.Second}, func(t *testing.T, g *Gate) {
		const most, tick = time.Second / haste, 20 * time.Millisecond
		serve := func(user ident.UserID, n int) (taken int) {
			for range n {
				var x Turn
				err := g.Enter(t.Context(), &x, user, "q", false)
				if err == nil {
					taken++
				} else if dberr.CodeOf(err) != dberr.ResourceExhausted {
					t.Error(err)
				}
				x.Leave()
			}
			return taken
		}
		connections := 1000
		report := func(d time.Duration) bool {
			time.Sleep(tick)
			return g.Delayed(d, connections)
		}
		if report(time.Hour) {
			t.Error("nobody is there, but it is busy")
		}
		if n := serve("flood", 10); n != 10 {
			t.Error("a slow machine with few requests refuses them:", n)
		}
		for range 100 { // 100 requests each 20 ms
			if n := serve("flood", 100); n != 100 {
				t.Fatal("refused without a delay:", n)
			}
			if !report(most) {
				t.Error("it is not busy")
			}
		}
		connections = crowd * 2
		report(time.Hour)
		if n := serve("flood", 100); n != 100 {
			t.Error("more are refused than can lie around:", n)
		}
		connections = 1000
		report(most + 1)
		if n := serve("flood", 100); n < 40 || n > 50 {
			t.Errorf("%d are let in, want half of what was done before", n)
		}
		if n := serve("quiet", 1); n != 1 {
			t.Error("one user's flood takes another's share")
		}
		report(2 * most)
		if a, b := serve("flood", 100), serve("quiet", 1); a < 18 || a > 25 || b != 1 {
			t.Errorf("%d and %d are let in, want half each of half", a, b)
		}
		var x Turn
		if err := g.Enter(t.Context(), &x, "flood", "q", true); err != nil {
			t.Error("a patient one is refused:", err)
		}
		x.Leave()
		report(most)
		if n := serve("flood", 100); n != 100 {
			t.Error("it is over, but still refused:", n)
		}
	})
}

// TestManyUsers has many goroutines enter, lend and leave in all ways.
func TestManyUsers(t *testing.T) {
	g := New(Options{Running: 3, Most: 40, Wait: 20 * time.Millisecond}, nil)
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			ctx := t.Context()
			for i := range 200 {
				var x Turn
				c, cancel := ctx, context.CancelFunc(func() {})
				if i%7 == 0 {
					c, cancel = context.WithTimeout(ctx, time.Duration(i)*time.Microsecond)
				}
				err := g.Enter(c, &x, ident.UserID(fmt.Sprint(w%5)), fmt.Sprint(i%3), w%2 == 0)
				if err == nil && i%3 == 0 {
					x.Lend()
					x.BackInTurn()
				} else if err == nil && i%3 == 1 {
					x.Lend()
					x.Back()
				}
				x.Leave()
				cancel()
			}
		})
	}
	wg.Wait()
	if s := g.Stats(); s.UnderWay != 0 || s.Running != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// BenchmarkEnter is what a statement pays on a server that is not overloaded.
func BenchmarkEnter(b *testing.B) {
	g := New(Options{}, nil)
	ctx := context.Background()
	var x Turn
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Enter(ctx, &x, "ann", "SELECT id, room, body FROM app.t WHERE id = $1", false); err != nil {
			b.Fatal(err)
		}
		x.Leave()
	}
}
