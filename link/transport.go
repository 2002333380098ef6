package link

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// errTimeout is the cause of a request that the client's own timeout ended.
var errTimeout = errors.New("no answer within the client's timeout")

type call struct {
	method, path string
	body         []byte
	// idempotent marks a call that may be sent again although it may have run.
	idempotent bool
}

// do sends a call and returns the answer once its header is there. The caller
// reads the body and then calls done; a body that was not read to its end is
// given up with its connection, which cancels the query on the server.
//
// A call is sent again when the connection could not be made, when nothing of
// it was written, or when it is idempotent and the answer was lost; and once
// more with a fresh token when the server says that the token has expired.
func (c *Client) do(ctx context.Context, cl call) (resp *http.Response, done func(), err error) {
	if c.isClosed() {
		return nil, nil, ErrClosed
	}
	policy := c.set.retry.filled()
	refreshed := false
	for attempt := 1; ; attempt++ {
		var sent bool
		resp, done, sent, err = c.once(ctx, cl, refreshed)
		if err == nil {
			if resp.StatusCode == http.StatusUnauthorized && c.set.tokenSource != nil && !refreshed {
				drain(resp)
				done()
				refreshed = true
				attempt--
				continue
			}
			return resp, done, nil
		}
		var pe *ProtocolError
		if errors.As(err, &pe) {
			return nil, nil, pe
		}
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		var te *TransportError
		if !errors.As(err, &te) {
			return nil, nil, err
		}
		if sent && !cl.idempotent || errors.Is(err, errTimeout) || attempt >= policy.Attempts {
			return nil, nil, err
		}
		wait := jitter(policy.BaseDelay<<(attempt-1), policy.MaxDelay)
		c.set.log.Debug("retrying a request", "attempt", attempt, "wait", wait, "error", err)
		if err := sleep(ctx, wait); err != nil {
			return nil, nil, err
		}
	}
}

func (c *Client) once(ctx context.Context, cl call, refresh bool) (*http.Response, func(), bool, error) {
	rctx, cancel := context.WithCancelCause(ctx)
	done := func() { cancel(nil) }
	var timer *time.Timer
	if c.set.timeout > 0 {
		timer = time.AfterFunc(c.set.timeout, func() { cancel(errTimeout) })
		defer timer.Stop()
	}
	var wrote atomic.Bool
	tctx := httptrace.WithClientTrace(rctx, &httptrace.ClientTrace{
		WroteHeaders: func() { wrote.Store(true) },
	})
	var body io.Reader
	if cl.body != nil {
		body = bytes.NewReader(cl.body)
	}
	req, err := http.NewRequestWithContext(tctx, cl.method, c.base.String()+cl.path, body)
	if err != nil {
		done()
		return nil, nil, false, err
	}
	req.Header, err = c.header(rctx, refresh)
	if err != nil {
		done()
		return nil, nil, false, err
	}
	if cl.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		cause := context.Cause(rctx)
		done()
		var pe *ProtocolError
		if errors.As(err, &pe) {
			return nil, nil, true, pe
		}
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		if errors.Is(cause, errTimeout) {
			err = fmt.Errorf("%w of %s", errTimeout, c.set.timeout)
		}
		// Without the trace (in a browser) only a failed dial proves that the
		// request was not sent.
		sent := wrote.Load() || !tracesRequests
		op := "send"
		if oe, ok := errors.AsType[*net.OpError](err); ok && oe.Op == "dial" {
			sent, op = false, "connect"
		} else if !sent {
			op = "connect"
		}
		return nil, nil, sent, &TransportError{Op: op, URL: c.URL(), Err: err, Sent: sent}
	}
	return resp, func() {
		cancel(nil)
		resp.Body.Close()
	}, true, nil
}

// drain reads the short rest of an answer, so that its connection can be used
// again.
func drain(resp *http.Response) { io.CopyN(io.Discard, resp.Body, 4<<10) }

