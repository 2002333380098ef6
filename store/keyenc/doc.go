// Package keyenc is the one place where keys and the names of partitions are
// made.
//
// A key is the encodings of its values one after the other. Compared as bytes,
// keys order as their values do under sqltype.Compare, column by column, each
// ascending or descending, with NULLs first or last. They serve as the primary
// keys of stored rows and as the sort keys of queries. Appending allocates
// nothing when dst has room.
//
// All keys that are compared with each other are made with the same types and
// orders: a BIGINT and a DOUBLE of equal value have different encodings. The
// integers of all widths have the same.
//
// The bytes are described in docs/architecture/formats/rows-and-keys.md.
package keyenc
