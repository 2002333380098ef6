package rediskv_test

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/kvtest"
	"github.com/kalamdb/kalamdb/store/kv/rediskv"
	"github.com/kalamdb/kalamdb/store/kv/rediskv/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet is the options of a test.
func quiet(url string) rediskv.Options {
	return rediskv.Options{URL: url, Lease: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, opt rediskv.Options) *rediskv.Backend {
	t.Helper()
	b, err := rediskv.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestConformance(t *testing.T) {
	s := redistest.Start(t)
	var n atomic.Int64
	options := map[kv.Backend]rediskv.Options{}
	make := func(t *testing.T, opt rediskv.Options) kv.Backend {
		b := open(t, opt)
		options[b] = opt
		return b
	}
	kvtest.Run(t, kvtest.Harness{
		Open: func(t *testing.T) kv.Backend {
			opt := quiet(s.URL)
			opt.Prefix = fmt.Sprintf("t%d", n.Add(1))
			return make(t, opt)
		},
		Reopen: func(t *testing.T, b kv.Backend) kv.Backend {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			return make(t, options[b])
		},
	})
}
