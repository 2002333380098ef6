package rediskv_test

import (
	"testing"

	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/kvtest"
	"github.com/kalamdb/kalamdb/store/kv/rediskv/redistest"
)

// BenchmarkBackend is on a Redis on this machine.
func BenchmarkBackend(b *testing.B) {
	kvtest.Benchmark(b, func(b *testing.B, noSync bool) kv.Backend {
		when := "always"
		if noSync {
			when = "everysec"
		}
		opt := quiet(redistest.Start(b, "--appendfsync", when).URL)
		opt.NoSync = noSync
		return open(b, opt)
	})
}
