package binder

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// fromItem is a bound item of FROM.
type fromItem struct {
	node plan.Node
	rels []*relation
	cols []outColumn
}

// maxFrom is how many items a FROM may have: finding an order for them takes
// more than linear time.
const maxFrom = 256

// from brings the items of FROM into the scope, joined with one another.
func (b *binder) from(items []ast.TableExpr, sc *scope) error {
	if len(items) > maxFrom {
		return b.errorf(items[maxFrom], dberr.TooLarge, "FROM has %d items; there may be %d", len(items), maxFrom)
	}
	for _, it := range items {
		lateral := isLateral(it)
		var left *scope
		if lateral {
			left = &scope{parent: sc.parent, rels: sc.rels, cols: sc.cols, clause: "FROM"}
		} else {
			left = &scope{parent: sc.parent, clause: "FROM"}
		}
		f, err := b.tableExpr(it, left)
		if err != nil {
			return err
		}
		for _, r := range f.rels {
			for _, o := range sc.rels {
				if r.name != "" && r.name == o.name && r.ns == o.ns {
					return b.errorf(it, dberr.InvalidSQL, "table name %q specified more than once", r.name).WithState("42712").
						WithHint("Give one of them an alias.")
				}
			}
		}
		lateral = lateral && sc.node != nil && readsAny(f.node, sc.node)
		switch {
		case sc.node == nil:
			sc.node = f.node
		case lateral:
			sc.node = &plan.Apply{Kind: plan.ApplyCross, L: sc.node, R: f.node}
		default:
			sc.node = &plan.Join{Kind: plan.Inner, L: sc.node, R: f.node}
		}
		sc.addItem(f)
	}
	if sc.node == nil {
		sc.node = &plan.Values{Rows: [][]expr.Expr{{}}}
	}
	return nil
}

// isLateral tells whether an item may name the items before it. Table
// functions always may.
func isLateral(t ast.TableExpr) bool {
	switch t := t.(type) {
	case *ast.SubqueryTable:
		return t.Lateral
	case *ast.FuncTable:
		return funcsNeedLateral(t)
	case *ast.Join:
		return isLateral(t.L) || isLateral(t.R)
	case *ast.AliasedJoin:
		return isLateral(t.Join)
	}
	return false
}

// readsAny tells whether an item that may read another one does so. One that
// does not is joined like any other.
func readsAny(n, from plan.Node) bool {
	free := plan.Free(n)
	return slices.ContainsFunc(from.Columns(), func(id int) bool { _, ok := free[id]; return ok })
}

// funcsNeedLateral tells whether any argument may name a column; a function of
// constants joins without an Apply.
func funcsNeedLateral(t *ast.FuncTable) bool {
	for _, f := range t.Funcs {
		for _, a := range f.Args {
			switch a := a.(type) {
			case *ast.IntLit, *ast.StringLit, *ast.DecimalLit, *ast.NullLit, *ast.TypedLit, *ast.Param:
			case *ast.UnaryExpr:
				if _, ok := a.X.(*ast.IntLit); !ok {
					return true
				}
			default:
				return true
			}
		}
	}
	return false
}

func (b *binder) tableExpr(t ast.TableExpr, sc *scope) (*fromItem, error) {
	switch t := t.(type) {
	case *ast.TableRef:
		return b.tableRef(t)
	case *ast.SubqueryTable:
		r, err := b.query(t.Query, sc)
		if err != nil {
			return nil, err
		}
		b.settle(r)
		return b.derived(t, r, t.Alias, "")
	case *ast.FuncTable:
		return b.funcTable(t, sc)
	case *ast.Join:
		return b.join(t, sc)
	case *ast.AliasedJoin:
		f, err := b.join(t.Join, sc)
		if err != nil {
			return nil, err
		}
		rel := &relation{name: t.Alias.Name, cols: visible(f.cols)}
		if err := b.rename(t, rel, t.Alias.Columns); err != nil {
			return nil, err
		}
		return &fromItem{node: f.node, rels: []*relation{rel}, cols: rel.cols}, nil
	}
	return nil, b.unsupported(t, "this item of FROM")
}

