package table

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/faultkv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

func ids(rows []stored) []int64 {
	out := make([]int64, len(rows))
	for i, r := range rows {
		out[i] = r.id
	}
	return out
}

func wantIDs(t testing.TB, rows []stored, want ...int64) {
	t.Helper()
	if got := ids(rows); !slices.Equal(got, want) {
		t.Fatalf("rows are %v, want %v", got, want)
	}
}

func TestRowLife(t *testing.T) {
	forBackends(t, func(t *testing.T, f *fixture) {
		tab := f.table(ident.UserTable, "notes", true, nil)
		f.mustCommit("ann", tab, insert(1, "one"), insert(2, "two"), insert(3, "three"))
		f.mustCommit("bob", tab, insert(1, "bob's"))

		wantIDs(t, f.scan("ann", tab, exec.ScanRequest{Ordered: true}), 1, 2, 3)
		wantIDs(t, f.scan("bob", tab, exec.ScanRequest{}), 1)
		wantIDs(t, f.scan("eve", tab, exec.ScanRequest{}))

		if err := f.update("ann", tab, 2, func(string) string { return "zwei" }); err != nil {
			t.Fatal(err)
		}
		if r, ok := f.get("ann", tab, 2); !ok || r.body != "zwei" || r.seq != 5 {
			t.Fatalf("row 2 is %+v, %v", r, ok)
		}
		if err := f.delete("ann", tab, 1); err != nil {
			t.Fatal(err)
		}
		if _, ok := f.get("ann", tab, 1); ok {
			t.Fatal("a deleted row is found by its key")
		}
		wantIDs(t, f.scan("ann", tab, exec.ScanRequest{Ordered: true}), 2, 3)
		all := f.scan("ann", tab, exec.ScanRequest{Ordered: true, IncludeDeleted: true})
		wantIDs(t, all, 1, 2, 3)
		if !all[0].deleted || all[0].body != "one" || all[0].seq != 6 {
			t.Fatalf("the deleted row is %+v", all[0])
		}
		if live, deleted := f.RowCount(tab.ID); live != 3 || deleted != 1 {
			t.Fatalf("counted %d and %d deleted rows", live, deleted)
		}

		// A deleted key is free again, and counts once.
		f.mustCommit("ann", tab, insert(1, "again"))
		wantIDs(t, f.scan("ann", tab, exec.ScanRequest{Ordered: true}), 1, 2, 3)
		if live, deleted := f.RowCount(tab.ID); live != 4 || deleted != 0 {
			t.Fatalf("counted %d and %d deleted rows", live, deleted)
		}
		if err := f.commit("ann", tab, insert(1, "twice")); code(err) != dberr.UniqueViolation {
			t.Fatalf("a second row with the key: %v", err)
		}
	})
}

func TestStatementFailsWhole(t *testing.T) {
	forBackends(t, func(t *testing.T, f *fixture) {
		tab := f.table(ident.SharedTable, "s", true, nil)
		f.mustCommit("", tab, insert(5, "there"))
		for name, writes := range map[string][]exec.Write{
			"the key exists":          {insert(1, ""), insert(2, ""), insert(5, "")},
			"the key twice":           {insert(1, ""), insert(1, "")},
			"a row that is not read":  {insert(1, ""), {Op: change.Update, Old: row(5, "there"), New: row(5, "x"), OldSeq: 99}},
			"a row that is not there": {insert(1, ""), {Op: change.Delete, Old: row(7, ""), OldSeq: 1}},
		} {
			if err := f.commit("", tab, writes...); err == nil {
				t.Errorf("%s: committed", name)
			}
		}
		wantIDs(t, f.scan("", tab, exec.ScanRequest{}), 5)
		f.mustCommit("", tab, insert(1, ""), insert(2, ""))
		if live, _ := f.RowCount(tab.ID); live != 3 {
			t.Errorf("counted %d rows", live)
		}
	})
}

func TestUpsertOfAKeyThatCameMeanwhileIsAConflict(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.table(ident.SharedTable, "s", true, nil)
	f.mustCommit("", tab, insert(1, "there"))
	w := insert(1, "mine")
	w.Upsert = true
	var c *Conflict
	if err := f.commit("", tab, w); !errors.As(err, &c) || c.Key == "" {
		t.Fatalf("got %v", err)
	}
}

