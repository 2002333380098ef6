package builtin

import (
	"math"

	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// moments are count, means and sums of squared differences of one or two
// variables, updated one value at a time (Youngs and Cramer) and merged
// exactly as PostgreSQL does.
type moments struct {
	n            float64
	sx, sxx      float64
	sy, syy, sxy float64
}

// add takes a pair in; for one variable y is 0.
func (m *moments) add(x, y float64) error {
	before := *m
	m.n++
	m.sx += x
	m.sy += y
	if before.n > 0 {
		tx, ty := x*m.n-m.sx, y*m.n-m.sy
		scale := 1 / (m.n * before.n)
		m.sxx += tx * tx * scale
		m.syy += ty * ty * scale
		m.sxy += tx * ty * scale
	}
	return m.checked(&before, &moments{sx: x, sy: y})
}

func (m *moments) merge(o *moments) error {
	switch {
	case o.n == 0:
		return nil
	case m.n == 0:
		*m = *o
		return nil
	}
	before := *m
	n := m.n + o.n
	dx, dy := m.sx/m.n-o.sx/o.n, m.sy/m.n-o.sy/o.n
	m.sxx += o.sxx + m.n*o.n*dx*dx/n
	m.syy += o.syy + m.n*o.n*dy*dy/n
	m.sxy += o.sxy + m.n*o.n*dx*dy/n
	m.n, m.sx, m.sy = n, m.sx+o.sx, m.sy+o.sy
	return m.checked(&before, o)
}

// checked refuses sums that became infinite over finite values. Over values
// that are not finite, the sums of squares are NaN.
func (m *moments) checked(a, b *moments) error {
	if finite(m.sx) && finite(m.sxx) && finite(m.sy) && finite(m.syy) && finite(m.sxy) {
		return nil
	}
	ofX, ofY := finite(a.sx) && finite(b.sx), finite(a.sy) && finite(b.sy)
	switch inf := func(v float64) bool { return math.IsInf(v, 0) }; {
	case ofX && (inf(m.sx) || inf(m.sxx)), ofY && (inf(m.sy) || inf(m.syy)), ofX && ofY && inf(m.sxy):
		return floatOverflow()
	}
	if !ofX {
		m.sxx, m.sxy = math.NaN(), math.NaN()
	}
	if !ofY {
		m.syy, m.sxy = math.NaN(), math.NaN()
	}
	return nil
}

// statistic registers an aggregate over moments; ok is false where the result
// is NULL.
func statistic(signatures, doc string, pair bool, f func(m *moments) (v float64, ok bool)) {
	aggregate(signatures, doc, func(spec AggSpec) AggState {
		return &rowAgg[moments]{
			strict: true,
			add: func(g *moments, a []sqltype.Value) error {
				if pair {
					// The first argument is y, the second x.
					return g.add(numberFloat(a[1]), numberFloat(a[0]))
				}
				return g.add(numberFloat(a[0]), 0)
			},
			merge: (*moments).merge,
			result: func(g *moments) (sqltype.Value, error) {
				v, ok := f(g)
				if !ok {
					return sqltype.NullOf(spec.Result.Kind), nil
				}
				if spec.Result.Kind == sqltype.BigInt {
					return sqltype.NewBigInt(int64(v)), nil
				}
				return sqltype.NewDouble(v), nil
			},
		}
	})
}

func init() {
	one := func(names []string, doc string, ofSample, ofRoot bool, f func(m *moments) (float64, bool)) {
		for _, n := range names {
			statistic(n+"(float) double; "+n+"(double) double", doc, false, f)
			exactStatistic(n, doc, ofSample, ofRoot)
		}
	}
	sample := func(m *moments) (float64, bool) { return m.sxx / (m.n - 1), m.n > 1 }
	population := func(m *moments) (float64, bool) { return m.sxx / m.n, m.n > 0 }
	root := func(f func(m *moments) (float64, bool)) func(m *moments) (float64, bool) {
		return func(m *moments) (float64, bool) {
			v, ok := f(m)
			return math.Sqrt(v), ok
		}
	}
	one([]string{"stddev", "stddev_samp"}, "Gives the standard deviation of a sample.", true, true, root(sample))
	one([]string{"stddev_pop"}, "Gives the standard deviation of a whole population.", false, true, root(population))
	one([]string{"variance", "var_samp"}, "Gives the variance of a sample.", true, false, sample)
	one([]string{"var_pop"}, "Gives the variance of a whole population.", false, false, population)

	two := func(name, doc string, f func(m *moments) (float64, bool)) {
		statistic(name+"(double, double) double", doc, true, f)
	}
	two("corr", "Gives the correlation coefficient of pairs (y, x).", func(m *moments) (float64, bool) {
		return m.sxy / math.Sqrt(m.sxx*m.syy), m.n > 0 && m.sxx != 0 && m.syy != 0
	})
	two("covar_pop", "Gives the covariance of a whole population of pairs.", func(m *moments) (float64, bool) { return m.sxy / m.n, m.n > 0 })
	two("covar_samp", "Gives the covariance of a sample of pairs.", func(m *moments) (float64, bool) { return m.sxy / (m.n - 1), m.n > 1 })
	two("regr_avgx", "Gives the mean of x over pairs (y, x).", func(m *moments) (float64, bool) { return m.sx / m.n, m.n > 0 })
	two("regr_avgy", "Gives the mean of y over pairs (y, x).", func(m *moments) (float64, bool) { return m.sy / m.n, m.n > 0 })
	two("regr_sxx", "Gives the sum of squared differences of x over pairs (y, x).", func(m *moments) (float64, bool) { return m.sxx, m.n > 0 })
	two("regr_syy", "Gives the sum of squared differences of y over pairs (y, x).", func(m *moments) (float64, bool) { return m.syy, m.n > 0 })
	two("regr_sxy", "Gives the sum of products of the differences over pairs (y, x).", func(m *moments) (float64, bool) { return m.sxy, m.n > 0 })
	two("regr_slope", "Gives the slope of the line that fits pairs (y, x) best.", func(m *moments) (float64, bool) { return m.sxy / m.sxx, m.n > 0 && m.sxx != 0 })
	two("regr_intercept", "Gives where the line that fits pairs (y, x) best crosses the y axis.", func(m *moments) (float64, bool) {
		return (m.sy - m.sx*m.sxy/m.sxx) / m.n, m.n > 0 && m.sxx != 0
	})
	two("regr_r2", "Gives the square of the correlation coefficient of pairs (y, x).", func(m *moments) (float64, bool) {
		if m.syy == 0 {
			return 1, m.n > 0 && m.sxx != 0
		}
		return m.sxy * m.sxy / (m.sxx * m.syy), m.n > 0 && m.sxx != 0
	})
	statistic("regr_count(double, double) bigint", "Counts the pairs without NULL.", true, func(m *moments) (float64, bool) { return m.n, true })
}
