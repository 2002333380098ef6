// Package binder resolves a statement's names and types against a catalog and
// turns its syntax tree into a logical plan. What it lets through is typed
// throughout: the executor meets no name and no unknown type.
//
// Scoping, name resolution, type inference and the errors are PostgreSQL's.
// Subqueries in expressions become nodes below the one that evaluates the
// expression, which then reads a column; expressions themselves hold none.
package binder
