// Package sql turns statements into results: Prepare parses, binds and
// optimizes a statement, or finds its plan in the cache; Prepared.Query and
// Prepared.Modify run it against a snapshot of the storage.
//
// The package is stateless but for the bounded plan cache: the same statement
// with the same parameters on the same snapshot gives the same result. It
// changes nothing itself. A statement that writes gives a WriteSet of finished
// rows; committing that is the caller's work, as is running the statements
// that are neither query nor change of rows (DDL, SHOW, FLUSH …), which come
// back as Utility.
package sql
