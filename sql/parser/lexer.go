package parser

import (
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql/ast"
)

// Lexer cuts a text into tokens. It allocates nothing but its error. The zero
// value is an empty text; use NewLexer.
//
// A text is cut without knowledge of the grammar, and the end of a token never
// depends on the tokens before it. After an Invalid token the lexer goes on
// behind it, so that a highlighter can show the rest.
type Lexer struct {
	// Comments makes Next return comments as tokens instead of skipping them.
	Comments bool

	sql string
	pos int
	// err has no place yet: finding line and column reads the text up to
	// errAt, which must not happen for every bad token of a script.
	err   *dberr.Error
	errAt int
}

// NewLexer starts at the beginning of sql. Texts of 2 GiB and more are not
// supported: their tokens end early.
func NewLexer(sql string) Lexer { return Lexer{sql: sql} }

// Err is the first error so far: what the first Invalid token is about.
func (l *Lexer) Err() error {
	if l.err == nil {
		return nil
	}
	return l.err.At(ast.At(l.errAt).In(l.sql))
}

// Character classes; a byte has one.
const (
	clOther = iota
	clSpace
	clLetter // also _, and every byte of a character beyond ASCII
	clDigit
	clOp
	clQuote // ' " `
	clPunct // ( ) [ ] , ;
	clDot
	clColon
	clDollar
)

var class = func() (t [256]uint8) {
	for c := range 256 {
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			t[c] = clSpace
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80:
			t[c] = clLetter
		case c >= '0' && c <= '9':
			t[c] = clDigit
		}
	}
	for _, c := range "~!@#^&|?+-*/%<>=" {
		t[c] = clOp
	}
	for _, c := range "'\"`" {
		t[c] = clQuote
	}
	for _, c := range "()[],;" {
		t[c] = clPunct
	}
	t['.'], t[':'], t['$'] = clDot, clColon, clDollar
	return t
}()

func isWordByte(c byte) bool {
	cl := class[c]
	return cl == clLetter || cl == clDigit || cl == clDollar
}

// Next is the next token; EOF at the end, as often as it is asked.
func (l *Lexer) Next() Token {
	sql, i := l.sql, l.pos
	for i < len(sql) {
		c := sql[i]
		switch class[c] {
		case clSpace:
			i++
		case clLetter:
			return l.word(i)
		case clPunct:
			return l.punct(i, c)
		case clDigit:
			return l.number(i)
		case clOp:
			if i+1 < len(sql) && (c == '-' && sql[i+1] == '-' || c == '/' && sql[i+1] == '*') {
				t := l.comment(i)
				if t.Kind == Invalid || l.Comments {
					return t
				}
				i = l.pos
				continue
			}
			return l.operator(i)
		case clQuote:
			switch c {
			case '\'':
				return l.quoted(i, i+1, String, plain)
			case '"':
				return l.quoted(i, i+1, QuotedIdent, plain)
			}
			return l.backtick(i)
		case clDot:
			if i+1 < len(sql) && class[sql[i+1]] == clDigit {
				return l.number(i)
			}
			return l.token(Dot, i, i+1)
		case clColon:
			if i+1 < len(sql) {
				switch sql[i+1] {
				case ':':
					return l.token(DoubleColon, i, i+2)
				case '=':
					return l.token(ColonEquals, i, i+2)
				}
			}
			return l.token(Colon, i, i+1)
		case clDollar:
			return l.dollar(i)
		default:
			return l.fail(i, i+1, "", "unexpected character %q", rune(c))
		}
	}
	l.pos = len(sql)
	return Token{Kind: EOF, Start: int32(len(sql)), End: int32(len(sql))}
}

func (l *Lexer) token(k Kind, start, end int) Token {
	l.pos = end
	return Token{Kind: k, Start: int32(start), End: int32(end)}
}

// fail makes an Invalid token, and the first one's error.
func (l *Lexer) fail(start, end int, hint, format string, args ...any) Token {
	if l.err == nil {
		l.err, l.errAt = dberr.Newf(dberr.InvalidSQL, format, args...), start
		if hint != "" {
			l.err = l.err.WithHint("%s", hint)
		}
	}
	return l.token(Invalid, start, end)
}

func (l *Lexer) punct(i int, c byte) Token {
	k := Semicolon
	switch c {
	case '(':
		k = LParen
	case ')':
		k = RParen
	case ',':
		k = Comma
	case '[':
		k = LBracket
	case ']':
		k = RBracket
	}
	return l.token(k, i, i+1)
}

