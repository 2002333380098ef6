package wireconv

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

func dec(t testing.TB, s string) sqltype.Value {
	d, err := decimal.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return sqltype.NewDecimal(d)
}

func TestValues(t *testing.T) {
	uuid, _ := sqltype.ParseUUID("0190a5b4-0000-7000-8000-00000000002a")
	cases := []struct {
		name string
		typ  sqltype.Type
		v    sqltype.Value
		want string
	}{
		{"null", sqltype.TText, sqltype.Null(), `null`},
		{"boolean", sqltype.TBoolean, sqltype.NewBool(true), `true`},
		{"smallint", sqltype.TSmallInt, sqltype.NewInt(sqltype.SmallInt, -3), `-3`},
		{"all digits of a bigint", sqltype.TBigInt, sqltype.NewBigInt(math.MaxInt64), `9223372036854775807`},
		{"least bigint", sqltype.TBigInt, sqltype.NewBigInt(math.MinInt64), `-9223372036854775808`},
		{"double", sqltype.TDouble, sqltype.NewDouble(0.1), `0.1`},
		{"whole double", sqltype.TDouble, sqltype.NewDouble(3), `3`},
		{"small double", sqltype.TDouble, sqltype.NewDouble(1e-9), `1e-9`},
		{"large double", sqltype.TDouble, sqltype.NewDouble(1e21), `1e+21`},
		{"float keeps 32 bits", sqltype.TFloat, sqltype.NewFloat(sqltype.Float, 0.1), `0.1`},
		{"NaN", sqltype.TDouble, sqltype.NewDouble(math.NaN()), `"NaN"`},
		{"infinity", sqltype.TDouble, sqltype.NewDouble(math.Inf(1)), `"Infinity"`},
		{"negative infinity", sqltype.TFloat, sqltype.NewFloat(sqltype.Float, math.Inf(-1)), `"-Infinity"`},
		{"decimal keeps its scale", sqltype.TDecimal, dec(t, "12.30"), `"12.30"`},
		{"text", sqltype.TText, sqltype.NewText("hi"), `"hi"`},
		{"text with everything", sqltype.TText, sqltype.NewText("a\"b\\c\n\t\r\x00\x1fé🙂</script>"), `"a\"b\\c\n\t\r\u0000\u001fé🙂</script>"`},
		{"text that is not UTF-8", sqltype.TText, sqltype.NewText("a\xff\xc3b"), `"a` + "\ufffd\ufffd" + `b"`},
		{"the replacement character itself", sqltype.TText, sqltype.NewText("\ufffd"), `"` + "\ufffd" + `"`},
		{"json", sqltype.TJSON, sqltype.NewString(sqltype.JSON, `{"a": [1,2]}`), `{"a": [1,2]}`},
		{"json that is not UTF-8", sqltype.TJSON, sqltype.NewString(sqltype.JSON, "\"a\xff\""), "\"a\ufffd\""},
		{"uuid", sqltype.TUUID, sqltype.NewString(sqltype.UUID, uuid), `"0190a5b4-0000-7000-8000-00000000002a"`},
		{"bytes", sqltype.TBytes, sqltype.NewBytes([]byte{0, 1, 254}), `"AAH+"`},
		{"date", sqltype.TDate, sqltype.NewInt(sqltype.Date, 20382), `"2025-10-21"`},
		{"time", sqltype.TTime, sqltype.NewInt(sqltype.Time, 47109250000), `"13:05:09.25"`},
		{"timestamp", sqltype.TTimestamp, sqltype.NewInt(sqltype.Timestamp, 1761051909250000), `"2025-10-21T13:05:09.250000Z"`},
		{"infinite timestamp", sqltype.TTimestamp, sqltype.NewInt(sqltype.Timestamp, sqltype.TimestampInfinity), `"infinity"`},
		{"interval", sqltype.TInterval, sqltype.NewInterval(sqltype.IntervalValue{Months: 14, Days: 3, Micros: 5e6}), `"1 year 2 mons 3 days 00:00:05"`},
		{"array", sqltype.ArrayOf(sqltype.TText), sqltype.NewArray([]sqltype.Value{sqltype.NewText("a\"b"), sqltype.Null()}), `["a\"b",null]`},
		{"empty array", sqltype.ArrayOf(sqltype.TInteger), sqltype.NewArray(nil), `[]`},
		{"record", sqltype.TRecord, sqltype.NewRecord([]sqltype.Value{sqltype.NewBigInt(1), sqltype.NewBool(false)}), `[1,false]`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(AppendValue(nil, tc.v, Format{})); got != tc.want {
				t.Errorf("value: %s, want %s", got, tc.want)
			}
			e := NewEncoder([]Column{{"c", tc.typ}}, Format{Arrays: true})
			b := vector.NewBatch([]*vector.Vector{vector.NewConst(tc.typ, tc.v, 2)}, 2)
			got := string(e.AppendRow(nil, b, 1))
			if got != "["+tc.want+"]" {
				t.Errorf("vector: %s, want [%s]", got, tc.want)
			}
			if !json.Valid([]byte(got)) || !utf8.ValidString(got) {
				t.Errorf("%q is not JSON in UTF-8", got)
			}
		})
	}
}

