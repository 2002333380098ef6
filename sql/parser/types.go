package parser

import (
	"strings"

	"github.com/kalamdb/kalamdb/sql/ast"
)

// maxTypeMod bounds the numbers in a type's parentheses.
const maxTypeMod = 10485760

// typeName parses a type: a name of one or several words, numbers in
// parentheses, array dimensions.
func (p *Parser) typeName() ast.TypeName {
	t := ast.TypeName{Pos: p.pos()}
	if p.tok.Kind != QuotedIdent && (p.tok.Kind != Word || p.tok.Keyword.Category() == Reserved) {
		p.unexpected()
		return t
	}
	kw := p.tok.Keyword
	if p.tok.Kind != Word {
		kw = kwNone
	}
	t.Name = p.value()
	if p.is(Dot) {
		if t.Name != "pg_catalog" {
			p.unsupported(t.Pos, "", "There are no types in namespaces.")
			return t
		}
		p.next()
		t.Name = p.label()
	}
	switch kw {
	case kwDouble:
		if p.acceptKw(kwPrecision) {
			t.Name = "double precision"
		}
	case kwNational:
		if p.acceptKw(kwCharacter) || p.acceptKw(kwChar) {
			t.Name = "character"
		}
		p.varying(&t)
	case kwChar, kwCharacter, kwNchar, kwBit:
		p.varying(&t)
	case kwInterval:
		p.intervalFields(&t)
	}
	if p.is(LParen) && len(t.Mods) == 0 {
		p.typeMods(&t)
	}
	if kw == kwTime || kw == kwTimestamp {
		p.timeZone(&t)
	}
	p.typeDims(&t)
	return t
}

// noUnsigned explains what other dialects allow behind a type, in places
// where nothing else may stand there.
func (p *Parser) noUnsigned(t *ast.TypeName) {
	if p.acceptWord("unsigned") {
		p.unsupported(t.Pos, hintUnsigned, "Unsigned types are not supported.")
	}
}

func (p *Parser) varying(t *ast.TypeName) {
	if p.acceptKw(kwVarying) {
		t.Name += " varying"
	}
}

func (p *Parser) timeZone(t *ast.TypeName) {
	switch {
	case p.isKw(kwWith) && p.peek(1).isKw(kwTime):
		t.Name += " with time zone"
	case p.isKw(kwWithout) && p.peek(1).isKw(kwTime):
		t.Name += " without time zone"
	default:
		return
	}
	p.next()
	p.next()
	p.expectKw(kwZone)
}

func (p *Parser) typeMods(t *ast.TypeName) {
	p.expect(LParen)
	for {
		neg := p.acceptOp(ast.OpSub)
		if !p.is(Integer) {
			if p.is(String) {
				p.unsupported(t.Pos, "Use TEXT.", "Type %s with a list of texts is not supported.", strings.ToUpper(t.Name))
				return
			}
			p.unexpected()
			return
		}
		v, ok := parseInt64(numberValue(p.text(), p.tok.style))
		if !ok || v > maxTypeMod {
			p.failAt(p.pos(), "", "type modifier %s is out of range", p.text())
			return
		}
		if neg {
			v = -v
		}
		t.Mods = append(t.Mods, int32(v))
		p.next()
		if !p.accept(Comma) {
			break
		}
	}
	p.expect(RParen)
}

func (p *Parser) typeDims(t *ast.TypeName) {
	if p.acceptKw(kwArray) {
		t.Dims = 1
		if p.accept(LBracket) {
			p.expect(Integer)
			p.expect(RBracket)
		}
		return
	}
	for p.is(LBracket) && (p.peek(1).Kind == RBracket || p.peek(1).Kind == Integer && p.peek(2).Kind == RBracket) {
		p.next()
		p.accept(Integer)
		p.next()
		if t.Dims++; t.Dims > 6 {
			p.failAt(t.Pos, "", "an array has at most 6 dimensions")
		}
	}
}

// intervalFields parses YEAR, DAY TO SECOND(3) and the like.
func (p *Parser) intervalFields(t *ast.TypeName) {
	if !p.isIntervalField() {
		return
	}
	last := p.tok.Keyword
	t.Fields = p.value()
	if p.isKw(kwTo) {
		p.next()
		if !p.isIntervalField() || !intervalRange(last, p.tok.Keyword) {
			p.unexpected()
			return
		}
		last = p.tok.Keyword
		t.Fields += " to " + p.value()
	}
	if last == kwSecond && p.is(LParen) {
		p.typeMods(t)
	}
}

func (p *Parser) isIntervalField() bool {
	if p.tok.Kind != Word {
		return false
	}
	switch p.tok.Keyword {
	case kwYear, kwMonth, kwDay, kwHour, kwMinute, kwSecond:
		return true
	}
	return false
}

// intervalRange tells whether SQL knows intervals from one field to another.
func intervalRange(from, to Keyword) bool {
	switch from {
	case kwYear:
		return to == kwMonth
	case kwDay:
		return to == kwHour || to == kwMinute || to == kwSecond
	case kwHour:
		return to == kwMinute || to == kwSecond
	case kwMinute:
		return to == kwSecond
	}
	return false
}
