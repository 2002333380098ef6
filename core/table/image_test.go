package table

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

// newestOf reads the n newest rows as a reader does that knows better with each
// batch which rows are of use. read is how many rows came.
func (f *fixture) newestOf(user ident.UserID, t *ddl.Table, n int, deleted bool) (rows []stored, read int) {
	f.Helper()
	st := f.Acquire()
	defer st.Release()
	v := View{Store: f.Store, State: st, User: user, Now: f.clock.now()}
	src, err := v.Table(context.Background(), t)
	if err != nil {
		f.Fatal(err)
	}
	req := exec.ScanRequest{Columns: []int{0, 1, t.SeqOrdinal(), t.DeletedOrdinal(), t.RowIDOrdinal()}, IncludeDeleted: deleted, Newest: new(exec.Newest)}
	sc, err := src.Scan(context.Background(), req)
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
			return rows, read
		}
		read += b.Rows()
		rows = appendStored(rows, b)
		slices.SortFunc(rows, func(a, b stored) int { return cmp.Compare(b.seq, a.seq) })
		if len(rows) >= n {
			rows = rows[:n]
			req.Newest.Raise(rows[n-1].seq)
		}
	}
}

// wantNewest compares the newest rows with those of a scan in the order of the
// keys.
func (f *fixture) wantNewest(user ident.UserID, t *ddl.Table, n int, deleted bool) {
	f.Helper()
	want := f.scan(user, t, exec.ScanRequest{Ordered: true, IncludeDeleted: deleted})
	slices.SortFunc(want, func(a, b stored) int { return cmp.Compare(b.seq, a.seq) })
	got, _ := f.newestOf(user, t, n, deleted)
	if want = want[:min(n, len(want))]; bodies(got) != bodies(want) {
		f.Fatalf("the newest %d rows of %s:\ngot  %s\nwant %s", n, user, bodies(got), bodies(want))
	}
}

// wantImage scans until the partition has an image, so that what follows is
// read by it.
func (f *fixture) wantImage(user ident.UserID, t *ddl.Table) *image {
	f.Helper()
	for range 1000 {
		st := f.Acquire()
		v := View{Store: f.Store, State: st, User: user, Now: f.clock.now()}
		src, err := v.Table(context.Background(), t)
		if err != nil {
			f.Fatal(err)
		}
		s := src.(*storedTable)
		l, err := s.coldList(context.Background())
		if err != nil || l == nil {
			f.Fatal("no cold rows", err)
		}
		im, err := s.image(context.Background(), l, false)
		st.Release()
		if err != nil {
			f.Fatal(err)
		}
		if im != nil {
			return im
		}
		time.Sleep(time.Millisecond) // the committer has not heard yet
	}
	f.Fatal("there is no image")
	return nil
}

// TestImageAgainstModel changes few keys of several segments again and again,
// and compares what the image, taken from the one before each time, gives with
// a map and with a scan in the order of the keys.
func TestImageAgainstModel(t *testing.T) {
	for name, keyed := range map[string]bool{"key": true, "row id": false} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(2) {
				testImage(t, keyed, rand.New(rand.NewPCG(seed, 3)))
			}
		})
	}
}

