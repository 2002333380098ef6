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
	// round is the first chunk that the step has not seen yet.
	round int
	// seen are the rows so far, where they are to be distinct.
	seen grouper
	// failed is why it could not be computed.
	failed error
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

// more computes until there is a chunk of the number, or no more. A recursive
// CTE goes round by round, no further than somebody reads.
func (s *cteState) more(ctx context.Context, r *run, chunk int) (ok bool, err error) {
	if s.failed != nil {
		return false, s.failed
	}
	defer func() { s.failed = err }()
	if s.rows == nil {
		s.rows = newRowStore(s.def.in.types(), r)
		if s.def.step != nil && s.def.distinct {
			all := make([]int, len(s.def.in.types()))
			for i := range all {
				all[i] = i
			}
			s.seen = &bytesGrouper{cols: all, keys: newKeyTable()}
		}
		if err := s.drain(ctx, r, s.def.in); err != nil {
			return false, err
		}
	}
	for s.def.step != nil && chunk >= len(s.rows.chunks) && s.round < len(s.rows.chunks) {
		s.working = s.rows.chunks[s.round:]
		s.round = len(s.rows.chunks)
		if err := s.drain(ctx, r, s.def.step); err != nil {
			return false, err
		}
	}
	return chunk < len(s.rows.chunks), nil
}

// drain adds the rows of a step that were not seen before.
func (s *cteState) drain(ctx context.Context, r *run, n node) error {
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
		if err := r.env.pause(ctx); err != nil {
			return err
		}
		if s.seen != nil {
			groups = resize(groups, b.Rows())
			fresh = s.seen.assign(b, groups, fresh[:0])
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
	n *cteRefNode
	r *run
	// chunks are the working rows, taken when the first is asked for.
	chunks  []*vector.Batch
	started bool
	at      int
}

func (o *cteRefOp) Next(ctx context.Context) (*vector.Batch, error) {
	st := o.r.ctes[o.n.id]
	if !o.n.working {
		ok, err := st.more(ctx, o.r, o.at)
		if !ok || err != nil {
			return nil, err
		}
		o.at++
		return st.rows.chunks[o.at-1], nil
	}
	if !o.started {
		o.started, o.chunks = true, st.working
	}
	if o.at >= len(o.chunks) {
		return nil, nil
	}
	o.at++
	return o.chunks[o.at-1], nil
}

func (o *cteRefOp) Close() { o.started, o.chunks = true, nil }
