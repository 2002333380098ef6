package badgerkv_test

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/kalamdb/kalamdb/store/kv"
)

const benchRows = 100_000

func loaded(b *testing.B) kv.Backend {
	b.Helper()
	db := open(b, b.TempDir(), true)
	value := make([]byte, 135)
	var batch kv.Batch
	for i := range benchRows {
		batch.Put("p", binary.BigEndian.AppendUint64(nil, uint64(i)), value)
		if batch.Len() == 5000 {
			if err := db.Write(b.Context(), &batch); err != nil {
				b.Fatal(err)
			}
			batch.Reset()
		}
	}
	return db
}

func BenchmarkGet(b *testing.B) {
	db := loaded(b)
	s, err := db.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Release()
	b.ReportAllocs()
	key := make([]byte, 8)
	i := uint64(0)
	for b.Loop() {
		i = (i*2862933555777941757 + 3037000493) % benchRows
		binary.BigEndian.PutUint64(key, i)
		if _, ok, err := s.Get("p", key); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	db := open(b, b.TempDir(), true)
	b.ReportAllocs()
	for b.Loop() {
		s, err := db.Snapshot()
		if err != nil {
			b.Fatal(err)
		}
		s.Release()
	}
}

func benchScan(b *testing.B, r kv.Range, want int) {
	db := loaded(b)
	s, err := db.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Release()
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		it := s.Scan("p", r)
		n := 0
		for it.Next() {
			if !r.KeysOnly {
				if _, err := it.Value(); err != nil {
					b.Fatal(err)
				}
			}
			n++
		}
		it.Close()
		if n != want {
			b.Fatalf("%d rows, %v", n, it.Err())
		}
		rows += n
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkScan(b *testing.B)        { benchScan(b, kv.Range{}, benchRows) }
func BenchmarkScanReverse(b *testing.B) { benchScan(b, kv.Range{Reverse: true}, benchRows) }
func BenchmarkScanKeys(b *testing.B)    { benchScan(b, kv.Range{KeysOnly: true}, benchRows) }
func BenchmarkScanShort(b *testing.B) {
	benchScan(b, kv.Range{
		Start: binary.BigEndian.AppendUint64(nil, 5000),
		End:   binary.BigEndian.AppendUint64(nil, 5010),
	}, 10)
}

func benchWrite(b *testing.B, noSync bool, rows int) {
	db := open(b, b.TempDir(), noSync)
	value := make([]byte, 135)
	b.ReportAllocs()
	var batch kv.Batch
	n := uint64(0)
	for b.Loop() {
		batch.Reset()
		for range rows {
			n++
			batch.Put("p", binary.BigEndian.AppendUint64(nil, n), value)
		}
		if err := db.Write(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkWriteSync1(b *testing.B)    { benchWrite(b, false, 1) }
func BenchmarkWriteSync64(b *testing.B)   { benchWrite(b, false, 64) }
func BenchmarkWriteNoSync1(b *testing.B)  { benchWrite(b, true, 1) }
func BenchmarkWriteLarge(b *testing.B)    { benchWrite(b, false, 50_000) }
func BenchmarkWriteNoSync64(b *testing.B) { benchWrite(b, true, 64) }

// BenchmarkIdle reports the memory of an open, empty database.
func BenchmarkIdle(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	open(b, b.TempDir(), false)
	runtime.GC()
	runtime.ReadMemStats(&after)
	for b.Loop() {
	}
	b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/(1<<20), "MiB")
}
