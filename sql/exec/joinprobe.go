package exec

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

// keyState is where a left row's matches start; -1 says that its key is NULL.
type keyState int32

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
	if len(keys) == 1 && keys[0].Type.Physical() == sqltype.PhysString {
		v := keys[0]
		i := v.Index(row)
		if v.Valid != nil && !v.Valid.Get(i) {
			return nil, true
		}
		return v.Data[v.Offsets[i]:v.Offsets[i+1]], false
	}
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
	o.probe, o.row, o.settled = b, 0, 0
	o.hit = resize(o.hit, n)
	o.nulls = resize(o.nulls, n)
	o.probeKey = resize(o.probeKey, n)
	asked, err := o.asked.of(o.r, b)
	if err != nil {
		return false, err
	}
	if o.failure != nil && asked.Rows() > 0 {
		return false, o.failure
	}
	if len(o.leftEval) == 0 {
		for i := range o.probeKey {
			if o.asked.has(b.Row(i)) {
				o.probeKey[i] = keyState(min(1, len(o.refs)))
			}
		}
	} else if asked.Rows() > 0 && o.hasKeys() {
		keys := make([]*vector.Vector, len(o.leftEval))
		for k, ev := range o.leftEval {
			if keys[k], err = ev.EvalVector(o.r.ectx, asked); err != nil {
				return false, err
			}
		}
		for i := range n {
			row := b.Row(i)
			if !o.asked.has(row) {
				continue
			}
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

// hasKeys tells whether the keys of left rows say anything: without right rows,
// or where all of these have NULL for a key, they do not, and may fail.
func (o *joinOp) hasKeys() bool {
	n := len(o.heads)
	if o.ints != nil && o.ints.null >= 0 {
		n--
	}
	return n > 0 || o.n.nullAware && o.rows > 0
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

// pairs collects candidates, as many as make a batch with the rows that wait
// for their places among them. It may find none in a part of the probe batch.
func (o *joinOp) pairs() bool {
	room := o.r.batch - o.waiting()
	outer := o.n.keepsLeft()
	o.pairL, o.pairR, o.pairN = o.pairL[:0], o.pairR[:0], o.pairN[:0]
	n := o.probe.Rows()
	hashed := len(o.leftEval) > 0
	for o.row < n && len(o.pairL) < room {
		if o.cur == 0 {
			if k := len(o.pairL); outer && (k == 0 || int(o.pairL[k-1]) != o.row) {
				room-- // it may wait, too
			}
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

// settle puts the left rows without a match in their places among the pairs at
// hand, up to the last of these: the output has the order of the left side.
func (o *joinOp) settle() {
	n, none := len(o.pairL), 0
	last := int(o.pairL[n-1])
	for l := o.settled; l < last; l++ {
		if !o.hit[l] {
			none++
		}
	}
	if none > 0 {
		o.pairL = append(o.pairL, make([]int32, none)...)
		o.pairR = append(o.pairR, make([]ref, none)...)
		// From behind, so that no pair is overwritten before it has moved.
		at := n + none
		for i, l := n-1, last; l >= o.settled; l-- {
			for ; i >= 0 && int(o.pairL[i]) == l; i-- {
				at--
				o.pairL[at], o.pairR[at] = o.pairL[i], o.pairR[i]
			}
			if !o.hit[l] {
				at--
				o.pairL[at], o.pairR[at] = int32(l), noRow
			}
		}
	}
	o.settled = last
}

// pairRows are the pairs' rows in the probe batch.
func (o *joinOp) pairRows() []int32 {
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
		sel := o.pairRows()
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
	if o.n.keepsLeft() {
		o.settle()
	}
	sel := o.pairRows()
	cols := make([]*vector.Vector, len(o.n.keep))
	for i, c := range o.n.keep {
		cols[i] = o.column(c, sel)
	}
	return vector.NewBatch(cols, len(sel)), nil
}