func TestInt64Strings(t *testing.T) {
	f := Format{Int64Strings: true}
	if got := string(AppendValue(nil, sqltype.NewBigInt(1<<60), f)); got != `"1152921504606846976"` {
		t.Error(got)
	}
	if got := string(AppendValue(nil, sqltype.NewInt(sqltype.Integer, 7), f)); got != `7` {
		t.Error("INT fits a number:", got)
	}
	list := sqltype.NewArray([]sqltype.Value{sqltype.NewBigInt(1)})
	if got := string(AppendValue(nil, list, f)); got != `["1"]` {
		t.Error(got)
	}
}

func TestRowsKeepColumnOrderAndSelection(t *testing.T) {
	ints := vector.FromInts(sqltype.TBigInt, []int64{1, 2, 3}, nil)
	text := vector.NewBuilder(sqltype.TText, 3)
	for _, s := range []string{"x", "y", "z"} {
		text.AppendString(s)
	}
	b := vector.NewBatch([]*vector.Vector{ints, text.Finish()}, 3)
	b.Sel = []int32{0, 2}
	e := NewEncoder([]Column{{"z", sqltype.TBigInt}, {"a\"", sqltype.TText}}, Format{})
	if got := string(e.AppendRow(nil, b, 1)); got != `{"z":3,"a\"":"z"}` {
		t.Error(got)
	}
	if got := string(e.AppendHead(nil)); got != `"columns":["z","a\""],"schema":[{"name":"z","type":"BIGINT"},{"name":"a\"","type":"TEXT"}]` {
		t.Error(got)
	}
	if got := string(e.AppendValues(nil, sqltype.Row{sqltype.NewBigInt(9)})); got != `{"z":9,"a\"":null}` {
		t.Error(got)
	}
	none := NewEncoder(nil, Format{})
	if got := string(none.AppendRow(nil, vector.NewBatch(nil, 1), 0)); got != `{}` {
		t.Error(got)
	}
}

