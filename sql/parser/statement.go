package parser

import "github.com/kalamdb/kalamdb/sql/ast"

// statement parses one statement.
func (p *Parser) statement() ast.Statement {
	if p.is(LParen) {
		return p.query()
	}
	if p.tok.Kind != Word {
		p.unexpected()
		return nil
	}
	switch p.tok.Keyword {
	case kwSelect, kwWith, kwValues, kwTable, kwInsert, kwUpdate, kwDelete:
		return p.dmlOrQuery()
	case kwTruncate:
		return p.truncate()
	case kwCreate:
		return p.create()
	case kwAlter:
		return p.alter()
	case kwDrop:
		return p.drop()
	case kwUse:
		return p.use()
	case kwShow:
		return p.show()
	case kwDescribe, kwDesc:
		pos := p.pos()
		p.next()
		p.acceptKw(kwTable)
		return &ast.Describe{Pos: pos, Table: p.tableName()}
	case kwFlush:
		return p.flush()
	case kwCompact:
		pos := p.pos()
		p.next()
		p.expectKw(kwTable)
		return &ast.Compact{Pos: pos, Table: p.tableName()}
	case kwSubscribe:
		return p.subscribe()
	case kwKill:
		return p.kill()
	case kwBackup:
		return p.backup()
	case kwRestore:
		return p.restore()
	case kwClear:
		pos := p.pos()
		p.next()
		p.expectKw(kwCache)
		return &ast.ClearCache{Pos: pos}
	case kwExplain:
		return p.explain()
	}
	if u, ok := refused[p.tok.Keyword]; ok {
		p.refuse(u)
		return nil
	}
	p.failNear(p.leadingHint())
	return nil
}

// refusal says what a statement that we do not do would have done.
type refusal struct {
	message, hint string
}

const (
	hintAtomic   = "Every statement commits on its own, wholly or not at all; one with WITH can hold several changes."
	hintUnique   = "The primary key is unique; it may have several columns: PRIMARY KEY (a, b)."
	hintSet      = "Settings are part of the request or of the server's configuration. USE selects a namespace."
	hintPrepare  = "Send the statement with parameters; plans are cached by themselves."
	hintRoles    = "Roles come from the token; ACCESS of a shared table says who may use it."
	hintCursor   = "Results are streamed; LIMIT and OFFSET, or a key range, give a part."
	hintNotify   = "SUBSCRIBE TO sends the changes of a table or query."
	hintUpkeep   = "FLUSH TABLE and COMPACT TABLE do what upkeep there is."
	hintCopy     = `Use INSERT with many rows, or \copy in kalam-cli.`
	hintMerge    = "Use INSERT … ON CONFLICT."
	hintRoutines = "There are no stored routines."
)

