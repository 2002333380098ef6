package sqltype

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
)

// Parse reads a value of a type from text as PostgreSQL's input functions do,
// modifiers included: DECIMAL(p,s) rounds to its scale and checks its range,
// VARCHAR(n) cuts as a cast does. The error is TYPE_MISMATCH for text that is
// no such value, VALUE_OUT_OF_RANGE for one that its type cannot hold, and
// INVALID_JSON.
func Parse(s string, t Type) (Value, error) { return ParseAt(s, t, time.Now()) }

// ParseAt is Parse with the time that 'now' and 'today' stand for.
func ParseAt(s string, t Type, now time.Time) (Value, error) {
	switch t.Kind {
	case Text:
		if t.Precision > 0 {
			s = cutRunes(s, int(t.Precision))
		}
		return NewText(s), nil
	case Unknown:
		return NewText(s), nil
	case Boolean:
		if b, ok := parseBool(s); ok {
			return NewBool(b), nil
		}
		return Value{}, badSyntax(t, s)
	case SmallInt, Integer, BigInt:
		return parseInt(s, t)
	case Float, Double:
		return parseFloat(s, t)
	case Decimal:
		return parseDecimal(s, t)
	case JSON:
		if err := CheckJSON(s); err != nil {
			return Value{}, err
		}
		return NewString(JSON, s), nil
	case UUID:
		u, ok := ParseUUID(s)
		if !ok {
			return Value{}, badSyntax(t, s)
		}
		return NewString(UUID, u), nil
	case Bytes:
		return parseBytes(s)
	case Date, Time, Timestamp:
		return parseTemporal(s, t, now)
	case Interval:
		iv, err := ParseInterval(s)
		if err != nil {
			return Value{}, err
		}
		return NewInterval(iv), nil
	case Array:
		return parseArray(s, t, now)
	}
	return Value{}, dberr.Newf(dberr.Unsupported, "input of type %s is not supported", strings.ToLower(t.String()))
}

// pgNames are the names that PostgreSQL's messages use.
var pgNames = map[Kind]string{
	Integer: "integer", Float: "real", Double: "double precision", Decimal: "numeric", Bytes: "bytea",
}

// PostgresName is the kind's name in PostgreSQL's messages and in
// information_schema: integer, double precision.
func (k Kind) PostgresName() string {
	if n, ok := pgNames[k]; ok {
		return n
	}
	return strings.ToLower(k.String())
}

// PostgresName is the type's name in PostgreSQL's messages, with the modifiers
// left out: integer[].
func (t Type) PostgresName() string {
	if t.Kind == Array {
		return t.Elem.PostgresName() + "[]"
	}
	return t.Kind.PostgresName()
}

func badSyntax(t Type, s string) error {
	state := "22P02"
	if t.Kind.IsTemporal() {
		state = "22007"
	}
	return dberr.Newf(dberr.TypeMismatch, "invalid input syntax for type %s: %s", t.Kind.PostgresName(), quote(s)).WithState(state)
}

// quote shows a text in a message, cut where it is long.
func quote(s string) string {
	const most = 200
	if utf8.RuneCountInString(s) > most {
		s = cutRunes(s, most) + "…"
	}
	return `"` + s + `"`
}

// OutOfRange is the error for a number that the kind cannot hold.
func OutOfRange(k Kind) error {
	if k == Decimal {
		return dberr.New(dberr.ValueOutOfRange, "numeric field overflow").
			WithHint("A DECIMAL has up to %d digits.", MaxDecimalPrecision)
	}
	return dberr.Newf(dberr.ValueOutOfRange, "%s out of range", k.PostgresName())
}

func textOutOfRange(t Type, s string) error {
	return dberr.Newf(dberr.ValueOutOfRange, "value %s is out of range for type %s", quote(s), t.Kind.PostgresName())
}

func cutRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// trimSpace removes what PostgreSQL takes for space around a value.
func trimSpace(s string) string { return strings.Trim(s, " \t\n\r\v\f") }

func parseBool(s string) (value, ok bool) {
	s = strings.ToLower(trimSpace(s))
	if s == "" {
		return false, false
	}
	switch {
	case strings.HasPrefix("true", s), strings.HasPrefix("yes", s), s == "on", s == "1":
		return true, true
	case strings.HasPrefix("false", s), strings.HasPrefix("no", s), s == "of", s == "off", s == "0":
		return false, true
	}
	return false, false
}

