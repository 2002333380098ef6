package parser

import "github.com/kalamdb/kalamdb/sql/ast"

// word parses an operand that starts with a word.
func (p *Parser) word() ast.Expr {
	pos := p.pos()
	switch p.tok.Keyword {
	case kwNone:
		return p.named()
	case kwNull:
		p.next()
		n := p.slabs.nulls.new()
		n.Pos = pos
		return n
	case kwTrue, kwFalse:
		b := p.slabs.bools.new()
		b.Pos, b.Value = pos, p.tok.Keyword == kwTrue
		p.next()
		return b
	case kwNot:
		if p.bound {
			p.failNear("Put parentheses around NOT behind BETWEEN.")
			return nil
		}
		p.next()
		return &ast.NotExpr{Pos: pos, X: p.expr(lvNot)}
	case kwCase:
		return p.caseExpr()
	case kwCast:
		return p.cast(false)
	case kwArray:
		p.next()
		if p.is(LParen) {
			query, _ := p.parens()
			if query == nil {
				p.failAt(pos, "Write ARRAY[…] for a list of values.", "ARRAY(…) takes a query")
			}
			return &ast.ArraySubqueryExpr{Pos: pos, Query: query}
		}
		return p.array(pos)
	case kwCurrentDate, kwCurrentTime, kwCurrentTimestamp, kwLocaltime, kwLocaltimestamp, kwCurrentUser,
		kwCurrentRole, kwCurrentCatalog, kwSessionUser, kwUser, kwCurrentSchema:
		return p.systemValue()
	case kwDefault:
		if p.allowDefault {
			p.next()
			return &ast.DefaultExpr{Pos: pos}
		}
	case kwSelect, kwWith:
		p.failNear("A query used as a value stands in parentheses.")
		return nil
	case kwInterval:
		if t := p.peek(1); t.Kind == String || t.Kind == LParen {
			return p.typedLit()
		}
	case kwTime, kwTimestamp:
		if t := p.peek(1); (t.isKw(kwWith) || t.isKw(kwWithout)) && p.peek(2).isKw(kwTime) {
			return p.typedLit()
		}
	case kwDouble:
		if p.peek(1).isKw(kwPrecision) && p.peek(2).Kind == String {
			return p.typedLit()
		}
	}
	if p.peek(1).Kind == LParen {
		switch p.tok.Keyword {
		case kwExists:
			p.next()
			query, _ := p.parens()
			if query == nil {
				p.failAt(pos, "", "EXISTS takes a query in parentheses")
			}
			return &ast.ExistsExpr{Pos: pos, Query: query}
		case kwTryCast:
			return p.cast(true)
		case kwRow:
			p.next()
			p.next()
			r := &ast.RowExpr{Pos: pos}
			if !p.is(RParen) {
				r.Items = p.exprList()
			}
			p.expect(RParen)
			return r
		case kwExtract:
			return p.extract()
		case kwPosition:
			return p.position()
		case kwSubstring:
			return p.substring()
		case kwOverlay:
			return p.overlay()
		case kwTrim:
			return p.trim()
		}
	}
	return p.named()
}

