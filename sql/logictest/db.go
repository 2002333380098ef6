package logictest

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/binder"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// DB is a database in memory. One goroutine uses it.
type DB struct {
	// Compiler prepares the statements.
	Compiler *sql.Compiler
	// Env is the template of every execution's environment.
	Env exec.Env
	// Namespace is where names without one are looked up.
	Namespace ident.NamespaceID
	// MinRows is what every table says at least when it is asked for its
	// size, so that small ones are read as if they were large.
	MinRows int64
	version uint64
	seq     change.Seq
	tables  map[ident.Table]*memTable
	views   map[ident.Table]*ddl.View
	nextID  ident.TableID
}

var (
	_ binder.Catalog = (*DB)(nil)
	_ exec.Snapshot  = snapshot{}
)

// NewDB makes an empty database with the namespace "main" as the current one.
func NewDB(opts sql.Options) *DB {
	return &DB{
		Compiler: sql.NewCompiler(opts), Namespace: "main",
		tables: map[ident.Table]*memTable{}, views: map[ident.Table]*ddl.View{},
	}
}

// Version numbers the catalog's state.
func (db *DB) Version() uint64 { return db.version }

// Table finds a table's definition.
func (db *DB) Table(ns ident.NamespaceID, name ident.TableName) (*ddl.Table, error) {
	id := ident.Table{Namespace: ns, Name: name}
	if t := db.tables[id]; t != nil {
		return t.def, nil
	}
	return nil, dberr.Newf(dberr.TableNotFound, "table %s does not exist", id)
}

// View finds a view.
func (db *DB) View(ns ident.NamespaceID, name ident.TableName) (*ddl.View, bool) {
	v, ok := db.views[ident.Table{Namespace: ns, Name: name}]
	return v, ok
}

// rows is how many rows a table has.
func (db *DB) rows(t *ddl.Table) int64 {
	if m := db.tables[t.Ident()]; m != nil {
		return int64(len(m.rows))
	}
	return 0
}

// snapshot is a DB as the executor reads it.
type snapshot struct{ db *DB }

func (s snapshot) Table(_ context.Context, t *ddl.Table) (exec.Table, error) {
	m := s.db.tables[t.Ident()]
	if m == nil {
		return nil, fmt.Errorf("table %s is gone", t.Ident())
	}
	c := *m
	n := s.db.Env.BatchSize
	if n <= 0 {
		n = vector.BatchSize
	}
	return &view{t: &c, batch: n, minRows: s.db.MinRows}, nil
}

// Result is what a statement gave.
type Result struct {
	Columns  []sql.ResultColumn
	Rows     []sqltype.Row
	Affected int64
}

// Exec runs one statement.
func (db *DB) Exec(ctx context.Context, text string, params ...sqltype.Value) (*Result, error) {
	p, err := db.Compiler.Prepare(ctx, sql.Request{Text: text, Namespace: db.Namespace, Catalog: db, Params: params, Rows: db.rows})
	if err != nil {
		return nil, err
	}
	switch p.Kind() {
	case sql.Query:
		rows, err := p.Query(ctx, db.Environment())
		if err != nil {
			return nil, err
		}
		out := &Result{Columns: p.Columns()}
		out.Rows, err = collect(ctx, rows)
		return out, err
	case sql.Modify:
		res, err := p.Modify(ctx, db.Environment())
		if err != nil {
			return nil, err
		}
		if err := db.commit(append(res.Before, res.Writes)...); err != nil {
			return nil, err
		}
		res.Committed()
		out := &Result{Columns: p.Columns(), Affected: res.Affected}
		if res.Returning != nil {
			out.Rows, err = collect(ctx, res.Returning)
		}
		return out, err
	}
	return &Result{}, db.utility(ctx, text, p.Statement())
}

// Environment is what an execution on the present state runs in.
func (db *DB) Environment() *exec.Env {
	e := db.Env
	e.Snapshot = snapshot{db}
	return &e
}

func collect(ctx context.Context, rows exec.Rows) ([]sqltype.Row, error) {
	defer rows.Close()
	var out []sqltype.Row
	for {
		b, err := rows.Next(ctx)
		if b == nil || err != nil {
			return out, err
		}
		for i := range b.Rows() {
			row := make(sqltype.Row, len(b.Cols))
			b.ReadRow(i, row)
			out = append(out, row.Clone())
		}
	}
}

// commit applies WriteSets wholly or not at all.
func (db *DB) commit(sets ...*exec.WriteSet) error {
	now := time.Now()
	after := map[ident.Table]*memTable{}
	for _, ws := range sets {
		if len(ws.Writes) == 0 {
			continue
		}
		id := ws.Table.Ident()
		if after[id] == nil {
			after[id] = db.tables[id].clone()
		}
		ws.Time = now
		for i := range ws.Writes {
			db.seq++
			ws.Writes[i].NewSeq = db.seq
			if err := after[id].apply(&ws.Writes[i], db.seq, now); err != nil {
				return err
			}
		}
	}
	maps.Copy(db.tables, after)
	return nil
}

func (db *DB) name(n *ast.TableName) ident.Table {
	ns := ident.NamespaceID(n.Namespace)
	if ns == "" {
		ns = db.Namespace
	}
	return ident.Table{Namespace: ns, Name: ident.TableName(n.Name)}
}

