package binder

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// item is a column of the select list.
type item struct {
	name string
	// src is nil for what * brought.
	src ast.Expr
	x   expr.Expr
}

// selectQuery binds a SELECT with the ORDER BY and LIMIT around it, in the
// order in which a SELECT happens: FROM, WHERE, grouping, HAVING, windows, the
// select list, DISTINCT, ORDER BY, LIMIT.
func (b *binder) selectQuery(s *ast.Select, q *ast.Query, outer *scope) (*result, error) {
	sc := &scope{parent: outer, clause: "FROM"}
	if err := b.from(s.From, sc); err != nil {
		return nil, err
	}
	st := &selectState{own: sc.node.Columns(), ctes: b.ctes, windows: map[string]*ast.WindowSpec{}}
	sc.sel = st
	for _, w := range s.Windows {
		if st.windows[w.Name] != nil {
			return nil, b.errorf(&w, dberr.InvalidSQL, "window %q is already defined", w.Name).WithState("42P20")
		}
		st.windows[w.Name] = w.Spec
	}
	if s.Where != nil {
		sc.clause = "WHERE"
		cond, err := b.filter(s.Where, sc, "WHERE")
		if err != nil {
			return nil, err
		}
		sc.node = &plan.Filter{In: sc.node, Preds: expr.Conjuncts(cond)}
	}
	sc.clause = "GROUP BY"
	st.expands = true
	g, err := b.groupBy(s, sc)
	if err != nil {
		return nil, err
	}
	if st.grouped, st.calls = st.calls, nil; len(st.grouped) > 0 {
		sc.node = expand(sc.node, st.grouped)
		st.own = append(st.own, sc.node.Columns()[len(sc.node.Columns())-len(st.grouped):]...)
	}
	st.groups = g.exprs

	st.collecting, sc.clause = true, "SELECT"
	items, err := b.items(s.Items, sc)
	st.expands = false
	if err != nil {
		return nil, err
	}
	var having expr.Expr
	if s.Having != nil {
		sc.clause = "HAVING"
		if having, err = b.filter(s.Having, sc, "HAVING"); err != nil {
			return nil, err
		}
	}
	sc.clause = "ORDER BY"
	order, err := b.orderBy(q.OrderBy, items, sc)
	if err != nil {
		return nil, err
	}
	var on []expr.Expr
	for _, e := range s.DistinctOn {
		x, err := b.outputExpr(e, items, sc, "SELECT DISTINCT ON")
		if err != nil {
			return nil, err
		}
		on = append(on, x)
	}
	st.collecting = false

	node := sc.node
	rw := rewrite(func(e expr.Expr) (expr.Expr, error) { return e, nil })
	if g.given || len(st.aggs) > 0 || len(st.grouping) > 0 || having != nil {
		if node, rw, err = b.group(s, sc, g); err != nil {
			return nil, err
		}
		// A rewrite may add a column that the groups determine, which must be
		// there before anything passes columns on. Errors come again below,
		// where their place is known.
		for i := range items {
			_, _ = rw(items[i].x)
		}
		for i := range order {
			_, _ = rw(order[i].x)
		}
		for _, e := range on {
			_, _ = rw(e)
		}
		for i := range st.wins {
			for _, e := range st.wins[i].exprs() {
				_, _ = rw(e)
			}
		}
		for i := range st.calls {
			for _, e := range st.calls[i].Args {
				_, _ = rw(e)
			}
		}
	}
	posts, err := splitPosts(sc, rw)
	if err != nil {
		return nil, err
	}
	attach := func(stage int) error {
		for _, a := range posts[stage] {
			a.L, node = node, a
			if err := b.checkOuter(s, st, a, rw); err != nil {
				return err
			}
		}
		return nil
	}
	if err := attach(0); err != nil {
		return nil, err
	}
	if having != nil {
		if having, err = rw(having); err != nil {
			return nil, b.at(s.Having, err)
		}
		node = &plan.Filter{In: node, Preds: expr.Conjuncts(having)}
	}
	if node, err = b.windows(node, st.wins, rw); err != nil {
		return nil, err
	}
	if err := attach(1); err != nil {
		return nil, err
	}
	if len(st.calls) > 0 {
		for i := range st.calls {
			for k, e := range st.calls[i].Args {
				if st.calls[i].Args[k], err = rw(e); err != nil {
					return nil, b.at(s, err)
				}
			}
		}
		node = expand(node, st.calls)
	}
	if err := attach(2); err != nil {
		return nil, err
	}
	return b.project(s, q, outer, node, rw, items, order, on)
}

