package builtin

import (
	"math"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func init() {
	s := section{"date and time", Scalar}
	nowEval := func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewInt(sqltype.Timestamp, now(ctx).UnixMicro()), nil
	}
	s.def("now() timestamp; current_timestamp() timestamp; transaction_timestamp() timestamp; statement_timestamp() timestamp; localtimestamp() timestamp",
		"Gives the time at which the statement began.", nowEval, stable)
	s.def("current_timestamp(int) timestamp; localtimestamp(int) timestamp", "Gives the time at which the statement began, rounded to a number of digits of a second.",
		func(ctx *Context, a []sqltype.Value) (sqltype.Value, error) {
			unit := int64(math.Pow10(6 - int(min(max(a[0].Int(), 0), 6))))
			return sqltype.NewInt(sqltype.Timestamp, (now(ctx).UnixMicro()+unit/2)/unit*unit), nil
		}, stable)
	s.def("clock_timestamp() timestamp", "Gives the time of this very call.", func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		if ctx != nil && ctx.Clock != nil {
			return sqltype.NewInt(sqltype.Timestamp, ctx.Clock().UnixMicro()), nil
		}
		return sqltype.NewInt(sqltype.Timestamp, time.Now().UnixMicro()), nil
	}, volatile)
	s.def("timeofday() text", "Gives the time of this very call as text.", func(*Context, []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewText(time.Now().UTC().Format("Mon Jan 02 15:04:05.000000 2006 UTC")), nil
	}, volatile)
	s.def("current_date() date; today() date", "Gives the date on which the statement began, in UTC.", func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		return timestampToDate(now(ctx).UnixMicro()), nil
	}, stable)
	s.def("current_time() time; localtime() time; current_time(int) time; localtime(int) time", "Gives the time of day at which the statement began, in UTC.", func(ctx *Context, _ []sqltype.Value) (sqltype.Value, error) {
		_, us := sqltype.FloorDiv(now(ctx).UnixMicro(), microsPerDay)
		return sqltype.NewInt(sqltype.Time, us), nil
	}, stable)

	trunc := "Cuts a time down to a unit such as hour, day, week or month."
	s.def("date_trunc(text, timestamp) timestamp", trunc, dateTrunc, kernel(dateTruncKernel))
	s.def("date_trunc(text, timestamp, text) timestamp", "Cuts a time down to a unit as clocks in a time zone count it.", dateTruncZone)
	s.def("date_trunc(text, interval) interval", "Cuts an interval down to a unit.", intervalTrunc)
	part := "Gives one field of a date or time, such as year, dow or epoch."
	for _, t := range []string{"date", "timestamp", "time", "interval"} {
		s.def("date_part(text, "+t+") double; datepart(text, "+t+") double", part, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			d, f, ok, err := extract(a[0].Str(), a[1])
			if err != nil || !ok {
				return sqltype.NullOf(sqltype.Double), err
			}
			if !math.IsNaN(f) {
				return sqltype.NewDouble(f), nil
			}
			return sqltype.NewDouble(d.Float64()), nil
		})
		s.def("extract(text, "+t+") decimal", part, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
			d, f, ok, err := extract(a[0].Str(), a[1])
			if err != nil || !ok {
				return sqltype.NullOf(sqltype.Decimal), err
			}
			if !math.IsNaN(f) {
				return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "the result is infinite, which a DECIMAL cannot hold").WithHint("Use date_part.")
			}
			return sqltype.NewDecimal(d), nil
		})
	}
	s.def("date_bin(interval, timestamp, timestamp) timestamp", "Puts a time into the bin of a width that begins at or before it, counted from an origin.", dateBin)
	s.def("age(timestamp, timestamp) interval", "Gives the time between two timestamps in years, months and days.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return age(a[0].Int(), a[1].Int())
	})
	s.def("age(timestamp) interval", "Gives the time from a timestamp to the beginning of today in years, months and days.", func(ctx *Context, a []sqltype.Value) (sqltype.Value, error) {
		days, _ := sqltype.FloorDiv(now(ctx).UnixMicro(), microsPerDay)
		return age(days*microsPerDay, a[0].Int())
	}, stable)
	s.def("make_date(int, int, int) date", "Makes a date of year, month and day.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return makeDate(a[0].Int(), a[1].Int(), a[2].Int())
	})
	s.def("make_time(int, int, double) time", "Makes a time of hour, minute and second.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		us, err := makeTime(a[0].Int(), a[1].Int(), a[2].Float())
		return sqltype.NewInt(sqltype.Time, us), err
	})
	s.def("make_timestamp(int, int, int, int, int, double) timestamp; make_timestamptz(int, int, int, int, int, double) timestamp", "Makes a timestamp of its fields.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		d, err := makeDate(a[0].Int(), a[1].Int(), a[2].Int())
		if err != nil {
			return d, err
		}
		us, err := makeTime(a[3].Int(), a[4].Int(), a[5].Float())
		if err != nil {
			return d, err
		}
		return dateInterval(d, sqltype.IntervalValue{Micros: us}, 1)
	})
	interval := "make_interval("
	for i, t := range []string{"int", "int", "int", "int", "int", "int", "double"} {
		if i > 0 {
			interval += ", "
		}
		interval += t
		s.def(interval+") interval", "Makes an interval of years, months, weeks, days, hours, minutes and seconds.", makeInterval)
	}
	s.def("make_interval() interval", "Makes an empty interval.", makeInterval)
	s.def("justify_hours(interval) interval", "Turns each 24 hours of an interval into a day.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewInterval(justifyHours(a[0].Interval())), nil
	})
	s.def("justify_days(interval) interval", "Turns each 30 days of an interval into a month.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewInterval(justifyDays(a[0].Interval())), nil
	})
	s.def("justify_interval(interval) interval", "Turns hours into days and days into months, with one sign for all parts.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewInterval(justifyInterval(a[0].Interval())), nil
	})
	s.def("isfinite(date) boolean", "Tells whether a date is not infinite.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(!infiniteDate(a[0].Int())), nil
	})
	s.def("isfinite(timestamp) boolean", "Tells whether a timestamp is not infinite.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(!infiniteTimestamp(a[0].Int())), nil
	})
	s.def("isfinite(interval) boolean", "Tells whether an interval is not infinite, which it never is.", func(*Context, []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewBool(true), nil
	})
	s.def("timezone(text, timestamp) timestamp", "Gives what clocks in a time zone show at a time: AT TIME ZONE.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		loc, err := zone(a[0].Str())
		if err != nil || infiniteTimestamp(a[1].Int()) {
			return a[1], err
		}
		return newTimestamp(a[1].Int() + zoneAt(loc, a[1].Int()))
	})
	s.def("timezone(interval, timestamp) timestamp", "Gives what clocks at an offset from UTC show at a time: AT TIME ZONE.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		iv := a[0].Interval()
		if iv.Months != 0 || iv.Days != 0 {
			return sqltype.Value{}, invalidArg("interval time zone %q must not include months or days", iv.String())
		}
		return addInterval(a[1].Int(), iv, 1)
	})
	s.def("to_utc_timestamp(timestamp, text) timestamp", "Gives the time at which clocks in a time zone show the given one.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		loc, err := zone(a[1].Str())
		if err != nil || infiniteTimestamp(a[0].Int()) {
			return a[0], err
		}
		return newTimestamp(a[0].Int() - int64(sqltype.ZoneOffset(loc, a[0].Int()))*1e6)
	})
	s.def("to_timestamp(double) timestamp; from_unixtime(double) timestamp", "Gives the time that many seconds after 1970-01-01.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		f := a[0].Float()
		switch {
		case math.IsNaN(f):
			return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "timestamp cannot be NaN").WithState("22008")
		case math.IsInf(f, 1):
			return sqltype.NewInt(sqltype.Timestamp, sqltype.TimestampInfinity), nil
		case math.IsInf(f, -1):
			return sqltype.NewInt(sqltype.Timestamp, sqltype.TimestampNegInfinity), nil
		case math.Abs(f) > 9.2e12:
			return sqltype.Value{}, timestampRange()
		}
		// PostgreSQL counts from the year 2000, and so rounds the last digits.
		const year2000 = 946684800
		return newTimestamp(int64(math.RoundToEven((f-year2000)*1e6)) + year2000*1e6)
	})
	s.def("to_timestamp_millis(bigint) timestamp", "Gives the time that many milliseconds after 1970-01-01.", epochScale(1000))
	s.def("to_timestamp_micros(bigint) timestamp", "Gives the time that many microseconds after 1970-01-01.", epochScale(1))
	s.def("to_timestamp_seconds(bigint) timestamp", "Gives the time that many seconds after 1970-01-01.", epochScale(1_000_000))
	s.def("to_unixtime(timestamp) bigint", "Counts the seconds since 1970-01-01.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		sec, _ := sqltype.FloorDiv(a[0].Int(), 1_000_000)
		return sqltype.NewBigInt(sec), nil
	})
	ends := func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return overlaps(a[0], a[1], a[2], a[3]), nil
	}
	s.def("overlaps(timestamp, timestamp, timestamp, timestamp) boolean", "Tells whether two spans of time, each given by its ends, overlap.", ends, lenient)
	s.def("overlaps(time, time, time, time) boolean", "Tells whether two spans of a day overlap.", ends, lenient)
	s.def("overlaps(timestamp, interval, timestamp, interval) boolean", "Tells whether two spans of time, each given by its beginning and length, overlap.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		var to [2]sqltype.Value
		for i := range to {
			from, length := a[2*i], a[2*i+1]
			if from.IsNull() || length.IsNull() {
				continue
			}
			var err error
			if to[i], err = addInterval(from.Int(), length.Interval(), 1); err != nil {
				return to[i], err
			}
		}
		return overlaps(a[0], to[0], a[2], to[1]), nil
	}, lenient)
}

