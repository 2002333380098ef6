// Package wstest is a WebSocket client for tests of a whole server: it speaks
// the protocol's messages and fails its test when something goes wrong.
package wstest

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// patience is how long a message may take before the test fails.
const patience = 20 * time.Second

// Client is one connection. One goroutine uses it.
type Client struct {
	t    testing.TB
	conn *websocket.Conn
}

// Dial connects to the server at url (http://host:port) as a user, by the
// localhost bypass. The end of the test closes the connection.
func Dial(t testing.TB, url, user string) *Client {
	t.Helper()
	return DialWith(t, url, http.Header{wire.HeaderUserID: {user}})
}

// DialWith is Dial with headers of one's own.
func DialWith(t testing.TB, url string, header http.Header) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+wire.PathWS, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &Client{t: t, conn: conn}
}

// Send sends a message.
func (c *Client) Send(m wire.ClientMessage) {
	c.t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, b); err != nil {
		c.t.Fatal(err)
	}
}

// Subscribe sends a subscription and gives the answer to it.
func (c *Client) Subscribe(sub wire.Subscription) wire.ServerMessage {
	c.t.Helper()
	c.Send(wire.ClientMessage{Type: wire.TypeSubscribe, Subscriptions: []wire.Subscription{sub}})
	return c.Read()
}

// Read waits for the next message.
func (c *Client) Read() wire.ServerMessage {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, b, err := c.conn.Read(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	var m wire.ServerMessage
	if err := json.Unmarshal(b, &m); err != nil {
		c.t.Fatalf("%v: %s", err, b)
	}
	return m
}
