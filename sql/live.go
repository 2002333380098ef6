package sql

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
)

// LivePlan is a query in the form that a subscription needs: which rows of
// one table belong to the result, and what they look like in it. It is
// immutable and may be shared.
type LivePlan struct {
	Table *ddl.Table
	// Columns describes the result's columns.
	Columns []ResultColumn
	// FilterKey is equal for plans of one table whose filter, with its
	// parameters, is the same, so that subscriptions can share its
	// evaluation. It is empty when every row matches.
	FilterKey string
	// ProjectionKey is equal for plans of one table whose projection gives
	// the same rows, so that subscriptions can share encoded messages.
	ProjectionKey string

	params []sqltype.Value
}

// Live gives the subscription's form of a Query: a SELECT over one USER or
// STREAM table with an optional WHERE, all of it computable from one row
// alone. The coded error says what stands in the way otherwise.
func (p *Prepared) Live() (*LivePlan, error) { return nil, nil }

// LiveEval evaluates a LivePlan over single rows. One goroutine uses it.
//
// The rows are in scan order: the declared columns, then _seq, _updated and
// _deleted. Columns that the caller does not know may be missing at the end
// when the plan does not name them.
type LiveEval struct {
	plan *LivePlan
}

// NewEval makes an evaluator.
func (l *LivePlan) NewEval() *LiveEval { return &LiveEval{plan: l} }

// Match tells whether the row belongs to the result. It allocates nothing for
// simple filters.
func (e *LiveEval) Match(row sqltype.Row) (bool, error) { return true, nil }

// Project computes the result's columns into dst, which has a place for each.
func (e *LiveEval) Project(row, dst sqltype.Row) error { return nil }

// Initial reads the rows that are in the result now: the newest last of them,
// or all with a negative last; oldest first. Each row has the plan's Columns
// and then _seq, _updated and _deleted.
func (l *LivePlan) Initial(ctx context.Context, env *exec.Env, last int64) (exec.Rows, error) {
	return nil, ctx.Err()
}

// Since reads the rows that changed after a sequence number in their newest
// state, deleted ones and those outside the filter too, oldest first. Each has
// the plan's Columns, then _seq, _updated, _deleted, and a BOOLEAN that tells
// whether the row is in the result now.
func (l *LivePlan) Since(ctx context.Context, env *exec.Env, after change.Seq) (exec.Rows, error) {
	return nil, ctx.Err()
}
