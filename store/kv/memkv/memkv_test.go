package memkv_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/kvtest"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	kvtest.Run(t, kvtest.Harness{
		Open: func(*testing.T) kv.Backend { return memkv.New(memkv.Options{}) },
	})
}

func TestMaxBytes(t *testing.T) {
	b := memkv.New(memkv.Options{MaxBytes: 10_000})
	var batch kv.Batch
	batch.Put("p", []byte("k"), make([]byte, 6000))
	if err := b.Write(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	batch.Reset()
	batch.Put("p", []byte("l"), make([]byte, 6000))
	if err := b.Write(t.Context(), &batch); dberr.CodeOf(err) != dberr.ResourceExhausted {
		t.Errorf("write past the limit: %v", err)
	}
	batch.Reset()
	batch.Delete("p", []byte("k"))
	if err := b.Write(t.Context(), &batch); err != nil {
		t.Errorf("delete when nearly full: %v", err)
	}
	if size, err := b.Size(t.Context()); size != 0 || err != nil {
		t.Errorf("size of nothing: %d, %v", size, err)
	}
	batch.Reset()
	batch.Put("p", []byte("l"), make([]byte, 6000))
	if err := b.Write(t.Context(), &batch); err != nil {
		t.Errorf("write after delete: %v", err)
	}
}

func BenchmarkBackend(b *testing.B) {
	kvtest.Benchmark(b, func(b *testing.B, _ bool) kv.Backend {
		db := memkv.New(memkv.Options{})
		b.Cleanup(func() { db.Close() })
		return db
	})
}
