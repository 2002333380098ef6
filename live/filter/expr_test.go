package filter

import (
	"math"
	"testing"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
)

func must(t testing.TB, e expr.Expr, err error) expr.Expr {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestIndexAgreesWithEquality holds the index against the engine's "=": a
// filter that it calls true must be visited, whatever the kinds on its sides.
func TestIndexAgreesWithEquality(t *testing.T) {
	dec := func(s string) sqltype.Value {
		d, err := decimal.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return sqltype.NewDecimal(d)
	}
	values := []sqltype.Value{
		sqltype.NewBigInt(0), sqltype.NewBigInt(7), sqltype.NewBigInt(math.MaxInt64), sqltype.NewBigInt(math.MinInt64),
		sqltype.NewInt(sqltype.SmallInt, 7), sqltype.NewInt(sqltype.Integer, 0),
		sqltype.NewDouble(0), sqltype.NewDouble(math.Copysign(0, -1)), sqltype.NewDouble(7), sqltype.NewDouble(math.NaN()),
		sqltype.NewDouble(math.Inf(1)), sqltype.NewDouble(0.1), sqltype.NewFloat(sqltype.Float, 0.1), sqltype.NewFloat(sqltype.Float, 7),
		dec("7"), dec("7.000"), dec("0.1"), dec("0.10"), dec("-0.0"), dec("9223372036854775807"),
		sqltype.NewText(""), sqltype.NewText("a"), sqltype.NewText("A"), sqltype.NewString(sqltype.UUID, "0123456789abcdef"),
		sqltype.NewBool(true), sqltype.NewBool(false),
		sqltype.NewInt(sqltype.Date, 7), sqltype.NewInt(sqltype.Timestamp, 7*86_400_000_000), sqltype.NewInt(sqltype.Time, 7),
		sqltype.NewInterval(sqltype.IntervalValue{Months: 1}), sqltype.NewInterval(sqltype.IntervalValue{Days: 30}),
	}
	pairs := 0
	for _, c := range values {
		for _, v := range values {
			typ := sqltype.Type{Kind: v.Kind()}
			e, err := expr.Binary(ast.OpEq, expr.Column(0, typ, "c"), expr.Const(c, sqltype.Type{Kind: c.Kind()}))
			if err != nil {
				continue // no such comparison
			}
			ok, err := expr.Compile(e).MatchRow(&expr.Context{}, sqltype.Row{v})
			if err != nil || !ok {
				continue
			}
			if !Indexable(v.Kind(), c.Kind()) {
				continue
			}
			pairs++
			var x Index[string]
			x.Add([]Equality{{Ordinal: 0, Value: c}}, "f")
			if len(visited(&x, nil, sqltype.Row{v})) != 1 {
				t.Errorf("%v = %v is true, and the index does not find it", v, c)
			}
		}
	}
	if pairs < len(values) {
		t.Errorf("only %d pairs were equal", pairs)
	}
}

// BenchmarkMatch evaluates one filter over one row.
func BenchmarkMatch(b *testing.B) {
	room := must2(b, ast.OpEq, expr.Column(1, sqltype.TText, "room"), expr.Const(sqltype.NewText("a"), sqltype.TText))
	below := must2(b, ast.OpLt, expr.Column(2, sqltype.TBigInt, "n"), expr.Const(sqltype.NewBigInt(10), sqltype.TBigInt))
	row := sqltype.Row{sqltype.NewBigInt(1), sqltype.NewText("a"), sqltype.NewBigInt(3)}
	for _, c := range []struct {
		name string
		e    expr.Expr
	}{{"room = 'a'", room}, {"room = 'a' AND n < 10", expr.And(room, below)}} {
		b.Run(c.name, func(b *testing.B) {
			ev := expr.Compile(c.e).NewEval()
			ctx := &expr.Context{}
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := ev.MatchRow(ctx, row); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

func must2(t testing.TB, op ast.Op, l, r expr.Expr) expr.Expr {
	e, err := expr.Binary(op, l, r)
	return must(t, e, err)
}
