package kvtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

func testSnapshotFrozen(t *testing.T, b kv.Backend) {
	put(t, b, "p", "a", "1", "b", "1")
	s1 := snapshot(t, b)
	put(t, b, "p", "a", "2", "c", "2")
	s2 := snapshot(t, b)
	write(t, b, func(batch *kv.Batch) {
		batch.Delete("p", []byte("b"))
		batch.Put("new", []byte("k"), nil)
	})
	s3 := snapshot(t, b)
	for range 2 {
		equal(t, "first", scan(t, s1, "p", kv.Range{}), "a=1 b=1")
		equal(t, "second", scan(t, s2, "p", kv.Range{Reverse: true}), "c=2 b=1 a=2")
		equal(t, "third", scan(t, s3, "p", kv.Range{}), "a=2 c=2")
		equal(t, "first get", getAt(t, s1, "p", "c"), "<none>")
		// Compaction must keep what open snapshots see.
		if err := b.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// testSnapshotWholeBatches moves a token between keys of two partitions while
// readers count: they must always find it once.
func testSnapshotWholeBatches(t *testing.T, b kv.Backend) {
	const keys = 8
	place := func(i int) (kv.Partition, []byte) {
		return kv.Partition(fmt.Sprintf("p%d", i%2)), []byte{byte(i)}
	}
	write(t, b, func(batch *kv.Batch) {
		p, k := place(0)
		batch.Put(p, k, []byte("token"))
	})
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for !stop.Load() {
				s, err := b.Snapshot()
				if err != nil {
					t.Error(err)
					return
				}
				n := 0
				for _, p := range []kv.Partition{"p0", "p1"} {
					it := s.Scan(p, kv.Range{})
					for it.Next() {
						n++
					}
					if it.Err() != nil {
						t.Error(it.Err())
					}
					it.Close()
				}
				s.Release()
				if n != 1 {
					t.Errorf("found the token %d times", n)
					return
				}
			}
		})
	}
	for i := range 300 {
		write(t, b, func(batch *kv.Batch) {
			p, k := place(i % keys)
			batch.Delete(p, k)
			p, k = place((i + 1) % keys)
			batch.Put(p, k, []byte("token"))
		})
	}
	stop.Store(true)
	wg.Wait()
}

// testReadYourWrite writes from several goroutines, each of which must see its
// own write in the next snapshot.
func testReadYourWrite(t *testing.T, b kv.Backend) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			p := kv.Partition(fmt.Sprintf("w%d", w))
			for i := range 50 {
				var batch kv.Batch
				k := fmt.Append(nil, i)
				batch.Put(p, k, k)
				if err := b.Write(t.Context(), &batch); err != nil {
					t.Error(err)
					return
				}
				s, err := b.Snapshot()
				if err != nil {
					t.Error(err)
					return
				}
				v, ok, err := s.Get(p, k)
				if err != nil || !ok || string(v) != string(k) {
					t.Errorf("writer %d does not see its write %d: %q, %v, %v", w, i, v, ok, err)
				}
				s.Release()
			}
		})
	}
	wg.Wait()
	if got, err := kv.Partitions(b, "w"); err != nil || len(got) != 4 {
		t.Errorf("partitions: %v, %v", got, err)
	}
}

func testRelease(t *testing.T, b kv.Backend) {
	put(t, b, "p", "a", "1", "b", "2")
	s, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	it := s.Scan("p", kv.Range{})
	it.Next()
	s.Release()
	s.Release()
	if it.Next() {
		t.Error("an iterator outlived its snapshot")
	}
	wantIs(t, "iterator", it.Err(), kv.ErrReleased)
	it.Close()
	_, _, err = s.Get("p", []byte("a"))
	wantIs(t, "get", err, kv.ErrReleased)
	late := s.Scan("p", kv.Range{})
	if late.Next() {
		t.Error("a scan of a released snapshot found something")
	}
	wantIs(t, "scan", late.Err(), kv.ErrReleased)
	late.Close()
	for _, err := range s.Partitions("") {
		wantIs(t, "partitions", err, kv.ErrReleased)
	}
}

func testCancelled(t *testing.T, b kv.Backend) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var batch kv.Batch
	batch.Put("p", []byte("k"), nil)
	wantIs(t, "write", b.Write(ctx, &batch), context.Canceled)
	wantIs(t, "drop", b.DropPartitions(ctx, "p"), context.Canceled)
	wantIs(t, "drop one", b.DropPartition(ctx, "p"), context.Canceled)
	wantIs(t, "compact", b.Compact(ctx), context.Canceled)
	if _, err := b.Size(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("size: %v", err)
	}
	equal(t, "nothing written", partitions(t, b, ""), "")
}