func visible(cols []outColumn) []outColumn {
	return slices.DeleteFunc(slices.Clone(cols), func(c outColumn) bool { return c.hidden })
}

// rename gives a relation's columns the names of an alias's list.
func (b *binder) rename(n ast.Node, rel *relation, names []ast.Ident) error {
	if len(names) > len(visible(rel.cols)) {
		return b.errorf(n, dberr.InvalidSQL, "table %q has %d columns available but %d columns specified",
			rel.name, len(visible(rel.cols)), len(names)).WithState("42P10")
	}
	rel.cols = slices.Clone(rel.cols)
	i := 0
	for k := range rel.cols {
		if !rel.cols[k].hidden && i < len(names) {
			rel.cols[k].name = names[i].Name
			i++
		}
	}
	return nil
}

// derived makes a relation of a query's result.
func (b *binder) derived(n ast.Node, r *result, alias ast.Alias, name string) (*fromItem, error) {
	rel := &relation{name: alias.Name}
	if rel.name == "" {
		rel.name = name
	}
	for i, id := range r.ids {
		rel.cols = append(rel.cols, outColumn{name: r.names[i], id: id})
	}
	if err := b.rename(n, rel, alias.Columns); err != nil {
		return nil, err
	}
	return &fromItem{node: r.node, rels: []*relation{rel}, cols: rel.cols}, nil
}

func (b *binder) tableRef(t *ast.TableRef) (*fromItem, error) {
	if t.Name.Namespace == "" {
		if e := b.findCTE(t.Name.Name); e != nil {
			return b.cteRef(t, e)
		}
	}
	ns, err := b.qualify(&t.Name)
	if err != nil {
		return nil, err
	}
	if v, ok := b.opts.Catalog.View(ns, ident.TableName(t.Name.Name)); ok {
		return b.view(t, v)
	}
	table, err := b.table(&t.Name)
	if err != nil {
		return nil, err
	}
	return b.scan(t, table, t.Alias)
}

// scan makes a relation of a table with all its columns.
func (b *binder) scan(n ast.Node, table *ddl.Table, alias ast.Alias) (*fromItem, error) {
	b.readTable(table)
	rel := &relation{ns: table.Namespace, name: string(table.Name)}
	if alias.Name != "" {
		rel.ns, rel.name = "", alias.Name
	}
	s := &plan.Scan{Table: table, Alias: rel.name}
	rel.scan = s
	count := len(table.Columns)
	if table.HasSystemColumns() {
		count = table.DeletedOrdinal() + 1
	}
	for i := range count {
		id := b.column(table.ScanName(i), table.ScanType(i))
		s.Ordinals, s.Cols = append(s.Ordinals, i), append(s.Cols, id)
		rel.cols = append(rel.cols, outColumn{name: table.ScanName(i), id: id, hidden: i >= len(table.Columns)})
	}
	if err := b.rename(n, rel, alias.Columns); err != nil {
		return nil, err
	}
	return &fromItem{node: s, rels: []*relation{rel}, cols: rel.cols}, nil
}

