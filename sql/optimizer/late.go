package optimizer

import (
	"slices"

	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// late computes what the select list asks for behind a LIMIT or a DISTINCT ON,
// for the rows that these keep: subqueries and what reads them, expensive
// expressions, and where there is no sort whatever a row's value is. What the
// sorts themselves read stays before them.
func (o *optimizer) late(n plan.Node) plan.Node {
	switch n.(type) {
	case *plan.Limit, *plan.Distinct:
	default:
		return mapInputs(n, o.late)
	}
	var chain []plan.Node // from the top down
	used, fewer, sorted := colSet{}, false, false
	base := n
walk:
	for {
		switch x := base.(type) {
		case *plan.Limit:
			for _, k := range x.Ties {
				used.add(k.Col)
			}
			fewer = true
		case *plan.Distinct:
			used.add(x.On...)
			fewer, sorted = true, true
		case *plan.Sort:
			for _, k := range x.Keys {
				used.add(k.Col)
			}
			sorted = true
		case *plan.Project:
			for i, id := range x.Cols {
				if used.has(id) {
					used.addExprs(x.Exprs[i])
				}
			}
		case *plan.Apply:
			if x.Kind < plan.ApplyScalar {
				break walk
			}
			if used.has(x.Col) {
				used.addExprs(x.On...)
				used.addExprs(x.When)
				for id := range free(x.R) {
					used.add(id)
				}
			}
			c := *x
			c.R = o.late(x.R)
			base = &c
		default:
			break walk
		}
		chain = append(chain, base)
		base = base.Inputs()[0]
	}
	base = o.late(base)
	if !fewer {
		return rebuild(chain, base)
	}
	l := &lateness{o: o, used: used, sorted: sorted, made: colSet{}}
	out := base
	for _, x := range slices.Backward(chain) {
		out = l.over(x, out)
	}
	if !l.worth {
		return rebuild(chain, base)
	}
	for _, x := range l.later {
		out = x(out)
	}
	return o.exactly(out, n.Columns())
}

// rebuild is a chain of nodes over another input.
func rebuild(chain []plan.Node, in plan.Node) plan.Node {
	for _, x := range slices.Backward(chain) {
		inputs := x.Inputs()
		inputs[0] = in
		in = x.WithInputs(inputs)
	}
	return in
}

// lateness sorts what a chain of nodes computes into what its sorts need and
// what can come later.
type lateness struct {
	o *optimizer
	// used are the columns that must be there early.
	used   colSet
	sorted bool
	// later makes the columns of made, in order.
	later []func(plan.Node) plan.Node
	made  colSet
	// worth says that there is something that is better late.
	worth bool
}

// reads tells whether one of the columns is made later.
func (l *lateness) reads(cols colSet) bool {
	for id := range cols {
		if l.made.has(id) {
			return true
		}
	}
	return false
}

// over gives a node of the chain over its new input, without what comes later.
func (l *lateness) over(x, in plan.Node) plan.Node {
	switch x := x.(type) {
	case *plan.Apply:
		if l.used.has(x.Col) {
			return &plan.Apply{Kind: x.Kind, L: in, R: x.R, On: x.On, Col: x.Col, When: x.When}
		}
		l.made.add(x.Col)
		l.worth = true
		l.later = append(l.later, func(in plan.Node) plan.Node {
			return &plan.Apply{Kind: x.Kind, L: in, R: x.R, On: x.On, Col: x.Col, When: x.When}
		})
		return in
	case *plan.Project:
		have := in.Columns()
		early := &plan.Project{In: in, Exprs: l.o.exprs(have), Cols: slices.Clone(have)}
		var cols []int
		var exprs []expr.Expr
		for i, id := range x.Cols {
			c, column := x.Exprs[i].(*expr.ColumnExpr)
			reads := colSet{}
			reads.addExprs(x.Exprs[i])
			switch {
			case column && c.Ordinal == id:
				// It is there already, or comes later.
			case !l.used.has(id) && (l.reads(reads) || !l.sorted || cost(x.Exprs[i]) > expensive):
				cols, exprs = append(cols, id), append(exprs, x.Exprs[i])
				if _, constant := x.Exprs[i].(*expr.ConstExpr); !constant && !column {
					l.worth = true
				}
			default:
				early.Cols, early.Exprs = append(early.Cols, id), append(early.Exprs, x.Exprs[i])
			}
		}
		l.made.add(cols...)
		if len(cols) > 0 {
			l.later = append(l.later, func(in plan.Node) plan.Node {
				have := in.Columns()
				return &plan.Project{In: in, Exprs: append(l.o.exprs(have), exprs...), Cols: append(slices.Clone(have), cols...)}
			})
		}
		if len(early.Cols) == len(have) {
			return in
		}
		return early
	}
	return rebuild([]plan.Node{x}, in)
}

// expensive is above how many functions and operators an expression is rather
// computed late than carried as a value through a sort; PostgreSQL's bound.
const expensive = 10
