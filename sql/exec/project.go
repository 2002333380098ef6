package exec

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// output is one column of a projection: a column of the input, or a program.
type output struct {
	col  int
	prog *expr.Program
}

// projectNode computes columns.
type projectNode struct {
	in   node
	outs []output
	// volatile says that a program may give another value each time.
	volatile bool
	out      []sqltype.Type
	text     string
}

func (n *projectNode) types() []sqltype.Type { return n.out }
func (n *projectNode) inputs() []node        { return []node{n.in} }
func (n *projectNode) label() string         { return "Project " + n.text }
func (n *projectNode) open(r *run) operator  { return n.over(r, r.open(n.in)) }

// over is the operator over an input that is open.
func (n *projectNode) over(r *run, in operator) operator {
	o := &projectOp{n: n, r: r, in: in, evals: make([]*expr.Eval, len(n.outs))}
	for i := range n.outs {
		if n.outs[i].prog != nil {
			o.evals[i] = n.outs[i].prog.NewEval()
		}
	}
	return o
}

type projectOp struct {
	n     *projectNode
	r     *run
	in    operator
	evals []*expr.Eval
	cols  []*vector.Vector
}

func (o *projectOp) Next(ctx context.Context) (*vector.Batch, error) {
	b, err := o.in.Next(ctx)
	if b == nil || err != nil {
		return nil, err
	}
	return o.project(b)
}

func (o *projectOp) project(b *vector.Batch) (*vector.Batch, error) {
	if o.cols == nil {
		o.cols = make([]*vector.Vector, len(o.evals))
	}
	for i, ev := range o.evals {
		if ev == nil {
			o.cols[i] = b.Cols[o.n.outs[i].col]
			continue
		}
		v, err := ev.EvalVector(o.r.ectx, b)
		if err != nil {
			return nil, err
		}
		o.cols[i] = v
	}
	out := vector.NewBatch(o.cols, b.Len())
	out.Sel = b.Sel
	return out, nil
}

func (o *projectOp) Close() { o.in.Close() }