func TestKeysMove(t *testing.T) {
	forBackends(t, func(t *testing.T, f *fixture) {
		tab := f.table(ident.UserTable, "m", true, nil)
		f.mustCommit("u", tab, insert(1, "a"), insert(2, "b"), insert(3, "c"))
		move := func(from, to int64) exec.Write {
			r, ok := f.get("u", tab, from)
			if !ok {
				t.Fatalf("row %d is not there", from)
			}
			return exec.Write{Op: change.Update, Old: row(from, r.body), OldSeq: r.seq, New: row(to, r.body)}
		}
		// Each takes the place that the next one leaves.
		f.mustCommit("u", tab, move(1, 2), move(2, 3), move(3, 4))
		wantIDs(t, f.scan("u", tab, exec.ScanRequest{Ordered: true}), 2, 3, 4)
		f.mustCommit("u", tab, move(2, 3), move(3, 2))
		if r, _ := f.get("u", tab, 2); r.body != "b" {
			t.Fatalf("row 2 is %+v after the exchange", r)
		}
		if err := f.commit("u", tab, move(2, 4)); code(err) != dberr.UniqueViolation {
			t.Fatalf("moved onto a row: %v", err)
		}
		if live, deleted := f.RowCount(tab.ID); live != 3 || deleted != 1 {
			t.Fatalf("counted %d and %d deleted rows", live, deleted)
		}
		all := f.scan("u", tab, exec.ScanRequest{Ordered: true, IncludeDeleted: true})
		wantIDs(t, all, 1, 2, 3, 4)
		seen := map[change.Seq]bool{}
		for _, r := range all {
			if seen[r.seq] {
				t.Fatalf("two rows have the number %d", r.seq)
			}
			seen[r.seq] = true
		}
		// A row and the tombstone that it leaves behind are one change, also
		// where a statement moves several: nobody can resume between them.
		f.mustCommit("u", tab, move(2, 12), move(3, 13))
		for _, from := range []int64{2, 3} {
			var gone, moved change.Seq
			for _, r := range f.scan("u", tab, exec.ScanRequest{Ordered: true, IncludeDeleted: true}) {
				switch {
				case r.id == from && r.deleted:
					gone = r.seq
				case r.id == from+10:
					moved = r.seq
				}
			}
			if gone == 0 || gone != moved {
				t.Fatalf("row %d was moved at %d and left a tombstone of %d", from, moved, gone)
			}
		}
	})
}

func TestRowsWithoutAKey(t *testing.T) {
	forBackends(t, func(t *testing.T, f *fixture) {
		tab := f.table(ident.UserTable, "log", false, nil)
		f.mustCommit("u", tab, insert(7, "a"), insert(7, "b"))
		f.mustCommit("u", tab, insert(7, "c"))
		rows := f.scan("u", tab, exec.ScanRequest{Ordered: true})
		if len(rows) != 3 || rows[1].body != "b" || rows[1].rowID != int64(rows[1].seq) {
			t.Fatalf("rows are %+v", rows)
		}
		b := rows[1]
		f.mustCommit("u", tab, exec.Write{Op: change.Update, Old: row(7, "b"), OldSeq: b.seq, RowID: b.rowID, New: row(8, "B")})
		rows = f.scan("u", tab, exec.ScanRequest{Ordered: true, Reverse: true})
		if len(rows) != 3 || rows[1].body != "B" || rows[1].rowID != b.rowID || rows[1].seq == b.seq {
			t.Fatalf("after the update rows are %+v", rows)
		}
		f.mustCommit("u", tab, exec.Write{Op: change.Delete, Old: row(8, "B"), OldSeq: rows[1].seq, RowID: b.rowID})
		wantIDs(t, f.scan("u", tab, exec.ScanRequest{}), 7, 7)
	})
}

