package parser

import (
	"strings"

	"github.com/kalamdb/kalamdb/sql/ast"
)

// level is a level of precedence, from PostgreSQL's manual, section 4.1.6,
// and its grammar where the manual is silent.
type level int8

const (
	// none is the level of tokens that do not continue an expression.
	none level = iota
	lvOr
	lvAnd
	lvNot
	lvIs      // IS ISNULL NOTNULL; not associative
	lvCompare // < > = <= >= <>; not associative
	lvLike    // BETWEEN IN LIKE ILIKE SIMILAR OVERLAPS; not associative
	lvOp      // all other operators
	lvAdd
	lvMul
	lvPow
	lvAt
	lvCollate
	lvUnary
	lvIndex
	lvCast
	lvDot

	// lowest is the level of a whole expression.
	lowest = lvOr
)

var opLevel = func() (t [64]level) {
	for op := range t {
		t[op] = lvOp
	}
	t[ast.OpInvalid] = none
	for op := ast.OpEq; op <= ast.OpGe; op++ {
		t[op] = lvCompare
	}
	t[ast.OpAdd], t[ast.OpSub] = lvAdd, lvAdd
	t[ast.OpMul], t[ast.OpDiv], t[ast.OpMod] = lvMul, lvMul, lvMul
	t[ast.OpPow] = lvPow
	// These are prefix operators only.
	t[ast.OpAbs], t[ast.OpSqrt], t[ast.OpCbrt] = none, none, none
	return t
}()

// expr parses an expression whose operators bind at least as tightly as min.
//
// It keeps p.height: on return that is the greater of its value before and of
// the height of the tree that was parsed. A construct that is built from
// several expressions so has the height of the highest, and calls grow for
// its own node.
func (p *Parser) expr(min level) ast.Expr {
	if !p.enter() {
		return nil
	}
	saved, bound := p.height, p.bound
	p.height = 0
	if min == lowest {
		p.bound = false
	}
	x := p.infix(p.prefix(), min)
	p.height, p.bound = max(p.height, saved), bound
	p.leave()
	return x
}

// exprList parses one or more expressions separated by commas.
func (p *Parser) exprList() []ast.Expr {
	base := len(p.exprs)
	p.push(p.expr(lowest))
	for p.accept(Comma) {
		p.push(p.expr(lowest))
	}
	return p.takeList(base)
}

func (p *Parser) push(x ast.Expr) { p.exprs = append(p.exprs, x) }

// infixLevel is the level of tok as a continuation of an expression.
func (p *Parser) infixLevel() level {
	switch p.tok.Kind {
	case Operator:
		return opLevel[p.tok.Op]
	case LBracket:
		return lvIndex
	case DoubleColon:
		return lvCast
	case Dot:
		return lvDot
	case Word:
		lv := p.wordLevel()
		if p.bound && lv == lvLike {
			return none
		}
		return lv
	}
	return none
}

// wordLevel is infixLevel of a word.
func (p *Parser) wordLevel() level {
	switch p.tok.Keyword {
	case kwAnd:
		return lvAnd
	case kwOr:
		return lvOr
	case kwIs, kwIsnull, kwNotnull:
		return lvIs
	case kwBetween, kwIn, kwLike, kwIlike, kwOverlaps:
		return lvLike
	case kwSimilar:
		if p.peek(1).isKw(kwTo) {
			return lvLike
		}
	case kwNot:
		switch t := p.peek(1); t.Keyword {
		case kwBetween, kwIn, kwLike, kwIlike, kwSimilar:
			return lvLike
		}
	case kwCollate:
		return lvCollate
	case kwAt:
		if p.peek(1).isKw(kwTime) {
			return lvAt
		}
	}
	return none
}

