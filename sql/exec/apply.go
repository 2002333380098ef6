package exec

import (
	"context"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

// applyNode evaluates its right side anew for each left row. What the right
// side reads of the row are parameters; its result is kept for each of their
// values, so that a side that reads nothing is evaluated once.
type applyNode struct {
	kind plan.ApplyKind
	l, r node
	// outer pairs a left column with the slot that the right side reads.
	outer []outerColumn
	// on is the condition of Cross, Left and Mark over left and right columns,
	// when the one over left columns without which a row gets NULLs.
	on, when *expr.Program
	out      []sqltype.Type
	// whenText describes when in an explained plan.
	whenText string
}

type outerColumn struct{ col, slot int }

func (n *applyNode) types() []sqltype.Type { return n.out }
func (n *applyNode) inputs() []node        { return []node{n.l, n.r} }
func (n *applyNode) label() string {
	s := n.kind.String() + " apply"
	if len(n.outer) == 0 {
		s += " (once)"
	}
	return s + n.whenText
}

func (n *applyNode) open(r *run) operator { return n.over(r, r.open(n.l)) }

// over is the operator over a left side that is open already.
func (n *applyNode) over(r *run, left operator) *applyOp {
	o := &applyOp{n: n, r: r, left: left, memo: map[string]*applied{}, mem: reservation{acct: r.acct}}
	if n.on != nil {
		o.on = n.on.NewEval()
	}
	o.asked = newAsked(n.when)
	return o
}

// applied is what the right side gave for one set of parameters.
type applied struct {
	batches []*vector.Batch
	rows    int
	value   sqltype.Value
}

type applyOp struct {
	n    *applyNode
	r    *run
	left operator
	on   *expr.Eval
	// asked picks the left rows that the right side is computed for.
	asked asked
	memo  map[string]*applied
	mem   reservation
	key   []byte
	// probe is the left batch at work and row its next row, for the kinds
	// that give right columns.
	probe *vector.Batch
	row   int
	queue []*vector.Batch
	// barren says that a right side that is the same for all rows has none.
	barren bool
}

// maxMemo is how many results an apply keeps; past it, it starts over.
const maxMemo = 4096

// eval gives the right side's result for the i-th row of the batch.
func (o *applyOp) eval(ctx context.Context, b *vector.Batch, i int) (*applied, error) {
	row := b.Row(i)
	o.key = o.key[:0]
	for _, c := range o.n.outer {
		o.key = appendSameKey(o.key, b.Cols[c.col], row)
	}
	if a := o.memo[string(o.key)]; a != nil {
		return a, nil
	}
	if err := o.r.env.pause(ctx); err != nil {
		return nil, err
	}
	for _, c := range o.n.outer {
		o.r.ectx.Params[c.slot] = b.Cols[c.col].Value(row).Clone()
	}
	a, err := o.fetch(ctx)
	if err != nil {
		return nil, err
	}
	if len(o.memo) >= maxMemo {
		clear(o.memo)
		o.mem.release()
	}
	size := int64(len(o.key)) + 128 + int64(a.value.Size())
	for _, c := range a.batches {
		size += int64(c.Size())
	}
	if err := o.mem.add(size); err != nil {
		return nil, err
	}
	o.memo[string(o.key)] = a
	return a, nil
}

func (o *applyOp) fetch(ctx context.Context) (*applied, error) {
	op := o.r.open(o.n.r)
	defer op.Close()
	a := &applied{}
	var list []sqltype.Value
	var held int64
	defer func() { o.r.acct.shrink(held) }()
	hold := func(n int) error {
		if err := o.r.acct.grow(int64(n)); err != nil {
			return err
		}
		held += int64(n)
		return nil
	}
	for {
		b, err := op.Next(ctx)
		if err != nil {
			return nil, err
		}
		if b == nil {
			break
		}
		a.rows += b.Rows()
		switch o.n.kind {
		case plan.ApplyExists:
			return a, nil
		case plan.ApplyScalar, plan.ApplySingle:
			if a.rows > 1 {
				return nil, errManyRows()
			}
		}
		switch o.n.kind {
		case plan.ApplyScalar:
			a.value = b.Cols[0].Value(b.Row(0)).Clone()
		case plan.ApplyArray:
			from := len(list)
			for i := range b.Rows() {
				list = append(list, b.Cols[0].Value(b.Row(i)).Clone())
			}
			if err := hold(sizeOf(list[from:])); err != nil {
				return nil, err
			}
		default:
			if err := hold(b.Size()); err != nil {
				return nil, err
			}
			a.batches = append(a.batches, copyBatch(b))
		}
	}
	if o.n.kind == plan.ApplyArray {
		if list == nil {
			list = []sqltype.Value{}
		}
		a.value = sqltype.NewArray(list)
	}
	return a, nil
}

func sizeOf(list []sqltype.Value) int {
	n := 0
	for _, v := range list {
		n += v.Size()
	}
	return n
}

func (o *applyOp) Next(ctx context.Context) (*vector.Batch, error) {
	if o.n.kind > plan.ApplySingle {
		return o.column(ctx)
	}
	for {
		if len(o.queue) > 0 {
			b := o.queue[0]
			o.queue = o.queue[1:]
			return b, nil
		}
		if o.barren {
			o.left.Close()
			return nil, nil
		}
		if o.probe == nil {
			b, err := o.left.Next(ctx)
			if b == nil || err != nil {
				return nil, err
			}
			o.probe, o.row = b, 0
			if _, err := o.asked.of(o.r, b); err != nil {
				return nil, err
			}
		}
		if o.row >= o.probe.Rows() {
			o.probe = nil
			continue
		}
		if err := o.joinRows(ctx); err != nil {
			return nil, err
		}
	}
}

// joinRows queues the joined rows of the next left rows, up to a batch.
func (o *applyOp) joinRows(ctx context.Context) error {
	var sel []int32
	builders := make([]*vector.Builder, len(o.n.r.types()))
	for i, t := range o.n.r.types() {
		builders[i] = vector.NewBuilder(t, o.r.batch)
	}
	flush := func() {
		if len(sel) == 0 {
			return
		}
		cols := make([]*vector.Vector, 0, len(o.n.out))
		for _, c := range o.probe.Cols {
			cols = append(cols, c.Gather(sel))
		}
		for _, b := range builders {
			cols = append(cols, b.Finish())
		}
		o.queue = append(o.queue, vector.NewBatch(cols, len(sel)))
		sel = nil
	}
	for o.row < o.probe.Rows() && len(o.queue) == 0 {
		row := o.probe.Row(o.row)
		a := &applied{}
		if o.asked.has(row) {
			var err error
			if a, err = o.eval(ctx, o.probe, o.row); err != nil {
				return err
			}
		}
		if o.row++; a.rows == 0 && len(o.n.outer) == 0 && o.n.kind == plan.ApplyCross {
			o.barren = true
			return nil
		}
		found := false
		for _, rb := range a.batches {
			keep := firstRows(rb.Len())
			if o.on != nil {
				v, err := o.pairs(row, rb)
				if err != nil {
					return err
				}
				if keep, err = o.on.Filter(o.r.ectx, v); err != nil {
					return err
				}
			}
			for _, i := range keep {
				found = true
				sel = append(sel, int32(row))
				for c, bl := range builders {
					bl.AppendFrom(rb.Cols[c], int(i))
				}
				if len(sel) >= o.r.batch {
					flush()
				}
			}
		}
		if !found && o.n.kind != plan.ApplyCross {
			sel = append(sel, int32(row))
			for _, bl := range builders {
				bl.AppendNull()
			}
			if len(sel) >= o.r.batch {
				flush()
			}
		}
	}
	flush()
	return nil
}

// pairs is a left row beside every row of a right batch.
func (o *applyOp) pairs(row int, rb *vector.Batch) (*vector.Batch, error) {
	cols := make([]*vector.Vector, 0, len(o.probe.Cols)+len(rb.Cols))
	for _, c := range o.probe.Cols {
		cols = append(cols, vector.NewConst(c.Type, c.Value(row), rb.Len()))
	}
	return vector.NewBatch(append(cols, rb.Cols...), rb.Len()), nil
}

// column gives the left rows with the column that the right side makes.
func (o *applyOp) column(ctx context.Context) (*vector.Batch, error) {
	b, err := o.left.Next(ctx)
	if b == nil || err != nil {
		return nil, err
	}
	o.probe = b
	t := o.n.out[len(o.n.out)-1]
	asked, err := o.asked.of(o.r, b)
	if err != nil {
		return nil, err
	}
	if len(o.n.outer) == 0 && o.n.kind != plan.ApplyMark && asked.Rows() > 0 {
		// The same for all rows, also those that do not ask for it: what is
		// computed of it is computed once.
		a, err := o.eval(ctx, asked, 0)
		if err != nil {
			return nil, err
		}
		value := a.value
		if o.n.kind == plan.ApplyExists {
			value = sqltype.NewBool(a.rows > 0)
		}
		return withColumn(b, vector.NewConst(t, value, b.Len())), nil
	}
	values := make([]sqltype.Value, b.Len())
	for i := range asked.Rows() {
		a, err := o.eval(ctx, asked, i)
		if err != nil {
			return nil, err
		}
		row := asked.Row(i)
		switch o.n.kind {
		case plan.ApplyExists:
			values[row] = sqltype.NewBool(a.rows > 0)
		case plan.ApplyMark:
			if values[row], err = o.markOf(row, a); err != nil {
				return nil, err
			}
		default:
			values[row] = a.value
		}
	}
	builder := vector.NewBuilder(t, b.Len())
	for _, v := range values {
		builder.Append(v)
	}
	return withColumn(b, builder.Finish()), nil
}

// withColumn is a batch with one more column.
func withColumn(b *vector.Batch, v *vector.Vector) *vector.Batch {
	out := vector.NewBatch(append(b.Cols[:len(b.Cols):len(b.Cols)], v), b.Len())
	out.Sel = b.Sel
	return out
}

// markOf is true if the condition holds for any right row, else NULL if it is
// NULL for one.
func (o *applyOp) markOf(row int, a *applied) (sqltype.Value, error) {
	out := sqltype.NewBool(false)
	for _, rb := range a.batches {
		pb, err := o.pairs(row, rb)
		if err != nil {
			return out, err
		}
		v, err := o.on.EvalVector(o.r.ectx, pb)
		if err != nil {
			return out, err
		}
		for i := range rb.Len() {
			if v.IsNull(i) {
				out = sqltype.NullOf(sqltype.Boolean)
			} else if v.Bools[v.Index(i)] {
				return sqltype.NewBool(true), nil
			}
		}
	}
	return out, nil
}

func (o *applyOp) Close() {
	o.left.Close()
	o.memo, o.queue, o.probe = nil, nil, nil
	o.mem.release()
}
