// Package oracle compares KalamDB with PostgreSQL, and where their meanings
// agree with DuckDB, over random schemas, data and statements, and KalamDB with
// itself over rewritten statements that must mean the same.
//
// It holds tests only and nothing may import it: its module is apart from the
// workspace because DuckDB needs cgo, which no other module may use.
//
// A statement is generated as a tree of text (see the query package), so that a
// difference can be made smaller by leaving parts of the tree out while it
// stays. What may differ, and why, stands in accepted.txt; every other
// difference fails the test with a script that shows it.
package oracle
