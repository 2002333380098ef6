package binder

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// fullJoinWithSubquery is a FULL JOIN whose condition holds a subquery: the
// LEFT JOIN, and below it the right rows for which no left row matches. Each
// side is computed once and read twice.
func (b *binder) fullJoinWithSubquery(t *ast.Join, l, r *fromItem, around *scope) (*fromItem, error) {
	lc := &plan.CTE{Name: "left side", In: l.node, Cols: slices.Clone(l.node.Columns()), Materialized: true}
	rc := &plan.CTE{Name: "right side", In: r.node, Cols: slices.Clone(r.node.Columns()), Materialized: true}
	// on gives the rows of inner that match the row of outer.
	on := func(outer, inner *fromItem) (plan.Node, error) {
		sc := &scope{parent: &scope{parent: around, rels: outer.rels, cols: outer.cols}, rels: inner.rels, cols: inner.cols, node: inner.node, clause: "JOIN conditions"}
		cond, err := b.filter(t.On, sc, "JOIN/ON")
		if err != nil {
			return nil, err
		}
		return &plan.Filter{In: sc.node, Preds: expr.Conjuncts(cond)}, nil
	}
	l1, r1 := b.reread(l, lc), b.reread(r, rc)
	matches, err := on(l1, r1)
	if err != nil {
		return nil, err
	}
	left := &plan.Apply{Kind: plan.ApplyLeft, L: l1.node, R: matches}

	l2, r2 := b.reread(l, lc), b.reread(r, rc)
	if matches, err = on(r2, l2); err != nil {
		return nil, err
	}
	found := b.column("found", sqltype.TBoolean)
	rest := &plan.Apply{Kind: plan.ApplyExists, L: r2.node, R: matches, Col: found}
	none, err := expr.Not(b.col(found))
	if err != nil {
		return nil, err
	}
	right := &plan.Project{In: &plan.Filter{In: rest, Preds: []expr.Expr{none}}}
	leftOut := &plan.Project{In: left}
	union := &plan.SetOp{Kind: plan.Union, All: true, L: leftOut, R: right}
	ids := map[int]int{}
	add := func(was []int, one, two plan.Node, null bool) {
		for i, id := range was {
			typ := b.st.Types[id]
			ids[id] = b.column(b.st.Labels[id], typ)
			union.Cols = append(union.Cols, ids[id])
			leftOut.Exprs, leftOut.Cols = append(leftOut.Exprs, b.col(one.Columns()[i])), append(leftOut.Cols, one.Columns()[i])
			e := b.col(two.Columns()[i])
			if null {
				e = expr.Const(sqltype.NullOf(typ.Kind), typ)
			}
			right.Exprs, right.Cols = append(right.Exprs, e), append(right.Cols, b.column(b.st.Labels[id], typ))
		}
	}
	add(lc.Cols, l1.node, l2.node, true)
	add(rc.Cols, r1.node, r2.node, false)
	out := renumber(&fromItem{rels: append(slices.Clone(l.rels), r.rels...), cols: append(slices.Clone(l.cols), r.cols...)}, ids)
	out.node = &plan.With{CTEs: []*plan.CTE{lc, rc}, Body: union}
	return out, nil
}

// reread reads an item that a CTE computes once more, in columns of their own.
func (b *binder) reread(f *fromItem, cte *plan.CTE) *fromItem {
	cte.Refs++
	ref := &plan.CTERef{CTE: cte}
	ids := map[int]int{}
	for _, id := range cte.Cols {
		ids[id] = b.column(b.st.Labels[id], b.st.Types[id])
		ref.Cols = append(ref.Cols, ids[id])
	}
	out := renumber(f, ids)
	out.node = ref
	return out
}

// renumber gives the columns of an item other identities.
func renumber(f *fromItem, ids map[int]int) *fromItem {
	change := func(cols []outColumn) []outColumn {
		cols = slices.Clone(cols)
		for i := range cols {
			cols[i].id = ids[cols[i].id]
		}
		return cols
	}
	out := &fromItem{cols: change(f.cols)}
	for _, r := range f.rels {
		c := *r
		c.cols = change(r.cols)
		out.rels = append(out.rels, &c)
	}
	return out
}
