package keyenc_test

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/keyenc"
)

var orders = []keyenc.Order{{}, {Desc: true}, {NullsFirst: true}, {Desc: true, NullsFirst: true}}

var types = []sqltype.Type{
	sqltype.TBoolean, sqltype.TSmallInt, sqltype.TInteger, sqltype.TBigInt, sqltype.TFloat, sqltype.TDouble,
	sqltype.TDecimal, sqltype.TText, sqltype.TJSON, sqltype.TUUID, sqltype.TBytes, sqltype.TDate, sqltype.TTime,
	sqltype.TTimestamp, sqltype.TInterval, sqltype.ArrayOf(sqltype.TText), sqltype.ArrayOf(sqltype.TDecimal),
}

func dec(s string) sqltype.Value {
	coefficient, fraction, _ := strings.Cut(s, ".")
	b, ok := new(big.Int).SetString(coefficient+fraction, 10)
	if !ok {
		panic(s)
	}
	d, err := decimal.FromBig(b, int32(len(fraction)))
	if err != nil {
		panic(err)
	}
	return sqltype.NewDecimal(d)
}

// edges are the values of a kind where encodings go wrong, without an order.
func edges(t sqltype.Type) []sqltype.Value {
	var vs []sqltype.Value
	switch t.Physical() {
	case sqltype.PhysBool:
		vs = []sqltype.Value{sqltype.NewBool(false), sqltype.NewBool(true)}
	case sqltype.PhysInt:
		for _, n := range []int64{0, 1, -1, 255, 256, -256, math.MaxInt16, math.MinInt16, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
			vs = append(vs, sqltype.NewInt(t.Kind, n))
		}
	case sqltype.PhysFloat:
		for _, f := range []float64{
			0, math.Copysign(0, -1), 1, -1, 0.1, -0.1, 1e30, -1e30, math.Inf(1), math.Inf(-1), math.NaN(), -math.NaN(),
			math.Float64frombits(0xfff8000000000001), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64,
		} {
			vs = append(vs, sqltype.NewFloat(t.Kind, f))
		}
	case sqltype.PhysDecimal:
		nines := strings.Repeat("9", 38)
		for _, s := range []string{
			"0", "0.00", "1", "1.0", "1.00", "1.01", "10", "100", "1000000000000000000", "10000000000000000000", "9.99", "0.1", "0.01", "0.010",
			"12", "12.3", "12.34", "123", "1230", "123456789012345678901234567890", nines, "0." + nines, "0." + strings.Repeat("0", 37) + "1",
			"18446744073709551615", "18446744073709551616", "99", "99.9", "100.1",
		} {
			vs = append(vs, dec(s), dec("-"+s))
		}
	case sqltype.PhysString:
		if t.Kind == sqltype.UUID {
			for _, b := range []byte{0, 1, 0x7f, 0xff} {
				vs = append(vs, sqltype.NewUUID([16]byte{b, 15: b}), sqltype.NewUUID([16]byte{15: b}))
			}
			break
		}
		for _, s := range []string{
			"", "a", "aa", "ab", "b", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "\x02", "\xff", "\xff\xff", "\xff\x00", "\xfe", "a\x00", "a\x00b",
			"a\x00\x00b", "a\x01", "a\xff", "é", strings.Repeat("x", 1000), strings.Repeat("\x00", 100),
		} {
			vs = append(vs, sqltype.NewString(t.Kind, s))
		}
	case sqltype.PhysInterval:
		for _, iv := range []sqltype.IntervalValue{
			{}, {Months: 1}, {Days: 30}, {Days: 29, Micros: 86_400_000_000}, {Months: -1}, {Days: -30}, {Micros: 1}, {Micros: -1},
			{Months: 1, Days: -30}, {Months: 1, Micros: -1}, {Micros: math.MaxInt64}, {Micros: math.MinInt64},
			{Months: math.MaxInt32}, {Months: math.MinInt32}, {Months: math.MaxInt32 - 1e6, Days: math.MaxInt32, Micros: 5},
			{Months: math.MinInt32, Days: math.MinInt32, Micros: math.MinInt64}, {Months: math.MaxInt32, Days: math.MaxInt32, Micros: math.MaxInt64},
		} {
			vs = append(vs, sqltype.NewInterval(iv))
		}
	case sqltype.PhysList:
		vs = append(vs, sqltype.NewArray(nil))
		es := edges(t.ElemType())
		for i, e := range es {
			vs = append(vs, sqltype.NewArray([]sqltype.Value{e}), sqltype.NewArray([]sqltype.Value{e, es[(i*7)%len(es)]}),
				sqltype.NewArray([]sqltype.Value{sqltype.NullOf(t.Elem), e}))
		}
	}
	return append(vs, sqltype.NullOf(t.Kind))
}

