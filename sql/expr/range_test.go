package expr_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// TestRangesOfIntegers holds conjunctions of bounds, which are tested together,
// against the comparisons one by one: bounds at the ends of the integers,
// empty ranges, NULLs, selections, constants on either side, parameters.
func TestRangesOfIntegers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	edge := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, 7, math.MaxInt64 - 1, math.MaxInt64}
	pick := func() int64 {
		if r.IntN(2) == 0 {
			return edge[r.IntN(len(edge))]
		}
		return r.Int64N(20) - 5
	}
	col := expr.Column(0, sqltype.TBigInt, "n")
	ops := []ast.Op{ast.OpLt, ast.OpLe, ast.OpGt, ast.OpGe, ast.OpEq, ast.OpNe}
	for range 3000 {
		ctx := &expr.Context{}
		var preds []expr.Expr
		var tests []func(int64) bool
		nothing := false
		for range 1 + r.IntN(4) {
			op, c := ops[r.IntN(len(ops))], pick()
			var v expr.Expr
			val := sqltype.NewBigInt(c)
			if r.IntN(20) == 0 {
				val, nothing = sqltype.NullOf(sqltype.BigInt), true
			}
			if r.IntN(2) == 0 {
				v = expr.Const(val, sqltype.TBigInt)
			} else {
				ctx.Params = append(ctx.Params, val)
				v = expr.Param(len(ctx.Params), sqltype.TBigInt)
			}
			tests = append(tests, func(x int64) bool {
				return map[ast.Op]bool{ast.OpLt: x < c, ast.OpLe: x <= c, ast.OpGt: x > c, ast.OpGe: x >= c, ast.OpEq: x == c, ast.OpNe: x != c}[op]
			})
			if r.IntN(2) == 0 {
				preds = append(preds, must(expr.Binary(op, col, v)))
			} else {
				preds = append(preds, must(expr.Binary(op.Commute(), v, col)))
			}
		}
		n := 1 + r.IntN(40)
		b := vector.NewBuilder(sqltype.TBigInt, n)
		for range n {
			if r.IntN(8) == 0 {
				b.AppendNull()
			} else {
				b.AppendInt(pick())
			}
		}
		in := vector.NewBatch([]*vector.Vector{b.Finish()}, n)
		if r.IntN(2) == 0 {
			in.Sel = []int32{}
			for i := range n {
				if r.IntN(3) > 0 {
					in.Sel = append(in.Sel, int32(i))
				}
			}
		}
		pred := expr.And(preds...)
		want := []int32{}
		for k := range in.Rows() {
			i := in.Row(k)
			if in.Cols[0].IsNull(i) || nothing {
				continue
			}
			if !slices.ContainsFunc(tests, func(f func(int64) bool) bool { return !f(in.Cols[0].Ints[i]) }) {
				want = append(want, int32(i))
			}
		}
		got, err := expr.Compile(pred).NewEval().Filter(ctx, in)
		if err != nil || !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Fatalf("%+v of %v: got %v, %v, want %v", preds[0], in.Cols[0].Ints, got, err, want)
		}
	}
}
