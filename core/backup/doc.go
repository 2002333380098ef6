// Package backup copies a namespace out of the database, to a folder or a
// storage, and puts such a copy back, under the same or another name.
//
// # What a backup is
//
// A backup is a folder (or the objects of a storage whose names begin alike).
// It has the file backup.json, the manifest, and a folder beside it with the
// files of rows, which are segments as in a table's storage, and lists of them.
// The manifest is written last, so a backup is complete or is none. It names
// the format, the sequence number up to which it has every commit and none
// after, every version of every definition, and each list with its SHA-256; a
// list has the checksum of each of its segments. The bytes are described in
// docs/architecture/formats/backup.md.
//
// # Making one
//
// Service.Backup runs as a job:
//
//  1. Note. The backend notes where files are about to be written.
//  2. Copy. A state of the database is held and read: segments are copied as
//     they are, hot rows are written into segments of the backup. Writers go
//     on; what they write is not in that state.
//  3. Finish. The manifest is written, if there is none.
//  4. Forget. The note of 1 goes.
//
// After a crash, a note without its manifest names files that belong to no
// backup: the next start deletes them. So does a job that fails or is killed.
//
// # Putting one back
//
// Service.Restore runs as a job. table.Restoring has the protocol: until the
// last batch, which makes the namespace exist with all that is in it, nothing
// of it shows, and whatever ends it before leaves nothing behind. Every byte is
// compared with its checksum as it is copied.
package backup