// infix continues the expression x with operators of at least level min.
func (p *Parser) infix(x ast.Expr, min level) ast.Expr {
	// closed is the level of the last operator, when another one of the same
	// level may not follow its operand.
	closed := none
	for p.err == nil {
		lv := p.infixLevel()
		if lv < min || lv == none {
			return x
		}
		if lv == closed {
			p.failNear("Comparisons do not chain. Use AND, or parentheses.")
			return x
		}
		closed = none
		switch lv {
		case lvAnd, lvOr:
			x = p.chain(x, lv)
		case lvIs:
			x, closed = p.isTest(x)
		case lvLike:
			x, closed = p.like(x)
		case lvCompare:
			x, closed = p.binary(x, lv), lvCompare
		case lvAt:
			pos := p.pos()
			p.next()
			p.next()
			p.expectKw(kwZone)
			x = &ast.AtTimeZoneExpr{Pos: pos, X: x, Zone: p.expr(lvAt + 1)}
		case lvCollate:
			pos := p.pos()
			p.next()
			x = &ast.CollateExpr{Pos: pos, X: x, Collation: p.anyName()}
		case lvIndex:
			x = p.index(x)
		case lvCast:
			pos := p.pos()
			p.next()
			x = &ast.CastExpr{Pos: pos, X: x, Type: p.typeName()}
		case lvDot:
			pos := p.pos()
			p.next()
			if c, ok := x.(*ast.ColumnRef); ok && c.Table == "" && p.isOp(ast.OpMul) {
				p.next()
				return p.star(pos, []string{c.Name}, -1)
			}
			if p.isOp(ast.OpMul) {
				p.unsupported(pos, "Name the fields one by one.", "Expanding a row value with .* is not supported.")
				return x
			}
			x = &ast.FieldExpr{Pos: pos, X: x, Name: p.label()}
		default:
			x = p.binary(x, lv)
		}
		p.grow()
	}
	return x
}

// anyName is a collation name, perhaps qualified; the qualifier is dropped
// when it is pg_catalog.
func (p *Parser) anyName() string {
	name := p.name()
	if p.accept(Dot) {
		if name != "pg_catalog" {
			p.unexpected()
		}
		name = p.label()
	}
	return name
}

// chain parses a AND b AND … into one node.
func (p *Parser) chain(x ast.Expr, lv level) ast.Expr {
	pos, kw := p.pos(), p.tok.Keyword
	base := len(p.exprs)
	p.push(x)
	for p.acceptKw(kw) {
		p.push(p.expr(lv + 1))
	}
	args := p.takeList(base)
	if lv == lvAnd {
		return &ast.AndExpr{Pos: pos, Args: args}
	}
	return &ast.OrExpr{Pos: pos, Args: args}
}

// binary parses the operator at tok and its right side.
func (p *Parser) binary(x ast.Expr, lv level) ast.Expr {
	pos, op := p.pos(), p.tok.Op
	p.next()
	if p.tok.Kind == Word {
		switch p.tok.Keyword {
		case kwAny, kwSome, kwAll:
			return p.quantified(x, pos, op)
		}
	}
	r := p.expr(lv + 1)
	switch op {
	case ast.OpLike, ast.OpNotLike:
		return &ast.LikeExpr{Pos: pos, Kind: ast.Like, Not: op == ast.OpNotLike, X: x, Pattern: r}
	case ast.OpILike, ast.OpNotILike:
		return &ast.LikeExpr{Pos: pos, Kind: ast.ILike, Not: op == ast.OpNotILike, X: x, Pattern: r}
	}
	b := p.slabs.binaries.new()
	*b = ast.BinaryExpr{Pos: pos, Op: op, L: x, R: r}
	return b
}

// quantified parses ANY (…) or ALL (…) behind an operator.
func (p *Parser) quantified(x ast.Expr, pos ast.Pos, op ast.Op) ast.Expr {
	q := &ast.QuantifiedExpr{Pos: pos, Op: op, All: p.isKw(kwAll), X: x}
	p.next()
	if !p.is(LParen) {
		p.unexpected()
		return q
	}
	query, list := p.parens()
	if query == nil && len(list) != 1 {
		p.failAt(pos, "Write ANY (ARRAY[a, b]) or IN (a, b).", "ANY and ALL take one array or one query")
		return q
	}
	if q.Query = query; query == nil {
		q.Array = list[0]
	}
	return q
}

// isTest parses IS …, ISNULL and NOTNULL. The level is that which may not follow.
func (p *Parser) isTest(x ast.Expr) (ast.Expr, level) {
	pos := p.pos()
	switch {
	case p.acceptKw(kwIsnull):
		return &ast.IsExpr{Pos: pos, Kind: ast.IsNull, X: x}, none
	case p.acceptKw(kwNotnull):
		return &ast.IsExpr{Pos: pos, Kind: ast.IsNull, Not: true, X: x}, none
	}
	p.next()
	not := p.acceptKw(kwNot)
	var kind ast.IsKind
	switch {
	case p.acceptKw(kwNull):
		kind = ast.IsNull
	case p.acceptKw(kwTrue):
		kind = ast.IsTrue
	case p.acceptKw(kwFalse):
		kind = ast.IsFalse
	case p.acceptKw(kwUnknown):
		kind = ast.IsUnknown
	case p.acceptKw(kwDistinct):
		p.expectKw(kwFrom)
		return &ast.DistinctExpr{Pos: pos, Not: not, L: x, R: p.expr(lvIs + 1)}, lvIs
	case p.tok.Kind == Word:
		return p.normalized(pos, x, not), none
	default:
		p.unexpected()
	}
	return &ast.IsExpr{Pos: pos, Kind: kind, Not: not, X: x}, none
}

