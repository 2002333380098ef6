package app

import (
	"net"
	"sync"
	"sync/atomic"
)

// limitListener closes connections beyond a limit as soon as they come: a
// client that is refused at once can try elsewhere, one that waits in the
// kernel's queue cannot know.
type limitListener struct {
	net.Listener
	// open has one entry for each open connection.
	open    chan struct{}
	refused atomic.Int64
}

// Accept gives the next connection within the limit.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.open <- struct{}{}:
			return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.open })}, nil
		default:
			l.refused.Add(1)
			_ = c.Close()
		}
	}
}

// count is how many connections are open.
func (l *limitListener) count() int { return len(l.open) }

// limitedConn gives its place back when it is closed.
type limitedConn struct {
	net.Conn
	release func()
}

// Close closes the connection.
func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
