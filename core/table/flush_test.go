package table

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
	"github.com/kalamdb/kalamdb/store/object"
)

// place is one bucket for all files.
type place struct{ bucket object.Bucket }

func newPlace() *place { return &place{object.NewMem()} }

func (p *place) Bucket(*catalog.Snapshot, ident.StorageID) (object.Bucket, error) {
	return p.bucket, nil
}

func (p *place) ObjectName(_ *catalog.Snapshot, t *ddl.Table, user ident.UserID, file string) (string, error) {
	if user == "" {
		user = "shared"
	}
	return fmt.Sprintf("%s/%s/%s", t.Name, user, file), nil
}

// names lists the files.
func (p *place) names(t testing.TB) (out []string) {
	t.Helper()
	for i, err := range p.bucket.List(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, i.Name)
	}
	return out
}

func (f *fixture) flush(t *ddl.Table) FlushResult {
	f.Helper()
	res, err := f.Flush(context.Background(), t.ID, FlushOptions{})
	if err != nil {
		f.Fatal(err)
	}
	return res
}

// forTiers runs a test on every backend with a place for files.
func forTiers(t *testing.T, test func(t *testing.T, f *fixture, p *place)) {
	for name, make := range backends {
		t.Run(name, func(t *testing.T) {
			p := newPlace()
			test(t, open(t, make(t), Options{Files: p}), p)
		})
	}
}

