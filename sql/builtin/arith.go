package builtin

import (
	"math"
	"math/bits"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

func init() {
	arithmetic := section{"arithmetic", Operator}
	for _, k := range []sqltype.Kind{sqltype.SmallInt, sqltype.Integer, sqltype.BigInt} {
		n := k.String()
		two := "(" + n + ", " + n + ") " + n
		arithmetic.def("+"+two, "Adds two numbers.", intOp(k, addInt), kernel(intKernel(k, addInts)))
		arithmetic.def("-"+two, "Subtracts the second number from the first.", intOp(k, subInt), kernel(intKernel(k, subInts)))
		arithmetic.def("*"+two, "Multiplies two numbers.", intOp(k, mulInt), kernel(intKernel(k, mulInts)))
		arithmetic.def("/"+two, "Divides, for integers cutting the fraction off.", intDiv(k), kernel(intDivKernel(k)))
		arithmetic.def("%"+two, "Gives the remainder of a division, with the sign of the dividend.", intMod(k), kernel(intModKernel))
		arithmetic.def("-("+n+") "+n, "Negates a number.", negInt(k))
		arithmetic.def("+("+n+") "+n, "Gives the number itself.", same)
		arithmetic.def("@("+n+") "+n, "Gives the absolute value.", absInt(k))
		bit := section{"bits", Operator}
		bit.def("&"+two, "Combines the bits of two integers by AND.", bitOp(k, func(a, b int64) int64 { return a & b }))
		bit.def("|"+two, "Combines the bits of two integers by OR.", bitOp(k, func(a, b int64) int64 { return a | b }))
		bit.def("#"+two, "Combines the bits of two integers by exclusive OR.", bitOp(k, func(a, b int64) int64 { return a ^ b }))
		bit.def("~("+n+") "+n, "Inverts the bits of an integer.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			return sqltype.NewInt(k, ^a[0].Int()), nil
		})
		shift := "(" + n + ", int) " + n
		width := map[sqltype.Kind]int64{sqltype.SmallInt: 31, sqltype.Integer: 31, sqltype.BigInt: 63}[k]
		bit.def("<<"+shift, "Shifts the bits of an integer to the left.", bitOp(k, func(a, b int64) int64 { return a << uint(b&width) }))
		bit.def(">>"+shift, "Shifts the bits of an integer to the right, keeping the sign.", bitOp(k, func(a, b int64) int64 { return a >> uint(b&width) }))
	}
	for _, k := range []sqltype.Kind{sqltype.Float, sqltype.Double} {
		n := k.String()
		floatSigs(arithmetic, "("+n+", "+n+") "+n, k)
		arithmetic.def("-("+n+") "+n, "Negates a number.", float1(k, func(x float64) float64 { return -x }))
		arithmetic.def("+("+n+") "+n, "Gives the number itself.", same)
		arithmetic.def("@("+n+") "+n, "Gives the absolute value.", float1(k, math.Abs))
	}
	floatSigs(arithmetic, "(float, double) double", sqltype.Double)
	floatSigs(arithmetic, "(double, float) double", sqltype.Double)
	arithmetic.def("%(double, double) double", "Gives the remainder of a division, with the sign of the dividend.", floatMod)

	dec := func(op string, doc string, f func(a, b decimal.Decimal) (decimal.Decimal, error), k Kernel) {
		arithmetic.def(op+"(decimal, decimal) decimal", doc, decimalOp(f), kernel(k))
	}
	dec("+", "Adds two numbers.", decimal.Decimal.Add, addDecimals)
	dec("-", "Subtracts the second number from the first.", decimal.Decimal.Sub, subDecimals)
	dec("*", "Multiplies two numbers.", decimal.Decimal.Mul, mulDecimals)
	dec("/", "Divides, with at least 16 significant digits.", decimal.Decimal.Quo, decimalKernel(decimal.Decimal.Quo))
	dec("%", "Gives the remainder of a division, with the sign of the dividend.", decimal.Decimal.Rem, decimalKernel(decimal.Decimal.Rem))
	arithmetic.def("-(decimal) decimal", "Negates a number.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewDecimal(a[0].Decimal().Neg()), nil
	})
	arithmetic.def("+(decimal) decimal", "Gives the number itself.", same)
	arithmetic.def("@(decimal) decimal", "Gives the absolute value.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewDecimal(a[0].Decimal().Abs()), nil
	})
}

func same(_ *Context, a []sqltype.Value) (sqltype.Value, error) { return a[0], nil }

