// Package rediskv keeps the database's bytes in a Redis server. It owns
// everything about Redis: the layout of its keys, the scripts that change
// them, who may write, and how a lost connection looks to the rest.
//
// # Layout
//
// With the prefix "kalamdb":
//
//	kalamdb:meta         hash: format, seq (the last batch), epoch, by (who may write)
//	kalamdb:owner        string with a time to live: who has the database open
//	kalamdb:r            sorted set, the registry: partition 0x00 version
//	kalamdb:d:PARTITION  sorted set, the data: key version kind value
//	kalamdb:v:PARTITION  hash, values above 4 KiB: key version → value
//	kalamdb:gc           sorted set of versions to remove, by the batch since
//	                     which nobody new sees them
//
// All scores of r and d are zero, so Redis orders the members by their bytes.
// A key stands there with 0x00 as 0x00 0xFF and 0x00 0x01 at its end, which
// keeps the order; a version is the batch's number with its bits inverted, 8
// bytes, so that a key's newest version comes first. Kinds are 'p' for a value
// that follows, 'x' for one in v, 'd' for a key that was deleted.
//
// # Snapshots
//
// A batch never overwrites: it adds versions, and notes the ones that it
// replaces in gc. A snapshot is the number of the last acknowledged batch,
// kept by this process alone; it reads the newest version up to its number
// and costs Redis nothing. A noted version is removed, with later writes and
// when there is nothing to do, once no snapshot and no unacknowledged batch
// needs it. So memory grows by what is written while a snapshot is open, and
// shrinks again afterwards. After a crash there are no snapshots, and gc says
// what is left to remove.
//
// # Batches
//
// A batch is one Lua script, or several in one MULTI when it is large: Redis
// runs it and logs it wholly or not at all. The script checks the epoch, which
// changes with every owner, and the number of the batch. So a batch can be
// sent again when its answer was lost, and one that lingers in a dead
// connection changes nothing. When it stays unknown whether a batch was
// written, the caller gets an error, snapshots stay before it, and the next
// write first takes a new epoch and removes the batch's versions, whether they
// are there or not.
//
// # Ownership
//
// One process has a database open. The owner key lives for Options.Lease and
// is renewed all the time; whoever cannot renew it stops reading before it
// ends, and the epoch stops its writes. A server that ends in order removes
// the key; after a crash the next one waits for the lease, unless it is the
// same one by Options.Owner.
//
// # Durability
//
// Redis answers a write before it is on its disk, unless it runs with
// appendonly yes and appendfsync always. Open refuses a server that does not,
// unless NoSync is set. With appendfsync everysec an acknowledged write
// survives the end of both processes and is lost by a power loss within its
// second; without an append-only file, everything since the last dump is lost
// when Redis ends. Loss is noticed: a Redis that knows less than it
// acknowledged is neither read nor written until the backend is opened again.
// Replication to other servers is Redis's own and asynchronous: a failover may
// lose acknowledged writes, and is then such a loss. Keys must not be evicted,
// so a memory limit needs the policy noeviction. Redis Cluster is refused: a
// batch would span its nodes.
//
// # Cost
//
// All data is in Redis's memory: about 100 bytes a key beside key and value.
// A Get, and every 256 keys of a scan, is one round trip.
package rediskv
