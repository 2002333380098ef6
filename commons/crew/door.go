package crew

import "sync"

// Door counts the calls that are under way, and lets none in once it is closed,
// so that what they use can be taken away when the last one has left. Its zero
// value is open.
type Door struct {
	mu     sync.Mutex // guards what follows
	n      int
	closed bool
	empty  chan struct{} // made by the first who waits
}

// Enter counts a call, unless the door is closed. Who was let in must Leave.
func (d *Door) Enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.n++
	return true
}

// Leave ends a call that Enter has let in.
func (d *Door) Leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.n--; d.n == 0 && d.closed && d.empty != nil {
		close(d.empty)
	}
}

// Inside is how many calls are under way.
func (d *Door) Inside() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n
}

// Close lets nobody in any more; it is false when the door was closed already.
func (d *Door) Close() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.closed
	d.closed = true
	return !was
}

// Closed tells whether Close was called.
func (d *Door) Closed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// Empty is closed when the last call that was let in has left. It is for a
// closed door, and may be asked for several times.
func (d *Door) Empty() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.empty == nil {
		d.empty = make(chan struct{})
		if d.n == 0 {
			close(d.empty)
		}
	}
	return d.empty
}
