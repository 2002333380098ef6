// Package sysname is the single source of the names that the system reserves:
// its namespaces, its tables and the columns it adds to users' tables.
package sysname

import "github.com/kalamdb/kalamdb/commons/ident"

// The reserved namespaces. They always exist and users create nothing in them.
const (
	System            ident.NamespaceID = "system"
	InformationSchema ident.NamespaceID = "information_schema"
)

// UserQualifier stands between a namespace and a USER table's name:
// app.user.messages is app.messages of the user whom the request names.
const UserQualifier = "user"

// The tables of the system namespace.
const (
	Users        ident.TableName = "users"
	Namespaces   ident.TableName = "namespaces"
	Tables       ident.TableName = "tables"
	TableSchemas ident.TableName = "table_schemas"
	Storages     ident.TableName = "storages"
	Jobs         ident.TableName = "jobs"
	LiveQueries  ident.TableName = "live_queries"
	Sessions     ident.TableName = "sessions"
	APIKeys      ident.TableName = "api_keys"
	PlanCache    ident.TableName = "plan_cache"
)

// The tables of information_schema.
const (
	Schemata       ident.TableName = "schemata"
	InfoTables     ident.TableName = "tables"
	Columns        ident.TableName = "columns"
	Views          ident.TableName = "views"
	Routines       ident.TableName = "routines"
	Constraints    ident.TableName = "table_constraints"
	KeyColumnUsage ident.TableName = "key_column_usage"
)

// The columns that the server keeps in every USER and SHARED table. Users
// name them in queries and never write them.
const (
	// Seq is the commit sequence number of the row's newest version.
	Seq = "_seq"
	// Updated is when that version was committed.
	Updated = "_updated"
	// Deleted is true in a row that was deleted and is kept for a while.
	Deleted = "_deleted"
)

// DefaultStorage is the storage that is always there.
const DefaultStorage ident.StorageID = "local"

// IsReserved tells whether a namespace belongs to the system.
func IsReserved(ns ident.NamespaceID) bool { return ns == System || ns == InformationSchema }

// IsSystemColumn tells whether a column's name belongs to the system.
func IsSystemColumn(name string) bool { return name == Seq || name == Updated || name == Deleted }
