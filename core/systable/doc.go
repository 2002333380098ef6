// Package systable has the server's own tables: those of the namespaces system
// and information_schema.
//
// Each is a Def: a definition and a function that gives its rows, computed when
// they are read from the state of the statement and from a Host. What reading,
// scanning and batching need is written once, for all of them. system.users is
// the exception: its rows are stored, so it has a definition only.
//
// A Def's function shows a caller what the caller may see and nothing else.
package systable
