package exec

import (
	"context"
	"errors"
	"time"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// newContext is what expressions of an execution see. params are the values
// of the statement's parameters, converted already.
func newContext(env *Env, params []sqltype.Value, slots int) *expr.Context {
	now := env.Now
	if now.IsZero() {
		now = time.Now()
	}
	if slots > len(params) {
		all := make([]sqltype.Value, slots)
		copy(all, params)
		params = all
	}
	return &expr.Context{
		Params: params, Now: now, User: env.User, Namespace: env.Namespace,
		IDs: env.IDs, Version: env.Version,
	}
}

func (p *Plan) newRun(ctx context.Context, env *Env, params []sqltype.Value) *run {
	r := &run{env: env, acct: &account{limit: env.MemoryLimit, pool: env.Memory}, batch: env.BatchSize, ctes: map[int]*cteState{}}
	if r.acct.limit <= 0 {
		r.acct.limit = DefaultMemoryLimit
	}
	if r.batch <= 0 || r.batch > vector.BatchSize {
		r.batch = vector.BatchSize
	}
	r.ectx = newContext(env, params, p.slots)
	r.ectx.Interrupt = ctx.Err
	return r
}

// Types are the types of the result's columns.
func (p *Plan) Types() []sqltype.Type { return p.out }

// Query runs a plan that gives rows.
func (p *Plan) Query(ctx context.Context, env *Env, params []sqltype.Value) (Rows, error) {
	if p.point != nil {
		return p.point.query(ctx, p, env, params)
	}
	r := p.newRun(ctx, env, params)
	return &resultRows{op: r.open(p.root), acct: r.acct}, nil
}

// resultRows is the result of a plan.
type resultRows struct {
	op     operator
	acct   *account
	err    error
	done   bool
	closed bool
}

var errClosed = errors.New("rows are closed")

func (r *resultRows) Next(ctx context.Context) (*vector.Batch, error) {
	if r.err != nil || r.done {
		return nil, r.err
	}
	b, err := r.op.Next(ctx)
	switch {
	case err != nil:
		r.err = err
		r.end()
	case b == nil:
		r.done = true
		r.end()
	}
	return b, err
}

func (r *resultRows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	if !r.done && r.err == nil {
		r.err = errClosed
		r.end()
	}
}

func (r *resultRows) end() {
	r.op.Close()
	r.acct.end()
}

// batchRows gives batches that are there already.
type batchRows struct{ batches []*vector.Batch }

func (r *batchRows) Next(context.Context) (*vector.Batch, error) {
	if len(r.batches) == 0 {
		return nil, nil
	}
	b := r.batches[0]
	r.batches = r.batches[1:]
	return b, nil
}

func (r *batchRows) Close() { r.batches = nil }
