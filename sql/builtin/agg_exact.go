package builtin

import (
	"math/big"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// exactMoments are count, sum and sum of squares of decimals, exact: what
// PostgreSQL computes variances of integers and numerics from.
type exactMoments struct {
	n       int64
	sum, sq *big.Int
	// scale is that of sum; sq has twice as many digits behind the point.
	scale int32
}

func (m *exactMoments) add(d decimal.Decimal) {
	x := d.Big()
	if m.n == 0 {
		m.sum, m.sq, m.scale = new(big.Int), new(big.Int), d.Scale()
	}
	m.widen(d.Scale())
	if k := m.scale - d.Scale(); k > 0 {
		x.Mul(x, pow10(k))
	}
	m.n++
	m.sum.Add(m.sum, x)
	m.sq.Add(m.sq, x.Mul(x, x))
}

// widen makes room for more digits behind the point.
func (m *exactMoments) widen(scale int32) {
	if scale <= m.scale {
		return
	}
	m.sum.Mul(m.sum, pow10(scale-m.scale))
	m.sq.Mul(m.sq, pow10(2*(scale-m.scale)))
	m.scale = scale
}

func (m *exactMoments) merge(o *exactMoments) {
	switch {
	case o.n == 0:
		return
	case m.n == 0:
		*m = *o
		return
	}
	m.widen(o.scale)
	k := m.scale - o.scale
	m.n += o.n
	m.sum.Add(m.sum, new(big.Int).Mul(o.sum, pow10(k)))
	m.sq.Add(m.sq, new(big.Int).Mul(o.sq, pow10(2*k)))
}

func pow10(n int32) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// result is the variance or its root with as many digits as PostgreSQL gives,
// or as fit. ok is false where it is NULL.
func (m *exactMoments) result(sample, root bool) (d decimal.Decimal, ok bool, err error) {
	if m.n == 0 || sample && m.n == 1 {
		return d, false, nil
	}
	// (n Σx² - (Σx)²) / n(n-1), or / n².
	n := big.NewInt(m.n)
	num := new(big.Int).Mul(n, m.sq)
	num.Sub(num, new(big.Int).Mul(m.sum, m.sum))
	if num.Sign() <= 0 {
		return decimal.New(0, 0), true, nil
	}
	den := new(big.Int).Mul(n, n)
	if sample {
		den.Sub(den, n)
	}
	scale := quotientScale(num, 2*m.scale, den)
	q := divRound(num.Mul(num, pow10(scale-2*m.scale)), den)
	if root {
		q.Mul(q, pow10(scale))
		r := new(big.Int).Sqrt(q)
		if q.Sub(q, new(big.Int).Mul(r, r)).Cmp(r) > 0 {
			r.Add(r, big.NewInt(1))
		}
		q = r
	}
	if over := int32(len(q.String())) - sqltype.MaxDecimalPrecision; over > 0 && over <= scale {
		q, scale = divRound(q, pow10(over)), scale-over
	}
	if over := scale - decimal.MaxScale; over > 0 {
		q, scale = divRound(q, pow10(over)), scale-over
	}
	d, err = decimal.FromBig(q, scale)
	return d, true, err
}

// divRound divides a number that is not negative, rounding halves up.
func divRound(num, den *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(num, den, new(big.Int))
	if r.Lsh(r, 1).Cmp(den) >= 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}

// quotientScale is how many digits behind the point PostgreSQL gives a
// quotient: sixteen significant ones, counted in its digits of base 10000.
func quotientScale(num *big.Int, scale int32, den *big.Int) int32 {
	w1, f1 := leading(num, scale)
	w2, f2 := leading(den, 0)
	w := w1 - w2
	if f1 <= f2 {
		w--
	}
	return max(16-4*w, scale, 0)
}

// leading is the place of a number's first digit of base 10000, 0 for the
// units, and that digit.
func leading(n *big.Int, scale int32) (weight, first int32) {
	s := n.String()
	e := int32(len(s)) - scale - 1
	weight = e / 4
	if e < 0 && e%4 != 0 {
		weight--
	}
	for i := range int(e - 4*weight + 1) {
		first *= 10
		if i < len(s) {
			first += int32(s[i] - '0')
		}
	}
	return weight, first
}

// exactStatistic registers a variance or standard deviation of the types that
// have an exact one.
func exactStatistic(name, doc string, sample, root bool) {
	sig := name + "(smallint) decimal; " + name + "(int) decimal; " + name + "(bigint) decimal; " + name + "(decimal) decimal"
	aggregate(sig, doc, func(AggSpec) AggState {
		return &rowAgg[exactMoments]{
			strict: true,
			add: func(g *exactMoments, a []sqltype.Value) error {
				d, err := toDecimal(a[0])
				if err == nil {
					g.add(d)
				}
				return err
			},
			merge: func(into, from *exactMoments) error {
				into.merge(from)
				return nil
			},
			result: func(g *exactMoments) (sqltype.Value, error) {
				d, ok, err := g.result(sample, root)
				switch {
				case err != nil:
					return sqltype.Value{}, decimalErr(err)
				case !ok:
					return sqltype.NullOf(sqltype.Decimal), nil
				}
				return sqltype.NewDecimal(d), nil
			},
		}
	})
}
