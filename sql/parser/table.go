package parser

import (
	"strings"

	"github.com/kalamdb/kalamdb/sql/ast"
)

// createTable parses a CREATE TABLE from TABLE on.
func (p *Parser) createTable(pos ast.Pos, kind ast.TableType) ast.Statement {
	p.next()
	s := &ast.CreateTable{Pos: pos, Type: kind, IfNotExists: p.ifNotExists(), Name: p.tableName()}
	if p.is(LParen) {
		p.tableItems(s)
	}
	p.tableClauses(s)
	if p.acceptKw(kwAs) {
		if len(s.Columns) > 0 || len(s.PrimaryKey) > 0 {
			p.failAt(s.Pos, "Give names only, the query says the types.", "CREATE TABLE AS cannot define columns")
			return s
		}
		s.Query = p.query()
		if p.acceptKw(kwWith) {
			p.expectKw(kwNo)
			p.unsupported(p.prev.pos(), "", "WITH NO DATA is not supported.")
		}
		return s
	}
	switch {
	case len(s.AsColumns) > 0:
		p.failAt(s.AsColumns[0].Pos, "For example, id BIGINT.", "column %q has no type", s.AsColumns[0].Name)
	case len(s.Columns) == 0:
		p.unexpected()
	}
	return s
}

func (t Token) pos() ast.Pos { return ast.Pos(t.Start + 1) }

// tableItems parses the columns and constraints of a table.
func (p *Parser) tableItems(s *ast.CreateTable) {
	p.expect(LParen)
	hasKey := false
	for p.err == nil {
		pos, isKey := p.pos(), false
		switch {
		case p.atTableConstraint():
			s.PrimaryKey = p.tableConstraint()
			isKey = true
		case isName(p.tok) && (p.peek(1).Kind == Comma || p.peek(1).Kind == RParen):
			s.AsColumns = append(s.AsColumns, p.ident())
		default:
			c := p.columnDef()
			isKey = c.PrimaryKey
			s.Columns = append(s.Columns, c)
		}
		if isKey && hasKey {
			p.failAt(pos, "Write PRIMARY KEY (a, b) for a key of several columns.",
				"multiple primary keys for table %q are not allowed", s.Name.Name)
		}
		hasKey = hasKey || isKey
		if !p.accept(Comma) {
			break
		}
	}
	p.expect(RParen)
}

func (p *Parser) atTableConstraint() bool {
	if p.tok.Kind != Word {
		return false
	}
	switch p.tok.Keyword {
	case kwConstraint, kwPrimary, kwUnique, kwCheck, kwForeign, kwLike:
		return true
	}
	return false
}

// tableConstraint parses a constraint that is an item of its own; only
// PRIMARY KEY is one that we do. Its name is not kept.
func (p *Parser) tableConstraint() []ast.Ident {
	if p.acceptKw(kwConstraint) {
		p.name()
	}
	switch {
	case p.acceptKw(kwPrimary):
		p.expectKw(kwKey)
		return p.identList()
	case !p.refuseConstraint():
		p.unexpected()
	}
	return nil
}

// refuseConstraint refuses a constraint that we understand and do not do.
func (p *Parser) refuseConstraint() bool {
	if p.tok.Kind != Word {
		return false
	}
	pos := p.pos()
	switch p.tok.Keyword {
	case kwUnique:
		p.unsupported(pos, hintUnique, "UNIQUE constraints are not supported.")
	case kwCheck:
		p.unsupported(pos, "Check the values before they are written.", "CHECK constraints are not supported.")
	case kwReferences, kwForeign:
		p.unsupported(pos, "Tables do not depend on each other.", "FOREIGN KEY constraints are not supported.")
	case kwLike:
		p.unsupported(pos, "Name the columns.", "CREATE TABLE (LIKE …) is not supported.")
	case kwCollate:
		p.unsupported(pos, "Texts compare by their bytes.", "COLLATE on a column is not supported.")
	case kwComment:
		p.unsupported(pos, "", "COMMENT on a column is not supported.")
	default:
		return false
	}
	return true
}

// columnDef parses a column with its type and constraints.
func (p *Parser) columnDef() ast.ColumnDef {
	c := ast.ColumnDef{Pos: p.pos(), Name: p.name()}
	c.Type = p.typeName()
	p.noUnsigned(&c.Type)
	null := false
	for p.err == nil && p.tok.Kind == Word {
		pos := p.pos()
		if p.acceptKw(kwConstraint) {
			p.name()
		}
		switch {
		case p.acceptKws(kwNot, kwNull):
			c.NotNull = true
		case p.acceptKw(kwNull):
			null = true
		case p.acceptKws(kwPrimary, kwKey):
			c.PrimaryKey = true
		case p.isKw(kwDefault):
			if c.Default != nil {
				p.failAt(pos, "", "multiple default values specified for column %q", c.Name)
			}
			p.next()
			c.Default = p.expr(lowest)
		case p.acceptKw(kwAutoIncrement), p.acceptWord("autoincrement"):
			c.AutoIncrement = true
		case p.acceptKw(kwGenerated):
			p.identity(pos)
			c.AutoIncrement = true
		case p.refuseConstraint():
		default:
			if pos != p.pos() {
				p.unexpected()
			}
			return p.checkColumn(c, null)
		}
	}
	return p.checkColumn(c, null)
}

