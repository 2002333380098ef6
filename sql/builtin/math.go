package builtin

import (
	"math"
	"math/big"
	"math/rand/v2"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func init() {
	s := section{"math", Scalar}
	for _, k := range []sqltype.Kind{sqltype.SmallInt, sqltype.Integer, sqltype.BigInt} {
		n := k.String()
		s.def("abs("+n+") "+n, "Gives the absolute value.", absInt(k))
		s.def("mod("+n+", "+n+") "+n, "Gives the remainder of a division, with the sign of the dividend.", intMod(k))
	}
	s.def("gcd(decimal, decimal) decimal", "Gives the greatest common divisor.", decimal2(decimalGCD))
	s.def("lcm(decimal, decimal) decimal", "Gives the least common multiple.", decimal2(decimalLCM))
	for _, n := range []string{"int", "bigint"} {
		k := map[string]sqltype.Kind{"int": sqltype.Integer, "bigint": sqltype.BigInt}[n]
		s.def("gcd("+n+", "+n+") "+n, "Gives the greatest common divisor.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			return gcd(k, a[0].Int(), a[1].Int())
		})
		s.def("lcm("+n+", "+n+") "+n, "Gives the least common multiple.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			x, y := a[0].Int(), a[1].Int()
			if x == 0 || y == 0 {
				return sqltype.NewInt(k, 0), nil
			}
			g, err := gcd(k, x, y)
			if err != nil {
				return g, err
			}
			p, ok := mulInt(x/g.Int(), y)
			if lo, hi := k.IntRange(); !ok || p == math.MinInt64 || p < lo || p > hi || p == lo {
				return sqltype.Value{}, OutOfRange(k)
			}
			return sqltype.NewInt(k, max(p, -p)), nil
		})
	}
	s.def("abs(float) float", "Gives the absolute value.", float1(sqltype.Float, math.Abs))
	s.def("abs(double) double", "Gives the absolute value.", float1(sqltype.Double, math.Abs))
	s.def("abs(decimal) decimal", "Gives the absolute value.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewDecimal(a[0].Decimal().Abs()), nil
	})
	s.def("mod(decimal, decimal) decimal", "Gives the remainder of a division, with the sign of the dividend.", decimalOp(decimal.Decimal.Rem))
	s.def("div(decimal, decimal) decimal", "Divides, cutting the fraction off.", decimalOp(func(a, b decimal.Decimal) (decimal.Decimal, error) {
		r, err := a.Rem(b)
		if err != nil {
			return r, err
		}
		if a, err = a.Sub(r); err != nil {
			return a, err
		}
		if a, err = a.Quo(b); err != nil {
			return a, err
		}
		return a.Rescale(0)
	}))
	s.def("sign(double) double", "Gives -1, 0 or 1.", float1(sqltype.Double, func(x float64) float64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return 0 // also of NaN, as in PostgreSQL
	}))
	s.def("sign(decimal) decimal", "Gives -1, 0 or 1.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewDecimal(decimal.New(int64(a[0].Decimal().Sign()), 0)), nil
	})

	s.def("ceil(double) double; ceiling(double) double", "Rounds up to a whole number.", float1(sqltype.Double, math.Ceil))
	s.def("floor(double) double", "Rounds down to a whole number.", float1(sqltype.Double, math.Floor))
	s.def("round(double) double", "Rounds to the nearest whole number, halves to the even one.", float1(sqltype.Double, math.RoundToEven))
	s.def("trunc(double) double", "Cuts the fraction off.", float1(sqltype.Double, math.Trunc))
	s.def("ceil(decimal) decimal; ceiling(decimal) decimal", "Rounds up to a whole number.", decimal1(func(d decimal.Decimal) (decimal.Decimal, error) { return toward(d, 1) }))
	s.def("floor(decimal) decimal", "Rounds down to a whole number.", decimal1(func(d decimal.Decimal) (decimal.Decimal, error) { return toward(d, -1) }))
	s.def("round(decimal) decimal", "Rounds to the nearest whole number, halves away from zero.", decimal1(func(d decimal.Decimal) (decimal.Decimal, error) { return d.Rescale(0) }))
	s.def("trunc(decimal) decimal", "Cuts the fraction off.", decimal1(func(d decimal.Decimal) (decimal.Decimal, error) { return d.Trunc(0) }))
	s.def("round(decimal, int) decimal", "Rounds to a number of digits behind the point.", scaled(decimal.Decimal.Rescale))
	s.def("trunc(decimal, int) decimal", "Cuts the digits behind a place off.", scaled(decimal.Decimal.Trunc))
	s.def("round(double, int) double", "Rounds to a number of digits behind the point.", roundFloat(math.RoundToEven))
	s.def("trunc(double, int) double", "Cuts the digits behind a place off.", roundFloat(math.Trunc))
	s.def("scale(decimal) int", "Gives the number of digits behind the point.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return integer(int(a[0].Decimal().Scale())), nil
	})
	s.def("min_scale(decimal) int", "Gives the number of digits behind the point that the value needs.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return integer(int(a[0].Decimal().Trim().Scale())), nil
	})
	s.def("trim_scale(decimal) decimal", "Drops zeros at the end of the fraction.", decimal1(func(d decimal.Decimal) (decimal.Decimal, error) { return d.Trim(), nil }))
	s.def("factorial(bigint) decimal", "Multiplies all numbers from 1 to the argument.", factorial)

	domain := func(sig, doc string, f func(float64) float64, ok func(float64) bool, msg, state string) {
		s.def(sig, doc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			x := a[0].Float()
			if !ok(x) {
				return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, msg).WithState(state)
			}
			return float(f(x), math.IsInf(x, 0))
		})
	}
	notNegative := func(x float64) bool { return !(x < 0) }
	positive := func(x float64) bool { return !(x <= 0) }
	anything := func(float64) bool { return true }
	unit := func(x float64) bool { return !(x < -1 || x > 1) }
	input := "input is out of range"
	domain("sqrt(double) double", "Gives the square root.", math.Sqrt, notNegative, "cannot take square root of a negative number", "2201F")
	domain("cbrt(double) double", "Gives the cube root.", math.Cbrt, anything, "", "")
	s.def("exp(double) double", "Raises e to a power.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		x := a[0].Float()
		r := exp(x)
		if r == 0 && !math.IsInf(x, 0) {
			return sqltype.Value{}, floatUnderflow()
		}
		return float(r, math.IsInf(x, 0))
	})
	logMsg := "cannot take logarithm of zero or a negative number"
	domain("ln(double) double", "Gives the natural logarithm.", math.Log, positive, logMsg, "2201E")
	domain("log(double) double; log10(double) double", "Gives the logarithm to base 10.", math.Log10, positive, logMsg, "2201E")
	domain("log2(double) double", "Gives the logarithm to base 2.", math.Log2, positive, logMsg, "2201E")
	bounded := func(x float64) bool { return !math.IsInf(x, 0) }
	rad, deg := math.Pi/180, 180/math.Pi
	domain("sin(double) double", "Gives the sine of an angle in radians.", math.Sin, bounded, input, "22003")
	domain("cos(double) double", "Gives the cosine of an angle in radians.", math.Cos, bounded, input, "22003")
	domain("tan(double) double", "Gives the tangent of an angle in radians.", math.Tan, bounded, input, "22003")
	domain("cot(double) double", "Gives the cotangent of an angle in radians.", func(x float64) float64 { return 1 / math.Tan(x) }, bounded, input, "22003")
	domain("asin(double) double", "Gives the inverse sine in radians.", math.Asin, unit, input, "22003")
	domain("acos(double) double", "Gives the inverse cosine in radians.", math.Acos, unit, input, "22003")
	domain("atan(double) double", "Gives the inverse tangent in radians.", math.Atan, anything, "", "")
	domain("sinh(double) double", "Gives the hyperbolic sine.", math.Sinh, anything, "", "")
	domain("cosh(double) double", "Gives the hyperbolic cosine.", math.Cosh, anything, "", "")
	domain("tanh(double) double", "Gives the hyperbolic tangent.", math.Tanh, anything, "", "")
	domain("asinh(double) double", "Gives the inverse hyperbolic sine.", math.Asinh, anything, "", "")
	domain("acosh(double) double", "Gives the inverse hyperbolic cosine.", math.Acosh, func(x float64) bool { return !(x < 1) }, input, "22003")
	domain("atanh(double) double", "Gives the inverse hyperbolic tangent.", math.Atanh, unit, input, "22003")
	domain("sind(double) double", "Gives the sine of an angle in degrees.", func(x float64) float64 { return exactDegrees(math.Sin(math.Mod(x, 360) * rad)) }, finite, input, "22003")
	domain("cosd(double) double", "Gives the cosine of an angle in degrees.", func(x float64) float64 { return exactDegrees(math.Cos(math.Mod(x, 360) * rad)) }, finite, input, "22003")
	domain("tand(double) double", "Gives the tangent of an angle in degrees.", func(x float64) float64 { return exactDegrees(math.Tan(math.Mod(x, 180) * rad)) }, finite, input, "22003")
	domain("asind(double) double", "Gives the inverse sine in degrees.", func(x float64) float64 { return exactDegrees(math.Asin(x) * deg) }, unit, input, "22003")
	domain("acosd(double) double", "Gives the inverse cosine in degrees.", func(x float64) float64 { return exactDegrees(math.Acos(x) * deg) }, unit, input, "22003")
	domain("atand(double) double", "Gives the inverse tangent in degrees.", func(x float64) float64 { return exactDegrees(math.Atan(x) * deg) }, anything, "", "")
	domain("degrees(double) double", "Turns radians into degrees.", func(x float64) float64 { return x / (math.Pi / 180) }, anything, "", "")
	domain("radians(double) double", "Turns degrees into radians.", func(x float64) float64 { return x * (math.Pi / 180) }, anything, "", "")
	s.def("atan2(double, double) double", "Gives the angle of a point, in radians, from its y and x.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewDouble(math.Atan2(a[0].Float(), a[1].Float())), nil
	})
	s.def("pi() double", "Gives the ratio of a circle's circumference to its diameter.", func(*Context, []sqltype.Value) (sqltype.Value, error) { return sqltype.NewDouble(math.Pi), nil })
	s.def("power(double, double) double; pow(double, double) double", "Raises a number to a power.", power)
	o := section{"arithmetic", Operator}
	o.def("^(double, double) double", "Raises a number to a power.", power)
	o.def("|/(double) double", "Gives the square root.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if a[0].Float() < 0 {
			return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "cannot take square root of a negative number").WithState("2201F")
		}
		return sqltype.NewDouble(math.Sqrt(a[0].Float())), nil
	})
	o.def("||/(double) double", "Gives the cube root.", float1(sqltype.Double, math.Cbrt))
	s.def("sqrt(decimal) decimal", "Gives the square root.", sqrtDecimal)
	decimalMath(s, o)
	s.def("random() double", "Gives a random number from 0 to below 1.", func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		if ctx != nil && ctx.Rand != nil {
			return sqltype.NewDouble(ctx.Rand.Float64()), nil
		}
		return sqltype.NewDouble(rand.Float64()), nil
	}, volatile)
	s.def("random(int, int) int; random(bigint, bigint) bigint", "Gives a random whole number between two, both included.", randomBetween, volatile)
	s.def("width_bucket(double, double, double, int) int", "Gives the number of the bucket, of equal ones between two bounds, into which a number falls.", widthBucket)
	s.def("width_bucket(anyelement, anyarray) int", "Gives the number of the bucket, of those that an array's ascending bounds make, into which a value falls.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n := 0
		for _, b := range a[1].List() {
			if b.IsNull() {
				return sqltype.Value{}, dberr.New(dberr.TypeMismatch, "thresholds array must not contain NULLs").WithState("22004")
			}
			if sqltype.Compare(a[0], b) >= 0 {
				n++
			}
		}
		return integer(n), nil
	})
	s.def("nanvl(double, double) double", "Gives the first number, or the second where the first is NaN.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if math.IsNaN(a[0].Float()) {
			return a[1], nil
		}
		return a[0], nil
	})
	s.def("isnan(double) boolean", "Tells whether a number is NaN.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(math.IsNaN(a[0].Float())), nil
	})
	s.def("iszero(double) boolean", "Tells whether a number is zero.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(a[0].Float() == 0), nil
	})
	c := section{"conditional", Scalar}
	c.def("greatest(variadic anyelement) anyelement", "Gives the largest of the values that are not NULL.", extreme(1), lenient)
	c.def("least(variadic anyelement) anyelement", "Gives the smallest of the values that are not NULL.", extreme(-1), lenient)
	c.def("num_nulls(variadic any) int", "Counts the arguments that are NULL.", countNulls(true), lenient)
	c.def("num_nonnulls(variadic any) int", "Counts the arguments that are not NULL.", countNulls(false), lenient)
	c.def("nvl2(any, anyelement, anyelement) anyelement", "Gives the second value where the first is not NULL, else the third.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if a[0].IsNull() {
			return a[2], nil
		}
		return a[1], nil
	}, lenient)
}

