package exec

import (
	"context"
	"time"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// node is one step of a compiled plan. It is immutable; each execution opens
// it anew.
type node interface {
	// types are the types of the columns of its batches, by position.
	types() []sqltype.Type
	// inputs are the steps that this one reads.
	inputs() []node
	// label describes the step in one line of an explained plan.
	label() string
	// open makes the operator of one execution. It does no work yet.
	open(r *run) operator
}

// operator gives the batches of one step of one execution. One goroutine uses
// it.
//
// A batch has at least one row that counts and is valid until the next call;
// nil is the end. The receiver must not change a batch's vectors, and copies
// what it keeps. Operators that loop over input look at the context once a
// batch. After an error the operator is only closed.
type operator interface {
	Next(ctx context.Context) (*vector.Batch, error)
	// Close frees what the operator holds, its inputs included; it may be
	// called twice.
	Close()
}

// run is one execution of a plan.
type run struct {
	env  *Env
	acct *account
	// ectx is the context of every expression. Its Params are the values of
	// the plan's slots, those of outer columns of an apply included.
	ectx  *expr.Context
	batch int
	ctes  map[int]*cteState
	// changed are the rows of the plan's changedNode.
	changed []*vector.Batch
	// earlier are the results of the statement's earlier changes.
	earlier [][]*vector.Batch
	// dynamic are the keys to which a join limits a scan, while it builds.
	dynamic map[*scanNode][]KeyRange
	// newest are the scans of which the newest rows are looked for.
	newest map[*scanNode]*Newest
	// stats is set for EXPLAIN ANALYZE.
	stats map[node]*nodeStats
}

// nodeStats is what EXPLAIN ANALYZE tells of one step: rows and time with its
// inputs, memory without them.
type nodeStats struct {
	opens, rows, batches int64
	elapsed              time.Duration
	// workers is how many goroutines ran the step, where those were several.
	workers int64
	acct    *account
}

// observe is the run that a step opens itself with, so that what it reserves
// is told from what other steps do.
func (r *run) observe(n node) (*run, *nodeStats) {
	s := r.stats[n]
	if s == nil {
		root := r.acct
		if root.up != nil {
			root = root.up
		}
		s = &nodeStats{acct: &account{up: root}}
		r.stats[n] = s
	}
	own := *r
	own.acct = s.acct
	return &own, s
}

// open opens a step, under observation when the run asks for it.
func (r *run) open(n node) operator {
	if r.stats == nil {
		return n.open(r)
	}
	own, s := r.observe(n)
	s.opens++
	return &observedOp{op: n.open(own), stats: s}
}

type observedOp struct {
	op    operator
	stats *nodeStats
}

func (o *observedOp) Next(ctx context.Context) (*vector.Batch, error) {
	start := time.Now()
	b, err := o.op.Next(ctx)
	o.stats.elapsed += time.Since(start)
	if b != nil {
		o.stats.rows += int64(b.Rows())
		o.stats.batches++
	}
	return b, err
}

func (o *observedOp) Close() { o.op.Close() }

// joined adds what several goroutines observed: they work at the same time, so
// the longest time is that of the step.
func (r *run) joined(parts []map[node]*nodeStats) {
	longest := map[node]time.Duration{}
	for _, part := range parts {
		for n, p := range part {
			_, s := r.observe(n)
			s.rows += p.rows
			s.batches += p.batches
			s.workers++
			longest[n] = max(longest[n], p.elapsed)
		}
	}
	for n, d := range longest {
		r.stats[n].elapsed += d
	}
}
