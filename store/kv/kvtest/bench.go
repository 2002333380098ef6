package kvtest

import (
	"encoding/binary"
	"testing"

	"github.com/kalamdb/kalamdb/store/kv"
)

const (
	benchRows  = 100_000
	benchValue = 135 // bytes
)

// Benchmark measures what the engine asks of a backend: reading single keys
// and ranges, snapshots, and commits of one row, of 64, and of 50,000, which
// wait for the disk or do not. open gives an empty backend that acknowledges
// commits from the disk, or from memory where noSync is set; it is closed at
// the end of the benchmark.
func Benchmark(b *testing.B, open func(b *testing.B, noSync bool) kv.Backend) {
	b.Run("Read", func(b *testing.B) {
		db := open(b, true)
		load(b, db)
		b.Run("Get", func(b *testing.B) { benchGet(b, db) })
		b.Run("Snapshot", func(b *testing.B) { benchSnapshot(b, db) })
		b.Run("Scan", func(b *testing.B) { benchScan(b, db, kv.Range{}, benchRows) })
		b.Run("ScanReverse", func(b *testing.B) { benchScan(b, db, kv.Range{Reverse: true}, benchRows) })
		b.Run("ScanKeys", func(b *testing.B) { benchScan(b, db, kv.Range{KeysOnly: true}, benchRows) })
		b.Run("ScanShort", func(b *testing.B) {
			benchScan(b, db, kv.Range{Start: benchKey(5000), End: benchKey(5010)}, 10)
		})
	})
	b.Run("WriteSync1", func(b *testing.B) { benchWrite(b, open(b, false), 1) })
	b.Run("WriteSync64", func(b *testing.B) { benchWrite(b, open(b, false), 64) })
	b.Run("WriteNoSync1", func(b *testing.B) { benchWrite(b, open(b, true), 1) })
	b.Run("WriteNoSync64", func(b *testing.B) { benchWrite(b, open(b, true), 64) })
	b.Run("WriteLarge", func(b *testing.B) { benchWrite(b, open(b, false), 50_000) })
}

func benchKey(i uint64) []byte { return binary.BigEndian.AppendUint64(nil, i) }

// load writes benchRows rows.
func load(b *testing.B, db kv.Backend) {
	b.Helper()
	value := make([]byte, benchValue)
	var batch kv.Batch
	for i := range uint64(benchRows) {
		batch.Put("p", benchKey(i), value)
		if batch.Len() == 5000 {
			if err := db.Write(b.Context(), &batch); err != nil {
				b.Fatal(err)
			}
			batch.Reset()
		}
	}
}

func benchGet(b *testing.B, db kv.Backend) {
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

func benchSnapshot(b *testing.B, db kv.Backend) {
	b.ReportAllocs()
	for b.Loop() {
		s, err := db.Snapshot()
		if err != nil {
			b.Fatal(err)
		}
		s.Release()
	}
}

func benchScan(b *testing.B, db kv.Backend, r kv.Range, want int) {
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

func benchWrite(b *testing.B, db kv.Backend, rows int) {
	value := make([]byte, benchValue)
	b.ReportAllocs()
	var batch kv.Batch
	n := uint64(0)
	for b.Loop() {
		batch.Reset()
		for range rows {
			n++
			batch.Put("p", benchKey(n), value)
		}
		if err := db.Write(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}
