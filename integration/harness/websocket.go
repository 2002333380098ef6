package harness

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// Socket is a WebSocket connection that hides nothing: what a test sends goes
// out as it is, and every message of the server is seen. It knows as much of
// RFC 6455 as the tests need. One goroutine reads, and one writes.
type Socket struct {
	conn net.Conn
	in   *bufio.Reader
}

// Opcodes of frames.
const (
	OpText   = 1
	OpBinary = 2
	OpClose  = 8
	OpPing   = 9
	OpPong   = 10
)

// ErrClosed ends the reading of a Socket that the server closed.
type ErrClosed struct {
	Code   int
	Reason string
}

// Error gives the code and the reason.
func (e *ErrClosed) Error() string {
	return fmt.Sprintf("closed by the server: %d %s", e.Code, e.Reason)
}

// Open makes a WebSocket connection to a server (http://host:port) with the
// given headers. Another answer than the switch of protocols is an error with
// its status.
func Open(server string, h http.Header) (*Socket, error) {
	u, err := url.Parse(server + wire.PathWS)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", u.Host, Limit)
	if err != nil {
		return nil, err
	}
	s := &Socket{conn: conn, in: bufio.NewReader(conn)}
	if err := s.shake(u, h); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *Socket) shake(u *url.URL, h http.Header) error {
	_ = s.conn.SetDeadline(time.Now().Add(Limit))
	var nonce [16]byte
	_, _ = rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	req := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}
	for k, v := range h {
		req.Header[k] = v
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", key)
	if err := req.Write(s.conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(s.in, req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		_ = resp.Body.Close()
		return fmt.Errorf("the server answered %s: %s", resp.Status, body)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != base64.StdEncoding.EncodeToString(sum[:]) {
		return fmt.Errorf("Sec-WebSocket-Accept is %q", got)
	}
	return s.conn.SetDeadline(time.Time{})
}

// Socket opens a WebSocket to the server as a user with a token; "" means the
// local client without credentials. It ends with the test.
func (s *Server) Socket(t testing.TB, user string) *Socket {
	t.Helper()
	h := http.Header{}
	if user != "" {
		h.Set("Authorization", "Bearer "+Token(t, user, "user"))
	}
	c, err := Open(s.URL, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Close drops the connection without a goodbye.
func (s *Socket) Close() error { return s.conn.Close() }

// Frame sends one frame.
func (s *Socket) Frame(op byte, payload []byte) error {
	head := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	var mask [4]byte
	_, _ = rand.Read(mask[:])
	head = append(head, mask[:]...)
	for i, b := range payload {
		head = append(head, b^mask[i%4])
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(Limit))
	_, err := s.conn.Write(head)
	return err
}

// Raw sends bytes that need not be a frame.
func (s *Socket) Raw(b []byte) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(Limit))
	_, err := s.conn.Write(b)
	return err
}

// Send sends a message as JSON.
func (s *Socket) Send(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return s.Frame(OpText, b)
}

// Read waits for the next message and answers pings on the way.
func (s *Socket) Read() (wire.ServerMessage, error) {
	var m wire.ServerMessage
	data, err := s.ReadText(Limit)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("the message %s is no JSON: %w", data, err)
	}
	return m, nil
}

// ReadText is Read without decoding, and with a limit of time.
func (s *Socket) ReadText(limit time.Duration) ([]byte, error) {
	_ = s.conn.SetReadDeadline(time.Now().Add(limit))
	var message []byte
	for {
		final, op, payload, err := s.frame()
		if err != nil {
			return nil, err
		}
		switch op {
		case OpPing:
			if err := s.Frame(OpPong, payload); err != nil {
				return nil, err
			}
		case OpPong:
		case OpClose:
			e := &ErrClosed{}
			if len(payload) >= 2 {
				e.Code, e.Reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
			}
			return nil, e
		default:
			message = append(message, payload...)
			if final {
				return message, nil
			}
		}
	}
}

func (s *Socket) frame() (final bool, op byte, payload []byte, err error) {
	var head [8]byte
	if _, err = io.ReadFull(s.in, head[:2]); err != nil {
		return false, 0, nil, err
	}
	if head[1]&0x80 != 0 {
		return false, 0, nil, errors.New("a frame of the server is masked")
	}
	final, op = head[0]&0x80 != 0, head[0]&0x0f
	size := uint64(head[1])
	switch size {
	case 126:
		if _, err = io.ReadFull(s.in, head[:2]); err == nil {
			size = uint64(binary.BigEndian.Uint16(head[:2]))
		}
	case 127:
		if _, err = io.ReadFull(s.in, head[:8]); err == nil {
			size = binary.BigEndian.Uint64(head[:8])
		}
	}
	if err != nil {
		return false, 0, nil, err
	}
	if size > 64<<20 {
		return false, 0, nil, fmt.Errorf("a frame of %d bytes", size)
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(s.in, payload)
	return final, op, payload, err
}