// normalized parses the rest of IS [NOT] [form] NORMALIZED.
func (p *Parser) normalized(pos ast.Pos, x ast.Expr, not bool) ast.Expr {
	args := []ast.Expr{x}
	switch form := strings.ToUpper(p.text()); form {
	case "NFC", "NFD", "NFKC", "NFKD":
		args = append(args, &ast.StringLit{Pos: p.pos(), Value: form})
		p.next()
	}
	if !p.acceptWord("normalized") {
		p.unexpected()
	}
	var out ast.Expr = &ast.FuncCall{Pos: pos, Name: "is_normalized", Args: args}
	if not {
		out = &ast.NotExpr{Pos: pos, X: out}
	}
	return out
}

// like parses the operators of LIKE's level. The level that it returns is the
// one that may not follow.
func (p *Parser) like(x ast.Expr) (ast.Expr, level) {
	pos := p.pos()
	not := p.acceptKw(kwNot)
	kw := p.tok.Keyword
	p.next()
	switch kw {
	case kwIn:
		if !p.is(LParen) {
			p.unexpected()
			return x, none
		}
		query, list := p.parens()
		return &ast.InExpr{Pos: pos, Not: not, X: x, List: list, Query: query}, none
	case kwBetween:
		b := &ast.BetweenExpr{Pos: pos, Not: not, X: x}
		b.Symmetric = p.acceptKw(kwSymmetric)
		if !b.Symmetric {
			p.acceptKw(kwAsymmetric)
		}
		b.Lo = p.lowerBound()
		p.expectKw(kwAnd)
		b.Hi = p.expr(lvLike + 1)
		return b, lvLike
	case kwOverlaps:
		return p.overlaps(x, pos), lvLike
	}
	l := &ast.LikeExpr{Pos: pos, Not: not, X: x}
	op, notOp := ast.OpLike, ast.OpNotLike
	switch kw {
	case kwIlike:
		l.Kind = ast.ILike
		op, notOp = ast.OpILike, ast.OpNotILike
	case kwSimilar:
		l.Kind = ast.SimilarTo
		p.next()
	}
	if p.isKw(kwAny) || p.isKw(kwSome) || p.isKw(kwAll) {
		if l.Kind == ast.SimilarTo {
			p.unexpected()
			return x, none
		}
		if not {
			op = notOp
		}
		return p.quantified(x, pos, op), none
	}
	l.Pattern = p.expr(lvLike + 1)
	if p.acceptKw(kwEscape) {
		l.Escape = p.expr(lvLike + 1)
	}
	return l, lvLike
}

// lowerBound parses what stands between BETWEEN and AND.
func (p *Parser) lowerBound() ast.Expr {
	saved := p.bound
	p.bound = true
	x := p.expr(lvCompare)
	p.bound = saved
	return x
}

// overlaps parses the right side of (a, b) OVERLAPS (c, d).
func (p *Parser) overlaps(x ast.Expr, pos ast.Pos) ast.Expr {
	l, okL := x.(*ast.RowExpr)
	r, okR := p.expr(lvLike + 1).(*ast.RowExpr)
	if !okL || !okR || len(l.Items) != 2 || len(r.Items) != 2 {
		p.failAt(pos, "Write (start, end) OVERLAPS (start, end).", "wrong number of values beside OVERLAPS")
		return x
	}
	return &ast.FuncCall{Pos: pos, Name: "overlaps", Args: []ast.Expr{l.Items[0], l.Items[1], r.Items[0], r.Items[1]}}
}

// index parses [i] or [lo:hi].
func (p *Parser) index(x ast.Expr) ast.Expr {
	pos := p.pos()
	p.next()
	var lo ast.Expr
	if !p.is(Colon) {
		lo = p.expr(lowest)
		if p.accept(RBracket) {
			return &ast.IndexExpr{Pos: pos, X: x, Index: lo}
		}
	}
	s := &ast.SliceExpr{Pos: pos, X: x, Lo: lo}
	p.expect(Colon)
	if !p.is(RBracket) {
		s.Hi = p.expr(lowest)
	}
	p.expect(RBracket)
	return s
}