// overlaps compares two spans. An end that is NULL leaves the answer open
// unless the ends that are known decide it, as in PostgreSQL.
func overlaps(s1, e1, s2, e2 sqltype.Value) sqltype.Value {
	unknown := sqltype.NullOf(sqltype.Boolean)
	order := func(s, e sqltype.Value) (sqltype.Value, sqltype.Value) {
		if s.IsNull() || !e.IsNull() && e.Int() < s.Int() {
			return e, s
		}
		return s, e
	}
	s1, e1 = order(s1, e1)
	s2, e2 = order(s2, e2)
	if s1.IsNull() || s2.IsNull() {
		return unknown
	}
	if s2.Int() < s1.Int() {
		s1, e1, s2, e2 = s2, e2, s1, e1
	}
	// s1 is the earlier beginning, or the same.
	switch {
	case s1.Int() == s2.Int():
		if e1.IsNull() || e2.IsNull() {
			return unknown
		}
		return sqltype.NewBool(true)
	case e1.IsNull():
		return unknown
	case s2.Int() < e1.Int():
		return sqltype.NewBool(true)
	case e2.IsNull():
		return unknown
	}
	return sqltype.NewBool(false)
}

func epochScale(micros int64) Eval {
	return func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		us, ok := mulInt(a[0].Int(), micros)
		if !ok {
			return sqltype.Value{}, timestampRange()
		}
		return newTimestamp(us)
	}
}

