package expr_test

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/golden"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/store/vector"
)

// bind makes a typed tree of an expression's text. Columns are looked up in
// cols; it panics on syntax that the tests do not use.
func bind(text string, cols map[string]expr.Expr) (expr.Expr, error) {
	e, err := parser.ParseExpr(text)
	if err != nil {
		return nil, err
	}
	return (&testBinder{cols: cols}).expr(e)
}

type testBinder struct {
	cols   map[string]expr.Expr
	params expr.Params
}

func (b *testBinder) list(es []ast.Expr) ([]expr.Expr, error) {
	out := make([]expr.Expr, len(es))
	for i, e := range es {
		x, err := b.expr(e)
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}

func typeOf(n ast.TypeName) sqltype.Type {
	t, ok := sqltype.Named(n.Name)
	if !ok {
		panic(bindError{fmt.Errorf("no type %s", n.Name)})
	}
	if len(n.Mods) > 0 && (t.Kind == sqltype.Text || t.Kind == sqltype.Decimal) {
		t.Precision = n.Mods[0]
		if len(n.Mods) > 1 {
			t.Scale = n.Mods[1]
		}
	}
	if n.Dims > 0 {
		t = sqltype.ArrayOf(t)
	}
	return t
}

func number(text string) expr.Expr {
	d, err := decimal.Parse(text)
	if err != nil {
		// Past 38 digits a number is a DOUBLE.
		e, err := expr.Cast(expr.Literal(text), sqltype.TDouble, expr.CastExplicit)
		if err != nil {
			panic(bindError{err})
		}
		return e
	}
	return expr.Const(sqltype.NewDecimal(d), sqltype.TDecimal)
}

func integer(n int64) expr.Expr {
	if n < math.MinInt32 || n > math.MaxInt32 {
		return expr.Const(sqltype.NewBigInt(n), sqltype.TBigInt)
	}
	return expr.Const(sqltype.NewInt(sqltype.Integer, n), sqltype.TInteger)
}

func (b *testBinder) expr(e ast.Expr) (expr.Expr, error) {
	kids := func(es ...ast.Expr) []expr.Expr {
		out, err := b.list(es)
		if err != nil {
			panic(bindError{err})
		}
		return out
	}
	opt := func(e ast.Expr) expr.Expr {
		if e == nil {
			return nil
		}
		return kids(e)[0]
	}
	switch e := e.(type) {
	case *ast.NullLit:
		return expr.Null(), nil
	case *ast.BoolLit:
		return expr.Bool(e.Value), nil
	case *ast.IntLit:
		return integer(e.Value), nil
	case *ast.DecimalLit:
		return number(e.Text), nil
	case *ast.StringLit:
		return expr.Literal(e.Value), nil
	case *ast.BytesLit:
		return expr.Const(sqltype.NewString(sqltype.Bytes, e.Value), sqltype.TBytes), nil
	case *ast.TypedLit:
		return expr.Cast(expr.Literal(e.Value), typeOf(e.Type), expr.CastExplicit)
	case *ast.Param:
		return b.params.Expr(e.Index)
	case *ast.ColumnRef:
		if c, ok := b.cols[e.Name]; ok {
			return c, nil
		}
		return nil, fmt.Errorf("no column %s", e.Name)
	case *ast.UnaryExpr:
		if n, ok := e.X.(*ast.IntLit); ok && e.Op == ast.OpSub {
			return integer(-n.Value), nil
		}
		if n, ok := e.X.(*ast.DecimalLit); ok && e.Op == ast.OpSub {
			if n.Text == "9223372036854775808" {
				return integer(math.MinInt64), nil
			}
			return number("-" + n.Text), nil
		}
		return expr.Unary(e.Op, kids(e.X)[0])
	case *ast.BinaryExpr:
		k := kids(e.L, e.R)
		return expr.Binary(e.Op, k[0], k[1])
	case *ast.NotExpr:
		return expr.Not(kids(e.X)[0])
	case *ast.AndExpr:
		return expr.BindAnd(kids(e.Args...)...)
	case *ast.OrExpr:
		return expr.BindOr(kids(e.Args...)...)
	case *ast.LikeExpr:
		k := kids(e.X, e.Pattern)
		return expr.Like(e.Kind, e.Not, k[0], k[1], opt(e.Escape))
	case *ast.BetweenExpr:
		k := kids(e.X, e.Lo, e.Hi)
		return expr.Between(k[0], k[1], k[2], e.Not, e.Symmetric)
	case *ast.InExpr:
		return expr.In(kids(e.X)[0], kids(e.List...), e.Not)
	case *ast.QuantifiedExpr:
		k := kids(e.X, e.Array)
		return expr.Quantified(e.Op, e.All, k[0], k[1])
	case *ast.IsExpr:
		return expr.Is(e.Kind, e.Not, kids(e.X)[0])
	case *ast.DistinctExpr:
		k := kids(e.L, e.R)
		return expr.Distinct(k[0], k[1], e.Not)
	case *ast.ArrayExpr:
		return expr.Array(kids(e.Elems...)...)
	case *ast.RowExpr:
		return expr.Row(kids(e.Items...)...), nil
	case *ast.IndexExpr:
		k := kids(e.X, e.Index)
		return expr.Index(k[0], k[1])
	case *ast.SliceExpr:
		return expr.Slice(kids(e.X)[0], opt(e.Lo), opt(e.Hi))
	case *ast.CaseExpr:
		var whens []expr.When
		for _, w := range e.Whens {
			k := kids(w.Cond, w.Result)
			whens = append(whens, expr.When{Cond: k[0], Result: k[1]})
		}
		return expr.Case(opt(e.Operand), whens, opt(e.Else))
	case *ast.CastExpr:
		mode := expr.CastExplicit
		if e.Try {
			mode = expr.CastTry
		}
		return expr.Cast(kids(e.X)[0], typeOf(e.Type), mode)
	case *ast.AtTimeZoneExpr:
		k := kids(e.X, e.Zone)
		return expr.AtTimeZone(k[0], k[1])
	case *ast.FuncCall:
		return expr.Call(e.Name, kids(e.Args...)...)
	}
	return nil, fmt.Errorf("%T is not for this test", e)
}

type bindError struct{ err error }

// eval computes an expression without columns in all ways there are and
// checks that they agree: folded, over a row, over a batch.
func eval(text string) (v sqltype.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			b, ok := p.(bindError)
			if !ok {
				panic(p)
			}
			err = b.err
		}
	}()
	e, err := bind(text, nil)
	if err != nil {
		return v, err
	}
	e = expr.Resolve(e)
	ctx := &expr.Context{Now: testNow, User: "alice", Namespace: "app"}
	v, err = expr.Compile(e).EvalRow(ctx, nil)
	f, ferr := expr.Compile(expr.Fold(e)).EvalRow(ctx, nil)
	if show(v, err) != show(f, ferr) && !(err != nil && ferr == nil) {
		return v, fmt.Errorf("folded %s, not folded %s", show(f, ferr), show(v, err))
	}
	return v, err
}

