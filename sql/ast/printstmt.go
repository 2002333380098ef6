package ast

import "strings"

func (p *printer) statement(s Statement) {
	switch s := s.(type) {
	case *Query:
		p.query(s)
	case *Insert:
		p.insert(s)
	case *Update:
		p.optWith(s.With)
		p.put("UPDATE ")
		p.target(&s.Table, s.Alias)
		p.set(s.Set)
		if len(s.From) > 0 {
			p.put(" FROM ")
			p.tables(s.From)
		}
		p.where(s.Where)
		p.returning(s.Returning)
	case *Delete:
		p.optWith(s.With)
		p.put("DELETE FROM ")
		p.target(&s.Table, s.Alias)
		if len(s.Using) > 0 {
			p.put(" USING ")
			p.tables(s.Using)
		}
		p.where(s.Where)
		p.returning(s.Returning)
	case *Truncate:
		p.put("TRUNCATE TABLE ")
		p.tableNames(s.Tables)
	case *Explain:
		p.explain(s)
	case *Subscribe:
		p.subscribe(s)
	default:
		p.definition(s)
	}
}

func (p *printer) insert(s *Insert) {
	p.optWith(s.With)
	p.put("INSERT INTO ")
	p.target(&s.Table, s.Alias)
	if len(s.Columns) > 0 {
		p.put(" ")
		p.idents(s.Columns)
	}
	if s.Source == nil {
		p.put(" DEFAULT VALUES")
	} else {
		p.put(" ")
		p.query(s.Source)
	}
	if s.OnConflict != nil {
		p.put(" ")
		p.onConflict(s.OnConflict)
	}
	p.returning(s.Returning)
}

func (p *printer) target(t *TableName, alias string) {
	p.tableName(t)
	if alias != "" {
		p.put(" AS ")
		p.ident(alias)
	}
}

func (p *printer) onConflict(c *OnConflict) {
	p.put("ON CONFLICT")
	if len(c.Target) > 0 {
		p.put(" ")
		p.idents(c.Target)
	}
	if len(c.Set) == 0 {
		p.put(" DO NOTHING")
		return
	}
	p.put(" DO UPDATE")
	p.set(c.Set)
	p.where(c.Where)
}

func (p *printer) set(list []Assignment) {
	p.put(" SET ")
	for i := range list {
		if i > 0 {
			p.put(", ")
		}
		p.assignment(&list[i])
	}
}

func (p *printer) assignment(a *Assignment) {
	if a.Multi {
		p.idents(a.Columns)
	} else {
		p.ident(a.Columns[0].Name)
	}
	p.put(" = ")
	p.expr(a.Value, lvLowest)
}

func (p *printer) returning(list []SelectItem) {
	if len(list) > 0 {
		p.put(" RETURNING ")
		p.items(list)
	}
}

func (p *printer) explain(s *Explain) {
	var opts []string
	if s.Analyze {
		opts = append(opts, "ANALYZE")
	}
	if s.Verbose {
		opts = append(opts, "VERBOSE")
	}
	if s.Format == ExplainJSON {
		opts = append(opts, "FORMAT JSON")
	}
	p.put("EXPLAIN ")
	if len(opts) > 0 {
		p.put("(", strings.Join(opts, ", "), ") ")
	}
	p.statement(s.Stmt)
}

func (p *printer) subscribe(s *Subscribe) {
	p.put("SUBSCRIBE TO ")
	if len(s.Options) == 0 {
		p.query(s.Query)
		return
	}
	// Without FROM, OPTIONS (…) would be taken for an item of the list.
	sel, ok := s.Query.Body.(*Select)
	parens := ok && len(sel.From) == 0
	if parens {
		p.put("(")
	}
	p.query(s.Query)
	if parens {
		p.put(")")
	}
	p.put(" OPTIONS ")
	p.options(s.Options)
}

// definition prints the statements that are not about rows.
func (p *printer) definition(s Statement) {
	switch s := s.(type) {
	case *CreateTable:
		p.createTable(s)
	case *AlterTable:
		p.put("ALTER TABLE ", ifExists(s.IfExists))
		p.tableName(&s.Name)
		for i, a := range s.Actions {
			if i > 0 {
				p.put(",")
			}
			p.put(" ")
			p.alterAction(a)
		}
	case *DropTable:
		p.put("DROP ", kindWord(s.Type), "TABLE ", ifExists(s.IfExists))
		p.tableNames(s.Tables)
		p.cascade(s.Cascade)
	case *CreateView:
		p.put("CREATE ")
		if s.OrReplace {
			p.put("OR REPLACE ")
		}
		p.put("VIEW ")
		p.tableName(&s.Name)
		if len(s.Columns) > 0 {
			p.put(" ")
			p.idents(s.Columns)
		}
		p.put(" AS ")
		p.query(s.Query)
	case *DropView:
		p.put("DROP VIEW ", ifExists(s.IfExists))
		p.tableNames(s.Views)
		p.cascade(s.Cascade)
	case *CreateNamespace:
		p.put("CREATE NAMESPACE ", ifNotExists(s.IfNotExists))
		p.ident(s.Name.Name)
		if len(s.Options) > 0 {
			p.put(" WITH OPTIONS ")
			p.options(s.Options)
		}
	case *AlterNamespace:
		p.put("ALTER NAMESPACE ")
		p.ident(s.Name.Name)
		p.put(" SET OPTIONS ")
		p.options(s.Options)
	case *DropNamespace:
		p.put("DROP NAMESPACE ", ifExists(s.IfExists))
		p.ident(s.Name.Name)
		p.cascade(s.Cascade)
	case *UseNamespace:
		p.put("USE NAMESPACE ")
		p.ident(s.Name.Name)
	default:
		p.admin(s)
	}
}

