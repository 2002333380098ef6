// Package builtin is the one registry of everything that can be called in an
// expression: scalar functions, operators, casts, aggregates, window and table
// functions. It owns their signatures, PostgreSQL's rules for choosing one of
// several by argument types, and their implementations; it knows nothing of
// expression trees or plans.
//
// A scalar function has one implementation over single values. Queries, live
// filters, defaults and constant folding all call that one; a function that
// matters for speed has a kernel over vectors besides, and a property test
// holds the two equal.
package builtin
