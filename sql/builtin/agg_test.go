package builtin_test

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/store/vector"
)

// column reads a vector from texts; "NULL" is NULL.
func column(t *testing.T, typ sqltype.Type, texts ...string) *vector.Vector {
	t.Helper()
	b := vector.NewBuilder(typ, len(texts))
	for _, s := range texts {
		if s == "NULL" {
			b.AppendNull()
			continue
		}
		v, err := sqltype.ParseAt(s, typ, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		b.Append(v)
	}
	return b.Finish()
}

func types(cols []*vector.Vector) []sqltype.Type {
	out := make([]sqltype.Type, len(cols))
	for i, c := range cols {
		out[i] = c.Type
	}
	return out
}

func newState(t *testing.T, name string, args []sqltype.Type, descending bool) (builtin.AggState, builtin.Match) {
	t.Helper()
	m, err := builtin.Resolve(name, args)
	if err != nil {
		t.Fatal(err)
	}
	return m.Fn.NewState(builtin.AggSpec{Args: m.Args, Result: m.Result, Descending: descending}), m
}

func text(v sqltype.Value, err error) string {
	switch {
	case err != nil:
		return "ERROR " + err.Error()
	case v.IsNull():
		return "NULL"
	}
	return v.Text()
}

// TestAggregates holds the aggregates to what PostgreSQL gives for the same
// rows.
func TestAggregates(t *testing.T) {
	small, ints, bigs, doubles, decimals := sqltype.TSmallInt, sqltype.TInteger, sqltype.TBigInt, sqltype.TDouble, sqltype.TDecimal
	tests := []struct {
		name string
		cols []*vector.Vector
		want string
		typ  string
	}{
		{"count", []*vector.Vector{column(t, ints, "1", "NULL", "3")}, "2", "BIGINT"},
		{"sum", []*vector.Vector{column(t, small, "1", "NULL", "3")}, "4", "BIGINT"},
		{"sum", []*vector.Vector{column(t, ints, "2147483647", "2147483647")}, "4294967294", "BIGINT"},
		{"sum", []*vector.Vector{column(t, bigs, "9223372036854775807", "9223372036854775807", "-1")}, "18446744073709551613", "DECIMAL"},
		{"sum", []*vector.Vector{column(t, bigs, "-9223372036854775808", "-9223372036854775808")}, "-18446744073709551616", "DECIMAL"},
		{"sum", []*vector.Vector{column(t, ints, "NULL")}, "NULL", "BIGINT"},
		{"sum", []*vector.Vector{column(t, decimals, "1.5", "2.25")}, "3.75", "DECIMAL"},
		{"sum", []*vector.Vector{column(t, doubles, "0.5", "2.25")}, "2.75", "DOUBLE"},
		{"sum", []*vector.Vector{column(t, sqltype.TInterval, "1 day", "2 hours")}, "1 day 02:00:00", "INTERVAL"},
		{"avg", []*vector.Vector{column(t, ints, "1", "2")}, "1.5000000000000000", "DECIMAL"},
		{"avg", []*vector.Vector{column(t, bigs, "1", "2", "2")}, "1.6666666666666667", "DECIMAL"},
		{"avg", []*vector.Vector{column(t, decimals, "1.0", "2")}, "1.5000000000000000", "DECIMAL"},
		{"avg", []*vector.Vector{column(t, doubles, "1", "2")}, "1.5", "DOUBLE"},
		{"avg", []*vector.Vector{column(t, sqltype.TInterval, "1 day", "2 days")}, "1 day 12:00:00", "INTERVAL"},
		{"min", []*vector.Vector{column(t, sqltype.TText, "b", "a", "NULL")}, "a", "TEXT"},
		{"max", []*vector.Vector{column(t, sqltype.TDate, "2025-01-01", "2025-10-21")}, "2025-10-21", "DATE"},
		{"min", []*vector.Vector{column(t, ints, "5", "-3", "7")}, "-3", "INT"},
		{"max", []*vector.Vector{column(t, doubles, "1", "NaN")}, "NaN", "DOUBLE"},
		{"bool_and", []*vector.Vector{column(t, sqltype.TBoolean, "t", "f", "NULL")}, "f", "BOOLEAN"},
		{"bool_or", []*vector.Vector{column(t, sqltype.TBoolean, "f", "t")}, "t", "BOOLEAN"},
		{"every", []*vector.Vector{column(t, sqltype.TBoolean, "NULL")}, "NULL", "BOOLEAN"},
		{"bit_and", []*vector.Vector{column(t, ints, "12", "10")}, "8", "INT"},
		{"bit_or", []*vector.Vector{column(t, ints, "12", "10")}, "14", "INT"},
		{"bit_xor", []*vector.Vector{column(t, ints, "12", "10")}, "6", "INT"},
		{"string_agg", []*vector.Vector{column(t, sqltype.TText, "a", "NULL", "b"), column(t, sqltype.TText, ",", ",", "-")}, "a-b", "TEXT"},
		{"array_agg", []*vector.Vector{column(t, ints, "1", "NULL", "3")}, "{1,NULL,3}", "INT[]"},
		{"json_agg", []*vector.Vector{column(t, sqltype.TText, "a", "NULL")}, `["a", null]`, "JSON"},
		{"json_object_agg", []*vector.Vector{column(t, sqltype.TText, "a", "b"), column(t, ints, "1", "NULL")}, `{ "a" : 1, "b" : null }`, "JSON"},
		{"stddev", []*vector.Vector{column(t, doubles, "2", "4", "4", "4", "5", "5", "7", "9")}, "2.138089935299395", "DOUBLE"},
		{"stddev_pop", []*vector.Vector{column(t, doubles, "2", "4", "4", "4", "5", "5", "7", "9")}, "2", "DOUBLE"},
		{"variance", []*vector.Vector{column(t, doubles, "1")}, "NULL", "DOUBLE"},
		{"var_pop", []*vector.Vector{column(t, ints, "1", "3")}, "1.00000000000000000000", "DECIMAL"},
		{"corr", []*vector.Vector{column(t, doubles, "1", "2", "3"), column(t, doubles, "2", "4", "6")}, "1", "DOUBLE"},
		{"covar_samp", []*vector.Vector{column(t, doubles, "1", "2", "3"), column(t, doubles, "2", "4", "6")}, "2", "DOUBLE"},
		{"regr_slope", []*vector.Vector{column(t, doubles, "1", "2", "4"), column(t, doubles, "1", "2", "3")}, "1.5", "DOUBLE"},
		{"regr_intercept", []*vector.Vector{column(t, doubles, "3", "5", "7"), column(t, doubles, "1", "2", "3")}, "1", "DOUBLE"},
		{"regr_count", []*vector.Vector{column(t, doubles, "3", "NULL"), column(t, doubles, "1", "2")}, "1", "BIGINT"},
		{"percentile_cont", []*vector.Vector{column(t, doubles, "0.5", "0.5", "0.5", "0.5"), column(t, doubles, "4", "1", "3", "2")}, "2.5", "DOUBLE"},
		{"percentile_disc", []*vector.Vector{column(t, doubles, "0.5", "0.5", "0.5", "0.5"), column(t, sqltype.TText, "d", "a", "c", "b")}, "b", "TEXT"},
		{"percentile_cont", []*vector.Vector{column(t, doubles, "1.5"), column(t, doubles, "4")}, "ERROR VALUE_OUT_OF_RANGE: percentile value 1.5 is not between 0 and 1", "DOUBLE"},
		{"median", []*vector.Vector{column(t, doubles, "5", "1", "3")}, "3", "DOUBLE"},
		{"mode", []*vector.Vector{column(t, ints, "5", "1", "5")}, "5", "INT"},
		{"first_value", []*vector.Vector{column(t, ints, "NULL", "1", "5")}, "NULL", "INT"},
		{"last_value", []*vector.Vector{column(t, ints, "NULL", "1", "5")}, "5", "INT"},
		{"approx_distinct", []*vector.Vector{column(t, ints, "1", "2", "2", "NULL")}, "2", "BIGINT"},
	}
	for _, tt := range tests {
		t.Run(tt.name+"/"+tt.want, func(t *testing.T) {
			st, m := newState(t, tt.name, types(tt.cols), false)
			if got := m.Result.String(); got != tt.typ {
				t.Errorf("type %s, want %s", got, tt.typ)
			}
			st.Grow(1)
			if err := st.Add(&builtin.Context{}, tt.cols, nil, tt.cols[0].Len(), nil); err != nil {
				t.Fatal(err)
			}
			if got := text(st.Result(0)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestAggregateParts feeds each aggregate the same rows at once, by groups in
// pieces with selections, and through merged parts: the results are the same.
func TestAggregateParts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	const n, groups = 300, 4
	args := map[sqltype.Kind]func() string{
		sqltype.SmallInt: func() string { return strconv.Itoa(r.IntN(50)) },
		sqltype.Integer:  func() string { return strconv.Itoa(r.IntN(2000) - 1000) },
		sqltype.BigInt:   func() string { return strconv.FormatInt(r.Int64()-r.Int64(), 10) },
		sqltype.Float:    func() string { return strconv.Itoa(r.IntN(64)) },
		sqltype.Double:   func() string { return strconv.Itoa(r.IntN(64)) },
		sqltype.Decimal:  func() string { return strconv.Itoa(r.IntN(64)) + ".25" },
		sqltype.Text:     func() string { return "k" + strconv.Itoa(r.IntN(20)) },
		sqltype.Bytes:    func() string { return "b" },
		sqltype.Boolean:  func() string { return strconv.FormatBool(r.IntN(2) == 0) },
		sqltype.Interval: func() string { return strconv.Itoa(r.IntN(9)) + " hours" },
		sqltype.Array:    func() string { return "{0.25,0.5}" }, // of fractions
	}
	for _, f := range builtin.Functions() {
		if f.Kind != builtin.Aggregate {
			continue
		}
		t.Run(f.Signature(), func(t *testing.T) {
			var cols []*vector.Vector
			for i, a := range f.Args {
				typ := a
				if a.Kind >= builtin.AnyElement {
					typ = sqltype.TInteger
				}
				texts := make([]string, n)
				for k := range texts {
					texts[k] = args[typ.Kind]()
					if f.Name == "json_object_agg" || f.Name == "jsonb_object_agg" {
						continue
					}
					if r.IntN(6) == 0 {
						texts[k] = "NULL"
					}
					if (f.Ordered || f.Name == "approx_percentile_cont") && typ.Kind == sqltype.Double && (i == 0) == f.Ordered && len(f.Args) == 2 {
						texts[k] = "0.25"
					}
					if typ.Kind == sqltype.Array {
						texts[k] = args[typ.Kind]()
					}
				}
				cols = append(cols, column(t, typ, texts...))
			}
			of := make([]int32, n)
			for i := range of {
				of[i] = int32(r.IntN(groups))
			}
			ctx := &builtin.Context{}
			state := func() builtin.AggState {
				st, _ := newState(t, f.Name, types(cols), false)
				st.Grow(groups)
				return st
			}
			add := func(st builtin.AggState, from, to int) {
				var sel, g []int32
				for i := from; i < to; i++ {
					sel, g = append(sel, int32(i)), append(g, of[i])
				}
				if err := st.Add(ctx, cols, sel, n, g); err != nil {
					t.Fatal(err)
				}
			}
			whole, pieces, merged, part := state(), state(), state(), state()
			if err := whole.Add(ctx, cols, nil, n, of); err != nil {
				t.Fatal(err)
			}
			add(pieces, 0, 100)
			add(pieces, 100, n)
			add(merged, 0, 150)
			add(part, 150, n)
			if err := merged.Merge(part, []int32{0, 1, 2, 3}); err != nil {
				t.Fatal(err)
			}
			for g := range groups {
				want := text(whole.Result(g))
				if got := text(pieces.Result(g)); got != want {
					t.Errorf("group %d in pieces: %s, at once %s", g, got, want)
				}
				if got := text(merged.Result(g)); !near(got, want) {
					t.Errorf("group %d merged: %s, at once %s", g, got, want)
				}
				single := state()
				var sel []int32
				for i := range of {
					if of[i] == int32(g) {
						sel = append(sel, int32(i))
					}
				}
				if err := single.Add(ctx, cols, sel, n, nil); err != nil {
					t.Fatal(err)
				}
				if got := text(single.Result(0)); got != want {
					t.Errorf("group %d alone: %s, among others %s", g, got, want)
				}
			}
			if whole.Size() <= 0 {
				t.Error("no size")
			}
		})
	}
}

// near allows for the rounding of sums that are added up in another order.
func near(a, b string) bool {
	if a == b {
		return true
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && (x-y)*(x-y) <= 1e-18*(1+x*x)
}

func TestApproxDistinct(t *testing.T) {
	const n = 50_000
	ints := make([]int64, n)
	for i := range ints {
		ints[i] = int64(i)
	}
	v := vector.FromInts(sqltype.TBigInt, ints, nil)
	st, _ := newState(t, "approx_distinct", []sqltype.Type{sqltype.TBigInt}, false)
	st.Grow(1)
	if err := st.Add(&builtin.Context{}, []*vector.Vector{v}, nil, n, nil); err != nil {
		t.Fatal(err)
	}
	got, err := st.Result(0)
	if err != nil || got.Int() < n*9/10 || got.Int() > n*11/10 {
		t.Errorf("%v, %v of %d", got.Int(), err, n)
	}
}
