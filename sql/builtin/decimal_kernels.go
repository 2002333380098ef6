package builtin

import (
	"math/bits"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/store/vector"
)

// addShort adds two numbers of one scale whose coefficients, and their sum,
// fit 64 bits: most amounts of money do.
func addShort(a, b decimal.Decimal) (decimal.Decimal, bool) {
	ah, al := a.Parts()
	bh, bl := b.Parts()
	x, y := int64(al), int64(bl)
	s := x + y
	if x>>63 != ah || y>>63 != bh || (s^x)&(s^y) < 0 || a.Scale() != b.Scale() {
		return decimal.Decimal{}, false
	}
	return decimal.New(s, a.Scale()), true
}

// aligned are a vector's numbers; a constant has at least the scale that the
// other side's first number has: it is right for numbers of that scale only,
// whose result has that scale anyway.
func aligned(v, other *vector.Vector, sel []int32) []decimal.Decimal {
	if !v.Const || len(sel) == 0 {
		return v.Decimals
	}
	scale := other.Decimals[int(sel[0])&stride(other)].Scale()
	if scale <= v.Decimals[0].Scale() {
		return v.Decimals
	}
	d, err := v.Decimals[0].Rescale(scale)
	if err != nil {
		return v.Decimals
	}
	return []decimal.Decimal{d}
}

// addDecimals is the kernel of +.
func addDecimals(_ *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error {
	x, y := aligned(args[0], args[1], sel), aligned(args[1], args[0], sel)
	mx, my := stride(args[0]), stride(args[1])
	for _, i := range sel {
		if s, ok := addShort(x[int(i)&mx], y[int(i)&my]); ok {
			out.Decimals[i] = s
			continue
		}
		s, err := args[0].Decimals[int(i)&mx].Add(args[1].Decimals[int(i)&my])
		if err != nil {
			return decimalErr(err)
		}
		out.Decimals[i] = s
	}
	return nil
}

// subDecimals is the kernel of -.
func subDecimals(_ *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error {
	x, y := aligned(args[0], args[1], sel), aligned(args[1], args[0], sel)
	mx, my := stride(args[0]), stride(args[1])
	for _, i := range sel {
		if s, ok := addShort(x[int(i)&mx], y[int(i)&my].Neg()); ok {
			out.Decimals[i] = s
			continue
		}
		s, err := args[0].Decimals[int(i)&mx].Sub(args[1].Decimals[int(i)&my])
		if err != nil {
			return decimalErr(err)
		}
		out.Decimals[i] = s
	}
	return nil
}

// mulDecimals is the kernel of *.
func mulDecimals(_ *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error {
	x, y, mx, my := args[0].Decimals, args[1].Decimals, stride(args[0]), stride(args[1])
	for _, i := range sel {
		a, b := x[int(i)&mx], y[int(i)&my]
		ah, al := a.Parts()
		bh, bl := b.Parts()
		p, q := int64(al), int64(bl)
		hi, lo := bits.Mul64(al, bl)
		high := int64(hi) - p>>63&q - q>>63&p
		scale := a.Scale() + b.Scale()
		if p>>63 == ah && q>>63 == bh && high == int64(lo)>>63 && scale <= decimal.MaxScale {
			out.Decimals[i] = decimal.New(int64(lo), scale)
			continue
		}
		d, err := a.Mul(b)
		if err != nil {
			return decimalErr(err)
		}
		out.Decimals[i] = d
	}
	return nil
}
