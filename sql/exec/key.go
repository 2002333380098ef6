package exec

import (
	"encoding/binary"
	"math"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// appendEqKey appends position i of the vector's row i so that values that are
// not distinct have equal bytes, and no value's bytes are a prefix of
// another's. It keeps no order.
func appendEqKey(dst []byte, v *vector.Vector, row int) []byte {
	i := v.Index(row)
	if v.Valid != nil && !v.Valid.Get(i) {
		return append(dst, 0)
	}
	switch v.Type.Physical() {
	case sqltype.PhysInt:
		return binary.BigEndian.AppendUint64(append(dst, 1), uint64(v.Ints[i]))
	case sqltype.PhysString:
		s := v.Data[v.Offsets[i]:v.Offsets[i+1]]
		dst = binary.AppendUvarint(append(dst, 1), uint64(len(s)))
		return append(dst, s...)
	case sqltype.PhysBool:
		if v.Bools[i] {
			return append(dst, 2)
		}
		return append(dst, 1)
	case sqltype.PhysFloat:
		return binary.BigEndian.AppendUint64(append(dst, 1), floatBits(v.Floats[i]))
	case sqltype.PhysNone:
		return append(dst, 0)
	}
	return appendOrdered(append(dst, 1), v.Value(row))
}

// appendSameKey is appendEqKey for values that are one and the same: equal
// ones that can be told apart, such as 1.0 and 1.00 or one day and 24 hours,
// have different bytes.
func appendSameKey(dst []byte, v *vector.Vector, row int) []byte {
	switch v.Type.Physical() {
	case sqltype.PhysFloat, sqltype.PhysDecimal, sqltype.PhysInterval, sqltype.PhysList:
		if v.IsNull(row) {
			return append(dst, 0)
		}
		return appendSame(append(dst, 1), v.Value(row))
	}
	return appendEqKey(dst, v, row)
}

// appendSame appends one value that is not NULL.
func appendSame(dst []byte, v sqltype.Value) []byte {
	switch v.Kind().Physical() {
	case sqltype.PhysFloat:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v.Float()))
	case sqltype.PhysDecimal:
		d := v.Decimal()
		return appendDecimal(binary.BigEndian.AppendUint32(dst, uint32(d.Scale())), d)
	case sqltype.PhysInterval:
		iv := v.Interval()
		dst = binary.BigEndian.AppendUint32(dst, uint32(iv.Months))
		dst = binary.BigEndian.AppendUint32(dst, uint32(iv.Days))
		return binary.BigEndian.AppendUint64(dst, uint64(iv.Micros))
	case sqltype.PhysList:
		return appendList(dst, v.List(), appendSame)
	}
	return appendOrdered(dst, v)
}

// appendSortKey appends a row's value so that comparing bytes compares rows
// in the order that the key asks for.
func appendSortKey(dst []byte, v *vector.Vector, row int, desc, nullsFirst bool) []byte {
	i := v.Index(row)
	if v.Valid != nil && !v.Valid.Get(i) || v.Type.Physical() == sqltype.PhysNone {
		if nullsFirst {
			return append(dst, 0)
		}
		return append(dst, 2)
	}
	start := len(dst) + 1
	dst = append(dst, 1)
	switch v.Type.Physical() {
	case sqltype.PhysInt:
		dst = binary.BigEndian.AppendUint64(dst, uint64(v.Ints[i])^1<<63)
	case sqltype.PhysFloat:
		dst = binary.BigEndian.AppendUint64(dst, floatBits(v.Floats[i]))
	case sqltype.PhysString:
		dst = appendEscaped(dst, v.Data[v.Offsets[i]:v.Offsets[i+1]])
	default:
		dst = appendOrdered(dst, v.Value(row))
	}
	if desc {
		for k := start; k < len(dst); k++ {
			dst[k] = ^dst[k]
		}
	}
	return dst
}

// floatBits maps floats to numbers of the same order, NaN last, -0 as 0.
func floatBits(f float64) uint64 {
	switch {
	case f == 0:
		return 1 << 63
	case math.IsNaN(f):
		return math.MaxUint64
	}
	u := math.Float64bits(f)
	if u>>63 != 0 {
		return ^u
	}
	return u | 1<<63
}

// appendEscaped appends text with an end mark that sorts before every byte.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	for k := 0; k < len(s); k++ {
		if s[k] == 0 {
			dst = append(dst, 0, 0xff)
			continue
		}
		dst = append(dst, s[k])
	}
	return append(dst, 0, 0)
}

// appendOrdered appends one value that is not NULL in byte order.
func appendOrdered(dst []byte, v sqltype.Value) []byte {
	switch v.Kind().Physical() {
	case sqltype.PhysBool:
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case sqltype.PhysInt:
		return binary.BigEndian.AppendUint64(dst, uint64(v.Int())^1<<63)
	case sqltype.PhysFloat:
		return binary.BigEndian.AppendUint64(dst, floatBits(v.Float()))
	case sqltype.PhysString:
		return appendEscaped(dst, v.Str())
	case sqltype.PhysDecimal:
		return appendDecimal(dst, v.Decimal())
	case sqltype.PhysInterval:
		return appendInterval(dst, v.Interval())
	case sqltype.PhysList:
		return appendList(dst, v.List(), appendOrdered)
	}
	return dst
}

// appendList appends elements, NULL last, and an end that sorts before them.
func appendList(dst []byte, list []sqltype.Value, element func([]byte, sqltype.Value) []byte) []byte {
	for _, e := range list {
		if e.IsNull() {
			dst = append(dst, 2)
			continue
		}
		dst = element(append(dst, 1), e)
	}
	return append(dst, 0)
}

// appendDecimal appends sign, place of the first digit, and the digits without
// trailing zeros; all but the sign inverted for negative numbers.
func appendDecimal(dst []byte, d decimal.Decimal) []byte {
	if d.Sign() == 0 {
		return append(dst, 1)
	}
	neg := d.Sign() < 0
	sign := byte(2)
	if neg {
		sign = 0
	}
	dst = append(dst, sign)
	start := len(dst)
	d = d.Abs().Trim()
	digits := d.Big().Append(make([]byte, 0, 40), 10)
	end := len(digits)
	for end > 1 && digits[end-1] == '0' {
		end--
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(digits)-int(d.Scale())+1<<14))
	dst = append(append(dst, digits[:end]...), 0)
	if neg {
		for k := start; k < len(dst); k++ {
			dst[k] = ^dst[k]
		}
	}
	return dst
}

// appendInterval appends an interval's length with months of 30 days, as
// intervals compare.
func appendInterval(dst []byte, iv sqltype.IntervalValue) []byte {
	const day = 86_400_000_000
	days, micros := sqltype.FloorDiv(iv.Micros, day)
	days += int64(iv.Months)*30 + int64(iv.Days)
	dst = binary.BigEndian.AppendUint64(dst, uint64(days)^1<<63)
	return binary.BigEndian.AppendUint64(dst, uint64(micros))
}
