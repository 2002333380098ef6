package binder

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// target finds the table that a statement changes.
func (b *binder) target(n *ast.TableName) (*ddl.Table, error) {
	ns, err := b.qualify(n)
	if err != nil {
		return nil, err
	}
	if _, ok := b.opts.Catalog.View(ns, ident.TableName(n.Name)); ok {
		return nil, b.errorf(n, dberr.InvalidSQL, "%s.%s is a view; views cannot be changed", ns, n.Name).WithState("42809")
	}
	return b.table(n)
}

// targetColumn finds a declared column to write to.
func (b *binder) targetColumn(t *ddl.Table, id *ast.Ident) (int, error) {
	for i := range t.Columns {
		if t.Columns[i].Name == id.Name {
			return i, nil
		}
	}
	if t.HasSystemColumns() && sysname.IsSystemColumn(id.Name) {
		return 0, b.errorf(id, dberr.InvalidSQL, "column %q is kept by the server and cannot be written", id.Name).WithState("428C9")
	}
	var cols []outColumn
	for i := range t.Columns {
		cols = append(cols, outColumn{name: t.Columns[i].Name})
	}
	return 0, b.errorf(id, dberr.ColumnNotFound, "column %q of table %s does not exist", id.Name, t.Ident()).WithHint("%s", columnsHint(cols, id.Name))
}

// assign converts an expression to a column's type.
func (b *binder) assign(n ast.Node, x expr.Expr, c *ddl.Column) (expr.Expr, error) {
	if p, ok := x.(*expr.ParamExpr); ok {
		b.nameParam(p.Index, c.Name)
	}
	given := x.Type()
	out, err := expr.Cast(x, c.Type, expr.CastAssign)
	if err == nil {
		return out, nil
	}
	return nil, b.at(n, assignError(err, c, x, given))
}

// assignError names the column in an error about a value for it.
func assignError(err error, c *ddl.Column, x expr.Expr, given sqltype.Type) error {
	e, ok := dberr.As(err)
	if !ok {
		return err
	}
	if k, isConst := x.(*expr.ConstExpr); isConst && given.Kind == sqltype.Unknown {
		return dberr.Newf(e.Code, "column %q is of type %s, but %q was given: %s", c.Name, c.Type, k.Value.Text(), e.Message).WithHint("%s", e.Hint)
	}
	return dberr.Newf(e.Code, "column %q is of type %s, but an expression of type %s was given", c.Name, c.Type, given).
		WithHint("Rewrite or cast the expression.")
}

// Default is the DEFAULT expression of a column, converted to its type; NULL
// when it has none.
func Default(c *ddl.Column) (expr.Expr, error) {
	if c.Default == "" {
		return expr.Const(sqltype.NullOf(c.Type.Kind), c.Type), nil
	}
	e, err := parser.ParseExpr(c.Default)
	if err != nil {
		return nil, err
	}
	b := &binder{text: c.Default, params: &expr.Params{}, st: &plan.Statement{}}
	x, err := b.expr(e, &scope{clause: "DEFAULT"})
	if err != nil {
		return nil, err
	}
	if len(b.params.Types()) > 0 {
		return nil, dberr.New(dberr.InvalidSQL, "a DEFAULT cannot have parameters")
	}
	return b.assign(e, x, c)
}

func (b *binder) defaultOf(n ast.Node, c *ddl.Column) (expr.Expr, error) {
	x, err := Default(c)
	if err != nil {
		if e, ok := dberr.As(err); ok {
			return nil, b.errorf(n, e.Code, "DEFAULT of column %q: %s", c.Name, e.Message)
		}
		return nil, err
	}
	return x, nil
}

