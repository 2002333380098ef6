package exec

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// filterNode keeps the rows for which a condition is true: it narrows the
// selection and copies nothing.
type filterNode struct {
	in   node
	pred *expr.Program
	// volatile says that the condition may give another value each time.
	volatile bool
	text     string
}

func (n *filterNode) types() []sqltype.Type { return n.in.types() }
func (n *filterNode) inputs() []node        { return []node{n.in} }
func (n *filterNode) label() string         { return "Filter " + n.text }
func (n *filterNode) open(r *run) operator {
	return &filterOp{r: r, in: r.open(n.in), eval: n.pred.NewEval()}
}

type filterOp struct {
	r    *run
	in   operator
	eval *expr.Eval
	out  vector.Batch
}

func (o *filterOp) Next(ctx context.Context) (*vector.Batch, error) {
	for {
		b, err := o.in.Next(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		sel, err := o.eval.Filter(o.r.ectx, b)
		if err != nil {
			return nil, err
		}
		if len(sel) == 0 {
			continue
		}
		o.out = *b
		o.out.Sel = sel
		return &o.out, nil
	}
}

func (o *filterOp) Close() { o.in.Close() }
