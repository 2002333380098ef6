package parser

import "github.com/kalamdb/kalamdb/sql/ast"

func (p *Parser) insert(pos ast.Pos, with *ast.With) *ast.Insert {
	s := &ast.Insert{Pos: pos, With: with}
	p.next()
	p.expectKw(kwInto)
	s.Table = p.tableName()
	if p.acceptKw(kwAs) {
		s.Alias = p.name()
	}
	if p.is(LParen) && !p.queryInParens() {
		s.Columns = p.identList()
	}
	switch {
	case p.isKw(kwOverriding):
		p.unsupported(p.pos(), "", "OVERRIDING is not supported.")
	case p.acceptKws(kwDefault, kwValues):
	case p.isKw(kwValues):
		qpos := p.pos()
		s.Source = p.queryEnd(&ast.Query{Pos: qpos, Body: p.setOps(p.values(true), 1)})
	case p.atQuery() || p.is(LParen):
		s.Source = p.query()
	default:
		p.unexpectedFor(kwValues)
	}
	if p.isKw(kwOn) {
		s.OnConflict = p.onConflict()
	}
	s.Returning = p.returning()
	p.grow()
	return s
}

// queryInParens tells whether the parenthesis at tok opens a query and not a
// list of names.
func (p *Parser) queryInParens() bool {
	switch t := p.peek(1); {
	case t.Kind == LParen, t.isKw(kwSelect), t.isKw(kwWith), t.isKw(kwTable):
		return true
	case t.isKw(kwValues):
		return p.peek(2).Kind == LParen
	}
	return false
}

func (p *Parser) onConflict() *ast.OnConflict {
	c := &ast.OnConflict{Pos: p.pos()}
	p.next()
	p.expectKw(kwConflict)
	if p.isKw(kwOn) {
		p.unsupported(p.pos(), "Name the columns: ON CONFLICT (id).", "ON CONFLICT ON CONSTRAINT is not supported.")
		return c
	}
	if p.is(LParen) {
		c.Target = p.identList()
		if p.isKw(kwWhere) {
			p.unsupported(p.pos(), "", "A condition on the target of ON CONFLICT is not supported.")
		}
	}
	p.expectKw(kwDo)
	if p.acceptKw(kwNothing) {
		return c
	}
	p.expectKw(kwUpdate)
	if len(c.Target) == 0 {
		p.failAt(c.Pos, "For example, ON CONFLICT (id) DO UPDATE SET ….", "ON CONFLICT DO UPDATE requires inference specification or constraint name")
	}
	p.expectKw(kwSet)
	c.Set = p.assignments()
	if p.acceptKw(kwWhere) {
		c.Where = p.expr(lowest)
	}
	return c
}

func (p *Parser) returning() []ast.SelectItem {
	if !p.acceptKw(kwReturning) {
		return nil
	}
	return p.selectItems()
}

func (p *Parser) assignments() []ast.Assignment {
	var list []ast.Assignment
	for p.err == nil {
		list = append(list, p.assignment())
		if !p.accept(Comma) {
			break
		}
	}
	return list
}

func (p *Parser) assignment() ast.Assignment {
	a := ast.Assignment{Pos: p.pos()}
	if p.is(LParen) {
		a.Multi = true
		a.Columns = p.identList()
		p.expectOp(ast.OpEq)
		p.allowDefault = true
		p.multiValue(&a)
		p.allowDefault = false
		return a
	}
	a.Columns = []ast.Ident{p.ident()}
	switch p.tok.Kind {
	case Dot:
		p.failNear("Name the column without its table.")
	case LBracket:
		p.unsupported(p.pos(), "Assign the whole array.", "Assigning to an array element is not supported.")
	}
	p.expectOp(ast.OpEq)
	if p.isKw(kwDefault) {
		a.Value = &ast.DefaultExpr{Pos: p.pos()}
		p.next()
		return a
	}
	a.Value = p.expr(lowest)
	return a
}

// multiValue parses the right side of (a, b) = ….
func (p *Parser) multiValue(a *ast.Assignment) {
	pos := p.pos()
	a.Value = p.expr(lowest)
	if p.err != nil {
		return
	}
	row, isRow := a.Value.(*ast.RowExpr)
	_, isQuery := a.Value.(*ast.SubqueryExpr)
	switch {
	case isQuery:
	case isRow && len(row.Items) != len(a.Columns):
		p.failAt(pos, "", "number of columns does not match number of values")
	case isRow:
	case len(a.Columns) == 1:
		a.Value = &ast.RowExpr{Pos: pos, Items: []ast.Expr{a.Value}}
		p.grow()
	default:
		p.failAt(pos, "", "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
	}
}

func (p *Parser) expectOp(op ast.Op) {
	if !p.acceptOp(op) {
		p.unexpected()
	}
}

// dmlAlias parses the alias of the table of an UPDATE or DELETE.
func (p *Parser) dmlAlias() string {
	if p.acceptKw(kwAs) || isName(p.tok) && !p.isKw(kwSet) {
		return p.name()
	}
	return ""
}

func (p *Parser) update(pos ast.Pos, with *ast.With) *ast.Update {
	s := &ast.Update{Pos: pos, With: with}
	p.next()
	p.acceptKw(kwOnly)
	s.Table = p.tableName()
	s.Alias = p.dmlAlias()
	if p.is(Comma) {
		p.failNear(hintFromTo)
	}
	p.expectKw(kwSet)
	s.Set = p.assignments()
	if p.acceptKw(kwFrom) {
		s.From = p.tableExprs()
	}
	s.Where = p.dmlWhere()
	s.Returning = p.returning()
	p.grow()
	return s
}

func (p *Parser) delete(pos ast.Pos, with *ast.With) *ast.Delete {
	s := &ast.Delete{Pos: pos, With: with}
	p.next()
	p.expectKw(kwFrom)
	p.acceptKw(kwOnly)
	s.Table = p.tableName()
	s.Alias = p.dmlAlias()
	if p.acceptKw(kwUsing) {
		s.Using = p.tableExprs()
	}
	s.Where = p.dmlWhere()
	s.Returning = p.returning()
	p.grow()
	return s
}

func (p *Parser) dmlWhere() ast.Expr {
	if !p.acceptKw(kwWhere) {
		return nil
	}
	if p.isKw(kwCurrent) && p.peek(1).isKw(kwOf) {
		p.unsupported(p.pos(), "", "There are no cursors.")
		return nil
	}
	return p.expr(lowest)
}

func (p *Parser) truncate() ast.Statement {
	s := &ast.Truncate{Pos: p.pos()}
	p.next()
	p.acceptKw(kwTable)
	p.acceptKw(kwOnly)
	s.Tables = p.tableNames()
	if p.acceptKw(kwRestart) || p.acceptKw(kwContinue) {
		p.expectKw(kwIdentity)
	}
	if !p.acceptKw(kwCascade) {
		p.acceptKw(kwRestrict)
	}
	return s
}