func zone(name string) (*time.Location, error) {
	if loc, ok := sqltype.LoadZone(name); ok {
		return loc, nil
	}
	return nil, invalidArg("time zone %q not recognized", name)
}

// zoneAt is how many microseconds ahead of UTC a zone's clocks are at a time.
func zoneAt(loc *time.Location, us int64) int64 {
	sec, _ := sqltype.FloorDiv(us, 1_000_000)
	_, off := time.Unix(sec, 0).In(loc).Zone()
	return int64(off) * 1_000_000
}

func unknownUnit(unit, typ string) error {
	typ = strings.ToLower(typ)
	if unitName(unit) != "" {
		return dberr.Newf(dberr.Unsupported, "unit %q not supported for type %s", unit, typ)
	}
	return invalidArg("unit %q not recognized for type %s", unit, typ)
}

// units maps the spellings of a unit to one.
var units = func() map[string]string {
	m := map[string]string{}
	for canonical, names := range map[string]string{
		"microseconds": "microsecond us usec usecs useconds", "milliseconds": "millisecond ms msec msecs mseconds",
		"second": "seconds sec secs s", "minute": "minutes min mins m", "hour": "hours hr hrs h", "day": "days d",
		"week": "weeks w", "month": "months mon mons", "quarter": "quarters qtr", "year": "years yr yrs y",
		"decade": "decades dec decs", "century": "centuries c cent", "millennium": "millennia mil mils",
		"dow": "dayofweek", "doy": "dayofyear", "isodow": "", "isoyear": "", "epoch": "", "julian": "jd", "timezone": "tz",
		"timezone_hour": "", "timezone_minute": "",
	} {
		m[canonical] = canonical
		for n := range strings.FieldsSeq(names) {
			m[n] = canonical
		}
	}
	return m
}()

