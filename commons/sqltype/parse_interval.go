package sqltype

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// intervalSum adds up an interval's parts; a part of a month spills into days
// and a part of a day into microseconds, as in PostgreSQL.
type intervalSum struct {
	months, days float64
	micros       float64
	wholeMicros  int64
	tooBig       bool
	// badField tells of a field whose value it cannot have.
	badField bool
	// given are the units that had a value: none may have two.
	given []intervalUnit
}

var (
	aYear   = intervalUnit{months: 12}
	aMonth  = intervalUnit{months: 1}
	aDay    = intervalUnit{days: 1}
	anHour  = intervalUnit{micros: 3600e6}
	aMinute = intervalUnit{micros: 60e6}
	aSecond = intervalUnit{micros: 1e6}
)

// once notes the units that a value is of; false when one had a value before.
func (a *intervalSum) once(units ...intervalUnit) bool {
	for _, u := range units {
		if slices.Contains(a.given, u) {
			return false
		}
	}
	a.given = append(a.given, units...)
	return true
}

type intervalUnit struct {
	months, days int64
	micros       int64
}

var intervalUnits = map[string]intervalUnit{
	"microsecond": {micros: 1}, "us": {micros: 1}, "usec": {micros: 1}, "microsecon": {micros: 1},
	"millisecond": {micros: 1000}, "ms": {micros: 1000}, "msec": {micros: 1000}, "millisecon": {micros: 1000},
	"second": {micros: 1e6}, "s": {micros: 1e6}, "sec": {micros: 1e6},
	"minute": {micros: 60e6}, "m": {micros: 60e6}, "min": {micros: 60e6},
	"hour": {micros: 3600e6}, "h": {micros: 3600e6}, "hr": {micros: 3600e6},
	"day": {days: 1}, "d": {days: 1},
	"week": {days: 7}, "w": {days: 7},
	"month": {months: 1}, "mon": {months: 1},
	"quarter": {months: 3}, "qtr": {months: 3},
	"year": {months: 12}, "y": {months: 12}, "yr": {months: 12},
	"decade": {months: 120}, "dec": {months: 120},
	"century": {months: 1200}, "centurie": {months: 1200}, "c": {months: 1200}, "cent": {months: 1200},
	"millennium": {months: 12000}, "millennia": {months: 12000}, "mil": {months: 12000},
}

func findUnit(name string) (intervalUnit, bool) {
	if u, ok := intervalUnits[name]; ok {
		return u, true
	}
	u, ok := intervalUnits[strings.TrimSuffix(name, "s")]
	return u, ok
}

// add adds whole + frac of a unit, frac having the sign of whole. The two
// stay apart so that 3.9 months are 3 months and 27 days.
func (a *intervalSum) add(whole int64, frac float64, u intervalUnit) {
	switch {
	case u.months != 0:
		a.months += float64(whole) * float64(u.months)
		if u.months == 1 {
			a.addDays(frac * daysPerMonth)
		} else {
			// A fraction of a year and longer is rounded to months.
			a.months += math.RoundToEven(frac * float64(u.months))
		}
	case u.days != 0:
		a.days += float64(whole) * float64(u.days)
		a.addDays(frac * float64(u.days))
	default:
		if a.tooBig = a.tooBig || math.Abs(float64(whole)*float64(u.micros)) > math.MaxInt64/2; a.tooBig {
			return
		}
		a.wholeMicros += whole * u.micros
		a.micros += math.RoundToEven(frac * float64(u.micros))
	}
}

// addDays adds days whose fraction becomes time.
func (a *intervalSum) addDays(d float64) {
	w := math.Trunc(d)
	a.days += w
	a.micros += math.RoundToEven((d - w) * microsPerDay)
}

func (a *intervalSum) value() (IntervalValue, bool) {
	us := float64(a.wholeMicros) + a.micros
	if a.tooBig || math.Abs(a.months) > math.MaxInt32 || math.Abs(a.days) > math.MaxInt32 || math.Abs(us) > math.MaxInt64-1024 {
		return IntervalValue{}, false
	}
	return IntervalValue{Months: int32(a.months), Days: int32(a.days), Micros: a.wholeMicros + int64(a.micros)}, true
}

// ParseInterval reads PostgreSQL's forms (1 year 2 mons -3 days 04:05:06.5,
// 1-2 for years and months), ISO 8601 (P1Y2M3DT4H5M6S) and the verbose one
// (@ 1 hour ago). A number without a unit counts seconds.
func ParseInterval(s string) (IntervalValue, error) { return ParseIntervalFields(s, "") }

