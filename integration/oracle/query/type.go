package query

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// Type is a type of the grammar: a type of SQL, or a class of them.
type Type string

// The types. Number and Comparable are classes.
const (
	None       Type = ""
	Bool       Type = "b"
	Int2       Type = "i2"
	Int4       Type = "i4"
	Int8       Type = "i8"
	Float4     Type = "f4"
	Float8     Type = "f8"
	Numeric    Type = "d"
	Text       Type = "t"
	Date       Type = "dt"
	Time       Type = "tm"
	Timestamp  Type = "ts"
	Interval   Type = "iv"
	UUID       Type = "u"
	Bytes      Type = "by"
	JSON       Type = "j"
	Number     Type = "n"
	Comparable Type = "x"
	// Opaque is the type of a result that is compared with a tolerance, and so
	// is neither ordered nor grouped by.
	Opaque Type = "o"
)

// comparable are the types with an order; storable those that a column has.
var (
	comparables = []Type{Bool, Int2, Int4, Int4, Int8, Float4, Float8, Numeric, Numeric, Text, Text, Date, Time, Timestamp, Interval, UUID, Bytes}
	numbers     = []Type{Int2, Int4, Int4, Int8, Float8, Numeric}
	storable    = []Type{Bool, Int2, Int4, Int8, Float4, Float8, Numeric, Text, Text, Date, Time, Timestamp, UUID, Bytes, JSON}
)

// maxable are the types that have max and min in PostgreSQL.
var maxable = map[Type]bool{Int2: true, Int4: true, Int8: true, Float4: true, Float8: true, Numeric: true, Text: true, Date: true, Time: true, Timestamp: true, Interval: true}

var sqlNames = map[Type]string{
	Bool: "boolean", Int2: "smallint", Int4: "integer", Int8: "bigint", Float4: "real", Float8: "double precision",
	Numeric: "numeric", Text: "text", Date: "date", Time: "time", Timestamp: "timestamp", Interval: "interval",
	UUID: "uuid", Bytes: "bytea", JSON: "json", Number: "numeric",
}

// SQL is the type's name.
func (t Type) SQL() string { return sqlNames[t] }

var plains = map[Type]string{
	Bool: "true", Int2: "1::smallint", Int4: "1", Int8: "1::bigint", Float4: "1::real", Float8: "1::double precision",
	Numeric: "1.0", Text: "'a'", Date: "date '2020-01-01'", Time: "time '12:00'", Timestamp: "timestamp '2020-01-01'",
	Interval: "interval '1 day'", UUID: "uuid '00000000-0000-0000-0000-000000000001'", Bytes: "'\\x61'::bytea", JSON: "'1'::json",
	Number: "1",
}

func (t Type) plain() string { return plains[t] }

// others are values of a type that have little in common. None are given for
// the classes of types, of which an expression's own is not known.
func (t Type) others() []string {
	switch t {
	case None, Number, Comparable, Opaque:
		return nil
	case Bool:
		return []string{"true", "false", "NULL::boolean"}
	}
	all := values(t, false)
	return []string{"NULL::" + t.SQL(), "(" + spell(t, all[0]) + "::" + t.SQL() + ")", "(" + spell(t, all[len(all)/2]) + "::" + t.SQL() + ")", "(" + spell(t, all[len(all)-1]) + "::" + t.SQL() + ")"}
}

