package sqltype

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// maxJSONDepth is how deep a document may nest.
const maxJSONDepth = 1000

// CheckJSON tells what keeps a text from being one JSON document: an
// INVALID_JSON error that names the place.
func CheckJSON(s string) error {
	if !utf8.ValidString(s) {
		return invalidJSON("it is not valid UTF-8", "")
	}
	depth, inString := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case inString:
			if c == '\\' {
				i++
			} else if c == '"' {
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxJSONDepth {
				return invalidJSON(fmt.Sprintf("it nests deeper than %d levels", maxJSONDepth), "")
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	if json.Valid([]byte(s)) {
		return nil
	}
	if strings.TrimSpace(s) == "" {
		return invalidJSON("the input string ended unexpectedly", "")
	}
	var raw json.RawMessage
	err := json.Unmarshal([]byte(s), &raw)
	if se, ok := err.(*json.SyntaxError); ok {
		at := min(max(int(se.Offset)-1, 0), len(s))
		line := 1 + strings.Count(s[:at], "\n")
		col := utf8.RuneCountInString(s[strings.LastIndexByte(s[:at], '\n')+1:at]) + 1
		if strings.Contains(se.Error(), "unexpected end") {
			return invalidJSON("the input string ended unexpectedly", "")
		}
		near := cutRunes(s[at:], 20)
		return invalidJSON(fmt.Sprintf("%s, line %d, column %d", se.Error(), line, col), near)
	}
	return invalidJSON("it is no JSON document", "")
}

func invalidJSON(why, near string) error {
	msg := "invalid input syntax for type json: " + why
	if near != "" {
		msg += " near " + quote(near)
	}
	return dberr.New(dberr.InvalidJSON, msg)
}
