package rowenc

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// Values of varying length. Text stands as it is. A decimal is its scale and
// the fewest bytes of its coefficient that keep its sign, the lowest first. A
// list is its length and its elements, each with its kind before it.

// maxDepth is how deep lists may lie in lists.
const maxDepth = 16

// elementNull is set in the kind of a list's element that is NULL.
const elementNull = 0x80

// maxDecimalLen is the scale and 16 bytes.
const maxDecimalLen = 17

func putInterval(b []byte, iv sqltype.IntervalValue) {
	binary.LittleEndian.PutUint32(b, uint32(iv.Months))
	binary.LittleEndian.PutUint32(b[4:], uint32(iv.Days))
	binary.LittleEndian.PutUint64(b[8:], uint64(iv.Micros))
}

func readInterval(b []byte) sqltype.IntervalValue {
	return sqltype.IntervalValue{
		Months: int32(binary.LittleEndian.Uint32(b)),
		Days:   int32(binary.LittleEndian.Uint32(b[4:])),
		Micros: int64(binary.LittleEndian.Uint64(b[8:])),
	}
}

// textSize is the most bytes that a value of varying length takes. It checks
// what appendText relies on.
func textSize(v sqltype.Value, t sqltype.Type, depth int) (int, error) {
	if v.IsNull() {
		return 0, nil
	}
	if v.Kind().Physical() != t.Physical() {
		return 0, mismatch(v, t)
	}
	switch t.Physical() {
	case sqltype.PhysString:
		if t.Kind == sqltype.UUID && len(v.Str()) != uuidLen {
			return 0, mismatch(v, t)
		}
		return len(v.Str()), nil
	case sqltype.PhysDecimal:
		if s := v.Decimal().Scale(); s < 0 || s > decimal.MaxScale {
			return 0, dberr.Newf(dberr.ValueOutOfRange, "The value %s is out of the range of %s.", v.Text(), t)
		}
		return maxDecimalLen, nil
	}
	if depth == maxDepth {
		return 0, dberr.New(dberr.ValueOutOfRange, "Lists lie too deep in one another.")
	}
	size := binary.MaxVarintLen64
	for _, e := range v.List() {
		size += 1 + binary.MaxVarintLen64
		switch e.Kind().Physical() {
		case sqltype.PhysString, sqltype.PhysDecimal, sqltype.PhysList:
			n, err := textSize(e, sqltype.Type{Kind: e.Kind()}, depth+1)
			if err != nil {
				return 0, err
			}
			size += n
		case sqltype.PhysInterval:
			size += 16
		}
	}
	return size, nil
}

// appendText appends a decimal or a list.
func appendText(dst []byte, v sqltype.Value) []byte {
	if v.Kind().Physical() == sqltype.PhysDecimal {
		return appendDecimal(dst, v.Decimal())
	}
	list := v.List()
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, e := range list {
		dst = appendElement(dst, e)
	}
	return dst
}

func appendElement(dst []byte, e sqltype.Value) []byte {
	p := e.Kind().Physical()
	if e.IsNull() || p == sqltype.PhysNone {
		return append(dst, byte(e.Kind())|elementNull)
	}
	dst = append(dst, byte(e.Kind()))
	switch p {
	case sqltype.PhysBool:
		if e.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case sqltype.PhysInt:
		return binary.AppendVarint(dst, e.Int())
	case sqltype.PhysFloat:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(e.Float()))
	case sqltype.PhysDecimal:
		at := len(dst)
		dst = appendDecimal(append(dst, 0), e.Decimal())
		dst[at] = byte(len(dst) - at - 1)
		return dst
	case sqltype.PhysInterval:
		var b [16]byte
		putInterval(b[:], e.Interval())
		return append(dst, b[:]...)
	case sqltype.PhysString:
		s := e.Str()
		return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	return appendText(dst, e)
}

