package exec

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/store/vector"
)

// windowFunc is one function of a windowNode, by position.
type windowFunc struct {
	fn          *builtin.Function
	spec        builtin.AggSpec
	args        []int
	filter      int
	ignoreNulls bool
	frame       windowFrame
	out         sqltype.Type
	text        string
}

// windowNode computes window functions: it sorts all rows by partition and
// order once, then goes through each partition.
type windowNode struct {
	in        node
	partition []int
	order     []sortKey
	funcs     []windowFunc
	out       []sqltype.Type
	text      string
}

func (n *windowNode) types() []sqltype.Type { return n.out }
func (n *windowNode) inputs() []node        { return []node{n.in} }
func (n *windowNode) label() string {
	var names []string
	for i := range n.funcs {
		names = append(names, n.funcs[i].text)
	}
	return "Window " + strings.Join(names, ", ") + n.text
}
func (n *windowNode) open(r *run) operator {
	return &windowOp{n: n, r: r, in: r.open(n.in), mem: reservation{acct: r.acct}}
}

type windowOp struct {
	n     *windowNode
	r     *run
	in    operator
	mem   reservation
	store *rowStore
	rows  []ref
	// results are the functions' values by sorted row.
	results []*vector.Vector
	at      int
	done    bool
}

// partition is the rows from to end of the sorted ones, with the number of
// each row's group of peers.
type partition struct {
	rows  []ref
	peer  []int
	peers []int
	store *rowStore
	r     *run
	n     *windowNode
}

// peerless are the functions that do not ask which rows are equal in the order.
var peerless = map[string]bool{"row_number": true, "ntile": true, "lag": true, "lead": true}

// windowStep is how many rows are worked on between two looks at the context.
const windowStep = 4096

func (o *windowOp) build(ctx context.Context) error {
	o.store = newRowStore(o.n.in.types(), o.r)
	keys := make([]sortKey, 0, len(o.n.partition)+len(o.n.order))
	for _, c := range o.n.partition {
		keys = append(keys, sortKey{col: c})
	}
	keys = append(keys, o.n.order...)
	s := newSorter(o.r, keys)
	defer s.mem.release()
	var err error
	if o.rows, err = s.sortAll(ctx, o.in, o.store); err != nil {
		return err
	}
	if err := o.mem.set(int64(len(o.rows)) * int64(8+24*len(o.n.funcs))); err != nil {
		return err
	}
	builders := make([]*vector.Builder, len(o.n.funcs))
	for i := range builders {
		builders[i] = vector.NewBuilder(o.n.funcs[i].out, len(o.rows))
	}
	peers := slices.ContainsFunc(o.n.funcs, func(f windowFunc) bool { return !peerless[f.fn.Name] })
	var partKey, orderKey, pk, ok []byte
	for from := 0; from < len(o.rows); {
		p := &partition{store: o.store, r: o.r, n: o.n}
		to := from
		for ; to < len(o.rows); to++ {
			if to%windowStep == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			rf := o.rows[to]
			cols := o.store.chunks[rf.chunk].Cols
			pk = pk[:0]
			for _, c := range o.n.partition {
				pk = appendEqKey(pk, cols[c], int(rf.row))
			}
			if to > from && !bytes.Equal(pk, partKey) {
				break
			}
			partKey = append(partKey[:0], pk...)
			if !peers {
				continue
			}
			ok = appendRowKey(ok[:0], o.n.order, cols, int(rf.row))
			if to == from || !bytes.Equal(ok, orderKey) {
				p.peers = append(p.peers, to-from)
			}
			p.peer = append(p.peer, len(p.peers)-1)
			orderKey = append(orderKey[:0], ok...)
		}
		p.rows = o.rows[from:to]
		p.peers = append(p.peers, to-from)
		for i := range o.n.funcs {
			if err := p.compute(ctx, &o.n.funcs[i], builders[i]); err != nil {
				return err
			}
		}
		from = to
	}
	for _, b := range builders {
		o.results = append(o.results, b.Finish())
	}
	return nil
}

