package exec

import (
	"context"

	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

const (
	// minPeek is from how many rows of the side that a join stores on it
	// first looks whether the other side has any.
	minPeek = 1 << 16
	// peekGain is how many times more rows than the other side it must have.
	peekGain = 8
)

// peek tells whether the side of a join that is not stored is seen to be empty.
// Then the join is, too, and the other side, which may be a product of many
// tables, need not be computed.
func (o *joinOp) peek(ctx context.Context) (empty bool, err error) {
	probed, stored := o.n.l, o.n.r
	if o.swapped {
		probed, stored = stored, probed
	}
	if o.n.kind == plan.Full {
		return false, nil
	}
	if steps(stored) <= steps(probed) {
		if n := estimate(ctx, o.r, stored); n < minPeek || n/peekGain < estimate(ctx, o.r, probed) {
			return false, nil
		}
	}
	b, err := o.left.Next(ctx)
	o.failed = err != nil
	if o.failed && o.n.kind == plan.Inner && ofValues(err) {
		// Nothing of what fails is needed when the other side has no rows.
		if ended(ctx, o.right) {
			return true, nil
		}
	}
	if b == nil || err != nil {
		return err == nil, err
	}
	o.left = &peekedOp{first: b, rest: o.left}
	return false, nil
}

// steps counts the joins and the subqueries below a node: how many rows they
// give is a guess, so a side with more of them is taken to be the heavier one.
func steps(n node) int {
	sum := 0
	switch n.(type) {
	case *joinNode, *applyNode:
		sum++
	}
	for _, in := range n.inputs() {
		sum += steps(in)
	}
	return sum
}

// peekedOp gives a batch that was taken from an operator, then the rest.
type peekedOp struct {
	first *vector.Batch
	rest  operator
}

func (o *peekedOp) Next(ctx context.Context) (*vector.Batch, error) {
	if b := o.first; b != nil {
		o.first = nil
		return b, nil
	}
	return o.rest.Next(ctx)
}

func (o *peekedOp) Close() { o.rest.Close() }
