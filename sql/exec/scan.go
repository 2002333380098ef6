package exec

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/store/vector"
)

// keyRange is a plan's range of the primary key, compiled.
type keyRange struct {
	// kinds are those of the key's columns.
	kinds             []sqltype.Kind
	prefix            []*expr.Program
	low, high         *expr.Program
	lowOpen, highOpen bool
}

// bound is a plan's bound, compiled.
type bound struct {
	ordinal int
	op      BoundOp
	value   *expr.Program
}

// scanNode reads a table through the storage.
type scanNode struct {
	table    *ddl.Table
	alias    string
	ordinals []int
	out      []sqltype.Type
	deleted  bool
	ranges   []keyRange
	// ranged says that ranges limit the scan, even when there are none.
	ranged           bool
	bounds           []bound
	ordered, reverse bool
	limit            *expr.Program
	// point says that each range is a whole key.
	point bool
	text  string
}

func (n *scanNode) types() []sqltype.Type { return n.out }
func (n *scanNode) inputs() []node        { return nil }
func (n *scanNode) label() string {
	var b strings.Builder
	what := "Scan"
	switch {
	case n.point:
		what = "Key lookup in"
	case n.ranged:
		what = "Key range scan of"
	}
	fmt.Fprintf(&b, "%s %s", what, n.table.Ident())
	if n.alias != string(n.table.Name) {
		fmt.Fprintf(&b, " as %s", n.alias)
	}
	names := make([]string, len(n.ordinals))
	for i, o := range n.ordinals {
		names[i] = n.table.ScanName(o)
	}
	fmt.Fprintf(&b, " (%s)", strings.Join(names, ", "))
	if n.text != "" {
		b.WriteString(" where " + n.text)
	}
	if n.deleted {
		b.WriteString(" with deleted rows")
	}
	if n.ordered {
		b.WriteString(" in key order")
		if n.reverse {
			b.WriteString(", backwards")
		}
	}
	if n.limit != nil {
		b.WriteString(", limited")
	}
	return b.String()
}

func (n *scanNode) open(r *run) operator { return &scanOp{n: n, r: r} }

type scanOp struct {
	n    *scanNode
	r    *run
	sc   Scanner
	done bool
}

// request evaluates the plan's ends of ranges. ok is false when nothing can
// match.
func (n *scanNode) request(r *run) (req ScanRequest, ok bool, err error) {
	req = ScanRequest{Columns: n.ordinals, IncludeDeleted: n.deleted, Ordered: n.ordered, Reverse: n.reverse}
	if n.ranged {
		req.Ranges = make([]KeyRange, 0, len(n.ranges))
		for i := range n.ranges {
			k, ok, err := n.ranges[i].eval(r)
			if err != nil {
				return req, false, err
			}
			if ok {
				req.Ranges = append(req.Ranges, k)
			}
		}
		req.Ranges = normalizeRanges(req.Ranges)
		if len(req.Ranges) == 0 {
			return req, false, nil
		}
	}
	for i := range n.bounds {
		v, err := n.bounds[i].value.EvalRow(r.ectx, nil)
		if err != nil {
			// The filter above evaluates it again for the rows that count.
			continue
		}
		if v.IsNull() {
			return req, false, nil
		}
		if v, beyond := asKey(v, n.table.ScanType(n.bounds[i].ordinal).Kind); beyond == 0 {
			req.Bounds = append(req.Bounds, Bound{Column: n.bounds[i].ordinal, Op: n.bounds[i].op, Value: v})
		}
	}
	req.Newest = r.newest[n]
	if n.limit != nil {
		// It is advice; the limit above has the say, also about bad numbers.
		if l, err := r.count(n.limit, "LIMIT", 0); err == nil {
			req.Limit = l
		}
	}
	return req, true, nil
}

// asKey gives a value the kind of its key column; an integer of another width
// may lie below (-1) or above (1) every value of the column.
func asKey(v sqltype.Value, kind sqltype.Kind) (out sqltype.Value, beyond int) {
	if v.Kind() == kind || !kind.IsInteger() {
		return v.As(kind), 0
	}
	lo, hi := kind.IntRange()
	switch {
	case v.Int() < lo:
		return v, -1
	case v.Int() > hi:
		return v, 1
	}
	return v.As(kind), 0
}

// key evaluates the prefix; ok is false when no row can have it.
func (k *keyRange) key(ectx *expr.Context) (out sqltype.Row, ok bool, err error) {
	if len(k.prefix) == 0 {
		return nil, true, nil
	}
	out = make(sqltype.Row, len(k.prefix))
	for i, p := range k.prefix {
		v, err := p.EvalRow(ectx, nil)
		if err != nil || v.IsNull() {
			return nil, false, err
		}
		v, beyond := asKey(v, k.kinds[i])
		if beyond != 0 {
			return nil, false, nil
		}
		out[i] = v
	}
	return out, true, nil
}