// splitPosts makes the subqueries above the grouping and tells which of them
// can be computed before the window functions, which only after them, and which
// after the functions that give rows: those that read their columns.
func splitPosts(sc *scope, rw rewrite) (stages [3][]*plan.Apply, err error) {
	made := map[int]int{} // the stage after which a column is there
	for i := range sc.sel.wins {
		made[sc.sel.wins[i].fn.Col] = 1
	}
	for i := range sc.sel.calls {
		for _, id := range sc.sel.calls[i].Cols {
			made[id] = 2
		}
	}
	for _, p := range sc.posts {
		a, err := p(rw)
		if err != nil {
			return stages, err
		}
		stage := 0
		for _, id := range expr.Columns(plan.Exprs(a)...) {
			stage = max(stage, made[id])
		}
		if a.Kind == plan.ApplySingle {
			for _, id := range a.R.Columns() {
				made[id] = stage
			}
		} else {
			made[a.Col] = stage
		}
		stages[stage] = append(stages[stage], a)
	}
	return stages, nil
}

// expand gives each row once for each row of functions that give rows.
func expand(in plan.Node, calls []plan.TableFuncCall) plan.Node {
	return &plan.Apply{Kind: plan.ApplyCross, L: in, R: &plan.TableFunc{Funcs: calls, Ordinality: -1}}
}

// checkOuter checks what a subquery above the grouping reads of the rows
// below it: only what is grouped is there. It lets it read that.
func (b *binder) checkOuter(s *ast.Select, st *selectState, a *plan.Apply, rw rewrite) error {
	for id := range plan.Free(a.R) {
		if !slices.Contains(st.own, id) {
			continue
		}
		x, err := rw(b.col(id))
		if err != nil {
			if e, ok := err.(*dberr.Error); ok {
				return b.errorf(s, e.Code, "subquery uses ungrouped column %q from outer query", b.st.Labels[id]).WithState("42803")
			}
			return err
		}
		if c, ok := x.(*expr.ColumnExpr); ok && c.Ordinal == id || slices.Contains(a.L.Columns(), id) {
			continue
		}
		// In grouping sets the grouped column is another one than that of the
		// rows. The subquery finds it under the name that it knows.
		p := b.passOn(a.L)
		p.Exprs, p.Cols = append(p.Exprs, x), append(p.Cols, id)
		a.L = p
	}
	return nil
}

