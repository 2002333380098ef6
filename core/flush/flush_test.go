package flush

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/job"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
	"github.com/kalamdb/kalamdb/store/object"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nobody hears changes.
type nobody struct{}

func (nobody) Publish([]*change.Event)         {}
func (nobody) CountByTable(ident.TableID) int  { return 0 }
func (nobody) ShowsDeleted(ident.TableID) bool { return false }

// place is a bucket that fails on demand.
type place struct {
	bucket object.Bucket
	fail   atomic.Bool
	tries  atomic.Int32
}

func newPlace() *place {
	p := &place{}
	p.bucket = object.Faulty(object.NewMem(), func(_ context.Context, c object.Call) error {
		if c.Op != object.OpCreate {
			return nil
		}
		p.tries.Add(1)
		if p.fail.Load() {
			return object.Unavailable("write", errors.New("disk full"))
		}
		return nil
	})
	return p
}

func (p *place) Bucket(*catalog.Snapshot, ident.StorageID) (object.Bucket, error) {
	return p.bucket, nil
}

func (p *place) ObjectName(_ *catalog.Snapshot, t *ddl.Table, user ident.UserID, file string) (string, error) {
	return fmt.Sprintf("%s/%s-/%s", t.Name, user, file), nil
}

type fixture struct {
	*testing.T
	*Service
	store *table.Store
	jobs  *job.Manager
	place *place
	now   atomic.Int64
	keys  int64
}

func open(t *testing.T, b kv.Backend, p *place, at time.Time, opts Options) *fixture {
	t.Helper()
	f := &fixture{T: t, place: p}
	f.now.Store(at.UnixMicro())
	now := func() time.Time { return time.UnixMicro(f.now.Load()).UTC() }
	ctx := context.Background()
	var err error
	if f.store, err = table.Open(ctx, b, nobody{}, table.Options{Files: p, Now: now, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if f.jobs, _, err = job.Open(ctx, b, job.Options{Node: "test", Now: now}); err != nil {
		t.Fatal(err)
	}
	opts.Store, opts.Jobs, opts.Now = f.store, f.jobs, now
	f.Service = New(opts)
	t.Cleanup(f.close)
	return f
}

func (f *fixture) close() {
	f.jobs.Close(context.Background())
	if err := f.store.Close(); err != nil {
		f.Error(err)
	}
}

func (f *fixture) table(interval time.Duration, rows int64) *ddl.Table {
	f.Helper()
	var out *ddl.Table
	_, err := f.store.Define(context.Background(), func(e *catalog.Edit) error {
		if _, err := e.CreateNamespace("app", nil, true); err != nil {
			return err
		}
		var err error
		out, err = e.CreateTable(&ddl.Table{
			Namespace: "app", Name: "t", Type: ident.UserTable, NextColumn: 2, Flush: ddl.FlushPolicy{Interval: interval, Rows: rows},
			Columns: []ddl.Column{{ID: 1, Name: "id", Type: sqltype.TBigInt}},
		}, false)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return out
}

func (f *fixture) insert(t *ddl.Table, user ident.UserID, n int) {
	f.Helper()
	ws := &exec.WriteSet{Table: t}
	for range n {
		f.keys++
		ws.Writes = append(ws.Writes, exec.Write{Op: change.Insert, New: sqltype.Row{sqltype.NewBigInt(f.keys)}})
	}
	if err := f.store.Commit(context.Background(), nil, user, ws); err != nil {
		f.Fatal(err)
	}
}

// check moves the clock, looks, and waits for what was begun. It says how many
// flushes were.
func (f *fixture) check(later time.Duration) int {
	f.Helper()
	f.now.Add(later.Microseconds())
	before := len(f.jobs.List(""))
	f.Check(context.Background())
	for t := range f.store.Catalog().Tables("app") {
		for f.jobs.Busy(Key(t.ID)) {
			runtime.Gosched()
		}
	}
	return len(f.jobs.List("")) - before
}

func (f *fixture) expect(later time.Duration, flushes int, waiting int64, t *ddl.Table) {
	f.Helper()
	if n := f.check(later); n != flushes || f.store.Stats(t.ID).Waiting != waiting {
		f.Errorf("after %v: %d flushes, %d rows wait; want %d, %d", later, n, f.store.Stats(t.ID).Waiting, flushes, waiting)
	}
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestScheduleHasFixedTimes(t *testing.T) {
	b := memkv.New(memkv.Options{})
	p := newPlace()
	f := open(t, b, p, start, Options{Rows: 1000, Interval: time.Hour})
	tab := f.table(10*time.Second, 0)
	f.insert(tab, "ann", 5000) // no threshold
	f.expect(0, 0, 5000, tab)
	f.expect(9*time.Second, 0, 5000, tab)
	f.expect(4*time.Second, 1, 0, tab) // at 13
	f.insert(tab, "ann", 1)
	f.expect(6*time.Second, 0, 1, tab)  // at 19
	f.expect(1*time.Second, 1, 0, tab)  // at 20, not 23
	f.expect(10*time.Second, 0, 0, tab) // at 30 nothing waits
	f.insert(tab, "ann", 1)
	f.expect(9*time.Second, 0, 1, tab) // at 39
	f.expect(1*time.Second, 1, 0, tab)
	// What came due while the server was down is made up for.
	f.insert(tab, "ann", 2)
	f.close()
	f = open(t, b, p, start.Add(65*time.Second), Options{})
	f.expect(0, 1, 0, tab)
	f.expect(4*time.Second, 0, 0, tab)
	f.insert(tab, "ann", 2)
	f.expect(1*time.Second, 1, 0, tab) // at 70
	if got := f.jobs.List(""); got[0].Origin != "schedule" {
		t.Errorf("the first job is %+v", got[0])
	}
}

func TestThreshold(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), newPlace(), start, Options{MinRowsPerUser: 3})
	tab := f.table(0, 10)
	f.insert(tab, "ann", 7)
	f.insert(tab, "bob", 2)
	f.expect(time.Hour, 0, 9, tab)
	f.insert(tab, "cid", 1)
	f.expect(0, 1, 3, tab) // bob and cid have too few rows for a file
	f.expect(time.Hour, 0, 3, tab)
	f.insert(tab, "bob", 9)
	f.expect(0, 0, 12, tab)
	f.insert(tab, "bob", 1)
	f.expect(0, 1, 1, tab)
	if a, err := f.Flush(context.Background(), tab, Request{Origin: "FLUSH TABLE", User: "root"}); err != nil || a.Rows != 1 || a.Files != 1 || a.Waited {
		t.Errorf("an explicit flush: %+v, %v", a, err)
	}
}

func TestDefaultsAreForTablesThatSayNothing(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), newPlace(), start, Options{Interval: time.Minute, Rows: 5})
	tab := f.table(0, 0)
	f.insert(tab, "ann", 4)
	f.expect(59*time.Second, 0, 4, tab)
	f.insert(tab, "ann", 1)
	f.expect(0, 1, 0, tab)
	f.insert(tab, "ann", 1)
	f.expect(time.Second, 1, 0, tab)
}

func TestFailuresAreTriedAgain(t *testing.T) {
	p := newPlace()
	f := open(t, memkv.New(memkv.Options{}), p, start, Options{})
	tab := f.table(10*time.Second, 0)
	f.insert(tab, "ann", 3)
	p.fail.Store(true)
	f.expect(10*time.Second, 1, 3, tab)
	f.expect(500*time.Millisecond, 0, 3, tab)
	f.expect(500*time.Millisecond, 1, 3, tab) // after 1s
	f.expect(1*time.Second, 0, 3, tab)
	f.expect(1*time.Second, 1, 3, tab) // after 2s
	f.expect(3*time.Second, 0, 3, tab)
	f.expect(1*time.Second, 1, 3, tab) // after 4s
	for range 8 {
		f.check(time.Hour)
	}
	f.expect(299*time.Second, 0, 3, tab)
	p.fail.Store(false)
	f.expect(1*time.Second, 1, 0, tab)
	f.insert(tab, "ann", 1)
	f.expect(10*time.Second, 1, 0, tab)
	jobs := f.jobs.List("")
	if jobs[0].Status != job.Failed || jobs[0].Error == "" || jobs[1].Origin != "retry 1 after a failure" {
		t.Errorf("the first jobs are %+v", jobs[:2])
	}
}

func TestOneFlushAtATime(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), newPlace(), start, Options{Rows: 1})
	tab := f.table(0, 1)
	f.insert(tab, "ann", 1)
	end := make(chan struct{})
	if _, err := f.jobs.Start(context.Background(), job.Spec{Type: "x", Key: Key(tab.ID)}, func(context.Context, *job.Task) (string, error) {
		<-end
		return "", nil
	}); err != nil {
		t.Fatal(err)
	}
	f.Check(context.Background())
	if n := len(f.jobs.List("")); n != 1 {
		t.Errorf("%d jobs while one is under way", n)
	}
	answers := make(chan Answer, 1)
	u, err := f.begin(context.Background(), tab, Request{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		a, err := u.wait(context.Background())
		if err != nil {
			t.Error(err)
		}
		answers <- a
	}()
	close(end)
	if a := <-answers; !a.Waited || a.Rows != 1 {
		t.Errorf("%+v", a)
	}
}

