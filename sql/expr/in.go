package expr

import (
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/builtin"
	"github.com/kalamdb/kalamdb/store/vector"
)

// inNode is X [NOT] IN (list). Constants and parameters of a kind that Go can
// hash lie in a set; the other items are compared one after the other.
type inNode struct {
	x     node
	not   bool
	fixed members
	// params are items whose values are known when an execution starts.
	params []node
	rest   []node
	// null says that a constant item is NULL: a miss is then NULL.
	null bool
	slot int
}

// members is a set of integers or of texts.
type members struct {
	ints  []int64
	texts []string
	// intSet and textSet are made when looking through the list takes longer.
	intSet  map[int64]struct{}
	textSet map[string]struct{}
}

// maxMemberList is up to how many members are compared one by one.
const maxMemberList = 8

// index makes the sets of long lists.
func (m *members) index() {
	if len(m.ints) > maxMemberList {
		m.intSet = make(map[int64]struct{}, len(m.ints))
		for _, x := range m.ints {
			m.intSet[x] = struct{}{}
		}
	}
	if len(m.texts) > maxMemberList {
		m.textSet = make(map[string]struct{}, len(m.texts))
		for _, x := range m.texts {
			m.textSet[x] = struct{}{}
		}
	}
}

func (m *members) hasInt(x int64) bool {
	if m.intSet != nil {
		_, ok := m.intSet[x]
		return ok
	}
	for _, e := range m.ints {
		if e == x {
			return true
		}
	}
	return false
}

func (m *members) hasText(x string) bool {
	if m.textSet != nil {
		_, ok := m.textSet[x]
		return ok
	}
	for _, e := range m.texts {
		if e == x {
			return true
		}
	}
	return false
}

func (c *compiler) in(e *InExpr) node {
	n := &inNode{x: c.node(e.X), not: e.Not, slot: c.slot()}
	t := e.X.Type()
	hashed := t.Physical() == sqltype.PhysInt || t.Physical() == sqltype.PhysString && t.Kind != sqltype.JSON
	for _, item := range e.List {
		k, constant := item.(*ConstExpr)
		_, param := item.(*ParamExpr)
		switch {
		case constant && k.Value.IsNull():
			n.null = true
		case constant && hashed && t.Physical() == sqltype.PhysInt:
			n.fixed.ints = append(n.fixed.ints, k.Value.Int())
		case constant && hashed:
			n.fixed.texts = append(n.fixed.texts, k.Value.Str())
		case param && hashed && (item.Type().Kind == t.Kind || item.Type().Kind.IsInteger() && t.Kind.IsInteger()):
			n.params = append(n.params, c.node(item))
		default:
			n.rest = append(n.rest, c.node(item))
		}
	}
	n.fixed.index()
	return n
}

// members are the fixed items with the parameters of the execution at hand;
// null says that one of them is NULL.
func (n *inNode) members(ev *Eval) (set *members, null bool, err error) {
	if len(n.params) == 0 {
		return &n.fixed, n.null, nil
	}
	m := &ev.mem[n.slot]
	set, ok := m.cache.(*members)
	if !ok {
		set = &members{}
		m.cache = set
	}
	set.ints, set.texts = append(set.ints[:0], n.fixed.ints...), append(set.texts[:0], n.fixed.texts...)
	set.intSet, set.textSet = nil, nil
	null = n.null
	for _, p := range n.params {
		v, err := p.row(ev, nil)
		switch {
		case err != nil:
			return nil, false, err
		case v.IsNull():
			null = true
		case v.Kind().Physical() == sqltype.PhysInt:
			set.ints = append(set.ints, v.Int())
		default:
			set.texts = append(set.texts, v.Str())
		}
	}
	set.index()
	return set, null, nil
}

func (n *inNode) result(hit, null bool) sqltype.Value {
	if !hit && null {
		return sqltype.NullOf(sqltype.Boolean)
	}
	return sqltype.NewBool(hit != n.not)
}

func (n *inNode) inSet(v sqltype.Value) bool {
	switch v.Kind().Physical() {
	case sqltype.PhysInt:
		return n.fixed.hasInt(v.Int())
	case sqltype.PhysString:
		return n.fixed.hasText(v.Str())
	}
	return false
}

