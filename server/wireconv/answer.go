package wireconv

import (
	"net/http"
	"strconv"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/limit"
)

// JSONType is the Content-Type of every answer, as a header's values.
var JSONType = []string{"application/json"}

// SetStatusHeaders adds the headers that belong to a status.
func SetStatusHeaders(header http.Header, status int) {
	switch status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="kalamdb"`)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		// Who knows better has set it already.
		if header.Get("Retry-After") == "" {
			header.Set("Retry-After", "1")
		}
	}
}

// SetRetryAfter adds when to come back, if the error knows.
func SetRetryAfter(header http.Header, err error) {
	if wait, ok := limit.Wait(err); ok {
		header.Set("Retry-After", limit.RetryAfter(wait))
	}
}

// WriteFailure writes an answer that holds nothing but an error.
func WriteFailure(w http.ResponseWriter, status int, took time.Duration, f wire.Error) {
	body := append(AppendHead(nil, wire.StatusError, took), `],"error":`...)
	body = append(AppendError(body, f), '}', '\n')
	header := w.Header()
	header["Content-Type"] = JSONType
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	SetStatusHeaders(header, status)
	w.WriteHeader(status)
	// The client may be gone; there is nobody else to tell.
	_, _ = w.Write(body)
}

// AppendHead appends the head of an answer up to its results.
func AppendHead(dst []byte, status string, took time.Duration) []byte {
	dst = append(append(dst, `{"status":"`...), status...)
	dst = AppendMS(append(dst, `","took_ms":`...), took)
	return append(dst, `,"results":[`...)
}

// AppendMS appends a duration in milliseconds with microseconds behind the
// point.
func AppendMS(dst []byte, d time.Duration) []byte {
	return strconv.AppendFloat(dst, float64(d.Microseconds())/1000, 'f', -1, 64)
}
