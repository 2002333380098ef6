package catalog

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/sql/binder"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

var _ binder.Catalog = (*Snapshot)(nil)

// FirstTableID is the first id of users' tables; the ids below belong to the
// server's own.
const FirstTableID ident.TableID = 1 << 10

// Namespace is a container of tables.
type Namespace struct {
	ID ident.NamespaceID
	// Options are the namespace's options as texts, by name.
	Options   map[string]string
	CreatedAt time.Time
}

// Version is one version of a table's definition.
type Version struct {
	Table *ddl.Table
	// Changes says in words what made this version out of the one before.
	Changes   string
	CreatedAt time.Time
}

// Snapshot is one state of the catalog. It is immutable, and may be used from
// several goroutines.
type Snapshot struct {
	version    uint64
	namespaces map[ident.NamespaceID]*namespace
	storages   map[ident.StorageID]*Storage
	nextTable  ident.TableID
}

// namespace is immutable, too: an Edit copies it before it changes it.
type namespace struct {
	Namespace
	tables map[ident.TableName][]Version // oldest first, never empty
	views  map[ident.TableName]*ddl.View
	// system says that the namespace is the server's own.
	system bool
}

func (n *namespace) clone() *namespace {
	c := *n
	c.tables = maps.Clone(n.tables)
	c.views = maps.Clone(n.views)
	return &c
}

// New is the catalog of an empty database: the reserved namespaces with the
// server's own tables, whose ids are below FirstTableID.
func New(system []*ddl.Table) *Snapshot {
	s := &Snapshot{version: 1, namespaces: map[ident.NamespaceID]*namespace{}, storages: map[ident.StorageID]*Storage{}, nextTable: FirstTableID}
	for _, id := range []ident.NamespaceID{sysname.System, sysname.InformationSchema} {
		s.namespaces[id] = &namespace{
			Namespace: Namespace{ID: id},
			tables:    map[ident.TableName][]Version{},
			views:     map[ident.TableName]*ddl.View{},
			system:    true,
		}
	}
	for _, t := range system {
		s.namespaces[t.Namespace].tables[t.Name] = []Version{{Table: t, CreatedAt: t.CreatedAt}}
	}
	return s
}

// Version implements binder.Catalog. It grows with every change.
func (s *Snapshot) Version() uint64 { return s.version }

// NextTable is above the ids of all tables that there were.
func (s *Snapshot) NextTable() ident.TableID { return s.nextTable }

// Table implements binder.Catalog.
func (s *Snapshot) Table(ns ident.NamespaceID, name ident.TableName) (*ddl.Table, error) {
	v, err := s.History(ns, name)
	if err != nil {
		return nil, err
	}
	return v[len(v)-1].Table, nil
}

// View implements binder.Catalog.
func (s *Snapshot) View(ns ident.NamespaceID, name ident.TableName) (*ddl.View, bool) {
	n, ok := s.namespaces[ns]
	if !ok {
		return nil, false
	}
	v, ok := n.views[name]
	return v, ok
}

// History is every version of a table's definition, oldest first. The slice
// belongs to the catalog.
func (s *Snapshot) History(ns ident.NamespaceID, name ident.TableName) ([]Version, error) {
	n, ok := s.namespaces[ns]
	if !ok {
		return nil, noNamespace(ns)
	}
	v, ok := n.tables[name]
	if !ok {
		if _, isView := n.views[name]; isView {
			return nil, dberr.Newf(dberr.TableNotFound, "%s.%s is a view, not a table", ns, name).WithState("42809")
		}
		return nil, dberr.Newf(dberr.TableNotFound, "table %s.%s does not exist", ns, name).
			WithHint("SHOW TABLES IN %s lists the tables.", ns)
	}
	return v, nil
}

// Current tells whether t is the definition that is in force.
func (s *Snapshot) Current(t *ddl.Table) bool {
	n, ok := s.namespaces[t.Namespace]
	if !ok {
		return false
	}
	v := n.tables[t.Name]
	return len(v) > 0 && v[len(v)-1].Table.ID == t.ID && v[len(v)-1].Table.SchemaVersion == t.SchemaVersion
}

// Has tells whether a table is there, whatever has become of its definition.
func (s *Snapshot) Has(t *ddl.Table) bool {
	now, err := s.Table(t.Namespace, t.Name)
	return err == nil && now.ID == t.ID
}

// Namespace finds a namespace.
func (s *Snapshot) Namespace(id ident.NamespaceID) (Namespace, error) {
	n, ok := s.namespaces[id]
	if !ok {
		return Namespace{}, noNamespace(id)
	}
	return n.Namespace, nil
}

// IsSystem tells whether a namespace is the server's own.
func (s *Snapshot) IsSystem(id ident.NamespaceID) bool {
	n, ok := s.namespaces[id]
	return ok && n.system
}

// TableCount is how many tables a namespace holds.
func (s *Snapshot) TableCount(id ident.NamespaceID) int {
	if n, ok := s.namespaces[id]; ok {
		return len(n.tables)
	}
	return 0
}

// Namespaces lists all namespaces by name, the reserved ones among them.
func (s *Snapshot) Namespaces() iter.Seq[Namespace] {
	return func(yield func(Namespace) bool) {
		for _, id := range slices.Sorted(maps.Keys(s.namespaces)) {
			if !yield(s.namespaces[id].Namespace) {
				return
			}
		}
	}
}

// Tables lists the tables of a namespace by name; of all namespaces when ns is
// empty.
func (s *Snapshot) Tables(ns ident.NamespaceID) iter.Seq[*ddl.Table] {
	return func(yield func(*ddl.Table) bool) {
		for v := range s.Histories(ns) {
			if !yield(v[len(v)-1].Table) {
				return
			}
		}
	}
}

// Histories lists what Tables lists, with every version.
func (s *Snapshot) Histories(ns ident.NamespaceID) iter.Seq[[]Version] {
	return func(yield func([]Version) bool) {
		for _, n := range s.selected(ns) {
			for _, name := range slices.Sorted(maps.Keys(n.tables)) {
				if !yield(n.tables[name]) {
					return
				}
			}
		}
	}
}

// Views lists the views of a namespace by name; of all namespaces when ns is
// empty.
func (s *Snapshot) Views(ns ident.NamespaceID) iter.Seq[*ddl.View] {
	return func(yield func(*ddl.View) bool) {
		for _, n := range s.selected(ns) {
			for _, name := range slices.Sorted(maps.Keys(n.views)) {
				if !yield(n.views[name]) {
					return
				}
			}
		}
	}
}

func (s *Snapshot) selected(ns ident.NamespaceID) []*namespace {
	if ns != "" {
		if n, ok := s.namespaces[ns]; ok {
			return []*namespace{n}
		}
		return nil
	}
	out := make([]*namespace, 0, len(s.namespaces))
	for _, id := range slices.Sorted(maps.Keys(s.namespaces)) {
		out = append(out, s.namespaces[id])
	}
	return out
}

func noNamespace(id ident.NamespaceID) error {
	return dberr.Newf(dberr.NamespaceNotFound, "Namespace '%s' does not exist. Create it first with CREATE NAMESPACE.", id)
}
