//go:build cgo

package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	// The driver registers itself.
	_ "github.com/duckdb/duckdb-go/v2"
)

// Duck is DuckDB in this process, in memory.
type Duck struct {
	db   *sql.DB
	conn *sql.Conn
}

var _ Database = (*Duck)(nil)

// OpenDuck opens an empty DuckDB.
func OpenDuck(ctx context.Context) (*Duck, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to DuckDB: %w", err), db.Close())
	}
	d := &Duck{db: db, conn: conn}
	for _, s := range []string{"SET threads = 1", "SET memory_limit = '1GB'", "SET TimeZone = 'UTC'", "SET default_null_order = 'nulls_last_on_asc_first_on_desc'", "SET integer_division = true"} {
		if r := d.Exec(ctx, s); r.Err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", s, r.Err), d.Close())
		}
	}
	return d, nil
}

// Name is "DuckDB".
func (d *Duck) Name() string { return "DuckDB" }

// Use makes a schema and makes it current.
func (d *Duck) Use(ctx context.Context, namespace string) error {
	for _, s := range []string{"CREATE SCHEMA " + namespace, "USE " + namespace} {
		if r := d.Exec(ctx, s); r.Err != nil {
			return r.Err
		}
	}
	return nil
}

// Select makes an existing schema current.
func (d *Duck) Select(ctx context.Context, namespace string) error {
	if r := d.Exec(ctx, "USE "+namespace); r.Err != nil {
		return r.Err
	}
	return nil
}

// Drop removes a schema.
func (d *Duck) Drop(ctx context.Context, namespace string) error {
	for _, s := range []string{"USE main", "DROP SCHEMA " + namespace + " CASCADE"} {
		if r := d.Exec(ctx, s); r.Err != nil {
			return r.Err
		}
	}
	return nil
}

// Close ends it.
func (d *Duck) Close() error { return errors.Join(d.conn.Close(), d.db.Close()) }

// ExecPlain runs a query as it is written, without DuckDB's optimizer.
func (d *Duck) ExecPlain(ctx context.Context, text string) Result {
	if r := d.Exec(ctx, "PRAGMA disable_optimizer"); r.Err != nil {
		return r
	}
	res := d.Exec(ctx, text)
	if r := d.Exec(ctx, "PRAGMA enable_optimizer"); r.Err != nil {
		return r
	}
	return res
}

// Exec runs one statement. DuckDB has no SQLSTATEs; every error is "DUCK". It
// writes the values of a query as text itself, and has names of its own for
// types.
func (d *Duck) Exec(ctx context.Context, text string) Result {
	ctx, cancel := context.WithTimeout(ctx, otherTimeout)
	defer cancel()
	fail := func(err error) Result { return Result{Affected: -1, Err: &Error{State: "DUCK", Message: err.Error()}} }
	if !isQuery(text) {
		if _, err := d.conn.ExecContext(ctx, text); err != nil {
			return fail(err)
		}
		return Result{Affected: -1}
	}
	plain, err := d.read(ctx, "SELECT * FROM ("+text+") LIMIT 0")
	if err != nil {
		return fail(err)
	}
	res, err := d.read(ctx, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ("+text+")")
	if err != nil {
		return fail(err)
	}
	res.Columns, res.Types = plain.Columns, plain.Types
	for i, t := range res.Types {
		if t == "BOOLEAN" {
			spellBools(res.Rows, i)
		}
	}
	return res
}

// spellBools writes a column of truth values as PostgreSQL does.
func spellBools(rows []Row, col int) {
	for _, r := range rows {
		if !r[col].Null {
			r[col].Text = r[col].Text[:1]
		}
	}
}

func isQuery(text string) bool {
	word, _, _ := strings.Cut(strings.ToLower(strings.TrimLeft(text, "( \n")), " ")
	return word == "select" || word == "with" || word == "values" || strings.HasPrefix(word, "select\n")
}

func (d *Duck) read(ctx context.Context, text string) (Result, error) {
	res := Result{Affected: -1}
	rows, err := d.conn.QueryContext(ctx, text)
	if err != nil {
		return res, err
	}
	defer func() { _ = rows.Close() }()
	if res.Columns, err = rows.Columns(); err != nil {
		return res, err
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return res, err
	}
	for _, t := range types {
		res.Types = append(res.Types, t.DatabaseTypeName())
	}
	for rows.Next() {
		row, err := scanText(rows, len(types))
		if err != nil {
			return res, err
		}
		res.Rows = append(res.Rows, row)
	}
	return res, rows.Err()
}

func scanText(rows *sql.Rows, n int) (Row, error) {
	cells := make([]sql.NullString, n)
	to := make([]any, n)
	for i := range cells {
		to[i] = &cells[i]
	}
	if err := rows.Scan(to...); err != nil {
		return nil, err
	}
	row := make(Row, n)
	for i, c := range cells {
		row[i] = Cell{Text: c.String, Null: !c.Valid}
	}
	return row, nil
}