func (p *printer) admin(s Statement) {
	switch s := s.(type) {
	case *Show:
		p.show(s)
	case *Describe:
		p.put("DESCRIBE TABLE ")
		p.tableName(&s.Table)
	case *FlushTable:
		p.put("FLUSH TABLE ")
		p.tableName(&s.Table)
	case *FlushAll:
		p.put("FLUSH ALL TABLES")
		if s.Namespace.Name != "" {
			p.put(" IN ")
			p.ident(s.Namespace.Name)
		}
	case *Compact:
		p.put("COMPACT TABLE ")
		p.tableName(&s.Table)
	case *KillLiveQuery:
		p.put("KILL LIVE QUERY ", QuoteString(s.ID))
	case *KillJob:
		p.put("KILL JOB ", QuoteString(s.ID))
	case *CreateStorage:
		p.put("CREATE STORAGE ", ifNotExists(s.IfNotExists))
		p.ident(s.ID.Name)
		p.put(" TYPE ")
		p.ident(s.Type.Name)
		for i := range s.Options {
			p.put(" ", strings.ToUpper(s.Options[i].Name), " ")
			p.expr(s.Options[i].Value, lvLowest)
		}
	case *AlterStorage:
		p.put("ALTER STORAGE ")
		p.ident(s.ID.Name)
		p.put(" SET ")
		p.options(s.Options)
	case *DropStorage:
		p.put("DROP STORAGE ", ifExists(s.IfExists))
		p.ident(s.ID.Name)
	case *Backup:
		p.put("BACKUP DATABASE ")
		p.ident(s.Namespace.Name)
		p.put(" TO ", QuoteString(s.Path))
	case *Restore:
		p.put("RESTORE DATABASE ")
		p.ident(s.Namespace.Name)
		p.put(" FROM ", QuoteString(s.Path))
		if s.As.Name != "" {
			p.put(" AS ")
			p.ident(s.As.Name)
		}
	case *CreateAPIKey:
		p.put("CREATE API KEY FOR ", QuoteString(s.UserID))
		if s.Name != "" {
			p.put(" NAME ", QuoteString(s.Name))
		}
	case *DropAPIKey:
		p.put("DROP API KEY ", ifExists(s.IfExists), QuoteString(s.KeyID))
	case *ClearCache:
		p.put("CLEAR CACHE")
	}
}

func (p *printer) show(s *Show) {
	switch s.Kind {
	case ShowNamespaces:
		p.put("SHOW NAMESPACES")
	case ShowTables:
		p.put("SHOW TABLES")
		if s.Namespace.Name != "" {
			p.put(" IN ")
			p.ident(s.Namespace.Name)
		}
	case ShowStorages:
		p.put("SHOW STORAGES")
	case ShowTableStats:
		p.put("SHOW TABLE STATS ")
		p.tableName(&s.Table)
	case ShowBackup:
		p.put("SHOW BACKUP ")
		if s.Namespace.Name != "" {
			p.put("FOR DATABASE ")
			p.ident(s.Namespace.Name)
			return
		}
		p.put(QuoteString(s.Path))
	}
}

func (p *printer) createTable(s *CreateTable) {
	p.put("CREATE ", kindWord(s.Type), "TABLE ", ifNotExists(s.IfNotExists))
	p.tableName(&s.Name)
	switch {
	case len(s.AsColumns) > 0:
		p.put(" ")
		p.idents(s.AsColumns)
	case len(s.Columns) > 0:
		p.put(" (")
		for i := range s.Columns {
			if i > 0 {
				p.put(", ")
			}
			p.column(&s.Columns[i])
		}
		if len(s.PrimaryKey) > 0 {
			p.put(", PRIMARY KEY ")
			p.idents(s.PrimaryKey)
		}
		p.put(")")
	}
	if len(s.Options) > 0 {
		p.put(" WITH ")
		p.options(s.Options)
	}
	if s.Query != nil {
		p.put(" AS ")
		p.query(s.Query)
	}
}

func (p *printer) column(c *ColumnDef) {
	p.ident(c.Name)
	p.put(" ")
	p.typeName(&c.Type)
	if c.NotNull {
		p.put(" NOT NULL")
	}
	if c.PrimaryKey {
		p.put(" PRIMARY KEY")
	}
	if c.AutoIncrement {
		p.put(" AUTO_INCREMENT")
	}
	if c.Default != nil {
		p.put(" DEFAULT ")
		p.expr(c.Default, lvLowest)
	}
}

func (p *printer) alterAction(a AlterAction) {
	switch a := a.(type) {
	case *AddColumn:
		p.put("ADD COLUMN ", ifNotExists(a.IfNotExists))
		p.column(&a.Column)
	case *DropColumn:
		p.put("DROP COLUMN ", ifExists(a.IfExists))
		p.ident(a.Column.Name)
	case *RenameColumn:
		p.put("RENAME COLUMN ")
		p.ident(a.From.Name)
		p.put(" TO ")
		p.ident(a.To.Name)
	case *SetOptions:
		p.put("SET ")
		p.options(a.Options)
	}
}

func kindWord(t TableType) string {
	if t == TableUnset {
		return ""
	}
	return strings.ToUpper(t.String()) + " "
}

func ifExists(on bool) string {
	if on {
		return "IF EXISTS "
	}
	return ""
}

func ifNotExists(on bool) string {
	if on {
		return "IF NOT EXISTS "
	}
	return ""
}

func (p *printer) cascade(on bool) {
	if on {
		p.put(" CASCADE")
	}
}
