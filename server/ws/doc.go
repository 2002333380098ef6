// Package ws is the WebSocket interface: live queries over connections.
//
// A connection has one goroutine that reads what the client sends, and from
// its first subscription on one that writes what its live queries bring: it
// reads all of them through one live.Mux and puts frames that are ready at the
// same time into one write. Nothing of a connection grows with what its client
// does not take: changes wait in the bounded queues of package live.
//
// A client authenticates by the headers of the handshake or, as browsers must,
// by its first message, within AuthTimeout and before anything else of it is
// read. Afterwards every mistake of a client is answered by a message of type
// error, and the connection goes on; only what breaks the WebSocket protocol
// itself ends it.
//
// Frames of a subscription stand between its subscription_ack and its end (an
// unsubscribe by the client, or a message closed or error by the server) and
// nowhere else, so that a client may use an id again right away.
package ws
