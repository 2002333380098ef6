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
	"time"

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

// model is what a table should hold: by user and id.
type model map[ident.UserID]map[int64]stored

func (m model) rows(user ident.UserID, req exec.ScanRequest) (out []stored) {
	for id, r := range m[user] {
		if r.deleted && !req.IncludeDeleted {
			continue
		}
		if req.Ranges != nil && !slices.ContainsFunc(req.Ranges, func(k exec.KeyRange) bool {
			if len(k.Prefix) > 0 {
				return k.Prefix[0].Int() == id
			}
			return (k.Low.IsNull() || id > k.Low.Int() || id == k.Low.Int() && !k.LowOpen) &&
				(k.High.IsNull() || id < k.High.Int() || id == k.High.Int() && !k.HighOpen)
		}) {
			continue
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b stored) int { return int(a.id - b.id) })
	if req.Reverse {
		slices.Reverse(out)
	}
	return out
}

func randomRequest(r *rand.Rand, keys int64) exec.ScanRequest {
	req := exec.ScanRequest{Ordered: r.IntN(2) == 0, Reverse: r.IntN(3) == 0, IncludeDeleted: r.IntN(3) == 0}
	switch r.IntN(4) {
	case 0: // points
		req.Ranges = []exec.KeyRange{}
		ids := map[int64]bool{}
		for range r.IntN(5) {
			ids[r.Int64N(keys)] = true
		}
		for id := range keys {
			if ids[id] {
				req.Ranges = append(req.Ranges, exec.KeyRange{Prefix: sqltype.Row{sqltype.NewBigInt(id)}})
			}
		}
	case 1: // ranges, and a point between them
		req.Ranges = []exec.KeyRange{}
		at := int64(0)
		for range 3 {
			low := at + r.Int64N(keys/4)
			high := low + r.Int64N(keys/8)
			if r.IntN(4) == 0 {
				req.Ranges = append(req.Ranges, exec.KeyRange{Prefix: sqltype.Row{sqltype.NewBigInt(low)}})
				at = low + 1
				continue
			}
			req.Ranges = append(req.Ranges, exec.KeyRange{Low: sqltype.NewBigInt(low), High: sqltype.NewBigInt(high), LowOpen: r.IntN(2) == 0, HighOpen: r.IntN(2) == 0})
			at = high + 1
		}
	}
	return req
}

// TestTiersAgainstModel writes, flushes, restarts and reads at random, and
// compares every scan with a map.
func TestTiersAgainstModel(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4, 5, 6} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			b := memkv.New(memkv.Options{})
			p := newPlace()
			f := open(t, b, Options{Files: p})
			tab := f.table(ident.UserTable, "t", true, nil)
			keys := int64(60)
			if seed%2 == 0 {
				keys = 6000
			}
			users := []ident.UserID{"ann", "bob"}
			cut := 0
			m := model{"ann": {}, "bob": {}}
			check := func(n int) {
				t.Helper()
				for range n {
					user := users[r.IntN(2)]
					req := randomRequest(r, keys)
					want := m.rows(user, req)
					if limit := r.Int64N(40); limit > 30 {
						req.Limit = limit - 30
					}
					got := f.scan(user, tab, req)
					if !req.Ordered && !req.Reverse {
						slices.SortFunc(got, func(a, b stored) int { return int(a.id - b.id) })
					}
					if req.Limit > 0 {
						// A limit is advice, and without an order any rows do.
						if int64(len(got)) < min(req.Limit, int64(len(want))) {
							t.Fatalf("%s: %d rows of %d for a limit of %d", user, len(got), len(want), req.Limit)
						}
						if req.Ordered || req.Reverse {
							n := min(len(got), int(req.Limit))
							got, want = got[:n], want[:min(n, len(want))]
						} else {
							got, want = nil, nil
						}
					}
					if bodies(got) != bodies(want) {
						t.Fatalf("%s: %+v:\ngot  %s\nwant %s", user, req, bodies(got), bodies(want))
					}
					req.Reverse = false
					if got, parts := f.scanInParts(user, tab, req, 1+r.IntN(4), tiny); parts > 0 {
						if want := m.rows(user, req); bodies(got) != bodies(want) {
							t.Fatalf("%s in parts: %+v:\ngot  %s\nwant %s", user, req, bodies(got), bodies(want))
						}
						cut++
					}
				}
				for _, user := range users {
					for _, deleted := range []bool{false, true} {
						if got, want := f.countRows(user, tab, deleted), len(m.rows(user, exec.ScanRequest{IncludeDeleted: deleted})); got != want {
							t.Fatalf("%s: counted %d, want %d", user, got, want)
						}
					}
					id := r.Int64N(keys)
					got, found := f.get(user, tab, id)
					if want, ok := m[user][id]; found != (ok && !want.deleted) || found && got.body != want.body {
						t.Fatalf("%s: row %d is %+v, %v; want %+v", user, id, got, found, want)
					}
				}
			}
			rounds := 120
			if keys > 1000 {
				rounds = 30
			}
			for round := range rounds {
				for range r.IntN(40) {
					user, id := users[r.IntN(2)], r.Int64N(keys)
					body := fmt.Sprint(round, "-", r.IntN(1000))
					old, ok := m[user][id]
					switch {
					case !ok || old.deleted:
						// Many at once, so that segments have several blocks.
						var set []exec.Write
						for i := id; i < min(id+r.Int64N(keys/4), keys) || i == id; i++ {
							if x, there := m[user][i]; !there || x.deleted {
								set = append(set, insert(i, body))
								m[user][i] = stored{id: i, body: body}
							}
						}
						f.mustCommit(user, tab, set...)
					case r.IntN(3) == 0:
						if err := f.delete(user, tab, id); err != nil {
							t.Fatal(err)
						}
						old.deleted = true
						m[user][id] = old
					default:
						if err := f.update(user, tab, id, func(string) string { return body }); err != nil {
							t.Fatal(err)
						}
						m[user][id] = stored{id: id, body: body}
					}
				}
				switch r.IntN(10) {
				case 0, 1:
					f.flush(tab)
				case 4:
					// Tombstones go in the third that are old enough.
					f.compact(tab, CompactOptions{MinSegments: r.IntN(3)})
				case 2:
					// One that ends before it has removed what it moved.
					f.interrupted(tab, StepListed)
				case 3:
					if err := f.Close(); err != nil {
						t.Fatal(err)
					}
					f = open(t, b, Options{Files: p})
				}
				check(4)
			}
			if cut == 0 && keys > 1000 {
				t.Error("no scan was cut into parts")
			}
			var live int64
			for _, user := range users {
				live += int64(len(m.rows(user, exec.ScanRequest{})))
			}
			f.flush(tab)
			s := f.Stats(tab.ID)
			// Files that a compaction has replaced are deleted by and by.
			for range 1000 {
				if int64(len(p.names(t))) == s.Files {
					break
				}
				time.Sleep(time.Millisecond)
			}
			if s.Buffered != 0 || s.Flushed != live || s.Waiting != 0 || s.Files != int64(len(p.names(t))) {
				t.Errorf("stats are %+v, %d rows, %d files", s, live, len(p.names(t)))
			}
		})
	}
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
