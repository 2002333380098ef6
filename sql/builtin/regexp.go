package builtin

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// regexps keeps compiled expressions, because patterns mostly come from a
// statement's text or parameters and repeat for every row. When it is full it
// starts afresh, so it is bounded.
var regexps struct {
	sync.RWMutex
	m map[string]*regexp.Regexp
}

const (
	maxRegexps       = 512
	maxRegexpPattern = 64 << 10
)

// compileRegexp compiles an expression in Go's syntax, or gives the one
// compiled before.
func compileRegexp(pattern string) (*regexp.Regexp, error) {
	regexps.RLock()
	re := regexps.m[pattern]
	regexps.RUnlock()
	if re != nil {
		return re, nil
	}
	if len(pattern) > maxRegexpPattern {
		return nil, dberr.New(dberr.TooLarge, "regular expression is too long")
	}
	// The pattern may share memory with a batch that is reused.
	pattern = strings.Clone(pattern)
	re, err := regexp.Compile(pattern)
	if err != nil {
		why := err.Error()
		if se, ok := err.(*syntax.Error); ok {
			why = se.Code.String()
		}
		return nil, dberr.Newf(dberr.InvalidSQL, "invalid regular expression: %s", why).WithState("2201B").
			WithHint("Back references and look-around are not supported.")
	}
	regexps.Lock()
	if regexps.m == nil || len(regexps.m) >= maxRegexps {
		regexps.m = make(map[string]*regexp.Regexp, maxRegexps)
	}
	regexps.m[pattern] = re
	regexps.Unlock()
	return re, nil
}

// Regexp compiles a pattern in PostgreSQL's syntax with its option letters
// (i, c, n, m, s, x, q, …). g is for the caller.
func Regexp(pattern, flags string) (*regexp.Regexp, error) {
	fold, newline, literal, extended := false, false, false, false
	for _, f := range flags {
		switch f {
		case 'i':
			fold = true
		case 'c':
			fold = false
		case 'n', 'm':
			newline = true
		case 's':
			newline = false
		case 'p', 'w':
			newline = f == 'p' || newline
		case 'x':
			extended = true
		case 't':
			extended = false
		case 'q':
			literal = true
		case 'e', 'b', 'g':
		default:
			return nil, dberr.Newf(dberr.InvalidSQL, "invalid regular expression option: %q", string(f)).WithState("22023")
		}
	}
	// Embedded options: ***=literal, ***:advanced, (?i).
	if rest, ok := strings.CutPrefix(pattern, "***="); ok {
		literal, pattern = true, rest
	} else if rest, ok := strings.CutPrefix(pattern, "***:"); ok {
		pattern = rest
	}
	prefix := "(?s)"
	switch {
	case fold && newline:
		prefix = "(?im)"
	case fold:
		prefix = "(?is)"
	case newline:
		prefix = "(?m)"
	}
	if literal {
		return compileRegexp(prefix + regexp.QuoteMeta(pattern))
	}
	translated, err := translateRegexp(pattern, extended)
	if err != nil {
		return nil, err
	}
	return compileRegexp(prefix + translated)
}

// repetition is what may follow a brace that a digit follows, with the numbers
// of repetitions.
var repetition = regexp.MustCompile(`^\{([0-9]+)(?:,([0-9]*))?\}`)

// maxRepeat is PostgreSQL's bound of the number of repetitions.
const maxRepeat = 255

// checkRepetition refuses a brace at the start of p that begins a number of
// repetitions and gives none. Go takes it as it stands then.
func checkRepetition(p string) error {
	if len(p) < 2 || p[1] < '0' || p[1] > '9' {
		return nil
	}
	m := repetition.FindStringSubmatch(p)
	ok := m != nil
	for i := 1; ok && i < len(m); i++ {
		n, err := strconv.Atoi(m[i])
		ok = m[i] == "" || err == nil && n <= maxRepeat
	}
	if !ok {
		return dberr.New(dberr.InvalidSQL, "invalid regular expression: invalid repetition count(s)").WithState("2201B")
	}
	return nil
}

