package builtin

import (
	"encoding/json"
	"strings"
)

// scanObject finds a member of a valid object by walking over its bytes, so
// that taking one key out of a document makes no map of all others. The last
// of equal keys counts.
func scanObject(doc, key string) (json.RawMessage, bool) {
	var found json.RawMessage
	i := strings.IndexByte(doc, '{') + 1
	for {
		i = skipSpace(doc, i)
		if i >= len(doc) || doc[i] == '}' {
			return found, found != nil
		}
		if doc[i] == ',' {
			i++
			continue
		}
		end := skipValue(doc, i)
		match := equalJSONString(doc[i:end], key)
		i = skipSpace(doc, end)
		if i >= len(doc) {
			return found, found != nil
		}
		i = skipSpace(doc, i+1) // behind the colon
		end = skipValue(doc, i)
		if match {
			found = json.RawMessage(doc[i:end])
		}
		i = end
	}
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// skipValue gives the end of the value that begins at s[i].
func skipValue(s string, i int) int {
	if i >= len(s) {
		return i
	}
	switch s[i] {
	case '"':
		for i++; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(s)
	case '{', '[':
		depth := 0
		for i < len(s) {
			switch s[i] {
			case '"':
				i = skipValue(s, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return len(s)
	}
	for i < len(s) && !strings.ContainsRune(",}] \t\n\r", rune(s[i])) {
		i++
	}
	return i
}

// equalJSONString compares a quoted string with a text.
func equalJSONString(quoted, s string) bool {
	if len(quoted) < 2 {
		return false
	}
	if body := quoted[1 : len(quoted)-1]; strings.IndexByte(body, '\\') < 0 {
		return body == s
	}
	var out string
	return json.Unmarshal([]byte(quoted), &out) == nil && out == s
}
