package repl

import "sync/atomic"

// The states of the connection, which the dot before the prompt shows.
const (
	online int32 = iota
	offline
	reconnecting
)

// statusDot is what is known of the connection. The zero value is online.
type statusDot struct{ state atomic.Int32 }

func (s *statusDot) set(state int32) { s.state.Store(state) }

// String is the coloured dot.
func (s *statusDot) String() string {
	switch s.state.Load() {
	case offline:
		return "\x1b[31m●\x1b[0m "
	case reconnecting:
		return "\x1b[33m●\x1b[0m "
	}
	return "\x1b[32m●\x1b[0m "
}
