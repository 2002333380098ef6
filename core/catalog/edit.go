package catalog

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/kv"
)

// Edit changes a Snapshot into the next one. Each method checks its change
// against the state that the changes before it have left, and an error leaves
// the edit as it was. An Edit belongs to one goroutine.
type Edit struct {
	now     time.Time
	next    *Snapshot
	copied  map[ident.NamespaceID]bool
	batch   kv.Batch
	dropped []*ddl.Table
	changed bool
	// storagesCopied says that the next snapshot's storages are its own.
	storagesCopied bool
}

// Edit starts a change of the snapshot, which itself stays as it is. now is
// what is recorded as the time of what is created.
func (s *Snapshot) Edit(now time.Time) *Edit {
	return &Edit{
		now: now.UTC().Truncate(time.Microsecond),
		next: &Snapshot{
			version:    s.version + 1,
			namespaces: maps.Clone(s.namespaces),
			storages:   s.storages,
			nextTable:  s.nextTable,
		},
		copied: map[ident.NamespaceID]bool{},
	}
}

// Changed tells whether there is anything to write.
func (e *Edit) Changed() bool { return e.changed }

// Next is the catalog with all changes. It must not be used before Batch is
// written.
func (e *Edit) Next() *Snapshot { return e.next }

// Batch is what makes the changes last.
func (e *Edit) Batch() *kv.Batch { return &e.batch }

// Dropped lists the tables whose rows must be removed once the changes are
// written. Load lists them again until Forget is written.
func (e *Edit) Dropped() []*ddl.Table { return e.dropped }

// writable gives a namespace that may be changed, copying it once.
func (e *Edit) writable(id ident.NamespaceID) (*namespace, error) {
	n, ok := e.next.namespaces[id]
	if !ok {
		return nil, noNamespace(id)
	}
	if n.system {
		return nil, reserved(id)
	}
	if !e.copied[id] {
		n = n.clone()
		e.next.namespaces[id] = n
		e.copied[id] = true
	}
	return n, nil
}

func reserved(id ident.NamespaceID) error {
	return dberr.Newf(dberr.PermissionDenied, "Namespace '%s' belongs to the system and cannot be changed.", id)
}

// CreateNamespace adds an empty namespace. created is false when it exists and
// ifNotExists allows that.
func (e *Edit) CreateNamespace(id ident.NamespaceID, options map[string]string, ifNotExists bool) (created bool, err error) {
	if n, ok := e.next.namespaces[id]; ok {
		switch {
		case n.system && !ifNotExists:
			return false, dberr.Newf(dberr.AlreadyExists, "Namespace '%s' is reserved for the system.", id).WithState("42P06")
		case ifNotExists:
			return false, nil
		}
		return false, dberr.Newf(dberr.AlreadyExists, "Namespace '%s' already exists.", id).WithState("42P06")
	}
	n := &namespace{
		Namespace: Namespace{ID: id, Options: options, CreatedAt: e.now},
		tables:    map[ident.TableName][]Version{},
		views:     map[ident.TableName]*ddl.View{},
	}
	if err := e.putNamespace(n); err != nil {
		return false, err
	}
	e.next.namespaces[id] = n
	e.copied[id] = true
	return true, nil
}

// SetNamespaceOptions changes options of a namespace; an empty value removes
// one.
func (e *Edit) SetNamespaceOptions(id ident.NamespaceID, options map[string]string) error {
	n, err := e.writable(id)
	if err != nil {
		return err
	}
	merged := maps.Clone(n.Options)
	if merged == nil {
		merged = map[string]string{}
	}
	for k, v := range options {
		if v == "" {
			delete(merged, k)
		} else {
			merged[k] = v
		}
	}
	n.Options = merged
	return e.putNamespace(n)
}

// DropNamespace removes a namespace and, with cascade, what it holds. dropped
// is false when there is none and ifExists allows that.
func (e *Edit) DropNamespace(id ident.NamespaceID, cascade, ifExists bool) (dropped bool, err error) {
	if _, ok := e.next.namespaces[id]; !ok && ifExists {
		return false, nil
	}
	n, err := e.writable(id)
	if err != nil {
		return false, err
	}
	if !cascade && len(n.tables)+len(n.views) > 0 {
		return false, dberr.Newf(dberr.Conflict, "Cannot drop namespace '%s': it holds %d table(s) and %d view(s)", id, len(n.tables), len(n.views)).
			WithHint("Drop them first, or use DROP NAMESPACE %s CASCADE.", id).WithState("2BP01")
	}
	for _, name := range slices.Sorted(maps.Keys(n.tables)) {
		if err := e.removeTable(n, name); err != nil {
			return false, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.views)) {
		e.removeView(n, name)
	}
	e.batch.Delete(Partition, namespaceKey(id))
	delete(e.next.namespaces, id)
	e.changed = true
	return true, nil
}

