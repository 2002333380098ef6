// Package app puts the server together and runs it: configuration, logger,
// listener, engine, HTTP and WebSocket interfaces, in this order, and back.
//
// Start: the address is taken before the data is opened, so that a second
// server stops without touching anything; from then on health checks are
// answered with 503, and with 200 only when the engine is open. Stop: new work
// is refused, running statements finish within [server] shutdown_timeout and
// are cancelled after it, subscribers are told and disconnected, the engine is
// closed. Tests start the whole of it in their process with New and Start.
package app