// named parses what starts with a name: a column, a call, or a constant of a
// named type.
func (p *Parser) named() ast.Expr {
	pos := p.pos()
	next := p.peek(1).Kind
	if !isName(p.tok) && (next != LParen || p.tok.Kind != Word || p.tok.Keyword.Category() != FuncOrType) {
		p.unexpectedName()
		return nil
	}
	switch next {
	case String:
		return p.typedLit()
	case LParen:
		return p.typedLitAfter(p.call(pos, "", p.value()))
	}
	c := p.slabs.columns.new()
	c.Pos, c.Name = pos, p.value()
	if next != Dot {
		return c
	}
	var parts [4]string
	n := 1
	parts[0] = c.Name
	userAt := 0
	for p.accept(Dot) {
		if p.isOp(ast.OpMul) {
			p.next()
			return p.star(pos, parts[:n], userAt)
		}
		if n == len(parts) {
			p.failAt(pos, "", "improper qualified name (too many dotted names) at or near %s", nearText(p.text()))
			return nil
		}
		if p.isKw(kwUser) {
			userAt = n
		}
		parts[n] = p.label()
		n++
		if p.is(LParen) {
			if n > 2 {
				p.failAt(pos, "", "improper function name (too many dotted names) at or near %s", nearText(p.text()))
				return nil
			}
			return p.call(pos, parts[0], parts[1])
		}
	}
	c.Name = parts[n-1]
	switch n {
	case 2:
		c.Table = parts[0]
	case 3:
		c.Namespace, c.Table = parts[0], parts[1]
	case 4:
		c.Namespace, c.Table, c.UserQualified = parts[0], parts[2], true
		if userAt != 1 {
			p.failAt(pos, "Columns are named namespace.table.column, or namespace.user.table.column.",
				"improper qualified name (too many dotted names)")
		}
	}
	return c
}

// star makes the Star of t.*, ns.t.* or ns.user.t.*. Where a Star may not
// stand, it stays in p.stray.
func (p *Parser) star(pos ast.Pos, parts []string, userAt int) ast.Expr {
	s := &ast.Star{Pos: pos, Table: parts[len(parts)-1]}
	switch len(parts) {
	case 2:
		s.Namespace = parts[0]
	case 3:
		s.Namespace, s.UserQualified = parts[0], true
		if userAt != 1 {
			p.failAt(pos, "", "improper qualified name (too many dotted names)")
		}
	case 4:
		p.failAt(pos, "", "improper qualified name (too many dotted names)")
	}
	if p.stray == 0 {
		p.stray = pos
	}
	return s
}

// typedLit parses a type name and the constant behind it.
func (p *Parser) typedLit() ast.Expr {
	t := &ast.TypedLit{Pos: p.pos(), Type: p.typeName()}
	t.Value = p.stringValue()
	if t.Type.Name == "interval" && t.Type.Fields == "" && len(t.Type.Mods) == 0 {
		p.intervalFields(&t.Type)
	}
	return t
}

// typedLitAfter turns varchar(3) 'abc', which began like a call, into the
// constant that it is.
func (p *Parser) typedLitAfter(f *ast.FuncCall) ast.Expr {
	timeType := f.Name == "time" || f.Name == "timestamp"
	zone := timeType && (p.isKw(kwWith) || p.isKw(kwWithout)) && p.peek(1).isKw(kwTime)
	if !p.is(String) && !zone || f.Over != nil || f.Filter != nil || f.Distinct || f.Star {
		return f
	}
	t := &ast.TypedLit{Pos: f.Pos, Type: ast.TypeName{Pos: f.Pos, Name: f.Name}}
	for _, a := range f.Args {
		n, ok := a.(*ast.IntLit)
		if !ok || n.Value > maxTypeMod {
			p.unexpected()
			return f
		}
		t.Type.Mods = append(t.Type.Mods, int32(n.Value))
	}
	if timeType {
		p.timeZone(&t.Type)
	}
	t.Value = p.stringValue()
	return t
}

func (p *Parser) caseExpr() ast.Expr {
	c := &ast.CaseExpr{Pos: p.pos()}
	p.next()
	if !p.isKw(kwWhen) {
		c.Operand = p.expr(lowest)
	}
	for p.acceptKw(kwWhen) {
		var w ast.When
		w.Cond = p.expr(lowest)
		p.expectKw(kwThen)
		w.Result = p.expr(lowest)
		c.Whens = append(c.Whens, w)
	}
	if len(c.Whens) == 0 {
		p.unexpectedFor(kwWhen)
	}
	if p.acceptKw(kwElse) {
		c.Else = p.expr(lowest)
	}
	p.expectKw(kwEnd)
	return c
}

