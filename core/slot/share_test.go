package slot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
)

// step is how long a query of these tests computes between two looks at whether
// it shall stand still.
const step = time.Millisecond

// query computes for a time, as one that has a core to itself. It gives how long
// it took.
func query(g *Gate, user ident.UserID, text string, need time.Duration) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	start := time.Now()
	var x Turn
	if err := g.Enter(ctx, &x, user, text, false); err != nil {
		return time.Since(start), err
	}
	defer x.Leave()
	for done := time.Duration(0); done < need; done += step {
		if err := x.Pause(ctx); err != nil {
			return time.Since(start), err
		}
		time.Sleep(step)
	}
	return time.Since(start), nil
}

// TestFloodOfLong has one user send long statements from many connections. They
// are done one after the other and not all at once, so none comes near a time
// limit; what would wait for too long is refused, and once it is known how long
// they take, at once. Lookups and reports of others are answered beside it.
func TestFloodOfLong(t *testing.T) {
	for name, text := range map[string]func(i int) string{
		"one text":        func(int) string { return "SELECT sum(x) FROM t" },
		"constants":       func(i int) string { return fmt.Sprintf("SELECT sum(x) FROM t WHERE a > %d AND b < '%d'", i, i) },
		"always new ones": func(i int) string { return fmt.Sprint("SELECT sum(x) AS a", i, " FROM t") },
	} {
		t.Run(name, func(t *testing.T) {
			inside(t, Options{Running: 8, Long: 2, Limit: 30 * time.Second}, func(t *testing.T, g *Gate) {
				const need = 3 * time.Second
				end := time.Now().Add(2 * time.Minute)
				var mu sync.Mutex // guards what follows
				var answered, refused, soon, texts int
				var wg sync.WaitGroup
				for range 64 {
					wg.Go(func() {
						for time.Now().Before(end) {
							mu.Lock()
							texts++
							i := texts
							mu.Unlock()
							took, err := query(g, "flood", text(i), need)
							mu.Lock()
							switch {
							case err == nil:
								answered++
							case dberr.CodeOf(err) != dberr.ResourceExhausted:
								t.Error(err)
							case took == 0:
								soon++
							default:
								refused++
							}
							mu.Unlock()
							if took > 20*time.Second {
								t.Errorf("one of the flood took %v: %v", took, err)
							}
							if err != nil {
								time.Sleep(300 * time.Millisecond)
							}
						}
					})
				}
				time.Sleep(time.Second)
				reports := 0
				wg.Go(func() {
					for ; time.Now().Before(end); reports++ {
						if took, err := query(g, "boss", "SELECT avg(y) FROM u", time.Second); err != nil || took > 4*time.Second {
							t.Errorf("a report of another user: %v %v", took, err)
						}
					}
				})
				for range 1000 {
					if took, err := query(g, "ann", "SELECT * FROM t WHERE id = $1", 0); err != nil || took > quantum {
						t.Errorf("a lookup beside the flood: %v %v", took, err)
					}
					time.Sleep(100 * time.Millisecond)
				}
				wg.Wait()
				t.Logf("%d answered, %d refused at once, %d later; %d reports beside it", answered, soon, refused, reports)
				// Two places for two minutes are 80 times three seconds, less
				// what the reports took.
				if most := 80 - reports/3; answered < most/2 || answered > most+8 {
					t.Errorf("%d of the flood were answered, of about %d that can", answered, most)
				}
				if name != "always new ones" && soon < 5*refused {
					t.Errorf("%d were refused after a wait, and only %d at once", refused, soon)
				}
				if reports < 40 {
					t.Errorf("only %d reports of another user", reports)
				}
			})
		})
	}
}