func random(rnd *rand.Rand, t sqltype.Type) sqltype.Value {
	if rnd.IntN(8) == 0 {
		es := edges(t)
		return es[rnd.IntN(len(es))]
	}
	switch t.Physical() {
	case sqltype.PhysBool:
		return sqltype.NewBool(rnd.IntN(2) == 0)
	case sqltype.PhysInt:
		return sqltype.NewInt(t.Kind, int64(rnd.Uint64())>>rnd.IntN(64))
	case sqltype.PhysFloat:
		if rnd.IntN(2) == 0 {
			return sqltype.NewFloat(t.Kind, rnd.NormFloat64())
		}
		return sqltype.NewFloat(t.Kind, math.Float64frombits(rnd.Uint64()))
	case sqltype.PhysDecimal:
		b := new(big.Int).SetUint64(rnd.Uint64())
		b.Lsh(b, 60).Or(b, new(big.Int).SetUint64(rnd.Uint64())).Rsh(b, uint(rnd.IntN(124)))
		if rnd.IntN(2) == 0 {
			b.Neg(b)
		}
		d, err := decimal.FromBig(b, int32(rnd.IntN(39)))
		if err != nil {
			panic(err)
		}
		return sqltype.NewDecimal(d)
	case sqltype.PhysInterval:
		return sqltype.NewInterval(sqltype.IntervalValue{
			Months: int32(rnd.IntN(5) - 2), Days: int32(rnd.IntN(121) - 60), Micros: int64(rnd.IntN(7)-3) * 43_200_000_000,
		})
	case sqltype.PhysString:
		if t.Kind == sqltype.UUID {
			return sqltype.NewUUID([16]byte{byte(rnd.Uint32()), 1, byte(rnd.Uint32())})
		}
		b := make([]byte, rnd.IntN(6))
		for i := range b {
			b[i] = []byte{0, 1, 2, 'a', 'b', 0xfe, 0xff}[rnd.IntN(7)]
		}
		return sqltype.NewString(t.Kind, string(b))
	case sqltype.PhysList:
		list := make([]sqltype.Value, rnd.IntN(4))
		for i := range list {
			list[i] = random(rnd, t.ElemType())
		}
		return sqltype.NewArray(list)
	}
	return sqltype.Null()
}

// compare is what the order of two encodings must be.
func compare(a, b sqltype.Value, o keyenc.Order) int {
	switch {
	case a.IsNull() && b.IsNull():
		return 0
	case a.IsNull() || b.IsNull():
		if a.IsNull() == o.NullsFirst {
			return -1
		}
		return 1
	case o.Desc:
		return sqltype.Compare(b, a)
	}
	return sqltype.Compare(a, b)
}

func checkOrder(t *testing.T, a, b sqltype.Value, o keyenc.Order) {
	t.Helper()
	ka, kb := keyenc.Append(nil, a, o), keyenc.Append(nil, b, o)
	if got, want := bytes.Compare(ka, kb), compare(a, b, o); got != want {
		t.Errorf("%s %q and %q under %+v: the keys %x and %x compare as %d, want %d", a.Kind(), a.Text(), b.Text(), o, ka, kb, got, want)
	}
	// The same behind and before other columns.
	tail := sqltype.NewBigInt(-1)
	ka, kb = keyenc.Append(ka, tail, o), keyenc.Append(kb, tail, o)
	if got, want := bytes.Compare(ka, kb), compare(a, b, o); got != want {
		t.Errorf("%s %q and %q with a column behind them under %+v: got %d, want %d", a.Kind(), a.Text(), b.Text(), o, got, want)
	}
}

