package engine

import (
	"context"
	"strings"
)

// Cell is one value as text; Null says that it has none.
type Cell struct {
	Text string
	Null bool
}

// String is the value as a person reads it.
func (c Cell) String() string {
	if c.Null {
		return "NULL"
	}
	return c.Text
}

// Row is the values of one row.
type Row []Cell

// String joins the values by bars.
func (r Row) String() string {
	parts := make([]string, len(r))
	for i, c := range r {
		parts[i] = c.String()
	}
	return strings.Join(parts, " | ")
}

// Error is a refused statement.
type Error struct {
	// State is the SQLSTATE. "PANIC" stands for a Go panic, "" for a failure
	// of the connection.
	State   string
	Message string
}

// Error gives state and message.
func (e *Error) Error() string { return e.State + ": " + e.Message }

// Result is the answer to one statement: rows, or a number of changed rows, or
// an error.
type Result struct {
	// Columns and Types are nil for a statement without rows.
	Columns []string
	Types   []string
	Rows    []Row
	// Affected is how many rows a statement changed; -1 where it is not told.
	Affected int64
	Err      *Error
}

// Database runs statements one after the other. It belongs to one goroutine.
type Database interface {
	// Name is how reports call it.
	Name() string
	// Use makes a new, empty namespace and makes it the current one.
	Use(ctx context.Context, namespace string) error
	// Select makes an existing namespace the current one.
	Select(ctx context.Context, namespace string) error
	// Drop removes a namespace with all that is in it.
	Drop(ctx context.Context, namespace string) error
	// Exec runs one statement. What is wrong with the statement is in the
	// Result.
	Exec(ctx context.Context, sql string) Result
	// Close ends it.
	Close() error
}
