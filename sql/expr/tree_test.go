package expr_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// columns of the batches over which random expressions run.
var columnTypes = []struct {
	name string
	typ  sqltype.Type
}{
	{"i", sqltype.TInteger}, {"j", sqltype.TInteger}, {"n", sqltype.TBigInt}, {"f", sqltype.TDouble}, {"d", sqltype.TDecimal},
	{"s", sqltype.TText}, {"t", sqltype.TText}, {"b", sqltype.TBoolean}, {"ts", sqltype.TTimestamp}, {"u", sqltype.TUUID},
	{"a", sqltype.ArrayOf(sqltype.TInteger)},
}

func testColumns() map[string]expr.Expr {
	m := map[string]expr.Expr{}
	for i, c := range columnTypes {
		m[c.name] = expr.Column(i, c.typ, c.name)
	}
	return m
}

func randomBatch(r *rand.Rand, n int, nulls bool) *vector.Batch {
	var cols []*vector.Vector
	for _, c := range columnTypes {
		b := vector.NewBuilder(c.typ, n)
		for range n {
			b.Append(randomValue(r, c.typ, nulls))
		}
		cols = append(cols, b.Finish())
	}
	return vector.NewBatch(cols, n)
}

// generator writes random SQL expressions of a wanted kind.
type generator struct{ r *rand.Rand }

func (g generator) one(choices ...func() string) string { return choices[g.r.IntN(len(choices))]() }

func (g generator) word(words ...string) string { return words[g.r.IntN(len(words))] }

func (g generator) boolean(depth int) string {
	if depth == 0 {
		return g.word("b", "i > 3", "s = 'abc'", "NULL::boolean", "true", "false", "s IS NULL", "n <> i", "f < 2.5")
	}
	d := depth - 1
	cmp := g.word("=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")
	not := g.word("", "NOT ")
	return g.one(
		func() string { return fmt.Sprintf("(%s AND %s)", g.boolean(d), g.boolean(d)) },
		func() string { return fmt.Sprintf("(%s OR %s OR %s)", g.boolean(d), g.boolean(d), g.boolean(d)) },
		func() string { return fmt.Sprintf("(NOT %s)", g.boolean(d)) },
		func() string { return fmt.Sprintf("(%s %s %s)", g.number(d), cmp, g.number(d)) },
		func() string { return fmt.Sprintf("(%s %s %s)", g.text(d), cmp, g.text(d)) },
		func() string { return fmt.Sprintf("(%s %s %s)", g.boolean(d), cmp, g.boolean(d)) },
		func() string { return fmt.Sprintf("(ts %s '2001-02-03')", cmp) },
		func() string { return fmt.Sprintf("(%s %sIN (1, 2, %s, NULL))", g.number(d), not, g.number(d)) },
		func() string { return fmt.Sprintf("(i %sIN (1, 2, 3, -1))", not) },
		func() string { return fmt.Sprintf("(s %sIN ('a', 'abc', %s))", not, g.text(d)) },
		func() string { return fmt.Sprintf("(%s %sBETWEEN -3 AND %s)", g.number(d), not, g.number(d)) },
		func() string {
			return fmt.Sprintf("(%s %sLIKE '%s')", g.text(d), not, g.word("a%", "%b%", "%c", "_b_", "", "a\\%b", "%l_o%w%"))
		},
		func() string {
			return fmt.Sprintf("(%s %sILIKE %s)", g.text(d), not, g.word("'A%'", "'%B%'", "s", "t || '%'"))
		},
		func() string { return fmt.Sprintf("(%s IS %sNULL)", g.number(d), not) },
		func() string {
			return fmt.Sprintf("(%s IS %s%s)", g.boolean(d), not, g.word("TRUE", "FALSE", "UNKNOWN"))
		},
		func() string { return fmt.Sprintf("(%s = %s (a))", g.number(d), g.word("ANY", "ALL")) },
		func() string {
			return fmt.Sprintf("(i %s ('{1,2,3,4,5,6,7,8,9,-1%s}'))", g.word("= ANY", "<> ALL", "= ALL"), g.word("", ",NULL"))
		},
		func() string {
			return fmt.Sprintf("(%s %s ('{a,b,c,d,e,f,g,abc,\"\"%s}'))", g.text(d), g.word("= ANY", "<> ALL", "<> ANY"), g.word("", ",NULL"))
		},
		func() string {
			return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", g.boolean(d), g.boolean(d), g.boolean(d))
		},
		func() string { return fmt.Sprintf("coalesce(%s, %s)", g.boolean(d), g.boolean(d)) },
		func() string {
			return fmt.Sprintf("((i, s) %s (%s, 'abc'))", g.word("=", "<", "<>", ">="), g.number(d))
		},
	)
}

