package link

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// Client talks to one server on behalf of one user. It is safe for use by
// several goroutines at once. Connections are kept and reused.
type Client struct {
	base *url.URL
	set  settings
	http *http.Client
	// root is true for a client that owns its HTTP transport.
	root bool

	mu     sync.Mutex // guards live and closed
	live   *mux
	closed bool
}

// Connect makes a Client and checks that the server answers and accepts the
// credentials.
func Connect(ctx context.Context, rawURL string, opts ...Option) (*Client, error) {
	c, err := New(rawURL, opts...)
	if err != nil {
		return nil, err
	}
	if err := c.Ping(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// New makes a Client without talking to the server. The address is
// "http://host:port" or "https://host:port", with a path when the server stands
// behind a proxy; without a scheme http is meant.
func New(rawURL string, opts ...Option) (*Client, error) {
	base, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	set := defaults()
	for _, o := range opts {
		o(&set)
	}
	if set.session == "" {
		set.session = newSession()
	}
	if set.log == nil {
		set.log = slog.New(slog.DiscardHandler)
	}
	c := &Client{base: base, set: set, root: set.httpClient == nil}
	hc := http.Client{Transport: newTransport()}
	if set.httpClient != nil {
		hc = *set.httpClient
		hc.Timeout = 0
	}
	hc.CheckRedirect = checkRedirect(hc.CheckRedirect)
	c.http = &hc
	return c, nil
}

// With makes a Client for the same server that shares this one's HTTP
// connections but differs in the given options. It has an own session (unless
// WithSession says otherwise) and own subscriptions, and is closed on its own.
func (c *Client) With(opts ...Option) *Client {
	set := c.set
	set.session = ""
	for _, o := range opts {
		o(&set)
	}
	if set.session == "" {
		set.session = newSession()
	}
	return &Client{base: c.base, set: set, http: c.http}
}

// Close ends every subscription of the client and drops its idle connections.
// It may be called twice.
func (c *Client) Close() error {
	c.mu.Lock()
	live := c.live
	c.live, c.closed = nil, true
	c.mu.Unlock()
	if live != nil {
		live.close()
	}
	if c.root {
		c.http.CloseIdleConnections()
	}
	return nil
}

// URL is the server's address.
func (c *Client) URL() string { return c.base.String() }

// User is the user that requests act for, "" when none was named.
func (c *Client) User() string { return c.set.user }

// Namespace is the namespace that requests name, "" when none was set.
func (c *Client) Namespace() string { return c.set.namespace }

// Session is the name of the client's session on the server.
func (c *Client) Session() string { return c.set.session }

// Health asks how the server is. A server that answers "draining" or the like
// gives both the answer and no error: look at Status.
func (c *Client) Health(ctx context.Context) (*wire.Health, error) {
	resp, done, err := c.do(ctx, call{method: http.MethodGet, path: wire.PathHealth, idempotent: true})
	if err != nil {
		return nil, err
	}
	defer done()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, &TransportError{Op: "read", URL: c.URL(), Err: err, Sent: true}
	}
	var h wire.Health
	if err := json.Unmarshal(body, &h); err != nil || h.Status == "" {
		if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusServiceUnavailable {
			return nil, &ProtocolError{Status: resp.StatusCode, Reason: "this is not the health of a KalamDB server", Body: head(body)}
		}
		return nil, errorAnswer(resp, body)
	}
	return &h, nil
}

// Ping checks that the server answers, is healthy and accepts the credentials.
func (c *Client) Ping(ctx context.Context) error {
	h, err := c.Health(ctx)
	if err != nil {
		return err
	}
	if h.Status != wire.Healthy {
		return &Error{Code: CodeResourceExhausted, SQLState: "57P03", Message: "The server is " + h.Status + ".",
			Hint: "Try again in a moment.", HTTPStatus: http.StatusServiceUnavailable}
	}
	_, err = c.Exec(ctx, "SELECT 1")
	return err
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func parseURL(raw string) (*url.URL, error) {
	s := strings.TrimSpace(raw)
	if s == "" {
		return nil, errors.New("the server address is empty; it looks like http://localhost:8080")
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fmt.Errorf("the server address %q cannot be read: %w", redactRaw(raw), err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the server address %q has the scheme %q; it must be http or https", redactRaw(raw), u.Scheme)
	case u.Host == "" || u.Hostname() == "":
		return nil, fmt.Errorf("the server address %q has no host; it looks like http://localhost:8080", redactRaw(raw))
	case u.User != nil:
		return nil, errors.New("the server address must not hold a user name or password; use WithUser, WithToken or WithAPIKey")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawQuery, u.Fragment = "", ""
	return u, nil
}

// redactRaw keeps a password in a mistyped address out of an error message.
func redactRaw(raw string) string {
	if i := strings.LastIndexByte(raw, '@'); i >= 0 {
		return "…" + raw[i:]
	}
	return raw
}

func newSession() string {
	var b [12]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return "link-" + hex.EncodeToString(b[:])
}

func head(b []byte) string {
	const n = 200
	if len(b) > n {
		return strings.ToValidUTF8(string(b[:n]), "�") + "…"
	}
	return strings.ToValidUTF8(string(b), "�")
}

// sleep waits, or returns the context's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
