package sql

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
)

// Kind says what a prepared statement is, and so how to run it.
type Kind uint8

// The kinds of statements.
const (
	// Query gives rows and changes nothing: Prepared.Query.
	Query Kind = iota
	// Modify changes rows: Prepared.Modify.
	Modify
	// Utility is everything else; Prepared.Statement has its tree.
	Utility
)

// WriteOps is a set of the ways in which a statement changes its table.
type WriteOps uint8

// The ways to change a table.
const (
	WriteInsert WriteOps = 1 << iota
	WriteUpdate
	WriteDelete
)

// Prepared is a statement that is ready to run, with its parameters. It may be
// run several times, also from several goroutines.
type Prepared struct {
	c *compiled
	// params are the values of the plan's parameter slots.
	params []sqltype.Value
}

// compiled is the part of a Prepared that the plan cache shares.
type compiled struct {
	kind    Kind
	stmt    ast.Statement
	columns []ResultColumn
	reads   []*ddl.Table
	writes  *ddl.Table
	ops     WriteOps
	userQ   bool
}

// Kind says how to run the statement.
func (p *Prepared) Kind() Kind { return p.c.kind }

// Statement is the statement's tree; nil for a Query or Modify that came from
// the plan cache.
func (p *Prepared) Statement() ast.Statement { return p.c.stmt }

// Columns describes the rows of a Query, or those of a Modify's RETURNING;
// empty without one. The slice belongs to the plan.
func (p *Prepared) Columns() []ResultColumn { return p.c.columns }

// Reads lists every table that the statement reads, each once, those behind
// views too.
func (p *Prepared) Reads() []*ddl.Table { return p.c.reads }

// Writes is the table that a Modify changes.
func (p *Prepared) Writes() *ddl.Table { return p.c.writes }

// WriteOps says how a Modify changes its table.
func (p *Prepared) WriteOps() WriteOps { return p.c.ops }

// UserQualified tells whether the statement names a table as ns.user.t, which
// needs an explicit user on the request.
func (p *Prepared) UserQualified() bool { return p.c.userQ }

// Query runs a Query. The rows must be closed. It may be that an error of the
// first rows is found here already.
func (p *Prepared) Query(ctx context.Context, env *exec.Env) (exec.Rows, error) {
	return nil, ctx.Err()
}

// Result is what a Modify gives.
type Result struct {
	// Writes is what to commit; it is never nil, and may be empty.
	Writes *exec.WriteSet
	// Affected is the number of rows that the statement reports.
	Affected int64
	// Returning is the rows of RETURNING; nil without one. They are complete
	// and do not depend on the snapshot.
	Returning exec.Rows
}

// Modify runs a Modify up to its commit, which is the caller's.
func (p *Prepared) Modify(ctx context.Context, env *exec.Env) (*Result, error) {
	return nil, ctx.Err()
}
