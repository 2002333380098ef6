package expr

import (
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// filter picks the rows of sel (never nil) at which a condition is want.
func filter(ev *Eval, n node, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	if len(sel) == 0 {
		return sel, nil
	}
	if s, ok := n.(selector); ok {
		return s.filter(ev, in, sel, want)
	}
	v, err := n.vec(ev, in, sel)
	if err != nil {
		return nil, err
	}
	return pick(v, sel, make([]int32, len(sel)), want), nil
}

// matcher is a condition that can be tested on a row without its value: match
// tells whether it is want, NULL being neither. It looks at operands in the
// same order and as far as filter does.
type matcher interface {
	match(ev *Eval, row sqltype.Row, want bool) (bool, error)
}

// match tests a condition on a row.
func match(ev *Eval, n node, row sqltype.Row, want bool) (bool, error) {
	if m, ok := n.(matcher); ok {
		return m.match(ev, row, want)
	}
	v, err := n.row(ev, row)
	return err == nil && !v.IsNull() && v.Bool() == want, err
}

// pickNode is filter for a node that computes a vector of booleans, with the
// node's own memory for the result.
func pickNode(ev *Eval, n node, slot int, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	v, err := n.vec(ev, in, sel)
	if err != nil {
		return nil, err
	}
	m := &ev.mem[slot]
	return pick(v, sel, m.buffer(3, len(sel))[:len(sel)], want), nil
}

// pick selects by a vector of booleans. It writes to out, which is as long as
// sel.
func pick(v *vector.Vector, sel, out []int32, want bool) []int32 {
	if v.Const {
		if v.IsNull(0) || v.Bools[0] != want {
			return nil
		}
		return sel
	}
	k := 0
	if v.Valid == nil {
		for _, i := range sel {
			out[k] = i
			if v.Bools[i] == want {
				k++
			}
		}
		return out[:k]
	}
	for _, i := range sel {
		if v.Bools[i] == want && v.Valid.Get(int(i)) {
			out[k] = i
			k++
		}
	}
	return out[:k]
}

// logicNode is AND (unit true) or OR (unit false): the result is unit when all
// arguments are, the opposite when any is that, else NULL.
type logicNode struct {
	args []node
	unit bool
	slot int
}

func (n *logicNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	null := false
	for _, a := range n.args {
		v, err := a.row(ev, row)
		if err != nil {
			return v, err
		}
		if v.IsNull() {
			null = true
		} else if v.Bool() != n.unit {
			return v, nil
		}
	}
	if null {
		return sqltype.NullOf(sqltype.Boolean), nil
	}
	return sqltype.NewBool(n.unit), nil
}

func (n *logicNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	rows := in.Len()
	if sel == nil {
		sel = identity(rows)
	}
	m := &ev.mem[n.slot]
	out := m.out(sqltype.TBoolean, rows)
	for _, i := range sel {
		out.Bools[i] = n.unit
	}
	// open are the rows that no argument has decided yet.
	open := sel
	for k, a := range n.args {
		v, err := a.vec(ev, in, open)
		if err != nil {
			return nil, err
		}
		next := m.buffer(k&1, len(open))
		for _, i := range open {
			switch p := v.Index(int(i)); {
			case v.Valid != nil && !v.Valid.Get(p):
				out.SetNull(int(i))
				next = append(next, i)
			case v.Bools[p] == n.unit:
				next = append(next, i)
			default:
				out.Bools[i] = !n.unit
				if out.Valid != nil {
					out.Valid.Set(int(i))
				}
			}
		}
		m.sel[k&1], open = next, next
		if len(open) == 0 {
			break
		}
	}
	return out, nil
}

func (n *logicNode) filter(ev *Eval, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	if want == n.unit {
		// All arguments must be want: each narrows what is left.
		var err error
		for _, a := range n.args {
			if sel, err = filter(ev, a, in, sel, want); err != nil || len(sel) == 0 {
				return nil, err
			}
		}
		return sel, nil
	}
	// Any argument may be want: what one takes, the next need not look at.
	m := &ev.mem[n.slot]
	open := sel
	var found []int32
	for k, a := range n.args {
		got, err := filter(ev, a, in, open, want)
		if err != nil {
			return nil, err
		}
		if len(got) == 0 {
			continue
		}
		if k == len(n.args)-1 {
			found = merge(found, got)
			break
		}
		rest := minus(m.buffer(k&1, len(open)), open, got)
		m.sel[k&1], open = rest, rest
		found = merge(found, got)
		if len(open) == 0 {
			break
		}
	}
	return found, nil
}

func (n *logicNode) match(ev *Eval, row sqltype.Row, want bool) (bool, error) {
	// Looking for unit, the first argument that is not ends it; otherwise the
	// first that is.
	all := want == n.unit
	for _, a := range n.args {
		if ok, err := match(ev, a, row, want); err != nil || ok != all {
			return ok && err == nil, err
		}
	}
	return all, nil
}

// minus appends the rows of a that are not in b; both ascend.
func minus(dst, a, b []int32) []int32 {
	k := 0
	for _, i := range a {
		for k < len(b) && b[k] < i {
			k++
		}
		if k < len(b) && b[k] == i {
			continue
		}
		dst = append(dst, i)
	}
	return dst
}

// merge joins two ascending selections without common rows.
func merge(a, b []int32) []int32 {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]int32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// caseNode is CASE: results has one more entry than conds, for ELSE.
type caseNode struct {
	conds   []node
	results []node
	typ     sqltype.Type
	slot    int
}

func (n *caseNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	for i, c := range n.conds {
		hit, err := match(ev, c, row, true)
		if err != nil {
			return sqltype.Value{}, err
		}
		if hit {
			return n.results[i].row(ev, row)
		}
	}
	return n.results[len(n.conds)].row(ev, row)
}

func (n *caseNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	if sel == nil {
		sel = identity(in.Len())
	}
	m := &ev.mem[n.slot]
	parts := newParts(m, n.typ, in.Len(), len(n.results))
	// A constant ELSE is put everywhere first: then nobody needs to know
	// which rows are left in the end.
	otherwise, filled := n.results[len(n.conds)].(*constNode)
	if filled = filled && parts.out != nil; filled {
		parts.fill(otherwise.col, sel)
	}
	open := sel
	for k, c := range n.conds {
		hit, err := filter(ev, c, in, open, true)
		if err != nil {
			return nil, err
		}
		if len(hit) == 0 {
			continue
		}
		v, err := n.results[k].vec(ev, in, hit)
		if err != nil {
			return nil, err
		}
		parts.add(k, v, hit)
		if filled && k+1 == len(n.conds) {
			break
		}
		rest := minus(m.buffer(k&1, len(open)), open, hit)
		m.sel[k&1], open = rest, rest
		if len(open) == 0 {
			break
		}
	}
	if len(open) > 0 && !filled {
		k := len(n.conds)
		v, err := n.results[k].vec(ev, in, open)
		if err != nil {
			return nil, err
		}
		parts.add(k, v, open)
	}
	return parts.finish(sel)
}

// coalesceNode is COALESCE.
type coalesceNode struct {
	args []node
	typ  sqltype.Type
	slot int
}

func (n *coalesceNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	for _, a := range n.args {
		v, err := a.row(ev, row)
		if err != nil || !v.IsNull() {
			return v, err
		}
	}
	return sqltype.NullOf(n.typ.Kind), nil
}

func (n *coalesceNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	if sel == nil {
		sel = identity(in.Len())
	}
	m := &ev.mem[n.slot]
	parts := newParts(m, n.typ, in.Len(), len(n.args))
	open := sel
	for k, a := range n.args {
		v, err := a.vec(ev, in, open)
		if err != nil {
			return nil, err
		}
		if k == 0 && v.Valid == nil {
			return v, nil
		}
		parts.add(k, v, open)
		if v.Valid == nil {
			break
		}
		next := m.buffer(k&1, len(open))
		for _, i := range open {
			if v.IsNull(int(i)) {
				next = append(next, i)
			}
		}
		m.sel[k&1], open = next, next
		if len(open) == 0 {
			break
		}
	}
	return parts.finish(sel)
}

// parts puts a vector together from several that each give some rows; a later
// one replaces what an earlier one gave.
type parts struct {
	m      *scratch
	typ    sqltype.Type
	out    *vector.Vector
	srcs   []*vector.Vector
	branch []int32
	n      int
}

func newParts(m *scratch, t sqltype.Type, n, branches int) *parts {
	p := &parts{m: m, typ: t, n: n}
	if t.Physical() != sqltype.PhysString && t.Physical() != sqltype.PhysNone {
		p.out = m.out(t, n)
		return p
	}
	p.srcs = m.vectors(branches)
	if cap(m.branch) < n {
		m.branch = make([]int32, n)
	}
	p.branch = m.branch[:n]
	return p
}

// fill puts one value at all rows, before any other is added.
func (p *parts) fill(v *vector.Vector, sel []int32) {
	if v.IsNull(0) {
		p.out.Valid = vector.NewBitmap(p.n)
		return
	}
	if p.out.Type.Physical() == sqltype.PhysInt && isIdentity(sel) {
		x := v.Ints[0]
		out := p.out.Ints[:len(sel)]
		for i := range out {
			out[i] = x
		}
		return
	}
	scatter(p.out, v, sel)
}

func (p *parts) add(k int, v *vector.Vector, sel []int32) {
	if p.out != nil {
		if p.out.Valid != nil {
			for _, i := range sel {
				p.out.Valid.Set(int(i))
			}
		}
		scatter(p.out, v, sel)
		return
	}
	p.srcs[k] = v
	for _, i := range sel {
		p.branch[i] = int32(k)
	}
}

func (p *parts) finish(sel []int32) (*vector.Vector, error) {
	if p.out != nil {
		return p.out, nil
	}
	b := vector.NewBuilder(p.typ, p.n)
	next := 0
	for _, i := range sel {
		for ; next < int(i); next++ {
			b.AppendNull()
		}
		src := p.srcs[p.branch[i]]
		if b.Size() > maxBatchText {
			return nil, tooMuchText()
		}
		if src.Type.Physical() == sqltype.PhysNone {
			b.AppendNull()
		} else {
			b.AppendFrom(src, int(i))
		}
		next++
	}
	for ; next < p.n; next++ {
		b.AppendNull()
	}
	return b.Finish(), nil
}
