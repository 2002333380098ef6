package builtin

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func init() {
	s := section{"formatting", Scalar}
	doc := "Writes a date or time by a template such as YYYY-MM-DD HH24:MI:SS."
	s.def("to_char(timestamp, text) text", doc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if infiniteTimestamp(a[0].Int()) {
			return sqltype.NullOf(sqltype.Text), nil
		}
		if a[1].Str() == "" { // PostgreSQL's answer to an empty template
			return sqltype.NullOf(sqltype.Text), nil
		}
		days, us := sqltype.FloorDiv(a[0].Int(), microsPerDay)
		return timeToChar(days, us, a[1].Str()), nil
	})
	s.def("to_char(date, text) text", doc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if infiniteDate(a[0].Int()) {
			return sqltype.NullOf(sqltype.Text), nil
		}
		return timeToChar(a[0].Int(), 0, a[1].Str()), nil
	})
	s.def("to_char(time, text) text", doc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return timeToChar(0, a[0].Int(), a[1].Str()), nil
	})
	s.def("to_char(interval, text) text", "Writes an interval by a template.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return intervalToChar(a[0].Interval(), a[1].Str()), nil
	})
	s.def("to_date(text, text) date", "Reads a date by a template.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		days, _, err := fromChar(a[0].Str(), a[1].Str())
		if err != nil {
			return sqltype.Value{}, err
		}
		return newDate(days)
	})
	s.def("to_timestamp(text, text) timestamp", "Reads a timestamp by a template.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		days, us, err := fromChar(a[0].Str(), a[1].Str())
		if err != nil {
			return sqltype.Value{}, err
		}
		d, err := newDate(days)
		if err != nil {
			return d, err
		}
		return dateInterval(d, sqltype.IntervalValue{Micros: us}, 1)
	})
}

// charToken is one element of a template: a pattern of datePatterns, or text.
type charToken struct {
	pattern string // in the template's own case
	text    string
	fill    bool // FM: no padding
	ordinal string
	// quoted text is skipped as such when a template reads.
	quoted bool
}

// datePatterns in the order in which they are tried: longer ones first.
var datePatterns = []string{
	"SSSSS", "SSSS", "Y,YYY", "YYYY", "IYYY", "MONTH", "Month", "month", "HH24", "HH12", "A.M.", "P.M.", "a.m.", "p.m.",
	"A.D.", "B.C.", "a.d.", "b.c.", "YYY", "IYY", "DAY", "Day", "day", "DDD", "IDDD", "MON", "Mon", "mon", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
	"TZH", "TZM", "YY", "IY", "MM", "DD", "DY", "Dy", "dy", "ID", "WW", "IW", "CC", "MI", "SS", "MS", "US", "HH",
	"AM", "PM", "am", "pm", "AD", "BC", "ad", "bc", "RM", "rm", "TZ", "tz", "OF", "Y", "I", "D", "W", "J", "Q",
}

// charTokens takes a template apart. Patterns are known in either case, except
// where the case is the pattern's meaning.
func charTokens(tmpl string) []charToken {
	var out []charToken
	fill := false
	for i := 0; i < len(tmpl); {
		rest := tmpl[i:]
		if len(rest) >= 2 && (rest[:2] == "FM" || rest[:2] == "fm") {
			fill = true
			i += 2
			continue
		}
		if len(rest) >= 2 && (rest[:2] == "FX" || rest[:2] == "TM") {
			i += 2
			continue
		}
		if rest[0] == '"' {
			var b strings.Builder
			i++
			for i < len(tmpl) && tmpl[i] != '"' {
				if tmpl[i] == '\\' && i+1 < len(tmpl) {
					i++
				}
				b.WriteByte(tmpl[i])
				i++
			}
			i++
			out = append(out, charToken{text: b.String(), quoted: true})
			continue
		}
		if p := patternAt(rest); p != "" {
			t := charToken{pattern: p, fill: fill}
			i += len(p)
			if len(tmpl) >= i+2 {
				if th := tmpl[i : i+2]; th == "TH" || th == "th" {
					t.ordinal = th
					i += 2
				}
			}
			out = append(out, t)
			fill = false
			continue
		}
		if strings.HasPrefix(rest, `\"`) { // elsewhere a backslash is a character like others
			i++
		}
		if n := len(out); n > 0 && out[n-1].pattern == "" && !out[n-1].quoted {
			out[n-1].text += tmpl[i : i+1]
		} else {
			out = append(out, charToken{text: tmpl[i : i+1]})
		}
		i++
	}
	return out
}