func (l *Lexer) word(start int) Token {
	sql := l.sql
	i, h, st := start, uint32(0), plain
	for i < len(sql) {
		c := sql[i]
		if !isWordByte(c) {
			break
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
			st = folded
		}
		h = h*wordHash + uint32(c)
		i++
	}
	if i < len(sql) && i-start == 1 && (sql[i] == '\'' || sql[i] == '&') {
		if t, ok := l.prefixed(start); ok {
			return t
		}
	}
	t := l.token(Word, start, i)
	t.style = st
	t.Keyword = lookupKeyword(sql[start:i], h)
	return t
}

// prefixed reads E'…', B'…', X'…', N'…', U&'…' and U&"…".
func (l *Lexer) prefixed(start int) (Token, bool) {
	rest := l.sql[start+1:]
	switch l.sql[start] | 0x20 {
	case 'e':
		if rest[0] == '\'' {
			return l.quoted(start, start+2, String, escaped), true
		}
	case 'n':
		if rest[0] == '\'' {
			return l.quoted(start, start+2, String, plain), true
		}
	case 'b':
		if rest[0] == '\'' {
			return l.quoted(start, start+2, BitString, plain), true
		}
	case 'x':
		if rest[0] == '\'' {
			return l.quoted(start, start+2, HexString, plain), true
		}
	case 'u':
		if strings.HasPrefix(rest, "&'") {
			return l.quoted(start, start+3, String, unicodeEscaped), true
		}
		if strings.HasPrefix(rest, `&"`) {
			return l.quoted(start, start+3, QuotedIdent, unicodeEscaped), true
		}
	}
	return Token{}, false
}

// quoted reads to the closing quote. body is where the value starts, behind
// the opening one.
func (l *Lexer) quoted(start, body int, kind Kind, st style) Token {
	sql, quote := l.sql, l.sql[body-1]
	i := body
	for i < len(sql) {
		c := sql[i]
		if c == quote {
			if i+1 < len(sql) && sql[i+1] == quote {
				if st == plain {
					st = doubled
				}
				i += 2
				continue
			}
			t := l.token(kind, start, i+1)
			t.style = st
			return l.checkQuoted(t, body, i)
		}
		if c == '\\' && st == escaped {
			i++
		}
		i++
	}
	what := "quoted string"
	switch kind {
	case QuotedIdent:
		what = "quoted identifier"
	case BitString:
		what = "bit string"
	case HexString:
		what = "hexadecimal string"
	}
	return l.fail(start, len(sql), "The closing "+string(quote)+" is missing.",
		"unterminated %s at or near %s", what, nearText(sql[start:]))
}

// checkQuoted refuses quoted tokens that end well but hold nonsense.
func (l *Lexer) checkQuoted(t Token, body, end int) Token {
	switch t.Kind {
	case QuotedIdent:
		if body == end {
			return l.fail(int(t.Start), int(t.End), "", `zero-length delimited identifier at or near """"`)
		}
	case BitString:
		for i := body; i < end; i++ {
			if c := l.sql[i]; c != '0' && c != '1' {
				return l.fail(int(t.Start), int(t.End), "", "%s is not a valid binary digit", nearText(l.sql[i:i+1]))
			}
		}
	case HexString:
		for i := body; i < end; i++ {
			if _, ok := hexDigit(l.sql[i]); !ok {
				return l.fail(int(t.Start), int(t.End), "", "%s is not a valid hexadecimal digit", nearText(l.sql[i:i+1]))
			}
		}
		if (end-body)%2 != 0 {
			return l.fail(int(t.Start), int(t.End), "Write two digits for every byte.", "odd number of hexadecimal digits")
		}
	}
	return t
}

func (l *Lexer) backtick(start int) Token {
	end := len(l.sql)
	if n := strings.IndexByte(l.sql[start+1:], '`'); n >= 0 {
		end = start + n + 2
	}
	return l.fail(start, end, `Names are quoted with double quotes: "name".`, "syntax error at or near %s", nearText(l.sql[start:end]))
}

// dollar reads $1 and $tag$…$tag$.
func (l *Lexer) dollar(start int) Token {
	sql, i := l.sql, start+1
	if i < len(sql) && class[sql[i]] == clDigit {
		for i < len(sql) && class[sql[i]] == clDigit {
			i++
		}
		if i < len(sql) && isWordByte(sql[i]) {
			return l.junk(start, i, "parameter")
		}
		return l.token(Param, start, i)
	}
	for i < len(sql) && sql[i] != '$' && isWordByte(sql[i]) {
		i++
	}
	if i >= len(sql) || sql[i] != '$' {
		return l.fail(start, start+1, "Parameters are written $1, $2 and so on.", "syntax error at or near %s", nearText(sql[start:i]))
	}
	tag := sql[start : i+1]
	n := strings.Index(sql[i+1:], tag)
	if n < 0 {
		return l.fail(start, len(sql), "The closing "+tag+" is missing.",
			"unterminated dollar-quoted string at or near %s", nearText(sql[start:]))
	}
	t := l.token(String, start, i+1+n+len(tag))
	t.style = dollar
	return t
}