var refused = map[Keyword]refusal{
	kwBegin:        {"Transactions over several statements are not supported.", hintAtomic},
	kwStart:        {"Transactions over several statements are not supported.", hintAtomic},
	kwCommit:       {"Transactions over several statements are not supported.", hintAtomic},
	kwEnd:          {"Transactions over several statements are not supported.", hintAtomic},
	kwRollback:     {"Transactions over several statements are not supported.", hintAtomic},
	kwAbort:        {"Transactions over several statements are not supported.", hintAtomic},
	kwSavepoint:    {"Transactions over several statements are not supported.", hintAtomic},
	kwRelease:      {"Transactions over several statements are not supported.", hintAtomic},
	kwLock:         {"LOCK is not supported.", hintAtomic},
	kwSet:          {"SET is not supported.", hintSet},
	kwReset:        {"RESET is not supported.", hintSet},
	kwDiscard:      {"DISCARD is not supported.", hintSet},
	kwPrepare:      {"PREPARE is not supported.", hintPrepare},
	kwExecute:      {"EXECUTE is not supported.", hintPrepare},
	kwDeallocate:   {"DEALLOCATE is not supported.", hintPrepare},
	kwGrant:        {"GRANT is not supported.", hintRoles},
	kwRevoke:       {"REVOKE is not supported.", hintRoles},
	kwDeclare:      {"Cursors are not supported.", hintCursor},
	kwFetch:        {"Cursors are not supported.", hintCursor},
	kwClose:        {"Cursors are not supported.", hintCursor},
	kwListen:       {"LISTEN is not supported.", hintNotify},
	kwNotify:       {"NOTIFY is not supported.", hintNotify},
	kwVacuum:       {"VACUUM is not supported.", hintUpkeep},
	kwAnalyze:      {"ANALYZE is not supported.", hintUpkeep},
	kwReindex:      {"REINDEX is not supported.", hintUpkeep},
	kwCopy:         {"COPY is not supported.", hintCopy},
	kwMerge:        {"MERGE is not supported.", hintMerge},
	kwCall:         {"CALL is not supported.", hintRoutines},
	kwDo:           {"DO is not supported.", hintRoutines},
	kwComment:      {"COMMENT is not supported.", "A comment in a script, -- like this, is skipped."},
	kwIndex:        {"Indexes are not supported.", "Rows are found by primary key; other columns by the statistics of their segments."},
	kwUnique:       {"Unique indexes are not supported.", hintUnique},
	kwSequence:     {"Sequences are not supported.", "DEFAULT SNOWFLAKE_ID() gives growing unique numbers."},
	kwFunction:     {"User-defined functions are not supported.", hintRoutines},
	kwTrigger:      {"Triggers are not supported.", hintNotify},
	kwType:         {"User-defined types are not supported.", "Use TEXT for one of a list of words, JSON for what has parts."},
	kwDatabase:     {"There are no databases beside namespaces.", "Use CREATE NAMESPACE, DROP NAMESPACE, or USE."},
	kwTemp:         {"Temporary tables are not supported.", "A STREAM table keeps rows in memory for its TTL."},
	kwTemporary:    {"Temporary tables are not supported.", "A STREAM table keeps rows in memory for its TTL."},
	kwUnlogged:     {"Unlogged tables are not supported.", "A STREAM table keeps rows in memory for its TTL."},
	kwMaterialized: {"Materialized views are not supported.", "Use CREATE VIEW, or CREATE TABLE … AS SELECT …."},
	kwUser:         {"Users are rows of system.users.", "Use INSERT INTO system.users, UPDATE and DELETE."},
}

func (p *Parser) refuse(u refusal) { p.unsupported(p.pos(), u.hint, "%s", u.message) }

// refuseObject refuses CREATE, ALTER or DROP of something unknown.
func (p *Parser) refuseObject() ast.Statement {
	if u, ok := refused[p.tok.Keyword]; ok && p.tok.Kind == Word {
		p.refuse(u)
	} else {
		p.unexpected()
	}
	return nil
}

// tableKind takes USER, SHARED or STREAM before TABLE.
func (p *Parser) tableKind() ast.TableType {
	if !p.peek(1).isKw(kwTable) {
		return ast.TableUnset
	}
	switch {
	case p.acceptKw(kwUser):
		return ast.TableUser
	case p.acceptKw(kwShared):
		return ast.TableShared
	case p.acceptKw(kwStream):
		return ast.TableStream
	}
	return ast.TableUnset
}

func (p *Parser) create() ast.Statement {
	pos := p.pos()
	p.next()
	replace := p.acceptKws(kwOr, kwReplace)
	kind := p.tableKind()
	switch {
	case p.isKw(kwView):
		return p.createView(pos, replace)
	case replace:
		p.unexpectedFor(kwView)
		return nil
	case p.isKw(kwTable):
		return p.createTable(pos, kind)
	case p.acceptKw(kwNamespace), p.acceptKw(kwSchema):
		s := &ast.CreateNamespace{Pos: pos, IfNotExists: p.ifNotExists(), Name: p.ident()}
		if p.acceptKw(kwWith) {
			p.acceptKw(kwOptions)
			s.Options = p.optionList()
		} else if p.acceptKw(kwOptions) {
			s.Options = p.optionList()
		}
		return s
	case p.isKw(kwStorage):
		return p.createStorage(pos)
	case p.isKw(kwApi):
		return p.createAPIKey(pos)
	}
	return p.refuseObject()
}