func unitName(s string) string {
	if u, ok := units[s]; ok {
		return u
	}
	return units[strings.ToLower(strings.TrimSpace(s))]
}

func dateTrunc(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	if infiniteTimestamp(a[1].Int()) {
		return a[1], nil
	}
	us, err := truncTo(a[0].Str(), a[1].Int())
	if err != nil {
		return a[1], err
	}
	return newTimestamp(us)
}

func dateTruncZone(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	loc, err := zone(a[2].Str())
	if err != nil || infiniteTimestamp(a[1].Int()) {
		return a[1], err
	}
	us, err := truncTo(a[0].Str(), a[1].Int()+zoneAt(loc, a[1].Int()))
	if err != nil {
		return a[1], err
	}
	return newTimestamp(us - int64(sqltype.ZoneOffset(loc, us))*1e6)
}

func truncTo(unit string, us int64) (int64, error) {
	floor := func(size int64) int64 {
		_, r := sqltype.FloorDiv(us, size)
		return us - r
	}
	switch u := unitName(unit); u {
	case "microseconds":
		return us, nil
	case "milliseconds":
		return floor(1000), nil
	case "second":
		return floor(1_000_000), nil
	case "minute":
		return floor(60_000_000), nil
	case "hour":
		return floor(3_600_000_000), nil
	case "day":
		return floor(microsPerDay), nil
	case "week":
		days, _ := sqltype.FloorDiv(us, microsPerDay)
		_, wd := sqltype.FloorDiv(days+3, 7)
		return (days - wd) * microsPerDay, nil
	case "month", "quarter", "year", "decade", "century", "millennium":
		days, _ := sqltype.FloorDiv(us, microsPerDay)
		y, m, _ := sqltype.CivilFromDays(days)
		switch u {
		case "quarter":
			m = (m-1)/3*3 + 1
		case "year":
			m = 1
		case "decade":
			q, _ := sqltype.FloorDiv(y, 10)
			y, m = q*10, 1
		case "century":
			q, _ := sqltype.FloorDiv(y-1, 100)
			y, m = q*100+1, 1
		case "millennium":
			q, _ := sqltype.FloorDiv(y-1, 1000)
			y, m = q*1000+1, 1
		}
		return sqltype.DaysFromCivil(y, m, 1) * microsPerDay, nil
	}
	return 0, unknownUnit(unit, "timestamp")
}