func (b *binder) insert(s *ast.Insert) error {
	t, err := b.target(&s.Table)
	if err != nil {
		return err
	}
	ctes, err := b.with(s.With, nil)
	if err != nil {
		return err
	}
	var ords []int
	for i := range s.Columns {
		o, err := b.targetColumn(t, &s.Columns[i])
		if err != nil {
			return err
		}
		if slices.Contains(ords, o) {
			return b.errorf(&s.Columns[i], dberr.InvalidSQL, "column %q specified more than once", s.Columns[i].Name).WithState("42701")
		}
		ords = append(ords, o)
	}
	if s.Columns == nil {
		for i := range t.Columns {
			ords = append(ords, i)
		}
	}
	w := &plan.Write{Kind: plan.Insert, Table: t, Seq: -1, Updated: -1, RowID: -1}
	b.st.Write = w
	node, err := b.insertSource(s, t, ords, len(s.Columns) > 0)
	if err != nil {
		return err
	}
	if len(ctes) > 0 {
		node = &plan.With{CTEs: ctes, Body: node}
	}
	b.st.Query, w.New = node, slices.Clone(node.Columns())
	if err := b.onConflict(s, t, w); err != nil {
		return err
	}
	return b.returning(s.Returning, t, s.Alias, w, nil)
}

