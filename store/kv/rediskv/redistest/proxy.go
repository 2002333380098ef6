package redistest

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between a client and a Redis. It can cut all connections, keep
// new ones out, and swallow answers of requests that Redis has carried out.
type Proxy struct {
	// URL leads to the proxy.
	URL string

	target   string
	listener net.Listener
	// swallow is how many answers are still to be lost.
	swallow atomic.Int32
	closed  atomic.Bool

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

// NewProxy starts a proxy to the server; it ends with the test.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "redis-proxy-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "unix://" + path + "?db=0", target: to.Path, listener: l, conns: make(map[net.Conn]struct{})}
	p.wg.Go(p.serve)
	t.Cleanup(func() {
		p.closed.Store(true)
		_ = l.Close()
		p.Cut()
		p.wg.Wait()
		_ = os.RemoveAll(dir)
	})
	return p
}

func (p *Proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.closed.Load() {
			_ = c.Close()
			continue
		}
		s, err := net.Dial("unix", p.target)
		if err != nil {
			_ = c.Close()
			continue
		}
		p.mu.Lock()
		p.conns[c], p.conns[s] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { p.pass(c, s, false) })
		p.wg.Go(func() { p.pass(s, c, true) })
	}
}

// pass copies one direction.
func (p *Proxy) pass(from, to net.Conn, answers bool) {
	defer func() {
		_ = from.Close()
		_ = to.Close()
		p.mu.Lock()
		delete(p.conns, from)
		delete(p.conns, to)
		p.mu.Unlock()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if answers && p.swallow.Load() > 0 && p.swallow.Add(-1) >= 0 {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Swallow loses the next n answers of Redis: each one's connection is cut
// instead.
func (p *Proxy) Swallow(n int) { p.swallow.Store(int32(n)) }

// Cut breaks all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Shut breaks all connections and keeps new ones out until it is called again
// with false.
func (p *Proxy) Shut(shut bool) {
	p.closed.Store(shut)
	if shut {
		p.Cut()
	}
}