// translateRegexp rewrites what PostgreSQL spells otherwise than Go: \y \m \M
// for word boundaries, \Z for the end, and the classes and comments of the
// expanded syntax.
func translateRegexp(p string, extended bool) (string, error) {
	if !extended && !strings.ContainsAny(p, `\[{`) {
		return p, nil
	}
	var b strings.Builder
	inClass := false
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '\\' && i+1 < len(p):
			i++
			switch e := p[i]; {
			case e == 'x' || e == 'u' || e == 'U':
				digits := escapeDigits(p[i+1:], e)
				char, err := hexChar(digits, e, inClass)
				if err != nil {
					return "", err
				}
				b.WriteString(char)
				i += len(digits)
			case inClass && unicodeEscapes[e] != "" && e >= 'a':
				b.WriteString(unicodeEscapes[e])
			case inClass:
				b.WriteByte('\\')
				b.WriteByte(e)
			case unicodeEscapes[e] != "" && e >= 'a':
				b.WriteString("[" + unicodeEscapes[e] + "]")
			case unicodeEscapes[e] != "":
				b.WriteString("[^" + unicodeEscapes[e] + "]")
			case e == 'y', e == 'm', e == 'M':
				b.WriteString(`\b`)
			case e == 'b':
				b.WriteString(`\x08`) // a backspace
			case e == 'Y':
				b.WriteString(`\B`)
			case e == 'Z':
				b.WriteString(`\z`)
			case e == 'e':
				b.WriteString(`\x1b`)
			case e >= '1' && e <= '9', e == '<' || e == '>':
				// A back reference stays one, which Go refuses.
				b.WriteByte('\\')
				b.WriteByte(e)
			default:
				b.WriteByte('\\')
				b.WriteByte(e)
			}
		case inClass:
			switch {
			case c == '[' && i+1 < len(p) && p[i+1] == ':':
				if end := strings.Index(p[i+2:], ":]"); end >= 0 {
					class := p[i : i+2+end+2]
					if u, ok := unicodeClasses[class]; ok {
						class = u
					}
					b.WriteString(class)
					i += end + 3
					continue
				}
				b.WriteString(`\[`)
			case c == '[':
				b.WriteString(`\[`)
			default:
				inClass = c != ']'
				b.WriteByte(c)
			}
		case c == '[':
			if strings.HasPrefix(p[i:], "[[:<:]]") || strings.HasPrefix(p[i:], "[[:>:]]") {
				b.WriteString(`\b`)
				i += 6
				continue
			}
			inClass = true
			b.WriteByte(c)
			if i+1 < len(p) && p[i+1] == '^' {
				b.WriteByte('^')
				i++
			}
			if i+1 < len(p) && p[i+1] == ']' {
				b.WriteString(`\]`)
				i++
			}
		case extended && strings.IndexByte(" \t\n\r", c) >= 0:
		case extended && c == '#':
			for i+1 < len(p) && p[i+1] != '\n' {
				i++
			}
		case c == '{':
			if err := checkRepetition(p[i:]); err != nil {
				return "", err
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// escapeDigits are the hexadecimal digits of the escapes \uwxyz, \Ustuvwxyz, and
// \x, which takes all that there are.
func escapeDigits(p string, escape byte) string {
	n := 0
	for n < len(p) && strings.IndexByte("0123456789abcdefABCDEF", p[n]) >= 0 {
		n++
	}
	switch escape {
	case 'u':
		n = min(n, 4)
	case 'U':
		n = min(n, 8)
	}
	return p[:n]
}

// hexChar is the character of such an escape. One that Unicode does not have
// matches nothing.
func hexChar(digits string, escape byte, inClass bool) (string, error) {
	n, err := strconv.ParseUint(strings.TrimLeft(digits, "0"), 16, 64)
	if strings.Trim(digits, "0") == "" {
		n, err = 0, nil
	}
	if err != nil || n > maxChar || digits == "" || escape == 'u' && len(digits) < 4 || escape == 'U' && len(digits) < 8 {
		return "", dberr.New(dberr.InvalidSQL, "invalid regular expression: invalid escape sequence").WithState("2201B")
	}
	switch {
	case n <= unicode.MaxRune:
		return fmt.Sprintf(`\x{%x}`, n), nil
	case inClass:
		return `\x{10FFFF}`, nil // no text has this one
	}
	return `[^\x{0}-\x{10FFFF}]`, nil
}

// maxChar is PostgreSQL's bound of the number of a character.
const maxChar = 0x7ffffffe

// unicodeEscapes are the escapes of classes in PostgreSQL's meaning, as what
// stands in brackets; the capital ones are what is not in them.
var unicodeEscapes = map[byte]string{'w': `\p{L}\p{Nd}_`, 'd': `\p{Nd}`, 'W': `\p{L}\p{Nd}_`, 'D': `\p{Nd}`}

// unicodeClasses are the named classes in PostgreSQL's meaning; Go's hold ASCII
// only.
var unicodeClasses = map[string]string{
	"[:alpha:]": `\p{L}`,
	"[:alnum:]": `\p{L}\p{Nd}`,
	"[:upper:]": `\p{Lu}`,
	"[:lower:]": `\p{Ll}`,
	"[:digit:]": `\p{Nd}`,
}
