package badgerkv_test

import (
	"runtime"
	"testing"

	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/kvtest"
)

func BenchmarkBackend(b *testing.B) {
	kvtest.Benchmark(b, func(b *testing.B, noSync bool) kv.Backend { return open(b, b.TempDir(), noSync) })
}

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
