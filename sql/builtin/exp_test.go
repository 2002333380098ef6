package builtin

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// bigExp is e^x to 300 bits, by its series.
func bigExp(x float64) float64 {
	const bits = 300
	r := new(big.Float).SetPrec(bits).SetFloat64(x)
	r.SetMantExp(r, -20)
	sum, term := big.NewFloat(1).SetPrec(bits), big.NewFloat(1).SetPrec(bits)
	for n := int64(1); n < 60; n++ {
		term.Mul(term, r)
		term.Quo(term, new(big.Float).SetPrec(bits).SetInt64(n))
		sum.Add(sum, term)
	}
	for range 20 {
		sum.Mul(sum, sum)
	}
	out, _ := sum.Float64()
	return out
}

func TestExpIsRoundedCorrectly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	xs := []float64{0, 1, -1, 2.25, -3.75, 37.5, 100, -8, 0.0625, 1e-300, 708.9, -707.9, 0.5}
	for range 2000 {
		xs = append(xs, (r.Float64()-0.5)*math.Pow(10, float64(r.IntN(7)-3)))
	}
	for _, x := range xs {
		if x < -708 || x > 709 {
			continue
		}
		if got, want := exp(x), bigExp(x); got != want {
			t.Errorf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	for x, want := range map[float64]float64{1e9: math.Inf(1), -1e9: 0, math.Inf(1): math.Inf(1), math.Inf(-1): 0} {
		if got := exp(x); got != want {
			t.Errorf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	if !math.IsNaN(exp(math.NaN())) {
		t.Error("exp(NaN) is a number")
	}
}
