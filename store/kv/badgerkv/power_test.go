package badgerkv

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/store/kv"
)

// disk is what a power cut would leave of a database's folder at worst: of the
// log files, whose contents this package syncs, what they had at their last
// sync, and only those that the folder's last sync found. The other files are
// synced by Badger as they are made; they are taken as they are.
type disk struct {
	t        *testing.T
	dir      string
	contents map[string][]byte
	there    map[string]bool
	syncs    map[string]int
}

func watch(t *testing.T, b *Backend) *disk {
	d := &disk{t: t, dir: b.opt.Dir, contents: map[string][]byte{}, there: map[string]bool{}, syncs: map[string]int{}}
	b.folder.synced = d.synced
	if err := b.folder.look(); err != nil {
		t.Fatal(err)
	}
	return d
}

func isLog(name string) bool {
	return strings.HasSuffix(name, ".mem") || strings.HasSuffix(name, ".vlog")
}

func (d *disk) synced(name string) {
	d.syncs[name]++
	if name != "." {
		d.contents[name] = d.written(name)
		return
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		d.t.Error(err)
	}
	clear(d.there)
	for _, e := range entries {
		d.there[e.Name()] = true
	}
}

// written is what a log file has up to its empty rest.
func (d *disk) written(name string) []byte {
	f, err := os.Open(filepath.Join(d.dir, name))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		d.t.Error(err)
		return nil
	}
	defer f.Close()
	var data []byte
	block := make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(f, block)
		if rest := bytes.TrimRight(block[:n], "\x00"); len(rest) > 0 {
			data = append(data, block[:n]...)
		} else {
			return data
		}
		if err != nil {
			return data
		}
	}
}

// cut makes a folder of what is left. The database must not write meanwhile.
func (d *disk) cut() string {
	to := d.t.TempDir()
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		data := d.contents[e.Name()]
		if !isLog(e.Name()) {
			if data, err = os.ReadFile(filepath.Join(d.dir, e.Name())); os.IsNotExist(err) {
				continue // merged away meanwhile
			} else if err != nil {
				d.t.Fatal(err)
			}
		} else if !d.there[e.Name()] || data == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), data, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	return to
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestPowerCut writes batches of all sizes, drops and collects, and after each
// of them looks at what a power cut would leave: all that was acknowledged.
func TestPowerCut(t *testing.T) {
	if !ownSync {
		t.Skip("Badger syncs its files itself on this system")
	}
	b := mustOpen(t, t.TempDir())
	d := watch(t, b)
	r := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{}
	write := func(key string, size int) {
		t.Helper()
		value := string(noise(r, size))
		mustWrite(t, b, "p", key, value)
		want[key] = value
	}
	check := func(step string) {
		t.Helper()
		b.folder.synced = nil
		defer func() { b.folder.synced = d.synced }()
		left := mustOpen(t, d.cut())
		got := state(t, left, "p")
		for k, v := range want {
			if got[k] != v {
				t.Fatalf("%s: %q has %d bytes after a power cut, want %d", step, k, len(got[k]), len(v))
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d keys after a power cut, want %d", step, len(got), len(want))
		}
		if err := left.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write("first", 10)
	check("a write")
	for i := range 24 { // two memtables
		write(fmt.Sprint("middle", i), 500_000)
	}
	write("first", 20)
	check("memtables")
	for i := range 10 { // two files of large values
		write(fmt.Sprint("large", i%5), 4*largeValue+i)
	}
	check("large values")
	var batch kv.Batch
	for i := range 3000 {
		k, v := fmt.Sprint("small", i), string(noise(r, 1000))
		batch.Put("p", []byte(k), []byte(v))
		batch.Put("q", []byte(k), []byte(v))
		want[k] = v
	}
	if err := b.Write(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if err := b.DropPartition(t.Context(), "q"); err != nil {
		t.Fatal(err)
	}
	check("a large batch and a drop")
	gone := []kv.Partition{"x", "y", "z"}
	for _, p := range gone {
		mustWrite(t, b, p, "k", "v")
	}
	for _, p := range gone { // each begins a memtable, with no commit between them
		if err := b.dropPrefix(appendDataKey(nil, p, nil)); err != nil {
			t.Fatal(err)
		}
	}
	write("after", 30)
	check("a write after a drop")
	if err := b.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	write("last", 40)
	check("a write after a collection")
	if d.syncs["00001.mem"] == 0 || d.syncs["000002.vlog"] == 0 {
		t.Errorf("the test did not see all kinds of files: %v", d.syncs)
	}
}

// TestSyncsWhatWasWritten counts what a commit syncs: one file.
func TestSyncsWhatWasWritten(t *testing.T) {
	if !ownSync {
		t.Skip("Badger syncs its files itself on this system")
	}
	b := mustOpen(t, t.TempDir())
	mustWrite(t, b, "p", "a", "1")
	d := watch(t, b)
	clear(d.syncs)
	for range 10 {
		mustWrite(t, b, "p", "a", "2")
	}
	if d.syncs["00001.mem"] != 10 || len(d.syncs) != 1 {
		t.Errorf("ten commits sync %v", d.syncs)
	}
}

// TestCollectedValuesStay ends a collection of large values before what it has
// rewritten is synced: the file that they were in must still be there.
func TestCollectedValuesStay(t *testing.T) {
	if !ownSync {
		t.Skip("Badger syncs its files itself on this system")
	}
	b := mustOpen(t, t.TempDir())
	value := string(noise(rand.New(rand.NewPCG(3, 4)), 4<<20))
	// What is garbage shows when sorted files are merged, which takes several;
	// closing writes one.
	for range 6 {
		for i := range 3 {
			mustWrite(t, b, "p", fmt.Sprint(i), value)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = mustOpen(t, b.opt.Dir)
	}
	names := func() map[string]bool {
		found, err := filepath.Glob(filepath.Join(b.opt.Dir, "*.vlog"))
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]bool{}
		for _, name := range found {
			m[filepath.Base(name)] = true
		}
		return m
	}
	before, collected := names(), 0
	b.folder.synced = func(name string) {
		if name != "." {
			return
		}
		for old := range before {
			if !names()[old] {
				t.Errorf("%s is gone before the sync", old)
			}
		}
		collected++
		before = names()
	}
	if err := b.db.Flatten(1); err != nil {
		t.Fatal(err)
	}
	for {
		more, err := b.collectValues(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		if len(names()) >= len(before) {
			t.Error("a collection deletes nothing")
		}
		before = names()
	}
	if collected == 0 {
		t.Error("nothing was collected")
	}
	for k, v := range state(t, b, "p") {
		if v != value {
			t.Errorf("%q has %d bytes", k, len(v))
		}
	}
}
