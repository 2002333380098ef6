package expr

import (
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
)

// compareRows gives the fields of two row constructors pairwise common types.
func compareRows(op ast.Op, l, r *RowExpr, distinct bool) (Expr, error) {
	if len(l.Items) != len(r.Items) {
		return nil, dberr.New(dberr.InvalidSQL, "unequal number of entries in row expressions")
	}
	ln, rn := &RowExpr{}, &RowExpr{}
	var eqs []Expr
	for i := range l.Items {
		c, err := compare(op, l.Items[i], r.Items[i], distinct)
		if err != nil {
			return nil, err
		}
		eqs = append(eqs, c)
		if p, ok := c.(*CompareExpr); ok {
			ln.Items, rn.Items = append(ln.Items, p.L), append(rn.Items, p.R)
		}
	}
	// = and <> are conjunction and disjunction of the fields' comparisons,
	// which also gives the right result for NULL fields.
	switch op {
	case ast.OpEq:
		return And(eqs...), nil
	case ast.OpNe:
		return Or(eqs...), nil
	}
	if len(ln.Items) != len(l.Items) {
		return nil, dberr.New(dberr.Unsupported, "rows within rows can only be compared with = and <>")
	}
	return compareFields(op, ln.Items, rn.Items), nil
}

// compareFields compares rows by their order: later fields are computed only
// where all earlier ones are equal. (a, b) < (c, d) is
//
//	a <= c AND CASE WHEN a = c THEN b < d ELSE TRUE END
//
// whose first part can limit a scan as any comparison can.
func compareFields(op ast.Op, l, r []Expr) Expr {
	if len(l) == 1 {
		return &CompareExpr{Op: op, L: l[0], R: r[0]}
	}
	loose := op
	switch op {
	case ast.OpLt:
		loose = ast.OpLe
	case ast.OpGt:
		loose = ast.OpGe
	}
	equal := When{Cond: &CompareExpr{Op: ast.OpEq, L: l[0], R: r[0]}, Result: compareFields(op, l[1:], r[1:])}
	return And(&CompareExpr{Op: loose, L: l[0], R: r[0]},
		&CaseExpr{Whens: []When{equal}, Else: Bool(true), typ: sqltype.TBoolean})
}