func checkRound(t *testing.T, v sqltype.Value, typ sqltype.Type, o keyenc.Order) {
	t.Helper()
	k := keyenc.Append([]byte("dst"), v, o)
	if !bytes.HasPrefix(k, []byte("dst")) {
		t.Fatal("Append changed what was there")
	}
	k = append(k[3:], "rest"...)
	before := bytes.Clone(k)
	got, rest, err := keyenc.Decode(k, typ, o)
	if err != nil || string(rest) != "rest" {
		t.Errorf("%s %q under %+v: decode %x: %v, rest %q", typ, v.Text(), o, k, err, rest)
		return
	}
	if !sqltype.Equal(got, v) || got.Kind() != typ.Kind {
		t.Errorf("%s %q under %+v came back as %s %q", typ, v.Text(), o, got.Kind(), got.Text())
	}
	if !bytes.Equal(k, before) {
		t.Error("Decode changed the key")
	}
}

func TestEdges(t *testing.T) {
	for _, typ := range types {
		t.Run(typ.String(), func(t *testing.T) {
			vs := edges(typ)
			for _, o := range orders {
				for _, a := range vs {
					checkRound(t, a, typ, o)
					for _, b := range vs {
						checkOrder(t, a, b, o)
					}
				}
			}
		})
	}
}

func TestRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, typ := range types {
		for range 3000 {
			o := orders[rnd.IntN(4)]
			a, b := random(rnd, typ), random(rnd, typ)
			checkRound(t, a, typ, o)
			checkOrder(t, a, b, o)
		}
	}
}

// TestComposite compares keys of several columns of any types and orders.
func TestComposite(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		n := 1 + rnd.IntN(4)
		var ka, kb []byte
		want := 0
		var say string
		for range n {
			typ, o := types[rnd.IntN(len(types))], orders[rnd.IntN(4)]
			a := random(rnd, typ)
			b := a
			if rnd.IntN(2) == 0 {
				b = random(rnd, typ)
			}
			ka, kb = keyenc.Append(ka, a, o), keyenc.Append(kb, b, o)
			if want == 0 {
				want = compare(a, b, o)
			}
			say += fmt.Sprintf(" (%q %q %+v)", a.Text(), b.Text(), o)
		}
		if got := bytes.Compare(ka, kb); got != want {
			t.Errorf("%s: got %d, want %d", say, got, want)
		}
	}
}

func TestDecodeKey(t *testing.T) {
	row := []sqltype.Value{sqltype.NewText("room\x00"), sqltype.NewBigInt(-7), sqltype.Null()}
	key := keyenc.AppendKey(nil, row...)
	got, err := keyenc.DecodeKey(nil, key, sqltype.TText, sqltype.TBigInt, sqltype.TUUID)
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for i := range row {
		if !sqltype.Equal(got[i], row[i]) {
			t.Errorf("column %d: %q", i, got[i].Text())
		}
	}
	clear(key)
	if got[0].Str() != "room\x00" {
		t.Error("a decoded text shares the key's memory")
	}
	key = keyenc.AppendKey(nil, row...)
	if _, err := keyenc.DecodeKey(nil, key, sqltype.TText, sqltype.TBigInt); err == nil {
		t.Error("bytes after the end were taken")
	}
	if _, err := keyenc.DecodeKey(nil, key, sqltype.TText, sqltype.TBigInt, sqltype.TUUID, sqltype.TText); err == nil {
		t.Error("a missing column was taken")
	}
}

// TestIntegersOfAllWidths checks that an index lookup needs no cast between
// the integer kinds.
func TestIntegersOfAllWidths(t *testing.T) {
	want := keyenc.Append(nil, sqltype.NewBigInt(-5), keyenc.Desc)
	for _, k := range []sqltype.Kind{sqltype.SmallInt, sqltype.Integer} {
		if got := keyenc.Append(nil, sqltype.NewInt(k, -5), keyenc.Desc); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", k, got, want)
		}
	}
}

