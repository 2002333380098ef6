package segment_test

import (
	"bytes"
	"context"
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
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
	"github.com/kalamdb/kalamdb/store/vector"
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
			if k < string(low) || high != nil && k >= string(high) {
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

func TestEveryTypeComesBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, opts := range []segment.WriterOptions{
		{}, {Codec: segment.Zstd}, {BlockRows: 7, GroupRows: 50}, {BlockBytes: 1, GroupBytes: 1000},
	} {
		for _, key := range [][]int{{0}, nil, {11, 0}, {14}, {16, 3, 9}} {
			f := makeRows(t, rng, segment.Schema{Table: 42, Version: 3, Columns: columnsOf(everyType), Key: key}, 300)
			sum := f.write(t, "x", opts)
			s := f.open(t, "x")
			g, err := scan(t, s, segment.ScanOptions{Want: f.all(), IncludeDeleted: true})
			if err != nil {
				t.Fatal(err)
			}
			check(t, fmt.Sprint(opts, key), g, f.rows)
			deleted, first, last := 0, f.rows[0], f.rows[len(f.rows)-1]
			low, high := first.h.Seq, first.h.Seq
			for _, r := range f.rows {
				low, high = min(low, r.h.Seq), max(high, r.h.Seq)
				if r.h.Deleted {
					deleted++
				}
			}
			if sum.Rows != 300 || sum.Deleted != int64(deleted) || sum.MinSeq != low || sum.MaxSeq != high || sum.SchemaVersion != 3 ||
				!bytes.Equal(sum.FirstKey, first.key) || !bytes.Equal(sum.LastKey, last.key) {
				t.Errorf("summary %+v", sum)
			}
			a, b := s.Seqs()
			if s.Rows() != 300 || s.Deleted() != sum.Deleted || a != low || b != high || s.Table() != 42 || s.SchemaVersion() != 3 || s.Size() != sum.Bytes || s.Checksum() != sum.Checksum {
				t.Error("the segment says something else than its summary")
			}
			if cols := s.Columns(); len(cols) != len(everyType) || cols[3].Type != everyType[3] || cols[3].Name != f.schema.Columns[3].Name {
				t.Errorf("columns %v", cols)
			}
			if err := s.Verify(t.Context()); err != nil {
				t.Error(err)
			}
			checkRanges(t, f, sum)
		}
	}
}

// checkRanges holds the summary's bounds against the rows.
func checkRanges(t *testing.T, f *fixture, sum segment.Summary) {
	t.Helper()
	for _, c := range sum.Columns {
		for _, r := range f.rows {
			v := r.values[c.ID-1]
			if v.IsNull() {
				if !c.Nulls {
					t.Errorf("column %d has NULLs", c.ID)
				}
				continue
			}
			for _, op := range []segment.BoundOp{segment.BoundEq, segment.BoundLe, segment.BoundGe} {
				if !c.May(op, v) {
					t.Fatalf("column %d: %q is not within %q to %q", c.ID, v.Text(), c.Min.Text(), c.Max.Text())
				}
			}
		}
	}
}

func holds(v sqltype.Value, op segment.BoundOp, bound sqltype.Value) bool {
	if v.IsNull() || bound.IsNull() {
		return false
	}
	c := sqltype.Compare(v, bound)
	switch op {
	case segment.BoundEq:
		return c == 0
	case segment.BoundLt:
		return c < 0
	case segment.BoundLe:
		return c <= 0
	case segment.BoundGt:
		return c > 0
	}
	return c >= 0
}

// TestScansAgreeWithTheModel runs random scans of every kind.
func TestScansAgreeWithTheModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, key := range [][]int{{0}, nil, {11}, {12, 0}} {
		f := makeRows(t, rng, segment.Schema{Table: 1, Version: 1, Columns: columnsOf(everyType[:19]), Key: key}, 1500)
		f.write(t, "x", segment.WriterOptions{BlockRows: 1 + rng.IntN(60), GroupRows: 300})
		s := f.open(t, "x")
		for n := range 120 {
			o := segment.ScanOptions{Want: f.all(), Reverse: rng.IntN(2) == 0, IncludeDeleted: rng.IntN(2) == 0}
			if rng.IntN(3) == 0 {
				o.Limit = 1 + rng.Int64N(200)
			}
			if rng.IntN(3) == 0 {
				o.AfterSeq = change.Seq(1000 + rng.IntN(15000))
			}
			if rng.IntN(3) > 0 {
				o.Ranges = f.randomRanges(rng)
			}
			// Bounds are advice: their rows are a part of what is given.
			var bounds []segment.Bound
			if rng.IntN(3) == 0 {
				c := rng.IntN(len(f.schema.Columns))
				v := f.rows[rng.IntN(len(f.rows))].values[c]
				if rng.IntN(3) == 0 {
					v = random(rng, f.schema.Columns[c].Type, true)
				}
				bounds = append(bounds, segment.Bound{Column: uint32(c + 1), Op: segment.BoundOp(rng.IntN(5)), Value: v})
			}
			var want []row
			for _, r := range f.rows {
				in := o.Ranges == nil
				for _, kr := range o.Ranges {
					in = in || bytes.Compare(r.key, kr.Start) >= 0 && (kr.End == nil || bytes.Compare(r.key, kr.End) < 0)
				}
				if in && (o.IncludeDeleted || !r.h.Deleted) && r.h.Seq > o.AfterSeq {
					want = append(want, r)
				}
			}
			if o.Reverse {
				slices.Reverse(want)
			}
			what := fmt.Sprintf("key %v scan %d %+v", key, n, o.Limit)
			if bounds != nil {
				o.Limit, o.Bounds = 0, bounds
				g, err := scan(t, s, o)
				if err != nil {
					t.Fatal(err)
				}
				given := map[string]bool{}
				for _, k := range g.keys {
					given[k] = true
				}
				for _, r := range want {
					if b := bounds[0]; holds(r.values[b.Column-1], b.Op, b.Value) && !given[string(r.key)] {
						t.Fatalf("%s: %v %d %v skipped %v", what, b.Column, b.Op, b.Value.Text(), r.values[b.Column-1].Text())
					}
				}
				continue
			}
			if o.Limit > 0 {
				want = want[:min(int(o.Limit), len(want))]
			}
			g, err := scan(t, s, o)
			if err != nil {
				t.Fatal(err)
			}
			check(t, what, g, want)
		}
	}
}

