package exec

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/store/vector"
)

// frameAgg evaluates one aggregate over the frames of a partition's rows.
type frameAgg struct {
	p      *partition
	f      *windowFunc
	args   []*vector.Vector
	counts []bool
	sel    []int32
	// tree are, for frames that slide, the states of blocks of rows: block b of
	// level k has the leaf·2^k rows from row b·leaf·2^k on. A frame is then a
	// few of them, merged, and a few rows, however wide it is.
	tree [][]builtin.AggState
	zero [1]int32
	mem  reservation
}

const (
	// minSlide is from how many rows of a partition on a tree is worth making.
	minSlide = 64
	// leaf is how many rows its smallest blocks have.
	leaf = 16
)

// foldable are the aggregates whose states have one size and stay as they are
// when another merges them. The lists of the others are as long as the frame
// whatever one does.
var foldable = map[string]bool{
	"count": true, "sum": true, "avg": true, "min": true, "max": true, "bool_and": true, "bool_or": true, "every": true,
	"bit_and": true, "bit_or": true, "bit_xor": true, "stddev": true, "stddev_pop": true, "stddev_samp": true,
	"variance": true, "var_pop": true, "var_samp": true,
}

// aggregate evaluates an aggregate over each row's frame. A frame that only
// grows from one row to the next adds what is new; others are put together
// from a tree of states.
func (p *partition) aggregate(ctx context.Context, f *windowFunc, out *vector.Builder) error {
	fr, err := p.frames(ctx, f)
	if err != nil {
		return err
	}
	n := len(p.rows)
	a := &frameAgg{p: p, f: f, args: make([]*vector.Vector, len(f.args)), counts: make([]bool, n), sel: make([]int32, 0, min(n, sortStep)), mem: reservation{acct: p.r.acct}}
	defer a.mem.release()
	for i, c := range f.args {
		a.args[i] = p.store.gatherCol(c, p.rows)
	}
	for i := range n {
		a.counts[i] = true
		if f.filter >= 0 {
			v := p.value(i, f.filter)
			a.counts[i] = !v.IsNull() && v.Bool()
		}
	}
	state := a.fresh()
	start, end := 0, 0
	var last sqltype.Value
	have := false
	for i := range n {
		from, to, err := fr.of(i)
		if err != nil {
			return err
		}
		if (i&63 == 0 || to-from > windowStep) && ctx.Err() != nil {
			return ctx.Err()
		}
		if f.frame.exclude != ast.ExcludeNoOthers {
			if last, err = a.without(ctx, fr, i, from, to); err != nil {
				return err
			}
			out.Append(last)
			continue
		}
		if have && from == start && to == end {
			out.Append(last)
			continue
		}
		if !have || from != start || to < end {
			state = a.fresh()
			if have {
				err = a.cover(ctx, state, from, to)
			} else {
				err = a.add(ctx, state, from, to)
			}
		} else {
			err = a.add(ctx, state, end, to)
		}
		if err != nil {
			return err
		}
		start, end, have = from, to, true
		if last, err = state.Result(0); err != nil {
			return err
		}
		out.Append(last)
	}
	return nil
}

func (a *frameAgg) fresh() builtin.AggState {
	s := a.f.fn.NewState(a.f.spec)
	s.Grow(1)
	return s
}

// add adds the rows from from to before to that count.
func (a *frameAgg) add(ctx context.Context, s builtin.AggState, from, to int) error {
	for from < to {
		end := min(to, from+sortStep)
		a.sel = a.sel[:0]
		for ; from < end; from++ {
			if a.counts[from] {
				a.sel = append(a.sel, int32(from))
			}
		}
		if len(a.sel) == 0 {
			continue
		}
		if err := s.Add(a.p.r.ectx, a.args, a.sel, len(a.counts), nil); err != nil {
			return err
		}
		if from < to && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// without is the aggregate of a frame without the rows that row i excludes:
// itself or its peers, which stand together, so that what is left are at most
// three frames.
func (a *frameAgg) without(ctx context.Context, fr *frames, i, from, to int) (sqltype.Value, error) {
	g := a.p.peer[i]
	lo, hi := a.p.peers[g], a.p.peers[g+1]
	keep := false
	switch a.f.frame.exclude {
	case ast.ExcludeCurrentRow:
		lo, hi = i, i+1
	case ast.ExcludeTies:
		keep = i >= from && i < to
	}
	spans := [][2]int{{from, min(to, lo)}, {max(from, hi), to}}
	if keep {
		spans = [][2]int{spans[0], {i, i + 1}, spans[1]}
	}
	s := a.fresh()
	for _, sp := range spans {
		if sp[0] >= sp[1] {
			continue
		}
		if err := a.cover(ctx, s, sp[0], sp[1]); err != nil {
			return sqltype.Value{}, err
		}
	}
	return s.Result(0)
}

// cover adds the rows of a frame to a state: those at its ends one by one, the
// ones between from the tree.
func (a *frameAgg) cover(ctx context.Context, s builtin.AggState, from, to int) error {
	if !foldable[a.f.fn.Name] || len(a.counts) < minSlide {
		return a.add(ctx, s, from, to)
	}
	if to-from <= 2*leaf {
		return a.add(ctx, s, from, to)
	}
	if a.tree == nil {
		if err := a.build(ctx); err != nil {
			return err
		}
	}
	first, end := (from+leaf-1)/leaf, to/leaf
	if err := a.add(ctx, s, from, first*leaf); err != nil {
		return err
	}
	// In the order of the rows: the blocks that grow, then those that shrink.
	if err := a.blocks(s, 0, first, end); err != nil {
		return err
	}
	return a.add(ctx, s, end*leaf, to)
}

// blocks merges the blocks from first to before end of a level.
func (a *frameAgg) blocks(s builtin.AggState, level, first, end int) error {
	if first >= end {
		return nil
	}
	if level+1 == len(a.tree) {
		for b := first; b < end; b++ {
			if err := a.merge(s, level, b); err != nil {
				return err
			}
		}
		return nil
	}
	if first&1 == 1 {
		if err := a.merge(s, level, first); err != nil {
			return err
		}
		first++
	}
	if err := a.blocks(s, level+1, first/2, end/2); err != nil {
		return err
	}
	if end&1 == 1 && end > first {
		return a.merge(s, level, end-1)
	}
	return nil
}

func (a *frameAgg) merge(s builtin.AggState, level, block int) error {
	return s.Merge(a.tree[level][block], a.zero[:])
}

// build makes the tree.
func (a *frameAgg) build(ctx context.Context) error {
	const each = 200
	if err := a.mem.set(int64(len(a.counts)/leaf*2) * each); err != nil {
		return err
	}
	var level []builtin.AggState
	for from := 0; from+leaf <= len(a.counts); from += leaf {
		if from%sortStep == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		s := a.fresh()
		if err := a.add(ctx, s, from, from+leaf); err != nil {
			return err
		}
		level = append(level, s)
	}
	a.tree = [][]builtin.AggState{level}
	for len(level) > 3 {
		next := make([]builtin.AggState, len(level)/2)
		for i := range next {
			next[i] = a.fresh()
			for _, s := range level[2*i : 2*i+2] {
				if err := next[i].Merge(s, a.zero[:]); err != nil {
					return err
				}
			}
		}
		level = next
		a.tree = append(a.tree, level)
	}
	return nil
}