func (k *keyRange) eval(r *run) (out KeyRange, ok bool, err error) {
	if out.Prefix, ok, err = k.key(r.ectx); !ok || err != nil {
		return out, false, err
	}
	if k.low != nil {
		v, err := k.low.EvalRow(r.ectx, nil)
		if err != nil || v.IsNull() {
			return out, false, err
		}
		v, beyond := asKey(v, k.kinds[len(k.prefix)])
		switch {
		case beyond > 0:
			return out, false, nil
		case beyond == 0:
			out.Low, out.LowOpen = v, k.lowOpen
		}
	}
	if k.high != nil {
		v, err := k.high.EvalRow(r.ectx, nil)
		if err != nil || v.IsNull() {
			return out, false, err
		}
		v, beyond := asKey(v, k.kinds[len(k.prefix)])
		switch {
		case beyond < 0:
			return out, false, nil
		case beyond == 0:
			out.High, out.HighOpen = v, k.highOpen
		}
	}
	if !out.Low.IsNull() && !out.High.IsNull() {
		if c := sqltype.Compare(out.Low, out.High); c > 0 || c == 0 && (out.LowOpen || out.HighOpen) {
			return out, false, nil
		}
	}
	return out, true, nil
}

// normalizeRanges sorts ranges of equal prefix length and drops those that
// come twice. Ranges with an interval come alone, so they do not overlap.
func normalizeRanges(ranges []KeyRange) []KeyRange {
	if len(ranges) < 2 {
		return ranges
	}
	cmp := func(a, b KeyRange) int {
		for i := range min(len(a.Prefix), len(b.Prefix)) {
			if c := sqltype.Compare(a.Prefix[i], b.Prefix[i]); c != 0 {
				return c
			}
		}
		return 0
	}
	slices.SortFunc(ranges, cmp)
	return slices.CompactFunc(ranges, func(a, b KeyRange) bool { return cmp(a, b) == 0 })
}

func (o *scanOp) Next(ctx context.Context) (*vector.Batch, error) {
	if o.done {
		return nil, nil
	}
	if err := o.r.env.pause(ctx); err != nil {
		return nil, err
	}
	if o.sc == nil {
		req, ok, err := o.n.request(o.r)
		if err != nil {
			return nil, err
		}
		if !ok {
			o.done = true
			return nil, nil
		}
		point := o.n.point
		if keys, ok := o.r.dynamic[o.n]; ok {
			if len(keys) == 0 {
				o.done = true
				return nil, nil
			}
			req.Ranges, point = keys, len(keys[0].Prefix) == len(o.n.table.PrimaryKey)
		}
		t, err := o.r.env.Snapshot.Table(ctx, o.n.table)
		if err != nil {
			return nil, err
		}
		if point && len(req.Ranges) <= pointLookups {
			o.done = true
			return o.n.lookup(ctx, t, req.Ranges)
		}
		if o.sc, err = t.Scan(ctx, req); err != nil {
			return nil, err
		}
	}
	b, err := o.sc.Next(ctx)
	if b == nil || err != nil {
		o.Close()
	}
	return b, err
}

// pointLookups is up to how many keys are looked up one by one; more are
// ranges of a scan.
const pointLookups = 16

// lookup reads rows by their keys.
func (n *scanNode) lookup(ctx context.Context, t Table, keys []KeyRange) (*vector.Batch, error) {
	row := make(sqltype.Row, len(n.ordinals))
	builders := make([]*vector.Builder, len(n.ordinals))
	for i, typ := range n.out {
		builders[i] = vector.NewBuilder(typ, len(keys))
	}
	count := 0
	if n.ordered && n.reverse {
		slices.Reverse(keys)
	}
	for i := range keys {
		found, err := t.Get(ctx, keys[i].Prefix, n.ordinals, n.deleted, row)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		count++
		for c, v := range row {
			builders[c].Append(v)
		}
	}
	if count == 0 {
		return nil, nil
	}
	cols := make([]*vector.Vector, len(builders))
	for i, b := range builders {
		cols[i] = b.Finish()
	}
	return vector.NewBatch(cols, count), nil
}

func (o *scanOp) Close() {
	o.done = true
	if o.sc != nil {
		o.sc.Close()
	}
}

// pipeline is the scan below filters and projections, or nil.
func pipeline(n node) *scanNode {
	for {
		switch x := n.(type) {
		case *scanNode:
			return x
		case *filterNode:
			if x.volatile {
				return nil
			}
			n = x.in
		case *projectNode:
			if x.volatile {
				return nil
			}
			n = x.in
		default:
			return nil
		}
	}
}
