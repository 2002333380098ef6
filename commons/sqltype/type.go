// Package sqltype holds the logical SQL types, single values of them, and the
// rules that belong to a value alone: ordering, equality, hashing, reading
// and writing its text. The text forms and the order are PostgreSQL's.
//
// Whole columns of values live in store/vector; the two agree on how each
// kind is represented (see Physical).
package sqltype

import (
	"strconv"
	"strings"
)

// Kind is the family of a type, without its modifiers.
type Kind uint8

// The kinds. Their order has no meaning; new ones go to the end, because the
// numbers are written to disk.
const (
	// Unknown is the type of NULL and of a text literal or parameter whose
	// place has not given it a type yet.
	Unknown Kind = iota
	Boolean
	SmallInt
	Integer
	BigInt
	Float
	Double
	Decimal
	Text
	JSON
	UUID
	Bytes
	Date
	Time
	Timestamp
	Interval
	Array
	Record
)

// Physical is how a kind's values are held in memory.
type Physical uint8

// The representations. A column vector has one slice type for each, and an
// operator needs one kernel for each, not one for every kind.
const (
	// PhysNone holds nothing: a column of Unknown, all NULL.
	PhysNone Physical = iota
	// PhysBool is one Go bool a value.
	PhysBool
	// PhysInt is int64: integers of all widths, days since 1970-01-01 (DATE),
	// microseconds since midnight (TIME), microseconds since 1970-01-01 UTC
	// (TIMESTAMP).
	PhysInt
	// PhysFloat is float64; FLOAT values are rounded to float32.
	PhysFloat
	// PhysDecimal is decimal.Decimal, a 128-bit integer with its scale.
	PhysDecimal
	// PhysString is bytes: TEXT, JSON (validated text), BYTES, and the 16
	// bytes of a UUID.
	PhysString
	// PhysInterval is months, days and microseconds.
	PhysInterval
	// PhysList is a list of values of one type (ARRAY) or of several (RECORD).
	PhysList
)

// Type is a logical SQL type. Types are comparable with ==.
type Type struct {
	Kind Kind
	// Elem is an array's element kind.
	Elem Kind
	// Precision is DECIMAL(p,s)'s p (0: not limited), or the maximum length
	// in characters of VARCHAR(n) (0: not limited).
	Precision int32
	// Scale is DECIMAL(p,s)'s s.
	Scale int32
}

// The types without modifiers.
var (
	TUnknown   = Type{Kind: Unknown}
	TBoolean   = Type{Kind: Boolean}
	TSmallInt  = Type{Kind: SmallInt}
	TInteger   = Type{Kind: Integer}
	TBigInt    = Type{Kind: BigInt}
	TFloat     = Type{Kind: Float}
	TDouble    = Type{Kind: Double}
	TDecimal   = Type{Kind: Decimal}
	TText      = Type{Kind: Text}
	TJSON      = Type{Kind: JSON}
	TUUID      = Type{Kind: UUID}
	TBytes     = Type{Kind: Bytes}
	TDate      = Type{Kind: Date}
	TTime      = Type{Kind: Time}
	TTimestamp = Type{Kind: Timestamp}
	TInterval  = Type{Kind: Interval}
	TRecord    = Type{Kind: Record}
)

// ArrayOf is the array type over elem's kind, with elem's modifiers.
func ArrayOf(elem Type) Type {
	return Type{Kind: Array, Elem: elem.Kind, Precision: elem.Precision, Scale: elem.Scale}
}

// ElemType is the type of an array's elements.
func (t Type) ElemType() Type { return Type{Kind: t.Elem, Precision: t.Precision, Scale: t.Scale} }

var kindNames = [...]string{
	Unknown: "UNKNOWN", Boolean: "BOOLEAN", SmallInt: "SMALLINT", Integer: "INT", BigInt: "BIGINT",
	Float: "FLOAT", Double: "DOUBLE", Decimal: "DECIMAL", Text: "TEXT", JSON: "JSON", UUID: "UUID",
	Bytes: "BYTES", Date: "DATE", Time: "TIME", Timestamp: "TIMESTAMP", Interval: "INTERVAL",
	Array: "ARRAY", Record: "RECORD",
}

// String is the kind's name in SQL and on the wire.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "KIND(" + strconv.Itoa(int(k)) + ")"
}