// randomRanges are ranges in ascending order, apart from each other, some with
// the bounds of rows and some without.
func (f *fixture) randomRanges(rng *rand.Rand) (out []kv.Range) {
	var cuts [][]byte
	for range 2 * (1 + rng.IntN(4)) {
		k := bytes.Clone(f.rows[rng.IntN(len(f.rows))].key)
		if rng.IntN(3) == 0 {
			k = append(k, 0)
		}
		if rng.IntN(5) == 0 {
			k = k[:rng.IntN(len(k))]
		}
		cuts = append(cuts, k)
	}
	slices.SortFunc(cuts, bytes.Compare)
	for i := 0; i+1 < len(cuts); i += 2 {
		out = append(out, kv.Range{Start: cuts[i], End: cuts[i+1]})
	}
	if rng.IntN(4) == 0 {
		out[0].Start = nil
	}
	if rng.IntN(4) == 0 {
		out[len(out)-1].End = nil
	}
	return out
}

func TestBoundsSkipBlocks(t *testing.T) {
	f := ordered(t, 20_000)
	f.write(t, "x", segment.WriterOptions{BlockRows: 100})
	f.cache.Clear()
	s := f.open(t, "x")
	opened := s.BytesRead()
	g, err := scan(t, s, segment.ScanOptions{Want: f.wants(1), Bounds: []segment.Bound{
		{Column: 2, Op: segment.BoundGe, Value: sqltype.NewDouble(10_000)}, {Column: 2, Op: segment.BoundLt, Value: sqltype.NewBigInt(10_050)}}})
	if err != nil || len(g.rows) != 100 {
		t.Errorf("%d rows: %v", len(g.rows), err)
	}
	if read := s.BytesRead() - opened; read > 40<<10 {
		t.Errorf("read %d bytes for one block", read)
	}
}

// ordered is a table of (id BIGINT, n BIGINT, room TEXT) whose columns ascend.
func ordered(t testing.TB, n int) *fixture {
	f := makeRows(t, rand.New(rand.NewPCG(3, 3)), segment.Schema{Table: 7, Version: 1, Key: []int{0}, Columns: []segment.Column{
		{ID: 1, Name: "id", Type: sqltype.TBigInt}, {ID: 2, Name: "n", Type: sqltype.TBigInt}, {ID: 3, Name: "room", Type: sqltype.TText},
	}}, 0)
	for i := range n {
		v := sqltype.Row{sqltype.NewBigInt(int64(2 * i)), sqltype.NewBigInt(int64(i)), sqltype.NewText(fmt.Sprint("room ", i%20))}
		f.rows = append(f.rows, row{keyenc.AppendKey(nil, v[0]), v, rowenc.Header{Seq: change.Seq(i + 1), UpdatedAt: int64(i)}})
	}
	return f
}