// Pools of values. The first ones are tame, those behind a "!" are extreme and
// used where a failing statement is no surprise.
var pools = map[Type]string{
	Bool:    "true;false",
	Int2:    "0;1;2;3;5;7;-1;-4;12;100;!;32767;-32768",
	Int4:    "0;1;2;3;4;5;7;-1;-2;-9;10;42;99;1000;-300;!;2147483647;-2147483648;65536",
	Int8:    "0;1;2;3;-1;-7;10;77;5000;-123456;!;9223372036854775807;-9223372036854775808;4294967296",
	Float4:  "0;1;-1;0.5;2.25;-3.75;100;16.5;0.125;!;1e30;-1e-30;NaN;Infinity",
	Float8:  "0;1;-1;0.5;2.25;-3.75;100;1234.5;0.0625;-8;3;!;1e300;-1e-300;NaN;Infinity;-Infinity",
	Numeric: "0;1;-1;0.50;2.25;-3.75;100;12.345;0.001;-7.10;99.99;3;!;99999999999999999999.999999;-0.000000000001;123456789012345678901234567890",
	Text:    ";a;b;abc;ABC;Hello World;a,b,c;ä;日本語;x_y;50%;it's; lead;trail ;12;-7;aab;ba;a\\b;zZz;\tq;Ünï;2020-02-29;!;99999999999;1e5;true;not a number",
	Date:    "2020-01-01;2020-02-29;1999-12-31;2024-07-15;1970-01-01;2021-03-31;2000-06-30;!;0001-01-01;9999-12-31",
	Time:    "00:00:00;12:00:00;23:59:59;08:30:15.25;17:45:00.000001;!;24:00:00",
	Timestamp: "2020-01-01 00:00:00;2020-02-29 12:34:56;1999-12-31 23:59:59.999999;2024-07-15 08:00:00.5;1970-01-01 00:00:00;2021-03-31 17:45:01.25;!;" +
		"0001-01-01 00:00:00;9999-12-31 23:59:59.999999",
	Interval: "1 day;2 hours;-1 hour;1 mon;1 year 2 mons;00:00:01.5;3 days 04:05:06;-2 mons 5 days;0;30 days;24:00:00;1 mon -1 day;!;100 years;-1000000 hours",
	UUID:     "00000000-0000-0000-0000-000000000001;a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11;ffffffff-ffff-ffff-ffff-ffffffffffff;12345678-1234-5678-1234-567812345678",
	Bytes:    "\\x;\\x00;\\x61;\\x616263;\\xff00ff;\\xdeadbeef",
	JSON:     `1;"a";null;true;[1, 2, 3];{"a": 1, "b": [true, null, "x"]};{"a": {"b": "c"}};[];{"k": "v", "n": 1.50}`,
}

// values are a pool's values; all with the extreme ones.
func values(t Type, all bool) []string {
	tame, wild, _ := strings.Cut(pools[t], ";!;")
	out := strings.Split(tame, ";")
	if all && wild != "" {
		out = append(out, strings.Split(wild, ";")...)
	}
	return out
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// spell writes a value as a literal of its type.
func spell(t Type, v string) string {
	switch t {
	case Bool, Int4:
		if v == "-2147483648" {
			return "(-2147483647 - 1)"
		}
		if strings.HasPrefix(v, "-") {
			return "(" + v + ")"
		}
		return v
	case Int2, Int8, Float4, Float8:
		return quote(v) + "::" + t.SQL()
	case Numeric:
		if !strings.Contains(v, ".") {
			return quote(v) + "::numeric"
		}
		if strings.HasPrefix(v, "-") {
			return "(" + v + ")"
		}
		return v
	case Date, Time, Timestamp, Interval, UUID:
		return t.SQL() + " " + quote(v)
	case Bytes, JSON:
		return quote(v) + "::" + t.SQL()
	}
	return quote(v)
}

// cell spells a column's value.
func cell(t Type, v string) string {
	switch t {
	case Int2, Int8, Int4, Bool:
		return v
	}
	return quote(v)
}

// literal makes a literal. A NULL is one too, but no parameter.
func literal(r *rand.Rand, t Type, wild bool) *Node {
	if r.IntN(12) == 0 {
		return expression(t, fmt.Sprintf("NULL::%s", t.SQL()))
	}
	vs := values(t, wild)
	v := vs[r.IntN(len(vs))]
	n := expression(t, spell(t, v))
	n.Value = param(t, v)
	return n
}

// param is a value as a client gives it, nil where the grammar has none.
func param(t Type, v string) *sqltype.Value {
	var out sqltype.Value
	switch t {
	case Bool:
		out = sqltype.NewBool(v == "true")
	case Int2, Int4, Int8:
		var n int64
		if _, err := fmt.Sscan(v, &n); err != nil {
			return nil
		}
		out = sqltype.NewBigInt(n)
	case Float8, Float4:
		var f float64
		if _, err := fmt.Sscan(v, &f); err != nil {
			return nil
		}
		out = sqltype.NewDouble(f)
	case Numeric:
		d, err := decimal.Parse(v)
		if err != nil {
			return nil
		}
		out = sqltype.NewDecimal(d)
	case Text, Date, Time, Timestamp, Interval, UUID, JSON:
		out = sqltype.NewText(v)
	default:
		return nil
	}
	return &out
}
