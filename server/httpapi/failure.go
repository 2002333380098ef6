package httpapi

import (
	"net/http"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/server/wireconv"
)

// fail answers a request that failed before anything was answered.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.refuse(w, r, 0, err)
}

// refuse is fail with an HTTP status other than that of the error's code.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	f := wireconv.Failure(r.Context(), h.log, err)
	h.o.Metrics.Error(f.Code)
	wireconv.SetRetryAfter(w.Header(), err)
	if status == 0 {
		status = dberr.Code(f.Code).Info().HTTPStatus
	}
	wireconv.WriteFailure(w, status, 0, f)
}
