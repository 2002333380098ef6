// Package rowenc turns rows into flat bytes and back: the form in which hot
// rows stand in the backend.
//
// A Layout is prepared once for a version of a table's schema and encodes its
// rows. A Decoder is prepared once for the columns that a scan wants; it reads
// them, and nothing else, straight into column builders. Rows of older schema
// versions decode under a newer one: columns are found by their ids, and one
// that a row does not have gets the default that the scan names for it.
//
// Every row starts with a header of fixed places (Row), so that visibility is
// decided without decoding anything.
//
// Decoding is safe on any bytes: what is not a row gives an error with the
// code INTERNAL, never a panic and never an allocation out of proportion to it.
//
// The bytes are described in docs/architecture/formats/rows-and-keys.md.
package rowenc
