package systable

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

const usersColumns = "user_id TEXT NOT-NULL, username TEXT NOT-NULL, metadata JSON, created_at TIMESTAMP NOT-NULL, updated_at TIMESTAMP NOT-NULL"

// computed are the tables whose rows are made when they are read.
var computed = []struct {
	namespace ident.NamespaceID
	name      ident.TableName
	columns   string
	rows      Rows
}{
	{sysname.System, sysname.Namespaces,
		"namespace_id TEXT NOT-NULL, options JSON, table_count BIGINT NOT-NULL, created_at TIMESTAMP", namespaces},
	{sysname.System, sysname.Tables,
		"table_id BIGINT NOT-NULL, namespace TEXT NOT-NULL, table_name TEXT NOT-NULL, table_type TEXT NOT-NULL, storage_id TEXT, flush_policy TEXT, schema_version BIGINT NOT-NULL, access TEXT, created_at TIMESTAMP", tables},
	{sysname.System, sysname.TableSchemas,
		"table_id BIGINT NOT-NULL, namespace TEXT NOT-NULL, table_name TEXT NOT-NULL, version BIGINT NOT-NULL, changes TEXT, arrow_schema JSON, created_at TIMESTAMP", tableSchemas},
	{sysname.System, sysname.Storages,
		"storage_id TEXT NOT-NULL, storage_name TEXT, description TEXT, storage_type TEXT NOT-NULL, uri TEXT, credentials TEXT, shared_tables_template TEXT, user_tables_template TEXT, created_at TIMESTAMP, updated_at TIMESTAMP", storages},
	{sysname.System, sysname.Jobs,
		"job_id TEXT NOT-NULL, job_type TEXT NOT-NULL, status TEXT NOT-NULL, namespace TEXT, table_name TEXT, parameters JSON, result TEXT, trace TEXT, memory_used BIGINT, cpu_used BIGINT, created_at TIMESTAMP, started_at TIMESTAMP, completed_at TIMESTAMP, node TEXT NOT-NULL, error TEXT", jobs},
	{sysname.System, sysname.LiveQueries,
		"live_id TEXT NOT-NULL, connection_id TEXT, subscription_id TEXT, user_id TEXT NOT-NULL, namespace TEXT NOT-NULL, table_name TEXT NOT-NULL, query TEXT, options JSON, changes BIGINT NOT-NULL, node TEXT NOT-NULL, created_at TIMESTAMP, last_update TIMESTAMP", liveQueries},
	{sysname.System, sysname.Sessions,
		"session_id TEXT NOT-NULL, user_id TEXT NOT-NULL, namespace TEXT, cached_tables BIGINT NOT-NULL, cache_hits BIGINT NOT-NULL, cache_misses BIGINT NOT-NULL, created_at TIMESTAMP, last_used TIMESTAMP", sessions},
	{sysname.System, sysname.APIKeys,
		"key_id TEXT NOT-NULL, user_id TEXT NOT-NULL, name TEXT, created_at TIMESTAMP, last_used TIMESTAMP", apiKeys},
	{sysname.System, sysname.PlanCache,
		"statement TEXT NOT-NULL, hits BIGINT NOT-NULL, compile_ms DOUBLE NOT-NULL, created_at TIMESTAMP, last_used TIMESTAMP", planCache},
	{sysname.InformationSchema, sysname.Schemata,
		"catalog_name TEXT NOT-NULL, schema_name TEXT NOT-NULL, schema_owner TEXT NOT-NULL", schemata},
	{sysname.InformationSchema, sysname.InfoTables,
		"table_catalog TEXT NOT-NULL, table_schema TEXT NOT-NULL, table_name TEXT NOT-NULL, table_type TEXT NOT-NULL, is_insertable_into TEXT NOT-NULL", infoTables},
	{sysname.InformationSchema, sysname.Columns,
		"table_catalog TEXT NOT-NULL, table_schema TEXT NOT-NULL, table_name TEXT NOT-NULL, column_name TEXT NOT-NULL, ordinal_position BIGINT NOT-NULL, column_default TEXT, is_nullable TEXT NOT-NULL, data_type TEXT NOT-NULL, character_maximum_length BIGINT, numeric_precision BIGINT, numeric_scale BIGINT, is_updatable TEXT NOT-NULL", infoColumns},
	{sysname.InformationSchema, sysname.Views,
		"table_catalog TEXT NOT-NULL, table_schema TEXT NOT-NULL, table_name TEXT NOT-NULL, view_definition TEXT, check_option TEXT NOT-NULL, is_updatable TEXT NOT-NULL", infoViews},
	{sysname.InformationSchema, sysname.Constraints,
		"constraint_catalog TEXT NOT-NULL, constraint_schema TEXT NOT-NULL, constraint_name TEXT NOT-NULL, table_schema TEXT NOT-NULL, table_name TEXT NOT-NULL, constraint_type TEXT NOT-NULL", constraints},
	{sysname.InformationSchema, sysname.KeyColumnUsage,
		"constraint_catalog TEXT NOT-NULL, constraint_schema TEXT NOT-NULL, constraint_name TEXT NOT-NULL, table_schema TEXT NOT-NULL, table_name TEXT NOT-NULL, column_name TEXT NOT-NULL, ordinal_position BIGINT NOT-NULL", keyColumns},
	{sysname.InformationSchema, sysname.Routines,
		"specific_name TEXT NOT-NULL, routine_name TEXT NOT-NULL, routine_type TEXT NOT-NULL, data_type TEXT, routine_definition TEXT, is_deterministic TEXT NOT-NULL", routines},
}

