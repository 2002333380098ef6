package table

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

func (f *fixture) streamTable(name string, keyed bool, ttl time.Duration, maxBuffer int) *ddl.Table {
	return f.table(ident.StreamTable, name, keyed, func(d *ddl.Table) { d.TTL, d.MaxBuffer = ttl, maxBuffer })
}

// lost asks for the last change that left nothing behind.
func (f *fixture) lost(user ident.UserID, t *ddl.Table) change.Seq {
	st := f.Acquire()
	defer st.Release()
	lost, err := f.Lost(st, t, user, f.clock.now())
	if err != nil {
		f.Fatal(err)
	}
	return lost
}

func TestStreamRowsExpire(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.streamTable("s", false, 10*time.Second, 0)
	f.mustCommit("u", tab, insert(1, "a"))
	f.clock.advance(6 * time.Second)
	f.mustCommit("u", tab, insert(2, "b"))
	f.mustCommit("v", tab, insert(3, "c"))
	wantIDs(t, f.scan("u", tab, exec.ScanRequest{}), 1, 2)
	wantIDs(t, f.scan("v", tab, exec.ScanRequest{}), 3)
	if lost := f.lost("u", tab); lost != 0 {
		t.Fatalf("lost up to %d", lost)
	}
	f.clock.advance(5 * time.Second)
	wantIDs(t, f.scan("u", tab, exec.ScanRequest{}), 2) // also before the evictor comes
	if lost := f.lost("u", tab); lost != 1 {
		t.Fatalf("lost up to %d", lost)
	}
	f.clock.advance(10 * time.Second)
	if err := f.evict(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, f.scan("u", tab, exec.ScanRequest{}))
	if rows, bytes := f.StreamStats(); rows != 0 || bytes != 0 {
		t.Fatalf("%d rows, %d bytes are left", rows, bytes)
	}
	if lost := f.lost("u", tab); lost < 2 {
		t.Fatalf("lost up to %d", lost)
	}
	f.mustCommit("u", tab, insert(4, "d"))
	wantIDs(t, f.scan("u", tab, exec.ScanRequest{}), 4)
}

func TestStreamKeepsItsBound(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.streamTable("s", true, 0, 3)
	for i := range 10 {
		f.mustCommit("u", tab, insert(int64(i), ""))
	}
	wantIDs(t, f.scan("u", tab, exec.ScanRequest{}), 7, 8, 9)
	f.mustCommit("u", tab, insert(0, "a key that was dropped is free"))
	if err := f.commit("u", tab, insert(9, "")); code(err) != dberr.UniqueViolation {
		t.Fatalf("a key twice: %v", err)
	}
	if r, ok := f.get("u", tab, 0); !ok || !strings.HasPrefix(r.body, "a key") {
		t.Fatalf("found %+v, %v", r, ok)
	}
	if n, _ := f.StreamCount(tab.ID); n != 3 {
		t.Fatalf("counted %d rows", n)
	}
}

func TestStreamDeletesAtOnceAndIsNeverUpdated(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.streamTable("s", false, time.Minute, 0)
	f.mustCommit("u", tab, insert(1, "a"), insert(2, "b"), insert(3, "c"))
	rows := f.scan("u", tab, exec.ScanRequest{})
	del := exec.Write{Op: change.Delete, Old: row(2, "b"), OldSeq: rows[1].seq, RowID: rows[1].rowID}
	f.mustCommit("u", tab, del)
	wantIDs(t, f.scan("u", tab, exec.ScanRequest{IncludeDeleted: true}), 1, 3)
	if err := f.commit("u", tab, del); err == nil {
		t.Fatal("a row was deleted twice")
	}
	if lost := f.lost("u", tab); lost != 4 {
		t.Fatalf("lost up to %d", lost)
	}
	up := exec.Write{Op: change.Update, Old: row(1, "a"), OldSeq: 1, RowID: 1, New: row(1, "x")}
	if err := f.commit("u", tab, up); code(err) != dberr.Unsupported {
		t.Fatalf("an update: %v", err)
	}
	events := f.heard()
	if e := events[len(events)-1]; e.Op != change.Delete || e.Old[1].Str() != "b" || e.Seq != 4 {
		t.Fatalf("the last event is %+v", e)
	}
}

