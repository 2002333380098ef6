package plancache

import (
	"math"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/parser"
)

// Literal is a literal that was lifted out of a statement.
type Literal struct {
	// Offset is where it stands in the text, in bytes.
	Offset int
	Value  sqltype.Value
	// Type is Unknown for a text, whose place decides.
	Type sqltype.Type
}

// Normalized is a statement's token stream as a key.
type Normalized struct {
	// Key is the text; literals that were lifted are their type's mark.
	Key []byte
	// Literals are those that were lifted, in order.
	Literals []Literal
}

// maxKey bounds the keys: a longer statement is not worth keeping.
const maxKey = 16 << 10

// Normalize reads the tokens of a statement. With lift, literals in the WHERE,
// VALUES, SET, LIMIT and OFFSET of a simple statement are lifted out. ok is
// false for a text that is no SELECT, INSERT, UPDATE, DELETE, VALUES or WITH,
// that is too long, or that the lexer does not like: it is to be parsed.
// BenchmarkNormalize measures it.
func Normalize(sql string, lift bool, buf *Normalized) (ok bool) {
	buf.Key, buf.Literals = buf.Key[:0], buf.Literals[:0]
	if len(sql) > maxKey {
		return false
	}
	lex := parser.NewLexer(sql)
	lifting, first := false, true
	selects := 0
	var prev parser.Token
	for {
		t := lex.Next()
		switch t.Kind {
		case parser.EOF:
			return !first
		case parser.Invalid:
			return false
		}
		text := t.Text(sql)
		if first {
			first = false
			if t.Kind != parser.Word || !cacheable(text) {
				return false
			}
		} else {
			buf.Key = append(buf.Key, ' ')
		}
		switch t.Kind {
		case parser.Word:
			start := len(buf.Key)
			buf.Key = appendLower(buf.Key, text)
			if lift {
				lifting = region(string(buf.Key[start:]), lifting, &selects)
			}
		case parser.Integer, parser.Decimal, parser.String:
			if !lifting || prev.Kind == parser.Word && !before(prev.Text(sql)) {
				buf.Key = append(buf.Key, text...)
				break
			}
			l, mark := literal(t, sql)
			if mark == 0 {
				buf.Key = append(buf.Key, text...)
				break
			}
			buf.Key = append(buf.Key, '?', mark)
			buf.Literals = append(buf.Literals, l)
		case parser.Semicolon:
			buf.Key = buf.Key[:len(buf.Key)-1]
		default:
			buf.Key = append(buf.Key, text...)
		}
		prev = t
	}
}

func cacheable(word string) bool {
	switch len(word) {
	case 4:
		return strings.EqualFold(word, "with")
	case 6:
		return strings.EqualFold(word, "select") || strings.EqualFold(word, "insert") ||
			strings.EqualFold(word, "update") || strings.EqualFold(word, "delete") || strings.EqualFold(word, "values")
	}
	return false
}

func appendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// region tells whether literals after the word are lifted. Beyond the first
// SELECT nothing is: what is bound twice must be equal twice.
func region(word string, lifting bool, selects *int) bool {
	switch word {
	case "select", "with", "insert", "update", "delete":
		*selects++
		return false
	case "where", "values", "limit", "offset":
		return *selects <= 1
	case "set":
		return *selects <= 1
	case "group", "order", "having", "returning", "on", "union", "intersect", "except", "window", "fetch", "from", "case":
		return false
	}
	return lifting
}

// before tells whether a literal may stand behind the word; behind others,
// such as DATE or INTERVAL, it is part of a typed literal.
func before(word string) bool {
	switch strings.ToLower(word) {
	case "and", "or", "not", "in", "between", "like", "ilike", "where", "limit", "offset", "set", "values", "distinct":
		return true
	}
	return false
}

// literal reads a token; mark 0 means that it stays where it is.
func literal(t parser.Token, sql string) (l Literal, mark byte) {
	l.Offset = int(t.Start)
	v, ok := t.Value(sql)
	if !ok {
		return l, 0
	}
	switch t.Kind {
	case parser.String:
		if len(v) >= 3 && len(v) <= 32 && clock(v) {
			return l, 0
		}
		l.Value, l.Type = sqltype.NewText(v), sqltype.TUnknown
		return l, 's'
	case parser.Integer:
		n, err := strconv.ParseInt(v, 10, 64)
		switch {
		case err != nil:
			return l, 0
		case n <= math.MaxInt32:
			l.Value, l.Type = sqltype.NewInt(sqltype.Integer, n), sqltype.TInteger
			return l, 'i'
		}
		l.Value, l.Type = sqltype.NewBigInt(n), sqltype.TBigInt
		return l, 'l'
	}
	d, err := decimal.Parse(v)
	if err != nil || d.Scale() == decimal.MaxScale {
		return l, 0 // a DOUBLE, or perhaps one
	}
	l.Value, l.Type = sqltype.NewDecimal(d), sqltype.TDecimal
	return l, 'd'
}

// clock tells texts such as 'now' that mean another time in every execution.
func clock(s string) bool {
	s = strings.ToLower(s)
	return strings.Contains(s, "now") || strings.Contains(s, "today") || strings.Contains(s, "tomorrow") || strings.Contains(s, "yesterday")
}