func (p *Parser) cast(try bool) ast.Expr {
	c := &ast.CastExpr{Pos: p.pos(), Try: try}
	p.next()
	p.expect(LParen)
	c.X = p.expr(lowest)
	p.expectKw(kwAs)
	c.Type = p.typeName()
	p.noUnsigned(&c.Type)
	p.expect(RParen)
	return c
}

// array parses […] behind ARRAY, and the lists in it.
func (p *Parser) array(pos ast.Pos) ast.Expr {
	a := &ast.ArrayExpr{Pos: pos}
	if !p.enter() {
		return a
	}
	defer p.leave()
	saved := p.height
	p.height = 0
	p.expect(LBracket)
	base := len(p.exprs)
	for p.err == nil && !p.is(RBracket) {
		if p.is(LBracket) {
			p.push(p.array(p.pos()))
		} else {
			p.push(p.expr(lowest))
		}
		if !p.accept(Comma) {
			break
		}
		if p.is(RBracket) {
			p.unexpected()
		}
	}
	p.expect(RBracket)
	a.Elems = p.takeList(base)
	p.grow()
	p.height = max(p.height, saved)
	return a
}

// systemValue parses CURRENT_DATE and its like, with or without parentheses.
func (p *Parser) systemValue() ast.Expr {
	f := &ast.FuncCall{Pos: p.pos(), Name: keywords[p.tok.Keyword].lower}
	if p.tok.Keyword == kwUser {
		f.Name = "current_user"
	}
	p.next()
	if p.accept(LParen) {
		if p.is(Integer) {
			f.Args = []ast.Expr{p.number()}
		}
		p.expect(RParen)
	}
	return f
}

// call parses the parentheses of a call and what follows them.
func (p *Parser) call(pos ast.Pos, schema, name string) *ast.FuncCall {
	f := &ast.FuncCall{Pos: pos, Schema: schema, Name: name}
	p.expect(LParen)
	switch {
	case p.isOp(ast.OpMul) && p.peek(1).Kind == RParen:
		p.next()
		f.Star = true
	case p.is(RParen):
	default:
		f.Distinct = p.acceptKw(kwDistinct)
		if !f.Distinct {
			p.acceptKw(kwAll)
		}
		f.Args = p.args(f)
	}
	p.callEnd(f)
	return f
}

// args parses the arguments of a call.
func (p *Parser) args(f *ast.FuncCall) []ast.Expr {
	base := len(p.exprs)
	for {
		if f.Variadic {
			p.unexpected()
		}
		f.Variadic = p.acceptKw(kwVariadic)
		if k := p.peek(1).Kind; (k == Arrow || k == ColonEquals) && (isName(p.tok) || p.is(Word)) {
			a := &ast.NamedArg{Pos: p.pos(), Name: p.value()}
			p.next()
			a.X = p.expr(lowest)
			p.grow()
			p.push(a)
		} else {
			stray := p.stray
			x := p.expr(lowest)
			if _, ok := x.(*ast.Star); ok {
				p.stray = stray
			}
			p.push(x)
		}
		if !p.accept(Comma) {
			return p.takeList(base)
		}
	}
}

// callEnd parses what follows the arguments of a call.
func (p *Parser) callEnd(f *ast.FuncCall) {
	f.OrderBy = p.orderBy()
	p.expect(RParen)
	if p.tok.Kind != Word {
		return
	}
	if p.isKw(kwWithin) && p.peek(1).isKw(kwGroup) {
		p.next()
		p.next()
		p.expect(LParen)
		if f.WithinGroup = p.orderBy(); f.WithinGroup == nil {
			p.unexpectedFor(kwOrder)
		}
		p.expect(RParen)
	}
	if p.isKw(kwFilter) && p.peek(1).Kind == LParen {
		p.next()
		p.next()
		p.expectKw(kwWhere)
		f.Filter = p.expr(lowest)
		p.expect(RParen)
	}
	switch {
	case p.acceptKws(kwIgnore, kwNulls):
		f.Nulls = ast.IgnoreNulls
	case p.acceptKws(kwRespect, kwNulls):
		f.Nulls = ast.RespectNulls
	}
	if p.isKw(kwOver) {
		if t := p.peek(1); t.Kind == LParen || isName(t) {
			p.next()
			f.Over = p.over()
		}
	}
}

