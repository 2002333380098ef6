package live

import (
	"context"
	"sync"
)

// Mux lets one goroutine read many subscriptions, so that a connection needs
// no goroutine for each. Subscriptions registered with the same Mux take turns,
// one message each.
//
// One goroutine at a time reads a Mux. Its list of subscriptions that have
// something is bounded by their number.
type Mux struct {
	wake  chan struct{}
	start func()

	mu    sync.Mutex // guards what follows and every subscription's listed
	ready []*Subscription
	head  int
	// running is true from the call of start until Poll finds nothing.
	running bool
}

// NewMux makes a Mux without subscriptions.
func NewMux() *Mux { return &Mux{wake: make(chan struct{}, 1)} }

// NewMuxFunc makes a Mux whose reader is there only while there is something to
// read, so that idle subscriptions need no goroutine. start is called when
// something has come and nobody reads; it must not wait, and sees to it that
// somebody calls Poll until that gives nothing, which ends the reader's turn.
func NewMuxFunc(start func()) *Mux { return &Mux{start: start} }

// Next waits for the next message of any of the subscriptions. When one has
// ended it gives that subscription once with its *Closed as the error;
// subscriptions that the reader closed itself are not reported. A context that
// ends gives its error and no subscription.
func (m *Mux) Next(ctx context.Context) (*Subscription, Message, error) {
	for {
		s, msg, err := m.Poll(ctx)
		if s != nil || err != nil {
			return s, msg, err
		}
		select {
		case <-m.wake:
		case <-ctx.Done():
			return nil, Message{}, ctx.Err()
		}
	}
}

// Poll is Next without waiting: no subscription and no error mean that nothing
// is there. It may read initial rows or a resync, which ctx bounds.
func (m *Mux) Poll(ctx context.Context) (*Subscription, Message, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, Message{}, err
		}
		s := m.take()
		if s == nil {
			return nil, Message{}, nil
		}
		msg, ok, err := s.Poll(ctx)
		closed, ended := err.(*Closed)
		switch {
		case ok:
			m.put(s)
			return s, msg, nil
		case ended:
			if closed.Reason == ReasonUnsubscribed {
				continue
			}
			return s, Message{}, err
		case err != nil:
			m.put(s)
			return nil, Message{}, err
		}
	}
}

func (m *Mux) take() *Subscription {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.head == len(m.ready) {
		m.running = false
		return nil
	}
	s := m.ready[m.head]
	m.ready[m.head] = nil
	m.head++
	if m.head == len(m.ready) {
		m.ready, m.head = m.ready[:0], 0
		if cap(m.ready) > 16 {
			m.ready = nil // an idle Mux is small
		}
	}
	s.listed = false
	return s
}

// put lists the subscription as one that may have something.
func (m *Mux) put(s *Subscription) {
	m.mu.Lock()
	if s.listed {
		m.mu.Unlock()
		return
	}
	s.listed = true
	if m.head > 0 && len(m.ready) == cap(m.ready) {
		n := copy(m.ready, m.ready[m.head:])
		clear(m.ready[n:])
		m.ready, m.head = m.ready[:n], 0
	}
	m.ready = append(m.ready, s)
	start := m.start != nil && !m.running
	m.running = true
	m.mu.Unlock()
	if start {
		m.start()
		return
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
