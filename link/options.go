package link

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Option changes a Client when it is made.
type Option func(*settings)

// TokenSource gives the token of the next request. It is called for every
// request and so should cache; it is called once more, with refresh true, when
// the server says that the token has expired.
type TokenSource func(ctx context.Context, refresh bool) (string, error)

// RetryPolicy says how often and how patiently a call that may be repeated is
// repeated. The zero value means the defaults.
type RetryPolicy struct {
	// Attempts counts the first try too; 1 means no retry. Default 3.
	Attempts int
	// BaseDelay is the wait before the second attempt; it doubles each time,
	// with jitter. Default 100 ms.
	BaseDelay time.Duration
	// MaxDelay bounds the wait. Default 2 s.
	MaxDelay time.Duration
}

// Backoff says how patiently a lost live connection is made again. The zero
// value means the defaults.
type Backoff struct {
	// Min is the wait before the first attempt, before jitter. Default 100 ms.
	Min time.Duration
	// Max bounds the wait. Default 15 s.
	Max time.Duration
}

type settings struct {
	user        string
	token       string
	tokenSource TokenSource
	apiKey      string
	session     string
	namespace   string
	timeout     time.Duration
	retry       RetryPolicy
	backoff     Backoff
	heartbeat   time.Duration
	httpClient  *http.Client
	log         *slog.Logger
	firstMsg    bool
	userAgent   string
	skipDamaged bool
}

func defaults() settings {
	return settings{timeout: time.Minute, heartbeat: 15 * time.Second, userAgent: "kalamdb-link-go"}
}

// WithUser names the user that requests act for. It is sent as X-USER-ID with
// every request.
func WithUser(user string) Option { return func(s *settings) { s.user = user } }

// WithToken authenticates with a JSON Web Token.
func WithToken(token string) Option {
	return func(s *settings) { s.token, s.tokenSource = token, nil }
}

// WithTokenSource authenticates with tokens that a function gives, so that they
// can be renewed.
func WithTokenSource(src TokenSource) Option { return func(s *settings) { s.tokenSource = src } }

// WithAPIKey authenticates with an API key.
func WithAPIKey(key string) Option { return func(s *settings) { s.apiKey = key } }

// WithSession names the session on the server, which holds the current
// namespace. Without it each Client makes a name of its own.
func WithSession(id string) Option { return func(s *settings) { s.session = id } }

// WithNamespace sets the namespace in which unqualified table names are looked
// up, for every request.
func WithNamespace(ns string) Option { return func(s *settings) { s.namespace = ns } }

// WithTimeout bounds how long a call waits for the server's answer to begin.
// Reading rows afterwards is bounded by the call's context alone. Default one
// minute; 0 means no bound.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithRetry sets the retry policy of calls that may be repeated.
func WithRetry(p RetryPolicy) Option { return func(s *settings) { s.retry = p } }

// WithBackoff sets how patiently lost live connections are made again.
func WithBackoff(b Backoff) Option { return func(s *settings) { s.backoff = b } }

// WithHeartbeat sets how often a live connection is checked. A connection that
// is silent for twice the interval counts as lost. Default 15 s.
func WithHeartbeat(d time.Duration) Option { return func(s *settings) { s.heartbeat = d } }

// WithHTTPClient uses the transport and cookie jar of an own HTTP client. Its
// Timeout does not apply, and redirects to another host are still refused.
func WithHTTPClient(c *http.Client) Option { return func(s *settings) { s.httpClient = c } }

// WithLogger reports retries and reconnects. Without it nothing is logged.
func WithLogger(l *slog.Logger) Option { return func(s *settings) { s.log = l } }

// WithUserAgent names the program in the User-Agent header.
func WithUserAgent(ua string) Option { return func(s *settings) { s.userAgent = ua } }

// WithSkipDamaged makes queries leave out files of the server that are damaged
// or missing, instead of failing; the result's Summary.Message names what was
// left out. Client.With(WithSkipDamaged()) does so for some queries only.
func WithSkipDamaged() Option { return func(s *settings) { s.skipDamaged = true } }

// WithAuthenticateMessage sends the token in the first WebSocket message instead
// of a header, for proxies that strip headers. Browsers always do it so.
func WithAuthenticateMessage() Option { return func(s *settings) { s.firstMsg = true } }

func (p RetryPolicy) filled() RetryPolicy {
	if p.Attempts <= 0 {
		p.Attempts = 3
	}
	if p.BaseDelay <= 0 {
		p.BaseDelay = 100 * time.Millisecond
	}
	if p.MaxDelay <= 0 {
		p.MaxDelay = 2 * time.Second
	}
	return p
}

func (b Backoff) filled() Backoff {
	if b.Min <= 0 {
		b.Min = 100 * time.Millisecond
	}
	if b.Max < b.Min {
		b.Max = max(15*time.Second, b.Min)
	}
	return b
}
