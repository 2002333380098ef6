// Package kv is the contract between the database and what keeps its bytes:
// ordered keys in named partitions, atomic batches, cheap snapshots.
//
// It owns the Backend, Snapshot and Iterator interfaces, the Batch, and the
// rules that every backend keeps. It knows nothing of tables, rows or users:
// keys, values and partition names are bytes, compared as bytes.
//
// The guarantees, which package kvtest checks for every backend:
//
//   - A batch is applied wholly or not at all, also across a crash. With a
//     synchronous backend it is durable when Write returns.
//   - A snapshot sees exactly the batches whose Write had returned when it was
//     taken, perhaps some that were under way, and never a part of one.
//   - A partition costs one small registry entry. Reading or writing one never
//     touches another, whatever their names: "a" and "ab" have nothing in
//     common.
//   - No call panics on any input, also not after Close.
package kv
