package core

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"weak"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/live/filter"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/binder"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/parser"
)

// liveOrigin is what a live plan was made from, so that it can be read again
// and, after its table was altered, be made again. The parsed query is not
// kept: there may be a hundred thousand plans, and few are made again.
type liveOrigin struct {
	plan   *sql.LivePlan
	text   string
	ns     ident.NamespaceID
	params []sqltype.Value
}

// livePlan gives a compiled query the form that the hub needs.
func livePlan(o *liveOrigin, q *ast.Query) *live.Plan {
	p := o.plan
	out := &live.Plan{
		Table: p.Table, FilterKey: p.FilterKey, ProjectionKey: p.ProjectionKey, ShowsDeleted: p.ShowsDeleted(),
		Equal:   equalities(p.Table, q, o.ns, o.params),
		Columns: make([]live.Column, 0, len(p.Columns)+live.SystemColumns),
		NewEval: func() filter.Evaluator { return p.NewEval() },
		Origin:  o,
	}
	for _, c := range p.Columns {
		out.Columns = append(out.Columns, live.Column{Name: c.Name, Type: c.Type})
	}
	return out
}

// livePlans are the plans that subscriptions have now: those that say the same
// share one, whoever the user is. A plan is kept by its subscriptions alone.
type livePlans struct {
	mu    sync.Mutex // guards byKey
	byKey map[livePlanKey]weak.Pointer[live.Plan]
}

// livePlanKey is all that a plan depends on. The table is one definition of
// it: an ALTER that was refused has made plans with its version, too.
type livePlanKey struct {
	table        *ddl.Table
	ns           ident.NamespaceID
	text, params string
}

// of gives the plan of a prepared query, which reads one table.
func (l *livePlans) of(prep *sql.Prepared, q *ast.Query, o liveOrigin) (*live.Plan, error) {
	reads := prep.Reads()
	if len(reads) != 1 {
		_, err := prep.Live() // which says what is wrong with that
		return nil, cmp.Or(err, error(dberr.New(dberr.Unsupported, "a live query reads one table")))
	}
	k := livePlanKey{table: reads[0], ns: o.ns, text: o.text, params: paramsKey(o.params)}
	l.mu.Lock()
	p := l.byKey[k].Value()
	l.mu.Unlock()
	if p != nil {
		return p, nil
	}
	var err error
	if o.plan, err = prep.Live(); err != nil {
		return nil, err
	}
	p = livePlan(&o, q)
	l.mu.Lock()
	defer l.mu.Unlock()
	if other := l.byKey[k].Value(); other != nil {
		return other, nil
	}
	if l.byKey == nil {
		l.byKey = map[livePlanKey]weak.Pointer[live.Plan]{}
	}
	l.byKey[k] = weak.Make(p)
	runtime.AddCleanup(p, l.forget, k)
	return p, nil
}

// forget takes out a plan that nobody has any more.
func (l *livePlans) forget(k livePlanKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byKey[k].Value() == nil {
		delete(l.byKey, k)
	}
}

func paramsKey(params []sqltype.Value) string {
	if len(params) == 0 {
		return ""
	}
	var b []byte
	for _, v := range params {
		text := v.Text()
		b = append(b, byte(v.Kind()), byte(0))
		if v.IsNull() {
			b[len(b)-1] = 1
		}
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return string(b)
}

// liveQuery parses the text of a subscription: a SELECT, or SUBSCRIBE TO with
// its options.
func liveQuery(text string) (*ast.Query, []ast.Option, error) {
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	switch x := tree.(type) {
	case *ast.Query:
		return x, nil, nil
	case *ast.Subscribe:
		return x.Query, x.Options, nil
	}
	return nil, nil, dberr.New(dberr.InvalidSQL, "Only a SELECT or SUBSCRIBE TO can be subscribed to.").At(tree.Position().In(text))
}

// replan makes a live plan again under another catalog.
func (e *Engine) replan(ctx context.Context, p *live.Plan, cat binder.Catalog) (*live.Plan, error) {
	o, ok := p.Origin.(*liveOrigin)
	if !ok {
		return nil, fmt.Errorf("make a live query's plan again from a %T", p.Origin)
	}
	q, _, err := liveQuery(o.text)
	if err != nil {
		return nil, err
	}
	prep, err := e.compiler.Prepare(ctx, sql.Request{Text: o.text, Statement: q, Namespace: o.ns, Catalog: cat, Params: o.params})
	if err != nil {
		return nil, err
	}
	return e.plans.of(prep, q, *o)
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
