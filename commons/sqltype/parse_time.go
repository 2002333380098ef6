package sqltype

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	// The server must know time zones on machines without a zone database.
	_ "time/tzdata"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// Dates and timestamps begin where PostgreSQL's do, in 4714 BC. Dates end with
// it in the year 5874897, timestamps in 294247, where 64 bits of microseconds
// since 1970 do.
const (
	MinDate      = -2440588
	MaxDate      = 2145042905
	MinTimestamp = MinDate * microsPerDay
	MaxTimestamp = 1<<63 - 2
)

// dateTime is what a text says about date and time.
type dateTime struct {
	year       int64
	month, day int
	hasDate    bool
	micros     int64 // since midnight
	hasTime    bool
	loc        *time.Location
	offset     int // seconds east
	hasZone    bool
	bc         bool
	infinite   int
}

func parseTemporal(s string, t Type, now time.Time) (Value, error) {
	dt, err := readDateTime(s, t, now)
	if err != nil {
		return Value{}, err
	}
	if t.Kind == Time {
		if !dt.hasTime || dt.infinite != 0 {
			return Value{}, badSyntax(t, s)
		}
		return NewInt(Time, dt.micros), nil
	}
	if dt.infinite != 0 {
		switch {
		case t.Kind == Date && dt.infinite > 0:
			return NewInt(Date, DateInfinity), nil
		case t.Kind == Date:
			return NewInt(Date, DateNegInfinity), nil
		case dt.infinite > 0:
			return NewInt(Timestamp, TimestampInfinity), nil
		}
		return NewInt(Timestamp, TimestampNegInfinity), nil
	}
	if !dt.hasDate {
		return Value{}, badSyntax(t, s)
	}
	days := DaysFromCivil(dt.year, dt.month, dt.day)
	if t.Kind == Date {
		if days < MinDate || days > MaxDate {
			return Value{}, dberr.Newf(dberr.ValueOutOfRange, "date out of range: %s", quote(s)).WithState("22008")
		}
		return NewInt(Date, days), nil
	}
	outside := dberr.Newf(dberr.ValueOutOfRange, "timestamp out of range: %s", quote(s)).WithState("22008")
	if days < MinDate || days > MaxTimestamp/microsPerDay-1 {
		return Value{}, outside
	}
	us := days*microsPerDay + dt.micros
	switch {
	case dt.loc != nil:
		us -= int64(ZoneOffset(dt.loc, us)) * 1e6
	case dt.hasZone:
		us -= int64(dt.offset) * 1e6
	}
	if us < MinTimestamp || us > MaxTimestamp {
		return Value{}, outside
	}
	return NewInt(Timestamp, us), nil
}

// ZoneOffset is how many seconds east of UTC a zone's clocks are when they
// show the given microseconds since 1970 on their faces. In the hour that a
// clock shows twice it is the later one (standard time), in the one that it
// leaves out the offset before, as in PostgreSQL.
func ZoneOffset(loc *time.Location, local int64) int {
	sec, _ := FloorDiv(local, 1e6)
	_, before := time.Unix(sec-86400, 0).In(loc).Zone()
	_, after := time.Unix(sec+86400, 0).In(loc).Zone()
	if before == after {
		_, at := time.Unix(sec-int64(before), 0).In(loc).Zone()
		return at
	}
	fits := func(off int) bool {
		_, o := time.Unix(sec-int64(off), 0).In(loc).Zone()
		return o == off
	}
	if fits(after) {
		return after
	}
	if fits(before) {
		return before
	}
	return before
}

var zones sync.Map // lower-case name → *time.Location

// LoadZone finds a time zone by its name (Europe/Berlin, UTC, EST), in any
// case, or by an offset such as +02 or -03:30.
func LoadZone(name string) (*time.Location, bool) {
	key := strings.ToLower(trimSpace(name))
	if off, ok := parseOffset(key); ok {
		return time.FixedZone(name, off), true
	}
	if off, ok := abbreviations[key]; ok {
		return time.FixedZone(strings.ToUpper(key), off*3600), true
	}
	if l, ok := zones.Load(key); ok {
		return l.(*time.Location), true
	}
	if len(key) > 64 || key == "" || key == "local" {
		return nil, false
	}
	for _, try := range []string{trimSpace(name), titleZone(key), strings.ToUpper(key)} {
		if l, err := time.LoadLocation(try); err == nil {
			// Only zones that exist are kept, so the map is bounded.
			zones.Store(key, l)
			return l, true
		}
	}
	return nil, false
}