// CreateTable adds a table. It sets what the catalog gives: the id, the first
// schema version and the time. created is nil when a table of the name exists
// and ifNotExists allows that.
func (e *Edit) CreateTable(def *ddl.Table, ifNotExists bool) (created *ddl.Table, err error) {
	n, err := e.writable(def.Namespace)
	if err != nil {
		return nil, err
	}
	if _, ok := n.tables[def.Name]; ok {
		if ifNotExists {
			return nil, nil
		}
		return nil, dberr.Newf(dberr.AlreadyExists, "table %s already exists", def.Ident()).WithState("42P07")
	}
	if _, ok := n.views[def.Name]; ok {
		return nil, dberr.Newf(dberr.AlreadyExists, "a view named %s already exists", def.Ident()).WithState("42P07")
	}
	if err := e.stored(def); err != nil {
		return nil, err
	}
	t := *def
	t.ID = e.next.nextTable
	t.SchemaVersion = 1
	t.CreatedAt = e.now
	v := Version{Table: &t, Changes: "CREATE TABLE", CreatedAt: e.now}
	if err := e.putTable(v); err != nil {
		return nil, err
	}
	e.next.nextTable++
	e.putCounter()
	n.tables[t.Name] = []Version{v}
	return &t, nil
}

// AlterTable adds the next version of a table, the very definition that is
// given: it has the number behind the current version, which the caller has
// made it from, and other columns or options. It is not changed afterwards.
func (e *Edit) AlterTable(next *ddl.Table, changes string) error {
	n, err := e.writable(next.Namespace)
	if err != nil {
		return err
	}
	old := n.tables[next.Name]
	if len(old) == 0 {
		return dberr.Newf(dberr.TableNotFound, "table %s does not exist", next.Ident())
	}
	if now := old[len(old)-1].Table.SchemaVersion; next.SchemaVersion != now+1 {
		return fmt.Errorf("alter table %s: version %d does not follow version %d", next.Ident(), next.SchemaVersion, now)
	}
	if err := e.stored(next); err != nil {
		return err
	}
	v := Version{Table: next, Changes: changes, CreatedAt: e.now}
	if err := e.putTable(v); err != nil {
		return err
	}
	n.tables[next.Name] = append(slices.Clip(old), v)
	return nil
}

// DropTable removes a table. dropped is nil when there is none and ifExists
// allows that.
func (e *Edit) DropTable(ns ident.NamespaceID, name ident.TableName, ifExists bool) (dropped *ddl.Table, err error) {
	cur, err := e.next.Table(ns, name)
	if err != nil {
		if ifExists && dberr.CodeOf(err) != dberr.Internal {
			if _, isView := e.next.View(ns, name); !isView {
				return nil, nil
			}
		}
		return nil, err
	}
	n, err := e.writable(ns)
	if err != nil {
		return nil, err
	}
	return cur, e.removeTable(n, name)
}

func (e *Edit) removeTable(n *namespace, name ident.TableName) error {
	versions := n.tables[name]
	for _, v := range versions {
		e.batch.Delete(Partition, tableKey(v.Table.ID, v.Table.SchemaVersion))
	}
	t := versions[len(versions)-1].Table
	if err := e.putDropped(t); err != nil {
		return err
	}
	delete(n.tables, name)
	e.dropped = append(e.dropped, t)
	return nil
}

// CreateView adds a view, or replaces one.
func (e *Edit) CreateView(v *ddl.View, orReplace bool) error {
	n, err := e.writable(v.Namespace)
	if err != nil {
		return err
	}
	if _, ok := n.tables[v.Name]; ok {
		return dberr.Newf(dberr.AlreadyExists, "a table named %s.%s already exists", v.Namespace, v.Name).WithState("42P07")
	}
	if _, ok := n.views[v.Name]; ok && !orReplace {
		return dberr.Newf(dberr.AlreadyExists, "view %s.%s already exists", v.Namespace, v.Name).
			WithHint("CREATE OR REPLACE VIEW replaces it.").WithState("42P07")
	}
	w := *v
	w.CreatedAt = e.now
	if err := e.putView(&w); err != nil {
		return err
	}
	n.views[w.Name] = &w
	return nil
}

// DropView removes a view. dropped is false when there is none and ifExists
// allows that.
func (e *Edit) DropView(ns ident.NamespaceID, name ident.TableName, ifExists bool) (dropped bool, err error) {
	if _, ok := e.next.View(ns, name); !ok {
		if ifExists {
			return false, nil
		}
		if _, found := e.next.namespaces[ns]; !found {
			return false, noNamespace(ns)
		}
		return false, dberr.Newf(dberr.TableNotFound, "view %s.%s does not exist", ns, name)
	}
	n, err := e.writable(ns)
	if err != nil {
		return false, err
	}
	e.removeView(n, name)
	return true, nil
}

func (e *Edit) removeView(n *namespace, name ident.TableName) {
	e.batch.Delete(Partition, viewKey(n.ID, name))
	delete(n.views, name)
	e.changed = true
}
