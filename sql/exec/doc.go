// Package exec runs plans: pull-based operators over batches, one operator a
// file. It reads through the Snapshot and Table that the storage side
// implements, and turns INSERT, UPDATE and DELETE into a WriteSet that the
// storage side commits. It keeps no state between executions.
package exec