func TestGet(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, key := range [][]int{{0}, nil, {11}} {
		f := makeRows(t, rng, segment.Schema{Table: 1, Version: 1, Columns: columnsOf(everyType), Key: key}, 1000)
		f.write(t, "x", segment.WriterOptions{BlockRows: 50, GroupRows: 200})
		s := f.open(t, "x")
		dst := make(sqltype.Row, len(f.all()))
		for i, r := range f.rows {
			h, found, err := s.Get(t.Context(), r.key, f.all(), dst)
			if err != nil || !found || h != r.h {
				t.Fatalf("row %d: %+v, %t, %v", i, h, found, err)
			}
			check(t, "get", got{[]string{string(r.key)}, []sqltype.Row{dst}}, []row{r})
			if may, err := s.MayHold(t.Context(), r.key); !may || err != nil {
				t.Fatalf("row %d is denied: %v", i, err)
			}
		}
		wrong := 0
		for i := range 1000 {
			k := append(bytes.Clone(f.rows[i].key), 7)
			if _, found, err := s.Get(t.Context(), k, nil, nil); found || err != nil {
				t.Fatalf("found what is not there: %v", err)
			}
			if may, _ := s.MayHold(t.Context(), k); may {
				wrong++
			}
		}
		if wrong > 50 {
			t.Errorf("the bloom filter is wrong about %d of 1000", wrong)
		}
		for _, k := range [][]byte{nil, {0}, bytes.Repeat([]byte{0xff}, 20)} {
			if _, found, err := s.Get(t.Context(), k, nil, nil); found || err != nil {
				t.Errorf("key %x: %v", k, err)
			}
		}
	}
}

func TestLongKeysWithOneBeginning(t *testing.T) {
	f := makeRows(t, rand.New(rand.NewPCG(5, 5)), segment.Schema{Table: 1, Version: 1, Key: []int{0}, Columns: []segment.Column{{ID: 1, Name: "k", Type: sqltype.TText}}}, 0)
	for i := range 400 {
		v := sqltype.Row{sqltype.NewText(strings.Repeat("same", 30+i/200) + fmt.Sprintf("%04d", i))}
		f.rows = append(f.rows, row{keyenc.AppendKey(nil, v[0]), v, rowenc.Header{Seq: change.Seq(i + 1)}})
	}
	f.write(t, "x", segment.WriterOptions{BlockRows: 10})
	s := f.open(t, "x")
	for i, r := range f.rows {
		dst := make(sqltype.Row, 1)
		if _, found, err := s.Get(t.Context(), r.key, f.wants(0), dst); !found || err != nil || dst[0].Str() != r.values[0].Str() {
			t.Fatalf("row %d: %t, %v", i, found, err)
		}
		end := min(i+5, len(f.rows)-1)
		g, err := scan(t, s, segment.ScanOptions{Want: f.wants(0), Ranges: []kv.Range{{Start: r.key, End: f.rows[end].key}}})
		if err != nil || len(g.rows) != end-i {
			t.Fatalf("from row %d: %d rows, %v", i, len(g.rows), err)
		}
	}
}

func TestSchemaEvolution(t *testing.T) {
	f := makeRows(t, rand.New(rand.NewPCG(6, 6)), segment.Schema{Table: 1, Version: 1, Columns: columnsOf([]sqltype.Type{sqltype.TBigInt, sqltype.TText, sqltype.TSmallInt}), Key: []int{0}}, 500)
	f.write(t, "x", segment.WriterOptions{BlockRows: 60})
	s := f.open(t, "x")
	want := []rowenc.Want{
		{Column: rowenc.Column{ID: 3, Type: sqltype.TBigInt}}, // a wider type
		{Column: rowenc.Column{ID: 9, Type: sqltype.TText}, Default: sqltype.NewText("new")},
		{Column: rowenc.Column{ID: 10, Type: sqltype.TInteger}},
		{Column: rowenc.Column{ID: 1, Type: sqltype.TBigInt}},
	}
	g, err := scan(t, s, segment.ScanOptions{Want: want, IncludeDeleted: true})
	if err != nil {
		t.Fatal(err)
	}
	dst := make(sqltype.Row, len(want))
	for i, r := range f.rows {
		if _, _, err := s.Get(t.Context(), r.key, want, dst); err != nil {
			t.Fatal(err)
		}
		for _, v := range []sqltype.Row{g.rows[i], dst} {
			if v[0].IsNull() != r.values[2].IsNull() || !v[0].IsNull() && (v[0].Int() != r.values[2].Int() || v[0].Kind() != sqltype.BigInt) ||
				v[1].Str() != "new" || !v[2].IsNull() || v[3].Int() != r.values[0].Int() {
				t.Fatalf("row %d: %v", i, v)
			}
		}
	}
	if _, err := scan(t, s, segment.ScanOptions{Want: []rowenc.Want{{Column: rowenc.Column{ID: 2, Type: sqltype.TBigInt}}}}); err == nil {
		t.Error("text was read as a number")
	}
	if _, err := scan(t, s, segment.ScanOptions{Want: []rowenc.Want{{Column: rowenc.Column{ID: 20, Type: sqltype.TBigInt}, Default: sqltype.NewText("x")}}}); err == nil {
		t.Error("a text is the default of a number")
	}
}

