// Package tpch has the tables of the TPC-H benchmark, a small generator of
// their rows, and its 22 queries with the validation parameters of its
// specification. The rows have the shape, the keys and the value ranges of the
// specification but are not those of its dbgen, so results are comparable
// between databases that were filled by this package, and with nothing else.
package tpch