// prefix parses an operand with its prefix operators.
func (p *Parser) prefix() ast.Expr {
	x := p.operand()
	p.grow()
	return x
}

func (p *Parser) operand() ast.Expr {
	pos := p.pos()
	switch p.tok.Kind {
	case Word:
		return p.word()
	case QuotedIdent:
		return p.named()
	case Integer, Decimal:
		return p.number()
	case String:
		s := p.slabs.strings.new()
		s.Pos, s.Value = pos, p.stringValue()
		return s
	case Param:
		return p.param()
	case LParen:
		query, list := p.parens()
		switch {
		case query != nil:
			return &ast.SubqueryExpr{Pos: pos, Query: query}
		case len(list) == 1:
			return list[0]
		}
		return &ast.RowExpr{Pos: pos, Items: list}
	case Operator:
		op, lv := p.tok.Op, lvOp+1
		switch op {
		case ast.OpAdd, ast.OpSub:
			lv = lvUnary
		case ast.OpMatch:
			op = ast.OpBitNot
		case ast.OpAbs, ast.OpSqrt, ast.OpCbrt:
		default:
			p.unexpected()
			return nil
		}
		p.next()
		return &ast.UnaryExpr{Pos: pos, Op: op, X: p.expr(lv)}
	case HexString:
		v := p.value()
		b := make([]byte, len(v)/2)
		for i := range b {
			hi, _ := hexDigit(v[2*i])
			lo, _ := hexDigit(v[2*i+1])
			b[i] = hi<<4 | lo
		}
		return &ast.BytesLit{Pos: pos, Value: string(b)}
	case BitString:
		return &ast.BitLit{Pos: pos, Bits: p.value()}
	}
	p.unexpected()
	return nil
}

func (p *Parser) number() ast.Expr {
	pos, kind := p.pos(), p.tok.Kind
	text := p.value()
	if kind == Integer {
		if v, ok := parseInt64(text); ok {
			n := p.slabs.ints.new()
			n.Pos, n.Value = pos, v
			return n
		}
	}
	n := p.slabs.decimals.new()
	n.Pos, n.Text = pos, text
	return n
}

// maxParams is PostgreSQL's limit on the number of parameters.
const maxParams = 65535

func (p *Parser) param() ast.Expr {
	n := p.slabs.params.new()
	n.Pos = p.pos()
	v, ok := parseInt64(p.text()[1:])
	if !ok || v < 1 || v > maxParams {
		p.failAt(n.Pos, "Parameters are $1 to $65535.", "there is no parameter %s", nearText(p.text()))
		return n
	}
	n.Index = int(v)
	p.next()
	return n
}

// parens parses what stands in parentheses: a query, or one or more
// expressions. It never looks at a token twice, so that deep nesting of
// parentheses of unknown meaning stays linear: whether an inner pair held a
// query is known when it is closed.
func (p *Parser) parens() (*ast.Query, []ast.Expr) {
	if !p.enter() {
		return nil, nil
	}
	defer p.leave()
	saved, bound := p.height, p.bound
	p.height, p.bound = 0, false
	defer func() { p.height, p.bound = max(p.height, saved), bound }()

	pos := p.pos()
	p.next()
	if p.atQuery() {
		q := p.query()
		p.expect(RParen)
		return q, nil
	}
	base := len(p.exprs)
	if p.is(LParen) {
		inner := p.pos()
		query, list := p.parens()
		var x ast.Expr
		switch {
		case query != nil && p.is(RParen):
			p.next()
			return query, nil
		case query != nil && p.atQueryTail():
			query = p.queryTail(pos, query)
			p.expect(RParen)
			return query, nil
		case query != nil:
			x = &ast.SubqueryExpr{Pos: inner, Query: query}
		case len(list) == 1:
			x = list[0]
		default:
			x = &ast.RowExpr{Pos: inner, Items: list}
		}
		p.grow()
		p.push(p.infix(x, lowest))
	} else {
		p.push(p.expr(lowest))
	}
	for p.accept(Comma) {
		p.push(p.expr(lowest))
	}
	p.expect(RParen)
	return nil, p.takeList(base)
}
