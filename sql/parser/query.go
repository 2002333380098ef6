package parser

import "github.com/kalamdb/kalamdb/sql/ast"

// atQuery tells whether a query without parentheses starts at tok.
func (p *Parser) atQuery() bool {
	if p.tok.Kind != Word {
		return false
	}
	switch p.tok.Keyword {
	case kwSelect, kwWith:
		return true
	case kwValues:
		return p.peek(1).Kind == LParen
	case kwTable:
		return true
	}
	return false
}

// atQueryTail tells whether tok continues a query in parentheses.
func (p *Parser) atQueryTail() bool {
	if p.tok.Kind != Word {
		return false
	}
	switch p.tok.Keyword {
	case kwUnion, kwIntersect, kwExcept, kwOrder, kwLimit, kwOffset, kwFetch:
		return true
	}
	return false
}

// query parses a whole query. Like expr, it leaves the greater height.
func (p *Parser) query() *ast.Query {
	pos := p.pos()
	if !p.enter() {
		return &ast.Query{Pos: pos}
	}
	defer p.leave()
	saved, allowed := p.height, p.allowDefault
	p.height, p.allowDefault = 0, false
	q := p.queryAfter(pos, p.with())
	p.height, p.allowDefault = max(p.height, saved), allowed
	return q
}

// queryAfter parses what follows the WITH clause of a query.
func (p *Parser) queryAfter(pos ast.Pos, with *ast.With) *ast.Query {
	return p.queryEnd(&ast.Query{Pos: pos, With: with, Body: p.setOps(p.queryPrimary(), 1)})
}

// queryTail continues a query that was in parentheses.
func (p *Parser) queryTail(pos ast.Pos, inner *ast.Query) *ast.Query {
	return p.queryEnd(&ast.Query{Pos: pos, Body: p.setOps(unwrap(inner), 1)})
}

// unwrap takes the parentheses off a query that has nothing around its body.
func unwrap(q *ast.Query) ast.QueryBody {
	if isBare(q) {
		return q.Body
	}
	return q
}

func isBare(q *ast.Query) bool {
	return q.With == nil && q.OrderBy == nil && q.Limit == nil && q.Offset == nil
}

// queryEnd parses the clauses behind a query's body.
func (p *Parser) queryEnd(q *ast.Query) *ast.Query {
	q.OrderBy = p.orderBy()
	var hadLimit, hadOffset bool
	for p.err == nil {
		switch {
		case p.isKw(kwLimit) && !hadLimit:
			hadLimit = true
			p.limit(q)
		case p.isKw(kwFetch) && !hadLimit:
			hadLimit = true
			p.fetch(q)
		case p.isKw(kwOffset) && !hadOffset:
			hadOffset = true
			p.next()
			q.Offset = p.expr(lowest)
			if !p.acceptKw(kwRows) {
				p.acceptKw(kwRow)
			}
		case p.isKw(kwFor):
			p.unsupported(p.pos(), "A statement reads at one snapshot; there are no row locks.", "FOR %s is not supported.", p.peek(1).Text(p.sql))
		default:
			p.grow()
			if inner, ok := q.Body.(*ast.Query); ok && isBare(q) {
				return inner
			}
			return q
		}
	}
	return q
}

func (p *Parser) limit(q *ast.Query) {
	p.next()
	if p.acceptKw(kwAll) {
		return
	}
	q.Limit = p.expr(lowest)
	if _, null := q.Limit.(*ast.NullLit); null {
		q.Limit = nil
	}
	if p.is(Comma) {
		p.failNear("Write LIMIT count OFFSET start.")
	}
}

func (p *Parser) fetch(q *ast.Query) {
	p.next()
	if !p.acceptKw(kwFirst) {
		p.expectKw(kwNext)
	}
	if p.isKw(kwRow) || p.isKw(kwRows) {
		q.Limit = &ast.IntLit{Pos: p.pos(), Value: 1}
	} else {
		q.Limit = p.expr(lvUnary)
	}
	if !p.acceptKw(kwRow) {
		p.expectKw(kwRows)
	}
	if p.acceptKw(kwWith) {
		p.expectKw(kwTies)
		q.WithTies = true
		return
	}
	p.expectKw(kwOnly)
}

