package sqltype

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/decimal"
)

func (v Value) asFloat() float64 {
	switch v.kind.Physical() {
	case PhysInt:
		return float64(v.n)
	case PhysDecimal:
		return v.Decimal().Float64()
	}
	return v.Float()
}

func (v Value) asDecimal() decimal.Decimal {
	if v.kind.Physical() == PhysInt {
		return decimal.New(v.n, 0)
	}
	return v.Decimal()
}

// Text is the value as PostgreSQL writes it as text; "" for NULL.
func (v Value) Text() string {
	if v.valid && v.kind == Text {
		return v.s
	}
	return string(v.AppendText(nil))
}

// AppendText appends what Text returns.
func (v Value) AppendText(dst []byte) []byte {
	if !v.valid {
		return dst
	}
	switch v.kind {
	case Boolean:
		if v.n != 0 {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case SmallInt, Integer, BigInt:
		return strconv.AppendInt(dst, v.n, 10)
	case Float:
		return AppendFloat(dst, v.Float(), 32)
	case Double:
		return AppendFloat(dst, v.Float(), 64)
	case Decimal:
		return v.Decimal().Append(dst)
	case Text, JSON:
		return append(dst, v.s...)
	case UUID:
		return AppendUUID(dst, v.s)
	case Bytes:
		return hex.AppendEncode(append(dst, '\\', 'x'), []byte(v.s))
	case Date:
		return AppendDate(dst, v.n)
	case Time:
		return AppendTime(dst, v.n)
	case Timestamp:
		return AppendTimestamp(dst, v.n)
	case Interval:
		return v.Interval().Append(dst)
	case Array:
		return appendArray(dst, v.list)
	case Record:
		return appendRecord(dst, v.list)
	}
	return dst
}

// AppendFloat appends the shortest text that reads back as f, in PostgreSQL's
// spelling: exponents only below 1e-4 and from 1e15 (1e6 for 32 bits), and
// NaN, Infinity, -Infinity.
func AppendFloat(dst []byte, f float64, bitSize int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	top := 1e15
	if bitSize == 32 {
		top = 1e6
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= top) {
		return strconv.AppendFloat(dst, f, 'e', -1, bitSize)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bitSize)
}

// AppendUUID appends a UUID's 16 bytes in the usual form.
func AppendUUID(dst []byte, u string) []byte {
	if len(u) != 16 {
		return dst
	}
	var b [36]byte
	hex.Encode(b[0:8], []byte(u[0:4]))
	hex.Encode(b[9:13], []byte(u[4:6]))
	hex.Encode(b[14:18], []byte(u[6:8]))
	hex.Encode(b[19:23], []byte(u[8:10]))
	hex.Encode(b[24:36], []byte(u[10:16]))
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return append(dst, b[:]...)
}

// ParseUUID reads a UUID's usual form, with or without hyphens and braces,
// into its 16 bytes.
func ParseUUID(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") {
		s = s[1 : len(s)-1]
	}
	var b [16]byte
	n := 0
	for i := 0; i < len(s); i++ {
		c, ok := unhex(s[i])
		if !ok {
			if s[i] == '-' && n > 0 && n%4 == 0 && n < 32 && s[i-1] != '-' {
				continue
			}
			return "", false
		}
		if n == 32 {
			return "", false
		}
		b[n/2] = b[n/2]<<4 | c
		n++
	}
	return string(b[:]), n == 32
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// Days and microseconds for the two infinite dates and timestamps.
const (
	DateInfinity         = math.MaxInt32
	DateNegInfinity      = math.MinInt32
	TimestampInfinity    = math.MaxInt64
	TimestampNegInfinity = math.MinInt64
)

// AppendDate appends days since 1970-01-01 as 2025-10-21.
func AppendDate(dst []byte, days int64) []byte {
	switch days {
	case DateInfinity:
		return append(dst, "infinity"...)
	case DateNegInfinity:
		return append(dst, "-infinity"...)
	}
	y, m, d := CivilFromDays(days)
	return appendYMD(dst, y, m, d)
}

func appendYMD(dst []byte, y int64, m, d int) []byte {
	bc := y <= 0
	if bc {
		y = 1 - y
	}
	if y < 1000 {
		dst = append(dst, "0000"[:4-len(strconv.FormatInt(y, 10))]...)
	}
	dst = strconv.AppendInt(dst, y, 10)
	dst = append(dst, '-', byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10))
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

// AppendTime appends microseconds since midnight as 13:05:09.25.
func AppendTime(dst []byte, micros int64) []byte {
	s := micros / 1e6
	dst = append2(dst, s/3600)
	dst = append(dst, ':')
	dst = append2(dst, s/60%60)
	dst = append(dst, ':')
	dst = append2(dst, s%60)
	return appendFraction(dst, micros%1e6)
}

func append2(dst []byte, n int64) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

func appendFraction(dst []byte, micros int64) []byte {
	if micros == 0 {
		return dst
	}
	var b [7]byte
	b[0] = '.'
	for i := 6; i > 0; i-- {
		b[i] = byte('0' + micros%10)
		micros /= 10
	}
	n := 7
	for b[n-1] == '0' {
		n--
	}
	return append(dst, b[:n]...)
}

// AppendTimestamp appends microseconds since 1970-01-01 UTC as
// 2025-10-21 13:05:09.25.
func AppendTimestamp(dst []byte, micros int64) []byte {
	switch micros {
	case TimestampInfinity:
		return append(dst, "infinity"...)
	case TimestampNegInfinity:
		return append(dst, "-infinity"...)
	}
	days, rest := FloorDiv(micros, microsPerDay)
	y, m, d := CivilFromDays(days)
	bc := y <= 0
	if bc {
		dst = appendYMD(dst, 1-y, m, d)
	} else {
		dst = appendYMD(dst, y, m, d)
	}
	dst = AppendTime(append(dst, ' '), rest)
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

// AppendRFC3339 appends microseconds since 1970-01-01 UTC as
// 2025-10-21T13:05:09.250000Z: the form on the wire, always six digits.
func AppendRFC3339(dst []byte, micros int64) []byte {
	if micros == TimestampInfinity || micros == TimestampNegInfinity {
		return AppendTimestamp(dst, micros)
	}
	days, rest := FloorDiv(micros, microsPerDay)
	y, m, d := CivilFromDays(days)
	if y < 0 || y > 9999 {
		return time.UnixMicro(micros).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	}
	dst = append2(append2(dst, y/100), y%100)
	dst = append2(append(dst, '-'), int64(m))
	dst = append2(append(dst, '-'), int64(d))
	s := rest / 1e6
	dst = append2(append(dst, 'T'), s/3600)
	dst = append2(append(dst, ':'), s/60%60)
	dst = append2(append(dst, ':'), s%60)
	us := rest % 1e6
	dst = append(dst, '.')
	dst = append2(append2(append2(dst, us/10000), us/100%100), us%100)
	return append(dst, 'Z')
}

// FloorDiv divides rounding down; rest is never negative.
func FloorDiv(n, d int64) (quo, rest int64) {
	quo, rest = n/d, n%d
	if rest < 0 {
		rest += d
		quo--
	}
	return quo, rest
}

// CivilFromDays turns days since 1970-01-01 into a date of the proleptic
// Gregorian calendar; year 0 is 1 BC. (Howard Hinnant's algorithm.)
func CivilFromDays(days int64) (year int64, month, day int) {
	z := days + 719468
	era, doe := FloorDiv(z, 146097)
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	y := yoe + era*400
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d := doy - (153*mp+2)/5 + 1
	m := mp + 3
	if m > 12 {
		m -= 12
	}
	if m <= 2 {
		y++
	}
	return y, int(m), int(d)
}

// DaysFromCivil is the inverse of CivilFromDays; a day past the month's end
// runs over into the next month.
func DaysFromCivil(year int64, month, day int) int64 {
	if month <= 2 {
		year--
	}
	era, yoe := FloorDiv(year, 400)
	mp := int64(month+9) % 12
	doy := (153*mp+2)/5 + int64(day) - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

// Append appends the interval as PostgreSQL writes it: 1 year 2 mons 3 days
// 04:05:06.5.
func (iv IntervalValue) Append(dst []byte) []byte {
	start := len(dst)
	negative := false // the part before was
	unit := func(n int64, name string) {
		if n == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		if negative && n > 0 {
			dst = append(dst, '+')
		}
		negative = n < 0
		dst = strconv.AppendInt(dst, n, 10)
		dst = append(append(dst, ' '), name...)
		if n != 1 {
			dst = append(dst, 's')
		}
	}
	unit(int64(iv.Months/12), "year")
	unit(int64(iv.Months%12), "mon")
	unit(int64(iv.Days), "day")
	if iv.Micros != 0 || len(dst) == start {
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		u := uint64(iv.Micros)
		if iv.Micros < 0 {
			dst = append(dst, '-')
			u = -u
		} else if negative {
			dst = append(dst, '+')
		}
		h := u / 3_600_000_000
		if h < 10 {
			dst = append(dst, '0')
		}
		dst = strconv.AppendUint(dst, h, 10)
		dst = append2(append(dst, ':'), int64(u/60_000_000%60))
		dst = append2(append(dst, ':'), int64(u/1_000_000%60))
		dst = appendFraction(dst, int64(u%1_000_000))
	}
	return dst
}

// String is the interval's text.
func (iv IntervalValue) String() string { return string(iv.Append(nil)) }

func appendArray(dst []byte, list []Value) []byte {
	dst = append(dst, '{')
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if e.IsNull() {
			dst = append(dst, "NULL"...)
			continue
		}
		if e.kind == Array {
			dst = e.AppendText(dst)
			continue
		}
		dst = appendQuoted(dst, e.Text(), `{},"\ `, true)
	}
	return append(dst, '}')
}

func appendRecord(dst []byte, list []Value) []byte {
	dst = append(dst, '(')
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !e.IsNull() {
			dst = appendQuoted(dst, e.Text(), `(),"\ `, false)
		}
	}
	return append(dst, ')')
}

// appendQuoted puts an element into double quotes where it needs them.
func appendQuoted(dst []byte, s, special string, nullNeeds bool) []byte {
	if s != "" && !strings.ContainsAny(s, special) && !strings.ContainsAny(s, "\t\n\r\v\f") &&
		!(nullNeeds && strings.EqualFold(s, "null")) {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}
