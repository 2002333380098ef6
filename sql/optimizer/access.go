package optimizer

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// maxKeys is how many ranges of the key a scan may have.
const maxKeys = 1024

// access turns conjuncts over the primary key into ranges of scans, and the
// other comparisons into bounds.
func (o *optimizer) access(n plan.Node) plan.Node {
	n = mapInputs(n, o.access)
	s, ok := n.(*plan.Scan)
	if !ok || len(s.Filter) == 0 {
		return n
	}
	c := *s
	o.ranges(&c)
	o.bounds(&c)
	return &c
}

// comparison is the conjunct "column op value" of a scan.
type comparison struct {
	ordinal int
	op      ast.Op
	value   expr.Expr
	// list is set for IN.
	list []expr.Expr
}

// compared takes a conjunct apart. The value reads no column of the scan and
// has the column's kind, or both are integers.
func compared(s *plan.Scan, e expr.Expr) (c comparison, ok bool) {
	column := func(e expr.Expr) (int, sqltype.Type, bool) {
		col, ok := e.(*expr.ColumnExpr)
		if !ok {
			return 0, sqltype.Type{}, false
		}
		i := slices.Index(s.Cols, col.Ordinal)
		if i < 0 {
			return 0, sqltype.Type{}, false
		}
		return s.Ordinals[i], col.Type(), true
	}
	fits := func(v expr.Expr, t sqltype.Type) bool {
		k := v.Type().Kind
		return (k == t.Kind && k != sqltype.Decimal || k.IsInteger() && t.Kind.IsInteger()) && readsNone(v, s.Cols) && !volatile(v)
	}
	switch e := e.(type) {
	case *expr.CompareExpr:
		if e.Distinct || e.Op == ast.OpNe {
			return c, false
		}
		l, r, op := e.L, e.R, e.Op
		ord, t, isCol := column(l)
		if !isCol || !fits(r, t) {
			l, r, op = r, l, op.Commute()
			if ord, t, isCol = column(l); !isCol || !fits(r, t) {
				return c, false
			}
		}
		return comparison{ordinal: ord, op: op, value: r}, true
	case *expr.InExpr:
		ord, t, isCol := column(e.X)
		if e.Not || !isCol || len(e.List) > maxKeys {
			return c, false
		}
		for _, v := range e.List {
			if !fits(v, t) {
				return c, false
			}
		}
		return comparison{ordinal: ord, op: ast.OpEq, list: e.List}, true
	case *expr.OrExpr:
		// a = 1 OR a = 2 is a IN (1, 2).
		for i, arm := range e.Args {
			x, ok := compared(s, arm)
			if !ok || x.op != ast.OpEq || i > 0 && x.ordinal != c.ordinal || len(c.list)+len(x.list) >= maxKeys {
				return c, false
			}
			c.ordinal, c.op = x.ordinal, ast.OpEq
			if x.list != nil {
				c.list = append(c.list, x.list...)
			} else {
				c.list = append(c.list, x.value)
			}
		}
		return c, true
	case *expr.ColumnExpr:
		if ord, t, isCol := column(e); isCol && t.Kind == sqltype.Boolean {
			return comparison{ordinal: ord, op: ast.OpEq, value: expr.Bool(true)}, true
		}
	}
	return c, false
}

// ranges finds a prefix of the key that is given by equalities, and an
// interval behind it. The conjuncts that the ranges stand for go away.
func (o *optimizer) ranges(s *plan.Scan) {
	key := s.Table.KeyOrdinals()
	if len(key) == 0 {
		return
	}
	found := make([]comparison, len(s.Filter))
	ok := make([]bool, len(s.Filter))
	for i, e := range s.Filter {
		found[i], ok[i] = compared(s, e)
	}
	used := make([]bool, len(s.Filter))
	prefixes := [][]expr.Expr{nil}
	depth := 0
	for ; depth < len(key); depth++ {
		at := -1
		for i := range found {
			if !ok[i] || used[i] || found[i].op != ast.OpEq || found[i].ordinal != key[depth] {
				continue
			}
			// One value is better than a list.
			if at < 0 || found[at].list != nil && found[i].list == nil {
				at = i
			}
		}
		if at < 0 {
			break
		}
		list := found[at].list
		if list == nil {
			list = []expr.Expr{found[at].value}
		}
		if len(prefixes)*len(list) > maxKeys {
			break
		}
		var next [][]expr.Expr
		for _, p := range prefixes {
			for _, v := range list {
				next = append(next, append(slices.Clone(p), v))
			}
		}
		prefixes, used[at] = next, true
	}
	var interval plan.KeyRange
	if depth < len(key) {
		for i := range found {
			if !ok[i] || used[i] || found[i].ordinal != key[depth] || found[i].list != nil {
				continue
			}
			c := &found[i]
			switch {
			case (c.op == ast.OpGt || c.op == ast.OpGe) && interval.Low == nil:
				interval.Low, interval.LowOpen, used[i] = c.value, c.op == ast.OpGt, true
			case (c.op == ast.OpLt || c.op == ast.OpLe) && interval.High == nil:
				interval.High, interval.HighOpen, used[i] = c.value, c.op == ast.OpLt, true
			}
		}
	}
	if depth == 0 && interval.Low == nil && interval.High == nil {
		return
	}
	for _, p := range prefixes {
		r := interval
		r.Prefix = p
		s.Ranges = append(s.Ranges, r)
	}
	if s.Ranges == nil {
		s.Ranges = []plan.KeyRange{}
	}
	s.Point = depth == len(key)
	var rest []expr.Expr
	for i, e := range s.Filter {
		if !used[i] {
			rest = append(rest, e)
		}
	}
	s.Filter = rest
}

// bounds gives the storage what it may skip rows by. The conjuncts stay.
func (o *optimizer) bounds(s *plan.Scan) {
	if s.Point {
		return
	}
	for _, e := range s.Filter {
		if c, ok := compared(s, e); ok && c.list == nil {
			s.Bounds = append(s.Bounds, plan.Bound{Ordinal: c.ordinal, Op: c.op, Value: c.value})
		}
	}
}
