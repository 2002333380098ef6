package builtin

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// MaxText is how many bytes a function may make a text grow to.
const MaxText = 16 << 20

func tooLarge() error {
	return dberr.Newf(dberr.TooLarge, "requested length too large: a function's result is limited to %d MiB", MaxText>>20)
}

// text1 adapts a function from text to text.
func text1(f func(string) string) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) { return sqltype.NewText(f(a[0].Str())), nil }
}

// textInt adapts a function from text to a number.
func textInt(f func(string) int) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) { return integer(f(a[0].Str())), nil }
}

func integer(n int) sqltype.Value { return sqltype.NewInt(sqltype.Integer, int64(n)) }

func invalidArg(format string, args ...any) error {
	return dberr.Newf(dberr.ValueOutOfRange, format, args...).WithState("22023")
}

func init() {
	s := section{"string", Scalar}
	s.def("length(text) int; char_length(text) int; character_length(text) int; len(text) int", "Counts the characters of a text.", textInt(utf8.RuneCountInString), kernel(lengthKernel))
	s.def("length(bytes) int; octet_length(bytes) int; octet_length(text) int", "Counts the bytes.", textInt(func(s string) int { return len(s) }))
	s.def("bit_length(text) int; bit_length(bytes) int", "Counts the bits.", textInt(func(s string) int { return 8 * len(s) }))
	s.def("lower(text) text", "Converts to lower case.", text1(strings.ToLower))
	s.def("upper(text) text", "Converts to upper case.", text1(strings.ToUpper))
	s.def("initcap(text) text", "Capitalises each word.", text1(initcap))
	s.def("reverse(text) text", "Reverses the characters.", text1(reverse))
	s.def("btrim(text) text; trim(text) text", "Removes spaces from both ends.", text1(func(s string) string { return strings.Trim(s, " ") }))
	s.def("ltrim(text) text", "Removes spaces from the beginning.", text1(func(s string) string { return strings.TrimLeft(s, " ") }))
	s.def("rtrim(text) text", "Removes spaces from the end.", text1(func(s string) string { return strings.TrimRight(s, " ") }))
	s.def("btrim(text, text) text; trim(text, text) text", "Removes the characters of the second text from both ends.", text2(strings.Trim))
	s.def("ltrim(text, text) text", "Removes the characters of the second text from the beginning.", text2(strings.TrimLeft))
	s.def("rtrim(text, text) text", "Removes the characters of the second text from the end.", text2(strings.TrimRight))
	s.def("lpad(text, int) text; lpad(text, int, text) text", "Fills a text up to a length from the left, or cuts it to that length.", pad(true))
	s.def("rpad(text, int) text; rpad(text, int, text) text", "Fills a text up to a length from the right, or cuts it to that length.", pad(false))
	s.def("substr(text, int) text; substring(text, int) text", "Gives the text from a character on, counted from 1.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewText(substr(a[0].Str(), a[1].Int(), -1)), nil
	})
	s.def("substr(text, int, int) text; substring(text, int, int) text", "Gives a number of characters from a character on, counted from 1.", substr3)
	s.def("substr(bytes, int) bytes; substring(bytes, int) bytes; substr(bytes, int, int) bytes; substring(bytes, int, int) bytes",
		"Gives a number of bytes from a byte on, counted from 1.", substrBytes)
	s.def("strpos(text, text) int; position(text, text) int; instr(text, text) int", "Gives the place of the second text in the first, counted from 1, or 0.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return integer(strpos(a[0].Str(), a[1].Str())), nil
	})
	s.def("position(bytes, bytes) int", "Gives the place of the second bytes in the first, counted from 1, or 0.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return integer(strings.Index(a[0].Str(), a[1].Str()) + 1), nil
	})
	s.def("replace(text, text, text) text", "Replaces every occurrence of the second text by the third.", replaceText)
	s.def("translate(text, text, text) text", "Replaces each character of the second text by the one at the same place of the third, or removes it.", translate)
	s.def("overlay(text, text, int) text; overlay(text, text, int, int) text", "Replaces the characters from a place on by the second text.", overlay)
	s.def("split_part(text, text, int) text", "Splits at a delimiter and gives one part, counted from 1, or from the end with a negative number.", splitPart)
	s.def("left(text, int) text", "Gives the first characters, or all but the last with a negative number.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewText(left(a[0].Str(), a[1].Int())), nil
	})
	s.def("right(text, int) text", "Gives the last characters, or all but the first with a negative number.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewText(right(a[0].Str(), a[1].Int())), nil
	})
	s.def("repeat(text, int) text", "Repeats a text.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n := max(a[1].Int(), 0)
		if n > 0 && int64(len(a[0].Str())) > MaxText/n {
			return sqltype.Value{}, tooLarge()
		}
		return sqltype.NewText(strings.Repeat(a[0].Str(), int(n))), nil
	})
	s.def("starts_with(text, text) boolean", "Tells whether the first text begins with the second.", textBool(strings.HasPrefix))
	s.def("ends_with(text, text) boolean", "Tells whether the first text ends with the second.", textBool(strings.HasSuffix))
	s.def("contains(text, text) boolean", "Tells whether the first text contains the second.", textBool(strings.Contains))
	s.def("ascii(text) int", "Gives the code of the first character.", textInt(func(s string) int {
		if s == "" {
			return 0
		}
		r, _ := utf8.DecodeRuneInString(s)
		return int(r)
	}))
	s.def("chr(int) text", "Gives the character with a code.", chr)
	s.def("concat(variadic any) text", "Joins the texts of all arguments, leaving NULL out.", concat, lenient)
	s.def("concat_ws(text, variadic any) text", "Joins the texts of all arguments but the first, which stands between them.", concatWS, lenient)
	s.def("format(text) text; format(text, variadic any) text", "Fills %s, %I and %L of a template with the arguments.", format, lenient)
	s.def("quote_ident(text) text", "Quotes a name for use in a statement, where it needs it.", text1(quoteIdent))
	s.def("quote_literal(text) text", "Quotes a text for use in a statement.", text1(quoteLiteral))
	s.def("quote_nullable(text) text", "Quotes a text for use in a statement, NULL as NULL.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if a[0].IsNull() {
			return sqltype.NewText("NULL"), nil
		}
		return sqltype.NewText(quoteLiteral(a[0].Str())), nil
	}, lenient)
	s.def("levenshtein(text, text) int; levenshtein(text, text, int, int, int) int", "Counts the edits that turn one text into another.", levenshtein)
	s.def("to_hex(int) text; to_hex(bigint) text", "Writes an integer in hexadecimal.", toHex)

	o := section{"string", Operator}
	o.def("||(text, text) text", "Joins two texts.", concat2)
	o.def("||(text, any) text; ||(any, text) text", "Joins a text and the text of another value.", concat2)
	o.def("||(bytes, bytes) bytes", "Joins two byte strings.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if len(a[0].Str())+len(a[1].Str()) > MaxText {
			return sqltype.Value{}, tooLarge()
		}
		return sqltype.NewString(sqltype.Bytes, a[0].Str()+a[1].Str()), nil
	})
	o.def("^@(text, text) boolean", "Tells whether the first text begins with the second.", textBool(strings.HasPrefix))
}

