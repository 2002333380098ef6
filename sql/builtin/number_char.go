package builtin

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func init() {
	s := section{"formatting", Scalar}
	doc := "Writes a number by a template such as 999,990.00."
	write := func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		d, err := toDecimal(a[0])
		if err != nil {
			return sqltype.NullOf(sqltype.Text), err
		}
		text, err := numberToChar(d.Big(), int(d.Scale()), a[1].Str())
		return sqltype.NewText(text), err
	}
	s.def("to_char(int, text) text; to_char(bigint, text) text; to_char(decimal, text) text", doc, write)
	s.def("to_char(double, text) text", doc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		text, err := floatToChar(a[0].Float(), a[1].Str())
		return sqltype.NewText(text), err
	})
	s.def("to_number(text, text) decimal", "Reads a number that was written by a template.", toNumber)
}

// numberFormat is a template for numbers taken apart.
type numberFormat struct {
	tokens []string
	// pre and post count the digits before and behind the point, first is how
	// many of pre stand before the first 0.
	pre, post, first             int
	zeros                        bool
	fill, point                  bool
	signed, minus, plus, bracket bool
	// signAt is where S stands: before the digits or behind them.
	signLeads bool
	// lastZero is the place of the last 0 behind the point, counted from 1.
	lastZero int
	// shift is how many places V moves the point to the right.
	shift int
	// digits is how many digits behind the point there are: post, or less.
	digits int
	// roman and scientific templates write the number in a way of their own.
	roman, scientific bool
}

// floatDigits is how many digits of a floating point number are written.
const floatDigits = 15

// floatToChar writes a floating point number by a template. It is the exact
// binary value that is rounded, halves to even, as C's printf does; where the
// digits end, the text does. A number keeps its sign when it rounds to zero.
func floatToChar(x float64, tmpl string) (string, error) {
	f, err := parseNumberFormat(tmpl)
	if err != nil {
		return "", err
	}
	neg := math.Signbit(x)
	switch {
	case f.roman:
		b, scale, err := floatParts(math.RoundToEven(x))
		if err != nil {
			return "", err
		}
		return f.writeRoman(b, scale), nil
	case f.scientific && (math.IsNaN(x) || math.IsInf(x, 0)):
		return " " + strings.Repeat("#", f.pre) + "." + strings.Repeat("#", f.post+4), nil
	case f.scientific:
		b, scale, err := floatParts(x)
		if err != nil {
			return "", err
		}
		return scientific(b, scale, f.post), nil
	case math.IsNaN(x):
		return f.writeWord("NaN", false), nil
	case math.IsInf(x, 0):
		return f.writeWord("Infinity", neg), nil
	}
	if f.shift > 0 {
		x *= math.Pow10(f.shift)
	}
	places := min(f.post, max(floatDigits-len(strconv.FormatFloat(math.Abs(x), 'f', 0, 64)), 0))
	whole, frac, _ := strings.Cut(strconv.FormatFloat(math.Abs(x), 'f', places, 64), ".")
	f.digits = places
	if whole == "0" && (f.pre == 0 || f.post > 0) {
		whole = ""
	}
	return f.write(whole, frac, neg, len(whole) > f.pre), nil
}

// writeWord puts a word in the place of the digits, if they have room for it.
func (f *numberFormat) writeWord(word string, neg bool) string {
	if f.pre < len(word) {
		return f.write("", "", neg, true)
	}
	f.digits = 0
	return f.write(word, "", neg, false)
}

// floatParts is a floating point number as b / 10^scale.
func floatParts(x float64) (b *big.Int, scale int, err error) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return new(big.Int), 0, nil
	}
	text, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'e', floatDigits-1, 64), "e")
	whole, frac, _ := strings.Cut(text, ".")
	b, ok := new(big.Int).SetString(whole+frac, 10)
	power, err := strconv.Atoi(exponent)
	if err != nil || !ok {
		return nil, 0, fmt.Errorf("take apart the number %s", text)
	}
	return b, len(frac) - power, nil
}

// misplaced is the fault of a template that has a pattern where what stands
// before it forbids it, "" without a fault.
func (f *numberFormat) misplaced(pattern string, shifting bool) string {
	switch {
	case f.scientific && pattern == "EE":
		return `cannot use "EEEE" twice`
	case f.scientific:
		return `"EEEE" must be the last pattern used`
	}
	switch pattern {
	case "9", "0":
		if f.bracket {
			return `"` + pattern + `" must be ahead of "PR"`
		}
	case "S":
		if f.signed {
			return `cannot use "S" twice`
		}
		if f.plus || f.minus || f.bracket {
			return `cannot use "S" and "PL"/"MI"/"SG"/"PR" together`
		}
	case "MI", "PL", "SG":
		if f.signed {
			return `cannot use "S" and "` + pattern + `" together`
		}
	case "PR":
		if f.signed || f.plus || f.minus {
			return `cannot use "PR" and "S"/"PL"/"MI"/"SG" together`
		}
	case "EE":
		if f.fill || f.signed || f.bracket || f.minus || f.plus || f.roman || shifting {
			return `"EEEE" is incompatible with other formats`
		}
	}
	return ""
}

