// Package link is the Go client of KalamDB: queries over HTTP and live queries
// over WebSocket.
//
// A Client is made once, used from any number of goroutines and closed at the
// end:
//
//	db, err := link.Connect(ctx, "http://localhost:8080", link.WithUser("ada"))
//	defer db.Close()
//	rows, err := db.Query(ctx, "SELECT id, content FROM chat.messages WHERE room = $1", "go")
//	for m, err := range link.All[Message](rows) { … }
//
// Query streams: a result of a million rows is decoded row by row and never
// held whole. Subscribe gives the changes of a query as they happen, reconnects
// by itself and resumes where it was, so that the program sees each change once:
//
//	sub, err := db.Subscribe(ctx, "SELECT * FROM chat.messages", link.LastRows(50))
//	for ev, err := range sub.Events(ctx) { … }
//
// What the server refuses is an *Error with a code, a SQLSTATE and a place in
// the statement; what never reached the server, or never came back, is a
// *TransportError; an answer that is no KalamDB answer is a *ProtocolError.
//
// A call is repeated only when it surely did not run (the connection could not
// be made) or when it reads only. An INSERT is never sent twice.
//
// The package builds for GOOS=js GOARCH=wasm. It reads no file and no
// environment variable (but for the proxy settings that net/http honours), and
// writes to no terminal.
package link
