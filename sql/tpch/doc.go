// Package tpch has the tables of the TPC-H benchmark, a small generator of
// their rows, and its 22 queries with the validation parameters of its
// specification, together with a read-only database that holds the rows as
// columns, so that tests and benchmarks measure the planner and the operators
// and not a storage. No other package of the module imports it but tests.
//
// The rows have the shape, the keys and the value ranges of the specification
// but are not those of its dbgen, so results are comparable between databases
// that were filled by this package, and with nothing else. The expected
// results in testdata were computed by PostgreSQL 15 over the same rows.
package tpch
