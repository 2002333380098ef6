package binder

import (
	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// rowNumbers are the columns _seq and _updated of the rows that a statement
// changes. Their values come with the commit, after everything is computed, so
// RETURNING may give them and not compute with them.
type rowNumbers struct{ seq, updated int }

// numbers puts the columns into RETURNING's relation of the changed table.
func (b *binder) numbers(t *ddl.Table, rel *relation) rowNumbers {
	if !t.HasSystemColumns() {
		return rowNumbers{seq: -1, updated: -1}
	}
	n := rowNumbers{seq: b.column(sysname.Seq, sqltype.TBigInt), updated: b.column(sysname.Updated, sqltype.TTimestamp)}
	rel.cols = append(rel.cols, outColumn{name: sysname.Seq, id: n.seq, hidden: true}, outColumn{name: sysname.Updated, id: n.updated, hidden: true})
	return n
}

func (n rowNumbers) in(cols []int) bool {
	return slices.Contains(cols, n.seq) || slices.Contains(cols, n.updated)
}

// take notes an item of RETURNING that is one of the columns, and gives the
// NULL that stands in its place until the commit.
func (n rowNumbers) take(x expr.Expr, at int, w *plan.Write) (expr.Expr, error) {
	if c, ok := x.(*expr.ColumnExpr); ok && n.in([]int{c.Ordinal}) {
		w.Numbers = append(w.Numbers, plan.Number{Col: at, Updated: c.Ordinal == n.updated})
		return expr.Const(sqltype.NullOf(x.Type().Kind), x.Type()), nil
	}
	if n.in(expr.Columns(x)) {
		return nil, laterNumber("within an expression")
	}
	return x, nil
}

// unread checks the subqueries of a RETURNING that has any.
func (n rowNumbers) unread(in plan.Node, w *plan.Write) error {
	var cols []int
	for id := range plan.Free(in) {
		cols = append(cols, id)
	}
	if len(w.Numbers) > 0 || n.in(cols) {
		return laterNumber("beside a subquery")
	}
	return nil
}

func laterNumber(where string) error {
	return dberr.Newf(dberr.Unsupported, "RETURNING cannot give _seq or _updated %s: they are known when the statement has committed", where).
		WithHint("Name them as columns of their own, or read the row afterwards.")
}
