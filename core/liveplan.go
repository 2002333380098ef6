package core

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/live/filter"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/binder"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// liveOrigin is what a live plan was made from, so that it can be read again
// and, after its table was altered, be made again.
type liveOrigin struct {
	plan   *sql.LivePlan
	text   string
	query  *ast.Query
	ns     ident.NamespaceID
	params []sqltype.Value
}

// livePlan gives a compiled query the form that the hub needs.
func livePlan(o *liveOrigin) *live.Plan {
	p, q, ns, params := o.plan, o.query, o.ns, o.params
	out := &live.Plan{
		Table: p.Table, FilterKey: p.FilterKey, ProjectionKey: p.ProjectionKey, NamesDeleted: names(q, sysname.Deleted),
		Equal:   equalities(p.Table, q, ns, params),
		NewEval: func() filter.Evaluator { return p.NewEval() },
		Origin:  o,
	}
	for _, c := range p.Columns {
		out.Columns = append(out.Columns, live.Column{Name: c.Name, Type: c.Type})
	}
	return out
}

// replan makes a live plan again under another catalog.
func (e *Engine) replan(ctx context.Context, p *live.Plan, cat binder.Catalog) (*live.Plan, error) {
	o, ok := p.Origin.(*liveOrigin)
	if !ok {
		return nil, fmt.Errorf("make a live query's plan again from a %T", p.Origin)
	}
	prep, err := e.compiler.Prepare(ctx, sql.Request{Text: o.text, Statement: o.query, Namespace: o.ns, Catalog: cat, Params: o.params})
	if err != nil {
		return nil, err
	}
	next := *o
	if next.plan, err = prep.Live(); err != nil {
		return nil, err
	}
	return livePlan(&next), nil
}

// equalities finds the conjuncts "column = constant" of a query that reads the
// table by its own name, so that the hub finds the subscriptions that a change
// concerns without asking each of them. It leaves out whatever is not plain:
// the filter itself decides.
func equalities(t *ddl.Table, q *ast.Query, ns ident.NamespaceID, params []sqltype.Value) []filter.Equality {
	sel, ok := q.Body.(*ast.Select)
	if !ok || len(sel.From) != 1 || q.With != nil {
		return nil
	}
	ref, ok := sel.From[0].(*ast.TableRef)
	if !ok || len(ref.Alias.Columns) > 0 || ref.Name.Name != string(t.Name) {
		return nil
	}
	if ref.Name.Namespace != "" {
		ns = ident.NamespaceID(ref.Name.Namespace)
	}
	if ns != t.Namespace {
		return nil
	}
	conjuncts := []ast.Expr{sel.Where}
	if and, ok := sel.Where.(*ast.AndExpr); ok {
		conjuncts = and.Args
	}
	var out []filter.Equality
	for _, c := range conjuncts {
		eq, ok := c.(*ast.BinaryExpr)
		if !ok || eq.Op != ast.OpEq {
			continue
		}
		for _, sides := range [2][2]ast.Expr{{eq.L, eq.R}, {eq.R, eq.L}} {
			if e, ok := equality(t, sides[0], sides[1], params); ok {
				out = append(out, e)
				break
			}
		}
	}
	return out
}

func equality(t *ddl.Table, col, val ast.Expr, params []sqltype.Value) (filter.Equality, bool) {
	c, ok := col.(*ast.ColumnRef)
	if !ok {
		return filter.Equality{}, false
	}
	o, ok := t.Ordinal(c.Name)
	if !ok || o >= len(t.Columns) {
		return filter.Equality{}, false
	}
	var v sqltype.Value
	switch x := val.(type) {
	case *ast.StringLit:
		v = sqltype.NewText(x.Value)
	case *ast.IntLit:
		v = sqltype.NewBigInt(x.Value)
	case *ast.Param:
		if x.Index > len(params) {
			return filter.Equality{}, false
		}
		v = params[x.Index-1]
	default:
		return filter.Equality{}, false
	}
	// Only where the constant is compared as it stands.
	kind := t.Columns[o].Type.Kind
	same := kind == sqltype.Text && v.Kind() == sqltype.Text || kind.IsInteger() && v.Kind() == sqltype.BigInt
	return filter.Equality{Ordinal: o, Value: v}, same && !v.IsNull()
}

// names tells whether a query names a column anywhere.
func names(q *ast.Query, column string) bool {
	found := false
	ast.Inspect(q, func(n ast.Node) bool {
		if c, ok := n.(*ast.ColumnRef); ok && c.Name == column {
			found = true
		}
		return !found
	})
	return found
}