// header makes the headers that every request and handshake carries.
func (c *Client) header(ctx context.Context, refresh bool) (http.Header, error) {
	h := http.Header{}
	if namesItself {
		h.Set("User-Agent", c.set.userAgent)
	}
	tok, err := c.token(ctx, refresh)
	if err != nil {
		return nil, err
	}
	if tok != "" {
		h.Set("Authorization", "Bearer "+tok)
	}
	if c.set.apiKey != "" {
		h.Set(wire.HeaderAPIKey, c.set.apiKey)
	}
	if c.set.user != "" {
		h.Set(wire.HeaderUserID, c.set.user)
	}
	h.Set(wire.HeaderSessionID, c.set.session)
	if c.set.namespace != "" {
		h.Set(wire.HeaderNamespace, c.set.namespace)
	}
	return h, nil
}

func (c *Client) token(ctx context.Context, refresh bool) (string, error) {
	if c.set.tokenSource == nil {
		return c.set.token, nil
	}
	tok, err := c.set.tokenSource(ctx, refresh)
	if err != nil {
		return "", fmt.Errorf("get a token: %w", err)
	}
	return tok, nil
}

// checkRedirect follows redirects within the host (a path moved, http became
// https) and refuses every other one, since the headers are credentials. A
// redirect that would turn a POST into a GET is refused too: it would lose the
// statement.
func checkRedirect(user func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		first := via[0]
		from, to := first.URL, req.URL
		switch {
		case !strings.EqualFold(from.Hostname(), to.Hostname()),
			from.Scheme == to.Scheme && from.Port() != to.Port(),
			from.Scheme == "https" && to.Scheme != "https":
			return &ProtocolError{Reason: fmt.Sprintf("it redirects to %s://%s; credentials are not sent to another host, use that address if you trust it", to.Scheme, to.Host)}
		case first.Method != req.Method:
			return &ProtocolError{Reason: fmt.Sprintf("it redirects a %s to %s so that the statement would be lost; use that address", first.Method, to.Redacted())}
		case len(via) >= 5:
			return &ProtocolError{Reason: "it redirects in a circle"}
		}
		if user != nil {
			return user(req, via)
		}
		return nil
	}
}

// errorAnswer turns an answer that is no result into an error.
func errorAnswer(resp *http.Response, body []byte) error {
	var r wire.SQLResponse
	if json.Unmarshal(body, &r) == nil && r.Error != nil && r.Error.Code != "" {
		e := fromWire(r.Error, resp.StatusCode)
		e.RetryAfter = retryAfter(resp)
		return e
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return &Error{Code: CodeUnauthenticated, SQLState: "28000", Message: "The server refused the credentials.", HTTPStatus: resp.StatusCode}
	case http.StatusForbidden:
		return &Error{Code: CodePermissionDenied, SQLState: "42501", Message: "The server refused the request.", HTTPStatus: resp.StatusCode}
	}
	return &ProtocolError{Status: resp.StatusCode, Reason: "this is not an answer of a KalamDB server", Body: head(body)}
}

func retryAfter(resp *http.Response) time.Duration {
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		return time.Duration(s) * time.Second
	}
	return 0
}

// jitter spreads a wait over its upper half, so that many clients that lost
// the same server do not come back at the same moment.
func jitter(d, limit time.Duration) time.Duration {
	if d > limit || d <= 0 {
		d = limit
	}
	return d/2 + rand.N(d/2+1)
}

// readsOnly tells whether a request surely changes nothing, so that it may be
// sent twice. It errs on the safe side: several statements count as writing.
func readsOnly(sql string) bool {
	s := skipSpace(sql)
	word := s
	for i := 0; i < len(s); i++ {
		if b := s[i] | 0x20; b < 'a' || b > 'z' {
			word = s[:i]
			break
		}
	}
	switch strings.ToUpper(word) {
	case "SELECT", "SHOW", "DESCRIBE", "DESC", "VALUES":
	default:
		return false
	}
	if i := strings.IndexByte(s, ';'); i >= 0 && skipSpace(s[i+1:]) != "" {
		return false
	}
	return true
}

// skipSpace drops spaces and comments at the beginning.
func skipSpace(s string) string {
	for {
		s = strings.TrimLeft(s, " \t\r\n\f;")
		switch {
		case strings.HasPrefix(s, "--"):
			i := strings.IndexByte(s, '\n')
			if i < 0 {
				return ""
			}
			s = s[i+1:]
		case strings.HasPrefix(s, "/*"):
			i := strings.Index(s, "*/")
			if i < 0 {
				return ""
			}
			s = s[i+2:]
		default:
			return s
		}
	}
}
