package exec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/expr"
	"github.com/kalamdb/kalamdb/sql/plan"
)

// Plan is a compiled statement: steps over batches with positions instead of
// column identities. It is immutable and may run in several goroutines.
type Plan struct {
	root node
	// out are the types of the result.
	out []sqltype.Type
	// params is how many parameters the statement has, slots how many places
	// for values there are with the outer columns of subqueries.
	params, slots int
	write         *writer
	// then, when not nil, gives the result of a plan that writes.
	then node
	// before are the changes before this one.
	before []*Plan
	point  *pointPlan
}

// Compile turns an optimized statement into a Plan.
func Compile(st *plan.Statement) (*Plan, error) {
	c := &compiler{st: st, slots: len(st.Params), ctes: map[*plan.CTE]*cteDef{}}
	if st.Write != nil {
		var before []*Plan
		for i := range st.Before {
			p, err := c.change(&st.Before[i])
			if err != nil {
				return nil, err
			}
			before = append(before, p)
		}
		p, err := c.change(&plan.Step{Query: st.Query, Write: st.Write, Output: st.Output})
		if err != nil {
			return nil, err
		}
		p.params, p.slots, p.before = len(st.Params), c.slots, before
		return p, nil
	}
	root, lay, err := c.node(st.Query)
	if err != nil {
		return nil, err
	}
	p := &Plan{params: len(st.Params)}
	p.root = c.exact(root, lay, st.Output)
	p.out = p.root.types()
	p.slots = c.slots
	p.point = pointOf(p.root)
	return p, nil
}

// change compiles one change of rows.
func (c *compiler) change(s *plan.Step) (*Plan, error) {
	root, lay, err := c.node(s.Query)
	if err != nil {
		return nil, err
	}
	p := &Plan{root: root}
	if p.write, err = c.writer(s.Write, root, lay); err != nil {
		return nil, err
	}
	if s.Write.Returning != nil || s.Write.Then != nil {
		p.out = c.types(s.Output)
	}
	if s.Write.Then != nil {
		n, lay, err := c.node(s.Write.Then)
		if err != nil {
			return nil, err
		}
		p.then = c.exact(n, lay, s.Output)
	}
	return p, nil
}

type compiler struct {
	st    *plan.Statement
	slots int
	// outer are the columns of the applies around the node at work, innermost
	// last.
	outer []*outerScope
	ctes  map[*plan.CTE]*cteDef
}

type outerScope struct {
	lay  []int
	used []outerColumn
}

// types are the types of a layout.
func (c *compiler) types(lay []int) []sqltype.Type {
	out := make([]sqltype.Type, len(lay))
	for i, id := range lay {
		out[i] = c.st.Types[id]
	}
	return out
}

// resolve replaces column identities by positions, and columns of an outer
// query by parameters.
func (c *compiler) resolve(e expr.Expr, lay []int) (expr.Expr, error) {
	return expr.Transform(e, func(e expr.Expr) (expr.Expr, error) {
		col, ok := e.(*expr.ColumnExpr)
		if !ok {
			return e, nil
		}
		if i := slices.Index(lay, col.Ordinal); i >= 0 {
			return expr.Column(i, col.Type(), col.Name), nil
		}
		for k := len(c.outer) - 1; k >= 0; k-- {
			s := c.outer[k]
			i := slices.Index(s.lay, col.Ordinal)
			if i < 0 {
				continue
			}
			at := slices.IndexFunc(s.used, func(o outerColumn) bool { return o.col == i })
			if at < 0 {
				s.used = append(s.used, outerColumn{col: i, slot: c.slots})
				c.slots++
				at = len(s.used) - 1
			}
			return expr.Param(s.used[at].slot+1, col.Type()), nil
		}
		return nil, fmt.Errorf("plan: column %d (%s) is not there", col.Ordinal, col.Name)
	})
}

func (c *compiler) program(e expr.Expr, lay []int) (*expr.Program, error) {
	if e == nil {
		return nil, nil
	}
	x, err := c.resolve(e, lay)
	if err != nil {
		return nil, err
	}
	return expr.Compile(x), nil
}