// float checks a result against overflow.
func float(r float64, infiniteIn bool) (sqltype.Value, error) {
	if math.IsInf(r, 0) && !infiniteIn {
		return sqltype.Value{}, floatOverflow()
	}
	return sqltype.NewDouble(r), nil
}

// exactDegrees rounds away the error that degrees get on their way through
// radians: sind(30) is 0.5.
func exactDegrees(x float64) float64 {
	if r := math.Round(x*1e12) / 1e12; math.Abs(r-x) <= 5e-16*max(math.Abs(x), 1) {
		return r
	}
	return x
}

func gcd(k sqltype.Kind, a, b int64) (sqltype.Value, error) {
	for b != 0 {
		if b == -1 {
			a, b = 1, 0
			break
		}
		a, b = b, a%b
	}
	if lo, _ := k.IntRange(); a == lo {
		return sqltype.Value{}, OutOfRange(k)
	}
	return sqltype.NewInt(k, max(a, -a)), nil
}

// decimalGCD is Euclid's algorithm; the result has the larger scale of the two.
func decimalGCD(a, b decimal.Decimal) (decimal.Decimal, error) {
	scale := max(a.Scale(), b.Scale())
	a, b = a.Abs(), b.Abs()
	for b.Sign() != 0 {
		rest, err := a.Rem(b)
		if err != nil {
			return a, decimalErr(err)
		}
		a, b = b, rest
	}
	out, err := a.Rescale(scale)
	if err != nil {
		return out, decimalErr(err)
	}
	return out, nil
}

