package wireconv

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// Format is how a client wants its rows.
type Format struct {
	// Arrays writes rows as arrays instead of objects.
	Arrays bool
	// Int64Strings writes BIGINT values as strings, for readers whose
	// numbers have 53 bits.
	Int64Strings bool
}

// AppendValue appends one value.
func AppendValue(dst []byte, v sqltype.Value, f Format) []byte {
	if v.IsNull() {
		return append(dst, "null"...)
	}
	switch k := v.Kind(); k.Physical() {
	case sqltype.PhysBool:
		return strconv.AppendBool(dst, v.Bool())
	case sqltype.PhysInt:
		return appendInt(dst, k, v.Int(), f)
	case sqltype.PhysFloat:
		return appendFloat(dst, k, v.Float())
	case sqltype.PhysDecimal:
		return append(v.Decimal().Append(append(dst, '"')), '"')
	case sqltype.PhysString:
		return appendStr(dst, k, v.Str())
	case sqltype.PhysInterval:
		return append(v.Interval().Append(append(dst, '"')), '"')
	case sqltype.PhysList:
		return appendList(dst, v.List(), f)
	}
	return append(dst, "null"...)
}

func appendInt(dst []byte, k sqltype.Kind, n int64, f Format) []byte {
	switch k {
	case sqltype.Timestamp:
		return append(sqltype.AppendRFC3339(append(dst, '"'), n), '"')
	case sqltype.Date:
		return append(sqltype.AppendDate(append(dst, '"'), n), '"')
	case sqltype.Time:
		return append(sqltype.AppendTime(append(dst, '"'), n), '"')
	case sqltype.BigInt:
		if f.Int64Strings {
			return append(strconv.AppendInt(append(dst, '"'), n, 10), '"')
		}
	}
	return strconv.AppendInt(dst, n, 10)
}

func appendFloat(dst []byte, k sqltype.Kind, x float64) []byte {
	if k == sqltype.Float {
		return AppendFloat(dst, x, 32)
	}
	return AppendFloat(dst, x, 64)
}

func appendStr(dst []byte, k sqltype.Kind, s string) []byte {
	switch k {
	case sqltype.JSON:
		return appendJSON(dst, s)
	case sqltype.Bytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, []byte(s))
		return append(dst, '"')
	case sqltype.UUID:
		return append(sqltype.AppendUUID(append(dst, '"'), s), '"')
	}
	return AppendString(dst, s)
}

// appendJSON appends the text of a JSON value, which was checked when it was
// made. Go's check lets strings pass that are not UTF-8; a WebSocket text
// message with one would end the connection.
func appendJSON(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return append(dst, s...)
}

func appendList(dst []byte, list []sqltype.Value, f Format) []byte {
	dst = append(dst, '[')
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendValue(dst, e, f)
	}
	return append(dst, ']')
}

// AppendRaw appends a JSON text that came from elsewhere, or null when it is
// not valid.
func AppendRaw(dst []byte, raw json.RawMessage) []byte {
	if !json.Valid(raw) {
		return append(dst, "null"...)
	}
	return appendJSON(dst, string(raw))
}
