package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// MaxComponent is how many bytes an escaped value has at most. File systems
// allow 255 for a component, of which a template may take a part.
const MaxComponent = 128

const (
	escapeByte = '%'
	// hashMark stands between the beginning of a long value and its hash. No
	// escaped byte looks like it.
	hashMark = "%-"
	hashLen  = 32
)

const hexDigits = "0123456789abcdef"

// plain tells whether a byte stands for itself in the middle of a component.
// Upper case does not, because file systems exist that ignore case.
func plain(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '_' || c == '.' || c == '@' || c == '+' || c == '='
}

// Escape makes a value a path component, or a part of one. Different values
// give different results, none of which is longer than MaxComponent.
//
// Lower-case ASCII letters, digits and - _ @ + = stand for themselves, a dot
// only in the middle. Every other byte is % and two lower-case hexadecimal
// digits. A name that means a device on Windows has its first letter escaped.
// The empty value is a single %.
func Escape(s string) string {
	if s == "" {
		return string(escapeByte)
	}
	first := 0
	if device(s) {
		first = 1
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	cut := 0 // where a long value is cut, never inside an escaped byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		if i < first || !plain(c) || c == '.' && (i == 0 || i == len(s)-1) {
			b.WriteByte(escapeByte)
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		} else {
			b.WriteByte(c)
		}
		if b.Len() <= MaxComponent-len(hashMark)-hashLen {
			cut = b.Len()
		}
	}
	if b.Len() <= MaxComponent {
		return b.String()
	}
	sum := sha256.Sum256([]byte(s))
	return b.String()[:cut] + hashMark + hex.EncodeToString(sum[:hashLen/2])
}

// Unescape gives back the value. It answers false for what Escape does not
// make, and for the hash of a long value, which cannot be turned around.
func Unescape(s string) (string, bool) {
	if s == string(escapeByte) {
		return "", true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != escapeByte {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		out = append(out, byte(hi<<4|lo))
		i += 2
	}
	v := string(out)
	if Escape(v) != s {
		return "", false
	}
	return v, true
}

// device tells whether Windows takes a name, with or without an extension,
// for a device. Names with characters that are escaped anyway need no looking
// at.
func device(s string) bool {
	base, _, _ := strings.Cut(s, ".")
	switch strings.ToLower(base) {
	case "con", "prn", "aux", "nul":
		return true
	}
	if len(base) != 4 || base[3] < '0' || base[3] > '9' {
		return false
	}
	b := strings.ToLower(base[:3])
	return b == "com" || b == "lpt"
}
