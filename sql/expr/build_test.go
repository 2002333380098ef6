package expr_test

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/store/vector"
)

// TestParameterTypes checks which types parameters get from their places.
func TestParameterTypes(t *testing.T) {
	for text, want := range map[string]string{
		"i = $1":                         "INT",
		"$1 > n":                         "BIGINT",
		"$1 < ts":                        "TIMESTAMP",
		"s LIKE $1":                      "TEXT",
		"i IN ($1, $2)":                  "INT INT",
		"$1 IN (i, 2)":                   "INT",
		"i BETWEEN $1 AND $2":            "INT INT",
		"n + $1":                         "BIGINT",
		"$1::int + 1":                    "INT",
		"$1 || 'x'":                      "TEXT",
		"$1 AND b":                       "BOOLEAN",
		"coalesce($1, i)":                "INT",
		"CASE WHEN b THEN $1 ELSE n END": "BIGINT",
		"u = $1":                         "UUID",
		"i = ANY ($1)":                   "INT[]",
		"$1 = ANY (a)":                   "INT",
		"$1 IS NULL":                     "UNKNOWN",
		"$1 IS NULL OR i = $1":           "INT",
		"lower($1)":                      "TEXT",
		"substr(s, $1)":                  "INT",
		"ts > now() - $1::interval":      "INTERVAL",
		"(i, s) = ($1, $2)":              "INT TEXT",
		"d = $1":                         "DECIMAL",
	} {
		e, err := parser.ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		b := &testBinder{cols: testColumns()}
		if _, err := b.expr(e); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, p := range b.params.Types() {
			got = append(got, p.String())
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: parameters are %s, want %s", text, s, want)
		}
	}
	var p expr.Params
	for _, bad := range []int{0, -1, expr.MaxParams + 1} {
		if _, err := p.Expr(bad); err == nil {
			t.Errorf("$%d is accepted", bad)
		}
	}
}

func TestParameterValues(t *testing.T) {
	e := must(expr.Binary(ast.OpEq, expr.Column(0, sqltype.TInteger, "i"), expr.Param(1, sqltype.TInteger)))
	ev := expr.Compile(e).NewEval()
	in := vector.NewBatch([]*vector.Vector{vector.FromInts(sqltype.TInteger, []int64{1, 2, 3}, nil)}, 3)
	for _, want := range []int64{2, 3} {
		ctx := &expr.Context{Params: []sqltype.Value{sqltype.NewInt(sqltype.Integer, want)}}
		sel, err := ev.Filter(ctx, in)
		if err != nil || len(sel) != 1 || in.Cols[0].Ints[sel[0]] != want {
			t.Errorf("$1 = %d: %v, %v", want, sel, err)
		}
	}
	if _, err := ev.Filter(&expr.Context{}, in); dberr.CodeOf(err) != dberr.ParameterMismatch {
		t.Errorf("without parameters: %v", err)
	}
	sel, err := ev.Filter(&expr.Context{Params: []sqltype.Value{sqltype.Null()}}, in)
	if err != nil || sel == nil || len(sel) != 0 {
		t.Errorf("NULL: %v, %v", sel, err)
	}
}

// TestUntypedParameter checks that a parameter whose place gives it no type
// keeps its value.
func TestUntypedParameter(t *testing.T) {
	in := vector.NewBatch([]*vector.Vector{vector.FromInts(sqltype.TInteger, []int64{1, 2, 3}, nil)}, 3)
	for _, tt := range []struct {
		text  string
		param sqltype.Value
		want  int
	}{
		{"$1 IS NULL OR i = $1", sqltype.NewInt(sqltype.Integer, 2), 1},
		{"$1 IS NULL OR i = $1", sqltype.Null(), 3},
		{"$1 IS NOT NULL", sqltype.NewText("x"), 3},
		{"'x' IS NULL", sqltype.Null(), 0},
		{"NULL IS NULL", sqltype.Null(), 3},
	} {
		e := must(bind(tt.text, map[string]expr.Expr{"i": expr.Column(0, sqltype.TInteger, "i")}))
		ctx := &expr.Context{Params: []sqltype.Value{tt.param}}
		ev := expr.Compile(e).NewEval()
		sel, err := ev.Filter(ctx, in)
		if err != nil || len(sel) != tt.want {
			t.Errorf("%s with %q: %v, %v", tt.text, tt.param.Text(), sel, err)
		}
		hits := 0
		row := make(sqltype.Row, 1)
		for i := range in.Len() {
			in.ReadRow(i, row)
			if ok, err := ev.MatchRow(ctx, row); err != nil {
				t.Error(err)
			} else if ok {
				hits++
			}
		}
		if hits != tt.want {
			t.Errorf("%s with %q: %d rows match", tt.text, tt.param.Text(), hits)
		}
	}
}

