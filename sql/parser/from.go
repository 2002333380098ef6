package parser

import "github.com/kalamdb/kalamdb/sql/ast"

// tableExprs parses what the commas of FROM separate.
func (p *Parser) tableExprs() []ast.TableExpr {
	list := []ast.TableExpr{p.tableExpr()}
	for p.accept(Comma) {
		list = append(list, p.tableExpr())
	}
	return list
}

// tableExpr parses a table and the joins behind it.
func (p *Parser) tableExpr() ast.TableExpr {
	if !p.enter() {
		return nil
	}
	saved := p.height
	p.height = 0
	t := p.joins(p.tablePrimary())
	p.height = max(p.height, saved)
	p.leave()
	return t
}

func (p *Parser) joins(t ast.TableExpr) ast.TableExpr {
	for p.err == nil && p.atJoin() {
		t = p.join(t)
	}
	return t
}

func (p *Parser) atJoin() bool {
	if p.tok.Kind != Word {
		return false
	}
	switch p.tok.Keyword {
	case kwJoin, kwInner, kwLeft, kwRight, kwFull, kwCross, kwNatural:
		return true
	}
	return false
}

// join parses one join whose left side is l. In a JOIN b JOIN c ON x ON y the
// right side of the first join is a join itself.
func (p *Parser) join(l ast.TableExpr) ast.TableExpr {
	j := &ast.Join{Pos: p.pos(), L: l}
	if !p.enter() {
		return j
	}
	defer p.leave()
	j.Natural = p.acceptKw(kwNatural)
	switch {
	case p.acceptKw(kwCross):
		j.Kind = ast.CrossJoin
		if j.Natural {
			p.unexpected()
		}
	case p.acceptKw(kwLeft):
		j.Kind = ast.LeftJoin
		p.acceptKw(kwOuter)
	case p.acceptKw(kwRight):
		j.Kind = ast.RightJoin
		p.acceptKw(kwOuter)
	case p.acceptKw(kwFull):
		j.Kind = ast.FullJoin
		p.acceptKw(kwOuter)
	default:
		p.acceptKw(kwInner)
	}
	p.expectKw(kwJoin)
	j.R = p.tablePrimary()
	if j.Kind == ast.CrossJoin || j.Natural {
		p.grow()
		return j
	}
	for p.err == nil && p.atJoin() {
		j.R = p.join(j.R)
	}
	switch {
	case p.acceptKw(kwOn):
		j.On = p.expr(lowest)
	case p.acceptKw(kwUsing):
		j.Using = p.identList()
		if p.acceptKw(kwAs) {
			j.UsingAlias = p.name()
		}
	default:
		p.failNear("A JOIN needs ON condition or USING (columns); CROSS JOIN and NATURAL JOIN need none.")
	}
	p.grow()
	return j
}

// tablePrimary parses a table, function, or something in parentheses, with its
// alias.
func (p *Parser) tablePrimary() ast.TableExpr {
	pos := p.pos()
	lateral := p.acceptKw(kwLateral)
	p.grow()
	switch {
	case p.is(LParen):
		q, t := p.tableParens()
		if q == nil && lateral {
			p.failAt(pos, "", "LATERAL needs a query or a function")
		}
		return p.tableInParens(pos, lateral, q, t)
	case p.isKw(kwRows) && p.peek(1).isKw(kwFrom):
		p.next()
		p.next()
		f := &ast.FuncTable{Pos: pos, Lateral: lateral}
		p.expect(LParen)
		for {
			f.Funcs = append(f.Funcs, p.tableFunc())
			if !p.accept(Comma) {
				break
			}
		}
		p.expect(RParen)
		return p.funcTableEnd(f)
	case p.isKw(kwOnly):
		p.next()
	case p.atQuery():
		p.failNear("A query in FROM stands in parentheses.")
		return nil
	}
	namePos := p.pos()
	if p.peek(1).Kind == LParen && (isName(p.tok) || p.tok.Kind == Word && p.tok.Keyword.Category() == FuncOrType) {
		f := &ast.FuncTable{Pos: pos, Lateral: lateral, Funcs: []*ast.FuncCall{p.tableFunc()}}
		return p.funcTableEnd(f)
	}
	t := &ast.TableRef{Pos: namePos, Name: p.tableName()}
	if p.is(LParen) && !t.Name.UserQualified && t.Name.Namespace != "" {
		f := &ast.FuncTable{Pos: pos, Lateral: lateral}
		f.Funcs = []*ast.FuncCall{p.call(namePos, t.Name.Namespace, t.Name.Name)}
		return p.funcTableEnd(f)
	}
	if lateral {
		p.failAt(pos, "", "LATERAL needs a query or a function")
	}
	t.Alias = p.alias()
	if p.isKw(kwTablesample) {
		p.unsupported(p.pos(), "", "TABLESAMPLE is not supported.")
	}
	return t
}

