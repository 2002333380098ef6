// Package object keeps cold files: write once, read by ranges, list, delete.
//
// A Bucket is a place for objects, such as a folder or an S3 bucket. An object
// becomes visible whole and durable with Writer.Commit, or not at all. Objects
// are never changed, only replaced or deleted.
//
// OpenLocal keeps objects in a folder, NewMem in memory, package s3 in an
// object store. Faulty wraps any of them to inject errors. Package objecttest
// is the suite that all of them pass.
package object