func addInt(a, b int64) (int64, bool) {
	s := a + b
	return s, (a^s)&(b^s) >= 0
}

func subInt(a, b int64) (int64, bool) {
	s := a - b
	return s, (a^b)&(a^s) >= 0
}

func mulInt(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	h := int64(hi)
	if a < 0 {
		h -= b
	}
	if b < 0 {
		h -= a
	}
	p := int64(lo)
	return p, h == p>>63
}

func intOp(k sqltype.Kind, f func(a, b int64) (int64, bool)) Eval {
	lo, hi := k.IntRange()
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n, ok := f(a[0].Int(), a[1].Int())
		if !ok || n < lo || n > hi {
			return sqltype.Value{}, OutOfRange(k)
		}
		return sqltype.NewInt(k, n), nil
	}
}

// stride makes a constant vector's one value stand for every row: index
// i&stride.
func stride(v *vector.Vector) int {
	if v.Const {
		return 0
	}
	return -1
}

// The loops give true when any result overflowed 64 bits; they look once at
// the end instead of branching at every row.

func addInts(a, b *vector.Vector, sel []int32, out []int64) bool {
	x, y, mx, my := a.Ints, b.Ints, stride(a), stride(b)
	bad := int64(0)
	for _, i := range sel {
		p, q := x[int(i)&mx], y[int(i)&my]
		s := p + q
		bad |= (p ^ s) & (q ^ s)
		out[i] = s
	}
	return bad < 0
}

func subInts(a, b *vector.Vector, sel []int32, out []int64) bool {
	x, y, mx, my := a.Ints, b.Ints, stride(a), stride(b)
	bad := int64(0)
	for _, i := range sel {
		p, q := x[int(i)&mx], y[int(i)&my]
		s := p - q
		bad |= (p ^ q) & (p ^ s)
		out[i] = s
	}
	return bad < 0
}

func mulInts(a, b *vector.Vector, sel []int32, out []int64) bool {
	x, y, mx, my := a.Ints, b.Ints, stride(a), stride(b)
	bad := false
	for _, i := range sel {
		p, ok := mulInt(x[int(i)&mx], y[int(i)&my])
		bad = bad || !ok
		out[i] = p
	}
	return bad
}

func intKernel(k sqltype.Kind, loop func(a, b *vector.Vector, sel []int32, out []int64) bool) Kernel {
	lo, hi := k.IntRange()
	return func(_ *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error {
		if loop(args[0], args[1], sel, out.Ints) {
			return OutOfRange(k)
		}
		if k != sqltype.BigInt {
			width, bad := uint64(hi-lo), false
			for _, i := range sel {
				bad = bad || uint64(out.Ints[i]-lo) > width
			}
			if bad {
				return OutOfRange(k)
			}
		}
		return nil
	}
}

func divInt(k sqltype.Kind, a, b int64) (int64, error) {
	switch b {
	case 0:
		return 0, divisionByZero()
	case -1:
		if lo, _ := k.IntRange(); a == lo {
			return 0, OutOfRange(k)
		}
		return -a, nil
	}
	return a / b, nil
}

func intDiv(k sqltype.Kind) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n, err := divInt(k, a[0].Int(), a[1].Int())
		return sqltype.NewInt(k, n), err
	}
}

func intDivKernel(k sqltype.Kind) Kernel {
	return func(_ *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error {
		x, y, mx, my := args[0].Ints, args[1].Ints, stride(args[0]), stride(args[1])
		for _, i := range sel {
			n, err := divInt(k, x[int(i)&mx], y[int(i)&my])
			if err != nil {
				return err
			}
			out.Ints[i] = n
		}
		return nil
	}
}

func modInt(a, b int64) (int64, error) {
	switch b {
	case 0:
		return 0, divisionByZero()
	case -1:
		return 0, nil
	}
	return a % b, nil
}

func intMod(k sqltype.Kind) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n, err := modInt(a[0].Int(), a[1].Int())
		return sqltype.NewInt(k, n), err
	}
}

func intModKernel(_ *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error {
	x, y, mx, my := args[0].Ints, args[1].Ints, stride(args[0]), stride(args[1])
	for _, i := range sel {
		n, err := modInt(x[int(i)&mx], y[int(i)&my])
		if err != nil {
			return err
		}
		out.Ints[i] = n
	}
	return nil
}

func negInt(k sqltype.Kind) Eval {
	lo, _ := k.IntRange()
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if a[0].Int() == lo {
			return sqltype.Value{}, OutOfRange(k)
		}
		return sqltype.NewInt(k, -a[0].Int()), nil
	}
}