func equalValues(a, b sqltype.Value) sqltype.Value {
	if a.IsNull() || b.IsNull() {
		return sqltype.NullOf(sqltype.Boolean)
	}
	if a.Kind() == sqltype.Record || a.Kind() == sqltype.JSON {
		return compareComposite(ast.OpEq, a, b, false)
	}
	return sqltype.NewBool(compareValues(a, b) == 0)
}

func (n *inNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	v, err := n.x.row(ev, row)
	if err != nil || v.IsNull() && len(n.rest) == 0 {
		return sqltype.NullOf(sqltype.Boolean), err
	}
	if !v.IsNull() && n.inSet(v) {
		return n.result(true, false), nil
	}
	null := n.null
	for _, list := range [2][]node{n.params, n.rest} {
		for _, item := range list {
			w, err := item.row(ev, row)
			if err != nil {
				return w, err
			}
			switch eq := equalValues(v, w); {
			case eq.IsNull():
				null = true
			case eq.Bool():
				return n.result(true, false), nil
			}
		}
	}
	return n.result(false, null), nil
}

func (n *inNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	x, err := n.x.vec(ev, in, sel)
	if err != nil {
		return nil, err
	}
	set, null, err := n.members(ev)
	if err != nil {
		return nil, err
	}
	m := &ev.mem[n.slot]
	rows := in.Len()
	out := m.out(sqltype.TBoolean, rows)
	if sel == nil {
		sel = identity(rows)
	}
	miss := m.buffer(0, len(sel))
	ints, texts := len(set.ints) > 0, len(set.texts) > 0
	for _, i := range sel {
		p := x.Index(int(i))
		if x.Valid != nil && !x.Valid.Get(p) {
			if out.SetNull(int(i)); len(n.rest) > 0 {
				miss = append(miss, i) // the list may fail
			}
			continue
		}
		hit := false
		switch {
		case ints:
			hit = set.hasInt(x.Ints[p])
		case texts:
			hit = set.hasText(x.Str(p))
		}
		if out.Bools[i] = hit != n.not; !hit {
			miss = append(miss, i)
		}
	}
	m.sel[0] = miss
	if null {
		for _, i := range miss {
			out.SetNull(int(i))
		}
	}
	// Rows that hit an item leave the list, so that later items are not
	// evaluated for them.
	for k, item := range n.rest {
		if len(miss) == 0 {
			break
		}
		w, err := item.vec(ev, in, miss)
		if err != nil {
			return nil, err
		}
		left := m.buffer(1+k&1, len(miss))
		for _, i := range miss {
			switch eq := equalValues(x.Value(int(i)), w.Value(int(i))); {
			case eq.IsNull():
				out.SetNull(int(i))
				left = append(left, i)
			case eq.Bool():
				out.Bools[i] = !n.not
				if out.Valid != nil {
					out.Valid.Set(int(i))
				}
			default:
				left = append(left, i)
			}
		}
		m.sel[1+k&1], miss = left, left
	}
	return out, nil
}

// quantifiedNode is X op ANY (array) and X op ALL (array).
type quantifiedNode struct {
	x, array node
	all      bool
	op       ast.Op
	// test compares two values that are not NULL.
	test func(ev *Eval, a, b sqltype.Value) (bool, error)
	slot int
}

func (c *compiler) quantified(e *QuantifiedExpr) node {
	n := &quantifiedNode{x: c.node(e.X), array: c.node(e.Array), all: e.All, op: e.Op, slot: c.slot()}
	switch e.Op {
	case ast.OpLike, ast.OpNotLike, ast.OpILike, ast.OpNotILike:
		kind := ast.Like
		if e.Op == ast.OpILike || e.Op == ast.OpNotILike {
			kind = ast.ILike
		}
		not := e.Op == ast.OpNotLike || e.Op == ast.OpNotILike
		slot := c.slot()
		n.test = func(ev *Eval, a, b sqltype.Value) (bool, error) {
			p, err := ev.mem[slot].pattern(kind, b.Str(), "\\")
			if err != nil {
				return false, err
			}
			hit, err := p.Match(a.Str())
			return hit != not, err
		}
	default:
		op := e.Op
		if textTest(op) {
			m, err := builtin.ResolveOperator(op.String(), []sqltype.Type{sqltype.TText, sqltype.TText})
			n.test = func(ev *Eval, a, b sqltype.Value) (bool, error) {
				if err != nil {
					return false, err
				}
				v, err := m.Fn.Eval(ev.ctx, []sqltype.Value{a, b})
				return v.Bool(), err
			}
			return n
		}
		n.test = func(_ *Eval, a, b sqltype.Value) (bool, error) {
			if a.Kind() == sqltype.JSON {
				return holds(op, compareJSON(a.Str(), b.Str())), nil
			}
			return holds(op, compareValues(a, b)), nil
		}
	}
	return n
}

