package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kalamdb/kalamdb/commons/buildinfo"
	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/server/admission"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/debug"
	"github.com/kalamdb/kalamdb/server/httpapi"
	"github.com/kalamdb/kalamdb/server/inlet"
	"github.com/kalamdb/kalamdb/server/ws"
)

const (
	// headerTimeout is how long a client may take for the head of a request,
	// and for a small body.
	headerTimeout = 10 * time.Second
	// keepAlive is how long a connection may wait for its next request.
	keepAlive = 2 * time.Minute
	// answerGrace is what an answer gets beyond the request's time limit, so
	// that it can still say that the time is over.
	answerGrace = 5 * time.Second
	// maxHeader is how many bytes the head of a request may have.
	maxHeader = 64 << 10
	// cancelGrace is what cancelled statements get to end.
	cancelGrace = 2 * time.Second
	// farewell is what clients of live queries get to take what is queued, and
	// the least that flushing gets.
	farewell = 3 * time.Second
	// lastAnswers is what the last bytes of finished answers get.
	lastAnswers = 500 * time.Millisecond
)

// Errors of Start that a caller may want to tell apart.
var (
	ErrListen = errors.New("cannot listen")
	ErrData   = errors.New("cannot open the data directory")
)

// errStopping is the cause with which running statements are cancelled.
var errStopping = dberr.New(dberr.StorageUnavailable, "The server is shutting down.")

// Server is a whole server in one value.
type Server struct {
	cfg   config.Config
	log   *slog.Logger
	build buildinfo.Info

	listener  *listener
	engine    *core.Engine
	auth      *auth.Authenticator
	admission *admission.Control
	open      atomic.Bool // the engine is there
	http      *http.Server
	handler   *httpapi.Handler
	ws        *ws.Server
	pprof     *debug.Pprof
	probe     *inlet.Probe
	base      context.Context // of every request
	cancel    context.CancelCauseFunc
	served    chan error    // what http.Serve ended with
	ended     chan struct{} // closed when it has; nil before it begins

	reloading sync.Mutex     // held over a reload
	beside    sync.WaitGroup // the goroutines that log sizes and give memory back
}