func TestBindErrors(t *testing.T) {
	for text, want := range map[string]dberr.Code{
		"i = s":                     dberr.FunctionNotFound,
		"i + b":                     dberr.FunctionNotFound,
		"i AND b":                   dberr.TypeMismatch,
		"NOT i":                     dberr.TypeMismatch,
		"CASE WHEN i THEN 1 END":    dberr.TypeMismatch,
		"coalesce(i, s)":            dberr.TypeMismatch,
		"i = 'x'":                   dberr.TypeMismatch,
		"ts > 'soon'":               dberr.TypeMismatch,
		"i = '99999999999'":         dberr.ValueOutOfRange,
		"b::timestamp":              dberr.TypeMismatch,
		"no_such_function(i)":       dberr.FunctionNotFound,
		"lower(i)":                  dberr.FunctionNotFound,
		"count(i)":                  dberr.InvalidSQL,
		"i LIKE 'a'":                dberr.FunctionNotFound,
		"i = ANY (i)":               dberr.TypeMismatch,
		"i IN (1, 'x')":             dberr.TypeMismatch,
		"'{bad'::json":              dberr.InvalidJSON,
		"repeat('x', 2000000000)":   dberr.TooLarge,
		"s ~ '(' AND s IS NOT NULL": dberr.InvalidSQL,
	} {
		e, err := bindCaught(text, testColumns())
		if err == nil {
			in := vector.NewBatch(nil, 1)
			for _, c := range columnTypes {
				b := vector.NewBuilder(c.typ, 1)
				if c.name == "s" {
					b.AppendString("x")
				} else {
					b.AppendNull()
				}
				in.Cols = append(in.Cols, b.Finish())
			}
			_, err = expr.Compile(e).NewEval().EvalVector(&expr.Context{}, in)
		}
		if dberr.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	_, err := bindCaught("lenght(s)", testColumns())
	if e, ok := dberr.As(err); !ok || !strings.Contains(e.Hint, "length") {
		t.Errorf("a misspelt name: %v", err)
	}
}

func TestAssignmentCasts(t *testing.T) {
	varchar := sqltype.Type{Kind: sqltype.Text, Precision: 3}
	dec := sqltype.Type{Kind: sqltype.Decimal, Precision: 4, Scale: 1}
	s := func(v string) expr.Expr { return expr.Const(sqltype.NewText(v), sqltype.TText) }
	for _, tt := range []struct {
		x    expr.Expr
		to   sqltype.Type
		mode expr.CastMode
		want string
	}{
		{s("abcd"), varchar, expr.CastAssign, "VALUE_OUT_OF_RANGE"}, {s("abc  "), varchar, expr.CastAssign, "abc"}, {s("abcd"), varchar, expr.CastExplicit, "abc"},
		{expr.Literal("abcd"), varchar, expr.CastAssign, "VALUE_OUT_OF_RANGE"}, {expr.Literal("ab"), varchar, expr.CastAssign, "ab"},
		{integer(5), dec, expr.CastAssign, "5.0"}, {integer(5000), dec, expr.CastAssign, "VALUE_OUT_OF_RANGE"}, {expr.Literal("1.26"), dec, expr.CastAssign, "1.3"},
		{integer(5), sqltype.TText, expr.CastAssign, "5"}, {s("5"), sqltype.TInteger, expr.CastAssign, "TYPE_MISMATCH"}, {s("5"), sqltype.TInteger, expr.CastExplicit, "5"},
		{integer(70000), sqltype.TSmallInt, expr.CastAssign, "VALUE_OUT_OF_RANGE"}, {integer(70000), sqltype.TSmallInt, expr.CastTry, "NULL"}, {expr.Literal("x"), sqltype.TInteger, expr.CastTry, "NULL"},
		{integer(7), sqltype.TSmallInt, expr.CastImplicit, "TYPE_MISMATCH"}, {integer(7), sqltype.TBigInt, expr.CastImplicit, "7"},
		{expr.Null(), sqltype.TInteger, expr.CastAssign, "NULL"}, {expr.Bool(true), sqltype.TInteger, expr.CastAssign, "TYPE_MISMATCH"}, {expr.Bool(true), sqltype.TInteger, expr.CastExplicit, "1"},
	} {
		e, err := expr.Cast(tt.x, tt.to, tt.mode)
		var got string
		if err == nil {
			var v sqltype.Value
			if v, err = expr.Compile(e).EvalRow(&expr.Context{}, nil); err == nil {
				if got = v.Text(); v.IsNull() {
					got = "NULL"
				} else if v.Kind() != tt.to.Kind {
					t.Errorf("%s to %s has kind %s", expr.String(tt.x), tt.to, v.Kind())
				}
			}
		}
		if err != nil {
			got = string(dberr.CodeOf(err))
		}
		if got != tt.want {
			t.Errorf("%s to %s (%d): %s (%v), want %s", expr.String(tt.x), tt.to, tt.mode, got, err, tt.want)
		}
	}
}

func TestClockTextIsNotFrozen(t *testing.T) {
	e := must(bind("ts < 'now'", testColumns()))
	if expr.Volatility(e) != builtin.Stable {
		t.Error("'now' is immutable")
	}
	if c, ok := expr.Fold(e).(*expr.CompareExpr); !ok {
		t.Errorf("folded to %s", expr.String(expr.Fold(e)))
	} else if _, frozen := c.R.(*expr.ConstExpr); frozen {
		t.Error("'now' was folded into a constant")
	}
	if expr.Volatility(must(bind("ts < '2025-01-01'", testColumns()))) != builtin.Immutable {
		t.Error("a date literal is not immutable")
	}
}

func TestFoldAndText(t *testing.T) {
	for text, want := range map[string]string{
		"i + (1 + 2)":                       "i + 3",
		"i = 1 AND true":                    "i = 1",
		"i = 1 OR true":                     "TRUE",
		"i = 1 AND false":                   "FALSE",
		"1 = 1 AND 2 > 1":                   "TRUE",
		"CASE WHEN false THEN i ELSE j END": "j",
		"CASE WHEN true THEN i ELSE j END":  "i",
		"coalesce(NULL, i, j)":              "coalesce(i, j)",
		"coalesce(NULL::int, 5)":            "5",
		"1 / 0":                             "1 / 0",
		"i IN (1, 2) AND s LIKE 'a%'":       "(i IN (1, 2)) AND (s LIKE 'a%')",
		"lower('ABC') = s":                  "'abc' = s",
		"upper(NULL) IS NULL":               "TRUE",
		"i::text || 'x'":                    "CAST(i AS TEXT) || 'x'",
		"NOT (b IS NOT TRUE)":               "NOT (b IS NOT TRUE)",
		"random() < 2":                      "random() < 2",
		"s IS NOT DISTINCT FROM NULL":       "s IS NOT DISTINCT FROM NULL",
		"ts > '2025-01-01'":                 "ts > '2025-01-01 00:00:00'::TIMESTAMP",
		"i = ANY (ARRAY[1, 2])":             "i = ANY ('{1,2}'::INT[])",
	} {
		e, err := bindCaught(text, testColumns())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := expr.String(expr.Fold(e)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestFingerprints(t *testing.T) {
	cols := testColumns()
	same := [][2]string{{"i = 1", "i=1"}, {"i IN (1,2)", "i  in (1, 2)"}, {"s = 'a'", "s = 'a'::text"}, {"i = 1 AND (j = 2 AND b)", "i = 1 AND j = 2 AND b"}}
	for _, p := range same {
		if !expr.Equal(must(bind(p[0], cols)), must(bind(p[1], cols))) {
			t.Errorf("%s and %s differ", p[0], p[1])
		}
	}
	other := [][2]string{{"i = 1", "j = 1"}, {"i = 1", "i = 2"}, {"s = '1'", "i = 1"}, {"length(s) = 1", "length(t) = 1"}, {"i = 1", "i <> 1"}, {"s LIKE 'a'", "s ILIKE 'a'"}, {"s = 'a'", "s = 'A'"}, {"i + n = 1", "i + i = 1"}}
	for _, p := range other {
		if expr.Equal(must(bind(p[0], cols)), must(bind(p[1], cols))) {
			t.Errorf("%s and %s are equal", p[0], p[1])
		}
	}
	// Names do not count, ordinals do.
	if !expr.Equal(expr.Column(1, sqltype.TText, "a"), expr.Column(1, sqltype.TText, "b")) {
		t.Error("a column's name counts")
	}
}

func TestWalking(t *testing.T) {
	e := must(bind("CASE WHEN i > j THEN length(s) ELSE n END IN (1, d)", testColumns()))
	if got := expr.Columns(e); len(got) != 5 {
		t.Errorf("columns %v", got)
	}
	moved := expr.MapColumns(e, func(o int) int { return o + 10 })
	if got := expr.Columns(moved); len(got) != 5 || got[0] != expr.Columns(e)[0]+10 {
		t.Errorf("moved columns %v", got)
	}
	if expr.Equal(e, moved) {
		t.Error("moving columns changes nothing")
	}
	if n := len(expr.Conjuncts(must(bind("i = 1 AND j = 2 AND b", testColumns())))); n != 3 {
		t.Errorf("%d conjuncts", n)
	}
	if !expr.HasParams(expr.Param(1, sqltype.TText)) || expr.HasParams(e) {
		t.Error("HasParams")
	}
	if !expr.IsConst(must(bind("now() - '1 day'::interval", nil))) || expr.IsConst(must(bind("random()", nil))) || expr.IsConst(e) {
		t.Error("IsConst")
	}
}