// abbreviations are those that have one common meaning, in hours.
var abbreviations = map[string]int{
	"utc": 0, "gmt": 0, "z": 0, "zulu": 0, "ut": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6,
	"pst": -8, "pdt": -7, "cet": 1, "cest": 2, "eet": 2, "eest": 3, "wet": 0, "west": 1, "bst": 1, "msk": 3, "jst": 9,
}

// titleZone spells a zone as the database does: europe/berlin → Europe/Berlin.
func titleZone(s string) string {
	b := []byte(s)
	up := true
	for i, c := range b {
		if up && c >= 'a' && c <= 'z' {
			b[i] = c - 32
		}
		up = c == '/' || c == '_' || c == '-'
	}
	return string(b)
}

// parseOffset reads +02, -0330, +05:30, +01:02:03.
func parseOffset(s string) (seconds int, ok bool) {
	if len(s) < 2 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	var part [3]int
	n, digits := 0, 0
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == ':' && digits > 0 && n < 2:
			n, digits = n+1, 0
		case c >= '0' && c <= '9':
			if digits == 2 {
				if strings.IndexByte(s, ':') >= 0 || n == 2 {
					return 0, false
				}
				n, digits = n+1, 0
			}
			part[n] = part[n]*10 + int(c-'0')
			digits++
		default:
			return 0, false
		}
	}
	if digits == 0 || part[0] > 15 || part[1] > 59 || part[2] > 59 {
		return 0, false
	}
	if n == 1 && digits == 1 && strings.IndexByte(s, ':') < 0 {
		// Three digits: the last two are the minutes.
		h := part[0] / 10
		part[1] += part[0] % 10 * 10
		if part[0] = h; part[1] > 59 {
			return 0, false
		}
	}
	seconds = part[0]*3600 + part[1]*60 + part[2]
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

var monthNames = map[string]int{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9, "oct": 10, "nov": 11, "dec": 12,
	"january": 1, "february": 2, "march": 3, "april": 4, "june": 6, "july": 7, "august": 8, "september": 9, "october": 10, "november": 11, "december": 12,
}

var dayNames = map[string]bool{
	"mon": true, "tue": true, "wed": true, "thu": true, "fri": true, "sat": true, "sun": true, "tues": true, "thur": true, "thurs": true, "weds": true,
	"monday": true, "tuesday": true, "wednesday": true, "thursday": true, "friday": true, "saturday": true, "sunday": true,
}

// dateTimeReader reads a text field by field.
type dateTimeReader struct {
	src, s string
	i      int
	typ    Type
	dt     dateTime
	// loose are numbers that stood alone, in order: day and year beside the
	// name of a month.
	loose []loose
	month int
	pm    int // 1 am, 2 pm
}

type loose struct {
	value, digits int
	// point says that a decimal point follows.
	point bool
}

func readDateTime(s string, t Type, now time.Time) (dateTime, error) {
	r := &dateTimeReader{src: s, s: strings.ToLower(trimSpace(s)), typ: t}
	if r.s == "" || len(r.s) > 128 {
		return dateTime{}, badSyntax(t, s)
	}
	for r.i < len(r.s) {
		var err error
		switch c := r.s[r.i]; {
		case strings.IndexByte(" \t\n\r\v\f,", c) >= 0:
			r.i++
		case c >= '0' && c <= '9':
			err = r.number()
		case c >= 'a' && c <= 'z':
			err = r.word(now)
		case (c == '+' || c == '-') && r.i+1 < len(r.s):
			err = r.sign()
		case c == '.' && (r.i+1 == len(r.s) || r.s[r.i+1] < '0' || r.s[r.i+1] > '9'):
			err = r.bad() // a fraction without digits
		case c != '+' && c != '-' && c < utf8.RuneSelf && c > ' ' && c != 0x7f:
			r.i++ // other punctuation says nothing
		default:
			err = r.bad()
		}
		if err != nil {
			return dateTime{}, err
		}
	}
	return r.finish()
}

func (r *dateTimeReader) bad() error { return badSyntax(r.typ, r.src) }

func (r *dateTimeReader) outOfRange() error {
	return dberr.Newf(dberr.ValueOutOfRange, "date/time field value out of range: %s", quote(r.src)).WithState("22008")
}

func (r *dateTimeReader) digits() (value, n int) {
	for r.i < len(r.s) && r.s[r.i] >= '0' && r.s[r.i] <= '9' {
		if value < 1e8 {
			value = value*10 + int(r.s[r.i]-'0')
		}
		r.i++
		n++
	}
	return value, n
}

