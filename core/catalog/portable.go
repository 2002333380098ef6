package catalog

import (
	"fmt"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

// Portable is the definitions of one namespace in a form that lasts outside of
// the database that they come from: as JSON, of the same records that the
// catalog itself keeps. A backup has it.
type Portable struct {
	Namespace namespaceRecord `json:"namespace"`
	Tables    []PortableTable `json:"tables,omitempty"`
	Views     []viewRecord    `json:"views,omitempty"`
}

// PortableTable is a table with every version of its definition, oldest first.
type PortableTable struct {
	Versions []tableRecord `json:"versions"`
}

// Export gives the definitions of a namespace, its tables in the order of
// Tables. Errors: NAMESPACE_NOT_FOUND, UNSUPPORTED for the server's own.
func (s *Snapshot) Export(ns ident.NamespaceID) (*Portable, error) {
	n, ok := s.namespaces[ns]
	switch {
	case !ok:
		return nil, noNamespace(ns)
	case n.system:
		return nil, dberr.Newf(dberr.Unsupported, "Namespace '%s' belongs to the system and is not backed up.", ns)
	}
	p := &Portable{Namespace: recordOfNamespace(n)}
	for versions := range s.Histories(ns) {
		var t PortableTable
		for _, v := range versions {
			r, err := recordOfTable(v)
			if err != nil {
				return nil, err
			}
			t.Versions = append(t.Versions, r)
		}
		p.Tables = append(p.Tables, t)
	}
	for v := range s.Views(ns) {
		p.Views = append(p.Views, recordOfView(v))
	}
	return p, nil
}

// Restored is definitions that were read from a Portable, on their way into a
// catalog.
type Restored struct {
	Options   map[string]string
	CreatedAt time.Time
	// Tables have every version each, oldest first. Namespace, ID and Storage
	// of each version are the restorer's to change, alike in all versions.
	Tables [][]Version
	Views  []*ddl.View
}

// Restore reads the definitions and checks that they make sense.
func (p *Portable) Restore() (*Restored, error) {
	if p.Namespace.Format > format {
		return nil, newer(p.Namespace.Format)
	}
	out := &Restored{Options: p.Namespace.Options, CreatedAt: p.Namespace.CreatedAt}
	seen := map[ident.TableName]bool{}
	for _, t := range p.Tables {
		versions, err := t.restore()
		if err != nil {
			return nil, err
		}
		name := versions[0].Table.Name
		if seen[name] {
			return nil, fmt.Errorf("table %q is there twice", name)
		}
		seen[name] = true
		out.Tables = append(out.Tables, versions)
	}
	for i := range p.Views {
		r := &p.Views[i]
		if r.Format > format {
			return nil, newer(r.Format)
		}
		if _, err := ident.ParseTable(string(r.Name)); err != nil || seen[r.Name] {
			return nil, fmt.Errorf("view %q cannot be", r.Name)
		}
		seen[r.Name] = true
		out.Views = append(out.Views, r.view())
	}
	return out, nil
}

func newer(f int) error {
	return dberr.Newf(dberr.StorageUnavailable, "The definitions were written by a newer server (format %d, this one knows %d).", f, format).
		WithHint("Use the newer version.")
}

func (t *PortableTable) restore() ([]Version, error) {
	var out []Version
	for i := range t.Versions {
		r := &t.Versions[i]
		if r.Format > format {
			return nil, newer(r.Format)
		}
		v, err := r.decode()
		if err != nil {
			return nil, fmt.Errorf("table %q: %w", r.Name, err)
		}
		if err := sound(v.Table); err != nil {
			return nil, fmt.Errorf("table %q: %w", r.Name, err)
		}
		if i > 0 {
			before := out[i-1].Table
			if v.Table.Name != before.Name || v.Table.Type != before.Type || v.Table.SchemaVersion <= before.SchemaVersion {
				return nil, fmt.Errorf("table %q: version %d does not follow the one before", r.Name, v.Table.SchemaVersion)
			}
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("a table has no definition")
	}
	return out, nil
}

// sound checks what everybody who has a definition relies on.
func sound(t *ddl.Table) error {
	if _, err := ident.ParseTable(string(t.Name)); err != nil {
		return err
	}
	if typ, err := ident.ParseTableType(string(t.Type)); err != nil || typ != t.Type || typ == ident.SystemTable {
		return fmt.Errorf("its type is %q", t.Type)
	}
	ids := map[ddl.ColumnID]bool{}
	for _, c := range t.Columns {
		if err := ident.CheckColumn(c.Name); err != nil {
			return err
		}
		if c.ID == 0 || c.ID >= t.NextColumn || ids[c.ID] {
			return fmt.Errorf("column %q has the id %d", c.Name, c.ID)
		}
		ids[c.ID] = true
	}
	for _, k := range t.PrimaryKey {
		if !ids[k] {
			return fmt.Errorf("its key has the unknown column %d", k)
		}
	}
	if len(ids) == 0 {
		return fmt.Errorf("it has no columns")
	}
	return nil
}

// Reserve gives ids for tables that are still to come, and notes them as ones
// whose rows are to be removed: what a crash leaves of them goes with the next
// start.
func (e *Edit) Reserve(tables [][]Version) ([]ident.TableID, error) {
	ids := make([]ident.TableID, len(tables))
	for i, versions := range tables {
		t := *versions[len(versions)-1].Table
		t.ID = e.next.nextTable
		if err := e.putDropped(&t); err != nil {
			return nil, err
		}
		ids[i] = t.ID
		e.next.nextTable++
	}
	e.putCounter()
	return ids, nil
}

// Restore adds a namespace with all that belongs to it. The tables have ids
// from Reserve, whose notes it takes away.
func (e *Edit) Restore(ns ident.NamespaceID, r *Restored) error {
	if _, err := e.CreateNamespace(ns, r.Options, false); err != nil {
		return err
	}
	n := e.next.namespaces[ns]
	n.CreatedAt = r.CreatedAt
	if err := e.putNamespace(n); err != nil {
		return err
	}
	for _, versions := range r.Tables {
		t := versions[len(versions)-1].Table
		if err := e.stored(t); err != nil {
			return err
		}
		for _, v := range versions {
			if err := e.putTable(v); err != nil {
				return err
			}
		}
		e.batch.Delete(Partition, droppedKey(t.ID))
		n.tables[t.Name] = versions
	}
	for _, v := range r.Views {
		if err := e.putView(v); err != nil {
			return err
		}
		n.views[v.Name] = v
	}
	return nil
}

// HasStorage tells whether a table can lie in a storage.
func (s *Snapshot) HasStorage(id ident.StorageID) bool {
	return id == "" || id == sysname.DefaultStorage || s.storages[id] != nil
}