// tableFunc parses one call in FROM.
func (p *Parser) tableFunc() *ast.FuncCall {
	pos := p.pos()
	if p.tok.Kind != Word && p.tok.Kind != QuotedIdent || p.tok.Kind == Word && p.tok.Keyword.Category() == Reserved {
		p.unexpected()
		return nil
	}
	schema, name := "", p.value()
	if p.accept(Dot) {
		schema, name = name, p.label()
	}
	return p.call(pos, schema, name)
}

func (p *Parser) funcTableEnd(f *ast.FuncTable) ast.TableExpr {
	if p.acceptKws(kwWith, kwOrdinality) {
		f.Ordinality = true
	}
	f.Alias, f.Types = p.aliasOf(true)
	return f
}

// tableParens parses what stands in parentheses in FROM: a query or a table.
// Like parens, it never looks at a token twice.
func (p *Parser) tableParens() (*ast.Query, ast.TableExpr) {
	if !p.enter() {
		return nil, nil
	}
	defer p.leave()
	pos := p.pos()
	p.next()
	var t ast.TableExpr
	switch {
	case p.atQuery():
		q := p.query()
		p.expect(RParen)
		return q, nil
	case p.is(LParen):
		inner := p.pos()
		q, it := p.tableParens()
		switch {
		case q != nil && p.is(RParen):
			p.next()
			return q, nil
		case q != nil && p.atQueryTail():
			q = p.queryTail(pos, q)
			p.expect(RParen)
			return q, nil
		}
		t = p.joins(p.tableInParens(inner, false, q, it))
	default:
		t = p.tableExpr()
	}
	p.expect(RParen)
	return nil, t
}

// tableInParens adds the alias behind parentheses.
func (p *Parser) tableInParens(pos ast.Pos, lateral bool, q *ast.Query, t ast.TableExpr) ast.TableExpr {
	if q != nil {
		return &ast.SubqueryTable{Pos: pos, Lateral: lateral, Query: q, Alias: p.alias()}
	}
	j, ok := t.(*ast.Join)
	if !ok {
		return t
	}
	if a := p.alias(); a.Name != "" {
		return &ast.AliasedJoin{Pos: pos, Join: j, Alias: a}
	}
	return t
}

// alias parses the alias of a table, if there is one.
func (p *Parser) alias() ast.Alias {
	a, _ := p.aliasOf(false)
	return a
}

// aliasOf parses an alias. That of a function may give its columns types, and
// then do without a name.
func (p *Parser) aliasOf(function bool) (a ast.Alias, types []ast.TypeName) {
	named := true
	switch {
	case p.acceptKw(kwAs):
		named = !function || !p.is(LParen)
	case !isName(p.tok), p.isKw(kwOptions) && p.peek(1).Kind == LParen:
		return a, nil
	}
	if named {
		a.Name = p.name()
	}
	if !p.is(LParen) {
		return a, nil
	}
	p.next()
	for {
		a.Columns = append(a.Columns, p.ident())
		switch defines := p.err == nil && !p.is(Comma) && !p.is(RParen) && (p.is(Word) || p.is(QuotedIdent)); {
		case defines && !function:
			p.failAt(p.pos(), "Give names only.", "a column definition list is only allowed for functions returning \"record\"")
		case defines && len(types) == len(a.Columns)-1:
			types = append(types, p.typeName())
		case defines || !named || len(types) > 0:
			p.unexpected() // a type for each column or for none
		}
		if !p.accept(Comma) {
			break
		}
	}
	p.expect(RParen)
	return a, types
}
