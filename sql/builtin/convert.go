package builtin

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// Convert turns a value into a type to which FindCast knows a way, modifiers
// included. explicit is CAST: text longer than VARCHAR(n) is cut instead of
// refused. ctx may be nil; its time is what 'now' means. NULL stays NULL.
func Convert(ctx *Context, v sqltype.Value, to sqltype.Type, explicit bool) (sqltype.Value, error) {
	if v.IsNull() {
		return sqltype.NullOf(to.Kind), nil
	}
	from := v.Kind()
	if from == to.Kind && from != sqltype.Array {
		return applyModifier(v, to, explicit)
	}
	switch {
	case from == sqltype.Text && to.Kind != sqltype.Text:
		return sqltype.ParseAt(v.Str(), to, now(ctx))
	case to.Kind == sqltype.Text:
		return applyModifier(sqltype.NewText(castText(v)), to, explicit)
	case from == sqltype.Array && to.Kind == sqltype.Array:
		return convertArray(ctx, v, to, explicit)
	}
	switch to.Kind {
	case sqltype.Unknown:
		return v, nil
	case sqltype.SmallInt, sqltype.Integer, sqltype.BigInt:
		return toInteger(v, to.Kind)
	case sqltype.Float, sqltype.Double:
		return toFloat(v, to.Kind)
	case sqltype.Decimal:
		d, err := toDecimal(v)
		if err != nil {
			return v, err
		}
		return applyModifier(sqltype.NewDecimal(d), to, explicit)
	case sqltype.Boolean:
		if from.IsInteger() {
			return sqltype.NewBool(v.Int() != 0), nil
		}
	case sqltype.Timestamp:
		if from == sqltype.Date {
			return dateToTimestamp(v.Int())
		}
	case sqltype.Date:
		if from == sqltype.Timestamp {
			return timestampToDate(v.Int()), nil
		}
	case sqltype.Time:
		switch from {
		case sqltype.Timestamp:
			if infiniteTimestamp(v.Int()) {
				return sqltype.NullOf(sqltype.Time), nil // it has no time of day
			}
			_, us := sqltype.FloorDiv(v.Int(), microsPerDay)
			return sqltype.NewInt(sqltype.Time, us), nil
		case sqltype.Interval:
			_, us := sqltype.FloorDiv(v.Interval().Micros, microsPerDay)
			return sqltype.NewInt(sqltype.Time, us), nil
		}
	case sqltype.Interval:
		if from == sqltype.Time {
			return sqltype.NewInterval(sqltype.IntervalValue{Micros: v.Int()}), nil
		}
	case sqltype.Bytes:
		if from == sqltype.UUID {
			return v.As(sqltype.Bytes), nil
		}
	case sqltype.UUID:
		if from == sqltype.Bytes {
			if len(v.Str()) != 16 {
				return v, dberr.New(dberr.TypeMismatch, "invalid length for a UUID: it has 16 bytes").WithState("22P03")
			}
			return v.As(sqltype.UUID), nil
		}
	}
	return v, dberr.Newf(dberr.TypeMismatch, "cannot cast type %s to %s",
		from.PostgresName(), to.PostgresName()).WithState("42846")
}

const microsPerDay = 86_400_000_000

func now(ctx *Context) time.Time {
	if ctx == nil || ctx.Now.IsZero() {
		return time.Now()
	}
	return ctx.Now
}

// castText is a value as text in a cast: as PostgreSQL, booleans in full.
func castText(v sqltype.Value) string {
	if v.Kind() == sqltype.Boolean {
		if v.Bool() {
			return "true"
		}
		return "false"
	}
	return v.Text()
}

func convertArray(ctx *Context, v sqltype.Value, to sqltype.Type, explicit bool) (sqltype.Value, error) {
	elem := to.ElemType()
	src := v.List()
	out := make([]sqltype.Value, len(src))
	for i, e := range src {
		c, err := Convert(ctx, e, elem, explicit)
		if err != nil {
			return v, err
		}
		out[i] = c
	}
	return sqltype.NewArray(out), nil
}

// applyModifier enforces VARCHAR(n) and DECIMAL(p,s).
func applyModifier(v sqltype.Value, to sqltype.Type, explicit bool) (sqltype.Value, error) {
	switch {
	case to.Precision == 0:
		return v, nil
	case to.Kind == sqltype.Text:
		s := v.Str()
		if len(s) <= int(to.Precision) || utf8.RuneCountInString(s) <= int(to.Precision) {
			return v, nil
		}
		cut := runeOffset(s, int(to.Precision))
		if !explicit && strings.Trim(s[cut:], " ") != "" {
			return v, tooLong(to)
		}
		return sqltype.NewText(s[:cut]), nil
	case to.Kind == sqltype.Decimal:
		return sqltype.FitDecimal(v.Decimal(), to)
	}
	return v, nil
}

