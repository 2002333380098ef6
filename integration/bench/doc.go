// Package bench measures the built server from outside, over HTTP and WebSocket, against
// what the machine can do at best. Both sides of a comparison take turns in
// one run, so that their ratio holds on a machine whose speed varies.
package bench
