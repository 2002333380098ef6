package badgerkv

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

func mustOpen(t *testing.T, dir string) *Backend {
	t.Helper()
	b, err := Open(Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func mustWrite(t *testing.T, b *Backend, p kv.Partition, key, value string) {
	t.Helper()
	var batch kv.Batch
	batch.Put(p, []byte(key), []byte(value))
	if err := b.Write(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
}

// state reads a partition as a map, and checks that its name is listed when it
// has keys.
func state(t *testing.T, b *Backend, p kv.Partition) map[string]string {
	t.Helper()
	s, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	m := map[string]string{}
	it := s.Scan(p, kv.Range{})
	defer it.Close()
	for it.Next() {
		v, err := it.Value()
		if err != nil {
			t.Fatal(err)
		}
		m[string(it.Key())] = string(v)
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	return m
}

// TestLargeBatchCrash ends a large batch before each of its transactions, and
// finds all or nothing of it after opening again.
func TestLargeBatchCrash(t *testing.T) {
	const n = 60_000
	for _, c := range []struct {
		step string
		nth  int
		all  bool
	}{
		{stepJournal, 1, false},
		{stepJournal, 3, false},
		{stepMark, 1, false},
		{stepApply, 1, true},
		{stepApply, 3, true},
		{stepClear, 1, true},
		{"", 0, true},
	} {
		t.Run(fmt.Sprint(c.step, c.nth), func(t *testing.T) {
			dir := t.TempDir()
			b := mustOpen(t, dir)
			mustWrite(t, b, "p", "before", "1")
			mustWrite(t, b, "p", "removed", "1")
			var batch kv.Batch
			batch.Delete("p", []byte("removed"))
			for i := range n {
				batch.Put("new", fmt.Appendf(nil, "%06d", i), []byte("a value of some length, for bytes"))
			}
			batch.Delete("new", []byte("000000"))
			batch.CreatePartition("empty")
			crash := errors.New("crash")
			seen := 0
			b.step = func(step string) error {
				if step == c.step {
					if seen++; seen == c.nth {
						return crash
					}
				}
				return nil
			}
			err := b.Write(t.Context(), &batch)
			if c.step == "" {
				if err != nil {
					t.Fatal(err)
				}
			} else {
				if !errors.Is(err, crash) || dberr.CodeOf(err) != dberr.StorageUnavailable {
					t.Fatalf("write: %v", err)
				}
				// Until it is opened again nothing of the batch shows, and
				// nothing else may be written over its parts.
				if got := state(t, b, "new"); len(got) != 0 {
					t.Errorf("%d keys show after a failed write", len(got))
				}
				if got := state(t, b, "p"); len(got) != 2 {
					t.Errorf("old keys after a failed write: %v", got)
				}
				var small kv.Batch
				small.Put("p", []byte("k"), nil)
				if err := b.Write(t.Context(), &small); dberr.CodeOf(err) != dberr.StorageUnavailable {
					t.Errorf("write after a failure: %v", err)
				}
			}
			for range 2 {
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				b = mustOpen(t, dir)
				wantNew, wantOld, wantParts := 0, 2, 1
				if c.all {
					wantNew, wantOld, wantParts = n-1, 1, 3
				}
				names, err := kv.Partitions(b, "")
				if err != nil || len(names) != wantParts {
					t.Errorf("partitions: %q, %v", names, err)
				}
				if got := len(state(t, b, "new")); got != wantNew {
					t.Errorf("%d new keys, want %d", got, wantNew)
				}
				if got := state(t, b, "p"); len(got) != wantOld {
					t.Errorf("old keys: %v", got)
				}
				journal := b.db.NewTransactionAt(b.latest(), false)
				if keys, err := firstKeys(journal, []byte{journalTag}, 1000); err != nil || len(keys) != 0 {
					t.Errorf("%d journal keys are left, %v", len(keys), err)
				}
				journal.Discard()
			}
			mustWrite(t, b, "p", "after", "1")
		})
	}
}

func TestDamagedJournal(t *testing.T) {
	for name, entry := range map[string][]byte{
		"no key":      {0},
		"long key":    {0, 200, 1, 'x'},
		"no value":    {0, 1, 'k'},
		"long value":  {0, 1, 'k', 9, 'x'},
		"huge length": {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := mustOpen(t, dir)
			ts := b.nextTs()
			txn := b.db.NewTransactionAt(ts, true)
			if err := errors.Join(txn.Set(journalChunkKey(1, 0), entry), txn.Set(journalMarkKey(1), nil), txn.CommitAt(ts, nil)); err != nil {
				t.Fatal(err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if b, err := Open(Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)}); err == nil {
				b.Close()
				t.Error("a damaged journal was taken")
			}
		})
	}
}

// TestDiskFull refuses writes while the disk is full and takes them again
// afterwards; reading goes on.
func TestDiskFull(t *testing.T) {
	b := mustOpen(t, t.TempDir())
	mustWrite(t, b, "p", "a", "1")
	b.folder.freeBytes = func(string) (int64, bool) { return 1 << 20, true }
	b.freeUntil = 0
	var batch kv.Batch
	batch.Put("p", []byte("b"), []byte("2"))
	for range 3 {
		if err := b.Write(t.Context(), &batch); dberr.CodeOf(err) != dberr.StorageUnavailable {
			t.Fatalf("write to a full disk: %v", err)
		}
	}
	if err := b.Write(t.Context(), new(kv.Batch)); dberr.CodeOf(err) != dberr.StorageUnavailable {
		t.Errorf("an empty write does not tell that the disk is full: %v", err)
	}
	if got := state(t, b, "p"); len(got) != 1 {
		t.Errorf("state: %v", got)
	}
	b.folder.freeBytes = nil
	if err := b.Write(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if got := state(t, b, "p"); len(got) != 2 {
		t.Errorf("state: %v", got)
	}
	b.folder.freeBytes = func(string) (int64, bool) { return 0, false }
	b.freeUntil = 0
	mustWrite(t, b, "p", "c", "3")
}

// TestOpenUnwritableFolder gives the system's reason, which callers branch on.
func TestOpenUnwritableFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: file}); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
	if os.Geteuid() == 0 {
		t.Skip("skipped: a folder that is not to be written, as root writes everywhere")
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a folder that is not to be written: %v", err)
	}
}

// TestOpenOnAFullDisk refuses to open where there is no room to, says so, and
// leaves the data alone; with little room it opens for reading.
func TestOpenOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	b := mustOpen(t, dir)
	mustWrite(t, b, "p", "a", "1")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	const mib = 1 << 20
	var free int64 = 31 * mib
	opt := Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), MinFree: mib, freeBytes: func(string) (int64, bool) { return free, true }}
	if b, err := Open(opt); err == nil {
		b.Close()
		t.Error("it opens on a full disk")
	} else if e, ok := dberr.As(err); !ok || e.Code != dberr.StorageUnavailable || !strings.Contains(e.Message, "full") || !strings.Contains(e.Hint, dir) {
		t.Errorf("%v", err)
	}
	// MinFree alone would let in writes that a merge has no room beside.
	free = 63 * mib
	b, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := state(t, b, "p"); len(got) != 1 {
		t.Errorf("state: %v", got)
	}
	var batch kv.Batch
	batch.Put("p", []byte("b"), []byte("2"))
	if err := b.Write(t.Context(), &batch); dberr.CodeOf(err) != dberr.StorageUnavailable {
		t.Errorf("write with %d MiB free: %v", free/mib, err)
	}
	free = 80 * mib
	b.freeUntil = 0
	if err := b.Write(t.Context(), &batch); err != nil {
		t.Error(err)
	}
}