func (g generator) number(depth int) string {
	if depth == 0 {
		return g.word("i", "j", "n", "d", "1", "0", "-2", "2.5", "NULL::int", "7::bigint")
	}
	d := depth - 1
	return g.one(
		func() string {
			return fmt.Sprintf("(%s %s %s)", g.number(d), g.word("+", "-", "*", "/", "%"), g.number(d))
		},
		func() string {
			return fmt.Sprintf("CASE WHEN %s THEN %s WHEN %s THEN %s END", g.boolean(d), g.number(d), g.boolean(d), g.number(d))
		},
		func() string {
			return fmt.Sprintf("CASE %s WHEN 1 THEN %s ELSE %s END", g.number(d), g.number(d), g.number(d))
		},
		func() string { return fmt.Sprintf("coalesce(%s, %s, 5)", g.number(d), g.number(d)) },
		func() string { return fmt.Sprintf("nullif(%s, %s)", g.number(d), g.number(d)) },
		func() string { return fmt.Sprintf("length(%s)", g.text(d)) },
		func() string {
			return fmt.Sprintf("(%s)::%s", g.number(d), g.word("int", "bigint", "numeric", "numeric(6,2)", "smallint"))
		},
		func() string { return fmt.Sprintf("TRY_CAST(%s AS int)", g.text(d)) },
		func() string { return fmt.Sprintf("abs(%s)", g.number(d)) },
		func() string { return fmt.Sprintf("greatest(%s, %s)", g.number(d), g.number(d)) },
	)
}

func (g generator) text(depth int) string {
	if depth == 0 {
		return g.word("s", "t", "'abc'", "'a'", "NULL::text", "''")
	}
	d := depth - 1
	return g.one(
		func() string { return fmt.Sprintf("(%s || %s)", g.text(d), g.text(d)) },
		func() string {
			return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", g.boolean(d), g.text(d), g.text(d))
		},
		func() string { return fmt.Sprintf("coalesce(%s, %s)", g.text(d), g.text(d)) },
		func() string { return fmt.Sprintf("upper(%s)", g.text(d)) },
		func() string { return fmt.Sprintf("substr(%s, 2, 3)", g.text(d)) },
		func() string { return fmt.Sprintf("(%s)::text", g.number(d)) },
		func() string { return fmt.Sprintf("concat(%s, %s)", g.text(d), g.number(d)) },
	)
}

// TestRandomTrees holds vectors, filters, rows and folding to each other over
// random expressions.
func TestRandomTrees(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	g := generator{r}
	cols := testColumns()
	rounds := 1500
	if testing.Short() {
		rounds = 300
	}
	bound := 0
	for round := range rounds {
		depth := 1 + r.IntN(3)
		var text string
		switch round % 4 {
		case 0:
			text = g.number(depth)
		case 1:
			text = g.text(depth)
		default:
			text = g.boolean(depth)
		}
		e, err := bindCaught(text, cols)
		if err != nil {
			continue // such as a number compared with a text that is none
		}
		bound++
		e = expr.Resolve(e)
		in := randomBatch(r, 80, round%3 > 0)
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Log(text)
				}
			}()
			checkAgreement(t, r, e, in, round)
			checkFold(t, e, in)
			if expr.Fingerprint(e) == "" || expr.String(e) == "" || !expr.Equal(e, e) {
				t.Error("no text")
			}
		})
	}
	if bound < rounds*9/10 {
		t.Errorf("only %d of %d expressions could be bound", bound, rounds)
	}
}

