package core

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// createTableAs runs CREATE TABLE … AS: it makes a table with the columns of
// the query, then inserts the query's rows into it. When that fails the table
// is dropped again; a crash between the two leaves it empty.
func (st *statement) createTableAs(ctx context.Context, state *table.State, x *ast.CreateTable, ns ident.NamespaceID) error {
	if _, err := state.Catalog.Table(ns, ident.TableName(x.Name.Name)); err == nil && x.IfNotExists {
		return st.answer(fmt.Sprintf("Table %s.%s exists already", ns, x.Name.Name))
	}
	prep, err := st.s.e.compiler.Prepare(ctx, sql.Request{
		Text: st.text, Statement: x.Query, Namespace: st.namespace, Catalog: state.Catalog, Rows: st.s.e.rows, Params: st.params,
	})
	if err == nil {
		err = st.s.authorize(prep)
	}
	if err != nil {
		return err
	}
	def := *x
	def.Query, def.AsColumns = nil, nil
	if len(x.AsColumns) > len(prep.Columns()) {
		return dberr.Newf(dberr.InvalidSQL, "the table has %d column names, its query %d columns", len(x.AsColumns), len(prep.Columns())).
			At(x.AsColumns[len(prep.Columns())].Pos.In(st.text))
	}
	for i, c := range prep.Columns() {
		col := ast.ColumnDef{Pos: x.Query.Pos, Name: c.Name, Type: typeName(c.Type, x.Query.Pos)}
		if i < len(x.AsColumns) {
			col.Pos, col.Name = x.AsColumns[i].Pos, x.AsColumns[i].Name
		}
		def.Columns = append(def.Columns, col)
	}
	created, err := st.define(ctx, &def, ns)
	if err != nil {
		return err
	}
	if created == nil {
		return st.answer(fmt.Sprintf("Table %s.%s exists already", ns, x.Name.Name))
	}
	name := ast.TableName{Namespace: string(ns), Name: x.Name.Name}
	n, err := st.modifyText(ctx, ast.SQL(&ast.Insert{Table: name, Source: x.Query}), st.params)
	if err != nil {
		return errors.Join(err, st.undo(ctx, created))
	}
	return st.sink.End(Outcome{RowCount: n, Message: fmt.Sprintf("Table %s created, %s inserted", created.Ident(), plural(n, "row"))})
}

// undo drops a table that could not be filled.
func (st *statement) undo(ctx context.Context, t *ddl.Table) error {
	// Also when it is the statement's end that kept it from being filled.
	_, err := st.s.e.store.Define(context.WithoutCancel(ctx), func(e *catalog.Edit) error {
		_, err := e.DropTable(t.Namespace, t.Name, true)
		return err
	})
	return err
}

// modifyText runs an INSERT, UPDATE or DELETE that a statement is made of.
// Errors have no place, as their text is not the caller's.
func (st *statement) modifyText(ctx context.Context, text string, params []sqltype.Value) (int64, error) {
	whole, own := st.text, st.params
	st.text, st.params = text, params
	defer func() { st.text, st.params = whole, own }()
	state := st.s.e.store.Acquire()
	defer func() { state.Release() }()
	prep, err := st.prepare(ctx, state)
	if err != nil {
		return 0, placeless(err)
	}
	if prep.Kind() != sql.Modify {
		return 0, fmt.Errorf("run %q: it changes no rows", text)
	}
	n, _, err := st.modify(ctx, &state, prep)
	return n, placeless(err)
}

// typeName spells a type as a column definition has it.
func typeName(t sqltype.Type, p ast.Pos) ast.TypeName {
	n := ast.TypeName{Pos: p}
	if t.Kind == sqltype.Array {
		n.Dims, t = 1, t.ElemType()
	}
	if t.Kind == sqltype.Unknown {
		t = sqltype.TText // a bare NULL or text, as in PostgreSQL
	}
	n.Name = strings.ToLower(t.Kind.String())
	switch {
	case t.Precision == 0:
	case t.Kind == sqltype.Decimal:
		n.Mods = []int32{t.Precision, t.Scale}
	case t.Kind == sqltype.Text:
		n.Name, n.Mods = "varchar", []int32{t.Precision}
	}
	return n
}
