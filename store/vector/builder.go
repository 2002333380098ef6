package vector

import (
	"math"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// MaxStringBytes is how many bytes of text one vector may hold, because its
// offsets have 32 bits. Builders that may come near it ask Full.
const MaxStringBytes = math.MaxInt32

// Builder collects values into a vector. The zero Builder is not usable; a
// Builder may be used again after Finish.
type Builder struct {
	v    *Vector
	phys sqltype.Physical
	hint int
}

// NewBuilder makes a Builder for about n values of the type.
func NewBuilder(t sqltype.Type, n int) *Builder {
	b := &Builder{phys: t.Physical(), hint: n}
	b.start(t, n)
	return b
}

// start begins a vector with room for n values.
func (b *Builder) start(t sqltype.Type, n int) {
	v := &Vector{Type: t}
	switch b.phys {
	case sqltype.PhysBool:
		v.Bools = make([]bool, 0, n)
	case sqltype.PhysInt:
		v.Ints = make([]int64, 0, n)
	case sqltype.PhysFloat:
		v.Floats = make([]float64, 0, n)
	case sqltype.PhysDecimal:
		v.Decimals = make([]decimal.Decimal, 0, n)
	case sqltype.PhysInterval:
		v.Intervals = make([]sqltype.IntervalValue, 0, n)
	case sqltype.PhysList:
		v.Lists = make([][]sqltype.Value, 0, n)
	case sqltype.PhysString:
		v.Offsets = make([]int32, 1, n+1)
	}
	b.v = v
}

// Type is the type of the vector that is being built.
func (b *Builder) Type() sqltype.Type { return b.v.Type }

// Len is how many values were appended.
func (b *Builder) Len() int { return b.v.n }

// Size is about how many bytes the values take.
func (b *Builder) Size() int { return b.v.Size() }

// Full tells whether a value of n bytes more would not fit.
func (b *Builder) Full(n int) bool { return len(b.v.Data) > MaxStringBytes-n }

// grow makes the validity cover one more value, which is valid or not.
func (b *Builder) grow(valid bool) {
	v := b.v
	if v.Valid == nil {
		if valid {
			v.n++
			return
		}
		v.Valid = make(Bitmap, v.n>>6+1, max(b.hint, v.n+1)>>6+1)
		v.Valid.SetAll(v.n)
	}
	if v.n>>6 >= len(v.Valid) {
		v.Valid = append(v.Valid, 0)
	}
	if valid {
		v.Valid.Set(v.n)
	}
	v.n++
}

// AppendNull appends NULL.
func (b *Builder) AppendNull() {
	v := b.v
	switch b.phys {
	case sqltype.PhysBool:
		v.Bools = append(v.Bools, false)
	case sqltype.PhysInt:
		v.Ints = append(v.Ints, 0)
	case sqltype.PhysFloat:
		v.Floats = append(v.Floats, 0)
	case sqltype.PhysDecimal:
		v.Decimals = append(v.Decimals, decimal.Decimal{})
	case sqltype.PhysInterval:
		v.Intervals = append(v.Intervals, sqltype.IntervalValue{})
	case sqltype.PhysList:
		v.Lists = append(v.Lists, nil)
	case sqltype.PhysString:
		v.Offsets = append(v.Offsets, int32(len(v.Data)))
	}
	b.grow(false)
}

// AppendBool appends to a PhysBool vector.
func (b *Builder) AppendBool(x bool) {
	b.v.Bools = append(b.v.Bools, x)
	b.grow(true)
}

// AppendInt appends to a PhysInt vector.
func (b *Builder) AppendInt(x int64) {
	b.v.Ints = append(b.v.Ints, x)
	b.grow(true)
}

// AppendFloat appends to a PhysFloat vector.
func (b *Builder) AppendFloat(x float64) {
	b.v.Floats = append(b.v.Floats, x)
	b.grow(true)
}

// AppendDecimal appends to a PhysDecimal vector.
func (b *Builder) AppendDecimal(x decimal.Decimal) {
	b.v.Decimals = append(b.v.Decimals, x)
	b.grow(true)
}

// AppendInterval appends to a PhysInterval vector.
func (b *Builder) AppendInterval(x sqltype.IntervalValue) {
	b.v.Intervals = append(b.v.Intervals, x)
	b.grow(true)
}

// AppendList appends to a PhysList vector, taking x over.
func (b *Builder) AppendList(x []sqltype.Value) {
	b.v.Lists = append(b.v.Lists, x)
	b.grow(true)
}

// AppendString appends to a PhysString vector, copying x.
func (b *Builder) AppendString(x string) {
	b.v.Data = append(b.v.Data, x...)
	b.v.Offsets = append(b.v.Offsets, int32(len(b.v.Data)))
	b.grow(true)
}

// AppendBytes appends to a PhysString vector, copying x.
func (b *Builder) AppendBytes(x []byte) {
	b.v.Data = append(b.v.Data, x...)
	b.v.Offsets = append(b.v.Offsets, int32(len(b.v.Data)))
	b.grow(true)
}

// Append appends a value of the vector's representation, or NULL.
func (b *Builder) Append(x sqltype.Value) {
	if x.IsNull() {
		b.AppendNull()
		return
	}
	switch b.phys {
	case sqltype.PhysBool:
		b.AppendBool(x.Bool())
	case sqltype.PhysInt:
		b.AppendInt(x.Int())
	case sqltype.PhysFloat:
		b.AppendFloat(x.Float())
	case sqltype.PhysDecimal:
		b.AppendDecimal(x.Decimal())
	case sqltype.PhysInterval:
		b.AppendInterval(x.Interval())
	case sqltype.PhysList:
		b.AppendList(x.List())
	case sqltype.PhysString:
		b.AppendString(x.Str())
	default:
		b.AppendNull()
	}
}

// AppendFrom appends row i of src, which has the same representation.
func (b *Builder) AppendFrom(src *Vector, i int) {
	i = src.Index(i)
	if src.Valid != nil && !src.Valid.Get(i) {
		b.AppendNull()
		return
	}
	switch b.phys {
	case sqltype.PhysBool:
		b.AppendBool(src.Bools[i])
	case sqltype.PhysInt:
		b.AppendInt(src.Ints[i])
	case sqltype.PhysFloat:
		b.AppendFloat(src.Floats[i])
	case sqltype.PhysDecimal:
		b.AppendDecimal(src.Decimals[i])
	case sqltype.PhysInterval:
		b.AppendInterval(src.Intervals[i])
	case sqltype.PhysList:
		b.AppendList(src.Lists[i])
	case sqltype.PhysString:
		b.AppendBytes(src.Data[src.Offsets[i]:src.Offsets[i+1]])
	default:
		b.AppendNull()
	}
}

// Finish gives the vector away and starts a new one, which takes no memory
// until values come.
func (b *Builder) Finish() *Vector {
	v := b.v
	b.start(v.Type, 0)
	return v
}
