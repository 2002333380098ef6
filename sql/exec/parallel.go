package exec

import (
	"context"
	"time"

	"github.com/kalamdb/kalamdb/commons/crew"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

// minParallelRows is from how many rows of a table on helpers are worth their
// start.
const minParallelRows = 1 << 16

// split is the scan at the source of an operator that several goroutines can
// run, each over a part of it: filters, projections and joins stand between,
// which give the same whoever computes them. Of a join, whose table is built
// now and noted in joins, the source is the side that is looked up.
func (r *run) split(ctx context.Context, op operator, n node, joins map[*joinNode]*joinOp) (*scanNode, error) {
	observed, seen := op.(*observedOp)
	if seen {
		op = observed.op
	}
	switch n := n.(type) {
	case *scanNode:
		return n, nil
	case *filterNode:
		if n.volatile {
			return nil, nil
		}
		return r.split(ctx, op.(*filterOp).in, n.in, joins)
	case *projectNode:
		if n.volatile {
			return nil, nil
		}
		return r.split(ctx, op.(*projectOp).in, n.in, joins)
	case *joinNode:
		if n.volatile || n.kind == plan.Full {
			return nil, nil
		}
		join := op.(*joinOp)
		start := time.Now()
		err := join.prepare(ctx)
		if seen {
			observed.stats.elapsed += time.Since(start)
		}
		if err != nil || join.limited != nil || join.empty || join.instead != nil || n.kind == plan.Inner && join.rows == 0 {
			return nil, err
		}
		joins[n] = join
		left := join.left
		if peeked, ok := left.(*peekedOp); ok {
			left = peeked.rest
		}
		if again, ok := left.(*replayOp); ok {
			if again.ended {
				return nil, nil
			}
			left = again.rest
		}
		return r.split(ctx, left, join.probed(), joins)
	}
	return nil, nil
}

// parts opens the parts of the scan below an aggregate that several goroutines
// can read, when the aggregates do not depend on the order of the rows. nil:
// one goroutine does it.
func (o *aggOp) parts(ctx context.Context) ([]Scanner, error) {
	if o.r.env.Parallelism < 2 || o.n.sets != nil || !o.n.unordered() {
		return nil, nil
	}
	o.joins = map[*joinNode]*joinOp{}
	scan, err := o.r.split(ctx, o.in, o.n.in, o.joins)
	if err != nil || scan == nil || scan.point || scan.limit != nil {
		return nil, err
	}
	if _, limited := o.r.dynamic[scan]; limited {
		return nil, nil
	}
	t, err := o.r.env.Snapshot.Table(ctx, scan.table)
	if err != nil {
		return nil, err
	}
	split, ok := t.(Partitioned)
	if !ok || t.Rows() < minParallelRows {
		return nil, nil
	}
	req, ok, err := scan.request(o.r)
	if !ok || err != nil {
		return nil, err
	}
	req.Ordered, req.Reverse = false, false
	return split.ScanParts(ctx, req, o.r.env.Parallelism)
}

// unordered tells whether the aggregates give the same, to the last digit, in
// whichever order the rows come: sums of floating point numbers do not.
func (n *aggNode) unordered() bool {
	for i := range n.aggs {
		a := &n.aggs[i]
		if a.distinct || len(a.order) > 0 || !foldable[a.fn.Name] {
			return false
		}
		switch a.fn.Name {
		case "count", "min", "max":
			continue
		}
		for _, t := range a.spec.Args {
			if t.Physical() == sqltype.PhysFloat {
				return false
			}
		}
	}
	return true
}

// openOver opens the steps between an aggregate and a scan over one part of
// the scan.
func openOver(r *run, n node, joins map[*joinNode]*joinOp, part operator) operator {
	if r.stats == nil {
		return openStep(r, n, joins, part)
	}
	own, s := r.observe(n)
	return &observedOp{op: openStep(own, n, joins, part), stats: s}
}

func openStep(r *run, n node, joins map[*joinNode]*joinOp, part operator) operator {
	switch n := n.(type) {
	case *filterNode:
		return &filterOp{r: r, in: openOver(r, n.in, joins, part), eval: n.pred.NewEval()}
	case *projectNode:
		return n.over(r, openOver(r, n.in, joins, part))
	case *joinNode:
		join := joins[n]
		return join.over(r, openOver(r, join.probed(), joins, part))
	}
	return part
}

// partOp gives the rows of a part of a scan.
type partOp struct {
	r  *run
	sc Scanner
}

func (o *partOp) Next(ctx context.Context) (*vector.Batch, error) {
	if err := o.r.env.pause(ctx); err != nil {
		return nil, err
	}
	return o.sc.Next(ctx)
}

func (o *partOp) Close() { o.sc.Close() }

// buildParallel aggregates each part in a goroutine of its own and merges what
// they found. All of them have ended when it returns.
func (o *aggOp) buildParallel(ctx context.Context, parts []Scanner) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := o.sets[0]
	found := make([]*groupSet, len(parts))
	mems := make([]reservation, len(parts))
	stats := make([]map[node]*nodeStats, len(parts))
	var wg crew.Crew
	for i, sc := range parts {
		mems[i].acct = o.r.acct
		if o.r.stats != nil {
			stats[i] = map[node]*nodeStats{}
		}
		wg.Go(func() {
			defer sc.Close()
			var err error
			if found[i], err = o.aggregatePart(ctx, sc, &mems[i], stats[i]); err != nil {
				cancel(err)
			}
		})
	}
	defer func() {
		for i := range mems {
			mems[i].release()
		}
	}()
	wg.Wait()
	o.r.joined(stats)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for i, s := range found {
		if i == 0 {
			o.sets[0] = s
			all = s
			continue
		}
		if err := all.merge(s, len(o.n.in.types())); err != nil {
			return err
		}
		found[i] = nil
	}
	return nil
}

func (o *aggOp) aggregatePart(ctx context.Context, sc Scanner, mem *reservation, stats map[node]*nodeStats) (s *groupSet, err error) {
	r := *o.r
	ectx := *o.r.ectx
	r.ectx, r.stats = &ectx, stats
	set := make([]int, len(o.n.groups))
	for i := range set {
		set[i] = i
	}
	s = o.n.newSet(&r, set)
	in := openOver(&r, o.n.in, o.joins, &partOp{&r, sc})
	for i := 0; ; i++ {
		b, err := in.Next(ctx)
		if err != nil {
			return nil, err
		}
		if b == nil {
			return s, mem.set(s.size())
		}
		if err := s.add(&r, b); err != nil {
			return nil, err
		}
		if i&7 == 7 {
			if err := mem.set(s.size()); err != nil {
				return nil, err
			}
		}
	}
}

// merge takes over the groups of another set of the same aggregate, whose
// input has that many columns.
func (s *groupSet) merge(from *groupSet, width int) error {
	groups := make([]int32, from.n)
	if s.grouper != nil {
		b := vector.NewBatch(make([]*vector.Vector, width), from.n)
		for k, c := range s.cols {
			b.Cols[c] = from.keys[k].Finish()
		}
		s.fresh = s.grouper.assign(b, groups, s.fresh[:0])
		for _, i := range s.fresh {
			for k, c := range s.cols {
				s.keys[k].AppendFrom(b.Cols[c], int(i))
			}
		}
		s.n = s.grouper.len()
	}
	for i, st := range s.states {
		st.state.Grow(s.n)
		if err := st.state.Merge(from.states[i].state, groups); err != nil {
			return err
		}
	}
	return nil
}
