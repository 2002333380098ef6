package builtin

import (
	"math/bits"
	"strings"

	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func init() {
	s := section{"bytes", Scalar}
	trim := func(left, right bool) Eval {
		return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			return sqltype.NewString(sqltype.Bytes, trimBytes(a[0].Str(), a[1].Str(), left, right)), nil
		}
	}
	s.def("btrim(bytes, bytes) bytes; trim(bytes, bytes) bytes", "Removes the bytes of the second string from both ends.", trim(true, true))
	s.def("ltrim(bytes, bytes) bytes", "Removes the bytes of the second string from the beginning.", trim(true, false))
	s.def("rtrim(bytes, bytes) bytes", "Removes the bytes of the second string from the end.", trim(false, true))
	s.def("bit_count(bytes) bigint", "Counts the bits that are set.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n := 0
		for i := range len(a[0].Str()) {
			n += bits.OnesCount8(a[0].Str()[i])
		}
		return sqltype.NewBigInt(int64(n)), nil
	})
	s.def("overlay(bytes, bytes, int) bytes; overlay(bytes, bytes, int, int) bytes", "Replaces the bytes from a place on by the second byte string.", overlayBytes)
}

// trimBytes is strings.Trim for bytes that are no UTF-8.
func trimBytes(s, set string, left, right bool) string {
	for left && s != "" && strings.IndexByte(set, s[0]) >= 0 {
		s = s[1:]
	}
	for right && s != "" && strings.IndexByte(set, s[len(s)-1]) >= 0 {
		s = s[:len(s)-1]
	}
	return s
}

func overlayBytes(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	s, with, from := a[0].Str(), a[1].Str(), a[2].Int()
	n := int64(len(with))
	if len(a) > 3 {
		n = a[3].Int()
	}
	if from <= 0 {
		return sqltype.Value{}, negativeLength()
	}
	if len(s)+len(with) > MaxText {
		return sqltype.Value{}, tooLarge()
	}
	size := int64(len(s))
	// Both ends of what stays lie within s, whatever the numbers.
	head := min(from-1, size)
	tail := min(max(from+n-1, 0), size)
	return sqltype.NewString(sqltype.Bytes, s[:head]+with+s[tail:]), nil
}
