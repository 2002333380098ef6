package vector

import (
	"unsafe"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// BatchSize is how many rows a batch usually holds; no operator makes larger
// ones.
const BatchSize = 2048

// Vector is a column of values of one type. Exactly one of the slices is in
// use, chosen by Type.Physical(); a value at a NULL position is arbitrary but
// there.
//
// A constant vector (Const) holds one value in position 0 that stands for
// every row. Kernels look at it through Index.
type Vector struct {
	Type  sqltype.Type
	Const bool
	// Valid has a set bit for each value that is not NULL; nil: none is NULL.
	Valid Bitmap

	Bools     []bool
	Ints      []int64
	Floats    []float64
	Decimals  []decimal.Decimal
	Intervals []sqltype.IntervalValue
	Lists     [][]sqltype.Value

	// Offsets has one more entry than there are values; value i of a
	// PhysString vector is Data[Offsets[i]:Offsets[i+1]].
	Offsets []int32
	Data    []byte

	n int
}

// New makes a vector of n values of the type, all valid and zero. A string
// vector's Offsets are all zero; fill it with a Builder instead.
func New(t sqltype.Type, n int) *Vector {
	v := &Vector{Type: t, n: n}
	switch t.Physical() {
	case sqltype.PhysBool:
		v.Bools = make([]bool, n)
	case sqltype.PhysInt:
		v.Ints = make([]int64, n)
	case sqltype.PhysFloat:
		v.Floats = make([]float64, n)
	case sqltype.PhysDecimal:
		v.Decimals = make([]decimal.Decimal, n)
	case sqltype.PhysInterval:
		v.Intervals = make([]sqltype.IntervalValue, n)
	case sqltype.PhysList:
		v.Lists = make([][]sqltype.Value, n)
	case sqltype.PhysString:
		v.Offsets = make([]int32, n+1)
	case sqltype.PhysNone:
		v.Valid = NewBitmap(n)
	}
	return v
}

// NewConst makes a constant vector that stands for n equal values.
func NewConst(t sqltype.Type, val sqltype.Value, n int) *Vector {
	b := NewBuilder(t, 1)
	b.Append(val)
	v := b.v // Finish would begin another one
	v.Const, v.n = true, n
	return v
}

// NewNulls makes a constant vector of n NULLs.
func NewNulls(t sqltype.Type, n int) *Vector { return NewConst(t, sqltype.Null(), n) }

// FromInts makes a PhysInt vector over the slice, which it takes over.
func FromInts(t sqltype.Type, ints []int64, valid Bitmap) *Vector {
	return &Vector{Type: t, Ints: ints, Valid: valid, n: len(ints)}
}

// FromFloats makes a PhysFloat vector over the slice, which it takes over.
func FromFloats(t sqltype.Type, floats []float64, valid Bitmap) *Vector {
	return &Vector{Type: t, Floats: floats, Valid: valid, n: len(floats)}
}

// FromBools makes a BOOLEAN vector over the slice, which it takes over.
func FromBools(bools []bool, valid Bitmap) *Vector {
	return &Vector{Type: sqltype.TBoolean, Bools: bools, Valid: valid, n: len(bools)}
}

// FromStrings makes a PhysString vector over offsets and data, which it takes
// over. len(offsets) is the number of values plus one.
func FromStrings(t sqltype.Type, offsets []int32, data []byte, valid Bitmap) *Vector {
	return &Vector{Type: t, Offsets: offsets, Data: data, Valid: valid, n: len(offsets) - 1}
}

// Len is how many values the vector stands for.
func (v *Vector) Len() int { return v.n }

// SetLen changes how many values a constant vector stands for.
func (v *Vector) SetLen(n int) {
	if !v.Const {
		panic("vector: SetLen on a vector that is not constant")
	}
	v.n = n
}

// Index is where row i's value lies: i, or 0 in a constant vector.
func (v *Vector) Index(i int) int {
	if v.Const {
		return 0
	}
	return i
}

// IsNull tells whether row i is NULL.
func (v *Vector) IsNull(i int) bool { return v.Valid != nil && !v.Valid.Get(v.Index(i)) }

// HasNulls tells whether any value may be NULL; it may be wrong on the safe
// side.
func (v *Vector) HasNulls() bool { return v.Valid != nil }

// SetNull marks position i (not row: see Index) as NULL.
func (v *Vector) SetNull(i int) {
	if v.Valid == nil {
		n := v.n
		if v.Const {
			n = 1
		}
		v.Valid = NewBitmap(n)
		v.Valid.SetAll(n)
	}
	v.Valid.Clear(i)
}

// Str is position i's bytes as a string that shares the vector's memory.
func (v *Vector) Str(i int) string {
	b := v.Data[v.Offsets[i]:v.Offsets[i+1]]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Value is row i as a single value. A string shares the vector's memory.
func (v *Vector) Value(i int) sqltype.Value {
	i = v.Index(i)
	if v.Valid != nil && !v.Valid.Get(i) {
		return sqltype.NullOf(v.Type.Kind)
	}
	switch v.Type.Physical() {
	case sqltype.PhysBool:
		return sqltype.NewBool(v.Bools[i])
	case sqltype.PhysInt:
		return sqltype.NewInt(v.Type.Kind, v.Ints[i])
	case sqltype.PhysFloat:
		return sqltype.NewFloat(v.Type.Kind, v.Floats[i])
	case sqltype.PhysDecimal:
		return sqltype.NewDecimal(v.Decimals[i])
	case sqltype.PhysString:
		return sqltype.NewString(v.Type.Kind, v.Str(i))
	case sqltype.PhysInterval:
		return sqltype.NewInterval(v.Intervals[i])
	case sqltype.PhysList:
		if v.Type.Kind == sqltype.Record {
			return sqltype.NewRecord(v.Lists[i])
		}
		return sqltype.NewArray(v.Lists[i])
	}
	return sqltype.NullOf(v.Type.Kind)
}

// Slice is rows from to to (exclusive), sharing memory where the validity's
// words allow it.
func (v *Vector) Slice(from, to int) *Vector {
	s := *v
	s.n = to - from
	if v.Const {
		return &s
	}
	if v.Valid != nil {
		if from&63 == 0 {
			s.Valid = v.Valid[from>>6 : (to+63)>>6]
		} else {
			s.Valid = NewBitmap(s.n)
			for i := range s.n {
				if v.Valid.Get(from + i) {
					s.Valid.Set(i)
				}
			}
		}
	}
	switch v.Type.Physical() {
	case sqltype.PhysBool:
		s.Bools = v.Bools[from:to]
	case sqltype.PhysInt:
		s.Ints = v.Ints[from:to]
	case sqltype.PhysFloat:
		s.Floats = v.Floats[from:to]
	case sqltype.PhysDecimal:
		s.Decimals = v.Decimals[from:to]
	case sqltype.PhysInterval:
		s.Intervals = v.Intervals[from:to]
	case sqltype.PhysList:
		s.Lists = v.Lists[from:to]
	case sqltype.PhysString:
		s.Offsets = v.Offsets[from : to+1]
	}
	return &s
}

// Gather copies the rows that sel names, in its order, into a new vector that
// shares no memory with v. A constant vector stays constant.
func (v *Vector) Gather(sel []int32) *Vector {
	if v.Const {
		c := *v
		c.n = len(sel)
		return &c
	}
	out := &Vector{Type: v.Type, n: len(sel)}
	if v.Valid != nil {
		out.Valid = NewBitmap(len(sel))
		for i, s := range sel {
			if v.Valid.Get(int(s)) {
				out.Valid.Set(i)
			}
		}
	}
	switch v.Type.Physical() {
	case sqltype.PhysBool:
		out.Bools = gather(v.Bools, sel)
	case sqltype.PhysInt:
		out.Ints = gather(v.Ints, sel)
	case sqltype.PhysFloat:
		out.Floats = gather(v.Floats, sel)
	case sqltype.PhysDecimal:
		out.Decimals = gather(v.Decimals, sel)
	case sqltype.PhysInterval:
		out.Intervals = gather(v.Intervals, sel)
	case sqltype.PhysList:
		out.Lists = gather(v.Lists, sel)
	case sqltype.PhysString:
		size := 0
		for _, s := range sel {
			size += int(v.Offsets[s+1] - v.Offsets[s])
		}
		out.Offsets = make([]int32, len(sel)+1)
		out.Data = make([]byte, 0, size)
		for i, s := range sel {
			out.Data = append(out.Data, v.Data[v.Offsets[s]:v.Offsets[s+1]]...)
			out.Offsets[i+1] = int32(len(out.Data))
		}
	}
	return out
}

func gather[T any](src []T, sel []int32) []T {
	out := make([]T, len(sel))
	for i, s := range sel {
		out[i] = src[s]
	}
	return out
}

// Size is about how many bytes of memory the vector holds.
func (v *Vector) Size() int {
	n := 8*len(v.Valid) + len(v.Bools) + 8*len(v.Ints) + 8*len(v.Floats) + 24*len(v.Decimals) +
		16*len(v.Intervals) + 4*len(v.Offsets) + len(v.Data)
	for _, l := range v.Lists {
		n += 24
		for _, e := range l {
			n += e.Size()
		}
	}
	return n
}
