package harness

import (
	"context"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

// Limit bounds a step of a test that would otherwise hang.
const Limit = 2 * time.Minute

// Context ends with the test, or when a step took longer than Limit.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	t.Cleanup(cancel)
	return ctx
}

// Admin connects to the server as a local client without credentials.
func (s *Server) Admin(t testing.TB, opts ...link.Option) *link.Client {
	t.Helper()
	return connect(t, s.URL, opts...)
}

// As connects to the server with a token of the user, in the role "user".
func (s *Server) As(t testing.TB, user string, opts ...link.Option) *link.Client {
	t.Helper()
	return connect(t, s.URL, append([]link.Option{link.WithUser(user), link.WithToken(Token(t, user, "user"))}, opts...)...)
}

func connect(t testing.TB, url string, opts ...link.Option) *link.Client {
	t.Helper()
	c, err := link.Connect(Context(t), url, opts...)
	if err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Exec runs statements that must succeed.
func Exec(t testing.TB, c *link.Client, sql string, params ...any) link.Summary {
	t.Helper()
	sum, err := c.Exec(Context(t), sql, params...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return sum
}

// Query reads all rows of a query that must succeed.
func Query[T any](t testing.TB, c *link.Client, sql string, params ...any) []T {
	t.Helper()
	rows, err := link.Collect[T](c.Query(Context(t), sql, params...))
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return rows
}