func patternAt(s string) string {
	for _, p := range datePatterns {
		if strings.HasPrefix(s, p) {
			return p
		}
	}
	// Numbers may be written in lower case: yyyy-mm-dd.
	for _, p := range datePatterns {
		if len(s) >= len(p) && strings.EqualFold(s[:len(p)], p) {
			return p
		}
	}
	return ""
}

var (
	monthText = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	dayText   = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	roman     = []string{"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"}
)

// charFields is what the patterns of a template show.
type charFields struct {
	year, isoYear          int64
	month, day             int
	hour                   int64
	us                     int64 // since midnight, or of an interval's time
	doy, dow, week, isoDoy int64
	julian                 int64
	interval               bool
}

func timeToChar(days, us int64, tmpl string) sqltype.Value {
	y, m, d := sqltype.CivilFromDays(days)
	_, wd := sqltype.FloorDiv(days+4, 7)
	iy, iw := isoWeek(days)
	f := charFields{
		year: y, isoYear: iy, month: m, day: d, hour: us / 3_600_000_000, us: us,
		doy: days - sqltype.DaysFromCivil(y, 1, 1) + 1, dow: wd, week: iw, julian: days + 2440588,
	}
	f.isoDoy = (iw-1)*7 + (wd+6)%7 + 1
	return f.write(tmpl)
}

func intervalToChar(iv sqltype.IntervalValue, tmpl string) sqltype.Value {
	f := charFields{
		year: int64(iv.Months / 12), month: int(iv.Months % 12), day: int(iv.Days),
		hour: iv.Micros / 3_600_000_000, us: iv.Micros, interval: true,
		doy: int64(iv.Months)*30 + int64(iv.Days),
	}
	return f.write(tmpl)
}

func (f *charFields) write(tmpl string) sqltype.Value {
	var b strings.Builder
	for _, t := range charTokens(tmpl) {
		if t.pattern == "" {
			b.WriteString(t.text)
			continue
		}
		s := f.pattern(t)
		b.WriteString(s)
		if t.ordinal != "" {
			th := ordinalSuffix(s)
			if t.ordinal == "TH" {
				th = strings.ToUpper(th)
			}
			b.WriteString(th)
		}
	}
	return sqltype.NewText(b.String())
}

func ordinalSuffix(s string) string {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return ""
	}
	n = max(n, -n)
	if n%100 >= 11 && n%100 <= 13 {
		return "th"
	}
	switch n % 10 {
	case 1:
		return "st"
	case 2:
		return "nd"
	case 3:
		return "rd"
	}
	return "th"
}

