package exec

import (
	"bytes"
	"context"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// count evaluates LIMIT or OFFSET; without a program, or for NULL, it gives
// none.
func (r *run) count(p *expr.Program, what string, none int64) (int64, error) {
	if p == nil {
		return none, nil
	}
	v, err := p.NewEval().EvalRow(r.ectx, nil)
	if err != nil {
		return 0, err
	}
	if v.IsNull() {
		return none, nil
	}
	if v.Int() < 0 {
		state := "2201W"
		if what == "OFFSET" {
			state = "2201X"
		}
		return 0, dberr.Newf(dberr.ValueOutOfRange, "%s must not be negative", what).WithState(state)
	}
	return v.Int(), nil
}

// limitNode skips and stops.
type limitNode struct {
	in            node
	limit, offset *expr.Program
	// ties, when not nil, lets rows pass that are equal to the last one.
	ties []sortKey
}

func (n *limitNode) types() []sqltype.Type { return n.in.types() }
func (n *limitNode) inputs() []node        { return []node{n.in} }
func (n *limitNode) label() string {
	switch {
	case n.ties != nil:
		return "Limit with ties"
	case n.limit == nil:
		return "Offset"
	}
	return "Limit"
}
func (n *limitNode) open(r *run) operator { return &limitOp{n: n, r: r, in: r.open(n.in)} }

type limitOp struct {
	n          *limitNode
	r          *run
	in         operator
	skip, left int64
	last       []byte
	ready      bool
}

func (o *limitOp) Next(ctx context.Context) (*vector.Batch, error) {
	if !o.ready {
		o.ready = true
		var err error
		if o.left, err = o.r.count(o.n.limit, "LIMIT", -1); err != nil {
			return nil, err
		}
		if o.skip, err = o.r.count(o.n.offset, "OFFSET", 0); err != nil {
			return nil, err
		}
		if o.left == 0 && o.n.ties != nil {
			o.n = &limitNode{in: o.n.in}
		}
	}
	for {
		if o.left == 0 && o.n.ties == nil {
			o.in.Close()
			return nil, nil
		}
		b, err := o.in.Next(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		if o.skip > 0 {
			n := min(o.skip, int64(b.Rows()))
			o.skip -= n
			if b = b.Tail(int(n)); b.Rows() == 0 {
				continue
			}
		}
		if o.left < 0 {
			return b, nil
		}
		take := int(min(o.left, int64(b.Rows())))
		o.left -= int64(take)
		if o.n.ties != nil {
			if take > 0 {
				o.last = appendRowKey(o.last[:0], o.n.ties, b.Cols, b.Row(take-1))
			}
			var key []byte
			for o.left == 0 && take < b.Rows() {
				if key = appendRowKey(key[:0], o.n.ties, b.Cols, b.Row(take)); !bytes.Equal(key, o.last) {
					break
				}
				take++
			}
			if take == 0 {
				o.in.Close()
				return nil, nil
			}
		}
		return b.Head(take), nil
	}
}

func (o *limitOp) Close() { o.in.Close() }
