package debug

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// Pprof is a running profiler endpoint.
type Pprof struct {
	listener net.Listener
	server   *http.Server
	done     chan struct{}
}

// Listen serves the profiler at addr, which the configuration has checked to
// be a loopback address.
func Listen(addr string) (*Pprof, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the profiler (server.pprof_addr): %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	p := &Pprof{listener: ln, server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = p.server.Serve(ln) // ends with Close
	}()
	return p, nil
}

// Addr is where it listens.
func (p *Pprof) Addr() net.Addr { return p.listener.Addr() }

// Close stops serving, also what is running.
func (p *Pprof) Close() error {
	err := p.server.Close()
	<-p.done
	return err
}
