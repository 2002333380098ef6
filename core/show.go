package core

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/core/systable"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
)

func text[T ~string](s T) sqltype.Value { return sqltype.NewText(string(s)) }

func optionalText[T ~string](s T) sqltype.Value {
	if s == "" {
		return sqltype.NullOf(sqltype.Text)
	}
	return text(s)
}

func moment(t time.Time) sqltype.Value {
	if t.IsZero() {
		return sqltype.NullOf(sqltype.Timestamp)
	}
	return sqltype.NewInt(sqltype.Timestamp, t.UnixMicro())
}

func (st *statement) showStatement(ctx context.Context, state *table.State, x *ast.Show) error {
	switch x.Kind {
	case ast.ShowNamespaces:
		return st.showNamespaces(state)
	case ast.ShowTables:
		return st.showTables(state, x)
	case ast.ShowStorages:
		return st.showStorages(state)
	case ast.ShowTableStats:
		return st.showStats(ctx, state, x)
	case ast.ShowBackup:
		return st.showBackup(ctx, x)
	}
	return dberr.New(dberr.Unsupported, "The statement is not supported.")
}

func (st *statement) showNamespaces(state *table.State) error {
	r := &result{}
	r.texts("name")
	r.col("table_count", sqltype.TBigInt)
	r.col("created_at", sqltype.TTimestamp)
	for n := range state.Catalog.Namespaces() {
		r.add(text(n.ID), sqltype.NewBigInt(int64(state.Catalog.TableCount(n.ID))), moment(n.CreatedAt))
	}
	return st.show(r, Outcome{})
}

// showTables lists tables and views. Without a namespace it lists all of them,
// but for the server's own.
func (st *statement) showTables(state *table.State, x *ast.Show) error {
	ns := ident.NamespaceID(x.Namespace.Name)
	if ns == "" {
		ns = st.namespace
	}
	if ns != "" {
		if _, err := state.Catalog.Namespace(ns); err != nil {
			return st.at(err, x.Namespace.Pos)
		}
	}
	r := &result{}
	r.texts("namespace", "table_name", "table_type")
	r.col("created_at", sqltype.TTimestamp)
	caller := st.caller(&st.view)
	for t := range state.Catalog.Tables(ns) {
		if caller.SeesTable(t) && (ns != "" || t.Type != ident.SystemTable) {
			r.add(text(t.Namespace), text(t.Name), text(t.Type), moment(t.CreatedAt))
		}
	}
	for v := range state.Catalog.Views(ns) {
		r.add(text(v.Namespace), text(v.Name), text("view"), moment(v.CreatedAt))
	}
	return st.show(r, Outcome{})
}

func (st *statement) showStorages(state *table.State) error {
	r := &result{}
	r.texts("storage_id", "storage_name", "storage_type", "uri")
	r.col("table_count", sqltype.TBigInt)
	count := map[ident.StorageID]int64{}
	for t := range state.Catalog.Tables("") {
		count[t.Storage]++
	}
	for _, s := range st.s.e.host.Storages() {
		if !st.s.principal.Role.IsAdmin() {
			s.URI = ""
		}
		r.add(text(s.ID), optionalText(s.Name), text(s.Type), optionalText(s.URI), sqltype.NewBigInt(count[s.ID]))
	}
	return st.show(r, Outcome{})
}

// table finds a table, whoever asks.
func (st *statement) table(state *table.State, name *ast.TableName) (*ddl.Table, error) {
	id, err := st.qualified(name)
	if err != nil {
		return nil, err
	}
	t, err := state.Catalog.Table(id.Namespace, id.Name)
	if err != nil {
		return nil, st.at(err, name.Pos)
	}
	return t, nil
}

// visibleTable finds a table that the caller may know of.
func (st *statement) visibleTable(state *table.State, name *ast.TableName) (*ddl.Table, error) {
	t, err := st.table(state, name)
	if err != nil {
		return nil, err
	}
	if !st.caller(&st.view).SeesTable(t) {
		return nil, denied("read", t)
	}
	return t, nil
}

// showStats shows a table's rows and files. The figures are kept, not made by
// scanning, but for a caller who may only know of the own rows of a USER table.
func (st *statement) showStats(ctx context.Context, state *table.State, x *ast.Show) error {
	t, err := st.visibleTable(state, &x.Table)
	if err != nil {
		return err
	}
	var stats table.Stats
	switch {
	case t.Type == ident.UserTable && !st.s.principal.Role.IsAdmin():
		if stats, err = st.s.e.store.UserStats(ctx, state, t, st.s.principal.User); err != nil {
			return err
		}
	case t.Type == ident.SystemTable, t.Type.PerUser() && !st.s.principal.Role.IsAdmin():
		if stats.Buffered, err = count(ctx, st.environment(state, st.start), t); err != nil {
			return err
		}
	case t.Type == ident.StreamTable:
		stats.Buffered, _ = st.s.e.store.StreamCount(t.ID)
	default:
		stats = st.s.e.store.Stats(t.ID)
	}
	r := &result{}
	r.texts("namespace", "table_name")
	for _, n := range []string{"buffered_rows", "flushed_rows", "total_rows", "storage_bytes", "files"} {
		r.col(n, sqltype.TBigInt)
	}
	r.col("last_flush", sqltype.TTimestamp)
	r.texts("flush_policy")
	n := sqltype.NewBigInt
	r.add(text(t.Namespace), text(t.Name), n(stats.Buffered), n(stats.Flushed), n(stats.Buffered+stats.Flushed), n(stats.Bytes), n(stats.Files),
		moment(stats.LastFlush), optionalText(st.caller(&st.view).FlushPolicy(t)))
	return st.show(r, Outcome{})
}

