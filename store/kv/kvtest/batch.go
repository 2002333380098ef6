package kvtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

func testLimits(t *testing.T, b kv.Backend) {
	l := b.Limits()
	if l.BatchLen < 100 || l.BatchSize < 100<<10 || l.MaxBatchSize < l.BatchSize {
		t.Errorf("limits make no sense: %+v", l)
	}
	for _, c := range []struct {
		name string
		code dberr.Code
		fill func(*kv.Batch)
	}{
		{"long key", dberr.TooLarge, func(x *kv.Batch) { x.Put("p", fill('k', kv.MaxKeySize+1), nil) }},
		{"long key in delete", dberr.TooLarge, func(x *kv.Batch) { x.Delete("p", fill('k', kv.MaxKeySize+1)) }},
		{"big value", dberr.TooLarge, func(x *kv.Batch) { x.Put("p", []byte("k"), fill('v', kv.MaxValueSize+1)) }},
		{"no name", dberr.Internal, func(x *kv.Batch) { x.Put("", []byte("k"), nil) }},
		{"zero in name", dberr.Internal, func(x *kv.Batch) { x.CreatePartition("p\x00q") }},
		{"long name", dberr.Internal, func(x *kv.Batch) { x.Delete(kv.Partition(fill('n', kv.MaxPartitionName+1)), nil) }},
		{"appended", dberr.TooLarge, func(x *kv.Batch) {
			var bad kv.Batch
			bad.Put("p", fill('k', kv.MaxKeySize+1), nil)
			x.Append(&bad)
		}},
		{"whole batch", dberr.TooLarge, func(x *kv.Batch) {
			v := fill('v', kv.MaxValueSize)
			for i := 0; x.Size() <= l.MaxBatchSize; i++ {
				x.Put("p", fmt.Append(nil, i), v)
			}
		}},
	} {
		var batch kv.Batch
		batch.Put("good", []byte("k"), []byte("v"))
		c.fill(&batch)
		wantCode(t, c.name, b.Write(t.Context(), &batch), c.code)
		equal(t, c.name+": nothing is written", partitions(t, b, ""), "")
		batch.Reset()
		if batch.Len() != 0 || batch.Size() != 0 || batch.Err() != nil {
			t.Errorf("%s: Reset left %d steps, %d bytes, %v", c.name, batch.Len(), batch.Size(), batch.Err())
		}
		if err := b.Write(t.Context(), &batch); err != nil {
			t.Errorf("%s: write after reset: %v", c.name, err)
		}
	}
	s := snapshot(t, b)
	if _, ok, err := s.Get("p", fill('k', kv.MaxKeySize+1)); ok || err != nil {
		t.Errorf("get of an overlong key: %v, %v", ok, err)
	}
}

// testLargeBatch writes one batch that is many times what suits the backend.
func testLargeBatch(t *testing.T, b kv.Backend) {
	l := b.Limits()
	put(t, b, "p", "000000000", "old", "x", "old")
	before := snapshot(t, b)
	n := max(l.BatchLen*3, int(l.BatchSize*5/100))
	write(t, b, func(batch *kv.Batch) {
		batch.Delete("p", []byte("x"))
		for i := range n {
			batch.Put(kv.Partition([]string{"p", "q"}[i%2]), fmt.Appendf(nil, "%09d", i), fill('v', 50))
		}
		batch.Delete("q", []byte("000000001"))
		batch.Put("r", []byte("last"), []byte("step"))
	})
	s := snapshot(t, b)
	for p, want := range map[kv.Partition]int{"p": (n + 1) / 2, "q": n/2 - 1, "r": 1} {
		it := s.Scan(p, kv.Range{KeysOnly: true})
		got := 0
		for it.Next() {
			got++
		}
		if err := it.Err(); err != nil || got != want {
			t.Errorf("%s has %d keys, want %d; %v", p, got, want, err)
		}
		it.Close()
	}
	equal(t, "overwritten", getAt(t, s, "p", "000000000"), string(fill('v', 50)))
	equal(t, "deleted in the batch", getAt(t, s, "q", "000000001"), "<none>")
	equal(t, "partitions", partitions(t, b, ""), "p q r")
	equal(t, "the snapshot before", scan(t, before, "p", kv.Range{}), "000000000=old x=old")
	put(t, b, "p", "x", "later")
	equal(t, "a later write", get(t, b, "p", "x"), "later")
}

// model is the state of a backend as maps.
type model map[kv.Partition]map[string]string

