package expr_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// must unwraps a constructor's result.
func must(e expr.Expr, err error) expr.Expr {
	if err != nil {
		panic(err)
	}
	return e
}

func intConst(n int64) expr.Expr {
	return expr.Const(sqltype.NewInt(sqltype.Integer, n), sqltype.TInteger)
}

// millionRows is 1M rows (n BIGINT, body TEXT) in batches.
func millionRows() []*vector.Batch {
	r := rand.New(rand.NewPCG(1, 1))
	var out []*vector.Batch
	for range 1_000_000/vector.BatchSize + 1 {
		ints := make([]int64, vector.BatchSize)
		b := vector.NewBuilder(sqltype.TText, vector.BatchSize)
		for i := range ints {
			ints[i] = r.Int64N(1000)
			b.AppendString(fmt.Sprintf("message %d about room %d", r.IntN(1000), r.IntN(50)))
		}
		out = append(out, vector.NewBatch([]*vector.Vector{vector.FromInts(sqltype.TBigInt, ints, nil), b.Finish()}, vector.BatchSize))
	}
	return out
}

func rowsPerSecond(b *testing.B, rows int) {
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

// BenchmarkFilterSum is WHERE n < 500, sum(n) over 1M rows.
func BenchmarkFilterSum(b *testing.B) {
	data := millionRows()
	ctx := &expr.Context{}
	ev := expr.Compile(must(expr.Binary(ast.OpLt, expr.Column(0, sqltype.TBigInt, "n"), intConst(500)))).NewEval()
	m, err := builtin.Resolve("sum", []sqltype.Type{sqltype.TBigInt})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		st := m.Fn.NewState(builtin.AggSpec{Args: m.Args, Result: m.Result})
		st.Grow(1)
		for _, in := range data {
			sel, err := ev.Filter(ctx, in)
			if err != nil {
				b.Fatal(err)
			}
			if err := st.Add(ctx, in.Cols[:1], sel, in.Len(), nil); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := st.Result(0); err != nil {
			b.Fatal(err)
		}
	}
	rowsPerSecond(b, len(data)*vector.BatchSize)
}

// BenchmarkArithmetic is n * 3 + 1 over 1M rows.
func BenchmarkArithmetic(b *testing.B) {
	data := millionRows()
	ctx := &expr.Context{}
	n := expr.Column(0, sqltype.TBigInt, "n")
	ev := expr.Compile(must(expr.Binary(ast.OpAdd, must(expr.Binary(ast.OpMul, n, intConst(3))), intConst(1)))).NewEval()
	b.ReportAllocs()
	for b.Loop() {
		for _, in := range data {
			if _, err := ev.EvalVector(ctx, in); err != nil {
				b.Fatal(err)
			}
		}
	}
	rowsPerSecond(b, len(data)*vector.BatchSize)
}

// BenchmarkLike measures the pattern kinds over 1M texts.
func BenchmarkLike(b *testing.B) {
	data := millionRows()
	ctx := &expr.Context{}
	for _, p := range []string{"message 1%", "%room 7", "%about room 7%", "m%5%r__m 7%"} {
		b.Run(p, func(b *testing.B) {
			ev := expr.Compile(must(expr.Like(ast.Like, false, expr.Column(1, sqltype.TText, "body"), expr.Literal(p), nil))).NewEval()
			b.ReportAllocs()
			for b.Loop() {
				for _, in := range data {
					if _, err := ev.Filter(ctx, in); err != nil {
						b.Fatal(err)
					}
				}
			}
			rowsPerSecond(b, len(data)*vector.BatchSize)
		})
	}
}

// livePredicate is room = 'a' AND n > 5 over rows (id, room, n).
func livePredicate() *expr.Program {
	room := must(expr.Binary(ast.OpEq, expr.Column(1, sqltype.TText, "room"), expr.Literal("general")))
	n := must(expr.Binary(ast.OpGt, expr.Column(2, sqltype.TInteger, "n"), intConst(5)))
	return expr.Compile(expr.And(room, n))
}

func liveRow() sqltype.Row {
	return sqltype.Row{sqltype.NewBigInt(1), sqltype.NewText("general"), sqltype.NewInt(sqltype.Integer, 7)}
}

// BenchmarkRowPredicate is a live filter's evaluation of one row.
func BenchmarkRowPredicate(b *testing.B) {
	p, row, ctx := livePredicate(), liveRow(), &expr.Context{}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := p.MatchRow(ctx, row); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// TestRowPredicateDoesNotAllocate holds the live filters to their promise.
func TestRowPredicateDoesNotAllocate(t *testing.T) {
	p, row, ctx := livePredicate(), liveRow(), &expr.Context{}
	ev := p.NewEval()
	if n := testing.AllocsPerRun(1000, func() {
		if ok, err := ev.MatchRow(ctx, row); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}); n != 0 {
		t.Errorf("a row predicate allocates %v times", n)
	}
}

// BenchmarkVector measures common expressions over 1M rows.
func BenchmarkVector(b *testing.B) {
	data := millionRows()
	ctx := &expr.Context{Now: testNow}
	cols := map[string]expr.Expr{"n": expr.Column(0, sqltype.TBigInt, "n"), "body": expr.Column(1, sqltype.TText, "body")}
	for _, text := range []string{
		"n IN (1, 5, 9, 700)", "CASE WHEN n > 500 THEN n ELSE 0 END", "n > 100 AND n < 500 OR n = 7", "length(body)", "lower(body)", "coalesce(n, 0)", "body = 'message 5 about room 7'",
		"date_trunc('day', to_timestamp_seconds(n))", "n::double precision * 1.5", "n::numeric / 3", "body ILIKE '%ROOM 7%'", "substr(body, 1, 5) || '!'",
	} {
		e := must(bind(text, cols))
		b.Run(text, func(b *testing.B) {
			ev := expr.Compile(e).NewEval()
			b.ReportAllocs()
			for b.Loop() {
				for _, in := range data {
					if _, err := ev.EvalVector(ctx, in); err != nil {
						b.Fatal(err)
					}
				}
			}
			rowsPerSecond(b, len(data)*vector.BatchSize)
		})
	}
}

// BenchmarkRange is n BETWEEN 200 AND 800 over 1M rows.
func BenchmarkRange(b *testing.B) {
	data := millionRows()
	ctx := &expr.Context{}
	ev := expr.Compile(must(expr.Between(expr.Column(0, sqltype.TBigInt, "n"), intConst(200), intConst(800), false, false))).NewEval()
	b.ReportAllocs()
	for b.Loop() {
		for _, in := range data {
			if _, err := ev.Filter(ctx, in); err != nil {
				b.Fatal(err)
			}
		}
	}
	rowsPerSecond(b, len(data)*vector.BatchSize)
}

// BenchmarkCase is CASE WHEN n < 500 THEN 1 ELSE 0 END over 1M rows.
func BenchmarkCase(b *testing.B) {
	data := millionRows()
	ctx := &expr.Context{}
	cond := must(expr.Binary(ast.OpLt, expr.Column(0, sqltype.TBigInt, "n"), intConst(500)))
	ev := expr.Compile(must(expr.Case(nil, []expr.When{{Cond: cond, Result: intConst(1)}}, intConst(0)))).NewEval()
	b.ReportAllocs()
	for b.Loop() {
		for _, in := range data {
			if _, err := ev.EvalVector(ctx, in); err != nil {
				b.Fatal(err)
			}
		}
	}
	rowsPerSecond(b, len(data)*vector.BatchSize)
}
