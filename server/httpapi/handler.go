package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	rtdebug "runtime/debug"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/buildinfo"
	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/server/admission"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/debug"
	"github.com/kalamdb/kalamdb/server/wireconv"
)

// Engine is what the HTTP interface needs of the database. It may be called
// from several goroutines.
type Engine interface {
	// Session is the caller's session of that id; it is made when missing.
	Session(p core.Principal, id ident.SessionID) (Session, error)
	// Health says whether the engine can do its work.
	Health() core.Health
	// Reserve takes bytes of the memory that all statements share, until
	// release gives them back.
	Reserve(bytes int64) (release func(), err error)
}

// Session runs statements. It may be called from several goroutines.
type Session interface {
	// Execute runs the statements of a request one after the other and stops
	// at the first that fails, with a *core.StatementError.
	Execute(ctx context.Context, req core.Request, sink core.Sink) error
}

// Options configure a Handler.
type Options struct {
	Server config.Server
	API    config.API
	Auth   *auth.Authenticator
	// WebSocket answers the WebSocket paths.
	WebSocket http.Handler
	// Admission has the limits; nil: there are none.
	Admission *admission.Control
	// Metrics counts what happens; nil: nothing is counted.
	Metrics *debug.Metrics
	// ServeMetrics serves Metrics at /metrics: to callers on this machine, to
	// the roles service and admin, and with PublicMetrics to everybody.
	ServeMetrics, PublicMetrics bool
	Build                       buildinfo.Info
	Logger                      *slog.Logger
}

// Handler answers all HTTP requests. It starts in the state "starting", in
// which it answers the health checks alone; Serve gives it the engine, Drain
// takes new work away.
type Handler struct {
	o       Options
	log     *slog.Logger
	routes  map[string]route
	origins auth.Origins
	started time.Time
	shapes  shapeCache

	mu      sync.Mutex // guards engine, state and running
	engine  Engine
	state   state
	running int
	idle    chan struct{} // closed when draining and nothing runs
}

type state string

const (
	starting  state = "starting"
	serving   state = wire.Healthy
	draining  state = "draining"
	unhealthy state = "unhealthy"
)

type route struct {
	methods string // for the Allow header
	allowed func(method string) bool
	serve   func(http.ResponseWriter, *http.Request)
}