// each turns a function that gives rows to yield into Rows.
func each(f func(c *Caller, yield func(...sqltype.Value) bool)) Rows {
	return func(_ context.Context, c *Caller) iter.Seq2[sqltype.Row, error] {
		return func(yield func(sqltype.Row, error) bool) {
			f(c, func(row ...sqltype.Value) bool { return yield(row, nil) })
		}
	}
}

func cat(c *Caller) *catalog.Snapshot { return c.View.State.Catalog }

var namespaces = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for n := range cat(c).Namespaces() {
		var options []byte
		if len(n.Options) > 0 {
			options, _ = json.Marshal(n.Options) // texts always encode
		}
		if !yield(text(n.ID), jsonText(options), number(cat(c).TableCount(n.ID)), moment(n.CreatedAt)) {
			return
		}
	}
})

// visible lists the tables that a caller may know of.
func visible(c *Caller) iter.Seq[*ddl.Table] {
	return func(yield func(*ddl.Table) bool) {
		for t := range cat(c).Tables("") {
			if c.SeesTable(t) && !yield(t) {
				return
			}
		}
	}
}

var tables = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for t := range visible(c) {
		if t.Type == ident.SystemTable {
			continue
		}
		if !yield(number(t.ID), text(t.Namespace), text(t.Name), text(t.Type), optional(t.Storage),
			optional(c.FlushPolicy(t)), number(t.SchemaVersion), optional(t.Access), moment(t.CreatedAt)) {
			return
		}
	}
})

// FlushPolicy describes when a table is flushed; empty for one that never is.
func (c *Caller) FlushPolicy(t *ddl.Table) string {
	if t.Type != ident.UserTable && t.Type != ident.SharedTable {
		return ""
	}
	return c.Host.FlushPolicy(t.Flush.Interval, t.Flush.Rows)
}

var tableSchemas = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for history := range cat(c).Histories("") {
		t := history[len(history)-1].Table
		if t.Type == ident.SystemTable || !c.SeesTable(t) {
			continue
		}
		for _, v := range history {
			if !yield(number(v.Table.ID), text(v.Table.Namespace), text(v.Table.Name), number(v.Table.SchemaVersion),
				text(v.Changes), jsonText(ArrowSchema(v.Table)), moment(v.CreatedAt)) {
				return
			}
		}
	}
})

// ArrowSchema describes a table's columns as an Apache Arrow schema in JSON.
func ArrowSchema(t *ddl.Table) []byte {
	type field struct {
		Name     string `json:"name"`
		Type     string `json:"type"`
		Nullable bool   `json:"nullable"`
		ColumnID uint32 `json:"column_id"`
	}
	fields := make([]field, len(t.Columns))
	for i, c := range t.Columns {
		fields[i] = field{c.Name, arrowType(c.Type), !c.NotNull, uint32(c.ID)}
	}
	data, _ := json.Marshal(map[string]any{"fields": fields}) // texts, numbers and booleans always encode
	return data
}