func bindCaught(text string, cols map[string]expr.Expr) (e expr.Expr, err error) {
	defer func() {
		if p := recover(); p != nil {
			b, ok := p.(bindError)
			if !ok {
				panic(fmt.Sprint(text, ": ", p))
			}
			err = b.err
		}
	}()
	return bind(text, cols)
}

// checkFold holds the folded expression to the value of the original, where
// that has one.
func checkFold(t *testing.T, e expr.Expr, in *vector.Batch) {
	t.Helper()
	ctx := &expr.Context{Now: testNow}
	f := expr.Fold(e)
	if f.Type().Kind != e.Type().Kind {
		t.Fatalf("folding makes a %s of a %s", f.Type(), e.Type())
	}
	a, b := expr.Compile(e), expr.Compile(f)
	row := make(sqltype.Row, len(in.Cols))
	for k := range in.Rows() {
		in.ReadRow(k, row)
		v, err := a.EvalRow(ctx, row)
		if err != nil {
			continue
		}
		w, err := b.EvalRow(ctx, row)
		if show(v, nil) != show(w, err) {
			t.Fatalf("folded %s: %s, not folded %s", expr.String(f), show(w, err), show(v, nil))
		}
	}
}

// TestGuardedErrors checks that an error behind a guard is never raised,
// whichever rows a batch has beside.
func TestGuardedErrors(t *testing.T) {
	in := randomBatch(rand.New(rand.NewPCG(3, 3)), 500, true)
	for _, text := range []string{
		"CASE WHEN i <> 0 THEN 1 / i ELSE 0 END",
		"CASE WHEN i = 0 THEN 0 ELSE 10 / i END",
		"CASE i WHEN 0 THEN 0 ELSE 10 % i END",
		"i <> 0 AND 10 / i > 0",
		"i = 0 OR 10 / i > 0 OR i IS NULL",
		"coalesce(1, i / 0)",
		"CASE WHEN s ~ '^[0-9]+$' THEN s::int ELSE -1 END",
		"i IS NULL OR i IN (i, 1 / 0)",
		"CASE WHEN FALSE THEN 1 / 0 END",
		"nullif(i, 0) IS NOT NULL AND 1 / nullif(i, 0) < 2",
		"NOT (i = 0 OR i IS NULL) AND 5 / i < 9",
	} {
		e, err := bindCaught(text, testColumns())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for _, e := range []expr.Expr{e, expr.Fold(e)} {
			ev := expr.Compile(e).NewEval()
			ctx := &expr.Context{Now: testNow}
			if _, err := ev.EvalVector(ctx, in); err != nil {
				t.Errorf("%s: vector: %v", text, err)
			}
			if e.Type().Kind == sqltype.Boolean {
				if _, err := ev.Filter(ctx, in); err != nil {
					t.Errorf("%s: filter: %v", text, err)
				}
			}
			row := make(sqltype.Row, len(in.Cols))
			for k := range in.Rows() {
				in.ReadRow(k, row)
				if _, err := ev.EvalRow(ctx, row); err != nil {
					t.Errorf("%s: row: %v", text, err)
					break
				}
			}
		}
	}
}

// TestUnguardedErrors checks that errors are raised for selected valid rows
// only.
func TestUnguardedErrors(t *testing.T) {
	b := vector.NewBuilder(sqltype.TInteger, 3)
	b.AppendInt(1)
	b.AppendInt(0)
	b.AppendNull()
	in := vector.NewBatch([]*vector.Vector{b.Finish()}, 3)
	e := must(bind("10 / i", map[string]expr.Expr{"i": expr.Column(0, sqltype.TInteger, "i")}))
	ev := expr.Compile(e).NewEval()
	if _, err := ev.EvalVector(&expr.Context{}, in); err == nil || !strings.Contains(err.Error(), "division by zero") {
		t.Errorf("all rows: %v", err)
	}
	in.Sel = []int32{0, 2}
	v, err := ev.EvalVector(&expr.Context{}, in)
	if err != nil || v.Value(0).Int() != 10 || !v.IsNull(2) {
		t.Errorf("rows 0 and 2: %v, %v", v, err)
	}
}
