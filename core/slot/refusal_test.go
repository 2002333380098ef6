package slot

import (
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// comeBack is when a refused one is told to come back.
func comeBack(t *testing.T, err error) time.Duration {
	t.Helper()
	e, ok := dberr.As(err)
	if !ok || e.Code != dberr.ResourceExhausted || e.State() != "53000" {
		t.Fatal(err)
	}
	return e.Retry
}

// TestComeBackAfterTheWait has one wait in vain: it is told that others will
// have to wait as long, within bounds.
func TestComeBackAfterTheWait(t *testing.T) {
	for most, want := range map[time.Duration]time.Duration{
		100 * time.Millisecond: soonest, 5 * time.Second: 5 * time.Second, time.Hour: latest,
	} {
		inside(t, Options{Running: 1, Wait: most}, func(t *testing.T, g *Gate) {
			held := enter(t, g, "ann", "q")
			held.used = -time.Hour // it is never long
			var x Turn
			got := comeBack(t, g.Enter(t.Context(), &x, "bob", "q", false))
			if got < want || got > want+2*beat {
				t.Errorf("after a wait of %v: %v, want %v", most, got, want)
			}
			held.Leave()
		})
	}
}

// TestComeBackWhenFull tells for how long those who are next have waited.
func TestComeBackWhenFull(t *testing.T) {
	inside(t, Options{Running: 1, Most: 2, Wait: 10 * time.Second}, func(t *testing.T, g *Gate) {
		held := enter(t, g, "ann", "q")
		held.used = -time.Hour
		next := ask(t.Context(), g, "ann", "q")
		var x Turn
		if got := comeBack(t, g.Enter(t.Context(), &x, "bob", "q", false)); got != soonest {
			t.Error(got)
		}
		time.Sleep(4 * time.Second)
		if got := comeBack(t, g.Enter(t.Context(), &x, "bob", "q", false)); got != 4*time.Second {
			t.Error(got)
		}
		held.Leave()
		if !next.in(t) {
			t.Error("a free place is not given")
		}
		next.turn.Leave()
	})
}

// TestComeBackWhenHopeless tells a newcomer to a row of long statements when
// there will be few enough of them: by how long they have taken lately.
func TestComeBackWhenHopeless(t *testing.T) {
	inside(t, Options{Running: 4, Long: 1, Wait: 2 * time.Second}, func(t *testing.T, g *Gate) {
		g.known.learn(g.known.hash("report"), 6*time.Second)
		busy := enter(t, g, "ann", "q") // so that texts are looked at
		busy.used = -time.Hour
		first := enter(t, g, "boss", "report")
		second := ask(t.Context(), g, "boss", "report")
		var x Turn
		// 6 s for each of the two before it, and a wait of 10 s is fine.
		if got := comeBack(t, g.Enter(t.Context(), &x, "boss", "report", false)); got != 2*time.Second {
			t.Errorf("%v, want 2s", got)
		}
		if n := g.Stats().Refused[Crowded]; n != 1 {
			t.Errorf("%d were refused for a crowd", n)
		}
		time.Sleep(6 * time.Second)
		first.Leave()
		if !second.in(t) {
			t.Fatal("the next is not let in")
		}
		third := ask(t.Context(), g, "boss", "report") // there is room now
		time.Sleep(6 * time.Second)
		second.turn.Leave()
		if !third.in(t) {
			t.Fatal("who came back is not let in")
		}
		third.turn.Leave()
		busy.Leave()
	})
}
