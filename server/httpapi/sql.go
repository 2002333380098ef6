package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/core"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/wireconv"
)

// The headers' names as net/http keeps them.
var (
	headerSessionID = http.CanonicalHeaderKey(wire.HeaderSessionID)
	headerNamespace = http.CanonicalHeaderKey(wire.HeaderNamespace)
)

// first is a header's first value.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// smallBody is the size of a body up to which it is read in one piece.
const smallBody = 64 << 10

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// serveSQL runs the statements of a request.
//
// Benchmark: BenchmarkPointQuery, beside BenchmarkEmptyHandler.
func (h *Handler) serveSQL(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	engine, err := h.begin()
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer h.done()
	p, err := h.admit(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if !isJSON(first(r.Header["Content-Type"])) {
		h.refuse(w, r, http.StatusUnsupportedMediaType, dberr.New(dberr.Unsupported, "The body must be JSON.").
			WithHint("Send the header Content-Type: application/json."))
		return
	}
	id, err := ident.ParseSession(first(r.Header[headerSessionID]))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	session, err := engine.Session(core.Principal{User: p.User, Role: p.Role, ExplicitUser: p.ExplicitUser}, id)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	// Small bodies are bounded by the number of connections alone.
	if r.ContentLength < 0 || r.ContentLength > smallBody {
		size := h.o.Server.MaxBody.Bytes()
		if r.ContentLength >= 0 {
			size = min(size, r.ContentLength)
		}
		release, err := engine.Reserve(size)
		if err != nil {
			// What the client still sends is not read.
			w.Header().Set("Connection", "close")
			h.fail(w, r, err)
			return
		}
		defer release()
	}
	a := newAnswer(w, h, start)
	defer a.release()
	// The body is read as late as can be: once it is, net/http watches the
	// connection beside us.
	req, err := h.readSQL(w, r, a)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	a.timing = h.o.API.ReportExecutionTime
	req.Turn = &a.turn
	req.Deadline = start.Add(h.o.Server.RequestTimeout.Std())
	a.finish(r.Context(), session.Execute(r.Context(), req, a))
}

// admit authenticates a request and counts it against the limits.
func (h *Handler) admit(r *http.Request) (auth.Principal, error) {
	p, err := h.o.Auth.Request(r)
	if err != nil {
		if over := h.o.Admission.Stranger(h.o.Auth.Address(r)); over != nil {
			err = over
		}
		return p, err
	}
	if h.o.Admission.Exempt(p) {
		return p, nil
	}
	return p, h.o.Admission.Request(p, h.o.Auth.Address(r))
}

// readSQL reads a request's body, and the answer's form from it.
func (h *Handler) readSQL(w http.ResponseWriter, r *http.Request, a *answer) (core.Request, error) {
	body := bodies.Get().(*bytes.Buffer)
	defer func() {
		if body.Cap() <= keepBuffer {
			bodies.Put(body)
		}
	}()
	body.Reset()
	limit := h.o.Server.MaxBody.Bytes()
	if r.ContentLength > limit {
		// The rest of the body is not read, so the connection cannot go on.
		w.Header().Set("Connection", "close")
		return core.Request{}, tooLarge(h.o.Server.MaxBody.String())
	}
	if err := h.readBody(w, r, body); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return core.Request{}, tooLarge(h.o.Server.MaxBody.String())
		}
		// The server's own deadline ends the request's context as well, as if
		// the client had gone.
		if !errors.Is(err, os.ErrDeadlineExceeded) && r.Context().Err() != nil {
			return core.Request{}, r.Context().Err()
		}
		return core.Request{}, dberr.New(dberr.Timeout, "The request's body did not arrive completely in time.").Wrap(err)
	}
	if !utf8.Valid(body.Bytes()) {
		return core.Request{}, dberr.New(dberr.InvalidJSON, "The request's body is not valid UTF-8.")
	}
	in, err := wireconv.ReadRequest(body.Bytes())
	if err != nil {
		return core.Request{}, err
	}
	a.request, a.format = in.SQL, in.Format
	req := core.Request{SQL: in.SQL, Params: in.Params, SkipDamaged: in.SkipDamaged}
	ns := in.Namespace
	if ns == "" {
		ns = first(r.Header[headerNamespace])
	}
	if ns != "" {
		if req.Namespace, err = ident.ParseNamespace(ns); err != nil {
			return core.Request{}, err
		}
	}
	return req, nil
}

// readBody reads a body of a length that is known or not. A small one needs no
// reader that counts. A large one may take the time of a whole request, and
// only what has come of it takes memory.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, into *bytes.Buffer) error {
	if n := r.ContentLength; n >= 0 && n <= smallBody {
		into.Grow(int(n))
		b := into.AvailableBuffer()[:n]
		_, err := io.ReadFull(r.Body, b)
		_, _ = into.Write(b)
		return err
	}
	deadline := time.Now().Add(h.o.Server.RequestTimeout.Std())
	if err := http.NewResponseController(w).SetReadDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := io.Copy(into, http.MaxBytesReader(w, r.Body, h.o.Server.MaxBody.Bytes()))
	return err
}

func tooLarge(limit string) error {
	return dberr.Newf(dberr.TooLarge, "The request's body is larger than %s.", limit).
		WithHint("Split the request, or raise server.max_body.")
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	t, params, err := mime.ParseMediaType(contentType)
	if err != nil || t != "application/json" {
		return false
	}
	charset := params["charset"]
	return charset == "" || strings.EqualFold(charset, "utf-8")
}