// view expands a view: its text is bound as a query of its own.
func (b *binder) view(t *ast.TableRef, v *ddl.View) (*fromItem, error) {
	name := ident.Table{Namespace: v.Namespace, Name: v.Name}
	if slices.Contains(b.views, v) {
		return nil, b.errorf(t, dberr.InvalidSQL, "view %s refers to itself", name).WithState("42P17")
	}
	if len(b.views) >= maxDepth {
		return nil, b.errorf(t, dberr.TooLarge, "views are nested deeper than %d", maxDepth)
	}
	stmt, err := parser.Parse(v.Query)
	q, ok := stmt.(*ast.Query)
	if err != nil || !ok {
		return nil, b.errorf(t, dberr.Internal, "view %s cannot be read", name).Wrap(err)
	}
	text, ctes, ns, lits := b.text, b.ctes, b.opts.Namespace, b.params
	b.text, b.ctes, b.opts.Namespace = v.Query, nil, v.Namespace
	b.views = append(b.views, v)
	r, err := b.query(q, nil)
	b.text, b.ctes, b.opts.Namespace, b.params = text, ctes, ns, lits
	b.views = b.views[:len(b.views)-1]
	if err != nil {
		if e, ok := dberr.As(err); ok {
			return nil, b.errorf(t, e.Code, "view %s: %s", name, e.Message)
		}
		return nil, err
	}
	b.settle(r)
	for i, c := range v.Columns {
		if i < len(r.names) {
			r.names[i] = c
		}
	}
	f, err := b.derived(t, r, t.Alias, string(v.Name))
	if err == nil && t.Alias.Name == "" {
		f.rels[0].ns = v.Namespace
	}
	return f, err
}

// funcTable binds table functions.
func (b *binder) funcTable(t *ast.FuncTable, sc *scope) (*fromItem, error) {
	tf := &plan.TableFunc{Ordinality: -1}
	rel := &relation{name: t.Alias.Name}
	fsc := &scope{parent: sc.parent, rels: sc.rels, cols: sc.cols, clause: "functions in FROM", node: &plan.Values{Rows: [][]expr.Expr{{}}}}
	base := fsc.node
	funcs := t.Funcs
	if f := funcs[0]; len(funcs) == 1 && f.Name == "unnest" && len(f.Args) > 1 {
		funcs = nil // one for each array, side by side
		for _, a := range f.Args {
			funcs = append(funcs, &ast.FuncCall{Pos: f.Pos, Name: f.Name, Args: []ast.Expr{a}})
		}
	}
	defined := false
	for _, f := range funcs {
		args := make([]expr.Expr, len(f.Args))
		types := make([]sqltype.Type, len(f.Args))
		for i, a := range f.Args {
			var err error
			if args[i], err = b.expr(a, fsc); err != nil {
				return nil, err
			}
			types[i] = args[i].Type()
		}
		if rel.name == "" {
			rel.name = f.Name
		}
		m, err := builtin.Resolve(f.Name, types)
		if err != nil {
			return nil, b.at(f, err)
		}
		if args, err = expr.Args(m, args); err != nil {
			return nil, b.at(f, err)
		}
		switch {
		case m.Fn.Defined && len(t.Types) == 0:
			return nil, b.errorf(f, dberr.InvalidSQL, "a column definition list is required for functions returning \"record\"").
				WithHint("Say which columns it gives: FROM %s(…) AS t (id INT, name TEXT).", f.Name)
		case !m.Fn.Defined && len(t.Types) > 0, len(funcs) > 1 && len(t.Types) > 0:
			return nil, b.errorf(f, dberr.InvalidSQL, "a column definition list is only allowed for functions returning \"record\"")
		}
		defined = m.Fn.Defined
		call := plan.TableFuncCall{Fn: m.Fn, Args: args}
		cols := m.Fn.Columns
		if m.Fn.Kind != builtin.Table {
			if m.Fn.Kind != builtin.Scalar {
				return nil, b.errorf(f, dberr.InvalidSQL, "%s functions are not allowed in FROM", m.Fn.Kind).WithState("42803")
			}
			// A scalar function is a table of one row.
			e, err := expr.Call(f.Name, args...)
			if err != nil {
				return nil, b.at(f, err)
			}
			call.Fn, call.Args = nil, []expr.Expr{e}
			cols = []builtin.Column{{Name: f.Name, Type: e.Type()}}
		}
		for _, c := range cols {
			typ := c.Type
			if typ.Kind == builtin.AnyElement {
				typ = m.Result
				if typ.Kind == sqltype.Array || typ.Kind >= builtin.AnyElement || typ.Kind == sqltype.Record {
					typ = elementOf(args)
				}
			}
			name := c.Name
			if name == "" || len(cols) == 1 {
				name = f.Name
				if t.Alias.Name != "" && len(funcs) == 1 {
					name = t.Alias.Name
				}
			}
			id := b.column(name, typ)
			call.Cols = append(call.Cols, id)
			rel.cols = append(rel.cols, outColumn{name: name, id: id})
		}
		tf.Funcs = append(tf.Funcs, call)
	}
	if t.Ordinality {
		tf.Ordinality = b.column("ordinality", sqltype.TBigInt)
		rel.cols = append(rel.cols, outColumn{name: "ordinality", id: tf.Ordinality})
	}
	var node plan.Node = tf
	if defined {
		var err error
		if node, err = b.define(t, tf, rel); err != nil {
			return nil, err
		}
	} else if err := b.rename(t, rel, t.Alias.Columns); err != nil {
		return nil, err
	}
	if fsc.node != base {
		node = &plan.Apply{Kind: plan.ApplyCross, L: fsc.node, R: node}
	}
	return &fromItem{node: node, rels: []*relation{rel}, cols: rel.cols}, nil
}