// New makes a server that is not started. The configuration has been checked,
// and names a data directory.
func New(cfg config.Config, log *slog.Logger) *Server {
	s := &Server{cfg: cfg, log: log, build: buildinfo.Get(), served: make(chan error, 1)}
	s.base, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// Start starts the server; when it returns without an error the server answers
// queries. An error leaves nothing running.
func (s *Server) Start(ctx context.Context) (err error) {
	if s.listener, err = listen(s.cfg.Server); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.cancel(err)
			s.closeAll(ctx, time.Now())
		}
	}()
	if addr, ok := s.Addr().(*net.TCPAddr); ok {
		s.cfg.Server.Port = addr.Port // what port 0 became; answers name it
	}
	secret, err := auth.Secret(s.cfg.Auth, s.cfg.Data.Dir)
	if err != nil {
		return dataError(err)
	}
	s.auth, err = auth.New(auth.Options{
		Auth: s.cfg.Auth, Secret: secret, AllowedOrigins: s.cfg.Server.AllowedOrigins, TrustedProxies: s.cfg.Server.TrustedProxies,
		Users: users{s}, APIKeys: users{s}, Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.admission = admission.New(s.cfg.RateLimit)
	metrics := debug.NewMetrics(s.build, s.figures)
	s.ws = ws.New(ws.Options{
		Live: s.cfg.Live, MaxBody: s.cfg.Server.MaxBody, AllowedOrigins: s.cfg.Server.AllowedOrigins,
		Auth: s.auth, Admission: s.admission, Metrics: metrics, Logger: s.log,
	})
	s.handler = httpapi.New(httpapi.Options{
		Server: s.cfg.Server, API: s.cfg.API, Auth: s.auth, Admission: s.admission, WebSocket: s.ws,
		Metrics: metrics, ServeMetrics: s.cfg.Metrics.Enabled, PublicMetrics: s.cfg.Metrics.Public,
		Build: s.build, Logger: s.log,
	})
	timeout := s.cfg.Server.RequestTimeout.Std()
	// Large bodies get more time by their handler. That both are the same
	// saves setting the second, which is one timer of a request.
	readTimeout := min(headerTimeout, timeout)
	s.http = &http.Server{
		Handler: s.handler, BaseContext: func(net.Listener) context.Context { return s.base },
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: timeout + answerGrace,
		IdleTimeout: keepAlive, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if s.cfg.Server.PprofAddr != "" {
		if s.pprof, err = debug.Listen(s.cfg.Server.PprofAddr); err != nil {
			return fmt.Errorf("%w: %w", ErrListen, err)
		}
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		s.served <- s.http.Serve(s.listener)
	}()
	if s.engine, err = core.Open(ctx, s.cfg, s.log); err != nil {
		return dataError(err)
	}
	delayed := func(d time.Duration) bool { return s.engine.Delayed(d, s.listener.limit.count()) }
	if s.probe, err = inlet.Start(delayed); err != nil {
		s.log.Warn("requests that wait to be read cannot be noticed", "error", err)
	}
	s.engine.APIKeys().OnDrop(s.ws.Revoke)
	s.open.Store(true)
	s.ws.Serve(forWS{s.engine})
	s.handler.Serve(forHTTP{s.engine})
	s.announce(ctx)
	if every := s.cfg.Log.SizeInterval.Std(); every > 0 {
		s.beside.Go(func() { s.logSizes(every) })
	}
	s.beside.Go(func() { newIdleMemory().run(s.base) })
	return nil
}

// announce writes the line that tells what runs where.
func (s *Server) announce(ctx context.Context) {
	data := s.cfg.Data.Dir
	if abs, err := filepath.Abs(data); err == nil {
		data = abs
	}
	attrs := []any{
		"version", s.build.Version, "branch", s.build.Branch, "commit", s.build.Commit,
		"url", s.URL(), "data", data, "backend", s.cfg.Store.Backend,
	}
	if size, err := s.engine.Size(ctx); err == nil {
		attrs = append(attrs, "data_bytes", size, "cold_bytes", s.engine.Stats().Tables.Bytes)
	}
	s.log.Info("kalamdb-server is ready", attrs...)
	if ip := net.ParseIP(s.cfg.Server.Host); ip != nil && !ip.IsLoopback() && s.cfg.Server.TLSCert == "" {
		s.log.Warn("tokens and data travel unencrypted: set server.tls_cert and server.tls_key, or put a TLS proxy in front")
	}
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL is where clients reach the server; of a server that listens on every
// address it is the one for this machine.
func (s *Server) URL() string {
	scheme := "http"
	if s.cfg.Server.TLSCert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		return scheme + "://" + s.Addr().String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Engine is the database, for tests that look behind the interfaces.
func (s *Server) Engine() *core.Engine { return s.engine }

// Running is how many requests run statements now.
func (s *Server) Running() int { return s.engine.Stats().Gate.UnderWay }

// Failed gives the error when the server stops answering by itself.
func (s *Server) Failed() <-chan error { return s.served }

// Stop ends the server as the package comment says. ctx ends the waiting for
// what is running earlier than the configuration does; the data is closed
// properly in any case.
func (s *Server) Stop(ctx context.Context) error {
	until := time.Now().Add(s.cfg.Server.ShutdownTimeout.Std())
	wait, done := context.WithDeadline(ctx, until)
	defer done()
	var errs []error
	if err := s.handler.Drain(wait); err != nil {
		s.log.Warn("statements still run at the end of shutdown_timeout and are cancelled")
		s.cancel(errStopping)
		grace, done := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
		defer done()
		if s.handler.Drain(grace) != nil {
			errs = append(errs, errors.New("stop: statements were still running"))
		}
	}
	if wait.Err() != nil {
		until = time.Now() // the caller does not want to wait
	}
	return errors.Join(append(errs, s.closeAll(ctx, until))...)
}

// closeAll closes what is open, the last opened first. Until then, or for a
// moment at least, tables are flushed.
func (s *Server) closeAll(ctx context.Context, until time.Time) error {
	var errs []error
	if s.engine != nil {
		endLiveQueries(s.engine)
	}
	late, done := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer done()
	if s.ws != nil {
		s.ws.Shutdown(late)
	}
	s.cancel(errStopping)
	if s.http != nil {
		// Nothing runs any more, but the last answers may still be on their
		// way. Connections that never had a request would be waited for, too.
		flush, done := context.WithTimeout(late, lastAnswers)
		defer done()
		if s.http.Shutdown(flush) != nil {
			_ = s.http.Close()
		}
	}
	s.beside.Wait()
	errs = append(errs, s.probe.Close())
	if s.ended != nil {
		<-s.ended // it closes the listener
	} else if s.listener != nil {
		errs = append(errs, s.listener.Close())
	}
	if s.engine != nil {
		if soon := time.Now().Add(farewell); until.Before(soon) {
			until = soon
		}
		rest, done := context.WithDeadline(context.WithoutCancel(ctx), until)
		defer done()
		if err := s.engine.Close(rest); err != nil {
			errs = append(errs, fmt.Errorf("close engine: %w", err))
		}
	}
	if s.auth != nil {
		s.auth.Close()
	}
	if s.pprof != nil {
		errs = append(errs, s.pprof.Close())
	}
	return errors.Join(errs...)
}

// dataError says of a folder that cannot be used what is wrong with it, and how
// to name another one.
func dataError(err error) error {
	what := ""
	switch {
	case errors.Is(err, syscall.EROFS):
		what = "its file system is read-only; mount it for writing"
	case errors.Is(err, fs.ErrPermission):
		what = "the user that the server runs as may not use it; give it to that user with all that is in it (chown -R)"
	case errors.Is(err, syscall.ENOTDIR):
		what = "it is a file, or below one; move the file away"
	case errors.Is(err, fs.ErrNotExist):
		what = "a part of it is missing"
	default:
		return fmt.Errorf("%w: %w", ErrData, err)
	}
	return fmt.Errorf("%w: %w: %s, or name a folder that may be written: KALAMDB_DATA_DIR=/path, or data.dir in config.toml", ErrData, err, what)
}
