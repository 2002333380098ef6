package expr

import (
	"math"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// castKernel converts a vector where that is a loop over numbers, or nothing at
// all. ok is false where it is more.
func castKernel(m *scratch, v *vector.Vector, from, to sqltype.Type, sel []int32, n int) (out *vector.Vector, ok bool, err error) {
	switch {
	case from.Kind.IsInteger() && to.Kind.IsInteger():
		if lo, hi := to.Kind.IntRange(); widens(from.Kind, to.Kind) {
			c := *v
			c.Type = to
			return &c, true, nil
		} else if outOfRange(v, sel, n, lo, hi) {
			return nil, false, nil // the row loop finds the row and its error
		}
		c := *v
		c.Type = to
		return &c, true, nil
	case from.Kind.IsInteger() && to.Kind == sqltype.Double:
		out = m.out(to, n)
		out.Valid = v.Valid
		each(sel, n, func(i int) { out.Floats[i] = float64(v.Ints[i]) })
		return out, true, nil
	case from.Kind == sqltype.Float && to.Kind == sqltype.Double:
		c := *v
		c.Type = to
		return &c, true, nil
	case from.Kind.IsInteger() && to.Kind == sqltype.Decimal && to.Precision == 0:
		out = m.out(to, n)
		out.Valid = v.Valid
		each(sel, n, func(i int) { out.Decimals[i] = decimal.New(v.Ints[i], 0) })
		return out, true, nil
	case from.Kind == sqltype.Date && to.Kind == sqltype.Timestamp:
		const day, last = 86_400_000_000, math.MaxInt64/86_400_000_000 - 1
		if outOfRange(v, sel, n, -last, last) {
			return nil, false, nil // infinity, or an error
		}
		out = m.out(to, n)
		out.Valid = v.Valid
		each(sel, n, func(i int) { out.Ints[i] = v.Ints[i] * day })
		return out, true, nil
	case from.Kind == sqltype.JSON && to.Kind == sqltype.Text && to.Precision == 0:
		c := *v
		c.Type = to
		return &c, true, nil
	}
	return nil, false, nil
}

func widens(from, to sqltype.Kind) bool {
	return from == to || to == sqltype.BigInt || from == sqltype.SmallInt
}

func outOfRange(v *vector.Vector, sel []int32, n int, lo, hi int64) bool {
	bad := false
	each(sel, n, func(i int) {
		if x := v.Ints[i]; (x < lo || x > hi) && !v.IsNull(i) {
			bad = true
		}
	})
	return bad
}