func text2(f func(a, b string) string) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewText(f(a[0].Str(), a[1].Str())), nil
	}
}

func textBool(f func(a, b string) bool) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(f(a[0].Str(), a[1].Str())), nil
	}
}

func initcap(s string) string {
	var b strings.Builder
	word := false
	for _, r := range s {
		if word {
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteRune(unicode.ToUpper(r))
		}
		word = unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	return b.String()
}

func reverse(s string) string {
	out := make([]byte, len(s))
	at := len(s)
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		at -= size
		copy(out[at:], s[i:i+size])
		i += size
	}
	return string(out)
}

func pad(onLeft bool) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		s, n, fill := a[0].Str(), a[1].Int(), " "
		if len(a) > 2 {
			fill = a[2].Str()
		}
		if n <= 0 {
			return sqltype.NewText(""), nil
		}
		have := int64(utf8.RuneCountInString(s))
		if have >= n {
			return sqltype.NewText(left(s, n)), nil
		}
		if fill == "" {
			return sqltype.NewText(s), nil
		}
		if n > MaxText/4 {
			return sqltype.Value{}, tooLarge()
		}
		need, per := n-have, int64(utf8.RuneCountInString(fill))
		p := strings.Repeat(fill, int(need/per)) + left(fill, need%per)
		if onLeft {
			return sqltype.NewText(p + s), nil
		}
		return sqltype.NewText(s + p), nil
	}
}

