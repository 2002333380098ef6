package limit

import "sync/atomic"

// Gate bounds how much runs at a time. It may be used from several goroutines.
// The zero value lets nothing in.
type Gate struct {
	most    atomic.Int64
	running atomic.Int64
}

// SetMost sets how much may run at a time. What runs beyond it runs on.
func (g *Gate) SetMost(n int) { g.most.Store(int64(n)) }

// Enter counts one more unless the gate is full; Leave must follow.
func (g *Gate) Enter() bool {
	for {
		n := g.running.Load()
		if n >= g.most.Load() {
			return false
		}
		if g.running.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Leave counts one less.
func (g *Gate) Leave() { g.running.Add(-1) }

// Running is how much runs now.
func (g *Gate) Running() int64 { return g.running.Load() }
