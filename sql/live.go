package sql

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/optimizer"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// LivePlan is a query in the form that a subscription needs: which rows of
// one table belong to the result, and what they look like in it. It is
// immutable and may be shared.
type LivePlan struct {
	Table *ddl.Table
	// Columns describes the result's columns.
	Columns []ResultColumn
	// FilterKey is equal for plans of one table whose filter, with its
	// parameters, is the same, so that subscriptions can share its
	// evaluation. It is empty when every row matches.
	FilterKey string
	// ProjectionKey is equal for plans of one table whose projection gives
	// the same rows, so that subscriptions can share encoded messages.
	ProjectionKey string

	// scan reads every column that the plan and its system columns need;
	// preds and outs read its column identities, filter and project read scan
	// ordinals.
	scan    *plan.Scan
	preds   []expr.Expr
	outs    []expr.Expr
	types   []sqltype.Type
	labels  []string
	compile sync.Once
	// filter and project are made when the first evaluator is: most live
	// queries wait for long.
	filter  *expr.Program
	project []*expr.Program
}

// livePlan is what the plan cache keeps for Live: the query taken apart, with
// parameters still in it.
type livePlan struct {
	scan   *plan.Scan
	preds  []expr.Expr
	outs   []expr.Expr
	types  []sqltype.Type
	labels []string
}

// newLive takes a bound query apart, or says why it cannot be subscribed to.
func newLive(st *plan.Statement) (*livePlan, error) {
	refuse := func(what string) (*livePlan, error) {
		return nil, dberr.Newf(dberr.Unsupported, "a live query cannot have %s", what).
			WithHint("Subscribe to SELECT … FROM one table with an optional WHERE, all of it computable from one row.")
	}
	l := &livePlan{types: st.Types, labels: st.Labels}
	n := st.Query
	p, ok := n.(*plan.Project)
	if !ok {
		switch n.(type) {
		case *plan.Sort:
			return refuse("ORDER BY")
		case *plan.Limit:
			return refuse("LIMIT or OFFSET")
		case *plan.Distinct:
			return refuse("DISTINCT")
		case *plan.SetOp:
			return refuse("UNION, INTERSECT or EXCEPT")
		case *plan.With:
			return refuse("WITH")
		}
		return refuse("this form")
	}
	n = p.In
	if f, ok := n.(*plan.Filter); ok {
		l.preds, n = f.Preds, f.In
	}
	switch s := n.(type) {
	case *plan.Scan:
		l.scan = s
	case *plan.Aggregate:
		return refuse("aggregates, GROUP BY or HAVING")
	case *plan.Window:
		return refuse("window functions")
	case *plan.Join:
		return refuse("joins")
	case *plan.Apply:
		return refuse("subqueries")
	case *plan.Values:
		return refuse("no table to watch")
	case *plan.TableFunc:
		return refuse("table functions")
	default:
		return refuse("subqueries, views or WITH in FROM")
	}
	for _, id := range st.Output {
		l.outs = append(l.outs, p.Exprs[slices.Index(p.Cols, id)])
	}
	for _, e := range slices.Concat(l.preds, l.outs) {
		if !plan.Deterministic(e) {
			return refuse("functions whose result changes with time or caller, such as NOW() or RANDOM()")
		}
	}
	if l.scan.Table.Type == ident.SystemTable {
		return nil, dberr.New(dberr.Unsupported, "system tables cannot be subscribed to")
	}
	return l, nil
}

