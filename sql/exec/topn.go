package exec

import (
	"bytes"
	"container/heap"
	"context"
	"slices"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// maxHeap is the largest number of rows that a bounded heap is used for; a
// larger limit sorts everything.
const maxHeap = 1 << 16

// topNNode gives the first rows of an order. It keeps no more rows than it
// gives, and copies a row only if it beats the worst of those.
type topNNode struct {
	in            node
	keys          []sortKey
	limit, offset *expr.Program
	keyText       string
	// newest is the scan below whose newest rows these are, or nil.
	newest *scanNode
}

func (n *topNNode) types() []sqltype.Type { return n.in.types() }
func (n *topNNode) inputs() []node        { return []node{n.in} }
func (n *topNNode) label() string         { return "Top rows by " + n.keyText }
func (n *topNNode) open(r *run) operator {
	return &topNOp{n: n, r: r, in: r.open(n.in), mem: reservation{acct: r.acct}}
}

type topNOp struct {
	n    *topNNode
	r    *run
	in   operator
	rows rowHeap
	mem  reservation
	full operator
	at   int
	done bool
}

// heapRow is a row with its key; seq keeps equal rows in the order in which
// they came.
type heapRow struct {
	key []byte
	seq int64
	row sqltype.Row
}

// rowHeap has the worst row on top.
type rowHeap []heapRow

func (h rowHeap) Len() int { return len(h) }
func (h rowHeap) Less(i, j int) bool {
	if c := bytes.Compare(h[i].key, h[j].key); c != 0 {
		return c > 0
	}
	return h[i].seq > h[j].seq
}
func (h rowHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *rowHeap) Push(x any)   { *h = append(*h, x.(heapRow)) }
func (h *rowHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func (o *topNOp) fill(ctx context.Context, want int) error {
	var key []byte
	var seq int64
	var newest *Newest
	if o.n.newest != nil {
		newest = new(Newest)
		if o.r.newest == nil {
			o.r.newest = map[*scanNode]*Newest{}
		}
		o.r.newest[o.n.newest] = newest
	}
	for {
		if newest != nil && want > 0 && len(o.rows) == want {
			worst := change.Seq(o.rows[0].row[o.n.keys[0].col].Int())
			if len(o.n.keys) > 1 {
				worst-- // the other keys decide about equal ones
			}
			newest.Raise(worst)
		}
		b, err := o.in.Next(ctx)
		if err != nil {
			return err
		}
		if b == nil {
			return nil
		}
		first := b.Cols[o.n.keys[0].col]
		cut, cuts := o.cutoff(want, first)
		for i := range b.Rows() {
			row := b.Row(i)
			seq++
			if cuts && (first.Valid == nil || first.Valid.Get(row)) {
				if x := orderOf(first, row); x > cut && !o.n.keys[0].desc || x < cut && o.n.keys[0].desc {
					continue
				}
			}
			key = appendRowKey(key[:0], o.n.keys, b.Cols, row)
			if len(o.rows) == want {
				if want == 0 || bytes.Compare(key, o.rows[0].key) >= 0 {
					continue
				}
				top := &o.rows[0]
				top.key, top.seq = append(top.key[:0], key...), seq
				for c, col := range b.Cols {
					top.row[c] = col.Value(row).Clone()
				}
				heap.Fix(&o.rows, 0)
				cut, cuts = o.cutoff(want, first)
				continue
			}
			h := heapRow{key: bytes.Clone(key), seq: seq, row: make(sqltype.Row, len(b.Cols))}
			size := len(key) + 64
			for c, col := range b.Cols {
				h.row[c] = col.Value(row).Clone()
				size += h.row[c].Size()
			}
			if err := o.mem.add(int64(size)); err != nil {
				return err
			}
			heap.Push(&o.rows, h)
		}
	}
}

// cutoff is the first key of the worst row that is kept, as a number of the
// same order: most rows are worse by that alone. ok is false while there is
// room, and for keys that are no numbers.
func (o *topNOp) cutoff(want int, first *vector.Vector) (cut uint64, ok bool) {
	if len(o.rows) < want || want == 0 || first.Const {
		return 0, false
	}
	switch v := o.rows[0].row[o.n.keys[0].col]; {
	case v.IsNull():
		return 0, false
	case first.Type.Physical() == sqltype.PhysInt:
		return uint64(v.Int()) ^ 1<<63, true
	case first.Type.Physical() == sqltype.PhysFloat:
		return floatBits(v.Float()), true
	}
	return 0, false
}

// orderOf is a value of a vector as a number that cutoff compares with.
func orderOf(v *vector.Vector, row int) uint64 {
	if v.Ints != nil {
		return uint64(v.Ints[row]) ^ 1<<63
	}
	return floatBits(v.Floats[row])
}

func (o *topNOp) Next(ctx context.Context) (*vector.Batch, error) {
	if !o.done {
		o.done = true
		limit, err := o.r.count(o.n.limit, "LIMIT", -1)
		if err != nil {
			return nil, err
		}
		offset, err := o.r.count(o.n.offset, "OFFSET", 0)
		if err != nil {
			return nil, err
		}
		if limit < 0 || limit > maxHeap || offset > maxHeap-limit {
			o.full = &sortOp{n: &sortNode{in: o.n.in, keys: o.n.keys}, r: o.r, in: o.in}
		} else {
			if err := o.fill(ctx, int(limit+offset)); err != nil {
				return nil, err
			}
			o.in.Close()
			slices.SortFunc(o.rows, func(a, b heapRow) int {
				if c := bytes.Compare(a.key, b.key); c != 0 {
					return c
				}
				return int(a.seq - b.seq)
			})
		}
	}
	if o.full != nil {
		return o.full.Next(ctx)
	}
	if o.at >= len(o.rows) {
		return nil, nil
	}
	end := min(o.at+o.r.batch, len(o.rows))
	types := o.n.types()
	cols := make([]*vector.Vector, len(types))
	for c, t := range types {
		b := vector.NewBuilder(t, end-o.at)
		for _, h := range o.rows[o.at:end] {
			b.Append(h.row[c])
		}
		cols[c] = b.Finish()
	}
	n := end - o.at
	o.at = end
	return vector.NewBatch(cols, n), nil
}

func (o *topNOp) Close() {
	o.done = true
	o.in.Close()
	if o.full != nil {
		o.full.Close()
	}
	o.rows = nil
	o.mem.release()
}