// TestEncodings fixes the bytes that are on disk.
func TestEncodings(t *testing.T) {
	for _, c := range []struct {
		v    sqltype.Value
		o    keyenc.Order
		want string
	}{
		{sqltype.Null(), keyenc.Asc, "02"},
		{sqltype.Null(), keyenc.Desc, "00"},
		{sqltype.NewBool(true), keyenc.Asc, "0101"},
		{sqltype.NewBool(true), keyenc.Desc, "0100"},
		{sqltype.NewBigInt(1), keyenc.Asc, "018000000000000001"},
		{sqltype.NewBigInt(1), keyenc.Desc, "017ffffffffffffffe"},
		{sqltype.NewDouble(1), keyenc.Asc, "01bff0000000000000"},
		{sqltype.NewDouble(-1), keyenc.Asc, "01400fffffffffffff"},
		{sqltype.NewText("a\x00b"), keyenc.Asc, "016100ff620001"},
		{sqltype.NewText("a"), keyenc.Desc, "019efffe"},
		{dec("0"), keyenc.Asc, "0102"},
		{dec("12.345"), keyenc.Asc, "0103820d233300"},
		{dec("-12.345"), keyenc.Asc, "01017df2dcccff"},
		{sqltype.NewUUID([16]byte{1}), keyenc.Asc, "0101000000000000000000000000000000"},
		{sqltype.NewInterval(sqltype.IntervalValue{Months: 1, Micros: 2}), keyenc.Asc, "01800000000000001e0000000000000002"},
		{sqltype.NewArray([]sqltype.Value{sqltype.NewBool(true), sqltype.Null()}), keyenc.Asc, "0101010200"},
	} {
		if got := fmt.Sprintf("%x", keyenc.Append(nil, c.v, c.o)); got != c.want {
			t.Errorf("%s %q %+v: %s, want %s", c.v.Kind(), c.v.Text(), c.o, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for i, typ := range types {
		for _, v := range edges(typ) {
			f.Add(keyenc.Append(nil, v, orders[i%4]), uint8(i), uint8(i%4))
		}
	}
	f.Fuzz(func(t *testing.T, key []byte, ti, oi uint8) {
		typ, o := types[int(ti)%len(types)], orders[oi%4]
		v, rest, err := keyenc.Decode(key, typ, o)
		if err != nil {
			return
		}
		if len(rest) > len(key) {
			t.Fatal("the rest is longer than the key")
		}
		again, _, err := keyenc.Decode(keyenc.Append(nil, v, o), typ, o)
		if err != nil || !sqltype.Equal(again, v) {
			t.Errorf("%x gave %q, then %q, %v", key, v.Text(), again.Text(), err)
		}
	})
}

func FuzzTextOrder(f *testing.F) {
	f.Add("a", "a\x00", true)
	f.Add("", "\xff", false)
	f.Fuzz(func(t *testing.T, a, b string, desc bool) {
		o := keyenc.Order{Desc: desc}
		checkOrder(t, sqltype.NewText(a), sqltype.NewText(b), o)
		checkRound(t, sqltype.NewText(a), sqltype.TText, o)
	})
}

func TestAppendAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 4096)
	for _, typ := range types[:15] {
		for _, v := range edges(typ) {
			if n := testing.AllocsPerRun(5, func() { keyenc.Append(dst, v, keyenc.Desc) }); n != 0 {
				t.Errorf("%s %q: %v allocations", typ, v.Text(), n)
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name string
		row  []sqltype.Value
	}{
		{"bigint", []sqltype.Value{sqltype.NewBigInt(123456789)}},
		{"text", []sqltype.Value{sqltype.NewText("a room with a view")}},
		{"decimal", []sqltype.Value{dec("12345.67")}},
		{"decimal38", []sqltype.Value{dec("12345678901234567890123456789012345.678")}},
		{"text,timestamp,uuid", []sqltype.Value{sqltype.NewText("general"), sqltype.NewInt(sqltype.Timestamp, 1e15), sqltype.NewUUID([16]byte{1})}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = keyenc.AppendKey(dst[:0], c.row...)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	key := keyenc.AppendKey(nil, sqltype.NewText("general"), sqltype.NewInt(sqltype.Timestamp, 1e15), sqltype.NewUUID([16]byte{1}))
	b.ReportAllocs()
	var dst []sqltype.Value
	for b.Loop() {
		var err error
		if dst, err = keyenc.DecodeKey(dst[:0], key, sqltype.TText, sqltype.TTimestamp, sqltype.TUUID); err != nil {
			b.Fatal(err)
		}
	}
}
