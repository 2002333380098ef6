package parser

import (
	"iter"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql/ast"
)

// MaxDepth is how high a tree may grow, and how deep a Parser recurses, unless
// its MaxDepth says otherwise.
const MaxDepth = 1000

// Parser parses statements. Its scratch memory is kept between them: use one
// parser for many statements, from one goroutine at a time. The trees that it
// returns stay valid; they share the memory of the text.
//
// The zero value is ready.
type Parser struct {
	// MaxDepth bounds the nesting. Default MaxDepth.
	MaxDepth int

	lex Lexer
	sql string
	// tok is the token to look at; prev the one before it.
	tok, prev Token
	// ahead holds the tokens that were looked at beyond tok.
	ahead  [3]Token
	nAhead int

	// err is the first error. From then on tok is EOF, so that every loop
	// ends and every function returns soon; what they build is thrown away.
	err *dberr.Error

	maxDepth, depth int
	// height is the height of the highest tree that the construct at hand has
	// built so far; see expr.
	height int

	// stray is the place of the first t.* that is neither an item of a select
	// list nor an argument.
	stray ast.Pos

	// allowDefault makes DEFAULT a value, for (a, b) = (1, DEFAULT).
	allowDefault bool

	// bound says that the expression at hand is the lower bound of a BETWEEN,
	// which ends at AND: without parentheses it has no NOT, and no operator of
	// BETWEEN's own level. PostgreSQL's grammar calls it b_expr.
	bound bool

	// exprs is a stack that lists are collected on.
	exprs []ast.Expr
	slabs slabs
}

// Parse parses exactly one statement, which a semicolon may follow. An empty
// text is an error. Errors are *dberr.Error: INVALID_SQL with the place, or
// UNSUPPORTED for what is understood but not done.
func Parse(sql string) (ast.Statement, error) {
	var p Parser
	return p.Parse(sql)
}

// ParseExpr parses one expression, as stored for a DEFAULT or a filter.
func ParseExpr(sql string) (ast.Expr, error) {
	var p Parser
	return p.ParseExpr(sql)
}

// ParseAll parses every statement of a script; a mistake in any of them is an
// error. Positions are relative to the statement each is in; the error's one
// is relative to the script.
func ParseAll(sql string) ([]ast.Statement, error) {
	var p Parser
	var list []ast.Statement
	for piece, err := range Split(sql) {
		if err == nil {
			var stmt ast.Statement
			if stmt, err = p.Parse(piece.Text); err == nil {
				list = append(list, stmt)
				continue
			}
		}
		return nil, piece.Locate(err)
	}
	return list, nil
}

// Tokens iterates over all tokens of a text, comments among them. It never
// fails: what is no token is Invalid, and the next token starts behind it.
func Tokens(sql string) iter.Seq[Token] {
	return func(yield func(Token) bool) {
		l := NewLexer(sql)
		l.Comments = true
		for t := l.Next(); t.Kind != EOF && yield(t); t = l.Next() {
		}
	}
}

// Parse is the package's Parse with this parser's memory.
func (p *Parser) Parse(sql string) (ast.Statement, error) {
	if err := p.start(sql); err != nil {
		return nil, err
	}
	if p.tok.Kind == EOF && p.err == nil {
		return nil, dberr.New(dberr.InvalidSQL, "The statement is empty.").At(ast.At(0).In(sql))
	}
	stmt := p.statement()
	p.accept(Semicolon)
	p.finish()
	if p.err != nil {
		return nil, p.err
	}
	return stmt, nil
}

// ParseExpr is the package's ParseExpr with this parser's memory.
func (p *Parser) ParseExpr(sql string) (ast.Expr, error) {
	if err := p.start(sql); err != nil {
		return nil, err
	}
	x := p.expr(lowest)
	p.finish()
	if p.err != nil {
		return nil, p.err
	}
	return x, nil
}

// maxScratch is how large a stack is kept for the next statement.
const maxScratch = 1024

