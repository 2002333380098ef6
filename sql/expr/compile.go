package expr

import (
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/store/vector"
)

// node is a compiled expression: the same computation over a row and over the
// rows sel (nil: all) of a batch. A vector that vec returns stands for
// in.Len() rows, is filled at least at sel, and is valid until the node is
// evaluated again.
type node interface {
	row(ev *Eval, row sqltype.Row) (sqltype.Value, error)
	vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error)
}

// selector is a condition that can pick rows without making a vector of
// booleans: filter gives those of sel (never nil) at which the condition is
// want, NULL being neither. The result is ascending, may share sel's memory
// but not change it, and is valid until the node is evaluated again.
type selector interface {
	filter(ev *Eval, in *vector.Batch, sel []int32, want bool) ([]int32, error)
}

type compiler struct{ slots int }

func (c *compiler) slot() int {
	c.slots++
	return c.slots - 1
}

func (c *compiler) nodes(es []Expr) []node {
	out := make([]node, len(es))
	for i, e := range es {
		out[i] = c.node(e)
	}
	return out
}

func (c *compiler) node(e Expr) node {
	switch e := e.(type) {
	case *ColumnExpr:
		return &columnNode{ordinal: e.Ordinal}
	case *ConstExpr:
		return newConstNode(e.Value, e.typ)
	case *ParamExpr:
		return &paramNode{index: e.Index - 1, typ: e.typ, slot: c.slot()}
	case *CallExpr:
		return &callNode{fn: e.Fn, args: c.nodes(e.Args), typ: e.typ, slot: c.slot()}
	case *CompareExpr:
		return c.compare(e)
	case *CastExpr:
		return c.cast(e)
	case *AndExpr:
		return c.and(e)
	case *OrExpr:
		return &logicNode{args: c.nodes(e.Args), unit: false, slot: c.slot()}
	case *NotExpr:
		return &notNode{x: c.node(e.X), slot: c.slot()}
	case *IsExpr:
		return &isNode{x: c.node(e.X), kind: e.Kind, not: e.Not, record: e.X.Type().Kind == sqltype.Record, slot: c.slot()}
	case *CaseExpr:
		n := &caseNode{typ: e.typ, slot: c.slot()}
		for _, w := range e.Whens {
			n.conds = append(n.conds, c.node(w.Cond))
			n.results = append(n.results, c.node(w.Result))
		}
		n.results = append(n.results, c.node(e.Else))
		return n
	case *CoalesceExpr:
		return &coalesceNode{args: c.nodes(e.Args), typ: e.typ, slot: c.slot()}
	case *InExpr:
		return c.in(e)
	case *LikeExpr:
		return c.like(e)
	case *QuantifiedExpr:
		return c.quantified(e)
	case *ArrayExpr:
		return &listNode{items: c.nodes(e.Elems), typ: e.typ, slot: c.slot()}
	case *RowExpr:
		return &listNode{items: c.nodes(e.Items), typ: sqltype.TRecord, slot: c.slot()}
	}
	panic("expr: unknown node")
}

func (c *compiler) cast(e *CastExpr) node {
	x := c.node(e.X)
	return &castNode{x: x, from: e.X.Type(), to: e.to, mode: e.Mode, slot: c.slot()}
}

func (c *compiler) compare(e *CompareExpr) node {
	return &compareNode{
		l: c.node(e.L), r: c.node(e.R), op: e.Op, distinct: e.Distinct,
		lt: e.L.Type(), rt: e.R.Type(), slot: c.slot(),
	}
}

// columnNode reads a column.
type columnNode struct{ ordinal int }

func (n *columnNode) row(_ *Eval, row sqltype.Row) (sqltype.Value, error) { return row[n.ordinal], nil }

func (n *columnNode) vec(_ *Eval, in *vector.Batch, _ []int32) (*vector.Vector, error) {
	return in.Cols[n.ordinal], nil
}

// constNode is a constant.
type constNode struct {
	value sqltype.Value
	typ   sqltype.Type
	col   *vector.Vector
}

func newConstNode(v sqltype.Value, t sqltype.Type) *constNode {
	t = valueType(v, t)
	if !v.IsNull() && t.Kind != sqltype.Unknown && v.Kind() != t.Kind && v.Kind().Physical() == t.Physical() {
		v = v.As(t.Kind)
	}
	return &constNode{value: v, typ: t, col: vector.NewConst(t, v, 1)}
}

// valueType is the type of a constant or parameter whose place gave it none,
// as in $1 IS NULL: that of its value.
func valueType(v sqltype.Value, t sqltype.Type) sqltype.Type {
	if t.Kind == sqltype.Unknown && !v.IsNull() {
		return sqltype.Type{Kind: v.Kind()}
	}
	return t
}

