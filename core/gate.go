package core

import "sync"

// gate counts what is under way and lets nothing in once it is closed.
type gate struct {
	mu     sync.Mutex // guards what follows
	n      int
	closed bool
	done   chan struct{}
}

// enter counts one more, unless the gate is closed.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.n++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.n == 0 && g.done != nil {
		close(g.done)
		g.done = nil
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *gate) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// drained is closed when nothing is under way any more. The gate is closed
// before, and one goroutine asks.
func (g *gate) drained() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := make(chan struct{})
	if g.n == 0 {
		close(c)
	} else if g.done != nil {
		return g.done
	} else {
		g.done = c
	}
	return c
}
