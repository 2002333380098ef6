package expr_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

var testNow = time.Date(2025, 10, 21, 13, 5, 9, 250_000_000, time.UTC)

// randomValue makes a value of a type, often an awkward one.
func randomValue(r *rand.Rand, t sqltype.Type, nulls bool) sqltype.Value {
	if nulls && r.IntN(5) == 0 {
		return sqltype.NullOf(t.Kind)
	}
	pick := func(n int) bool { return r.IntN(n) == 0 }
	switch t.Kind {
	case sqltype.Boolean:
		return sqltype.NewBool(pick(2))
	case sqltype.SmallInt, sqltype.Integer, sqltype.BigInt:
		lo, hi := t.Kind.IntRange()
		if pick(8) {
			return sqltype.NewInt(t.Kind, []int64{lo, hi, 0, -1}[r.IntN(4)])
		}
		return sqltype.NewInt(t.Kind, int64(r.IntN(21)-10))
	case sqltype.Float, sqltype.Double:
		if pick(8) {
			return sqltype.NewFloat(t.Kind, []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e300, -1e-300}[r.IntN(6)])
		}
		return sqltype.NewFloat(t.Kind, float64(r.IntN(41)-20)/4)
	case sqltype.Decimal:
		return sqltype.NewDecimal(decimal.New(int64(r.IntN(2001)-1000), int32(r.IntN(4))))
	case sqltype.Text:
		words := []string{"", "a", "abc", "Äpfel", "a%b", "_", "10", "day", "UTC", "hex", "hello world", "{}", "\\", "(", "日本語", "YYYY-MM-DD"}
		return sqltype.NewText(words[r.IntN(len(words))])
	case sqltype.JSON:
		docs := []string{`{}`, `[]`, `null`, `{"a":1,"b":[1,2,{"c":"x"}]}`, `[1,"a",null]`, `"text"`, `12.50`, `{"a":{"b":null}}`}
		return sqltype.NewString(sqltype.JSON, docs[r.IntN(len(docs))])
	case sqltype.UUID:
		var u [16]byte
		u[0], u[6], u[8] = byte(r.IntN(3)), byte(r.IntN(256)), byte(r.IntN(256))
		return sqltype.NewUUID(u)
	case sqltype.Bytes:
		return sqltype.NewBytes([]byte{'a', byte(r.IntN(256)), 0}[:r.IntN(4)])
	case sqltype.Date:
		if pick(10) {
			return sqltype.NewInt(t.Kind, []int64{sqltype.DateInfinity, sqltype.DateNegInfinity}[r.IntN(2)])
		}
		return sqltype.NewInt(t.Kind, int64(r.IntN(40000)-20000))
	case sqltype.Time:
		return sqltype.NewInt(t.Kind, r.Int64N(86_400_000_000))
	case sqltype.Timestamp:
		if pick(10) {
			return sqltype.NewInt(t.Kind, []int64{sqltype.TimestampInfinity, sqltype.TimestampNegInfinity}[r.IntN(2)])
		}
		return sqltype.NewInt(t.Kind, r.Int64N(4e15)-2e15)
	case sqltype.Interval:
		return sqltype.NewInterval(sqltype.IntervalValue{Months: int32(r.IntN(30) - 15), Days: int32(r.IntN(60) - 30), Micros: r.Int64N(2e11) - 1e11})
	case sqltype.Array:
		list := make([]sqltype.Value, r.IntN(4))
		for i := range list {
			list[i] = randomValue(r, t.ElemType(), nulls)
		}
		return sqltype.NewArray(list)
	case sqltype.Record:
		return sqltype.NewRecord([]sqltype.Value{randomValue(r, sqltype.TInteger, nulls), randomValue(r, sqltype.TText, nulls)})
	}
	return sqltype.Null()
}

// concrete replaces a signature's pseudo-types.
func concrete(t, elem sqltype.Type) sqltype.Type {
	switch t.Kind {
	case builtin.AnyElement, builtin.Any:
		return elem
	case builtin.AnyArray:
		return sqltype.ArrayOf(elem)
	}
	return t
}

func show(v sqltype.Value, err error) string {
	switch {
	case err != nil:
		return "error: " + err.Error()
	case v.IsNull():
		return "NULL"
	}
	return fmt.Sprint(v.Kind().Physical(), " ", v.Text())
}

