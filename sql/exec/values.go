package exec

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// valuesNode gives rows of expressions without columns.
type valuesNode struct {
	rows [][]*expr.Program
	out  []sqltype.Type
}

func (n *valuesNode) types() []sqltype.Type { return n.out }
func (n *valuesNode) inputs() []node        { return nil }
func (n *valuesNode) label() string         { return fmt.Sprintf("Values (%d rows)", len(n.rows)) }
func (n *valuesNode) open(r *run) operator  { return &valuesOp{n: n, r: r} }

type valuesOp struct {
	n  *valuesNode
	r  *run
	at int
}

func (o *valuesOp) Next(ctx context.Context) (*vector.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n := min(o.r.batch, len(o.n.rows)-o.at)
	if n <= 0 {
		return nil, nil
	}
	cols := make([]*vector.Vector, len(o.n.out))
	for c, t := range o.n.out {
		b := vector.NewBuilder(t, n)
		for _, row := range o.n.rows[o.at : o.at+n] {
			v, err := row[c].EvalRow(o.r.ectx, nil)
			if err != nil {
				return nil, err
			}
			b.Append(v)
		}
		cols[c] = b.Finish()
	}
	o.at += n
	return vector.NewBatch(cols, n), nil
}

func (o *valuesOp) Close() { o.at = len(o.n.rows) }
