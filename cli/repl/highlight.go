package repl

import (
	"strings"

	"github.com/kalamdb/kalamdb/cli/complete"
	"github.com/kalamdb/kalamdb/cli/theme"
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
func highlight(line []rune, p theme.Palette) string {
	s := string(line)
	if strings.HasPrefix(strings.TrimLeft(s, " "), `\`) {
		return p.Command.Paint(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		next := skipToken(s, i)
		if next < 0 {
			next = len(s)
		}
		color := theme.Color("")
		switch c := s[i]; {
		case c == '\'' || c == '$' && next > i+1:
			color = p.Text
		case c == '-' && next > i+1, c == '/' && next > i+1:
			color = p.Comment
		case c >= '0' && c <= '9':
			for next < len(s) && (s[next] >= '0' && s[next] <= '9' || s[next] == '.') {
				next++
			}
			color = p.Number
		case identByte(c):
			for next < len(s) && identByte(s[next]) {
				next++
			}
			if keywords[strings.ToUpper(s[i:next])] {
				color = p.Keyword
			}
		}
		b.WriteString(color.Paint(s[i:next]))
		i = next
	}
	return b.String()
}
