package httpapi

import (
	"bytes"
	"encoding/json"
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
	a := newAnswer(w, h, start)
	defer a.release()
	req, err := h.readSQL(w, r, a)
	if err != nil {
		h.fail(w, r, err)
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
	// Only now: a body that comes slowly must not keep others from running.
	if err := h.o.Admission.Enter(); err != nil {
		h.fail(w, r, err)
		return
	}
	defer h.o.Admission.Leave()
	a.timing = h.o.API.ReportExecutionTime
	req.Deadline = start.Add(h.o.Server.RequestTimeout.Std())
	a.finish(r.Context(), session.Execute(r.Context(), req, a))
}

// admit authenticates a request and counts it against the limits.
func (h *Handler) admit(r *http.Request) (auth.Principal, error) {
	p, err := h.o.Auth.Request(r)
	address := h.o.Auth.Address(r)
	if err != nil {
		if over := h.o.Admission.Stranger(address); over != nil {
			err = over
		}
		return p, err
	}
	return p, h.o.Admission.Request(p, address)
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
	if _, err := io.Copy(body, http.MaxBytesReader(w, r.Body, limit)); err != nil {
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
	var in wire.SQLRequest
	if err := json.Unmarshal(body.Bytes(), &in); err != nil {
		return core.Request{}, invalidJSON(err)
	}
	if strings.TrimSpace(in.SQL) == "" {
		return core.Request{}, dberr.New(dberr.InvalidSQL, "The request has no statement.").
			WithHint(`Send a body such as {"sql": "SELECT 1"}.`)
	}
	format, err := formatOf(in.Options)
	if err != nil {
		return core.Request{}, err
	}
	a.request, a.format = in.SQL, format
	req := core.Request{SQL: in.SQL}
	if req.Params, err = wireconv.Params(in.Params); err != nil {
		return core.Request{}, err
	}
	ns := in.NamespaceID
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

func tooLarge(limit string) error {
	return dberr.Newf(dberr.TooLarge, "The request's body is larger than %s.", limit).
		WithHint("Split the request, or raise server.max_body.")
}

// invalidJSON says what is wrong with a body without showing Go's names.
func invalidJSON(err error) error {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return dberr.Newf(dberr.InvalidJSON, "The request's %q has the wrong type: a JSON %s.", wrongType.Field, wrongType.Value)
	case errors.As(err, &wrongType):
		return dberr.Newf(dberr.InvalidJSON, "The request's body is a JSON %s, not an object.", wrongType.Value)
	case errors.As(err, &syntax):
		return dberr.Newf(dberr.InvalidJSON, "The request's body is not valid JSON: %v at byte %d.", syntax, syntax.Offset)
	}
	return dberr.New(dberr.InvalidJSON, "The request's body is not valid JSON.").Wrap(err)
}

func formatOf(o *wire.SQLOptions) (f wireconv.Format, err error) {
	if o == nil {
		return f, nil
	}
	switch o.Rows {
	case "", "object":
	case "array":
		f.Arrays = true
	default:
		return f, dberr.Newf(dberr.InvalidSQL, "options.rows is %q; it must be object or array.", o.Rows)
	}
	switch o.Int64 {
	case "", "number":
	case "string":
		f.Int64Strings = true
	default:
		return f, dberr.Newf(dberr.InvalidSQL, "options.int64 is %q; it must be number or string.", o.Int64)
	}
	return f, nil
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
