package repl

import (
	"strings"

	"github.com/kalamdb/kalamdb/cli/complete"
)

const (
	hlKeyword = "\x1b[1;34m"
	hlText    = "\x1b[32m"
	hlNumber  = "\x1b[33m"
	hlComment = "\x1b[2m"
	hlCommand = "\x1b[36m"
	hlReset   = "\x1b[0m"
)

var keywords = func() map[string]bool {
	m := map[string]bool{}
	for _, k := range complete.Keywords() {
		for _, w := range strings.Fields(k) {
			m[w] = true
		}
	}
	return m
}()

// highlight colours what is typed. It never changes the text itself.
func highlight(line []rune) string {
	s := string(line)
	if strings.HasPrefix(strings.TrimLeft(s, " "), `\`) {
		return hlCommand + s + hlReset
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		next := skipToken(s, i)
		if next < 0 {
			next = len(s)
		}
		color := ""
		switch c := s[i]; {
		case c == '\'' || c == '$' && next > i+1:
			color = hlText
		case c == '-' && next > i+1, c == '/' && next > i+1:
			color = hlComment
		case c >= '0' && c <= '9':
			for next < len(s) && (s[next] >= '0' && s[next] <= '9' || s[next] == '.') {
				next++
			}
			color = hlNumber
		case identByte(c):
			for next < len(s) && identByte(s[next]) {
				next++
			}
			if keywords[strings.ToUpper(s[i:next])] {
				color = hlKeyword
			}
		}
		if color != "" {
			b.WriteString(color + s[i:next] + hlReset)
		} else {
			b.WriteString(s[i:next])
		}
		i = next
	}
	return b.String()
}
