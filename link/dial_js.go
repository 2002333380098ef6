//go:build js

package link

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

// tracesRequests tells that fetch does not report when a request is written.
const tracesRequests = false

// headersOnHandshake tells that a browser sets no headers on a handshake; the
// token goes into the first message instead.
const headersOnHandshake = false

// namesItself tells whether the program may set the User-Agent header; a
// browser sets its own, and asks the server's leave for another.
const namesItself = false

func newTransport() http.RoundTripper { return http.DefaultTransport }

func dialWebSocket(ctx context.Context, url string, _ *http.Client, _ http.Header) (*websocket.Conn, *http.Response, error) {
	return websocket.Dial(ctx, url, nil)
}
