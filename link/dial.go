//go:build !js

package link

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// tracesRequests tells that net/http reports when a request is written.
const tracesRequests = true

// headersOnHandshake tells that a WebSocket handshake can carry credentials.
const headersOnHandshake = true

// namesItself tells whether the program may set the User-Agent header.
const namesItself = true

func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

func dialWebSocket(ctx context.Context, url string, hc *http.Client, h http.Header) (*websocket.Conn, *http.Response, error) {
	return websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: hc, HTTPHeader: h})
}