// project computes the select list and everything behind it.
func (b *binder) project(s *ast.Select, q *ast.Query, outer *scope, node plan.Node, rw rewrite,
	items []item, order []orderExpr, on []expr.Expr) (*result, error) {
	p := b.passOn(node)
	r := &result{lits: map[int]lit{}}
	for i := range items {
		x, err := rw(items[i].x)
		if err != nil {
			if items[i].src != nil {
				err = b.at(items[i].src, err)
			} else {
				err = b.at(s, err)
			}
			return nil, err
		}
		items[i].x = x
		r.names = append(r.names, items[i].name)
		if c, ok := x.(*expr.ColumnExpr); ok && slices.Contains(p.Cols, c.Ordinal) {
			r.ids = append(r.ids, c.Ordinal)
			continue
		}
		id := b.column(items[i].name, x.Type())
		if x.Type().Kind == sqltype.Unknown {
			r.lits[i] = lit{proj: p, slot: len(p.Exprs)}
		}
		p.Exprs, p.Cols = append(p.Exprs, x), append(p.Cols, id)
		r.ids = append(r.ids, id)
	}
	r.node = p
	// Where an order or DISTINCT ON is a select item, it reads that column.
	byItem := func(e expr.Expr) (expr.Expr, error) {
		e, err := rw(e)
		if err != nil {
			return nil, err
		}
		for i := range items {
			if _, isLit := r.lits[i]; !isLit && plan.Equal(items[i].x, e) {
				return b.col(r.ids[i]), nil
			}
		}
		return e, nil
	}
	for i := range order {
		x, err := byItem(order[i].x)
		if err != nil {
			return nil, b.at(&q.OrderBy[i], err)
		}
		order[i].x = x
	}
	if s.Distinct {
		for i, o := range order {
			c, ok := o.x.(*expr.ColumnExpr)
			if _, isConst := o.x.(*expr.ConstExpr); !isConst && (!ok || !slices.Contains(r.ids, c.Ordinal)) {
				return nil, b.errorf(&q.OrderBy[i], dberr.InvalidSQL, "for SELECT DISTINCT, ORDER BY expressions must appear in select list").WithState("42P10")
			}
		}
		b.settle(r)
		r.node = &plan.Distinct{In: r.node, On: slices.Clone(r.ids)}
	}
	if len(on) > 0 {
		exprs := make([]expr.Expr, len(on))
		for i, e := range on {
			x, err := byItem(e)
			if err != nil {
				return nil, b.at(s.DistinctOn[i], err)
			}
			exprs[i] = x
		}
		for i := range min(len(order), len(exprs)) {
			if !slices.ContainsFunc(exprs, func(e expr.Expr) bool { return plan.Equal(e, order[i].x) }) {
				return nil, b.errorf(&q.OrderBy[i], dberr.InvalidSQL, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions").WithState("42P10")
			}
		}
		var ids []int
		r.node, ids = b.extend(r.node, exprs, func(int) string { return "distinct" })
		var keys []plan.SortKey
		if r.node, keys = b.sortKeys(r.node, order, false); len(keys) > 0 {
			r.node = &plan.Sort{In: r.node, Keys: keys}
		}
		r.node = &plan.Distinct{In: r.node, On: ids}
	}
	var err error
	r.node, err = b.sortLimit(r.node, order, q, outer)
	return r, err
}

// items binds the select list.
func (b *binder) items(list []ast.SelectItem, sc *scope) ([]item, error) {
	var out []item
	for i := range list {
		it := &list[i]
		if star, ok := it.X.(*ast.Star); ok {
			cols, err := b.star(star, sc)
			if err != nil {
				return nil, err
			}
			out = append(out, cols...)
			continue
		}
		x, err := b.expr(it.X, sc)
		if err != nil {
			return nil, err
		}
		name := it.Alias
		if name == "" {
			name = outputName(it.X)
		}
		out = append(out, item{name: name, src: it.X, x: x})
	}
	return out, nil
}

// star expands * and t.*.
func (b *binder) star(s *ast.Star, sc *scope) ([]item, error) {
	cols := sc.cols
	if s.Table != "" {
		i := slices.IndexFunc(sc.rels, func(r *relation) bool {
			return r.name == s.Table && (s.Namespace == "" || ident.NamespaceID(s.Namespace) == r.ns)
		})
		if i < 0 {
			return nil, b.errorf(s, dberr.TableNotFound, "missing FROM-clause entry for table %q", s.Table)
		}
		cols = sc.rels[i].cols
	} else if len(sc.rels) == 0 {
		return nil, b.errorf(s, dberr.InvalidSQL, "SELECT * with no tables specified is not valid")
	}
	var out []item
	for _, c := range visible(cols) {
		out = append(out, item{name: c.name, x: b.col(c.id)})
	}
	return out, nil
}

// outputName is the name that PostgreSQL gives a column without an alias.
func outputName(e ast.Expr) string {
	if n, _ := nameOf(e); n != "" {
		return n
	}
	return "?column?"
}

// nameOf is the name of an expression. One that is only a type's or a CASE's
// gives way to that of a cast or a CASE around it.
func nameOf(e ast.Expr) (name string, strong bool) {
	switch e := e.(type) {
	case *ast.ColumnRef:
		return e.Name, true
	case *ast.FieldExpr:
		return e.Name, true
	case *ast.FuncCall:
		return e.Name, true
	case *ast.CastExpr:
		if n, strong := nameOf(e.X); strong {
			return n, true
		}
		return typeLabel(e.Type), false
	case *ast.TypedLit:
		return typeLabel(e.Type), false
	case *ast.CollateExpr:
		return nameOf(e.X)
	case *ast.IndexExpr:
		return nameOf(e.X)
	case *ast.SliceExpr:
		return nameOf(e.X)
	case *ast.AtTimeZoneExpr:
		return "timezone", true
	case *ast.CaseExpr:
		if n, strong := nameOf(e.Else); strong {
			return n, true
		}
		return "case", false
	case *ast.ExistsExpr:
		return "exists", true
	case *ast.ArrayExpr, *ast.ArraySubqueryExpr:
		return "array", true
	case *ast.RowExpr:
		return "row", true
	case *ast.SubqueryExpr:
		if s, ok := e.Query.Body.(*ast.Select); ok && len(s.Items) == 1 {
			if s.Items[0].Alias != "" {
				return s.Items[0].Alias, true
			}
			n, _ := nameOf(s.Items[0].X)
			return n, n != ""
		}
	case *ast.BoolLit:
		return "bool", false
	}
	return "", false
}

func typeLabel(t ast.TypeName) string {
	switch t.Name {
	case "int", "integer":
		return "int4"
	case "bigint":
		return "int8"
	case "smallint":
		return "int2"
	case "double precision", "double":
		return "float8"
	case "boolean":
		return "bool"
	case "decimal":
		return "numeric"
	case "character varying":
		return "varchar"
	}
	return t.Name
}

// outputExpr binds an expression that may also be a number or a name of the
// select list; names of the list come first.
func (b *binder) outputExpr(e ast.Expr, items []item, sc *scope, clause string) (expr.Expr, error) {
	if n, ok, err := b.ordinal(e, len(items), clause); ok || err != nil {
		if err != nil {
			return nil, err
		}
		return items[n].x, nil
	}
	if c, ok := e.(*ast.ColumnRef); ok && c.Table == "" {
		var found expr.Expr
		for i := range items {
			if items[i].name != c.Name {
				continue
			}
			if found != nil && !plan.Equal(found, items[i].x) {
				return nil, b.errorf(e, dberr.InvalidSQL, "%s %q is ambiguous", clause, c.Name).WithState("42702")
			}
			found = items[i].x
		}
		if found != nil {
			return found, nil
		}
	}
	return b.expr(e, sc)
}

func (b *binder) orderBy(list []ast.OrderItem, items []item, sc *scope) ([]orderExpr, error) {
	out := make([]orderExpr, len(list))
	for i := range list {
		x, err := b.outputExpr(list[i].X, items, sc, "ORDER BY")
		if err != nil {
			return nil, err
		}
		out[i] = orderExpr{x: x, desc: list[i].Descending(), nullsFirst: list[i].PutsNullsFirst()}
	}
	return out, nil
}

// windows puts window functions on a node: those that share partition and
// order share a Window.
func (b *binder) windows(node plan.Node, wins []winCall, rw rewrite) (plan.Node, error) {
	var made []*plan.Window
	for i := range wins {
		w := &wins[i]
		exprs := w.exprs()
		for k := range exprs {
			var err error
			if exprs[k], err = rw(exprs[k]); err != nil {
				return nil, err
			}
		}
		var ids []int
		node, ids = b.extendShared(node, exprs)
		f := w.fn
		f.Args = ids[:len(w.args)]
		part := ids[len(w.args) : len(w.args)+len(w.partition)]
		var keys []plan.SortKey
		for k, o := range w.order {
			keys = append(keys, plan.SortKey{Col: ids[len(w.args)+len(w.partition)+k], Desc: o.desc, NullsFirst: o.nullsFirst})
		}
		if w.filter != nil {
			f.Filter = ids[len(ids)-1]
		}
		at := slices.IndexFunc(made, func(m *plan.Window) bool {
			return slices.Equal(m.Partition, part) && slices.Equal(m.Order, keys)
		})
		if at < 0 {
			made = append(made, &plan.Window{Partition: part, Order: keys})
			at = len(made) - 1
		}
		made[at].Funcs = append(made[at].Funcs, f)
	}
	for _, m := range made {
		m.In = node
		node = m
	}
	return node, nil
}

// extendShared is extend, where an expression that an extension below computes
// already is read from there.
func (b *binder) extendShared(node plan.Node, exprs []expr.Expr) (plan.Node, []int) {
	exprs = slices.Clone(exprs)
	if p, ok := node.(*plan.Project); ok {
		for i, e := range exprs {
			for k, have := range p.Exprs {
				if _, isCol := e.(*expr.ColumnExpr); !isCol && plan.Equal(have, e) {
					exprs[i] = b.col(p.Cols[k])
				}
			}
		}
	}
	return b.extend(node, exprs, func(int) string { return "window" })
}
