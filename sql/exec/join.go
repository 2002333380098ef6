package exec

import (
	"context"
	"fmt"
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

// joinNode joins by a hash table over its right input where there are keys,
// else by comparing every pair. Its rows are the left columns, then the right
// ones or the mark.
type joinNode struct {
	kind plan.JoinKind
	l, r node
	// leftKeys and rightKeys are equal in matching rows, pair by pair, and
	// have one representation.
	leftKeys, rightKeys []*expr.Program
	// residual is the rest of the condition, over left and right columns.
	residual *expr.Program
	// nullAware, for a Mark join with keys, makes a NULL key give NULL rather
	// than false, as IN does.
	nullAware bool
	// sized says that the right side is known to be the smaller one.
	sized bool
	// tested says that a NULL residual makes the mark NULL rather than
	// nothing.
	tested bool
	// leftScan and rightScan are set for a side that can be limited to the
	// keys of the other.
	leftScan, rightScan *keyedScan
	// keep are the columns of the output, and read those of the residual, as
	// positions in the left columns followed by the right ones.
	keep, read []int
	// sides are for both inputs the columns that are kept of their rows when
	// the table is over them, stored where among those each column is.
	sides  [2][]int
	stored []int

	out  []sqltype.Type
	text string
}

func (n *joinNode) types() []sqltype.Type { return n.out }
func (n *joinNode) inputs() []node        { return []node{n.l, n.r} }
func (n *joinNode) label() string {
	how := "Nested loop"
	if len(n.leftKeys) > 0 {
		how = "Hash"
	}
	s := fmt.Sprintf("%s %s join", how, n.kind)
	if n.text != "" {
		s += " on " + n.text
	}
	return s
}

// place works out which columns the table keeps.
func (n *joinNode) place() {
	nl, nr := len(n.l.types()), len(n.r.types())
	n.stored = make([]int, nl+nr)
	for c := range n.stored {
		if !slices.Contains(n.keep, c) && !slices.Contains(n.read, c) {
			continue
		}
		side, at := 0, c
		if c >= nl {
			side, at = 1, c-nl
		}
		n.stored[c] = len(n.sides[side])
		n.sides[side] = append(n.sides[side], at)
	}
}

func (n *joinNode) open(r *run) operator {
	o := &joinOp{n: n, r: r, left: r.open(n.l), right: r.open(n.r), mem: reservation{acct: r.acct}}
	for _, p := range n.leftKeys {
		o.leftEval = append(o.leftEval, p.NewEval())
	}
	for _, p := range n.rightKeys {
		o.rightEval = append(o.rightEval, p.NewEval())
	}
	if n.residual != nil {
		o.residual = n.residual.NewEval()
	}
	return o
}

type joinOp struct {
	n                   *joinNode
	r                   *run
	left, right         operator
	leftEval, rightEval []*expr.Eval
	residual            *expr.Eval
	mem                 reservation

	built bool
	// swapped says that the table is over the left input, because that is the
	// smaller one; left and right are exchanged then in all but the columns.
	swapped bool
	// limited is the scan that is limited to the keys of the other side.
	limited *scanNode
	store   *rowStore
	refs    []ref
	// rows counts the right rows.
	rows int
	// heads are the first rows of the keys that bytes, pair or ints number,
	// next the one after each row; both count from 1, 0 is none.
	heads []int32
	bytes *keyTable
	pair  *pairTable
	ints  *intGrouper
	next  []int32
	// nullKeys says that a right row has a NULL key.
	nullKeys bool
	// matched marks right rows, for a Full join.
	matched []bool

	// probe is the left batch at work; cur and row are the next pair to try.
	probe    *vector.Batch
	probeKey []keyState
	hit      []bool
	nulls    []bool
	row      int
	cur      int32
	key      []byte
	// pairs are the candidates at hand.
	pairL []int32
	pairR []ref
	pairN []int32
	sel   []int32

	rest int
}

// keyState is where a left row's matches start; -1 says that its key is NULL.
type keyState int32

// swap builds over the left input instead.
func (o *joinOp) swap() {
	o.swapped = true
	o.left, o.right = o.right, o.left
	o.leftEval, o.rightEval = o.rightEval, o.leftEval
}

func (o *joinOp) build(ctx context.Context) error {
	if err := o.limitScan(ctx); err != nil {
		return err
	}
	if o.limited != nil {
		defer delete(o.r.dynamic, o.limited)
	} else if o.n.kind == plan.Inner && !o.n.sized && !o.swapped && len(o.n.leftKeys) > 0 && estimate(ctx, o.r, o.n.l) < estimate(ctx, o.r, o.n.r)/2 {
		o.swap()
	}
	inner, kept := o.n.r, o.n.sides[1]
	if o.swapped {
		inner, kept = o.n.l, o.n.sides[0]
	}
	types := make([]sqltype.Type, len(kept))
	for i, c := range kept {
		types[i] = inner.types()[c]
	}
	o.store = newRowStore(types, o.r)
	keyed := len(o.n.rightKeys) > 0
	intKey := len(o.n.rightKeys) == 1 && o.n.rightKeys[0].Type().Physical() == sqltype.PhysInt && o.n.leftKeys[0].Type().Physical() == sqltype.PhysInt
	if intKey {
		o.ints = newIntGrouper(0)
	} else if keyed && o.n.pairKeys() {
		o.pair = newPairTable()
	} else if keyed {
		o.bytes = newKeyTable()
	}
	keys := make([]*vector.Vector, len(o.rightEval))
	// A mark that the keys alone decide needs no rows.
	keysOnly := o.n.kind == plan.Mark && o.residual == nil && keyed
	var groups, fresh []int32
	for {
		b, err := o.right.Next(ctx)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if keysOnly {
			if err := o.addKeys(b, keys, &groups, &fresh); err != nil {
				return err
			}
			continue
		}
		base, n := int32(o.store.rows), b.Rows()
		for k, ev := range o.rightEval {
			if keys[k], err = ev.EvalVector(o.r.ectx, b); err != nil {
				return err
			}
		}
		part := vector.NewBatch(make([]*vector.Vector, len(kept)), b.Len())
		for i, c := range kept {
			part.Cols[i] = b.Cols[c]
		}
		part.Sel = b.Sel
		if _, err := o.store.add(part); err != nil {
			return err
		}
		chunk := int32(len(o.store.chunks) - 1)
		for i := range n {
			o.refs = append(o.refs, ref{chunk, int32(i)})
		}
		o.rows += n
		if !keyed {
			continue
		}
		for range n {
			o.next = append(o.next, 0)
		}
		if intKey {
			groups = resize(groups, n)
			kb := vector.NewBatch(keys, b.Len())
			kb.Sel = b.Sel
			fresh = o.ints.assign(kb, groups, fresh[:0])
			for len(o.heads) < o.ints.n {
				o.heads = append(o.heads, 0)
			}
			for i, g := range groups {
				if g == o.ints.null {
					o.nullKeys = true
					continue
				}
				o.next[base+int32(i)] = o.heads[g]
				o.heads[g] = base + int32(i) + 1
			}
		} else {
			for i := range n {
				g := o.number(keys, b.Row(i), 0)
				if g < 0 {
					o.nullKeys = true
					continue
				}
				o.next[base+int32(i)] = o.heads[g]
				o.heads[g] = base + int32(i) + 1
			}
		}
		size := int64(len(o.refs))*8 + int64(len(o.next)+len(o.heads))*4 + o.tableSize()
		if err := o.mem.set(size); err != nil {
			return err
		}
	}
	o.right.Close()
	if o.n.kind == plan.Full {
		o.matched = make([]bool, len(o.refs))
	}
	return nil
}

// addKeys takes the keys of a right batch, without its rows.
func (o *joinOp) addKeys(b *vector.Batch, keys []*vector.Vector, groups, fresh *[]int32) error {
	var err error
	for k, ev := range o.rightEval {
		if keys[k], err = ev.EvalVector(o.r.ectx, b); err != nil {
			return err
		}
	}
	o.rows += b.Rows()
	kb := vector.NewBatch(keys, b.Len())
	kb.Sel = b.Sel
	if o.ints != nil {
		*groups = resize(*groups, b.Rows())
		*fresh = o.ints.assign(kb, *groups, (*fresh)[:0])
		for len(o.heads) < o.ints.n {
			o.heads = append(o.heads, 1)
		}
		o.nullKeys = o.ints.null >= 0
		return o.mem.set(o.tableSize() + int64(len(o.heads))*4)
	}
	for i := range b.Rows() {
		if o.number(keys, b.Row(i), 1) < 0 {
			o.nullKeys = true
		}
	}
	return o.mem.set(o.tableSize() + int64(len(o.heads))*4)
}

func (o *joinOp) tableSize() int64 {
	switch {
	case o.ints != nil:
		return o.ints.size()
	case o.pair != nil:
		return o.pair.size()
	case o.bytes != nil:
		return o.bytes.size()
	}
	return 0
}

// pairKeys tells whether the keys are two integers.
func (n *joinNode) pairKeys() bool {
	if len(n.leftKeys) != 2 {
		return false
	}
	for i := range 2 {
		if n.leftKeys[i].Type().Physical() != sqltype.PhysInt || n.rightKeys[i].Type().Physical() != sqltype.PhysInt {
			return false
		}
	}
	return true
}

// number is the number of a row's key, -1 when that has a NULL; the head of a
// new one is head.
func (o *joinOp) number(keys []*vector.Vector, row int, head int32) (n int32) {
	var fresh bool
	if o.pair != nil {
		a, null1 := part(keys[0], row, 1)
		b, null2 := part(keys[1], row, 2)
		if null1|null2 != 0 {
			return -1
		}
		n, fresh = o.pair.add(a, b, 0)
	} else {
		key, null := o.encode(keys, row)
		if null {
			return -1
		}
		n, fresh = o.bytes.add(key)
	}
	if fresh {
		o.heads = append(o.heads, head)
	}
	return n
}

// find is where the matches of a left row start.
func (o *joinOp) find(keys []*vector.Vector, row int) keyState {
	n := int32(-1)
	if o.pair != nil {
		a, null1 := part(keys[0], row, 1)
		b, null2 := part(keys[1], row, 2)
		if null1|null2 != 0 {
			return -1
		}
		n = o.pair.find(a, b)
	} else {
		key, null := o.encode(keys, row)
		if null {
			return -1
		}
		n = o.bytes.find(key)
	}
	if n < 0 {
		return 0
	}
	return keyState(o.heads[n])
}

// encode makes the bytes of a row's keys; null says that one is NULL.
func (o *joinOp) encode(keys []*vector.Vector, row int) (key []byte, null bool) {
	o.key = o.key[:0]
	for _, k := range keys {
		if k.IsNull(row) {
			return nil, true
		}
		o.key = appendEqKey(o.key, k, row)
	}
	return o.key, false
}

// start takes the next left batch and finds where the matches of its rows
// start.
func (o *joinOp) start(ctx context.Context) (bool, error) {
	b, err := o.left.Next(ctx)
	if b == nil || err != nil {
		return false, err
	}
	n := b.Rows()
	o.probe, o.row = b, 0
	o.hit = resize(o.hit, n)
	o.nulls = resize(o.nulls, n)
	o.probeKey = resize(o.probeKey, n)
	if len(o.leftEval) == 0 {
		for i := range o.probeKey {
			o.probeKey[i] = keyState(min(1, len(o.refs)))
		}
	} else {
		keys := make([]*vector.Vector, len(o.leftEval))
		for k, ev := range o.leftEval {
			if keys[k], err = ev.EvalVector(o.r.ectx, b); err != nil {
				return false, err
			}
		}
		for i := range n {
			row := b.Row(i)
			if o.ints != nil {
				o.probeKey[i] = o.findInt(keys[0], row)
				continue
			}
			o.probeKey[i] = o.find(keys, row)
		}
	}
	o.cur = o.first(0)
	return true, nil
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

func (o *joinOp) findInt(v *vector.Vector, row int) keyState {
	i := v.Index(row)
	if v.Valid != nil && !v.Valid.Get(i) {
		return -1
	}
	key := v.Ints[i]
	at := o.ints.slot(key)
	for {
		s := o.ints.slots[at]
		switch {
		case s.group == 0:
			return 0
		case s.key == key:
			return keyState(o.heads[s.group-1])
		}
		at = (at + 1) & (len(o.ints.slots) - 1)
	}
}

// first is where the matches of the i-th row start; 0: none.
func (o *joinOp) first(i int) int32 {
	if i < len(o.probeKey) && o.probeKey[i] > 0 {
		return int32(o.probeKey[i])
	}
	return 0
}

// pairs collects candidates up to a batch's size; false: the probe batch has
// no more.
func (o *joinOp) pairs() bool {
	o.pairL, o.pairR, o.pairN = o.pairL[:0], o.pairR[:0], o.pairN[:0]
	n := o.probe.Rows()
	hashed := len(o.leftEval) > 0
	for o.row < n && len(o.pairL) < o.r.batch {
		if o.cur == 0 {
			o.row++
			o.cur = o.first(o.row)
			continue
		}
		at := o.cur - 1
		o.pairL = append(o.pairL, int32(o.row))
		o.pairR = append(o.pairR, o.refs[at])
		o.pairN = append(o.pairN, at)
		if hashed {
			o.cur = o.next[at]
		} else if o.cur++; int(o.cur) > len(o.refs) {
			o.cur = 0
		}
	}
	return len(o.pairL) > 0
}

// column gathers a column, by its position in both sides, of the pairs at
// hand; sel are the pairs' rows in the probe batch.
func (o *joinOp) column(c int, sel []int32) *vector.Vector {
	nl := len(o.n.l.types())
	right := c >= nl
	if right != o.swapped {
		return o.store.gatherCol(o.n.stored[c], o.pairR)
	}
	if right {
		c -= nl
	}
	return o.probe.Cols[c].Gather(sel)
}

// probed are the pairs' rows in the probe batch.
func (o *joinOp) probed() []int32 {
	o.sel = o.sel[:0]
	for _, l := range o.pairL {
		o.sel = append(o.sel, int32(o.probe.Row(int(l))))
	}
	return o.sel
}

// candidates makes the batch of those pairs at hand for which the rest of the
// condition is true, and marks the rows that matched. What only the output
// needs is gathered for these alone.
func (o *joinOp) candidates() (*vector.Batch, error) {
	if o.residual != nil {
		sel := o.probed()
		b := vector.NewBatch(make([]*vector.Vector, len(o.n.stored)), len(sel))
		for _, c := range o.n.read {
			b.Cols[c] = o.column(c, sel)
		}
		if o.n.kind == plan.Mark {
			v, err := o.residual.EvalVector(o.r.ectx, b)
			if err != nil {
				return nil, err
			}
			for i, l := range o.pairL {
				if v.IsNull(i) {
					o.nulls[l] = o.nulls[l] || o.n.tested
				} else if v.Bools[v.Index(i)] {
					o.hit[l] = true
				}
			}
			return nil, nil
		}
		keep, err := o.residual.Filter(o.r.ectx, b)
		if err != nil {
			return nil, err
		}
		for k, i := range keep {
			o.pairL[k], o.pairR[k], o.pairN[k] = o.pairL[i], o.pairR[i], o.pairN[i]
		}
		o.pairL, o.pairR, o.pairN = o.pairL[:len(keep)], o.pairR[:len(keep)], o.pairN[:len(keep)]
	}
	for i, l := range o.pairL {
		if o.hit[l] && o.n.kind == plan.Single {
			return nil, errManyRows()
		}
		o.hit[l] = true
		if o.matched != nil {
			o.matched[o.pairN[i]] = true
		}
	}
	if len(o.pairL) == 0 {
		return nil, nil
	}
	sel := o.probed()
	cols := make([]*vector.Vector, len(o.n.keep))
	for i, c := range o.n.keep {
		cols[i] = o.column(c, sel)
	}
	return vector.NewBatch(cols, len(sel)), nil
}

func errManyRows() error {
	return dberr.New(dberr.InvalidSQL, "more than one row returned by a subquery used as an expression").WithState("21000")
}

func (o *joinOp) Next(ctx context.Context) (*vector.Batch, error) {
	if !o.built {
		o.built = true
		if err := o.build(ctx); err != nil {
			return nil, err
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if o.probe == nil {
			if o.n.kind == plan.Inner && o.rows == 0 {
				o.left.Close()
				return nil, nil
			}
			ok, err := o.start(ctx)
			if err != nil {
				return nil, err
			}
			if !ok {
				return o.restOfRight()
			}
		}
		if o.n.kind == plan.Mark && o.residual == nil {
			// The keys say all.
			for i, k := range o.probeKey {
				o.hit[i] = k > 0
			}
			o.row = o.probe.Rows()
		}
		for o.pairs() {
			b, err := o.candidates()
			if b != nil || err != nil {
				return b, err
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		b := o.probe
		o.probe = nil
		switch o.n.kind {
		case plan.Mark:
			return o.mark(b), nil
		case plan.Left, plan.Full, plan.Single:
			if out := o.unmatched(b); out != nil {
				return out, nil
			}
		}
	}
}

// mark adds the mark to the probe batch.
func (o *joinOp) mark(b *vector.Batch) *vector.Batch {
	v := vector.New(sqltype.TBoolean, b.Len())
	for i := range b.Rows() {
		row := b.Row(i)
		switch {
		case o.hit[i]:
			v.Bools[row] = true
		case o.nulls[i]:
			v.SetNull(row)
		case o.n.nullAware && o.rows > 0 && (o.nullKeys || o.probeKey[i] < 0):
			v.SetNull(row)
		}
	}
	out := vector.NewBatch(append(b.Cols[:len(b.Cols):len(b.Cols)], v), b.Len())
	out.Sel = b.Sel
	return out
}

// unmatched gives the left rows without a match, with NULLs on the right.
func (o *joinOp) unmatched(b *vector.Batch) *vector.Batch {
	sel := make([]int32, 0, b.Rows())
	for i := range b.Rows() {
		if !o.hit[i] {
			sel = append(sel, int32(b.Row(i)))
		}
	}
	if len(sel) == 0 {
		return nil
	}
	cols := make([]*vector.Vector, len(o.n.keep))
	for i, c := range o.n.keep {
		if c < len(b.Cols) {
			cols[i] = b.Cols[c]
		} else {
			cols[i] = vector.NewNulls(o.n.out[i], b.Len())
		}
	}
	out := vector.NewBatch(cols, b.Len())
	out.Sel = sel
	return out
}

// restOfRight gives the right rows of a Full join that nothing matched.
func (o *joinOp) restOfRight() (*vector.Batch, error) {
	if o.matched == nil {
		return nil, nil
	}
	var refs []ref
	for o.rest < len(o.refs) && len(refs) < o.r.batch {
		if !o.matched[o.rest] {
			refs = append(refs, o.refs[o.rest])
		}
		o.rest++
	}
	if len(refs) == 0 {
		return nil, nil
	}
	cols := make([]*vector.Vector, len(o.n.keep))
	for i, c := range o.n.keep {
		if c < len(o.n.l.types()) {
			cols[i] = vector.NewNulls(o.n.out[i], len(refs))
		} else {
			cols[i] = o.store.gatherCol(o.n.stored[c], refs)
		}
	}
	return vector.NewBatch(cols, len(refs)), nil
}

func (o *joinOp) Close() {
	o.left.Close()
	o.right.Close()
	if o.store != nil {
		o.store.release()
	}
	o.mem.release()
}
