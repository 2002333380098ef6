package harness

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy passes TCP connections on to a server and cuts them when told to, as
// a bad network does.
type Proxy struct {
	// URL is the proxy's address, to be used in place of the server's.
	URL string

	l      net.Listener
	target func() string
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns map[*net.TCPConn]struct{}
	cuts  int
	down  bool
	ended bool
}

// NewProxy stands in front of a server, also after its restarts. It ends with
// the test.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "http://" + l.Addr().String(), l: l, target: s.address, conns: map[*net.TCPConn]struct{}{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// address is where the server listens, as "host:port".
func (s *Server) address() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

func (p *Proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.pass(c.(*net.TCPConn)) })
	}
}

// pass carries one connection until either side or Cut ends it.
func (p *Proxy) pass(client *net.TCPConn) {
	p.mu.Lock()
	refuse := p.down || p.ended
	p.mu.Unlock()
	if refuse {
		_ = client.Close()
		return
	}
	c, err := net.Dial("tcp", p.target())
	if err != nil {
		_ = client.Close()
		return
	}
	server := c.(*net.TCPConn)
	p.mu.Lock()
	if p.ended || p.down {
		p.mu.Unlock()
		_, _ = client.Close(), server.Close()
		return
	}
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(server, client); _, _ = client.Close(), server.Close() })
	wg.Go(func() { _, _ = io.Copy(client, server); _, _ = client.Close(), server.Close() })
	wg.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// Cut resets every connection that goes through the proxy. New ones may be
// made at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) > 0 {
		p.cuts++
	}
	for c := range p.conns {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

// Cuts counts the calls of Cut that met a connection.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Down cuts every connection and refuses new ones until Up.
func (p *Proxy) Down() {
	p.mu.Lock()
	p.down = true
	p.mu.Unlock()
	p.Cut()
}

// Up lets connections through again after Down.
func (p *Proxy) Up() {
	p.mu.Lock()
	p.down = false
	p.mu.Unlock()
}
