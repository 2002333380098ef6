package builtin

import (
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// The exponential functions of DECIMAL are computed in decimal, with as many
// digits as PostgreSQL gives: at least minDigits significant ones, estimated
// from a low-precision result, and no fewer behind the point than the
// arguments show (numeric_exp, numeric_ln, log_var and power_var in
// PostgreSQL's numeric.c). Of more than 38 digits the last are rounded away.
const (
	minDigits = 16
	// guardDigits are computed beyond those that are shown.
	guardDigits = 12
	log10e      = 0.434294481903252
)

// transcendental functions of DECIMAL.
func decimalMath(s, o section) {
	one := func(f func(decimal.Decimal) (decimal.Decimal, error)) Eval {
		return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			d, err := f(a[0].Decimal())
			return sqltype.NewDecimal(d), decimalErr(err)
		}
	}
	two := func(f func(a, b decimal.Decimal) (decimal.Decimal, error)) Eval {
		return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			d, err := f(a[0].Decimal(), a[1].Decimal())
			return sqltype.NewDecimal(d), decimalErr(err)
		}
	}
	s.def("exp(decimal) decimal", "Raises e to a power.", one(expDecimal))
	s.def("ln(decimal) decimal", "Gives the natural logarithm.", one(lnDecimal))
	s.def("log(decimal) decimal; log10(decimal) decimal", "Gives the logarithm to base 10.", one(func(d decimal.Decimal) (decimal.Decimal, error) {
		return logDecimal(decimal.New(10, 0), d)
	}))
	s.def("log(decimal, decimal) decimal", "Gives the logarithm of the second number to the base of the first.", two(logDecimal))
	s.def("power(decimal, decimal) decimal; pow(decimal, decimal) decimal", "Raises a number to a power.", two(powerDecimal))
	o.def("^(decimal, decimal) decimal", "Raises a number to a power.", two(powerDecimal))
}

// digits is a decimal context of so many significant digits.
func digits(n int32) *apd.Context {
	return &apd.Context{Precision: uint32(max(n, minDigits) + guardDigits), MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent, Rounding: apd.RoundHalfUp}
}

// wide is a Decimal for the library's arithmetic.
func wide(d decimal.Decimal) *apd.Decimal {
	return apd.NewWithBigInt(new(apd.BigInt).SetMathBigInt(d.Big()), -d.Scale())
}

// narrow rounds a result to a scale, to fewer digits where 38 do not hold it.
func narrow(x *apd.Decimal, scale int32) (decimal.Decimal, error) {
	if x.Form != apd.Finite {
		return decimal.Decimal{}, decimal.ErrRange
	}
	// The number's own digits before the point leave room for that many behind.
	before := int32(0)
	if !x.IsZero() {
		before = int32(x.NumDigits()) + x.Exponent
	}
	scale = min(scale, decimal.MaxScale, decimal.MaxDigits-max(before, 0))
	if scale < 0 {
		return decimal.Decimal{}, decimal.ErrRange
	}
	var r apd.Decimal
	for {
		if _, err := digits(2*decimal.MaxDigits).Quantize(&r, x, -scale); err != nil {
			return decimal.Decimal{}, err
		}
		b := r.Coeff.MathBigInt()
		if r.Negative {
			b.Neg(b)
		}
		d, err := decimal.FromBig(b, scale)
		if err == nil || scale == 0 {
			return d, err
		}
		scale-- // rounding up gave one digit more
	}
}

func logOfNothing() error {
	return dberr.New(dberr.ValueOutOfRange, "cannot take logarithm of zero or a negative number").WithState("2201E")
}

func expDecimal(d decimal.Decimal) (decimal.Decimal, error) {
	weight := d.Float64() * log10e
	switch {
	case weight > decimal.MaxDigits+1:
		return decimal.Decimal{}, decimal.ErrRange
	case weight < -decimal.MaxScale-2:
		return decimal.New(0, decimal.MaxScale), nil
	}
	scale := max(minDigits-int32(weight), d.Scale(), 0)
	return expTo(wide(d), weight, scale)
}

// expTo raises e to a power whose result has about weight digits before the
// point.
func expTo(x *apd.Decimal, weight float64, scale int32) (decimal.Decimal, error) {
	var r apd.Decimal
	if _, err := digits(scale+int32(max(weight, 0))).Exp(&r, x); err != nil {
		return decimal.Decimal{}, err
	}
	return narrow(&r, scale)
}

// lnWeight estimates the position of the first digit of ln(d).
func lnWeight(d decimal.Decimal) int32 {
	f := d.Float64()
	if d.Cmp(decimal.New(9, 1)) >= 0 && d.Cmp(decimal.New(11, 1)) <= 0 {
		// Near 1, ln(1 + x) is about x.
		x, err := d.Sub(decimal.New(1, 0))
		if err != nil || x.Sign() == 0 {
			return 0
		}
		return int32(x.Digits()) - 1 - x.Scale()
	}
	return int32(math.Log10(math.Abs(math.Log(f))))
}