// special begins one of the calls with a syntax of its own.
func (p *Parser) special(name string) *ast.FuncCall {
	f := &ast.FuncCall{Pos: p.pos(), Name: name}
	p.next()
	p.next()
	return f
}

// rest continues a special call whose first argument turned out to be that
// of an ordinary call.
func (p *Parser) rest(f *ast.FuncCall, first ast.Expr) ast.Expr {
	f.Args = []ast.Expr{first}
	if p.accept(Comma) {
		f.Args = append(f.Args, p.args(f)...)
	}
	p.callEnd(f)
	return f
}

func (p *Parser) extract() ast.Expr {
	f := p.special("extract")
	if k := p.tok.Kind; (k == Word || k == QuotedIdent || k == String) && p.peek(1).isKw(kwFrom) {
		pos := p.pos()
		field := p.value()
		p.next()
		f.Args = []ast.Expr{&ast.StringLit{Pos: pos, Value: lowerASCII(field)}, p.expr(lowest)}
		p.expect(RParen)
		return f
	}
	return p.rest(f, p.expr(lowest))
}

func (p *Parser) position() ast.Expr {
	f := p.special("position")
	defer func(bound bool) { p.bound = bound }(p.bound)
	p.bound = false
	x := p.expr(lvLike + 1)
	if p.acceptKw(kwIn) {
		f.Args = []ast.Expr{p.expr(lvLike + 1), x}
		p.expect(RParen)
		return f
	}
	return p.rest(f, p.infix(x, lowest))
}

func (p *Parser) substring() ast.Expr {
	f := p.special("substring")
	if p.is(RParen) {
		p.unexpected()
		return f
	}
	x := p.expr(lowest)
	var from, length ast.Expr
	switch {
	case p.acceptKw(kwSimilar):
		from = p.expr(lowest)
		p.expectKw(kwEscape)
		length = p.expr(lowest)
	case p.acceptKw(kwFrom):
		from = p.expr(lowest)
		if p.acceptKw(kwFor) {
			length = p.expr(lowest)
		}
	case p.isKw(kwFor):
		pos := p.pos()
		p.next()
		length = p.expr(lowest)
		from = &ast.IntLit{Pos: pos, Value: 1}
		if p.acceptKw(kwFrom) {
			from = p.expr(lowest)
		}
	default:
		return p.rest(f, x)
	}
	f.Args = append(f.Args, x, from)
	if length != nil {
		f.Args = append(f.Args, length)
	}
	p.expect(RParen)
	return f
}

func (p *Parser) overlay() ast.Expr {
	f := p.special("overlay")
	x := p.expr(lowest)
	if !p.acceptKw(kwPlacing) {
		return p.rest(f, x)
	}
	f.Args = append(f.Args, x, p.expr(lowest))
	p.expectKw(kwFrom)
	f.Args = append(f.Args, p.expr(lowest))
	if p.acceptKw(kwFor) {
		f.Args = append(f.Args, p.expr(lowest))
	}
	p.expect(RParen)
	return f
}

func (p *Parser) trim() ast.Expr {
	f := p.special("btrim")
	switch {
	case p.acceptKw(kwLeading):
		f.Name = "ltrim"
	case p.acceptKw(kwTrailing):
		f.Name = "rtrim"
	default:
		p.acceptKw(kwBoth)
	}
	if p.acceptKw(kwFrom) {
		f.Args = p.exprList()
	} else {
		f.Args = p.exprList()
		if len(f.Args) == 1 && p.acceptKw(kwFrom) {
			chars := f.Args[0]
			f.Args = append(p.exprList(), chars)
		}
	}
	p.expect(RParen)
	return f
}
