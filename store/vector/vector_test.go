package vector_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// types has one type of every representation.
var types = []sqltype.Type{
	sqltype.TUnknown, sqltype.TBoolean, sqltype.TInteger, sqltype.TDouble, sqltype.TDecimal,
	sqltype.TText, sqltype.TInterval, sqltype.ArrayOf(sqltype.TInteger),
}

// random is a value of the type, NULL once in five times.
func random(rng *rand.Rand, t sqltype.Type) sqltype.Value {
	if rng.IntN(5) == 0 {
		return sqltype.NullOf(t.Kind)
	}
	n := rng.Int64N(1000) - 500
	switch t.Physical() {
	case sqltype.PhysBool:
		return sqltype.NewBool(n > 0)
	case sqltype.PhysInt:
		return sqltype.NewInt(t.Kind, n)
	case sqltype.PhysFloat:
		return sqltype.NewDouble(float64(n) / 7)
	case sqltype.PhysDecimal:
		return sqltype.NewDecimal(decimal.New(n, 2))
	case sqltype.PhysString:
		return sqltype.NewText(fmt.Sprint("text ", n))
	case sqltype.PhysInterval:
		return sqltype.NewInterval(sqltype.IntervalValue{Months: int32(n), Days: 3, Micros: n})
	case sqltype.PhysList:
		return sqltype.NewArray([]sqltype.Value{sqltype.NewInt(sqltype.Integer, n)})
	}
	return sqltype.NullOf(t.Kind)
}

func column(rng *rand.Rand, t sqltype.Type, n int) (*vector.Vector, sqltype.Row) {
	b := vector.NewBuilder(t, rng.IntN(n+1))
	values := make(sqltype.Row, n)
	for i := range values {
		values[i] = random(rng, t)
		b.Append(values[i])
	}
	return b.Finish(), values
}

func checkVector(t *testing.T, what string, v *vector.Vector, want sqltype.Row) {
	t.Helper()
	if v.Len() != len(want) {
		t.Fatalf("%s: %d values, want %d", what, v.Len(), len(want))
	}
	for i, w := range want {
		got := v.Value(i)
		if got.IsNull() != w.IsNull() || v.IsNull(i) != w.IsNull() || !sqltype.Equal(got, w) {
			t.Fatalf("%s: value %d is %q, want %q", what, i, got.Text(), w.Text())
		}
	}
}

func TestVectorsGiveBackWhatWasAppended(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, typ := range types {
		for _, n := range []int{0, 1, 63, 64, 65, 300} {
			v, want := column(rng, typ, n)
			checkVector(t, typ.String(), v, want)
		}
	}
}

func TestSliceGatherAndAppendFromAgreeWithTheValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, typ := range types {
		v, want := column(rng, typ, 200)
		for range 50 {
			from := rng.IntN(200)
			to := from + rng.IntN(201-from)
			checkVector(t, fmt.Sprintf("%s[%d:%d]", typ, from, to), v.Slice(from, to), want[from:to])
		}
		var sel []int32
		var chosen sqltype.Row
		for range 150 {
			i := rng.IntN(200)
			sel = append(sel, int32(i))
			chosen = append(chosen, want[i])
		}
		checkVector(t, "gathered "+typ.String(), v.Gather(sel), chosen)
		b := vector.NewBuilder(typ, 0)
		for _, i := range sel {
			b.AppendFrom(v, int(i))
		}
		checkVector(t, "appended "+typ.String(), b.Finish(), chosen)
	}
}

func TestGatheredVectorsShareNoMemory(t *testing.T) {
	b := vector.NewBuilder(sqltype.TText, 1)
	b.AppendString("before")
	v := b.Finish()
	kept := v.Gather([]int32{0})
	copy(v.Data, "after!")
	if got := kept.Str(0); got != "before" {
		t.Errorf("the copy became %q", got)
	}
}

func TestConstantsStandForEveryRow(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, typ := range types {
		val := random(rng, typ)
		c := vector.NewConst(typ, val, 5)
		checkVector(t, "constant "+typ.String(), c, slices.Repeat(sqltype.Row{val}, 5))
		checkVector(t, "slice of it", c.Slice(1, 3), slices.Repeat(sqltype.Row{val}, 2))
		checkVector(t, "choice of it", c.Gather([]int32{4, 0, 2}), slices.Repeat(sqltype.Row{val}, 3))
		c.SetLen(9)
		if c.Len() != 9 {
			t.Errorf("SetLen gave %d", c.Len())
		}
	}
	if n := vector.NewNulls(sqltype.TText, 3); !n.IsNull(2) || !n.HasNulls() {
		t.Error("NewNulls holds something")
	}
}

