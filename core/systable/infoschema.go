package systable

import (
	"fmt"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/builtin"
)

// catalogName is the one catalog that the standard's three-part names need.
const catalogName = "kalamdb"

var schemata = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for n := range cat(c).Namespaces() {
		if !yield(text(catalogName), text(n.ID), text("system")) {
			return
		}
	}
})

var infoTables = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for t := range visible(c) {
		kind, writable := "BASE TABLE", true
		if t.Type == ident.SystemTable {
			kind, writable = "SYSTEM VIEW", t.ID == UsersID
		}
		if !yield(text(catalogName), text(t.Namespace), text(t.Name), text(kind), yesNo(writable)) {
			return
		}
	}
	for v := range cat(c).Views("") {
		if !yield(text(catalogName), text(v.Namespace), text(v.Name), text("VIEW"), yesNo(false)) {
			return
		}
	}
})

var infoColumns = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for t := range visible(c) {
		for i, col := range t.Columns {
			length, precision, scale := sqltype.NullOf(sqltype.BigInt), sqltype.NullOf(sqltype.BigInt), sqltype.NullOf(sqltype.BigInt)
			switch col.Type.Kind {
			case sqltype.Text:
				if col.Type.Precision > 0 {
					length = number(col.Type.Precision)
				}
			case sqltype.Decimal:
				if col.Type.Precision > 0 {
					precision, scale = number(col.Type.Precision), number(col.Type.Scale)
				}
			case sqltype.SmallInt:
				precision, scale = number(16), number(0)
			case sqltype.Integer:
				precision, scale = number(32), number(0)
			case sqltype.BigInt:
				precision, scale = number(64), number(0)
			case sqltype.Float:
				precision = number(24)
			case sqltype.Double:
				precision = number(53)
			}
			if !yield(text(catalogName), text(t.Namespace), text(t.Name), text(col.Name), number(i+1), optional(col.Default),
				yesNo(!col.NotNull), text(typeName(col.Type)), length, precision, scale, yesNo(t.Type != ident.SystemTable)) {
				return
			}
		}
	}
})

var infoViews = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for v := range cat(c).Views("") {
		if !yield(text(catalogName), text(v.Namespace), text(v.Name), text(v.Query), text("NONE"), yesNo(false)) {
			return
		}
	}
})

var constraints = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for t := range visible(c) {
		if len(t.PrimaryKey) == 0 {
			continue
		}
		if !yield(text(catalogName), text(t.Namespace), text(t.Name+"_pkey"), text(t.Namespace), text(t.Name), text("PRIMARY KEY")) {
			return
		}
	}
})

var keyColumns = each(func(c *Caller, yield func(...sqltype.Value) bool) {
	for t := range visible(c) {
		for i, o := range t.KeyOrdinals() {
			if !yield(text(catalogName), text(t.Namespace), text(t.Name+"_pkey"), text(t.Namespace), text(t.Name),
				text(t.Columns[o].Name), number(i+1)) {
				return
			}
		}
	}
})

var routines = each(func(_ *Caller, yield func(...sqltype.Value) bool) {
	for i, f := range builtin.Functions() {
		if f.Kind == builtin.Operator {
			continue
		}
		if !yield(text(fmt.Sprintf("%s_%d", f.Name, i+1)), text(f.Name), text("FUNCTION"), text(f.Result.String()), optional(f.Doc),
			yesNo(f.Volatility == builtin.Immutable)) {
			return
		}
	}
})

// IsWritable tells whether a system table takes changes.
func IsWritable(id ident.TableID) bool { return id == UsersID }
