package render

import (
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// width measures as a terminal in a western locale does: ambiguous characters
// are narrow.
var width = &runewidth.Condition{}

// Safe gives text that a terminal shows and does not obey: control characters,
// the invisible marks that turn the direction of writing, and bytes that are no
// UTF-8 are written as escapes.
func Safe(s string) string { return safe(s, false) }

// safe lets line breaks through when lines is true.
func safe(s string, lines bool) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= ' ' && s[i] < 0x7f
	}
	if clean {
		return s
	}
	const hex = "0123456789abcdef"
	var b strings.Builder
	b.Grow(len(s) + 8)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			b.WriteByte(hex[s[i]>>4])
			b.WriteByte(hex[s[i]&15])
		case r == '\n' && lines:
			b.WriteByte('\n')
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r >= 0x7f && r < 0xa0:
			b.WriteString(`\x`)
			b.WriteByte(hex[r>>4])
			b.WriteByte(hex[r&15])
		case hidden(r):
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hex[r>>shift&15])
			}
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// hidden tells whether a character reorders or hides what stands around it.
// The joiners that build emoji and the scripts that need them stay.
func hidden(r rune) bool {
	switch {
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0x200e, r == 0x200f:
		return true
	}
	return r == 0x00ad // soft hyphen: terminals disagree about its width
}

// Width is how many columns of a terminal the text takes.
func Width(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return width.StringWidth(s)
		}
	}
	return len(s)
}

// Fit cuts the text to n columns, the last of which is then "…", or fills it up
// with spaces: on the left when right is true.
func Fit(s string, n int, right bool) string {
	w := Width(s)
	if w > n {
		s = width.Truncate(s, n, "…")
		w = Width(s)
	}
	if w >= n {
		return s
	}
	pad := spaces(n - w)
	if right {
		return pad + s
	}
	return s + pad
}

// Wrap cuts the text into lines of at most n columns, at a space where there is
// one in a line's second half. A text that fits is one line.
func Wrap(s string, n int) []string {
	var out []string
	for n = max(n, 1); Width(s) > n; {
		line := width.Truncate(s, n, "")
		if line == "" { // not even one character fits
			_, size := utf8.DecodeRuneInString(s)
			line = s[:size]
		}
		rest := s[len(line):]
		if i := strings.LastIndexByte(line, ' '); rest != "" && rest[0] != ' ' && i > len(line)/2 {
			line, rest = line[:i], s[i:]
		}
		out = append(out, line)
		s = strings.TrimPrefix(rest, " ")
	}
	if s == "" && out != nil {
		return out
	}
	return append(out, s)
}

const blank = "                                                                "

func spaces(n int) string {
	if n <= len(blank) {
		return blank[:max(n, 0)]
	}
	return strings.Repeat(" ", n)
}
