package binder

import (
	"math"

	"slices"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// grouping is a bound GROUP BY.
type grouping struct {
	given bool
	exprs []expr.Expr
	// sets are the grouping sets as indexes into exprs; nil: one set of all.
	sets [][]int
}

// maxGroupingSets is PostgreSQL's bound for CUBE.
const maxGroupingSets = 4096

// groupBy binds GROUP BY. Several items combine: the grouping sets are their
// cross product.
func (b *binder) groupBy(s *ast.Select, sc *scope) (*grouping, error) {
	g := &grouping{given: len(s.GroupBy) > 0}
	sets := [][]int{{}}
	special := false
	for _, e := range s.GroupBy {
		alts, isSpecial, err := b.groupItem(e, s, sc, g)
		if err != nil {
			return nil, err
		}
		special = special || isSpecial
		if len(sets)*len(alts) > maxGroupingSets {
			return nil, b.errorf(e, dberr.TooLarge, "too many grouping sets present (maximum %d)", maxGroupingSets)
		}
		var next [][]int
		for _, a := range sets {
			for _, c := range alts {
				next = append(next, union(a, c))
			}
		}
		sets = next
	}
	if special {
		if s.GroupDistinct {
			var uniq [][]int
			for _, set := range sets {
				sorted := slices.Sorted(slices.Values(set))
				if !slices.ContainsFunc(uniq, func(o []int) bool { return slices.Equal(slices.Sorted(slices.Values(o)), sorted) }) {
					uniq = append(uniq, set)
				}
			}
			sets = uniq
		}
		g.sets = sets
	}
	return g, nil
}

func union(a, c []int) []int {
	out := slices.Clone(a)
	for _, i := range c {
		if !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

// groupItem gives the alternatives of one item.
func (b *binder) groupItem(e ast.Expr, s *ast.Select, sc *scope, g *grouping) (alts [][]int, special bool, err error) {
	switch e := e.(type) {
	case *ast.RowExpr:
		set := []int{}
		for _, it := range e.Items {
			i, err := b.groupExpr(it, s, sc, g)
			if err != nil {
				return nil, false, err
			}
			set = union(set, []int{i})
		}
		return [][]int{set}, len(e.Items) == 0, nil
	case *ast.GroupingExpr:
		var parts [][][]int
		for _, it := range e.Items {
			a, _, err := b.groupItem(it, s, sc, g)
			if err != nil {
				return nil, false, err
			}
			parts = append(parts, a)
		}
		switch e.Kind {
		case ast.GroupingSets:
			for _, p := range parts {
				alts = append(alts, p...)
			}
		case ast.Rollup:
			for n := len(parts); n >= 0; n-- {
				set := []int{}
				for _, p := range parts[:n] {
					set = union(set, p[0])
				}
				alts = append(alts, set)
			}
		case ast.Cube:
			if len(parts) > 12 {
				return nil, false, b.errorf(e, dberr.TooLarge, "CUBE is limited to 12 elements")
			}
			for mask := 1<<len(parts) - 1; mask >= 0; mask-- {
				set := []int{}
				for i, p := range parts {
					if mask&(1<<(len(parts)-1-i)) != 0 {
						set = union(set, p[0])
					}
				}
				alts = append(alts, set)
			}
		}
		return alts, true, nil
	}
	i, err := b.groupExpr(e, s, sc, g)
	return [][]int{{i}}, false, err
}

// groupExpr binds one expression: a number or an output name of the select
// list, where no column of FROM has that name, or an expression.
func (b *binder) groupExpr(e ast.Expr, s *ast.Select, sc *scope, g *grouping) (int, error) {
	src := e
	if _, constant, err := b.ordinal(e, math.MaxInt, "GROUP BY"); err != nil {
		return 0, err
	} else if constant {
		var flat []ast.Expr
		for i := range s.Items {
			if star, ok := s.Items[i].X.(*ast.Star); ok {
				cols, err := b.star(star, sc)
				if err != nil {
					return 0, err
				}
				for range cols {
					flat = append(flat, nil)
				}
				continue
			}
			flat = append(flat, s.Items[i].X)
		}
		n, _, err := b.ordinal(e, len(flat), "GROUP BY")
		if err != nil {
			return 0, err
		}
		if src = flat[n]; src == nil {
			items, err := b.items(s.Items, sc)
			if err != nil {
				return 0, err
			}
			return g.add(items[n].x), nil
		}
	} else if c, ok := e.(*ast.ColumnRef); ok && c.Table == "" {
		if _, _, found, err := b.lookupIn(sc, c); err != nil {
			return 0, err
		} else if !found {
			for i := range s.Items {
				if s.Items[i].Alias == c.Name {
					src = s.Items[i].X
					break
				}
			}
		}
	}
	x, err := b.expr(src, sc)
	if err != nil {
		return 0, err
	}
	x = expr.Resolve(x)
	if n, query := size(src, mostNodes); query && n < mostNodes {
		sc.sel.queryGroups = append(sc.sel.queryGroups, queryGroup{text: ast.SQL(src), nodes: n, x: x})
	}
	return g.add(x), nil
}

// queryGroup is an expression of GROUP BY that has a subquery. Bound twice, a
// subquery is two plans: its text tells that the two are one.
type queryGroup struct {
	text  string
	nodes int
	x     expr.Expr
}

// mostNodes is how large such an expression may be.
const mostNodes = 1000

// size counts the nodes of an expression, up to most, and tells whether one of
// them is a query.
func size(e ast.Expr, most int) (n int, query bool) {
	ast.Inspect(e, func(x ast.Node) bool {
		if _, ok := x.(*ast.Query); ok {
			query = true
		}
		n++
		return n < most
	})
	return n, query
}

// asGroup gives the expression of GROUP BY that e repeats, if it is one with a
// subquery.
func (s *selectState) asGroup(e ast.Expr) (expr.Expr, bool) {
	for _, g := range s.queryGroups {
		if n, query := size(e, g.nodes+1); query && n == g.nodes && ast.SQL(e) == g.text {
			return g.x, true
		}
	}
	return nil, false
}

func (g *grouping) add(x expr.Expr) int {
	if i := slices.IndexFunc(g.exprs, func(e expr.Expr) bool { return plan.Equal(e, x) }); i >= 0 {
		return i
	}
	g.exprs = append(g.exprs, x)
	return len(g.exprs) - 1
}

// group puts the Aggregate of a SELECT on its node. The rewrite that it gives
// turns expressions over the rows before into expressions over the groups.
func (b *binder) group(s *ast.Select, sc *scope, g *grouping) (plan.Node, rewrite, error) {
	st := sc.sel
	exprs := slices.Clone(g.exprs)
	for i := range st.aggs {
		a := &st.aggs[i]
		exprs = append(exprs, a.args...)
		for _, o := range a.order {
			exprs = append(exprs, o.x)
		}
		if a.filter != nil {
			exprs = append(exprs, a.filter)
		}
	}
	node, ids := b.extend(sc.node, exprs, func(i int) string {
		if i < len(g.exprs) {
			return "group"
		}
		return "argument"
	})
	agg := &plan.Aggregate{In: node, Groups: slices.Clone(ids[:len(g.exprs)]), SetID: -1}
	at := len(g.exprs)
	for i := range st.aggs {
		a := &st.aggs[i]
		a.agg.Args = slices.Clone(ids[at : at+len(a.args)])
		at += len(a.args)
		for _, o := range a.order {
			a.agg.OrderBy = append(a.agg.OrderBy, plan.SortKey{Col: ids[at], Desc: o.desc, NullsFirst: o.nullsFirst})
			at++
		}
		if a.filter != nil {
			a.agg.Filter = ids[at]
			at++
		}
		agg.Aggs = append(agg.Aggs, a.agg)
	}
	var top plan.Node = agg
	outIDs := agg.Groups
	if g.sets != nil {
		agg.Sets = g.sets
		agg.SetCols = make([]int, len(agg.Groups))
		for i, id := range agg.Groups {
			agg.SetCols[i] = b.column(b.st.Labels[id], b.st.Types[id])
		}
		agg.SetID = b.column("set", sqltype.TInteger)
		outIDs = agg.SetCols
	}
	if len(st.grouping) > 0 {
		p := b.passOn(agg)
		for _, c := range st.grouping {
			x, err := b.groupingValue(s, g, agg, c)
			if err != nil {
				return nil, nil, err
			}
			p.Exprs, p.Cols = append(p.Exprs, x), append(p.Cols, c.col)
		}
		top = p
	}
	// A constant is NULL in the grouping sets without it where it stands alone,
	// and itself within another expression, as in PostgreSQL.
	constants := make([]expr.Expr, len(g.exprs))
	for i, ge := range g.exprs {
		x := expr.Fold(ge)
		if _, ok := expr.AsConst(x); ok && g.sets != nil {
			constants[i] = x
		}
	}
	rw := func(whole expr.Expr) (expr.Expr, error) {
		e := expr.Replace(whole, func(e expr.Expr) expr.Expr {
			for i, ge := range g.exprs {
				if !plan.Equal(ge, e) {
					continue
				}
				if constants[i] != nil && e != whole {
					return constants[i]
				}
				return b.col(outIDs[i])
			}
			return nil
		})
		for _, id := range expr.Columns(e) {
			if slices.Contains(outIDs, id) || !slices.Contains(st.own, id) {
				continue
			}
			if g.sets == nil && b.determined(sc, agg.Groups, id) {
				agg.Groups = append(agg.Groups, id)
				outIDs = agg.Groups
				if p, ok := top.(*plan.Project); ok {
					p.Exprs, p.Cols = append(p.Exprs, b.col(id)), append(p.Cols, id)
				}
				continue
			}
			return nil, dberr.Newf(dberr.InvalidSQL, "column %q must appear in the GROUP BY clause or be used in an aggregate function", b.st.Labels[id]).WithState("42803")
		}
		return e, nil
	}
	return top, rw, nil
}

// determined tells whether a column belongs to a table whose whole primary key
// is grouped, and so has one value a group.
func (b *binder) determined(sc *scope, groups []int, id int) bool {
	for _, r := range sc.rels {
		if r.scan == nil || !slices.Contains(r.scan.Cols, id) {
			continue
		}
		key := r.scan.Table.KeyOrdinals()
		for _, k := range key {
			if !slices.Contains(groups, r.scan.Cols[k]) {
				return false
			}
		}
		return len(key) > 0
	}
	return false
}

// groupingValue is GROUPING(…) as a CASE over the number of the grouping set.
func (b *binder) groupingValue(s *ast.Select, g *grouping, agg *plan.Aggregate, c groupingCall) (expr.Expr, error) {
	index := make([]int, len(c.args))
	for i, a := range c.args {
		index[i] = slices.IndexFunc(g.exprs, func(e expr.Expr) bool { return plan.Equal(e, a) })
		if index[i] < 0 {
			return nil, b.errorf(s, dberr.InvalidSQL, "arguments to GROUPING must be grouping expressions of the associated query level").WithState("42803")
		}
	}
	if g.sets == nil {
		return intConst(0), nil
	}
	var whens []expr.When
	for k, set := range g.sets {
		n := int64(0)
		for _, i := range index {
			n <<= 1
			if !slices.Contains(set, i) {
				n |= 1
			}
		}
		cond, err := expr.Binary(ast.OpEq, b.col(agg.SetID), intConst(int64(k)))
		if err != nil {
			return nil, err
		}
		whens = append(whens, expr.When{Cond: cond, Result: intConst(n)})
	}
	return expr.Case(nil, whens, intConst(0))
}
