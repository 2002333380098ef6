package rediskv_test

import (
	"encoding/binary"
	"testing"

	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/rediskv/redistest"
)

// The benchmarks are those of badgerkv, on a Redis on this machine.

const benchRows = 100_000

func loaded(b *testing.B) kv.Backend {
	b.Helper()
	opt := quiet(redistest.Start(b, "--appendfsync", "no").URL)
	opt.NoSync = true
	db := open(b, opt)
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
			if _, err := it.Value(); err != nil {
				b.Fatal(err)
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
func BenchmarkScanShort(b *testing.B) {
	benchScan(b, kv.Range{
		Start: binary.BigEndian.AppendUint64(nil, 5000),
		End:   binary.BigEndian.AppendUint64(nil, 5010),
	}, 10)
}

func benchWrite(b *testing.B, noSync bool, rows int) {
	sync := "always"
	if noSync {
		sync = "everysec"
	}
	opt := quiet(redistest.Start(b, "--appendfsync", sync).URL)
	opt.NoSync = noSync
	db := open(b, opt)
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
func BenchmarkWriteNoSync64(b *testing.B) { benchWrite(b, true, 64) }
func BenchmarkWriteLarge(b *testing.B)    { benchWrite(b, false, 50_000) }
