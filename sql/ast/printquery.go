package ast

func (p *printer) with(w *With) {
	p.put("WITH ")
	if w.Recursive {
		p.put("RECURSIVE ")
	}
	for i, c := range w.CTEs {
		if i > 0 {
			p.put(", ")
		}
		p.cte(c)
	}
}

func (p *printer) optWith(w *With) {
	if w != nil {
		p.with(w)
		p.put(" ")
	}
}

func (p *printer) cte(c *CTE) {
	p.ident(c.Name)
	if len(c.Columns) > 0 {
		p.put(" ")
		p.idents(c.Columns)
	}
	p.put(" AS ", [...]string{"", "MATERIALIZED ", "NOT MATERIALIZED "}[c.Materialized], "(")
	p.statement(c.Stmt)
	p.put(")")
}

func (p *printer) query(q *Query) {
	p.optWith(q.With)
	p.body(q.Body, 1)
	if len(q.OrderBy) > 0 {
		p.put(" ")
		p.orderBy(q.OrderBy)
	}
	if q.WithTies {
		// OFFSET may stand before or behind FETCH.
		p.offset(q)
		p.put(" FETCH FIRST ")
		p.expr(q.Limit, lvUnary)
		p.put(" ROWS WITH TIES")
		return
	}
	if q.Limit != nil {
		p.put(" LIMIT ")
		p.expr(q.Limit, lvLowest)
	}
	p.offset(q)
}

func (p *printer) offset(q *Query) {
	if q.Offset != nil {
		p.put(" OFFSET ")
		p.expr(q.Offset, lvLowest)
	}
}

// body prints a query body, in parentheses when it is a set operation that
// binds less tightly than min: 1 for UNION and EXCEPT, 2 for INTERSECT.
func (p *printer) body(b QueryBody, min int) {
	switch b := b.(type) {
	case *Query:
		if min == 1 && b.With == nil && b.OrderBy == nil && b.Limit == nil && b.Offset == nil {
			p.query(b)
			return
		}
		p.put("(")
		p.query(b)
		p.put(")")
	case *SetOp:
		prec := 1
		if b.Kind == Intersect {
			prec = 2
		}
		if prec < min {
			p.put("(")
			defer p.put(")")
		}
		p.body(b.L, prec)
		p.put([...]string{" UNION ", " INTERSECT ", " EXCEPT "}[b.Kind])
		if b.All {
			p.put("ALL ")
		}
		p.body(b.R, prec+1)
	case *Values:
		p.put("VALUES ")
		for i, row := range b.Rows {
			if i > 0 {
				p.put(", ")
			}
			p.put("(")
			p.exprs(row)
			p.put(")")
		}
	case *Select:
		p.selectBody(b)
	}
}

func (p *printer) selectBody(s *Select) {
	p.put("SELECT")
	if s.Distinct {
		p.put(" DISTINCT")
	}
	if len(s.DistinctOn) > 0 {
		p.put(" DISTINCT ON (")
		p.exprs(s.DistinctOn)
		p.put(")")
	}
	if len(s.Items) > 0 {
		p.put(" ")
		p.items(s.Items)
	}
	if len(s.From) > 0 {
		p.put(" FROM ")
		p.tables(s.From)
	}
	p.where(s.Where)
	if len(s.GroupBy) > 0 {
		p.put(" GROUP BY ")
		if s.GroupDistinct {
			p.put("DISTINCT ")
		}
		p.groupItems(s.GroupBy)
	}
	if s.Having != nil {
		p.put(" HAVING ")
		p.expr(s.Having, lvLowest)
	}
	for i := range s.Windows {
		if i == 0 {
			p.put(" WINDOW ")
		} else {
			p.put(", ")
		}
		p.node(&s.Windows[i])
	}
}

func (p *printer) where(x Expr) {
	if x != nil {
		p.put(" WHERE ")
		p.expr(x, lvLowest)
	}
}

func (p *printer) items(list []SelectItem) {
	for i := range list {
		if i > 0 {
			p.put(", ")
		}
		p.item(&list[i])
	}
}

func (p *printer) item(it *SelectItem) {
	p.expr(it.X, lvLowest)
	if it.Alias != "" {
		p.put(" AS ")
		p.ident(it.Alias)
	}
}

func (p *printer) tables(list []TableExpr) {
	for i, t := range list {
		if i > 0 {
			p.put(", ")
		}
		p.table(t)
	}
}

func (p *printer) alias(a *Alias) {
	if a.Name == "" {
		return
	}
	p.put(" AS ")
	p.ident(a.Name)
	if len(a.Columns) > 0 {
		p.idents(a.Columns)
	}
}

// definitions prints an alias with a column definition list.
func (p *printer) definitions(a *Alias, types []TypeName) {
	p.put(" AS ")
	if a.Name != "" {
		p.ident(a.Name)
	}
	for i, c := range a.Columns {
		if i == 0 {
			p.put("(")
		} else {
			p.put(", ")
		}
		p.ident(c.Name)
		p.put(" ")
		p.typeName(&types[i])
	}
	p.put(")")
}

func (p *printer) table(t TableExpr) {
	switch t := t.(type) {
	case *TableRef:
		p.tableName(&t.Name)
		p.alias(&t.Alias)
	case *SubqueryTable:
		p.lateral(t.Lateral)
		p.put("(")
		p.query(t.Query)
		p.put(")")
		p.alias(&t.Alias)
	case *FuncTable:
		p.lateral(t.Lateral)
		if len(t.Funcs) != 1 {
			p.put("ROWS FROM (")
		}
		for i, f := range t.Funcs {
			if i > 0 {
				p.put(", ")
			}
			p.call(f, true)
		}
		if len(t.Funcs) != 1 {
			p.put(")")
		}
		if t.Ordinality {
			p.put(" WITH ORDINALITY")
		}
		if len(t.Types) > 0 {
			p.definitions(&t.Alias, t.Types)
		} else {
			p.alias(&t.Alias)
		}
	case *Join:
		p.join(t)
	case *AliasedJoin:
		p.put("(")
		p.join(t.Join)
		p.put(")")
		p.alias(&t.Alias)
	}
}

func (p *printer) lateral(on bool) {
	if on {
		p.put("LATERAL ")
	}
}

func (p *printer) join(j *Join) {
	p.table(j.L)
	p.put(" ")
	if j.Natural {
		p.put("NATURAL ")
	}
	p.put([...]string{"", "LEFT ", "RIGHT ", "FULL ", "CROSS "}[j.Kind], "JOIN ")
	if right, ok := j.R.(*Join); ok {
		p.put("(")
		p.join(right)
		p.put(")")
	} else {
		p.table(j.R)
	}
	if j.On != nil {
		p.put(" ON ")
		p.expr(j.On, lvLowest)
	}
	if len(j.Using) > 0 {
		p.put(" USING ")
		p.idents(j.Using)
		if j.UsingAlias != "" {
			p.put(" AS ")
			p.ident(j.UsingAlias)
		}
	}
}
