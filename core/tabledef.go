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
	"github.com/kalamdb/kalamdb/sql/binder"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

func (st *statement) createTable(ctx context.Context, state *table.State, x *ast.CreateTable) error {
	if x.Name.UserQualified {
		return dberr.New(dberr.InvalidSQL, "A table is created without the .user. qualifier.").
			WithHint("Write CREATE USER TABLE %s.%s.", x.Name.Namespace, x.Name.Name).At(x.Name.Pos.In(st.text))
	}
	ns, err := st.namespaceOf(&x.Name)
	if err != nil {
		return err
	}
	// The namespace is looked at again in the critical section; asking first
	// gives the plainer error when it is missing.
	if _, err := state.Catalog.Namespace(ns); err != nil {
		return st.at(err, x.Name.Pos)
	}
	if x.Query != nil {
		return st.createTableAs(ctx, state, x, ns)
	}
	created, err := st.define(ctx, x, ns)
	switch {
	case err != nil:
		return err
	case created == nil:
		return st.answer(fmt.Sprintf("Table %s.%s exists already", ns, x.Name.Name))
	}
	return st.answer(fmt.Sprintf("Table %s created", created.Ident()))
}

// define creates a table from its columns. It gives nil for one that was there
// already.
func (st *statement) define(ctx context.Context, x *ast.CreateTable, ns ident.NamespaceID) (*ddl.Table, error) {
	def, err := catalog.Define(x, st.text, ns, func(d ast.Expr, t sqltype.Type) (string, error) {
		return st.checkDefault(ctx, d, t)
	})
	if err != nil {
		return nil, err
	}
	var created *ddl.Table
	_, err = st.s.e.store.Define(ctx, func(e *catalog.Edit) error {
		var err error
		created, err = e.CreateTable(def, x.IfNotExists)
		return err
	})
	if err != nil {
		return nil, st.at(err, x.Name.Pos)
	}
	return created, nil
}

// checkDefault checks a DEFAULT expression: it reads no columns and no tables,
// gives one value that can be assigned to the column, and what it calls is
// either deterministic or one of the functions that a column may default to.
// It gives the expression's text.
func (st *statement) checkDefault(ctx context.Context, x ast.Expr, t sqltype.Type) (string, error) {
	var bad error
	refuse := func(n ast.Node, format string, args ...any) {
		if bad == nil {
			bad = dberr.Newf(dberr.InvalidSQL, "DEFAULT: "+format, args...).At(n.Position().In(st.text))
		}
	}
	ast.InspectExpr(x, func(e ast.Expr) bool {
		switch n := e.(type) {
		case *ast.ColumnRef:
			refuse(n, "column %q cannot be used here", n.Name)
		case *ast.Param:
			refuse(n, "a parameter cannot be used here")
		case *ast.SubqueryExpr, *ast.ExistsExpr, *ast.ArraySubqueryExpr:
			refuse(n, "a subquery cannot be used here")
		case *ast.InExpr:
			if n.Query != nil {
				refuse(n, "a subquery cannot be used here")
			}
		case *ast.FuncCall:
			if n.Over != nil {
				refuse(n, "a window function cannot be used here")
			}
			// The overloads of one name are alike in what counts here.
			if fs := builtin.Lookup(strings.ToLower(n.Name)); len(fs) > 0 {
				switch f := fs[0]; {
				case f.Kind != builtin.Scalar:
					refuse(n, "function %s cannot be used here", n.Name)
				case f.Volatility == builtin.Volatile && !ownDefaults[f.Name]:
					refuse(n, "function %s gives another value each time; only %s may", n.Name, "SNOWFLAKE_ID, UUID_V7, ULID and GEN_RANDOM_UUID")
				}
			}
		}
		return bad == nil
	})
	if bad != nil {
		return "", bad
	}
	if _, err := st.prepareDefault(ctx, x, t); err != nil {
		return "", err
	}
	return ast.SQL(x), nil
}

