package ast

// TableType is the kind of a table as it was written.
type TableType uint8

// The kinds of tables. TableUnset is a CREATE TABLE that does not say, which
// makes a shared table.
const (
	TableUnset TableType = iota
	TableUser
	TableShared
	TableStream
)

// String is the kind's keyword in lower case; empty for TableUnset.
func (t TableType) String() string {
	switch t {
	case TableUser:
		return "user"
	case TableShared:
		return "shared"
	case TableStream:
		return "stream"
	}
	return ""
}

// The names that the clauses of CREATE TABLE have as options. A bare number
// given for a duration means seconds.
const (
	OptStorage       = "storage"
	OptFlushInterval = "flush_interval"
	OptFlushRows     = "flush_rows"
	OptTTL           = "ttl"
	OptMaxBuffer     = "max_buffer"
	OptAccess        = "access"
)

// CreateTable is CREATE [USER|SHARED|STREAM] TABLE.
type CreateTable struct {
	Pos
	// Type is what the statement or its WITH (type = …) says.
	Type        TableType
	IfNotExists bool
	Name        TableName
	Columns     []ColumnDef
	// PrimaryKey is the table constraint PRIMARY KEY (a, b). A key on the
	// column itself is in ColumnDef; a statement never has both.
	PrimaryKey []Ident
	// Options holds the clauses and the WITH list, each name once, in the
	// order written. The older spellings (flush row_threshold, flush seconds)
	// have become the names above; other names are for the consumer to refuse.
	Options []Option
	// Query is CREATE TABLE … AS query; Columns is empty then, and AsColumns
	// may rename the query's columns.
	Query     *Query
	AsColumns []Ident
}

// ColumnDef is one column of a CREATE TABLE or ADD COLUMN.
type ColumnDef struct {
	Pos
	Name string
	Type TypeName
	// NotNull is NOT NULL; NULL, the default, leaves no trace.
	NotNull    bool
	PrimaryKey bool
	// AutoIncrement is AUTO_INCREMENT or GENERATED … AS IDENTITY.
	AutoIncrement bool
	// Default is nil when it was not given.
	Default Expr
}

// AlterTable is ALTER TABLE with one or more actions.
type AlterTable struct {
	Pos
	IfExists bool
	Name     TableName
	Actions  []AlterAction
}

// AlterAction is one action of an ALTER TABLE.
type AlterAction interface {
	Node
	alterAction()
}

// AddColumn is ADD [COLUMN] [IF NOT EXISTS] c type ….
type AddColumn struct {
	Pos
	IfNotExists bool
	Column      ColumnDef
}

// DropColumn is DROP [COLUMN] [IF EXISTS] c.
type DropColumn struct {
	Pos
	IfExists bool
	Column   Ident
}

// RenameColumn is RENAME [COLUMN] a TO b.
type RenameColumn struct {
	Pos
	From, To Ident
}

// SetOptions is SET (name = value, …), with the option names of CreateTable.
type SetOptions struct {
	Pos
	Options []Option
}

// DropTable is DROP TABLE.
type DropTable struct {
	Pos
	// Type is set by DROP USER TABLE and its like.
	Type     TableType
	IfExists bool
	Tables   []TableName
	Cascade  bool
}

// CreateView is CREATE [OR REPLACE] VIEW.
type CreateView struct {
	Pos
	OrReplace bool
	Name      TableName
	Columns   []Ident
	Query     *Query
}

// DropView is DROP VIEW.
type DropView struct {
	Pos
	IfExists bool
	Views    []TableName
	Cascade  bool
}

// CreateNamespace is CREATE NAMESPACE (or SCHEMA).
type CreateNamespace struct {
	Pos
	IfNotExists bool
	Name        Ident
	Options     []Option
}

// AlterNamespace is ALTER NAMESPACE n SET OPTIONS (…).
type AlterNamespace struct {
	Pos
	Name    Ident
	Options []Option
}

// DropNamespace is DROP NAMESPACE (or SCHEMA).
type DropNamespace struct {
	Pos
	IfExists bool
	Name     Ident
	Cascade  bool
}

// UseNamespace is USE [NAMESPACE] n.
type UseNamespace struct {
	Pos
	Name Ident
}

func (*CreateTable) node()     {}
func (*ColumnDef) node()       {}
func (*AlterTable) node()      {}
func (*AddColumn) node()       {}
func (*DropColumn) node()      {}
func (*RenameColumn) node()    {}
func (*SetOptions) node()      {}
func (*DropTable) node()       {}
func (*CreateView) node()      {}
func (*DropView) node()        {}
func (*CreateNamespace) node() {}
func (*AlterNamespace) node()  {}
func (*DropNamespace) node()   {}
func (*UseNamespace) node()    {}

func (*CreateTable) statement()     {}
func (*AlterTable) statement()      {}
func (*DropTable) statement()       {}
func (*CreateView) statement()      {}
func (*DropView) statement()        {}
func (*CreateNamespace) statement() {}
func (*AlterNamespace) statement()  {}
func (*DropNamespace) statement()   {}
func (*UseNamespace) statement()    {}

func (*AddColumn) alterAction()    {}
func (*DropColumn) alterAction()   {}
func (*RenameColumn) alterAction() {}
func (*SetOptions) alterAction()   {}
