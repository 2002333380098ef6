package exec

import (
	"context"
	"math"

	"github.com/kalamdb/kalamdb/sql/plan"
)

// estimate is about how many rows a step gives, from the sizes of the tables
// below it. It only chooses between plans that give the same rows.
func estimate(ctx context.Context, r *run, n node) int64 {
	switch n := n.(type) {
	case *scanNode:
		if n.point {
			return int64(len(n.ranges))
		}
		if r.env.Snapshot == nil {
			return math.MaxInt32
		}
		t, err := r.env.Snapshot.Table(ctx, n.table)
		if err != nil {
			return math.MaxInt32
		}
		if n.ranged {
			return t.Rows()/4 + 1
		}
		return t.Rows()
	case *filterNode:
		return estimate(ctx, r, n.in)/3 + 1
	case *projectNode:
		return estimate(ctx, r, n.in)
	case *sortNode:
		return estimate(ctx, r, n.in)
	case *windowNode:
		return estimate(ctx, r, n.in)
	case *distinctNode:
		return estimate(ctx, r, n.in)/2 + 1
	case *aggNode:
		if len(n.groups) == 0 {
			return 1
		}
		return estimate(ctx, r, n.in)/10 + 1
	case *topNNode:
		return min(estimate(ctx, r, n.in), maxHeap)
	case *limitNode:
		if l, err := r.count(n.limit, "LIMIT", math.MaxInt32); err == nil {
			return min(estimate(ctx, r, n.in), l)
		}
		return estimate(ctx, r, n.in)
	case *valuesNode:
		return int64(len(n.rows))
	case *unionNode:
		var sum int64
		for _, in := range n.ins {
			sum += estimate(ctx, r, in)
		}
		return sum
	case *joinNode:
		l, rt := estimate(ctx, r, n.l), estimate(ctx, r, n.r)
		if n.kind == plan.Mark || n.kind == plan.Single {
			return l
		}
		if len(n.leftKeys) == 0 {
			return min(l, math.MaxInt32) * min(rt, math.MaxInt32)
		}
		return max(l, rt)
	case *applyNode:
		return estimate(ctx, r, n.l)
	}
	return 1000
}
