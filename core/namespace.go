package core

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// optionText is an option's value as a text.
func optionText(o *ast.Option) (string, error) {
	switch v := o.Value.(type) {
	case *ast.StringLit:
		return v.Value, nil
	case *ast.NullLit:
		return "", nil
	case *ast.IntLit, *ast.DecimalLit, *ast.BoolLit, *ast.UnaryExpr:
		return ast.SQL(v), nil
	}
	return "", dberr.Newf(dberr.InvalidSQL, "option %s needs a plain value", o.Name)
}

func (st *statement) namespaceOptions(opts []ast.Option) (map[string]string, error) {
	if len(opts) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(opts))
	for i := range opts {
		v, err := optionText(&opts[i])
		if err != nil {
			return nil, st.at(err, opts[i].Pos)
		}
		out[opts[i].Name] = v
	}
	return out, nil
}

func (st *statement) createNamespace(ctx context.Context, x *ast.CreateNamespace) error {
	id, err := ident.ParseNamespace(x.Name.Name)
	if err != nil {
		return st.at(err, x.Name.Pos)
	}
	options, err := st.namespaceOptions(x.Options)
	if err != nil {
		return err
	}
	created := false
	_, err = st.s.e.store.Define(ctx, func(e *catalog.Edit) error {
		var err error
		created, err = e.CreateNamespace(id, options, x.IfNotExists)
		return err
	})
	if err != nil {
		return st.at(err, x.Name.Pos)
	}
	if !created {
		return st.answer(fmt.Sprintf("Namespace %s exists already", id))
	}
	return st.answer(fmt.Sprintf("Namespace %s created", id))
}

func (st *statement) alterNamespace(ctx context.Context, x *ast.AlterNamespace) error {
	options, err := st.namespaceOptions(x.Options)
	if err != nil {
		return err
	}
	_, err = st.s.e.store.Define(ctx, func(e *catalog.Edit) error {
		return e.SetNamespaceOptions(ident.NamespaceID(x.Name.Name), options)
	})
	if err != nil {
		return st.at(err, x.Name.Pos)
	}
	return st.answer(fmt.Sprintf("Namespace %s altered", x.Name.Name))
}

func (st *statement) dropNamespace(ctx context.Context, x *ast.DropNamespace) error {
	dropped := false
	var tables []*ddl.Table
	_, err := st.s.e.store.Define(ctx, func(e *catalog.Edit) error {
		var err error
		if dropped, err = e.DropNamespace(ident.NamespaceID(x.Name.Name), x.Cascade, x.IfExists); err != nil {
			return err
		}
		tables = e.Dropped()
		return st.s.e.unsubscribed(e)
	})
	if err != nil {
		return st.at(err, x.Name.Pos)
	}
	for _, t := range tables {
		st.s.e.sessions.Forget(t.ID)
	}
	if !dropped {
		return st.answer(fmt.Sprintf("Namespace %s does not exist", x.Name.Name))
	}
	return st.answer(fmt.Sprintf("Namespace %s dropped", x.Name.Name))
}

func (st *statement) use(state *table.State, x *ast.UseNamespace) error {
	n, err := state.Catalog.Namespace(ident.NamespaceID(x.Name.Name))
	if err != nil {
		return st.at(err, x.Name.Pos)
	}
	st.s.state.Use(n.ID)
	st.namespace = n.ID
	return st.answer(fmt.Sprintf("Using namespace %s", n.ID))
}
