package integration

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
)

// longSQL is a statement that computes for about as long as n is large; no two
// calls give the same text.
func longSQL(n int64, kind int) string {
	salt := rand.IntN(1_000_000)
	switch kind % 3 {
	case 0: // a cross join
		return fmt.Sprintf("SELECT count(*) FROM generate_series(1, %d) AS a(x), generate_series(1, 1000) AS b(y) WHERE (x * y + %d) %% 7 = 3", n, salt)
	case 1: // few groups
		return fmt.Sprintf("SELECT x %% 16 AS g, count(*), max(x * y + %d) FROM generate_series(1, %d) AS a(x), generate_series(1, 1000) AS b(y) GROUP BY 1 ORDER BY 1", salt, n*2/3)
	}
	return fmt.Sprintf("SELECT max(length(upper('a' || (x + %d)))) FROM generate_series(1, %d) AS a(x)", salt, n*40)
}

// TestLongFlood has one user send long statements from many connections, more
// than can be done in time: what another user looks up and writes beside it is
// all answered, what the flood cannot have in time is refused as overload, and
// no statement that alone is short enough runs into its time limit.
//
// With -load.time 60s statements take 2 to 10 seconds and limits are the
// defaults; else all is shorter.
func TestLongFlood(t *testing.T) {
	clients, whole := 64, *loadTime >= time.Minute
	env := []string{"GOMAXPROCS=1"} // the other core is for those who ask
	during, alone := 5*time.Second, 400*time.Millisecond
	if whole {
		during, alone = *loadTime, 2*time.Second
	} else {
		env = append(env, "KALAMDB_QUERY_TIMEOUT=6s", "KALAMDB_QUERY_MAX_WAIT=300ms")
	}
	s := harness.Start(t, env...)
	table := s.Namespace(t) + ".notes"
	x := newSender(t, s)
	harness.Exec(t, s.Admin(t), "CREATE USER TABLE "+table+" (id BIGINT PRIMARY KEY, body TEXT)")
	harness.Exec(t, s.As(t, "quiet"), "INSERT INTO "+table+" SELECT g, 'note ' || g FROM generate_series(1, 1000) AS x(g)")

	// How much is as long as wanted on this machine.
	n := int64(1000)
	for took := time.Duration(0); took < alone/4; n *= 2 {
		begin := time.Now()
		if status, body, err := x.post(t.Context(), "flood", longSQL(n, 0)); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s %v", status, body, err)
		}
		took = time.Since(begin)
		if took >= alone/4 {
			n = int64(float64(n) * float64(alone) / float64(took) / 2)
		}
	}

	flood := &outcomes{statuses: map[int]int{}, faults: map[string]int{}}
	lookups := &outcomes{statuses: map[int]int{}, faults: map[string]int{}}
	inserts := &outcomes{statuses: map[int]int{}, faults: map[string]int{}}
	end := time.Now().Add(during)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := c; time.Now().Before(end); i++ {
				size := n
				if whole {
					size = n * int64(1+i%5) // 2 to 10 seconds
				}
				begin := time.Now()
				status, body, err := x.post(t.Context(), "flood", longSQL(size, i))
				flood.note(time.Since(begin), status, body, err)
				if status == http.StatusServiceUnavailable {
					time.Sleep(time.Duration(200+rand.IntN(200)) * time.Millisecond)
				}
			}
		})
	}
	var acked inserted
	for c := range 4 {
		wg.Go(func() {
			for id := int64(10_000 + c); time.Now().Before(end); id += 4 {
				begin := time.Now()
				status, body, err := x.post(t.Context(), "quiet", "SELECT * FROM "+table+" WHERE id = $1", id%1000+1)
				lookups.note(time.Since(begin), status, body, err)
				begin = time.Now()
				status, body, err = x.post(t.Context(), "quiet", "INSERT INTO "+table+" VALUES ($1, 'beside the flood')", id)
				if inserts.note(time.Since(begin), status, body, err); status == http.StatusOK {
					acked.add("quiet", id)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	t.Logf("statements of %v and more by %d connections; by status %v", alone, clients, flood.statuses)
	t.Logf("flood: answered %s; refused %s", within(flood.taken), within(flood.refused))
	t.Logf("beside it: lookups %s; inserts %s; refused %d and %d", within(lookups.taken), within(inserts.taken), len(lookups.refused), len(inserts.refused))
	for name, o := range map[string]*outcomes{"flood": flood, "lookups": lookups, "inserts": inserts} {
		for what, n := range o.faults {
			t.Errorf("%s: %d times: %.300s", name, n, strings.TrimSpace(what))
		}
		if len(o.taken) == 0 {
			t.Errorf("%s: nothing was answered", name)
		}
	}
	if len(flood.refused) == 0 {
		t.Error("nothing of the flood was refused: that was none")
	}
	if n := len(lookups.refused) + len(inserts.refused); n > 0 {
		t.Errorf("%d statements of another user were refused", n)
	}
	acked.check(t, s, table)
}
