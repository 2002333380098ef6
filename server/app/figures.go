package app

import (
	"time"

	"github.com/kalamdb/kalamdb/server/debug"
)

// figures are the server's own, for its metrics.
func (s *Server) figures() debug.Figures {
	f := debug.Figures{
		Connections: s.listener.limit.count(), RefusedConnections: s.listener.limit.refused.Load(),
		WebSockets: s.ws.Connections(),
	}
	if s.open.Load() {
		st := s.engine.Stats()
		f.Engine = &st
		// A size that cannot be read now is left at zero; the next time it can.
		f.HotBytes, _ = s.engine.Size(s.base)
	}
	return f
}

// logSizes logs the size of the data from time to time, until the server stops.
func (s *Server) logSizes(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-s.base.Done():
			return
		case <-tick.C:
		}
		size, err := s.engine.Size(s.base)
		if err != nil {
			s.log.Warn("the size of the data cannot be read", "error", err)
			continue
		}
		st := s.engine.Stats()
		s.log.Info("data size", "data_bytes", size, "stream_bytes", st.StreamBytes, "cold_bytes", st.Tables.Bytes, "sessions", st.Sessions.Sessions,
			"subscriptions", st.Live.Subscriptions)
	}
}