func decimalLCM(a, b decimal.Decimal) (decimal.Decimal, error) {
	scale := max(a.Scale(), b.Scale())
	if a.Sign() == 0 || b.Sign() == 0 {
		return decimal.New(0, scale), nil
	}
	g, err := decimalGCD(a, b)
	if err != nil {
		return g, err
	}
	// The quotient is whole: g divides a.
	q, err := a.Quo(g)
	if err == nil {
		q, err = q.Rescale(0)
	}
	if err == nil {
		q, err = q.Mul(b)
	}
	if err == nil {
		q, err = q.Abs().Rescale(scale)
	}
	if err != nil {
		return q, decimalErr(err)
	}
	return q, nil
}

func decimal2(f func(a, b decimal.Decimal) (decimal.Decimal, error)) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		d, err := f(a[0].Decimal(), a[1].Decimal())
		if err != nil {
			return sqltype.Value{}, err
		}
		return sqltype.NewDecimal(d), nil
	}
}

func decimal1(f func(decimal.Decimal) (decimal.Decimal, error)) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		d, err := f(a[0].Decimal())
		if err != nil {
			return sqltype.Value{}, decimalErr(err)
		}
		return sqltype.NewDecimal(d), nil
	}
}

// toward rounds to a whole number, up (1) or down (-1).
func toward(d decimal.Decimal, dir int) (decimal.Decimal, error) {
	t, err := d.Trunc(0)
	if err != nil {
		return t, err
	}
	if c := d.Cmp(t); c == dir {
		return t.Add(decimal.New(int64(dir), 0))
	}
	return t, nil
}

