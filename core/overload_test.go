package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/core/slot"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/store/vector"
)

// stuck is a sink that keeps its statement's place until it is let go.
type stuck struct {
	recorder
	begun, goOn chan struct{}
}

func (s *stuck) Batch(b *vector.Batch) error {
	close(s.begun)
	<-s.goOn
	return s.recorder.Batch(b)
}

// until waits for the gate to be in a state.
func (d *db) until(what string, is func(slot.Stats) bool) {
	d.Helper()
	for begin := time.Now(); !is(d.gate.Stats()); runtime.Gosched() {
		if time.Since(begin) > time.Minute {
			d.Fatalf("%s: %+v", what, d.gate.Stats())
		}
	}
}

// TestOverloaded fills the engine's only place: another statement waits, one
// more is refused with nothing run, and KILL passes.
func TestOverloaded(t *testing.T) {
	cfg := testConfig(config.BackendMemory, "")
	cfg.Query.MaxRunning, cfg.Query.MaxConcurrent, cfg.Query.MaxWait = 1, 2, config.Duration(time.Minute)
	d := openDB(t, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY)")
	sink := &stuck{begun: make(chan struct{}), goOn: make(chan struct{})}
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		first <- d.session(who("ann")).Execute(context.Background(), Request{SQL: "SELECT 1"}, sink)
	}()
	<-sink.begun
	go func() {
		_, err := d.exec("bob", "INSERT INTO app.t VALUES (1)")
		second <- err
	}()
	d.until("one waits", func(s slot.Stats) bool { return s.Waiting == 1 })
	_, err := d.exec("bob", "INSERT INTO app.t VALUES (2)")
	var st *StatementError
	if dberr.CodeOf(err) != dberr.ResourceExhausted || errors.As(err, &st) {
		t.Errorf("beyond the limit: %v", err)
	}
	if _, err := d.session(who("bob")).Subscribe(t.Context(), SubscribeRequest{SQL: "SELECT * FROM app.t", ID: "s"}); dberr.CodeOf(err) != dberr.ResourceExhausted {
		t.Errorf("a subscription beyond the limit: %v", err)
	}
	if _, err := d.exec("bob", " kill live query 'lq_none' ; "); dberr.CodeOf(err) != dberr.SubscriptionNotFound {
		t.Errorf("KILL: %v", err)
	}
	if _, err := d.exec("bob", "KILL LIVE QUERY 'lq_none'; SELECT 1"); dberr.CodeOf(err) != dberr.ResourceExhausted {
		t.Errorf("KILL and more: %v", err)
	}
	d.SetLimits(config.Query{MaxRunning: 2, MaxConcurrent: 3})
	if err := <-second; err != nil {
		t.Error(err)
	}
	close(sink.goOn)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if a := d.must("bob", "SELECT id FROM app.t"); len(a[0].rows) != 1 {
		t.Errorf("%v is there; the refused one was run", a[0].rows)
	}
	d.until("all is over", func(s slot.Stats) bool { return s.UnderWay == 0 && s.Running == 0 })
}

// TestWritersShareASync has more writers than places: while the committer is
// busy they all come to wait for it, and it takes them together.
func TestWritersShareASync(t *testing.T) {
	cfg := testConfig(config.BackendBadger, t.TempDir())
	cfg.Query.MaxRunning, cfg.Query.MaxWait = 1, config.Duration(time.Minute)
	d := openDB(t, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY)")
	const writers = 40
	busy, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.store.Between(context.Background(), func(*table.State) error { close(busy); <-goOn; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-busy
	before := d.Stats().Commit.Sizes.Count
	for i := range writers {
		wg.Go(func() {
			if _, err := d.exec("ann", fmt.Sprintf("INSERT INTO app.t VALUES (%d)", i)); err != nil {
				t.Error(err)
			}
		})
	}
	d.until("all wait for the committer", func(s slot.Stats) bool { return s.UnderWay == writers && s.Running == 0 && s.Waiting == 0 })
	close(goOn)
	wg.Wait()
	// The first batch may have begun before the last writer was in its queue.
	if n := d.Stats().Commit.Sizes.Count - before; n > 5 {
		t.Errorf("%d writers needed %d syncs", writers, n)
	}
	if a := d.must("ann", "SELECT count(*) FROM app.t"); a[0].rows[0] != fmt.Sprint(writers) {
		t.Error(a)
	}
}

// TestOnePlaceForConflicts has statements that must run again, and take turns,
// in a single place.
func TestOnePlaceForConflicts(t *testing.T) {
	cfg := testConfig(config.BackendMemory, "")
	cfg.Query.MaxRunning, cfg.Query.MaxWait = 1, config.Duration(time.Minute)
	d := openDB(t, cfg)
	d.must(admin, "CREATE NAMESPACE app; CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, n BIGINT)")
	d.must("ann", "INSERT INTO app.t VALUES (1, 0)")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 10 {
				if _, err := d.exec("ann", "UPDATE app.t SET n = n + 1 WHERE id = 1"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if a := d.must("ann", "SELECT n FROM app.t"); a[0].rows[0] != "160" {
		t.Error(a)
	}
}

// TestSlowLogIsLimited has all statements slow: a sample is logged, and how
// many were not.
func TestSlowLogIsLimited(t *testing.T) {
	var l slowLog
	at := time.Unix(1000, 0)
	for i := range maxSlow {
		if skipped, ok := l.take(at); !ok || skipped != 0 {
			t.Fatal(i, skipped, ok)
		}
	}
	for range 7 {
		if _, ok := l.take(at.Add(time.Second - 1)); ok {
			t.Error("more than so many in one second")
		}
	}
	if skipped, ok := l.take(at.Add(time.Second)); !ok || skipped != 7 {
		t.Error(skipped, ok)
	}
	if skipped, ok := l.take(at.Add(time.Second)); !ok || skipped != 0 {
		t.Error("told twice:", skipped, ok)
	}

	var log bytes.Buffer
	cfg := testConfig(config.BackendMemory, "")
	cfg.Query.Slow = 1
	e, err := Open(context.Background(), cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	d := &db{TB: t, Engine: e}
	begin := time.Now()
	for range 20 * maxSlow {
		d.must(admin, "SELECT 1")
	}
	seconds := int(time.Since(begin).Seconds()) + 2
	if err := e.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "slow statement"); n < maxSlow || n > seconds*maxSlow {
		t.Errorf("%d lines in at most %d seconds", n, seconds)
	}
}