func parseNumberFormat(tmpl string) (numberFormat, error) {
	var f numberFormat
	shifting := false
	for i := 0; i < len(tmpl); {
		up := strings.ToUpper(tmpl[i:min(i+2, len(tmpl))])
		pattern := up
		switch {
		case up == "EE" && !strings.HasPrefix(strings.ToUpper(tmpl[i:]), "EEEE"):
			pattern = ""
		case !numberPatterns[up]:
			pattern = up[:1]
		}
		if numberPatterns[pattern] {
			if fault := f.misplaced(pattern, shifting); fault != "" {
				return f, dberr.New(dberr.InvalidSQL, fault).WithState("42601")
			}
		}
		switch {
		case up == "FM":
			f.fill = true
			i += 2
			continue
		case up == "MI", up == "PL", up == "SG", up == "PR", up == "TH", up == "RN":
			switch up {
			case "MI":
				f.minus = true
			case "PL":
				f.plus = true
			case "SG":
				f.minus, f.plus = true, true
			case "PR":
				f.bracket = true
			case "RN":
				f.roman = true
				up = tmpl[i : i+2] // in the template's case
			}
			f.tokens = append(f.tokens, up)
			i += 2
			continue
		case up == "EE" && strings.HasPrefix(strings.ToUpper(tmpl[i:]), "EEEE"):
			f.scientific = true
			i += 4
			continue
		case tmpl[i] == '"':
			end := strings.IndexByte(tmpl[i+1:], '"')
			if end < 0 {
				end = len(tmpl) - i - 1
			}
			f.tokens = append(f.tokens, `"`+tmpl[i+1:i+1+end])
			i += end + 2
			continue
		}
		c := up[:1]
		switch c {
		case "9", "0":
			if f.point {
				f.post++
				if c == "0" {
					f.lastZero = f.post
				}
			} else {
				if c == "0" && !f.zeros {
					f.zeros, f.first = true, f.pre
				}
				if shifting && c == "9" {
					f.shift++
				}
				f.pre++
			}
		case ".", "D":
			if f.point {
				return f, dberr.New(dberr.InvalidSQL, "multiple decimal points").WithState("42601")
			}
			if shifting {
				return f, mixedShift()
			}
			f.point, c = true, "."
		case ",", "G":
			c = ","
		case "S":
			f.signed, f.signLeads = true, f.pre == 0 && !f.point
		case "V":
			if f.point {
				return f, mixedShift()
			}
			shifting = true
			i++
			continue
		case "B":
			i++
			continue
		case "$", "L":
			c = "$"
		default:
			c = `"` + tmpl[i:i+1]
		}
		f.tokens = append(f.tokens, c)
		i++
	}
	if !f.zeros {
		f.first = f.pre
	}
	f.digits = f.post
	return f, nil
}

// numberPatterns are the patterns of templates, EE being the beginning of EEEE.
var numberPatterns = map[string]bool{
	"FM": true, "MI": true, "PL": true, "SG": true, "PR": true, "TH": true, "RN": true, "EE": true,
	"9": true, "0": true, ".": true, "D": true, ",": true, "G": true, "S": true, "V": true, "L": true, "B": true,
}

func mixedShift() error {
	return dberr.New(dberr.InvalidSQL, `cannot use "V" and decimal point together`).WithState("42601")
}

// numberToChar writes the number b / 10^scale by a template.
func numberToChar(b *big.Int, scale int, tmpl string) (string, error) {
	if len(tmpl) > 256 {
		return "", invalidArg("a number's template is longer than 256 characters")
	}
	f, err := parseNumberFormat(tmpl)
	if err != nil {
		return "", err
	}
	switch {
	case f.roman:
		return f.writeRoman(b, scale), nil
	case f.scientific:
		return scientific(b, scale, f.post), nil
	}
	whole, frac := f.places(b, scale, f.post)
	neg := b.Sign() < 0 && strings.Trim(whole+frac, "0") != ""
	if whole == "0" && (f.pre == 0 || f.post > 0) {
		whole = ""
	}
	overflow := len(whole) > f.pre
	return f.write(whole, frac, neg, overflow), nil
}