// TestUsersShare has users with different numbers of long statements: each gets
// the same of the processor.
func TestUsersShare(t *testing.T) {
	inside(t, Options{Running: 8, Long: 2, Wait: time.Hour}, func(t *testing.T, g *Gate) {
		start := time.Now()
		got := map[ident.UserID]time.Duration{}
		var mu sync.Mutex // guards got
		var wg sync.WaitGroup
		for user, n := range map[ident.UserID]int{"ann": 1, "bob": 4, "carl": 12} {
			for range n {
				wg.Go(func() {
					var x Turn
					if err := g.Enter(t.Context(), &x, user, "report", false); err != nil {
						t.Error(err)
					}
					defer x.Leave()
					for time.Since(start) < time.Minute {
						if err := x.Pause(t.Context()); err != nil {
							t.Error(err)
						}
						time.Sleep(step)
						mu.Lock()
						got[user] += step
						mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
		for _, user := range slices.Sorted(maps.Keys(got)) {
			if share := got[user]; share < 34*time.Second || share > 46*time.Second {
				t.Errorf("%s had a core for %v of two minutes, want a third", user, share)
			}
		}
	})
}

// TestStandStill ends queries that stand still in all ways.
func TestStandStill(t *testing.T) {
	inside(t, Options{Running: 4, Long: 1}, func(t *testing.T, g *Gate) {
		a, b := enter(t, g, "ann", "a"), enter(t, g, "bob", "b")
		if err := errors.Join(a.Pause(t.Context()), b.Pause(t.Context())); err != nil {
			t.Fatal(err)
		}
		pause := func(x *Turn, ctx context.Context) chan error {
			c := make(chan error, 1)
			go func() { c <- x.Pause(ctx) }()
			synctest.Wait()
			return c
		}
		still := func(c chan error) bool {
			synctest.Wait()
			return len(c) == 0
		}
		time.Sleep(quantum + 3*beat) // both are long by now, and one is too many
		ctx, cancel := context.WithCancelCause(t.Context())
		first := pause(b, ctx) // the younger, or the one that is asked
		x, y := b, a
		if !still(first) {
			if err := <-first; err != nil {
				t.Fatal(err)
			}
			first = pause(a, ctx)
			x, y = a, b
		}
		second := pause(x, ctx) // another of its goroutines
		if !still(first) || !still(second) {
			t.Fatal("nobody stands still")
		}
		if s := g.Stats(); s.RunningLong != 1 || s.WaitingLong != 1 {
			t.Errorf("%+v", s)
		}
		// What its goroutines do meanwhile takes no place.
		x.Lend()
		x.Back()
		if s := g.Stats(); s.RunningLong != 1 {
			t.Errorf("%+v", s)
		}
		// One at a time, and each has its turn.
		time.Sleep(2 * quantum)
		third := pause(y, t.Context())
		if still(first) || still(second) || !still(third) {
			t.Fatal("the turn does not come round")
		}
		if err := errors.Join(<-first, <-second); err != nil {
			t.Error(err)
		}
		// The client goes.
		time.Sleep(2 * quantum)
		first = pause(x, ctx)
		if still(third) || !still(first) {
			t.Fatal("the turn does not come round")
		}
		why := errors.New("the client has gone")
		cancel(why)
		if err := <-first; !errors.Is(err, why) {
			t.Error(err)
		}
		x.Leave()
		if still(third) {
			t.Fatal("the place is lost")
		}
		y.Leave()
	})
}

// TestStarved has a query stand still for a statement that does not: it is
// refused in the end, and hears of it in all of its goroutines.
func TestStarved(t *testing.T) {
	inside(t, Options{Running: 4, Long: 1}, func(t *testing.T, g *Gate) {
		a, b := enter(t, g, "ann", "query"), enter(t, g, "bob", "update")
		if err := a.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(quantum + 3*beat)
		start := time.Now()
		err := a.Pause(t.Context())
		refused(t, err, g, Waited, 1)
		if after := comeBack(t, err); after < 10*time.Second || after > 11*time.Second {
			t.Errorf("it is told to come back after %v", after)
		}
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("after %v", took)
		}
		refused(t, a.Pause(t.Context()), g, Waited, 1)
		a.Leave()
		b.Leave()
	})
}

// TestTimeLimitAsAFault has a query run into its time limit while it stands
// still for another: that is no fault of its own.
func TestTimeLimitAsAFault(t *testing.T) {
	inside(t, Options{Running: 4, Long: 1, Wait: time.Hour}, func(t *testing.T, g *Gate) {
		a, b := enter(t, g, "ann", "a"), enter(t, g, "ann", "b")
		if err := errors.Join(a.Pause(t.Context()), b.Pause(t.Context())); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		time.Sleep(quantum + 3*beat)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		// The elder of a user goes on; only the younger is asked.
		errA, errB := a.Pause(ctx), b.Pause(ctx)
		if dberr.CodeOf(errors.Join(errA, errB)) != dberr.ResourceExhausted {
			t.Errorf("%v, %v", errA, errB)
		}
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("after %v", took)
		}
		a.Leave()
		b.Leave()
	})
}

// TestReserve fills what may be under way by one user's flood: others find some
// room nevertheless.
func TestReserve(t *testing.T) {
	inside(t, Options{Running: 1, Most: 16, Wait: time.Hour}, func(t *testing.T, g *Gate) {
		held := enter(t, g, "flood", "q")
		held.used = -24 * time.Hour // keep it from making way
		var all []*asker
		for range 13 + little {
			all = append(all, ask(t.Context(), g, "flood", "q"))
		}
		if n := g.Stats().Refused[Full]; n != 2 { // 1 + 13 are 14 of 16; 2 more are in the reserve
			t.Errorf("%d were refused", n)
		}
		for _, a := range all[len(all)-2:] {
			if err := <-a.err; dberr.CodeOf(err) != dberr.ResourceExhausted {
				t.Error(err)
			}
		}
		held.Leave()
		for _, a := range all[:len(all)-2] {
			if !a.in(t) {
				t.Fatal("lost")
			}
			a.turn.Leave()
		}
		if len(g.modest) != 0 {
			t.Errorf("the reserve is not given back: %v", g.modest)
		}
	})
	inside(t, Options{Running: 1, Most: 64, Wait: time.Hour}, func(t *testing.T, g *Gate) {
		held := enter(t, g, "flood", "q")
		held.used = -24 * time.Hour
		var all []*asker
		for range 80 {
			all = append(all, ask(t.Context(), g, "flood", "q"))
		}
		ann := ask(t.Context(), g, "ann", "q")
		if s := g.Stats(); s.UnderWay != 56+little+1 {
			t.Errorf("%+v", s)
		}
		held.Leave()
		for all = append(all, ann); len(all) > 0; {
			i := slices.IndexFunc(all, func(a *asker) bool { return len(a.err) > 0 })
			if i < 0 {
				t.Fatal("lost")
			}
			if err := <-all[i].err; err == nil {
				all[i].turn.Leave()
			} else if all[i] == ann {
				t.Error("a flood locks out another user:", err)
			}
			all = slices.Delete(all, i, i+1)
			synctest.Wait()
		}
	})
}

func TestTextWithoutConstants(t *testing.T) {
	k := known{}
	g := New(Options{}, nil)
	k.seed = g.known.seed
	for _, same := range [][]string{
		{"SELECT a1 FROM t WHERE b = 5", "SELECT a1 FROM t WHERE b = 123.25"},
		{"SELECT 'x' || a, 1", "SELECT 'it is' || a, 22"},
		{"SELECT * FROM t LIMIT 5", "SELECT * FROM t LIMIT 50000"},
		{"", ""},
		{"SELECT 'unended", "SELECT 'unended too"},
	} {
		if k.hash(same[0]) != k.hash(same[1]) {
			t.Errorf("%q differs", same)
		}
	}
	for _, other := range [][]string{
		{"SELECT a1 FROM t", "SELECT a2 FROM t"},
		{"SELECT * FROM t1", "SELECT * FROM t2"},
		{"SELECT $1", "SELECT $2"},
		{"SELECT a FROM t WHERE b = 5", "SELECT a FROM t WHERE b > 5"},
	} {
		if k.hash(other[0]) == k.hash(other[1]) {
			t.Errorf("%q are the same", other)
		}
	}
}