// scaled rounds to a number of digits, which may be negative.
func scaled(f func(decimal.Decimal, int32) (decimal.Decimal, error)) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n := int32(min(max(a[1].Int(), -decimal.MaxDigits-1), decimal.MaxScale))
		d, err := f(a[0].Decimal(), n)
		if err == nil && n < 0 {
			d, err = d.Rescale(0)
		}
		if err != nil {
			return sqltype.Value{}, decimalErr(err)
		}
		return sqltype.NewDecimal(d), nil
	}
}

func roundFloat(f func(float64) float64) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		x, n := a[0].Float(), a[1].Int()
		if math.IsNaN(x) || math.IsInf(x, 0) || n > 300 {
			return a[0], nil
		}
		if n < -308 {
			return sqltype.NewDouble(0), nil
		}
		p := math.Pow10(int(max(n, -n)))
		r := f(x*p) / p
		if n < 0 {
			r = f(x/p) * p
		}
		if math.IsInf(r, 0) || math.IsNaN(r) {
			r = x
		}
		return sqltype.NewDouble(r), nil
	}
}

func factorial(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	n := a[0].Int()
	if n < 0 {
		return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "factorial of a negative number is undefined")
	}
	if n > 33 {
		return sqltype.Value{}, OutOfRange(sqltype.Decimal)
	}
	d, err := decimal.FromBig(new(big.Int).MulRange(1, n), 0)
	return sqltype.NewDecimal(d), decimalErr(err)
}