func absInt(k sqltype.Kind) Eval {
	neg := negInt(k)
	return func(ctx *Context, a []sqltype.Value) (sqltype.Value, error) {
		if a[0].Int() < 0 {
			return neg(ctx, a)
		}
		return a[0], nil
	}
}

// bitOp computes in 64 bits and cuts to the kind's width.
func bitOp(k sqltype.Kind, f func(a, b int64) int64) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n := f(a[0].Int(), a[1].Int())
		switch k {
		case sqltype.SmallInt:
			n = int64(int16(n))
		case sqltype.Integer:
			n = int64(int32(n))
		}
		return sqltype.NewInt(k, n), nil
	}
}

// finite tells whether x is neither infinite nor NaN.
func finite(x float64) bool { return x-x == 0 }

func floatOverflow() error {
	return dberr.New(dberr.ValueOutOfRange, "value out of range: overflow")
}

func floatUnderflow() error {
	return dberr.New(dberr.ValueOutOfRange, "value out of range: underflow")
}

// floatResult rounds to the kind and refuses results that lost their value.
// zeroOK says that an exact result may be zero.
func floatResult(k sqltype.Kind, r float64, infiniteIn, zeroOK bool) (float64, error) {
	if k == sqltype.Float {
		r = float64(float32(r))
	}
	if math.IsInf(r, 0) && !infiniteIn {
		return r, floatOverflow()
	}
	if r == 0 && !zeroOK {
		return r, floatUnderflow()
	}
	return r, nil
}

type floatFunc func(k sqltype.Kind, a, b float64) (float64, error)

func inf(a, b float64) bool { return math.IsInf(a, 0) || math.IsInf(b, 0) }

func addFloat(k sqltype.Kind, a, b float64) (float64, error) {
	return floatResult(k, a+b, inf(a, b), true)
}

func subFloat(k sqltype.Kind, a, b float64) (float64, error) {
	return floatResult(k, a-b, inf(a, b), true)
}

func mulFloat(k sqltype.Kind, a, b float64) (float64, error) {
	return floatResult(k, a*b, inf(a, b), a == 0 || b == 0)
}

func divFloat(k sqltype.Kind, a, b float64) (float64, error) {
	if b == 0 && !math.IsNaN(a) {
		return 0, divisionByZero()
	}
	return floatResult(k, a/b, math.IsInf(a, 0), a == 0 || math.IsInf(b, 0))
}

func floatSigs(s section, types string, k sqltype.Kind) {
	add := func(op, doc string, f floatFunc) {
		s.def(op+types, doc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			r, err := f(k, a[0].Float(), a[1].Float())
			return sqltype.NewFloat(k, r), err
		}, kernel(func(_ *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error {
			x, y, mx, my := args[0].Floats, args[1].Floats, stride(args[0]), stride(args[1])
			for _, i := range sel {
				r, err := f(k, x[int(i)&mx], y[int(i)&my])
				if err != nil {
					return err
				}
				out.Floats[i] = r
			}
			return nil
		}))
	}
	add("+", "Adds two numbers.", addFloat)
	add("-", "Subtracts the second number from the first.", subFloat)
	add("*", "Multiplies two numbers.", mulFloat)
	add("/", "Divides one number by another.", divFloat)
}

func float1(k sqltype.Kind, f func(float64) float64) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewFloat(k, f(a[0].Float())), nil
	}
}

func floatMod(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	if a[1].Float() == 0 {
		return sqltype.Value{}, divisionByZero()
	}
	return sqltype.NewDouble(math.Mod(a[0].Float(), a[1].Float())), nil
}

func decimalOp(f func(a, b decimal.Decimal) (decimal.Decimal, error)) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		d, err := f(a[0].Decimal(), a[1].Decimal())
		if err != nil {
			return sqltype.Value{}, decimalErr(err)
		}
		return sqltype.NewDecimal(d), nil
	}
}

func decimalKernel(f func(a, b decimal.Decimal) (decimal.Decimal, error)) Kernel {
	return func(_ *Context, args []*vector.Vector, sel []int32, out *vector.Vector) error {
		x, y, mx, my := args[0].Decimals, args[1].Decimals, stride(args[0]), stride(args[1])
		for _, i := range sel {
			d, err := f(x[int(i)&mx], y[int(i)&my])
			if err != nil {
				return decimalErr(err)
			}
			out.Decimals[i] = d
		}
		return nil
	}
}
