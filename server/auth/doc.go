// Package auth decides who a request comes from: a bearer token, or the
// localhost bypass. HTTP requests and WebSocket connections go through the
// same functions.
//
// The order is fixed: credentials that are there must be right, whatever else
// would let the request in; only a request without any may use the bypass.
// The bypass answers to programs on this machine, never to web pages that a
// browser on this machine shows and never to a proxy on this machine that
// speaks for others; see Bypass.
//
// What a caller may do is not decided here but in core.
package auth