func power(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	x, y := a[0].Float(), a[1].Float()
	switch {
	case math.IsNaN(y):
		// 1 to any power is 1.
	case x == 0 && y < 0:
		return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "zero raised to a negative power is undefined").WithState("2201F")
	case x < 0 && !math.IsInf(x, 0) && !math.IsInf(y, 0) && y != math.Trunc(y):
		return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "a negative number raised to a non-integer power yields a complex result").WithState("2201F")
	}
	r := math.Pow(x, y)
	if r == 0 && x != 0 && !inf(x, y) {
		return sqltype.Value{}, floatUnderflow()
	}
	return float(r, inf(x, y))
}

func sqrtDecimal(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	d := a[0].Decimal()
	if d.Sign() < 0 {
		return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "cannot take square root of a negative number").WithState("2201F")
	}
	// 16 significant digits, counted in groups of four as in PostgreSQL, and
	// as many behind the point as the argument has.
	weight := d.Digits() - int(d.Scale())
	if d.Sign() == 0 {
		weight = 0
	} else if weight > 0 {
		weight = (weight - 1) / 4
	} else {
		weight = -1 - -weight/4
	}
	scale := min(max(int32(15-weight*2), d.Scale(), 0), decimal.MaxScale-1)
	n := d.Big()
	// sqrt(n / 10^s) · 10^(scale+1) = sqrt(n · 10^(2·(scale+1) - s)).
	exp := 2*(scale+1) - d.Scale()
	p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exp, -exp))), nil)
	if exp >= 0 {
		n.Mul(n, p)
	} else {
		n.Quo(n, p)
	}
	r, err := decimal.FromBig(n.Sqrt(n), scale+1)
	if err == nil {
		r, err = r.Rescale(scale)
	}
	return sqltype.NewDecimal(r), decimalErr(err)
}

func randomBetween(ctx *Context, a []sqltype.Value) (sqltype.Value, error) {
	lo, hi := a[0].Int(), a[1].Int()
	if lo > hi {
		return sqltype.Value{}, invalidArg("lower bound must be less than or equal to upper bound")
	}
	var u uint64
	span := uint64(hi) - uint64(lo) + 1
	switch {
	case ctx != nil && ctx.Rand != nil && span != 0:
		u = ctx.Rand.Uint64N(span)
	case span != 0:
		u = rand.Uint64N(span)
	default:
		u = rand.Uint64()
	}
	return sqltype.NewInt(a[0].Kind(), int64(uint64(lo)+u)), nil
}

func widthBucket(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	x, lo, hi, n := a[0].Float(), a[1].Float(), a[2].Float(), a[3].Int()
	switch {
	case n <= 0:
		return sqltype.Value{}, invalidArg("count must be greater than zero")
	case math.IsNaN(x) || math.IsNaN(lo) || math.IsNaN(hi):
		return sqltype.Value{}, invalidArg("operand, lower bound, and upper bound cannot be NaN")
	case math.IsInf(lo, 0) || math.IsInf(hi, 0):
		return sqltype.Value{}, invalidArg("lower and upper bounds must be finite")
	case lo == hi:
		return sqltype.Value{}, invalidArg("lower bound cannot equal upper bound")
	}
	if lo > hi {
		x, lo, hi = -x, -lo, -hi
	}
	switch {
	case x < lo:
		return integer(0), nil
	case x >= hi:
		if n == math.MaxInt32 {
			return sqltype.Value{}, OutOfRange(sqltype.Integer)
		}
		return integer(int(n) + 1), nil
	}
	return integer(int(min(int64((x-lo)/(hi-lo)*float64(n)), n-1)) + 1), nil
}

func extreme(sign int) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		best := sqltype.NullOf(a[0].Kind())
		for _, v := range a {
			if !v.IsNull() && (best.IsNull() || sqltype.Compare(v, best)*sign > 0) {
				best = v
			}
		}
		return best, nil
	}
}

func countNulls(null bool) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n := 0
		for _, v := range a {
			if v.IsNull() == null {
				n++
			}
		}
		return integer(n), nil
	}
}
