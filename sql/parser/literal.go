package parser

import (
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Value is a token's value: a word folded to lower case, a quoted token
// without its quotes and escapes, any other token as it was written. ok is
// false when an escape in it is wrong.
func (t Token) Value(sql string) (value string, ok bool) {
	text := sql[t.Start:t.End]
	switch t.Kind {
	case Word:
		if t.style == folded {
			if t.Keyword != kwNone {
				return keywords[t.Keyword].lower, true
			}
			return lowerASCII(text), true
		}
		return text, true
	case String, QuotedIdent, BitString, HexString:
		return quotedValue(text, t.style)
	case Integer, Decimal:
		return numberValue(text, t.style), true
	}
	return text, true
}

// lowerASCII folds as PostgreSQL does for multi-byte encodings: other letters
// than A to Z stay.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func quotedValue(text string, st style) (string, bool) {
	if st == dollar {
		n := strings.IndexByte(text[1:], '$') + 2
		return text[n : len(text)-n], true
	}
	quote := text[len(text)-1]
	body := text[strings.IndexByte(text, quote)+1 : len(text)-1]
	switch st {
	case plain:
		return body, true
	case doubled:
		q := string(quote)
		return strings.ReplaceAll(body, q+q, q), true
	case escaped:
		return unescape(body)
	}
	return unescapeUnicode(body, quote)
}

// unescape removes the escapes of E'…' (PostgreSQL's manual, section 4.1.2.2).
func unescape(s string) (string, bool) {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\'' {
			i++
		}
		if c != '\\' {
			b.WriteByte(c)
			continue
		}
		i++
		if i >= len(s) {
			return "", false
		}
		switch c = s[i]; c {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'v':
			b.WriteByte('\v')
		case '0', '1', '2', '3', '4', '5', '6', '7':
			n, v := 0, 0
			for n < 3 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7' {
				v = v*8 + int(s[i+n]-'0')
				n++
			}
			b.WriteByte(byte(v))
			i += n - 1
		case 'x':
			n, v := 0, 0
			for n < 2 && i+1+n < len(s) {
				d, ok := hexDigit(s[i+1+n])
				if !ok {
					break
				}
				v = v*16 + int(d)
				n++
			}
			if n == 0 {
				b.WriteByte('x')
				continue
			}
			b.WriteByte(byte(v))
			i += n
		case 'u', 'U':
			n := 4
			if c == 'U' {
				n = 8
			}
			r, used, ok := unicodeEscape(s[i+1:], n, "\\"+string(c))
			if !ok {
				return "", false
			}
			b.WriteRune(r)
			i += used
		default:
			b.WriteByte(c)
		}
	}
	out := b.String()
	return out, utf8.ValidString(out) && strings.IndexByte(out, 0) < 0
}

// unescapeUnicode removes the \XXXX and \+XXXXXX escapes of U&'…'.
func unescapeUnicode(s string, quote byte) (string, bool) {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == quote:
			i++
			b.WriteByte(c)
		case c != '\\':
			b.WriteByte(c)
		case i+1 < len(s) && s[i+1] == '\\':
			b.WriteByte('\\')
			i++
		default:
			n, prefix := 4, "\\"
			if i+1 < len(s) && s[i+1] == '+' {
				i++
				n, prefix = 6, "\\+"
			}
			r, used, ok := unicodeEscape(s[i+1:], n, prefix)
			if !ok {
				return "", false
			}
			b.WriteRune(r)
			i += used
		}
	}
	return b.String(), b.Len() > 0 || quote == '\''
}

// unicodeEscape reads n hexadecimal digits, and when they are the first half
// of a surrogate pair the second escape too.
func unicodeEscape(s string, n int, prefix string) (r rune, used int, ok bool) {
	r, ok = hexRune(s, n)
	if !ok {
		return 0, 0, false
	}
	if r >= 0xD800 && r < 0xDC00 {
		rest, found := strings.CutPrefix(s[n:], prefix)
		low, lowOK := hexRune(rest, n)
		if !found || !lowOK || low < 0xDC00 || low > 0xDFFF {
			return 0, 0, false
		}
		return (r-0xD800)<<10 + (low - 0xDC00) + 0x10000, n + len(prefix) + n, true
	}
	return r, n, r != 0 && utf8.ValidRune(r)
}

func hexRune(s string, n int) (rune, bool) {
	if len(s) < n {
		return 0, false
	}
	v := uint32(0)
	for i := range n {
		d, ok := hexDigit(s[i])
		if !ok {
			return 0, false
		}
		v = v<<4 | uint32(d)
	}
	return rune(v), v <= utf8.MaxRune
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// numberValue gives a number's decimal text.
func numberValue(text string, st style) string {
	switch st {
	case radix:
		digits := strings.ReplaceAll(text[2:], "_", "")
		base := 2
		switch text[1] | 0x20 {
		case 'x':
			base = 16
		case 'o':
			base = 8
		}
		if v, err := strconv.ParseUint(digits, base, 64); err == nil {
			return strconv.FormatUint(v, 10)
		}
		v, _ := new(big.Int).SetString(digits, base)
		return v.String()
	case underscored:
		return strings.ReplaceAll(text, "_", "")
	}
	return text
}

// parseInt64 reads a decimal number without sign; ok is false when it does not
// fit.
func parseInt64(s string) (v int64, ok bool) {
	if len(s) > 19 {
		n, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil
	}
	u := uint64(0)
	for i := range len(s) {
		u = u*10 + uint64(s[i]-'0')
	}
	return int64(u), u <= 1<<63-1
}
