package expr

import "slices"

// Children of a column: none.
func (e *ColumnExpr) Children() []Expr { return nil }

// Children of a constant: none.
func (e *ConstExpr) Children() []Expr { return nil }

// Children of a parameter: none.
func (e *ParamExpr) Children() []Expr { return nil }

// Children are the arguments.
func (e *CallExpr) Children() []Expr { return e.Args }

// Children are the two sides.
func (e *CompareExpr) Children() []Expr { return []Expr{e.L, e.R} }

// Children is the operand.
func (e *CastExpr) Children() []Expr { return []Expr{e.X} }

// Children are the conditions.
func (e *AndExpr) Children() []Expr { return e.Args }

// Children are the conditions.
func (e *OrExpr) Children() []Expr { return e.Args }

// Children is the operand.
func (e *NotExpr) Children() []Expr { return []Expr{e.X} }

// Children is the operand.
func (e *IsExpr) Children() []Expr { return []Expr{e.X} }

// Children are condition and result of each branch, then Else.
func (e *CaseExpr) Children() []Expr {
	out := make([]Expr, 0, 2*len(e.Whens)+1)
	for _, w := range e.Whens {
		out = append(out, w.Cond, w.Result)
	}
	return append(out, e.Else)
}

// Children are the arguments.
func (e *CoalesceExpr) Children() []Expr { return e.Args }

// Children are X and the list's items.
func (e *InExpr) Children() []Expr { return append([]Expr{e.X}, e.List...) }

// Children are X, the pattern, and the escape where there is one.
func (e *LikeExpr) Children() []Expr {
	if e.Escape == nil {
		return []Expr{e.X, e.Pattern}
	}
	return []Expr{e.X, e.Pattern, e.Escape}
}

// Children are X and the array.
func (e *QuantifiedExpr) Children() []Expr { return []Expr{e.X, e.Array} }

// Children are the elements.
func (e *ArrayExpr) Children() []Expr { return e.Elems }

// Children are the fields.
func (e *RowExpr) Children() []Expr { return e.Items }

func (e *ColumnExpr) with([]Expr) Expr { return e }
func (e *ConstExpr) with([]Expr) Expr  { return e }
func (e *ParamExpr) with([]Expr) Expr  { return e }
func (e *CallExpr) with(c []Expr) Expr { return &CallExpr{Fn: e.Fn, Args: c, typ: e.typ} }
func (e *CompareExpr) with(c []Expr) Expr {
	return &CompareExpr{Op: e.Op, L: c[0], R: c[1], Distinct: e.Distinct}
}
func (e *CastExpr) with(c []Expr) Expr { return &CastExpr{X: c[0], Mode: e.Mode, to: e.to} }
func (e *AndExpr) with(c []Expr) Expr  { return And(c...) }
func (e *OrExpr) with(c []Expr) Expr   { return Or(c...) }
func (e *NotExpr) with(c []Expr) Expr  { return &NotExpr{X: c[0]} }
func (e *IsExpr) with(c []Expr) Expr   { return &IsExpr{Kind: e.Kind, Not: e.Not, X: c[0]} }
func (e *CaseExpr) with(c []Expr) Expr {
	n := &CaseExpr{typ: e.typ, Else: c[len(c)-1]}
	for i := 0; i+1 < len(c); i += 2 {
		n.Whens = append(n.Whens, When{Cond: c[i], Result: c[i+1]})
	}
	return n
}
func (e *CoalesceExpr) with(c []Expr) Expr { return &CoalesceExpr{Args: c, typ: e.typ} }
func (e *InExpr) with(c []Expr) Expr       { return &InExpr{X: c[0], List: c[1:], Not: e.Not} }
func (e *LikeExpr) with(c []Expr) Expr {
	n := &LikeExpr{Kind: e.Kind, Not: e.Not, X: c[0], Pattern: c[1]}
	if len(c) > 2 {
		n.Escape = c[2]
	}
	return n
}
func (e *QuantifiedExpr) with(c []Expr) Expr {
	return &QuantifiedExpr{Op: e.Op, All: e.All, X: c[0], Array: c[1]}
}
func (e *ArrayExpr) with(c []Expr) Expr { return &ArrayExpr{Elems: c, typ: e.typ} }
func (e *RowExpr) with(c []Expr) Expr   { return &RowExpr{Items: c} }

// Walk calls visit for e and everything below it, parents first, as long as
// visit returns true.
func Walk(e Expr, visit func(Expr) bool) {
	if e == nil || !visit(e) {
		return
	}
	for _, c := range e.Children() {
		Walk(c, visit)
	}
}

// Transform rebuilds e bottom-up: each node whose children changed is made
// anew, then replaced by what f returns for it. f keeps the type of what it
// replaces.
func Transform(e Expr, f func(Expr) (Expr, error)) (Expr, error) {
	kids := e.Children()
	var changed []Expr
	for i, c := range kids {
		n, err := Transform(c, f)
		if err != nil {
			return nil, err
		}
		if n != c {
			if changed == nil {
				changed = slices.Clone(kids)
			}
			changed[i] = n
		}
	}
	if changed != nil {
		e = e.with(changed)
	}
	return f(e)
}

// Replace puts what f gives in the place of the outermost parts for which it
// gives something.
func Replace(e Expr, f func(Expr) Expr) Expr {
	if n := f(e); n != nil {
		return n
	}
	kids := e.Children()
	var changed []Expr
	for i, c := range kids {
		if n := Replace(c, f); n != c {
			if changed == nil {
				changed = slices.Clone(kids)
			}
			changed[i] = n
		}
	}
	if changed == nil {
		return e
	}
	return e.with(changed)
}

// MapColumns replaces each column's ordinal by what f gives for it.
func MapColumns(e Expr, f func(ordinal int) int) Expr {
	out, _ := Transform(e, func(e Expr) (Expr, error) {
		if c, ok := e.(*ColumnExpr); ok {
			if n := f(c.Ordinal); n != c.Ordinal {
				return &ColumnExpr{Ordinal: n, Name: c.Name, typ: c.typ}, nil
			}
		}
		return e, nil
	})
	return out
}

// Columns lists the ordinals that e reads, ascending and each once.
func Columns(exprs ...Expr) []int {
	var out []int
	for _, e := range exprs {
		Walk(e, func(e Expr) bool {
			if c, ok := e.(*ColumnExpr); ok {
				out = append(out, c.Ordinal)
			}
			return true
		})
	}
	slices.Sort(out)
	return slices.Compact(out)
}
