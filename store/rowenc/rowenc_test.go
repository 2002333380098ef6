package rowenc_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/rowenc"
)

var types = []sqltype.Type{
	sqltype.TBoolean, sqltype.TSmallInt, sqltype.TInteger, sqltype.TBigInt, sqltype.TFloat, sqltype.TDouble,
	sqltype.TDecimal, sqltype.TText, sqltype.TJSON, sqltype.TUUID, sqltype.TBytes, sqltype.TDate, sqltype.TTime,
	sqltype.TTimestamp, sqltype.TInterval, sqltype.ArrayOf(sqltype.TText), sqltype.ArrayOf(sqltype.TDecimal),
	sqltype.ArrayOf(sqltype.TBoolean), sqltype.ArrayOf(sqltype.TInterval), sqltype.TRecord, sqltype.TUnknown,
}

func random(rnd *rand.Rand, t sqltype.Type, depth int) sqltype.Value {
	if rnd.IntN(5) == 0 {
		return sqltype.NullOf(t.Kind)
	}
	switch t.Physical() {
	case sqltype.PhysBool:
		return sqltype.NewBool(rnd.IntN(2) == 0)
	case sqltype.PhysInt:
		n := int64(rnd.Uint64()) >> rnd.IntN(64)
		switch t.Kind {
		case sqltype.SmallInt:
			n = int64(int16(n))
		case sqltype.Integer, sqltype.Date:
			n = int64(int32(n))
		}
		return sqltype.NewInt(t.Kind, n)
	case sqltype.PhysFloat:
		fs := []float64{0, 1.5, math.Copysign(0, -1), math.Inf(-1), math.NaN(), rnd.NormFloat64()}
		return sqltype.NewFloat(t.Kind, fs[rnd.IntN(len(fs))])
	case sqltype.PhysDecimal:
		return sqltype.NewDecimal(randomDecimal(rnd))
	case sqltype.PhysInterval:
		return sqltype.NewInterval(sqltype.IntervalValue{Months: int32(rnd.Uint32()), Days: int32(rnd.Uint32()), Micros: int64(rnd.Uint64())})
	case sqltype.PhysString:
		if t.Kind == sqltype.UUID {
			return sqltype.NewUUID([16]byte{byte(rnd.Uint32()), 15: byte(rnd.Uint32())})
		}
		return sqltype.NewString(t.Kind, strings.Repeat(string([]byte{0, 'x', 0xff}[rnd.IntN(3)]), rnd.IntN(20)))
	case sqltype.PhysList:
		list := make([]sqltype.Value, rnd.IntN(5))
		for i := range list {
			if t.Kind == sqltype.Record {
				e := types[rnd.IntN(len(types))]
				if depth > 3 {
					e = sqltype.TBigInt
				}
				list[i] = random(rnd, e, depth+1)
			} else {
				list[i] = random(rnd, t.ElemType(), depth+1)
			}
		}
		if t.Kind == sqltype.Record {
			return sqltype.NewRecord(list)
		}
		return sqltype.NewArray(list)
	}
	return sqltype.Null()
}

// randomDecimal has coefficients around the borders of bytes.
func randomDecimal(rnd *rand.Rand) decimal.Decimal {
	shift := rnd.IntN(127)
	hi, lo := int64(rnd.Uint64()>>1), rnd.Uint64()
	for range shift {
		lo = lo>>1 | uint64(hi)<<63
		hi >>= 1
	}
	d := decimal.FromParts(hi, lo, int32(rnd.IntN(39)))
	if rnd.IntN(2) == 0 {
		d = d.Neg()
	}
	return d
}

