package ast_test

import (
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql/ast"
)

func TestPosIn(t *testing.T) {
	const sql = "aé\n\nñb"
	for _, c := range []struct {
		pos  ast.Pos
		want dberr.Pos
	}{
		{0, dberr.Pos{}},
		{ast.At(0), dberr.Pos{Offset: 0, Line: 1, Column: 1}},
		{ast.At(3), dberr.Pos{Offset: 3, Line: 1, Column: 3}},
		{ast.At(4), dberr.Pos{Offset: 4, Line: 2, Column: 1}},
		{ast.At(7), dberr.Pos{Offset: 7, Line: 3, Column: 2}},
		{ast.At(99), dberr.Pos{Offset: 8, Line: 3, Column: 3}},
	} {
		if got := c.pos.In(sql); got != c.want {
			t.Errorf("%d is %+v, want %+v", c.pos, got, c.want)
		}
	}
}

func TestQuoteIdent(t *testing.T) {
	for name, want := range map[string]string{
		"a": "a", "a_1$": "a_1$", "A": `"A"`, "1a": `"1a"`, "a b": `"a b"`, `a"b`: `"a""b"`, "": `""`, "ä": "ä",
		"select": `"select"`, "user": `"user"`, "name": "name", "time": "time",
	} {
		if got := ast.QuoteIdent(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}

// TestSQLOfBuiltTrees prints trees that no text parses to, as a rewriter makes
// them.
func TestSQLOfBuiltTrees(t *testing.T) {
	a := &ast.ColumnRef{Name: "a"}
	for _, c := range []struct {
		n    ast.Node
		want string
	}{
		{&ast.BinaryExpr{Op: ast.OpSub, L: a, R: &ast.IntLit{Value: -1}}, "a - -1"},
		{&ast.UnaryExpr{Op: ast.OpSub, X: &ast.IntLit{Value: -1}}, "-(-1)"},
		{&ast.CastExpr{X: &ast.IntLit{Value: -1}, Type: ast.TypeName{Name: "int"}}, "CAST(-1 AS int)"},
		{&ast.OrderItem{X: a, Dir: ast.Desc}, "a DESC"},
		{&ast.SelectItem{X: a, Alias: "B"}, `a AS "B"`},
		{&ast.TableName{Namespace: "n", UserQualified: true, Name: "t"}, "n.user.t"},
		{&ast.ColumnDef{Name: "c", Type: ast.TypeName{Name: "decimal", Mods: []int32{10, 2}}, NotNull: true}, "c decimal(10, 2) NOT NULL"},
		{&ast.Option{Name: "ttl", Value: &ast.StringLit{Value: "10s"}}, "ttl = '10s'"},
	} {
		if got := ast.SQL(c.n); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestOrderDefaults(t *testing.T) {
	for _, c := range []struct {
		item  ast.OrderItem
		desc  bool
		first bool
	}{
		{ast.OrderItem{}, false, false},
		{ast.OrderItem{Dir: ast.Desc}, true, true},
		{ast.OrderItem{Dir: ast.Desc, Nulls: ast.NullsLast}, true, false},
		{ast.OrderItem{Dir: ast.Asc, Nulls: ast.NullsFirst}, false, true},
	} {
		if c.item.Descending() != c.desc || c.item.PutsNullsFirst() != c.first {
			t.Errorf("%+v", c.item)
		}
	}
}
