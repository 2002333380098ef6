package link

import (
	"context"
	"fmt"
	"iter"
	"sync"
)

// Live keeps the current rows of a query as typed values: it begins with every
// matching row and follows the changes. It is safe for use by several
// goroutines.
//
// It holds every matching row in memory; a query that matches millions is
// better read with Subscribe.
type Live[K comparable, T any] struct {
	sub    *Subscription
	key    func(T) K
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.RWMutex // guards what follows
	rows    map[K]T
	next    map[K]T // the rows of a start anew, until they are complete; else nil
	changed chan struct{}
	err     error
}

// NewLive subscribes to the query, which must name the columns that key needs,
// and returns once its rows are there. It ends with the context or Close.
//
//	live, err := link.NewLive(ctx, db, "SELECT * FROM chat.members", func(m Member) int64 { return m.ID })
func NewLive[K comparable, T any](ctx context.Context, c *Client, sql string, key func(T) K, opts ...SubscribeOption) (*Live[K, T], error) {
	sub, err := c.Subscribe(ctx, sql, append([]SubscribeOption{LastRows(-1)}, opts...)...)
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(ctx)
	l := &Live[K, T]{sub: sub, key: key, cancel: cancel, done: make(chan struct{}),
		rows: map[K]T{}, next: map[K]T{}, changed: make(chan struct{})}
	loaded := make(chan struct{})
	go l.run(run, loaded)
	select {
	case <-loaded:
		return l, nil
	case <-l.done:
		sub.Close()
		return nil, l.Err()
	}
}

func (l *Live[K, T]) run(ctx context.Context, loaded chan struct{}) {
	defer close(l.done)
	for {
		ev, err := l.sub.Next(ctx)
		if err == nil {
			err = l.apply(ev)
		}
		if err != nil {
			l.mu.Lock()
			l.err = err
			close(l.changed)
			l.changed = nil
			l.mu.Unlock()
			l.sub.Close() // nobody reads it any more
			return
		}
		if ev.Kind == EventLoaded && loaded != nil {
			close(loaded)
			loaded = nil
		}
	}
}

func (l *Live[K, T]) apply(ev Event) error {
	var now, old T
	if ev.Kind.HasRow() && ev.Row != nil {
		if err := ev.Row.into(&now); err != nil {
			return fmt.Errorf("a row of %s: %w", l.sub.sql, err)
		}
	}
	if ev.Old != nil {
		if err := ev.Old.into(&old); err != nil {
			return fmt.Errorf("a row of %s: %w", l.sub.sql, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	rows := l.rows
	if l.next != nil {
		rows = l.next
	}
	switch ev.Kind {
	case EventInitial, EventInsert:
		rows[l.key(now)] = now
	case EventUpdate:
		if ev.Old != nil && l.key(old) != l.key(now) {
			delete(rows, l.key(old))
		}
		rows[l.key(now)] = now
	case EventDelete:
		// An update that takes a row out of the result may have changed its key.
		if ev.Old != nil {
			delete(rows, l.key(old))
		} else {
			delete(rows, l.key(now))
		}
	case EventResynced:
		l.next = map[K]T{} // readers keep the rows they know until the new ones are complete
		return nil
	case EventLoaded:
		l.rows, l.next = l.next, nil
	default:
		return nil
	}
	if l.next == nil {
		close(l.changed)
		l.changed = make(chan struct{})
	}
	return nil
}

// Get gives the row of a key.
func (l *Live[K, T]) Get(k K) (row T, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	row, ok = l.rows[k]
	return row, ok
}

// Len is the number of rows.
func (l *Live[K, T]) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.rows)
}

// Rows copies every row, in no order.
func (l *Live[K, T]) Rows() []T {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]T, 0, len(l.rows))
	for _, r := range l.rows {
		out = append(out, r)
	}
	return out
}

// Changed gives a channel that is closed at the next change, or at the end.
func (l *Live[K, T]) Changed() <-chan struct{} {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.changed == nil {
		return l.done
	}
	return l.changed
}

// Follow ranges over the rows, as Rows gives them: as they are now and as they
// are after each change, where changes that come together count as one. It ends
// with the context, or with the Live; Err then tells why.
func (l *Live[K, T]) Follow(ctx context.Context) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for {
			changed := l.Changed() // before the rows are read, so that no change falls between
			if !yield(l.Rows()) {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			select {
			case <-l.done:
				return
			default:
			}
		}
	}
}

// Err is why the rows are no longer followed; nil while they are, and after
// Close.
func (l *Live[K, T]) Err() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.err == ErrClosed {
		return nil
	}
	return l.err
}

// Close ends the subscription. The rows stay as they are.
func (l *Live[K, T]) Close() error {
	l.sub.Close()
	l.cancel()
	<-l.done
	return nil
}