// TestPostgres evaluates the expressions of testdata, whose results
// PostgreSQL 15 gave: expression, a tab, and the result (or ERROR and the
// SQLSTATE). A result behind a second tab is ours where it differs. The files
// random and time were made by a generator.
func TestPostgres(t *testing.T) {
	for _, name := range []string{"postgres", "random", "time"} {
		t.Run(name, func(t *testing.T) { checkPostgres(t, "testdata/"+name+".txt") })
	}
}

func checkPostgres(t *testing.T, name string) {
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	sc := bufio.NewScanner(strings.NewReader(string(file)))
	for sc.Scan() {
		line := sc.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			out.WriteString(line + "\n")
			continue
		}
		part := strings.Split(line, "\t")
		want := part[1]
		if len(part) > 2 {
			want = part[2]
		}
		v, err := eval(part[0])
		got := v.Text()
		switch {
		case err != nil:
			got = "ERROR " + err.Error()
			if e, ok := dberr.As(err); ok {
				got = "ERROR " + e.State()
			}
		case v.IsNull():
			got = "NULL"
		}
		got = strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(got)
		if got != want && !golden.Rewriting() {
			t.Errorf("%s\n     got %s (%v)\n    want %s", part[0], got, err, want)
		}
		line = part[0] + "\t" + part[1]
		if got != part[1] {
			line += "\t" + got
		}
		out.WriteString(line + "\n")
	}
	if golden.Rewriting() {
		golden.Write(t, name, out.String())
	}
}

// FuzzEval checks that no expression panics, and that every error of an
// evaluation has a code.
func FuzzEval(f *testing.F) {
	for _, name := range []string{"postgres", "random", "time"} {
		file, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(file)) {
			if text, _, ok := strings.Cut(line, "\t"); ok {
				f.Add(text)
			}
		}
	}
	ctx := &expr.Context{Now: testNow}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := bindCaught(text, nil)
		if err != nil || expr.Volatility(e) > 0 {
			return
		}
		e = expr.Resolve(e)
		v, err := expr.Compile(e).EvalRow(ctx, nil)
		if _, ok := dberr.As(err); err != nil && !ok {
			t.Fatalf("%s: error without a code: %v", text, err)
		}
		out, verr := expr.Compile(e).NewEval().EvalVector(ctx, vector.NewBatch(nil, 3))
		if (err == nil) != (verr == nil) || err == nil && show(v, nil) != show(out.Value(2), nil) {
			t.Fatalf("%s: row %s, vector %v", text, show(v, err), verr)
		}
		if f, err2 := expr.Compile(expr.Fold(e)).EvalRow(ctx, nil); err == nil && show(f, err2) != show(v, nil) {
			t.Fatalf("%s: folded %s, not folded %s", text, show(f, err2), show(v, nil))
		}
	})
}