func (p *Parser) createView(pos ast.Pos, replace bool) ast.Statement {
	p.next()
	s := &ast.CreateView{Pos: pos, OrReplace: replace, Name: p.tableName()}
	if p.is(LParen) {
		s.Columns = p.identList()
	}
	p.expectKw(kwAs)
	s.Query = p.query()
	return s
}

func (p *Parser) alter() ast.Statement {
	pos := p.pos()
	p.next()
	p.tableKind()
	switch {
	case p.isKw(kwTable):
		return p.alterTable(pos)
	case p.acceptKw(kwNamespace), p.acceptKw(kwSchema):
		s := &ast.AlterNamespace{Pos: pos, Name: p.ident()}
		p.expectKw(kwSet)
		p.acceptKw(kwOptions)
		s.Options = p.optionList()
		return s
	case p.acceptKw(kwStorage):
		s := &ast.AlterStorage{Pos: pos, ID: p.identOrString()}
		p.expectKw(kwSet)
		if p.is(LParen) {
			s.Options = p.optionList()
		} else {
			s.Options = p.storageOptions()
		}
		return s
	}
	return p.refuseObject()
}

func (p *Parser) drop() ast.Statement {
	pos := p.pos()
	p.next()
	kind := p.tableKind()
	switch {
	case p.acceptKw(kwTable):
		s := &ast.DropTable{Pos: pos, Type: kind, IfExists: p.ifExists(), Tables: p.tableNames()}
		s.Cascade = p.cascade()
		return s
	case p.acceptKw(kwView):
		s := &ast.DropView{Pos: pos, IfExists: p.ifExists(), Views: p.tableNames()}
		s.Cascade = p.cascade()
		return s
	case p.acceptKw(kwNamespace), p.acceptKw(kwSchema):
		s := &ast.DropNamespace{Pos: pos, IfExists: p.ifExists(), Name: p.ident()}
		s.Cascade = p.cascade()
		return s
	case p.acceptKw(kwStorage):
		return &ast.DropStorage{Pos: pos, IfExists: p.ifExists(), ID: p.identOrString()}
	case p.acceptKws(kwApi, kwKey):
		return &ast.DropAPIKey{Pos: pos, IfExists: p.ifExists(), KeyID: p.stringValue()}
	}
	return p.refuseObject()
}

func (p *Parser) cascade() bool {
	if p.acceptKw(kwCascade) {
		return true
	}
	p.acceptKw(kwRestrict)
	return false
}

// identOrString takes a name that may be written as a text too.
func (p *Parser) identOrString() ast.Ident {
	if p.is(String) {
		pos := p.pos()
		return ast.Ident{Pos: pos, Name: p.stringValue()}
	}
	return p.ident()
}

// rawID takes an identifier that the server gave out, behind the keyword at
// tok: a text, or bare characters, which need not be tokens of SQL.
func (p *Parser) rawID() string {
	start := int(p.tok.End)
	for start < len(p.sql) && class[p.sql[start]] == clSpace {
		start++
	}
	end := start
	for end < len(p.sql) && (isWordByte(p.sql[end]) || p.sql[end] == '-' || p.sql[end] == '.' || p.sql[end] == ':') {
		end++
	}
	if end == start || end < len(p.sql) && class[p.sql[end]] == clQuote || p.sql[start] == '-' || p.sql[start] == '$' {
		p.next()
		return p.stringValue()
	}
	p.nAhead, p.lex.pos = 0, end
	p.next()
	return p.sql[start:end]
}