func layout(t testing.TB, version uint32, columns ...rowenc.Column) *rowenc.Layout {
	t.Helper()
	l, err := rowenc.NewLayout(version, columns)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wantAll(l *rowenc.Layout) []rowenc.Want {
	var w []rowenc.Want
	for _, c := range l.Columns() {
		w = append(w, rowenc.Want{Column: c})
	}
	return w
}

// same is Equal and the same kind and text, so that 1.0 is not 1.00.
func same(a, b sqltype.Value) bool {
	return a.IsNull() == b.IsNull() && (a.IsNull() || a.Kind() == b.Kind()) && sqltype.Equal(a, b) && a.Text() == b.Text()
}

// decodeBoth decodes a row both ways and checks that they agree.
func decodeBoth(t *testing.T, d *rowenc.Decoder, row []byte) []sqltype.Value {
	t.Helper()
	vals, err := d.Values(nil, row)
	if err != nil {
		t.Fatalf("values of %x: %v", row, err)
	}
	bs := d.NewBuilders(1)
	if err := d.DecodeInto(row, bs...); err != nil {
		t.Fatalf("decode %x: %v", row, err)
	}
	for i, b := range bs {
		v := b.Finish()
		if v.Len() != 1 || !same(v.Value(0), vals[i]) {
			t.Errorf("column %d: the builder holds %q, the value is %q", i, v.Value(0).Text(), vals[i].Text())
		}
	}
	return vals
}

func TestRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 3000 {
		n := rnd.IntN(20)
		cols := make([]rowenc.Column, n)
		ids := rnd.Perm(n + 5)
		row := make([]sqltype.Value, n)
		for i := range cols {
			cols[i] = rowenc.Column{ID: uint32(ids[i]), Type: types[rnd.IntN(len(types))]}
			row[i] = random(rnd, cols[i].Type, 0)
		}
		l := layout(t, 7, cols...)
		h := rowenc.Header{Seq: change.Seq(rnd.Uint64()), UpdatedAt: int64(rnd.Uint64()), Deleted: rnd.IntN(2) == 0}
		b, err := l.Append([]byte("dst"), h, row)
		if err != nil {
			t.Fatal(err)
		}
		if string(b[:3]) != "dst" {
			t.Fatal("Append changed what was there")
		}
		b = b[3:]
		if got := rowenc.Row(b).Header(); got != h || rowenc.Row(b).SchemaVersion() != 7 || rowenc.Row(b).Check() != nil {
			t.Errorf("header %+v, version %d; want %+v", got, rowenc.Row(b).SchemaVersion(), h)
		}
		// All columns, then some in another order with the header's among them.
		got := decodeBoth(t, rowenc.NewDecoder(rowenc.OneLayout(l), wantAll(l)), b)
		for i := range row {
			if !same(got[i], row[i]) {
				t.Errorf("column of type %s: %q came back as %q", cols[i].Type, row[i].Text(), got[i].Text())
			}
		}
		want := wantAll(l)
		rnd.Shuffle(n, func(i, j int) { want[i], want[j] = want[j], want[i] })
		want = append(want[:rnd.IntN(n+1)],
			rowenc.Want{Column: rowenc.Column{ID: rowenc.SeqColumn, Type: sqltype.TBigInt}},
			rowenc.Want{Column: rowenc.Column{ID: rowenc.UpdatedColumn, Type: sqltype.TTimestamp}},
			rowenc.Want{Column: rowenc.Column{ID: rowenc.DeletedColumn, Type: sqltype.TBoolean}})
		got = decodeBoth(t, rowenc.NewDecoder(rowenc.OneLayout(l), want), b)
		for i, w := range want[:len(want)-3] {
			at := slices.IndexFunc(cols, func(c rowenc.Column) bool { return c.ID == w.ID })
			if !same(got[i], row[at]) {
				t.Errorf("column %d: %q, want %q", w.ID, got[i].Text(), row[at].Text())
			}
		}
		sys := got[len(got)-3:]
		if sys[0].Int() != int64(h.Seq) || sys[1].Int() != h.UpdatedAt || sys[1].Kind() != sqltype.Timestamp || sys[2].Bool() != h.Deleted {
			t.Errorf("system columns %v, want %+v", sys, h)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// TestBytes fixes the bytes that are on disk.
func TestBytes(t *testing.T) {
	l := layout(t, 3,
		rowenc.Column{ID: 4, Type: sqltype.TText}, rowenc.Column{ID: 1, Type: sqltype.TInteger},
		rowenc.Column{ID: 3, Type: sqltype.TDecimal}, rowenc.Column{ID: 2, Type: sqltype.TBoolean})
	got, err := l.Append(nil, rowenc.Header{Seq: 0x1122, UpdatedAt: 5, Deleted: true}, []sqltype.Value{
		sqltype.NewText("hi"), sqltype.NewInt(sqltype.Integer, -2), sqltype.NewDecimal(decimal.New(-1234, 2)), sqltype.NullOf(sqltype.Boolean)})
	if err != nil {
		t.Fatal(err)
	}
	want := "01" + "01" + "0400" + "03000000" + "2211000000000000" + "0500000000000000" + // header
		"02" + // nulls: the second id
		"feffffff" + "00" + // INT, BOOLEAN
		"0300" + "0500" + // ends
		"022efb" + "6869"
	if hex.EncodeToString(got) != want {
		t.Errorf("got  %x\nwant %s", got, want)
	}
}

func TestSchemaVersions(t *testing.T) {
	col := func(id uint32, t sqltype.Type) rowenc.Column { return rowenc.Column{ID: id, Type: t} }
	v1 := layout(t, 1, col(1, sqltype.TBigInt), col(2, sqltype.TText), col(3, sqltype.TInteger))
	v2 := layout(t, 2, col(1, sqltype.TBigInt), col(3, sqltype.TInteger), col(4, sqltype.TText), col(5, sqltype.TBoolean))
	calls := 0
	layouts := func(v uint32) (*rowenc.Layout, error) {
		calls++
		switch v {
		case 1:
			return v1, nil
		case 2:
			return v2, nil
		}
		return nil, dberr.New(dberr.Internal, "no such version")
	}
	old, err := v1.Append(nil, rowenc.Header{Seq: 1}, []sqltype.Value{sqltype.NewBigInt(7), sqltype.NewText("dropped"), sqltype.NewInt(sqltype.Integer, 3)})
	if err != nil {
		t.Fatal(err)
	}
	now, err := v2.Append(nil, rowenc.Header{Seq: 2}, []sqltype.Value{sqltype.NewBigInt(8), sqltype.NullOf(sqltype.Integer), sqltype.NewText("x"), sqltype.NewBool(false)})
	if err != nil {
		t.Fatal(err)
	}
	d := rowenc.NewDecoder(layouts, []rowenc.Want{
		{Column: col(4, sqltype.TText), Default: sqltype.NewText("default")},
		{Column: col(5, sqltype.TBoolean)},
		{Column: col(3, sqltype.TBigInt)}, // the column was widened since
		{Column: col(1, sqltype.TBigInt)},
	})
	text := func(row []byte) string {
		var s []string
		for _, v := range decodeBoth(t, d, row) {
			if v.IsNull() {
				s = append(s, "NULL")
			} else {
				s = append(s, v.Kind().String()+" "+v.Text())
			}
		}
		return strings.Join(s, ", ")
	}
	for range 2 {
		if got, want := text(old), "TEXT default, NULL, BIGINT 3, BIGINT 7"; got != want {
			t.Errorf("old row: %s, want %s", got, want)
		}
		if got, want := text(now), "TEXT x, BOOLEAN f, NULL, BIGINT 8"; got != want && got != strings.Replace(want, "f,", "false,", 1) {
			t.Errorf("new row: %s, want %s", got, want)
		}
	}
	if calls != 2 {
		t.Errorf("the layouts were asked %d times, want once a version", calls)
	}

	for name, w := range map[string]rowenc.Want{
		"another representation":  {Column: col(1, sqltype.TText)},
		"default of another type": {Column: col(9, sqltype.TText), Default: sqltype.NewBigInt(1)},
		"_seq as text":            {Column: col(rowenc.SeqColumn, sqltype.TText)},
	} {
		if _, err := rowenc.NewDecoder(layouts, []rowenc.Want{w}).Values(nil, old); dberr.CodeOf(err) != dberr.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
	later := bytes.Clone(old)
	later[4] = 3
	if _, err := d.Values(nil, later); err == nil {
		t.Error("a row of an unknown schema version was read")
	}
	if _, err := rowenc.NewDecoder(rowenc.OneLayout(v2), wantAll(v2)).Values(nil, old); err == nil {
		t.Error("OneLayout took another version")
	}
	if err := d.DecodeInto(old, d.NewBuilders(1)[:2]...); err == nil {
		t.Error("too few builders were taken")
	}
}

func TestRestamp(t *testing.T) {
	l := layout(t, 1, rowenc.Column{ID: 1, Type: sqltype.TText})
	row, err := l.Append(nil, rowenc.Header{Seq: 5, UpdatedAt: 6}, []sqltype.Value{sqltype.NewText(strings.Repeat("x", 70_000))})
	if err != nil {
		t.Fatal(err)
	}
	h := rowenc.Header{Seq: 9, UpdatedAt: 10, Deleted: true}
	for _, want := range []rowenc.Header{h, {Seq: 11}} {
		got, err := rowenc.Restamp([]byte("dst"), row, want)
		if err != nil || string(got[:3]) != "dst" {
			t.Fatal(err)
		}
		row = got[3:]
		if rowenc.Row(row).Header() != want {
			t.Errorf("header %+v, want %+v", rowenc.Row(row).Header(), want)
		}
		if v := decodeBoth(t, rowenc.NewDecoder(rowenc.OneLayout(l), wantAll(l)), row); len(v[0].Str()) != 70_000 {
			t.Errorf("the text has %d bytes", len(v[0].Str()))
		}
	}
	if got, err := rowenc.Restamp(row[:0], row, h); err != nil || &got[0] != &row[0] || len(got) != len(row) || rowenc.Row(row).Header() != h {
		t.Errorf("restamp in place: %v, header %+v", err, rowenc.Row(row).Header())
	}
	if _, err := rowenc.Restamp(nil, row[:10], h); dberr.CodeOf(err) != dberr.Internal {
		t.Errorf("restamp of half a header: %v", err)
	}
}

// TestTextSizes goes over the border between two and four bytes of ends.
func TestTextSizes(t *testing.T) {
	l := layout(t, 1, rowenc.Column{ID: 1, Type: sqltype.TText}, rowenc.Column{ID: 2, Type: sqltype.TText}, rowenc.Column{ID: 3, Type: sqltype.TBytes})
	d := rowenc.NewDecoder(rowenc.OneLayout(l), wantAll(l))
	for _, n := range []int{0, 1, 65_533, 65_534, 65_535, 65_536, 1 << 20} {
		row := []sqltype.Value{sqltype.NewText(strings.Repeat("a", n)), sqltype.NullOf(sqltype.Text), sqltype.NewBytes([]byte("b"))}
		b, err := l.Append(nil, rowenc.Header{}, row)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range decodeBoth(t, d, b) {
			if !same(v, row[i]) {
				t.Errorf("%d bytes: column %d came back with %d bytes", n, i, len(v.Str()))
			}
		}
	}
	_, err := l.Append(nil, rowenc.Header{}, []sqltype.Value{sqltype.NewText(strings.Repeat("a", rowenc.MaxRowSize)), sqltype.Null(), sqltype.Null()})
	if dberr.CodeOf(err) != dberr.TooLarge {
		t.Errorf("too large a row: %v", err)
	}
}

func TestAppendErrors(t *testing.T) {
	deep := sqltype.NewArray(nil)
	for range 20 {
		deep = sqltype.NewRecord([]sqltype.Value{deep})
	}
	for _, c := range []struct {
		t    sqltype.Type
		v    sqltype.Value
		code dberr.Code
	}{
		{sqltype.TSmallInt, sqltype.NewInt(sqltype.SmallInt, 1<<15), dberr.ValueOutOfRange},
		{sqltype.TInteger, sqltype.NewInt(sqltype.Integer, math.MinInt32-1), dberr.ValueOutOfRange},
		{sqltype.TDate, sqltype.NewInt(sqltype.Date, 1<<40), dberr.ValueOutOfRange},
		{sqltype.TText, sqltype.NewBigInt(1), dberr.Internal},
		{sqltype.TBigInt, sqltype.NewText("1"), dberr.Internal},
		{sqltype.TUUID, sqltype.NewString(sqltype.UUID, "short"), dberr.ValueOutOfRange},
		{sqltype.TDecimal, sqltype.NewDecimal(decimal.New(1, -1)), dberr.ValueOutOfRange},
		{sqltype.TDecimal, sqltype.NewDecimal(decimal.New(1, 39)), dberr.ValueOutOfRange},
		{sqltype.TRecord, deep, dberr.ValueOutOfRange},
		{sqltype.ArrayOf(sqltype.TUUID), sqltype.NewArray([]sqltype.Value{sqltype.NewString(sqltype.UUID, "x")}), dberr.Internal},
	} {
		l := layout(t, 1, rowenc.Column{ID: 1, Type: c.t})
		if _, err := l.Append(nil, rowenc.Header{}, []sqltype.Value{c.v}); dberr.CodeOf(err) != c.code {
			t.Errorf("%s into %s: %v, want %s", c.v.Kind(), c.t, err, c.code)
		}
	}
	l := layout(t, 1)
	if _, err := l.Append(nil, rowenc.Header{}, []sqltype.Value{sqltype.Null()}); err == nil {
		t.Error("a value without a column was taken")
	}
	for name, cols := range map[string][]rowenc.Column{
		"id twice":    {{ID: 1, Type: sqltype.TText}, {ID: 1, Type: sqltype.TText}},
		"reserved id": {{ID: rowenc.DeletedColumn, Type: sqltype.TBoolean}},
		"too many":    make([]rowenc.Column, rowenc.MaxColumns+1),
	} {
		if _, err := rowenc.NewLayout(1, cols); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestDamaged changes every byte of a row, and cuts it everywhere: an error or
// another row, never a panic.
func TestDamaged(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	var cols []rowenc.Column
	var row []sqltype.Value
	for i, typ := range types {
		cols = append(cols, rowenc.Column{ID: uint32(i), Type: typ})
		v := random(rnd, typ, 0)
		for v.IsNull() && typ.Kind != sqltype.Unknown {
			v = random(rnd, typ, 0)
		}
		row = append(row, v)
	}
	l := layout(t, 1, cols...)
	b, err := l.Append(nil, rowenc.Header{}, row)
	if err != nil {
		t.Fatal(err)
	}
	d := rowenc.NewDecoder(rowenc.OneLayout(l), wantAll(l))
	try := func(what string, b []byte, mustFail bool) {
		_, err := d.Values(nil, b)
		err2 := d.DecodeInto(b, d.NewBuilders(1)...)
		if (err == nil) != (err2 == nil) {
			t.Errorf("%s: Values says %v, DecodeInto %v", what, err, err2)
		}
		if err == nil && mustFail || err != nil && dberr.CodeOf(err) != dberr.Internal {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range b {
		try(fmt.Sprintf("cut to %d bytes", i), b[:i:i], true)
		for _, x := range []byte{0x01, 0x80, 0xff} {
			c := bytes.Clone(b)
			c[i] ^= x
			deleted := i == 1 && x == 0x01 // the one change up there that makes another row
			try(fmt.Sprintf("byte %d changed", i), c, i < 4 && !deleted)
		}
	}
	if r := rowenc.Row(b[:5]); r.Seq() != 0 || r.UpdatedAt() != 0 || r.Deleted() || r.SchemaVersion() != 0 || r.Check() == nil {
		t.Error("half a header gives fields")
	}
}

func FuzzDecode(f *testing.F) {
	rnd := rand.New(rand.NewPCG(2, 2))
	var cols []rowenc.Column
	for i, typ := range types {
		cols = append(cols, rowenc.Column{ID: uint32(i), Type: typ})
	}
	l := layout(f, 1, cols...)
	for range 20 {
		row := make([]sqltype.Value, len(cols))
		for i := range row {
			row[i] = random(rnd, types[i], 0)
		}
		b, err := l.Append(nil, rowenc.Header{Seq: 1}, row)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	d := rowenc.NewDecoder(rowenc.OneLayout(l), wantAll(l))
	f.Fuzz(func(t *testing.T, b []byte) {
		vals, err := d.Values(nil, b)
		err2 := d.DecodeInto(b, d.NewBuilders(1)...)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("Values says %v, DecodeInto %v", err, err2)
		}
		if err != nil {
			return
		}
		// What was read can be written, and reads the same.
		again, err := l.Append(nil, rowenc.Row(b).Header(), vals)
		if err != nil {
			return // elements of other kinds than the column's, for instance
		}
		back, err := d.Values(nil, again)
		if err != nil {
			t.Fatal(err)
		}
		for i := range vals {
			if !same(vals[i], back[i]) {
				t.Errorf("column %d: %q came back as %q", i, vals[i].Text(), back[i].Text())
			}
		}
	})
}