func (n *constNode) row(*Eval, sqltype.Row) (sqltype.Value, error) { return n.value, nil }

func (n *constNode) vec(_ *Eval, in *vector.Batch, _ []int32) (*vector.Vector, error) {
	// The node is shared between executions, so each takes a header of its
	// own over the one value.
	v := *n.col
	v.SetLen(in.Len())
	return &v, nil
}

// paramNode is a parameter: a constant of the execution.
type paramNode struct {
	index int
	typ   sqltype.Type
	slot  int
}

func (n *paramNode) row(ev *Eval, _ sqltype.Row) (sqltype.Value, error) {
	if n.index >= len(ev.ctx.Params) {
		return sqltype.Value{}, missingParam(n.index+1, len(ev.ctx.Params))
	}
	return ev.ctx.Params[n.index], nil
}

func (n *paramNode) vec(ev *Eval, in *vector.Batch, _ []int32) (*vector.Vector, error) {
	v, err := n.row(ev, nil)
	if err != nil {
		return nil, err
	}
	return vector.NewConst(valueType(v, n.typ), v, in.Len()), nil
}

// callNode calls a function of the registry.
type callNode struct {
	fn   *builtin.Function
	args []node
	typ  sqltype.Type
	slot int
}

func (n *callNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	args := ev.mem[n.slot].values(len(n.args))
	null := false
	for i, a := range n.args {
		// All arguments are evaluated, also behind a NULL, so that a row
		// raises the same errors as a vector.
		v, err := a.row(ev, row)
		if err != nil {
			return v, err
		}
		null = null || v.IsNull()
		args[i] = v
	}
	if null && n.fn.Strict {
		return sqltype.NullOf(n.typ.Kind), nil
	}
	return n.fn.Eval(ev.ctx, args)
}

func (n *callNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	m := &ev.mem[n.slot]
	vecs := m.vectors(len(n.args))
	constant := n.fn.Volatility != builtin.Volatile
	for i, a := range n.args {
		v, err := a.vec(ev, in, sel)
		if err != nil {
			return nil, err
		}
		vecs[i] = v
		constant = constant && v.Const
	}
	rows := in.Len()
	if constant {
		if count(sel, rows) == 0 {
			return vector.NewNulls(n.typ, rows), nil
		}
		v, err := n.scalar(ev, vecs, 0)
		if err != nil {
			return nil, err
		}
		return vector.NewConst(n.typ, v, rows), nil
	}
	if !n.fn.Strict {
		return m.collect(ev, n.typ, rows, sel, func(i int) (sqltype.Value, error) { return n.scalar(ev, vecs, i) })
	}
	valid, null := validity(vecs, rows)
	if null {
		return vector.NewNulls(n.typ, rows), nil
	}
	if valid != nil {
		sel = m.validRows(sel, valid, rows)
	}
	if n.fn.Kernel == nil {
		return m.collect(ev, n.typ, rows, sel, func(i int) (sqltype.Value, error) {
			return n.fn.Eval(ev.ctx, m.argsAt(vecs, i))
		})
	}
	out := m.out(n.typ, rows)
	out.Valid = valid
	if sel == nil {
		sel = identity(rows)
	}
	if err := n.fn.Kernel(ev.ctx, vecs, sel, out); err != nil {
		return nil, err
	}
	return out, nil
}

// scalar calls the function for one row of the argument vectors.
func (n *callNode) scalar(ev *Eval, vecs []*vector.Vector, i int) (sqltype.Value, error) {
	args := ev.mem[n.slot].argsAt(vecs, i)
	if n.fn.Strict {
		for _, a := range args {
			if a.IsNull() {
				return sqltype.NullOf(n.typ.Kind), nil
			}
		}
	}
	return n.fn.Eval(ev.ctx, args)
}

// castNode converts.
type castNode struct {
	x        node
	from, to sqltype.Type
	mode     CastMode
	slot     int
}

func (n *castNode) one(ev *Eval, v sqltype.Value) (sqltype.Value, error) {
	if v.IsNull() {
		return sqltype.NullOf(n.to.Kind), nil
	}
	out, err := builtin.Convert(ev.ctx, v, n.to, n.mode != CastAssign)
	if err != nil && n.mode == CastTry {
		return sqltype.NullOf(n.to.Kind), nil
	}
	return out, err
}

func (n *castNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	v, err := n.x.row(ev, row)
	if err != nil {
		return v, err
	}
	return n.one(ev, v)
}

