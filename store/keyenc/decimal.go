package keyenc

import (
	"math/bits"

	"github.com/kalamdb/kalamdb/commons/decimal"
)

// maxDigits is how many decimal digits 128 bits may have.
const maxDigits = 39

const pow19 = 10_000_000_000_000_000_000

// decimalDigits writes the digits of |d|'s coefficient without leading zeros
// and tells how many they are and whether d is negative.
func decimalDigits(digits *[maxDigits]byte, d decimal.Decimal) (n int, negative bool) {
	h, lo := d.Parts()
	hi := uint64(h)
	if negative = h < 0; negative {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	// Backwards from the end of a buffer, 19 digits at a time.
	var buf [3 * 19]byte
	at := len(buf)
	for hi != 0 || lo != 0 {
		var rest uint64
		q := hi / pow19
		lo, rest = bits.Div64(hi%pow19, lo, pow19)
		hi = q
		last := hi == 0 && lo == 0
		for i := 0; i < 19 && !(last && rest == 0); i++ {
			at--
			buf[at] = byte(rest % 10)
			rest /= 10
		}
	}
	return copy(digits[:], buf[at:]), negative
}

// decimalFrom builds 0.DIGITS · 10^exponent. ok is false when it takes more
// than 38 digits, or has no digits.
func decimalFrom(digits []byte, exponent int, negative bool) (d decimal.Decimal, ok bool) {
	scale := len(digits) - exponent
	if len(digits) == 0 || scale > decimal.MaxScale || exponent > decimal.MaxDigits || len(digits) > decimal.MaxDigits {
		return d, false
	}
	var hi, lo uint64
	shift := func(digit byte) {
		carry, l := bits.Mul64(lo, 10)
		hi = hi*10 + carry
		var c uint64
		lo, c = bits.Add64(l, uint64(digit), 0)
		hi += c
	}
	for _, x := range digits {
		shift(x)
	}
	for ; scale < 0; scale++ {
		shift(0)
	}
	if negative {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	return decimal.FromParts(int64(hi), lo, int32(scale)), true
}
