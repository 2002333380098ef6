package table

import "sync"

// pile is what waits for a goroutine that clears away. The backend has a note
// of each of its things, so it grows with what there is in any case, and what
// is left of it at the end is found at the next start.
type pile[T any] struct {
	more chan struct{} // one place: something has come

	mu    sync.Mutex // guards items
	items []T
}

func newPile[T any](items []T) *pile[T] {
	p := &pile[T]{more: make(chan struct{}, 1)}
	p.add(items...)
	return p
}

// add never waits.
func (p *pile[T]) add(items ...T) {
	if len(items) == 0 {
		return
	}
	p.mu.Lock()
	p.items = append(p.items, items...)
	p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// take gives all that there is.
func (p *pile[T]) take() []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	items := p.items
	p.items = nil
	return items
}