func testImage(t *testing.T, keyed bool, r *rand.Rand) {
	f := open(t, memkv.New(memkv.Options{}), Options{Files: newPlace()})
	tab := f.table(ident.UserTable, "t", keyed, nil)
	const user = "ann"
	next := int64(0)
	grow := func(n int64) {
		var set []exec.Write
		for range n {
			set = append(set, insert(next, fmt.Sprint("new ", next)))
			next++
		}
		f.mustCommit(user, tab, set...)
	}
	change := func() {
		rows := f.scan(user, tab, exec.ScanRequest{Ordered: true, IncludeDeleted: true})
		var set []exec.Write
		seen := map[int]bool{}
		for range 1 + r.IntN(40) {
			i := r.IntN(len(rows))
			if seen[i] {
				continue
			}
			seen[i] = true
			old := rows[i]
			w := exec.Write{Op: 2, Old: row(old.id, old.body), OldSeq: old.seq, RowID: old.rowID, New: row(old.id, fmt.Sprint("changed ", r.IntN(1000)))}
			switch {
			case old.deleted && !keyed:
				continue
			case old.deleted:
				w = insert(old.id, "again")
			case r.IntN(3) == 0:
				w.Op, w.New = 3, nil
			}
			set = append(set, w)
		}
		if len(set) > 0 {
			f.mustCommit(user, tab, set...)
		}
	}
	compare := func() {
		for _, deleted := range []bool{false, true} {
			want := f.scan(user, tab, exec.ScanRequest{Ordered: true, IncludeDeleted: deleted})
			got := f.scan(user, tab, exec.ScanRequest{IncludeDeleted: deleted})
			byID := func(a, b stored) int { return cmp.Compare(a.id, b.id) }
			slices.SortFunc(want, byID)
			slices.SortFunc(got, byID)
			if !slices.Equal(got, want) {
				t.Fatalf("with an image:\n%s\nin order:\n%s", bodies(got), bodies(want))
			}
			if n := f.countRows(user, tab, deleted); n != len(want) {
				t.Fatalf("counted %d of %d rows", n, len(want))
			}
			if parts, n := f.scanInParts(user, tab, exec.ScanRequest{IncludeDeleted: deleted}, 3, tiny); n > 0 && !slices.Equal(parts, want) {
				t.Fatalf("in parts:\n%s\nin order:\n%s", bodies(parts), bodies(want))
			}
			f.wantNewest(user, tab, 1+r.IntN(60), deleted)
		}
	}
	grow(3000)
	f.flush(tab)
	for range 4 {
		change()
		f.wantNewest(user, tab, 30, false) // without an image
		f.wantImage(user, tab)
		for range 12 {
			change()
			if r.IntN(3) == 0 {
				grow(r.Int64N(200))
			}
			st := f.Acquire()
			im := f.wantImage(user, tab)
			if im.seq != st.Seq {
				t.Fatalf("an image of %d at %d", im.seq, st.Seq)
			}
			st.Release()
			if n := len(im.parts); n > smallParts+4 {
				t.Fatalf("an image of %d parts", n)
			}
			compare()
		}
		switch r.IntN(4) {
		case 0:
			f.interrupted(tab, StepListed)
		case 1:
			f.compact(tab, CompactOptions{})
		default:
			f.flush(tab)
		}
	}
}

// TestImageOfOldState reads a state while a later one has the image.
func TestImageOfOldState(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{Files: newPlace()})
	tab := f.table(ident.SharedTable, "t", true, nil)
	f.mustCommit("", tab, insert(1, "a"), insert(2, "b"))
	f.flush(tab)
	f.mustCommit("", tab, insert(3, "c"))
	f.wantImage("", tab)
	old := f.Acquire()
	defer old.Release()
	if err := f.update("", tab, 1, func(string) string { return "a2" }); err != nil {
		t.Fatal(err)
	}
	if im := f.wantImage("", tab); im.covers[0].n != 1 {
		t.Errorf("%d rows are covered", im.covers[0].n)
	}
	sorted := func(rows []stored) string {
		slices.SortFunc(rows, func(a, b stored) int { return cmp.Compare(a.id, b.id) })
		return bodies(rows)
	}
	if got := sorted(f.scanAt(old, "", tab, exec.ScanRequest{})); got != "1=a 2=b 3=c" {
		t.Errorf("before: %s", got)
	}
	if got := sorted(f.scan("", tab, exec.ScanRequest{})); got != "1=a2 2=b 3=c" {
		t.Errorf("after: %s", got)
	}
	f.flush(tab)
	if got := sorted(f.scanAt(old, "", tab, exec.ScanRequest{})); got != "1=a 2=b 3=c" {
		t.Errorf("before the flush: %s", got)
	}
	// A key that was noted for a write that failed changes nothing.
	f.mustCommit("", tab, insert(4, "d"))
	f.wantImage("", tab)
	if err := f.commit("", tab, insert(4, "again")); err == nil {
		t.Error("a key was taken twice")
	}
	if got := sorted(f.scan("", tab, exec.ScanRequest{})); got != "1=a2 2=b 3=c 4=d" {
		t.Errorf("at last: %s", got)
	}
}