func (p *Parser) start(sql string) error {
	if cap(p.exprs) > maxScratch {
		p.exprs = nil
	}
	// After an error the stack still holds nodes of a tree thrown away.
	clear(p.exprs)
	*p = Parser{MaxDepth: p.MaxDepth, sql: sql, lex: NewLexer(sql), exprs: p.exprs[:0]}
	p.maxDepth = p.MaxDepth
	if p.maxDepth <= 0 {
		p.maxDepth = MaxDepth
	}
	if len(sql) >= math.MaxInt32 {
		return dberr.New(dberr.TooLarge, "The statement is larger than 2 GiB.")
	}
	if !utf8.ValidString(sql) || strings.IndexByte(sql, 0) >= 0 {
		off := 0
		for off < len(sql) {
			r, n := utf8.DecodeRuneInString(sql[off:])
			if r == 0 || r == utf8.RuneError && n == 1 {
				break
			}
			off += n
		}
		return dberr.Newf(dberr.InvalidSQL, "invalid byte sequence for encoding UTF-8: 0x%02x", sql[off]).
			WithState("22021").At(ast.At(off).In(sql))
	}
	p.next()
	return nil
}

// next moves on by one token.
func (p *Parser) next() {
	p.prev = p.tok
	if p.nAhead > 0 {
		p.tok = p.ahead[0]
		p.nAhead--
		copy(p.ahead[:], p.ahead[1:1+p.nAhead])
	} else if p.err == nil {
		p.tok = p.lex.Next()
	}
	if p.tok.Kind == Invalid {
		p.fail(p.lex.err.At(ast.At(p.lex.errAt).In(p.sql)))
	}
}

// peek is the n-th token behind tok, n from 1 to 3.
func (p *Parser) peek(n int) Token {
	for p.nAhead < n {
		if p.err != nil {
			return Token{Kind: EOF}
		}
		p.ahead[p.nAhead] = p.lex.Next()
		p.nAhead++
	}
	return p.ahead[n-1]
}

// fail keeps the first error and ends the input.
func (p *Parser) fail(err *dberr.Error) {
	if p.err == nil {
		p.err = err
	}
	p.nAhead = 0
	p.tok = Token{Kind: EOF, Start: int32(len(p.sql)), End: int32(len(p.sql))}
}

func (p *Parser) failAt(pos ast.Pos, hint, format string, args ...any) {
	if p.err != nil {
		return
	}
	err := dberr.Newf(dberr.InvalidSQL, format, args...).At(pos.In(p.sql))
	if hint != "" {
		err = err.WithHint("%s", hint)
	}
	p.fail(err)
}

// unsupported refuses what is understood but not done.
func (p *Parser) unsupported(pos ast.Pos, hint, format string, args ...any) {
	if p.err != nil {
		return
	}
	err := dberr.Newf(dberr.Unsupported, format, args...).At(pos.In(p.sql))
	if hint != "" {
		err = err.WithHint("%s", hint)
	}
	p.fail(err)
}

// tooDeep refuses a tree that would be too high.
func (p *Parser) tooDeep() {
	if p.err != nil {
		return
	}
	p.fail(dberr.Newf(dberr.InvalidSQL, "The statement is nested more than %d levels deep.", p.maxDepth).
		WithState("54001").
		WithHint("A chain of operators counts a level each. Split the statement, or use IN (…), an array or VALUES for long lists.").
		At(p.pos().In(p.sql)))
}

// enter counts a level of recursion; every enter has its leave.
func (p *Parser) enter() bool {
	p.depth++
	if p.depth > p.maxDepth {
		p.tooDeep()
		return false
	}
	return true
}

func (p *Parser) leave() { p.depth-- }

// grow says that the tree at hand has got a new root.
func (p *Parser) grow() {
	p.height++
	if p.height > p.maxDepth {
		p.tooDeep()
	}
}

// pos is the place of tok.
func (p *Parser) pos() ast.Pos { return ast.Pos(p.tok.Start + 1) }

func (p *Parser) text() string { return p.tok.Text(p.sql) }

func (p *Parser) is(k Kind) bool { return p.tok.Kind == k }

func (p *Parser) accept(k Kind) bool {
	if p.tok.Kind != k {
		return false
	}
	p.next()
	return true
}

func (p *Parser) expect(k Kind) {
	if p.tok.Kind != k {
		p.unexpected()
		return
	}
	p.next()
}

func (p *Parser) isKw(k Keyword) bool { return p.tok.Keyword == k && p.tok.Kind == Word }

func (t Token) isKw(k Keyword) bool { return t.Keyword == k && t.Kind == Word }

func (p *Parser) acceptKw(k Keyword) bool {
	if !p.isKw(k) {
		return false
	}
	p.next()
	return true
}

// acceptKws takes two keywords in a row, or none.
func (p *Parser) acceptKws(a, b Keyword) bool {
	if !p.isKw(a) || !p.peek(1).isKw(b) {
		return false
	}
	p.next()
	p.next()
	return true
}