func (o *windowOp) Next(ctx context.Context) (*vector.Batch, error) {
	if !o.done {
		o.done = true
		if err := o.build(ctx); err != nil {
			return nil, err
		}
	}
	if o.at >= len(o.rows) {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	to := min(o.at+o.r.batch, len(o.rows))
	b := o.store.gather(o.rows[o.at:to])
	for _, v := range o.results {
		b.Cols = append(b.Cols, v.Slice(o.at, to))
	}
	o.at = to
	return b, nil
}

func (o *windowOp) Close() {
	o.done, o.rows = true, nil
	o.in.Close()
	if o.store != nil {
		o.store.release()
	}
	o.mem.release()
}

// value is a column of the i-th row of the partition.
func (p *partition) value(i, col int) sqltype.Value { return p.store.value(p.rows[i], col) }

func (p *partition) compute(ctx context.Context, f *windowFunc, out *vector.Builder) error {
	n := len(p.rows)
	big := func(v int) { out.AppendInt(int64(v)) }
	switch f.fn.Name {
	case "row_number":
		for i := range n {
			big(i + 1)
		}
	case "rank":
		for i := range n {
			big(p.peers[p.peer[i]] + 1)
		}
	case "dense_rank":
		for i := range n {
			big(p.peer[i] + 1)
		}
	case "percent_rank":
		for i := range n {
			if n == 1 {
				out.AppendFloat(0)
				continue
			}
			out.AppendFloat(float64(p.peers[p.peer[i]]) / float64(n-1))
		}
	case "cume_dist":
		for i := range n {
			out.AppendFloat(float64(p.peers[p.peer[i]+1]) / float64(n))
		}
	case "ntile":
		return p.ntile(f, out)
	case "lag", "lead":
		return p.shift(ctx, f, out)
	case "first_value", "last_value", "nth_value":
		return p.pick(ctx, f, out)
	default:
		if f.fn.Kind == builtin.Aggregate {
			return p.aggregate(ctx, f, out)
		}
		return dberr.Newf(dberr.Unsupported, "window function %s is not supported", f.fn.Name)
	}
	return nil
}

func (p *partition) ntile(f *windowFunc, out *vector.Builder) error {
	n := int64(len(p.rows))
	buckets := p.value(0, f.args[0])
	if buckets.IsNull() {
		for range n {
			out.AppendNull()
		}
		return nil
	}
	k := buckets.Int()
	if k <= 0 {
		return dberr.New(dberr.ValueOutOfRange, "argument of ntile must be greater than zero").WithState("22014")
	}
	size, larger := n/k, n%k
	for i := range n {
		if i < larger*(size+1) {
			out.AppendInt(i/(size+1) + 1)
		} else {
			out.AppendInt(larger + (i-larger*(size+1))/max(size, 1) + 1)
		}
	}
	return nil
}

// shift is lag and lead.
func (p *partition) shift(ctx context.Context, f *windowFunc, out *vector.Builder) error {
	steps := 0
	for i := range p.rows {
		if i%windowStep == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		off := int64(1)
		if len(f.args) > 1 {
			v := p.value(i, f.args[1])
			if v.IsNull() {
				out.AppendNull()
				continue
			}
			off = v.Int()
		}
		if f.fn.Name == "lag" {
			off = -off
		}
		at, found := int64(i)+off, true
		if f.ignoreNulls && off != 0 {
			step, left := int64(1), off
			if off < 0 {
				step, left = -1, -off
			}
			for at = int64(i); left > 0; {
				at += step
				if at < 0 || at >= int64(len(p.rows)) {
					break
				}
				if steps++; steps%windowStep == 0 && ctx.Err() != nil {
					return ctx.Err()
				}
				if !p.value(int(at), f.args[0]).IsNull() {
					left--
				}
			}
		}
		found = at >= 0 && at < int64(len(p.rows))
		switch {
		case found:
			out.Append(p.value(int(at), f.args[0]))
		case len(f.args) > 2:
			out.Append(p.value(i, f.args[2]))
		default:
			out.AppendNull()
		}
	}
	return nil
}

// pick is first_value, last_value and nth_value: a row of the frame.
func (p *partition) pick(ctx context.Context, f *windowFunc, out *vector.Builder) error {
	fr, err := p.frames(ctx, f)
	if err != nil {
		return err
	}
	steps := 0
	for i := range p.rows {
		if i&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		from, to, err := fr.of(i)
		if err != nil {
			return err
		}
		want, back := int64(1), f.fn.Name == "last_value"
		if f.fn.Name == "nth_value" {
			v := p.value(i, f.args[1])
			if v.IsNull() {
				out.AppendNull()
				continue
			}
			if want = v.Int(); want <= 0 {
				return dberr.New(dberr.ValueOutOfRange, "argument of nth_value must be greater than zero").WithState("22016")
			}
		}
		if f.frame.exclude == ast.ExcludeNoOthers && !f.ignoreNulls {
			at := int64(from) + want - 1
			if back {
				at = int64(to) - 1
			}
			if at < int64(from) || at >= int64(to) {
				out.AppendNull()
			} else {
				out.Append(p.value(int(at), f.args[0]))
			}
			continue
		}
		v := sqltype.NullOf(f.out.Kind)
		for k := from; k < to; k++ {
			if steps++; steps%windowStep == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			at := k
			if back {
				at = to - 1 - (k - from)
			}
			if fr.excluded(i, at) || f.ignoreNulls && p.value(at, f.args[0]).IsNull() {
				continue
			}
			if want--; want == 0 {
				v = p.value(at, f.args[0])
				break
			}
		}
		out.Append(v)
	}
	return nil
}
