package core

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/core/flush"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// flushTable runs FLUSH TABLE.
func (st *statement) flushTable(ctx context.Context, state *table.State, x *ast.FlushTable) error {
	t, err := st.coldTable(state, &x.Table)
	if err != nil {
		return err
	}
	a, err := st.s.e.flushes.Flush(ctx, t, st.upkeep("FLUSH TABLE"))
	if err != nil {
		return st.at(err, x.Pos)
	}
	message := fmt.Sprintf("%s of %s flushed into %s at %s", plural(a.Rows, "row"), t.Ident(), plural(a.Files, "file"), st.s.e.storages.Location(state.Catalog, t))
	if a.Waited {
		message += "; another flush of the table was waited for first"
	}
	return st.showFlushes(state, []flush.Answer{a}, message)
}

// flushAll runs FLUSH ALL TABLES.
func (st *statement) flushAll(ctx context.Context, state *table.State, x *ast.FlushAll) error {
	ns := ident.NamespaceID(x.Namespace.Name)
	if ns != "" {
		if _, err := state.Catalog.Namespace(ns); err != nil {
			return st.at(err, x.Namespace.Pos)
		}
	}
	all, err := st.s.e.flushes.FlushAll(ctx, ns, st.upkeep("FLUSH ALL TABLES"))
	if err != nil {
		return st.at(err, x.Pos)
	}
	var rows, files int64
	waited := false
	for _, a := range all {
		rows += a.Rows
		files += a.Files
		waited = waited || a.Waited
	}
	message := fmt.Sprintf("%s of %s flushed into %s", plural(rows, "row"), plural(int64(len(all)), "table"), plural(files, "file"))
	if waited {
		message += "; other flushes were waited for first"
	}
	return st.showFlushes(state, all, message)
}

// compact runs COMPACT TABLE. Its answer counts the rows and files that were
// written anew.
func (st *statement) compact(ctx context.Context, state *table.State, x *ast.Compact) error {
	t, err := st.coldTable(state, &x.Table)
	if err != nil {
		return err
	}
	c, err := st.s.e.flushes.Compact(ctx, t, st.upkeep("COMPACT TABLE"))
	if err != nil {
		return st.at(err, x.Pos)
	}
	message := fmt.Sprintf("%s of %s merged into %s at %s", plural(c.Replaced, "file"), t.Ident(), plural(c.Files, "file"), st.s.e.storages.Location(state.Catalog, t))
	if c.Waited {
		message += "; another job of the table was waited for first"
	}
	a := flush.Answer{Table: t, FlushResult: table.FlushResult{Rows: c.Rows, Files: c.Files}, Job: c.Job, Took: c.Took}
	return st.showFlushes(state, []flush.Answer{a}, message)
}

// upkeep is the request of a job that takes as long as it takes: a statement's
// time limit is not for it, and when the client goes away the job goes on.
func (st *statement) upkeep(origin string) flush.Request {
	st.ctx.extend(st.deadline)
	return flush.Request{Origin: origin, User: st.s.principal.User}
}

// coldTable finds a table that has files.
func (st *statement) coldTable(state *table.State, name *ast.TableName) (*ddl.Table, error) {
	t, err := st.table(state, name)
	if err != nil {
		return nil, err
	}
	if !flush.Flushable(t) {
		return nil, dberr.Newf(dberr.Unsupported, "the %s table %s has nothing to flush", t.Type, t.Ident()).
			WithHint("USER and SHARED tables are flushed.").At(name.Pos.In(st.text))
	}
	return t, nil
}

func (st *statement) showFlushes(state *table.State, all []flush.Answer, message string) error {
	r := &result{}
	r.texts("namespace", "table_name")
	r.col("records_flushed", sqltype.TBigInt)
	r.col("files", sqltype.TBigInt)
	r.texts("storage_location", "job_id")
	r.col("duration_ms", sqltype.TDouble)
	for _, a := range all {
		location := ""
		if st.s.principal.Role.IsAdmin() {
			location = st.s.e.storages.Location(state.Catalog, a.Table)
		}
		r.add(text(a.Table.Namespace), text(a.Table.Name), sqltype.NewBigInt(a.Rows), sqltype.NewBigInt(a.Files),
			optionalText(location), text(a.Job), sqltype.NewDouble(float64(a.Took.Microseconds())/1000))
	}
	return st.show(r, Outcome{Message: message})
}
