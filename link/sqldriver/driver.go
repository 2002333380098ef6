// Package sqldriver makes KalamDB a database/sql driver named "kalamdb":
//
//	import _ "github.com/kalamdb/kalamdb/link/sqldriver"
//	db, err := sql.Open("kalamdb", "kalamdb://ada@localhost:8080/chat?token=…")
//
// The address names the user, the host and the namespace. Its parameters are
// token, apikey, session, timeout (as in 30s) and tls (true for https).
// Placeholders are $1, $2, … KalamDB has no transactions across statements:
// Begin fails and says so.
package sqldriver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/kalamdb/kalamdb/link"
)

func init() { sql.Register("kalamdb", Driver{}) }

// errTransactions is what Begin gives.
var errTransactions = errors.New("kalamdb: there are no transactions across statements; each statement is atomic by itself")

// Driver opens connections by an address.
type Driver struct{}

var (
	_ driver.DriverContext      = Driver{}
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
	_ driver.NamedValueChecker  = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.StmtQueryContext   = (*stmt)(nil)
	_ driver.StmtExecContext    = (*stmt)(nil)
	_ driver.RowsNextResultSet  = (*rows)(nil)

	_ driver.RowsColumnTypeDatabaseTypeName = (*rows)(nil)
)

// Open makes a connection.
func (d Driver) Open(dsn string) (driver.Conn, error) {
	c, err := d.OpenConnector(dsn)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

// OpenConnector reads the address once for all connections.
func (d Driver) OpenConnector(dsn string) (driver.Connector, error) {
	base, opts, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	return NewConnector(base, opts...)
}

// NewConnector makes connections from link's own options, for sql.OpenDB.
func NewConnector(serverURL string, opts ...link.Option) (*Connector, error) {
	c, err := link.New(serverURL, opts...)
	if err != nil {
		return nil, err
	}
	return &Connector{client: c}, nil
}

// Connector makes connections that share one link.Client's HTTP connections.
// Each has a session of its own on the server.
type Connector struct{ client *link.Client }

// Connect makes a connection. It does not talk to the server.
func (c *Connector) Connect(context.Context) (driver.Conn, error) {
	return &conn{c.client.With()}, nil
}

// Driver is the driver.
func (c *Connector) Driver() driver.Driver { return Driver{} }

// Close drops the idle HTTP connections; sql.DB calls it.
func (c *Connector) Close() error { return c.client.Close() }

func parse(dsn string) (string, []link.Option, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", nil, errors.New("kalamdb: the address cannot be read; it looks like kalamdb://user@host:8080/namespace")
	}
	if u.Scheme != "kalamdb" {
		return "", nil, fmt.Errorf("kalamdb: the address has the scheme %q; it looks like kalamdb://user@host:8080/namespace", u.Scheme)
	}
	scheme := "http"
	var opts []link.Option
	if u.User != nil {
		if _, has := u.User.Password(); has {
			return "", nil, errors.New("kalamdb: the address has a password; credentials are the parameters token and apikey")
		}
		opts = append(opts, link.WithUser(u.User.Username()))
	}
	if ns := strings.Trim(u.Path, "/"); ns != "" {
		opts = append(opts, link.WithNamespace(ns))
	}
	for name, values := range u.Query() {
		v := values[len(values)-1]
		switch name {
		case "token":
			opts = append(opts, link.WithToken(v))
		case "apikey":
			opts = append(opts, link.WithAPIKey(v))
		case "session":
			opts = append(opts, link.WithSession(v))
		case "timeout":
			d, err := time.ParseDuration(v)
			if err != nil || d < 0 {
				return "", nil, fmt.Errorf("kalamdb: the timeout %q must look like 30s", v)
			}
			opts = append(opts, link.WithTimeout(d))
		case "tls":
			switch v {
			case "true", "1":
				scheme = "https"
			case "false", "0":
			default:
				return "", nil, fmt.Errorf("kalamdb: tls is %q; it must be true or false", v)
			}
		default:
			return "", nil, fmt.Errorf("kalamdb: the address has the unknown parameter %q", name)
		}
	}
	return scheme + "://" + u.Host, opts, nil
}

type conn struct{ client *link.Client }

func (c *conn) Prepare(query string) (driver.Stmt, error) { return &stmt{c, query}, nil }

func (c *conn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return c.Prepare(query)
}

func (c *conn) Close() error              { return c.client.Close() }
func (c *conn) Begin() (driver.Tx, error) { return nil, errTransactions }

func (c *conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	return nil, errTransactions
}

func (c *conn) Ping(ctx context.Context) error { return c.client.Ping(ctx) }

// CheckNamedValue lets every value through: link encodes them.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if v.Name != "" {
		return fmt.Errorf("kalamdb: the parameter :%s has a name; placeholders are $1, $2, …", v.Name)
	}
	return nil
}

func params(args []driver.NamedValue) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a.Value
	}
	return out
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := c.client.Query(ctx, query, params(args)...)
	if err != nil {
		return nil, err
	}
	return &rows{r: r}, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.client.Exec(ctx, query, params(args)...)
	if err != nil {
		return nil, err
	}
	return result(s.RowCount), nil
}

// result is the number of rows changed.
type result int64

func (r result) LastInsertId() (int64, error) {
	return 0, errors.New("kalamdb: there is no last insert id; use INSERT … RETURNING")
}

func (r result) RowsAffected() (int64, error) { return int64(r), nil }

// stmt is a statement's text: the server keeps the plan by itself.
type stmt struct {
	c     *conn
	query string
}

func (s *stmt) Close() error  { return nil }
func (s *stmt) NumInput() int { return -1 }

func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.c.ExecContext(context.Background(), s.query, named(args))
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.c.QueryContext(context.Background(), s.query, named(args))
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.ExecContext(ctx, s.query, args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.QueryContext(ctx, s.query, args)
}

func named(args []driver.Value) []driver.NamedValue {
	out := make([]driver.NamedValue, len(args))
	for i, a := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return out
}

type rows struct {
	r    *link.Rows
	more bool // NextResult has been taken already
	peek bool
}

func (r *rows) Columns() []string {
	cols := r.r.Columns()
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = c.Name
	}
	return out
}

func (r *rows) ColumnTypeDatabaseTypeName(i int) string { return r.r.Columns()[i].Type }

func (r *rows) Close() error {
	r.r.Close()
	return nil // an error of the rows was told by Next
}

func (r *rows) Next(dest []driver.Value) error {
	if !r.r.Next() {
		// An error behind the last row stands at the end of the answer.
		if !r.peek {
			r.peek, r.more = true, r.r.NextResult()
		}
		if err := r.r.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	rec := r.r.Record()
	for i := range dest {
		v, err := rec.Value(i)
		if err != nil {
			return err
		}
		switch t := v.(type) {
		case json.RawMessage:
			v = []byte(t)
		case json.Number:
			v = t.String()
		}
		dest[i] = v
	}
	return nil
}

// HasNextResultSet is asked when the rows of one result are read.
func (r *rows) HasNextResultSet() bool {
	if !r.peek {
		r.peek, r.more = true, r.r.NextResult()
	}
	return r.more
}

func (r *rows) NextResultSet() error {
	if !r.HasNextResultSet() {
		if err := r.r.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	r.peek, r.more = false, false
	return nil
}
