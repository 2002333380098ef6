package parser

import "github.com/kalamdb/kalamdb/sql/ast"

// over parses what follows OVER.
func (p *Parser) over() *ast.WindowSpec {
	if !p.is(LParen) {
		pos := p.pos()
		return &ast.WindowSpec{Pos: pos, Ref: p.name()}
	}
	return p.windowSpec()
}

func (p *Parser) windowSpec() *ast.WindowSpec {
	w := &ast.WindowSpec{Pos: p.pos()}
	p.expect(LParen)
	if isName(p.tok) {
		switch p.tok.Keyword {
		case kwPartition, kwRange, kwRows, kwGroups:
		default:
			w.Base = p.value()
		}
	}
	if p.acceptKw(kwPartition) {
		p.expectKw(kwBy)
		w.PartitionBy = p.exprList()
	}
	w.OrderBy = p.orderBy()
	w.Frame = p.frame()
	p.expect(RParen)
	p.grow()
	return w
}

// frame parses a frame clause, if there is one.
func (p *Parser) frame() *ast.Frame {
	f := &ast.Frame{Pos: p.pos()}
	switch {
	case p.acceptKw(kwRange):
	case p.acceptKw(kwRows):
		f.Mode = ast.FrameRows
	case p.acceptKw(kwGroups):
		f.Mode = ast.FrameGroups
	default:
		return nil
	}
	if p.acceptKw(kwBetween) {
		f.Start = p.frameBound()
		p.expectKw(kwAnd)
		f.End = p.frameBound()
	} else {
		f.Start = p.frameBound()
		f.End.Kind = ast.CurrentRow
	}
	p.checkFrame(f)
	if p.acceptKw(kwExclude) {
		switch {
		case p.acceptKws(kwCurrent, kwRow):
			f.Exclude = ast.ExcludeCurrentRow
		case p.acceptKw(kwGroup):
			f.Exclude = ast.ExcludeGroup
		case p.acceptKw(kwTies):
			f.Exclude = ast.ExcludeTies
		case p.acceptKws(kwNo, kwOthers):
		default:
			p.unexpected()
		}
	}
	return f
}

func (p *Parser) frameBound() ast.FrameBound {
	switch next := p.peek(1); {
	case p.isKw(kwUnbounded) && next.isKw(kwPreceding):
		p.next()
		p.next()
		return ast.FrameBound{Kind: ast.UnboundedPreceding}
	case p.isKw(kwUnbounded) && next.isKw(kwFollowing):
		p.next()
		p.next()
		return ast.FrameBound{Kind: ast.UnboundedFollowing}
	case p.isKw(kwCurrent) && next.isKw(kwRow):
		p.next()
		p.next()
		return ast.FrameBound{Kind: ast.CurrentRow}
	}
	b := ast.FrameBound{Kind: ast.OffsetPreceding, Offset: p.expr(lowest)}
	if !p.acceptKw(kwPreceding) {
		p.expectKw(kwFollowing)
		b.Kind = ast.OffsetFollowing
	}
	return b
}

// checkFrame refuses frames that cannot be, with PostgreSQL's words.
func (p *Parser) checkFrame(f *ast.Frame) {
	switch s, e := f.Start.Kind, f.End.Kind; {
	case s == ast.UnboundedFollowing:
		p.failAt(f.Pos, "", "frame start cannot be UNBOUNDED FOLLOWING")
	case e == ast.UnboundedPreceding:
		p.failAt(f.Pos, "", "frame end cannot be UNBOUNDED PRECEDING")
	case s == ast.CurrentRow && e == ast.OffsetPreceding:
		p.failAt(f.Pos, "", "frame starting from current row cannot have preceding rows")
	case s == ast.OffsetFollowing && (e == ast.OffsetPreceding || e == ast.CurrentRow):
		p.failAt(f.Pos, "", "frame starting from following row cannot end with %s", map[ast.BoundKind]string{
			ast.OffsetPreceding: "preceding row", ast.CurrentRow: "current row"}[e])
	}
}
