package exec

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

// unionNode gives the rows of its inputs one after the other; UNION without
// ALL has a distinctNode above.
type unionNode struct {
	ins []node
}

func (n *unionNode) types() []sqltype.Type { return n.ins[0].types() }
func (n *unionNode) inputs() []node        { return n.ins }
func (n *unionNode) label() string         { return "Union all" }
func (n *unionNode) open(r *run) operator  { return &unionOp{n: n, r: r} }

type unionOp struct {
	n   *unionNode
	r   *run
	cur operator
	at  int
}

func (o *unionOp) Next(ctx context.Context) (*vector.Batch, error) {
	for o.at < len(o.n.ins) {
		if o.cur == nil {
			o.cur = o.r.open(o.n.ins[o.at])
		}
		b, err := o.cur.Next(ctx)
		if b != nil || err != nil {
			return b, err
		}
		o.cur.Close()
		o.cur = nil
		o.at++
	}
	return nil, nil
}

func (o *unionOp) Close() {
	o.at = len(o.n.ins)
	if o.cur != nil {
		o.cur.Close()
	}
}

// setOpNode is INTERSECT and EXCEPT: it counts the right side's rows by value,
// then lets left rows pass, or not, as the counts say.
type setOpNode struct {
	kind plan.SetOpKind
	all  bool
	l, r node
}

func (n *setOpNode) types() []sqltype.Type { return n.l.types() }
func (n *setOpNode) inputs() []node        { return []node{n.l, n.r} }
func (n *setOpNode) label() string {
	if n.all {
		return n.kind.String() + " all"
	}
	return n.kind.String()
}
func (n *setOpNode) open(r *run) operator {
	all := make([]int, len(n.types()))
	for i := range all {
		all[i] = i
	}
	return &setOp{n: n, r: r, left: r.open(n.l), g: newGrouper(all, n.types()), mem: reservation{acct: r.acct}}
}

type setOp struct {
	n    *setOpNode
	r    *run
	left operator
	g    grouper
	// counts are the right side's rows by key; given says that a key was let
	// through.
	counts []int64
	given  []bool
	built  bool
	// empty says that a side without rows leaves none.
	empty  bool
	mem    reservation
	groups []int32
	fresh  []int32
	sel    []int32
	out    vector.Batch
}

func (o *setOp) assign(b *vector.Batch) error {
	o.groups = resize(o.groups, b.Rows())
	o.fresh = o.g.assign(b, o.groups, o.fresh[:0])
	for len(o.counts) < o.g.len() {
		o.counts, o.given = append(o.counts, 0), append(o.given, false)
	}
	return o.mem.set(o.g.size() + int64(len(o.counts))*9)
}

// prepare counts the right side's rows, but not for an EXCEPT from nothing;
// INTERSECT with nothing does not read its left side.
func (o *setOp) prepare(ctx context.Context) error {
	if o.n.kind == plan.Except {
		b, err := o.left.Next(ctx)
		if b == nil || err != nil {
			o.empty = true
			return err
		}
		o.left = &peekedOp{first: b, rest: o.left}
	}
	if err := o.build(ctx); err != nil {
		return err
	}
	o.empty = o.n.kind == plan.Intersect && len(o.counts) == 0
	return nil
}

func (o *setOp) build(ctx context.Context) error {
	right := o.r.open(o.n.r)
	defer right.Close()
	for {
		b, err := right.Next(ctx)
		if b == nil || err != nil {
			return err
		}
		if err := o.assign(b); err != nil {
			return err
		}
		for _, g := range o.groups {
			o.counts[g]++
		}
	}
}

// pass tells whether a left row with the key is in the result.
func (o *setOp) pass(g int32) bool {
	in := o.counts[g] > 0
	if !o.n.all {
		if o.given[g] || in != (o.n.kind == plan.Intersect) {
			return false
		}
		o.given[g] = true
		return true
	}
	if in {
		o.counts[g]--
	}
	return in == (o.n.kind == plan.Intersect)
}

func (o *setOp) Next(ctx context.Context) (*vector.Batch, error) {
	if !o.built {
		o.built = true
		if err := o.prepare(ctx); err != nil {
			return nil, err
		}
	}
	if o.empty {
		o.left.Close()
		return nil, nil
	}
	for {
		b, err := o.left.Next(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		if err := o.assign(b); err != nil {
			return nil, err
		}
		o.sel = o.sel[:0]
		for i, g := range o.groups {
			if o.pass(g) {
				o.sel = append(o.sel, int32(b.Row(i)))
			}
		}
		if len(o.sel) > 0 {
			o.out = *b
			o.out.Sel = o.sel
			return &o.out, nil
		}
	}
}

func (o *setOp) Close() {
	o.left.Close()
	o.mem.release()
}
