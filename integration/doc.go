// Package integration tests KalamDB from outside: the built server and client
// as processes, through HTTP, WebSocket, the Go SDK and a pseudo-terminal.
package integration
