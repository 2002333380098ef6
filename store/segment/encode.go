package segment

import (
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// The definition levels of lists.
const (
	listNull     = 0
	listEmpty    = 1
	listElemNull = 2
	listElem     = 3
)

// encoder turns vectors into Parquet values. Its memory is used again.
type encoder struct {
	values []parquet.Value
	fixed  []byte
	text   []byte
}

// column gives a block's values with their levels. They are valid until the
// next call.
func (e *encoder) column(s *stored, v *vector.Vector, index int) ([]parquet.Value, error) {
	e.values, e.fixed, e.text = e.values[:0], e.fixed[:0], e.text[:0]
	if s.list {
		return e.lists(s, v, index)
	}
	level := 1
	if s.required {
		level = 0
	}
	for i := range v.Len() {
		if v.IsNull(i) {
			if s.required {
				return nil, dberr.Newf(dberr.Internal, "column %q has a NULL where there can be none", s.name)
			}
			e.values = append(e.values, parquet.NullValue().Level(0, 0, index))
			continue
		}
		var p parquet.Value
		j := v.Index(i)
		// The frequent ones without the way through a single value.
		switch s.class {
		case classInt64:
			p = parquet.Int64Value(v.Ints[j])
		case classBytes:
			p = parquet.ByteArrayValue(v.Data[v.Offsets[j]:v.Offsets[j+1]])
		case classDouble:
			p = parquet.DoubleValue(v.Floats[j])
		default:
			var err error
			if p, err = e.value(s, v.Value(i)); err != nil {
				return nil, err
			}
		}
		e.values = append(e.values, p.Level(0, level, index))
	}
	return e.values, nil
}

func (e *encoder) lists(s *stored, v *vector.Vector, index int) ([]parquet.Value, error) {
	for i := range v.Len() {
		switch {
		case v.IsNull(i):
			e.values = append(e.values, parquet.NullValue().Level(0, listNull, index))
			continue
		case len(v.Lists[v.Index(i)]) == 0:
			e.values = append(e.values, parquet.NullValue().Level(0, listEmpty, index))
			continue
		}
		for n, elem := range v.Lists[v.Index(i)] {
			repeat := min(n, 1)
			if elem.IsNull() {
				e.values = append(e.values, parquet.NullValue().Level(repeat, listElemNull, index))
				continue
			}
			if elem.Kind().Physical() != s.elem().Physical() {
				return nil, dberr.Newf(dberr.Internal, "an element of type %s in column %q of type %s", elem.Kind(), s.name, s.typ)
			}
			p, err := e.value(s, elem)
			if err != nil {
				return nil, err
			}
			e.values = append(e.values, p.Level(repeat, listElem, index))
		}
	}
	return e.values, nil
}

func (e *encoder) value(s *stored, v sqltype.Value) (parquet.Value, error) {
	switch s.class {
	case classBool:
		return parquet.BooleanValue(v.Bool()), nil
	case classInt32:
		n := v.Int()
		lo, hi := int64(math.MinInt32), int64(math.MaxInt32)
		if s.elem().Kind == sqltype.SmallInt {
			lo, hi = s.elem().Kind.IntRange()
		}
		if n < lo || n > hi {
			return parquet.Value{}, outOfRange(s, v)
		}
		return parquet.Int32Value(int32(n)), nil
	case classInt64:
		return parquet.Int64Value(v.Int()), nil
	case classFloat:
		return parquet.FloatValue(float32(v.Float())), nil
	case classDouble:
		return parquet.DoubleValue(v.Float()), nil
	case classDecimal32, classDecimal64, classDecimal128:
		return e.decimal(s, v)
	case classDecimalText:
		from := len(e.text)
		e.text = v.Decimal().Append(e.text)
		return parquet.ByteArrayValue(e.text[from:len(e.text):len(e.text)]), nil
	case classInterval:
		iv := v.Interval()
		b := e.room()
		binary.BigEndian.PutUint32(b, uint32(iv.Months))
		binary.BigEndian.PutUint32(b[4:], uint32(iv.Days))
		binary.BigEndian.PutUint64(b[8:], uint64(iv.Micros))
		return parquet.FixedLenByteArrayValue(b), nil
	case classUUID:
		if len(v.Str()) != fixedLen {
			return parquet.Value{}, outOfRange(s, v)
		}
		b := e.room()
		copy(b, v.Str())
		return parquet.FixedLenByteArrayValue(b), nil
	}
	from := len(e.text)
	e.text = append(e.text, v.Str()...)
	return parquet.ByteArrayValue(e.text[from:len(e.text):len(e.text)]), nil
}

// decimal stores the coefficient at the column's scale. A value that this
// would round does not belong into the column.
func (e *encoder) decimal(s *stored, v sqltype.Value) (parquet.Value, error) {
	d := v.Decimal()
	t := s.elem()
	if d.Scale() != t.Scale {
		r, err := d.Rescale(t.Scale)
		if err != nil || r.Cmp(d) != 0 {
			return parquet.Value{}, outOfRange(s, v)
		}
		d = r
	}
	hi, lo := d.Parts()
	switch s.class {
	case classDecimal32:
		if n := int64(lo); hi == n>>63 && n == int64(int32(n)) {
			return parquet.Int32Value(int32(n)), nil
		}
		return parquet.Value{}, outOfRange(s, v)
	case classDecimal64:
		if n := int64(lo); hi == n>>63 {
			return parquet.Int64Value(n), nil
		}
		return parquet.Value{}, outOfRange(s, v)
	}
	b := e.room()
	binary.BigEndian.PutUint64(b, uint64(hi))
	binary.BigEndian.PutUint64(b[8:], lo)
	return parquet.FixedLenByteArrayValue(b), nil
}

// room is 16 bytes that stay where they are until the next column.
func (e *encoder) room() []byte {
	if cap(e.fixed)-len(e.fixed) < fixedLen {
		// The values made before keep the old memory.
		e.fixed = make([]byte, 0, vector.BatchSize*fixedLen)
	}
	n := len(e.fixed)
	e.fixed = e.fixed[:n+fixedLen]
	return e.fixed[n : n+fixedLen : n+fixedLen]
}

func outOfRange(s *stored, v sqltype.Value) error {
	return dberr.Newf(dberr.ValueOutOfRange, "The value %s of column %q does not fit its type %s.", v.Text(), s.name, s.typ)
}

func decimalFromBytes(b []byte, scale int32) decimal.Decimal {
	return decimal.FromParts(int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:]), scale)
}
