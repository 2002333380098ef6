// Package limit bounds how often somebody may do something, and how much is
// done at a time.
//
// Rates keeps a rate for each of many keys (users, addresses) in bounded
// memory; Rate is one of them for a single owner; Gate bounds what runs at the
// same time. Nothing here waits: what is over the limit is refused at once, so
// that an overloaded server stays fast for what it takes.
package limit
