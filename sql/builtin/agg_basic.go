package builtin

import (
	"math"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

func init() {
	aggregate("count() bigint; count(any) bigint", "Counts the rows, or those whose argument is not NULL.",
		func(s AggSpec) AggState { return &countAgg{star: len(s.Args) == 0} })
	aggregate("sum(smallint) bigint; sum(int) bigint", "Adds up the values that are not NULL.",
		func(AggSpec) AggState { return &intSumAgg{kind: sqltype.BigInt} })
	aggregate("sum(bigint) decimal", "Adds up the values that are not NULL.",
		func(AggSpec) AggState { return &wideSumAgg{} })
	aggregate("avg(smallint) decimal; avg(int) decimal; avg(bigint) decimal", "Gives the mean of the values that are not NULL.",
		func(AggSpec) AggState { return &wideSumAgg{avg: true} })
	aggregate("sum(decimal) decimal", "Adds up the values that are not NULL.", func(AggSpec) AggState { return decimalSum(false) })
	aggregate("avg(decimal) decimal", "Gives the mean of the values that are not NULL.", func(AggSpec) AggState { return decimalSum(true) })
	aggregate("sum(float) float; sum(double) double", "Adds up the values that are not NULL.",
		func(s AggSpec) AggState { return &floatSumAgg{kind: s.Result.Kind} })
	aggregate("avg(float) double; avg(double) double", "Gives the mean of the values that are not NULL.",
		func(AggSpec) AggState { return &floatSumAgg{kind: sqltype.Double, avg: true} })
	aggregate("sum(interval) interval", "Adds up the values that are not NULL.", func(AggSpec) AggState { return intervalSum(false) })
	aggregate("avg(interval) interval", "Gives the mean of the values that are not NULL.", func(AggSpec) AggState { return intervalSum(true) })
	aggregate("min(anyelement) anyelement", "Gives the smallest value that is not NULL.", func(s AggSpec) AggState { return newExtreme(s, -1) })
	aggregate("max(anyelement) anyelement", "Gives the largest value that is not NULL.", func(s AggSpec) AggState { return newExtreme(s, 1) })
	aggregate("bool_and(boolean) boolean; every(boolean) boolean", "Tells whether all values that are not NULL are true.",
		func(AggSpec) AggState {
			return foldAgg(func(a, b sqltype.Value) sqltype.Value { return sqltype.NewBool(a.Bool() && b.Bool()) })
		})
	aggregate("bool_or(boolean) boolean", "Tells whether any value is true.",
		func(AggSpec) AggState {
			return foldAgg(func(a, b sqltype.Value) sqltype.Value { return sqltype.NewBool(a.Bool() || b.Bool()) })
		})
	for _, t := range []string{"smallint", "int", "bigint"} {
		sig := "(" + t + ") " + t
		aggregate("bit_and"+sig, "Combines the bits of all values by AND.", func(AggSpec) AggState { return bitAgg(func(a, b int64) int64 { return a & b }) })
		aggregate("bit_or"+sig, "Combines the bits of all values by OR.", func(AggSpec) AggState { return bitAgg(func(a, b int64) int64 { return a | b }) })
		aggregate("bit_xor"+sig, "Combines the bits of all values by exclusive OR.", func(AggSpec) AggState { return bitAgg(func(a, b int64) int64 { return a ^ b }) })
	}
	first := "Gives the value of the first row, in the call's ORDER BY."
	last := "Gives the value of the last row, in the call's ORDER BY."
	aggregate("any_value(anyelement) anyelement", "Gives the value of any row in which it is not NULL.",
		func(AggSpec) AggState { return foldAgg(func(a, _ sqltype.Value) sqltype.Value { return a }) })
	aggregate("first_value(anyelement) anyelement", first, func(AggSpec) AggState { return edgeAgg(false) })
	aggregate("last_value(anyelement) anyelement", last, func(AggSpec) AggState { return edgeAgg(true) })
}

// countAgg is count(*) and count(x).
type countAgg struct {
	star bool
	n    []int64
}

func (a *countAgg) Grow(n int) { a.n = grown(a.n, n) }

func (a *countAgg) Add(_ *Context, args []*vector.Vector, sel []int32, n int, groups []int32) error {
	rows := n
	if sel != nil {
		rows = len(sel)
	}
	if a.star || args[0].Valid == nil {
		if groups == nil {
			a.n[0] += int64(rows)
			return nil
		}
		for _, g := range groups[:rows] {
			a.n[g]++
		}
		return nil
	}
	eachValid(args[0], sel, n, groups, func(_, g int) { a.n[g]++ })
	return nil
}

// firstRows are the positions 0, 1, 2, … It is shared and not changed.
var firstRows = func() []int32 {
	s := make([]int32, vector.BatchSize)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}()

// plain gives the positions of the selected rows when every one has a value
// that is not NULL, of its own, and a group: what the loops of the common case
// are made for.
func plain(v *vector.Vector, sel []int32, n int, groups []int32) (rows []int32, ok bool) {
	if groups == nil || v.Valid != nil || v.Const {
		return nil, false
	}
	if sel == nil {
		if n > len(firstRows) {
			return nil, false
		}
		sel = firstRows[:n]
	}
	return sel[:len(groups)], true
}

// eachValid calls f with the position and the group of each selected row whose
// value is not NULL.
func eachValid(v *vector.Vector, sel []int32, n int, groups []int32, f func(p, g int)) {
	rows := n
	if sel != nil {
		rows = len(sel)
	}
	for k := range rows {
		i := k
		if sel != nil {
			i = int(sel[k])
		}
		p := v.Index(i)
		if v.Valid != nil && !v.Valid.Get(p) {
			continue
		}
		g := 0
		if groups != nil {
			g = int(groups[k])
		}
		f(p, g)
	}
}

func (a *countAgg) Merge(other AggState, groups []int32) error {
	for i, n := range other.(*countAgg).n {
		a.n[groups[i]] += n
	}
	return nil
}

func (a *countAgg) Result(g int) (sqltype.Value, error) { return sqltype.NewBigInt(a.n[g]), nil }
func (a *countAgg) Size() int                           { return 8 * cap(a.n) }

// intSumAgg is sum of SMALLINT and INT: a BIGINT.
type intSumAgg struct {
	kind sqltype.Kind
	sum  []int64
	any  []bool
}

func (a *intSumAgg) Grow(n int) { a.sum, a.any = grown(a.sum, n), grown(a.any, n) }

func (a *intSumAgg) Add(_ *Context, args []*vector.Vector, sel []int32, n int, groups []int32) error {
	v := args[0]
	bad := int64(0)
	if groups == nil && v.Valid == nil && !v.Const {
		s, x := a.sum[0], v.Ints
		if sel == nil {
			for _, e := range x[:n] {
				t := s + e
				bad |= (s ^ t) & (e ^ t)
				s = t
			}
			a.any[0] = a.any[0] || n > 0
		} else {
			for _, i := range sel {
				e := x[i]
				t := s + e
				bad |= (s ^ t) & (e ^ t)
				s = t
			}
			a.any[0] = a.any[0] || len(sel) > 0
		}
		a.sum[0] = s
	} else if rows, ok := plain(v, sel, n, groups); ok {
		for k, g := range groups {
			s, e := a.sum[g], v.Ints[rows[k]]
			t := s + e
			bad |= (s ^ t) & (e ^ t)
			a.sum[g], a.any[g] = t, true
		}
	} else {
		eachValid(v, sel, n, groups, func(p, g int) {
			s, e := a.sum[g], v.Ints[p]
			t := s + e
			bad |= (s ^ t) & (e ^ t)
			a.sum[g], a.any[g] = t, true
		})
	}
	if bad < 0 {
		return OutOfRange(sqltype.BigInt)
	}
	return nil
}

func (a *intSumAgg) Merge(other AggState, groups []int32) error {
	o := other.(*intSumAgg)
	for i, n := range o.sum {
		g := groups[i]
		s, ok := addInt(a.sum[g], n)
		if !ok {
			return OutOfRange(sqltype.BigInt)
		}
		a.sum[g], a.any[g] = s, a.any[g] || o.any[i]
	}
	return nil
}

func (a *intSumAgg) Result(g int) (sqltype.Value, error) {
	if !a.any[g] {
		return sqltype.NullOf(a.kind), nil
	}
	return sqltype.NewInt(a.kind, a.sum[g]), nil
}

func (a *intSumAgg) Size() int { return 9 * cap(a.sum) }

// wideSumAgg is sum of BIGINT and avg of integers: a 128-bit sum, which cannot
// overflow, and a count.
type wideSumAgg struct {
	avg bool
	hi  []int64
	lo  []uint64
	n   []int64
}

func (a *wideSumAgg) Grow(n int) {
	a.hi, a.lo, a.n = grown(a.hi, n), grown(a.lo, n), grown(a.n, n)
}

func (a *wideSumAgg) add(g int, x int64) {
	lo := a.lo[g] + uint64(x)
	carry := int64(0)
	if lo < uint64(x) {
		carry = 1
	}
	a.lo[g] = lo
	a.hi[g] += x>>63 + carry
	a.n[g]++
}

func (a *wideSumAgg) Add(_ *Context, args []*vector.Vector, sel []int32, n int, groups []int32) error {
	v := args[0]
	if groups == nil && v.Valid == nil && !v.Const {
		a.addAll(v.Ints, sel, n)
		return nil
	}
	if rows, ok := plain(v, sel, n, groups); ok {
		for k, g := range groups {
			a.add(int(g), v.Ints[rows[k]])
		}
		return nil
	}
	eachValid(v, sel, n, groups, func(p, g int) { a.add(g, v.Ints[p]) })
	return nil
}

// addAll sums into group 0: low and high halves of the values apart, so that
// neither sum overflows and the loop has no branches.
func (a *wideSumAgg) addAll(x []int64, sel []int32, n int) {
	const half = 1 << 32
	var low, high int64
	if sel == nil {
		for _, e := range x[:n] {
			low += e & (half - 1)
			high += e >> 32
		}
		a.n[0] += int64(n)
	} else {
		for _, i := range sel {
			e := x[i]
			low += e & (half - 1)
			high += e >> 32
		}
		a.n[0] += int64(len(sel))
	}
	a.add(0, low)
	a.n[0]--
	a.addShifted(high)
}

// addShifted adds x·2^32 to group 0.
func (a *wideSumAgg) addShifted(x int64) {
	lo := uint64(x) << 32
	sum := a.lo[0] + lo
	carry := int64(0)
	if sum < lo {
		carry = 1
	}
	a.lo[0] = sum
	a.hi[0] += x>>32 + carry
}

func (a *wideSumAgg) Merge(other AggState, groups []int32) error {
	o := other.(*wideSumAgg)
	for i := range o.n {
		g := groups[i]
		lo := a.lo[g] + o.lo[i]
		carry := int64(0)
		if lo < o.lo[i] {
			carry = 1
		}
		a.lo[g] = lo
		a.hi[g] += o.hi[i] + carry
		a.n[g] += o.n[i]
	}
	return nil
}

func (a *wideSumAgg) Result(g int) (sqltype.Value, error) {
	if a.n[g] == 0 {
		return sqltype.NullOf(sqltype.Decimal), nil
	}
	sum := decimal.FromParts(a.hi[g], a.lo[g], 0)
	if !a.avg {
		return sqltype.NewDecimal(sum), nil
	}
	q, err := sum.Quo(decimal.New(a.n[g], 0))
	return sqltype.NewDecimal(q), decimalErr(err)
}

func (a *wideSumAgg) Size() int { return 24 * cap(a.n) }

// floatSumAgg is sum and avg of floats. Finite values whose sum is not finite
// are an overflow.
type floatSumAgg struct {
	kind sqltype.Kind
	avg  bool
	sum  []float64
	n    []int64
	// overflown says that it came to that in some group.
	overflown bool
}

func (a *floatSumAgg) Grow(n int) { a.sum, a.n = grown(a.sum, n), grown(a.n, n) }

func (a *floatSumAgg) Add(_ *Context, args []*vector.Vector, sel []int32, n int, groups []int32) error {
	v := args[0]
	if groups == nil && v.Valid == nil && !v.Const && a.addAll(v.Floats, sel, n) {
		return nil
	}
	if rows, ok := plain(v, sel, n, groups); ok {
		for k, g := range groups {
			a.add(int(g), v.Floats[rows[k]], 1)
		}
	} else {
		eachValid(v, sel, n, groups, func(p, g int) { a.add(g, v.Floats[p], 1) })
	}
	return a.check()
}

// addAll sums into group 0, unless that becomes something else than a finite
// number: add then finds out why.
func (a *floatSumAgg) addAll(x []float64, sel []int32, n int) bool {
	s := a.sum[0]
	if sel == nil {
		for _, e := range x[:n] {
			s += e
		}
	} else {
		for _, i := range sel {
			s += x[i]
		}
		n = len(sel)
	}
	if !finite(s) {
		return false
	}
	a.sum[0] = s
	a.n[0] += int64(n)
	return true
}

// add adds the sum of n values to a group.
func (a *floatSumAgg) add(g int, x float64, n int64) {
	s := a.sum[g] + x
	if !finite(s) && finite(x) && finite(a.sum[g]) {
		a.overflown = true
	}
	a.sum[g] = s
	a.n[g] += n
}

func (a *floatSumAgg) check() error {
	if a.overflown {
		return floatOverflow()
	}
	return nil
}

func (a *floatSumAgg) Merge(other AggState, groups []int32) error {
	o := other.(*floatSumAgg)
	for i, n := range o.n {
		a.add(int(groups[i]), o.sum[i], n)
	}
	return a.check()
}

func (a *floatSumAgg) Result(g int) (sqltype.Value, error) {
	if a.n[g] == 0 {
		return sqltype.NullOf(a.kind), nil
	}
	r := a.sum[g]
	if a.avg {
		r /= float64(a.n[g])
	}
	if a.kind == sqltype.Float && math.IsInf(float64(float32(r)), 0) && !math.IsInf(r, 0) {
		return sqltype.Value{}, floatOverflow()
	}
	return sqltype.NewFloat(a.kind, r), nil
}

func (a *floatSumAgg) Size() int { return 16 * cap(a.n) }

// decimalSumAgg is sum and avg of DECIMAL. The scale of a sum is the largest
// that came.
type decimalSumAgg struct {
	avg bool
	sum []decimal.Decimal
	n   []int64
}

func decimalSum(avg bool) AggState { return &decimalSumAgg{avg: avg} }

func (a *decimalSumAgg) Grow(n int) { a.sum, a.n = grown(a.sum, n), grown(a.n, n) }

func (a *decimalSumAgg) Add(_ *Context, args []*vector.Vector, sel []int32, n int, groups []int32) error {
	v := args[0]
	rows := n
	if sel != nil {
		rows = len(sel)
	}
	for k := range rows {
		i := k
		if sel != nil {
			i = int(sel[k])
		}
		p := v.Index(i)
		if v.Valid != nil && !v.Valid.Get(p) {
			continue
		}
		g := 0
		if groups != nil {
			g = int(groups[k])
		}
		a.n[g]++
		if d, ok := addShort(a.sum[g], v.Decimals[p]); ok {
			a.sum[g] = d
			continue
		}
		d, err := a.sum[g].Add(v.Decimals[p])
		if err != nil {
			return decimalErr(err)
		}
		a.sum[g] = d
	}
	return nil
}

func (a *decimalSumAgg) Merge(other AggState, groups []int32) error {
	o := other.(*decimalSumAgg)
	for i := range o.n {
		g := groups[i]
		d, err := a.sum[g].Add(o.sum[i])
		if err != nil {
			return decimalErr(err)
		}
		a.sum[g] = d
		a.n[g] += o.n[i]
	}
	return nil
}

func (a *decimalSumAgg) Result(g int) (sqltype.Value, error) {
	switch {
	case a.n[g] == 0:
		return sqltype.NullOf(sqltype.Decimal), nil
	case !a.avg:
		return sqltype.NewDecimal(a.sum[g]), nil
	}
	q, err := a.sum[g].Quo(decimal.New(a.n[g], 0))
	return sqltype.NewDecimal(q), decimalErr(err)
}

func (a *decimalSumAgg) Size() int { return 32 * cap(a.n) }

type intervalGroup struct {
	sum sqltype.IntervalValue
	n   int64
}

func intervalSum(avg bool) AggState {
	add := func(g *intervalGroup, iv sqltype.IntervalValue, n int64) error {
		v, err := sumIntervals(g.sum, iv)
		g.sum = v.Interval()
		g.n += n
		return err
	}
	return &rowAgg[intervalGroup]{
		strict: true,
		add:    func(g *intervalGroup, args []sqltype.Value) error { return add(g, args[0].Interval(), 1) },
		merge:  func(into, from *intervalGroup) error { return add(into, from.sum, from.n) },
		result: func(g *intervalGroup) (sqltype.Value, error) {
			switch {
			case g.n == 0:
				return sqltype.NullOf(sqltype.Interval), nil
			case avg:
				return divideInterval(g.sum, float64(g.n))
			}
			return sqltype.NewInterval(g.sum), nil
		},
	}
}

// newExtreme is min (sign -1) and max (sign 1).
func newExtreme(spec AggSpec, sign int) AggState {
	if len(spec.Args) == 1 && spec.Args[0].Physical() == sqltype.PhysInt {
		return &intExtremeAgg{kind: spec.Args[0].Kind, sign: sign}
	}
	// Of equal values that are written differently (1.0 and 1.00) the last one
	// is kept, as in PostgreSQL.
	last := 1
	if len(spec.Args) == 1 && spec.Args[0].Physical() != sqltype.PhysString {
		last = 0
	}
	return foldAgg(func(a, b sqltype.Value) sqltype.Value {
		if sqltype.Compare(b, a)*sign >= last {
			return b.Clone()
		}
		return a
	})
}

// intExtremeAgg is min and max of what is held as integers.
type intExtremeAgg struct {
	kind sqltype.Kind
	sign int
	best []int64
	any  []bool
}

func (a *intExtremeAgg) Grow(n int) { a.best, a.any = grown(a.best, n), grown(a.any, n) }

func (a *intExtremeAgg) take(g int, x int64) {
	if !a.any[g] || (x < a.best[g]) == (a.sign < 0) && x != a.best[g] {
		a.best[g], a.any[g] = x, true
	}
}

func (a *intExtremeAgg) Add(_ *Context, args []*vector.Vector, sel []int32, n int, groups []int32) error {
	v := args[0]
	if groups == nil && v.Valid == nil && !v.Const {
		a.takeAll(v.Ints, sel, n)
		return nil
	}
	if rows, ok := plain(v, sel, n, groups); ok {
		for k, g := range groups {
			a.take(int(g), v.Ints[rows[k]])
		}
		return nil
	}
	eachValid(v, sel, n, groups, func(p, g int) { a.take(g, v.Ints[p]) })
	return nil
}

// takeAll takes the selected values into group 0. The loops have no branches
// but their own.
func (a *intExtremeAgg) takeAll(x []int64, sel []int32, n int) {
	if sel != nil {
		n = len(sel)
	}
	if n == 0 {
		return
	}
	first := 0
	if sel != nil {
		first = int(sel[0])
	}
	best := x[first]
	switch {
	case sel == nil && a.sign < 0:
		for _, e := range x[:n] {
			best = min(best, e)
		}
	case sel == nil:
		for _, e := range x[:n] {
			best = max(best, e)
		}
	case a.sign < 0:
		for _, i := range sel {
			best = min(best, x[i])
		}
	default:
		for _, i := range sel {
			best = max(best, x[i])
		}
	}
	a.take(0, best)
}

func (a *intExtremeAgg) Merge(other AggState, groups []int32) error {
	o := other.(*intExtremeAgg)
	for i, ok := range o.any {
		if ok {
			a.take(int(groups[i]), o.best[i])
		}
	}
	return nil
}

func (a *intExtremeAgg) Result(g int) (sqltype.Value, error) {
	if !a.any[g] {
		return sqltype.NullOf(a.kind), nil
	}
	return sqltype.NewInt(a.kind, a.best[g]), nil
}

func (a *intExtremeAgg) Size() int { return 9 * cap(a.best) }

// foldAgg keeps one value a group and folds further ones that are not NULL
// into it. What f returns is kept: a text of its second argument is cloned.
func foldAgg(f func(a, b sqltype.Value) sqltype.Value) AggState {
	take := func(g *sqltype.Value, v sqltype.Value) {
		if g.IsNull() {
			*g = v.Clone()
			return
		}
		*g = f(*g, v)
	}
	return &rowAgg[sqltype.Value]{
		strict: true,
		add: func(g *sqltype.Value, args []sqltype.Value) error {
			take(g, args[0])
			return nil
		},
		merge: func(into, from *sqltype.Value) error {
			if !from.IsNull() {
				take(into, *from)
			}
			return nil
		},
		result: func(g *sqltype.Value) (sqltype.Value, error) { return *g, nil },
		size:   func(g *sqltype.Value) int { return g.Size() },
	}
}

func bitAgg(f func(a, b int64) int64) AggState {
	return foldAgg(func(a, b sqltype.Value) sqltype.Value { return sqltype.NewInt(a.Kind(), f(a.Int(), b.Int())) })
}

type edgeGroup struct {
	seen bool
	v    sqltype.Value
}

// edgeAgg is the first or the last row's value, NULL or not.
func edgeAgg(last bool) AggState {
	return &rowAgg[edgeGroup]{
		add: func(g *edgeGroup, args []sqltype.Value) error {
			if last || !g.seen {
				g.seen, g.v = true, args[0].Clone()
			}
			return nil
		},
		merge: func(into, from *edgeGroup) error {
			if from.seen && (last || !into.seen) {
				*into = *from
			}
			return nil
		},
		result: func(g *edgeGroup) (sqltype.Value, error) { return g.v, nil },
		size:   func(g *edgeGroup) int { return g.v.Size() },
	}
}
