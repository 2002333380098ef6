package sql

import (
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/binder"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// name is what a name meant when a plan was made. Definitions are never
// changed in place, so the same pointer is the same definition.
type name struct {
	ident.Table
	// view is the view of that name; nil: there is none, and table is its
	// table if the plan asked for one.
	view  *ddl.View
	table *ddl.Table
	// tabled says that the plan asked for the table.
	tabled bool
}

// names is a Catalog that remembers what was asked of it.
type names struct {
	binder.Catalog
	found []name
}

func (n *names) of(ns ident.NamespaceID, t ident.TableName) *name {
	id := ident.Table{Namespace: ns, Name: t}
	for i := range n.found {
		if n.found[i].Table == id {
			return &n.found[i]
		}
	}
	n.found = append(n.found, name{Table: id})
	return &n.found[len(n.found)-1]
}

// Table implements binder.Catalog.
func (n *names) Table(ns ident.NamespaceID, t ident.TableName) (*ddl.Table, error) {
	def, err := n.Catalog.Table(ns, t)
	at := n.of(ns, t)
	at.table, at.tabled = def, true
	return def, err
}

// View implements binder.Catalog.
func (n *names) View(ns ident.NamespaceID, t ident.TableName) (*ddl.View, bool) {
	v, ok := n.Catalog.View(ns, t)
	n.of(ns, t).view = v
	return v, ok
}

// outdated tells whether a name that the plan depends on means something else
// in a catalog. A catalog of another version in which none does is remembered,
// so the next statement need not look.
func (c *compiled) outdated(catalog binder.Catalog) bool {
	version := catalog.Version()
	if c.current.Load() == version {
		return false
	}
	for i := range c.names {
		n := &c.names[i]
		if v, _ := catalog.View(n.Namespace, n.Name); v != n.view {
			return true
		}
		if !n.tabled {
			continue
		}
		if t, err := catalog.Table(n.Namespace, n.Name); err != nil || t != n.table {
			return true
		}
	}
	c.current.Store(version)
	return false
}
