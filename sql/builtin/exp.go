package builtin

import "math"

// exp is e to the power of x, rounded correctly but for the rarest cases, as C
// libraries do. Go's own may be off by one in the last digit, which shows
// where a value is multiplied afterwards.
//
// x is k·ln 2 + r, and e^r a Taylor series; its first terms are sums of two
// floating point numbers each, which hold 106 bits.
func exp(x float64) float64 {
	if math.IsNaN(x) || x < -708 || x > 709 {
		return math.Exp(x) // an infinity, a zero, or close to the ends
	}
	// The upper part of ln 2 has so few bits that its product with k is exact.
	const ln2Hi, ln2Lo = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	const exact, terms = 12, 25
	k := math.Round(x / math.Ln2)
	p := k * ln2Lo
	r := twoSum(x-k*ln2Hi, -p)
	r.lo -= math.FMA(k, ln2Lo, -p)
	rest := 1.0
	for n := float64(terms); n > exact; n-- {
		rest = 1 + r.hi/n*rest
	}
	s := twoFloats{hi: rest}
	for n := float64(exact); n >= 1; n-- {
		s = r.times(s).over(n).plusOne()
	}
	return math.Ldexp(s.hi, int(k))
}

// twoFloats is the sum of two numbers, of which the second is at most half a
// unit of the last place of the first.
type twoFloats struct{ hi, lo float64 }

func twoSum(a, b float64) twoFloats {
	s := a + b
	c := s - a
	return twoFloats{s, a - (s - c) + (b - c)}
}

func (a twoFloats) times(b twoFloats) twoFloats {
	p := a.hi * b.hi
	return twoSum(p, math.FMA(a.hi, b.hi, -p)+(a.hi*b.lo+a.lo*b.hi))
}

func (a twoFloats) over(n float64) twoFloats {
	q := a.hi / n
	return twoSum(q, (math.FMA(-q, n, a.hi)+a.lo)/n)
}

func (a twoFloats) plusOne() twoFloats {
	s := twoSum(1, a.hi)
	return twoSum(s.hi, s.lo+a.lo)
}
