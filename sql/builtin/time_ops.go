package builtin

import (
	"math"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

func init() {
	s := section{"date and time", Operator}
	addDoc, subDoc := "Moves a date or time forward.", "Moves a date or time back."
	s.def("+(date, int) date", addDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return addDays(a[0].Int(), a[1].Int())
	})
	s.def("+(int, date) date", addDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return addDays(a[1].Int(), a[0].Int())
	})
	s.def("-(date, int) date", subDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return addDays(a[0].Int(), -a[1].Int())
	})
	s.def("-(date, date) int", "Counts the days between two dates.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if infiniteDate(a[0].Int()) || infiniteDate(a[1].Int()) {
			return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "cannot subtract infinite dates").WithState("22008")
		}
		return sqltype.NewInt(sqltype.Integer, a[0].Int()-a[1].Int()), nil
	})
	s.def("+(date, interval) timestamp", addDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return dateInterval(a[0], a[1].Interval(), 1)
	})
	s.def("+(interval, date) timestamp", addDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return dateInterval(a[1], a[0].Interval(), 1)
	})
	s.def("-(date, interval) timestamp", subDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return dateInterval(a[0], a[1].Interval(), -1)
	})
	s.def("+(date, time) timestamp", "Joins a date and a time of day.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return dateInterval(a[0], sqltype.IntervalValue{Micros: a[1].Int()}, 1)
	})
	s.def("+(time, date) timestamp", "Joins a date and a time of day.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return dateInterval(a[1], sqltype.IntervalValue{Micros: a[0].Int()}, 1)
	})
	s.def("+(timestamp, interval) timestamp", addDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return addInterval(a[0].Int(), a[1].Interval(), 1)
	})
	s.def("+(interval, timestamp) timestamp", addDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return addInterval(a[1].Int(), a[0].Interval(), 1)
	})
	s.def("-(timestamp, interval) timestamp", subDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return addInterval(a[0].Int(), a[1].Interval(), -1)
	})
	s.def("-(timestamp, timestamp) interval", "Gives the time between two timestamps, in days and hours.", subTimestamps)
	s.def("+(time, interval) time", addDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return addTime(a[0].Int(), a[1].Interval().Micros%microsPerDay), nil
	})
	s.def("+(interval, time) time", addDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return addTime(a[1].Int(), a[0].Interval().Micros%microsPerDay), nil
	})
	s.def("-(time, interval) time", subDoc, func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return addTime(a[0].Int(), -(a[1].Interval().Micros % microsPerDay)), nil
	})
	s.def("-(time, time) interval", "Gives the time between two times of day.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sqltype.NewInterval(sqltype.IntervalValue{Micros: a[0].Int() - a[1].Int()}), nil
	})
	s.def("+(interval, interval) interval", "Adds two intervals.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return sumIntervals(a[0].Interval(), a[1].Interval())
	})
	s.def("-(interval, interval) interval", "Subtracts an interval.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n, err := negInterval(a[1].Interval())
		if err != nil {
			return sqltype.Value{}, err
		}
		return sumIntervals(a[0].Interval(), n)
	})
	s.def("-(interval) interval", "Negates an interval.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		n, err := negInterval(a[0].Interval())
		return sqltype.NewInterval(n), err
	})
	s.def("*(interval, double) interval", "Multiplies an interval.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return scaleInterval(a[0].Interval(), a[1].Float())
	})
	s.def("*(double, interval) interval", "Multiplies an interval.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		return scaleInterval(a[1].Interval(), a[0].Float())
	})
	s.def("/(interval, double) interval", "Divides an interval.", func(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
		if a[1].Float() == 0 {
			return sqltype.Value{}, divisionByZero()
		}
		return divideInterval(a[0].Interval(), a[1].Float())
	})
}

func intervalRange() error {
	return dberr.New(dberr.ValueOutOfRange, "interval out of range").WithState("22008")
}

func timestampRange() error {
	return dberr.New(dberr.ValueOutOfRange, "timestamp out of range").WithState("22008")
}

func infiniteDate(d int64) bool { return d == sqltype.DateInfinity || d == sqltype.DateNegInfinity }

func infiniteTimestamp(t int64) bool {
	return t == sqltype.TimestampInfinity || t == sqltype.TimestampNegInfinity
}

func addDays(date, days int64) (sqltype.Value, error) {
	if infiniteDate(date) {
		return sqltype.NewInt(sqltype.Date, date), nil
	}
	return newDate(date + days)
}

// newDate checks the range of a date.
func newDate(days int64) (sqltype.Value, error) {
	if days < sqltype.MinDate || days > sqltype.MaxDate {
		return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "date out of range").WithState("22008")
	}
	return sqltype.NewInt(sqltype.Date, days), nil
}

func newTimestamp(us int64) (sqltype.Value, error) {
	if us < sqltype.MinTimestamp || us > sqltype.MaxTimestamp {
		return sqltype.Value{}, timestampRange()
	}
	return sqltype.NewInt(sqltype.Timestamp, us), nil
}

func dateInterval(date sqltype.Value, iv sqltype.IntervalValue, sign int64) (sqltype.Value, error) {
	t, err := dateToTimestamp(date.Int())
	if err != nil {
		return t, err
	}
	return addInterval(t.Int(), iv, sign)
}

