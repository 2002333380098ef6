package parser

import (
	"strings"

	"github.com/kalamdb/kalamdb/sql/ast"
)

func (p *Parser) use() ast.Statement {
	s := &ast.UseNamespace{Pos: p.pos()}
	p.next()
	if p.isKw(kwNamespace) || p.isKw(kwSchema) || p.isKw(kwDatabase) {
		if t := p.peek(1); t.Kind != EOF && t.Kind != Semicolon {
			p.next()
		}
	}
	s.Name = p.identOrString()
	return s
}

func (p *Parser) show() ast.Statement {
	s := &ast.Show{Pos: p.pos()}
	p.next()
	switch {
	case p.acceptKw(kwNamespaces), p.acceptWord("schemas"):
		s.Kind = ast.ShowNamespaces
	case p.acceptKw(kwTables):
		s.Kind = ast.ShowTables
		if p.acceptKw(kwIn) || p.acceptKw(kwFrom) {
			s.Namespace = p.ident()
		}
	case p.acceptKw(kwStorages):
		s.Kind = ast.ShowStorages
	case p.acceptKws(kwTable, kwStats):
		s.Kind = ast.ShowTableStats
		p.acceptKw(kwFor)
		s.Table = p.tableName()
	case p.acceptKw(kwStats):
		s.Kind = ast.ShowTableStats
		p.expectKw(kwFor)
		p.expectKw(kwTable)
		s.Table = p.tableName()
	case p.acceptKw(kwBackup):
		s.Kind = ast.ShowBackup
		if p.acceptKw(kwFor) {
			p.databaseWord()
			s.Namespace = p.ident()
		} else {
			s.Path = p.stringValue()
		}
	case p.acceptKw(kwColumns):
		if !p.acceptKw(kwFrom) {
			p.expectKw(kwIn)
		}
		return &ast.Describe{Pos: s.Pos, Table: p.tableName()}
	case p.is(Word):
		if w := nearest(p.text(), showWords); w != "" {
			p.failNear("Did you mean SHOW " + w + "?")
			return s
		}
		hint, ok := showElsewhere[strings.ToLower(p.text())]
		if !ok {
			hint = "SHOW knows NAMESPACES, TABLES, STORAGES, TABLE STATS, COLUMNS FROM and BACKUP; more is in the tables of the system namespace."
		}
		p.unsupported(p.pos(), hint, "SHOW %s is not supported.", p.text())
	default:
		p.unexpected()
	}
	return s
}

// showElsewhere says where to look for what other databases show.
var showElsewhere = map[string]string{
	"databases":      "Use SHOW NAMESPACES.",
	"create":         "DESCRIBE shows a table's columns and properties.",
	"fields":         "Use SHOW COLUMNS FROM, or DESCRIBE.",
	"index":          hintNoIndex,
	"indexes":        hintNoIndex,
	"keys":           hintNoIndex,
	"processlist":    hintWhoIsThere,
	"sessions":       hintWhoIsThere,
	"users":          "SELECT * FROM system.users.",
	"jobs":           "SELECT * FROM system.jobs.",
	"views":          "SHOW TABLES lists views too.",
	"variables":      hintSettings,
	"status":         "GET /metrics has the server's counters, GET /v1/health its state.",
	"all":            hintSettings,
	"search_path":    "SELECT current_schema() tells the current namespace, USE selects one.",
	"server_version": "SELECT version().",
}

const (
	hintWhoIsThere = "The tables system.sessions, system.live_queries and system.jobs tell who is there and what runs."
	hintSettings   = "`kalamdb-server config` prints the settings in effect and where each comes from."
)

var showWords = []string{"NAMESPACES", "TABLES", "STORAGES", "STATS", "BACKUP", "COLUMNS"}

// databaseWord takes DATABASE, or NAMESPACE, which means the same.
func (p *Parser) databaseWord() {
	if !p.acceptKw(kwNamespace) {
		p.expectKw(kwDatabase)
	}
}

func (p *Parser) flush() ast.Statement {
	pos := p.pos()
	p.next()
	if p.acceptKw(kwAll) {
		p.expectKw(kwTables)
		s := &ast.FlushAll{Pos: pos}
		if p.acceptKw(kwIn) {
			s.Namespace = p.ident()
		}
		return s
	}
	p.expectKw(kwTable)
	return &ast.FlushTable{Pos: pos, Table: p.tableName()}
}

func (p *Parser) subscribe() ast.Statement {
	s := &ast.Subscribe{Pos: p.pos()}
	p.next()
	p.expectKw(kwTo)
	if p.atQuery() || p.is(LParen) {
		s.Query = p.query()
	} else {
		name := p.tableName()
		sel := &ast.Select{
			Pos:   name.Pos,
			Items: []ast.SelectItem{{Pos: name.Pos, X: &ast.Star{Pos: name.Pos}}},
			From:  []ast.TableExpr{&ast.TableRef{Pos: name.Pos, Name: name}},
		}
		if p.acceptKw(kwWhere) {
			sel.Where = p.expr(lowest)
		}
		s.Query = &ast.Query{Pos: name.Pos, Body: sel}
	}
	if p.acceptKw(kwOptions) {
		s.Options = p.optionList()
	}
	return s
}

func (p *Parser) kill() ast.Statement {
	pos := p.pos()
	p.next()
	if p.isKw(kwJob) {
		return &ast.KillJob{Pos: pos, ID: p.rawID()}
	}
	p.expectKw(kwLive)
	if !p.isKw(kwQuery) {
		p.unexpectedFor(kwQuery)
		return nil
	}
	return &ast.KillLiveQuery{Pos: pos, ID: p.rawID()}
}

