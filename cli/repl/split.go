package repl

import (
	"strings"
	"unicode/utf8"
)

// Statement is one statement or backslash command of a text.
type Statement struct {
	// Text is without the semicolon at its end.
	Text string
	// Line is where it begins in the text, from 1.
	Line int
	// Meta marks a backslash command.
	Meta bool
}

// Split cuts a text into statements at the semicolons that stand outside
// quotes, dollar quotes and comments, and at the ends of backslash commands.
// rest is what has no end yet; it begins on restLine.
func Split(text string, line int) (out []Statement, rest string, restLine int) {
	start := 0
	for {
		start, line = skipBlank(text, start, line)
		if start >= len(text) {
			return out, "", line
		}
		if text[start] == '\\' {
			end := strings.IndexByte(text[start:], '\n')
			if end < 0 {
				return append(out, Statement{Text: strings.TrimSpace(text[start:]), Line: line, Meta: true}), "", line
			}
			out = append(out, Statement{Text: strings.TrimSpace(text[start : start+end]), Line: line, Meta: true})
			start += end + 1
			line++
			continue
		}
		end := findEnd(text, start)
		if end < 0 {
			return out, text[start:], line
		}
		if stmt := strings.TrimSpace(text[start:end]); stmt != "" {
			out = append(out, Statement{Text: stmt, Line: line})
		}
		line += strings.Count(text[start:end+1], "\n")
		start = end + 1
	}
}

// skipBlank goes past spaces, comments and lone semicolons.
func skipBlank(text string, i, line int) (int, int) {
	for i < len(text) {
		switch {
		case text[i] == '\n':
			line++
			i++
		case text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == ';' || text[i] == '\f':
			i++
		case strings.HasPrefix(text[i:], "\ufeff"):
			i += len("\ufeff")
		case strings.HasPrefix(text[i:], "--"):
			n := strings.IndexByte(text[i:], '\n')
			if n < 0 {
				return len(text), line
			}
			i += n
		case strings.HasPrefix(text[i:], "/*"):
			end := skipToken(text, i)
			if end < 0 {
				return i, line // not closed yet: it is the rest
			}
			line += strings.Count(text[i:end], "\n")
			i = end
		default:
			return i, line
		}
	}
	return i, line
}

// findEnd gives the place of the semicolon that ends the statement, -1 when
// there is none.
func findEnd(text string, i int) int {
	for i < len(text) {
		if text[i] == ';' {
			return i
		}
		next := skipToken(text, i)
		if next < 0 {
			return -1
		}
		i = next
	}
	return -1
}

// skipToken goes past a quoted text, a comment or one character. It gives -1
// when the quote or comment is not closed.
func skipToken(s string, i int) int {
	switch c := s[i]; {
	case c == '\'' || c == '"':
		escapes := c == '\'' && i > 0 && (s[i-1] == 'E' || s[i-1] == 'e') && (i == 1 || !identByte(s[i-2]))
		for j := i + 1; j < len(s); j++ {
			switch {
			case escapes && s[j] == '\\':
				j++
			case s[j] == c && j+1 < len(s) && s[j+1] == c:
				j++
			case s[j] == c:
				return j + 1
			}
		}
		return -1
	case c == '-' && strings.HasPrefix(s[i:], "--"):
		n := strings.IndexByte(s[i:], '\n')
		if n < 0 {
			return len(s)
		}
		return i + n + 1
	case c == '/' && strings.HasPrefix(s[i:], "/*"):
		depth := 0
		for j := i; j+1 < len(s); j++ {
			switch s[j : j+2] {
			case "/*":
				depth++
				j++
			case "*/":
				depth--
				j++
				if depth == 0 {
					return j + 1
				}
			}
		}
		return -1
	case c == '$' && (i == 0 || !identByte(s[i-1])):
		j := i + 1
		for j < len(s) && identByte(s[j]) && s[j] != '$' {
			j++
		}
		if j >= len(s) || s[j] != '$' || j > i+1 && s[i+1] >= '0' && s[i+1] <= '9' {
			return i + 1
		}
		tag := s[i : j+1]
		end := strings.Index(s[j+1:], tag)
		if end < 0 {
			return -1
		}
		return j + 1 + end + len(tag)
	}
	return i + 1
}

func identByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= utf8.RuneSelf
}

// isComplete tells whether a typed text needs no further line.
func isComplete(text string) bool {
	t := strings.TrimSpace(text)
	if t == "" || t[0] == '\\' || t[0] == '.' || wordCommand(t) != "" || leaves(t) {
		return true
	}
	_, rest, _ := Split(text, 1)
	return strings.TrimSpace(rest) == ""
}

// wordCommand is the command that a text means which is a plain word, "" for
// any other text.
func wordCommand(text string) string {
	switch strings.ToLower(strings.TrimRight(strings.TrimSpace(text), "; ")) {
	case "quit", "exit":
		return `\quit`
	case "help", "?":
		return `\help`
	}
	return ""
}

// leaves tells whether the last line of an unfinished statement says to leave.
// The words without a backslash could be names there.
func leaves(text string) bool {
	text = strings.TrimSpace(text)
	end := strings.LastIndexByte(text, '\n')
	if end < 0 {
		return false
	}
	if last := strings.TrimSpace(text[end:]); last != `\q` && last != `\quit` {
		return false
	}
	_, rest, _ := Split(text[:end]+"\n;", 1)
	return rest == "" // else the line lies in a quoted text
}

// substitute puts variables into a statement: :name as it is, :'name' as a
// quoted text, :"name" as a quoted name. Unknown names stay as they are.
func substitute(s string, vars map[string]string) string {
	if len(vars) == 0 || !strings.Contains(s, ":") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] == ':' && (i == 0 || s[i-1] != ':') && i+1 < len(s) && s[i+1] != ':' {
			if text, n := variable(s[i+1:], vars); n > 0 {
				b.WriteString(text)
				i += 1 + n
				continue
			}
		}
		if s[i] == ':' && i+1 < len(s) && s[i+1] == ':' {
			b.WriteString("::")
			i += 2
			continue
		}
		next := skipToken(s, i)
		if next < 0 {
			next = len(s)
		}
		b.WriteString(s[i:next])
		i = next
	}
	return b.String()
}

func variable(s string, vars map[string]string) (text string, n int) {
	quote := byte(0)
	start := 0
	if s[0] == '\'' || s[0] == '"' {
		quote, start = s[0], 1
	}
	end := start
	for end < len(s) && identByte(s[end]) {
		end++
	}
	if end == start || s[start] >= '0' && s[start] <= '9' {
		return "", 0
	}
	v, ok := vars[s[start:end]]
	if !ok {
		return "", 0
	}
	if quote == 0 {
		return v, end
	}
	if end >= len(s) || s[end] != quote {
		return "", 0
	}
	q := string(quote)
	return q + strings.ReplaceAll(v, q, q+q) + q, end + 1
}

// firstWords gives the first n words of a statement in upper case, without
// comments.
func firstWords(s string, n int) []string {
	var out []string
	i, _ := skipBlank(s, 0, 1)
	for i < len(s) && len(out) < n {
		start := i
		for i < len(s) && identByte(s[i]) {
			i++
		}
		if i == start {
			break
		}
		out = append(out, strings.ToUpper(s[start:i]))
		i, _ = skipBlank(s, i, 1)
	}
	return out
}
