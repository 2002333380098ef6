// Package catalog keeps the definitions: namespaces, tables with every version
// of their schema, views.
//
// A Snapshot is one immutable state of all of them; a statement is planned and
// run against one. Changes are made with an Edit, which checks each of them
// against the state that it changes and gathers what must be written, so that
// whoever applies edits one after the other (the commit loop does) can never
// see a table in a namespace that does not exist.
//
// Definitions are written as JSON, one key each, with a format version; see
// record.go. Rows are not the catalog's business: dropping a table leaves a
// note of the dropped id behind, until its partitions are gone.
package catalog
