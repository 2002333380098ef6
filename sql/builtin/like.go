package builtin

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// Matcher tells whether a text matches a compiled pattern. It may be used from
// several goroutines.
type Matcher func(s string) bool

// Pattern is a compiled LIKE, ILIKE or SIMILAR TO pattern. It may be used from
// several goroutines.
type Pattern struct {
	match Matcher
	// open, when there is one, tells of which texts the end of a LIKE pattern
	// that stops in the middle of an escape is reached: those are an error,
	// and no others match.
	open Matcher
}

// Match tells whether a text matches.
func (p *Pattern) Match(s string) (bool, error) {
	if p.open != nil {
		if p.open(s) {
			return false, dberr.New(dberr.InvalidSQL, "LIKE pattern must not end with escape character").WithState("22025")
		}
		return false, nil
	}
	return p.match(s), nil
}

// Certain gives the matcher of a pattern that no text is an error for.
func (p *Pattern) Certain() (m Matcher, ok bool) { return p.match, p.open == nil }

// likeToken is one element of a LIKE pattern.
type likeToken struct {
	any bool // %
	one bool // _
	lit string
}

// CompileLike compiles a LIKE pattern (fold: ILIKE) with the escape character,
// "" for none. Patterns without wildcards inside become comparisons of
// prefix, suffix or content.
func CompileLike(pattern, escape string, fold bool) (*Pattern, error) {
	if escape != "" && utf8.RuneCountInString(escape) != 1 {
		return nil, dberr.New(dberr.InvalidSQL, "invalid escape string").WithState("22019").
			WithHint("Escape string must be empty or one character.")
	}
	if fold {
		pattern, escape = foldCase(pattern), foldCase(escape)
	}
	toks, whole := likeTokens(pattern, escape)
	if !whole {
		toks = append(toks, likeToken{one: true}, likeToken{any: true})
	}
	m := likeMatcher(toks)
	if fold {
		inner := m
		m = func(s string) bool { return inner(foldCase(s)) }
		if len(toks) == 3 && toks[0].any && toks[2].any && !toks[1].one && isASCII(toks[1].lit) {
			m = containsFold(toks[1].lit)
		}
	}
	if !whole {
		return &Pattern{open: m}, nil
	}
	return &Pattern{match: m}, nil
}

// foldCase is how ILIKE sees a text.
func foldCase(s string) string { return strings.ToLower(s) }

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// containsFold searches an ASCII needle (in lower case) without copying the
// text, unless the text holds letters outside ASCII, which may fold to ASCII.
func containsFold(needle string) Matcher {
	first := needle[0]
	upper := byte(unicode.ToUpper(rune(first)))
	return func(s string) bool {
		for i := 0; i < len(s); i++ {
			if s[i] >= utf8.RuneSelf {
				return strings.Contains(foldCase(s), needle)
			}
		}
		for i := 0; i+len(needle) <= len(s); i++ {
			if (s[i] == first || s[i] == upper) && equalFoldASCII(s[i:i+len(needle)], needle) {
				return true
			}
		}
		return false
	}
}

