package optimizer

import (
	"maps"
	"slices"

	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// constants are the columns that have one known value in all rows, with it.
// Where such a column is read, the value is put in its place: what is decided
// within a relation so decides what is joined with it, and what a subquery
// reads of a row that has it.
type constants map[int]expr.Expr

// and are the columns of both.
func (c constants) and(d constants) constants {
	switch {
	case len(c) == 0:
		return d
	case len(d) == 0:
		return c
	}
	out := maps.Clone(c)
	maps.Copy(out, d)
	return out
}

// in gives an expression with the values in the places of the columns.
func (c constants) in(e expr.Expr) expr.Expr {
	return expr.Replace(e, func(e expr.Expr) expr.Expr {
		if col, ok := e.(*expr.ColumnExpr); ok {
			return c[col.Ordinal]
		}
		return nil
	})
}

func (c constants) inAll(list []expr.Expr) []expr.Expr {
	out := make([]expr.Expr, len(list))
	for i, e := range list {
		out[i] = c.in(e)
	}
	return out
}

func (c constants) inWhen(e expr.Expr) expr.Expr {
	if e == nil {
		return nil
	}
	return c.in(e)
}

// into puts the values into the expressions of a node.
func (c constants) into(n plan.Node) plan.Node {
	if len(c) == 0 {
		return n
	}
	switch n := n.(type) {
	case *plan.Scan:
		s := *n
		s.Filter = c.inAll(n.Filter)
		return &s
	case *plan.Filter:
		return &plan.Filter{In: n.In, Preds: c.inAll(n.Preds)}
	case *plan.Project:
		p := *n
		p.Exprs = c.inAll(n.Exprs)
		return &p
	case *plan.Join:
		j := *n
		j.On, j.Test, j.When = c.inAll(n.On), c.inAll(n.Test), c.inWhen(n.When)
		return &j
	case *plan.Apply:
		a := *n
		a.On, a.When = c.inAll(n.On), c.inWhen(n.When)
		return &a
	case *plan.Values:
		v := &plan.Values{Cols: n.Cols, Rows: make([][]expr.Expr, len(n.Rows))}
		for i, row := range n.Rows {
			v.Rows[i] = c.inAll(row)
		}
		return v
	}
	return n
}

// constants are the constant columns of a node whose inputs have those of l
// and r.
func (o *optimizer) constants(n plan.Node, l, r constants) constants {
	switch n := n.(type) {
	case *plan.Filter, *plan.Sort, *plan.Limit, *plan.Distinct, *plan.Window:
		return l
	case *plan.Project:
		out := constants{}
		for i, e := range n.Exprs {
			if v, ok := e.(*expr.ConstExpr); ok && v.Type() == o.st.Types[n.Cols[i]] {
				out[n.Cols[i]] = v
			}
		}
		return out
	case *plan.Aggregate:
		if n.Sets != nil {
			return nil
		}
		out := maps.Clone(l)
		maps.DeleteFunc(out, func(id int, _ expr.Expr) bool { return !slices.Contains(n.Groups, id) })
		return out
	case *plan.Join:
		switch n.Kind {
		case plan.Inner:
			return l.and(r)
		case plan.Left, plan.Single, plan.Mark:
			return l
		}
	case *plan.Apply:
		if n.Kind == plan.ApplyCross {
			return l.and(r)
		}
		return l
	}
	return nil
}
