// Package core is the engine: it owns the data directory, the catalog, the
// commit loop and the sessions, and joins storage, SQL and live queries.
//
// Open gives an Engine, Engine.Session a caller's Session, and Session.Execute
// runs a text of one or more statements, streaming each one's rows to a Sink.
// Session.Subscribe starts a live query. The engine knows callers only as a
// Principal: who that is was decided before; what it may do is decided here,
// by one function that every statement passes (authorize).
//
// Guarantees: a statement commits wholly or not at all; what Execute has
// acknowledged survives the end of the process and, unless [store] sync is
// off, a power loss; a statement reads one snapshot; nobody sees another
// user's rows. Package table says how a commit goes and what is true after a
// crash at each step.
package core
