package vector

import (
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// FromRow makes a batch of one row, a value for each type. It is what a lookup
// by key answers with, so it takes a handful of allocations whatever the
// number of columns. Texts are copied.
func FromRow(types []sqltype.Type, row sqltype.Row) *Batch {
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
	cols := make([]*Vector, len(types))
	vecs := make([]Vector, len(types))
	slab := make([]int64, ints)
	ends := make([]int32, 2*texts)
	data := make([]byte, 0, size)
	for i, t := range types {
		v, x := &vecs[i], row[i]
		cols[i] = v
		v.Type, v.n = t, 1
		if x.IsNull() {
			v.Valid = NewBitmap(1)
		}
		switch t.Physical() {
		case sqltype.PhysBool:
			v.Bools = []bool{!x.IsNull() && x.Bool()}
		case sqltype.PhysInt:
			v.Ints, slab = slab[:1:1], slab[1:]
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
			v.Offsets[1] = int32(len(v.Data))
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
	return NewBatch(cols, 1)
}