func (r *dateTimeReader) peek() byte {
	if r.i < len(r.s) {
		return r.s[r.i]
	}
	return 0
}

// number reads what begins with a digit: a time, a date, or a bare number.
func (r *dateTimeReader) number() error {
	start := r.i
	v, n := r.digits()
	switch c := r.peek(); {
	case c == ':':
		r.i = start
		return r.time()
	case c == '-' || c == '/' || c == '.' && r.typ.Kind != Time && !r.dt.hasDate && strings.Count(r.s[r.i:], ".") > 1:
		if r.dt.hasDate {
			return r.bad()
		}
		return r.date(v, n, c)
	case n > 8 && r.typ.Kind == Time:
		return r.bad()
	case n > 8 && !r.dt.hasDate:
		return r.outOfRange()
	case n >= 7 && !r.dt.hasDate:
		return r.setDate(int64(v/10000), v/100%100, v%100)
	case n == 6 && r.dt.hasDate && !r.dt.hasTime, n == 6 && r.typ.Kind == Time:
		return r.setTime(int64(v/10000), int64(v/100%100), int64(v%100), 0)
	case n == 4 && !r.dt.hasTime && (r.dt.hasDate || len(r.loose) == 3 || r.month != 0 && len(r.loose) == 2):
		return r.setTime(int64(v/100), int64(v%100), 0, 0)
	case n == 6 && !r.dt.hasDate && r.month == 0:
		return r.setDate(twoDigitYear(v/10000), v/100%100, v%100)
	}
	r.loose = append(r.loose, loose{v, n, r.peek() == '.'})
	return nil
}

// date reads the rest of 2025-10-21, 10/21/2025, 21.10.2025, 21-Oct-2025.
func (r *dateTimeReader) date(first, firstDigits int, sep byte) error {
	r.i++
	var month, second, secondDigits int
	if c := r.peek(); c >= 'a' && c <= 'z' {
		start := r.i
		for r.i < len(r.s) && r.s[r.i] >= 'a' && r.s[r.i] <= 'z' {
			r.i++
		}
		if month = monthNames[r.s[start:r.i]]; month == 0 {
			return r.bad()
		}
	} else if second, secondDigits = r.digits(); secondDigits == 0 {
		return r.bad()
	}
	if r.peek() != sep {
		if sep == '-' && firstDigits >= 4 && month == 0 && secondDigits == 3 {
			// 2025-294: the day of the year.
			return r.dayOfYear(first, second)
		}
		return r.bad()
	}
	r.i++
	third, thirdDigits := r.digits()
	if thirdDigits == 0 {
		return r.bad()
	}
	if r.peek() == sep && (r.i+1 == len(r.s) || r.s[r.i+1] != sep && (r.s[r.i+1] < '0' || r.s[r.i+1] > '9')) {
		r.i++ // one more separator ends the date
	}
	year, yearDigits, day := first, firstDigits, third
	switch {
	case firstDigits >= 3:
		if month == 0 {
			month = second
		}
	case month != 0:
		year, yearDigits, day = third, thirdDigits, first
	case sep == '.':
		month, day, year, yearDigits = second, first, third, thirdDigits
	default:
		month, day, year, yearDigits = first, second, third, thirdDigits
	}
	y := int64(year)
	if yearDigits <= 2 {
		y = twoDigitYear(year)
	}
	return r.setDate(y, month, day)
}

func twoDigitYear(y int) int64 {
	if y < 70 {
		return int64(y + 2000)
	}
	return int64(y + 1900)
}

func (r *dateTimeReader) setDate(y int64, m, d int) error {
	if r.dt.hasDate {
		return r.bad()
	}
	r.dt.hasDate, r.dt.year, r.dt.month, r.dt.day = true, y, m, d
	return nil
}

// time reads 13:05, 13:05:09.25.
func (r *dateTimeReader) time() error {
	h, _ := r.digits()
	r.i++
	m, n := r.digits()
	if n == 0 {
		return r.bad()
	}
	var sec int
	var frac int64
	if r.peek() == ':' {
		r.i++
		if sec, n = r.digits(); n == 0 {
			return r.bad()
		}
		if c := r.peek(); c == '.' || c == ',' && r.i+1 < len(r.s) && r.s[r.i+1] >= '0' && r.s[r.i+1] <= '9' {
			r.i++
			frac = r.fraction()
		}
	}
	return r.setTime(int64(h), int64(m), int64(sec), frac)
}

