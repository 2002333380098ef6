// Package engine runs the same SQL text on the databases that are compared and
// gives their answers in one form: values as PostgreSQL writes them as text,
// type names in KalamDB's spelling, errors by SQLSTATE.
package engine
