package binder

import (
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// Catalog is what the binder asks about tables and views. One Catalog is a
// consistent state: the same question always has the same answer. It may be
// used from several goroutines.
type Catalog interface {
	// Version numbers the catalog's state. A plan made under one version is
	// used again under another only if every name in it still gives the same
	// definition, the very same pointer.
	Version() uint64
	// Table finds a table, also one of the system's. The error is coded:
	// NAMESPACE_NOT_FOUND, TABLE_NOT_FOUND or PERMISSION_DENIED.
	Table(ns ident.NamespaceID, name ident.TableName) (*ddl.Table, error)
	// View finds a view.
	View(ns ident.NamespaceID, name ident.TableName) (*ddl.View, bool)
}