// fraction reads digits behind the point, rounded to microseconds.
func (r *dateTimeReader) fraction() int64 {
	var v, scale int64 = 0, 1_000_000
	round := false
	for n := 0; r.i < len(r.s) && r.s[r.i] >= '0' && r.s[r.i] <= '9'; r.i, n = r.i+1, n+1 {
		if n < 6 {
			v = v*10 + int64(r.s[r.i]-'0')
			scale /= 10
		} else if n == 6 {
			round = r.s[r.i] >= '5'
		}
	}
	v *= scale
	if round {
		v++
	}
	return v
}

func (r *dateTimeReader) setTime(h, m, s, us int64) error {
	if r.dt.hasTime {
		return r.bad()
	}
	if h > 24 || m > 59 || s > 60 || h == 24 && (m > 0 || s > 0 || us > 0) {
		return r.outOfRange()
	}
	r.dt.hasTime = true
	r.dt.micros = ((h*60+m)*60+s)*1e6 + us
	return nil
}

// sign reads a zone's offset, which follows the time.
func (r *dateTimeReader) sign() error {
	r.s = unspaced(r.s, r.i)
	if !r.dt.hasTime || r.dt.hasZone {
		if rest := r.s[r.i+1:]; rest == "infinity" || rest == "inf" {
			r.dt.infinite = 1
			if r.s[r.i] == '-' {
				r.dt.infinite = -1
			}
			r.i = len(r.s)
			return nil
		}
		if !r.dt.hasTime && !r.dt.hasDate {
			return r.zoneFirst()
		}
		return r.bad()
	}
	start := r.i
	r.i++
	for r.i < len(r.s) && (r.s[r.i] == ':' || r.s[r.i] >= '0' && r.s[r.i] <= '9') {
		r.i++
	}
	off, ok := parseOffset(r.s[start:r.i])
	if !ok {
		return r.badZone()
	}
	r.dt.hasZone, r.dt.offset = true, off
	return nil
}

// zoneFirst is the fault of a text that begins with a sign: a number behind it
// would be a zone's hours and minutes, which need a time.
func (r *dateTimeReader) zoneFirst() error {
	r.i++
	hours, n := r.digits()
	minutes := 0
	if n > 2 && strings.IndexByte(":.-", r.peek()) < 0 {
		hours, minutes = hours/100, hours%100
	}
	if hours > 15 || minutes > 59 {
		return r.badZone()
	}
	return r.bad()
}

func (r *dateTimeReader) badZone() error {
	return dberr.Newf(dberr.ValueOutOfRange, "time zone displacement out of range: %s", quote(r.src)).WithState("22009")
}

func (r *dateTimeReader) word(now time.Time) error {
	start := r.i
	for r.i < len(r.s) && r.s[r.i] >= 'a' && r.s[r.i] <= 'z' {
		r.i++
	}
	w := r.s[start:r.i]
	switch w {
	case "t":
		if r.dt.hasDate && !r.dt.hasTime || r.typ.Kind == Time {
			return nil
		}
		return r.bad()
	case "am", "pm":
		r.pm = 1
		if w == "pm" {
			r.pm = 2
		}
		return nil
	case "bc", "ad":
		r.dt.bc = w == "bc"
		return nil
	case "infinity", "inf":
		r.dt.infinite = 1
		return nil
	case "epoch":
		r.dt.hasTime = true
		return r.setDate(1970, 1, 1)
	case "now", "today", "tomorrow", "yesterday":
		return r.relativeDay(w, now)
	case "allballs":
		return r.setTime(0, 0, 0, 0)
	}
	if m := monthNames[w]; m != 0 && r.month == 0 {
		r.month = m
		if r.peek() == '-' || r.peek() == '.' {
			r.i++
		}
		return nil
	}
	if dayNames[w] {
		return nil
	}
	// Behind a date or a time, and in a TIME, what goes on with digits or signs
	// is the name of a zone: etc/gmt+3.
	named := false
	if r.dt.hasDate || r.dt.hasTime || r.month != 0 || r.typ.Kind == Time {
		c := r.peek()
		for named = zonePart(c) && c != '_' && c != ':'; named && zonePart(r.peek()); {
			r.i++
		}
	}
	w = r.s[start:r.i]
	// Only what looks like a zone is looked up, which may read files.
	if _, short := abbreviations[w]; (named || short) && !r.dt.hasZone {
		if loc, ok := LoadZone(w); ok {
			r.dt.hasZone, r.dt.loc = true, loc
			return nil
		}
	}
	if named && !posixZone.MatchString(w) {
		return dberr.Newf(dberr.TypeMismatch, "time zone %s not recognized", quote(w)).WithState("22023")
	}
	return r.bad()
}

