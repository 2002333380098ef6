package kvtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/store/kv"
)

func testPutGetDelete(t *testing.T, b kv.Backend) {
	equal(t, "missing partition", get(t, b, "p", "a"), "<none>")
	put(t, b, "p", "a", "1", "b", "2")
	equal(t, "a", get(t, b, "p", "a"), "1")
	equal(t, "b", get(t, b, "p", "b"), "2")
	equal(t, "missing key", get(t, b, "p", "c"), "<none>")
	equal(t, "prefix of a key", get(t, b, "p", ""), "<none>")
	put(t, b, "p", "a", "3")
	equal(t, "overwritten", get(t, b, "p", "a"), "3")
	write(t, b, func(batch *kv.Batch) {
		batch.Delete("p", []byte("a"))
		batch.Delete("p", []byte("never there"))
		batch.Delete("nowhere", []byte("a"))
	})
	equal(t, "deleted", get(t, b, "p", "a"), "<none>")
	equal(t, "all", scanAll(t, b, "p"), "b=2")
	put(t, b, "p", "a", "4")
	equal(t, "put again", get(t, b, "p", "a"), "4")
	write(t, b, func(*kv.Batch) {})
}

func testEmpty(t *testing.T, b kv.Backend) {
	put(t, b, "p", "", "empty key", "empty value", "", "\x00", "zero", "\x00\x00", "two", "\xff", "last")
	equal(t, "empty key", get(t, b, "p", ""), "empty key")
	equal(t, "empty value", get(t, b, "p", "empty value"), "")
	equal(t, "order", scanAll(t, b, "p"), "=empty key \x00=zero \x00\x00=two empty value= \xff=last")
	s := snapshot(t, b)
	equal(t, "reverse", scan(t, s, "p", kv.Range{Reverse: true}), "\xff=last empty value= \x00\x00=two \x00=zero =empty key")
	equal(t, "up to an empty end", scan(t, s, "p", kv.Range{End: []byte{}}), "")
	equal(t, "up to the first", scan(t, s, "p", kv.Range{End: []byte{0}}), "=empty key")
	write(t, b, func(batch *kv.Batch) { batch.Delete("p", nil) })
	equal(t, "empty key deleted", get(t, b, "p", ""), "<none>")
}

