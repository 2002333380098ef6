package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/integration/harness"
	"github.com/kalamdb/kalamdb/link"
)

// TestDisconnectsUnderWriters cuts the connections of three listeners at
// random points while ten writers insert: nothing is lost, doubled or
// reordered (FR-159, FR-161, FR-164). -soak.disconnects says how often.
func TestDisconnectsUnderWriters(t *testing.T) {
	const writers, listeners = 10, 3
	r := newRoom(t, "CREATE USER TABLE messages (w INT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (w, n))")
	ctx, cancel := context.WithTimeout(context.Background(), harness.Limit+time.Duration(*soakDisconnects)*200*time.Millisecond)
	defer cancel()

	var ends [writers]atomic.Int64 // how many rows a writer has inserted in the end
	var heard [listeners]atomic.Int64
	var done, writing sync.WaitGroup
	finished := make(chan struct{})
	failed := make(chan error, writers+listeners)
	for i := range listeners {
		var opts []link.SubscribeOption
		if i == 2 {
			opts = append(opts, link.Buffer(64)) // is too slow at times
		}
		sub := subscribe(t, r.listener(t), "SELECT w, n FROM messages", opts...)
		done.Go(func() {
			if err := hearAll(ctx, sub, &heard[i], finished, &ends); err != nil {
				failed <- fmt.Errorf("listener %d: %w", i, err)
				cancel()
			}
		})
	}
	stop := make(chan struct{})
	for w := range writers {
		writing.Go(func() {
			for n := int64(1); ; n++ {
				if _, err := r.writer.Exec(ctx, "INSERT INTO messages VALUES ($1, $2)", w, n); err != nil {
					if ctx.Err() == nil {
						failed <- fmt.Errorf("writer %d: %w", w, err)
						cancel()
					}
					return
				}
				ends[w].Store(n)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	// The connections live for a random short time, and mostly until some
	// listener has heard something new: cuts meet handshakes, repetitions and changes.
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	sum := func() (n int64) {
		for i := range heard {
			n += heard[i].Load()
		}
		return n
	}
	for r.proxy.Cuts() < *soakDisconnects && ctx.Err() == nil {
		was := sum()
		pause := time.NewTimer(time.Duration(1+rng.IntN(8)) * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		if rng.IntN(4) > 0 {
			tick := time.NewTicker(time.Millisecond)
			for sum() == was && ctx.Err() == nil {
				<-tick.C
			}
			tick.Stop()
		}
		r.proxy.Cut()
	}
	close(stop)
	writing.Wait()
	close(finished)
	done.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	var total int64
	for w := range ends {
		total += ends[w].Load()
	}
	if n := harness.Query[int64](t, r.writer, "SELECT count(*) FROM messages")[0]; n != total {
		t.Errorf("%d rows are there, %d were inserted", n, total)
	}
	t.Logf("%d rows by %d writers, %d disconnects", total, writers, r.proxy.Cuts())
}

// hearAll reads until it has heard every row of every writer, and fails at a
// row that comes twice, or as a live change before an earlier one of its
// writer.
func hearAll(ctx context.Context, sub *link.Subscription, heard *atomic.Int64, finished <-chan struct{}, ends *[10]atomic.Int64) error {
	seen := make([]map[int64]bool, len(ends))
	live := make([]int64, len(ends))  // the newest row of a writer that came as a live change
	until := make([]int64, len(ends)) // all rows up to it were heard
	for w := range seen {
		seen[w] = map[int64]bool{}
	}
	complete := func() bool {
		select {
		case <-finished:
		default:
			return false
		}
		for w := range ends {
			if until[w] < ends[w].Load() {
				return false
			}
		}
		return true
	}
	for !complete() {
		// The end of the writers may come when everything was heard already.
		wait, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		e, err := sub.Next(wait)
		stop()
		if ctx.Err() != nil {
			return fmt.Errorf("heard %v of the writers' rows", until)
		}
		if err == context.DeadlineExceeded {
			continue
		}
		if err != nil {
			return err
		}
		if e.Kind == link.EventResynced {
			return fmt.Errorf("the server does not know what was missed: %v", e.Err)
		}
		if !e.Kind.HasRow() {
			continue
		}
		var w int
		var n int64
		if err := e.Row.Scan(&w, &n, nil, nil); err != nil {
			return err
		}
		switch {
		case e.Kind != link.EventInsert:
			return fmt.Errorf("row %d of writer %d came as %s", n, w, e.Kind)
		case n <= until[w] || seen[w][n]:
			return fmt.Errorf("row %d of writer %d came twice", n, w)
		case n <= live[w]:
			return fmt.Errorf("row %d of writer %d came behind row %d", n, w, live[w])
		}
		if !e.CatchUp && !e.Resync {
			// What was missed comes in no order, but before what is new.
			if n != until[w]+1 {
				return fmt.Errorf("row %d of writer %d came before row %d", n, w, until[w]+1)
			}
			live[w] = n
		}
		seen[w][n] = true
		for seen[w][until[w]+1] {
			until[w]++
			delete(seen[w], until[w])
		}
		heard.Add(1)
	}
	return nil
}