// addInterval moves a timestamp by months (to the month's last day at most),
// then days, then microseconds.
func addInterval(us int64, iv sqltype.IntervalValue, sign int64) (sqltype.Value, error) {
	if infiniteTimestamp(us) {
		return sqltype.NewInt(sqltype.Timestamp, us), nil
	}
	if iv.Months != 0 {
		days, rest := sqltype.FloorDiv(us, microsPerDay)
		days = addMonths(days, sign*int64(iv.Months))
		if days < sqltype.MinDate || days > math.MaxInt64/microsPerDay-1 {
			return sqltype.Value{}, timestampRange()
		}
		us = days*microsPerDay + rest
	}
	d := sign * int64(iv.Days) * microsPerDay
	if iv.Days > 106_000_000 || iv.Days < -106_000_000 {
		return sqltype.Value{}, timestampRange()
	}
	us, ok1 := addInt(us, d)
	us, ok2 := addInt(us, sign*iv.Micros)
	if !ok1 || !ok2 || sign < 0 && iv.Micros == math.MinInt64 {
		return sqltype.Value{}, timestampRange()
	}
	return newTimestamp(us)
}

// addMonths moves a date by months; a day that the month does not have
// becomes its last one.
func addMonths(days, months int64) int64 {
	y, m, d := sqltype.CivilFromDays(days)
	total := y*12 + int64(m-1) + months
	y, rest := sqltype.FloorDiv(total, 12)
	m = int(rest) + 1
	return sqltype.DaysFromCivil(y, m, min(d, sqltype.DaysInMonth(y, m)))
}

func subTimestamps(_ *Context, a []sqltype.Value) (sqltype.Value, error) {
	x, y := a[0].Int(), a[1].Int()
	if infiniteTimestamp(x) || infiniteTimestamp(y) {
		return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "cannot subtract infinite timestamps").WithState("22008")
	}
	d, ok := subInt(x, y)
	if !ok {
		return sqltype.Value{}, intervalRange()
	}
	return sqltype.NewInterval(justifyHours(sqltype.IntervalValue{Micros: d})), nil
}

func addTime(us, delta int64) sqltype.Value {
	_, r := sqltype.FloorDiv(us+delta, microsPerDay)
	return sqltype.NewInt(sqltype.Time, r)
}

func sumIntervals(a, b sqltype.IntervalValue) (sqltype.Value, error) {
	months, days := int64(a.Months)+int64(b.Months), int64(a.Days)+int64(b.Days)
	us, ok := addInt(a.Micros, b.Micros)
	return newInterval(months, days, us, ok)
}

func newInterval(months, days, us int64, ok bool) (sqltype.Value, error) {
	if !ok || int64(int32(months)) != months || int64(int32(days)) != days {
		return sqltype.Value{}, intervalRange()
	}
	return sqltype.NewInterval(sqltype.IntervalValue{Months: int32(months), Days: int32(days), Micros: us}), nil
}

func negInterval(a sqltype.IntervalValue) (sqltype.IntervalValue, error) {
	if a.Months == math.MinInt32 || a.Days == math.MinInt32 || a.Micros == math.MinInt64 {
		return a, intervalRange()
	}
	return sqltype.IntervalValue{Months: -a.Months, Days: -a.Days, Micros: -a.Micros}, nil
}

func scaleInterval(a sqltype.IntervalValue, f float64) (sqltype.Value, error) {
	return changeInterval(a, func(x float64) float64 { return x * f })
}

func divideInterval(a sqltype.IntervalValue, f float64) (sqltype.Value, error) {
	return changeInterval(a, func(x float64) float64 { return x / f })
}

// changeInterval multiplies or divides each part; what is left over of a month
// becomes days of a 30-day month, and what is left over of a day becomes time.
func changeInterval(a sqltype.IntervalValue, by func(float64) float64) (sqltype.Value, error) {
	months, days := by(float64(a.Months)), by(float64(a.Days))
	wm, wd := math.Trunc(months), math.Trunc(days)
	monthDays := roundMicros((months - wm) * 30)
	extra := math.Trunc(monthDays)
	sec := roundMicros((days - wd + (monthDays - extra)) * 86400)
	if math.Abs(sec) >= 86400 {
		extra += math.Trunc(sec / 86400)
		sec -= math.Trunc(sec/86400) * 86400
	}
	wd += extra
	us := math.RoundToEven(by(float64(a.Micros)) + sec*1e6)
	if math.IsNaN(wm+wd+us) || math.Abs(wm) > math.MaxInt32 || math.Abs(wd) > math.MaxInt32 || math.Abs(us) >= math.MaxInt64 {
		return sqltype.Value{}, intervalRange()
	}
	return sqltype.NewInterval(sqltype.IntervalValue{Months: int32(wm), Days: int32(wd), Micros: int64(us)}), nil
}

func roundMicros(x float64) float64 { return math.RoundToEven(x*1e6) / 1e6 }

func justifyHours(iv sqltype.IntervalValue) sqltype.IntervalValue {
	days := iv.Micros / microsPerDay
	iv.Micros -= days * microsPerDay
	iv.Days += int32(days)
	return sameSign(iv)
}

// sameSign moves a day between days and hours where their signs differ.
func sameSign(iv sqltype.IntervalValue) sqltype.IntervalValue {
	if iv.Days > 0 && iv.Micros < 0 {
		iv.Micros += microsPerDay
		iv.Days--
	} else if iv.Days < 0 && iv.Micros > 0 {
		iv.Micros -= microsPerDay
		iv.Days++
	}
	return iv
}

func justifyDays(iv sqltype.IntervalValue) sqltype.IntervalValue {
	months := iv.Days / 30
	iv.Days -= months * 30
	iv.Months += months
	if iv.Months > 0 && iv.Days < 0 {
		iv.Days += 30
		iv.Months--
	} else if iv.Months < 0 && iv.Days > 0 {
		iv.Days -= 30
		iv.Months++
	}
	return iv
}