func parseInt(s string, t Type) (Value, error) {
	body := trimSpace(s)
	digits := body
	if digits != "" && (digits[0] == '+' || digits[0] == '-') {
		digits = digits[1:]
	}
	if digits == "" {
		return Value{}, badSyntax(t, s)
	}
	for i := 0; i < len(digits); i++ {
		if digits[i] < '0' || digits[i] > '9' {
			return Value{}, badSyntax(t, s)
		}
	}
	n, err := strconv.ParseInt(body, 10, 64)
	lo, hi := t.Kind.IntRange()
	if err != nil || n < lo || n > hi {
		return Value{}, textOutOfRange(t, s)
	}
	return NewInt(t.Kind, n), nil
}

func parseFloat(s string, t Type) (Value, error) {
	body := trimSpace(s)
	switch strings.ToLower(strings.TrimLeft(body, "+-")) {
	case "nan":
		if body[0] == '+' || body[0] == '-' {
			return Value{}, badSyntax(t, s)
		}
		return NewFloat(t.Kind, math.NaN()), nil
	case "infinity", "inf":
		if len(body) > 1 && (body[1] == '+' || body[1] == '-') {
			return Value{}, badSyntax(t, s)
		}
		sign := 1
		if body[0] == '-' {
			sign = -1
		}
		return NewFloat(t.Kind, math.Inf(sign)), nil
	}
	// Go reads underscores, hexadecimals and names that PostgreSQL does not.
	if body == "" || strings.ContainsAny(body, "_xXpPnNiI") {
		return Value{}, badSyntax(t, s)
	}
	bits := 64
	if t.Kind == Float {
		bits = 32
	}
	f, err := strconv.ParseFloat(body, bits)
	if err != nil {
		if ne, ok := err.(*strconv.NumError); ok && ne.Err == strconv.ErrRange {
			return Value{}, textOutOfRange(t, body)
		}
		return Value{}, badSyntax(t, s)
	}
	if f == 0 && strings.ContainsAny(mantissa(body), "123456789") {
		return Value{}, textOutOfRange(t, body)
	}
	return NewFloat(t.Kind, f), nil
}

func mantissa(s string) string {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return s[:i]
	}
	return s
}

func parseDecimal(s string, t Type) (Value, error) {
	d, err := decimal.Parse(trimSpace(s))
	switch err {
	case nil:
		return FitDecimal(d, t)
	case decimal.ErrRange:
		return Value{}, OutOfRange(Decimal)
	}
	switch strings.ToLower(strings.TrimLeft(trimSpace(s), "+-")) {
	case "nan", "infinity", "inf":
		return Value{}, dberr.Newf(dberr.ValueOutOfRange, "a DECIMAL cannot hold %s", quote(trimSpace(s))).
			WithHint("Use DOUBLE for values that may be infinite or no number.")
	}
	return Value{}, badSyntax(t, s)
}

// FitDecimal rounds a number to DECIMAL(p,s)'s scale and checks that p digits
// hold it. A type without modifiers takes the number as it is.
func FitDecimal(d decimal.Decimal, t Type) (Value, error) {
	if t.Precision == 0 {
		return NewDecimal(d), nil
	}
	r, err := d.Rescale(t.Scale)
	if err != nil || r.Digits() > int(t.Precision) {
		limit := "1"
		if whole := t.Precision - t.Scale; whole > 0 {
			limit = "10^" + strconv.Itoa(int(whole))
		}
		return Value{}, dberr.New(dberr.ValueOutOfRange, "numeric field overflow").
			WithHint("A field with precision %d, scale %d must round to an absolute value less than %s.", t.Precision, t.Scale, limit)
	}
	return NewDecimal(r), nil
}

