package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/wireconv"
)

// fail answers a request that failed before anything was answered.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.refuse(w, r, 0, err)
}

// refuse is fail with an HTTP status other than that of the error's code.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	f := wireconv.Failure(r.Context(), h.log, err)
	if status == 0 {
		status = dberr.Code(f.Code).Info().HTTPStatus
	}
	writeFailure(w, status, 0, f)
}

// setStatusHeaders adds the headers that belong to a status.
func setStatusHeaders(header http.Header, status int) {
	switch status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="kalamdb"`)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		header.Set("Retry-After", "1")
	}
}

// writeFailure writes an answer that holds nothing but an error.
func writeFailure(w http.ResponseWriter, status int, took time.Duration, f wire.Error) {
	body := append(appendHead(nil, wire.StatusError, took), `],"error":`...)
	body = append(wireconv.AppendError(body, f), '}', '\n')
	header := w.Header()
	header["Content-Type"] = jsonType
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	setStatusHeaders(header, status)
	w.WriteHeader(status)
	// The client may be gone; there is nobody else to tell.
	_, _ = w.Write(body)
}
