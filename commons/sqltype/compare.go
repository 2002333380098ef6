package sqltype

import (
	"cmp"
	"hash/maphash"
	"math"
	"strings"
)

// Compare orders two values of one representation as PostgreSQL does: NULL
// after everything, NaN after every number, text by its bytes (the C
// collation), arrays element by element. Numbers of different kinds compare
// by value; values of kinds that have no common order compare by kind.
func Compare(a, b Value) int {
	switch {
	case !a.valid || !b.valid:
		return boolInt(!a.valid) - boolInt(!b.valid)
	case a.kind.IsNumeric() && b.kind.IsNumeric() && a.kind.Physical() != b.kind.Physical():
		return compareNumbers(a, b)
	case a.kind.Physical() != b.kind.Physical():
		return cmp.Compare(a.kind, b.kind)
	}
	switch a.kind.Physical() {
	case PhysBool, PhysInt:
		return cmp.Compare(a.n, b.n)
	case PhysFloat:
		return CompareFloat(a.Float(), b.Float())
	case PhysDecimal:
		return a.Decimal().Cmp(b.Decimal())
	case PhysString:
		return strings.Compare(a.s, b.s)
	case PhysInterval:
		return CompareInterval(a.Interval(), b.Interval())
	case PhysList:
		for i := range min(len(a.list), len(b.list)) {
			if c := Compare(a.list[i], b.list[i]); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(a.list), len(b.list))
	}
	return 0
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func compareNumbers(a, b Value) int {
	if a.kind.Physical() == PhysFloat || b.kind.Physical() == PhysFloat {
		return CompareFloat(a.asFloat(), b.asFloat())
	}
	return a.asDecimal().Cmp(b.asDecimal())
}

// CompareFloat orders floats with NaN equal to itself and after everything
// else, and -0 equal to 0.
func CompareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	return boolInt(math.IsNaN(a)) - boolInt(math.IsNaN(b))
}

const (
	microsPerDay   = 86_400_000_000
	daysPerMonth   = 30
	microsPerMonth = daysPerMonth * microsPerDay
)

// CompareInterval orders intervals by length, with a month of 30 days and a
// day of 24 hours.
func CompareInterval(a, b IntervalValue) int {
	ad, am := a.span()
	bd, bm := b.span()
	if c := cmp.Compare(ad, bd); c != 0 {
		return c
	}
	return cmp.Compare(am, bm)
}

// span is the interval's length as whole days and the microseconds left over,
// which are never negative.
func (iv IntervalValue) span() (days, micros int64) {
	days = int64(iv.Months)*daysPerMonth + int64(iv.Days) + iv.Micros/microsPerDay
	micros = iv.Micros % microsPerDay
	if micros < 0 {
		micros += microsPerDay
		days--
	}
	return days, micros
}

// Equal tells whether two values are not distinct: NULL equals NULL.
func Equal(a, b Value) bool { return Compare(a, b) == 0 }

// Hash adds the value to h so that values that Compare finds equal, hash
// equally, also numbers of different kinds.
func (v Value) Hash(h *maphash.Hash) {
	if !v.valid {
		_ = h.WriteByte(0)
		return
	}
	switch v.kind.Physical() {
	case PhysBool:
		_ = h.WriteByte(byte(1 + v.n))
	case PhysInt:
		if v.kind.IsNumeric() {
			hashNumber(h, float64(v.n))
		} else {
			maphash.WriteComparable(h, v.n)
		}
	case PhysFloat:
		hashNumber(h, v.Float())
	case PhysDecimal:
		hashNumber(h, v.Decimal().Float64())
	case PhysString:
		_ = h.WriteByte(3)
		_, _ = h.WriteString(v.s)
	case PhysInterval:
		d, m := v.Interval().span()
		maphash.WriteComparable(h, d)
		maphash.WriteComparable(h, m)
	case PhysList:
		_ = h.WriteByte(4)
		for _, e := range v.list {
			e.Hash(h)
		}
	}
}

func hashNumber(h *maphash.Hash, f float64) {
	switch {
	case f == 0:
		f = 0 // -0 is 0
	case math.IsNaN(f):
		f = math.NaN()
	}
	maphash.WriteComparable(h, math.Float64bits(f))
}
