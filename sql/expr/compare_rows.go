package expr

import (
	"github.com/kalamdb/kalamdb/commons/dberr"
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
	// (a, b) < (c, d) is a < c OR a = c AND b < d.
	var alternatives []Expr
	strict := op
	switch op {
	case ast.OpLe:
		strict = ast.OpLt
	case ast.OpGe:
		strict = ast.OpGt
	}
	for i := range ln.Items {
		var terms []Expr
		for j := range i {
			terms = append(terms, &CompareExpr{Op: ast.OpEq, L: ln.Items[j], R: rn.Items[j]})
		}
		o := strict
		if i == len(ln.Items)-1 {
			o = op
		}
		terms = append(terms, &CompareExpr{Op: o, L: ln.Items[i], R: rn.Items[i]})
		alternatives = append(alternatives, And(terms...))
	}
	return Or(alternatives...), nil
}
