// Package limit bounds how often somebody may do something.
//
// Rates keeps a rate for each of many keys (users, addresses) in bounded
// memory; Rate is one of them for a single owner. Nothing here waits: what is over the limit is refused at once, so
// that an overloaded server stays fast for what it takes.
package limit