// Live gives the subscription's form of a Query: a SELECT over one table with
// an optional WHERE, all of it computable from one row alone. The coded error
// says what stands in the way otherwise, and that a SHARED table does.
func (p *Prepared) Live() (*LivePlan, error) {
	if p.c.kind != Query || p.c.explain != nil {
		return nil, dberr.New(dberr.InvalidSQL, "only a SELECT can be subscribed to")
	}
	for _, t := range p.c.reads {
		if t.Type == ident.SharedTable {
			return nil, dberr.New(dberr.Unsupported, "Live query subscriptions not supported on shared tables")
		}
	}
	if p.c.liveErr != nil {
		return nil, p.c.liveErr
	}
	src := p.c.live
	l := &LivePlan{Table: src.scan.Table, Columns: p.c.columns, scan: src.scan, types: src.types, labels: src.labels}
	var err error
	if l.preds, err = bindParams(src.preds, p.params); err != nil {
		return nil, err
	}
	if l.outs, err = bindParams(src.outs, p.params); err != nil {
		return nil, err
	}
	keys := make([]string, len(l.preds))
	for i, e := range l.preds {
		keys[i] = plan.Fingerprint(l.byOrdinal(e))
	}
	slices.Sort(keys)
	l.FilterKey = strings.Join(slices.Compact(keys), " AND ")
	var proj strings.Builder
	for i, e := range l.outs {
		proj.WriteString(strconv.Quote(l.Columns[i].Name))
		proj.WriteByte('=')
		proj.WriteString(plan.Fingerprint(l.byOrdinal(e)))
		proj.WriteByte(';')
	}
	l.ProjectionKey = proj.String()
	return l, nil
}

// ShowsDeleted tells whether deleted rows may belong to the result: the query
// names _deleted, and the table keeps them.
func (l *LivePlan) ShowsDeleted() bool {
	return l.scan.IncludeDeleted && l.Table.Type == ident.UserTable
}

