package catalog

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/rowenc"
)

// format is the version of the records below. It grows when a server that does
// not know a change would misread them.
const format = 1

// The keys of the catalog's partition:
//
//	n <namespace>             namespaceRecord
//	t <table id> <version>    tableRecord, one for every schema version
//	v <namespace> 0 <view>    viewRecord
//	s <storage>               storageRecord
//	d <table id>              droppedRecord: rows that are still to be removed
//	c                         counterRecord
const (
	namespaceTag = 'n'
	tableTag     = 't'
	viewTag      = 'v'
	droppedTag   = 'd'
	counterTag   = 'c'
)

func namespaceKey(id ident.NamespaceID) []byte { return append([]byte{namespaceTag}, id...) }

func tableKey(id ident.TableID, version uint32) []byte {
	k := binary.BigEndian.AppendUint32([]byte{tableTag}, uint32(id))
	return binary.BigEndian.AppendUint32(k, version)
}

func viewKey(ns ident.NamespaceID, name ident.TableName) []byte {
	k := append([]byte{viewTag}, ns...)
	return append(append(k, 0), name...)
}

func droppedKey(id ident.TableID) []byte {
	return binary.BigEndian.AppendUint32([]byte{droppedTag}, uint32(id))
}

type namespaceRecord struct {
	Format    int               `json:"format"`
	ID        ident.NamespaceID `json:"id"`
	Options   map[string]string `json:"options,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
}

type typeRecord struct {
	Kind      string `json:"kind"`
	Elem      string `json:"elem,omitempty"`
	Precision int32  `json:"precision,omitempty"`
	Scale     int32  `json:"scale,omitempty"`
}

type columnRecord struct {
	ID      ddl.ColumnID `json:"id"`
	Name    string       `json:"name"`
	Type    typeRecord   `json:"type"`
	NotNull bool         `json:"not_null,omitempty"`
	Default string       `json:"default,omitempty"`
	// Missing is ddl.Column.Missing as a row of one column.
	Missing []byte `json:"missing,omitempty"`
}

type tableRecord struct {
	Format        int               `json:"format"`
	ID            ident.TableID     `json:"id"`
	Namespace     ident.NamespaceID `json:"namespace"`
	Name          ident.TableName   `json:"name"`
	Type          ident.TableType   `json:"type"`
	Columns       []columnRecord    `json:"columns"`
	PrimaryKey    []ddl.ColumnID    `json:"primary_key,omitempty"`
	NextColumn    ddl.ColumnID      `json:"next_column"`
	SchemaVersion uint32            `json:"schema_version"`
	Storage       ident.StorageID   `json:"storage,omitempty"`
	FlushInterval time.Duration     `json:"flush_interval_ns,omitempty"`
	FlushRows     int64             `json:"flush_rows,omitempty"`
	TTL           time.Duration     `json:"ttl_ns,omitempty"`
	MaxBuffer     int               `json:"max_buffer,omitempty"`
	Access        ident.Access      `json:"access,omitempty"`
	CreatedAt     time.Time         `json:"created_at"`
	Changes       string            `json:"changes"`
	ChangedAt     time.Time         `json:"changed_at"`
}

type viewRecord struct {
	Format    int               `json:"format"`
	Namespace ident.NamespaceID `json:"namespace"`
	Name      ident.TableName   `json:"name"`
	Columns   []string          `json:"columns,omitempty"`
	Query     string            `json:"query"`
	CreatedAt time.Time         `json:"created_at"`
}

type droppedRecord struct {
	Format int             `json:"format"`
	ID     ident.TableID   `json:"id"`
	Name   string          `json:"name"`
	Type   ident.TableType `json:"type"`
}

type counterRecord struct {
	Format    int           `json:"format"`
	NextTable ident.TableID `json:"next_table"`
}

func (e *Edit) put(key []byte, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode catalog record: %w", err)
	}
	e.batch.Put(Partition, key, data)
	e.changed = true
	return nil
}

func recordOfNamespace(n *namespace) namespaceRecord {
	return namespaceRecord{Format: format, ID: n.ID, Options: n.Options, CreatedAt: n.CreatedAt}
}

func (e *Edit) putNamespace(n *namespace) error {
	return e.put(namespaceKey(n.ID), recordOfNamespace(n))
}

func (e *Edit) putTable(v Version) error {
	r, err := recordOfTable(v)
	if err != nil {
		return err
	}
	return e.put(tableKey(r.ID, r.SchemaVersion), r)
}

func recordOfTable(v Version) (tableRecord, error) {
	t := v.Table
	r := tableRecord{
		Format: format, ID: t.ID, Namespace: t.Namespace, Name: t.Name, Type: t.Type,
		PrimaryKey: t.PrimaryKey, NextColumn: t.NextColumn, SchemaVersion: t.SchemaVersion,
		Storage: t.Storage, FlushInterval: t.Flush.Interval, FlushRows: t.Flush.Rows,
		TTL: t.TTL, MaxBuffer: t.MaxBuffer, Access: t.Access, CreatedAt: t.CreatedAt,
		Changes: v.Changes, ChangedAt: v.CreatedAt,
	}
	for _, c := range t.Columns {
		missing, err := encodeMissing(c)
		if err != nil {
			return r, err
		}
		r.Columns = append(r.Columns, columnRecord{
			ID: c.ID, Name: c.Name, Type: encodeType(c.Type), NotNull: c.NotNull, Default: c.Default, Missing: missing,
		})
	}
	return r, nil
}

func (e *Edit) putView(v *ddl.View) error {
	return e.put(viewKey(v.Namespace, v.Name), recordOfView(v))
}

func recordOfView(v *ddl.View) viewRecord {
	return viewRecord{Format: format, Namespace: v.Namespace, Name: v.Name, Columns: v.Columns, Query: v.Query, CreatedAt: v.CreatedAt}
}

func (r *viewRecord) view() *ddl.View {
	return &ddl.View{Namespace: r.Namespace, Name: r.Name, Columns: r.Columns, Query: r.Query, CreatedAt: r.CreatedAt}
}

func (e *Edit) putDropped(t *ddl.Table) error {
	return e.put(droppedKey(t.ID), droppedRecord{Format: format, ID: t.ID, Name: t.Ident().String(), Type: t.Type})
}

func (e *Edit) putCounter() {
	// A record of two numbers always encodes.
	_ = e.put([]byte{counterTag}, counterRecord{Format: format, NextTable: e.next.nextTable})
}

// Forget adds to a batch that the rows of a dropped table are gone.
func Forget(b *kv.Batch, id ident.TableID) { b.Delete(Partition, droppedKey(id)) }

func encodeType(t sqltype.Type) typeRecord {
	r := typeRecord{Kind: t.Kind.String(), Precision: t.Precision, Scale: t.Scale}
	if t.Kind == sqltype.Array {
		r.Elem = t.Elem.String()
	}
	return r
}

// missingLayout is the row of one column that keeps a column's Missing.
func missingLayout(c ddl.Column) (*rowenc.Layout, error) {
	return rowenc.NewLayout(1, []rowenc.Column{{ID: uint32(c.ID), Type: c.Type}})
}

func encodeMissing(c ddl.Column) ([]byte, error) {
	if c.Missing.IsNull() {
		return nil, nil
	}
	l, err := missingLayout(c)
	if err != nil {
		return nil, err
	}
	return l.Append(nil, rowenc.Header{}, sqltype.Row{c.Missing})
}

func decodeMissing(c ddl.Column, data []byte) (sqltype.Value, error) {
	if len(data) == 0 {
		return sqltype.Value{}, nil
	}
	l, err := missingLayout(c)
	if err != nil {
		return sqltype.Value{}, err
	}
	d := rowenc.NewDecoder(rowenc.OneLayout(l), []rowenc.Want{{Column: l.Columns()[0]}})
	row, err := d.Values(nil, data)
	if err != nil {
		return sqltype.Value{}, err
	}
	return row[0], nil
}

func decodeType(r typeRecord) (sqltype.Type, error) {
	t := sqltype.Type{Precision: r.Precision, Scale: r.Scale}
	var ok bool
	if t.Kind, ok = kinds[r.Kind]; !ok {
		return t, fmt.Errorf("unknown type %q", r.Kind)
	}
	if r.Elem != "" {
		if t.Elem, ok = kinds[r.Elem]; !ok {
			return t, fmt.Errorf("unknown element type %q", r.Elem)
		}
	}
	return t, nil
}

// kinds finds a kind by the name that its String gives.
var kinds = func() map[string]sqltype.Kind {
	m := map[string]sqltype.Kind{}
	for k := sqltype.Unknown; k <= sqltype.Record; k++ {
		m[k.String()] = k
	}
	return m
}()

func (r *tableRecord) decode() (Version, error) {
	t := &ddl.Table{
		ID: r.ID, Namespace: r.Namespace, Name: r.Name, Type: r.Type, PrimaryKey: r.PrimaryKey,
		NextColumn: r.NextColumn, SchemaVersion: r.SchemaVersion, Storage: r.Storage,
		Flush: ddl.FlushPolicy{Interval: r.FlushInterval, Rows: r.FlushRows},
		TTL:   r.TTL, MaxBuffer: r.MaxBuffer, Access: r.Access, CreatedAt: r.CreatedAt,
	}
	for _, c := range r.Columns {
		typ, err := decodeType(c.Type)
		if err != nil {
			return Version{}, fmt.Errorf("column %q: %w", c.Name, err)
		}
		col := ddl.Column{ID: c.ID, Name: c.Name, Type: typ, NotNull: c.NotNull, Default: c.Default}
		if col.Missing, err = decodeMissing(col, c.Missing); err != nil {
			return Version{}, fmt.Errorf("column %q: %w", c.Name, err)
		}
		t.Columns = append(t.Columns, col)
	}
	return Version{Table: t, Changes: r.Changes, CreatedAt: r.ChangedAt}, nil
}

// Dropped is a table that is gone but for its rows.
type Dropped struct {
	ID   ident.TableID
	Type ident.TableType
}

// Load reads the catalog of a database, and the tables whose rows are still to
// be removed.
func Load(src kv.Snapshot, system []*ddl.Table) (*Snapshot, []Dropped, error) {
	s := New(system)
	var dropped []Dropped
	// Namespaces come after the tables in no order that helps, so they are
	// read first.
	err := each(src, namespaceTag, func(_ []byte, r *namespaceRecord) (int, error) {
		if n, ok := s.namespaces[r.ID]; ok && n.system {
			return r.Format, fmt.Errorf("namespace %q is reserved", r.ID)
		}
		s.namespaces[r.ID] = &namespace{
			Namespace: Namespace{ID: r.ID, Options: r.Options, CreatedAt: r.CreatedAt},
			tables:    map[ident.TableName][]Version{},
			views:     map[ident.TableName]*ddl.View{},
		}
		return r.Format, nil
	})
	if err != nil {
		return nil, nil, err
	}
	if err := each(src, storageTag, s.loadStorage); err != nil {
		return nil, nil, err
	}
	err = each(src, tableTag, func(_ []byte, r *tableRecord) (int, error) {
		n, ok := s.namespaces[r.Namespace]
		if !ok {
			return r.Format, fmt.Errorf("table %s.%s has no namespace", r.Namespace, r.Name)
		}
		v, err := r.decode()
		if err != nil {
			return r.Format, fmt.Errorf("table %s.%s: %w", r.Namespace, r.Name, err)
		}
		n.tables[r.Name] = append(n.tables[r.Name], v)
		s.nextTable = max(s.nextTable, r.ID+1)
		return r.Format, nil
	})
	if err != nil {
		return nil, nil, err
	}
	err = each(src, viewTag, func(_ []byte, r *viewRecord) (int, error) {
		n, ok := s.namespaces[r.Namespace]
		if !ok {
			return r.Format, fmt.Errorf("view %s.%s has no namespace", r.Namespace, r.Name)
		}
		n.views[r.Name] = r.view()
		return r.Format, nil
	})
	if err != nil {
		return nil, nil, err
	}
	err = each(src, droppedTag, func(_ []byte, r *droppedRecord) (int, error) {
		dropped = append(dropped, Dropped{ID: r.ID, Type: r.Type})
		s.nextTable = max(s.nextTable, r.ID+1)
		return r.Format, nil
	})
	if err != nil {
		return nil, nil, err
	}
	err = each(src, counterTag, func(_ []byte, r *counterRecord) (int, error) {
		s.nextTable = max(s.nextTable, r.NextTable)
		return r.Format, nil
	})
	if err != nil {
		return nil, nil, err
	}
	for _, n := range s.namespaces {
		for _, v := range n.tables {
			slices.SortFunc(v, func(a, b Version) int { return int(a.Table.SchemaVersion) - int(b.Table.SchemaVersion) })
		}
	}
	return s, dropped, nil
}

// each decodes every record of a tag; add returns the record's format.
func each[T any](src kv.Snapshot, tag byte, add func(key []byte, r *T) (int, error)) error {
	it := src.Scan(Partition, kv.PrefixRange([]byte{tag}))
	defer it.Close()
	for it.Next() {
		data, err := it.Value()
		if err != nil {
			return fmt.Errorf("read catalog: %w", err)
		}
		r := new(T)
		if err := json.Unmarshal(data, r); err != nil {
			return fmt.Errorf("read catalog record %q: %w", it.Key(), err)
		}
		f, err := add(it.Key(), r)
		if f > format {
			return dberr.Newf(dberr.StorageUnavailable, "The catalog was written by a newer server (format %d, this one knows %d).", f, format).
				WithHint("Start the newer version.")
		}
		if err != nil {
			return fmt.Errorf("read catalog record %q: %w", it.Key(), err)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	return nil
}