// String is the type's name in SQL and on the wire: DECIMAL(10,2), INT[].
func (t Type) String() string {
	switch {
	case t.Kind == Array:
		return t.ElemType().String() + "[]"
	case t.Kind == Decimal && t.Precision > 0:
		return "DECIMAL(" + strconv.Itoa(int(t.Precision)) + "," + strconv.Itoa(int(t.Scale)) + ")"
	case t.Kind == Text && t.Precision > 0:
		return "VARCHAR(" + strconv.Itoa(int(t.Precision)) + ")"
	}
	return t.Kind.String()
}

// Physical is how the kind's values are held.
func (k Kind) Physical() Physical {
	switch k {
	case Boolean:
		return PhysBool
	case SmallInt, Integer, BigInt, Date, Time, Timestamp:
		return PhysInt
	case Float, Double:
		return PhysFloat
	case Decimal:
		return PhysDecimal
	case Text, JSON, UUID, Bytes:
		return PhysString
	case Interval:
		return PhysInterval
	case Array, Record:
		return PhysList
	}
	return PhysNone
}

// Physical is how the type's values are held.
func (t Type) Physical() Physical { return t.Kind.Physical() }

// IsInteger tells SMALLINT, INT and BIGINT.
func (k Kind) IsInteger() bool { return k == SmallInt || k == Integer || k == BigInt }

// IsNumeric tells the integers, FLOAT, DOUBLE and DECIMAL.
func (k Kind) IsNumeric() bool { return k >= SmallInt && k <= Decimal }

// IsTemporal tells DATE, TIME, TIMESTAMP and INTERVAL.
func (k Kind) IsTemporal() bool { return k >= Date && k <= Interval }

// IntRange is the smallest and the largest value of an integer kind.
func (k Kind) IntRange() (lo, hi int64) {
	switch k {
	case SmallInt:
		return -1 << 15, 1<<15 - 1
	case Integer:
		return -1 << 31, 1<<31 - 1
	}
	return -1 << 63, 1<<63 - 1
}

// MaxDecimalPrecision is how many digits a DECIMAL may have.
const MaxDecimalPrecision = 38

var aliases = map[string]Type{
	"boolean": TBoolean, "bool": TBoolean,
	"smallint": TSmallInt, "int2": TSmallInt, "tinyint": TSmallInt, "smallserial": TSmallInt, "serial2": TSmallInt, "int16": TSmallInt,
	"int": TInteger, "integer": TInteger, "int4": TInteger, "mediumint": TInteger, "serial": TInteger, "serial4": TInteger, "int32": TInteger,
	"bigint": TBigInt, "int8": TBigInt, "bigserial": TBigInt, "serial8": TBigInt, "int64": TBigInt,
	"float": TFloat, "float4": TFloat, "real": TFloat, "float32": TFloat,
	"double": TDouble, "double precision": TDouble, "float8": TDouble, "float64": TDouble,
	"decimal": TDecimal, "numeric": TDecimal, "dec": TDecimal,
	"text": TText, "varchar": TText, "char": TText, "character": TText, "character varying": TText, "bpchar": TText,
	"string": TText, "name": TText, "citext": TText, "tinytext": TText, "mediumtext": TText, "longtext": TText,
	"json": TJSON, "jsonb": TJSON,
	"uuid":  TUUID,
	"bytes": TBytes, "bytea": TBytes, "blob": TBytes, "binary": TBytes, "varbinary": TBytes,
	"date": TDate,
	"time": TTime, "time without time zone": TTime,
	"timestamp": TTimestamp, "timestamptz": TTimestamp, "datetime": TTimestamp,
	"timestamp without time zone": TTimestamp, "timestamp with time zone": TTimestamp,
	"interval": TInterval,
	"unknown":  TUnknown, "record": TRecord,
}

// Named finds a type by any of its SQL names, in any case, without
// modifiers. FLOAT is the 32-bit type, DOUBLE the 64-bit one; FLOAT(25) to
// FLOAT(53) is DOUBLE, as in PostgreSQL.
func Named(name string) (Type, bool) {
	t, ok := aliases[strings.ToLower(name)]
	return t, ok
}

// Names lists every name that Named knows, without an order.
func Names() []string {
	out := make([]string, 0, len(aliases))
	for n := range aliases {
		out = append(out, n)
	}
	return out
}
