package core

import (
	"context"
	"sync"

	"github.com/kalamdb/kalamdb/core/slot"
)

// turns lets statements that have conflicted about a row take turns with it:
// without, of many that change one row at a time most would run in vain, and
// one might never come through.
type turns struct {
	mu sync.Mutex // guards m
	m  map[string]*turn
}

type turn struct {
	lock chan struct{} // one place
	n    int           // who has it or waits for it
}

// take waits for the turn about a key. give must be called, and may be called
// twice.
func (t *turns) take(ctx context.Context, key string) (give func(), err error) {
	t.mu.Lock()
	if t.m == nil {
		t.m = map[string]*turn{}
	}
	u := t.m[key]
	if u == nil {
		u = &turn{lock: make(chan struct{}, 1)}
		t.m[key] = u
	}
	u.n++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if u.n--; u.n == 0 {
			delete(t.m, key)
		}
	}
	place := slot.Of(ctx) // who has the turn may need it to come to its end
	place.Lend()
	defer place.Back()
	select {
	case u.lock <- struct{}{}:
		return sync.OnceFunc(func() {
			<-u.lock
			leave()
		}), nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