func tooLong(to sqltype.Type) error {
	return dberr.Newf(dberr.ValueOutOfRange, "value too long for type character varying(%d)", to.Precision).WithState("22001")
}

// runeOffset is where the n-th character begins.
func runeOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// OutOfRange is the error for a number that its type cannot hold.
func OutOfRange(k sqltype.Kind) error { return sqltype.OutOfRange(k) }

func toInteger(v sqltype.Value, k sqltype.Kind) (sqltype.Value, error) {
	var n int64
	switch v.Kind().Physical() {
	case sqltype.PhysBool:
		if v.Bool() {
			n = 1
		}
	case sqltype.PhysInt:
		n = v.Int()
	case sqltype.PhysFloat:
		f := math.RoundToEven(v.Float())
		if !(f >= -9223372036854775808 && f < 9223372036854775808) {
			return v, OutOfRange(k)
		}
		n = int64(f)
	case sqltype.PhysDecimal:
		var ok bool
		if n, ok = v.Decimal().Int64(); !ok {
			return v, OutOfRange(k)
		}
	}
	if lo, hi := k.IntRange(); n < lo || n > hi {
		return v, OutOfRange(k)
	}
	return sqltype.NewInt(k, n), nil
}

func toFloat(v sqltype.Value, k sqltype.Kind) (sqltype.Value, error) {
	f := numberFloat(v)
	if k == sqltype.Float && !math.IsInf(f, 0) {
		if g := float64(float32(f)); math.IsInf(g, 0) || g == 0 && f != 0 {
			return v, OutOfRange(k)
		}
	}
	return sqltype.NewFloat(k, f), nil
}

// numberFloat is a number of any kind as float64.
func numberFloat(v sqltype.Value) float64 {
	switch v.Kind().Physical() {
	case sqltype.PhysInt:
		return float64(v.Int())
	case sqltype.PhysDecimal:
		return v.Decimal().Float64()
	}
	return v.Float()
}

// toDecimal is a number of any kind as DECIMAL; floats keep the 15 (DOUBLE)
// or 6 (FLOAT) digits that they stand for.
func toDecimal(v sqltype.Value) (decimal.Decimal, error) {
	switch v.Kind() {
	case sqltype.Decimal:
		return v.Decimal(), nil
	case sqltype.Float, sqltype.Double:
		digits := 15
		if v.Kind() == sqltype.Float {
			digits = 6
		}
		d, err := decimal.FromFloat64(v.Float(), digits)
		if err != nil {
			return d, decimalErr(err)
		}
		return d, nil
	}
	return decimal.New(v.Int(), 0), nil
}

// decimalErr gives an error of package decimal its code.
func decimalErr(err error) error {
	switch err {
	case nil:
		return nil
	case decimal.ErrDivisionByZero:
		return divisionByZero()
	}
	if _, coded := dberr.As(err); coded {
		return err
	}
	return OutOfRange(sqltype.Decimal)
}

func divisionByZero() error { return dberr.New(dberr.DivisionByZero, "division by zero") }

func dateToTimestamp(days int64) (sqltype.Value, error) {
	switch days {
	case sqltype.DateInfinity:
		return sqltype.NewInt(sqltype.Timestamp, sqltype.TimestampInfinity), nil
	case sqltype.DateNegInfinity:
		return sqltype.NewInt(sqltype.Timestamp, sqltype.TimestampNegInfinity), nil
	}
	if days > math.MaxInt64/microsPerDay-1 || days < math.MinInt64/microsPerDay+1 {
		return sqltype.Value{}, dberr.New(dberr.ValueOutOfRange, "date out of range for timestamp").WithState("22008")
	}
	return sqltype.NewInt(sqltype.Timestamp, days*microsPerDay), nil
}

func timestampToDate(us int64) sqltype.Value {
	switch us {
	case sqltype.TimestampInfinity:
		return sqltype.NewInt(sqltype.Date, sqltype.DateInfinity)
	case sqltype.TimestampNegInfinity:
		return sqltype.NewInt(sqltype.Date, sqltype.DateNegInfinity)
	}
	days, _ := sqltype.FloorDiv(us, microsPerDay)
	return sqltype.NewInt(sqltype.Date, days)
}