// substr is n characters (-1: all) from the from-th on; places before the
// first count, as in PostgreSQL.
func substr(s string, from, n int64) string {
	if n >= 0 {
		end := from + n
		if end < from {
			end = 1<<62 - 1
		}
		from = max(from, 1)
		n = max(end-from, 0)
	}
	from = max(from, 1)
	if isASCII(s) {
		if from > int64(len(s)) {
			return ""
		}
		s = s[from-1:]
		if n >= 0 && n < int64(len(s)) {
			s = s[:n]
		}
		return s
	}
	if from > 1 {
		s = s[runeOffset(s, int(min(from-1, int64(len(s))))):]
	}
	if n >= 0 && n < int64(len(s)) {
		s = s[:runeOffset(s, int(n))]
	}
	return s
}

func negativeLength() error {
	return dberr.New(dberr.ValueOutOfRange, "negative substring length not allowed").WithState("22011")
}

func substr3(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	if a[2].Int() < 0 {
		return sqltype.Value{}, negativeLength()
	}
	return sqltype.NewText(substr(a[0].Str(), a[1].Int(), a[2].Int())), nil
}

func substrBytes(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	s, from, end := a[0].Str(), a[1].Int(), int64(len(a[0].Str()))+1
	if len(a) > 2 {
		if a[2].Int() < 0 {
			return sqltype.Value{}, negativeLength()
		}
		end = min(end, from+a[2].Int())
	}
	from = max(from, 1)
	if from >= end {
		return sqltype.NewString(sqltype.Bytes, ""), nil
	}
	return sqltype.NewString(sqltype.Bytes, s[from-1:end-1]), nil
}

func strpos(s, sub string) int {
	at := strings.Index(s, sub)
	if at < 0 {
		return 0
	}
	return utf8.RuneCountInString(s[:at]) + 1
}

func replaceText(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	s, from, to := a[0].Str(), a[1].Str(), a[2].Str()
	if from == "" {
		return sqltype.NewText(s), nil
	}
	if len(to) > len(from) {
		if n := strings.Count(s, from); len(s)+n*(len(to)-len(from)) > MaxText {
			return sqltype.Value{}, tooLarge()
		}
	}
	return sqltype.NewText(strings.ReplaceAll(s, from, to)), nil
}

func translate(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	from, to := []rune(a[1].Str()), []rune(a[2].Str())
	m := make(map[rune]rune, len(from))
	for i, r := range from {
		if _, seen := m[r]; seen {
			continue
		}
		m[r] = -1
		if i < len(to) {
			m[r] = to[i]
		}
	}
	return sqltype.NewText(strings.Map(func(r rune) rune {
		if t, ok := m[r]; ok {
			return t
		}
		return r
	}, a[0].Str())), nil
}

func overlay(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	s, with, from := a[0].Str(), a[1].Str(), a[2].Int()
	n := int64(utf8.RuneCountInString(with))
	if len(a) > 3 {
		n = a[3].Int()
	}
	if from <= 0 {
		return sqltype.Value{}, negativeLength()
	}
	if len(s)+len(with) > MaxText {
		return sqltype.Value{}, tooLarge()
	}
	return sqltype.NewText(substr(s, 1, from-1) + with + substr(s, max(from+n, 1), -1)), nil
}

func splitPart(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	s, sep, n := a[0].Str(), a[1].Str(), a[2].Int()
	if n == 0 {
		return sqltype.Value{}, invalidArg("field position must not be zero")
	}
	if sep == "" {
		if n == 1 || n == -1 {
			return sqltype.NewText(s), nil
		}
		return sqltype.NewText(""), nil
	}
	if n < 0 {
		n += int64(strings.Count(s, sep)) + 2
		if n < 1 {
			return sqltype.NewText(""), nil
		}
	}
	for ; n > 1; n-- {
		_, rest, ok := strings.Cut(s, sep)
		if !ok {
			return sqltype.NewText(""), nil
		}
		s = rest
	}
	part, _, _ := strings.Cut(s, sep)
	return sqltype.NewText(part), nil
}