// pattern writes one field.
func (f *charFields) pattern(t charToken) string {
	num := func(n int64, width int) string {
		if t.fill {
			width = 0
		}
		if n < 0 {
			return "-" + fmt.Sprintf("%0*d", width, -n)
		}
		return fmt.Sprintf("%0*d", width, n)
	}
	name := func(s string, upper, title bool, width int) string {
		if upper {
			s = strings.ToUpper(s)
		} else if !title {
			s = strings.ToLower(s)
		}
		if t.fill || width == 0 {
			return s
		}
		return fmt.Sprintf("%-*s", width, s)
	}
	year := func(y int64) int64 {
		if f.interval {
			return y
		}
		if y <= 0 {
			return 1 - y
		}
		return y
	}
	month := ""
	if f.month >= 1 {
		month = monthText[f.month-1]
	}
	sec := f.us / 1_000_000
	p := t.pattern
	switch p {
	case "YYYY":
		return num(year(f.year), 4)
	case "Y,YYY":
		y := year(f.year)
		return fmt.Sprintf("%d,%03d", y/1000, y%1000)
	case "YYY":
		return num(year(f.year)%1000, 3)
	case "YY":
		return num(year(f.year)%100, 2)
	case "Y":
		return num(year(f.year)%10, 1)
	case "IYYY":
		return num(year(f.isoYear), 4)
	case "IYY":
		return num(year(f.isoYear)%1000, 3)
	case "IY":
		return num(year(f.isoYear)%100, 2)
	case "I":
		return num(year(f.isoYear)%10, 1)
	case "CC":
		return num(century(f.year, 100), 2)
	case "MM":
		return num(int64(f.month), 2)
	case "MONTH", "Month", "month":
		return name(month, p == "MONTH", p == "Month", 9)
	case "MON", "Mon", "mon":
		return name(month[:min(3, len(month))], p == "MON", p == "Mon", 0)
	case "RM", "rm":
		if f.month < 1 {
			return ""
		}
		return name(roman[f.month-1], p == "RM", false, 4)
	case "DD", "DDD":
		// A sign counts as one of the digits, as in PostgreSQL.
		n, width := int64(f.day), 2
		if p == "DDD" {
			n, width = f.doy, 3
		}
		if t.fill {
			width = 0
		}
		return fmt.Sprintf("%0*d", width, n)
	case "IDDD":
		return num(f.isoDoy, 3)
	case "D":
		return num(f.dow+1, 1)
	case "ID":
		return num((f.dow+6)%7+1, 1)
	case "DAY", "Day", "day":
		return name(dayText[f.dow], p == "DAY", p == "Day", 9)
	case "DY", "Dy", "dy":
		return name(dayText[f.dow][:3], p == "DY", p == "Dy", 0)
	case "W":
		return num(int64(f.day-1)/7+1, 1)
	case "WW":
		return num((f.doy-1)/7+1, 2)
	case "IW":
		return num(f.week, 2)
	case "Q":
		if f.month == 0 {
			return ""
		}
		return num(int64(f.month-1)/3+1, 1)
	case "J":
		return num(f.julian, 0)
	case "HH24":
		return num(f.hour, 2)
	case "HH", "HH12":
		h := f.hour % 12
		if h == 0 {
			h = 12
		}
		return num(h, 2)
	case "MI":
		return num(sec/60%60, 2)
	case "SS":
		return num(sec%60, 2)
	case "SSSS", "SSSSS":
		return num(sec, 0)
	case "MS", "FF3":
		return fmt.Sprintf("%03d", f.us%1_000_000/1000)
	case "US", "FF6":
		return fmt.Sprintf("%06d", f.us%1_000_000)
	case "FF1", "FF2", "FF4", "FF5":
		return fmt.Sprintf("%06d", f.us%1_000_000)[:p[2]-'0']
	case "AM", "PM", "am", "pm", "A.M.", "P.M.", "a.m.", "p.m.":
		s := "am"
		if f.hour%24 >= 12 {
			s = "pm"
		}
		if len(p) == 4 {
			s = s[:1] + "." + s[1:] + "."
		}
		if p[0] < 'a' {
			s = strings.ToUpper(s)
		}
		return s
	case "AD", "BC", "ad", "bc", "A.D.", "B.C.", "a.d.", "b.c.":
		s := "ad"
		if f.year <= 0 {
			s = "bc"
		}
		if len(p) == 4 {
			s = s[:1] + "." + s[1:] + "."
		}
		if p[0] < 'a' {
			s = strings.ToUpper(s)
		}
		return s
	case "TZ":
		return "UTC"
	case "tz":
		return "utc"
	case "OF", "TZH":
		return "+00"
	case "TZM":
		return "00"
	}
	return ""
}

// charReader reads a text by a template.
type charReader struct {
	s    string
	i    int
	src  string
	year int64
	// Fields that were given.
	month, day, doy           int
	hour, minute, second, us  int64
	pm                        int
	bc, hour12                bool
	isoYear, isoWeek, isoDay  int64
	julian                    int64
	secOfDay, offset          int64
	hasSec, hasJulian, hasISO bool
	// outside tells of a number that its field cannot have, which is told once
	// the whole text is read.
	outside bool
}

func (r *charReader) bad(p string) error {
	return dberr.Newf(dberr.TypeMismatch, "invalid value %q for %q", truncated(r.s[min(r.i, len(r.s)):]), p).WithState("22007")
}

func truncated(s string) string {
	if len(s) > 20 {
		return s[:runeOffset(s, 20)]
	}
	return s
}

func (r *charReader) space() {
	for r.i < len(r.s) && (r.s[r.i] == ' ' || r.s[r.i] == '\t') {
		r.i++
	}
}

