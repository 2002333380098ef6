// Package kvtest is the suite that every backend of package kv passes. It is
// the contract of kv.Backend in the form of tests: a new backend is done when
// Run passes.
package kvtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

// Harness makes the backends under test.
type Harness struct {
	// Open makes an empty backend. The suite closes it.
	Open func(t *testing.T) kv.Backend
	// Reopen closes a backend and opens its data again; nil when the backend
	// keeps nothing.
	Reopen func(t *testing.T, b kv.Backend) kv.Backend
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, b kv.Backend)
	}{
		{"put get delete", testPutGetDelete},
		{"empty keys and values", testEmpty},
		{"later steps win", testLaterStepsWin},
		{"scan", testScan},
		{"scan of random ranges", testRandomRanges},
		{"iterator memory", testIteratorMemory},
		{"partitions are apart", testIsolation},
		{"partition registry", testRegistry},
		{"drop", testDrop},
		{"drop many keys", testDropMany},
		{"drop beside a snapshot", testDropSnapshot},
		{"snapshot is frozen", testSnapshotFrozen},
		{"snapshot sees whole batches", testSnapshotWholeBatches},
		{"read your write", testReadYourWrite},
		{"release", testRelease},
		{"limits", testLimits},
		{"large batch", testLargeBatch},
		{"big values", testBigValues},
		{"cancelled context", testCancelled},
		{"close", testClose},
		{"close beside readers and writers", testCloseBeside},
		{"drop beside writes", testDropBesideWrites},
		{"compact and size", testCompact},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := h.Open(t)
			defer closeNow(t, b)
			c.run(t, b)
		})
	}
	t.Run("model", func(t *testing.T) { testModel(t, h) })
	if h.Reopen != nil {
		t.Run("reopen", func(t *testing.T) { testReopen(t, h) })
	}
}

func closeNow(t *testing.T, b kv.Backend) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// write fills a batch and writes it.
func write(t *testing.T, b kv.Backend, fill func(*kv.Batch)) {
	t.Helper()
	var batch kv.Batch
	fill(&batch)
	if err := b.Write(t.Context(), &batch); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func put(t *testing.T, b kv.Backend, p kv.Partition, pairs ...string) {
	t.Helper()
	write(t, b, func(batch *kv.Batch) {
		for i := 0; i < len(pairs); i += 2 {
			batch.Put(p, []byte(pairs[i]), []byte(pairs[i+1]))
		}
	})
}

func snapshot(t *testing.T, b kv.Backend) kv.Snapshot {
	t.Helper()
	s, err := b.Snapshot()
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	t.Cleanup(s.Release)
	return s
}

// get reads a key of the present state; missing is "<none>".
func get(t *testing.T, b kv.Backend, p kv.Partition, key string) string {
	t.Helper()
	s := snapshot(t, b)
	defer s.Release()
	return getAt(t, s, p, key)
}

func getAt(t *testing.T, s kv.Snapshot, p kv.Partition, key string) string {
	t.Helper()
	v, ok, err := s.Get(p, []byte(key))
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	if !ok {
		if v != nil {
			t.Fatalf("get %q: a value that was not found: %q", key, v)
		}
		return "<none>"
	}
	return string(v)
}

// scan reads a range as "key=value key=value".
func scan(t *testing.T, s kv.Snapshot, p kv.Partition, r kv.Range) string {
	t.Helper()
	it := s.Scan(p, r)
	defer it.Close()
	var out []string
	for it.Next() {
		v, err := it.Value()
		if err != nil {
			t.Fatalf("value: %v", err)
		}
		if r.KeysOnly && v != nil {
			t.Fatalf("KeysOnly gave the value %q", v)
		}
		out = append(out, fmt.Sprintf("%s=%s", it.Key(), v))
	}
	if err := it.Err(); err != nil {
		t.Fatalf("scan: %v", err)
	}
	if it.Next() || it.Key() != nil {
		t.Fatal("the iterator went on after its end")
	}
	return strings.Join(out, " ")
}

func scanAll(t *testing.T, b kv.Backend, p kv.Partition) string {
	t.Helper()
	s := snapshot(t, b)
	defer s.Release()
	return scan(t, s, p, kv.Range{})
}

func partitions(t *testing.T, b kv.Backend, prefix kv.Partition) string {
	t.Helper()
	names, err := kv.Partitions(b, prefix)
	if err != nil {
		t.Fatalf("partitions: %v", err)
	}
	var out []string
	for _, n := range names {
		out = append(out, string(n))
	}
	return strings.Join(out, " ")
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func wantCode(t *testing.T, what string, err error, code dberr.Code) {
	t.Helper()
	if dberr.CodeOf(err) != code || err == nil {
		t.Errorf("%s: got error %v, want code %s", what, err, code)
	}
}

func wantIs(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got error %v, want %v", what, err, target)
	}
}

// fill is a value of a size that can be told from others.
func fill(seed byte, size int) []byte { return bytes.Repeat([]byte{seed}, size) }