// define replaces the JSON objects that a function gives by the columns that the
// statement defines: each is the member of its name, cast to its type.
func (b *binder) define(t *ast.FuncTable, tf *plan.TableFunc, rel *relation) (plan.Node, error) {
	p := b.passOn(tf)
	object := b.col(tf.Funcs[0].Cols[0])
	rel.cols = rel.cols[1:]
	cols := make([]outColumn, 0, len(t.Types)+len(rel.cols))
	for i, c := range t.Alias.Columns {
		typ, err := ResolveType(t.Types[i])
		if err != nil {
			return nil, b.at(&t.Types[i], err)
		}
		key := expr.Const(sqltype.NewText(c.Name), sqltype.TText)
		x, err := expr.Call("json_get_text", object, key)
		if err != nil {
			return nil, err
		}
		if typ.Kind == sqltype.JSON {
			none := expr.IsNull(x, false) // a JSON null is NULL, too
			if x, err = expr.Call("json_get", object, key); err == nil {
				x, err = expr.Case(nil, []expr.When{{Cond: none, Result: expr.Null()}}, x)
			}
		} else {
			x, err = expr.Cast(x, typ, expr.CastExplicit)
		}
		if err != nil {
			return nil, b.at(&t.Types[i], err)
		}
		id := b.column(c.Name, typ)
		p.Exprs, p.Cols = append(p.Exprs, x), append(p.Cols, id)
		cols = append(cols, outColumn{name: c.Name, id: id})
	}
	rel.cols = append(cols, rel.cols...)
	return p, nil
}

func elementOf(args []expr.Expr) sqltype.Type {
	for _, a := range args {
		if t := a.Type(); t.Kind == sqltype.Array {
			return t.ElemType()
		}
	}
	if len(args) > 0 {
		return args[0].Type()
	}
	return sqltype.TText
}

// rightSide binds the right side of a join, and tells whether it reads the
// left one.
func (b *binder) rightSide(t *ast.Join, l *fromItem, sc *scope) (r *fromItem, lateral bool, err error) {
	right := &scope{parent: sc.parent, clause: "FROM"}
	if isLateral(t.R) {
		right.rels = append(slices.Clone(sc.rels), l.rels...)
		right.cols = append(slices.Clone(sc.cols), l.cols...)
	}
	if r, err = b.tableExpr(t.R, right); err != nil {
		return nil, false, err
	}
	return r, isLateral(t.R) && readsAny(r.node, l.node), nil
}

