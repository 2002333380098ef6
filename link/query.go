package link

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/kalamdb/kalamdb/commons/wire"
)

// Query runs a statement, or several with semicolons between them, and streams
// what they give. Parameters fill $1, $2, … The rows start at the first
// statement; NextResult moves on.
//
// An error of the first statement is returned here; an error that comes up
// later (in a following statement, or in the middle of the rows) by Rows.Err.
func (c *Client) Query(ctx context.Context, sql string, params ...any) (*Rows, error) {
	ps, err := encodeParams(params)
	if err != nil {
		return nil, err
	}
	options := &wire.SQLOptions{Rows: "array"}
	if c.set.skipDamaged {
		options.Damaged = "skip"
	}
	body, err := encode(wire.SQLRequest{SQL: sql, Params: ps, NamespaceID: c.set.namespace, Options: options})
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	resp, done, err := c.do(ctx, call{method: http.MethodPost, path: wire.PathSQL, body: body, idempotent: readsOnly(sql)})
	if err != nil {
		return nil, err
	}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode >= 300 && !strings.Contains(ct, "json") {
		defer done()
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return nil, errorAnswer(resp, b)
	}
	rows := &Rows{ctx: ctx, c: c, resp: resp, done: done, sc: newScanner(resp.Body, resp.ContentLength)}
	if err := rows.open(); err != nil {
		return nil, err
	}
	return rows, nil
}

// encode writes a message as JSON, without the escapes that are for HTML only.
func encode(message any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(message)
	return b.Bytes(), err
}

// Exec runs statements and gives the summary of the last one, without rows.
func (c *Client) Exec(ctx context.Context, sql string, params ...any) (Summary, error) {
	rows, err := c.Query(ctx, sql, params...)
	if err != nil {
		return Summary{}, err
	}
	defer rows.Close()
	for {
		for rows.Next() {
		}
		sum := rows.Summary()
		if !rows.NextResult() {
			return sum, rows.Err()
		}
	}
}

// Result is what one statement of a Batch gave, held in memory.
type Result struct {
	Summary
	Columns []Column
	Rows    []Record
}

// Batch runs several statements and gives all their results. The server stops
// at the first statement that fails: then the results of those before it are
// returned together with the error, whose Statement tells which it was.
func (c *Client) Batch(ctx context.Context, sql string, params ...any) ([]Result, error) {
	rows, err := c.Query(ctx, sql, params...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Result
	for rows.started {
		var res Result
		for rows.Next() {
			res.Rows = append(res.Rows, rows.rec.clone())
		}
		if rows.inResult {
			break // the answer ended inside this result
		}
		res.Summary, res.Columns = rows.Summary(), rows.Columns()
		out = append(out, res)
		if !rows.NextResult() {
			break
		}
	}
	return out, rows.Err()
}

// Row is the answer of QueryRow.
type Row struct {
	rows *Rows
	err  error
}

// QueryRow runs a query of which one row is wanted. Errors wait for Scan.
func (c *Client) QueryRow(ctx context.Context, sql string, params ...any) *Row {
	rows, err := c.Query(ctx, sql, params...)
	return &Row{rows, err}
}

// Scan copies the first row into dest and drops the others. It returns
// ErrNoRows when there is none. With one pointer to a struct that row is
// scanned into its fields.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if len(dest) == 1 {
		return r.rows.rec.into(dest[0])
	}
	return r.rows.Scan(dest...)
}