func (n *quantifiedNode) one(ev *Eval, x, array sqltype.Value) (sqltype.Value, error) {
	if array.IsNull() {
		return sqltype.NullOf(sqltype.Boolean), nil
	}
	null := false
	for _, e := range array.List() {
		if e.IsNull() || x.IsNull() {
			null = true
			continue
		}
		ok, err := n.test(ev, x, e)
		if err != nil {
			return sqltype.Value{}, err
		}
		if ok != n.all {
			return sqltype.NewBool(ok), nil
		}
	}
	if null {
		return sqltype.NullOf(sqltype.Boolean), nil
	}
	return sqltype.NewBool(n.all), nil
}

func (n *quantifiedNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	x, err := n.x.row(ev, row)
	if err != nil {
		return x, err
	}
	a, err := n.array.row(ev, row)
	if err != nil {
		return a, err
	}
	return n.one(ev, x, a)
}

func (n *quantifiedNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	x, err := n.x.vec(ev, in, sel)
	if err != nil {
		return nil, err
	}
	a, err := n.array.vec(ev, in, sel)
	if err != nil {
		return nil, err
	}
	m := &ev.mem[n.slot]
	if set, ok := n.set(x, a); ok {
		return m.collect(ev, sqltype.TBoolean, in.Len(), sel, func(i int) (sqltype.Value, error) { return set.test(x, i), nil })
	}
	return m.collect(ev, sqltype.TBoolean, in.Len(), sel, func(i int) (sqltype.Value, error) {
		return n.one(ev, x.Value(i), a.Value(i))
	})
}

// arraySet is a constant array as a set, for x = ANY (array) and
// x <> ALL (array): often thousands of keys in one parameter.
type arraySet struct {
	ints  map[int64]struct{}
	texts map[string]struct{}
	null  bool
	// hit is the result for a value in the set.
	hit bool
}

// minArraySet is how many elements are worth a set.
const minArraySet = 8

func (n *quantifiedNode) set(x, a *vector.Vector) (arraySet, bool) {
	anyOf := n.op == ast.OpEq && !n.all
	if !anyOf && !(n.op == ast.OpNe && n.all) || !a.Const || a.IsNull(0) || len(a.Lists[0]) < minArraySet || x.Type.Kind == sqltype.JSON {
		return arraySet{}, false
	}
	s := arraySet{hit: anyOf}
	switch x.Type.Physical() {
	case sqltype.PhysInt:
		s.ints = make(map[int64]struct{}, len(a.Lists[0]))
	case sqltype.PhysString:
		s.texts = make(map[string]struct{}, len(a.Lists[0]))
	default:
		return s, false
	}
	for _, e := range a.Lists[0] {
		switch {
		case e.IsNull():
			s.null = true
		case s.ints != nil:
			s.ints[e.Int()] = struct{}{}
		default:
			s.texts[e.Str()] = struct{}{}
		}
	}
	return s, true
}

func (s *arraySet) test(x *vector.Vector, i int) sqltype.Value {
	p := x.Index(i)
	if x.Valid != nil && !x.Valid.Get(p) {
		return sqltype.NullOf(sqltype.Boolean)
	}
	var hit bool
	if s.ints != nil {
		_, hit = s.ints[x.Ints[p]]
	} else {
		_, hit = s.texts[x.Str(p)]
	}
	if !hit && s.null {
		return sqltype.NullOf(sqltype.Boolean)
	}
	return sqltype.NewBool(hit == s.hit)
}

func (n *inNode) filter(ev *Eval, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	return pickNode(ev, n, n.slot, in, sel, want)
}

func (n *quantifiedNode) filter(ev *Eval, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	return pickNode(ev, n, n.slot, in, sel, want)
}