func TestServiceFollowsTheSchedule(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), newPlace(), time.Now(), Options{CheckInterval: time.Millisecond})
	tab := f.table(0, 3)
	f.Start()
	defer f.Stop()
	f.insert(tab, "ann", 3)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for f.store.Stats(tab.ID).Waiting > 0 && ctx.Err() == nil {
		runtime.Gosched()
	}
	if ctx.Err() != nil {
		t.Error("nothing was flushed")
	}
}

// TestLag watches for how long rows wait while flushes fail, and after.
func TestLag(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), newPlace(), start, Options{Rows: 1000, Interval: time.Hour})
	tab := f.table(10*time.Second, 0)
	lag := func(want time.Duration) {
		t.Helper()
		if st := f.Stats(); st.Lag != want {
			t.Errorf("the lag is %v, want %v: %+v", st.Lag, want, st)
		}
	}
	f.expect(2*time.Second, 0, 0, tab)
	lag(0)
	f.insert(tab, "ann", 5)
	f.expect(1*time.Second, 0, 5, tab) // at 3: seen
	lag(0)
	f.expect(4*time.Second, 0, 5, tab)
	lag(4 * time.Second)
	f.place.fail.Store(true)
	f.expect(4*time.Second, 1, 5, tab) // at 11
	lag(8 * time.Second)
	f.place.fail.Store(false)
	f.expect(5*time.Second, 1, 0, tab) // tried again at 16
	f.expect(1*time.Second, 0, 0, tab)
	lag(0)
	if st := f.Stats(); st.Flushes != 2 || st.Failures != 1 || st.Rows != 5 || st.Took.Count != 2 {
		t.Errorf("%+v", st)
	}
	if got := f.store.Totals(); got.Flushed != 5 || got.Waiting != 0 || got.Files != 1 || got.Bytes == 0 {
		t.Errorf("%+v", got)
	}
}