// setOps continues a query body with set operations of at least the given
// precedence: 1 for all, 2 for INTERSECT only.
func (p *Parser) setOps(l ast.QueryBody, min int) ast.QueryBody {
	for p.err == nil {
		op := &ast.SetOp{Pos: p.pos(), L: l}
		prec := 1
		switch {
		case p.isKw(kwUnion):
		case p.isKw(kwExcept):
			op.Kind = ast.Except
		case p.isKw(kwIntersect):
			op.Kind, prec = ast.Intersect, 2
		default:
			return l
		}
		if prec < min {
			return l
		}
		p.next()
		if op.All = p.acceptKw(kwAll); !op.All {
			p.acceptKw(kwDistinct)
		}
		op.R = p.setOps(p.queryPrimary(), prec+1)
		l = op
		p.grow()
	}
	return l
}

func (p *Parser) queryPrimary() ast.QueryBody {
	switch {
	case p.isKw(kwSelect):
		return p.selectBody()
	case p.isKw(kwValues):
		return p.values(false)
	case p.isKw(kwTable):
		pos := p.pos()
		p.next()
		name := p.tableName()
		return &ast.Select{
			Pos:   pos,
			Items: []ast.SelectItem{{Pos: pos, X: &ast.Star{Pos: pos}}},
			From:  []ast.TableExpr{&ast.TableRef{Pos: name.Pos, Name: name}},
		}
	case p.is(LParen):
		p.next()
		q := p.query()
		p.expect(RParen)
		return unwrap(q)
	}
	p.unexpectedFor(kwSelect)
	return nil
}

// values parses VALUES (…), (…). DEFAULT may stand for a value in an INSERT.
func (p *Parser) values(allowDefault bool) *ast.Values {
	v := &ast.Values{Pos: p.pos()}
	p.next()
	for p.err == nil {
		pos := p.pos()
		p.expect(LParen)
		base := len(p.exprs)
		for {
			if allowDefault && p.isKw(kwDefault) {
				p.push(&ast.DefaultExpr{Pos: p.pos()})
				p.next()
			} else {
				p.push(p.expr(lowest))
			}
			if !p.accept(Comma) {
				break
			}
		}
		p.expect(RParen)
		row := p.takeList(base)
		if len(v.Rows) > 0 && len(row) != len(v.Rows[0]) {
			p.failAt(pos, "", "VALUES lists must all be the same length")
		}
		v.Rows = append(v.Rows, row)
		if !p.accept(Comma) {
			break
		}
	}
	return v
}

func (p *Parser) selectBody() *ast.Select {
	s := &ast.Select{Pos: p.pos()}
	p.next()
	needItems := true
	switch {
	case p.acceptKw(kwDistinct):
		if p.acceptKw(kwOn) {
			p.expect(LParen)
			s.DistinctOn = p.exprList()
			p.expect(RParen)
		} else {
			s.Distinct = true
		}
	case p.acceptKw(kwAll):
	default:
		needItems = false
	}
	if needItems || !p.atItemsEnd() {
		s.Items = p.selectItems()
	}
	if p.isKw(kwInto) {
		p.unsupported(p.pos(), "Use CREATE TABLE … AS SELECT …, or INSERT INTO … SELECT ….", "SELECT INTO is not supported.")
	}
	if p.acceptKw(kwFrom) {
		s.From = p.tableExprs()
	}
	if p.acceptKw(kwWhere) {
		s.Where = p.expr(lowest)
	}
	if p.acceptKw(kwGroup) {
		p.expectKw(kwBy)
		if s.GroupDistinct = p.acceptKw(kwDistinct); !s.GroupDistinct {
			p.acceptKw(kwAll)
		}
		s.GroupBy = p.groupItems()
	}
	if p.acceptKw(kwHaving) {
		s.Having = p.expr(lowest)
	}
	if p.acceptKw(kwWindow) {
		for {
			w := ast.NamedWindow{Pos: p.pos(), Name: p.name()}
			p.expectKw(kwAs)
			w.Spec = p.windowSpec()
			s.Windows = append(s.Windows, w)
			if !p.accept(Comma) {
				break
			}
		}
	}
	p.grow()
	return s
}

// atItemsEnd tells whether a select list is empty, as PostgreSQL allows.
func (p *Parser) atItemsEnd() bool {
	switch p.tok.Kind {
	case EOF, Semicolon, RParen:
		return true
	}
	if p.tok.Kind != Word {
		return false
	}
	switch p.tok.Keyword {
	case kwFrom, kwWhere, kwGroup, kwHaving, kwWindow, kwUnion, kwIntersect, kwExcept, kwOrder, kwLimit, kwOffset,
		kwFetch, kwFor, kwOn, kwReturning:
		return true
	}
	return false
}

// selectItems parses a select list, or the items of RETURNING.
func (p *Parser) selectItems() []ast.SelectItem {
	var one [8]ast.SelectItem
	list := one[:0]
	for p.err == nil {
		list = append(list, p.selectItem())
		if !p.accept(Comma) {
			break
		}
	}
	return append(make([]ast.SelectItem, 0, len(list)), list...)
}