func (p *Parser) expectKw(k Keyword) {
	if !p.isKw(k) {
		p.unexpectedFor(k)
		return
	}
	p.next()
}

// acceptWord takes a word that is no keyword of the grammar.
func (p *Parser) acceptWord(lower string) bool {
	if p.tok.Kind != Word || !equalFoldASCII(p.text(), lower) {
		return false
	}
	p.next()
	return true
}

func (p *Parser) isOp(op ast.Op) bool { return p.tok.Op == op && p.tok.Kind == Operator }

func (p *Parser) acceptOp(op ast.Op) bool {
	if !p.isOp(op) {
		return false
	}
	p.next()
	return true
}

// finish checks that all was read.
func (p *Parser) finish() {
	if p.tok.Kind != EOF && p.prev.Kind == Semicolon {
		p.failNear("Only one statement is allowed here.")
	} else if p.tok.Kind != EOF {
		p.unexpected()
	}
	if p.stray != 0 {
		p.unsupported(p.stray, "Name the columns one by one.", "A row of all columns is not supported as a value.")
	}
}

// isName tells whether a token can be a column, table or alias name.
func isName(t Token) bool {
	return t.Kind == Word && keywords[t.Keyword].cat <= ColumnName || t.Kind == QuotedIdent
}

// value takes tok's value.
func (p *Parser) value() string {
	if p.tok.Kind == Word && p.tok.style == plain {
		s := p.text()
		p.next()
		return s
	}
	v, ok := p.tok.Value(p.sql)
	if !ok {
		p.failAt(p.pos(), "", "invalid escape sequence in %s", nearText(p.text()))
		return ""
	}
	p.next()
	return v
}

// name takes a column, table or alias name.
func (p *Parser) name() string {
	if !isName(p.tok) {
		p.unexpectedName()
		return ""
	}
	return p.value()
}

func (p *Parser) ident() ast.Ident {
	pos := p.pos()
	return ast.Ident{Pos: pos, Name: p.name()}
}

// label takes a name that may be any word, as after a dot or AS.
func (p *Parser) label() string {
	if p.tok.Kind != Word && p.tok.Kind != QuotedIdent {
		p.unexpected()
		return ""
	}
	return p.value()
}

// identList takes (a, b, …).
func (p *Parser) identList() []ast.Ident {
	p.expect(LParen)
	list := []ast.Ident{p.ident()}
	for p.accept(Comma) {
		list = append(list, p.ident())
	}
	p.expect(RParen)
	return list
}

// tableName takes t, ns.t or ns.user.t.
func (p *Parser) tableName() ast.TableName {
	n := ast.TableName{Pos: p.pos(), Name: p.name()}
	if !p.accept(Dot) {
		return n
	}
	n.Namespace = n.Name
	user := p.isKw(kwUser)
	n.Name = p.label()
	if !p.is(Dot) {
		return n
	}
	if !user {
		p.failAt(p.pos(), "Tables are named namespace.table, or namespace.user.table for a user table.",
			"improper qualified name (too many dotted names) at or near %s", nearText(p.text()))
		return n
	}
	p.next()
	n.UserQualified = true
	n.Name = p.label()
	return n
}

func (p *Parser) tableNames() []ast.TableName {
	list := []ast.TableName{p.tableName()}
	for p.accept(Comma) {
		list = append(list, p.tableName())
	}
	return list
}

// stringValue takes a string constant. Constants with nothing but space and a
// line break between them are one.
func (p *Parser) stringValue() string {
	if p.tok.Kind != String {
		p.unexpected()
		return ""
	}
	s := p.value()
	if p.tok.Kind != String || p.tok.style == dollar {
		return s
	}
	parts := []byte(s)
	for p.tok.Kind == String && p.tok.style != dollar && p.sql[p.tok.Start] == '\'' && p.lineBreakBefore() {
		parts = append(parts, p.value()...)
	}
	return string(parts)
}

func (p *Parser) lineBreakBefore() bool {
	for i := p.prev.End; i < p.tok.Start; i++ {
		if p.sql[i] == '\n' || p.sql[i] == '\r' {
			return true
		}
	}
	return false
}

// ifNotExists takes IF NOT EXISTS.
func (p *Parser) ifNotExists() bool {
	if !p.isKw(kwIf) || !p.peek(1).isKw(kwNot) {
		return false
	}
	p.next()
	p.next()
	p.expectKw(kwExists)
	return true
}

// ifExists takes IF EXISTS.
func (p *Parser) ifExists() bool { return p.acceptKws(kwIf, kwExists) }