func TestStreamRowsDoNotSurvive(t *testing.T) {
	b := memkv.New(memkv.Options{})
	s, err := Open(t.Context(), b, &ear{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{TB: t, Store: s, clock: newClock()}
	tab := f.streamTable("s", false, 0, 0)
	f.mustCommit("u", tab, insert(1, ""))
	seq := f.scan("u", tab, exec.ScanRequest{})[0].seq
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, b, Options{})
	if tab, err = f.Catalog().Table("app", "s"); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, f.scan("u", tab, exec.ScanRequest{}))
	f.mustCommit("u", tab, insert(2, ""))
	if got := f.scan("u", tab, exec.ScanRequest{})[0].seq; got <= seq {
		t.Fatalf("the number %d after %d", got, seq)
	}
	if lost := f.lost("u", tab); lost < seq {
		t.Fatalf("lost up to %d, the row before the restart was %d", lost, seq)
	}
}

func TestStreamMemoryIsBounded(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{StreamBytes: 64 << 10})
	soon := f.streamTable("soon", false, time.Minute, 0)
	late := f.streamTable("late", false, time.Hour, 0)
	body := strings.Repeat("x", 1000)
	for i := range 20 {
		f.mustCommit("u", late, insert(int64(i), body))
	}
	for i := range 200 {
		f.mustCommit(ident.UserID(fmt.Sprint("u", i%5)), soon, insert(int64(i), body))
	}
	if _, bytes := f.StreamStats(); bytes > 64<<10 {
		t.Fatalf("%d bytes", bytes)
	}
	if n, _ := f.StreamCount(late.ID); n != 20 {
		t.Fatalf("%d rows that had time were dropped", 20-n)
	}
	if n, _ := f.StreamCount(soon.ID); n == 0 {
		t.Fatal("everything was dropped")
	}
}

func TestDroppedStreamIsGone(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.streamTable("s", false, time.Minute, 0)
	for i := range 10 {
		f.mustCommit(ident.UserID(fmt.Sprint("u", i)), tab, insert(1, ""))
	}
	if _, err := f.Define(t.Context(), func(e *catalog.Edit) error {
		_, err := e.DropTable("app", "s", false)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if rows, bytes := f.StreamStats(); rows != 0 || bytes != 0 {
		t.Fatalf("%d rows, %d bytes are left", rows, bytes)
	}
	if p, err := kv.Partitions(f.backend, "t"); err != nil || len(p) > 0 {
		t.Fatalf("partitions %v, %v", p, err)
	}
}

func TestStreamReadersSeeWholeStates(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.streamTable("s", false, 0, 50)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 2000 {
			f.mustCommit("u", tab, insert(int64(2*i), "pair"), insert(int64(2*i+1), "pair"))
		}
	})
	for range 200 {
		st := f.Acquire()
		rows := f.scanAt(st, "u", tab, exec.ScanRequest{})
		for i, r := range rows {
			if r.seq > st.Seq || r.body != "pair" || i > 0 && rows[i-1].id+1 != r.id {
				t.Fatalf("at %d: row %+v behind %+v", st.Seq, r, rows[max(0, i-1)])
			}
		}
		if n := len(rows); n > 0 && rows[n-1].id%2 != 1 {
			t.Fatalf("half a statement: the last row is %+v", rows[n-1])
		}
		st.Release()
	}
	wg.Wait()
}

