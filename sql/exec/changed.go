package exec

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// changedNode gives the rows that the statement has changed, and their numbers
// if they are numbered; or the result of an earlier change, by its step.
type changedNode struct {
	out      []sqltype.Type
	numbered bool
	step     int
}

func (n *changedNode) types() []sqltype.Type { return n.out }
func (n *changedNode) inputs() []node        { return nil }
func (n *changedNode) label() string         { return "Changed rows" }

func (n *changedNode) open(r *run) operator {
	rows := r.changed
	if n.step > 0 {
		rows = r.earlier[n.step-1]
	}
	return &changedOp{n: n, rows: rows}
}

type changedOp struct {
	n    *changedNode
	rows []*vector.Batch
	// at is the next batch, row the number of its first row.
	at, row int
}

func (o *changedOp) Next(ctx context.Context) (*vector.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.at >= len(o.rows) {
		return nil, nil
	}
	b := o.rows[o.at]
	o.at++
	if !o.n.numbered {
		return b, nil
	}
	num := vector.NewBuilder(sqltype.TBigInt, b.Len())
	for i := range b.Len() {
		num.Append(sqltype.NewBigInt(int64(o.row + i)))
	}
	o.row += b.Len()
	return vector.NewBatch(append(b.Cols[:len(b.Cols):len(b.Cols)], num.Finish()), b.Len()), nil
}

func (o *changedOp) Close() { o.at = len(o.rows) }
