package histogram

import (
	"slices"
	"sync"
	"testing"
)

func TestHistogram(t *testing.T) {
	h := New(1, 10, 100)
	if s := h.Snapshot(); s.Count != 0 || s.Sum != 0 || !slices.Equal(s.Below, []uint64{0, 0, 0}) {
		t.Errorf("an empty one: %+v", s)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				for _, v := range []float64{0.5, 1, 1.5, 10, 1000} {
					h.Observe(v)
				}
			}
		})
	}
	wg.Wait()
	s := h.Snapshot()
	if s.Count != 2000 || s.Sum != 400*1013 || !slices.Equal(s.Bounds, []float64{1, 10, 100}) || !slices.Equal(s.Below, []uint64{800, 1600, 1600}) {
		t.Errorf("%+v", s)
	}
}