// TestStreamSnapshotsKeepWhatGoes reads at a state after rows were deleted,
// pushed out by newer ones, and dropped with their table: it has them still.
func TestStreamSnapshotsKeepWhatGoes(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	for _, keyed := range []bool{false, true} {
		tab := f.streamTable(fmt.Sprint("s", keyed), keyed, 10*time.Second, 4)
		other := f.streamTable(fmt.Sprint("other", keyed), keyed, 0, 4)
		f.mustCommit("u", tab, insert(1, "a"), insert(2, "b"), insert(3, "c"))
		f.mustCommit("u", other, insert(1, ""))
		full := f.Acquire()
		begun := f.clock.now()
		rows := f.scan("u", tab, exec.ScanRequest{})
		var gone []exec.Write
		for _, i := range []int{2, 0} { // one statement, not in the order of the ring
			gone = append(gone, exec.Write{Op: change.Delete, Old: row(rows[i].id, rows[i].body), OldSeq: rows[i].seq, RowID: rows[i].rowID})
		}
		f.mustCommit("u", tab, gone...)
		less := f.Acquire()
		f.mustCommit("u", tab, insert(4, ""), insert(5, ""), insert(6, ""), insert(7, ""))
		f.mustCommit("v", tab, insert(8, ""))
		pushed := f.Acquire()
		f.clock.advance(time.Minute)
		if err := f.evict(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Define(t.Context(), func(e *catalog.Edit) error {
			_, err := e.DropTable("app", other.Name, false)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []struct {
			at      *State
			tab     *ddl.Table
			user    ident.UserID
			ids     []int64
			lostFor change.Seq
		}{
			{full, tab, "u", []int64{1, 2, 3}, 0},
			{less, tab, "u", []int64{2}, rows[2].seq},
			{pushed, tab, "u", []int64{4, 5, 6, 7}, rows[1].seq},
			{pushed, tab, "v", []int64{8}, 0},
			{full, tab, "v", nil, 0},
			{full, other, "u", []int64{1}, 0},
		} {
			got, lost, err := want.at.stream(ringKey{want.tab.ID, want.user}, begun)
			if err != nil {
				t.Fatal(err)
			}
			var ids []int64
			for _, r := range got {
				ids = append(ids, r.row[0].Int())
			}
			if !slices.Equal(ids, want.ids) || want.lostFor > 0 && lost < want.lostFor {
				t.Errorf("keyed %v: %s of %s at %d has %v, lost %d; want %v", keyed, want.tab.Name, want.user, want.at.Seq, ids, lost, want.ids)
			}
		}
		wantIDs(t, f.scan("u", tab, exec.ScanRequest{}))
		if n, bytes := f.StreamStats(); n != 0 || bytes != 0 {
			t.Fatalf("%d rows, %d bytes are left", n, bytes)
		}
		for _, st := range []*State{full, less, pushed} {
			st.Release()
		}
	}
}

// TestStreamSnapshotsAreBounded turns all rows over while a state is kept: it
// loses its STREAM rows rather than keep any number of them, and says so.
func TestStreamSnapshotsAreBounded(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{StreamBytes: 256 << 10})
	tab := f.streamTable("s", false, 0, 50)
	body := strings.Repeat("x", 1000)
	f.mustCommit("u", tab, insert(0, body))
	old := f.Acquire()
	defer old.Release()
	key := ringKey{tab.ID, "u"}
	for i := range 1000 {
		f.mustCommit("u", tab, insert(int64(i), body))
		if i < 100 {
			if rows, _, err := old.stream(key, f.clock.now()); err != nil || len(rows) != 1 {
				t.Fatalf("after %d rows: %d rows, %v", i, len(rows), err)
			}
		}
	}
	if _, _, err := old.stream(key, f.clock.now()); code(err) != dberr.ResourceExhausted {
		t.Fatalf("the old state gives %v", err)
	}
	if rows := f.scan("u", tab, exec.ScanRequest{}); len(rows) != 50 {
		t.Fatalf("the newest state has %d rows", len(rows))
	}
}
