package exec

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// cteDef is a CTE of a compiled plan.
type cteDef struct {
	id   int
	name string
	in   node
	// step is the recursive part; nil: not recursive.
	step     node
	distinct bool
}

// cteState is a CTE's rows in one execution, computed when first read.
type cteState struct {
	def  *cteDef
	rows *rowStore
	// working are the rows of the last round, while the step runs.
	working []*vector.Batch
	done    bool
}

// withNode has CTEs for its body.
type withNode struct {
	defs []*cteDef
	body node
}

func (n *withNode) types() []sqltype.Type { return n.body.types() }
func (n *withNode) inputs() []node {
	var out []node
	for _, d := range n.defs {
		out = append(out, d.in)
		if d.step != nil {
			out = append(out, d.step)
		}
	}
	return append(out, n.body)
}
func (n *withNode) label() string {
	s := "With"
	for _, d := range n.defs {
		s += " " + d.name
		if d.step != nil {
			s += " (recursive)"
		}
	}
	return s
}
func (n *withNode) open(r *run) operator {
	o := &withOp{r: r}
	for _, d := range n.defs {
		st := &cteState{def: d}
		r.ctes[d.id] = st
		o.states = append(o.states, st)
	}
	o.body = r.open(n.body)
	return o
}

type withOp struct {
	r      *run
	states []*cteState
	body   operator
}

func (o *withOp) Next(ctx context.Context) (*vector.Batch, error) { return o.body.Next(ctx) }

func (o *withOp) Close() {
	o.body.Close()
	for _, s := range o.states {
		if s.rows != nil {
			s.rows.release()
		}
	}
}

// compute fills the CTE.
func (s *cteState) compute(ctx context.Context, r *run) error {
	if s.done {
		return nil
	}
	s.done = true
	s.rows = newRowStore(s.def.in.types(), r)
	var seen grouper
	if s.def.step != nil && s.def.distinct {
		all := make([]int, len(s.def.in.types()))
		for i := range all {
			all[i] = i
		}
		seen = &bytesGrouper{cols: all, groups: map[string]int32{}}
	}
	if err := s.drain(ctx, r, s.def.in, seen); err != nil {
		return err
	}
	if s.def.step == nil {
		return nil
	}
	for from := 0; from < len(s.rows.chunks); {
		s.working = s.rows.chunks[from:]
		from = len(s.rows.chunks)
		if err := s.drain(ctx, r, s.def.step, seen); err != nil {
			return err
		}
	}
	s.working = nil
	return nil
}

// drain adds the rows of a step that were not seen before.
func (s *cteState) drain(ctx context.Context, r *run, n node, seen grouper) error {
	op := r.open(n)
	defer op.Close()
	var groups, fresh []int32
	for {
		b, err := op.Next(ctx)
		if err != nil {
			return err
		}
		if b == nil {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if seen != nil {
			groups = resize(groups, b.Rows())
			fresh = seen.assign(b, groups, fresh[:0])
			if len(fresh) == 0 {
				continue
			}
			sel := make([]int32, len(fresh))
			for k, i := range fresh {
				sel[k] = int32(b.Row(int(i)))
			}
			c := *b
			c.Sel = sel
			b = &c
		}
		if _, err := s.rows.add(b); err != nil {
			return err
		}
	}
}

// cteRefNode reads a CTE.
type cteRefNode struct {
	id      int
	name    string
	out     []sqltype.Type
	working bool
}

func (n *cteRefNode) types() []sqltype.Type { return n.out }
func (n *cteRefNode) inputs() []node        { return nil }
func (n *cteRefNode) label() string {
	if n.working {
		return fmt.Sprintf("Last rows of %s", n.name)
	}
	return "Read " + n.name
}
func (n *cteRefNode) open(r *run) operator { return &cteRefOp{n: n, r: r} }

type cteRefOp struct {
	n       *cteRefNode
	r       *run
	chunks  []*vector.Batch
	started bool
}

func (o *cteRefOp) Next(ctx context.Context) (*vector.Batch, error) {
	if !o.started {
		o.started = true
		st := o.r.ctes[o.n.id]
		if o.n.working {
			o.chunks = st.working
		} else {
			if err := st.compute(ctx, o.r); err != nil {
				return nil, err
			}
			o.chunks = st.rows.chunks
		}
	}
	if len(o.chunks) == 0 {
		return nil, nil
	}
	b := o.chunks[0]
	o.chunks = o.chunks[1:]
	return b, nil
}

func (o *cteRefOp) Close() { o.started, o.chunks = true, nil }