// join binds a join with its condition.
func (b *binder) join(t *ast.Join, sc *scope) (*fromItem, error) {
	if b.depth++; b.depth > maxDepth {
		return nil, b.errorf(t, dberr.TooLarge, "joins are nested deeper than %d", maxDepth)
	}
	defer func() { b.depth-- }()
	l, err := b.tableExpr(t.L, sc)
	if err != nil {
		return nil, err
	}
	r, lateral, err := b.rightSide(t, l, sc)
	if err != nil {
		return nil, err
	}
	for _, lr := range l.rels {
		for _, rr := range r.rels {
			if lr.name != "" && lr.name == rr.name && lr.ns == rr.ns {
				return nil, b.errorf(t.R, dberr.InvalidSQL, "table name %q specified more than once", lr.name).WithState("42712").
					WithHint("Give one of them an alias.")
			}
		}
	}
	out := &fromItem{rels: append(slices.Clone(l.rels), r.rels...)}
	for i, rel := range out.rels {
		if t.Kind == ast.FullJoin || t.Kind == ast.LeftJoin && i >= len(l.rels) || t.Kind == ast.RightJoin && i < len(l.rels) {
			rel.nullable = true
		}
	}
	jsc := &scope{parent: sc.parent, rels: out.rels, cols: append(slices.Clone(l.cols), r.cols...), clause: "JOIN conditions"}

	using := t.Using
	if t.Natural {
		for _, lc := range visible(l.cols) {
			if slices.ContainsFunc(visible(r.cols), func(c outColumn) bool { return c.name == lc.name }) {
				using = append(using, ast.Ident{Pos: t.Pos, Name: lc.name})
			}
		}
	}
	var on []expr.Expr
	var merged []outColumn
	var mergeExprs []expr.Expr
	for _, u := range using {
		lc, err := b.usingColumn(&u, l.cols, "left")
		if err != nil {
			return nil, err
		}
		rc, err := b.usingColumn(&u, r.cols, "right")
		if err != nil {
			return nil, err
		}
		eq, err := expr.Binary(ast.OpEq, b.col(lc.id), b.col(rc.id))
		if err != nil {
			return nil, b.at(&u, err)
		}
		on = append(on, eq)
		switch t.Kind {
		case ast.RightJoin:
			merged, mergeExprs = append(merged, outColumn{name: u.Name, id: rc.id}), append(mergeExprs, nil)
		case ast.FullJoin:
			e, err := expr.Coalesce(b.col(lc.id), b.col(rc.id))
			if err != nil {
				return nil, b.at(&u, err)
			}
			merged = append(merged, outColumn{name: u.Name, id: b.column(u.Name, e.Type())})
			mergeExprs = append(mergeExprs, e)
		default:
			merged, mergeExprs = append(merged, outColumn{name: u.Name, id: lc.id}), append(mergeExprs, nil)
		}
	}
	rnode := r.node
	if t.On != nil {
		// A subquery in ON sees both sides, so it can only hang below the
		// join where the join is inner: then the condition is a filter.
		jsc.node = nil
		probe := &plan.Join{Kind: plan.Inner, L: l.node, R: r.node}
		jsc.node = probe
		cond, err := b.filter(t.On, jsc, "JOIN/ON")
		if err != nil {
			return nil, err
		}
		if jsc.node != plan.Node(probe) {
			if t.Kind != ast.InnerJoin || lateral {
				return b.joinWithSubquery(t, l, r, out, lateral, sc.parent)
			}
			out.node = &plan.Filter{In: jsc.node, Preds: expr.Conjuncts(cond)}
			out.cols = append(slices.Clone(l.cols), r.cols...)
			return out, nil
		}
		on = append(on, expr.Conjuncts(cond)...)
	}
	switch {
	case lateral && (t.Kind == ast.LeftJoin || t.Kind == ast.InnerJoin || t.Kind == ast.CrossJoin):
		kind := plan.ApplyCross
		if t.Kind == ast.LeftJoin {
			kind = plan.ApplyLeft
		}
		out.node = &plan.Apply{Kind: kind, L: l.node, R: rnode, On: on}
	case lateral:
		return nil, b.errorf(t, dberr.InvalidSQL, "the combining JOIN type must be INNER or LEFT for a LATERAL reference").WithState("42P10")
	case t.Kind == ast.RightJoin:
		out.node = &plan.Join{Kind: plan.Left, L: rnode, R: l.node, On: on}
	case t.Kind == ast.LeftJoin:
		out.node = &plan.Join{Kind: plan.Left, L: l.node, R: rnode, On: on}
	case t.Kind == ast.FullJoin:
		out.node = &plan.Join{Kind: plan.Full, L: l.node, R: rnode, On: on}
	default:
		out.node = &plan.Join{Kind: plan.Inner, L: l.node, R: rnode, On: on}
	}
	if len(merged) == 0 {
		out.cols = append(slices.Clone(l.cols), r.cols...)
		return out, nil
	}
	if t.Kind == ast.FullJoin {
		p := b.passOn(out.node)
		for i, m := range merged {
			p.Exprs, p.Cols = append(p.Exprs, mergeExprs[i]), append(p.Cols, m.id)
		}
		out.node = p
	}
	out.cols = merged
	for _, c := range append(slices.Clone(l.cols), r.cols...) {
		if !slices.ContainsFunc(using, func(u ast.Ident) bool { return u.Name == c.name }) {
			out.cols = append(out.cols, c)
		}
	}
	if t.UsingAlias != "" {
		out.rels = append(out.rels, &relation{name: t.UsingAlias, cols: merged})
	}
	return out, nil
}

