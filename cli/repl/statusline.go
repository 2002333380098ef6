package repl

import (
	"fmt"
	"time"

	"github.com/kalamdb/kalamdb/cli/render"
)

// statusLine is the last line of a stream on a terminal: how many changes came,
// and how fast they come now, and what is being typed. It is taken away before anything else is written
// and put back when nothing more waits.
type statusLine struct {
	on    bool
	shown bool
	began time.Time

	text  string // what is shown
	rate  float64
	at    time.Time // when rate was measured
	total int64     // how many changes there were then
}

// measure gives how many changes come a second, smoothed over a few seconds.
func (l *statusLine) measure(total int64, now time.Time) {
	if l.at.IsZero() {
		l.at = l.began
	}
	d := now.Sub(l.at)
	if d < 500*time.Millisecond {
		return
	}
	rate := float64(total-l.total) / d.Seconds()
	if l.rate == 0 {
		l.rate = rate
	} else {
		l.rate += (rate - l.rate) * 0.4
	}
	if l.rate < 0.05 {
		l.rate = 0
	}
	l.at, l.total = now, total
}

// draw writes the line unless it stands there already.
func (l *statusLine) draw(s *streamer) {
	if !l.on {
		return
	}
	total := s.changes()
	l.measure(total, time.Now())
	word := "changes"
	if total == 1 {
		word = "change"
	}
	text := fmt.Sprintf("%s %s · %.1f/s", render.Thousands(total), word, l.rate)
	switch {
	case s.paused:
		if text += " · paused"; s.a.status.state.Load() == reconnecting {
			text += " · reconnecting"
		}
	case s.a.status.state.Load() == reconnecting:
		text += " · reconnecting"
	case total == 0:
		text += ` · \pause holds, \continue goes on`
	}
	typed := ""
	if s.keys != nil {
		typed = s.keys.show(max(s.a.width()-len(text)-6, 10))
	}
	if l.shown && text+typed == l.text {
		return
	}
	l.clear(s.a)
	l.text, l.shown = text+typed, true
	if s.a.colorOut {
		text = s.a.status.draw(s.a.theme) + s.a.theme.Quiet.Paint(text)
	}
	s.a.out.WriteString(text + "  " + typed)
}

// clear takes the line away.
func (l *statusLine) clear(a *App) {
	if l.shown {
		l.shown = false
		a.out.WriteString("\r\x1b[K")
	}
}
