package kvtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

// testIsolation uses names and keys that would run into each other in a
// careless layout.
func testIsolation(t *testing.T, b kv.Backend) {
	names := []kv.Partition{"a", "ab", "a\x01", "a\xff", "b", "d", "r", "j", "a/b", "A", "é", "a\xff\xff"}
	keys := []string{"", "a", "b", "\x00", "\x01", "\xff", "\xff\xff\xff", "\x00a", "b\x00"}
	write(t, b, func(batch *kv.Batch) {
		for _, n := range names {
			for _, k := range keys {
				batch.Put(n, []byte(k), []byte(string(n)+"|"+k))
			}
		}
	})
	s := snapshot(t, b)
	sorted := slices.Sorted(slices.Values(keys))
	for _, n := range names {
		var want []string
		for _, k := range sorted {
			equal(t, "get", getAt(t, s, n, k), string(n)+"|"+k)
			want = append(want, k+"="+string(n)+"|"+k)
		}
		equal(t, "scan of "+string(n), scan(t, s, n, kv.Range{}), strings.Join(want, " "))
		slices.Reverse(want)
		equal(t, "reverse scan of "+string(n), scan(t, s, n, kv.Range{Reverse: true}), strings.Join(want, " "))
	}
	if err := b.DropPartition(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	equal(t, "dropped", scanAll(t, b, "a"), "")
	for _, n := range names[1:] {
		if got := strings.Count(scanAll(t, b, n), string(n)+"|"); got != len(keys) {
			t.Errorf("dropping a left %d of %d keys in %q", got, len(keys), n)
		}
	}
}

func testRegistry(t *testing.T, b kv.Backend) {
	equal(t, "none", partitions(t, b, ""), "")
	write(t, b, func(batch *kv.Batch) {
		batch.CreatePartition("t1")
		batch.CreatePartition("t1")
		batch.Put("t2/u1", []byte("k"), nil)
		batch.Put("t10", []byte("k"), nil)
		batch.Delete("ghost", []byte("k"))
	})
	equal(t, "all", partitions(t, b, ""), "t1 t10 t2/u1")
	equal(t, "by prefix", partitions(t, b, "t1"), "t1 t10")
	equal(t, "by whole name", partitions(t, b, "t2/u1"), "t2/u1")
	equal(t, "no match", partitions(t, b, "x"), "")
	equal(t, "empty partition", scanAll(t, b, "t1"), "")
	write(t, b, func(batch *kv.Batch) { batch.Delete("t10", []byte("k")) })
	equal(t, "an emptied partition stays", partitions(t, b, "t10"), "t10")

	s := snapshot(t, b)
	n := 0
	for range s.Partitions("t") {
		n++
		if n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("the walk was left after %d names, want 2", n)
	}
	write(t, b, func(batch *kv.Batch) {
		for i := range 3000 {
			batch.Put(kv.Partition(fmt.Sprintf("u/%04d", i)), []byte("k"), []byte("v"))
		}
	})
	if got := len(strings.Fields(partitions(t, b, "u/"))); got != 3000 {
		t.Errorf("%d partitions, want 3000", got)
	}
	n = 0
	for _, err := range s.Partitions("u/") {
		n++
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != 0 {
		t.Errorf("an older snapshot shows %d new partitions", n)
	}
}

func testDrop(t *testing.T, b kv.Backend) {
	put(t, b, "t1/a", "k", "1")
	put(t, b, "t1/b", "k", "2")
	put(t, b, "t2/a", "k", "3")
	if err := b.DropPartitions(t.Context(), "t1/"); err != nil {
		t.Fatal(err)
	}
	equal(t, "left", partitions(t, b, ""), "t2/a")
	equal(t, "data", scanAll(t, b, "t1/a")+scanAll(t, b, "t1/b"), "")
	equal(t, "other table", get(t, b, "t2/a", "k"), "3")
	for range 2 {
		if err := b.DropPartitions(t.Context(), "t1/"); err != nil {
			t.Errorf("drop of nothing: %v", err)
		}
		if err := b.DropPartition(t.Context(), "never"); err != nil {
			t.Errorf("drop of a missing partition: %v", err)
		}
	}
	put(t, b, "t1/a", "new", "4")
	equal(t, "made again", scanAll(t, b, "t1/a"), "new=4")
	equal(t, "registered again", partitions(t, b, ""), "t1/a t2/a")
	wantCode(t, "empty prefix", b.DropPartitions(t.Context(), ""), dberr.Internal)
	wantCode(t, "empty name", b.DropPartition(t.Context(), ""), dberr.Internal)
	equal(t, "all is there", partitions(t, b, ""), "t1/a t2/a")
}

func testDropMany(t *testing.T, b kv.Backend) {
	for part := range 4 {
		write(t, b, func(batch *kv.Batch) {
			for i := range 2500 {
				batch.Put(kv.Partition(fmt.Sprintf("big/%d", part)), fmt.Append(nil, i), fill('v', 20))
				batch.Put(kv.Partition(fmt.Sprintf("many/%d-%d", part, i)), []byte("k"), nil)
			}
		})
	}
	put(t, b, "bigger", "k", "stays")
	put(t, b, "manyfold", "k", "stays")
	for _, prefix := range []kv.Partition{"big/", "many/"} {
		if err := b.DropPartitions(t.Context(), prefix); err != nil {
			t.Fatal(err)
		}
		equal(t, "left of "+string(prefix), partitions(t, b, prefix), "")
	}
	equal(t, "data", scanAll(t, b, "big/0")+scanAll(t, b, "many/3-7"), "")
	equal(t, "left", partitions(t, b, ""), "bigger manyfold")
	equal(t, "others' data", scanAll(t, b, "bigger")+scanAll(t, b, "manyfold"), "k=staysk=stays")
	put(t, b, "big/0", "k", "again")
	equal(t, "made again", scanAll(t, b, "big/0"), "k=again")
}

func testDropSnapshot(t *testing.T, b kv.Backend) {
	write(t, b, func(batch *kv.Batch) {
		for i := range 3000 {
			batch.Put("p", fmt.Appendf(nil, "%04d", i), []byte("v"))
		}
	})
	put(t, b, "q", "k", "v")
	s := snapshot(t, b)
	it := s.Scan("p", kv.Range{})
	defer it.Close()
	for range 10 {
		if !it.Next() {
			t.Fatal(it.Err())
		}
	}
	if err := b.DropPartition(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	put(t, b, "p", "new", "new")
	for it.Next() {
		if v, err := it.Value(); err != nil || string(v) != "v" {
			t.Fatalf("an iterator from before the drop read %q=%q, %v", it.Key(), v, err)
		}
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	equal(t, "another partition of the snapshot", getAt(t, s, "q", "k"), "v")
	if got := getAt(t, s, "p", "new"); got != "<none>" {
		t.Errorf("the snapshot sees a later key: %q", got)
	}
	equal(t, "now", scanAll(t, b, "p"), "new=new")
}
