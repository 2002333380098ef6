package sqltype

import (
	"math"
	"unsafe"

	"github.com/kalamdb/kalamdb/commons/decimal"
)

// Value is one SQL value: NULL, or a value of some kind. Values are small and
// passed by value; they share the bytes of their text, which nobody changes.
//
// A Value does not know its type's modifiers. The zero Value is NULL.
type Value struct {
	kind  Kind
	valid bool
	scale int32  // Decimal
	n     int64  // PhysBool, PhysInt, PhysFloat's bits, Decimal's low half, Interval's microseconds
	x     int64  // Decimal's high half; Interval's months and days
	s     string // PhysString
	list  []Value
}

// Row is the values of one row, by ordinal.
type Row []Value

// IntervalValue is a span of time as PostgreSQL keeps it: months and days
// stay apart because their lengths vary.
type IntervalValue struct {
	Months, Days int32
	Micros       int64
}

// Null is NULL without a type.
func Null() Value { return Value{} }

// NullOf is NULL of a kind.
func NullOf(k Kind) Value { return Value{kind: k} }

// NewBool is a BOOLEAN.
func NewBool(b bool) Value {
	v := Value{kind: Boolean, valid: true}
	if b {
		v.n = 1
	}
	return v
}

// NewBigInt is a BIGINT.
func NewBigInt(n int64) Value { return Value{kind: BigInt, valid: true, n: n} }

// NewInt is a value of any kind held as PhysInt: an integer in range, days,
// or microseconds.
func NewInt(k Kind, n int64) Value { return Value{kind: k, valid: true, n: n} }

// NewDouble is a DOUBLE.
func NewDouble(f float64) Value { return NewFloat(Double, f) }

// NewFloat is a FLOAT or DOUBLE; a FLOAT is rounded to 32 bits.
func NewFloat(k Kind, f float64) Value {
	if k == Float {
		f = float64(float32(f))
	}
	return Value{kind: k, valid: true, n: int64(math.Float64bits(f))}
}

// NewDecimal is a DECIMAL.
func NewDecimal(d decimal.Decimal) Value {
	hi, lo := d.Parts()
	return Value{kind: Decimal, valid: true, n: int64(lo), x: hi, scale: d.Scale()}
}

// NewText is a TEXT.
func NewText(s string) Value { return Value{kind: Text, valid: true, s: s} }

// NewString is a value of any kind held as PhysString.
func NewString(k Kind, s string) Value { return Value{kind: k, valid: true, s: s} }

// NewBytes is a BYTES; it takes b over.
func NewBytes(b []byte) Value {
	return Value{kind: Bytes, valid: true, s: unsafe.String(unsafe.SliceData(b), len(b))}
}

// NewUUID is a UUID.
func NewUUID(u [16]byte) Value { return Value{kind: UUID, valid: true, s: string(u[:])} }

// NewInterval is an INTERVAL.
func NewInterval(iv IntervalValue) Value {
	return Value{kind: Interval, valid: true, n: iv.Micros, x: int64(iv.Months)<<32 | int64(uint32(iv.Days))}
}

// NewArray is an array; it takes elems over.
func NewArray(elems []Value) Value { return Value{kind: Array, valid: true, list: elems} }

// NewRecord is a row value; it takes fields over.
func NewRecord(fields []Value) Value { return Value{kind: Record, valid: true, list: fields} }

// IsNull tells whether the value is NULL.
func (v Value) IsNull() bool { return !v.valid }

// Kind is the value's kind; a NULL's may be Unknown.
func (v Value) Kind() Kind { return v.kind }

// Bool is a PhysBool value.
func (v Value) Bool() bool { return v.n != 0 }

// Int is a PhysInt value.
func (v Value) Int() int64 { return v.n }

// Float is a PhysFloat value.
func (v Value) Float() float64 { return math.Float64frombits(uint64(v.n)) }

// Decimal is a PhysDecimal value.
func (v Value) Decimal() decimal.Decimal { return decimal.FromParts(v.x, uint64(v.n), v.scale) }

// Str is a PhysString value: text, or raw bytes for BYTES and UUID.
func (v Value) Str() string { return v.s }

// Interval is a PhysInterval value.
func (v Value) Interval() IntervalValue {
	return IntervalValue{Months: int32(v.x >> 32), Days: int32(v.x), Micros: v.n}
}

// List is a PhysList value. It belongs to the value and is not changed.
func (v Value) List() []Value { return v.list }

// As gives the same physical value another kind of the same representation,
// for instance BIGINT as INT. The caller has checked the range.
func (v Value) As(k Kind) Value {
	v.kind = k
	return v
}

// Clone copies the text, so that the value no longer shares memory that its
// maker may use again.
func (v Value) Clone() Value {
	if v.s != "" {
		v.s = string([]byte(v.s))
	}
	if v.list != nil {
		l := make([]Value, len(v.list))
		for i, e := range v.list {
			l[i] = e.Clone()
		}
		v.list = l
	}
	return v
}

// Clone copies the row and its values' text.
func (r Row) Clone() Row {
	c := make(Row, len(r))
	for i, v := range r {
		c[i] = v.Clone()
	}
	return c
}

// Size is about how many bytes of memory the value takes.
func (v Value) Size() int {
	n := int(unsafe.Sizeof(v)) + len(v.s)
	for _, e := range v.list {
		n += e.Size()
	}
	return n
}
