package httpapi

import (
	"net/http"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/wire"
)

// corsHeaders are the request headers that pages of allowed origins may send.
var corsHeaders = strings.Join([]string{
	"Authorization", "Content-Type", wire.HeaderAPIKey, wire.HeaderUserID, wire.HeaderSessionID, wire.HeaderNamespace,
}, ", ")

// cors tells browsers whether a page may read the answer, and answers their
// preflight questions; then it returns true. Pages of other origins get no
// permission: their browser keeps the answer from them, and asks before it
// sends a JSON body at all.
func (h *Handler) cors(w http.ResponseWriter, r *http.Request, rt route) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return false
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	allowed := len(origins) == 1 && h.origins.Allowed(origins[0])
	if allowed {
		header.Set("Access-Control-Allow-Origin", origins[0])
		header.Set("Access-Control-Expose-Headers", "Retry-After")
	}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	if !allowed {
		h.fail(w, r, dberr.New(dberr.PermissionDenied, "Pages of this origin may not talk to the server.").
			WithHint("List the origin in server.allowed_origins."))
		return true
	}
	if rt.methods != "" {
		header.Set("Access-Control-Allow-Methods", rt.methods)
	}
	header.Set("Access-Control-Allow-Headers", corsHeaders)
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
