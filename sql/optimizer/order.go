package optimizer

import (
	"slices"

	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// order takes away sorts that the order of the key gives for nothing, turns a
// sort under a limit into the first rows of an order, and tells scans how many
// rows will be taken.
func (o *optimizer) order(n plan.Node) plan.Node {
	n = mapInputs(n, o.order)
	switch n := n.(type) {
	case *plan.Sort:
		keys := slices.DeleteFunc(slices.Clone(n.Keys), func(k plan.SortKey) bool { return constant(n.In, k.Col) })
		if len(keys) == 0 {
			return n.In
		}
		if in, ok := keyOrder(n.In, keys); ok {
			return in
		}
		c := *n
		c.Keys = keys
		return &c
	case *plan.Limit:
		if n.Limit == nil || n.Ties != nil {
			return n
		}
		if s, ok := n.In.(*plan.Sort); ok && s.Limit == nil {
			top := *s
			top.Limit, top.Offset = n.Limit, n.Offset
			c := *n
			c.In = &top
			return &c
		}
		want := n.Limit
		if n.Offset != nil {
			sum, err := expr.Binary(ast.OpAdd, n.Limit, n.Offset)
			if err != nil {
				return n
			}
			want = sum
		}
		c := *n
		c.In = limitScan(n.In, want)
		return &c
	}
	return n
}

// constant tells whether a column has one value in all rows, which then orders
// nothing.
func constant(n plan.Node, col int) bool {
	switch n := n.(type) {
	case *plan.Filter:
		return constant(n.In, col)
	case *plan.Project:
		i := slices.Index(n.Cols, col)
		if i < 0 {
			return false
		}
		switch e := n.Exprs[i].(type) {
		case *expr.ConstExpr, *expr.ParamExpr:
			return true
		case *expr.ColumnExpr:
			return constant(n.In, e.Ordinal)
		}
	}
	return false
}

// limitScan tells the scan below, when every one of its rows is taken.
func limitScan(n plan.Node, limit expr.Expr) plan.Node {
	switch n := n.(type) {
	case *plan.Project:
		in := limitScan(n.In, limit)
		if in == n.In {
			return n
		}
		return &plan.Project{In: in, Exprs: n.Exprs, Cols: n.Cols}
	case *plan.Scan:
		if len(n.Filter) == 0 && n.Limit == nil && !n.Point {
			c := *n
			c.Limit = limit
			return &c
		}
	}
	return n
}

// keyOrder makes the scan below give rows in the order of the keys, if that
// is the order of the primary key, or its opposite.
func keyOrder(n plan.Node, keys []plan.SortKey) (plan.Node, bool) {
	switch n := n.(type) {
	case *plan.Project:
		// The keys must be columns that the projection passes on.
		for _, k := range keys {
			i := slices.Index(n.Cols, k.Col)
			if i < 0 {
				return nil, false
			}
			if c, ok := n.Exprs[i].(*expr.ColumnExpr); !ok || c.Ordinal != k.Col {
				return nil, false
			}
		}
		in, ok := keyOrder(n.In, keys)
		if !ok {
			return nil, false
		}
		return &plan.Project{In: in, Exprs: n.Exprs, Cols: n.Cols}, true
	case *plan.Filter:
		in, ok := keyOrder(n.In, keys)
		if !ok {
			return nil, false
		}
		return &plan.Filter{In: in, Preds: n.Preds}, true
	case *plan.Scan:
		return scanOrder(n, keys)
	}
	return nil, false
}

func scanOrder(s *plan.Scan, keys []plan.SortKey) (plan.Node, bool) {
	key := s.Table.KeyOrdinals()
	if len(key) == 0 || s.Ordered {
		return nil, false
	}
	// Key columns that have one value for all rows order nothing.
	fixed := 0
	if len(s.Ranges) == 1 {
		fixed = len(s.Ranges[0].Prefix)
	}
	at := 0
	for _, k := range keys {
		c := slices.Index(s.Cols, k.Col)
		if c < 0 {
			return nil, false
		}
		ord := s.Ordinals[c]
		if slices.Contains(key[:fixed], ord) {
			continue
		}
		if at < fixed {
			at = fixed
		}
		if at >= len(key) {
			// All of the key came already: further keys change nothing.
			break
		}
		if key[at] != ord || k.Desc != keys[firstFree(s, keys, key[:fixed])].Desc {
			return nil, false
		}
		at++
	}
	c := *s
	c.Ordered = true
	c.Reverse = keys[firstFree(s, keys, key[:fixed])].Desc
	return &c, true
}

// firstFree is the first sort key that is not fixed; 0 when all are.
func firstFree(s *plan.Scan, keys []plan.SortKey, fixed []int) int {
	for i, k := range keys {
		if c := slices.Index(s.Cols, k.Col); c >= 0 && !slices.Contains(fixed, s.Ordinals[c]) {
			return i
		}
	}
	return 0
}
