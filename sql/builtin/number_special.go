package builtin

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// maxRoman is the largest number with a Roman numeral, and romanWidth the
// length of the longest.
const (
	maxRoman   = 3999
	romanWidth = 15
)

var romans = []struct {
	value int64
	text  string
}{
	{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"},
	{10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"},
}

// writeRoman writes RN templates: the numeral, right-aligned unless FM says
// otherwise, and the template's quoted texts. A number without a numeral is a
// row of #, as in PostgreSQL.
func (f *numberFormat) writeRoman(b *big.Int, scale int) string {
	text := strings.Repeat("#", romanWidth)
	whole, _ := f.places(b, scale, 0)
	if n, err := strconv.ParseInt(whole, 10, 64); err == nil && b.Sign() > 0 && n >= 1 && n <= maxRoman {
		var numeral strings.Builder
		for _, r := range romans {
			for ; n >= r.value; n -= r.value {
				numeral.WriteString(r.text)
			}
		}
		text = numeral.String()
	}
	if !f.fill {
		text = fmt.Sprintf("%*s", romanWidth, text)
	}
	var out strings.Builder
	for _, t := range f.tokens {
		switch {
		case t == "RN":
			out.WriteString(text)
		case strings.EqualFold(t, "RN"):
			out.WriteString(strings.ToLower(text))
		case t[0] == '"':
			out.WriteString(t[1:])
		}
	}
	return out.String()
}

// scientific writes b / 10^scale as one digit, a point, post digits and an
// exponent of two digits or more, led by a space or a minus.
func scientific(b *big.Int, scale, post int) string {
	sign := " "
	if b.Sign() < 0 {
		sign = "-"
	}
	digits := strings.TrimPrefix(b.String(), "-")
	exponent := len(digits) - 1 - scale
	if b.Sign() == 0 {
		digits, exponent = "0", 0
	}
	if len(digits) > post+1 {
		up := digits[post+1] >= '5'
		digits = digits[:post+1]
		if up {
			if digits = increment(digits); len(digits) > post+1 {
				digits = digits[:post+1]
				exponent++
			}
		}
	}
	digits += strings.Repeat("0", post+1-len(digits))
	if post > 0 {
		digits = digits[:1] + "." + digits[1:]
	}
	e := strconv.Itoa(exponent)
	lead := "+"
	if exponent < 0 {
		lead, e = "-", e[1:]
	}
	if len(e) < 2 {
		e = "0" + e
	}
	return sign + digits + "e" + lead + e
}

// increment adds one to a number in decimal digits.
func increment(digits string) string {
	b := []byte(digits)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < '9' {
			b[i]++
			return string(b)
		}
		b[i] = '0'
	}
	return "1" + string(b)
}