func (p *Parser) selectItem() ast.SelectItem {
	it := ast.SelectItem{Pos: p.pos()}
	if p.isOp(ast.OpMul) {
		it.X = &ast.Star{Pos: it.Pos}
		p.next()
		return it
	}
	stray := p.stray
	it.X = p.expr(lowest)
	if _, ok := it.X.(*ast.Star); ok {
		p.stray = stray
		return it
	}
	switch {
	case p.acceptKw(kwAs):
		it.Alias = p.label()
	case p.isKw(kwOptions) && p.peek(1).Kind == LParen:
	case isName(p.tok) && !(p.tok.Kind == Word && keywords[p.tok.Keyword].needsAS):
		it.Alias = p.value()
	}
	return it
}

func (p *Parser) groupItems() []ast.Expr {
	base := len(p.exprs)
	for {
		p.push(p.groupItem())
		if !p.accept(Comma) {
			return p.takeList(base)
		}
	}
}

func (p *Parser) groupItem() ast.Expr {
	pos, next := p.pos(), p.peek(1)
	g := &ast.GroupingExpr{Pos: pos}
	switch {
	case p.is(LParen) && next.Kind == RParen:
		p.next()
		p.next()
		return &ast.RowExpr{Pos: pos}
	case p.isKw(kwRollup) && next.Kind == LParen:
		g.Kind = ast.Rollup
	case p.isKw(kwCube) && next.Kind == LParen:
		g.Kind = ast.Cube
	case p.isKw(kwGrouping) && next.isKw(kwSets):
		p.next()
	default:
		return p.expr(lowest)
	}
	if !p.enter() {
		return nil
	}
	p.next()
	p.expect(LParen)
	if g.Kind == ast.GroupingSets {
		g.Items = p.groupItems()
	} else {
		g.Items = p.exprList()
	}
	p.expect(RParen)
	p.grow()
	p.leave()
	return g
}

// orderBy parses an ORDER BY clause, if there is one.
func (p *Parser) orderBy() []ast.OrderItem {
	if !p.isKw(kwOrder) {
		return nil
	}
	p.next()
	p.expectKw(kwBy)
	var list []ast.OrderItem
	for p.err == nil {
		it := ast.OrderItem{Pos: p.pos(), X: p.expr(lowest)}
		switch {
		case p.acceptKw(kwAsc):
			it.Dir = ast.Asc
		case p.acceptKw(kwDesc):
			it.Dir = ast.Desc
		case p.isKw(kwUsing):
			p.unsupported(p.pos(), "Use ASC or DESC.", "ORDER BY … USING is not supported.")
		}
		if p.acceptKw(kwNulls) {
			if p.acceptKw(kwFirst) {
				it.Nulls = ast.NullsFirst
			} else {
				p.expectKw(kwLast)
				it.Nulls = ast.NullsLast
			}
		}
		list = append(list, it)
		if !p.accept(Comma) {
			break
		}
	}
	return list
}

// with parses a WITH clause, if there is one.
func (p *Parser) with() *ast.With {
	if !p.isKw(kwWith) {
		return nil
	}
	w := &ast.With{Pos: p.pos()}
	p.next()
	w.Recursive = p.acceptKw(kwRecursive)
	for p.err == nil {
		c := &ast.CTE{Pos: p.pos(), Name: p.name()}
		if p.is(LParen) {
			c.Columns = p.identList()
		}
		p.expectKw(kwAs)
		switch {
		case p.acceptKw(kwMaterialized):
			c.Materialized = ast.Materialized
		case p.acceptKws(kwNot, kwMaterialized):
			c.Materialized = ast.NotMaterialized
		}
		p.expect(LParen)
		c.Stmt = p.dmlOrQuery()
		p.expect(RParen)
		w.CTEs = append(w.CTEs, c)
		if !p.accept(Comma) {
			break
		}
	}
	p.grow()
	return w
}

// dmlOrQuery parses a query or data-changing statement, with its WITH clause.
func (p *Parser) dmlOrQuery() ast.Statement {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	saved, allowed := p.height, p.allowDefault
	p.height, p.allowDefault = 0, false
	pos, with := p.pos(), p.with()
	var s ast.Statement
	switch {
	case p.isKw(kwInsert):
		s = p.insert(pos, with)
	case p.isKw(kwUpdate):
		s = p.update(pos, with)
	case p.isKw(kwDelete):
		s = p.delete(pos, with)
	default:
		s = p.queryAfter(pos, with)
	}
	p.height, p.allowDefault = max(p.height, saved), allowed
	return s
}
