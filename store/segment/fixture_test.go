package segment_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
)

// everyType has a column of each type that a table may have, and some more.
var everyType = []sqltype.Type{
	sqltype.TBigInt, sqltype.TBoolean, sqltype.TSmallInt, sqltype.TInteger, sqltype.TFloat, sqltype.TDouble,
	sqltype.TDecimal, {Kind: sqltype.Decimal, Precision: 9, Scale: 2}, {Kind: sqltype.Decimal, Precision: 18, Scale: 4},
	{Kind: sqltype.Decimal, Precision: 38, Scale: 10}, {Kind: sqltype.Decimal, Precision: 3},
	sqltype.TText, {Kind: sqltype.Text, Precision: 20}, sqltype.TJSON, sqltype.TUUID, sqltype.TBytes, sqltype.TDate, sqltype.TTime, sqltype.TTimestamp,
	sqltype.TInterval, sqltype.ArrayOf(sqltype.TInteger), sqltype.ArrayOf(sqltype.TText),
	sqltype.ArrayOf(sqltype.Type{Kind: sqltype.Decimal, Precision: 12, Scale: 2}), sqltype.ArrayOf(sqltype.TTimestamp), sqltype.ArrayOf(sqltype.TBoolean),
}

func columnsOf(types []sqltype.Type) []segment.Column {
	cols := make([]segment.Column, len(types))
	for i, t := range types {
		cols[i] = segment.Column{ID: uint32(i + 1), Name: fmt.Sprintf("c%d %s", i, t), Type: t}
	}
	return cols
}

// random is a value of the type; NULL and extremes are among them.
func random(rng *rand.Rand, t sqltype.Type, null bool) sqltype.Value {
	if null && rng.IntN(5) == 0 {
		return sqltype.NullOf(t.Kind)
	}
	extreme := rng.IntN(6) == 0
	switch t.Kind {
	case sqltype.Boolean:
		return sqltype.NewBool(rng.IntN(2) == 0)
	case sqltype.SmallInt, sqltype.Integer, sqltype.BigInt:
		lo, hi := t.Kind.IntRange()
		if extreme {
			return sqltype.NewInt(t.Kind, []int64{lo, hi, 0, -1}[rng.IntN(4)])
		}
		return sqltype.NewInt(t.Kind, rng.Int64N(2000)-1000)
	case sqltype.Date:
		return sqltype.NewInt(t.Kind, rng.Int64N(40000)-10000)
	case sqltype.Time:
		return sqltype.NewInt(t.Kind, rng.Int64N(86_400_000_000))
	case sqltype.Timestamp:
		if extreme {
			return sqltype.NewInt(t.Kind, []int64{math.MinInt64, math.MaxInt64, 0}[rng.IntN(3)])
		}
		return sqltype.NewInt(t.Kind, rng.Int64N(1<<51))
	case sqltype.Float, sqltype.Double:
		if extreme {
			return sqltype.NewFloat(t.Kind, []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat32}[rng.IntN(6)])
		}
		return sqltype.NewFloat(t.Kind, float64(rng.IntN(2000)-1000)/8)
	case sqltype.Decimal:
		n, scale := rng.Int64N(2000)-1000, t.Scale
		if t.Precision == 0 {
			scale = int32(rng.IntN(6))
		}
		d := decimal.New(n, scale)
		if extreme {
			p := t.Precision
			if p == 0 {
				p = 38
			}
			s := strings.Repeat("9", int(p))
			d, _ = decimal.Parse(s)
			d, _ = decimal.FromBig(d.Big(), scale)
			if rng.IntN(2) == 0 {
				d = d.Neg()
			}
		} else if t.Precision > 0 && t.Precision < 4 {
			d = decimal.New(n%1000, scale)
		}
		return sqltype.NewDecimal(d)
	case sqltype.Text:
		if extreme {
			return sqltype.NewText([]string{"", strings.Repeat("long ", 30) + fmt.Sprint(rng.IntN(9)), "\u00e9\U0001F600", strings.Repeat("z", 32)}[rng.IntN(4)])
		}
		return sqltype.NewText(fmt.Sprint("text ", rng.IntN(100_000)))
	case sqltype.JSON:
		return sqltype.NewString(t.Kind, fmt.Sprintf(`{"a":%d}`, rng.IntN(100)))
	case sqltype.Bytes:
		b := make([]byte, rng.IntN(40))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return sqltype.NewBytes(b)
	case sqltype.UUID:
		var u [16]byte
		binary.BigEndian.PutUint64(u[:], rng.Uint64())
		return sqltype.NewUUID(u)
	case sqltype.Interval:
		return sqltype.NewInterval(sqltype.IntervalValue{Months: int32(rng.Uint32()), Days: int32(rng.Uint32()), Micros: int64(rng.Uint64())})
	case sqltype.Array:
		list := make([]sqltype.Value, rng.IntN(5))
		for i := range list {
			list[i] = random(rng, t.ElemType(), true)
		}
		return sqltype.NewArray(list)
	}
	panic("no such type")
}

// row is a row of the model.
type row struct {
	key    []byte
	values sqltype.Row
	h      rowenc.Header
}

// fixture is a schema, rows in order of their keys, and where they lie.
type fixture struct {
	schema segment.Schema
	layout *rowenc.Layout
	rows   []row
	bucket object.Bucket
	cache  *segment.Cache
	sum    segment.Summary
}

