// Package query makes random schemas, data and statements that KalamDB and
// PostgreSQL both understand. A seed gives the same statements always.
//
// Expressions come from a grammar of templates (grammar.go), one for each
// operator and function by the type that it gives; queries and changes of data
// are put together by code (select.go, dml.go). Both make trees of text whose
// nodes know what may be left out or put in their place, which is all that the
// shrinker needs.
package query
