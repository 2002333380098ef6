// Package expr is the typed expression: a tree that the binder builds through
// this package's constructors, which choose operators, functions and implicit
// casts by PostgreSQL's rules, and a Program compiled from it, which evaluates
// over a batch of rows or over a single row with the same result.
//
// Trees and Programs are immutable and may be shared. What changes during an
// execution lies in an Eval, which one goroutine uses at a time, and in the
// Context that each call gets.
//
// Errors such as a division by zero are raised only for rows that the batch
// selects and that the expression reaches: CASE, COALESCE, AND and OR evaluate
// their later arguments only for the rows that the earlier ones left open.
package expr