// testModel makes random changes to a backend and to a map, and compares them
// all along, also through snapshots of the past and after reopening.
func testModel(t *testing.T, h Harness) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			b := h.Open(t)
			defer func() { closeNow(t, b) }()
			now := model{}
			type past struct {
				s kv.Snapshot
				m model
			}
			var pasts []past
			release := func() {
				for _, p := range pasts {
					checkModel(t, p.s, p.m, rnd)
					p.s.Release()
				}
				pasts = nil
			}
			defer func() { release() }()
			names := []kv.Partition{"a", "ab", "abc", "b", "b\x01", "b\xff"}
			name := func() kv.Partition { return names[rnd.IntN(len(names))] }
			key := func() []byte { return []byte{"\x00a\xff"[rnd.IntN(3)], "\x00a\xff"[rnd.IntN(3)]}[:rnd.IntN(3)] }
			for step := range 250 {
				switch rnd.IntN(20) {
				case 0:
					p := name()[:1]
					if err := b.DropPartitions(t.Context(), p); err != nil {
						t.Fatal(err)
					}
					release0 := pasts
					pasts = nil // what they see of dropped partitions is not fixed
					for _, old := range release0 {
						old.s.Release()
					}
					for n := range now {
						if n[:1] == p {
							delete(now, n)
						}
					}
				case 1, 2:
					s, err := b.Snapshot()
					if err != nil {
						t.Fatal(err)
					}
					if pasts = append(pasts, past{s, now.clone()}); len(pasts) > 4 {
						checkModel(t, pasts[0].s, pasts[0].m, rnd)
						pasts[0].s.Release()
						pasts = pasts[1:]
					}
				case 3:
					if h.Reopen != nil && step%5 == 0 {
						release()
						b = h.Reopen(t, b)
					}
				case 4:
					if err := b.Compact(t.Context()); err != nil {
						t.Fatal(err)
					}
				default:
					write(t, b, func(batch *kv.Batch) {
						for range rnd.IntN(12) {
							p, k := name(), key()
							if rnd.IntN(3) == 0 {
								batch.Delete(p, k)
								delete(now[p], string(k))
								continue
							}
							if now[p] == nil {
								now[p] = map[string]string{}
							}
							if rnd.IntN(10) == 0 {
								batch.CreatePartition(p)
								continue
							}
							v := fmt.Sprint(step)
							batch.Put(p, k, []byte(v))
							now[p][string(k)] = v
						}
					})
				}
				s := snapshot(t, b)
				checkModel(t, s, now, rnd)
				s.Release()
			}
		})
	}
}

func (m model) clone() model {
	c := model{}
	for p, keys := range m {
		c[p] = map[string]string{}
		for k, v := range keys {
			c[p][k] = v
		}
	}
	return c
}

func checkModel(t *testing.T, s kv.Snapshot, m model, rnd *rand.Rand) {
	t.Helper()
	var names, want []string
	for p, err := range s.Partitions("") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, string(p))
	}
	for p, keys := range m {
		want = append(want, string(p))
		r := kv.Range{Reverse: rnd.IntN(2) == 0}
		equal(t, "scan of "+string(p), scan(t, s, p, r), scanModel(keys, r))
		for k, v := range keys {
			equal(t, "get", getAt(t, s, p, k), v)
		}
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("partitions: got %q, want %q", names, want)
	}
	if t.Failed() {
		t.FailNow()
	}
}

func testReopen(t *testing.T, h Harness) {
	b := h.Open(t)
	defer func() { closeNow(t, b) }()
	put(t, b, "p", "a", "1", "b", "2")
	write(t, b, func(batch *kv.Batch) {
		batch.Delete("p", []byte("a"))
		batch.CreatePartition("empty")
		batch.Put("big", []byte("k"), fill('v', 2<<20))
	})
	put(t, b, "gone", "k", "v")
	if err := b.DropPartitions(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		b = h.Reopen(t, b)
		equal(t, "data", get(t, b, "p", "b"), "2")
		equal(t, "deleted", get(t, b, "p", "a"), "<none>")
		equal(t, "dropped", scanAll(t, b, "gone"), "")
		if got := get(t, b, "big", "k"); got != string(fill('v', 2<<20)) {
			t.Errorf("a value of 2 MiB came back with %d bytes", len(got))
		}
		if i == 0 {
			equal(t, "partitions", partitions(t, b, ""), "big empty p")
		}
		put(t, b, "p", "b", "2", fmt.Sprintf("n%d", i), "x")
	}
	equal(t, "all", scanAll(t, b, "p"), "b=2 n0=x n1=x n2=x")
}