func TestRowsOfOlderSchemasAreWrittenUnderTheNewOne(t *testing.T) {
	old := segment.Schema{Table: 1, Version: 1, Key: []int{0}, Columns: columnsOf([]sqltype.Type{sqltype.TBigInt, sqltype.TText})}
	now := segment.Schema{Table: 1, Version: 2, Key: []int{0}, Columns: []segment.Column{old.Columns[0], {ID: 5, Name: "added", Type: sqltype.TInteger, Default: sqltype.NewInt(sqltype.Integer, 77)}}}
	lo, ln := layoutOf(t, old), layoutOf(t, now)
	b := object.NewMem()
	w, err := segment.Create(t.Context(), b, "x", now, segment.WriterOptions{Layouts: func(v uint32) (*rowenc.Layout, error) { return map[uint32]*rowenc.Layout{1: lo, 2: ln}[v], nil }})
	if err != nil {
		t.Fatal(err)
	}
	r1, _ := lo.Append(nil, rowenc.Header{Seq: 1}, sqltype.Row{sqltype.NewBigInt(1), sqltype.NewText("dropped")})
	r2, _ := ln.Append(nil, rowenc.Header{Seq: 2}, sqltype.Row{sqltype.NewBigInt(2), sqltype.NewInt(sqltype.Integer, 5)})
	for i, r := range [][]byte{r1, r2} {
		if err := w.AppendRow(keyenc.AppendKey(nil, sqltype.NewBigInt(int64(i+1))), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	s, err := segment.Open(t.Context(), segment.Ref{Bucket: b, Name: "x"}, segment.NewCache(segment.CacheOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g, err := scan(t, s, segment.ScanOptions{Want: []rowenc.Want{{Column: rowenc.Column{ID: 5, Type: sqltype.TInteger}}, {Column: rowenc.Column{ID: 2, Type: sqltype.TText}}}})
	if err != nil || len(g.rows) != 2 || g.rows[0][0].Int() != 77 || g.rows[1][0].Int() != 5 || !g.rows[0][1].IsNull() {
		t.Errorf("%v, %v", g.rows, err)
	}
}

func TestBatchesOfAScanMakeASegment(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for _, key := range [][]int{{0}, nil} {
		f := makeRows(t, rng, segment.Schema{Table: 1, Version: 1, Columns: columnsOf(everyType), Key: key}, 700)
		f.write(t, "x", segment.WriterOptions{BlockRows: 50})
		sc, err := f.open(t, "x").Scan(t.Context(), segment.ScanOptions{Want: f.all()})
		if err != nil {
			t.Fatal(err)
		}
		defer sc.Close()
		w, err := segment.Create(t.Context(), f.bucket, "y", f.schema, segment.WriterOptions{Codec: segment.Zstd})
		if err != nil {
			t.Fatal(err)
		}
		for {
			b, err := sc.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				break
			}
			keys, err := sc.Keys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := w.AppendBatch(b, keys); err != nil {
				t.Fatal(err)
			}
		}
		if f.sum, err = w.Finish(); err != nil {
			t.Fatal(err)
		}
		live := slices.DeleteFunc(slices.Clone(f.rows), func(r row) bool { return r.h.Deleted })
		g, err := scan(t, f.open(t, "y"), segment.ScanOptions{Want: f.all(), IncludeDeleted: true})
		if err != nil {
			t.Fatal(err)
		}
		check(t, "compacted", g, live)
	}
}

func TestWritersRefuse(t *testing.T) {
	f := ordered(t, 10)
	create := func() *segment.Writer {
		w, err := segment.Create(t.Context(), f.bucket, "x", f.schema, segment.WriterOptions{Layouts: rowenc.OneLayout(f.layout)})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	r, _ := f.layout.Append(nil, f.rows[0].h, f.rows[0].values)
	bad := map[string]func(w *segment.Writer) error{
		"the same key twice": func(w *segment.Writer) error { _ = w.AppendRow([]byte("a"), r); return w.AppendRow([]byte("a"), r) },
		"keys out of order":  func(w *segment.Writer) error { _ = w.AppendRow([]byte("b"), r); return w.AppendRow([]byte("a"), r) },
		"a row that is none": func(w *segment.Writer) error { return w.AppendRow([]byte("b"), r[:10]) },
		"no rows":            func(w *segment.Writer) error { _, err := w.Finish(); return err },
		"a batch of no shape": func(w *segment.Writer) error {
			return w.AppendBatch(vector.NewBatch(nil, 1), vector.NewNulls(sqltype.TBytes, 1))
		},
		"more after the abort": func(w *segment.Writer) error { w.Abort(); return w.AppendRow([]byte("a"), r) },
		"an end after the abort": func(w *segment.Writer) error {
			_ = w.AppendRow([]byte("a"), r)
			w.Abort()
			_, err := w.Finish()
			return err
		},
	}
	for what, do := range bad {
		w := create()
		if err := do(w); err == nil {
			t.Errorf("%s: no error", what)
		}
		if _, err := w.Finish(); err == nil {
			t.Errorf("%s: finished", what)
		}
		w.Abort()
	}
	for range f.bucket.List(t.Context(), "") {
		t.Error("something is left")
	}
	for what, s := range map[string]segment.Schema{
		"record":    {Columns: []segment.Column{{ID: 1, Name: "a", Type: sqltype.TRecord}}},
		"twice":     {Columns: []segment.Column{{ID: 1, Name: "a", Type: sqltype.TText}, {ID: 1, Name: "b", Type: sqltype.TText}}},
		"bad key":   {Columns: []segment.Column{{ID: 1, Name: "a", Type: sqltype.TText}}, Key: []int{1}},
		"array key": {Columns: []segment.Column{{ID: 1, Name: "a", Type: sqltype.ArrayOf(sqltype.TText)}}, Key: []int{0}},
	} {
		if _, err := segment.Create(t.Context(), f.bucket, "x", s, segment.WriterOptions{}); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	w := create()
	for _, r := range f.rows {
		b, _ := f.layout.Append(nil, r.h, r.values)
		if err := w.AppendRow(r.key, b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if _, err := w.Finish(); err == nil {
		t.Error("finished twice")
	}
	if _, err := f.bucket.Stat(t.Context(), "x"); err != nil {
		t.Errorf("a late abort removed the segment: %v", err)
	}
}

func TestScansEndWithTheirContext(t *testing.T) {
	f := ordered(t, 100)
	f.write(t, "x", segment.WriterOptions{})
	s := f.open(t, "x")
	sc, err := s.Scan(t.Context(), segment.ScanOptions{Want: f.wants(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sc.Keys(t.Context()); err == nil {
		t.Error("keys without a batch")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sc.Next(ctx); err == nil {
		t.Error("read after the end")
	}
	if _, err := sc.Next(t.Context()); err == nil {
		t.Error("the error was forgotten")
	}
	sc.Close()
	sc.Close()
	if _, err := sc.Keys(t.Context()); err == nil {
		t.Error("keys after the end")
	}
}

func TestCache(t *testing.T) {
	f := ordered(t, 3000)
	f.cache = segment.NewCache(segment.CacheOptions{Open: 2})
	for i := range 4 {
		f.write(t, fmt.Sprint(i), segment.WriterOptions{})
	}
	var open []*segment.Segment
	for i := range 4 {
		open = append(open, f.open(t, fmt.Sprint(i)))
	}
	if st := f.cache.Stats(); st.Entries != 2 || st.Misses != 4 || st.Hits != 0 || st.Bytes == 0 {
		t.Errorf("%+v", st)
	}
	for i, s := range open {
		for range 4 { // the filter is read as a whole in the end
			if _, found, err := s.Get(t.Context(), f.rows[100*i].key, nil, nil); !found || err != nil {
				t.Errorf("segment %d: %t, %v", i, found, err)
			}
		}
		s.Close()
		s.Close()
	}
	before := f.cache.Stats().Bytes
	s := f.open(t, "3")
	if s.BytesRead() != 0 || f.cache.Stats().Hits != 1 {
		t.Error("a segment that is known was read again")
	}
	f.cache.Forget(f.bucket, "3")
	if st := f.cache.Stats(); st.Entries != 1 || st.Bytes >= before {
		t.Errorf("%+v", st)
	}
	if _, found, err := s.Get(t.Context(), f.rows[7].key, nil, nil); !found || err != nil {
		t.Errorf("a forgotten segment in use: %v", err)
	}
	f.cache.Clear()
	if st := f.cache.Stats(); st.Entries != 0 || st.Bytes != 0 {
		t.Errorf("%+v", st)
	}
}
