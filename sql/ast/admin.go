package ast

// ShowKind is what a SHOW lists.
type ShowKind uint8

// What a SHOW lists.
const (
	ShowNamespaces ShowKind = iota
	// ShowTables may have a Namespace.
	ShowTables
	ShowStorages
	// ShowTableStats has a Table.
	ShowTableStats
	// ShowBackup has a Path, or a Namespace when spelt SHOW BACKUP FOR
	// DATABASE ns.
	ShowBackup
)

// Show is SHOW …; which fields are set depends on Kind.
type Show struct {
	Pos
	Kind      ShowKind
	Namespace Ident
	Table     TableName
	Path      string
}

// Describe is DESCRIBE [TABLE] t, and SHOW COLUMNS FROM t.
type Describe struct {
	Pos
	Table TableName
}

// FlushTable is FLUSH TABLE t.
type FlushTable struct {
	Pos
	Table TableName
}

// FlushAll is FLUSH ALL TABLES [IN ns].
type FlushAll struct {
	Pos
	// Namespace has an empty name when it was not given.
	Namespace Ident
}

// Compact is COMPACT TABLE t.
type Compact struct {
	Pos
	Table TableName
}

// Subscribe is SUBSCRIBE TO t [WHERE c] [OPTIONS (…)]; both this and
// SUBSCRIBE TO SELECT … have become a query.
type Subscribe struct {
	Pos
	Query   *Query
	Options []Option
}

// KillLiveQuery is KILL LIVE QUERY 'id'.
type KillLiveQuery struct {
	Pos
	ID string
}

// KillJob is KILL JOB 'id'.
type KillJob struct {
	Pos
	ID string
}

// The option names of CREATE STORAGE and ALTER STORAGE.
const (
	OptName                 = "name"
	OptDescription          = "description"
	OptPath                 = "path"
	OptCredentials          = "credentials"
	OptSharedTablesTemplate = "shared_tables_template"
	OptUserTablesTemplate   = "user_tables_template"
)

// CreateStorage is CREATE STORAGE.
type CreateStorage struct {
	Pos
	IfNotExists bool
	ID          Ident
	// Type is in lower case: filesystem or s3; others are for the consumer to
	// refuse.
	Type Ident
	// Options holds each clause once, as texts.
	Options []Option
}

// AlterStorage is ALTER STORAGE id SET ….
type AlterStorage struct {
	Pos
	ID      Ident
	Options []Option
}

// DropStorage is DROP STORAGE.
type DropStorage struct {
	Pos
	IfExists bool
	ID       Ident
}

// Backup is BACKUP DATABASE ns TO 'path'.
type Backup struct {
	Pos
	Namespace Ident
	Path      string
}

// Restore is RESTORE DATABASE ns FROM 'path' [AS other].
type Restore struct {
	Pos
	Namespace Ident
	Path      string
	// As has an empty name when it was not given.
	As Ident
}

// CreateAPIKey is CREATE API KEY FOR 'user' [NAME 'x'].
type CreateAPIKey struct {
	Pos
	UserID string
	Name   string
}

// DropAPIKey is DROP API KEY 'id'.
type DropAPIKey struct {
	Pos
	IfExists bool
	KeyID    string
}

// ClearCache is CLEAR CACHE.
type ClearCache struct{ Pos }

// ExplainFormat is how a plan is shown.
type ExplainFormat uint8

// How a plan is shown.
const (
	ExplainText ExplainFormat = iota
	ExplainJSON
)

// Explain is EXPLAIN [ANALYZE] [VERBOSE] stmt or EXPLAIN (options) stmt.
type Explain struct {
	Pos
	Analyze bool
	Verbose bool
	Format  ExplainFormat
	// Stmt is a *Query, *Insert, *Update, *Delete, *CreateTable with a Query,
	// or *Subscribe.
	Stmt Statement
}

func (*Show) node()          {}
func (*Describe) node()      {}
func (*FlushTable) node()    {}
func (*FlushAll) node()      {}
func (*Compact) node()       {}
func (*Subscribe) node()     {}
func (*KillLiveQuery) node() {}
func (*KillJob) node()       {}
func (*CreateStorage) node() {}
func (*AlterStorage) node()  {}
func (*DropStorage) node()   {}
func (*Backup) node()        {}
func (*Restore) node()       {}
func (*CreateAPIKey) node()  {}
func (*DropAPIKey) node()    {}
func (*ClearCache) node()    {}
func (*Explain) node()       {}

func (*Show) statement()          {}
func (*Describe) statement()      {}
func (*FlushTable) statement()    {}
func (*FlushAll) statement()      {}
func (*Compact) statement()       {}
func (*Subscribe) statement()     {}
func (*KillLiveQuery) statement() {}
func (*KillJob) statement()       {}
func (*CreateStorage) statement() {}
func (*AlterStorage) statement()  {}
func (*DropStorage) statement()   {}
func (*Backup) statement()        {}
func (*Restore) statement()       {}
func (*CreateAPIKey) statement()  {}
func (*DropAPIKey) statement()    {}
func (*ClearCache) statement()    {}
func (*Explain) statement()       {}
