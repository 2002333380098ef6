package httpapi

import (
	"net/http"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
)

// serveMetrics serves the metrics to whom they are for: how much a server does
// and which errors it gives is nobody else's business.
func (h *Handler) serveMetrics(metrics http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !h.o.PublicMetrics {
			if err := h.mayReadMetrics(r); err != nil {
				h.fail(w, r, err)
				return
			}
		}
		metrics.ServeHTTP(w, r)
	}
}

func (h *Handler) mayReadMetrics(r *http.Request) error {
	if h.o.Auth.Local(r) && !h.o.Auth.Presents(r) {
		return nil
	}
	if _, err := h.begin(); err != nil {
		return err // users are looked up in the database
	}
	defer h.done()
	p, err := h.admit(r)
	switch {
	case err != nil:
		return err
	case p.Role == ident.RoleUser:
		return dberr.New(dberr.PermissionDenied, "The metrics need the role service or admin.").
			WithHint("Set metrics.public = true to show them to everybody.")
	}
	return nil
}