// TestVectorEqualsRow holds the vector evaluation of every function and
// operator to its row evaluation, over random columns, constants, NULLs and
// selections: the same value at every selected row, and an error exactly when
// some selected row has one.
func TestVectorEqualsRow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	elems := []sqltype.Type{sqltype.TInteger, sqltype.TText, sqltype.TDouble, sqltype.TDecimal, sqltype.TTimestamp}
	for _, f := range builtin.Functions() {
		if f.Kind != builtin.Scalar && f.Kind != builtin.Operator || f.Volatility == builtin.Volatile {
			continue
		}
		t.Run(strings.ReplaceAll(f.Signature(), "/", "÷"), func(t *testing.T) {
			for round := range 6 {
				elem := elems[r.IntN(len(elems))]
				checkFunction(t, r, f, elem, round)
			}
		})
	}
}

func checkFunction(t *testing.T, r *rand.Rand, f *builtin.Function, elem sqltype.Type, round int) {
	t.Helper()
	const n = 70
	nargs := len(f.Args)
	if f.Variadic {
		nargs += r.IntN(3)
	}
	args := make([]expr.Expr, nargs)
	var cols []*vector.Vector
	for i := range args {
		typ := concrete(f.Args[min(i, len(f.Args)-1)], elem)
		if r.IntN(3) == 0 {
			args[i] = expr.Const(randomValue(r, typ, true), typ)
			continue
		}
		b := vector.NewBuilder(typ, n)
		for range n {
			b.Append(randomValue(r, typ, round%2 == 0))
		}
		args[i] = expr.Column(len(cols), typ, "c")
		cols = append(cols, b.Finish())
	}
	e := expr.CallOf(f, args, concrete(f.Result, elem))
	checkAgreement(t, r, e, vector.NewBatch(cols, n), round)
}

// checkAgreement compares the two ways of evaluation over a batch.
func checkAgreement(t *testing.T, r *rand.Rand, e expr.Expr, in *vector.Batch, round int) {
	t.Helper()
	ctx := &expr.Context{Now: testNow, User: "u", Namespace: "n"}
	prog := expr.Compile(e)
	if round%3 != 0 {
		in.Sel = []int32{}
		for i := range in.Len() {
			if r.IntN(3) == 0 {
				in.Sel = append(in.Sel, int32(i))
			}
		}
	}
	ev := prog.NewEval()
	row := make(sqltype.Row, len(in.Cols))
	want := map[int]string{}
	failed := map[int]bool{}
	rowErr := ""
	for k := range in.Rows() {
		i := in.Row(k)
		in.ReadRow(k, row)
		v, err := ev.EvalRow(ctx, row)
		if err != nil {
			rowErr = err.Error()
			failed[i] = true
			if strings.Contains(rowErr, "INTERNAL") {
				t.Fatalf("%v: %v", row, err)
			}
		}
		want[i] = show(v, err)
	}
	got, err := ev.EvalVector(ctx, in)
	if (err != nil) != (rowErr != "") {
		t.Fatalf("vector error %v, row error %q", err, rowErr)
	}
	if err != nil {
		// Once more over the rows that succeed.
		var sel []int32
		for k := range in.Rows() {
			if i := in.Row(k); !failed[i] {
				sel = append(sel, int32(i))
			}
		}
		if len(sel) == 0 {
			return
		}
		in.Sel = sel
		if got, err = ev.EvalVector(ctx, in); err != nil {
			t.Fatalf("error over rows that succeed one by one: %v", err)
		}
	}
	for k := range in.Rows() {
		i := in.Row(k)
		if s := show(got.Value(i), nil); s != want[i] {
			in.ReadRow(k, row)
			t.Fatalf("row %d %v: vector %s, row %s", i, texts(row), s, want[i])
		}
	}
	if e.Type().Kind == sqltype.Boolean {
		sel, err := ev.Filter(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		next := 0
		for k := range in.Rows() {
			i := in.Row(k)
			hit := next < len(sel) && int(sel[next]) == i
			if hit {
				next++
			}
			in.ReadRow(k, row)
			if ok, err := ev.MatchRow(ctx, row); ok != hit || err != nil {
				t.Fatalf("row %d: filter says %v, match %v (%v)", i, hit, ok, err)
			}
			if hit != (want[i] == show(sqltype.NewBool(true), nil)) {
				t.Fatalf("row %d: filter says %v, row %s", i, hit, want[i])
			}
		}
		if next != len(sel) {
			t.Fatalf("filter gives rows out of order or not selected: %v", sel)
		}
	}
}

func texts(row sqltype.Row) string {
	var b strings.Builder
	for _, v := range row {
		fmt.Fprintf(&b, "[%s]", show(v, nil))
	}
	return b.String()
}
