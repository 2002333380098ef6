// Package segment writes and reads the cold files of a partition: Parquet
// files whose rows are sorted by key.
//
// A segment is an ordinary Parquet file, which other programs read like any
// other. Beside what Parquet prescribes it has an annex in front of the footer:
// an index of keys, minima and maxima of every column, bloom filters on the
// key, the places of all pages, and checksums of everything. Readers here use
// the annex alone. Every byte that they look at has been compared with its
// checksum before, so a file that is torn, truncated, swapped or changed gives
// an error that names it (ErrDamaged, with the code STORAGE_UNAVAILABLE), never
// wrong rows and never a panic.
//
// Rows are cut into blocks, and each block is one page of every column. A
// block is the unit of everything: a scan skips whole blocks by key and by
// statistics, decodes of the others the wanted columns, and gives a batch for
// each.
//
// Columns are found by their ids, as in package rowenc: one that was added
// later gives the default that the reader names, one that was dropped is not
// read, and a renamed one is the same.
//
// The bytes are described in
// docs/architecture/formats/segments-and-manifest.md.
package segment
