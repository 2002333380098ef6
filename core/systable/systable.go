package systable

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// UsersID is the id of system.users, which is the key of its stored rows.
const UsersID ident.TableID = 1

// firstComputed is the id of the first table without stored rows. They are
// not written anywhere, so they may change.
const firstComputed ident.TableID = 64

// Caller is who reads.
type Caller struct {
	User ident.UserID
	Role ident.Role
	View *table.View
	Host *Host
}

// Sees tells whether rows about a user are the caller's to see.
func (c *Caller) Sees(user ident.UserID) bool { return c.Role.IsAdmin() || c.User == user }

// SeesTable tells whether the caller may read a table, and so know of it.
func (c *Caller) SeesTable(t *ddl.Table) bool {
	if t.Type != ident.SharedTable {
		return true
	}
	return MayRead(c.Role, t.Access)
}

// MayRead tells whether a role may read SHARED tables of an access level.
func MayRead(r ident.Role, a ident.Access) bool {
	switch a {
	case ident.PrivateAccess:
		return r.IsAdmin()
	case ident.RestrictedAccess:
		return r.IsAdmin() || r == ident.RoleService
	}
	return true
}

// MayWrite tells whether a role may change rows of SHARED tables of an access
// level.
func MayWrite(r ident.Role, a ident.Access) bool {
	switch a {
	case ident.OpenAccess:
		return true
	case ident.PrivateAccess:
		return r.IsAdmin()
	}
	return r.IsAdmin() || r == ident.RoleService
}

// Rows gives a table's rows, with a value for each declared column.
type Rows func(ctx context.Context, c *Caller) iter.Seq2[sqltype.Row, error]

// Def is one of the tables.
type Def struct {
	Table *ddl.Table
	// Rows is nil for a table whose rows are stored.
	Rows Rows
}

// Registry is all the tables.
type Registry struct {
	defs map[ident.TableID]*Def
	list []*ddl.Table
}

// New makes the registry.
func New() *Registry {
	r := &Registry{defs: map[ident.TableID]*Def{}}
	r.add(UsersID, sysname.System, sysname.Users, usersColumns, nil)
	users := r.list[0]
	users.PrimaryKey = []ddl.ColumnID{users.Columns[0].ID}
	for i := range users.Columns {
		if users.Columns[i].Type == sqltype.TTimestamp {
			users.Columns[i].Default = "NOW()"
		}
	}
	next := firstComputed
	for _, d := range computed {
		r.add(next, d.namespace, d.name, d.columns, d.rows)
		next++
	}
	return r
}

func (r *Registry) add(id ident.TableID, ns ident.NamespaceID, name ident.TableName, columns string, rows Rows) {
	t := &ddl.Table{ID: id, Namespace: ns, Name: name, Type: ident.SystemTable, SchemaVersion: 1, Columns: parseColumns(columns)}
	t.NextColumn = ddl.ColumnID(len(t.Columns) + 1)
	r.defs[id] = &Def{Table: t, Rows: rows}
	r.list = append(r.list, t)
}

// Tables are the definitions, for the catalog.
func (r *Registry) Tables() []*ddl.Table { return slices.Clone(r.list) }

// Users is the definition of system.users.
func (r *Registry) Users() *ddl.Table { return r.defs[UsersID].Table }

// parseColumns reads "name TYPE, name TYPE NOT NULL, …".
func parseColumns(s string) []ddl.Column {
	var out []ddl.Column
	for i, def := range strings.Split(s, ",") {
		f := strings.Fields(def)
		t, ok := sqltype.Named(f[1])
		if !ok {
			panic(fmt.Sprintf("systable: column %q has an unknown type", def))
		}
		out = append(out, ddl.Column{ID: ddl.ColumnID(i + 1), Name: f[0], Type: t, NotNull: len(f) > 2})
	}
	return out
}

// Open opens one of the tables for a caller.
func (r *Registry) Open(c *Caller, t *ddl.Table) (exec.Table, error) {
	d := r.defs[t.ID]
	switch {
	case d == nil:
		return nil, fmt.Errorf("open system table %s: there is none", t.Ident())
	case d.Rows != nil:
		return &computedTable{def: d, caller: c}, nil
	}
	stored, err := c.View.Stored(t)
	if err != nil || c.Role.IsAdmin() {
		return stored, err
	}
	return &ownRow{Table: stored, user: sqltype.NewText(string(c.User))}, nil
}

// ownRow is system.users as somebody sees it who may see the own row only.
type ownRow struct {
	exec.Table
	user sqltype.Value
}

