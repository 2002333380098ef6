// Package harness starts the built server and client as processes for tests
// that look at them from outside, and gives those tests their data.
//
// The binaries are built once for a run of the tests. A Server has its own
// port, data directory and token secret, and goes away with its test. With
// KALAM_URL set, Shared gives the server that is running there instead.
package harness
