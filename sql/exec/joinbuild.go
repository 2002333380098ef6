package exec

import (
	"context"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

// joinTable is what a join knows of the rows of its right input, by key. Once
// it is built it does not change: several goroutines may look things up in it.
type joinTable struct {
	// swapped says that the table is over the left input, because that is the
	// smaller one; left and right are exchanged then in all but the columns.
	swapped bool
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
	// failure is why there is no table: it comes out once a left row asks for
	// a match.
	failure error
}

// prepare builds the table, once.
func (o *joinOp) prepare(ctx context.Context) error {
	if o.built {
		return nil
	}
	o.built = true
	err := o.build(ctx)
	if err == nil || o.n.kind == plan.Full || o.failed || !ofValues(err) {
		return err
	}
	if o.n.when != nil {
		if o.store != nil {
			o.store.release()
		}
		o.mem.release()
		o.joinTable = &joinTable{failure: err}
		if o.n.instead != nil {
			o.right.Close()
			o.instead = o.n.instead.over(o.r, o.left)
		}
		return nil
	}
	// The side that is stored fails, but without rows of the other side
	// nothing of it is needed.
	if !ended(ctx, o.left) {
		return err
	}
	o.empty = true
	return nil
}

// ended tells whether an operator has no more rows.
func ended(ctx context.Context, op operator) bool {
	b, err := op.Next(ctx)
	return b == nil && err == nil
}

// ofValues tells whether an error is one of a value, such as a division by
// zero, and not of the execution.
func ofValues(err error) bool {
	d, ok := dberr.As(err)
	return ok && (strings.HasPrefix(d.State(), "22") || strings.HasPrefix(d.State(), "21"))
}

func (o *joinOp) build(ctx context.Context) error {
	if err := o.limitScan(ctx); err != nil || o.empty {
		o.failed = err != nil
		return err
	}
	if o.limited != nil {
		defer delete(o.r.dynamic, o.limited)
	} else if o.n.kind == plan.Inner && !o.n.sized && !o.swapped && len(o.n.leftKeys) > 0 && estimate(ctx, o.r, o.n.l) < estimate(ctx, o.r, o.n.r)/2 {
		o.swap()
	}
	if empty, err := o.peek(ctx); empty || err != nil {
		o.empty = empty
		o.right.Close()
		return err
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
		if !keyed && o.n.kind == plan.Mark && o.residual == nil && n > 0 {
			break // one row says all
		}
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
