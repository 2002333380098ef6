// Package table keeps the rows: it commits changes, and reads USER and SHARED
// tables from the backend and STREAM tables from memory at one state.
//
// Store owns the commit loop, the only writer of rows (its comment has the
// protocol), and hands out a State, which everybody who reads between two
// commits shares. View is a State as one user sees it, in the form that the
// executor reads: it never opens a partition of another user.
//
// The package knows nothing of SQL text, roles or sessions.
package table
