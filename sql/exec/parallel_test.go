package exec

import (
	"strings"
	"sync/atomic"
	"testing"
)

// TestPanicOfAWorkerComesOutOfWait: in its own goroutine it would end the
// process, above wait there are those who catch it.
func TestPanicOfAWorkerComesOutOfWait(t *testing.T) {
	var c crew
	var done atomic.Int32
	for i := range 4 {
		c.run(func() {
			if i == 2 {
				panic("broken")
			}
			done.Add(1)
		})
	}
	defer func() {
		p, ok := recover().(*workerPanic)
		if !ok || p.value != "broken" || !strings.Contains(p.String(), "TestPanicOfAWorkerComesOutOfWait") {
			t.Errorf("wait panics with %v", p)
		}
		if n := done.Load(); n != 3 {
			t.Errorf("%d of the others have ended", n)
		}
	}()
	c.wait()
	t.Error("wait returned")
}
