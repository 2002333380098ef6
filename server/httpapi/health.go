package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/server/wireconv"
)

// serveHealth tells how the server is: 200 when it takes statements, else 503.
// Anybody may ask.
func (h *Handler) serveHealth(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	st, engine := h.state, h.engine
	h.mu.Unlock()
	if st == serving && !engine.Health().Writable {
		st = unhealthy
	}
	status := http.StatusOK
	if st != serving {
		status = http.StatusServiceUnavailable
		wireconv.SetStatusHeaders(w.Header(), status)
	}
	body, err := json.Marshal(wire.Health{
		Status: string(st), Version: h.o.Build.Version, APIVersion: wire.APIVersion,
		UptimeSeconds: time.Since(h.started).Truncate(time.Millisecond).Seconds(),
		Commit:        h.o.Build.Commit, Branch: h.o.Build.Branch,
	})
	if err != nil {
		panic(err) // a struct of strings and a finite number
	}
	header := w.Header()
	header["Content-Type"] = wireconv.JSONType
	header["Cache-Control"] = noStore
	header["Content-Length"] = []string{strconv.Itoa(len(body) + 1)}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
