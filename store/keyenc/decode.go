package keyenc

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// maxDepth is how deep lists may lie in lists.
const maxDepth = 16

func damaged(what string) error {
	return dberr.New(dberr.Internal, "stored key is damaged: "+what)
}

// Decode reads the first value of a key and gives the rest. The value shares
// no memory with the key. It is equal to the one that was appended, but may
// differ in what Compare does not see: a decimal has lost the zeros at its
// end, a float the sign of zero, an interval the split into months and days.
// A RECORD cannot be read, because its type does not name its fields.
//
// Any bytes may be given; what is no key gives an error.
func Decode(key []byte, t sqltype.Type, o Order) (v sqltype.Value, rest []byte, err error) {
	return decode(key, t, o, 0)
}

// DecodeKey reads a whole ascending key into dst, one value for each type.
func DecodeKey(dst []sqltype.Value, key []byte, types ...sqltype.Type) ([]sqltype.Value, error) {
	for _, t := range types {
		v, rest, err := Decode(key, t, Asc)
		if err != nil {
			return nil, err
		}
		dst, key = append(dst, v), rest
	}
	if len(key) > 0 {
		return nil, damaged("bytes after its end")
	}
	return dst, nil
}

func decode(key []byte, t sqltype.Type, o Order, depth int) (v sqltype.Value, rest []byte, err error) {
	if len(key) == 0 {
		return v, nil, damaged("it ends early")
	}
	switch {
	case key[0] == markValue:
	case key[0] == markNullFirst && o.NullsFirst, key[0] == markNullLast && !o.NullsFirst:
		return sqltype.NullOf(t.Kind), key[1:], nil
	default:
		return v, nil, damaged("unknown mark")
	}
	b := key[1:]
	var inv byte
	if o.Desc {
		inv = 0xff
	}
	switch t.Physical() {
	case sqltype.PhysBool:
		return decodeBool(b, o)
	case sqltype.PhysInt:
		u, b, err := decodeUint64(b, o)
		return sqltype.NewInt(t.Kind, int64(u^1<<63)), b, err
	case sqltype.PhysFloat:
		u, b, err := decodeUint64(b, o)
		if u>>63 != 0 {
			u &^= 1 << 63
		} else {
			u = ^u
		}
		return sqltype.NewFloat(t.Kind, math.Float64frombits(u)), b, err
	case sqltype.PhysDecimal:
		return decodeDecimal(b, inv)
	case sqltype.PhysInterval:
		days, b, err := decodeUint64(b, o)
		if err != nil {
			return v, nil, err
		}
		micros, b, err := decodeUint64(b, o)
		if err != nil {
			return v, nil, err
		}
		iv, ok := intervalFrom(int64(days^1<<63), micros)
		if !ok {
			return v, nil, damaged("interval out of range")
		}
		return sqltype.NewInterval(iv), b, nil
	case sqltype.PhysString:
		if t.Kind == sqltype.UUID {
			if len(b) < 16 {
				return v, nil, damaged("it ends early")
			}
			var u [16]byte
			for i := range u {
				u[i] = b[i] ^ inv
			}
			return sqltype.NewUUID(u), b[16:], nil
		}
		s, rest, err := decodeText(b, inv)
		return sqltype.NewString(t.Kind, s), rest, err
	case sqltype.PhysList:
		return decodeList(b, t, o, depth)
	}
	return v, nil, damaged("a value of a type that has none")
}

func decodeBool(b []byte, o Order) (sqltype.Value, []byte, error) {
	if len(b) == 0 || b[0] > 1 {
		return sqltype.Value{}, nil, damaged("no boolean")
	}
	return sqltype.NewBool((b[0] == 1) != o.Desc), b[1:], nil
}

func decodeUint64(b []byte, o Order) (uint64, []byte, error) {
	if len(b) < 8 {
		return 0, nil, damaged("it ends early")
	}
	u := binary.BigEndian.Uint64(b)
	if o.Desc {
		u = ^u
	}
	return u, b[8:], nil
}