func layoutOf(t testing.TB, s segment.Schema) *rowenc.Layout {
	t.Helper()
	cols := make([]rowenc.Column, len(s.Columns))
	for i, c := range s.Columns {
		cols[i] = rowenc.Column{ID: c.ID, Type: c.Type}
	}
	l, err := rowenc.NewLayout(s.Version, cols)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func makeRows(t testing.TB, rng *rand.Rand, schema segment.Schema, n int) *fixture {
	t.Helper()
	f := &fixture{schema: schema, layout: layoutOf(t, schema), bucket: object.NewMem(), cache: segment.NewCache(segment.CacheOptions{})}
	seen := map[string]bool{}
	for len(f.rows) < n {
		r := row{values: make(sqltype.Row, len(schema.Columns))}
		for i, c := range schema.Columns {
			r.values[i] = random(rng, c.Type, !slices.Contains(schema.Key, i))
		}
		if len(schema.Key) == 0 {
			r.key = binary.BigEndian.AppendUint64(nil, uint64(10+3*len(f.rows)))
		}
		for _, k := range schema.Key {
			if k == 0 && schema.Columns[k].Type == sqltype.TBigInt {
				r.values[k] = sqltype.NewBigInt(rng.Int64N(int64(4 * n)))
			}
			r.key = keyenc.AppendKey(r.key, r.values[k])
		}
		if seen[string(r.key)] {
			continue
		}
		seen[string(r.key)] = true
		r.h = rowenc.Header{Seq: change.Seq(1000 + rng.IntN(10*n+1)), UpdatedAt: int64(rng.IntN(1 << 40)), Deleted: rng.IntN(4) == 0}
		f.rows = append(f.rows, r)
	}
	sort.Slice(f.rows, func(i, j int) bool { return bytes.Compare(f.rows[i].key, f.rows[j].key) < 0 })
	return f
}

func (f *fixture) write(t testing.TB, name string, opts segment.WriterOptions) segment.Summary {
	t.Helper()
	if opts.Layouts == nil {
		opts.Layouts = rowenc.OneLayout(f.layout)
	}
	w, err := segment.Create(t.Context(), f.bucket, name, f.schema, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	var buf []byte
	for _, r := range f.rows {
		if buf, err = f.layout.Append(buf[:0], r.h, r.values); err != nil {
			t.Fatal(err)
		}
		if err := w.AppendRow(r.key, buf); err != nil {
			t.Fatal(err)
		}
	}
	if f.sum, err = w.Finish(); err != nil {
		t.Fatal(err)
	}
	return f.sum
}

func (f *fixture) ref(name string) segment.Ref {
	return segment.Ref{Bucket: f.bucket, Name: name, Size: f.sum.Bytes, Checksum: f.sum.Checksum}
}

func (f *fixture) open(t testing.TB, name string) *segment.Segment {
	t.Helper()
	s, err := segment.Open(t.Context(), f.ref(name), f.cache)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (f *fixture) wants(ordinals ...int) []rowenc.Want {
	var w []rowenc.Want
	for _, o := range ordinals {
		c := f.schema.Columns[o]
		w = append(w, rowenc.Want{Column: rowenc.Column{ID: c.ID, Type: c.Type}})
	}
	return w
}

func (f *fixture) all() []rowenc.Want {
	w := make([]int, len(f.schema.Columns))
	for i := range w {
		w[i] = i
	}
	return append(f.wants(w...),
		rowenc.Want{Column: rowenc.Column{ID: rowenc.SeqColumn, Type: sqltype.TBigInt}},
		rowenc.Want{Column: rowenc.Column{ID: rowenc.UpdatedColumn, Type: sqltype.TTimestamp}},
		rowenc.Want{Column: rowenc.Column{ID: rowenc.DeletedColumn, Type: sqltype.TBoolean}})
}

// checkSpans makes scans hold each key against what the scanner says of it.
var checkSpans = true

// got is what a scan gave, row by row.
type got struct {
	keys []string
	rows []sqltype.Row
}

func scan(t testing.TB, s *segment.Segment, o segment.ScanOptions) (g got, err error) {
	t.Helper()
	sc, err := s.Scan(t.Context(), o)
	if err != nil {
		return g, err
	}
	defer sc.Close()
	for {
		b, err := sc.Next(t.Context())
		if err != nil || b == nil {
			return g, err
		}
		keys, err := sc.Keys(t.Context())
		if err != nil {
			return g, err
		}
		low, high := sc.Span()
		for i := range b.Rows() {
			r := make(sqltype.Row, len(b.Cols))
			b.ReadRow(i, r)
			k := keys.Str(b.Row(i))
			if checkSpans && (k < string(low) || high != nil && k >= string(high)) {
				t.Errorf("key %x lies outside %x to %x", k, low, high)
			}
			g.keys, g.rows = append(g.keys, k), append(g.rows, r)
		}
	}
}

func same(a, b sqltype.Value) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull()
	}
	if a.Kind().Physical() == sqltype.PhysFloat && math.Signbit(a.Float()) != math.Signbit(b.Float()) {
		return false
	}
	if a.Kind().Physical() == sqltype.PhysInterval {
		return a.Interval() == b.Interval()
	}
	return sqltype.Compare(a, b) == 0 && a.Text() == b.Text() && a.Kind() == b.Kind()
}

// check compares a scan of all columns with rows of the model.
func check(t *testing.T, what string, g got, want []row) {
	t.Helper()
	if len(g.keys) != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, len(g.keys), len(want))
	}
	for i, w := range want {
		if g.keys[i] != string(w.key) {
			t.Fatalf("%s: row %d has key %x, want %x", what, i, g.keys[i], w.key)
		}
		full := append(slices.Clone(w.values), sqltype.NewBigInt(int64(w.h.Seq)), sqltype.NewInt(sqltype.Timestamp, w.h.UpdatedAt), sqltype.NewBool(w.h.Deleted))
		for c := range g.rows[i] {
			if !same(g.rows[i][c], full[c]) {
				t.Fatalf("%s: row %d column %d is %q, want %q", what, i, c, g.rows[i][c].Text(), full[c].Text())
			}
		}
	}
}
