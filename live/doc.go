// Package live tells subscribers what happens to their rows. It owns the Hub,
// which takes every committed change from the commit loop, finds the
// subscriptions that it concerns and puts it into their queues; and the
// Subscription, which its reader pulls at its own pace.
//
// What it guarantees to a subscription that was started at a sequence number:
// every later change of its result is delivered exactly once and in commit
// order, or the subscription is told otherwise by a resync (the newest state
// of what was missed) or by its end. What it guarantees to the writer: Publish
// never waits, never fails, and costs nothing for subscriptions of other
// tables and users or with another value in an equality of their filter.
//
// The way of a change:
//
//  1. Publish (on the committer's goroutine) looks up the topic of the change,
//     its table and user. Without one the change is forgotten. With one it
//     goes into the queue of the topic's shard.
//  2. The shard's dispatcher evaluates each distinct filter once, projects
//     each distinct projection once into a Batch that all its subscriptions
//     share, and puts that into their queues.
//  3. The reader takes it from there, through Subscription.Next or, when one
//     goroutine reads many subscriptions, Mux.Next.
//
// Both queues are bounded. When the shard's is full the change is dropped and
// its topic notes which sequence numbers it missed; when a subscription's is
// full its queue is dropped. Either way the subscription then resyncs or is
// closed, as its OnSlow says: a reader, and also a dispatcher, that is too slow
// costs memory up to its bound and nobody else anything.
//
// The package refuses to read tables: initial rows, catch-up and resync come
// from sources that the engine implements. It knows no encoding: a Batch only
// keeps the bytes that the server made of it, so that they are made once.
package live