// comment reads a comment; /* */ nests.
func (l *Lexer) comment(start int) Token {
	sql, i := l.sql, start+2
	if sql[start] == '-' {
		if n := strings.IndexByte(sql[i:], '\n'); n >= 0 {
			return l.token(Comment, start, i+n)
		}
		return l.token(Comment, start, len(sql))
	}
	for depth := 1; i+1 < len(sql); i++ {
		if sql[i] == '*' && sql[i+1] == '/' {
			i++
			if depth--; depth == 0 {
				return l.token(Comment, start, i+1)
			}
		} else if sql[i] == '/' && sql[i+1] == '*' {
			i++
			depth++
		}
	}
	return l.fail(start, len(sql), "The closing */ is missing.", "unterminated comment at or near %s", nearText(sql[start:]))
}

func (l *Lexer) number(start int) Token {
	sql, i := l.sql, start
	kind, st := Integer, plain
	if sql[i] == '0' && i+1 < len(sql) {
		base := 0
		switch sql[i+1] | 0x20 {
		case 'x':
			base = 16
		case 'o':
			base = 8
		case 'b':
			base = 2
		}
		if base != 0 {
			return l.radix(start, base)
		}
	}
	digits := func() {
		for i < len(sql) {
			if c := sql[i]; c == '_' {
				if i == start || i+1 >= len(sql) || class[sql[i+1]] != clDigit || class[sql[i-1]] != clDigit {
					return
				}
				st = underscored
			} else if class[c] != clDigit {
				return
			}
			i++
		}
	}
	digits()
	if i < len(sql) && sql[i] == '.' && !(i+1 < len(sql) && sql[i+1] == '.') {
		kind = Decimal
		i++
		if i < len(sql) && class[sql[i]] == clDigit {
			digits()
		}
	}
	if i < len(sql) && sql[i]|0x20 == 'e' {
		j := i + 1
		if j < len(sql) && (sql[j] == '+' || sql[j] == '-') {
			j++
		}
		if j < len(sql) && class[sql[j]] == clDigit {
			kind, i = Decimal, j
			digits()
		}
	}
	if i < len(sql) && isWordByte(sql[i]) {
		if kind == Integer && st == plain {
			j := i
			for j < len(sql) && isWordByte(sql[j]) {
				j++
			}
			if isDurationUnit(sql[i:j]) {
				return l.token(Duration, start, j)
			}
		}
		return l.junk(start, i, "numeric literal")
	}
	t := l.token(kind, start, i)
	t.style = st
	return t
}

// isDurationUnit tells whether a word may follow a number in a duration such
// as 300s, 5m, 1h30m (whose rest is part of the word) or 500ms.
func isDurationUnit(w string) bool {
	for w != "" {
		n := 1
		switch w[0] {
		case 's', 'm', 'h', 'd', 'w', 'S', 'M', 'H', 'D', 'W':
			if len(w) > 1 && (w[0]|0x20) == 'm' && (w[1]|0x20) == 's' {
				n = 2
			}
		default:
			return false
		}
		w = w[n:]
		for w != "" && class[w[0]] == clDigit {
			w = w[1:]
			if w == "" {
				return false
			}
		}
	}
	return true
}

// maxRadix bounds the length of 0x…, whose conversion to decimal is not linear.
const maxRadix = 512

func (l *Lexer) radix(start, base int) Token {
	sql, i := l.sql, start+2
	n := 0
	for i < len(sql) {
		c := sql[i]
		if c == '_' {
			i++
			continue
		}
		d, ok := hexDigit(c)
		if !ok || int(d) >= base {
			break
		}
		n++
		i++
	}
	name := map[int]string{16: "hexadecimal", 8: "octal", 2: "binary"}[base]
	if n == 0 || sql[i-1] == '_' || strings.Contains(sql[start:i], "__") {
		return l.fail(start, i, "", "invalid %s integer at or near %s", name, nearText(sql[start:i]))
	}
	if i < len(sql) && isWordByte(sql[i]) {
		return l.junk(start, i, "numeric literal")
	}
	if i-start > maxRadix {
		return l.fail(start, i, "", "%s integer is too long", name)
	}
	t := l.token(Integer, start, i)
	t.style = radix
	return t
}

func (l *Lexer) junk(start, end int, after string) Token {
	for end < len(l.sql) && isWordByte(l.sql[end]) {
		end++
	}
	return l.fail(start, end, "", "trailing junk after %s at or near %s", after, nearText(l.sql[start:end]))
}

// nearText quotes the start of a text for an error message.
func nearText(s string) string {
	const limit = 40
	if n := strings.IndexByte(s, '\n'); n > 0 {
		s = s[:n]
	}
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return `"` + s + `"`
}