func (r *charReader) number(p string, width int) (int64, int, error) {
	r.space()
	start := r.i
	neg := false
	if r.i < len(r.s) && (r.s[r.i] == '-' || r.s[r.i] == '+') && width > 4 {
		neg = r.s[r.i] == '-'
		r.i++
	}
	n, digits := int64(0), 0
	for r.i < len(r.s) && digits < width && r.s[r.i] >= '0' && r.s[r.i] <= '9' {
		n = n*10 + int64(r.s[r.i]-'0')
		r.i++
		digits++
	}
	if digits == 0 {
		r.i = start
		return 0, 0, r.bad(p)
	}
	if neg {
		n = -n
	}
	return n, digits, nil
}

func (r *charReader) name(p string, names []string, short bool) (int, error) {
	r.space()
	for i, n := range names {
		if short {
			n = n[:3]
		}
		if len(r.s) >= r.i+len(n) && strings.EqualFold(r.s[r.i:r.i+len(n)], n) {
			r.i += len(n)
			return i, nil
		}
	}
	return 0, r.bad(p)
}

func fromChar(s, tmpl string) (days, us int64, err error) {
	r := &charReader{s: s, src: s}
	toks := charTokens(tmpl)
	for k, t := range toks {
		if t.pattern == "" {
			r.literal(t)
			continue
		}
		if r.i >= len(r.s) {
			break
		}
		// A number directly before another takes its own width only.
		packed := k+1 < len(toks) && toks[k+1].pattern != "" && toks[k+1].pattern[0] < 'a'
		if err := r.field(t, packed); err != nil {
			return 0, 0, err
		}
		if t.ordinal != "" {
			r.i = min(r.i+2, len(r.s))
		}
	}
	return r.result()
}

// literal skips what stands for a template's text: one character each, and
// spaces as many as there are.
func (r *charReader) literal(t charToken) {
	for _, c := range t.text {
		if c == ' ' {
			r.space()
			continue
		}
		if !t.quoted {
			r.space()
		}
		if r.i >= len(r.s) {
			return
		}
		at := r.s[r.i]
		if t.quoted || byte(c) == at || !(at >= '0' && at <= '9' || at >= 'A' && at <= 'Z' || at >= 'a' && at <= 'z' || at == '-' || at == '+') {
			r.i++
		} else if at == '-' && byte(c) != ' ' {
			r.i++
		}
	}
}

