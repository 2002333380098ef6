package ws

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/http"
	"sync"
)

// corkSize is how many bytes a corked connection collects before it writes
// them although it is corked.
const corkSize = 64 << 10

var corkBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// corkConn is a connection whose writes can be held back for a moment, so that
// many small frames become one write to the network.
type corkConn struct {
	net.Conn
	early []byte // what was read with the handshake and not by it

	mu   sync.Mutex // guards what follows, and the order of writes
	held int
	buf  *[]byte // what is held back; nil: nothing
}

// hold begins to hold writes back. Holds may overlap; each needs its release.
func (c *corkConn) hold() {
	c.mu.Lock()
	c.held++
	c.mu.Unlock()
}

// release ends a hold. The last one writes what was held back.
func (c *corkConn) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held--; c.held > 0 {
		return nil
	}
	return c.flush()
}

func (c *corkConn) flush() error {
	if c.buf == nil {
		return nil
	}
	_, err := c.Conn.Write(*c.buf)
	if cap(*c.buf) <= 2*corkSize {
		*c.buf = (*c.buf)[:0]
		corkBuffers.Put(c.buf)
	}
	c.buf = nil
	return err
}

// Read gives what came with the handshake, then what comes. One goroutine
// reads.
func (c *corkConn) Read(b []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil
	}
	return n, nil
}

// Write writes b, or keeps it until the release.
func (c *corkConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == 0 {
		return c.Conn.Write(b)
	}
	if c.buf == nil {
		c.buf = corkBuffers.Get().(*[]byte)
	}
	*c.buf = append(*c.buf, b...)
	if len(*c.buf) >= corkSize {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// writeText writes a message as one frame, or keeps it until the release. The
// library that speaks the rest of the protocol writes control frames only, each
// with one Write, so that none can come into the middle of another frame.
func (c *corkConn) writeText(message []byte) error {
	const finalText = 0x81
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf == nil {
		c.buf = corkBuffers.Get().(*[]byte)
	}
	b := *c.buf
	switch n := len(message); {
	case n < 126:
		b = append(b, finalText, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, finalText, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, finalText, 127), uint64(n))
	}
	*c.buf = append(b, message...)
	if c.held == 0 || len(*c.buf) >= corkSize {
		return c.flush()
	}
	return nil
}

// corkWriter is a ResponseWriter that gives a corkConn away when it is
// hijacked.
type corkWriter struct {
	http.ResponseWriter
	conn *corkConn
}

// Hijack takes the connection over from net/http.
func (w *corkWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if rw.Writer.Buffered() > 0 {
		conn.Close()
		return nil, nil, errors.New("something was written before the handshake")
	}
	w.conn = &corkConn{Conn: conn}
	if n := rw.Reader.Buffered(); n > 0 {
		early, err := rw.Reader.Peek(n)
		if err != nil {
			conn.Close()
			return nil, nil, err
		}
		w.conn.early = bytes.Clone(early)
	}
	// Most connections are idle, so small buffers are kept instead of those of
	// net/http: a frame's head is read through one, its payload past it; the
	// other has room for any control frame.
	return w.conn, bufio.NewReadWriter(bufio.NewReaderSize(w.conn, 256), bufio.NewWriterSize(w.conn, 128)), nil
}
