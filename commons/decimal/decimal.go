// Package decimal is an exact decimal number of up to 38 digits: a 128-bit
// two's-complement integer and a scale. It is the value type of SQL's
// DECIMAL; the arithmetic's scales follow PostgreSQL's numeric.
//
// The zero Decimal is 0. Decimals are compared with Cmp, not with ==: 1.0 and
// 1.00 are equal numbers with different scales.
package decimal

import (
	"errors"
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

// MaxDigits is how many decimal digits a Decimal may have.
const MaxDigits = 38

// MaxScale is how many of them may stand behind the point.
const MaxScale = 38

// The reasons why a result is not a Decimal.
var (
	// ErrRange tells that a number has more than 38 digits.
	ErrRange = errors.New("decimal out of range")
	// ErrDivisionByZero tells that the divisor was zero.
	ErrDivisionByZero = errors.New("division by zero")
	// ErrSyntax tells that a text is not a decimal number.
	ErrSyntax = errors.New("invalid decimal syntax")
)

// Decimal is coefficient / 10^scale.
type Decimal struct {
	lo    uint64
	hi    int64
	scale int32
}

// New is coefficient / 10^scale.
func New(coefficient int64, scale int32) Decimal {
	return Decimal{lo: uint64(coefficient), hi: coefficient >> 63, scale: scale}
}

// FromParts builds a Decimal from the two halves of its 128-bit coefficient.
func FromParts(hi int64, lo uint64, scale int32) Decimal {
	return Decimal{lo: lo, hi: hi, scale: scale}
}

// Parts gives the two halves of the 128-bit coefficient.
func (d Decimal) Parts() (hi int64, lo uint64) { return d.hi, d.lo }

// Scale is the number of digits behind the point.
func (d Decimal) Scale() int32 { return d.scale }

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int {
	switch {
	case d.hi < 0:
		return -1
	case d.hi == 0 && d.lo == 0:
		return 0
	}
	return 1
}

// small tells whether the coefficient fits an int64.
func (d Decimal) small() (int64, bool) {
	v := int64(d.lo)
	return v, v>>63 == d.hi
}

// Big gives the coefficient.
func (d Decimal) Big() *big.Int {
	if v, ok := d.small(); ok {
		return big.NewInt(v)
	}
	b := big.NewInt(d.hi)
	b.Lsh(b, 64)
	return b.Or(b, new(big.Int).SetUint64(d.lo))
}

var maxCoefficient = new(big.Int).Exp(big.NewInt(10), big.NewInt(MaxDigits), nil)

// FromBig is b / 10^scale, or ErrRange past 38 digits.
func FromBig(b *big.Int, scale int32) (Decimal, error) {
	if b.CmpAbs(maxCoefficient) >= 0 {
		return Decimal{}, ErrRange
	}
	if b.IsInt64() {
		return New(b.Int64(), scale), nil
	}
	var t big.Int
	lo := new(big.Int).And(t.Set(b), new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	hi := new(big.Int).Rsh(b, 64).Int64()
	return Decimal{lo: lo, hi: hi, scale: scale}, nil
}

var pow10 = func() (p [19]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

func bigPow10(n int32) *big.Int {
	if int(n) < len(pow10) {
		return big.NewInt(pow10[n])
	}
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// Rescale gives the number with another scale, rounding half away from zero
// when digits are lost.
func (d Decimal) Rescale(scale int32) (Decimal, error) {
	diff := scale - d.scale
	if diff == 0 {
		return d, nil
	}
	if v, ok := d.small(); ok && diff < 19 && diff > -19 {
		if diff > 0 {
			if hi, lo := bits.Mul64(abs(v), uint64(pow10[diff])); hi == 0 && lo <= math.MaxInt64 {
				return New(withSign(lo, v < 0), scale), nil
			}
		} else {
			p := uint64(pow10[-diff])
			q, r := abs(v)/p, abs(v)%p
			if r >= p-r {
				q++
			}
			return New(withSign(q, v < 0), scale), nil
		}
	}
	b := d.Big()
	if diff > 0 {
		return FromBig(b.Mul(b, bigPow10(diff)), scale)
	}
	return FromBig(quoRound(b, bigPow10(-diff)), scale)
}

// Trunc cuts the digits behind the given scale off.
func (d Decimal) Trunc(scale int32) (Decimal, error) {
	if scale >= d.scale {
		return d.Rescale(scale)
	}
	b := d.Big()
	return FromBig(b.Quo(b, bigPow10(d.scale-scale)), scale)
}

// Trim drops trailing zeros behind the point.
func (d Decimal) Trim() Decimal {
	for d.scale > 0 {
		if v, ok := d.small(); ok {
			if v%10 != 0 {
				return d
			}
			d = New(v/10, d.scale-1)
			continue
		}
		q, r := new(big.Int).QuoRem(d.Big(), big.NewInt(10), new(big.Int))
		if r.Sign() != 0 {
			return d
		}
		d, _ = FromBig(q, d.scale-1)
	}
	return d
}

func abs(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

func withSign(u uint64, neg bool) int64 {
	if neg {
		return -int64(u)
	}
	return int64(u)
}

// quoRound divides, rounding half away from zero. It changes n.
func quoRound(n, d *big.Int) *big.Int {
	neg := n.Sign() < 0 != (d.Sign() < 0)
	var r big.Int
	n.QuoRem(n, d, &r)
	r.Abs(&r).Lsh(&r, 1)
	if r.CmpAbs(d) >= 0 {
		if neg {
			n.Sub(n, big.NewInt(1))
		} else {
			n.Add(n, big.NewInt(1))
		}
	}
	return n
}

// Cmp orders two numbers by value, whatever their scales.
func (d Decimal) Cmp(e Decimal) int {
	if d.scale == e.scale {
		switch {
		case d.hi != e.hi:
			return cmp(d.hi, e.hi)
		default:
			return cmp(d.lo, e.lo)
		}
	}
	if s, t := d.Sign(), e.Sign(); s != t || s == 0 {
		return cmp(s, t)
	}
	if c, ok := d.cmpSmall(e); ok {
		return c
	}
	a, b := d.Big(), e.Big()
	if d.scale < e.scale {
		a.Mul(a, bigPow10(e.scale-d.scale))
	} else {
		b.Mul(b, bigPow10(d.scale-e.scale))
	}
	return a.Cmp(b)
}

// cmpSmall compares numbers of one sign and different scales whose
// coefficients have 64 bits.
func (d Decimal) cmpSmall(e Decimal) (int, bool) {
	a, ok1 := d.small()
	b, ok2 := e.small()
	diff := e.scale - d.scale
	if !ok1 || !ok2 || diff > 18 || diff < -18 {
		return 0, false
	}
	var ahi, bhi uint64
	alo, blo := abs(a), abs(b)
	if diff > 0 {
		ahi, alo = bits.Mul64(alo, uint64(pow10[diff]))
	} else {
		bhi, blo = bits.Mul64(blo, uint64(pow10[-diff]))
	}
	c := cmp(ahi, bhi)
	if c == 0 {
		c = cmp(alo, blo)
	}
	if a < 0 {
		c = -c
	}
	return c, true
}

func cmp[T int | int64 | uint64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Neg is -d.
func (d Decimal) Neg() Decimal {
	lo, borrow := bits.Sub64(0, d.lo, 0)
	hi, _ := bits.Sub64(0, uint64(d.hi), borrow)
	return Decimal{lo: lo, hi: int64(hi), scale: d.scale}
}

// Abs is |d|.
func (d Decimal) Abs() Decimal {
	if d.hi < 0 {
		return d.Neg()
	}
	return d
}

// Add is d + e, with the larger of the two scales as long as 38 digits hold it.
func (d Decimal) Add(e Decimal) (Decimal, error) {
	scale := max(d.scale, e.scale)
	a, err1 := d.Rescale(scale)
	b, err2 := e.Rescale(scale)
	if err1 != nil || err2 != nil {
		return d.addBig(e, scale)
	}
	x, ok1 := a.small()
	y, ok2 := b.small()
	if s := x + y; ok1 && ok2 && (s > x) == (y > 0) {
		return New(s, scale), nil
	}
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(uint64(a.hi), uint64(b.hi), carry)
	// The sum of two of 38 digits that needs more than 128 bits is outside, too.
	if s := int64(hi); s < maxHi && s > -maxHi-1 {
		return Decimal{lo: lo, hi: s, scale: scale}, nil
	}
	return a.addBig(b, scale)
}

// addBig is Add for what may need more than 38 digits, at the larger scale.
func (d Decimal) addBig(e Decimal, scale int32) (Decimal, error) {
	x, y := d.Big(), e.Big()
	x.Mul(x, bigPow10(scale-d.scale))
	return fit(x.Add(x, y.Mul(y, bigPow10(scale-e.scale))), scale)
}

// maxHi is the upper half of 10^38.
var maxHi = new(big.Int).Rsh(maxCoefficient, 64).Int64()

// Sub is d - e, with the larger of the two scales as long as 38 digits hold it.
func (d Decimal) Sub(e Decimal) (Decimal, error) { return d.Add(e.Neg()) }

// Mul is d * e, exact as long as 38 digits hold it: the scales add up, and
// are cut to what fits.
func (d Decimal) Mul(e Decimal) (Decimal, error) {
	scale := d.scale + e.scale
	a, ok1 := d.small()
	b, ok2 := e.small()
	if ok1 && ok2 && scale <= MaxScale {
		if hi, lo := bits.Mul64(abs(a), abs(b)); hi == 0 && lo <= math.MaxInt64 {
			return New(withSign(lo, (a < 0) != (b < 0)), scale), nil
		}
	}
	p := d.Big()
	return fit(p.Mul(p, e.Big()), scale)
}

// fit rounds digits behind the point away until 38 digits hold the number.
func fit(b *big.Int, scale int32) (Decimal, error) {
	excess := int32(len(new(big.Int).Abs(b).String())) - MaxDigits
	excess = max(excess, scale-MaxScale)
	if excess > 0 {
		if excess > scale {
			return Decimal{}, ErrRange
		}
		b = quoRound(b, bigPow10(excess))
		scale -= excess
		if b.CmpAbs(maxCoefficient) >= 0 && scale > 0 {
			b = quoRound(b, big.NewInt(10))
			scale--
		}
	}
	return FromBig(b, scale)
}

// Quo is d / e with at least 16 significant digits, rounded half away from
// zero; the scale is chosen as PostgreSQL chooses it.
func (d Decimal) Quo(e Decimal) (Decimal, error) {
	if e.Sign() == 0 {
		return Decimal{}, ErrDivisionByZero
	}
	scale := quoScale(d, e)
	if q, ok := d.quoSmall(e, scale); ok {
		return q, nil
	}
	n := d.Big()
	if shift := scale + e.scale - d.scale; shift >= 0 {
		n.Mul(n, bigPow10(shift))
		return fit(quoRound(n, e.Big()), scale)
	} else {
		den := e.Big()
		den.Mul(den, bigPow10(-shift))
		return fit(quoRound(n, den), scale)
	}
}

// quoSmall divides where both coefficients have 64 bits and the dividend,
// brought to the scale, 128: no big numbers are needed then.
func (d Decimal) quoSmall(e Decimal, scale int32) (Decimal, bool) {
	a, ok1 := d.small()
	b, ok2 := e.small()
	shift := scale + e.scale - d.scale
	if !ok1 || !ok2 || shift < 0 || shift > 36 {
		return Decimal{}, false
	}
	hi, lo := uint64(0), abs(a)
	for shift > 0 {
		step := min(shift, 18)
		shift -= step
		p := uint64(pow10[step])
		over, mid := bits.Mul64(hi, p)
		carry, low := bits.Mul64(lo, p)
		var c uint64
		if hi, c = bits.Add64(mid, carry, 0); over != 0 || c != 0 {
			return Decimal{}, false
		}
		lo = low
	}
	den := abs(b)
	qhi, rest := hi/den, hi%den
	qlo, rest := bits.Div64(rest, lo, den)
	if rest >= den-rest {
		var c uint64
		qlo, c = bits.Add64(qlo, 1, 0)
		qhi += c
	}
	// Far below 38 digits, so that nothing needs rounding to fit.
	if qhi >= uint64(maxHi) {
		return Decimal{}, false
	}
	q := Decimal{lo: qlo, hi: int64(qhi), scale: scale}
	if (a < 0) != (b < 0) {
		q = q.Neg()
	}
	return q, true
}

// quoScale is PostgreSQL's select_div_scale: 16 significant digits counted in
// groups of four, and never fewer digits than either operand shows.
func quoScale(d, e Decimal) int32 {
	w1, f1 := d.weight()
	w2, f2 := e.weight()
	w := w1 - w2
	if f1 <= f2 {
		w--
	}
	return min(max(16-w*4, d.scale, e.scale, 0), MaxScale)
}

// weight is the position of the first non-zero group of four digits (0 is
// the group before the point) and that group's value.
func (d Decimal) weight() (w int32, first int64) {
	if d.Sign() == 0 {
		return 0, 0
	}
	var buf [48]byte
	digits := buf[:0]
	if v, ok := d.small(); ok {
		digits = strconv.AppendUint(digits, abs(v), 10)
	} else {
		s := d.Big()
		digits = s.Abs(s).Append(digits, 10)
	}
	intDigits := int32(len(digits)) - d.scale // may be negative
	var inFirst int32
	if intDigits > 0 {
		w = (intDigits - 1) / 4
		inFirst = intDigits - w*4
	} else {
		w = -1 - (-intDigits)/4
		inFirst = 4 - (-intDigits)%4
	}
	for i := int32(0); i < inFirst; i++ {
		first *= 10
		if int(i) < len(digits) {
			first += int64(digits[i] - '0')
		}
	}
	return w, first
}

// Rem is the remainder of d / e truncated towards zero, with d's sign.
func (d Decimal) Rem(e Decimal) (Decimal, error) {
	if e.Sign() == 0 {
		return Decimal{}, ErrDivisionByZero
	}
	scale := max(d.scale, e.scale)
	a, b := d.Big(), e.Big()
	a.Mul(a, bigPow10(scale-d.scale))
	b.Mul(b, bigPow10(scale-e.scale))
	return FromBig(a.Rem(a, b), scale)
}

// Float64 is the nearest float64.
func (d Decimal) Float64() float64 {
	if v, ok := d.small(); ok && d.scale == 0 {
		return float64(v)
	}
	f, _ := strconv.ParseFloat(string(d.Append(nil)), 64)
	return f
}

// Int64 is the number rounded half away from zero, and whether it fits.
func (d Decimal) Int64() (int64, bool) {
	r, err := d.Rescale(0)
	if err != nil {
		return 0, false
	}
	return r.small()
}

// FromFloat64 is the shortest decimal that reads back as f, as PostgreSQL
// casts double precision to numeric (15 significant digits). NaN and
// infinities are out of range.
func FromFloat64(f float64, digits int) (Decimal, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Decimal{}, ErrRange
	}
	d, err := Parse(strconv.FormatFloat(f, 'g', digits, 64))
	if err != nil {
		return Decimal{}, err
	}
	return d, nil
}

// String is the number in plain notation with all digits of its scale.
func (d Decimal) String() string { return string(d.Append(nil)) }

// Append appends the number in plain notation with all digits of its scale.
func (d Decimal) Append(dst []byte) []byte {
	var buf [48]byte
	digits := buf[:0]
	neg := d.hi < 0
	if v, ok := d.small(); ok {
		digits = strconv.AppendUint(digits, abs(v), 10)
	} else {
		b := d.Big()
		digits = b.Abs(b).Append(digits, 10)
	}
	if neg {
		dst = append(dst, '-')
	}
	scale := int(d.scale)
	if scale <= 0 {
		return append(dst, digits...)
	}
	if len(digits) <= scale {
		dst = append(dst, '0', '.')
		for i := len(digits); i < scale; i++ {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	dst = append(dst, '.')
	return append(dst, digits[len(digits)-scale:]...)
}

// Parse reads [+-]digits[.digits][e[+-]digits].
func Parse(s string) (Decimal, error) {
	i, neg := 0, false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	var coeff uint64
	var wide *big.Int
	var scale int64
	seen, point := false, false
	start := i
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			seen = true
			if point {
				scale++
			}
			if wide == nil {
				if coeff <= (math.MaxInt64-9)/10 {
					coeff = coeff*10 + uint64(c-'0')
					continue
				}
				wide = new(big.Int).SetUint64(coeff)
			}
			if i-start > 1000 {
				return Decimal{}, ErrRange
			}
			wide.Mul(wide, big.NewInt(10))
			wide.Add(wide, big.NewInt(int64(c-'0')))
			continue
		case c == '.' && !point:
			point = true
			continue
		}
		break
	}
	if !seen {
		return Decimal{}, ErrSyntax
	}
	if i < len(s) {
		if s[i] != 'e' && s[i] != 'E' {
			return Decimal{}, ErrSyntax
		}
		exp, err := strconv.ParseInt(s[i+1:], 10, 32)
		if err != nil {
			return Decimal{}, ErrSyntax
		}
		scale -= exp
	}
	if wide == nil {
		wide = new(big.Int).SetUint64(coeff)
	}
	if neg {
		wide.Neg(wide)
	}
	if scale < 0 {
		if wide.Sign() == 0 {
			return Decimal{}, nil
		}
		if scale < -MaxDigits {
			return Decimal{}, ErrRange
		}
		wide.Mul(wide, bigPow10(int32(-scale)))
		scale = 0
	}
	if scale > 2000 {
		return New(0, MaxScale), nil
	}
	return fit(wide, int32(scale))
}

// Digits is how many decimal digits the coefficient has; 0 for zero.
func (d Decimal) Digits() int {
	if v, ok := d.small(); ok {
		n := 0
		for u := abs(v); u > 0; u /= 10 {
			n++
		}
		return n
	}
	b := d.Big()
	return len(b.Abs(b).String())
}