func (r *charReader) field(t charToken, packed bool) (err error) {
	p := t.pattern
	var n int64
	var digits int
	num := func(width int) bool {
		if !packed && (p[0] == 'Y' || p[0] == 'I' && p != "ID" && p != "IW") && !t.fill {
			width = max(width, 9)
		}
		n, digits, err = r.number(p, width)
		return err == nil
	}
	in := func(lo, hi int64) { r.outside = r.outside || n < lo || n > hi }
	switch p {
	case "YYYY", "YYY", "YY", "Y":
		if num(len(p)) {
			r.year = n
			if digits <= 2 && p != "YYYY" {
				if r.year += 2000; n >= 70 {
					r.year -= 100
				}
			}
		}
	case "Y,YYY":
		var th int64
		if th, _, err = r.number(p, 3); err != nil {
			return err
		}
		r.i++
		if num(3) {
			r.year = th*1000 + n
		}
	case "IYYY", "IYY", "IY", "I":
		if num(len(p)) {
			r.isoYear, r.hasISO = n, true
		}
	case "IW":
		if num(2) {
			r.isoWeek, r.hasISO = n, true
			in(1, 53)
		}
	case "ID":
		if num(1) {
			r.isoDay = n
			in(1, 7)
		}
	case "MM":
		if num(2) {
			r.month = int(n)
			in(0, 12) // 0 is none
		}
	case "MONTH", "Month", "month":
		r.month, err = r.name(p, monthText, false)
		r.month++
	case "MON", "Mon", "mon":
		r.month, err = r.name(p, monthText, true)
		r.month++
	case "DD":
		if num(2) {
			r.day = int(n)
			in(0, 31)
		}
	case "DDD":
		if num(3) {
			r.doy = int(n)
			in(1, 366)
		}
	case "DAY", "Day", "day":
		_, err = r.name(p, dayText, false)
	case "DY", "Dy", "dy":
		_, err = r.name(p, dayText, true)
	case "D", "W", "Q":
		num(1)
	case "WW", "CC":
		num(2)
	case "J":
		if num(7) {
			r.julian, r.hasJulian = n, true
		}
	case "HH24":
		if num(2) {
			r.hour = n
			in(0, 24)
		}
	case "HH", "HH12":
		if num(2) {
			r.hour, r.hour12 = n, true
		}
	case "MI":
		if num(2) {
			r.minute = n
			in(0, 59)
		}
	case "SS":
		if num(2) {
			r.second = n
			in(0, 59)
		}
	case "SSSS", "SSSSS":
		if num(5) {
			r.secOfDay, r.hasSec = n, true
			in(0, 86400)
		}
	case "MS", "FF1", "FF2", "FF3":
		if num(3) {
			for ; digits < 6; digits++ {
				n *= 10
			}
			r.us = n
		}
	case "US", "FF4", "FF5", "FF6":
		if num(6) {
			for ; digits < 6; digits++ {
				n *= 10
			}
			r.us = n
		}
	case "AM", "PM", "am", "pm":
		var i int
		i, err = r.name(p, []string{"am", "pm"}, false)
		r.pm = i + 1
	case "A.M.", "P.M.", "a.m.", "p.m.":
		var i int
		i, err = r.name(p, []string{"a.m.", "p.m."}, false)
		r.pm = i + 1
	case "AD", "BC", "ad", "bc":
		var i int
		i, err = r.name(p, []string{"ad", "bc"}, false)
		r.bc = i == 1
	case "A.D.", "B.C.", "a.d.", "b.c.":
		var i int
		i, err = r.name(p, []string{"a.d.", "b.c."}, false)
		r.bc = i == 1
	case "TZH", "OF":
		r.space()
		neg := r.i < len(r.s) && r.s[r.i] == '-'
		if r.i < len(r.s) && (neg || r.s[r.i] == '+') {
			r.i++
		}
		if num(2) {
			r.offset = n * 3600
			if p == "OF" && r.i < len(r.s) && r.s[r.i] == ':' {
				r.i++
				if num(2) {
					r.offset += n * 60
				}
			}
			if neg {
				r.offset = -r.offset
			}
		}
	case "TZM":
		if num(2) {
			if r.offset < 0 {
				n = -n
			}
			r.offset += n * 60
		}
	default:
		return dberr.Newf(dberr.Unsupported, "template pattern %q cannot be read", p)
	}
	return err
}

func (r *charReader) result() (days, us int64, err error) {
	outside := dberr.Newf(dberr.ValueOutOfRange, "date/time field value out of range: %q", r.src).WithState("22008")
	if (r.pm > 0 || r.hour12) && (r.hour < 1 || r.hour > 12) {
		return 0, 0, dberr.Newf(dberr.TypeMismatch, `hour "%d" is invalid for the 12-hour clock`, r.hour).WithState("22007").
			WithHint("Use the 24-hour clock, or give an hour between 1 and 12.")
	}
	if r.outside {
		return 0, 0, outside
	}
	year := r.year
	switch {
	case r.bc && year > 0:
		year = 1 - year
	case year < 0:
		year++ // the year before 1 is written -1
	case year == 0 && !r.hasISO:
		year = 0 // 1 BC, as PostgreSQL takes a missing year
	}
	if year > 6_000_000 || year < -6000 {
		return 0, 0, outside
	}
	switch {
	case r.hasJulian:
		days = r.julian - 2440588
	case r.hasISO:
		jan4 := sqltype.DaysFromCivil(r.isoYear, 1, 4)
		_, wd := sqltype.FloorDiv(jan4+3, 7)
		days = jan4 - wd + (max(r.isoWeek, 1)-1)*7 + max(r.isoDay, 1) - 1
	case r.doy > 0 && r.month == 0:
		days = sqltype.DaysFromCivil(year, 1, 1) + int64(r.doy) - 1
	default:
		m, d := max(r.month, 1), max(r.day, 1)
		if d > sqltype.DaysInMonth(year, m) {
			return 0, 0, outside
		}
		days = sqltype.DaysFromCivil(year, m, d)
	}
	h := r.hour
	if r.pm > 0 || r.hour12 {
		h %= 12
		if r.pm == 2 {
			h += 12
		}
	}
	us = ((h*60+r.minute)*60+r.second)*1_000_000 + r.us
	if r.hasSec {
		us = r.secOfDay*1_000_000 + r.us
	}
	return days, us - r.offset*1_000_000, nil
}
