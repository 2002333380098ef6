package sql

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/sql/plancache"
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
	// params are the values of the plan's parameters, converted.
	params []sqltype.Value
}

// compiled is the part of a Prepared that the plan cache shares.
type compiled struct {
	kind    Kind
	stmt    ast.Statement
	explain *ast.Explain
	columns []ResultColumn
	reads   []*ddl.Table
	writes  *ddl.Table
	// also are the tables that the changes in WITH write.
	also  []*ddl.Table
	ops   WriteOps
	userQ bool
	plan  *exec.Plan
	// bytes is about how much memory all this takes.
	bytes int
	// paramTypes are the types of the parameters; the last literals of them
	// stand for literals of the text.
	paramTypes   []sqltype.Type
	paramColumns map[int]string
	literals     int
	live         *livePlan
	liveErr      error
	// names are what the plan depends on in the catalog, current the version
	// of the last catalog in which they were found to mean the same.
	names   []name
	current atomic.Uint64
	// sizes are the tables whose sizes the plan's joins are ordered by.
	sizes []tableSize
}

// with makes a Prepared of a plan and its parameters.
func (c *compiled) with(req Request, literals []plancache.Literal) (*Prepared, error) {
	if c.kind == Utility {
		return &Prepared{c: c, params: req.Params}, nil
	}
	want := len(c.paramTypes) - c.literals
	if want != len(req.Params) {
		return nil, dberr.Newf(dberr.ParameterMismatch, "parameter mismatch: expected %d, got %d", want, len(req.Params))
	}
	if c.literals == 0 && c.fit(req.Params) {
		return &Prepared{c: c, params: req.Params}, nil
	}
	p := &Prepared{c: c}
	p.params = make([]sqltype.Value, len(c.paramTypes))
	for i, v := range req.Params {
		var err error
		if p.params[i], err = c.param(i, v); err != nil {
			return nil, err
		}
	}
	for i := range c.literals {
		at := want + i
		v, err := builtin.Convert(nil, literals[i].Value, c.paramTypes[at], true)
		if err != nil {
			if e, ok := err.(*dberr.Error); ok {
				return nil, c.nameColumn(at, e).At(ast.At(literals[i].Offset).In(req.Text))
			}
			return nil, err
		}
		p.params[at] = v
	}
	return p, nil
}

// fit tells whether the parameters are of their types already.
func (c *compiled) fit(params []sqltype.Value) bool {
	for i, v := range params {
		if k := c.paramTypes[i].Kind; k != v.Kind() && k != sqltype.Unknown && !v.IsNull() {
			return false
		}
	}
	return true
}

// param converts a value to the type of its parameter. A text may stand for
// any type, a number for any that can hold it; nothing else is converted.
func (c *compiled) param(i int, v sqltype.Value) (sqltype.Value, error) {
	t := c.paramTypes[i]
	if t.Kind == sqltype.Unknown || v.IsNull() || v.Kind() == t.Kind {
		return v, nil
	}
	if t.Kind == sqltype.Bytes && v.Kind() == sqltype.Text && !strings.HasPrefix(v.Str(), `\x`) {
		// As results give bytes; PostgreSQL's way of writing them is for
		// literals.
		b, err := base64.StdEncoding.DecodeString(v.Str())
		if err != nil {
			return v, c.nameColumn(i, dberr.Newf(dberr.TypeMismatch, "parameter $%d: the text for BYTES is not base64", i+1)).
				WithHint(`Pass base64, or hexadecimal digits behind \x.`)
		}
		return sqltype.NewBytes(b), nil
	}
	column, named := c.paramColumns[i+1]
	k := v.Kind()
	ok := k == sqltype.Text || k.IsNumeric() && t.Kind.IsNumeric() || k == sqltype.JSON && t.Kind == sqltype.Text ||
		t.Kind == sqltype.Text && !named
	if _, implicit := builtin.FindCast(sqltype.Type{Kind: k}, t, builtin.Implicit); ok || implicit {
		if k.IsNumeric() && t.Kind.IsInteger() && !whole(v) {
			ok = false
		} else {
			out, err := builtin.Convert(nil, v, t, true)
			if err == nil {
				return out, nil
			}
			e, coded := err.(*dberr.Error)
			if !coded {
				return v, err
			}
			if e.Code == dberr.ValueOutOfRange || e.Code == dberr.InvalidJSON {
				return v, c.nameColumn(i, e)
			}
		}
	}
	where := ""
	if named {
		where = " for column " + strconv.Quote(column)
	}
	return v, dberr.Newf(dberr.TypeMismatch, "parameter $%d%s: expected %s, got %s %s", i+1, where, t, k, show(v)).
		WithHint("Pass a value of type %s.", t)
}