func arrowType(t sqltype.Type) string {
	switch t.Kind {
	case sqltype.Boolean:
		return "bool"
	case sqltype.SmallInt:
		return "int16"
	case sqltype.Integer:
		return "int32"
	case sqltype.BigInt:
		return "int64"
	case sqltype.Float:
		return "float32"
	case sqltype.Double:
		return "float64"
	case sqltype.Decimal:
		if t.Precision == 0 {
			return fmt.Sprintf("decimal128(%d, %d)", sqltype.MaxDecimalPrecision, t.Scale)
		}
		return fmt.Sprintf("decimal128(%d, %d)", t.Precision, t.Scale)
	case sqltype.UUID:
		return "fixed_size_binary[16]"
	case sqltype.Bytes:
		return "binary"
	case sqltype.Date:
		return "date32[day]"
	case sqltype.Time:
		return "time64[us]"
	case sqltype.Timestamp:
		return "timestamp[us, tz=UTC]"
	case sqltype.Interval:
		return "month_day_nano_interval"
	case sqltype.Array:
		return "list<" + arrowType(t.ElemType()) + ">"
	}
	return "utf8"
}

var storages = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for _, s := range c.Host.Storages() {
		if !c.Role.IsAdmin() {
			// Paths of the server are none of a user's business.
			s.URI, s.Credentials, s.SharedTemplate, s.UserTemplate = "", "", "", ""
		}
		if !yield(text(s.ID), optional(s.Name), optional(s.Description), text(s.Type), optional(s.URI), optional(s.Credentials),
			optional(s.SharedTemplate), optional(s.UserTemplate), moment(s.CreatedAt), moment(s.UpdatedAt)) {
			return
		}
	}
})

var liveQueries = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	user := c.User
	if c.Role.IsAdmin() {
		user = ""
	}
	for _, q := range c.Host.LiveQueries(user) {
		if !yield(text(q.ID), text(q.Connection), text(q.Subscription), text(q.User), text(q.Table.Namespace), text(q.Table.Name),
			text(q.Query), jsonText(q.Options), number(q.Changes), text(c.Host.Node), moment(q.CreatedAt), moment(q.LastUpdate)) {
			return
		}
	}
})

// jobs shows the memory in bytes, and the processor time in microseconds.
var jobs = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	user := c.User
	if c.Role.IsAdmin() {
		user = ""
	}
	for _, j := range c.Host.Jobs(user) {
		if j.Parameters == nil {
			j.Parameters = []string{}
		}
		params, _ := json.Marshal(j.Parameters) // texts always encode
		if !yield(text(j.ID), text(j.Type), text(j.Status), optional(j.Namespace), optional(j.Table), jsonText(params),
			optional(j.Result), text(j.Trace()), number(j.Memory), number(j.CPU.Microseconds()),
			moment(j.CreatedAt), moment(j.StartedAt), moment(j.CompletedAt), text(j.Node), optional(j.Error)) {
			return
		}
	}
})

var sessions = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for _, s := range c.Host.Sessions() {
		if !c.Sees(s.User) {
			continue
		}
		if !yield(text(s.ID), text(s.User), optional(s.Namespace), number(s.CachedTables), number(s.Hits), number(s.Misses),
			moment(s.CreatedAt), moment(s.LastUsed)) {
			return
		}
	}
})

var apiKeys = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for _, k := range c.Host.APIKeys() {
		if !c.Sees(k.User) {
			continue
		}
		if !yield(text(k.ID), text(k.User), optional(k.Name), moment(k.CreatedAt), moment(k.LastUsed)) {
			return
		}
	}
})

var planCache = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	if !c.Role.IsAdmin() {
		// A statement's text may hold another user's values.
		return
	}
	for _, p := range c.Host.Plans() {
		if !yield(text(p.Statement), number(p.Hits), sqltype.NewDouble(float64(p.Compile.Microseconds())/1000),
			moment(p.CreatedAt), moment(p.LastUsed)) {
			return
		}
	}
})

func yesNo(b bool) sqltype.Value {
	if b {
		return text("YES")
	}
	return text("NO")
}

func typeName(t sqltype.Type) string {
	if i := strings.IndexByte(t.String(), '('); i > 0 && t.Kind != sqltype.Array {
		return t.String()[:i]
	}
	return t.String()
}
