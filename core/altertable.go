package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/binder"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// alterTable runs ALTER TABLE. The next definition is made beside the
// committer and takes effect between two batches. Alterations of one table come
// one after the other.
//
// Statements that were planned with the old definition find that out at their
// commit and are run again, before the next alteration. Subscriptions are moved
// to the new one, which they are told of; an ALTER that one of them cannot
// follow is refused.
func (st *statement) alterTable(ctx context.Context, x *ast.AlterTable) error {
	id, err := st.qualified(&x.Name)
	if err != nil {
		return err
	}
	for {
		base, err := st.s.e.store.Catalog().Table(id.Namespace, id.Name)
		if err != nil {
			if x.IfExists && dberr.CodeOf(err) == dberr.TableNotFound {
				return st.answer(fmt.Sprintf("Table %s does not exist", id))
			}
			return st.at(err, x.Name.Pos)
		}
		if base.Type == ident.SystemTable {
			return dberr.Newf(dberr.PermissionDenied, "table %s belongs to the system and cannot be changed", id).At(x.Name.Pos.In(st.text))
		}
		again, err := st.alterAlone(ctx, x, id, base.ID)
		if !again {
			return err
		}
	}
}

// alterAlone alters the table with an id while nobody else does. again: the
// name is another table's by now.
func (st *statement) alterAlone(ctx context.Context, x *ast.AlterTable, name ident.Table, id ident.TableID) (again bool, err error) {
	e := st.s.e
	give, err := e.turns.take(ctx, []demand{aloneOn(id)})
	if err != nil {
		return false, err
	}
	defer give()
	base, err := e.store.Catalog().Table(name.Namespace, name.Name)
	if err != nil || base.ID != id {
		return true, nil
	}
	alt, err := catalog.Alter(base, x, st.text, func(d ast.Expr, t sqltype.Type) (string, error) {
		return st.checkDefault(ctx, d, t)
	}, func(d ast.Expr, t sqltype.Type) (sqltype.Value, error) {
		return st.evalDefault(ctx, d, t)
	})
	if err != nil {
		return false, err
	}
	if alt.Changes == "" {
		return false, st.answer(fmt.Sprintf("Table %s is unchanged", name))
	}
	err = e.alter(ctx, base, alt)
	var conflict *table.Conflict
	switch {
	case errors.As(err, &conflict):
		return true, nil
	case err != nil:
		return false, st.at(err, x.Pos)
	}
	return false, st.answer(fmt.Sprintf("Table %s altered: schema version %d", name, alt.Table.SchemaVersion))
}

// alter puts an alteration of base into force. A *table.Conflict means that
// base is no longer the definition.
func (e *Engine) alter(ctx context.Context, base *ddl.Table, alt *catalog.Alteration) error {
	f := &followers{e: e, base: base, alt: alt, next: map[*live.Plan]*live.Plan{}}
	// Most of the work with subscriptions is done beside the committer.
	if err := f.prepare(ctx); err != nil {
		return err
	}
	_, err := e.store.DefineThen(ctx, func(edit *catalog.Edit) error {
		cat := edit.Next()
		if !cat.Current(base) {
			return &table.Conflict{Table: base.ID}
		}
		if alt.NeedsEmpty != "" {
			if live, _ := e.store.RowCount(base.ID); live > 0 {
				return dberr.Newf(dberr.NotNullViolation, "column %q is NOT NULL and has no default, but table %s has rows", alt.NeedsEmpty, base.Ident()).
					WithHint("Give the column a DEFAULT.")
			}
		}
		broken := e.brokenViews(ctx, base, alt, cat)
		if err := edit.AlterTable(alt.Table, alt.Changes); err != nil {
			return err
		}
		for _, v := range broken(cat) {
			return dberr.Newf(dberr.Conflict, "Cannot alter table '%s': view %s.%s uses what would be gone", base.Ident(), v.Namespace, v.Name).
				WithHint("Drop the view first, and create it anew afterwards.").WithState("2BP01")
		}
		// Subscriptions begin between two batches, too: there are no others.
		if err := f.prepare(ctx); err != nil {
			return err
		}
		return f.refusal()
	}, func(*catalog.Snapshot) { e.hub.Rebind(base.ID, alt.Table.SchemaVersion, f.rebind) })
	return err
}

// brokenViews finds the views that compile now and will not when the
// alteration is in force. Only those can that name the table, and only when a
// column goes.
func (e *Engine) brokenViews(ctx context.Context, base *ddl.Table, alt *catalog.Alteration, cat *catalog.Snapshot) func(binder.Catalog) []*ddl.View {
	compiles := func(v *ddl.View, cat binder.Catalog) bool {
		q := &ast.Query{Body: &ast.Select{
			Items: []ast.SelectItem{{X: &ast.Star{}}},
			From:  []ast.TableExpr{&ast.TableRef{Name: ast.TableName{Namespace: string(v.Namespace), Name: string(v.Name)}}},
		}}
		_, err := e.compiler.Prepare(ctx, sql.Request{Text: ast.SQL(q), Statement: q, Catalog: cat})
		return err == nil
	}
	var sound []*ddl.View
	if len(alt.Gone) > 0 {
		for v := range cat.Views("") {
			if strings.Contains(v.Query, string(base.Name)) && compiles(v, cat) {
				sound = append(sound, v)
			}
		}
	}
	return func(next binder.Catalog) []*ddl.View {
		return slices.DeleteFunc(sound, func(v *ddl.View) bool { return compiles(v, next) })
	}
}

// evalDefault evaluates a DEFAULT expression once, as an INSERT would.
func (st *statement) evalDefault(ctx context.Context, x ast.Expr, t sqltype.Type) (sqltype.Value, error) {
	prep, err := st.prepareDefault(ctx, x, t)
	if err != nil {
		return sqltype.Value{}, err
	}
	state := st.s.e.store.Acquire()
	defer state.Release()
	res, err := prep.Modify(ctx, st.environment(state, st.start))
	if err != nil {
		return sqltype.Value{}, err
	}
	defer res.Release()
	if len(res.Writes.Writes) != 1 {
		return sqltype.Value{}, fmt.Errorf("evaluate a default: it gave %d rows", len(res.Writes.Writes))
	}
	return res.Writes.Writes[0].New.Clone()[0], nil
}
