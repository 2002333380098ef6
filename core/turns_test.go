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
	"testing/synctest"

	"github.com/kalamdb/kalamdb/commons/config"
)

// TestLongChangeBesideShortOnes changes every row of a table while others
// change single rows of it without a pause: that comes through, too.
func TestLongChangeBesideShortOnes(t *testing.T) {
	d := openDB(t, testConfig(config.BackendMemory, ""))
	d.must(admin, `CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY, n INT) ACCESS open;
		INSERT INTO app.t SELECT x, 0 FROM generate_series(1, 5000) AS g(x)`)
	ctx, cancel := context.WithCancel(t.Context())
	var short atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		parallel(4, func(w int) {
			for i := w; ctx.Err() == nil; i += 4 {
				if _, err := d.exec("ann", fmt.Sprintf("UPDATE app.t SET n = n + 1 WHERE id = %d", 1+i%5000)); err != nil {
					t.Error(err)
				}
				short.Add(1)
			}
		})
	}()
	const long = 5
	for range long {
		if _, err := d.exec("bob", "UPDATE app.t SET n = n + 1"); err != nil {
			t.Error(err)
		}
	}
	cancel()
	<-done
	d.idle()
	if got, want := d.rows(admin, "SELECT sum(n) FROM app.t"), fmt.Sprint(long*5000+short.Load()); got != want {
		t.Errorf("the rows add up to %s, want %s", got, want)
	}
}

func TestTurns(t *testing.T) {
	var tr turns
	row := []demand{{claim{onRow, "row"}, false}}
	give, err := tr.take(t.Context(), row)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tr.take(ctx, row); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with an ended context: %v", err)
	}
	other, err := tr.take(t.Context(), []demand{{claim{onRow, "other row"}, false}})
	if err != nil {
		t.Fatal(err)
	}
	other()
	n, had := 0, make(chan struct{})
	go func() {
		parallel(8, func(int) {
			give, err := tr.take(t.Context(), row)
			if err != nil {
				t.Error(err)
				return
			}
			n++ // the race detector would see two at once
			give()
			give()
		})
		close(had)
	}()
	give()
	<-had
	if n != 8 || len(tr.m) != 0 {
		t.Errorf("%d turns, %d left behind", n, len(tr.m))
	}
}

// idle checks that no statement is left that has a turn or waits for one.
func (d *db) idle() {
	d.Helper()
	d.turns.mu.Lock()
	defer d.turns.mu.Unlock()
	if len(d.turns.m) > 0 || d.turns.alone.Load() != 0 {
		d.Errorf("turns are left: %v, %d alone", d.turns.m, d.turns.alone.Load())
	}
}

// TestTurnsOrder holds who may come when: in the order in which they asked,
// those together who share.
func TestTurnsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u turns
		alone, shared := aloneOn(1), besideAlter(1)
		var mu sync.Mutex
		var log []string
		gives := map[string]func(){}
		ask := func(name string, ctx context.Context, d ...demand) {
			go func() {
				give, err := u.take(ctx, d)
				if err != nil {
					name += " gives up"
				}
				mu.Lock()
				defer mu.Unlock()
				log = append(log, name)
				gives[name] = give
			}()
			synctest.Wait()
		}
		end := func(name string) {
			mu.Lock()
			give := gives[name]
			mu.Unlock()
			give()
			give() // which does nothing
			synctest.Wait()
		}
		want := func(what string) {
			t.Helper()
			slices.Sort(log)
			if got := strings.Join(log, ", "); got != what {
				t.Errorf("came %q, want %q", got, what)
			}
			log = nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ask("w1", t.Context(), shared)
		ask("w2", t.Context(), shared)
		ask("a1", t.Context(), alone)
		ask("w3", t.Context(), shared)
		ask("a2", ctx, alone)
		ask("w4", t.Context(), shared)
		ask("a3", t.Context(), alone)
		ask("other table", t.Context(), aloneOn(2))
		want("other table, w1, w2")
		end("w1")
		want("")
		end("w2")
		want("a1")
		end("a1")
		want("w3")
		cancel() // who waited behind a2 may share with w3
		synctest.Wait()
		want("a2 gives up, w4")
		end("w4")
		end("w3")
		want("a3")
		end("a3")
		end("other table")

		// Two that need the same in another order do not wait for each other.
		p, q := demand{claim{onPartition, "p"}, false}, demand{claim{onPartition, "q"}, false}
		ask("first", t.Context(), p, q)
		ask("second", t.Context(), q, p)
		if n := u.alone.Load(); n == 0 {
			t.Error("nobody hears of who has a partition alone")
		}
		end("first")
		end("second")
		want("first, second")
		if len(u.m) > 0 || u.alone.Load() != 0 {
			t.Errorf("left: %v, %d", u.m, u.alone.Load())
		}
	})
}