// ParseIntervalFields is ParseInterval for INTERVAL '…' field: a number
// without a unit counts the (last) field, and smaller units are cut off.
func ParseIntervalFields(s, field string) (IntervalValue, error) {
	bad := dberr.Newf(dberr.TypeMismatch, "invalid input syntax for type interval: %s", quote(s)).WithState("22007")
	outside := dberr.Newf(dberr.ValueOutOfRange, "interval field value out of range: %s", quote(s)).WithState("22015")
	text := strings.ToLower(trimSpace(s))
	if text == "" || len(text) > 256 {
		return IntervalValue{}, bad
	}
	last := field
	if i := strings.LastIndex(field, " to "); i >= 0 {
		last = field[i+4:]
	}
	unit, ok := findUnit(last)
	if !ok {
		unit = intervalUnit{micros: 1e6}
	}
	var sum intervalSum
	if text[0] == 'p' || strings.HasPrefix(text, "-p") {
		ok = sum.iso(text)
	} else {
		ok = sum.words(strings.Map(blankPunctuation, text), unit, field)
	}
	if sum.badField {
		return IntervalValue{}, outside
	}
	if !ok {
		return IntervalValue{}, bad
	}
	iv, ok := sum.value()
	if !ok {
		return IntervalValue{}, outside
	}
	return iv.cut(last), nil
}

// blankPunctuation makes a space of a sign that says nothing in an interval.
func blankPunctuation(c rune) rune {
	if strings.ContainsRune("%#$&*=|~^!?;()[]{}<>\"'`\\", c) {
		return ' '
	}
	return c
}

// unspaced is s without the space that parts a sign at s[i] from what it is
// the sign of.
func unspaced(s string, i int) string {
	rest := trimSpace(s[i+1:])
	if s[i] != '+' && s[i] != '-' || rest == "" || rest[0] == '.' {
		return s
	}
	return s[:i+1] + rest
}

// cut drops what is smaller than the field.
func (iv IntervalValue) cut(field string) IntervalValue {
	switch strings.TrimSuffix(field, "s") {
	case "year":
		return IntervalValue{Months: iv.Months / 12 * 12}
	case "month":
		return IntervalValue{Months: iv.Months}
	case "day":
		return IntervalValue{Months: iv.Months, Days: iv.Days}
	case "hour":
		iv.Micros -= iv.Micros % 3_600_000_000
	case "minute":
		iv.Micros -= iv.Micros % 60_000_000
	}
	return iv
}

// number reads [+-]digits[.digits] at s[i:].
func number(s string, i int) (whole int64, frac float64, neg bool, next int, ok bool) {
	start := i
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		neg = s[i] == '-'
		i++
	}
	digits := i
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i > digits {
		n, err := strconv.ParseInt(s[digits:i], 10, 64)
		if err != nil {
			return 0, 0, neg, start, false
		}
		whole = n
	}
	seen := i > digits
	if i < len(s) && s[i] == '.' {
		from := i
		for i++; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			seen = true
		}
		if i > from+1 {
			f, err := strconv.ParseFloat("0"+s[from:i], 64)
			if err != nil {
				return 0, 0, neg, start, false
			}
			frac = f
		}
	}
	if neg {
		whole, frac = -whole, -frac
	}
	return whole, frac, neg, i, seen
}

func (a *intervalSum) words(s string, bare intervalUnit, field string) bool {
	ago, seen := false, false
	if s[0] == '@' {
		s = s[1:]
	}
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == ',':
			i++
			continue
		case strings.HasPrefix(s[i:], "ago"):
			if !seen || ago {
				return false
			}
			ago = true
			i += 3
			continue
		case c == '+' || c == '-':
			s = unspaced(s, i)
		}
		start := i
		whole, frac, neg, next, ok := number(s, i)
		if !ok {
			return false
		}
		i = next
		seen = true
		switch {
		case i < len(s) && s[i] == ':':
			if i, ok = a.clock(s, start, field); !ok {
				return false
			}
			continue
		case i < len(s) && s[i] == '-' && frac == 0:
			// 1-2: years and months; 1-: years.
			m, mf, _, after, ok := number(s, i+1)
			if i+1 == len(s) || s[i+1] == ' ' {
				m, mf, after, ok = 0, 0, i+1, true
			}
			if !ok || mf != 0 || m < 0 {
				return false
			}
			if m > 11 {
				a.badField = true
				return false
			}
			if after < len(s) && s[after] != ' ' || !a.once(aMonth) {
				return false
			}
			if neg {
				m = -m
			}
			a.months += float64(whole)*12 + float64(m)
			i = after
			continue
		}
		for i < len(s) && s[i] == ' ' {
			i++
		}
		word := i
		for i < len(s) && s[i] >= 'a' && s[i] <= 'z' {
			i++
		}
		name := s[word:i]
		if name == "" || name == "ago" {
			i = word
			rest := strings.TrimSpace(s[i:])
			if rest != "" && !timeFollows(rest) { // ago needs a unit
				return false
			}
			u := bare
			if timeFollows(rest) {
				// 1 04:05:06: days before a time.
				u = aDay
			}
			if !a.once(u) {
				return false
			}
			a.add(whole, frac, u)
			continue
		}
		u, ok := findUnit(name)
		if !ok || !a.once(u) {
			return false
		}
		if u == aSecond && frac != 0 && !a.once(intervalUnit{micros: 1000}, intervalUnit{micros: 1}) {
			return false
		}
		a.add(whole, frac, u)
	}
	if ago {
		a.months, a.days, a.micros, a.wholeMicros = -a.months, -a.days, -a.micros, -a.wholeMicros
	}
	return seen
}