func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	forBackends(t, func(t *testing.T, f *fixture) {
		tab := f.table(ident.SharedTable, "counter", true, nil)
		f.mustCommit("", tab, insert(1, "0"))
		const writers, each = 8, 25
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					err := f.update("", tab, 1, func(body string) string {
						n, _ := strconv.Atoi(body)
						return strconv.Itoa(n + 1)
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if r, _ := f.get("", tab, 1); r.body != strconv.Itoa(writers*each) {
			t.Fatalf("the counter is %s, want %d", r.body, writers*each)
		}
	})
}

func TestKeysAreUniqueUnderConcurrency(t *testing.T) {
	forBackends(t, func(t *testing.T, f *fixture) {
		tab := f.table(ident.SharedTable, "u", true, nil)
		const keys, writers = 20, 8
		var won [keys]atomic.Int32
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for k := range keys {
					switch err := f.commit("", tab, insert(int64(k), strconv.Itoa(w))); {
					case err == nil:
						won[k].Add(1)
					case code(err) != dberr.UniqueViolation:
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for k := range won {
			if n := won[k].Load(); n != 1 {
				t.Errorf("key %d was inserted %d times", k, n)
			}
		}
		if n := len(f.scan("", tab, exec.ScanRequest{})); n != keys {
			t.Errorf("%d rows, want %d", n, keys)
		}
	})
}

func TestEventsComeInOrderAndNameTheirRows(t *testing.T) {
	forBackends(t, func(t *testing.T, f *fixture) {
		tab := f.table(ident.UserTable, "e", true, nil)
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 25 {
					id := int64(w*100 + i)
					if err := f.commit("u", tab, insert(id, "new"), insert(id+1000, "new")); err != nil {
						t.Error(err)
						return
					}
					if err := f.update("u", tab, id, func(string) string { return "changed" }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := f.delete("u", tab, 0); err != nil {
			t.Fatal(err)
		}
		events := f.heard()
		if len(events) != 4*25*3+1 {
			t.Fatalf("heard %d events", len(events))
		}
		state := map[int64]string{}
		var last change.Seq
		for _, e := range events {
			if e.Seq <= last {
				t.Fatalf("event %d after %d", e.Seq, last)
			}
			last = e.Seq
			id := e.New[0].Int()
			switch e.Op {
			case change.Insert:
				if e.Old != nil {
					t.Fatalf("an insert has the old row %v", e.Old)
				}
				state[id] = e.New[1].Str()
			case change.Update:
				if e.Old[1].Str() != state[id] || e.OldSeq == 0 {
					t.Fatalf("update of %q says %q", state[id], e.Old[1].Str())
				}
				state[id] = e.New[1].Str()
			case change.Delete:
				delete(state, id)
			}
			if e.User != "u" || e.Table != tab.ID || e.Time.IsZero() {
				t.Fatalf("event %+v", e)
			}
		}
		rows := f.scan("u", tab, exec.ScanRequest{})
		if len(rows) != len(state) {
			t.Fatalf("%d rows, by the events %d", len(rows), len(state))
		}
	})
}

func TestBackendFailureFailsItsStatementsOnly(t *testing.T) {
	b := faultkv.New(memkv.New(memkv.Options{}))
	f := open(t, b, Options{})
	tab := f.table(ident.UserTable, "f", true, nil)
	f.mustCommit("u", tab, insert(1, ""))
	before := f.scan("u", tab, exec.ScanRequest{})[0].seq

	b.Set(faultkv.On(faultkv.Write).Fail(faultkv.ErrBroken))
	if err := f.commit("u", tab, insert(2, "")); code(err) != dberr.StorageUnavailable {
		t.Fatalf("got %v", err)
	}
	if f.Unavailable() == nil || f.Probe(context.Background()) == nil {
		t.Fatal("the store says that it can be written")
	}
	wantIDs(t, f.scan("u", tab, exec.ScanRequest{}), 1)
	if n := len(f.heard()); n != 1 {
		t.Fatalf("heard %d events", n)
	}
	if _, err := f.Define(context.Background(), func(e *catalog.Edit) error {
		_, err := e.CreateNamespace("other", nil, false)
		return err
	}); code(err) != dberr.StorageUnavailable {
		t.Fatalf("a definition: %v", err)
	}

	b.Set()
	if err := f.Probe(context.Background()); err != nil || f.Unavailable() != nil {
		t.Fatalf("the store is still unwritable: %v", err)
	}
	f.mustCommit("u", tab, insert(2, ""))
	rows := f.scan("u", tab, exec.ScanRequest{Ordered: true})
	wantIDs(t, rows, 1, 2)
	if rows[1].seq <= before+1 {
		t.Fatalf("the number %d of the failed statement was given again", rows[1].seq)
	}
	if live, _ := f.RowCount(tab.ID); live != 2 {
		t.Fatalf("counted %d rows", live)
	}
}

func TestDuplicateOfAKeyThatFailedToBeWritten(t *testing.T) {
	// Both statements are in one batch; the batch fails; neither may be told
	// that the key exists.
	b := faultkv.New(memkv.New(memkv.Options{}))
	f := open(t, b, Options{})
	tab := f.table(ident.SharedTable, "f", true, nil)
	b.Set(faultkv.On(faultkv.Write).Fail(faultkv.ErrBroken))
	results := make(chan error, 2)
	held := make(chan struct{})
	entered := make(chan struct{})
	go func() {
		_ = f.Between(context.Background(), func(*State) error { close(entered); <-held; return nil })
	}()
	<-entered
	for range 2 {
		p, err := f.prepare(context.Background(), nil, "", &exec.WriteSet{Table: tab, Writes: []exec.Write{insert(1, "")}})
		if err != nil {
			t.Fatal(err)
		}
		r := &request{ctx: context.Background(), prep: p, done: make(chan struct{}, 1)}
		if err := f.takeIn(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		go func() { <-r.done; results <- r.err }()
	}
	close(held)
	for range 2 {
		if err := <-results; code(err) != dberr.StorageUnavailable {
			t.Errorf("got %v", err)
		}
	}
}

func TestWritersShareOneSync(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.table(ident.SharedTable, "g", true, nil)
	held, entered := make(chan struct{}), make(chan struct{})
	go func() {
		_ = f.Between(context.Background(), func(*State) error { close(entered); <-held; return nil })
	}()
	<-entered
	const n = 32
	var wg sync.WaitGroup
	for i := range n {
		p, err := f.prepare(context.Background(), nil, "", &exec.WriteSet{Table: tab, Writes: []exec.Write{insert(int64(i), "")}})
		if err != nil {
			t.Fatal(err)
		}
		r := &request{ctx: context.Background(), prep: p, done: make(chan struct{}, 1)}
		if err := f.takeIn(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			<-r.done
			if r.err != nil {
				t.Error(r.err)
			}
		})
	}
	close(held)
	wg.Wait()
	if st := f.CommitStats(); st.Commits != n || st.Sizes.Count != 1 || st.Sizes.Sum != n || st.Writes.Count == 0 {
		t.Fatalf("%d statements: %+v", st.Commits, st)
	}
}

func TestStatesDoNotChange(t *testing.T) {
	forBackends(t, func(t *testing.T, f *fixture) {
		tab := f.table(ident.UserTable, "s", true, nil)
		for i := range 50 {
			f.mustCommit("u", tab, insert(int64(i), "old"))
		}
		st := f.Acquire()
		defer st.Release()
		var wg sync.WaitGroup
		stop := make(chan struct{})
		wg.Go(func() {
			for i := 100; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := f.commit("u", tab, insert(int64(i), "new")); err != nil {
					t.Error(err)
				}
				if err := f.update("u", tab, int64(i%50), func(string) string { return "new" }); err != nil {
					t.Error(err)
				}
			}
		})
		for range 20 {
			rows := f.scanAt(st, "u", tab, exec.ScanRequest{Ordered: true})
			if len(rows) != 50 {
				t.Fatalf("the state has %d rows", len(rows))
			}
			for _, r := range rows {
				if r.body != "old" || r.seq > st.Seq {
					t.Fatalf("the state at %d shows %+v", st.Seq, r)
				}
			}
		}
		close(stop)
		wg.Wait()
	})
}

func TestSequenceGrowsOverRestarts(t *testing.T) {
	dir := t.TempDir()
	b := openBadger(t, dir)
	ctx := context.Background()
	var last change.Seq
	for round := range 3 {
		s, err := Open(ctx, b, &ear{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{TB: t, Store: s, clock: newClock()}
		tab, err := s.Catalog().Table("app", "r")
		if round == 0 {
			tab, err = f.table(ident.UserTable, "r", true, nil), nil
		}
		if err != nil {
			t.Fatal(err)
		}
		f.mustCommit("u", tab, insert(int64(round), ""))
		rows := f.scan("u", tab, exec.ScanRequest{Ordered: true})
		if len(rows) != round+1 || rows[round].seq <= last {
			t.Fatalf("round %d after %d: rows are %+v", round, last, rows)
		}
		if live, _ := s.RowCount(tab.ID); live != int64(round+1) {
			t.Fatalf("counted %d rows", live)
		}
		last = rows[round].seq
		if round == 0 {
			// A clean end gives reserved numbers back.
			if err := errors.Join(s.Close(), b.Close()); err != nil {
				t.Fatal(err)
			}
			b = openBadger(t, dir)
			continue
		}
		if round == 1 && last != 2 {
			t.Fatalf("after a clean end numbers go on with %d", last)
		}
		// Without one they do not come again: only the backend is closed.
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		_ = s.Close() // cannot write any more
		b = openBadger(t, dir)
	}
	if last <= seqBlock {
		t.Fatalf("after a crash numbers go on with %d", last)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBatchesStayWithinTheLimits(t *testing.T) {
	forBackends(t, func(t *testing.T, f *fixture) {
		tab := f.table(ident.SharedTable, "big", true, nil)
		n := 2*f.limits.BatchLen + 10
		if n > 30_000 {
			n = 30_000
		}
		writes := make([]exec.Write, n)
		for i := range writes {
			writes[i] = insert(int64(i), "row")
		}
		var wg sync.WaitGroup
		wg.Go(func() { f.mustCommit("", tab, writes...) })
		for i := range 20 {
			wg.Go(func() { f.mustCommit("", tab, insert(int64(-1-i), "small")) })
		}
		wg.Wait()
		if live, _ := f.RowCount(tab.ID); live != int64(n+20) {
			t.Fatalf("counted %d rows, want %d", live, n+20)
		}
		if got := len(f.scan("", tab, exec.ScanRequest{})); got != n+20 {
			t.Fatalf("%d rows, want %d", got, n+20)
		}
	})
}

func TestTableThatIsGoneOrAlteredIsAConflict(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.table(ident.SharedTable, "gone", true, nil)
	ctx := context.Background()
	if _, err := f.Define(ctx, func(e *catalog.Edit) error {
		next := *tab
		next.SchemaVersion++
		return e.AlterTable(&next, "nothing")
	}); err != nil {
		t.Fatal(err)
	}
	var c *Conflict
	if err := f.commit("", tab, insert(1, "")); !errors.As(err, &c) {
		t.Fatalf("after the ALTER: %v", err)
	}
	if _, err := f.Define(ctx, func(e *catalog.Edit) error {
		_, err := e.DropTable("app", "gone", false)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := f.commit("", tab, insert(1, "")); !errors.As(err, &c) {
		t.Fatalf("after the DROP: %v", err)
	}
}

func TestDroppedRowsAreRemovedAlsoByTheNextStart(t *testing.T) {
	b := memkv.New(memkv.Options{})
	f := open(t, b, Options{})
	tab := f.table(ident.UserTable, "d", true, nil)
	for i := range 5 {
		f.mustCommit(ident.UserID(fmt.Sprint("user", i)), tab, insert(1, "x"))
	}
	// As a crash between the commit of the DROP and the removal leaves it.
	edit := f.Catalog().Edit(f.clock.now())
	if _, err := edit.DropTable("app", "d", false); err != nil {
		t.Fatal(err)
	}
	if err := b.Write(context.Background(), edit.Batch()); err != nil {
		t.Fatal(err)
	}
	snap, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	_, dropped, err := catalog.Load(snap, nil)
	snap.Release()
	if err != nil || len(dropped) != 1 || dropped[0].ID != tab.ID {
		t.Fatalf("the catalog remembers %v, %v", dropped, err)
	}
	// The next start finishes the work.
	drops := make(chan kv.Partition, 4)
	w := faultkv.New(b, faultkv.On(faultkv.Drop).Then(func(c faultkv.Call, _ error) { drops <- c.Partition }))
	s, err := Open(context.Background(), w, &ear{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p := <-drops; p != keyenc.TablePrefix(tab.ID) {
		t.Errorf("dropped %q", p)
	}
	if p, err := kv.Partitions(b, keyenc.TablePrefix(tab.ID)); err != nil || len(p) != 0 {
		t.Errorf("left behind: %v, %v", p, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNewerAndDamagedDataIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		key, value []byte
		code       dberr.Code
	}{
		"newer format":     {metaFormat, []byte{0, 0, 0, 99}, dberr.StorageUnavailable},
		"damaged format":   {metaFormat, []byte{1}, dberr.Internal},
		"damaged sequence": {metaSequence, []byte{1, 2, 3}, dberr.Internal},
		"damaged counts":   {countKey(5), []byte{0x80}, dberr.Internal},
	} {
		b := memkv.New(memkv.Options{})
		var batch kv.Batch
		batch.Put(metaPartition, c.key, c.value)
		if err := b.Write(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), b, &ear{}, Options{}); code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	b := memkv.New(memkv.Options{})
	s, err := Open(context.Background(), b, &ear{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(context.Background()); !errors.Is(err, kv.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	s.Acquire().Release() // readers still find the last state
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	st := s.Acquire()
	defer st.Release()
	if _, _, err := st.kv.Get("x", nil); !errors.Is(err, kv.ErrClosed) {
		t.Fatalf("reading from a closed backend: %v", err)
	}
}

func TestCancelledStatementIsNotCommitted(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.table(ident.SharedTable, "c", true, nil)
	ctx, cancel := context.WithCancel(context.Background())
	held, entered := make(chan struct{}), make(chan struct{})
	go func() {
		_ = f.Between(context.Background(), func(*State) error { close(entered); <-held; return nil })
	}()
	<-entered
	result := make(chan error)
	go func() {
		result <- f.Commit(ctx, nil, "", &exec.WriteSet{Table: tab, Writes: []exec.Write{insert(1, "")}})
	}()
	for len(f.reqs) == 0 {
		// Until it waits in the queue.
		runtime.Gosched()
	}
	cancel()
	close(held)
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	wantIDs(t, f.scan("", tab, exec.ScanRequest{}))
}

// TestCommitTimeIsNotBeforeTheStatement has a statement come while the batch is
// put together that it then is part of: its rows are not older than itself, and
// rows of STREAM tables live as long as they should.
func TestCommitTimeIsNotBeforeTheStatement(t *testing.T) {
	var f *fixture
	var tab *ddl.Table
	var calls atomic.Int64
	var late sync.WaitGroup
	base := newClock().now()
	f = open(t, memkv.New(memkv.Options{}), Options{EvictionInterval: time.Hour, Now: func() time.Time {
		n := calls.Add(1)
		if n == 1002 { // the committer, for the first statement
			late.Go(func() {
				if err := f.commit("ann", tab, insert(2, "late")); err != nil {
					t.Error(err)
				}
			})
			for len(f.reqs) == 0 {
				runtime.Gosched()
			}
		}
		return base.Add(time.Duration(n) * time.Millisecond)
	}})
	tab = f.table(ident.StreamTable, "s", true, nil)
	calls.Store(1000)
	f.mustCommit("ann", tab, insert(1, "first"))
	late.Wait()
	heard := f.heard()
	if len(heard) != 2 || !heard[0].Time.Equal(base.Add(1002*time.Millisecond)) {
		t.Fatalf("heard %v", heard)
	}
	if came := base.Add(1003 * time.Millisecond); heard[1].Time.Before(came) {
		t.Errorf("what came at %v was written at %v", came, heard[1].Time)
	}
}