func (n *castNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	v, err := n.x.vec(ev, in, sel)
	if err != nil {
		return nil, err
	}
	m := &ev.mem[n.slot]
	if v.Const {
		if count(sel, in.Len()) == 0 {
			return vector.NewNulls(n.to, in.Len()), nil
		}
		c, err := n.one(ev, v.Value(0))
		if err != nil {
			return nil, err
		}
		return vector.NewConst(n.to, c, in.Len()), nil
	}
	if n.mode != CastTry {
		if out, ok, err := castKernel(m, v, n.from, n.to, sel, in.Len()); ok || err != nil {
			return out, err
		}
	}
	return m.collect(ev, n.to, in.Len(), sel, func(i int) (sqltype.Value, error) { return n.one(ev, v.Value(i)) })
}

// listNode makes an array or a row value.
type listNode struct {
	items []node
	typ   sqltype.Type
	slot  int
}

func (n *listNode) make(list []sqltype.Value) sqltype.Value {
	if n.typ.Kind == sqltype.Record {
		return sqltype.NewRecord(list)
	}
	return sqltype.NewArray(list)
}

func (n *listNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	list := make([]sqltype.Value, len(n.items))
	for i, e := range n.items {
		v, err := e.row(ev, row)
		if err != nil {
			return v, err
		}
		list[i] = v
	}
	return n.make(list), nil
}

func (n *listNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	m := &ev.mem[n.slot]
	vecs := m.vectors(len(n.items))
	for i, e := range n.items {
		v, err := e.vec(ev, in, sel)
		if err != nil {
			return nil, err
		}
		vecs[i] = v
	}
	return m.collect(ev, n.typ, in.Len(), sel, func(i int) (sqltype.Value, error) {
		list := make([]sqltype.Value, len(vecs))
		for k, v := range vecs {
			list[k] = v.Value(i)
		}
		return n.make(list), nil
	})
}

// notNode is NOT.
type notNode struct {
	x    node
	slot int
}

func (n *notNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	v, err := n.x.row(ev, row)
	if err != nil || v.IsNull() {
		return v, err
	}
	return sqltype.NewBool(!v.Bool()), nil
}

func (n *notNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	v, err := n.x.vec(ev, in, sel)
	if err != nil {
		return nil, err
	}
	if v.Const {
		c := v.Value(0)
		if !c.IsNull() {
			c = sqltype.NewBool(!c.Bool())
		}
		return vector.NewConst(sqltype.TBoolean, c, in.Len()), nil
	}
	out := ev.mem[n.slot].out(sqltype.TBoolean, in.Len())
	out.Valid = v.Valid
	each(sel, in.Len(), func(i int) { out.Bools[i] = !v.Bools[i] })
	return out, nil
}

func (n *notNode) filter(ev *Eval, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	return filter(ev, n.x, in, sel, !want)
}

func (n *notNode) match(ev *Eval, row sqltype.Row, want bool) (bool, error) {
	return match(ev, n.x, row, !want)
}

// isNode is IS [NOT] NULL, TRUE, FALSE or UNKNOWN.
type isNode struct {
	x      node
	kind   ast.IsKind
	not    bool
	record bool
	slot   int
}

func (n *isNode) test(v sqltype.Value) bool {
	switch n.kind {
	case ast.IsTrue:
		return (!v.IsNull() && v.Bool()) != n.not
	case ast.IsFalse:
		return (!v.IsNull() && !v.Bool()) != n.not
	}
	if n.record && !v.IsNull() && n.kind == ast.IsNull {
		// A row value is NULL when all its fields are, and not NULL when
		// none is.
		for _, f := range v.List() {
			if f.IsNull() == n.not {
				return false
			}
		}
		return true
	}
	return v.IsNull() != n.not
}

func (n *isNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	v, err := n.x.row(ev, row)
	if err != nil {
		return v, err
	}
	return sqltype.NewBool(n.test(v)), nil
}

func (n *isNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	v, err := n.x.vec(ev, in, sel)
	if err != nil {
		return nil, err
	}
	if v.Const {
		return vector.NewConst(sqltype.TBoolean, sqltype.NewBool(n.test(v.Value(0))), in.Len()), nil
	}
	out := ev.mem[n.slot].out(sqltype.TBoolean, in.Len())
	if n.kind == ast.IsNull && !n.record {
		each(sel, in.Len(), func(i int) { out.Bools[i] = v.IsNull(i) != n.not })
	} else {
		each(sel, in.Len(), func(i int) { out.Bools[i] = n.test(v.Value(i)) })
	}
	return out, nil
}

func (n *callNode) filter(ev *Eval, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	return pickNode(ev, n, n.slot, in, sel, want)
}

func (n *isNode) filter(ev *Eval, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	return pickNode(ev, n, n.slot, in, sel, want)
}
