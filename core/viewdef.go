package core

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/parser"
)

// maxViewDepth is how deep views may lie in views.
const maxViewDepth = 32

func (st *statement) createView(ctx context.Context, state *table.State, x *ast.CreateView) error {
	name, err := st.qualified(&x.Name)
	if err != nil {
		return err
	}
	if _, err := ident.ParseTable(string(name.Name)); err != nil {
		return st.at(err, x.Name.Pos)
	}
	if _, err := state.Catalog.Namespace(name.Namespace); err != nil {
		return st.at(err, x.Name.Pos)
	}
	if err := st.noLoop(state.Catalog, name, x.Query, 0); err != nil {
		return st.at(err, x.Name.Pos)
	}
	// The query is compiled to see that it means something.
	prep, err := st.s.e.compiler.Prepare(ctx, sql.Request{Text: st.text, Statement: x.Query, Namespace: st.namespace, Catalog: state.Catalog})
	if err != nil {
		return err
	}
	if prep.Kind() != sql.Query {
		return dberr.New(dberr.InvalidSQL, "A view is a SELECT.").At(x.Query.Pos.In(st.text))
	}
	v := &ddl.View{Namespace: name.Namespace, Name: name.Name}
	if len(x.Columns) > len(prep.Columns()) {
		return dberr.Newf(dberr.InvalidSQL, "the view has %d column names, its query %d columns", len(x.Columns), len(prep.Columns())).
			At(x.Columns[len(prep.Columns())].Pos.In(st.text))
	}
	for _, c := range x.Columns {
		v.Columns = append(v.Columns, c.Name)
	}
	if v.Query, err = st.qualifiedText(x.Query); err != nil {
		return err
	}
	_, err = st.s.e.store.Define(ctx, func(e *catalog.Edit) error { return e.CreateView(v, x.OrReplace) })
	if err != nil {
		return st.at(err, x.Name.Pos)
	}
	return st.answer(fmt.Sprintf("View %s created", name))
}

// qualifiedText is a query's text with the current namespace in every table
// name that has none, so that it means the same for everybody.
func (st *statement) qualifiedText(q *ast.Query) (string, error) {
	text := ast.SQL(q)
	if st.namespace == "" {
		return text, nil // every name is qualified already, else it had not compiled
	}
	// Trees are not changed after parsing, so it is done in one of our own.
	tree, err := parser.Parse(text)
	if err != nil {
		return "", err
	}
	for _, r := range tableRefs(tree) {
		if r.Name.Namespace == "" {
			r.Name.Namespace = string(st.namespace)
		}
	}
	return ast.SQL(tree), nil
}

// tableRefs lists the references to tables and views, leaving out those to the
// statement's own WITH queries.
func tableRefs(n ast.Node) []*ast.TableRef {
	ctes := map[string]bool{}
	ast.Inspect(n, func(n ast.Node) bool {
		if c, ok := n.(*ast.CTE); ok {
			ctes[c.Name] = true
		}
		return true
	})
	var out []*ast.TableRef
	ast.Inspect(n, func(n ast.Node) bool {
		if r, ok := n.(*ast.TableRef); ok && (r.Name.Namespace != "" || !ctes[r.Name.Name]) {
			out = append(out, r)
		}
		return true
	})
	return out
}

// noLoop refuses a view that would read itself, directly or through others.
func (st *statement) noLoop(cat *catalog.Snapshot, name ident.Table, q ast.Node, depth int) error {
	if depth > maxViewDepth {
		return dberr.Newf(dberr.InvalidSQL, "views lie more than %d deep in each other", maxViewDepth)
	}
	for _, r := range tableRefs(q) {
		ns := ident.NamespaceID(r.Name.Namespace)
		if ns == "" {
			ns = st.namespace
		}
		if ns == name.Namespace && r.Name.Name == string(name.Name) {
			return dberr.Newf(dberr.InvalidSQL, "view %s would read itself", name)
		}
		v, ok := cat.View(ns, ident.TableName(r.Name.Name))
		if !ok {
			continue
		}
		tree, err := parser.Parse(v.Query)
		if err != nil {
			return fmt.Errorf("read view %s.%s: %w", v.Namespace, v.Name, err)
		}
		if err := st.noLoop(cat, name, tree, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (st *statement) dropView(ctx context.Context, x *ast.DropView) error {
	names := make([]ident.Table, len(x.Views))
	for i := range x.Views {
		var err error
		if names[i], err = st.qualified(&x.Views[i]); err != nil {
			return err
		}
	}
	n := 0
	_, err := st.s.e.store.Define(ctx, func(e *catalog.Edit) error {
		for i, v := range names {
			dropped, err := e.DropView(v.Namespace, v.Name, x.IfExists)
			if err != nil {
				return st.at(err, x.Views[i].Pos)
			}
			if dropped {
				n++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch {
	case n == 0:
		return st.answer(fmt.Sprintf("View %s does not exist", names[0]))
	case n == 1 && len(names) == 1:
		return st.answer(fmt.Sprintf("View %s dropped", names[0]))
	}
	return st.answer(plural(int64(n), "view") + " dropped")
}
