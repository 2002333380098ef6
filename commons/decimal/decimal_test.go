package decimal_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/kalamdb/kalamdb/commons/decimal"
)

func parse(t testing.TB, s string) decimal.Decimal {
	t.Helper()
	d, err := decimal.Parse(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return d
}

func TestParse(t *testing.T) {
	tests := []struct {
		in, want string
		err      error
	}{
		{"0", "0", nil}, {"-0", "0", nil}, {"+1.50", "1.50", nil}, {".5", "0.5", nil}, {"5.", "5", nil},
		{"1e3", "1000", nil}, {"1.5e-3", "0.0015", nil}, {"1E+2", "100", nil}, {"-12.345e1", "-123.45", nil},
		{"99999999999999999999999999999999999999", "99999999999999999999999999999999999999", nil},
		{"-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", nil},
		{"0.00000000000000000000000000000000000001", "0.00000000000000000000000000000000000001", nil},
		{"0.000000000000000000000000000000000000014", "0.00000000000000000000000000000000000001", nil},
		{"1.23456789012345678901234567890123456789", "1.2345678901234567890123456789012345679", nil},
		{"9.99999999999999999999999999999999999999", "10.000000000000000000000000000000000000", nil},
		{"0e999999", "0", nil}, {"1e-99999", "0.00000000000000000000000000000000000000", nil},
		{"18446744073709551616", "18446744073709551616", nil}, {"-9223372036854775808", "-9223372036854775808", nil},
		{"100000000000000000000000000000000000000", "", decimal.ErrRange}, {"1e38", "", decimal.ErrRange}, {"1e99999999", "", decimal.ErrRange},
		{"", "", decimal.ErrSyntax}, {".", "", decimal.ErrSyntax}, {"-", "", decimal.ErrSyntax}, {"1.2.3", "", decimal.ErrSyntax},
		{"1e", "", decimal.ErrSyntax}, {"abc", "", decimal.ErrSyntax}, {"1 2", "", decimal.ErrSyntax}, {"NaN", "", decimal.ErrSyntax},
		{"1_000", "", decimal.ErrSyntax}, {"0x10", "", decimal.ErrSyntax}, {"1e1_0", "", decimal.ErrSyntax}, {"--1", "", decimal.ErrSyntax},
	}
	for _, tt := range tests {
		d, err := decimal.Parse(tt.in)
		if !errors.Is(err, tt.err) || err == nil && d.String() != tt.want {
			t.Errorf("%q: %s, %v; want %s, %v", tt.in, d, err, tt.want, tt.err)
		}
	}
}

// TestArithmetic has PostgreSQL's results.
func TestArithmetic(t *testing.T) {
	type op = func(a, b decimal.Decimal) (decimal.Decimal, error)
	add, sub, mul, quo, rem := op(decimal.Decimal.Add), op(decimal.Decimal.Sub), op(decimal.Decimal.Mul), op(decimal.Decimal.Quo), op(decimal.Decimal.Rem)
	tests := []struct {
		op         op
		a, b, want string
	}{
		{add, "1.5", "2.25", "3.75"}, {add, "9223372036854775807", "1", "9223372036854775808"},
		{add, "-9223372036854775808", "-1", "-9223372036854775809"}, {add, "0.1", "0.2", "0.3"},
		{add, "99999999999999999999999999999999999998", "1", "99999999999999999999999999999999999999"},
		{add, "99999999999999999999999999999999999999", "1", "ERR"}, {add, "1", "-1.00", "0.00"},
		{sub, "-1.01428571428571428571", "2432902008176640000", "-2432902008176640001.0142857142857142857"},
		{add, "9999999999999999999999999999999999999.9", "9.9", "10000000000000000000000000000000000010"},
		{add, "99999999999999999999999999999999999999", "0.5", "ERR"}, {add, "99999999999999999999999999999999999999", "0.4", "99999999999999999999999999999999999999"},
		{sub, "1", "0.001", "0.999"}, {sub, "-99999999999999999999999999999999999999", "1", "ERR"},
		{mul, "1.5", "-2.25", "-3.375"}, {mul, "9223372036854775807", "9223372036854775807", "85070591730234615847396907784232501249"},
		{mul, "-9223372036854775808", "1", "-9223372036854775808"}, {mul, "0.00", "5", "0.00"},
		{mul, "99999999999999999999", "99999999999999999999", "ERR"},
		{quo, "1", "3", "0.33333333333333333333"}, {quo, "10", "3", "3.3333333333333333"}, {quo, "2", "3.000", "0.66666666666666666667"},
		{quo, "100000", "7", "14285.714285714286"}, {quo, "0.0001", "7", "0.000014285714285714285714"},
		{quo, "-1", "3", "-0.33333333333333333333"}, {quo, "1", "1", "1.00000000000000000000"}, {quo, "6", "2", "3.0000000000000000"},
		{quo, "0", "5", "0.00000000000000000000"}, {quo, "1", "0", "ERR"}, {quo, "1", "0.00", "ERR"},
		{quo, "12345678901234567890", "0.001", "12345678901234567890000.000"},
		{rem, "5.5", "2", "1.5"}, {rem, "-5.5", "2", "-1.5"}, {rem, "5", "0.3", "0.2"}, {rem, "5", "0", "ERR"}, {rem, "5", "-3", "2"},
	}
	for _, tt := range tests {
		got, err := tt.op(parse(t, tt.a), parse(t, tt.b))
		s := got.String()
		if err != nil {
			s = "ERR"
		}
		if s != tt.want {
			t.Errorf("%s, %s: got %s (%v), want %s", tt.a, tt.b, s, err, tt.want)
		}
	}
}

func TestRescaleAndTrunc(t *testing.T) {
	tests := []struct {
		in           string
		scale        int32
		round, trunc string
	}{
		{"2.5", 0, "3", "2"}, {"-2.5", 0, "-3", "-2"}, {"2.45", 1, "2.5", "2.4"}, {"1234.5", -2, "12", "12"}, {"1", 3, "1.000", "1.000"},
		{"0.5", 0, "1", "0"}, {"-0.4", 0, "0", "0"}, {"99999999999999999999.5", 0, "100000000000000000000", "99999999999999999999"},
		{"9223372036854775807.5", 0, "9223372036854775808", "9223372036854775807"}, {"1", 38, "ERR", "ERR"}, {"123", -40, "0", "0"},
	}
	for _, tt := range tests {
		show := func(d decimal.Decimal, err error) string {
			if err != nil {
				return "ERR"
			}
			// A negative scale is shown by its coefficient here.
			if d.Scale() < 0 {
				return d.Big().String()
			}
			return d.String()
		}
		if got := show(parse(t, tt.in).Rescale(tt.scale)); got != tt.round {
			t.Errorf("round %s to %d: %s, want %s", tt.in, tt.scale, got, tt.round)
		}
		if got := show(parse(t, tt.in).Trunc(tt.scale)); got != tt.trunc {
			t.Errorf("trunc %s to %d: %s, want %s", tt.in, tt.scale, got, tt.trunc)
		}
	}
}

func TestConversions(t *testing.T) {
	for in, want := range map[string]int64{"2.5": 3, "-2.5": -3, "0.49": 0, "9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63} {
		if n, ok := parse(t, in).Int64(); !ok || n != want {
			t.Errorf("%s: %d, %v", in, n, ok)
		}
	}
	for _, in := range []string{"9223372036854775808", "9223372036854775807.5", "-9223372036854775809"} {
		if n, ok := parse(t, in).Int64(); ok {
			t.Errorf("%s fits an int64: %d", in, n)
		}
	}
	for in, want := range map[string]float64{"0.1": 0.1, "-12.345": -12.345, "12345678901234567890": 12345678901234567890, "0": 0} {
		if f := parse(t, in).Float64(); f != want {
			t.Errorf("%s: %v", in, f)
		}
	}
	if d, err := decimal.FromFloat64(0.1, 15); err != nil || d.String() != "0.1" {
		t.Errorf("0.1: %s, %v", d, err)
	}
	if d := parse(t, "1.500").Trim(); d.String() != "1.5" {
		t.Errorf("trim: %s", d)
	}
	if d := parse(t, "100000000000000000000000.000").Trim(); d.String() != "100000000000000000000000" {
		t.Errorf("trim: %s", d)
	}
}

// rat is the number as a fraction.
func rat(d decimal.Decimal) *big.Rat {
	p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.Scale())), nil)
	return new(big.Rat).SetFrac(d.Big(), p)
}

