// Package manifest keeps the list of a partition's live segments in the
// key-value backend.
//
// The list is the truth: a file that it does not name is nothing, and a file
// that it names must be there. It changes with a batch of the backend, so it
// changes atomically, and together with whatever else is in that batch. A
// snapshot of the backend holds the list as it was.
//
// The bytes are described in
// docs/architecture/formats/segments-and-manifest.md.
package manifest