// decodeText reads text whose bytes are inverted by inv. It looks for the end
// first, so that it allocates what the text takes and no more.
func decodeText(b []byte, inv byte) (string, []byte, error) {
	zero := inv
	size, end := 0, 0
	for {
		i := bytes.IndexByte(b[end:], zero)
		if i < 0 || end+i+1 >= len(b) {
			return "", nil, damaged("text without an end")
		}
		size += i
		end += i + 2
		if c := b[end-1] ^ inv; c == zeroEnd {
			break
		} else if c != zeroEscaped {
			return "", nil, damaged("unknown escape in text")
		}
		size++
	}
	text, rest := b[:end-2], b[end:]
	if inv == 0 && size == len(text) {
		return string(text), rest, nil
	}
	out := make([]byte, 0, size)
	for i := 0; i < len(text); i++ {
		c := text[i] ^ inv
		out = append(out, c)
		if c == 0 {
			i++ // the escape
		}
	}
	return string(out), rest, nil
}

func decodeDecimal(b []byte, inv byte) (v sqltype.Value, rest []byte, err error) {
	if len(b) == 0 {
		return v, nil, damaged("it ends early")
	}
	sign := b[0] ^ inv
	b = b[1:]
	switch sign {
	case signZero:
		return sqltype.NewDecimal(decimal.Decimal{}), b, nil
	case signNegative:
		inv = ^inv
	case signPositive:
	default:
		return v, nil, damaged("unknown sign")
	}
	if len(b) == 0 {
		return v, nil, damaged("it ends early")
	}
	exponent := int(b[0]^inv) - 128
	b = b[1:]
	var digits [maxDigits + 1]byte
	n := 0
	for {
		if len(b) == 0 {
			return v, nil, damaged("number without an end")
		}
		pair := b[0] ^ inv
		b = b[1:]
		if pair == 0 {
			break
		}
		if pair > 100 || n+2 > len(digits) {
			return v, nil, damaged("number out of range")
		}
		digits[n], digits[n+1] = (pair-1)/10, (pair-1)%10
		n += 2
	}
	for n > 0 && digits[n-1] == 0 {
		n--
	}
	d, ok := decimalFrom(digits[:n], exponent, sign == signNegative)
	if !ok {
		return v, nil, damaged("number out of range")
	}
	return sqltype.NewDecimal(d), b, nil
}

func decodeList(b []byte, t sqltype.Type, o Order, depth int) (v sqltype.Value, rest []byte, err error) {
	if t.Kind == sqltype.Record {
		return v, nil, dberr.New(dberr.Internal, "a record cannot be read from a key")
	}
	if depth == maxDepth {
		return v, nil, damaged("lists lie too deep")
	}
	// A descending list is inverted with all that is in it, so it is turned
	// around as a whole; its elements then are as in an ascending one.
	in := b
	if o.Desc {
		in = flip(slices.Clone(b), 0, o)
	}
	var list []sqltype.Value
	for {
		if len(in) == 0 {
			return v, nil, damaged("list without an end")
		}
		if in[0] == listEnd {
			return sqltype.NewArray(list), b[len(b)-len(in)+1:], nil
		}
		var e sqltype.Value
		if e, in, err = decode(in, t.ElemType(), Asc, depth+1); err != nil {
			return v, nil, err
		}
		list = append(list, e)
	}
}

// intervalFrom makes an interval of whole days and the microseconds left over:
// as many months as fit, then days, and microseconds for what is longer still.
func intervalFrom(days int64, micros uint64) (iv sqltype.IntervalValue, ok bool) {
	if micros >= microsPerDay {
		return iv, false
	}
	iv.Months = int32(max(math.MinInt32, min(math.MaxInt32, days/daysPerMonth)))
	days -= int64(iv.Months) * daysPerMonth
	iv.Days = int32(max(math.MinInt32, min(math.MaxInt32, days)))
	days -= int64(iv.Days)
	const most = math.MaxInt64 / microsPerDay
	switch {
	case days > most || days < -most-1:
		return iv, false
	case days >= 0:
		iv.Micros = days*microsPerDay + int64(micros)
		return iv, iv.Micros >= 0
	}
	// The day before the last, then back: days alone may be below the range.
	iv.Micros = (days+1)*microsPerDay + (int64(micros) - microsPerDay)
	return iv, iv.Micros < 0
}
