package keyenc

import (
	"encoding/binary"
	"math"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// Order is the direction of one column of a key. The zero value is ascending
// with NULLs last, PostgreSQL's default.
type Order struct {
	// Desc turns the order of the values around, not that of NULLs.
	Desc bool
	// NullsFirst puts NULLs before all values.
	NullsFirst bool
}

// Asc and Desc are PostgreSQL's meanings of the two words: NULL counts as
// greater than every value.
var (
	Asc  = Order{}
	Desc = Order{Desc: true, NullsFirst: true}
)

// The byte before each value. Descending order does not invert it.
const (
	markNullFirst = 0x00
	markValue     = 0x01
	markNullLast  = 0x02
)

// The end of text: a zero byte in the text is followed by zeroEscaped, the
// end by zeroEnd.
const (
	zeroEnd     = 0x01
	zeroEscaped = 0xff
)

// What stands before each element of a list, and after the last.
const listEnd = 0x00

// The signs of decimals.
const (
	signNegative = 0x01
	signZero     = 0x02
	signPositive = 0x03
)

// Append appends a value of any kind.
func Append(dst []byte, v sqltype.Value, o Order) []byte {
	if v.IsNull() {
		return AppendNull(dst, o)
	}
	switch v.Kind().Physical() {
	case sqltype.PhysBool:
		return AppendBool(dst, v.Bool(), o)
	case sqltype.PhysInt:
		return AppendInt64(dst, v.Int(), o)
	case sqltype.PhysFloat:
		return AppendFloat64(dst, v.Float(), o)
	case sqltype.PhysDecimal:
		return AppendDecimal(dst, v.Decimal(), o)
	case sqltype.PhysInterval:
		return AppendInterval(dst, v.Interval(), o)
	case sqltype.PhysString:
		if v.Kind() == sqltype.UUID {
			var u [16]byte
			copy(u[:], v.Str())
			return AppendUUID(dst, u, o)
		}
		return AppendString(dst, v.Str(), o)
	case sqltype.PhysList:
		return AppendList(dst, v.List(), o)
	}
	return AppendNull(dst, o)
}

// AppendKey appends the ascending key of several values: a primary key.
func AppendKey(dst []byte, values ...sqltype.Value) []byte {
	for _, v := range values {
		dst = Append(dst, v, Asc)
	}
	return dst
}

// AppendNull appends NULL.
func AppendNull(dst []byte, o Order) []byte {
	if o.NullsFirst {
		return append(dst, markNullFirst)
	}
	return append(dst, markNullLast)
}

// AppendBool appends a BOOLEAN: false before true.
func AppendBool(dst []byte, b bool, o Order) []byte {
	var x byte
	if b != o.Desc {
		x = 1
	}
	return append(dst, markValue, x)
}

// AppendInt64 appends an integer of any width, a DATE, TIME or TIMESTAMP.
func AppendInt64(dst []byte, n int64, o Order) []byte {
	u := uint64(n) ^ 1<<63
	if o.Desc {
		u = ^u
	}
	return binary.BigEndian.AppendUint64(append(dst, markValue), u)
}

// AppendTimestamp appends microseconds since 1970-01-01 UTC. It is
// AppendInt64 under the name of its use.
func AppendTimestamp(dst []byte, micros int64, o Order) []byte { return AppendInt64(dst, micros, o) }

// AppendFloat64 appends a FLOAT or DOUBLE: -0 as 0, NaN after everything.
func AppendFloat64(dst []byte, f float64, o Order) []byte {
	switch {
	case f == 0:
		f = 0 // -0 is 0
	case f != f:
		f = math.NaN() // of the NaNs, one that is positive
	}
	u := math.Float64bits(f)
	if u>>63 != 0 {
		u = ^u
	} else {
		u |= 1 << 63
	}
	if o.Desc {
		u = ^u
	}
	return binary.BigEndian.AppendUint64(append(dst, markValue), u)
}

// AppendString appends TEXT or JSON, ordered by its bytes.
func AppendString(dst []byte, s string, o Order) []byte { return appendText(dst, s, o) }

// AppendBytes appends BYTES.
func AppendBytes(dst []byte, b []byte, o Order) []byte { return appendText(dst, b, o) }

func appendText[T string | []byte](dst []byte, s T, o Order) []byte {
	dst = append(dst, markValue)
	from := len(dst)
	for start, i := 0, 0; ; i++ {
		if i == len(s) {
			dst = append(dst, s[start:]...)
			break
		}
		if s[i] == 0 {
			dst = append(dst, s[start:i+1]...)
			dst = append(dst, zeroEscaped)
			start = i + 1
		}
	}
	return flip(append(dst, 0, zeroEnd), from, o)
}

// flip inverts what was appended since from, in descending order.
func flip(dst []byte, from int, o Order) []byte {
	if o.Desc {
		for i := from; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}

// AppendUUID appends a UUID, ordered by its bytes.
func AppendUUID(dst []byte, u [16]byte, o Order) []byte {
	dst = append(dst, markValue)
	from := len(dst)
	return flip(append(dst, u[:]...), from, o)
}

// AppendDecimal appends a DECIMAL. Equal numbers of different scales have the
// same encoding.
func AppendDecimal(dst []byte, d decimal.Decimal, o Order) []byte {
	dst = append(dst, markValue)
	from := len(dst)
	var digits [maxDigits]byte
	n, negative := decimalDigits(&digits, d)
	if n == 0 {
		return flip(append(dst, signZero), from, o)
	}
	// The number is 0.DIGITS · 10^exponent, its first digit not zero.
	exponent := n - int(d.Scale())
	for digits[n-1] == 0 {
		n--
	}
	if negative {
		dst = append(dst, signNegative)
	} else {
		dst = append(dst, signPositive)
	}
	body := len(dst)
	dst = append(dst, byte(max(-127, min(127, exponent))+128))
	for i := 0; i < n; i += 2 {
		pair := digits[i] * 10
		if i+1 < n {
			pair += digits[i+1]
		}
		dst = append(dst, pair+1)
	}
	dst = append(dst, 0)
	if negative {
		dst = flip(dst, body, Order{Desc: true})
	}
	return flip(dst, from, o)
}

// AppendInterval appends an INTERVAL, ordered by its length with a month of 30
// days and a day of 24 hours. Equal lengths have the same encoding.
func AppendInterval(dst []byte, iv sqltype.IntervalValue, o Order) []byte {
	days := int64(iv.Months)*daysPerMonth + int64(iv.Days) + iv.Micros/microsPerDay
	micros := iv.Micros % microsPerDay
	if micros < 0 {
		micros += microsPerDay
		days--
	}
	dst = append(dst, markValue)
	from := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(days)^1<<63)
	return flip(binary.BigEndian.AppendUint64(dst, uint64(micros)), from, o)
}

const (
	daysPerMonth = 30
	microsPerDay = 86_400_000_000
)

// AppendList appends an array or a record, ordered element by element, then
// by length, with NULL elements after all others.
func AppendList(dst []byte, list []sqltype.Value, o Order) []byte {
	dst = append(dst, markValue)
	from := len(dst)
	for _, v := range list {
		dst = Append(dst, v, Asc)
	}
	return flip(append(dst, listEnd), from, o)
}
