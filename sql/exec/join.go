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
	// when, if not nil, is a condition over the left columns: a row for which
	// it is not true has no match, and nothing is computed for it.
	when *expr.Program
	// instead, if not nil, is what the join falls back on when its right side
	// fails because of a value; insteadKeep are the columns of the output there.
	instead     *applyNode
	insteadKeep []int
	// sized says that the right side is known to be the smaller one.
	sized bool
	// volatile says that the condition may give another value each time.
	volatile bool
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

	out            []sqltype.Type
	text, whenText string
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
	if s += n.whenText; n.instead != nil {
		s += ", or row by row"
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
	o := &joinOp{n: n, r: r, left: r.open(n.l), right: r.open(n.r), joinTable: new(joinTable), mem: reservation{acct: r.acct}}
	o.leftEval, o.rightEval = evals(n.leftKeys), evals(n.rightKeys)
	o.asked = newAsked(n.when)
	if n.residual != nil {
		o.residual = n.residual.NewEval()
	}
	return o
}

func evals(progs []*expr.Program) (out []*expr.Eval) {
	for _, p := range progs {
		out = append(out, p.NewEval())
	}
	return out
}

// probed is the input that is looked up in the built table.
func (o *joinOp) probed() node {
	if o.swapped {
		return o.n.r
	}
	return o.n.l
}

// over is another operator with the same built table, for a part of the rows
// that are looked up in it.
func (o *joinOp) over(r *run, left operator) operator {
	c := &joinOp{n: o.n, r: r, left: left, joinTable: o.joinTable, built: true, shared: true, asked: newAsked(o.n.when)}
	if c.leftEval = evals(o.n.leftKeys); o.swapped {
		c.leftEval = evals(o.n.rightKeys)
	}
	if o.n.residual != nil {
		c.residual = o.n.residual.NewEval()
	}
	return c
}

type joinOp struct {
	n                   *joinNode
	r                   *run
	left, right         operator
	leftEval, rightEval []*expr.Eval
	residual            *expr.Eval
	// asked picks the left rows that are looked up.
	asked asked
	mem   reservation

	built bool
	// empty says that there is nothing to join, so that there is no table.
	empty bool
	// failed says that the side that is looked up has failed.
	failed bool
	*joinTable
	// shared says that the table is another operator's.
	shared bool
	// instead is what the join has fallen back on.
	instead *applyOp
	// limited is the scan that is limited to the keys of the other side.
	limited *scanNode
	// matched marks right rows, for a Full join.
	matched []bool

	// probe is the left batch at work; cur and row are the next pair to try.
	probe    *vector.Batch
	probeKey []keyState
	hit      []bool
	nulls    []bool
	row      int
	cur      int32
	// settled is up to which row of the probe batch those without a match have
	// been given.
	settled int
	key     []byte
	// pairs are the candidates at hand.
	pairL []int32
	pairR []ref
	pairN []int32
	sel   []int32

	rest int
}

// swap builds over the left input instead.
func (o *joinOp) swap() {
	o.swapped = true
	o.left, o.right = o.right, o.left
	o.leftEval, o.rightEval = o.rightEval, o.leftEval
}

func errManyRows() error {
	return dberr.New(dberr.InvalidSQL, "more than one row returned by a subquery used as an expression").WithState("21000")
}

func (o *joinOp) Next(ctx context.Context) (*vector.Batch, error) {
	if err := o.prepare(ctx); err != nil {
		return nil, err
	}
	if o.instead != nil {
		return o.nextInstead(ctx)
	}
	for {
		if err := o.r.env.pause(ctx); err != nil {
			return nil, err
		}
		if o.probe == nil {
			if o.empty || o.n.kind == plan.Inner && o.rows == 0 {
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
		for o.row < o.probe.Rows() {
			if waiting := o.waiting(); waiting > 0 && 2*waiting >= o.r.batch {
				if out := o.unmatched(o.row); out != nil {
					return out, nil
				}
			}
			if !o.pairs() {
				continue
			}
			b, err := o.candidates()
			if b != nil || err != nil {
				return b, err
			}
			if err := o.r.env.pause(ctx); err != nil {
				return nil, err
			}
		}
		var out *vector.Batch
		switch {
		case o.n.kind == plan.Mark:
			out = o.mark(o.probe)
		case o.n.keepsLeft():
			out = o.unmatched(o.probe.Rows())
		}
		o.probe = nil
		if out != nil {
			return out, nil
		}
	}
}

// waiting is how many left rows are through and may have to be given yet, as
// they have found no match.
func (o *joinOp) waiting() int {
	if o.n.keepsLeft() {
		return o.row - o.settled
	}
	return 0
}

// keepsLeft tells whether left rows without a match are given, too.
func (n *joinNode) keepsLeft() bool {
	return n.kind == plan.Left || n.kind == plan.Full || n.kind == plan.Single
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
	return withColumn(b, v)
}

// unmatched gives the left rows up to one that wait and have no match, with
// NULLs on the right.
func (o *joinOp) unmatched(to int) *vector.Batch {
	b := o.probe
	sel := make([]int32, 0, to-o.settled)
	for i := o.settled; i < to; i++ {
		if !o.hit[i] {
			sel = append(sel, int32(b.Row(i)))
		}
	}
	o.settled = to
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

// nextInstead gives the next batch of what the join has fallen back on.
func (o *joinOp) nextInstead(ctx context.Context) (*vector.Batch, error) {
	b, err := o.instead.Next(ctx)
	if b == nil || err != nil {
		return nil, err
	}
	cols := make([]*vector.Vector, len(o.n.insteadKeep))
	for i, c := range o.n.insteadKeep {
		cols[i] = b.Cols[c]
	}
	out := vector.NewBatch(cols, b.Len())
	out.Sel = b.Sel
	return out, nil
}

func (o *joinOp) Close() {
	if o.instead != nil {
		o.instead.Close()
	}
	o.left.Close()
	if o.shared {
		return
	}
	o.right.Close()
	if o.store != nil {
		o.store.release()
	}
	o.mem.release()
}