func (c *compiler) programs(list []expr.Expr, lay []int) ([]*expr.Program, error) {
	out := make([]*expr.Program, len(list))
	for i, e := range list {
		var err error
		if out[i], err = c.program(e, lay); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func position(lay []int, id int) (int, error) {
	if i := slices.Index(lay, id); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("plan: column %d is not there", id)
}

func positions(lay, ids []int) ([]int, error) {
	out := make([]int, len(ids))
	for i, id := range ids {
		var err error
		if out[i], err = position(lay, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// exact gives a node whose columns are exactly ids.
func (c *compiler) exact(in node, lay, ids []int) node {
	if slices.Equal(lay, ids) {
		return in
	}
	n := &projectNode{in: in, out: c.types(ids)}
	for _, id := range ids {
		n.outs = append(n.outs, output{col: slices.Index(lay, id)})
	}
	n.text = c.names(ids)
	return n
}

func (c *compiler) names(ids []int) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = c.st.Labels[id]
	}
	return strings.Join(parts, ", ")
}

func textOf(list []expr.Expr) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = plan.Text(e)
	}
	return strings.Join(parts, " AND ")
}

// whenText describes for which rows a subquery is computed.
func whenText(e expr.Expr) string {
	if e == nil {
		return ""
	}
	return " when " + plan.Text(e)
}

// node compiles a node and gives the identities of its columns by position.
func (c *compiler) node(n plan.Node) (node, []int, error) {
	switch n := n.(type) {
	case *plan.Scan:
		return c.scan(n)
	case *plan.Values:
		return c.values(n)
	case *plan.Changed:
		lay := n.Columns()
		return &changedNode{out: c.types(lay), numbered: n.Row >= 0, step: n.Step}, lay, nil
	case *plan.Filter:
		in, lay, err := c.node(n.In)
		if err != nil {
			return nil, nil, err
		}
		out, err := c.filter(in, lay, n.Preds)
		return out, lay, err
	case *plan.Project:
		return c.project(n)
	case *plan.Aggregate:
		return c.aggregate(n)
	case *plan.Distinct:
		in, lay, err := c.node(n.In)
		if err != nil {
			return nil, nil, err
		}
		on, err := positions(lay, n.On)
		return &distinctNode{in: in, on: on}, lay, err
	case *plan.Sort:
		return c.sort(n)
	case *plan.Limit:
		return c.limit(n)
	case *plan.Join:
		return c.join(n)
	case *plan.Apply:
		return c.apply(n)
	case *plan.SetOp:
		return c.setOp(n)
	case *plan.Window:
		return c.window(n)
	case *plan.TableFunc:
		return c.tableFunc(n)
	case *plan.With:
		return c.with(n)
	case *plan.CTERef:
		return c.cteRef(n)
	}
	return nil, nil, dberr.Newf(dberr.Internal, "plan: unknown node %T", n)
}

func (c *compiler) scan(n *plan.Scan) (node, []int, error) {
	s := &scanNode{table: n.Table, alias: n.Alias, ordinals: n.Ordinals, out: c.types(n.Cols), deleted: n.IncludeDeleted,
		ranged: n.Ranges != nil, ordered: n.Ordered, reverse: n.Reverse, point: n.Point}
	var err error
	var kinds []sqltype.Kind
	for _, o := range n.Table.KeyOrdinals() {
		kinds = append(kinds, n.Table.ScanType(o).Kind)
	}
	for _, r := range n.Ranges {
		k := keyRange{kinds: kinds, lowOpen: r.LowOpen, highOpen: r.HighOpen}
		if k.prefix, err = c.programs(r.Prefix, nil); err != nil {
			return nil, nil, err
		}
		if k.low, err = c.program(r.Low, nil); err != nil {
			return nil, nil, err
		}
		if k.high, err = c.program(r.High, nil); err != nil {
			return nil, nil, err
		}
		s.ranges = append(s.ranges, k)
	}
	for _, bd := range n.Bounds {
		p, err := c.program(bd.Value, nil)
		if err != nil {
			return nil, nil, err
		}
		s.bounds = append(s.bounds, bound{ordinal: bd.Ordinal, op: boundOp(bd.Op), value: p})
	}
	if s.limit, err = c.program(n.Limit, nil); err != nil {
		return nil, nil, err
	}
	s.text = rangeText(n)
	if len(n.Filter) == 0 {
		return s, n.Cols, nil
	}
	f, err := c.filter(s, n.Cols, n.Filter)
	return f, n.Cols, err
}

// rangeText describes the first range of a scan.
func rangeText(n *plan.Scan) string {
	if len(n.Ranges) == 0 {
		return ""
	}
	key := n.Table.KeyOrdinals()
	r := &n.Ranges[0]
	var parts []string
	for i, e := range r.Prefix {
		parts = append(parts, fmt.Sprintf("%s = %s", n.Table.ScanName(key[i]), plan.Text(e)))
	}
	end := func(e expr.Expr, op string, open bool) {
		if e == nil {
			return
		}
		if !open {
			op += "="
		}
		parts = append(parts, fmt.Sprintf("%s %s %s", n.Table.ScanName(key[len(r.Prefix)]), op, plan.Text(e)))
	}
	end(r.Low, ">", r.LowOpen)
	end(r.High, "<", r.HighOpen)
	s := strings.Join(parts, " AND ")
	if len(n.Ranges) > 1 {
		s += fmt.Sprintf(" or %d more", len(n.Ranges)-1)
	}
	return s
}

func boundOp(op ast.Op) BoundOp {
	switch op {
	case ast.OpLt:
		return BoundLt
	case ast.OpLe:
		return BoundLe
	case ast.OpGt:
		return BoundGt
	case ast.OpGe:
		return BoundGe
	}
	return BoundEq
}

func (c *compiler) filter(in node, lay []int, preds []expr.Expr) (node, error) {
	p, err := c.program(expr.And(preds...), lay)
	if err != nil {
		return nil, err
	}
	return &filterNode{in: in, pred: p, volatile: slices.ContainsFunc(preds, plan.Volatile), text: textOf(preds)}, nil
}

func (c *compiler) values(n *plan.Values) (node, []int, error) {
	v := &valuesNode{out: c.types(n.Cols)}
	for _, row := range n.Rows {
		progs, err := c.programs(row, nil)
		if err != nil {
			return nil, nil, err
		}
		v.rows = append(v.rows, progs)
	}
	return v, n.Cols, nil
}

func (c *compiler) project(n *plan.Project) (node, []int, error) {
	in, lay, err := c.node(n.In)
	if err != nil {
		return nil, nil, err
	}
	p := &projectNode{in: in, out: c.types(n.Cols), volatile: slices.ContainsFunc(n.Exprs, plan.Volatile), text: c.names(n.Cols)}
	passes := true
	for i, e := range n.Exprs {
		x, err := c.resolve(e, lay)
		if err != nil {
			return nil, nil, err
		}
		if col, ok := x.(*expr.ColumnExpr); ok {
			p.outs = append(p.outs, output{col: col.Ordinal})
			passes = passes && lay[col.Ordinal] == n.Cols[i]
			continue
		}
		passes = false
		p.outs = append(p.outs, output{prog: expr.Compile(x)})
	}
	if passes {
		// It only leaves columns out, which costs nothing to keep.
		return in, lay, nil
	}
	return p, n.Cols, nil
}

func (c *compiler) keys(lay []int, keys []plan.SortKey) ([]sortKey, error) {
	out := make([]sortKey, len(keys))
	for i, k := range keys {
		p, err := position(lay, k.Col)
		if err != nil {
			return nil, err
		}
		out[i] = sortKey{col: p, desc: k.Desc, nullsFirst: k.NullsFirst}
	}
	return out, nil
}

func (c *compiler) aggregate(n *plan.Aggregate) (node, []int, error) {
	in, lay, err := c.node(n.In)
	if err != nil {
		return nil, nil, err
	}
	out := n.Columns()
	a := &aggNode{in: in, sets: n.Sets, out: c.types(out), text: c.names(n.Groups)}
	if a.groups, err = positions(lay, n.Groups); err != nil {
		return nil, nil, err
	}
	for i := range n.Aggs {
		s := &n.Aggs[i]
		g := aggregate{fn: s.Fn, spec: s.Spec, distinct: s.Distinct, filter: -1}
		g.text = s.Text + "(" + c.names(s.Args) + ")"
		if s.Distinct {
			g.text = s.Text + "(DISTINCT " + c.names(s.Args) + ")"
		}
		if len(s.Args) == 0 {
			g.text = s.Text + "(*)"
		}
		if g.args, err = positions(lay, s.Args); err != nil {
			return nil, nil, err
		}
		if g.order, err = c.keys(lay, s.OrderBy); err != nil {
			return nil, nil, err
		}
		if s.Filter >= 0 {
			if g.filter, err = position(lay, s.Filter); err != nil {
				return nil, nil, err
			}
		}
		a.aggs = append(a.aggs, g)
	}
	return a, out, nil
}

func (c *compiler) sort(n *plan.Sort) (node, []int, error) {
	in, lay, err := c.node(n.In)
	if err != nil {
		return nil, nil, err
	}
	keys, err := c.keys(lay, n.Keys)
	if err != nil {
		return nil, nil, err
	}
	text := sortKeyText(keys, func(i int) string { return c.st.Labels[lay[i]] })
	if n.Limit == nil {
		return &sortNode{in: in, keys: keys, keyText: text}, lay, nil
	}
	t := &topNNode{in: in, keys: keys, keyText: text}
	if n.Keys[0].Desc && bySeq(n.In, n.Keys[0].Col) {
		t.newest = pipeline(in)
	}
	if t.limit, err = c.program(n.Limit, nil); err != nil {
		return nil, nil, err
	}
	t.offset, err = c.program(n.Offset, nil)
	return t, lay, err
}

// bySeq tells whether a column is the _seq of the table that is scanned below
// filters and projections.
func bySeq(n plan.Node, col int) bool {
	switch n := n.(type) {
	case *plan.Filter:
		return bySeq(n.In, col)
	case *plan.Project:
		i := slices.Index(n.Cols, col)
		if i < 0 {
			return false
		}
		c, ok := n.Exprs[i].(*expr.ColumnExpr)
		return ok && bySeq(n.In, c.Ordinal)
	case *plan.Scan:
		i := slices.Index(n.Cols, col)
		return i >= 0 && n.Ordinals[i] == n.Table.SeqOrdinal()
	}
	return false
}

func (c *compiler) limit(n *plan.Limit) (node, []int, error) {
	in, lay, err := c.node(n.In)
	if err != nil {
		return nil, nil, err
	}
	l := &limitNode{in: in}
	if l.limit, err = c.program(n.Limit, nil); err != nil {
		return nil, nil, err
	}
	if l.offset, err = c.program(n.Offset, nil); err != nil {
		return nil, nil, err
	}
	if n.Ties != nil {
		l.ties, err = c.keys(lay, n.Ties)
	}
	return l, lay, err
}

// join separates a condition into pairs of keys and the rest.
func (c *compiler) join(n *plan.Join) (node, []int, error) {
	l, ll, err := c.node(n.L)
	if err != nil {
		return nil, nil, err
	}
	r, rl, err := c.node(n.R)
	if err != nil {
		return nil, nil, err
	}
	both := slices.Concat(ll, rl)
	lay := both
	var keep []int
	switch {
	case n.Kind == plan.Mark:
		lay = append(slices.Clone(ll), n.MarkCol)
	case n.Keep != nil:
		lay = n.Keep
		fallthrough
	default:
		if keep, err = positions(both, lay); err != nil {
			return nil, nil, err
		}
	}
	j := &joinNode{keep: keep, sized: n.Sized, kind: n.Kind, l: l, r: r, out: c.types(lay), text: textOf(n.On), whenText: whenText(n.When),
		volatile: slices.ContainsFunc(slices.Concat(n.On, n.Test), plan.Volatile)}
	if j.when, err = c.program(n.When, ll); err != nil {
		return nil, nil, err
	}
	var rest []expr.Expr
	var pairs [][2]expr.Expr
	for _, e := range n.On {
		if a, b, ok := EquiKeys(e, ll, rl); ok {
			pairs = append(pairs, [2]expr.Expr{a, b})
			continue
		}
		rest = append(rest, e)
	}
	if len(n.Test) > 0 {
		j.text = textOf(slices.Concat(n.On, n.Test))
		if a, b, ok := EquiKeys(n.Test[0], ll, rl); ok && len(n.Test) == 1 && len(n.On) == 0 {
			// A plain IN: NULLs are told from the keys alone.
			j.nullAware = true
			pairs = append(pairs, [2]expr.Expr{a, b})
		} else {
			// A pair counts only if On is true, and then as Test says.
			j.tested = true
			for i, e := range rest {
				if rest[i], err = expr.Is(ast.IsTrue, false, e); err != nil {
					return nil, nil, err
				}
			}
			rest = append(rest, n.Test...)
		}
	}
	var lk, rk []expr.Expr
	for _, p := range pairs {
		lk, rk = append(lk, p[0]), append(rk, p[1])
		a, err := c.program(p[0], ll)
		if err != nil {
			return nil, nil, err
		}
		b, err := c.program(p[1], rl)
		if err != nil {
			return nil, nil, err
		}
		j.leftKeys, j.rightKeys = append(j.leftKeys, a), append(j.rightKeys, b)
	}
	if n.Kind != plan.Full && !j.nullAware {
		j.rightScan = c.keyed(r, rl, rk)
		j.leftScan = c.keyed(l, ll, lk)
	}
	if len(rest) > 0 {
		if j.residual, err = c.program(expr.And(rest...), both); err != nil {
			return nil, nil, err
		}
		for i, id := range both {
			if slices.Contains(expr.Columns(rest...), id) {
				j.read = append(j.read, i)
			}
		}
	}
	j.place()
	if n.Else != nil {
		if err := c.joinElse(j, ll, lay, n); err != nil {
			return nil, nil, err
		}
	}
	return j, lay, nil
}

// joinElse compiles what a join falls back on.
func (c *compiler) joinElse(j *joinNode, ll, lay []int, n *plan.Join) error {
	a := &plan.Apply{R: n.Else, On: n.Test, Col: n.MarkCol, When: n.When}
	switch {
	case n.Kind == plan.Left:
		a.Kind = plan.ApplyLeft
	case n.Kind == plan.Single:
		a.Kind = plan.ApplySingle
	case len(n.Test) > 0:
		a.Kind = plan.ApplyMark
	default:
		a.Kind = plan.ApplyExists
	}
	node, have, err := c.applyTo(j.l, ll, a)
	if err != nil {
		return err
	}
	j.instead = node
	j.insteadKeep, err = positions(have, lay)
	return err
}

// EquiKeys takes the conjunct "left = right" apart, where one side reads
// columns of the left input only and the other of the right only, and both
// are hashed alike.
func EquiKeys(e expr.Expr, left, right []int) (l, r expr.Expr, ok bool) {
	cmp, isCmp := e.(*expr.CompareExpr)
	if !isCmp || cmp.Op != ast.OpEq || cmp.Distinct || cmp.L.Type().Physical() != cmp.R.Type().Physical() {
		return nil, nil, false
	}
	within := func(e expr.Expr, cols []int) bool {
		ids := expr.Columns(e)
		for _, id := range ids {
			if !slices.Contains(cols, id) {
				return false
			}
		}
		return len(ids) > 0
	}
	switch {
	case within(cmp.L, left) && within(cmp.R, right):
		return cmp.L, cmp.R, true
	case within(cmp.R, left) && within(cmp.L, right):
		return cmp.R, cmp.L, true
	}
	return nil, nil, false
}

func (c *compiler) apply(n *plan.Apply) (node, []int, error) {
	l, ll, err := c.node(n.L)
	if err != nil {
		return nil, nil, err
	}
	return c.applyTo(l, ll, n)
}

// applyTo compiles an apply over a left side that is compiled already.
func (c *compiler) applyTo(l node, ll []int, n *plan.Apply) (*applyNode, []int, error) {
	s := &outerScope{lay: ll}
	c.outer = append(c.outer, s)
	r, rl, err := c.node(n.R)
	c.outer = c.outer[:len(c.outer)-1]
	if err != nil {
		return nil, nil, err
	}
	if n.Kind > plan.ApplySingle || n.Kind == plan.ApplyScalar {
		// The value is the first column; a mark's condition sees all.
		want := n.R.Columns()
		if n.Kind != plan.ApplyMark && n.Kind != plan.ApplyExists {
			r, rl = c.exact(r, rl, want), want
		}
	}
	both := slices.Concat(ll, rl)
	lay := both
	if n.Kind > plan.ApplySingle {
		lay = append(slices.Clone(ll), n.Col)
	}
	a := &applyNode{kind: n.Kind, l: l, r: r, outer: s.used, out: c.types(lay), whenText: whenText(n.When)}
	if a.when, err = c.program(n.When, ll); err != nil {
		return nil, nil, err
	}
	if len(n.On) > 0 {
		if a.on, err = c.program(expr.And(n.On...), both); err != nil {
			return nil, nil, err
		}
	}
	return a, lay, nil
}

func (c *compiler) setOp(n *plan.SetOp) (node, []int, error) {
	l, ll, err := c.node(n.L)
	if err != nil {
		return nil, nil, err
	}
	r, rl, err := c.node(n.R)
	if err != nil {
		return nil, nil, err
	}
	l, r = c.exact(l, ll, n.L.Columns()), c.exact(r, rl, n.R.Columns())
	if n.Kind != plan.Union {
		return &setOpNode{kind: n.Kind, all: n.All, l: l, r: r}, n.Cols, nil
	}
	u := &unionNode{ins: []node{l, r}}
	if lu, ok := l.(*unionNode); ok {
		u.ins = append(slices.Clone(lu.ins), r)
	}
	if n.All {
		return u, n.Cols, nil
	}
	on := make([]int, len(n.Cols))
	for i := range on {
		on[i] = i
	}
	return &distinctNode{in: u, on: on}, n.Cols, nil
}

func (c *compiler) tableFunc(n *plan.TableFunc) (node, []int, error) {
	lay := n.Columns()
	t := &tableFuncNode{ordinality: n.Ordinality >= 0, out: c.types(lay)}
	var names []string
	for i := range n.Funcs {
		f := &n.Funcs[i]
		args, err := c.programs(f.Args, nil)
		if err != nil {
			return nil, nil, err
		}
		t.funcs = append(t.funcs, tableFunc{fn: f.Fn, args: args, cols: len(f.Cols)})
		if f.Fn != nil {
			names = append(names, f.Fn.Name)
		}
	}
	t.text = strings.Join(names, ", ")
	return t, lay, nil
}

func (c *compiler) with(n *plan.With) (node, []int, error) {
	w := &withNode{}
	for _, cte := range n.CTEs {
		in, lay, err := c.node(cte.In)
		if err != nil {
			return nil, nil, err
		}
		d := &cteDef{id: len(c.ctes), name: cte.Name, in: c.exact(in, lay, cte.Cols), distinct: cte.Distinct}
		c.ctes[cte] = d
		if cte.Step != nil {
			step, lay, err := c.node(cte.Step)
			if err != nil {
				return nil, nil, err
			}
			d.step = c.exact(step, lay, cte.StepCols)
		}
		w.defs = append(w.defs, d)
	}
	body, lay, err := c.node(n.Body)
	if err != nil {
		return nil, nil, err
	}
	w.body = body
	return w, lay, nil
}

func (c *compiler) cteRef(n *plan.CTERef) (node, []int, error) {
	d := c.ctes[n.CTE]
	if d == nil {
		return nil, nil, fmt.Errorf("plan: CTE %s is not there", n.CTE.Name)
	}
	return &cteRefNode{id: d.id, name: d.name, out: c.types(n.Cols), working: n.Working}, n.Cols, nil
}
