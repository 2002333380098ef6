package binder

import (
	"slices"
	"strconv"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// cteEnv is the chain of CTEs that are in scope, innermost first.
type cteEnv struct {
	parent *cteEnv
	name   string
	cte    *plan.CTE
	names  []string
	ids    []int
	// recursive is set while the step of a recursive CTE is bound, selfRefs
	// counts its references to itself.
	recursive bool
	selfRefs  int
	// silent says that the CTE changes rows and has no RETURNING.
	silent bool
}

func (b *binder) findCTE(name string) *cteEnv {
	for e := b.ctes; e != nil; e = e.parent {
		if e.name == name {
			return e
		}
	}
	return nil
}

func (b *binder) cteRef(t *ast.TableRef, e *cteEnv) (*fromItem, error) {
	if e.silent {
		return nil, b.errorf(t, dberr.Unsupported, "WITH query %q does not have a RETURNING clause", e.name)
	}
	if e.cte == nil {
		return nil, b.errorf(t, dberr.InvalidSQL, "recursive reference to query %q must not appear within its non-recursive term", e.name).WithState("42P19")
	}
	ref := &plan.CTERef{CTE: e.cte, Working: e.recursive}
	if e.recursive {
		e.selfRefs++
	} else {
		e.cte.Refs++
	}
	rel := &relation{name: e.name}
	if t.Alias.Name != "" {
		rel.name = t.Alias.Name
	}
	for i, id := range e.ids {
		n := b.column(e.names[i], b.st.Types[id])
		ref.Cols = append(ref.Cols, n)
		rel.cols = append(rel.cols, outColumn{name: e.names[i], id: n})
	}
	if err := b.rename(t, rel, t.Alias.Columns); err != nil {
		return nil, err
	}
	return &fromItem{node: ref, rels: []*relation{rel}, cols: rel.cols}, nil
}

// topQuery binds a query that is a statement.
func (b *binder) topQuery(q *ast.Query) error {
	if at := changes(q.With); len(at) > 0 {
		return b.modifyingQuery(q, at)
	}
	r, err := b.query(q, nil)
	if err != nil {
		return err
	}
	b.settle(r)
	b.st.Query, b.st.Names, b.st.Output = r.node, r.names, r.ids
	return nil
}

// query binds a query; outer is the scope around it, nil at the top.
func (b *binder) query(q *ast.Query, outer *scope) (*result, error) {
	if b.depth++; b.depth > maxDepth {
		return nil, b.errorf(q, dberr.TooLarge, "queries are nested deeper than %d", maxDepth)
	}
	saved := b.ctes
	defer func() { b.depth--; b.ctes = saved }()
	ctes, err := b.with(q.With, outer)
	if err != nil {
		return nil, err
	}
	r, err := b.body(q, outer)
	if err != nil {
		return nil, err
	}
	if len(ctes) > 0 {
		r.node = &plan.With{CTEs: ctes, Body: r.node}
	}
	return r, nil
}

// with binds a WITH clause and leaves its names in scope.
func (b *binder) with(w *ast.With, outer *scope) ([]*plan.CTE, error) {
	if w == nil {
		return nil, nil
	}
	var out []*plan.CTE
	seen := map[string]bool{}
	for _, c := range w.CTEs {
		if seen[c.Name] {
			return nil, b.errorf(c, dberr.InvalidSQL, "WITH query name %q specified more than once", c.Name).WithState("42712")
		}
		seen[c.Name] = true
		q, ok := c.Stmt.(*ast.Query)
		if !ok {
			cte, err := b.modified(c)
			if err != nil {
				return nil, err
			}
			if cte != nil {
				out = append(out, cte)
			}
			continue
		}
		cte := &plan.CTE{Name: c.Name, Materialized: c.Materialized == ast.Materialized}
		env := &cteEnv{parent: b.ctes, name: c.Name}
		var r *result
		var err error
		if so, rec := q.Body.(*ast.SetOp); w.Recursive && rec && so.Kind == ast.Union && q.Limit == nil && q.Offset == nil && len(q.OrderBy) == 0 {
			r, err = b.recursive(c, q, so, cte, env, outer)
		} else {
			r, err = b.query(q, outer)
		}
		if err != nil {
			return nil, err
		}
		b.settle(r)
		names, err := b.cteNames(c, r.names)
		if err != nil {
			return nil, err
		}
		cte.In, cte.Cols = r.node, r.ids
		b.ctes = &cteEnv{parent: b.ctes, name: c.Name, cte: cte, names: names, ids: r.ids}
		out = append(out, cte)
	}
	return out, nil
}

// cteNames are the names of a CTE's columns: those of its list, then its
// query's.
func (b *binder) cteNames(c *ast.CTE, names []string) ([]string, error) {
	if len(c.Columns) > len(names) {
		return nil, b.errorf(c, dberr.InvalidSQL, "WITH query %q has %d columns available but %d columns specified", c.Name, len(names), len(c.Columns)).WithState("42P10")
	}
	names = slices.Clone(names)
	for i, id := range c.Columns {
		names[i] = id.Name
	}
	return names, nil
}

// recursive binds base UNION [ALL] step, where the step may name the CTE.
func (b *binder) recursive(c *ast.CTE, q *ast.Query, so *ast.SetOp, cte *plan.CTE, env *cteEnv, outer *scope) (*result, error) {
	saved := b.ctes
	defer func() { b.ctes = saved }()
	inner, err := b.with(q.With, outer)
	if err != nil {
		return nil, err
	}
	env.parent = b.ctes
	b.ctes = env
	base, err := b.queryBody(so.L, outer)
	if err != nil {
		return nil, err
	}
	// A column without a type yet takes the step's, where that is known
	// without the base; TEXT otherwise.
	b.settle(base)
	env.cte, env.recursive, env.ids = cte, true, base.ids
	env.names = slices.Clone(base.names)
	for i, id := range c.Columns {
		if i < len(env.names) {
			env.names[i] = id.Name
		}
	}
	step, err := b.queryBody(so.R, outer)
	if err != nil {
		return nil, err
	}
	if len(step.ids) != len(base.ids) {
		return nil, b.errorf(so, dberr.InvalidSQL, "each UNION query must have the same number of columns")
	}
	if env.selfRefs > 1 {
		return nil, b.errorf(so.R, dberr.InvalidSQL, "recursive reference to query %q must not appear more than once", c.Name).WithState("42P19")
	}
	if env.selfRefs == 0 {
		// It does not recurse: an ordinary union.
		return b.combine(so, base, step)
	}
	types := make([]sqltype.Type, len(base.ids))
	for i, id := range base.ids {
		types[i] = b.st.Types[id]
		if _, ok := step.lits[i]; ok {
			continue
		}
		st := b.st.Types[step.ids[i]]
		if st.Kind != types[i].Kind {
			if t, err := expr.CommonType(b.col(id), b.col(step.ids[i])); err != nil || t.Kind != types[i].Kind {
				return nil, b.errorf(so, dberr.TypeMismatch, "recursive query %q column %d has type %s in non-recursive term but type %s overall", c.Name, i+1, types[i], st).
					WithHint("Cast the output of the non-recursive term to the correct type.")
			}
		}
	}
	if err := b.coerce(step, types); err != nil {
		return nil, b.at(so, err)
	}
	cte.Step, cte.StepCols, cte.Distinct = step.node, step.ids, !so.All
	if len(inner) > 0 {
		base.node = &plan.With{CTEs: inner, Body: base.node}
	}
	return base, nil
}

// body binds what follows WITH.
func (b *binder) body(q *ast.Query, outer *scope) (*result, error) {
	if sel, ok := q.Body.(*ast.Select); ok {
		return b.selectQuery(sel, q, outer)
	}
	r, err := b.queryBody(q.Body, outer)
	if err != nil {
		return nil, err
	}
	if len(q.OrderBy) == 0 && q.Limit == nil && q.Offset == nil {
		return r, nil
	}
	b.settle(r)
	sc := &scope{parent: outer, node: r.node, clause: "ORDER BY"}
	rel := &relation{}
	for i, id := range r.ids {
		rel.cols = append(rel.cols, outColumn{name: r.names[i], id: id})
	}
	sc.cols = rel.cols
	var keys []orderExpr
	for i := range q.OrderBy {
		it := &q.OrderBy[i]
		k := orderExpr{desc: it.Descending(), nullsFirst: it.PutsNullsFirst()}
		if n, ok, err := b.ordinal(it.X, len(r.ids), "ORDER BY"); err != nil {
			return nil, err
		} else if ok {
			k.x = b.col(r.ids[n])
		} else if k.x, err = b.expr(it.X, sc); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	node, err := b.sortLimit(sc.node, keys, q, outer)
	if err != nil {
		return nil, err
	}
	r.node = node
	return r, nil
}

// ordinal reads a number that stands for a column of the select list. Other
// bare constants are refused there: they would order or group nothing, and
// whoever writes them means something else.
func (b *binder) ordinal(e ast.Expr, n int, clause string) (int, bool, error) {
	// Signs belong to a number, however many there are.
	lit, sign := e, int64(1)
	for {
		u, ok := lit.(*ast.UnaryExpr)
		if !ok || u.Op != ast.OpSub {
			break
		}
		lit, sign = u.X, -sign
	}
	var at int64
	switch l := lit.(type) {
	case *ast.IntLit:
		at = sign * l.Value
	case *ast.DecimalLit:
		return 0, true, b.errorf(e, dberr.InvalidSQL, "non-integer constant in %s", clause).WithState("42601")
	case *ast.NullLit, *ast.BoolLit, *ast.StringLit, *ast.BitLit:
		if lit != e {
			return 0, false, nil
		}
		return 0, true, b.errorf(e, dberr.InvalidSQL, "non-integer constant in %s", clause).WithState("42601")
	default:
		return 0, false, nil
	}
	if at < 1 || at > int64(n) {
		return 0, true, b.errorf(e, dberr.InvalidSQL, "%s position %d is not in select list", clause, at).WithState("42P10")
	}
	return int(at) - 1, true, nil
}

// sortLimit puts ORDER BY, LIMIT and OFFSET on a node.
func (b *binder) sortLimit(in plan.Node, order []orderExpr, q *ast.Query, outer *scope) (plan.Node, error) {
	limit, err := b.count(q.Limit, "LIMIT", outer)
	if err != nil {
		return nil, err
	}
	offset, err := b.count(q.Offset, "OFFSET", outer)
	if err != nil {
		return nil, err
	}
	in, keys := b.sortKeys(in, order, q.WithTies)
	if len(keys) > 0 {
		in = &plan.Sort{In: in, Keys: keys}
	}
	if limit == nil && offset == nil {
		return in, nil
	}
	l := &plan.Limit{In: in, Limit: limit, Offset: offset}
	if q.WithTies {
		if len(keys) == 0 {
			return nil, b.errorf(q.Limit, dberr.InvalidSQL, "WITH TIES cannot be specified without ORDER BY clause")
		}
		l.Ties = keys
	}
	return l, nil
}

// sortKeys makes columns of the keys. Constants order nothing, but with ties
// they make all rows equal.
func (b *binder) sortKeys(in plan.Node, order []orderExpr, ties bool) (plan.Node, []plan.SortKey) {
	var keep []orderExpr
	for _, o := range order {
		if _, ok := o.x.(*expr.ConstExpr); !ok || ties {
			keep = append(keep, o)
		}
	}
	exprs := make([]expr.Expr, len(keep))
	for i, o := range keep {
		exprs[i] = o.x
	}
	in, ids := b.extend(in, exprs, func(int) string { return "order" })
	keys := make([]plan.SortKey, len(keep))
	for i, o := range keep {
		keys[i] = plan.SortKey{Col: ids[i], Desc: o.desc, NullsFirst: o.nullsFirst}
	}
	return in, keys
}

// count binds LIMIT or OFFSET: a BIGINT without columns of this query.
func (b *binder) count(e ast.Expr, what string, outer *scope) (expr.Expr, error) {
	if e == nil {
		return nil, nil
	}
	x, err := b.expr(e, &scope{parent: outer, clause: what})
	if err != nil {
		return nil, err
	}
	if k := x.Type().Kind; k != sqltype.Unknown && !k.IsNumeric() {
		return nil, b.errorf(e, dberr.TypeMismatch, "argument of %s must be type bigint, not type %s", what, x.Type())
	}
	x, err = expr.Cast(x, sqltype.TBigInt, expr.CastAssign)
	if err != nil {
		return nil, b.at(e, err)
	}
	return expr.Fold(x), nil
}

// queryBody binds a part of a query that has no clauses of its own around it.
func (b *binder) queryBody(body ast.QueryBody, outer *scope) (*result, error) {
	switch q := body.(type) {
	case *ast.Select:
		return b.selectQuery(q, &ast.Query{Pos: q.Pos, Body: q}, outer)
	case *ast.Query:
		return b.query(q, outer)
	case *ast.Values:
		return b.values(q, outer)
	case *ast.SetOp:
		return b.setOp(q, outer)
	}
	return nil, b.unsupported(body, "this form of query")
}

// values binds VALUES: each column has the common type of its expressions.
func (b *binder) values(v *ast.Values, outer *scope) (*result, error) {
	rows := make([][]expr.Expr, len(v.Rows))
	subs := valueRows{outer: outer}
	for i, row := range v.Rows {
		if len(row) != len(v.Rows[0]) {
			return nil, b.errorf(v, dberr.InvalidSQL, "VALUES lists must all be the same length")
		}
		var err error
		if rows[i], err = b.exprs(row, subs.next()); err != nil {
			return nil, err
		}
	}
	over, nested := subs.nodes()
	out := &plan.Values{Rows: rows}
	r := &result{node: out}
	for c := range v.Rows[0] {
		col := make([]expr.Expr, len(rows))
		for i := range rows {
			col[i] = rows[i][c]
		}
		t, err := expr.CommonType(col...)
		if err != nil {
			return nil, b.at(v, err)
		}
		if t.Kind == sqltype.Unknown && (len(rows) > 1 || nested) {
			t = sqltype.TText
		}
		name := columnName(c)
		id := b.column(name, t)
		for i := range rows {
			if rows[i][c], err = expr.Coerce(rows[i][c], t); err != nil {
				return nil, b.at(v.Rows[i][c], err)
			}
		}
		out.Cols = append(out.Cols, id)
		r.names, r.ids = append(r.names, name), append(r.ids, id)
	}
	if len(rows) == 1 {
		// One row is a projection of nothing, whose types can wait.
		p := &plan.Project{In: over[0], Exprs: rows[0], Cols: out.Cols}
		if !nested {
			p.In = oneRow()
		}
		r.node = p
		r.lits = map[int]lit{}
		for i, e := range p.Exprs {
			if e.Type().Kind == sqltype.Unknown {
				r.lits[i] = lit{proj: p, slot: i}
			}
		}
		return r, nil
	}
	if nested {
		r.node = b.valuesOver(over, out)
	}
	return r, nil
}

// valueRows gives each row of VALUES a scope to bind it in, so that a row
// computes the subqueries that it holds, and no row those of another.
type valueRows struct {
	outer *scope
	// now is the scope of the last row; base is its node before the row.
	now  *scope
	base plan.Node
	// over has, for each row before, the node with its subqueries; nil: none.
	over   []plan.Node
	nested bool
}

// next is the scope of the next row.
func (v *valueRows) next() *scope {
	v.leave()
	if v.now == nil {
		v.base = oneRow()
		v.now = &scope{parent: v.outer, clause: "VALUES", node: v.base}
	}
	return v.now
}

// leave notes what the last row put into its scope, which the next one takes
// over when that was nothing.
func (v *valueRows) leave() {
	switch {
	case v.now == nil:
	case v.now.node == v.base:
		v.over = append(v.over, nil)
	default:
		v.over, v.nested, v.now = append(v.over, v.now.node), true, nil
	}
}

// nodes are the nodes of all rows, and whether any has subqueries.
func (v *valueRows) nodes() ([]plan.Node, bool) {
	v.leave()
	return v.over, v.nested
}

// oneRow is a relation of one row without columns.
func oneRow() plan.Node { return &plan.Values{Rows: [][]expr.Expr{{}}} }

// valuesOver is the union of the rows of VALUES, of which some are projections
// over their subqueries.
func (b *binder) valuesOver(over []plan.Node, v *plan.Values) plan.Node {
	again := func() []int {
		cols := make([]int, len(v.Cols))
		for c, id := range v.Cols {
			cols[c] = b.column(b.st.Labels[id], b.st.Types[id])
		}
		return cols
	}
	var parts []plan.Node
	var plain *plan.Values
	for i, row := range v.Rows {
		switch {
		case over[i] != nil:
			parts, plain = append(parts, &plan.Project{In: over[i], Exprs: row, Cols: again()}), nil
		case plain != nil:
			plain.Rows = append(plain.Rows, row)
		default:
			plain = &plan.Values{Cols: again(), Rows: [][]expr.Expr{row}}
			parts = append(parts, plain)
		}
	}
	node := parts[0]
	for i, p := range parts[1:] {
		cols := v.Cols
		if i < len(parts)-2 {
			cols = again() // of a union below another
		}
		node = &plan.SetOp{Kind: plan.Union, All: true, L: node, R: p, Cols: cols}
	}
	return node
}

func columnName(i int) string {
	return "column" + strconv.Itoa(i+1)
}

// setOp binds a chain of set operations; a long left-deep chain does not
// recurse.
func (b *binder) setOp(q *ast.SetOp, outer *scope) (*result, error) {
	var chain []*ast.SetOp
	var left ast.QueryBody = q
	for {
		s, ok := left.(*ast.SetOp)
		if !ok {
			break
		}
		chain = append(chain, s)
		left = s.L
	}
	l, err := b.queryBody(left, outer)
	if err != nil {
		return nil, err
	}
	for i := len(chain) - 1; i >= 0; i-- {
		r, err := b.queryBody(chain[i].R, outer)
		if err != nil {
			return nil, err
		}
		if l, err = b.combine(chain[i], l, r); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (b *binder) combine(s *ast.SetOp, l, r *result) (*result, error) {
	name := [...]string{"UNION", "INTERSECT", "EXCEPT"}[s.Kind]
	if len(l.ids) != len(r.ids) {
		return nil, b.errorf(s, dberr.InvalidSQL, "each %s query must have the same number of columns", name)
	}
	types := make([]sqltype.Type, len(l.ids))
	for i := range l.ids {
		lt, rt := b.typ(l, i), b.typ(r, i)
		side := func(r *result, t sqltype.Type) expr.Expr {
			if lit, ok := r.lits[i]; ok {
				return lit.proj.Exprs[lit.slot]
			}
			return expr.Column(0, t, "")
		}
		t, err := expr.CommonType(side(l, lt), side(r, rt))
		if err != nil {
			return nil, b.errorf(s, dberr.TypeMismatch, "%s types %s and %s cannot be matched", name, lt, rt)
		}
		if t.Kind == sqltype.Unknown {
			t = sqltype.TText
		}
		types[i] = t
	}
	if err := b.coerce(l, types); err != nil {
		return nil, b.at(s.L, err)
	}
	if err := b.coerce(r, types); err != nil {
		return nil, b.at(s.R, err)
	}
	out := &result{names: l.names}
	// Inputs may show one column twice; positions need identities of their own.
	n := &plan.SetOp{Kind: plan.SetOpKind(s.Kind), All: s.All, L: b.positions(l), R: b.positions(r)}
	for i, t := range types {
		id := b.column(l.names[i], t)
		n.Cols = append(n.Cols, id)
	}
	out.node, out.ids = n, n.Cols
	return out, nil
}

// positions is a result whose columns are in order, each once.
func (b *binder) positions(r *result) plan.Node {
	p := &plan.Project{In: r.node}
	for i, id := range r.ids {
		col := id
		if slices.Contains(p.Cols, id) {
			col = b.column(r.names[i], b.st.Types[id])
		}
		p.Exprs, p.Cols = append(p.Exprs, b.col(id)), append(p.Cols, col)
	}
	return p
}