func testClose(t *testing.T, b kv.Backend) {
	put(t, b, "p", "a", "1", "b", "2")
	s, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	it := s.Scan("p", kv.Range{})
	if !it.Next() {
		t.Fatal(it.Err())
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	if it.Next() {
		t.Error("an iterator outlived its backend")
	}
	wantIs(t, "iterator", it.Err(), kv.ErrClosed)
	_, _, err = s.Get("p", []byte("a"))
	wantIs(t, "get", err, kv.ErrClosed)
	late := s.Scan("p", kv.Range{})
	if late.Next() {
		t.Error("a scan found something after Close")
	}
	wantIs(t, "scan", late.Err(), kv.ErrClosed)
	for _, err := range s.Partitions("") {
		wantIs(t, "partitions of a snapshot", err, kv.ErrClosed)
	}
	it.Close()
	s.Release()

	_, err = b.Snapshot()
	wantIs(t, "snapshot", err, kv.ErrClosed)
	var batch kv.Batch
	batch.Put("p", []byte("k"), nil)
	wantIs(t, "write", b.Write(t.Context(), &batch), kv.ErrClosed)
	wantIs(t, "empty write", b.Write(t.Context(), new(kv.Batch)), kv.ErrClosed)
	wantIs(t, "drop", b.DropPartitions(t.Context(), "p"), kv.ErrClosed)
	wantIs(t, "drop one", b.DropPartition(t.Context(), "p"), kv.ErrClosed)
	wantIs(t, "compact", b.Compact(t.Context()), kv.ErrClosed)
	_, err = b.Size(t.Context())
	wantIs(t, "size", err, kv.ErrClosed)
	_, err = kv.Partitions(b, "")
	wantIs(t, "partitions", err, kv.ErrClosed)
	wantCode(t, "what a client sees", err, dberr.StorageUnavailable)
}

func testCloseBeside(t *testing.T, b kv.Backend) {
	write(t, b, func(batch *kv.Batch) {
		for i := range 500 {
			batch.Put("p", fmt.Append(nil, i), fill('v', 100))
		}
	})
	ended := func(err error) bool {
		if err != nil && !errors.Is(err, kv.ErrClosed) {
			t.Error(err)
		}
		return err != nil
	}
	var wg sync.WaitGroup
	var turns atomic.Int64
	under := make(chan struct{})
	for r := range 4 {
		wg.Go(func() {
			for {
				if turns.Add(1) == 40 {
					close(under)
				}
				if r == 0 {
					var batch kv.Batch
					batch.Put("q", []byte("k"), []byte("v"))
					if ended(b.Write(t.Context(), &batch)) {
						return
					}
					continue
				}
				s, err := b.Snapshot()
				if ended(err) {
					return
				}
				it := s.Scan("p", kv.Range{Reverse: r == 2})
				for it.Next() {
					if _, err := it.Value(); ended(err) {
						break
					}
				}
				ended(it.Err())
				it.Close()
				_, _, err = s.Get("p", []byte("1"))
				ended(err)
				s.Release()
			}
		})
	}
	<-under
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// testDropBesideWrites drops partitions while others are written: no write may
// fail, and nothing that was not dropped may be lost.
func testDropBesideWrites(t *testing.T, b kv.Backend) {
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := range 60 {
				var batch kv.Batch
				batch.Put(kv.Partition(fmt.Sprintf("keep/%d", w)), fmt.Append(nil, i), []byte("v"))
				batch.Put("lost/x", fmt.Append(nil, i), []byte("v"))
				if err := b.Write(t.Context(), &batch); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 4 {
		write(t, b, func(batch *kv.Batch) {
			for k := range 1500 * (i % 2 * 2) {
				batch.Put("lost/y", fmt.Append(nil, k), []byte("v"))
			}
		})
		if err := b.DropPartitions(t.Context(), "lost/"); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	s := snapshot(t, b)
	for w := range 3 {
		it := s.Scan(kv.Partition(fmt.Sprintf("keep/%d", w)), kv.Range{KeysOnly: true})
		n := 0
		for it.Next() {
			n++
		}
		it.Close()
		if n != 60 {
			t.Errorf("writer %d: %d of 60 keys are left", w, n)
		}
	}
	if err := b.DropPartitions(t.Context(), "lost/"); err != nil {
		t.Fatal(err)
	}
	equal(t, "left", partitions(t, b, ""), "keep/0 keep/1 keep/2")
}

func testCompact(t *testing.T, b kv.Backend) {
	for i := range 3 {
		write(t, b, func(batch *kv.Batch) {
			for k := range 1000 {
				batch.Put("p", fmt.Append(nil, k), fill('a'+byte(i), 500))
			}
		})
	}
	size, err := b.Size(t.Context())
	if err != nil || size < 100_000 {
		t.Errorf("size of half a megabyte is %d, %v", size, err)
	}
	write(t, b, func(batch *kv.Batch) {
		for k := range 990 {
			batch.Delete("p", fmt.Append(nil, k))
		}
	})
	if err := b.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := snapshot(t, b)
	it := s.Scan("p", kv.Range{})
	defer it.Close()
	n := 0
	for ; it.Next(); n++ {
		if v, err := it.Value(); err != nil || string(v) != string(fill('c', 500)) {
			t.Fatalf("%q has the wrong value, %v", it.Key(), err)
		}
	}
	if n != 10 || it.Err() != nil {
		t.Errorf("%d keys are left, want 10; %v", n, it.Err())
	}
}
