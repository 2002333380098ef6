package repl

import (
	"sync/atomic"

	"github.com/kalamdb/kalamdb/cli/theme"
)

// The states of the connection, which the dot before the prompt shows.
const (
	online int32 = iota
	offline
	reconnecting
)

// statusDot is what is known of the connection. The zero value is online.
type statusDot struct{ state atomic.Int32 }

func (s *statusDot) set(state int32) { s.state.Store(state) }

// draw gives the coloured dot.
func (s *statusDot) draw(p theme.Palette) string {
	color := p.Good
	switch s.state.Load() {
	case offline:
		color = p.Bad
	case reconnecting:
		color = p.Warn
	}
	return color.Paint("●") + " "
}
