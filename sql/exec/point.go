package exec

import (
	"context"
	"sync"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// pointPlan is a query for one row by its whole primary key: one lookup, then
// filter and projection over that row, without operators.
// BenchmarkPointQuery measures it.
type pointPlan struct {
	scan   *scanNode
	pred   *expr.Program
	proj   *projectNode
	single keyRange
}

// pointOf recognizes such a query: projection, filter, and a lookup of one
// key, the first two optional.
func pointOf(n node) *pointPlan {
	p := &pointPlan{}
	n = beneathLimit(n)
	if x, ok := n.(*projectNode); ok {
		p.proj, n = x, beneathLimit(x.in)
	}
	if x, ok := n.(*filterNode); ok {
		p.pred, n = x.pred, x.in
	}
	s, ok := n.(*scanNode)
	if !ok || !s.point || len(s.ranges) != 1 {
		return nil
	}
	p.scan, p.single = s, s.ranges[0]
	return p
}

// beneathLimit is what is below a LIMIT that a single row passes.
func beneathLimit(n node) node {
	l, ok := n.(*limitNode)
	if !ok || l.offset != nil || l.ties != nil || l.limit == nil {
		return n
	}
	if c, ok := l.limit.Expr().(*expr.ConstExpr); ok && !c.Value.IsNull() && c.Value.Int() > 0 {
		return l.in
	}
	return n
}

func (pp *pointPlan) query(ctx context.Context, p *Plan, env *Env, params []sqltype.Value) (Rows, error) {
	ectx := newContext(env, params, p.slots)
	key, ok, err := pp.single.key(ectx)
	if err != nil {
		return nil, err
	}
	if !ok {
		return &batchRows{}, nil
	}
	t, err := env.Snapshot.Table(ctx, pp.scan.table)
	if err != nil {
		return nil, err
	}
	width := len(pp.scan.ordinals)
	values := make(sqltype.Row, width+len(p.out))
	row := values[:width:width]
	found, err := t.Get(ctx, key, pp.scan.ordinals, pp.scan.deleted, row)
	if err != nil || !found {
		return &batchRows{}, err
	}
	if pp.pred != nil {
		if ok, err := pp.pred.MatchRow(ectx, row); err != nil || !ok {
			return &batchRows{}, err
		}
	}
	out := row
	if pp.proj != nil {
		out = values[width:]
		for i, o := range pp.proj.outs {
			if o.prog == nil {
				out[i] = row[o.col]
				continue
			}
			if out[i], err = o.prog.EvalRow(ectx, row); err != nil {
				return nil, err
			}
		}
	}
	return &rowRows{types: p.out, row: out}, nil
}

// rowRows is a result of one row.
type rowRows struct {
	types []sqltype.Type
	row   sqltype.Row
	batch *vector.RowBatch
}

// keepText is the size of a row's texts up to which its batch is used again.
const keepText = 64 << 10

var rowBatches = sync.Pool{New: func() any { return new(vector.RowBatch) }}

func (r *rowRows) Next(context.Context) (*vector.Batch, error) {
	if r.row == nil {
		return nil, nil
	}
	r.batch = rowBatches.Get().(*vector.RowBatch)
	b := r.batch.Set(r.types, r.row)
	r.row = nil
	return b, nil
}

func (r *rowRows) Close() {
	if r.batch != nil && r.batch.TextSize() <= keepText {
		rowBatches.Put(r.batch)
	}
	r.row, r.batch = nil, nil
}
