package ws

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/server/admission"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/debug"
	"github.com/kalamdb/kalamdb/server/wireconv"
)

const (
	// AuthTimeout is how long a connection without credentials may take to
	// send them.
	AuthTimeout = 5 * time.Second
	// maxAuthMessage is the largest message that is read before that.
	maxAuthMessage = 32 << 10
	// maxMessage is the largest message of a client.
	maxMessage = 1 << 20
	// closeTimeout is how long a client that is told to go may take.
	closeTimeout = time.Second
)

// Engine is what the WebSocket interface needs of the database. It may be
// called from several goroutines.
type Engine interface {
	// Session is the caller's session of that id; it is made when missing.
	Session(p core.Principal, id ident.SessionID) (Session, error)
}

// Session starts live queries.
type Session interface {
	Subscribe(ctx context.Context, req core.SubscribeRequest) (*live.Subscription, error)
}

// Options configure a Server.
type Options struct {
	Live config.Live
	// MaxBody bounds the size of a message, too.
	MaxBody        config.Size
	AllowedOrigins []string
	Auth           *auth.Authenticator
	// Admission has the limits; nil: there are none.
	Admission *admission.Control
	// Metrics counts errors; nil: nothing is counted.
	Metrics *debug.Metrics
	Logger  *slog.Logger
	// AuthTimeout overrides the constant; 0 does not.
	AuthTimeout time.Duration
}

// Server answers WebSocket handshakes and owns the connections.
type Server struct {
	o       Options
	log     *slog.Logger
	origins auth.Origins
	limit   int64

	mu     sync.Mutex // guards what follows
	engine Engine
	conns  map[*conn]struct{}
	closed bool
	wg     sync.WaitGroup
}

// New makes a Server.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.AuthTimeout == 0 {
		o.AuthTimeout = AuthTimeout
	}
	limit := int64(maxMessage)
	if o.MaxBody > 0 {
		limit = min(limit, o.MaxBody.Bytes())
	}
	return &Server{o: o, log: o.Logger, origins: auth.NewOrigins(o.AllowedOrigins), limit: limit, conns: make(map[*conn]struct{})}
}

// Serve gives the server its engine; it is called before the first request.
func (s *Server) Serve(e Engine) {
	s.mu.Lock()
	s.engine = e
	s.mu.Unlock()
}

// Connections is how many connections are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Shutdown refuses new connections and ends those that are there: each gets
// what its live queries still have, a message that they are closed, and the
// end of the connection. The engine has been told to end the live queries;
// those that it has not ended when ctx ends are closed without that. Shutdown
// returns when no goroutine of the server runs any more.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() { c.shutdown(ctx) })
	}
	wg.Wait()
	s.wg.Wait()
}

// ServeHTTP answers a handshake.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		s.refuse(w, r, http.StatusUpgradeRequired, dberr.New(dberr.Unsupported, "This path takes WebSocket connections only."))
		return
	}
	if origins := r.Header["Origin"]; len(origins) > 1 || len(origins) == 1 && !s.origins.Same(r, origins[0]) && !s.origins.Allowed(origins[0]) {
		s.refuse(w, r, http.StatusForbidden, dberr.New(dberr.PermissionDenied, "Pages of this origin may not connect.").
			WithHint("List the origin in server.allowed_origins."))
		return
	}
	c, err := s.prepare(r)
	if err != nil {
		s.refuse(w, r, 0, err)
		return
	}
	cw := &corkWriter{ResponseWriter: w}
	ws, err := websocket.Accept(cw, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the origin was checked above, by our rules
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     func(context.Context, []byte) bool { c.seen(); return true },
	})
	if err != nil {
		// Accept has answered; what the peer did wrong is in err.
		s.log.DebugContext(r.Context(), "WebSocket handshake failed", "remote", r.RemoteAddr, "error", err)
		return
	}
	c.ws, c.cork = ws, cw.conn
	if !s.add(c) {
		c.leave(websocket.StatusGoingAway, "the server is shutting down")
		c.abort()
		return
	}
	// net/http frees its part of the connection when this returns.
	go func() {
		defer s.remove(c)
		c.run()
	}()
}

// prepare authenticates a handshake and makes its connection.
func (s *Server) prepare(r *http.Request) (*conn, error) {
	session, err := ident.ParseSession(r.Header.Get(wire.HeaderSessionID))
	if err != nil {
		return nil, err
	}
	c := &conn{
		srv: s, id: ident.ConnectionID(wireconv.NewID()), remote: r.RemoteAddr, address: s.o.Auth.Address(r), sessionID: session,
		actAs: r.Header.Get(wire.HeaderUserID), subs: make(map[ident.SubscriptionID]*sub), empty: make(chan struct{}, 1),
	}
	c.mux = live.NewMuxFunc(c.wake)
	if ns := r.Header.Get(wire.HeaderNamespace); ns != "" {
		if c.namespace, err = ident.ParseNamespace(ns); err != nil {
			return nil, err
		}
	}
	c.log = s.log.With("connection", string(c.id))
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	p, err := s.o.Auth.Request(r)
	if err != nil {
		if over := s.o.Admission.Stranger(c.address); over != nil {
			return nil, over
		}
		if errors.Is(err, auth.ErrNoCredentials) {
			return c, nil // its first message has them
		}
		return nil, err
	}
	if err := s.o.Admission.Request(p, c.address); err != nil {
		return nil, err
	}
	return c, c.authenticated(p)
}

// Revoke ends the live queries of connections that came in with an API key that
// is gone. It does not wait for their clients.
func (s *Server) Revoke(id ident.APIKeyID) {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.revoke(id)
	}
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.wg.Done()
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	f := wireconv.Failure(r.Context(), s.log, err)
	s.o.Metrics.Error(f.Code)
	wireconv.SetRetryAfter(w.Header(), err)
	if status == 0 {
		status = dberr.Code(f.Code).Info().HTTPStatus
	}
	wireconv.WriteFailure(w, status, 0, f)
}
