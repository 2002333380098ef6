// Package layout decides in which folder of a storage a table's cold files
// lie: path templates, the escaping of the values that fill them, and shards.
//
// A filled template is a path below the storage's own location, and whatever
// the values are, it stays there: a value becomes a part of exactly one path
// component, which is never empty, never ".", "..", hidden or a device name of
// Windows, and which holds no character that any file system or object store
// treats specially.
//
// Different values give different components, also on file systems that
// ignore case or that fold Unicode normal forms: a component consists of
// lower-case ASCII letters, digits and a few marks, everything else is written
// as bytes. What would be longer than MaxComponent is cut and ends in a hash.
package layout