func timeFollows(s string) bool {
	if s == "" {
		return false
	}
	s = unspaced(s, 0)
	_, _, _, next, ok := number(s, 0)
	return ok && next < len(s) && s[next] == ':'
}

// clock reads [-]hh:mm[:ss[.frac]].
func (a *intervalSum) clock(s string, i int, field string) (int, bool) {
	neg := s[i] == '-'
	if neg || s[i] == '+' {
		i++
	}
	h, hf, _, i, ok := number(s, i)
	if !ok || hf != 0 {
		return i, false
	}
	m, mf, mneg, i, ok := number(s, i+1)
	if !ok || m > 59 || m < 0 || mneg {
		return i, false
	}
	var sec int64
	var sf float64
	switch {
	case i < len(s) && s[i] == ':':
		var sneg bool
		if sec, sf, sneg, i, ok = number(s, i+1); !ok || sec > 60 || sneg || mf != 0 {
			return i, false
		}
	case mf != 0 || field == "minute to second":
		// 05:06.5: minutes and seconds.
		h, m, sec, sf = 0, h, m, mf
	}
	if h > math.MaxInt64/3_600_000_000-1 {
		return i, false
	}
	if !a.once(anHour, aMinute, aSecond) {
		return i, false
	}
	us := h*3_600_000_000 + m*60_000_000 + sec*1_000_000 + int64(math.RoundToEven(sf*1e6))
	if neg {
		us = -us
	}
	a.wholeMicros += us
	return i, true
}

// iso reads P1Y2M3W4DT5H6M7.8S and P0001-02-03T04:05:06.
func (a *intervalSum) iso(s string) bool {
	sign := int64(1)
	if s[0] == '-' {
		sign, s = -1, s[1:]
	}
	inTime, seen := false, false
	for i := 1; i < len(s); {
		if s[i] == 't' {
			if inTime || i+1 == len(s) {
				return false
			}
			inTime = true
			i++
			continue
		}
		whole, frac, _, next, ok := number(s, i)
		if !ok || next >= len(s) {
			return false
		}
		if i == 1 && s[next] == '-' {
			return a.isoFields(s[1:], sign)
		}
		var u intervalUnit
		switch c := s[next]; {
		case !inTime && c == 'y':
			u.months = 12
		case !inTime && c == 'm':
			u.months = 1
		case !inTime && c == 'w':
			u.days = 7
		case !inTime && c == 'd':
			u.days = 1
		case inTime && c == 'h':
			u.micros = 3_600_000_000
		case inTime && c == 'm':
			u.micros = 60_000_000
		case inTime && c == 's':
			u.micros = 1_000_000
		default:
			return false
		}
		a.add(sign*whole, float64(sign)*frac, u)
		seen = true
		i = next + 1
	}
	return seen
}

// isoFields reads 0001-02-03T04:05:06, where the time may be missing.
func (a *intervalSum) isoFields(s string, sign int64) bool {
	date, clock, timed := strings.Cut(s, "t")
	ymd := strings.Split(date, "-")
	if len(ymd) != 3 || timed && !strings.Contains(clock, ":") {
		return false
	}
	for i, u := range []intervalUnit{aYear, aMonth, aDay} {
		n, frac, neg, next, ok := number(ymd[i], 0)
		if !ok || neg || next != len(ymd[i]) {
			return false
		}
		a.add(sign*n, float64(sign)*frac, u)
	}
	if !timed {
		return true
	}
	before := a.wholeMicros
	end, ok := a.clock(clock, 0, "")
	a.wholeMicros = before + sign*(a.wholeMicros-before)
	return ok && end == len(clock)
}
