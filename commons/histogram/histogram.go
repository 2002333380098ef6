// Package histogram counts measurements in buckets, for figures that are read
// from time to time while many goroutines count.
package histogram

import (
	"math"
	"sync/atomic"
)

// Histogram counts values in buckets. It may be used from several goroutines.
type Histogram struct {
	bounds  []float64
	buckets []atomic.Uint64 // one more than bounds: what is above all of them
	sum     atomic.Uint64   // the bits of a float64
}

// New makes a Histogram with the upper bounds of its buckets, the least first;
// one more bucket has everything above.
func New(bounds ...float64) *Histogram {
	return &Histogram{bounds: bounds, buckets: make([]atomic.Uint64, len(bounds)+1)}
}

// Observe counts a value.
func (h *Histogram) Observe(v float64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// Snapshot is what a Histogram has counted.
type Snapshot struct {
	// Count is how many values there were, Sum what they add up to.
	Count uint64
	Sum   float64
	// Bounds are the upper bounds, and Below how many values are not above
	// each of them.
	Bounds []float64
	Below  []uint64
}

// Snapshot reads the counters, one by one.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{Sum: math.Float64frombits(h.sum.Load()), Bounds: h.bounds, Below: make([]uint64, len(h.bounds))}
	for i := range h.buckets {
		s.Count += h.buckets[i].Load()
		if i < len(s.Below) {
			s.Below[i] = s.Count
		}
	}
	return s
}
