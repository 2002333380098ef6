// Package badgerkv keeps the database's bytes on a local disk with Badger v4.
// It owns everything about Badger: its settings, its files, how its errors
// look to the rest, and the layout of partitions in its one key space.
//
// Key space. A physical key starts with one letter: 'd' for data, 'r' for the
// registry of partitions, 'j' for the journal of large batches.
//
//	'd' partition 0x00 key      → value
//	'r' partition               → empty
//	'j' batch(8) 0x00 chunk(4)  → steps of a large batch
//	'j' batch(8) 0x01           → the large batch is committed
//
// A partition's name holds no zero byte, so no name is a prefix of another
// one together with its terminator, and partitions sort by name.
//
// Versions. Badger runs with timestamps of ours: a batch is written at the
// next timestamp, and becomes visible when that timestamp is published after
// its commit. So a snapshot never waits for a commit under way.
//
// Durability. With Sync each commit is synced before Write returns. On Linux
// this package does it: it syncs the memtable's log, and the file of large
// values only for batches that have some; see folder. Elsewhere Badger does it.
// Badger does not sync the folder when it makes a new log file; this package
// does, before it acknowledges a write that may stand in one. On Windows
// Badger's sync of a memory-mapped log does not reach the disk: there, an
// acknowledged write survives the end of the process, but not a power loss.
package badgerkv
