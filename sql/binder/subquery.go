package binder

import (
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// subquery binds a query inside an expression of sc.
func (b *binder) subquery(q *ast.Query, sc *scope) (*result, error) {
	if sc.node == nil && (sc.sel == nil || !sc.sel.collecting) {
		return nil, b.errorf(q, dberr.Unsupported, "a subquery is not supported in %s", sc.clause)
	}
	return b.query(q, sc)
}

func (b *binder) oneColumn(q *ast.Query, r *result) error {
	if len(r.ids) != 1 {
		return b.errorf(q, dberr.InvalidSQL, "subquery must return only one column")
	}
	return nil
}

// columnSubquery is a query of one column as a value: that of its only row, or
// an array of those of all.
func (b *binder) columnSubquery(kind plan.ApplyKind, q *ast.Query, sc *scope) (expr.Expr, error) {
	r, err := b.subquery(q, sc)
	if err != nil {
		return nil, err
	}
	if err := b.oneColumn(q, r); err != nil {
		return nil, err
	}
	b.settle(r)
	name, typ := r.names[0], b.st.Types[r.ids[0]]
	if kind == plan.ApplyArray {
		name, typ = "array", sqltype.ArrayOf(typ)
	}
	id := b.column(name, typ)
	err = sc.attach(func(rewrite) (*plan.Apply, error) {
		return &plan.Apply{Kind: kind, R: b.only(r), Col: id}, nil
	})
	return b.col(id), err
}

// only is a result without columns beside its own.
func (b *binder) only(r *result) plan.Node {
	p := &plan.Project{In: r.node}
	for _, id := range r.ids {
		p.Exprs, p.Cols = append(p.Exprs, b.col(id)), append(p.Cols, id)
	}
	return p
}

func (b *binder) exists(e *ast.ExistsExpr, sc *scope) (expr.Expr, error) {
	r, err := b.subquery(e.Query, sc)
	if err != nil {
		return nil, err
	}
	b.settle(r)
	id := b.column("exists", sqltype.TBoolean)
	err = sc.attach(func(rewrite) (*plan.Apply, error) {
		return &plan.Apply{Kind: plan.ApplyExists, R: r.node, Col: id}, nil
	})
	return b.col(id), err
}

// inSubquery is x op ANY (query), x op ALL (query), and with not, x NOT IN
// (query). ALL is what no row contradicts: NOT (x negated-op ANY (query)).
func (b *binder) inSubquery(x ast.Expr, op ast.Op, all, not bool, q *ast.Query, sc *scope) (expr.Expr, error) {
	r, err := b.subquery(q, sc)
	if err != nil {
		return nil, err
	}
	var left expr.Expr
	if row, ok := x.(*ast.RowExpr); ok {
		if len(row.Items) != len(r.ids) {
			return nil, b.errorf(q, dberr.InvalidSQL, "subquery has %d columns, but %d are compared", len(r.ids), len(row.Items))
		}
		left, err = b.expr(x, sc)
	} else {
		if err := b.oneColumn(q, r); err != nil {
			return nil, err
		}
		left, err = b.expr(x, sc)
	}
	if err != nil {
		return nil, err
	}
	// A side without a type takes that of the other.
	if row, ok := left.(*expr.RowExpr); ok {
		for i := range row.Items {
			b.settleLike(r, i, row.Items[i].Type())
		}
	} else {
		b.settleLike(r, 0, left.Type())
	}
	cols := make([]expr.Expr, len(r.ids))
	for i, id := range r.ids {
		cols[i] = b.col(id)
	}
	var right expr.Expr = cols[0]
	if _, ok := left.(*expr.RowExpr); ok {
		right = expr.Row(cols...)
	}
	if all {
		op, not = op.Negate(), !not
	}
	var cond expr.Expr
	switch op {
	case ast.OpLike, ast.OpNotLike:
		cond, err = expr.Like(ast.Like, op == ast.OpNotLike, left, right, nil)
	case ast.OpILike, ast.OpNotILike:
		cond, err = expr.Like(ast.ILike, op == ast.OpNotILike, left, right, nil)
	default:
		cond, err = expr.Binary(op, left, right)
	}
	if err != nil {
		return nil, err
	}
	id := b.column("in", sqltype.TBoolean)
	err = sc.attach(func(rw rewrite) (*plan.Apply, error) {
		c, err := rw(cond)
		if err != nil {
			return nil, err
		}
		return &plan.Apply{Kind: plan.ApplyMark, R: b.only(r), On: expr.Conjuncts(c), Col: id}, nil
	})
	if err != nil {
		return nil, err
	}
	if not {
		return expr.Not(b.col(id))
	}
	return b.col(id), nil
}

func (b *binder) settleLike(r *result, i int, t sqltype.Type) {
	if _, ok := r.lits[i]; !ok {
		return
	}
	if t.Kind == sqltype.Unknown || t.Kind == sqltype.Record {
		t = sqltype.TText
	}
	if b.settleAs(r, i, t) != nil {
		_ = b.settleAs(r, i, sqltype.TText)
	}
}

// rowSubquery is (a, b) = (query): a row compared with the only row of a
// query.
func (b *binder) rowSubquery(e *ast.BinaryExpr, sc *scope) (expr.Expr, bool, error) {
	row, ok := e.L.(*ast.RowExpr)
	sub, ok2 := e.R.(*ast.SubqueryExpr)
	op := e.Op
	if !ok || !ok2 {
		if row, ok = e.R.(*ast.RowExpr); !ok {
			return nil, false, nil
		}
		if sub, ok = e.L.(*ast.SubqueryExpr); !ok {
			return nil, false, nil
		}
		op = op.Commute()
	}
	r, err := b.subquery(sub.Query, sc)
	if err != nil {
		return nil, true, err
	}
	if len(r.ids) != len(row.Items) {
		return nil, true, b.errorf(sub, dberr.InvalidSQL, "subquery has %d columns, but %d are compared", len(r.ids), len(row.Items))
	}
	left, err := b.expr(row, sc)
	if err != nil {
		return nil, true, err
	}
	b.settle(r)
	// Each column is one scalar subquery over a record of all.
	fields := make([]expr.Expr, len(r.ids))
	cols := make([]int, len(r.ids))
	for i, id := range r.ids {
		cols[i] = b.column(r.names[i], b.st.Types[id])
		fields[i] = b.col(cols[i])
	}
	err = sc.attach(func(rewrite) (*plan.Apply, error) {
		p := &plan.Project{In: r.node}
		for i, id := range r.ids {
			p.Exprs, p.Cols = append(p.Exprs, b.col(id)), append(p.Cols, cols[i])
		}
		return &plan.Apply{Kind: plan.ApplySingle, R: p}, nil
	})
	if err != nil {
		return nil, true, err
	}
	out, err := expr.Binary(op, left, expr.Row(fields...))
	return out, true, err
}
