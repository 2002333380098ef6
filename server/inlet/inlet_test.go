package inlet

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestProbe finds a moment in which nothing else is to do, and one in which
// much is.
func TestProbe(t *testing.T) {
	delays := make(chan time.Duration)
	p, err := Start(func(d time.Duration) bool {
		select {
		case delays <- d:
		default:
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for d := range delays {
		if d > 0 && d < 20*time.Millisecond {
			break
		}
	}
	var stop atomic.Bool
	for range 20 * runtime.GOMAXPROCS(0) { // they take turns of 10 ms
		go func() {
			for !stop.Load() {
			}
		}()
	}
	for d := range delays {
		if d > 100*time.Millisecond {
			break
		}
	}
	stop.Store(true)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	var none *Probe
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}