func lnDecimal(d decimal.Decimal) (decimal.Decimal, error) {
	if d.Sign() <= 0 {
		return decimal.Decimal{}, logOfNothing()
	}
	scale := max(minDigits-lnWeight(d), d.Scale(), 0)
	r, err := lnTo(d, scale)
	if err != nil {
		return decimal.Decimal{}, err
	}
	return narrow(r, scale)
}

// lnTo is ln(d) with at least so many digits behind the point, and with that
// many significant ones.
func lnTo(d decimal.Decimal, scale int32) (*apd.Decimal, error) {
	var r apd.Decimal
	_, err := digits(scale+decimal.MaxDigits).Ln(&r, wide(d))
	return &r, err
}

func logDecimal(base, d decimal.Decimal) (decimal.Decimal, error) {
	if base.Sign() <= 0 || d.Sign() <= 0 {
		return decimal.Decimal{}, logOfNothing()
	}
	if base.Cmp(decimal.New(1, 0)) == 0 {
		return decimal.Decimal{}, decimal.ErrDivisionByZero
	}
	scale := max(minDigits-(lnWeight(d)-lnWeight(base)), base.Scale(), d.Scale(), 0)
	of, err := lnTo(d, scale)
	if err != nil {
		return decimal.Decimal{}, err
	}
	to, err := lnTo(base, scale)
	if err != nil {
		return decimal.Decimal{}, err
	}
	var r apd.Decimal
	if _, err := digits(scale+decimal.MaxDigits).Quo(&r, of, to); err != nil {
		return decimal.Decimal{}, err
	}
	return narrow(&r, scale)
}

func powerDecimal(x, y decimal.Decimal) (decimal.Decimal, error) {
	integer, err := y.Trunc(0)
	if err != nil {
		return decimal.Decimal{}, err
	}
	whole := integer.Cmp(y) == 0
	n, short := integer.Int64()
	switch {
	case x.Sign() == 0 && y.Sign() < 0:
		return decimal.Decimal{}, powerUndefined("zero raised to a negative power is undefined")
	case x.Sign() < 0 && !whole:
		return decimal.Decimal{}, powerUndefined("a negative number raised to a non-integer power yields a complex result")
	case whole && short && n >= math.MinInt32 && n <= math.MaxInt32:
		return wholePower(x, n)
	case x.Sign() == 0:
		return decimal.New(0, minDigits), nil
	}
	odd := x.Sign() < 0 && integer.Big().Bit(0) == 1
	x = x.Abs()
	weight := y.Float64() * math.Log(x.Float64()) * log10e
	scale := max(minDigits-int32(max(min(weight, decimal.MaxDigits+1), -decimal.MaxScale-2)), x.Scale(), y.Scale(), 0)
	switch {
	case weight > decimal.MaxDigits+1:
		return decimal.Decimal{}, decimal.ErrRange
	case weight < -decimal.MaxScale-2:
		return decimal.New(0, decimal.MaxScale), nil
	}
	ln, err := lnTo(x, scale+decimal.MaxDigits)
	if err != nil {
		return decimal.Decimal{}, err
	}
	var exponent apd.Decimal
	if _, err := digits(scale+2*decimal.MaxDigits).Mul(&exponent, ln, wide(y)); err != nil {
		return decimal.Decimal{}, err
	}
	r, err := expTo(&exponent, weight, scale)
	if odd {
		r = r.Neg()
	}
	return r, err
}

func powerUndefined(msg string) error {
	return dberr.New(dberr.ValueOutOfRange, msg).WithState("2201F")
}

// wholePower multiplies by squares. The result has as many digits behind the
// point as x, and at least sixteen.
func wholePower(x decimal.Decimal, n int64) (decimal.Decimal, error) {
	scale := max(minDigits, x.Scale())
	one := decimal.New(1, 0)
	if n == 0 || x.Sign() == 0 {
		if n == 0 {
			return one.Rescale(scale)
		}
		return decimal.New(0, scale), nil
	}
	weight := float64(n) * math.Log10(math.Abs(x.Float64()))
	switch {
	case weight > decimal.MaxDigits+1:
		return decimal.Decimal{}, decimal.ErrRange
	case weight+1 < -float64(scale):
		return decimal.New(0, min(scale, decimal.MaxScale)), nil
	}
	// An error of one unit grows with each of the log2(n) squarings.
	ctx := digits(scale + int32(math.Abs(weight)) + 2*guardDigits)
	r, base := apd.New(1, 0), wide(x)
	for m := max(n, -n); m > 0; m >>= 1 {
		if m&1 == 1 {
			if _, err := ctx.Mul(r, r, base); err != nil {
				return decimal.Decimal{}, err
			}
		}
		if m > 1 {
			if _, err := ctx.Mul(base, base, base); err != nil {
				return decimal.Decimal{}, err
			}
		}
	}
	if n < 0 {
		if _, err := ctx.Quo(r, apd.New(1, 0), r); err != nil {
			return decimal.Decimal{}, err
		}
	}
	return narrow(r, scale)
}