func parseBytes(s string) (Value, error) {
	if hexed, ok := strings.CutPrefix(s, `\x`); ok {
		return parseHexBytes(hexed)
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		switch {
		case i+1 < len(s) && s[i+1] == '\\':
			out = append(out, '\\')
			i++
		case i+3 < len(s) && s[i+1] >= '0' && s[i+1] <= '3' && isOctal(s[i+2]) && isOctal(s[i+3]):
			out = append(out, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
		default:
			return Value{}, dberr.New(dberr.TypeMismatch, "invalid input syntax for type bytea").WithState("22P02")
		}
	}
	return NewBytes(out), nil
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

func parseHexBytes(s string) (Value, error) {
	digits := make([]byte, 0, len(s))
	for i, r := range s {
		switch {
		case strings.ContainsRune(" \t\n\r", r):
			if len(digits)%2 == 1 {
				return Value{}, dberr.New(dberr.TypeMismatch, "invalid hexadecimal data: odd number of digits").WithState("22023")
			}
			continue
		case r < 0x80:
			if _, ok := unhex(s[i]); ok {
				digits = append(digits, s[i])
				continue
			}
		}
		return Value{}, dberr.Newf(dberr.TypeMismatch, "invalid hexadecimal digit: %q", string(r)).WithState("22023")
	}
	if len(digits)%2 == 1 {
		return Value{}, dberr.New(dberr.TypeMismatch, "invalid hexadecimal data: odd number of digits").WithState("22023")
	}
	out := make([]byte, len(digits)/2)
	if _, err := hex.Decode(out, digits); err != nil {
		return Value{}, dberr.New(dberr.TypeMismatch, "invalid hexadecimal data").WithState("22023")
	}
	return NewBytes(out), nil
}

// parseArray reads {a,"b c",NULL}. Arrays have one dimension.
func parseArray(s string, t Type, now time.Time) (Value, error) {
	bad := func(detail string) error {
		return dberr.Newf(dberr.TypeMismatch, "malformed array literal: %s", quote(s)).WithState("22P02").WithHint("%s", detail)
	}
	body := trimSpace(s)
	if len(body) < 2 || body[0] != '{' {
		return Value{}, bad(`Array value must start with "{".`)
	}
	if body[len(body)-1] != '}' {
		return Value{}, bad("Unexpected end of input.")
	}
	elem := t.ElemType()
	list := []Value{}
	i, end := 1, len(body)-1
	skip := func() {
		for i < end && strings.IndexByte(" \t\n\r\v\f", body[i]) >= 0 {
			i++
		}
	}
	if skip(); i == end {
		return NewArray(list), nil
	}
	for {
		skip()
		var text []byte
		quoted, keep := false, 0
		for i < end && body[i] != ',' {
			switch c := body[i]; {
			case c == '"':
				if quoted || len(strings.TrimSpace(string(text))) > 0 {
					return Value{}, bad("Incorrectly quoted array element.")
				}
				quoted, text = true, text[:0]
				for i++; ; i++ {
					if i >= end {
						return Value{}, bad("Unexpected end of input.")
					}
					if body[i] == '"' {
						break
					}
					if body[i] == '\\' {
						if i++; i >= end {
							return Value{}, bad("Unexpected end of input.")
						}
					}
					text = append(text, body[i])
				}
				keep = len(text)
			case c == '{':
				return Value{}, dberr.New(dberr.Unsupported, "arrays of more than one dimension are not supported")
			case c == '}':
				return Value{}, bad(`Unexpected "}" character.`)
			case c == '\\' && !quoted:
				if i++; i >= end {
					return Value{}, bad("Unexpected end of input.")
				}
				text = append(text, body[i])
				keep = len(text)
			case strings.IndexByte(" \t\n\r\v\f", c) >= 0:
				if !quoted {
					text = append(text, c)
				}
			default:
				if quoted {
					return Value{}, bad("Incorrectly quoted array element.")
				}
				text = append(text, c)
				keep = len(text)
			}
			i++
		}
		text = text[:keep]
		switch {
		case !quoted && len(text) == 0:
			return Value{}, bad(`Unexpected "," or "}" character.`)
		case !quoted && strings.EqualFold(string(text), "null"):
			list = append(list, NullOf(elem.Kind))
		default:
			v, err := ParseAt(string(text), elem, now)
			if err != nil {
				return Value{}, err
			}
			list = append(list, v)
		}
		if i >= end {
			return NewArray(list), nil
		}
		i++ // the comma
	}
}