func bodies(rows []stored) string {
	var out []string
	for _, r := range rows {
		s := fmt.Sprintf("%d=%s", r.id, r.body)
		if r.deleted {
			s += "!"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestFlushMovesRows(t *testing.T) {
	forTiers(t, func(t *testing.T, f *fixture, p *place) {
		tab := f.table(ident.UserTable, "t", true, nil)
		f.mustCommit("ann", tab, insert(1, "a"), insert(2, "b"), insert(3, "c"))
		f.mustCommit("bob", tab, insert(1, "x"))
		if err := f.delete("ann", tab, 2); err != nil {
			t.Fatal(err)
		}
		if res := f.flush(tab); res.Rows != 4 || res.Files != 2 || res.Bytes == 0 {
			t.Errorf("flushed %+v", res)
		}
		stats := f.Stats(tab.ID)
		if stats.Buffered != 0 || stats.Flushed != 3 || stats.Waiting != 0 || stats.Files != 2 || stats.Bytes == 0 || stats.LastFlush.IsZero() || stats.Deleted != 1 {
			t.Errorf("stats are %+v", stats)
		}
		all := exec.ScanRequest{Ordered: true, IncludeDeleted: true}
		if got := bodies(f.scan("ann", tab, all)); got != "1=a 2=b! 3=c" {
			t.Errorf("ann has %s", got)
		}
		if got := bodies(f.scan("bob", tab, all)); got != "1=x" {
			t.Errorf("bob has %s", got)
		}
		// Cold rows are changed like hot ones.
		if err := f.update("ann", tab, 1, func(s string) string { return s + "2" }); err != nil {
			t.Fatal(err)
		}
		if err := f.delete("ann", tab, 3); err != nil {
			t.Fatal(err)
		}
		if err := f.commit("ann", tab, insert(1, "again")); code(err) != dberr.UniqueViolation {
			t.Errorf("a key that a cold row has: %v", err)
		}
		f.mustCommit("ann", tab, insert(2, "back"), insert(4, "d"))
		if got := bodies(f.scan("ann", tab, exec.ScanRequest{Ordered: true})); got != "1=a2 2=back 4=d" {
			t.Errorf("ann has %s", got)
		}
		stats = f.Stats(tab.ID)
		if stats.Buffered != 3 || stats.Flushed != 1 || stats.Waiting != 4 || stats.Deleted != 1 {
			t.Errorf("stats are %+v", stats)
		}
		if res := f.flush(tab); res.Rows != 4 || res.Files != 1 {
			t.Errorf("flushed %+v", res)
		}
		if got := bodies(f.scan("ann", tab, exec.ScanRequest{Reverse: true})); got != "4=d 2=back 1=a2" {
			t.Errorf("ann has %s", got)
		}
		if res := f.flush(tab); res != (FlushResult{}) {
			t.Errorf("nothing flushed is %+v", res)
		}
		if live, deleted := f.RowCount(tab.ID); live != 4 || deleted != 1 {
			t.Errorf("counted %d and %d", live, deleted)
		}
		if n := len(p.names(t)); n != 3 {
			t.Errorf("%d files", n)
		}
	})
}

// interrupted flushes a table and gives up at a step.
func (f *fixture) interrupted(t *ddl.Table, step string) {
	f.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.Store.opts.Step = func(name string) {
		if name == step {
			cancel()
		}
	}
	defer func() { f.Store.opts.Step = func(string) {} }()
	if _, err := f.Flush(ctx, t.ID, FlushOptions{}); err != nil && !errors.Is(err, context.Canceled) {
		f.Fatal(err)
	}
}

// countRows counts with a scan of no columns.
func (f *fixture) countRows(user ident.UserID, t *ddl.Table, deleted bool) (n int) {
	f.Helper()
	st := f.Acquire()
	defer st.Release()
	v := View{Store: f.Store, State: st, User: user, Now: f.clock.now()}
	src, err := v.Table(context.Background(), t)
	if err != nil {
		f.Fatal(err)
	}
	sc, err := src.Scan(context.Background(), exec.ScanRequest{IncludeDeleted: deleted})
	if err != nil {
		f.Fatal(err)
	}
	defer sc.Close()
	for {
		b, err := sc.Next(context.Background())
		if err != nil {
			f.Fatal(err)
		}
		if b == nil {
			return n
		}
		n += b.Rows()
	}
}

// TestFlushBesideWriters changes rows while the table is flushed again and
// again: no update is lost and no reader sees a row twice or not at all.
func TestFlushBesideWriters(t *testing.T) {
	forTiers(t, func(t *testing.T, f *fixture, _ *place) {
		tab := f.table(ident.SharedTable, "t", true, nil)
		const rows, writers, each = 300, 4, 60
		var set []exec.Write
		for i := range int64(rows) {
			set = append(set, insert(i, "0"))
		}
		f.mustCommit("", tab, set...)
		var wg sync.WaitGroup
		var stop atomic.Bool
		wg.Go(func() {
			for !stop.Load() {
				if _, err := f.Flush(context.Background(), tab.ID, FlushOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for !stop.Load() {
				if got := f.scan("", tab, exec.ScanRequest{}); len(got) != rows {
					t.Errorf("a reader sees %d rows", len(got))
				}
			}
		})
		var writing sync.WaitGroup
		for w := range writers {
			writing.Go(func() {
				r := rand.New(rand.NewPCG(1, uint64(w)))
				for range each {
					err := f.update("", tab, r.Int64N(20), func(s string) string {
						n := 0
						_, _ = fmt.Sscan(s, &n)
						return fmt.Sprint(n + 1)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
		stop.Store(true)
		wg.Wait()
		f.flush(tab)
		sum := 0
		for _, r := range f.scan("", tab, exec.ScanRequest{}) {
			n := 0
			_, _ = fmt.Sscan(r.body, &n)
			sum += n
		}
		if sum != writers*each {
			t.Errorf("%d updates of %d are there", sum, writers*each)
		}
		if s := f.Stats(tab.ID); s.Buffered != 0 || s.Flushed != rows {
			t.Errorf("stats are %+v", s)
		}
	})
}

// TestFlushRemovesRowsBeforeACommit prepares statements while rows are in both
// tiers, and commits them when a flush has removed the hot ones: the keys are
// taken still, and the rows are those that were read.
func TestFlushRemovesRowsBeforeACommit(t *testing.T) {
	forTiers(t, func(t *testing.T, f *fixture, _ *place) {
		tab := f.table(ident.SharedTable, "t", true, nil)
		f.mustCommit("", tab, insert(1, "a"), insert(2, "b"), insert(3, "c"), insert(4, "d"))
		if err := f.delete("", tab, 4); err != nil {
			t.Fatal(err)
		}
		change := func(from, to int64, body string) exec.Write {
			old, _ := f.get("", tab, from)
			return exec.Write{Op: change.Update, Old: row(from, old.body), OldSeq: old.seq, New: row(to, body)}
		}
		writes := []exec.Write{insert(1, "twice"), change(2, 2, "new"), change(3, 1, "moved to a key that is taken"), insert(4, "again")}
		var waiting []*prepared
		f.opts.Step = func(step string) {
			if step != StepListed {
				return
			}
			for _, w := range writes {
				p, err := f.prepare(context.Background(), nil, "", &exec.WriteSet{Table: tab, Writes: []exec.Write{w}})
				if err != nil {
					t.Error(err)
				}
				waiting = append(waiting, p)
			}
		}
		f.flush(tab)
		if len(waiting) != len(writes) {
			t.Fatal("the flush was not seen")
		}
		for i, p := range waiting {
			err := f.enqueue(context.Background(), p, nil)
			if taken := i%2 == 0; taken != errors.Is(err, errDuplicate) || !taken && err != nil {
				t.Errorf("write %d: %v", i, err)
			}
		}
		got := f.scan("", tab, exec.ScanRequest{})
		slices.SortFunc(got, func(a, b stored) int { return int(a.id - b.id) })
		if bodies(got) != "1=a 2=new 3=c 4=again" {
			t.Errorf("the rows are %s", bodies(got))
		}
		if s := f.Stats(tab.ID); s.Buffered != 2 || s.Flushed != 2 {
			t.Errorf("stats are %+v", s)
		}
	})
}

// TestFlushIsInterrupted ends a flush at each step, starts again, and finds
// each row once and no file that is not listed.
func TestFlushIsInterrupted(t *testing.T) {
	for _, step := range []string{StepNoted, StepWritten, StepListed, StepRemoving, StepRemoved} {
		t.Run(step, func(t *testing.T) {
			b := memkv.New(memkv.Options{})
			p := newPlace()
			f := open(t, b, Options{Files: p})
			tab := f.table(ident.UserTable, "t", true, nil)
			f.mustCommit("ann", tab, insert(1, "a"), insert(2, "b"))
			f.flush(tab)
			f.mustCommit("ann", tab, insert(3, "c"))
			if err := f.update("ann", tab, 1, func(string) string { return "a2" }); err != nil {
				t.Fatal(err)
			}
			// What the backend and the bucket have at that moment is what a
			// crash leaves.
			var then *memkv.Backend
			after := newPlace()
			f.Store.opts.Step = func(name string) {
				if name == step {
					then = copyBackend(t, b)
					for _, n := range p.names(t) {
						if _, err := object.Copy(context.Background(), after.bucket, n, p.bucket, n, object.CreateOptions{}); err != nil {
							t.Error(err)
						}
					}
				}
			}
			f.flush(tab)
			f.Store.opts.Step = func(string) {}
			g := open(t, then, Options{Files: after})
			const want = "1=a2 2=b 3=c"
			if got := bodies(g.scan("ann", tab, exec.ScanRequest{Ordered: true})); got != want {
				t.Errorf("after the crash: %s", got)
			}
			if n := g.countRows("ann", tab, false); n != 3 {
				t.Errorf("counted %d", n)
			}
			<-g.files.clean
			if n, s := len(after.names(t)), g.Stats(tab.ID); int64(n) != s.Files || s.Buffered+s.Flushed != 3 {
				t.Errorf("%d files, stats %+v", n, s)
			}
			g.flush(tab)
			if got := bodies(g.scan("ann", tab, exec.ScanRequest{Ordered: true})); got != want {
				t.Errorf("after the next flush: %s", got)
			}
			if s := g.Stats(tab.ID); s.Buffered != 0 || s.Flushed != 3 || s.Files != 2 || len(after.names(t)) != 2 {
				t.Errorf("stats are %+v, %d files", s, len(after.names(t)))
			}
		})
	}
}

func copyBackend(t *testing.T, b kv.Backend) *memkv.Backend {
	t.Helper()
	out := memkv.New(memkv.Options{})
	snap, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	for p, err := range snap.Partitions("") {
		if err != nil {
			t.Fatal(err)
		}
		var batch kv.Batch
		it := snap.Scan(p, kv.Range{})
		for it.Next() {
			v, err := it.Value()
			if err != nil {
				t.Fatal(err)
			}
			batch.Put(p, it.Key(), v)
		}
		it.Close()
		if err := out.Write(context.Background(), &batch); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestFlushFails(t *testing.T) {
	p := newPlace()
	var broken atomic.Bool
	p.bucket = object.Faulty(p.bucket, func(_ context.Context, c object.Call) error {
		if broken.Load() && c.Op == object.OpCommit && strings.Contains(c.Name, "bob") {
			return object.Unavailable("write", errors.New("disk full"))
		}
		return nil
	})
	f := open(t, memkv.New(memkv.Options{}), Options{Files: p})
	tab := f.table(ident.UserTable, "t", true, nil)
	f.mustCommit("ann", tab, insert(1, "a"))
	f.mustCommit("bob", tab, insert(1, "b"))
	broken.Store(true)
	if res, err := f.Flush(context.Background(), tab.ID, FlushOptions{}); code(err) != dberr.StorageUnavailable || res != (FlushResult{Looked: 2}) {
		t.Errorf("%+v, %v", res, err)
	}
	if n := p.names(t); len(n) != 0 {
		t.Errorf("files are left: %v", n)
	}
	if got := bodies(f.scan("ann", tab, exec.ScanRequest{})); got != "1=a" {
		t.Errorf("ann has %s", got)
	}
	broken.Store(false)
	if res := f.flush(tab); res.Rows != 2 || res.Files != 2 {
		t.Errorf("then %+v", res)
	}
	if _, err := f.Flush(context.Background(), 99999, FlushOptions{}); code(err) != dberr.TableNotFound {
		t.Errorf("no table: %v", err)
	}
	stream := f.table(ident.StreamTable, "s", false, nil)
	if _, err := f.Flush(context.Background(), stream.ID, FlushOptions{}); code(err) != dberr.Unsupported {
		t.Errorf("a stream: %v", err)
	}
}

func TestMinRowsOfAFlush(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{Files: newPlace()})
	tab := f.table(ident.UserTable, "t", false, nil)
	for _, user := range []ident.UserID{"ann", "ann", "ann", "bob"} {
		f.mustCommit(user, tab, insert(1, "x"))
	}
	res, err := f.Flush(context.Background(), tab.ID, FlushOptions{MinRows: 3})
	if err != nil || res.Rows != 3 || res.Files != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	if got := f.scan("ann", tab, exec.ScanRequest{}); len(got) != 3 || got[0].rowID == 0 {
		t.Errorf("ann has %+v", got)
	}
	if s := f.Stats(tab.ID); s.Buffered != 1 || s.Flushed != 3 {
		t.Errorf("stats are %+v", s)
	}
}

// TestFilesGoWithTheirTable drops a table while a reader still has it.
func TestFilesGoWithTheirTable(t *testing.T) {
	forTiers(t, func(t *testing.T, f *fixture, p *place) {
		tab := f.table(ident.UserTable, "t", true, nil)
		f.mustCommit("ann", tab, insert(1, "a"))
		f.flush(tab)
		st := f.Acquire()
		if _, err := f.Define(context.Background(), func(e *catalog.Edit) error {
			_, err := e.DropTable("app", "t", false)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := bodies(f.scanAt(st, "ann", tab, exec.ScanRequest{})); got != "1=a" {
			t.Errorf("a reader from before has %s", got)
		}
		st.Release()
		for range 2000 {
			if len(p.names(t)) == 0 {
				return
			}
			// The next state lets go of the last.
			f.mustCommit("", f.table(ident.SharedTable, fmt.Sprint("u", f.cur.Load().number), true, nil), insert(1, ""))
		}
		t.Error("the files of a dropped table stay")
	})
}

func TestMissingSegment(t *testing.T) {
	p := newPlace()
	f := open(t, memkv.New(memkv.Options{}), Options{Files: p})
	tab := f.table(ident.UserTable, "t", true, nil)
	f.mustCommit("ann", tab, insert(1, "a"))
	f.flush(tab)
	names := p.names(t)
	if err := p.bucket.Delete(context.Background(), names[0]); err != nil {
		t.Fatal(err)
	}
	f.segments.Clear()
	st := f.Acquire()
	defer st.Release()
	v := View{Store: f.Store, State: st, User: "ann", Now: f.clock.now()}
	src, err := v.Table(context.Background(), tab)
	if err != nil {
		t.Fatal(err)
	}
	_, err = src.Get(context.Background(), sqltype.Row{sqltype.NewBigInt(1)}, []int{0}, false, make(sqltype.Row, 1))
	if e, _ := dberr.As(err); code(err) != dberr.StorageUnavailable || !strings.Contains(e.Message, "missing") {
		t.Errorf("a missing segment: %v", err)
	}
}

// TestFlushLooksAtWhatWasWritten flushes one of several users again, and finds
// what a flush that failed, or had too few rows, has left.
func TestFlushLooksAtWhatWasWritten(t *testing.T) {
	b, p := memkv.New(memkv.Options{}), newPlace()
	f := open(t, b, Options{Files: p})
	tab := f.table(ident.UserTable, "t", true, nil)
	users := []ident.UserID{"ann", "bob", "cid", "dan"}
	for _, u := range users {
		f.mustCommit(u, tab, insert(1, "a"))
	}
	want := func(opts FlushOptions, looked, rows int64) {
		t.Helper()
		res, err := f.Flush(context.Background(), tab.ID, opts)
		if err != nil || res.Looked != looked || res.Rows != rows {
			t.Errorf("flushed %+v, %v; want %d rows and %d looked at", res, err, rows, looked)
		}
	}
	want(FlushOptions{}, 4, 4)
	want(FlushOptions{}, 0, 0)
	f.mustCommit("bob", tab, insert(2, "b"))
	f.mustCommit("cid", tab, insert(2, "b"), insert(3, "c"))
	want(FlushOptions{MinRows: 2}, 2, 2)
	want(FlushOptions{MinRows: 2}, 1, 0)
	f.mustCommit("dan", tab, insert(2, "b"))
	f.interrupted(tab, StepListed)
	want(FlushOptions{}, 4, 0)
	f.mustCommit("ann", tab, insert(2, "b"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, b, Options{Files: p})
	want(FlushOptions{}, 4, 1)
	for _, u := range users {
		if n := f.countRows(u, tab, false); n < 2 {
			t.Errorf("%s has %d rows", u, n)
		}
	}
	if s := f.Stats(tab.ID); s.Waiting != 0 || s.Flushed != 9 {
		t.Errorf("stats are %+v", s)
	}
}
