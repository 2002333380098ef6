package crew

import (
	"strings"
	"sync/atomic"
	"testing"
)

func TestWait(t *testing.T) {
	var c Crew
	var done atomic.Int32
	for range 4 {
		c.Go(func() { done.Add(1) })
	}
	c.Wait()
	if n := done.Load(); n != 4 {
		t.Errorf("%d have ended", n)
	}
	var none Crew
	none.Wait()
}

// TestPanicComesOutOfWait: in its own goroutine it would end the process, above
// Wait there are those who catch it.
func TestPanicComesOutOfWait(t *testing.T) {
	var c Crew
	var done atomic.Int32
	for i := range 4 {
		c.Go(func() {
			if i == 2 {
				panic("broken")
			}
			done.Add(1)
		})
	}
	defer func() {
		p, ok := recover().(*Panic)
		if !ok || p.Value != "broken" || !strings.Contains(p.String(), "TestPanicComesOutOfWait") {
			t.Errorf("Wait panics with %v", p)
		}
		if n := done.Load(); n != 3 {
			t.Errorf("%d of the others have ended", n)
		}
	}()
	c.Wait()
	t.Error("Wait returned")
}