func (p *Parser) checkColumn(c ast.ColumnDef, null bool) ast.ColumnDef {
	switch {
	case null && c.NotNull:
		p.failAt(c.Pos, "", "conflicting NULL/NOT NULL declarations for column %q", c.Name)
	case c.AutoIncrement && c.Default != nil:
		p.failAt(c.Pos, "", "both default and identity specified for column %q", c.Name)
	}
	return c
}

// identity parses GENERATED ALWAYS | BY DEFAULT AS IDENTITY.
func (p *Parser) identity(pos ast.Pos) {
	if p.acceptKw(kwBy) {
		p.expectKw(kwDefault)
	} else {
		p.expectKw(kwAlways)
	}
	p.expectKw(kwAs)
	if p.is(LParen) {
		p.unsupported(pos, "Compute the value in a view, or where it is read.", "Generated columns are not supported.")
		return
	}
	p.expectKw(kwIdentity)
	if p.is(LParen) {
		p.unsupported(p.pos(), "The numbers are unique and growing, without start or step.", "Sequence options are not supported.")
	}
}

// tableClauses parses the clauses behind the columns, in any order.
func (p *Parser) tableClauses(s *ast.CreateTable) {
	for p.err == nil && p.tok.Kind == Word {
		pos := p.pos()
		switch {
		case p.acceptKw(kwStorage):
			p.setOption(&s.Options, ast.Option{Pos: pos, Name: ast.OptStorage, Value: p.wordOption()})
		case p.acceptKw(kwAccess):
			p.setOption(&s.Options, ast.Option{Pos: pos, Name: ast.OptAccess, Value: p.wordOption()})
		case p.acceptKw(kwTtl):
			p.setOption(&s.Options, ast.Option{Pos: pos, Name: ast.OptTTL, Value: p.durationOption()})
		case p.acceptKw(kwMaxBuffer):
			p.setOption(&s.Options, ast.Option{Pos: pos, Name: ast.OptMaxBuffer, Value: p.countOption()})
		case p.acceptKw(kwFlush):
			p.flushClause(s)
		case p.acceptKw(kwWith):
			p.tableOptions(s)
		default:
			return
		}
	}
}

// flushClause parses INTERVAL 300s, ROW_THRESHOLD n, ROWS n, SECONDS n behind
// FLUSH, one or several.
func (p *Parser) flushClause(s *ast.CreateTable) {
	for first := true; p.err == nil; first = false {
		o := ast.Option{Pos: p.pos(), Name: ast.OptFlushInterval}
		switch {
		case p.acceptKw(kwInterval), p.acceptKw(kwSeconds):
			o.Value = p.durationOption()
		case p.acceptKw(kwRowThreshold), p.acceptKw(kwRows):
			o.Name = ast.OptFlushRows
			o.Value = p.countOption()
		case first:
			p.failNear("Write FLUSH INTERVAL 300s, FLUSH ROW_THRESHOLD 1000, or both.")
			return
		default:
			return
		}
		p.setOption(&s.Options, o)
	}
}

// tableOptions parses WITH (…), whose type sets the table's type.
func (p *Parser) tableOptions(s *ast.CreateTable) {
	for _, o := range p.tableOptionList() {
		if o.Name != "type" {
			p.setOption(&s.Options, o)
			continue
		}
		v, _ := o.Value.(*ast.StringLit)
		kind := ast.TableUnset
		if v != nil {
			switch strings.ToLower(v.Value) {
			case "user":
				kind = ast.TableUser
			case "shared":
				kind = ast.TableShared
			case "stream":
				kind = ast.TableStream
			}
		}
		switch {
		case kind == ast.TableUnset:
			p.failAt(o.Pos, "A table's type is 'user', 'shared' or 'stream'.", "unknown table type")
		case s.Type != ast.TableUnset && s.Type != kind:
			p.failAt(o.Pos, "", "the table is said to be of two types: %s and %s", s.Type, kind)
		}
		s.Type = kind
	}
}

// tableOptionList is optionList with the older option names resolved.
func (p *Parser) tableOptionList() []ast.Option {
	var list []ast.Option
	for _, o := range p.optionList() {
		switch o.Name {
		case "flush_row_threshold", "row_threshold":
			o.Name = ast.OptFlushRows
		case "flush_seconds":
			o.Name = ast.OptFlushInterval
		}
		p.setOption(&list, o)
	}
	return list
}

