package sqltype_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

var clock = time.Date(2025, 10, 21, 13, 5, 9, 250_000_000, time.UTC)

// TestParse has PostgreSQL's results; an error is given by its SQLSTATE.
func TestParse(t *testing.T) {
	varchar3 := sqltype.Type{Kind: sqltype.Text, Precision: 3}
	dec52 := sqltype.Type{Kind: sqltype.Decimal, Precision: 5, Scale: 2}
	ints, texts := sqltype.ArrayOf(sqltype.TInteger), sqltype.ArrayOf(sqltype.TText)
	tests := []struct {
		typ      sqltype.Type
		in, want string
	}{
		{sqltype.TBoolean, "t", "t"}, {sqltype.TBoolean, " TRUE ", "t"}, {sqltype.TBoolean, "y", "t"}, {sqltype.TBoolean, "on", "t"},
		{sqltype.TBoolean, "1", "t"}, {sqltype.TBoolean, "fal", "f"}, {sqltype.TBoolean, "no", "f"}, {sqltype.TBoolean, "off", "f"},
		{sqltype.TBoolean, "0", "f"}, {sqltype.TBoolean, "o", "22P02"}, {sqltype.TBoolean, "", "22P02"}, {sqltype.TBoolean, "truely", "22P02"},
		{sqltype.TInteger, "12", "12"}, {sqltype.TInteger, " -12\n", "-12"}, {sqltype.TInteger, "+5", "5"}, {sqltype.TInteger, "007", "7"},
		{sqltype.TInteger, "2147483648", "22003"}, {sqltype.TInteger, "-2147483648", "-2147483648"}, {sqltype.TSmallInt, "40000", "22003"},
		{sqltype.TBigInt, "9223372036854775808", "22003"}, {sqltype.TInteger, "1.5", "22P02"}, {sqltype.TInteger, "", "22P02"},
		{sqltype.TInteger, "1 2", "22P02"}, {sqltype.TInteger, "0x1f", "22P02"}, {sqltype.TInteger, "1_000", "22P02"}, {sqltype.TInteger, "--1", "22P02"},
		{sqltype.TDouble, "1.5e3", "1500"}, {sqltype.TDouble, "nan", "NaN"}, {sqltype.TDouble, "-inf", "-Infinity"}, {sqltype.TDouble, "Infinity", "Infinity"},
		{sqltype.TDouble, "1e400", "22003"}, {sqltype.TDouble, "1e-400", "22003"}, {sqltype.TDouble, "0e-400", "0"}, {sqltype.TDouble, "abc", "22P02"},
		{sqltype.TDouble, "0x1p3", "22P02"}, {sqltype.TDouble, "1_0", "22P02"}, {sqltype.TDouble, "-0", "-0"}, {sqltype.TDouble, "+-inf", "22P02"}, {sqltype.TDouble, ".", "22P02"},
		{sqltype.TFloat, "3.5e38", "22003"}, {sqltype.TFloat, "0.1", "0.1"},
		{sqltype.TDecimal, "1.50", "1.50"}, {sqltype.TDecimal, " 1e2 ", "100"}, {sqltype.TDecimal, "x", "22P02"}, {sqltype.TDecimal, "NaN", "22003"}, {sqltype.TDecimal, "1e99", "22003"},
		{dec52, "123.456", "123.46"}, {dec52, "999.994", "999.99"}, {dec52, "999.995", "22003"}, {dec52, "1", "1.00"}, {dec52, "-0.001", "0.00"},
		{sqltype.TText, " as is ", " as is "}, {varchar3, "äbcd", "äbc"},
		{sqltype.TUUID, "A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{sqltype.TUUID, "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{sqltype.TUUID, "a0eebc999c0b4ef8bb6d6bb9bd380a1", "22P02"}, {sqltype.TUUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g", "22P02"}, {sqltype.TUUID, "", "22P02"},
		{sqltype.TBytes, `\xDEad`, `\xdead`}, {sqltype.TBytes, `\x de ad`, `\xdead`}, {sqltype.TBytes, `\xd`, "22023"}, {sqltype.TBytes, `\xzz`, "22023"},
		{sqltype.TBytes, `a\\b\001`, `\x615c6201`}, {sqltype.TBytes, `a\b`, "22P02"}, {sqltype.TBytes, `\xä`, "22023"},
		{sqltype.TJSON, ` {"a": 1} `, ` {"a": 1} `}, {sqltype.TJSON, `{"a":}`, "22P02"}, {sqltype.TJSON, "", "22P02"}, {sqltype.TJSON, "1 2", "22P02"},
		{sqltype.TJSON, strings.Repeat("[", 5000), "22P02"}, {sqltype.TJSON, "\"\xff\"", "22P02"},
		{ints, "{1, 2,NULL}", "{1,2,NULL}"}, {ints, "{}", "{}"}, {ints, " { 1 } ", "{1}"}, {ints, "{1,}", "22P02"}, {ints, "1", "22P02"}, {ints, "{a}", "22P02"},
		{ints, "{{1}}", "0A000"}, {ints, "{1", "22P02"}, {ints, "{1}}", "22P02"},
		{texts, `{a b ,"c,d","e\"f",\{,"NULL",null,""}`, `{"a b","c,d","e\"f","{","NULL",NULL,""}`}, {texts, `{"a"b}`, "22P02"}, {texts, `{"a}`, "22P02"}, {texts, `{a\}`, "22P02"},
		{sqltype.TDate, "2025-10-21", "2025-10-21"}, {sqltype.TDate, "2025-2-3", "2025-02-03"}, {sqltype.TDate, "20251021", "2025-10-21"},
		{sqltype.TDate, "2025-10-21T10:00:00Z", "2025-10-21"}, {sqltype.TDate, "Oct 21, 2025", "2025-10-21"}, {sqltype.TDate, "21-Oct-2025", "2025-10-21"},
		{sqltype.TDate, "10 21 2025", "2025-10-21"}, {sqltype.TDate, "{10,21,25}", "2025-10-21"}, {sqltype.TDate, "2025 10 21", "2025-10-21"}, {sqltype.TDate, "2025 294", "2025-10-21"},
		{sqltype.TDate, "12 1000", "22008"}, {sqltype.TDate, "2025 10", "22007"}, {sqltype.TDate, "13 12 2025", "22008"}, {sqltype.TDate, "2 30 2025", "22008"}, {sqltype.TDate, "2025 400", "22008"},
		{sqltype.TTimestamp, "10 21 2025 1305", "2025-10-21 13:05:00"}, {sqltype.TTimestamp, "2025-10-21 1305", "2025-10-21 13:05:00"}, {sqltype.TTimestamp, "Oct 21 2025 1305", "2025-10-21 13:05:00"},
		{sqltype.TTime, "-300%", "22007"}, {sqltype.TTime, "-1600%", "22009"},
		{sqltype.TTimestamp, "1 2 3 4", "22007"}, {sqltype.TTime, "1 2 3", "22007"},
		{sqltype.TDate, "10/21/2025", "2025-10-21"}, {sqltype.TDate, "2025.294", "22007"}, {sqltype.TDate, "2025-294", "2025-10-21"}, {sqltype.TDate, "today", "2025-10-21"},
		{sqltype.TDate, "tomorrow", "2025-10-22"}, {sqltype.TDate, "yesterday", "2025-10-20"}, {sqltype.TDate, "infinity", "infinity"}, {sqltype.TDate, "-infinity", "-infinity"},
		{sqltype.TDate, "0001-01-01", "0001-01-01"}, {sqltype.TDate, "0001-12-31 BC", "0001-12-31 BC"}, {sqltype.TDate, "5874897-12-31", "5874897-12-31"},
		{sqltype.TDate, "5874898-01-01", "22008"}, {sqltype.TDate, "2025-02-29", "22008"}, {sqltype.TDate, "2024-02-29", "2024-02-29"}, {sqltype.TDate, "1900-02-29", "22008"},
		{sqltype.TDate, "2025-13-01", "22008"}, {sqltype.TDate, "2025-00-01", "22008"}, {sqltype.TDate, "hello", "22007"}, {sqltype.TDate, "", "22007"}, {sqltype.TDate, "2025", "22007"},
		{sqltype.TDate, "epoch", "1970-01-01"},
		{sqltype.TDate, "0", "22008"}, {sqltype.TDate, "12", "22007"}, {sqltype.TDate, "50", "22008"}, {sqltype.TDate, "123", "22007"}, {sqltype.TDate, "50%", "22008"}, {sqltype.TDate, "5%", "22007"},
		{sqltype.TDate, "2251021", "0225-10-21"}, {sqltype.TDate, "1234567", "22008"}, {sqltype.TDate, "1234567890", "22008"}, {sqltype.TDate, "2025-10-21#", "2025-10-21"},
		{sqltype.TTime, "13:05", "13:05:00"}, {sqltype.TTime, "13:05:09.2500004", "13:05:09.25"}, {sqltype.TTime, "01:02:03 PM", "13:02:03"}, {sqltype.TTime, "24:00:00", "24:00:00"},
		{sqltype.TTime, "24:00:01", "22008"}, {sqltype.TTime, "13:60", "22008"}, {sqltype.TTime, "2025-10-21", "22007"}, {sqltype.TTime, "now", "13:05:09.25"}, {sqltype.TTime, "130509", "13:05:09"},
		{sqltype.TTimestamp, "2025-10-21 13:05:09.25", "2025-10-21 13:05:09.25"}, {sqltype.TTimestamp, "2025-10-21T13:05:09Z", "2025-10-21 13:05:09"},
		{sqltype.TTimestamp, "2025-10-21T13:05:09+02:00", "2025-10-21 11:05:09"}, {sqltype.TTimestamp, "2025-10-21 13:05:09-0330", "2025-10-21 16:35:09"},
		{sqltype.TTimestamp, "2025-10-21 13:05:09+2", "2025-10-21 11:05:09"}, {sqltype.TTimestamp, "2025-07-01 12:00 Europe/Berlin", "2025-07-01 10:00:00"},
		{sqltype.TTimestamp, "2025-01-01 12:00 europe/berlin", "2025-01-01 11:00:00"}, {sqltype.TTimestamp, "2025-10-21 13:05:09 UTC", "2025-10-21 13:05:09"},
		{sqltype.TTimestamp, "2025-10-21 13:05:09 Nowhere/Else", "22023"}, {sqltype.TTimestamp, "2025-10-21", "2025-10-21 00:00:00"}, {sqltype.TTimestamp, "now", "2025-10-21 13:05:09.25"},
		{sqltype.TTimestamp, "today", "2025-10-21 00:00:00"}, {sqltype.TTimestamp, "2025-10-21 13:05:09.9999996", "2025-10-21 13:05:10"}, {sqltype.TTimestamp, "2025-10-21 24:00", "2025-10-22 00:00:00"},
		{sqltype.TTimestamp, "2025-12-31 23:59:60", "2026-01-01 00:00:00"}, {sqltype.TTimestamp, "infinity", "infinity"}, {sqltype.TTimestamp, "294248-01-01", "22008"},
		{sqltype.TTimestamp, "13:05", "22007"}, {sqltype.TTimestamp, "2025-10-21 13:05:09+99", "22009"}, {sqltype.TTimestamp, "2025-10-21 13:05:09 13:05", "22007"},
		{sqltype.TTimestamp, "4714-11-24 BC", "4714-11-24 00:00:00 BC"}, {sqltype.TTimestamp, "4714-11-23 BC", "22008"}, {sqltype.TTimestamp, "Tue Oct 21 13:05:09 2025", "2025-10-21 13:05:09"},
		{sqltype.TInterval, "1 year 2 mons 3 days 04:05:06.5", "1 year 2 mons 3 days 04:05:06.5"}, {sqltype.TInterval, "P1Y2M3DT4H5M6.5S", "1 year 2 mons 3 days 04:05:06.5"},
		{sqltype.TInterval, "1 hour ago", "-01:00:00"}, {sqltype.TInterval, "5", "00:00:05"}, {sqltype.TInterval, "1.5 hours", "01:30:00"}, {sqltype.TInterval, "-P1D", "-1 days"},
		{sqltype.TInterval, "2 days 5", "2 days 00:00:05"}, {sqltype.TInterval, "1 day -1 hour", "1 day -01:00:00"}, {sqltype.TInterval, "0", "00:00:00"}, {sqltype.TInterval, "50%", "00:00:50"}, {sqltype.TInterval, "(1) day; 2%hours", "1 day 02:00:00"}, {sqltype.TInterval, "%", "22007"}, {sqltype.TInterval, "300s", "00:05:00"},
		{sqltype.TInterval, "1 fortnight", "22007"}, {sqltype.TInterval, "", "22007"}, {sqltype.TInterval, "P", "22007"}, {sqltype.TInterval, "PT", "22007"}, {sqltype.TInterval, "ago", "22007"},
		{sqltype.TInterval, "99999999999 years", "22015"}, {sqltype.TInterval, "99999999999999999999 hours", "22007"}, {sqltype.TInterval, "9999999999 hours", "22015"},
	}
	for _, tt := range tests {
		v, err := sqltype.ParseAt(tt.in, tt.typ, clock)
		got := v.Text()
		if e, ok := dberr.As(err); ok {
			got = e.State()
		} else if err != nil {
			t.Errorf("%s %q: error without a code: %v", tt.typ, tt.in, err)
		}
		if got != tt.want {
			t.Errorf("%s %q: got %s (%v), want %s", tt.typ, tt.in, got, err, tt.want)
		}
		if err == nil && v.Kind() != tt.typ.Kind {
			t.Errorf("%s %q: is of kind %s", tt.typ, tt.in, v.Kind())
		}
	}
}

func TestParseMessages(t *testing.T) {
	for in, want := range map[string]string{
		"abc":        `invalid input syntax for type integer: "abc"`,
		"3000000000": `value "3000000000" is out of range for type integer`,
	} {
		_, err := sqltype.Parse(in, sqltype.TInteger)
		if e, ok := dberr.As(err); !ok || e.Message != want {
			t.Errorf("%q: %v", in, err)
		}
	}
	_, err := sqltype.Parse("{\"a\":1,\n \"b\" 2}", sqltype.TJSON)
	e, ok := dberr.As(err)
	if !ok || e.Code != dberr.InvalidJSON || !strings.Contains(e.Message, "line 2, column 6") {
		t.Errorf("JSON: %v", err)
	}
	_, err = sqltype.Parse(strings.Repeat("x", 100_000), sqltype.TInteger)
	if len(err.Error()) > 1000 {
		t.Errorf("a message of %d bytes", len(err.Error()))
	}
}

func TestIntervalFields(t *testing.T) {
	for _, tt := range [][3]string{
		{"5", "day", "5 days"}, {"5", "hour", "05:00:00"}, {"1-2", "year to month", "1 year 2 mons"}, {"90", "minute", "01:30:00"},
		{"1 day 02:03:04", "hour", "1 day 02:00:00"}, {"2", "year", "2 years"}, {"1 12:59", "day to minute", "1 day 12:59:00"},
		{"05:06", "minute to second", "00:05:06"}, {"5", "days", "5 days"},
	} {
		iv, err := sqltype.ParseIntervalFields(tt[0], tt[1])
		if err != nil || iv.String() != tt[2] {
			t.Errorf("%q %s: %s, %v; want %s", tt[0], tt[1], iv, err, tt[2])
		}
	}
}

func randomOf(r *rand.Rand, t sqltype.Type) sqltype.Value {
	switch t.Kind {
	case sqltype.SmallInt, sqltype.Integer, sqltype.BigInt:
		lo, hi := t.Kind.IntRange()
		n := int64(r.Uint64()) >> r.IntN(64)
		return sqltype.NewInt(t.Kind, min(max(n, lo), hi))
	case sqltype.Float, sqltype.Double:
		return sqltype.NewFloat(t.Kind, (r.Float64()-0.5)*float64(r.Uint32()))
	case sqltype.Decimal:
		return sqltype.NewDecimal(decimal.New(r.Int64(), int32(r.IntN(20))))
	case sqltype.Boolean:
		return sqltype.NewBool(r.IntN(2) == 0)
	case sqltype.UUID:
		var u [16]byte
		for i := range u {
			u[i] = byte(r.Uint32())
		}
		return sqltype.NewUUID(u)
	case sqltype.Bytes, sqltype.Text:
		b := make([]byte, r.IntN(12))
		for i := range b {
			b[i] = byte(r.IntN(127)) + 1
		}
		return sqltype.NewString(t.Kind, string(b))
	case sqltype.Date:
		return sqltype.NewInt(t.Kind, sqltype.MinDate+r.Int64N(sqltype.MaxDate-sqltype.MinDate))
	case sqltype.Time:
		return sqltype.NewInt(t.Kind, r.Int64N(86_400_000_001))
	case sqltype.Timestamp:
		return sqltype.NewInt(t.Kind, r.Int64N(sqltype.MaxTimestamp-86_400_000_000)>>r.IntN(20)*int64(1-r.IntN(2)))
	case sqltype.Interval:
		return sqltype.NewInterval(sqltype.IntervalValue{Months: int32(r.Uint32()), Days: int32(r.Uint32()), Micros: int64(r.Uint64()) >> 2})
	}
	list := make([]sqltype.Value, r.IntN(4))
	for i := range list {
		if list[i] = randomOf(r, t.ElemType()); r.IntN(5) == 0 {
			list[i] = sqltype.NullOf(t.Elem)
		}
	}
	return sqltype.NewArray(list)
}

// TestTextRoundTrip writes random values and reads them back.
func TestTextRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	types := []sqltype.Type{
		sqltype.TBoolean, sqltype.TSmallInt, sqltype.TInteger, sqltype.TBigInt, sqltype.TFloat, sqltype.TDouble, sqltype.TDecimal,
		sqltype.TText, sqltype.TUUID, sqltype.TBytes, sqltype.TDate, sqltype.TTime, sqltype.TTimestamp, sqltype.TInterval,
		sqltype.ArrayOf(sqltype.TText), sqltype.ArrayOf(sqltype.TInteger), sqltype.ArrayOf(sqltype.TTimestamp), sqltype.ArrayOf(sqltype.TBytes),
	}
	for _, typ := range types {
		for range 2000 {
			v := randomOf(r, typ)
			back, err := sqltype.ParseAt(v.Text(), typ, clock)
			if err != nil || !sqltype.Equal(v, back) || back.Text() != v.Text() {
				t.Fatalf("%s %q reads back as %q: %v", typ, v.Text(), back.Text(), err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"2025-10-21T13:05:09.25+02:00", "1 year -2 mons 3 days", "P1Y2M", "{1,\"a\",NULL}", "\\xdead", "1.5e10", "infinity", "now", "{\"a\":1}", "Tue Oct 21 13:05:09 2025 Europe/Berlin"} {
		f.Add(s)
	}
	types := []sqltype.Type{
		sqltype.TBoolean, sqltype.TInteger, sqltype.TDouble, sqltype.TDecimal, sqltype.TJSON, sqltype.TUUID, sqltype.TBytes, sqltype.TDate, sqltype.TTime,
		sqltype.TTimestamp, sqltype.TInterval, sqltype.ArrayOf(sqltype.TText), sqltype.ArrayOf(sqltype.TDate),
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, typ := range types {
			v, err := sqltype.ParseAt(s, typ, clock)
			if err != nil {
				if _, ok := dberr.As(err); !ok {
					t.Fatalf("%s: error without a code: %v", typ, err)
				}
				continue
			}
			back, err := sqltype.ParseAt(v.Text(), typ, clock)
			if err != nil || !sqltype.Equal(v, back) {
				t.Fatalf("%s: %q is %q and reads back as %q, %v", typ, s, v.Text(), back.Text(), err)
			}
		}
	})
}