// zonePart tells whether a zone's name goes on with c behind its first letters.
func zonePart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c != 0 && strings.IndexByte("+-/_.:", c) >= 0
}

// posixZone are zones by a name of their own and hours, with a summer time or
// without: they are not supported, and refused in another way than unknown
// names.
var posixZone = regexp.MustCompile(`^[a-z]+[+-]?[0-9]{1,3}(:[0-9]{2}){0,2}([a-z]+([+-]?[0-9]{1,3}(:[0-9]{2}){0,2})?)?$`)

func (r *dateTimeReader) relativeDay(w string, now time.Time) error {
	us := now.UTC().UnixMicro()
	days, rest := FloorDiv(us, microsPerDay)
	switch w {
	case "now":
		if err := r.setTime(0, 0, 0, 0); err != nil {
			return err
		}
		r.dt.micros = rest
	case "tomorrow":
		days++
	case "yesterday":
		days--
	}
	y, m, d := CivilFromDays(days)
	return r.setDate(y, m, d)
}

func (r *dateTimeReader) finish() (dateTime, error) {
	dt := &r.dt
	if r.month != 0 {
		if err := r.namedMonth(); err != nil {
			return *dt, err
		}
	} else if len(r.loose) > 0 {
		if err := r.bareNumbers(); err != nil {
			return *dt, err
		}
	}
	if r.pm != 0 {
		h := dt.micros / 3_600_000_000
		switch {
		case !dt.hasTime:
			return *dt, r.bad()
		case h > 12:
			return *dt, r.outOfRange()
		case r.pm == 1 && h == 12:
			dt.micros -= 12 * 3_600_000_000
		case r.pm == 2 && h < 12:
			dt.micros += 12 * 3_600_000_000
		}
	}
	if !dt.hasDate {
		return *dt, nil
	}
	if dt.month < 1 || dt.month > 12 || dt.day < 1 || dt.year == 0 || dt.year > 6_000_000 {
		return *dt, r.outOfRange()
	}
	if dt.bc {
		dt.year = 1 - dt.year
	}
	if dt.day > DaysInMonth(dt.year, dt.month) {
		return *dt, r.outOfRange()
	}
	return *dt, nil
}

// namedMonth puts a date together from a month's name and the numbers beside
// it: 21 Oct 2025, October 21, 2025.
func (r *dateTimeReader) namedMonth() error {
	if len(r.loose) != 2 {
		return r.bad()
	}
	d, y := r.loose[0], r.loose[1]
	if d.digits >= 3 {
		d, y = y, d
	}
	year := int64(y.value)
	if y.digits <= 2 {
		year = twoDigitYear(y.value)
	}
	return r.setDate(year, r.month, d.value)
}

// bareNumbers puts a date together from numbers alone: 10 21 2025, or 2025 10
// 21 when the first has more than two digits.
func (r *dateTimeReader) bareNumbers() error {
	if r.dt.hasDate || r.typ.Kind == Time || len(r.loose) > 3 || slices.ContainsFunc(r.loose, func(l loose) bool { return l.point }) {
		return r.bad()
	}
	order := []int{1, 2, 0} // the places of month, day and year
	if r.loose[0].digits > 2 {
		order = []int{0, 1, 2}
		if len(r.loose) == 2 && r.loose[1].digits == 3 {
			return r.dayOfYear(r.loose[0].value, r.loose[1].value)
		}
	}
	part := [3]int{1, 1, 1} // year, month, day
	for i, l := range r.loose {
		part[order[i]] = l.value
	}
	switch {
	case part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > 31:
		return r.outOfRange()
	case len(r.loose) < 3:
		return r.bad()
	}
	year := int64(part[0])
	if order[0] != 0 && r.loose[2].digits <= 2 {
		year = twoDigitYear(part[0])
	}
	return r.setDate(year, part[1], part[2])
}

// dayOfYear is the date of a day that is counted from the year's first.
func (r *dateTimeReader) dayOfYear(year, day int) error {
	y, m, d := CivilFromDays(DaysFromCivil(int64(year), 1, 1) + int64(day) - 1)
	if day < 1 || y != int64(year) {
		return r.outOfRange()
	}
	return r.setDate(y, m, d)
}

// DaysInMonth is the length of a month of the proleptic Gregorian calendar.
func DaysInMonth(year int64, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}