func TestBuildersStartAgain(t *testing.T) {
	b := vector.NewBuilder(sqltype.TText, 2)
	b.AppendNull()
	b.AppendString("x")
	first := b.Finish()
	b.AppendString("y")
	checkVector(t, "second", b.Finish(), sqltype.Row{sqltype.NewText("y")})
	checkVector(t, "first", first, sqltype.Row{sqltype.Null(), sqltype.NewText("x")})
}

func TestSetNullStartsTheValidity(t *testing.T) {
	v := vector.FromInts(sqltype.TInteger, []int64{1, 2, 3}, nil)
	v.SetNull(1)
	want := sqltype.Row{sqltype.NewInt(sqltype.Integer, 1), sqltype.Null(), sqltype.NewInt(sqltype.Integer, 3)}
	checkVector(t, "with a NULL", v, want)
}

func TestBatchesHonourTheirSelection(t *testing.T) {
	ints := vector.FromInts(sqltype.TInteger, []int64{10, 11, 12, 13, 14}, nil)
	constant := vector.NewConst(sqltype.TText, sqltype.NewText("c"), 5)
	whole := vector.NewBatch([]*vector.Vector{ints, constant}, 5)
	some := vector.NewBatch(whole.Cols, 5)
	some.Sel = []int32{0, 2, 4}

	read := func(b *vector.Batch) []int64 {
		var out []int64
		row := make(sqltype.Row, 2)
		for i := range b.Rows() {
			b.ReadRow(i, row)
			if row[1].Str() != "c" {
				t.Errorf("the constant is %q", row[1].Str())
			}
			out = append(out, row[0].Int())
		}
		return out
	}
	tests := []struct {
		name string
		b    *vector.Batch
		want []int64
	}{
		{"whole", whole, []int64{10, 11, 12, 13, 14}},
		{"selected", some, []int64{10, 12, 14}},
		{"compacted", some.Compact(), []int64{10, 12, 14}},
		{"head", whole.Head(2), []int64{10, 11}},
		{"head of selection", some.Head(2), []int64{10, 12}},
		{"head past the end", some.Head(9), []int64{10, 12, 14}},
		{"tail", whole.Tail(3), []int64{13, 14}},
		{"tail of selection", some.Tail(1), []int64{12, 14}},
		{"tail past the end", whole.Tail(9), nil},
	}
	for _, tt := range tests {
		if got := read(tt.b); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if some.Len() != 5 || some.Rows() != 3 {
		t.Errorf("Len %d, Rows %d", some.Len(), some.Rows())
	}
	if none := vector.NewBatch(nil, 7); none.Rows() != 7 || none.Compact().Rows() != 7 {
		t.Error("a batch without columns lost its rows")
	}
}

func TestBitmaps(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 130} {
		b := vector.NewBitmap(n)
		b.SetAll(n)
		if got := b.Count(n); got != n {
			t.Errorf("SetAll(%d) set %d", n, got)
		}
		if n == 0 {
			continue
		}
		b.Clear(n - 1)
		c := b.Clone(n)
		c.Set(n - 1)
		if b.Get(n-1) || !c.Get(n-1) || vector.And(b, c, n).Count(n) != n-1 {
			t.Errorf("n = %d: clear, clone or and", n)
		}
		if got := vector.And(nil, b, n); got.Count(n) != n-1 {
			t.Errorf("nil is not neutral: %d", got.Count(n))
		}
	}
	var all vector.Bitmap
	if !all.Get(5) || all.Count(9) != 9 {
		t.Error("the nil bitmap has every bit set")
	}
}

func TestSizeGrowsWithTheContent(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, typ := range types[1:] {
		small, _ := column(rng, typ, 10)
		large, _ := column(rng, typ, 1000)
		if small.Size() <= 0 || large.Size() < 50*small.Size() {
			t.Errorf("%s: sizes %d and %d", typ, small.Size(), large.Size())
		}
	}
}

func BenchmarkBuilderStrings(b *testing.B) {
	texts := make([]string, vector.BatchSize)
	for i := range texts {
		texts[i] = fmt.Sprint("message number ", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		vb := vector.NewBuilder(sqltype.TText, len(texts))
		for _, s := range texts {
			vb.AppendString(s)
		}
		vb.Finish()
	}
	b.ReportMetric(float64(b.N)*vector.BatchSize/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkGatherInts(b *testing.B) {
	v := vector.New(sqltype.TBigInt, vector.BatchSize)
	sel := make([]int32, 0, vector.BatchSize/2)
	for i := range vector.BatchSize / 2 {
		sel = append(sel, int32(2*i))
	}
	b.ReportAllocs()
	for b.Loop() {
		v.Gather(sel)
	}
}