// joinWithSubquery is a join whose condition holds a subquery, of a kind that
// keeps rows without a match. The right side is evaluated anew for each left
// row, with the condition as its filter.
func (b *binder) joinWithSubquery(t *ast.Join, l, r, out *fromItem, lateral bool, around *scope) (*fromItem, error) {
	kind := plan.ApplyCross
	outer, inner := l, r
	switch t.Kind {
	case ast.LeftJoin:
		kind = plan.ApplyLeft
	case ast.RightJoin:
		if lateral {
			return nil, b.unsupported(t, "a RIGHT JOIN of a LATERAL item with a subquery in its condition")
		}
		kind, outer, inner = plan.ApplyLeft, r, l
	case ast.FullJoin:
		if lateral {
			return nil, b.errorf(t, dberr.InvalidSQL, "the combining JOIN type must be INNER or LEFT for a LATERAL reference").WithState("42P10")
		}
		return b.fullJoinWithSubquery(t, l, r, around)
	}
	sc := &scope{parent: &scope{parent: around, rels: outer.rels, cols: outer.cols}, rels: inner.rels, cols: inner.cols, node: inner.node, clause: "JOIN conditions"}
	cond, err := b.filter(t.On, sc, "JOIN/ON")
	if err != nil {
		return nil, err
	}
	out.node = &plan.Apply{Kind: kind, L: outer.node, R: &plan.Filter{In: sc.node, Preds: expr.Conjuncts(cond)}}
	out.cols = append(slices.Clone(l.cols), r.cols...)
	return out, nil
}

func (b *binder) usingColumn(u *ast.Ident, cols []outColumn, side string) (outColumn, error) {
	var found *outColumn
	for i := range cols {
		if cols[i].name != u.Name {
			continue
		}
		if found != nil && found.id != cols[i].id {
			return outColumn{}, b.errorf(u, dberr.InvalidSQL, "common column name %q appears more than once in %s table", u.Name, side).WithState("42702")
		}
		found = &cols[i]
	}
	if found == nil {
		return outColumn{}, b.errorf(u, dberr.ColumnNotFound, "column %q specified in USING clause does not exist in %s table", u.Name, side)
	}
	return *found, nil
}
