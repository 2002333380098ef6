package core

import (
	"strings"
	"sync"
	"time"

	"github.com/kalamdb/kalamdb/sql/parser"
)

// maxSlow is how many slow statements are logged in a second. When all are
// slow, logging them would make them slower, and nobody reads them all.
const maxSlow = 10

// slowLog counts the slow statements of each second, so that a sample of them
// is logged. The zero value is ready.
type slowLog struct {
	mu      sync.Mutex // guards what follows
	second  int64
	logged  int
	skipped int64
}

// take tells whether a slow statement is logged, and how many were not since
// the last one that was.
func (l *slowLog) take(at time.Time) (skipped int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := at.Unix(); now != l.second {
		l.second, l.logged = now, 0
	}
	if l.logged >= maxSlow {
		l.skipped++
		return 0, false
	}
	l.logged++
	skipped, l.skipped = l.skipped, 0
	return skipped, true
}

// slow logs a statement that took long, unless many others do. Neither
// parameters nor literals are logged: they are the user's data, and in some
// statements they are secrets.
func (s *Session) slow(text string, took time.Duration) {
	limit := s.e.cfg.Query.Slow.Std()
	if limit <= 0 || took < limit {
		return
	}
	skipped, ok := s.e.slow.take(time.Now())
	if !ok {
		return
	}
	args := []any{"user", s.principal.User, "took", took, "statement", masked(text)}
	if skipped > 0 {
		args = append(args, "not_logged_before", skipped)
	}
	s.e.log.Warn("slow statement", args...)
}

// maxLogged is about how many bytes of a statement are logged.
const maxLogged = 2000

// masked is the beginning of a statement's text without its literals and
// comments. Of a text that is no statement nothing is shown: one quote too many
// makes words of its literals.
func masked(text string) string {
	if _, err := parser.Parse(text); err != nil {
		return "not a valid statement"
	}
	var b strings.Builder
	end := int32(0)
	for t := range parser.Tokens(text) {
		if b.Len() > 0 && t.Start > end {
			b.WriteByte(' ')
		}
		end = t.End
		switch t.Kind {
		case parser.Comment:
		case parser.String, parser.BitString, parser.HexString, parser.Integer, parser.Decimal, parser.Duration, parser.Invalid:
			b.WriteByte('?')
		default:
			b.WriteString(text[t.Start:min(t.End, t.Start+maxLogged)])
		}
		if b.Len() > maxLogged {
			b.WriteString(" …")
			break
		}
	}
	return b.String()
}