// places are the digits of b / 10^scale without its sign, as many behind the
// point as post says, rounded half up. They may be more than a DECIMAL has.
func (f *numberFormat) places(b *big.Int, scale, post int) (whole, frac string) {
	text, scale := strings.TrimPrefix(b.String(), "-"), scale-f.shift
	if less := scale - post; less > 0 {
		up := less <= len(text) && text[len(text)-less] >= '5'
		if text = text[:max(len(text)-less, 0)]; up {
			text = increment("0" + text)
		}
	} else {
		text += strings.Repeat("0", -less)
	}
	if short := post - len(text); short > 0 {
		text = strings.Repeat("0", short) + text
	}
	whole = strings.TrimLeft(text[:len(text)-post], "0")
	if whole == "" {
		whole = "0"
	}
	return whole, text[len(text)-post:]
}

// write puts the digits into the template's places. The sign, where the
// template has no place for it, stands right before the first digit.
func (f *numberFormat) write(whole, frac string, neg, overflow bool) string {
	var b strings.Builder
	sign := " "
	if neg {
		sign = "-"
	}
	if f.signed && !neg {
		sign = "+"
	}
	auto := !f.minus && !f.bracket && (!f.signed || f.signLeads)
	started := false
	start := func() {
		if started {
			return
		}
		started = true
		switch {
		case auto && !(f.fill && sign == " "):
			b.WriteString(sign)
		case f.bracket && neg:
			b.WriteByte('<')
		case f.bracket && !f.fill:
			b.WriteByte(' ')
		}
	}
	blank := func() {
		if !f.fill {
			b.WriteByte(' ')
		}
	}
	at, fracAt := 0, 0
	// With FM, zeros at the end of the fraction are dropped where 9 stands.
	shown := f.post
	if f.fill {
		shown = max(len(strings.TrimRight(frac, "0")), f.lastZero)
	}
	pad := f.pre - len(whole)
	for _, t := range f.tokens {
		switch t {
		case "9", "0":
			if at < f.pre {
				switch {
				case overflow:
					start()
					b.WriteByte('#')
				case at >= pad:
					start()
					b.WriteByte(whole[at-pad])
				case f.zeros && at >= f.first:
					start()
					b.WriteByte('0')
				default:
					blank()
				}
				at++
				continue
			}
			if f.digits < f.post && fracAt == f.digits {
				// The digits end, and the text with them.
				switch {
				case fracAt > 0 && f.signed && !f.signLeads:
					b.WriteString(sign)
				case fracAt > 0 && f.bracket && neg:
					b.WriteByte('>')
				case fracAt > 0 && f.bracket:
					blank()
				}
				return b.String()
			}
			if fracAt < shown {
				if overflow {
					b.WriteByte('#')
				} else {
					b.WriteByte(frac[fracAt])
				}
			}
			fracAt++
		case ".":
			if f.digits == 0 && f.post > 0 && !overflow {
				return b.String()
			}
			start()
			b.WriteByte('.')
		case ",":
			if started {
				b.WriteByte(',')
			} else {
				blank()
			}
		case "S":
			if !f.signLeads {
				b.WriteString(sign)
			}
		case "MI":
			if neg {
				b.WriteByte('-')
			} else {
				blank()
			}
		case "SG":
			if neg {
				b.WriteByte('-')
			} else {
				b.WriteByte('+')
			}
		case "PL":
			if neg {
				blank()
			} else {
				b.WriteByte('+')
			}
		case "PR":
			if neg {
				b.WriteByte('>')
			} else {
				blank()
			}
		case "TH":
			if !neg && f.post == 0 && !overflow {
				b.WriteString(ordinalSuffix("0" + whole))
			}
		case "$":
			if !started {
				start()
			}
			b.WriteByte('$')
		default:
			b.WriteString(t[1:])
		}
	}
	return b.String()
}

// toNumber reads the digits, sign and point of a text; what else a template
// may put in is skipped.
func toNumber(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	f, err := parseNumberFormat(a[1].Str())
	if err != nil {
		return sqltype.Value{}, err
	}
	var digits strings.Builder
	neg, point := false, false
	for _, c := range a[0].Str() {
		switch {
		case c >= '0' && c <= '9':
			digits.WriteRune(c)
		case c == '.' && !point:
			point = true
			digits.WriteRune(c)
		case c == '-', c == '<' && f.bracket:
			neg = true
		}
	}
	text := digits.String()
	if neg {
		text = "-" + text
	}
	d, err := decimal.Parse(text)
	if err != nil {
		return sqltype.Value{}, dberr.Newf(dberr.TypeMismatch, "invalid input syntax for type numeric: %q", truncated(a[0].Str())).WithState("22P02")
	}
	return sqltype.NewDecimal(d), nil
}
