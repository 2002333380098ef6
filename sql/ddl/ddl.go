// Package ddl holds the definitions of tables and views as the catalog keeps
// them and as the binder sees them: columns with stable ids, keys, schema
// versions, flush policies. Definitions are immutable: an ALTER makes a new
// one with the next schema version.
package ddl

import (
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
)

// ColumnID is a column's number within its table. A dropped column's number
// is never used again, so that a column added under its name later does not
// show the old values.
type ColumnID uint32

// Column is one declared column.
type Column struct {
	ID      ColumnID
	Name    string
	Type    sqltype.Type
	NotNull bool
	// Default is the SQL text of the DEFAULT expression; empty: none.
	Default string
	// Missing is the value of rows that were written before the column was
	// added: its DEFAULT at that time, of the column's own type. The zero
	// Value is NULL.
	Missing sqltype.Value
}

// FlushPolicy says when a table's hot rows move to cold files. Zero fields
// take the server's defaults.
type FlushPolicy struct {
	Interval time.Duration
	Rows     int64
}

// Table is one version of a table's definition.
type Table struct {
	ID        ident.TableID
	Namespace ident.NamespaceID
	Name      ident.TableName
	Type      ident.TableType
	// Columns are the declared columns in declared order.
	Columns []Column
	// PrimaryKey lists the key's columns in key order. A table without one
	// has a hidden row id instead.
	PrimaryKey []ColumnID
	// NextColumn is the id that the next added column gets.
	NextColumn ColumnID
	// SchemaVersion counts the definitions of this table from 1.
	SchemaVersion uint32
	Storage       ident.StorageID
	Flush         FlushPolicy
	// TTL is how long a STREAM table keeps a row.
	TTL time.Duration
	// MaxBuffer is how many rows of a user a STREAM table keeps; 0: the
	// server's default.
	MaxBuffer int
	// Access says what users may do with a SHARED table.
	Access    ident.Access
	CreatedAt time.Time
}

// Ident is the table's full name.
func (t *Table) Ident() ident.Table { return ident.Table{Namespace: t.Namespace, Name: t.Name} }

// A scan ordinal names a column of a scan: the declared columns come first,
// in declared order, then the columns that the server keeps.
const (
	seqOffset = iota
	updatedOffset
	deletedOffset
	rowIDOffset
)

// SeqOrdinal is the scan ordinal of _seq, a BIGINT.
func (t *Table) SeqOrdinal() int { return len(t.Columns) + seqOffset }

// UpdatedOrdinal is the scan ordinal of _updated, a TIMESTAMP.
func (t *Table) UpdatedOrdinal() int { return len(t.Columns) + updatedOffset }

// DeletedOrdinal is the scan ordinal of _deleted, a BOOLEAN.
func (t *Table) DeletedOrdinal() int { return len(t.Columns) + deletedOffset }

// RowIDOrdinal is the scan ordinal of the hidden row id, a BIGINT that no
// query can name. In a table with a primary key it is 0.
func (t *Table) RowIDOrdinal() int { return len(t.Columns) + rowIDOffset }

// HasSystemColumns tells whether queries may name _seq, _updated and
// _deleted.
func (t *Table) HasSystemColumns() bool { return t.Type != ident.SystemTable }

// ScanType is the type of a scan ordinal.
func (t *Table) ScanType(ordinal int) sqltype.Type {
	if ordinal < len(t.Columns) {
		return t.Columns[ordinal].Type
	}
	switch ordinal - len(t.Columns) {
	case updatedOffset:
		return sqltype.TTimestamp
	case deletedOffset:
		return sqltype.TBoolean
	}
	return sqltype.TBigInt
}

// ScanName is the name of a scan ordinal; the hidden row id has none.
func (t *Table) ScanName(ordinal int) string {
	if ordinal < len(t.Columns) {
		return t.Columns[ordinal].Name
	}
	switch ordinal - len(t.Columns) {
	case seqOffset:
		return sysname.Seq
	case updatedOffset:
		return sysname.Updated
	case deletedOffset:
		return sysname.Deleted
	}
	return ""
}

// Ordinal finds a column by name among the declared and, where queries may
// name them, the system columns.
func (t *Table) Ordinal(name string) (int, bool) {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i, true
		}
	}
	if t.HasSystemColumns() {
		for i := range rowIDOffset {
			if t.ScanName(len(t.Columns)+i) == name {
				return len(t.Columns) + i, true
			}
		}
	}
	return 0, false
}

// OrdinalOf finds a declared column by its id.
func (t *Table) OrdinalOf(id ColumnID) (int, bool) {
	for i := range t.Columns {
		if t.Columns[i].ID == id {
			return i, true
		}
	}
	return 0, false
}

// KeyOrdinals are the ordinals of the primary key's columns in key order;
// empty in a table without one.
func (t *Table) KeyOrdinals() []int {
	out := make([]int, 0, len(t.PrimaryKey))
	for _, id := range t.PrimaryKey {
		if i, ok := t.OrdinalOf(id); ok {
			out = append(out, i)
		}
	}
	return out
}

// View is a named query.
type View struct {
	Namespace ident.NamespaceID
	Name      ident.TableName
	// Columns are the names of the view's columns, when it was given any.
	Columns []string
	// Query is the SELECT's text as the printer writes it, with every table
	// name qualified.
	Query     string
	CreatedAt time.Time
}