func intervalTrunc(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	iv := a[1].Interval()
	months := func(n int32) sqltype.IntervalValue { return sqltype.IntervalValue{Months: iv.Months / n * n} }
	switch unitName(a[0].Str()) {
	case "microseconds":
	case "milliseconds":
		iv.Micros -= iv.Micros % 1000
	case "second":
		iv.Micros -= iv.Micros % 1_000_000
	case "minute":
		iv.Micros -= iv.Micros % 60_000_000
	case "hour":
		iv.Micros -= iv.Micros % 3_600_000_000
	case "day":
		iv.Micros = 0
	case "month":
		iv = months(1)
	case "quarter":
		iv = months(3)
	case "year":
		iv = months(12)
	case "decade":
		iv = months(120)
	case "century":
		iv = months(1200)
	case "millennium":
		iv = months(12000)
	default:
		return sqltype.Value{}, unknownUnit(a[0].Str(), "interval")
	}
	return sqltype.NewInterval(iv), nil
}

// extract gives a field as a decimal; f is not NaN for the infinite fields of
// infinite times, which a decimal cannot hold. ok is false for fields that an
// infinite time does not have.
func extract(unit string, v sqltype.Value) (d decimal.Decimal, f float64, ok bool, err error) {
	u := unitName(unit)
	whole := func(n int64) (decimal.Decimal, float64, bool, error) { return decimal.New(n, 0), math.NaN(), true, nil }
	seconds := func(us int64, scale int32) (decimal.Decimal, float64, bool, error) {
		return decimal.New(us, scale), math.NaN(), true, nil
	}
	switch v.Kind() {
	case sqltype.Interval:
		return extractInterval(u, unit, v.Interval())
	case sqltype.Time:
		us := v.Int()
		if n, scale, ok := ofDay(u, us); ok {
			return seconds(n, scale)
		}
		if u == "epoch" {
			return seconds(us, 6)
		}
		return d, 0, false, unknownUnit(unit, "time")
	}
	var days, us int64
	if v.Kind() == sqltype.Date {
		days = v.Int()
		if infiniteDate(days) {
			return infinitePart(u, unit, days > 0)
		}
		switch u {
		case "microseconds", "milliseconds", "second", "minute", "hour", "timezone", "timezone_hour", "timezone_minute":
			return d, 0, false, unknownUnit(unit, "date")
		case "epoch":
			return whole(days * 86400)
		}
	} else {
		if infiniteTimestamp(v.Int()) {
			return infinitePart(u, unit, v.Int() > 0)
		}
		days, us = sqltype.FloorDiv(v.Int(), microsPerDay)
	}
	y, m, day := sqltype.CivilFromDays(days)
	shown := y
	if y <= 0 {
		shown = y - 1 // there is no year 0: 1 BC is -1
	}
	_, wd := sqltype.FloorDiv(days+3, 7) // Monday is 0
	if n, scale, ok := ofDay(u, us); ok {
		return seconds(n, scale)
	}
	switch u {
	case "day":
		return whole(int64(day))
	case "month":
		return whole(int64(m))
	case "quarter":
		return whole(int64(m-1)/3 + 1)
	case "year":
		return whole(shown)
	case "decade":
		q, _ := sqltype.FloorDiv(y, 10)
		return whole(q)
	case "century":
		return whole(century(y, 100))
	case "millennium":
		return whole(century(y, 1000))
	case "dow":
		return whole((wd + 1) % 7)
	case "isodow":
		return whole(wd + 1)
	case "doy":
		return whole(days - sqltype.DaysFromCivil(y, 1, 1) + 1)
	case "week", "isoyear":
		iy, w := isoWeek(days)
		if u == "week" {
			return whole(w)
		}
		if iy <= 0 {
			iy--
		}
		return whole(iy)
	case "epoch":
		return seconds(v.Int(), 6)
	case "julian":
		if v.Kind() == sqltype.Date {
			return whole(days + 2440588)
		}
		q, err := decimal.New(us, 0).Quo(decimal.New(microsPerDay, 0))
		if err != nil {
			return d, 0, false, decimalErr(err)
		}
		q, err = q.Add(decimal.New(days+2440588, 0))
		return q, math.NaN(), true, decimalErr(err)
	case "timezone", "timezone_hour", "timezone_minute":
		return whole(0)
	}
	return d, 0, false, unknownUnit(unit, v.Kind().String())
}