func TestFolderFindsNewFiles(t *testing.T) {
	dir := t.TempDir()
	touch := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(name string) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	touch("00006.mem")
	touch("00007.mem")
	touch("000002.vlog")
	touch("notes.mem")
	f := newFolder(dir)
	defer f.close()
	var synced []string
	f.synced = func(name string) { synced = append(synced, name) }
	check := func(step string, err error, want ...string) {
		t.Helper()
		if !ownSync {
			want = slices.DeleteFunc(want, func(name string) bool { return name != "." })
		}
		if err != nil || !slices.Equal(synced, want) {
			t.Errorf("%s: synced %q, %v, want %q", step, synced, err, want)
		}
		synced = nil
	}
	check("open", f.open(), "00006.mem", "00007.mem", "000002.vlog", ".")
	check("a commit", f.commit(false), "00007.mem")
	check("with values", f.commit(true), "00007.mem", "000002.vlog")
	touch("00008.mem")
	touch("000003.vlog")
	check("a new file", f.commit(false), "00007.mem", "00008.mem", ".")
	remove("00007.mem")
	check("an old one has gone", f.commit(false), "00008.mem")
	check("new values", f.commit(true), "00008.mem", "000002.vlog", "000003.vlog", ".")
	touch("00009.mem")
	remove("00008.mem") // it is in a sorted file before it was looked at
	touch("00011.mem")
	check("after a drop", f.look(), "00006.mem", "00009.mem", "00011.mem", "000002.vlog", "000003.vlog", ".")
	remove("00011.mem")
	if err := f.commit(false); ownSync && err == nil {
		t.Error("a commit without a log file is taken for durable")
	}
	f.dir = filepath.Join(dir, "gone")
	if err := f.open(); err == nil {
		t.Error("a missing folder was synced")
	}
}

// TestReadPoints checks that Badger is told to keep what the oldest snapshot
// sees, and that nothing piles up.
func TestReadPoints(t *testing.T) {
	b := mustOpen(t, t.TempDir())
	var open []kv.Snapshot
	for i := range 6 {
		mustWrite(t, b, "p", "k", fmt.Sprint(i))
		for range 2 {
			s, err := b.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, s)
		}
	}
	if b.points.Len() != 6 {
		t.Errorf("%d read points, want 6", b.points.Len())
	}
	for i, s := range open[2:10] { // the middle ones
		s.Release()
		if want := 6 - (i+1)/2; b.points.Len() != want {
			t.Errorf("%d read points, want %d", b.points.Len(), want)
		}
	}
	for i, want := range map[int]string{0: "0", 1: "0", 10: "5"} {
		if v, ok, err := open[i].Get("p", []byte("k")); string(v) != want || !ok || err != nil {
			t.Errorf("snapshot %d: %q, %v, %v", i, v, ok, err)
		}
	}
	for _, s := range open {
		s.Release()
	}
	if b.points.Len() != 0 {
		t.Errorf("%d read points are left", b.points.Len())
	}
}