// Get implements exec.Table.
func (o *ownRow) Get(ctx context.Context, key sqltype.Row, cols []int, deleted bool, dst sqltype.Row) (bool, error) {
	if !sqltype.Equal(key[0], o.user) {
		return false, nil
	}
	return o.Table.Get(ctx, key, cols, deleted, dst)
}

// Scan implements exec.Table. Purpose: to read the caller's row and no other.
// Keys: whatever the ranges are, they become that of the caller's key, or
// none when it lies outside of them.
func (o *ownRow) Scan(ctx context.Context, req exec.ScanRequest) (exec.Scanner, error) {
	inside := req.Ranges == nil || slices.ContainsFunc(req.Ranges, o.within)
	req.Ranges = []exec.KeyRange{}
	if inside {
		req.Ranges = append(req.Ranges, exec.KeyRange{Prefix: sqltype.Row{o.user}})
	}
	return o.Table.Scan(ctx, req)
}

func (o *ownRow) within(r exec.KeyRange) bool {
	if len(r.Prefix) > 0 {
		return sqltype.Equal(r.Prefix[0], o.user)
	}
	if !r.Low.IsNull() {
		if c := sqltype.Compare(o.user, r.Low); c < 0 || c == 0 && r.LowOpen {
			return false
		}
	}
	if !r.High.IsNull() {
		if c := sqltype.Compare(o.user, r.High); c > 0 || c == 0 && r.HighOpen {
			return false
		}
	}
	return true
}

// computedTable reads a Def.
type computedTable struct {
	def    *Def
	caller *Caller
}

var _ exec.Table = (*computedTable)(nil)

// Rows implements exec.Table. System tables are small; how small is not worth
// finding out.
func (t *computedTable) Rows() int64 { return 64 }

// Get implements exec.Table. Computed tables have no primary key, so nobody
// has one to ask with.
func (t *computedTable) Get(context.Context, sqltype.Row, []int, bool, sqltype.Row) (bool, error) {
	return false, fmt.Errorf("read %s by key: it has none", t.def.Table.Ident())
}

// Scan implements exec.Table. Purpose: to make rows of the server's state when
// they are asked for. Keys: there are none, so ranges and order do not arise.
func (t *computedTable) Scan(ctx context.Context, req exec.ScanRequest) (exec.Scanner, error) {
	for _, o := range req.Columns {
		if o < 0 || o >= len(t.def.Table.Columns) {
			return nil, fmt.Errorf("read %s: there is no column %d", t.def.Table.Ident(), o)
		}
	}
	next, stop := iter.Pull2(t.def.Rows(ctx, t.caller))
	return &computedScanner{t: t, cols: req.Columns, next: next, stop: stop}, nil
}

type computedScanner struct {
	t    *computedTable
	cols []int
	next func() (sqltype.Row, error, bool)
	stop func()
	err  error
}

// Next implements exec.Scanner.
func (s *computedScanner) Next(ctx context.Context) (*vector.Batch, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.err = context.Cause(ctx); s.err != nil {
		return nil, s.err
	}
	builders := make([]*vector.Builder, len(s.cols))
	for i, o := range s.cols {
		builders[i] = vector.NewBuilder(s.t.def.Table.Columns[o].Type, 16)
	}
	n := 0
	for ; n < vector.BatchSize; n++ {
		row, err, ok := s.next()
		if !ok {
			break
		}
		if err != nil {
			s.err = fmt.Errorf("read %s: %w", s.t.def.Table.Ident(), err)
			return nil, s.err
		}
		for i, o := range s.cols {
			builders[i].Append(row[o])
		}
	}
	if n == 0 {
		return nil, nil
	}
	cols := make([]*vector.Vector, len(builders))
	for i, b := range builders {
		cols[i] = b.Finish()
	}
	return vector.NewBatch(cols, n), nil
}

// Close implements exec.Scanner.
func (s *computedScanner) Close() { s.stop() }

// The values of rows.

func text[T ~string](s T) sqltype.Value { return sqltype.NewText(string(s)) }

// optional is NULL for the empty string.
func optional[T ~string](s T) sqltype.Value {
	if s == "" {
		return sqltype.NullOf(sqltype.Text)
	}
	return text(s)
}

func number[T ~int | ~int32 | ~int64 | ~uint32 | ~uint64](n T) sqltype.Value {
	return sqltype.NewBigInt(int64(n))
}

func jsonText[T ~string | ~[]byte](s T) sqltype.Value {
	if len(s) == 0 {
		return sqltype.NullOf(sqltype.JSON)
	}
	return sqltype.NewString(sqltype.JSON, string(s))
}

func moment(t time.Time) sqltype.Value {
	if t.IsZero() {
		return sqltype.NullOf(sqltype.Timestamp)
	}
	return sqltype.NewInt(sqltype.Timestamp, t.UnixMicro())
}
