package faultkv_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/faultkv"
	"github.com/kalamdb/kalamdb/store/kv/kvtest"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

// TestConformance: without rules nothing changes.
func TestConformance(t *testing.T) {
	kvtest.Run(t, kvtest.Harness{
		Open: func(*testing.T) kv.Backend { return faultkv.New(memkv.New(memkv.Options{})) },
	})
}

func put(b kv.Backend, p kv.Partition, key string) error {
	var batch kv.Batch
	batch.Put(p, []byte(key), []byte("v"))
	return b.Write(context.Background(), &batch)
}

// keys lists the keys of a partition.
func keys(t *testing.T, b kv.Backend, p kv.Partition) string {
	t.Helper()
	s, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	it := s.Scan(p, kv.Range{})
	defer it.Close()
	var out []string
	for it.Next() {
		out = append(out, string(it.Key()))
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	return strings.Join(out, " ")
}

func TestWhichCallsFail(t *testing.T) {
	b := faultkv.New(memkv.New(memkv.Options{}),
		faultkv.On(faultkv.Write).In("full/").Fail(faultkv.ErrDiskFull),
		faultkv.On(faultkv.Write).Skip(1).Times(2).Fail(faultkv.ErrBroken))
	var got []string
	for i := range 5 {
		got = append(got, fmt.Sprint(put(b, "p", fmt.Sprint(i)) == nil))
		if err := put(b, "full/x", "k"); !errors.Is(err, faultkv.ErrDiskFull) || dberr.CodeOf(err) != dberr.StorageUnavailable {
			t.Errorf("write to the full one: %v", err)
		}
	}
	if s := strings.Join(got, " "); s != "true false false true true" {
		t.Errorf("writes went well: %s", s)
	}
	if got := keys(t, b, "p") + keys(t, b, "full/x"); got != "0 3 4" {
		t.Errorf("keys %s", got)
	}
	if n := b.Count(faultkv.Write); n != 10 {
		t.Errorf("%d writes counted", n)
	}
	heard := ""
	b.Set(faultkv.On(faultkv.Write).In("full/").Then(func(_ faultkv.Call, err error) {
		heard += fmt.Sprint(err, keys(t, b, "full/x"))
	}))
	if err := put(b, "full/x", "k"); err != nil || heard != "<nil>k" {
		t.Errorf("without faults: %v, heard %q", err, heard)
	}
}

func TestReadFaults(t *testing.T) {
	b := faultkv.New(memkv.New(memkv.Options{}))
	for i := range 5 {
		if err := put(b, "p", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	b.Set(faultkv.On(faultkv.Next).In("p").Skip(3).Fail(faultkv.ErrBroken),
		faultkv.On(faultkv.Get).Times(1).Fail(faultkv.ErrBroken),
		faultkv.On(faultkv.Snapshot).Skip(1).Fail(faultkv.ErrBroken),
		faultkv.On(faultkv.Drop).In("p").Fail(faultkv.ErrBroken),
		faultkv.On(faultkv.Size).Fail(faultkv.ErrBroken),
		faultkv.On(faultkv.Compact).Fail(faultkv.ErrBroken))
	s, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	it := s.Scan("p", kv.Range{})
	defer it.Close()
	n := 0
	for it.Next() {
		n++
	}
	if n != 3 || !errors.Is(it.Err(), faultkv.ErrBroken) || it.Next() || it.Key() != nil {
		t.Errorf("%d keys, then %v", n, it.Err())
	}
	if _, err := it.Value(); !errors.Is(err, faultkv.ErrBroken) {
		t.Errorf("value: %v", err)
	}
	if _, _, err := s.Get("p", []byte("1")); !errors.Is(err, faultkv.ErrBroken) {
		t.Errorf("first get: %v", err)
	}
	if _, ok, err := s.Get("p", []byte("1")); !ok || err != nil {
		t.Errorf("second get: %v, %v", ok, err)
	}
	_, snap := b.Snapshot()
	_, size := b.Size(t.Context())
	for what, err := range map[string]error{
		"snapshot": snap, "size": size, "compact": b.Compact(t.Context()), "drop": b.DropPartition(t.Context(), "p"),
		"drop all": b.DropPartitions(t.Context(), "p"),
	} {
		if !errors.Is(err, faultkv.ErrBroken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := b.DropPartition(t.Context(), "q"); err != nil {
		t.Errorf("another drop: %v", err)
	}
}

func TestCrash(t *testing.T) {
	for name, c := range map[string]struct {
		rule *faultkv.Rule
		want string
	}{
		"before": {faultkv.On(faultkv.Write).Skip(1).CrashBefore(), "a"},
		"after":  {faultkv.On(faultkv.Write).Skip(1).CrashAfter(), "a b"},
	} {
		disk := memkv.New(memkv.Options{})
		b := faultkv.New(disk, c.rule)
		if err := put(b, "p", "a"); err != nil || b.Crashed() {
			t.Fatalf("%s: %v", name, err)
		}
		s, err := b.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := put(b, "p", "b"); !errors.Is(err, faultkv.ErrCrashed) || !b.Crashed() {
				t.Errorf("%s: write: %v", name, err)
			}
		}
		if _, _, err := s.Get("p", []byte("a")); !errors.Is(err, faultkv.ErrCrashed) {
			t.Errorf("%s: get: %v", name, err)
		}
		for _, err := range s.Partitions("") {
			if !errors.Is(err, faultkv.ErrCrashed) {
				t.Errorf("%s: partitions: %v", name, err)
			}
		}
		b.Set()
		if _, err := b.Snapshot(); !errors.Is(err, faultkv.ErrCrashed) {
			t.Errorf("%s: snapshot: %v", name, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		// The next process.
		if got := keys(t, faultkv.New(disk), "p"); got != c.want {
			t.Errorf("%s: %q is on the disk, want %q", name, got, c.want)
		}
	}
}

func TestHoldAndDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := faultkv.NewGate()
		b := faultkv.New(memkv.New(memkv.Options{}),
			faultkv.On(faultkv.Write).Times(1).Hold(gate),
			faultkv.On(faultkv.Write).Times(2).Delay(time.Hour))
		done := make(chan error)
		go func() { done <- put(b, "p", "held") }()
		<-gate.Arrived()
		if got := keys(t, b, "p"); got != "" {
			t.Errorf("a held write is there: %s", got)
		}
		gate.Open()
		gate.Open()
		if err := <-done; err != nil {
			t.Error(err)
		}
		from := time.Now()
		if err := put(b, "p", "slow"); err != nil || time.Since(from) != time.Hour {
			t.Errorf("after %v: %v", time.Since(from), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var batch kv.Batch
		batch.Put("p", []byte("late"), nil)
		if err := b.Write(ctx, &batch); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a slow write with a deadline: %v", err)
		}
		if got := keys(t, b, "p"); got != "held slow" {
			t.Errorf("keys %s", got)
		}
	})
}
