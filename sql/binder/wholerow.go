package binder

import (
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
)

// The name of an item of FROM, where no column has it, is its row: a record of
// its columns. As an argument of a function that makes JSON it is an object of
// them, so that json_agg(m) is what an application wants to have of m.

// wholeRow finds the item of FROM that a name without a table means, here or in
// an outer scope; nil when there is none. Columns come first: the caller
// looks for them.
func wholeRow(sc *scope, name string) *relation {
	for s := sc; s != nil; s = s.parent {
		for _, r := range s.rels {
			if r.name == name {
				return r
			}
		}
	}
	return nil
}

// rowOf is an item's row; that of an item which an outer join has found no row
// of is NULL.
func (b *binder) rowOf(rel *relation) (expr.Expr, error) {
	cols := visible(rel.cols)
	items := make([]expr.Expr, len(cols))
	for i, c := range cols {
		items[i] = b.col(c.id)
	}
	row := expr.Row(items...)
	if !rel.nullable {
		return row, nil
	}
	return expr.Case(nil, []expr.When{{Cond: expr.IsNull(row, false), Result: expr.Null()}}, row)
}

// fieldNames are the names of the columns of an item's row, as an array.
func fieldNames(rel *relation) (expr.Expr, error) {
	cols := visible(rel.cols)
	names := make([]expr.Expr, len(cols))
	for i, c := range cols {
		names[i] = expr.Const(sqltype.NewText(c.name), sqltype.TText)
	}
	return expr.Array(names...)
}

// makesJSON are the functions that turn their arguments into JSON.
var makesJSON = map[string]bool{
	"row_to_json": true, "to_json": true, "to_jsonb": true, "json_agg": true, "jsonb_agg": true,
	"json_build_object": true, "jsonb_build_object": true, "json_build_array": true, "jsonb_build_array": true,
	"json_object_agg": true, "jsonb_object_agg": true,
}

// rowArgument binds an argument that is the row of an item of FROM: u or u.*.
// nil: it is none.
func (b *binder) rowArgument(f *ast.FuncCall, a ast.Expr, sc *scope) (expr.Expr, error) {
	var rel *relation
	switch a := a.(type) {
	case *ast.ColumnRef:
		if a.Table == "" {
			rel = wholeRow(sc, a.Name)
		}
		if rel == nil {
			return nil, nil
		}
		for s := sc; s != nil; s = s.parent { // columns come first
			if _, _, found, err := b.lookupIn(s, a); found || err != nil {
				return nil, err
			}
		}
	case *ast.Star:
		rel = wholeRow(sc, a.Table)
	}
	if rel == nil {
		return nil, nil
	}
	row, err := b.rowOf(rel)
	if err != nil || !makesJSON[f.Name] {
		return row, err
	}
	names, err := fieldNames(rel)
	if err != nil {
		return nil, err
	}
	return expr.Call("row_to_json", row, names)
}

// field is (u).name.
func (b *binder) field(e *ast.FieldExpr, sc *scope) (expr.Expr, error) {
	if c, ok := e.X.(*ast.ColumnRef); ok && c.Table == "" && wholeRow(sc, c.Name) != nil {
		return b.lookup(sc, &ast.ColumnRef{Pos: e.Pos, Table: c.Name, Name: e.Name})
	}
	return nil, dberr.New(dberr.Unsupported, "only the row of an item of FROM has named fields").
		WithHint("Write (t).name or t.name with the name of a table in FROM.")
}