// insertSource gives a node whose columns are the table's declared columns in
// their types.
func (b *binder) insertSource(s *ast.Insert, t *ddl.Table, ords []int, given bool) (plan.Node, error) {
	newCols := func() []int {
		ids := make([]int, len(t.Columns))
		for i := range t.Columns {
			ids[i] = b.column(t.Columns[i].Name, t.Columns[i].Type)
		}
		return ids
	}
	count := func(n ast.Node, have int) error {
		switch {
		case have > len(ords):
			return b.errorf(n, dberr.InvalidSQL, "INSERT has more expressions (%d) than target columns (%d)", have, len(ords))
		case have < len(ords) && given:
			return b.errorf(n, dberr.InvalidSQL, "INSERT has more target columns (%d) than expressions (%d)", len(ords), have)
		}
		return nil
	}
	defaults := make([]expr.Expr, len(t.Columns))
	dflt := func(n ast.Node, i int) (expr.Expr, error) {
		if defaults[i] == nil {
			x, err := b.defaultOf(n, &t.Columns[i])
			if err != nil {
				return nil, err
			}
			defaults[i] = x
		}
		return defaults[i], nil
	}
	if s.Source == nil {
		row := make([]expr.Expr, len(t.Columns))
		for i := range t.Columns {
			x, err := dflt(s, i)
			if err != nil {
				return nil, err
			}
			row[i] = x
		}
		return &plan.Values{Cols: newCols(), Rows: [][]expr.Expr{row}}, nil
	}
	v, isValues := s.Source.Body.(*ast.Values)
	if isValues && s.Source.With == nil && len(s.Source.OrderBy) == 0 && s.Source.Limit == nil && s.Source.Offset == nil {
		subs := valueRows{}
		out := &plan.Values{Cols: newCols(), Rows: make([][]expr.Expr, len(v.Rows))}
		for r, src := range v.Rows {
			if len(src) != len(v.Rows[0]) {
				return nil, b.errorf(v, dberr.InvalidSQL, "VALUES lists must all be the same length")
			}
			if err := count(v, len(src)); err != nil {
				return nil, err
			}
			row, sc := make([]expr.Expr, len(t.Columns)), subs.next()
			for k, e := range src {
				if _, ok := e.(*ast.DefaultExpr); ok {
					continue
				}
				x, err := b.expr(e, sc)
				if err != nil {
					return nil, err
				}
				if row[ords[k]], err = b.assign(e, x, &t.Columns[ords[k]]); err != nil {
					return nil, err
				}
			}
			for i := range row {
				if row[i] == nil {
					x, err := dflt(s, i)
					if err != nil {
						return nil, err
					}
					row[i] = x
				}
			}
			out.Rows[r] = row
		}
		switch over, nested := subs.nodes(); {
		case !nested:
			return out, nil
		case len(over) == 1:
			return &plan.Project{In: over[0], Exprs: out.Rows[0], Cols: out.Cols}, nil
		default:
			return b.valuesOver(over, out), nil
		}
	}
	r, err := b.query(s.Source, nil)
	if err != nil {
		return nil, err
	}
	if err := count(s.Source, len(r.ids)); err != nil {
		return nil, err
	}
	p := &plan.Project{Cols: newCols(), Exprs: make([]expr.Expr, len(t.Columns))}
	for k := range r.ids {
		c := &t.Columns[ords[k]]
		if l, ok := r.lits[k]; ok {
			x, err := b.assign(s.Source, l.proj.Exprs[l.slot], c)
			if err != nil {
				return nil, err
			}
			if _, err := expr.Coerce(l.proj.Exprs[l.slot], c.Type); err == nil {
				l.proj.Exprs[l.slot] = x
				b.st.Types[r.ids[k]] = x.Type()
				delete(r.lits, k)
			}
		}
	}
	b.settle(r)
	for k := range r.ids {
		c := &t.Columns[ords[k]]
		x, err := b.assign(s.Source, b.col(r.ids[k]), c)
		if err != nil {
			return nil, err
		}
		p.Exprs[ords[k]] = x
	}
	p.In = r.node
	for i := range p.Exprs {
		if p.Exprs[i] == nil {
			if p.Exprs[i], err = dflt(s, i); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func (b *binder) onConflict(s *ast.Insert, t *ddl.Table, w *plan.Write) error {
	oc := s.OnConflict
	if oc == nil {
		return nil
	}
	key := t.KeyOrdinals()
	if len(oc.Target) > 0 || len(oc.Set) > 0 {
		var target []int
		for i := range oc.Target {
			o, err := b.targetColumn(t, &oc.Target[i])
			if err != nil {
				return err
			}
			target = append(target, o)
		}
		if len(oc.Target) == 0 {
			return b.errorf(oc, dberr.InvalidSQL, "ON CONFLICT DO UPDATE requires the conflict target: the columns of the primary key")
		}
		if len(key) == 0 || !slices.Equal(slices.Sorted(slices.Values(target)), slices.Sorted(slices.Values(key))) {
			return b.errorf(oc, dberr.InvalidSQL, "there is no unique constraint matching the ON CONFLICT specification").
				WithState("42P10").WithHint("The target must be the columns of the primary key.")
		}
	}
	c := &plan.Conflict{Update: len(oc.Set) > 0}
	w.Conflict = c
	if !c.Update {
		return nil
	}
	existing := &relation{ns: t.Namespace, name: string(t.Name)}
	if s.Alias != "" {
		existing.ns, existing.name = "", s.Alias
	}
	excluded := &relation{name: "excluded"}
	for i := range t.Columns {
		id := b.column(t.Columns[i].Name, t.Columns[i].Type)
		c.Existing = append(c.Existing, id)
		existing.cols = append(existing.cols, outColumn{name: t.Columns[i].Name, id: id})
		id = b.column(t.Columns[i].Name, t.Columns[i].Type)
		c.Excluded = append(c.Excluded, id)
		excluded.cols = append(excluded.cols, outColumn{name: t.Columns[i].Name, id: id})
	}
	base := &plan.Changed{Cols: slices.Concat(c.Existing, c.Excluded), Row: -1}
	sc := &scope{rels: []*relation{existing, excluded}, cols: existing.cols, clause: "ON CONFLICT", node: base}
	if oc.Where != nil {
		var err error
		if c.Where, err = b.filter(oc.Where, sc, "WHERE"); err != nil {
			return err
		}
	}
	if sc.node != plan.Node(base) {
		sc.node = &plan.Filter{In: sc.node, Preds: expr.Conjuncts(c.Where)}
		c.Where = nil
	}
	below := sc.node
	c.Set = make([]expr.Expr, len(t.Columns))
	if err := b.assignments(oc.Set, t, sc, c.Set); err != nil {
		return err
	}
	if sc.node == plan.Node(base) {
		return nil
	}
	if c.Where != nil {
		// The subqueries of SET are not to be asked about rows that WHERE
		// leaves out, so it goes below them.
		sc.node = replaceNode(sc.node, below, &plan.Filter{In: below, Preds: expr.Conjuncts(c.Where)})
	}
	p := &plan.Project{In: sc.node}
	for i, x := range c.Set {
		id := -1
		if x != nil {
			id = b.column(t.Columns[i].Name, t.Columns[i].Type)
			p.Exprs, p.Cols = append(p.Exprs, x), append(p.Cols, id)
		}
		c.SetCols = append(c.SetCols, id)
	}
	c.Query, c.Set, c.Where = p, nil, nil
	return nil
}

// replaceNode puts a node in the place of another one, down the left sides of
// applies.
func replaceNode(n, old, with plan.Node) plan.Node {
	if n == old {
		return with
	}
	in := slices.Clone(n.Inputs())
	if len(in) == 0 {
		return n
	}
	in[0] = replaceNode(in[0], old, with)
	return n.WithInputs(in)
}

// assignments binds SET into set, by declared column.
func (b *binder) assignments(list []ast.Assignment, t *ddl.Table, sc *scope, set []expr.Expr) error {
	for i := range list {
		a := &list[i]
		values := []ast.Expr{a.Value}
		var bound []expr.Expr
		if a.Multi {
			switch v := a.Value.(type) {
			case *ast.RowExpr:
				values = v.Items
			case *ast.SubqueryExpr:
				r, err := b.subquery(v.Query, sc)
				if err != nil {
					return err
				}
				b.settle(r)
				p := &plan.Project{In: r.node}
				for k, id := range r.ids {
					c := b.column(r.names[k], b.st.Types[id])
					p.Exprs, p.Cols = append(p.Exprs, b.col(id)), append(p.Cols, c)
					bound = append(bound, b.col(c))
				}
				err = sc.attach(func(rewrite) (*plan.Apply, error) {
					return &plan.Apply{Kind: plan.ApplySingle, R: p}, nil
				})
				if err != nil {
					return err
				}
				values = make([]ast.Expr, len(bound))
			default:
				if len(a.Columns) != 1 {
					return b.errorf(a, dberr.InvalidSQL, "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
				}
			}
		}
		if len(values) != len(a.Columns) {
			return b.errorf(a, dberr.InvalidSQL, "number of columns does not match number of values")
		}
		for k := range a.Columns {
			o, err := b.targetColumn(t, &a.Columns[k])
			if err != nil {
				return err
			}
			if set[o] != nil {
				return b.errorf(&a.Columns[k], dberr.InvalidSQL, "multiple assignments to same column %q", a.Columns[k].Name).WithState("42701")
			}
			c := &t.Columns[o]
			switch {
			case bound != nil:
				set[o], err = b.assign(a, bound[k], c)
			default:
				if _, ok := values[k].(*ast.DefaultExpr); ok {
					set[o], err = b.defaultOf(values[k], c)
					break
				}
				var x expr.Expr
				if x, err = b.expr(values[k], sc); err == nil {
					set[o], err = b.assign(values[k], x, c)
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// changed prepares an UPDATE or DELETE: the table's rows with everything that
// writing them needs, joined with the other tables.
func (b *binder) changed(name *ast.TableName, alias string, w *plan.Write, others []ast.TableExpr) (*scope, error) {
	t := w.Table
	f, err := b.scan(name, t, ast.Alias{Name: alias})
	if err != nil {
		return nil, err
	}
	s := f.node.(*plan.Scan)
	w.Old = slices.Clone(s.Cols[:len(t.Columns)])
	w.Seq, w.Updated, w.RowID = -1, -1, -1
	if t.HasSystemColumns() {
		w.Seq, w.Updated = s.Cols[t.SeqOrdinal()], s.Cols[t.UpdatedOrdinal()]
	}
	if len(t.PrimaryKey) == 0 {
		w.RowID = b.column("", sqltype.TBigInt)
		s.Ordinals, s.Cols = append(s.Ordinals, t.RowIDOrdinal()), append(s.Cols, w.RowID)
	}
	sc := &scope{node: f.node, keepDeleted: true, clause: "WHERE"}
	sc.addItem(f)
	return sc, b.from(others, sc)
}

func (b *binder) update(s *ast.Update) error {
	t, err := b.target(&s.Table)
	if err != nil {
		return err
	}
	ctes, err := b.with(s.With, nil)
	if err != nil {
		return err
	}
	w := &plan.Write{Kind: plan.Update, Table: t}
	b.st.Write = w
	sc, err := b.changed(&s.Table, s.Alias, w, s.From)
	if err != nil {
		return err
	}
	if err := b.where(s.Where, sc); err != nil {
		return err
	}
	sc.clause = "UPDATE"
	set := make([]expr.Expr, len(t.Columns))
	if err := b.assignments(s.Set, t, sc, set); err != nil {
		return err
	}
	p := b.passOn(sc.node)
	w.New = make([]int, len(set))
	for i, x := range set {
		w.New[i] = -1
		if x != nil {
			w.New[i] = b.column(t.Columns[i].Name, t.Columns[i].Type)
			p.Exprs, p.Cols = append(p.Exprs, x), append(p.Cols, w.New[i])
		}
	}
	b.st.Query = p
	if len(ctes) > 0 {
		b.st.Query = &plan.With{CTEs: ctes, Body: p}
	}
	return b.returning(s.Returning, t, s.Alias, w, sc)
}

func (b *binder) delete(s *ast.Delete) error {
	t, err := b.target(&s.Table)
	if err != nil {
		return err
	}
	ctes, err := b.with(s.With, nil)
	if err != nil {
		return err
	}
	w := &plan.Write{Kind: plan.Delete, Table: t}
	b.st.Write = w
	sc, err := b.changed(&s.Table, s.Alias, w, s.Using)
	if err != nil {
		return err
	}
	if err := b.where(s.Where, sc); err != nil {
		return err
	}
	b.st.Query = sc.node
	if len(ctes) > 0 {
		b.st.Query = &plan.With{CTEs: ctes, Body: sc.node}
	}
	return b.returning(s.Returning, t, s.Alias, w, sc)
}

func (b *binder) where(e ast.Expr, sc *scope) error {
	if e == nil {
		return nil
	}
	cond, err := b.filter(e, sc, "WHERE")
	if err == nil {
		sc.node = &plan.Filter{In: sc.node, Preds: expr.Conjuncts(cond)}
	}
	return err
}

// returning binds RETURNING over the row as it is after the change; from is
// the scope of an UPDATE or DELETE, whose first relation is the table.
func (b *binder) returning(list []ast.SelectItem, t *ddl.Table, alias string, w *plan.Write, from *scope) error {
	if len(list) == 0 {
		return nil
	}
	rel := &relation{ns: t.Namespace, name: string(t.Name)}
	if alias != "" {
		rel.ns, rel.name = "", alias
	}
	for i := range t.Columns {
		id := b.column(t.Columns[i].Name, t.Columns[i].Type)
		w.After = append(w.After, id)
		rel.cols = append(rel.cols, outColumn{name: t.Columns[i].Name, id: id})
	}
	base := &plan.Changed{Cols: slices.Clone(w.After), Row: -1}
	numbers := b.numbers(t, rel)
	sc := &scope{rels: []*relation{rel}, cols: rel.cols, clause: "RETURNING", node: base}
	if from != nil {
		sc.rels = append(sc.rels, from.rels[1:]...)
		skip := len(from.rels[0].cols)
		sc.cols = append(slices.Clone(rel.cols), from.cols[skip:]...)
		for _, r := range from.rels[1:] {
			for _, c := range r.cols {
				if !slices.Contains(base.Cols, c.id) {
					base.Cols = append(base.Cols, c.id)
				}
			}
		}
	}
	items, err := b.items(list, sc)
	if err != nil {
		return err
	}
	p := &plan.Project{In: sc.node}
	for i, it := range items {
		x := expr.Resolve(it.x)
		if x, err = numbers.take(x, i, w); err != nil {
			return b.at(it.src, err)
		}
		id := b.column(it.name, x.Type())
		p.Exprs, p.Cols = append(p.Exprs, x), append(p.Cols, id)
		b.st.Names, b.st.Output = append(b.st.Names, it.name), append(b.st.Output, id)
	}
	if sc.node == plan.Node(base) {
		w.Returning = p.Exprs
		return nil
	}
	if err := numbers.unread(sc.node, w); err != nil {
		return err
	}
	// Subqueries are asked once all rows are changed, and their result is
	// given in the order of those.
	base.Row = b.column("row", sqltype.TBigInt)
	p.In = &plan.Sort{In: sc.node, Keys: []plan.SortKey{{Col: base.Row}}}
	w.Then = p
	for _, id := range base.Cols {
		w.Returning = append(w.Returning, b.col(id))
	}
	return nil
}