func TestUniqueNames(t *testing.T) {
	cases := map[string]string{
		"a b c":     "a b c",
		"a a a":     "a a_2 a_3",
		"a a_2 a":   "a a_2 a_3",
		"a a a_2":   "a a_3 a_2",
		"x x_2 x x": "x x_2 x_3 x_4",
		"":          "",
	}
	for in, want := range cases {
		var cols []Column
		for _, n := range strings.Fields(in) {
			cols = append(cols, Column{Name: n})
		}
		var got []string
		for _, c := range UniqueNames(cols) {
			got = append(got, c.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	many := make([]Column, 2000)
	for i := range many {
		many[i].Name = "c"
	}
	seen := map[string]bool{}
	for _, c := range UniqueNames(many) {
		if seen[c.Name] {
			t.Fatalf("%s twice", c.Name)
		}
		seen[c.Name] = true
	}
}

func TestParams(t *testing.T) {
	cases := []struct {
		raw  string
		kind sqltype.Kind
		text string
	}{
		{`null`, sqltype.Unknown, ""},
		{`true`, sqltype.Boolean, "t"},
		{`"a\u0062"`, sqltype.Text, "ab"},
		{`12`, sqltype.BigInt, "12"},
		{`9223372036854775807`, sqltype.BigInt, "9223372036854775807"},
		{`9223372036854775808`, sqltype.Decimal, "9223372036854775808"},
		{`0.10`, sqltype.Decimal, "0.10"},
		{`1e3`, sqltype.Double, "1000"},
		{` [1, 2] `, sqltype.JSON, "[1,2]"},
		{`{"a": 1}`, sqltype.JSON, `{"a":1}`},
	}
	for _, tc := range cases {
		got, err := Params([]json.RawMessage{json.RawMessage(tc.raw)})
		if err != nil {
			t.Errorf("%s: %v", tc.raw, err)
			continue
		}
		if got[0].Kind() != tc.kind || got[0].Text() != tc.text {
			t.Errorf("%s is %v %q, want %v %q", tc.raw, got[0].Kind(), got[0].Text(), tc.kind, tc.text)
		}
	}
	for _, bad := range []string{`nul`, `tru`, `"a`, `01`, `--1`, `1e999`, `NaN`, `[1`} {
		if got, err := Params([]json.RawMessage{json.RawMessage(bad)}); err == nil {
			t.Errorf("%s gave %v", bad, got[0].Kind())
		}
	}
	if _, err := Params(make([]json.RawMessage, MaxParams+1)); err == nil {
		t.Error("too many parameters were taken")
	}
}

func FuzzString(f *testing.F) {
	f.Add("a\xff\"\\\n\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendString(nil, s)
		var back string
		if err := json.Unmarshal(b, &back); err != nil || !utf8.Valid(b) {
			t.Fatalf("%q: %v", b, err)
		}
		if utf8.ValidString(s) && back != s {
			t.Fatalf("%q came back as %q", s, back)
		}
	})
}

func FuzzParam(f *testing.F) {
	for _, s := range []string{`1`, `"x"`, `{"a":[1]}`, `-0.0e-5`, `1e400`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := Params([]json.RawMessage{raw})
		if err == nil && !json.Valid(AppendValue(nil, got[0], Format{})) {
			t.Fatalf("%q became %q", raw, AppendValue(nil, got[0], Format{}))
		}
	})
}

// batch has 1,000 rows of the six columns of the messages data set's shape.
func batch(n int) (*Encoder, *vector.Batch) {
	cols := []Column{
		{"id", sqltype.TBigInt}, {"room", sqltype.TText}, {"body", sqltype.TText},
		{"score", sqltype.TDouble}, {"read", sqltype.TBoolean}, {"at", sqltype.TTimestamp},
	}
	bs := make([]*vector.Builder, len(cols))
	for i, c := range cols {
		bs[i] = vector.NewBuilder(c.Type, n)
	}
	for i := range n {
		bs[0].AppendInt(int64(i) + 1<<40)
		bs[1].AppendString("general")
		bs[2].AppendString("The quick brown fox jumps over the lazy dog, \"twice\".")
		bs[3].AppendFloat(float64(i) * 1.37)
		bs[4].AppendBool(i%2 == 0)
		bs[5].AppendInt(1761051909250000 + int64(i)*1000003)
	}
	vs := make([]*vector.Vector, len(cols))
	for i := range bs {
		vs[i] = bs[i].Finish()
	}
	return NewEncoder(cols, Format{}), vector.NewBatch(vs, n)
}

func BenchmarkBatch(b *testing.B) {
	const rows = 1000
	e, in := batch(rows)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = dst[:0]
		for i := range rows {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.AppendRow(dst, in, i)
		}
	}
	b.SetBytes(int64(len(dst)))
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func TestNoAllocationPerRow(t *testing.T) {
	e, in := batch(100)
	dst := make([]byte, 0, 1<<20)
	n := testing.AllocsPerRun(10, func() {
		out := dst[:0]
		for i := range 100 {
			out = e.AppendRow(out, in, i)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations for 100 rows", n)
	}
}
