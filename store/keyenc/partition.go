package keyenc

import (
	"strconv"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/kv"
)

// Names of partitions:
//
//	m                      the database's own settings and counters
//	c KIND end             a part of the catalog
//	t TABLE s              the rows of a SHARED table
//	t TABLE u USER end     the rows of one user of a USER table
//
// TABLE is eight hexadecimal digits. KIND and USER are escaped so that they
// hold neither the end nor a zero byte; so no name starts with another one,
// and those of one table sort by user.
const (
	tagMeta    = 'm'
	tagCatalog = 'c'
	tagTable   = 't'
	tagShared  = 's'
	tagUser    = 'u'

	nameEnd    = 0x01
	nameEscape = 0x02

	tableDigits = 8
)

// PartitionKind says what a partition is for.
type PartitionKind uint8

// The kinds of partitions.
const (
	// Meta is the database's own.
	Meta PartitionKind = iota + 1
	// Catalog is a part of the catalog.
	Catalog
	// Shared is the rows of a SHARED table.
	Shared
	// User is the rows of one user of a USER table.
	User
)

// PartitionName is what the name of a partition says.
type PartitionName struct {
	Kind PartitionKind
	// Table is set for Shared and User.
	Table ident.TableID
	// User is set for User.
	User ident.UserID
	// Catalog is set for Catalog.
	Catalog string
}

// MetaPartition keeps the database's own settings and counters.
func MetaPartition() kv.Partition { return kv.Partition([]byte{tagMeta, nameEnd}) }

// CatalogPartition keeps one kind of catalog entries, "tables" for instance.
func CatalogPartition(kind string) kv.Partition {
	return kv.Partition(appendName([]byte{tagCatalog}, kind))
}

// CatalogPrefix starts the names of all partitions of the catalog.
func CatalogPrefix() kv.Partition { return kv.Partition([]byte{tagCatalog}) }

// SharedPartition keeps the rows of a SHARED table.
func SharedPartition(table ident.TableID) kv.Partition {
	return kv.Partition(append(appendTable(make([]byte, 0, 2+tableDigits), table), tagShared))
}

// UserPartition keeps the rows of one user of a USER table.
func UserPartition(table ident.TableID, user ident.UserID) kv.Partition {
	b := appendTable(make([]byte, 0, 3+tableDigits+len(user)), table)
	return kv.Partition(appendName(append(b, tagUser), string(user)))
}

// TablePrefix starts the names of all partitions of a table, and of no other
// table.
func TablePrefix(table ident.TableID) kv.Partition {
	return kv.Partition(appendTable(nil, table))
}

// TablesPrefix starts the names of all partitions of all tables.
func TablesPrefix() kv.Partition { return kv.Partition([]byte{tagTable}) }

func appendTable(dst []byte, table ident.TableID) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, tagTable)
	for shift := 4 * (tableDigits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, hex[table>>shift&15])
	}
	return dst
}

// appendName appends an escaped name and the end. The three bytes that have a
// meaning keep their places below all others.
func appendName(dst []byte, name string) []byte {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c <= nameEscape {
			dst = append(dst, nameEscape, c+1)
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, nameEnd)
}

// ParsePartition reads the name of a partition.
func ParsePartition(p kv.Partition) (PartitionName, error) {
	bad := func() (PartitionName, error) {
		return PartitionName{}, dberr.Newf(dberr.Internal, "unknown partition name %q", string(p))
	}
	if len(p) == 0 {
		return bad()
	}
	switch rest := string(p[1:]); p[0] {
	case tagMeta:
		if p == MetaPartition() {
			return PartitionName{Kind: Meta}, nil
		}
	case tagCatalog:
		if kind, ok := parseName(rest); ok {
			return PartitionName{Kind: Catalog, Catalog: kind}, nil
		}
	case tagTable:
		if len(rest) <= tableDigits {
			return bad()
		}
		n, err := strconv.ParseUint(rest[:tableDigits], 16, 32)
		if err != nil {
			return bad()
		}
		name := PartitionName{Kind: Shared, Table: ident.TableID(n)}
		if p == SharedPartition(name.Table) {
			return name, nil
		}
		user, ok := parseName(rest[tableDigits+1:])
		name.Kind, name.User = User, ident.UserID(user)
		if ok && p == UserPartition(name.Table, name.User) {
			return name, nil
		}
	}
	return bad()
}

func parseName(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == nameEnd:
			return string(out), i == len(s)-1
		case c == 0:
			return "", false
		case c == nameEscape:
			if i++; i == len(s) || s[i] < 1 || s[i] > nameEscape+1 {
				return "", false
			}
			out = append(out, s[i]-1)
		default:
			out = append(out, c)
		}
	}
	return "", false
}