// setOption adds an option that may be given once.
func (p *Parser) setOption(list *[]ast.Option, o ast.Option) {
	for i := range *list {
		if (*list)[i].Name == o.Name {
			p.failAt(o.Pos, "", "option %s is given twice", nearText(o.Name))
			return
		}
	}
	if len(*list) == maxOptions {
		p.failAt(o.Pos, "", "too many options")
		return
	}
	*list = append(*list, o)
}

// maxOptions bounds an option list, which is searched for names given twice.
const maxOptions = 100

// optionList parses (name = value, …).
func (p *Parser) optionList() []ast.Option {
	var list []ast.Option
	p.expect(LParen)
	if p.accept(RParen) {
		return list
	}
	for p.err == nil {
		o := ast.Option{Pos: p.pos()}
		o.Name = lowerASCII(p.label())
		if p.acceptOp(ast.OpEq) {
			o.Value = p.optionValue()
		} else {
			o.Value = &ast.BoolLit{Pos: o.Pos, Value: true}
		}
		p.setOption(&list, o)
		if !p.accept(Comma) {
			break
		}
	}
	p.expect(RParen)
	return list
}

// optionValue parses a constant, a bare word or a duration.
func (p *Parser) optionValue() ast.Expr {
	pos := p.pos()
	switch p.tok.Kind {
	case String:
		return &ast.StringLit{Pos: pos, Value: p.stringValue()}
	case Integer, Decimal:
		return p.number()
	case Operator:
		if p.acceptOp(ast.OpSub) && (p.is(Integer) || p.is(Decimal)) {
			return &ast.UnaryExpr{Pos: pos, Op: ast.OpSub, X: p.number()}
		}
	case Word:
		switch p.tok.Keyword {
		case kwTrue, kwFalse, kwNull:
			return p.word()
		}
		return &ast.StringLit{Pos: pos, Value: p.value()}
	case QuotedIdent, Duration:
		return &ast.StringLit{Pos: pos, Value: p.value()}
	}
	p.unexpected()
	return nil
}

func (p *Parser) wordOption() ast.Expr {
	pos := p.pos()
	if p.is(String) {
		return &ast.StringLit{Pos: pos, Value: p.stringValue()}
	}
	return &ast.StringLit{Pos: pos, Value: p.label()}
}

func (p *Parser) countOption() ast.Expr {
	if !p.is(Integer) {
		p.unexpected()
		return nil
	}
	return p.number()
}

// durationOption parses 300s, 300 (seconds) or '300s'.
func (p *Parser) durationOption() ast.Expr {
	pos := p.pos()
	switch p.tok.Kind {
	case String:
		return &ast.StringLit{Pos: pos, Value: p.stringValue()}
	case Duration:
		return &ast.StringLit{Pos: pos, Value: lowerASCII(p.value())}
	case Integer:
		return &ast.StringLit{Pos: pos, Value: p.value() + "s"}
	}
	p.failNear("Write a number of seconds, or a number with a unit such as 300s or 5m.")
	return nil
}

// alterTable parses an ALTER TABLE from TABLE on.
func (p *Parser) alterTable(pos ast.Pos) ast.Statement {
	p.next()
	s := &ast.AlterTable{Pos: pos, IfExists: p.ifExists()}
	p.acceptKw(kwOnly)
	s.Name = p.tableName()
	for p.err == nil {
		s.Actions = append(s.Actions, p.alterAction())
		if !p.accept(Comma) {
			break
		}
	}
	return s
}

func (p *Parser) alterAction() ast.AlterAction {
	pos := p.pos()
	switch {
	case p.acceptKw(kwAdd):
		if p.atTableConstraint() {
			p.unsupported(p.pos(), "The primary key is set when the table is made.", "Adding a constraint is not supported.")
			return nil
		}
		p.acceptKw(kwColumn)
		return &ast.AddColumn{Pos: pos, IfNotExists: p.ifNotExists(), Column: p.columnDef()}
	case p.acceptKw(kwDrop):
		if p.isKw(kwConstraint) || p.isKw(kwPrimary) {
			p.unsupported(p.pos(), "", "Dropping a constraint is not supported.")
			return nil
		}
		p.acceptKw(kwColumn)
		d := &ast.DropColumn{Pos: pos, IfExists: p.ifExists(), Column: p.ident()}
		p.cascade()
		return d
	case p.acceptKw(kwRename):
		switch {
		case p.isKw(kwTo):
			p.unsupported(p.pos(), hintNewTable, "Renaming a table is not supported.")
			return nil
		case p.isKw(kwConstraint):
			p.unsupported(p.pos(), "", "Renaming a constraint is not supported.")
			return nil
		}
		p.acceptKw(kwColumn)
		r := &ast.RenameColumn{Pos: pos, From: p.ident()}
		p.expectKw(kwTo)
		r.To = p.ident()
		return r
	case p.isKw(kwSet):
		p.next()
		return &ast.SetOptions{Pos: pos, Options: p.tableOptionList()}
	case p.isKw(kwAlter):
		p.unsupported(pos, hintNewColumn, "Changing a column's type or default is not supported.")
		return nil
	}
	p.unexpected()
	return nil
}