func (p *Parser) backup() ast.Statement {
	s := &ast.Backup{Pos: p.pos()}
	p.next()
	p.databaseWord()
	s.Namespace = p.ident()
	p.expectKw(kwTo)
	s.Path = p.stringValue()
	return s
}

func (p *Parser) restore() ast.Statement {
	s := &ast.Restore{Pos: p.pos()}
	p.next()
	p.databaseWord()
	s.Namespace = p.ident()
	p.expectKw(kwFrom)
	s.Path = p.stringValue()
	if p.acceptKw(kwAs) {
		s.As = p.ident()
	}
	return s
}

func (p *Parser) createStorage(pos ast.Pos) ast.Statement {
	p.next()
	s := &ast.CreateStorage{Pos: pos, IfNotExists: p.ifNotExists(), ID: p.identOrString()}
	p.expectKw(kwType)
	if p.is(String) {
		s.Type.Pos = p.pos()
		s.Type.Name = lowerASCII(p.stringValue())
	} else {
		s.Type = ast.Ident{Pos: p.pos(), Name: lowerASCII(p.label())}
	}
	s.Options = p.storageOptions()
	for i := range s.Options {
		if s.Options[i].Name == ast.OptPath {
			return s
		}
	}
	p.failAt(pos, "For example, CREATE STORAGE s TYPE filesystem PATH './data'.", "CREATE STORAGE needs a PATH")
	return s
}

// storageOptions parses NAME 'x' PATH = 'y' …, with or without commas between.
func (p *Parser) storageOptions() []ast.Option {
	var list []ast.Option
	for p.err == nil && p.tok.Kind == Word {
		o := ast.Option{Pos: p.pos()}
		switch p.tok.Keyword {
		case kwName:
			o.Name = ast.OptName
		case kwDescription:
			o.Name = ast.OptDescription
		case kwPath:
			o.Name = ast.OptPath
		case kwCredentials:
			o.Name = ast.OptCredentials
		case kwSharedTablesTemplate:
			o.Name = ast.OptSharedTablesTemplate
		case kwUserTablesTemplate:
			o.Name = ast.OptUserTablesTemplate
		default:
			p.failNear("A storage has NAME, DESCRIPTION, PATH, CREDENTIALS, SHARED_TABLES_TEMPLATE and USER_TABLES_TEMPLATE.")
			return list
		}
		p.next()
		p.acceptOp(ast.OpEq)
		o.Value = &ast.StringLit{Pos: p.pos(), Value: p.stringValue()}
		p.setOption(&list, o)
		if p.accept(Comma) && !p.is(Word) {
			p.unexpected()
		}
	}
	if len(list) == 0 {
		p.unexpected()
	}
	return list
}

func (p *Parser) createAPIKey(pos ast.Pos) ast.Statement {
	s := &ast.CreateAPIKey{Pos: pos}
	p.next()
	p.expectKw(kwKey)
	p.expectKw(kwFor)
	s.UserID = p.stringValue()
	if p.acceptKw(kwName) {
		s.Name = p.stringValue()
	}
	return s
}

func (p *Parser) explain() ast.Statement {
	s := &ast.Explain{Pos: p.pos()}
	p.next()
	if p.is(LParen) && !p.queryInParens() {
		p.explainOptions(s)
	} else {
		s.Analyze = p.acceptKw(kwAnalyze)
		s.Verbose = p.acceptKw(kwVerbose)
	}
	pos := p.pos()
	switch {
	case p.is(LParen), p.atQuery(), p.isKw(kwInsert), p.isKw(kwUpdate), p.isKw(kwDelete):
		s.Stmt = p.dmlOrQuery()
	case p.isKw(kwSubscribe):
		s.Stmt = p.subscribe()
	case p.isKw(kwCreate):
		s.Stmt = p.create()
		if c, ok := s.Stmt.(*ast.CreateTable); !ok || c.Query == nil {
			p.unsupported(pos, "", "EXPLAIN of this statement is not supported.")
		}
	default:
		p.unexpectedFor(kwSelect)
	}
	return s
}

// explainOptions parses (ANALYZE, FORMAT JSON, …). Options of PostgreSQL that
// only add to its output are accepted and change nothing.
func (p *Parser) explainOptions(s *ast.Explain) {
	p.expect(LParen)
	for p.err == nil {
		switch {
		case p.acceptKw(kwAnalyze):
			s.Analyze = p.explainFlag()
		case p.acceptKw(kwVerbose):
			s.Verbose = p.explainFlag()
		case p.acceptKw(kwFormat):
			switch pos := p.pos(); {
			case p.acceptWord("json"):
				s.Format = ast.ExplainJSON
			case p.acceptKw(kwText):
				s.Format = ast.ExplainText
			default:
				p.unsupported(pos, "The formats are TEXT and JSON.", "EXPLAIN format %s is not supported.", nearText(p.text()))
			}
		case p.acceptWord("costs"), p.acceptWord("buffers"), p.acceptWord("timing"), p.acceptWord("summary"),
			p.acceptWord("settings"), p.acceptWord("wal"):
			p.explainFlag()
		default:
			p.unexpected()
		}
		if !p.accept(Comma) {
			break
		}
	}
	p.expect(RParen)
}

func (p *Parser) explainFlag() bool {
	switch {
	case p.acceptKw(kwTrue), p.acceptKw(kwOn):
		return true
	case p.acceptKw(kwFalse), p.acceptWord("off"):
		return false
	case p.is(Integer):
		on := p.text() != "0"
		p.next()
		return on
	}
	return true
}