// ofDay gives a field that the time of day decides, n·10^-scale.
func ofDay(u string, us int64) (n int64, scale int32, ok bool) {
	switch u {
	case "microseconds":
		return us % 60_000_000, 0, true
	case "milliseconds":
		return us % 60_000_000, 3, true
	case "second":
		return us % 60_000_000, 6, true
	case "minute":
		return us / 60_000_000 % 60, 0, true
	case "hour":
		return us / 3_600_000_000, 0, true
	}
	return 0, 0, false
}

func century(y, size int64) int64 {
	if y > 0 {
		return (y + size - 1) / size
	}
	return -((size - 1 - (y - 1)) / size)
}

// isoWeek gives the ISO 8601 year and week of a day.
func isoWeek(days int64) (year, week int64) {
	_, wd := sqltype.FloorDiv(days+3, 7)
	thursday := days - wd + 3
	y, _, _ := sqltype.CivilFromDays(thursday)
	return y, (thursday-sqltype.DaysFromCivil(y, 1, 1))/7 + 1
}

func infinitePart(u, unit string, positive bool) (decimal.Decimal, float64, bool, error) {
	switch u {
	case "year", "isoyear", "decade", "century", "millennium", "julian", "epoch":
		if positive {
			return decimal.Decimal{}, math.Inf(1), true, nil
		}
		return decimal.Decimal{}, math.Inf(-1), true, nil
	case "":
		return decimal.Decimal{}, 0, false, unknownUnit(unit, "timestamp")
	}
	return decimal.Decimal{}, 0, false, nil
}

func extractInterval(u, unit string, iv sqltype.IntervalValue) (decimal.Decimal, float64, bool, error) {
	whole := func(n int64) (decimal.Decimal, float64, bool, error) { return decimal.New(n, 0), math.NaN(), true, nil }
	us := iv.Micros
	switch u {
	case "microseconds":
		return whole(us % 60_000_000)
	case "milliseconds":
		return decimal.New(us%60_000_000, 3), math.NaN(), true, nil
	case "second":
		return decimal.New(us%60_000_000, 6), math.NaN(), true, nil
	case "minute":
		return whole(us / 60_000_000 % 60)
	case "hour":
		return whole(us / 3_600_000_000)
	case "day":
		return whole(int64(iv.Days))
	case "month":
		return whole(int64(iv.Months % 12))
	case "quarter":
		return whole(int64(iv.Months%12)/3 + 1)
	case "year":
		return whole(int64(iv.Months / 12))
	case "decade":
		return whole(int64(iv.Months / 120))
	case "century":
		return whole(int64(iv.Months / 1200))
	case "millennium":
		return whole(int64(iv.Months / 12000))
	case "epoch":
		// A year has 365.25 days here, a month 30.
		days := int64(iv.Months/12)*36525 + int64(iv.Months%12)*3000 + int64(iv.Days)*100
		sec, err := decimal.New(days*864, 0).Add(decimal.New(us, 6))
		return sec, math.NaN(), true, decimalErr(err)
	}
	return decimal.Decimal{}, 0, false, unknownUnit(unit, "interval")
}

