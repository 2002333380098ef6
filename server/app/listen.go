package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/kalamdb/kalamdb/commons/config"
)

// listener is the server's address, with the connection limit and, when it is
// configured, TLS around it.
type listener struct {
	net.Listener
	limit *limitListener
	// certificate is nil without TLS.
	certificate *atomic.Pointer[tls.Certificate]
}

// listen takes the address.
func listen(c config.Server) (*listener, error) {
	addr := net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	l := &listener{}
	if c.TLSCert != "" {
		certificate, err := readCertificate(c)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrListen, err)
		}
		l.certificate = new(atomic.Pointer[tls.Certificate])
		l.certificate.Store(certificate)
	}
	ln, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%w: %s is in use, perhaps by another kalamdb-server; stop that one, or set another port: KALAMDB_SERVER_PORT=%d, or server.port in config.toml",
			ErrListen, addr, c.Port+1)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%w: %s is not allowed for this user; ports below 1024 need special rights", ErrListen, addr)
	case err != nil:
		return nil, fmt.Errorf("%w on %s: %w", ErrListen, addr, err)
	}
	l.limit = &limitListener{Listener: ln, open: make(chan struct{}, c.MaxConnections)}
	l.Listener = l.limit
	if l.certificate != nil {
		l.Listener = tls.NewListener(l.limit, &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return l.certificate.Load(), nil },
			MinVersion:     tls.VersionTLS12,
			// WebSocket needs HTTP/1.1; HTTP/2 would have to be told apart.
			NextProtos: []string{"http/1.1"},
		})
	}
	return l, nil
}

func readCertificate(c config.Server) (*tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("load server.tls_cert and server.tls_key: %w", err)
	}
	return &certificate, nil
}
