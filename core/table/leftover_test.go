package table

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/faultkv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
	"github.com/kalamdb/kalamdb/store/object"
)

// soon waits until something is so.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func (f *fixture) partitions(prefix kv.Partition) int {
	f.Helper()
	p, err := kv.Partitions(f.backend, prefix)
	if err != nil {
		f.Fatal(err)
	}
	return len(p)
}

// TestFilesThatALongReaderHoldsUp compacts many partitions while somebody
// reads: when that is over the old files go, all of them.
func TestFilesThatALongReaderHoldsUp(t *testing.T) {
	p := newPlace()
	f := open(t, memkv.New(memkv.Options{}), Options{Files: p})
	tab := f.table(ident.UserTable, "t", true, nil)
	const users = 200
	for round := range 2 {
		for u := range users {
			f.mustCommit(ident.UserID(fmt.Sprint("user", u)), tab, insert(int64(round), "x"))
		}
		f.flush(tab)
	}
	st := f.Acquire()
	if res := f.compact(tab, CompactOptions{}); res.Files != users || res.Replaced != 2*users {
		t.Fatalf("compacted %+v", res)
	}
	if n := len(p.names(t)); n != 3*users {
		t.Errorf("%d files while somebody reads the old ones, want %d", n, 3*users)
	}
	st.Release()
	soon(t, "files are left that nobody needs", func() bool { return len(p.names(t)) == users })
}

// stubborn is a bucket that deletes nothing at first.
type stubborn struct {
	object.Bucket
	refused *atomic.Int32
}

func (b stubborn) Delete(ctx context.Context, name string) error {
	if b.refused.Add(-1) >= 0 {
		return errors.New("not now")
	}
	return b.Bucket.Delete(ctx, name)
}

// TestDeletingFilesIsTriedAgain has a storage fail for a while, when files are
// to go: they go later.
func TestDeletingFilesIsTriedAgain(t *testing.T) {
	p := newPlace()
	var refused atomic.Int32
	p.bucket = stubborn{p.bucket, &refused}
	f := open(t, memkv.New(memkv.Options{}), Options{Files: p, Retry: time.Millisecond})
	tab := f.table(ident.UserTable, "t", true, nil)
	for id := range int64(5) {
		f.mustCommit("ann", tab, insert(id, "x"))
		f.flush(tab)
	}
	refused.Store(8)
	f.compact(tab, CompactOptions{})
	soon(t, "files are left that nobody needs", func() bool { return len(p.names(t)) == 1 })
	if refused.Load() >= 0 {
		t.Error("nothing was refused")
	}
}

// TestManyTablesAreDropped drops many tables at once, and the backend fails in
// between: nothing of them is left.
func TestManyTablesAreDropped(t *testing.T) {
	b := faultkv.New(memkv.New(memkv.Options{}), faultkv.On(faultkv.Drop).Times(3).Fail(errors.New("not now")))
	f := open(t, b, Options{Retry: time.Millisecond})
	const tables = 200
	for i := range tables {
		f.mustCommit("", f.table(ident.SharedTable, fmt.Sprint("t", i), true, nil), insert(1, "x"))
	}
	if _, err := f.Define(t.Context(), func(e *catalog.Edit) error {
		_, err := e.DropNamespace("app", true, false)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	soon(t, "rows of dropped tables are left", func() bool { return f.partitions(keyenc.TablesPrefix()) == 0 })
}

// TestPanicInADefinition has a definition panic on the committer: that is one
// statement's failure.
func TestPanicInADefinition(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.table(ident.SharedTable, "t", true, nil)
	_, err := f.Define(t.Context(), func(e *catalog.Edit) error {
		if _, err := e.DropTable("app", "t", false); err != nil {
			return err
		}
		panic("broken")
	})
	if dberr.CodeOf(err) != dberr.Internal {
		t.Errorf("a definition that panics gives %v", err)
	}
	f.mustCommit("", tab, insert(1, "x"))
}
