package segment

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/pack"
	"github.com/kalamdb/kalamdb/store/vector"
)

// maxStatText is how many bytes of a text its statistics keep.
const maxStatText = 32

// ValueRange is what is known of a column's values in a run of rows.
type ValueRange struct {
	// Min and Max bound the values that are not NULL, in the order of
	// sqltype.Compare. NULL: there are no values, only NULLs.
	Min, Max sqltype.Value
	// MaxCut says that Max is the beginning of the greatest value. Min may be
	// the beginning of the least one, which bounds just as well.
	MaxCut bool
	// Nulls says that some are NULL.
	Nulls bool
}

// measurable tells whether values of a stored column have bounds.
func measurable(s *stored) bool {
	return !s.list && s.class != classInterval && s.typ.Kind != sqltype.JSON
}

// measure finds the bounds of a block.
func measure(v *vector.Vector) (r ValueRange) {
	n := v.Len()
	first := true
	lo, hi := 0, 0
	for i := range n {
		if v.IsNull(i) {
			r.Nulls = true
			continue
		}
		if first {
			lo, hi, first = i, i, false
			continue
		}
		switch v.Type.Physical() {
		case sqltype.PhysInt:
			x := v.Ints[i]
			if x < v.Ints[lo] {
				lo = i
			} else if x > v.Ints[hi] {
				hi = i
			}
		case sqltype.PhysString:
			x := v.Str(i)
			if x < v.Str(lo) {
				lo = i
			} else if x > v.Str(hi) {
				hi = i
			}
		default:
			x := v.Value(i)
			if sqltype.Compare(x, v.Value(lo)) < 0 {
				lo = i
			} else if sqltype.Compare(x, v.Value(hi)) > 0 {
				hi = i
			}
		}
	}
	if !first {
		r.Min, r.Max = v.Value(lo), v.Value(hi)
	}
	return r
}

// merge widens r by another range of the same column.
func (r *ValueRange) merge(o ValueRange) {
	r.Nulls = r.Nulls || o.Nulls
	if o.Min.IsNull() {
		return
	}
	if r.Min.IsNull() || sqltype.Compare(o.Min, r.Min) < 0 {
		r.Min = o.Min.Clone()
	}
	switch c := sqltype.Compare(o.Max, r.Max); {
	case r.Max.IsNull() || c > 0:
		r.Max, r.MaxCut = o.Max.Clone(), o.MaxCut
	case c == 0:
		r.MaxCut = r.MaxCut || o.MaxCut
	}
}

// Cut shortens bounds that are texts to about n bytes.
func (r *ValueRange) Cut(n int) {
	if r.Min.IsNull() || r.Min.Kind().Physical() != sqltype.PhysString {
		return
	}
	if s := r.Min.Str(); len(s) > n {
		r.Min = sqltype.NewString(r.Min.Kind(), s[:n])
	}
	if s := r.Max.Str(); len(s) > n {
		r.Max, r.MaxCut = sqltype.NewString(r.Max.Kind(), s[:n]), true
	}
}

// BoundOp is a comparison.
type BoundOp uint8

// The comparisons.
const (
	BoundEq BoundOp = iota
	BoundLt
	BoundLe
	BoundGt
	BoundGe
)

// Bound is the conjunct "column op value" of a predicate.
type Bound struct {
	// Column is the column's id.
	Column uint32
	Op     BoundOp
	Value  sqltype.Value
}

// May tells whether some value of the range may satisfy a comparison. NULLs
// satisfy none.
func (r *ValueRange) May(op BoundOp, v sqltype.Value) bool {
	if v.IsNull() || r.Min.IsNull() {
		return false
	}
	if !comparable(r.Min.Kind(), v.Kind()) {
		return true
	}
	lo := sqltype.Compare(v, r.Min)
	hi := sqltype.Compare(v, r.Max)
	if r.MaxCut && hi > 0 && strings.HasPrefix(v.Str(), r.Max.Str()) {
		hi = 0 // the whole maximum may be as great, or greater
	}
	switch op {
	case BoundEq:
		return lo >= 0 && hi <= 0
	case BoundLt:
		return lo > 0
	case BoundLe:
		return lo >= 0
	case BoundGt:
		return hi < 0 || hi == 0 && r.MaxCut
	case BoundGe:
		return hi <= 0
	}
	return true
}

// comparable tells whether values of two kinds have an order that the bounds
// of the one say something about.
func comparable(a, b sqltype.Kind) bool {
	return a == b && a != sqltype.JSON || a.IsNumeric() && b.IsNumeric()
}

// The flags of a range's bytes.
const (
	rangeValues = 1 << 0
	rangeNulls  = 1 << 1
	rangeCut    = 1 << 2
)

// AppendRange appends the bytes of a range of values of one type.
func AppendRange(dst []byte, r ValueRange) []byte {
	var flags byte
	if !r.Min.IsNull() {
		flags |= rangeValues
	}
	if r.Nulls {
		flags |= rangeNulls
	}
	if r.MaxCut {
		flags |= rangeCut
	}
	dst = append(dst, flags)
	if flags&rangeValues == 0 {
		return dst
	}
	return appendValue(appendValue(dst, r.Min), r.Max)
}

func appendValue(dst []byte, v sqltype.Value) []byte {
	switch v.Kind().Physical() {
	case sqltype.PhysBool:
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case sqltype.PhysInt:
		return binary.AppendVarint(dst, v.Int())
	case sqltype.PhysFloat:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float()))
	case sqltype.PhysDecimal:
		hi, lo := v.Decimal().Parts()
		dst = binary.AppendVarint(dst, int64(v.Decimal().Scale()))
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, uint64(hi)), lo)
	}
	dst = binary.AppendUvarint(dst, uint64(len(v.Str())))
	return append(dst, v.Str()...)
}

// ReadRange reads the bytes of a range of values of the kind, and gives what
// is behind them. It is safe on any bytes. The values share no memory with
// them.
func ReadRange(b []byte, k sqltype.Kind) (r ValueRange, rest []byte, ok bool) {
	d := decoder{pack.Reader{Rest: b}}
	r = d.valueRange(k)
	return r, d.Rest, !d.Bad
}

func (d *decoder) valueRange(k sqltype.Kind) (r ValueRange) {
	flags := d.Byte()
	if flags&^(rangeValues|rangeNulls|rangeCut) != 0 {
		d.Bad = true
	}
	r.Nulls, r.MaxCut = flags&rangeNulls != 0, flags&rangeCut != 0
	if flags&rangeValues != 0 {
		r.Min, r.Max = d.value(k), d.value(k)
	}
	return r
}

func (d *decoder) value(k sqltype.Kind) sqltype.Value {
	switch k.Physical() {
	case sqltype.PhysBool:
		return sqltype.NewBool(d.Byte() != 0)
	case sqltype.PhysInt:
		return sqltype.NewInt(k, d.Varint())
	case sqltype.PhysFloat:
		return sqltype.NewFloat(k, math.Float64frombits(d.Uint64()))
	case sqltype.PhysDecimal:
		scale := d.Varint()
		hi, lo := d.Uint64(), d.Uint64()
		if scale < 0 || scale > math.MaxInt16 {
			d.Bad = true
			return sqltype.Null()
		}
		return sqltype.NewDecimal(decimal.FromParts(int64(hi), lo, int32(scale)))
	case sqltype.PhysString:
		return sqltype.NewString(k, string(d.Bytes()))
	}
	d.Bad = true
	return sqltype.Null()
}