func randomDecimal(r *rand.Rand) decimal.Decimal {
	digits := 1 + r.IntN(decimal.MaxDigits)
	if r.IntN(2) == 0 {
		digits = 1 + r.IntN(18) // the short ways
	}
	b := new(big.Int)
	for range digits {
		b.Mul(b, big.NewInt(10)).Add(b, big.NewInt(int64(r.IntN(10))))
	}
	if r.IntN(2) == 0 {
		b.Neg(b)
	}
	d, err := decimal.FromBig(b, int32(min(r.IntN(digits+2), decimal.MaxScale)))
	if err != nil {
		panic(err)
	}
	return d
}

// TestAgainstFractions holds the arithmetic to exact fractions.
func TestAgainstFractions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 40_000 {
		a, b := randomDecimal(r), randomDecimal(r)
		if got, want := a.Cmp(b), rat(a).Cmp(rat(b)); got != want {
			t.Fatalf("%s cmp %s: %d, want %d", a, b, got, want)
		}
		if rat(a.Neg()).Cmp(new(big.Rat).Neg(rat(a))) != 0 || rat(a.Abs()).Sign() < 0 {
			t.Fatalf("-%s is %s", a, a.Neg())
		}
		if s, err := a.Add(b); err == nil {
			diff := new(big.Rat).Sub(rat(s), new(big.Rat).Add(rat(a), rat(b)))
			if exact := s.Scale() == max(a.Scale(), b.Scale()); exact && diff.Sign() != 0 || diff.Abs(diff).Cmp(halfUnit(s)) > 0 {
				t.Fatalf("%s + %s = %s", a, b, s)
			}
		}
		if p, err := a.Mul(b); err == nil {
			// Digits may be rounded away behind the point.
			diff := new(big.Rat).Sub(rat(p), new(big.Rat).Mul(rat(a), rat(b)))
			if diff.Abs(diff).Cmp(halfUnit(p)) > 0 {
				t.Fatalf("%s * %s = %s", a, b, p)
			}
		}
		if b.Sign() != 0 {
			if q, err := a.Quo(b); err == nil {
				diff := new(big.Rat).Sub(rat(q), new(big.Rat).Quo(rat(a), rat(b)))
				// Rounded once to the scale, and once more when 38 digits do not hold it.
				if diff.Abs(diff).Cmp(new(big.Rat).Mul(halfUnit(q), big.NewRat(11, 10))) > 0 {
					t.Fatalf("%s / %s = %s", a, b, q)
				}
			}
			if m, err := a.Rem(b); err == nil {
				if m.Abs().Cmp(b.Abs()) >= 0 || m.Sign()*a.Sign() < 0 {
					t.Fatalf("%s %% %s = %s", a, b, m)
				}
			}
		}
		if back := parse(t, a.String()); back.Cmp(a) != 0 || back.Scale() != a.Scale() {
			t.Fatalf("%s reads back as %s", a, back)
		}
		if hi, lo := a.Parts(); decimal.FromParts(hi, lo, a.Scale()).Cmp(a) != 0 {
			t.Fatalf("%s is not its parts", a)
		}
	}
}

func halfUnit(d decimal.Decimal) *big.Rat {
	p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.Scale())), nil)
	return new(big.Rat).SetFrac(big.NewInt(1), p.Mul(p, big.NewInt(2)))
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1.5", "-0", "1e10", ".5e-3", "99999999999999999999999999999999999999", "1e-40"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := decimal.Parse(s)
		if err != nil {
			return
		}
		back, err := decimal.Parse(d.String())
		if err != nil || back.Cmp(d) != 0 || back.Scale() != d.Scale() {
			t.Fatalf("%q is %s and reads back as %s, %v", s, d, back, err)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	x, y := decimal.New(123456, 2), decimal.New(789, 2)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Add(y); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMul(b *testing.B) {
	x, y := decimal.New(123456, 2), decimal.New(789, 2)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Mul(y); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkQuo(b *testing.B) {
	x, y := decimal.New(123456, 2), decimal.New(7, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Quo(y); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCmp(b *testing.B) {
	x, y := decimal.New(123456, 2), decimal.New(12345, 1)
	b.ReportAllocs()
	for b.Loop() {
		if x.Cmp(y) != 1 {
			b.Fatal("order")
		}
	}
}