// bindParams puts the parameters' values into expressions.
func bindParams(list []expr.Expr, params []sqltype.Value) ([]expr.Expr, error) {
	out := make([]expr.Expr, len(list))
	for i, e := range list {
		x, err := expr.Transform(e, func(e expr.Expr) (expr.Expr, error) {
			if p, ok := e.(*expr.ParamExpr); ok && p.Index <= len(params) {
				return expr.Const(params[p.Index-1].As(p.Type().Kind), p.Type()), nil
			}
			return e, nil
		})
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}

// byOrdinal turns column identities into scan ordinals.
func (l *LivePlan) byOrdinal(e expr.Expr) expr.Expr {
	return expr.MapColumns(e, func(id int) int { return l.scan.Ordinals[slices.Index(l.scan.Cols, id)] })
}

// LiveEval evaluates a LivePlan over single rows. One goroutine uses it.
//
// The rows are in scan order: the declared columns, then _seq, _updated and
// _deleted. Columns that the caller does not know may be missing at the end
// when the plan does not name them.
type LiveEval struct {
	ctx     expr.Context
	filter  *expr.Eval
	project []*expr.Eval
}

// NewEval makes an evaluator.
func (l *LivePlan) NewEval() *LiveEval {
	l.compile.Do(func() {
		if len(l.preds) > 0 {
			l.filter = expr.Compile(l.byOrdinal(expr.And(l.preds...)))
		}
		for _, e := range l.outs {
			l.project = append(l.project, expr.Compile(l.byOrdinal(e)))
		}
	})
	e := &LiveEval{}
	if l.filter != nil {
		e.filter = l.filter.NewEval()
	}
	for _, p := range l.project {
		e.project = append(e.project, p.NewEval())
	}
	return e
}

// Match tells whether the row belongs to the result. It allocates nothing for
// simple filters. BenchmarkLiveMatch measures it.
func (e *LiveEval) Match(row sqltype.Row) (bool, error) {
	if e.filter == nil {
		return true, nil
	}
	return e.filter.MatchRow(&e.ctx, row)
}

// Project computes the result's columns into dst, which has a place for each.
// Texts may share memory with the row.
func (e *LiveEval) Project(row, dst sqltype.Row) error {
	for i, p := range e.project {
		v, err := p.EvalRow(&e.ctx, row)
		if err != nil {
			return err
		}
		dst[i] = v
	}
	return nil
}

// statement starts a plan over the LivePlan's rows with columns of its own.
func (l *LivePlan) statement() *plan.Statement {
	return &plan.Statement{Types: slices.Clone(l.types), Labels: slices.Clone(l.labels)}
}

func addColumn(st *plan.Statement, name string, t sqltype.Type) int {
	st.Types, st.Labels = append(st.Types, t), append(st.Labels, name)
	return len(st.Types) - 1
}

// project puts the result's and the system columns on a node.
func (l *LivePlan) columns(st *plan.Statement, in plan.Node) *plan.Project {
	p := &plan.Project{In: in}
	add := func(e expr.Expr, name string) {
		id := addColumn(st, name, e.Type())
		p.Exprs, p.Cols = append(p.Exprs, e), append(p.Cols, id)
	}
	for i, e := range l.outs {
		add(expr.Resolve(e), l.Columns[i].Name)
	}
	for i := range 3 {
		ord := len(l.Table.Columns) + i
		add(l.column(ord), l.Table.ScanName(ord))
	}
	return p
}

// column is a column of the scan by its ordinal.
func (l *LivePlan) column(ord int) expr.Expr {
	id := l.scan.Cols[slices.Index(l.scan.Ordinals, ord)]
	return expr.Column(id, l.Table.ScanType(ord), l.Table.ScanName(ord))
}

func run(ctx context.Context, st *plan.Statement, env *exec.Env) (exec.Rows, error) {
	optimizer.Optimize(st, optimizer.Options{})
	p, err := exec.Compile(st)
	if err != nil {
		return nil, err
	}
	return p.Query(ctx, env, nil)
}

// Initial reads the rows that are in the result now: the newest last of them,
// or all with a negative last; oldest first. Each row has the plan's Columns
// and then _seq, _updated and _deleted.
func (l *LivePlan) Initial(ctx context.Context, env *exec.Env, last int64) (exec.Rows, error) {
	st := l.statement()
	var n plan.Node = l.scan
	if len(l.preds) > 0 {
		n = &plan.Filter{In: n, Preds: l.preds}
	}
	p := l.columns(st, n)
	seq := p.Cols[len(l.outs)]
	n = p
	if last >= 0 {
		n = &plan.Limit{
			In:    &plan.Sort{In: n, Keys: []plan.SortKey{{Col: seq, Desc: true}}},
			Limit: expr.Const(sqltype.NewBigInt(last), sqltype.TBigInt),
		}
	}
	st.Query, st.Output = &plan.Sort{In: n, Keys: []plan.SortKey{{Col: seq}}}, p.Cols
	return run(ctx, st, env)
}

// Since reads the rows that changed after a sequence number in their newest
// state, deleted ones and those outside the filter too, oldest first. Each has
// the plan's Columns, then _seq, _updated, _deleted, and a BOOLEAN that tells
// whether the row is in the result now.
func (l *LivePlan) Since(ctx context.Context, env *exec.Env, after change.Seq) (exec.Rows, error) {
	st := l.statement()
	scan := *l.scan
	scan.IncludeDeleted = true
	newer, err := expr.Binary(ast.OpGt, l.column(l.Table.SeqOrdinal()), expr.Const(sqltype.NewBigInt(int64(after)), sqltype.TBigInt))
	if err != nil {
		return nil, err
	}
	p := l.columns(st, &plan.Filter{In: &scan, Preds: []expr.Expr{newer}})
	in := expr.And(l.preds...)
	if !l.scan.IncludeDeleted {
		alive, err := expr.Not(l.column(l.Table.DeletedOrdinal()))
		if err != nil {
			return nil, err
		}
		in = expr.And(append(slices.Clone(l.preds), alive)...)
	}
	in, err = expr.Is(ast.IsTrue, false, in)
	if err != nil {
		return nil, err
	}
	p.Exprs, p.Cols = append(p.Exprs, in), append(p.Cols, addColumn(st, "in_result", sqltype.TBoolean))
	st.Query, st.Output = &plan.Sort{In: p, Keys: []plan.SortKey{{Col: p.Cols[len(l.outs)]}}}, p.Cols
	return run(ctx, st, env)
}
