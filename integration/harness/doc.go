// Package harness starts the built server and client as processes for tests
// that look at them from outside, and gives those tests their data.
//
// The binaries are built once for a run of the tests. A Server has its own
// port and data directory and goes away with its test; Shared is one that the
// tests of a package have in common. With KALAM_URL set, Shared gives the
// server that is running there instead, whose token secret is KALAM_SECRET.
//
// KALAM_BACKEND names the backend of the servers that are started: badger (the
// default), memory or redis. With redis the harness runs one Redis server, in
// which each server has its own prefix. With memory, tests about what outlives
// a server are skipped.
//
// A Proxy stands between clients and a server and cuts their connections, a
// Socket is a WebSocket without a library, which shows every message as it is.
package harness
