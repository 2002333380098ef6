package segment_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
	"github.com/kalamdb/kalamdb/store/vector"
)

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
