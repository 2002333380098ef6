package binder

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// inAggregate is the clause of what stands in an aggregate's parentheses and
// behind them.
const inAggregate = "an aggregate's arguments"

// noAggregate says that a clause has no groups to aggregate.
func noAggregate(clause string) error {
	if clause == inAggregate {
		return dberr.New(dberr.InvalidSQL, "aggregate function calls cannot be nested").WithState("42803")
	}
	return dberr.Newf(dberr.InvalidSQL, "aggregate functions are not allowed in %s", clause).WithState("42803")
}

// aggOwner is the scope of the query that an aggregate called in sc belongs
// to: the innermost one whose columns it reads, itself or by a subquery in its
// arguments; sc where it reads none. The subqueries are the nodes from node
// down to below.
func (b *binder) aggOwner(sc *scope, c *aggCall, below, node plan.Node) (*scope, error) {
	cols := expr.Columns(c.args...)
	if c.filter != nil {
		cols = append(cols, expr.Columns(c.filter)...)
	}
	for _, o := range c.order {
		cols = append(cols, expr.Columns(o.x)...)
	}
	for node != below {
		a := node.(*plan.Apply) // an expression attaches nothing else
		for id := range plan.Free(a.R) {
			cols = append(cols, id)
		}
		cols = append(cols, expr.Columns(plan.Exprs(a)...)...)
		node = a.L
	}
	for s := sc; s != nil && len(cols) > 0; s = s.parent {
		switch {
		case !slices.ContainsFunc(cols, s.has):
			continue
		case s != sc && (s.sel == nil || !s.sel.collecting):
			return nil, noAggregate(s.clause)
		}
		return s, nil
	}
	return sc, nil
}

// has tells whether a column is one of the scope's own.
func (sc *scope) has(id int) bool {
	if sc.sel != nil {
		return slices.Contains(sc.sel.own, id)
	}
	is := func(c outColumn) bool { return c.id == id }
	return slices.ContainsFunc(sc.cols, is) ||
		slices.ContainsFunc(sc.rels, func(r *relation) bool { return slices.ContainsFunc(r.cols, is) })
}

// attachAll puts the subqueries of an aggregate's arguments, which are the
// nodes from node down to below, under the rows that the aggregate's query
// groups.
func (b *binder) attachAll(owner *scope, below, node plan.Node) error {
	if node == below {
		return nil
	}
	bottom := node.(*plan.Apply)
	for bottom.L != below {
		bottom = bottom.L.(*plan.Apply)
	}
	if owner.node != below {
		if err := owner.seesCTEs(node, bottom); err != nil {
			return err
		}
	}
	bottom.L, owner.node = owner.node, node
	return nil
}

// seesCTEs tells of a CTE that the subqueries from node down to bottom read
// and that is not there where they move.
func (sc *scope) seesCTEs(node, bottom plan.Node) error {
	seen := map[*plan.CTE]bool{}
	for e := sc.sel.ctes; e != nil; e = e.parent {
		seen[e.cte] = true
	}
	var refs []*plan.CTE
	for at := node; ; at = at.(*plan.Apply).L {
		plan.Walk(at.(*plan.Apply).R, func(n plan.Node) {
			switch n := n.(type) {
			case *plan.With:
				for _, c := range n.CTEs {
					seen[c] = true
				}
			case *plan.CTERef:
				refs = append(refs, n.CTE)
			}
		})
		if at == bottom {
			break
		}
	}
	for _, c := range refs {
		if !seen[c] {
			return dberr.New(dberr.Unsupported, "outer-level aggregate cannot use a nested CTE").
				WithHint("CTE %q is below the query that the aggregate belongs to. Define it in that query's WITH.", c.Name)
		}
	}
	return nil
}
