package exec

import (
	"context"
	"slices"
	"strings"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/store/vector"
)

// aggregate is one aggregate of an aggNode, by position.
type aggregate struct {
	fn       *builtin.Function
	spec     builtin.AggSpec
	args     []int
	distinct bool
	filter   int
	order    []sortKey
	text     string
}

// aggNode groups by hash. Its columns are the groups, with sets the set's
// number, then the aggregates.
type aggNode struct {
	in     node
	groups []int
	// sets are grouping sets as indexes into groups; nil: one of all.
	sets [][]int
	aggs []aggregate
	out  []sqltype.Type
	text string
}

func (n *aggNode) types() []sqltype.Type { return n.out }
func (n *aggNode) inputs() []node        { return []node{n.in} }
func (n *aggNode) label() string {
	var parts []string
	for i := range n.aggs {
		parts = append(parts, n.aggs[i].text)
	}
	s := "Aggregate " + strings.Join(parts, ", ")
	if len(n.groups) > 0 {
		s += " by " + n.text
	}
	return s
}
func (n *aggNode) open(r *run) operator {
	return &aggOp{n: n, r: r, in: r.open(n.in), mem: reservation{acct: r.acct}}
}

type aggOp struct {
	n   *aggNode
	r   *run
	in  operator
	mem reservation
	// joins are those below that several goroutines run, with their tables.
	joins map[*joinNode]*joinOp
	sets  []*groupSet
	done  bool
	// set and at are the next group to give.
	set, at int
}

// groupSet is the state of one grouping set.
type groupSet struct {
	cols    []int
	grouper grouper
	keys    []*vector.Builder
	vecs    []*vector.Vector
	states  []*aggState
	n       int
	groups  []int32
	fresh   []int32
}

// aggState is one aggregate's state with what the executor adds to it.
type aggState struct {
	a     *aggregate
	state builtin.AggState
	// seen are, for DISTINCT, the groups with their arguments; pairs are the
	// same for one argument that is held as an integer.
	seen  *keyTable
	pairs *pairTable
	key   []byte
	// rows are kept for an aggregate with an ORDER BY of its own.
	store *rowStore
	owner []int32
	args  []*vector.Vector
	sel   []int32
	sub   []int32
}

func (n *aggNode) newSet(r *run, set []int) *groupSet {
	s := &groupSet{}
	for _, g := range set {
		s.cols = append(s.cols, n.groups[g])
	}
	inTypes := n.in.types()
	if len(s.cols) > 0 {
		s.grouper = newGrouper(s.cols, inTypes)
		for _, c := range s.cols {
			s.keys = append(s.keys, vector.NewBuilder(inTypes[c], 16))
		}
	} else {
		s.n = 1
	}
	for i := range n.aggs {
		a := &n.aggs[i]
		st := &aggState{a: a, state: a.fn.NewState(a.spec), args: make([]*vector.Vector, len(a.args))}
		st.state.Grow(s.n)
		if a.distinct && len(a.args) == 1 && inTypes[a.args[0]].Physical() == sqltype.PhysInt {
			st.pairs = newPairTable()
		} else if a.distinct {
			st.seen = newKeyTable()
		}
		if len(a.order) > 0 {
			types := make([]sqltype.Type, 0, len(a.args)+len(a.order))
			for _, c := range a.args {
				types = append(types, inTypes[c])
			}
			for _, k := range a.order {
				types = append(types, inTypes[k.col])
			}
			st.store = newRowStore(types, r)
		}
		s.states = append(s.states, st)
	}
	return s
}

// add takes the rows of a batch.
func (s *groupSet) add(r *run, b *vector.Batch) error {
	n := b.Rows()
	var groups []int32
	if s.grouper != nil {
		if cap(s.groups) < n {
			s.groups = make([]int32, n)
		}
		groups = s.groups[:n]
		s.fresh = s.grouper.assign(b, groups, s.fresh[:0])
		for _, i := range s.fresh {
			row := b.Row(int(i))
			for k, c := range s.cols {
				s.keys[k].AppendFrom(b.Cols[c], row)
			}
		}
		s.n = s.grouper.len()
	}
	for _, st := range s.states {
		st.state.Grow(s.n)
		if err := st.add(r, b, groups); err != nil {
			return err
		}
	}
	return nil
}

func (st *aggState) add(r *run, b *vector.Batch, groups []int32) error {
	a := st.a
	for i, c := range a.args {
		st.args[i] = b.Cols[c]
	}
	sel := b.Sel
	if a.filter >= 0 || a.distinct {
		var f *vector.Vector
		if a.filter >= 0 {
			f = b.Cols[a.filter]
		}
		st.sel, st.sub = st.sel[:0], st.sub[:0]
		for i := range b.Rows() {
			row := b.Row(i)
			if f != nil && (f.IsNull(row) || !f.Bools[f.Index(row)]) {
				continue
			}
			g := int32(0)
			if groups != nil {
				g = groups[i]
			}
			if a.distinct && !st.first(g, row) {
				continue
			}
			st.sel, st.sub = append(st.sel, int32(row)), append(st.sub, g)
		}
		if len(st.sel) == 0 {
			return nil
		}
		sel = st.sel
		if groups != nil {
			groups = st.sub
		}
	}
	if st.store == nil {
		return st.state.Add(r.ectx, st.args, sel, b.Len(), groups)
	}
	cols := slices.Clone(st.args)
	for _, k := range a.order {
		cols = append(cols, b.Cols[k.col])
	}
	kept := vector.NewBatch(cols, b.Len())
	kept.Sel = sel
	if _, err := st.store.add(kept); err != nil {
		return err
	}
	for i := range kept.Rows() {
		if groups == nil {
			st.owner = append(st.owner, 0)
		} else {
			st.owner = append(st.owner, groups[i])
		}
	}
	return nil
}

