package exec

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// distinctNode gives the first row of each key.
type distinctNode struct {
	in node
	on []int
}

func (n *distinctNode) types() []sqltype.Type { return n.in.types() }
func (n *distinctNode) inputs() []node        { return []node{n.in} }
func (n *distinctNode) label() string         { return "Distinct" }
func (n *distinctNode) open(r *run) operator {
	return &distinctOp{in: r.open(n.in), g: newGrouper(n.on, n.in.types()), mem: reservation{acct: r.acct}}
}

type distinctOp struct {
	in     operator
	g      grouper
	mem    reservation
	groups []int32
	fresh  []int32
	out    vector.Batch
}

func (o *distinctOp) Next(ctx context.Context) (*vector.Batch, error) {
	for {
		b, err := o.in.Next(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		n := b.Rows()
		if cap(o.groups) < n {
			o.groups = make([]int32, n)
		}
		o.fresh = o.g.assign(b, o.groups[:n], o.fresh[:0])
		if err := o.mem.set(o.g.size()); err != nil {
			return nil, err
		}
		if len(o.fresh) == 0 {
			continue
		}
		for k, i := range o.fresh {
			o.fresh[k] = int32(b.Row(int(i)))
		}
		o.out = *b
		o.out.Sel = o.fresh
		return &o.out, nil
	}
}

func (o *distinctOp) Close() {
	o.in.Close()
	o.mem.release()
}