// New makes a Handler.
func New(o Options) *Handler {
	h := &Handler{
		o: o, log: o.Logger, origins: auth.NewOrigins(o.Server.AllowedOrigins),
		started: time.Now(), state: starting, idle: make(chan struct{}),
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	post := func(serve http.HandlerFunc) route {
		return route{"POST", func(m string) bool { return m == http.MethodPost }, serve}
	}
	get := func(serve http.HandlerFunc) route {
		return route{"GET, HEAD", func(m string) bool { return m == http.MethodGet || m == http.MethodHead }, serve}
	}
	h.routes = map[string]route{
		wire.PathSQL: post(h.serveSQL), wire.PathSQLAlias: post(h.serveSQL),
		wire.PathHealth: get(h.serveHealth), wire.PathHealthAlias: get(h.serveHealth), wire.PathHealthShort: get(h.serveHealth),
	}
	if o.WebSocket != nil {
		ws := route{"GET", func(m string) bool { return m == http.MethodGet }, h.serveWebSocket}
		h.routes[wire.PathWS], h.routes[wire.PathWSAlias] = ws, ws
	}
	if o.Metrics != nil && o.ServeMetrics {
		h.routes[wire.PathMetrics] = get(h.serveMetrics(o.Metrics.Handler()))
	}
	return h
}

// Serve gives the handler its engine; from now on it takes statements.
func (h *Handler) Serve(e Engine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engine = e
	if h.state == starting {
		h.state = serving
	}
}

// Drain refuses new work and waits until nothing runs any more, or until ctx
// ends. It may be called twice.
func (h *Handler) Drain(ctx context.Context) error {
	h.mu.Lock()
	if h.state != draining {
		h.state = draining
		if h.running == 0 {
			close(h.idle)
		}
	}
	h.mu.Unlock()
	select {
	case <-h.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin takes part in what Drain waits for; done must follow unless the
// server takes no work now.
func (h *Handler) begin() (Engine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch h.state {
	case starting:
		return nil, dberr.New(dberr.StorageUnavailable, "The server is starting.").WithHint("Try again in a moment.")
	case draining:
		return nil, errDraining
	}
	h.running++
	return h.engine, nil
}

func (h *Handler) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running--
	if h.running == 0 && h.state == draining {
		close(h.idle)
	}
}

var errDraining = dberr.New(dberr.StorageUnavailable, "The server is shutting down.")

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := recorders.Get().(*recorder)
	*rec = recorder{ResponseWriter: w}
	rt, found := h.routes[r.URL.Path]
	defer h.count(rec, r, found)
	defer h.recover(rec, r)
	header := w.Header()
	header["X-Content-Type-Options"] = nosniff
	if len(r.TransferEncoding) > 0 {
		// A proxy that went by a Content-Length beside it takes the end of this
		// request for the beginning of the next. net/http does not tell whether
		// there was one, so the connection ends (RFC 9112, 6.1).
		header["Connection"] = closeConnection
	}
	if h.cors(rec, r, rt) {
		return
	}
	switch {
	case !found:
		h.refuse(rec, r, http.StatusNotFound, dberr.Newf(dberr.NotFound, "There is nothing at %s.", wireconv.Clip(r.URL.Path, 200)).
			WithHint("Statements go to POST "+wire.PathSQL+", subscriptions to GET "+wire.PathWS+"."))
	case !rt.allowed(r.Method):
		header.Set("Allow", rt.methods)
		h.refuse(rec, r, http.StatusMethodNotAllowed, dberr.Newf(dberr.Unsupported, "%s takes %s only.", r.URL.Path, rt.methods))
	default:
		rt.serve(rec, r)
	}
}

// count counts a request that is answered.
func (h *Handler) count(w *recorder, r *http.Request, found bool) {
	path := "other"
	if found {
		path = r.URL.Path
	}
	h.o.Metrics.Request(path, w.status)
	*w = recorder{}
	recorders.Put(w)
}

var recorders = sync.Pool{New: func() any { return new(recorder) }}

// Header values that every answer shares.
var (
	nosniff = []string{"nosniff"}
	noStore = []string{"no-store"}

	closeConnection = []string{"close"}
)

// recover turns a panic into INTERNAL. An answer that has begun is broken off,
// so that nobody takes its beginning for the whole.
func (h *Handler) recover(w *recorder, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	id := wireconv.NewID()
	h.log.ErrorContext(r.Context(), "panic in a request", "id", id, "path", r.URL.Path, "panic", p, "stack", string(rtdebug.Stack()))
	if w.wrote {
		panic(http.ErrAbortHandler)
	}
	h.o.Metrics.Error(string(dberr.Internal))
	wireconv.WriteFailure(w, http.StatusInternalServerError, 0, wireconv.InternalFailure(id))
}

func (h *Handler) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	// An open connection is not running work: what it runs counts itself.
	if _, err := h.begin(); err != nil {
		h.fail(w, r, err)
		return
	}
	h.done()
	h.o.WebSocket.ServeHTTP(w, r)
}

// recorder remembers whether an answer has begun, and with which status.
type recorder struct {
	http.ResponseWriter
	wrote  bool
	status int
}

// WriteHeader begins the answer.
func (r *recorder) WriteHeader(status int) {
	if !r.wrote {
		r.wrote, r.status = true, status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write begins or continues the answer.
func (r *recorder) Write(b []byte) (int, error) {
	if !r.wrote {
		r.wrote, r.status = true, http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController and the WebSocket library reach the
// connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