// TestNewestReadsLittle looks for few of many rows.
func TestNewestReadsLittle(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{Files: newPlace()})
	tab := f.table(ident.UserTable, "t", true, nil)
	for part := range int64(4) {
		var set []exec.Write
		for i := range int64(5000) {
			set = append(set, insert(i*4+part, "x")) // segments that overlap
		}
		f.mustCommit("ann", tab, set...)
		f.flush(tab)
	}
	rows, read := f.newestOf("ann", tab, 50, false)
	if len(rows) != 50 || read > 50+newestRows {
		t.Errorf("%d rows, %d were read", len(rows), read)
	}
	f.mustCommit("ann", tab, insert(100_000, "y"))
	if _, read := f.newestOf("ann", tab, 50, false); read > 51+newestRows {
		t.Errorf("with a hot row %d were read", read)
	}
	if err := f.update("ann", tab, 19_999, func(string) string { return "z" }); err != nil {
		t.Fatal(err)
	}
	f.wantNewest("ann", tab, 50, false)
}

// TestImagesAreBounded writes more keys than are noted.
func TestImagesAreBounded(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{Files: newPlace()})
	tab := f.table(ident.UserTable, "t", true, nil)
	f.mustCommit("ann", tab, insert(1, "a"))
	f.flush(tab)
	f.mustCommit("ann", tab, insert(2, "b"))
	im := f.wantImage("ann", tab)
	if n := f.images.size; n != im.size || n == 0 {
		t.Errorf("%d bytes are counted for %d", n, im.size)
	}
	// More keys than are noted end the noting; the next scans begin anew.
	var set []exec.Write
	for i := range int64(imageLog) + 10 {
		if set = append(set, insert(10+i, "x")); len(set) == 5000 {
			f.mustCommit("ann", tab, set...)
			set = nil
		}
	}
	f.mustCommit("ann", tab, set...)
	if n := f.images.count.Load(); n != 0 || f.images.size != 0 {
		t.Errorf("%d trackers, %d bytes", n, f.images.size)
	}
	if n := f.countRows("ann", tab, false); n != imageLog+12 {
		t.Errorf("%d rows", n)
	}
	if im := f.wantImage("ann", tab); len(im.parts) == 0 {
		t.Error("an image without rows")
	}
	if n := f.countRows("ann", tab, false); n != imageLog+12 {
		t.Errorf("%d rows", n)
	}
}

// TestImageOfTooManyHotRows reads on without one.
func TestImageOfTooManyHotRows(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{Files: newPlace()})
	tab := f.table(ident.UserTable, "t", true, nil)
	f.mustCommit("ann", tab, insert(1, "a"))
	f.flush(tab)
	f.mustCommit("ann", tab, insert(2, "b"))
	f.wantImage("ann", tab)
	large := strings.Repeat("x", 1<<20)
	for i := range int64(24) {
		f.mustCommit("ann", tab, insert(10+i, large))
		if n := f.countRows("ann", tab, false); n != int(i)+3 {
			t.Fatalf("%d rows of %d", n, i+3)
		}
	}
	tr := f.images.find(keyenc.UserPartition(tab.ID, "ann"))
	if tr == nil || tr.now.Load() != nil || tr.tooLarge == 0 {
		t.Errorf("there still is an image")
	}
	// After the next flush there is room again.
	f.flush(tab)
	f.mustCommit("ann", tab, insert(3, "c"))
	if im := f.wantImage("ann", tab); len(im.parts) != 1 {
		t.Errorf("an image of %d parts", len(im.parts))
	}
	if n := f.countRows("ann", tab, false); n != 27 {
		t.Errorf("%d rows", n)
	}
}
