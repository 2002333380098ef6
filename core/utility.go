package core

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql/ast"
)

// utility runs what is neither a query nor a change of rows.
func (st *statement) utility(ctx context.Context, state *table.State, stmt ast.Statement) error {
	switch x := stmt.(type) {
	case *ast.CreateNamespace:
		return st.createNamespace(ctx, x)
	case *ast.AlterNamespace:
		return st.alterNamespace(ctx, x)
	case *ast.DropNamespace:
		return st.dropNamespace(ctx, x)
	case *ast.UseNamespace:
		return st.use(state, x)
	case *ast.CreateTable:
		return st.createTable(ctx, state, x)
	case *ast.DropTable:
		return st.dropTable(ctx, x)
	case *ast.CreateView:
		return st.createView(ctx, state, x)
	case *ast.DropView:
		return st.dropView(ctx, x)
	case *ast.Truncate:
		return st.truncate(ctx, x)
	case *ast.Show:
		return st.showStatement(ctx, state, x)
	case *ast.Describe:
		return st.describe(ctx, state, x)
	case *ast.Subscribe:
		return st.subscribeAnswer(ctx, state, x)
	case *ast.KillLiveQuery:
		return st.killLiveQuery(x)
	case *ast.ClearCache:
		return st.clearCache()
	case *ast.AlterTable:
		return st.alterTable(ctx, x)
	case *ast.FlushTable:
		return st.flushTable(ctx, state, x)
	case *ast.FlushAll:
		return st.flushAll(ctx, state, x)
	case *ast.Compact:
		return st.compact(ctx, state, x)
	case *ast.CreateStorage:
		return st.createStorage(ctx, x)
	case *ast.AlterStorage:
		return st.alterStorage(ctx, x)
	case *ast.DropStorage:
		return st.dropStorage(ctx, x)
	case *ast.Backup:
		return st.backup(ctx, x)
	case *ast.Restore:
		return st.restore(ctx, x)
	case *ast.CreateAPIKey:
		return st.createAPIKey(ctx, x)
	case *ast.DropAPIKey:
		return st.dropAPIKey(ctx, x)
	case *ast.KillJob:
		return st.killJob(ctx, x)
	}
	return dberr.New(dberr.Unsupported, "The statement is not supported.")
}

// clearCache forgets compiled plans and what sessions know of tables. Who is
// no admin clears the own session only: the plans are everybody's.
func (st *statement) clearCache() error {
	if st.s.principal.Role.IsAdmin() {
		st.s.e.compiler.ClearCache()
		st.s.e.sessions.Clear()
		return st.answer("Caches cleared")
	}
	st.s.state.Clear()
	return st.answer("Session cache cleared")
}

// namespaceOf is the namespace that a name means: its own, else the current
// one.
func (st *statement) namespaceOf(n *ast.TableName) (ident.NamespaceID, error) {
	if n.Namespace != "" {
		return ident.NamespaceID(n.Namespace), nil
	}
	if st.namespace == "" {
		return "", dberr.Newf(dberr.NamespaceNotFound, "table %q has no namespace and none is selected", n.Name).
			WithHint("Write namespace.%s, or select a namespace with USE.", n.Name).WithState("3F000").At(n.Pos.In(st.text))
	}
	return st.namespace, nil
}

// qualified is the full name that a table's name means.
func (st *statement) qualified(n *ast.TableName) (ident.Table, error) {
	ns, err := st.namespaceOf(n)
	if err != nil {
		return ident.Table{}, err
	}
	if n.UserQualified && !st.s.principal.ExplicitUser {
		return ident.Table{}, errNoExplicitUser.At(n.Pos.In(st.text))
	}
	return ident.Table{Namespace: ns, Name: ident.TableName(n.Name)}, nil
}

// at puts a place of the statement into a coded error that has none.
func (st *statement) at(err error, p ast.Pos) error {
	if e, ok := dberr.As(err); ok {
		return e.At(p.In(st.text))
	}
	return err
}
