package expr

import (
	"math"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/store/vector"
)

// intRange is the integers from lo to hi, both inclusive; lo above hi: none.
type intRange struct{ lo, hi int64 }

var everyInt = intRange{math.MinInt64, math.MaxInt64}

// narrow leaves those for which "op c" is true; op is not <>.
func (r *intRange) narrow(op ast.Op, c int64) {
	lo, hi := c, c
	switch op {
	case ast.OpLt, ast.OpLe:
		lo = math.MinInt64
	case ast.OpGt, ast.OpGe:
		hi = math.MaxInt64
	}
	switch {
	case op == ast.OpLt && c == math.MinInt64, op == ast.OpGt && c == math.MaxInt64:
		lo, hi = math.MaxInt64, math.MinInt64
	case op == ast.OpLt:
		hi--
	case op == ast.OpGt:
		lo++
	}
	r.lo, r.hi = max(r.lo, lo), min(r.hi, hi)
}

// sel writes those of the rows sel, all valid, whose value is in the range to
// dst, which is as long as sel, and returns what it wrote. The loops advance by
// the outcome instead of branching on it.
func (r intRange) sel(a []int64, sel, dst []int32) []int32 {
	if r.lo > r.hi {
		return nil
	}
	lo, width := r.lo, uint64(r.hi)-uint64(r.lo)
	k := 0
	if isIdentity(sel) {
		dst = dst[:len(sel)]
		for i, x := range a[:len(sel)] {
			dst[k] = int32(i)
			if uint64(x)-uint64(lo) <= width {
				k++
			}
		}
		return dst[:k]
	}
	for _, i := range sel {
		dst[k] = i
		if uint64(a[i])-uint64(lo) <= width {
			k++
		}
	}
	return dst[:k]
}

// rangeNode is the conjunction of a lower and an upper bound of an integer
// column, which is anything that is held as integers: dates and times, too.
type rangeNode struct {
	logicNode
	column *columnNode
	slot   int
}

// and compiles a conjunction. Bounds of one column are tested together, where
// the first of them stands: neither can fail, so that this changes nothing but
// the time.
func (c *compiler) and(e *AndExpr) node {
	type side struct {
		column int
		upper  bool
	}
	args := c.nodes(e.Args)
	out := args[:0]
	// open are the places of bounds that wait for one on the other side.
	open := map[side][]int{}
	for _, n := range args {
		col, op, ok := boundOf(n)
		if !ok {
			out = append(out, n)
			continue
		}
		at := side{col.ordinal, upper(op)}
		other := side{col.ordinal, !at.upper}
		if wait := open[other]; len(wait) > 0 {
			first := out[wait[0]]
			open[other] = wait[1:]
			lower, _, _ := boundOf(first)
			out[wait[0]] = &rangeNode{logicNode{args: []node{first, n}, unit: true, slot: c.slot()}, lower, c.slot()}
			continue
		}
		open[at] = append(open[at], len(out))
		out = append(out, n)
	}
	args = out
	if len(args) == 1 {
		return args[0]
	}
	return &logicNode{args: args, unit: true, slot: c.slot()}
}

func upper(op ast.Op) bool { return op == ast.OpLt || op == ast.OpLe }

// boundOf takes "column op value" apart, where both are held as integers and
// the value is one for all rows.
func boundOf(n node) (*columnNode, ast.Op, bool) {
	cmp, ok := n.(*compareNode)
	if !ok || cmp.distinct || cmp.lt.Physical() != sqltype.PhysInt || cmp.rt.Physical() != sqltype.PhysInt {
		return nil, 0, false
	}
	switch cmp.op {
	case ast.OpLt, ast.OpLe, ast.OpGt, ast.OpGe:
	default:
		return nil, 0, false
	}
	if col, ok := cmp.l.(*columnNode); ok && constant(cmp.r) {
		return col, cmp.op, true
	}
	if col, ok := cmp.r.(*columnNode); ok && constant(cmp.l) {
		return col, cmp.op.Commute(), true
	}
	return nil, 0, false
}

func constant(n node) bool {
	switch n.(type) {
	case *constNode, *paramNode:
		return true
	}
	return false
}

func (n *rangeNode) filter(ev *Eval, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	col := in.Cols[n.column.ordinal]
	if !want || col.Const {
		return n.logicNode.filter(ev, in, sel, want)
	}
	r := everyInt
	for _, a := range n.args {
		cmp := a.(*compareNode)
		value, op := cmp.r, cmp.op
		if _, ok := value.(*columnNode); ok {
			value, op = cmp.l, op.Commute()
		}
		v, err := value.row(ev, nil)
		if err != nil || v.IsNull() {
			return nil, err
		}
		r.narrow(op, v.Int())
	}
	m := &ev.mem[n.slot]
	if col.Valid != nil {
		sel = m.validRows(sel, col.Valid, in.Len())
	}
	return r.sel(col.Ints, sel, m.buffer(1, len(sel))[:len(sel)]), nil
}