func equalFoldASCII(s, lower string) bool {
	for i := 0; i < len(lower); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// likeTokens takes a pattern apart. whole is false when it ends with the escape
// character; the tokens are those before it then.
func likeTokens(pattern, escape string) (toks []likeToken, whole bool) {
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			toks = append(toks, likeToken{lit: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(pattern); {
		_, size := utf8.DecodeRuneInString(pattern[i:])
		c := pattern[i : i+size]
		i += size
		switch {
		case c == escape && escape != "":
			if i >= len(pattern) {
				flush()
				return toks, false
			}
			_, size = utf8.DecodeRuneInString(pattern[i:])
			lit.WriteString(pattern[i : i+size])
			i += size
		case c == "%":
			flush()
			if n := len(toks); n == 0 || !toks[n-1].any {
				toks = append(toks, likeToken{any: true})
			}
		case c == "_":
			flush()
			toks = append(toks, likeToken{one: true})
		default:
			lit.WriteString(c)
		}
	}
	flush()
	return toks, true
}

func likeMatcher(toks []likeToken) Matcher {
	wild := false
	for _, t := range toks {
		wild = wild || t.one
	}
	if !wild {
		switch {
		case len(toks) == 0:
			return func(s string) bool { return s == "" }
		case len(toks) == 1 && toks[0].any:
			return func(string) bool { return true }
		case len(toks) == 1:
			lit := toks[0].lit
			return func(s string) bool { return s == lit }
		case len(toks) == 2 && toks[1].any:
			lit := toks[0].lit
			return func(s string) bool { return strings.HasPrefix(s, lit) }
		case len(toks) == 2:
			lit := toks[1].lit
			return func(s string) bool { return strings.HasSuffix(s, lit) }
		case len(toks) == 3 && toks[0].any && toks[2].any:
			lit := toks[1].lit
			return func(s string) bool { return strings.Contains(s, lit) }
		}
	}
	return func(s string) bool { return matchTokens(toks, s) }
}

// matchTokens matches greedily and goes back to the last % only: linear in the
// length of the text for each literal.
func matchTokens(toks []likeToken, s string) bool {
	t, backTok, backPos, i := 0, -1, 0, 0
	for {
		if t < len(toks) {
			switch tok := toks[t]; {
			case tok.any:
				if t == len(toks)-1 {
					return true
				}
				backTok, backPos = t, i
				t++
				if next := toks[t]; next.lit != "" {
					at := strings.Index(s[i:], next.lit)
					if at < 0 {
						return false
					}
					i += at
					backPos = i
				}
				continue
			case tok.one:
				if i < len(s) {
					_, size := utf8.DecodeRuneInString(s[i:])
					i += size
					t++
					continue
				}
			case strings.HasPrefix(s[i:], tok.lit):
				i += len(tok.lit)
				t++
				continue
			}
		} else if i == len(s) {
			return true
		}
		if backTok < 0 || backPos >= len(s) {
			return false
		}
		_, size := utf8.DecodeRuneInString(s[backPos:])
		backPos += size
		t, i = backTok+1, backPos
		if next := toks[t]; next.lit != "" {
			at := strings.Index(s[i:], next.lit)
			if at < 0 {
				return false
			}
			i += at
			backPos = i
		}
	}
}

// CompileSimilar compiles a SIMILAR TO pattern, SQL's mixture of LIKE and
// regular expressions.
func CompileSimilar(pattern, escape string) (*Pattern, error) {
	re, err := similarRegexp(pattern, escape)
	if err != nil {
		return nil, err
	}
	return &Pattern{match: re.MatchString}, nil
}

func similarRegexp(pattern, escape string) (*regexp.Regexp, error) {
	if escape != "" && utf8.RuneCountInString(escape) != 1 {
		return nil, dberr.New(dberr.InvalidSQL, "invalid escape string").WithState("22019").
			WithHint("Escape string must be empty or one character.")
	}
	var b strings.Builder
	b.WriteString(`(?s)^(?:`)
	inClass := false
	for i := 0; i < len(pattern); {
		_, size := utf8.DecodeRuneInString(pattern[i:])
		c := pattern[i : i+size]
		i += size
		switch {
		case c == escape && escape != "":
			if i == len(pattern) {
				break
			}
			_, size = utf8.DecodeRuneInString(pattern[i:])
			if !isAlnum(pattern[i]) {
				b.WriteString(regexp.QuoteMeta(pattern[i : i+size]))
				i += size
				break
			}
			// The escapes of regular expressions, such as \d and \x61.
			if e := pattern[i]; e == 'x' || e == 'u' || e == 'U' {
				size += len(escapeDigits(pattern[i+1:], e))
			}
			class, err := similarEscape(pattern[i:i+size], inClass)
			if err != nil {
				return nil, err
			}
			b.WriteString(class)
			i += size
		case inClass:
			if c == "]" {
				inClass = false
			}
			if c == `\` {
				b.WriteByte('\\')
			}
			b.WriteString(c)
		case c == "[":
			inClass = true
			b.WriteString(c)
			if strings.HasPrefix(pattern[i:], "^") {
				b.WriteByte('^')
				i++
			}
		case c == "%":
			b.WriteString(".*")
		case c == "_":
			b.WriteByte('.')
		case c == "(":
			b.WriteString("(?:")
		case c == "." || c == "^" || c == "$" || c == `\`:
			b.WriteByte('\\')
			b.WriteString(c)
		default:
			b.WriteString(c)
		}
	}
	b.WriteString(`)$`)
	return compileRegexp(b.String())
}

// similarEscape is a regular expression's escape, without its backslash, in
// Go's syntax.
func similarEscape(escape string, inClass bool) (string, error) {
	if !inClass {
		return translateRegexp(`\`+escape, false)
	}
	out, err := translateRegexp(`[\`+escape+`]`, false)
	return strings.TrimSuffix(strings.TrimPrefix(out, "["), "]"), err
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