// whole tells whether a number has no fraction.
func whole(v sqltype.Value) bool {
	switch v.Kind().Physical() {
	case sqltype.PhysFloat:
		f := v.Float()
		return f == float64(int64(f))
	case sqltype.PhysDecimal:
		return v.Decimal().Trim().Scale() <= 0
	}
	return true
}

// show is a value in an error message, not too long.
func show(v sqltype.Value) string {
	s := v.Text()
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	if v.Kind() == sqltype.Text {
		return strconv.Quote(s)
	}
	return s
}

func (c *compiled) nameColumn(i int, e *dberr.Error) *dberr.Error {
	column, ok := c.paramColumns[i+1]
	if !ok {
		return e
	}
	d := *e
	d.Message = "column " + strconv.Quote(column) + " of type " + c.paramTypes[i].String() + ": " + e.Message
	return &d
}

func itoa(n int) string { return strconv.Itoa(n) }

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

// AlsoWrites are the tables that the changes in a statement's WITH write,
// where it has several.
func (p *Prepared) AlsoWrites() []*ddl.Table { return p.c.also }

// WriteOps says how a Modify changes its table.
func (p *Prepared) WriteOps() WriteOps { return p.c.ops }

// UserQualified tells whether the statement names a table as ns.user.t, which
// needs an explicit user on the request.
func (p *Prepared) UserQualified() bool { return p.c.userQ }

// Query runs a Query. The rows must be closed. It may be that an error of the
// first rows is found here already.
func (p *Prepared) Query(ctx context.Context, env *exec.Env) (exec.Rows, error) {
	if p.c.kind != Query {
		return nil, dberr.New(dberr.Internal, "Query was called for a statement that is none")
	}
	if e := p.c.explain; e != nil {
		return p.c.plan.Explain(ctx, env, p.params, e.Analyze, e.Format == ast.ExplainJSON)
	}
	return p.c.plan.Query(ctx, env, p.params)
}

// Result is what a Modify gives.
type Result struct {
	// Writes is what to commit; it is never nil, and may be empty.
	Writes *exec.WriteSet
	// Before are the changes of the statement's WITH before Writes. All are to
	// commit together, in this order.
	Before []*exec.WriteSet
	// Affected is the number of rows that the statement reports.
	Affected int64
	// Returning is the rows of RETURNING; nil without one. They are complete
	// once Committed is called, and do not depend on the snapshot.
	Returning exec.Rows

	changes *exec.Changes
}

// Release gives back the memory that the result is accounted with, when its
// writes are committed or given up. It may be called twice.
func (r *Result) Release() { r.changes.Release() }

// Committed completes Returning with the numbers and times that the commit has
// put into Writes.
func (r *Result) Committed() { r.changes.Committed() }

// Modify runs a Modify up to its commit, which is the caller's. The result
// must be released.
func (p *Prepared) Modify(ctx context.Context, env *exec.Env) (*Result, error) {
	if p.c.kind != Modify {
		return nil, dberr.New(dberr.Internal, "Modify was called for a statement that changes nothing")
	}
	c, err := p.c.plan.Modify(ctx, env, p.params)
	if err != nil {
		return nil, err
	}
	return &Result{Writes: c.Set, Before: c.Before, Affected: c.Affected, Returning: c.Returning, changes: c}, nil
}
