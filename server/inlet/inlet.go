// Package inlet measures how long what clients send lies around before the
// server reads it.
//
// When requests come faster than they can be served, most of them do not wait
// in a queue that the program has: they wait in their sockets, until the
// runtime asks the kernel for them, and then for a processor. A Probe goes the
// same way. It has a connection to itself, sends a byte on it from time to time,
// and looks at when the byte arrives.
package inlet

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// every is the time between two looks, and slowly that between them while
	// nothing happens.
	every, slowly = 20 * time.Millisecond, 200 * time.Millisecond
)

// Probe measures until it is closed.
type Probe struct {
	report func(delay time.Duration) (busy bool)
	out    net.Conn // sends
	in     net.Conn // receives
	done   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	timer  *time.Timer
	closed bool
	sent   time.Time     // of the byte that is under way, or zero
	last   time.Duration // of the byte before
}

// Start starts a Probe. It calls report with how long bytes take now, and more
// often while report says that the server is busy. report must not wait.
func Start(report func(delay time.Duration) (busy bool)) (*Probe, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("listen for the probe: %w", err)
	}
	defer l.Close()
	out, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		return nil, fmt.Errorf("connect the probe: %w", err)
	}
	for {
		in, err := l.Accept()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connect the probe: %w", err), out.Close())
		}
		if in.RemoteAddr().String() != out.LocalAddr().String() {
			_ = in.Close() // somebody else was there first
			continue
		}
		p := &Probe{report: report, out: out, in: in}
		p.done.Go(p.receive)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.timer = time.AfterFunc(every, p.look)
		return p, nil
	}
}

// look sends the next byte, or looks for how long the last one has been under
// way.
func (p *Probe) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	delay := p.last
	if p.sent.IsZero() {
		p.sent = time.Now()
		// One byte always finds room; a broken connection measures nothing.
		if _, err := p.out.Write([]byte{0}); err != nil {
			p.sent = time.Time{}
		}
	} else {
		delay = max(delay, time.Since(p.sent))
	}
	next := every
	if !p.report(delay) {
		next = slowly
	}
	p.timer.Reset(next)
}

func (p *Probe) receive() {
	var b [1]byte
	for {
		if _, err := p.in.Read(b[:]); err != nil {
			return
		}
		p.mu.Lock()
		p.last, p.sent = time.Since(p.sent), time.Time{}
		p.mu.Unlock()
	}
}

// Close ends the measuring. A nil Probe has nothing to end.
func (p *Probe) Close() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	p.closed = true
	p.timer.Stop()
	p.mu.Unlock()
	err := errors.Join(p.out.Close(), p.in.Close())
	p.done.Wait()
	return err
}
