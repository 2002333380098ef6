// Package logictest runs SQL scripts in the format of SQLite's sqllogictest,
// in the dialects of sqllogictest-rs and DuckDB too, against the SQL layer
// over tables in memory.
//
// DB is the smallest engine that the SQL layer can run on: a catalog, tables
// in memory, and a commit that checks unique keys. It is for tests and never
// part of the server.
package logictest
