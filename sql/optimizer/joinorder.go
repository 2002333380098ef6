package optimizer

import (
	"math"
	"math/bits"
	"slices"

	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// maxBushy is up to how many relations every tree of joins is looked at; more
// are joined greedily, the pair with the smallest result first.
const maxBushy = 9

// joinGraph is a set of relations that inner joins connect, with what is known
// about their sizes.
//
// The size of a join of a set of relations is the product of their sizes, over
// the size of each class of columns that equalities make one (as often as a
// further relation takes part in it), times a guess for each other condition.
// A class is as large as the table of which it is the key.
type joinGraph struct {
	o     *optimizer
	rels  []plan.Node
	rows  []float64
	preds []joinPred
	// classes are sets of relations that share a value.
	classes []joinClass
	// keys are the relations that are found by a key of several columns.
	keys []joinKey
	card map[uint64]float64
}

type joinPred struct {
	e    expr.Expr
	rels uint64
	// equal says that a class stands for the predicate.
	equal bool
	// l and r are the relations of both sides of an equality.
	l, r uint64
}

type joinClass struct {
	cols []int
	rels uint64
	size float64
	// one says that each relation has one column of the class and all are of
	// one type: a join that has one equality of it needs no other.
	one bool
}

// joinKey is the classes that together are the primary key of rel.
type joinKey struct {
	rel     int
	classes []int
	base    float64
}

// joinOrder chooses the order in which relations are joined; nil: nothing is
// known about their sizes.
func (o *optimizer) joinOrder(rels []plan.Node, preds []expr.Expr) plan.Node {
	if o.rows == nil || len(rels) > 60 {
		return nil
	}
	g := &joinGraph{o: o, rels: rels, card: map[uint64]float64{}}
	for _, r := range rels {
		g.rows = append(g.rows, max(1, o.estimate(r)))
	}
	var rest []expr.Expr
	for _, p := range preds {
		set := g.relsOf(expr.Columns(p))
		if bits.OnesCount64(set) < 2 {
			rest = append(rest, p)
			continue
		}
		jp := joinPred{e: p, rels: set, equal: g.unite(p)}
		if c, ok := p.(*expr.CompareExpr); ok && c.Op == ast.OpEq {
			jp.l, jp.r = g.relsOf(expr.Columns(c.L)), g.relsOf(expr.Columns(c.R))
		}
		g.preds = append(g.preds, jp)
	}
	g.measure()
	o.sized = true
	var t *joinTree
	if len(rels) <= maxBushy {
		t = g.best()
	} else {
		t = g.greedy()
	}
	return withFilter(g.build(t), rest)
}

// relsOf are the relations that the columns come from.
func (g *joinGraph) relsOf(cols []int) uint64 {
	var set uint64
	for i, r := range g.rels {
		for _, id := range r.Columns() {
			if slices.Contains(cols, id) {
				set |= 1 << i
				break
			}
		}
	}
	return set
}

// unite makes the two columns of an equality one class.
func (g *joinGraph) unite(p expr.Expr) bool {
	c, ok := p.(*expr.CompareExpr)
	if !ok || c.Op != ast.OpEq || c.Distinct {
		return false
	}
	l, ok1 := c.L.(*expr.ColumnExpr)
	r, ok2 := c.R.(*expr.ColumnExpr)
	if !ok1 || !ok2 {
		return false
	}
	both := joinClass{cols: []int{l.Ordinal, r.Ordinal}}
	g.classes = slices.DeleteFunc(g.classes, func(k joinClass) bool {
		if !slices.Contains(k.cols, l.Ordinal) && !slices.Contains(k.cols, r.Ordinal) {
			return false
		}
		both.cols = append(both.cols, k.cols...)
		return true
	})
	g.classes = append(g.classes, both)
	return true
}

// measure finds the sizes of the classes, and the keys.
func (g *joinGraph) measure() {
	for i := range g.classes {
		c := &g.classes[i]
		c.rels = g.relsOf(c.cols)
		slices.Sort(c.cols)
		c.cols = slices.Compact(c.cols)
		c.one = len(c.cols) == bits.OnesCount64(c.rels)
		largest := 1.0
		for _, id := range c.cols {
			c.one = c.one && g.o.st.Types[id].Kind == g.o.st.Types[c.cols[0]].Kind
			s, ord := scanOf(g.rels, id)
			if s == nil {
				continue
			}
			base := max(1, float64(g.o.rows(s.Table)))
			largest = max(largest, base)
			if key := s.Table.KeyOrdinals(); len(key) == 1 && key[0] == ord {
				c.size = max(c.size, base)
			}
		}
		if c.size == 0 {
			c.size = max(1, largest/10)
		}
	}
	for i, r := range g.rels {
		s := scanBelow(r)
		if s == nil || len(s.Table.PrimaryKey) < 2 {
			continue
		}
		k := joinKey{rel: i, base: max(1, float64(g.o.rows(s.Table)))}
		for _, ord := range s.Table.KeyOrdinals() {
			at := slices.Index(s.Ordinals, ord)
			if at < 0 {
				break
			}
			class := slices.IndexFunc(g.classes, func(c joinClass) bool { return slices.Contains(c.cols, s.Cols[at]) })
			if class < 0 {
				break
			}
			k.classes = append(k.classes, class)
		}
		if len(k.classes) == len(s.Table.PrimaryKey) {
			g.keys = append(g.keys, k)
		}
	}
}

// scanBelow is the scan of a relation that is one table.
func scanBelow(n plan.Node) *plan.Scan {
	for {
		switch x := n.(type) {
		case *plan.Scan:
			return x
		case *plan.Filter:
			n = x.In
		case *plan.Project:
			n = x.In
		case *plan.Join:
			if x.Kind != plan.Mark {
				return nil
			}
			n = x.L
		default:
			return nil
		}
	}
}

// scanOf is the scan that reads a column, and the column's ordinal.
func scanOf(rels []plan.Node, id int) (*plan.Scan, int) {
	for _, r := range rels {
		if s := scanBelow(r); s != nil {
			if at := slices.Index(s.Cols, id); at >= 0 {
				return s, s.Ordinals[at]
			}
		}
	}
	return nil, 0
}

// size is about how many rows the join of a set of relations has.
func (g *joinGraph) size(set uint64) float64 {
	if n, ok := g.card[set]; ok {
		return n
	}
	n := 1.0
	for i, rows := range g.rows {
		if set>>i&1 == 1 {
			n *= rows
		}
	}
	for i := range g.classes {
		if k := bits.OnesCount64(g.classes[i].rels & set); k > 1 {
			n /= math.Pow(g.classes[i].size, float64(k-1))
		}
	}
	for _, k := range g.keys {
		// The columns of a key depend on each other: together they take a row
		// of the table each, not one of all combinations.
		product := 1.0
		for _, c := range k.classes {
			if bits.OnesCount64(g.classes[c].rels&set) < 2 {
				product = 0
			}
			product *= g.classes[c].size
		}
		if set>>k.rel&1 == 1 && product > k.base {
			n *= product / k.base
		}
	}
	for i := range g.preds {
		if p := &g.preds[i]; !p.equal && p.rels&^set == 0 {
			n *= g.o.selectivity(p.e, nil)
		}
	}
	n = max(1, n)
	g.card[set] = n
	return n
}

// joinTree is a relation, or a join of two trees.
type joinTree struct {
	set  uint64
	cost float64
	l, r *joinTree
}

func (g *joinGraph) join(l, r *joinTree) *joinTree {
	// The table is built over the smaller side, which costs more than to look
	// something up in it.
	set := l.set | r.set
	if g.size(l.set) < g.size(r.set) {
		l, r = r, l
	}
	return &joinTree{set: set, l: l, r: r, cost: l.cost + r.cost + g.size(set) + g.size(l.set) + 2*g.size(r.set) + g.tested(l.set, r.set)}
}

// tested is how many pairs of rows a join tests a condition on because no
// equality finds those that match.
func (g *joinGraph) tested(l, r uint64) float64 {
	for i := range g.classes {
		if c := g.classes[i].rels; c&l != 0 && c&r != 0 {
			return 0
		}
	}
	any := false
	for i := range g.preds {
		p := &g.preds[i]
		if p.rels&^(l|r) != 0 || p.rels&^l == 0 || p.rels&^r == 0 {
			continue
		}
		if p.l != 0 && p.r != 0 && (p.l&^l == 0 && p.r&^r == 0 || p.l&^r == 0 && p.r&^l == 0) {
			return 0
		}
		any = true
	}
	if !any {
		return 0
	}
	return g.size(l) * g.size(r)
}

// best looks at every tree.
func (g *joinGraph) best() *joinTree {
	n := len(g.rels)
	trees := make([]*joinTree, 1<<n)
	for i := range n {
		trees[1<<i] = &joinTree{set: 1 << i}
	}
	for set := uint64(3); set < 1<<n; set++ {
		if bits.OnesCount64(set) < 2 {
			continue
		}
		for l := (set - 1) & set; l > set&^l; l = (l - 1) & set {
			if t := g.join(trees[l], trees[set&^l]); trees[set] == nil || t.cost < trees[set].cost {
				trees[set] = t
			}
		}
	}
	return trees[1<<n-1]
}

// greedy joins the pair with the smallest result, again and again.
func (g *joinGraph) greedy() *joinTree {
	var trees []*joinTree
	for i := range g.rels {
		trees = append(trees, &joinTree{set: 1 << i})
	}
	for len(trees) > 1 {
		bi, bj, least := 0, 1, math.Inf(1)
		for i := range trees {
			for j := i + 1; j < len(trees); j++ {
				if s := g.size(trees[i].set | trees[j].set); s < least {
					bi, bj, least = i, j, s
				}
			}
		}
		t := g.join(trees[bi], trees[bj])
		trees = slices.Delete(trees, bj, bj+1)
		trees[bi] = t
	}
	return trees[0]
}

// build makes the joins of a tree; a predicate stands at the lowest join that
// has all of its relations.
func (g *joinGraph) build(t *joinTree) plan.Node {
	if t.l == nil {
		return g.rels[bits.TrailingZeros64(t.set)]
	}
	j := &plan.Join{Kind: plan.Inner, L: g.build(t.l), R: g.build(t.r), Sized: true}
	for i := range g.preds {
		p := &g.preds[i]
		if p.equal && slices.ContainsFunc(j.On, func(e expr.Expr) bool { return g.redundant(p.e, e) }) {
			continue
		}
		if p.rels&^t.set == 0 && p.rels&^t.l.set != 0 && p.rels&^t.r.set != 0 {
			j.On = append(j.On, p.e)
		}
	}
	for i := range g.classes {
		g.connect(j, t, &g.classes[i])
	}
	return j
}

// redundant tells whether an equality says nothing beside another one of the
// same join, because both are of a class that its inputs hold to already.
func (g *joinGraph) redundant(p, beside expr.Expr) bool {
	cmp, ok := beside.(*expr.CompareExpr)
	if !ok || cmp.Op != ast.OpEq {
		return false
	}
	l, ok := cmp.L.(*expr.ColumnExpr)
	if _, both := cmp.R.(*expr.ColumnExpr); !ok || !both {
		return false
	}
	class := func(id int) int {
		return slices.IndexFunc(g.classes, func(c joinClass) bool { return slices.Contains(c.cols, id) })
	}
	c := class(l.Ordinal)
	return c >= 0 && g.classes[c].one && c == class(p.(*expr.CompareExpr).L.(*expr.ColumnExpr).Ordinal)
}

// connect adds an equality of a class that follows from others, when none of
// the join's own says it: from a = b and b = c comes a = c.
func (g *joinGraph) connect(j *plan.Join, t *joinTree, c *joinClass) {
	if c.rels&t.l.set == 0 || c.rels&t.r.set == 0 {
		return
	}
	for _, e := range j.On {
		if cmp, ok := e.(*expr.CompareExpr); ok && cmp.Op == ast.OpEq {
			if l, ok := cmp.L.(*expr.ColumnExpr); ok && slices.Contains(c.cols, l.Ordinal) {
				return
			}
		}
	}
	from := func(n plan.Node) int {
		cols := n.Columns()
		return slices.IndexFunc(c.cols, func(id int) bool { return slices.Contains(cols, id) })
	}
	l, r := from(j.L), from(j.R)
	if l < 0 || r < 0 {
		return
	}
	both := g.o.exprs([]int{c.cols[l], c.cols[r]})
	if eq, err := expr.Binary(ast.OpEq, both[0], both[1]); err == nil && both[0].Type().Kind == both[1].Type().Kind {
		j.On = append(j.On, eq)
	}
}

// estimate is about how many rows a node gives.
func (o *optimizer) estimate(n plan.Node) float64 {
	switch n := n.(type) {
	case *plan.Scan:
		rows := float64(o.rows(n.Table))
		for _, p := range n.Filter {
			rows *= o.selectivity(p, n)
		}
		return rows
	case *plan.Filter:
		rows := o.estimate(n.In)
		for _, p := range n.Preds {
			rows *= o.selectivity(p, nil)
		}
		return rows
	case *plan.Aggregate:
		if len(n.Groups) == 0 {
			return 1
		}
		return o.estimate(n.In) / 4
	case *plan.Join:
		l := o.estimate(n.L)
		if n.Kind == plan.Mark || n.Kind == plan.Single {
			return l
		}
		return max(l, o.estimate(n.R))
	case *plan.SetOp:
		return o.estimate(n.L) + o.estimate(n.R)
	case *plan.Values:
		return float64(len(n.Rows))
	case *plan.Limit:
		return min(1000, o.estimate(n.In))
	}
	if in := n.Inputs(); len(in) > 0 {
		return o.estimate(in[0])
	}
	return 1000
}

// selectivity is the part of the rows for which a predicate is true. Nothing
// is sampled: these are guesses, the same for every database, but that a key
// finds one row.
func (o *optimizer) selectivity(e expr.Expr, s *plan.Scan) float64 {
	switch e := e.(type) {
	case *expr.CompareExpr:
		switch e.Op {
		case ast.OpEq:
			if s != nil {
				if c, ok := compared(s, e); ok && slices.Equal(s.Table.KeyOrdinals(), []int{c.ordinal}) {
					return 1 / max(1, float64(o.rows(s.Table)))
				}
			}
			return 0.05
		case ast.OpNe:
			return 0.9
		}
		return 0.35
	case *expr.InExpr:
		in := min(0.5, 0.05*float64(len(e.List)))
		if e.Not {
			return 1 - in
		}
		return in
	case *expr.LikeExpr:
		return 0.1
	case *expr.AndExpr:
		p := 1.0
		for _, a := range e.Args {
			p *= o.selectivity(a, s)
		}
		return p
	case *expr.OrExpr:
		p := 0.0
		for _, a := range e.Args {
			p += o.selectivity(a, s)
		}
		return min(p, 0.9)
	case *expr.NotExpr:
		return 1 - o.selectivity(e.X, s)
	}
	return 0.4
}