// utility runs the statements that scripts need beside queries and changes.
func (db *DB) utility(ctx context.Context, text string, stmt ast.Statement) error {
	db.version++
	switch s := stmt.(type) {
	case *ast.CreateTable:
		return db.createTable(ctx, text, s)
	case *ast.DropTable:
		for i := range s.Tables {
			id := db.name(&s.Tables[i])
			if db.tables[id] == nil && !s.IfExists {
				return dberr.Newf(dberr.TableNotFound, "table %s does not exist", id)
			}
			delete(db.tables, id)
		}
		return nil
	case *ast.CreateView:
		return db.createView(ctx, text, s)
	case *ast.DropView:
		for i := range s.Views {
			id := db.name(&s.Views[i])
			if db.views[id] == nil && !s.IfExists {
				return dberr.Newf(dberr.TableNotFound, "view %s does not exist", id)
			}
			delete(db.views, id)
		}
		return nil
	case *ast.Truncate:
		for i := range s.Tables {
			id := db.name(&s.Tables[i])
			if db.tables[id] == nil {
				return dberr.Newf(dberr.TableNotFound, "table %s does not exist", id)
			}
			db.tables[id] = newMemTable(db.tables[id].def)
		}
		return nil
	case *ast.CreateNamespace, *ast.DropNamespace, *ast.UseNamespace:
		return nil
	}
	return dberr.Newf(dberr.Unsupported, "%T is not supported here", stmt)
}

func (db *DB) createTable(ctx context.Context, text string, s *ast.CreateTable) error {
	id := db.name(&s.Name)
	if db.tables[id] != nil || db.views[id] != nil {
		if s.IfNotExists {
			return nil
		}
		return dberr.Newf(dberr.AlreadyExists, "table %s exists already", id)
	}
	db.nextID++
	def := &ddl.Table{ID: db.nextID, Namespace: id.Namespace, Name: id.Name, Type: ident.SharedTable, SchemaVersion: 1}
	if s.Type == ast.TableUser {
		def.Type = ident.UserTable
	}
	add := func(name string, t sqltype.Type, notNull bool, dflt string) ddl.ColumnID {
		def.NextColumn++
		def.Columns = append(def.Columns, ddl.Column{ID: def.NextColumn, Name: name, Type: t, NotNull: notNull, Default: dflt})
		return def.NextColumn
	}
	for i := range s.Columns {
		c := &s.Columns[i]
		for k := range def.Columns {
			if def.Columns[k].Name == c.Name {
				return dberr.Newf(dberr.InvalidSQL, "column %q specified more than once", c.Name)
			}
		}
		t, err := binder.ResolveType(c.Type)
		if err != nil {
			return err
		}
		col := ddl.Column{Name: c.Name, Type: t}
		if c.Default != nil {
			col.Default = ast.SQL(c.Default)
			if _, err := binder.Default(&col); err != nil {
				return err
			}
		}
		cid := add(c.Name, t, c.NotNull || c.PrimaryKey, col.Default)
		if c.PrimaryKey {
			def.PrimaryKey = append(def.PrimaryKey, cid)
		}
	}
	for _, k := range s.PrimaryKey {
		o, ok := def.Ordinal(k.Name)
		if !ok || o >= len(def.Columns) {
			return dberr.Newf(dberr.ColumnNotFound, "column %q named in key does not exist", k.Name)
		}
		def.PrimaryKey = append(def.PrimaryKey, def.Columns[o].ID)
		def.Columns[o].NotNull = true
	}
	t := newMemTable(def)
	if s.Query == nil {
		db.tables[id] = t
		return nil
	}
	p, err := db.Compiler.Prepare(ctx, sql.Request{Text: text, Statement: s.Query, Namespace: db.Namespace, Catalog: db})
	if err != nil {
		return err
	}
	for i, c := range p.Columns() {
		name := c.Name
		if i < len(s.AsColumns) {
			name = s.AsColumns[i].Name
		}
		add(name, c.Type, false, "")
	}
	rows, err := p.Query(ctx, db.Environment())
	if err != nil {
		return err
	}
	all, err := collect(ctx, rows)
	if err != nil {
		return err
	}
	db.tables[id] = t
	ws := &exec.WriteSet{Table: def}
	for _, r := range all {
		ws.Writes = append(ws.Writes, exec.Write{Op: change.Insert, New: r})
	}
	return db.commit(ws)
}

func (db *DB) createView(ctx context.Context, text string, s *ast.CreateView) error {
	id := db.name(&s.Name)
	if db.tables[id] != nil || db.views[id] != nil && !s.OrReplace {
		return dberr.Newf(dberr.AlreadyExists, "table %s exists already", id)
	}
	if _, err := db.Compiler.Prepare(ctx, sql.Request{Text: text, Statement: s.Query, Namespace: db.Namespace, Catalog: db}); err != nil {
		return err
	}
	v := &ddl.View{Namespace: id.Namespace, Name: id.Name, Query: ast.SQL(s.Query)}
	for _, c := range s.Columns {
		v.Columns = append(v.Columns, c.Name)
	}
	db.views[id] = v
	return nil
}