func left(s string, n int64) string {
	if n < 0 {
		n += int64(utf8.RuneCountInString(s))
		if n <= 0 {
			return ""
		}
	}
	if n >= int64(len(s)) {
		return s
	}
	return s[:runeOffset(s, int(n))]
}

func right(s string, n int64) string {
	count := int64(utf8.RuneCountInString(s))
	skip := count - n
	if n < 0 {
		skip = -n
	}
	if skip <= 0 {
		return s
	}
	if skip >= count {
		return ""
	}
	return s[runeOffset(s, int(skip)):]
}

func chr(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	n := a[0].Int()
	switch {
	case n == 0:
		return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "null character not permitted").WithState("54000")
	case n < 0:
		return sqltype.Value{}, invalidArg("character number must be positive")
	case n > unicode.MaxRune, n >= 0xD800 && n <= 0xDFFF:
		return sqltype.Value{}, dberr.Newf(dberr.ValueOutOfRange, "requested character not valid for encoding: %d", n).WithState("54000")
	}
	return sqltype.NewText(string(rune(n))), nil
}

// shown is a value's text as concat and format write it.
func shown(v sqltype.Value) string { return v.Text() }

func concat2(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	x, y := castText(a[0]), castText(a[1])
	if len(x)+len(y) > MaxText {
		return sqltype.Value{}, tooLarge()
	}
	return sqltype.NewText(x + y), nil
}

func concat(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	var b strings.Builder
	for _, v := range a {
		b.WriteString(shown(v))
		if b.Len() > MaxText {
			return sqltype.Value{}, tooLarge()
		}
	}
	return sqltype.NewText(b.String()), nil
}

func concatWS(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	if a[0].IsNull() {
		return sqltype.NullOf(sqltype.Text), nil
	}
	var b strings.Builder
	first := true
	for _, v := range a[1:] {
		if v.IsNull() {
			continue
		}
		if !first {
			b.WriteString(a[0].Str())
		}
		first = false
		b.WriteString(shown(v))
		if b.Len() > MaxText {
			return sqltype.Value{}, tooLarge()
		}
	}
	return sqltype.NewText(b.String()), nil
}

func quoteIdent(s string) string {
	plain := s != ""
	for i := 0; i < len(s); i++ {
		c := s[i]
		plain = plain && (c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9')
	}
	if plain && !reservedWords[s] {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// reservedWords are the words of PostgreSQL's grammar that are quoted as names:
// all that it does not call unreserved.
var reservedWords = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case
		cast char character check coalesce collate collation column concurrently constraint create cross current_catalog
		current_date current_role current_schema current_time current_timestamp current_user dec decimal default
		deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant
		greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join
		lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull
		null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real
		references returning right row select session_user setof similar smallint some substring symmetric table
		tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic
		verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse
		xmlpi xmlroot xmlserialize xmltable`) {
		m[w] = true
	}
	return m
}()

func quoteLiteral(s string) string {
	q := `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
	if strings.Contains(s, `\`) {
		return `E` + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}

func levenshtein(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	const most = 255
	if utf8.RuneCountInString(a[0].Str()) > most || utf8.RuneCountInString(a[1].Str()) > most {
		return sqltype.Value{}, invalidArg("levenshtein argument exceeds maximum length of %d characters", most)
	}
	ins, del, sub := int64(1), int64(1), int64(1)
	if len(a) > 2 {
		ins, del, sub = a[2].Int(), a[3].Int(), a[4].Int()
	}
	return integer(editDistance(a[0].Str(), a[1].Str(), int(ins), int(del), int(sub))), nil
}

const hexDigits = "0123456789abcdef"

func toHex(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	u := uint64(a[0].Int())
	if a[0].Kind() != sqltype.BigInt {
		u = uint64(uint32(u))
	}
	var b [16]byte
	i := len(b)
	for {
		i--
		b[i] = hexDigits[u&15]
		if u >>= 4; u == 0 {
			return sqltype.NewText(string(b[i:])), nil
		}
	}
}
