package table

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
	"github.com/kalamdb/kalamdb/store/object"
)

func (f *fixture) compact(t *ddl.Table, opts CompactOptions) CompactResult {
	f.Helper()
	res, err := f.Compact(context.Background(), t.ID, opts)
	if err != nil {
		f.Fatal(err)
	}
	return res
}

func TestCompact(t *testing.T) {
	forTiers(t, func(t *testing.T, f *fixture, p *place) {
		tab := f.table(ident.UserTable, "t", true, nil)
		for i := range int64(5) {
			f.mustCommit("ann", tab, insert(i, fmt.Sprint("a", i)))
			f.mustCommit("bob", tab, insert(i, "b"))
			f.flush(tab)
		}
		if err := f.delete("ann", tab, 1); err != nil {
			t.Fatal(err)
		}
		if err := f.delete("ann", tab, 2); err != nil {
			t.Fatal(err)
		}
		if err := f.update("ann", tab, 3, func(string) string { return "changed" }); err != nil {
			t.Fatal(err)
		}
		f.flush(tab)
		st := f.Acquire()
		// A key that is used again while its tombstone goes.
		f.mustCommit("ann", tab, insert(2, "back"))
		if res := f.compact(tab, CompactOptions{}); res.Rows != 10 || res.Dropped != 3 || res.Files != 2 || res.Replaced != 11 {
			t.Errorf("compacted %+v", res)
		}
		all := exec.ScanRequest{Ordered: true, IncludeDeleted: true}
		want := "0=a0 1=a1! 2=back 3=changed 4=a4"
		if got := bodies(f.scan("ann", tab, all)); got != want {
			t.Errorf("ann has %s", got)
		}
		if got := bodies(f.scanAt(st, "ann", tab, all)); got != "0=a0 1=a1! 2=a2! 3=changed 4=a4" {
			t.Errorf("a reader from before has %s", got)
		}
		if n := len(p.names(t)); n != 13 {
			t.Errorf("%d files while somebody reads the old ones", n)
		}
		st.Release()
		if s := f.Stats(tab.ID); s.Files != 2 || s.Deleted != 1 || s.Buffered != 1 || s.Flushed != 8 {
			t.Errorf("stats are %+v", s)
		}
		f.clock.advance(time.Hour)
		if res := f.compact(tab, CompactOptions{DeletedBefore: f.clock.now()}); res.Dropped != 2 || res.Replaced != 1 {
			t.Errorf("then compacted %+v", res)
		}
		if got := bodies(f.scan("ann", tab, all)); got != "0=a0 2=back 3=changed 4=a4" {
			t.Errorf("ann has %s", got)
		}
		if s := f.Stats(tab.ID); s.Deleted != 0 || s.Buffered+s.Flushed != 9 {
			t.Errorf("stats are %+v", s)
		}
		if f.lost("ann", tab) == 0 || f.lost("bob", tab) != 0 {
			t.Error("it is not known whose deletions are forgotten")
		}
		if res := f.compact(tab, CompactOptions{}); res != (CompactResult{}) {
			t.Errorf("nothing compacted is %+v", res)
		}
		for range 2000 {
			if len(p.names(t)) == 2 {
				return
			}
			f.mustCommit("bob", tab, insert(int64(f.cur.Load().number)+1000, ""))
		}
		t.Errorf("%d files stay", len(p.names(t)))
	})
}

// TestCompactEverything drops all rows of a user.
func TestCompactEverything(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{Files: newPlace()})
	tab := f.table(ident.UserTable, "t", true, nil)
	f.mustCommit("ann", tab, insert(1, "a"))
	if err := f.delete("ann", tab, 1); err != nil {
		t.Fatal(err)
	}
	f.flush(tab)
	f.clock.advance(time.Hour)
	if res := f.compact(tab, CompactOptions{DeletedBefore: f.clock.now()}); res.Dropped != 1 || res.Files != 0 {
		t.Errorf("compacted %+v", res)
	}
	if s := f.Stats(tab.ID); s.Files != 0 || s.Bytes != 0 || s.Deleted != 0 {
		t.Errorf("stats are %+v", s)
	}
	f.mustCommit("ann", tab, insert(1, "b"))
	f.flush(tab)
	if got := bodies(f.scan("ann", tab, exec.ScanRequest{})); got != "1=b" {
		t.Errorf("ann has %s", got)
	}
}

// TestCompactIsInterrupted is TestFlushIsInterrupted for a compaction.
func TestCompactIsInterrupted(t *testing.T) {
	for _, step := range []string{StepCompactNoted, StepCompactWritten, StepCompactListed} {
		t.Run(step, func(t *testing.T) {
			b := memkv.New(memkv.Options{})
			p, after := newPlace(), newPlace()
			f := open(t, b, Options{Files: p})
			tab := f.table(ident.UserTable, "t", true, nil)
			for i := range int64(3) {
				f.mustCommit("ann", tab, insert(i, "a"))
				f.flush(tab)
			}
			var then *memkv.Backend
			f.Store.opts.Step = func(name string) {
				if name != step {
					return
				}
				for _, n := range p.names(t) {
					if _, err := object.Copy(context.Background(), after.bucket, n, p.bucket, n, object.CreateOptions{}); err != nil {
						t.Error(err)
					}
				}
				then = copyBackend(t, b)
			}
			f.compact(tab, CompactOptions{})
			g := open(t, then, Options{Files: after})
			<-g.files.clean
			if got := bodies(g.scan("ann", tab, exec.ScanRequest{Ordered: true})); got != "0=a 1=a 2=a" {
				t.Errorf("after the crash: %s", got)
			}
			if n, s := len(after.names(t)), g.Stats(tab.ID); int64(n) != s.Files || s.Flushed != 3 {
				t.Errorf("%d files, stats %+v", n, s)
			}
		})
	}
}