func testLaterStepsWin(t *testing.T, b kv.Backend) {
	write(t, b, func(batch *kv.Batch) {
		batch.Put("p", []byte("a"), []byte("1"))
		batch.Put("p", []byte("a"), []byte("2"))
		batch.Put("p", []byte("b"), []byte("1"))
		batch.Delete("p", []byte("b"))
		batch.Delete("p", []byte("c"))
		batch.Put("p", []byte("c"), []byte("1"))
	})
	equal(t, "state", scanAll(t, b, "p"), "a=2 c=1")
	var all, one kv.Batch
	one.Put("p", []byte("d"), []byte("1"))
	all.Delete("p", []byte("a"))
	all.Append(&one)
	one.Reset()
	one.Put("p", []byte("c"), []byte("9"))
	all.Append(&one)
	one.Reset()
	if err := b.Write(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	equal(t, "appended batches", scanAll(t, b, "p"), "c=9 d=1")
}

func testScan(t *testing.T, b kv.Backend) {
	put(t, b, "o", "a", "other", "z", "other")
	put(t, b, "p", "a", "1", "b", "2", "ba", "3", "c", "4", "d", "5")
	put(t, b, "q", "a", "other", "b", "other")
	s := snapshot(t, b)
	rng := func(start, end string) kv.Range {
		r := kv.Range{}
		if start != "-" {
			r.Start = []byte(start)
		}
		if end != "-" {
			r.End = []byte(end)
		}
		return r
	}
	for _, c := range []struct{ start, end, want string }{
		{"-", "-", "a=1 b=2 ba=3 c=4 d=5"},
		{"b", "-", "b=2 ba=3 c=4 d=5"},
		{"b\x00", "-", "ba=3 c=4 d=5"},
		{"-", "c", "a=1 b=2 ba=3"},
		{"b", "c", "b=2 ba=3"},
		{"b", "b", ""},
		{"c", "b", ""},
		{"bb", "bz", ""},
		{"e", "-", ""},
		{"-", "a", ""},
		{"A", "zzz", "a=1 b=2 ba=3 c=4 d=5"},
	} {
		r := rng(c.start, c.end)
		what := fmt.Sprintf("[%s,%s)", c.start, c.end)
		equal(t, what, scan(t, s, "p", r), c.want)
		r.Reverse = true
		parts := strings.Fields(c.want)
		slices.Reverse(parts)
		equal(t, what+" reverse", scan(t, s, "p", r), strings.Join(parts, " "))
	}
	equal(t, "prefix", scan(t, s, "p", kv.PrefixRange([]byte("b"))), "b=2 ba=3")
	equal(t, "keys only", scan(t, s, "p", kv.Range{KeysOnly: true}), "a= b= ba= c= d=")
	equal(t, "missing partition", scan(t, s, "none", kv.Range{}), "")
	equal(t, "missing partition reverse", scan(t, s, "none", kv.Range{Reverse: true}), "")
	equal(t, "invalid partition", scan(t, s, "p\x00", kv.Range{}), "")
	equal(t, "empty partition name", scan(t, s, "", kv.Range{}), "")

	it := s.Scan("p", kv.Range{})
	it.Next()
	it.Close()
	it.Close()
	if it.Next() {
		t.Error("Next after Close went on")
	}
	if v, err := it.Value(); v != nil || err != nil {
		t.Errorf("Value after Close: %q, %v", v, err)
	}
}

// testRandomRanges holds scans against a sorted list.
func testRandomRanges(t *testing.T, b kv.Backend) {
	rnd := rand.New(rand.NewPCG(1, 2))
	key := func() []byte {
		k := make([]byte, rnd.IntN(4))
		for i := range k {
			k[i] = []byte{0, 1, 'a', 0xfe, 0xff}[rnd.IntN(5)]
		}
		return k
	}
	model := map[string]string{}
	write(t, b, func(batch *kv.Batch) {
		for i := range 200 {
			k := key()
			batch.Put("p", k, fmt.Append(nil, i))
			model[string(k)] = fmt.Sprint(i)
			batch.Put("p\x01", k, []byte("neighbour"))
			batch.Put("o\xff", k, []byte("neighbour"))
		}
	})
	s := snapshot(t, b)
	for range 300 {
		r := kv.Range{Reverse: rnd.IntN(2) == 0}
		if rnd.IntN(4) > 0 {
			r.Start = key()
		}
		if rnd.IntN(4) > 0 {
			r.End = key()
		}
		equal(t, fmt.Sprintf("%x to %x reverse %v", r.Start, r.End, r.Reverse), scan(t, s, "p", r), scanModel(model, r))
	}
}

// scanModel is what scan answers for a partition that holds the map's pairs.
func scanModel(m map[string]string, r kv.Range) string {
	var keys []string
	for k := range m {
		if k >= string(r.Start) && (r.End == nil || k < string(r.End)) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if r.Reverse {
		slices.Reverse(keys)
	}
	for i, k := range keys {
		keys[i] = k + "=" + m[k]
	}
	return strings.Join(keys, " ")
}

// testIteratorMemory checks that batches and ranges do not keep the caller's
// memory, and that a value of Get lives as long as the snapshot.
func testIteratorMemory(t *testing.T, b kv.Backend) {
	key, value := []byte("key-0"), []byte("value-0")
	var batch kv.Batch
	for i := range 9 {
		key[4], value[6] = '0'+byte(i), '0'+byte(i)
		batch.Put("p", key, value)
	}
	clear(key)
	clear(value)
	if err := b.Write(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	batch.Reset()
	batch.Put("q", []byte("xxxxxxxxxxxxxxxxxxxxx"), []byte("yyyyyyyyyyyyyyyyyyyyyyyyyyy"))

	s := snapshot(t, b)
	first, _, err := s.Get("p", []byte("key-0"))
	if err != nil {
		t.Fatal(err)
	}
	it := s.Scan("p", kv.Range{})
	defer it.Close()
	n := 0
	for it.Next() {
		v, err := it.Value()
		if err != nil {
			t.Fatal(err)
		}
		again, err := it.Value()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "key", string(it.Key()), fmt.Sprintf("key-%d", n))
		equal(t, "value", string(v), fmt.Sprintf("value-%d", n))
		equal(t, "value again", string(again), fmt.Sprintf("value-%d", n))
		n++
	}
	if n != 9 {
		t.Errorf("got %d keys, want 9", n)
	}
	equal(t, "first value", string(first), "value-0")
}

func testBigValues(t *testing.T, b kv.Backend) {
	sizes := []int{1 << 10, 100 << 10, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20, kv.MaxValueSize}
	longKey := string(fill('k', kv.MaxKeySize))
	for i, size := range sizes {
		write(t, b, func(batch *kv.Batch) {
			batch.Put("p", []byte{byte(i)}, fill(byte('a'+i), size))
		})
	}
	put(t, b, kv.Partition(fill('n', kv.MaxPartitionName)), longKey, "long")
	s := snapshot(t, b)
	for i, size := range sizes {
		if got := getAt(t, s, "p", string([]byte{byte(i)})); got != string(fill(byte('a'+i), size)) {
			t.Errorf("a value of %d bytes came back with %d", size, len(got))
		}
	}
	it := s.Scan("p", kv.Range{Reverse: true})
	defer it.Close()
	for i := len(sizes) - 1; i >= 0; i-- {
		if !it.Next() {
			t.Fatalf("scan ended early: %v", it.Err())
		}
		v, err := it.Value()
		if err != nil || string(v) != string(fill(byte('a'+i), sizes[i])) {
			t.Errorf("scan: a value of %d bytes came back with %d, %v", sizes[i], len(v), err)
		}
	}
	equal(t, "long key", getAt(t, s, kv.Partition(fill('n', kv.MaxPartitionName)), longKey), "long")
}
