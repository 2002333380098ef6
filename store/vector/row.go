package vector

import (
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// FromRow makes a batch of one row, a value for each type. Texts are copied.
func FromRow(types []sqltype.Type, row sqltype.Row) *Batch {
	return new(RowBatch).Set(types, row)
}

// RowBatch is the memory of a batch of one row, to be used for one after the
// other: a lookup by key answers with one.
type RowBatch struct {
	batch Batch
	cols  []*Vector
	vecs  []Vector
	ints  []int64
	ends  []int32
	data  []byte
}

// Set makes the batch of a row, a value for each type, in place of the one
// before. Texts are copied.
func (r *RowBatch) Set(types []sqltype.Type, row sqltype.Row) *Batch {
	ints, texts, size := 0, 0, 0
	for i, t := range types {
		switch t.Physical() {
		case sqltype.PhysInt:
			ints++
		case sqltype.PhysString:
			texts++
			size += len(row[i].Str())
		}
	}
	r.cols, r.vecs = resize(r.cols, len(types)), resize(r.vecs, len(types))
	r.ints, r.ends, r.data = resize(r.ints, ints), resize(r.ends, 2*texts), resize(r.data, size)
	slab, ends, data := r.ints, r.ends, r.data[:0]
	for i, t := range types {
		v, x := &r.vecs[i], row[i]
		r.cols[i] = v
		*v = Vector{Type: t, n: 1}
		if x.IsNull() {
			v.Valid = NewBitmap(1)
		}
		switch t.Physical() {
		case sqltype.PhysBool:
			v.Bools = []bool{!x.IsNull() && x.Bool()}
		case sqltype.PhysInt:
			v.Ints, slab = slab[:1:1], slab[1:]
			v.Ints[0] = 0
			if !x.IsNull() {
				v.Ints[0] = x.Int()
			}
		case sqltype.PhysFloat:
			v.Floats = make([]float64, 1)
			if !x.IsNull() {
				v.Floats[0] = x.Float()
			}
		case sqltype.PhysDecimal:
			v.Decimals = make([]decimal.Decimal, 1)
			if !x.IsNull() {
				v.Decimals[0] = x.Decimal()
			}
		case sqltype.PhysString:
			v.Offsets, ends = ends[:2:2], ends[2:]
			from := len(data)
			data = append(data, x.Str()...)
			v.Data = data[from:len(data):len(data)]
			v.Offsets[0], v.Offsets[1] = 0, int32(len(v.Data))
		case sqltype.PhysInterval:
			v.Intervals = make([]sqltype.IntervalValue, 1)
			if !x.IsNull() {
				v.Intervals[0] = x.Interval()
			}
		case sqltype.PhysList:
			v.Lists = make([][]sqltype.Value, 1)
			if !x.IsNull() {
				v.Lists[0] = x.List()
			}
		case sqltype.PhysNone:
			v.Valid = NewBitmap(1)
		}
	}
	r.batch = *NewBatch(r.cols, 1)
	return &r.batch
}

// TextSize is how much memory the RowBatch holds for texts.
func (r *RowBatch) TextSize() int { return cap(r.data) }

// resize is a slice of n elements, s where it is large enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