func appendDecimal(dst []byte, d decimal.Decimal) []byte {
	hi, lo := d.Parts()
	dst = append(dst, byte(d.Scale()))
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], lo)
	binary.LittleEndian.PutUint64(b[8:], uint64(hi))
	sign := byte(hi >> 63)
	n := len(b)
	for n > 0 && b[n-1] == sign && (n == 1 && sign == 0 || n > 1 && b[n-2]>>7 == sign&1) {
		n--
	}
	return append(dst, b[:n]...)
}

func readDecimal(b []byte) (d decimal.Decimal, ok bool) {
	if len(b) < 1 || len(b) > maxDecimalLen || b[0] > decimal.MaxScale {
		return d, false
	}
	var full [16]byte
	n := copy(full[:], b[1:])
	if n > 0 && full[n-1]>>7 != 0 {
		for i := n; i < len(full); i++ {
			full[i] = 0xff
		}
	}
	return decimal.FromParts(int64(binary.LittleEndian.Uint64(full[8:])), binary.LittleEndian.Uint64(full[:]), int32(b[0])), true
}

// readList reads a list whose texts share the memory of b.
func readList(b []byte) ([]sqltype.Value, error) {
	list, rest, err := readElements(b, 0)
	if err == nil && len(rest) > 0 {
		err = damaged("bytes behind a list")
	}
	return list, err
}

func readElements(b []byte, depth int) ([]sqltype.Value, []byte, error) {
	if depth == maxDepth {
		return nil, nil, damaged("lists lie too deep")
	}
	n, w := binary.Uvarint(b)
	// An element takes a byte at least; but a value in memory takes dozens, so
	// the list grows as it is read.
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, nil, damaged("length of a list")
	}
	b = b[w:]
	list := make([]sqltype.Value, 0, min(n, 16))
	for range n {
		var e sqltype.Value
		var err error
		if e, b, err = readElement(b, depth); err != nil {
			return nil, nil, err
		}
		list = append(list, e)
	}
	return list, b, nil
}

func readElement(b []byte, depth int) (v sqltype.Value, rest []byte, err error) {
	if len(b) == 0 {
		return v, nil, damaged("a list ends early")
	}
	kind := sqltype.Kind(b[0] &^ elementNull)
	if kind > sqltype.Record {
		return v, nil, damaged("unknown kind %d", kind)
	}
	null := b[0]&elementNull != 0
	b = b[1:]
	if null {
		return sqltype.NullOf(kind), b, nil
	}
	need := func(n int) bool { return len(b) >= n }
	switch kind.Physical() {
	case sqltype.PhysBool:
		if need(1) && b[0] <= 1 {
			return sqltype.NewBool(b[0] == 1), b[1:], nil
		}
	case sqltype.PhysInt:
		if n, w := binary.Varint(b); w > 0 {
			return sqltype.NewInt(kind, n), b[w:], nil
		}
	case sqltype.PhysFloat:
		if need(8) {
			return sqltype.NewFloat(kind, math.Float64frombits(binary.LittleEndian.Uint64(b))), b[8:], nil
		}
	case sqltype.PhysInterval:
		if need(16) {
			return sqltype.NewInterval(readInterval(b)), b[16:], nil
		}
	case sqltype.PhysDecimal:
		if need(1) && need(1+int(b[0])) {
			if d, ok := readDecimal(b[1 : 1+int(b[0])]); ok {
				return sqltype.NewDecimal(d), b[1+int(b[0]):], nil
			}
		}
	case sqltype.PhysString:
		if n, w := binary.Uvarint(b); w > 0 && n <= uint64(len(b)-w) {
			s := b[w : w+int(n)]
			if kind != sqltype.UUID || n == uuidLen {
				return sqltype.NewString(kind, shared(s)), b[w+int(n):], nil
			}
		}
	case sqltype.PhysList:
		list, rest, err := readElements(b, depth+1)
		if err != nil {
			return v, nil, err
		}
		if kind == sqltype.Record {
			return sqltype.NewRecord(list), rest, nil
		}
		return sqltype.NewArray(list), rest, nil
	}
	return v, nil, damaged("element of type %s", kind)
}

// shared is the bytes as a string without a copy.
func shared(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