// count scans what the caller sees of a table.
func count(ctx context.Context, env *exec.Env, t *ddl.Table) (n int64, err error) {
	src, err := env.Snapshot.Table(ctx, t)
	if err != nil {
		return 0, err
	}
	sc, err := src.Scan(ctx, exec.ScanRequest{})
	if err != nil {
		return 0, err
	}
	defer sc.Close()
	for {
		b, err := sc.Next(ctx)
		if err != nil || b == nil {
			return n, err
		}
		n += int64(b.Rows())
	}
}

// describe shows a table's columns, and beside the rows what else is to be
// known of it; of a view the columns.
func (st *statement) describe(ctx context.Context, state *table.State, x *ast.Describe) error {
	id, err := st.qualified(&x.Table)
	if err != nil {
		return err
	}
	r := &result{}
	r.texts("column_name", "data_type")
	r.col("is_nullable", sqltype.TBoolean)
	r.texts("column_default")
	r.col("is_primary_key", sqltype.TBoolean)
	r.col("is_system", sqltype.TBoolean)
	if v, ok := state.Catalog.View(id.Namespace, id.Name); ok {
		return st.describeView(ctx, state, v, r)
	}
	t, err := st.visibleTable(state, &x.Table)
	if err != nil {
		return err
	}
	key := map[int]bool{}
	for _, o := range t.KeyOrdinals() {
		key[o] = true
	}
	for i, c := range t.Columns {
		r.add(text(c.Name), text(c.Type.String()), sqltype.NewBool(!c.NotNull), optionalText(c.Default), sqltype.NewBool(key[i]), sqltype.NewBool(false))
	}
	if t.HasSystemColumns() {
		for _, o := range []int{t.SeqOrdinal(), t.UpdatedOrdinal(), t.DeletedOrdinal()} {
			r.add(text(t.ScanName(o)), text(t.ScanType(o).String()), sqltype.NewBool(false), sqltype.NullOf(sqltype.Text), sqltype.NewBool(false), sqltype.NewBool(true))
		}
	}
	props, err := properties(t, st.caller(&st.view))
	if err != nil {
		return err
	}
	return st.show(r, Outcome{Properties: props})
}

func properties(t *ddl.Table, c *systable.Caller) (json.RawMessage, error) {
	p := struct {
		Type    ident.TableType `json:"table_type"`
		Version uint32          `json:"current_schema_version"`
		History string          `json:"history"`
		Storage ident.StorageID `json:"storage_id,omitempty"`
		Flush   string          `json:"flush_policy,omitempty"`
		Access  ident.Access    `json:"access,omitempty"`
		TTL     string          `json:"ttl,omitempty"`
		Buffer  int             `json:"max_buffer,omitempty"`
	}{
		Type: t.Type, Version: t.SchemaVersion,
		History: fmt.Sprintf("SELECT * FROM %s.%s WHERE namespace = '%s' AND table_name = '%s' ORDER BY version",
			sysname.System, sysname.TableSchemas, quote(string(t.Namespace)), quote(string(t.Name))),
		Storage: t.Storage, Flush: c.FlushPolicy(t), Access: t.Access, Buffer: t.MaxBuffer,
	}
	if t.TTL > 0 {
		p.TTL = t.TTL.String()
	}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", t.Ident(), err)
	}
	return data, nil
}

// quote doubles the quotes of a text that stands between quotes.
func quote(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] == '\'' {
			out = append(out, '\'')
		}
		out = append(out, s[i])
	}
	return string(out)
}

func (st *statement) describeView(ctx context.Context, state *table.State, v *ddl.View, r *result) error {
	query := &ast.Query{Body: &ast.Select{
		Items: []ast.SelectItem{{X: &ast.Star{}}},
		From:  []ast.TableExpr{&ast.TableRef{Name: ast.TableName{Namespace: string(v.Namespace), Name: string(v.Name)}}},
	}}
	prep, err := st.s.e.compiler.Prepare(ctx, sql.Request{Text: ast.SQL(query), Statement: query, Catalog: state.Catalog})
	if err == nil {
		err = st.s.authorize(prep)
	}
	if err != nil {
		return placeless(err)
	}
	for _, c := range prep.Columns() {
		r.add(text(c.Name), text(c.Type.String()), sqltype.NewBool(true), sqltype.NullOf(sqltype.Text), sqltype.NewBool(false), sqltype.NewBool(false))
	}
	props, err := json.Marshal(map[string]string{"table_type": "view", "query": v.Query})
	if err != nil {
		return fmt.Errorf("describe view: %w", err)
	}
	return st.show(r, Outcome{Properties: props})
}

// killLiveQuery ends a live query: an own one, or as an admin any. One that is
// somebody else's is as good as none.
func (st *statement) killLiveQuery(x *ast.KillLiveQuery) error {
	id := ident.LiveID(x.ID)
	sub, ok := st.s.e.hub.Lookup(id)
	if !ok || !st.s.principal.Role.IsAdmin() && sub.User() != st.s.principal.User {
		return dberr.Newf(dberr.SubscriptionNotFound, "Live query '%s' not found", id).
			WithHint("SELECT live_id FROM system.live_queries lists the live queries.").At(x.Pos.In(st.text))
	}
	if err := st.s.e.hub.Kill(id); err != nil {
		return st.at(err, x.Pos)
	}
	return st.answer(fmt.Sprintf("Live query %s terminated", id))
}

// killJob ends a job under the rules of killLiveQuery.
func (st *statement) killJob(ctx context.Context, x *ast.KillJob) error {
	p := st.s.principal
	if err := st.s.e.jobs.Kill(ctx, ident.JobID(x.ID), p.User, p.Role.IsAdmin()); err != nil {
		return st.at(err, x.Pos)
	}
	return st.answer(fmt.Sprintf("Job %s cancelled", x.ID))
}