// prepareDefault compiles a DEFAULT expression as the one value of an INSERT:
// whether it can be assigned to the type is what that would find out.
func (st *statement) prepareDefault(ctx context.Context, x ast.Expr, t sqltype.Type) (*sql.Prepared, error) {
	probe := &ddl.Table{
		Namespace: "default", Name: "default", Type: ident.SharedTable, SchemaVersion: 1,
		Columns: []ddl.Column{{ID: 1, Name: "value", Type: t}},
	}
	prep, err := st.s.e.compiler.Prepare(ctx, sql.Request{
		Text: st.text,
		Statement: &ast.Insert{
			Table:  ast.TableName{Namespace: string(probe.Namespace), Name: string(probe.Name)},
			Source: &ast.Query{Body: &ast.Values{Rows: [][]ast.Expr{{x}}}},
		},
		Catalog: probeCatalog{probe},
	})
	if err != nil {
		var e *dberr.Error
		if errors.As(err, &e) {
			c := *e
			c.Message = "DEFAULT: " + c.Message
			return nil, &c
		}
	}
	return prep, err
}

// probeCatalog has one table.
type probeCatalog struct{ t *ddl.Table }

var _ binder.Catalog = probeCatalog{}

// Version implements binder.Catalog.
func (probeCatalog) Version() uint64 { return 0 }

// Table implements binder.Catalog.
func (p probeCatalog) Table(ident.NamespaceID, ident.TableName) (*ddl.Table, error) { return p.t, nil }

// View implements binder.Catalog.
func (probeCatalog) View(ident.NamespaceID, ident.TableName) (*ddl.View, bool) { return nil, false }

// ownDefaults are the functions that a DEFAULT may call although they give
// another value each time.
var ownDefaults = map[string]bool{
	"snowflake_id": true, "uuid_v7": true, "ulid": true, "gen_random_uuid": true,
}

// unsubscribed refuses to drop tables that live queries still use. It runs
// between two batches, where no subscription can begin.
func (e *Engine) unsubscribed(edit *catalog.Edit) error {
	for _, t := range edit.Dropped() {
		if n := e.hub.CountByTable(t.ID); n > 0 {
			return dberr.Newf(dberr.ActiveSubscriptions, "Cannot drop table '%s': %d active subscription(s) exist", t.Ident(), n).
				WithHint("End them with KILL LIVE QUERY; SELECT live_id FROM system.live_queries lists them.")
		}
	}
	return nil
}

func (st *statement) dropTable(ctx context.Context, x *ast.DropTable) error {
	names := make([]ident.Table, len(x.Tables))
	for i := range x.Tables {
		var err error
		if names[i], err = st.qualified(&x.Tables[i]); err != nil {
			return err
		}
	}
	var dropped []*ddl.Table
	_, err := st.s.e.store.Define(ctx, func(e *catalog.Edit) error {
		for i, n := range names {
			t, err := e.DropTable(n.Namespace, n.Name, x.IfExists)
			if err != nil {
				return st.at(err, x.Tables[i].Pos)
			}
			if t == nil {
				continue
			}
			if x.Type != ast.TableUnset && x.Type.String() != string(t.Type) {
				return dberr.Newf(dberr.InvalidSQL, "table %s is a %s table", n, strings.ToUpper(string(t.Type))).
					WithHint("Use DROP TABLE.").At(x.Tables[i].Pos.In(st.text))
			}
			dropped = append(dropped, t)
		}
		return st.s.e.unsubscribed(e)
	})
	if err != nil {
		return err
	}
	for _, t := range dropped {
		st.s.e.sessions.Forget(t.ID)
	}
	switch len(dropped) {
	case 0:
		return st.answer(fmt.Sprintf("Table %s does not exist", names[0]))
	case 1:
		return st.answer(fmt.Sprintf("Table %s dropped", dropped[0].Ident()))
	}
	return st.answer(fmt.Sprintf("%d tables dropped", len(dropped)))
}

// truncate deletes all rows that the caller has in the tables, one after the
// other: it is DELETE without a condition.
func (st *statement) truncate(ctx context.Context, x *ast.Truncate) error {
	var total int64
	for i := range x.Tables {
		t := x.Tables[i]
		t.Pos = 0
		n, err := st.modifyText(ctx, ast.SQL(&ast.Delete{Table: t}), nil)
		if err != nil {
			return st.at(err, x.Tables[i].Pos)
		}
		total += n
	}
	return st.sink.End(Outcome{RowCount: total, Message: plural(total, "row") + " deleted"})
}

// placeless takes the place out of an error that is about another text.
func placeless(err error) error {
	var e *dberr.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Pos = dberr.Pos{}
	return &c
}
