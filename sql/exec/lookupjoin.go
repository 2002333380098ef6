package exec

import (
	"context"
	"slices"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
	"github.com/kalamdb/kalamdb/store/vector"
)

// keyedScan says that one side of a join is a scan whose primary key, or the
// first columns of it, are keys of the join. When the other side has few rows,
// the scan is limited to their keys: the join then costs what it touches, not
// what the table holds.
type keyedScan struct {
	scan *scanNode
	// pairs are the join's keys that are the columns of the primary key, in
	// its order; kinds the columns' kinds.
	pairs []int
	kinds []sqltype.Kind
}

const (
	// maxKeyed is up to how many rows of one side a scan is limited to.
	maxKeyed = 1024
	// keyedGain is how many times more rows the table must have.
	keyedGain = 4
	// minKeyed is from how many rows of the table on it is worth the trouble.
	minKeyed = 64
)

// keyed finds such a scan below a side of a join whose keys are exprs.
func (c *compiler) keyed(n node, lay []int, exprs []expr.Expr) *keyedScan {
	if f, ok := n.(*filterNode); ok {
		n = f.in
	}
	s, ok := n.(*scanNode)
	if !ok || s.ranged || s.limit != nil {
		return nil
	}
	k := &keyedScan{scan: s}
	for _, ord := range s.table.KeyOrdinals() {
		at := slices.IndexFunc(exprs, func(e expr.Expr) bool {
			col, ok := e.(*expr.ColumnExpr)
			if !ok {
				return false
			}
			p := slices.Index(lay, col.Ordinal)
			return p >= 0 && p < len(s.ordinals) && s.ordinals[p] == ord
		})
		if at < 0 {
			break
		}
		k.pairs, k.kinds = append(k.pairs, at), append(k.kinds, s.table.ScanType(ord).Kind)
	}
	if len(k.pairs) == 0 {
		return nil
	}
	return k
}

// limitScan reads one side first, and if that ends early, limits the scan on
// the other to its keys. What was read is given again.
func (o *joinOp) limitScan(ctx context.Context) error {
	few, many, k := o.n.l, o.n.r, o.n.rightScan
	if l := o.n.leftScan; l != nil && o.n.kind == plan.Inner && (k == nil || estimate(ctx, o.r, o.n.r) < estimate(ctx, o.r, o.n.l)) {
		few, many, k = o.n.r, o.n.l, l
	}
	if k == nil {
		return nil
	}
	size := estimate(ctx, o.r, many)
	if size < minKeyed {
		return nil
	}
	probe, other := &o.left, o.right
	if few == o.n.r {
		probe, other = &o.right, o.left
	}
	store := newRowStore(few.types(), o.r)
	replay := &replayOp{store: store, rest: *probe}
	*probe = replay
	for store.rows <= maxKeyed {
		b, err := replay.rest.Next(ctx)
		if err != nil {
			if o.empty = o.n.kind == plan.Inner && ofValues(err) && ended(ctx, other); o.empty {
				return nil
			}
			return err
		}
		if b == nil {
			replay.ended = true
			break
		}
		if _, err := store.add(b); err != nil {
			return err
		}
	}
	if !replay.ended || int64(store.rows)*keyedGain > size {
		return nil
	}
	if few == o.n.r {
		o.swap()
	}
	keys := []KeyRange{}
	for _, b := range store.chunks {
		asked, err := o.asked.of(o.r, b)
		if err != nil {
			return err
		}
		if asked.Rows() == 0 {
			continue
		}
		vecs := make([]*vector.Vector, len(k.pairs))
		for i, p := range k.pairs {
			if vecs[i], err = o.leftEval[p].EvalVector(o.r.ectx, asked); err != nil {
				return err
			}
		}
		for i := range asked.Rows() {
			if key, ok := keyOfRow(vecs, asked.Row(i), k.kinds); ok {
				keys = append(keys, KeyRange{Prefix: key})
			}
		}
	}
	if o.r.dynamic == nil {
		o.r.dynamic = map[*scanNode][]KeyRange{}
	}
	o.limited = k.scan
	o.r.dynamic[k.scan] = normalizeRanges(keys)
	return nil
}

// keyOfRow is a key; ok is false when no row of the table can have it.
func keyOfRow(vecs []*vector.Vector, row int, kinds []sqltype.Kind) (key sqltype.Row, ok bool) {
	key = make(sqltype.Row, len(vecs))
	for i, v := range vecs {
		x := v.Value(row)
		if x.IsNull() {
			return nil, false
		}
		x, beyond := asKey(x, kinds[i])
		if beyond != 0 {
			return nil, false
		}
		key[i] = x.Clone()
	}
	return key, true
}

// replayOp gives the rows that were read already, then the rest.
type replayOp struct {
	store *rowStore
	rest  operator
	at    int
	ended bool
}

func (o *replayOp) Next(ctx context.Context) (*vector.Batch, error) {
	if o.at < len(o.store.chunks) {
		o.at++
		return o.store.chunks[o.at-1], nil
	}
	if o.ended {
		return nil, nil
	}
	return o.rest.Next(ctx)
}

func (o *replayOp) Close() {
	o.rest.Close()
	o.store.release()
}