// first tells whether a row's arguments are new in their group.
func (st *aggState) first(g int32, row int) (fresh bool) {
	if st.pairs != nil {
		x, null := part(st.args[0], row, 1)
		_, fresh = st.pairs.add(int64(g), x, null)
		return fresh
	}
	st.key = appendUint32(st.key[:0], uint32(g))
	for _, v := range st.args {
		st.key = appendEqKey(st.key, v, row)
	}
	_, fresh = st.seen.add(st.key)
	return fresh
}

// finish passes rows that were kept for their order.
func (st *aggState) finish(ctx context.Context, r *run) error {
	if st.store == nil {
		return nil
	}
	keys := make([]sortKey, len(st.a.order))
	for i, k := range st.a.order {
		keys[i] = sortKey{col: len(st.a.args) + i, desc: k.desc, nullsFirst: k.nullsFirst}
	}
	s := newSorter(r, keys)
	defer s.mem.release()
	for c, b := range st.store.chunks {
		if err := s.add(c, b); err != nil {
			return err
		}
	}
	order, err := s.sort(ctx)
	if err != nil {
		return err
	}
	for from := 0; from < len(order); from += r.batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		refs := order[from:min(from+r.batch, len(order))]
		b := st.store.gather(refs)
		groups := make([]int32, len(refs))
		for i, rf := range refs {
			groups[i] = st.owner[st.store.starts[rf.chunk]+int(rf.row)]
		}
		if err := st.state.Add(r.ectx, b.Cols[:len(st.a.args)], nil, b.Len(), groups); err != nil {
			return err
		}
	}
	st.store.release()
	return nil
}

func (s *groupSet) size() int64 {
	var n int64
	if s.grouper != nil {
		n = s.grouper.size()
	}
	for _, k := range s.keys {
		n += int64(k.Size())
	}
	for _, st := range s.states {
		n += int64(st.state.Size())
		if st.seen != nil {
			n += st.seen.size()
		}
		if st.pairs != nil {
			n += st.pairs.size()
		}
	}
	return n
}

func (o *aggOp) build(ctx context.Context) error {
	if o.n.sets == nil {
		all := make([]int, len(o.n.groups))
		for i := range all {
			all[i] = i
		}
		o.sets = []*groupSet{o.n.newSet(o.r, all)}
	}
	for _, set := range o.n.sets {
		o.sets = append(o.sets, o.n.newSet(o.r, set))
	}
	parts, err := o.parts(ctx)
	if err != nil {
		return err
	}
	if parts != nil {
		if err := o.buildParallel(ctx, parts); err != nil {
			return err
		}
	}
	for i := 0; parts == nil; i++ {
		b, err := o.in.Next(ctx)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, s := range o.sets {
			if err := s.add(o.r, b); err != nil {
				return err
			}
		}
		if i&7 == 7 {
			if err := o.reserve(); err != nil {
				return err
			}
		}
	}
	o.in.Close()
	for _, s := range o.sets {
		for _, st := range s.states {
			if err := st.finish(ctx, o.r); err != nil {
				return err
			}
		}
		for _, k := range s.keys {
			s.vecs = append(s.vecs, k.Finish())
		}
	}
	return o.reserve()
}

func (o *aggOp) reserve() error {
	var n int64
	for _, s := range o.sets {
		n += s.size()
	}
	return o.mem.set(n)
}

func (o *aggOp) Next(ctx context.Context) (*vector.Batch, error) {
	if !o.done {
		o.done = true
		if err := o.build(ctx); err != nil {
			return nil, err
		}
	}
	for o.set < len(o.sets) && o.at >= o.sets[o.set].n {
		o.set, o.at = o.set+1, 0
	}
	if o.set >= len(o.sets) {
		return nil, nil
	}
	s := o.sets[o.set]
	from, to := o.at, min(o.at+o.r.batch, s.n)
	o.at = to
	cols := make([]*vector.Vector, 0, len(o.n.out))
	for g := range o.n.groups {
		at := g
		if o.n.sets != nil {
			at = slices.Index(o.n.sets[o.set], g)
		}
		if at < 0 {
			cols = append(cols, vector.NewNulls(o.n.out[g], to-from))
			continue
		}
		cols = append(cols, s.vecs[at].Slice(from, to))
	}
	if o.n.sets != nil {
		cols = append(cols, vector.NewConst(sqltype.TInteger, sqltype.NewInt(sqltype.Integer, int64(o.set)), to-from))
	}
	for _, st := range s.states {
		b := vector.NewBuilder(o.n.out[len(cols)], to-from)
		for g := from; g < to; g++ {
			v, err := st.state.Result(g)
			if err != nil {
				return nil, err
			}
			b.Append(v)
		}
		cols = append(cols, b.Finish())
	}
	return vector.NewBatch(cols, to-from), nil
}

func (o *aggOp) Close() {
	o.done = true
	o.in.Close()
	for _, s := range o.sets {
		for _, st := range s.states {
			if st.store != nil {
				st.store.release()
			}
		}
	}
	o.sets = nil
	o.mem.release()
}