func dateBin(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	iv, t, origin := a[0].Interval(), a[1].Int(), a[2].Int()
	if iv.Months != 0 {
		return sqltype.Value{}, dberr.New(dberr.Unsupported, "timestamps cannot be binned into intervals containing months or years")
	}
	d, ok := mulInt(int64(iv.Days), microsPerDay)
	width, ok2 := addInt(d, iv.Micros)
	if !ok || !ok2 {
		return sqltype.Value{}, intervalRange()
	}
	if width <= 0 {
		return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "stride must be greater than zero").WithState("22008")
	}
	if infiniteTimestamp(t) || infiniteTimestamp(origin) {
		return a[1], nil
	}
	diff, ok := subInt(t, origin)
	if !ok {
		return sqltype.Value{}, intervalRange()
	}
	_, r := sqltype.FloorDiv(diff, width)
	return newTimestamp(t - r)
}

// age subtracts field by field, borrowing days from the month before.
func age(a, b int64) (sqltype.Value, error) {
	if infiniteTimestamp(a) || infiniteTimestamp(b) {
		return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "cannot subtract infinite timestamps").WithState("22008")
	}
	sign := int64(1)
	if a < b {
		a, b, sign = b, a, -1
	}
	ad, at := sqltype.FloorDiv(a, microsPerDay)
	bd, bt := sqltype.FloorDiv(b, microsPerDay)
	ay, am, aday := sqltype.CivilFromDays(ad)
	by, bm, bday := sqltype.CivilFromDays(bd)
	us, days := at-bt, int64(aday-bday)
	months := (ay-by)*12 + int64(am-bm)
	if us < 0 {
		us += microsPerDay
		days--
	}
	if days < 0 {
		// The earlier date's month gives the days.
		days += int64(sqltype.DaysInMonth(by, bm))
		months--
	}
	return newInterval(sign*months, sign*days, sign*us, true)
}

func fieldRange(what string, a, b, c any) error {
	return dberr.Newf(dberr.ValueOutOfRange, "%s field value out of range: %v-%02v-%02v", what, a, b, c).WithState("22008")
}

func makeDate(y, m, d int64) (sqltype.Value, error) {
	year := y
	if y < 0 {
		year = y + 1
	}
	if y == 0 || y > 6_000_000 || y < -5000 || m < 1 || m > 12 || d < 1 || d > int64(sqltype.DaysInMonth(year, int(m))) {
		return sqltype.Value{}, fieldRange("date", y, m, d)
	}
	return newDate(sqltype.DaysFromCivil(year, int(m), int(d)))
}

func makeTime(h, m int64, s float64) (int64, error) {
	if math.Abs(s) < 5e-7 {
		s = 0 // it is less than half a microsecond
	}
	if h < 0 || h > 24 || m < 0 || m > 59 || !(s >= 0 && s <= 60) || h == 24 && (m > 0 || s > 0) {
		return 0, dberr.Newf(dberr.ValueOutOfRange, "time field value out of range: %d:%02d:%02v", h, m, s).WithState("22008")
	}
	return (h*60+m)*60_000_000 + int64(math.RoundToEven(s*1e6)), nil
}

func makeInterval(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	at := func(i int) int64 {
		if i < len(a) {
			return a[i].Int()
		}
		return 0
	}
	sec := 0.0
	if len(a) > 6 {
		sec = a[6].Float()
	}
	if math.IsNaN(sec) || math.Abs(sec) > 9e12 {
		return sqltype.Value{}, intervalRange()
	}
	us := (at(4)*60+at(5))*60_000_000 + int64(math.RoundToEven(sec*1e6))
	return newInterval(at(0)*12+at(1), at(2)*7+at(3), us, true)
}

func justifyInterval(iv sqltype.IntervalValue) sqltype.IntervalValue {
	iv = justifyDays(justifyHours(iv))
	// Days may have the sign of the months only now.
	if iv.Months > 0 && (iv.Days < 0 || iv.Days == 0 && iv.Micros < 0) {
		iv.Days += 30
		iv.Months--
	} else if iv.Months < 0 && (iv.Days > 0 || iv.Days == 0 && iv.Micros > 0) {
		iv.Days -= 30
		iv.Months++
	}
	return sameSign(iv)
}
