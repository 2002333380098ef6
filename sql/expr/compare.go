package expr

import (
	"cmp"
	"strings"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/store/vector"
)

// compareNode is a comparison, or IS [NOT] DISTINCT FROM.
type compareNode struct {
	l, r     node
	op       ast.Op
	distinct bool
	lt, rt   sqltype.Type
	slot     int
}

// holds tells whether the operator is true of two values whose order is c.
func holds(op ast.Op, c int) bool {
	switch op {
	case ast.OpEq:
		return c == 0
	case ast.OpNe:
		return c != 0
	case ast.OpLt:
		return c < 0
	case ast.OpLe:
		return c <= 0
	case ast.OpGt:
		return c > 0
	}
	return c >= 0
}

func (n *compareNode) test(a, b sqltype.Value) sqltype.Value {
	if a.IsNull() || b.IsNull() {
		if !n.distinct {
			return sqltype.NullOf(sqltype.Boolean)
		}
		return sqltype.NewBool((a.IsNull() && b.IsNull()) == (n.op == ast.OpEq))
	}
	if a.Kind() == sqltype.Record || a.Kind() == sqltype.JSON {
		return compareComposite(n.op, a, b, n.distinct)
	}
	return sqltype.NewBool(holds(n.op, compareValues(a, b)))
}

// compareValues is sqltype.Compare with short ways for the common kinds.
func compareValues(a, b sqltype.Value) int {
	switch a.Kind().Physical() {
	case sqltype.PhysInt:
		if b.Kind().Physical() == sqltype.PhysInt {
			return cmp.Compare(a.Int(), b.Int())
		}
	case sqltype.PhysString:
		if b.Kind().Physical() == sqltype.PhysString {
			return strings.Compare(a.Str(), b.Str())
		}
	}
	return sqltype.Compare(a, b)
}

func (n *compareNode) row(ev *Eval, row sqltype.Row) (sqltype.Value, error) {
	a, err := n.l.row(ev, row)
	if err != nil {
		return a, err
	}
	b, err := n.r.row(ev, row)
	if err != nil {
		return b, err
	}
	return n.test(a, b), nil
}

// operand gives a node's value without copying it where it lies somewhere
// already; else it is put into tmp.
func operand(ev *Eval, n node, row sqltype.Row, tmp *sqltype.Value) (*sqltype.Value, error) {
	switch n := n.(type) {
	case *columnNode:
		return &row[n.ordinal], nil
	case *constNode:
		return &n.value, nil
	}
	var err error
	*tmp, err = n.row(ev, row)
	return tmp, err
}

// match is the comparison of live filters.
func (n *compareNode) match(ev *Eval, row sqltype.Row, want bool) (bool, error) {
	tmp := ev.mem[n.slot].values(2)
	a, err := operand(ev, n.l, row, &tmp[0])
	if err != nil {
		return false, err
	}
	b, err := operand(ev, n.r, row, &tmp[1])
	if err != nil {
		return false, err
	}
	if !n.distinct && (a.IsNull() || b.IsNull()) {
		return false, nil
	}
	if !n.distinct && n.lt.Kind != sqltype.JSON {
		switch {
		case n.lt.Physical() == sqltype.PhysInt && n.rt.Physical() == sqltype.PhysInt:
			return holds(n.op, cmp.Compare(a.Int(), b.Int())) == want, nil
		case n.lt.Physical() == sqltype.PhysString && n.rt.Physical() == sqltype.PhysString:
			switch n.op {
			case ast.OpEq:
				return (a.Str() == b.Str()) == want, nil
			case ast.OpNe:
				return (a.Str() != b.Str()) == want, nil
			}
			return holds(n.op, strings.Compare(a.Str(), b.Str())) == want, nil
		}
	}
	v := n.test(*a, *b)
	return !v.IsNull() && v.Bool() == want, nil
}

// sides evaluates both operands. Where both are constant, or one is a
// constant NULL, constant is the result and l is nil.
func (n *compareNode) sides(ev *Eval, in *vector.Batch, sel []int32) (l, r *vector.Vector, constant sqltype.Value, err error) {
	if l, err = n.l.vec(ev, in, sel); err != nil {
		return nil, nil, constant, err
	}
	if r, err = n.r.vec(ev, in, sel); err != nil {
		return nil, nil, constant, err
	}
	if l.Const && r.Const {
		return nil, nil, n.test(l.Value(0), r.Value(0)), nil
	}
	if !n.distinct && (l.Const && l.IsNull(0) || r.Const && r.IsNull(0)) {
		return nil, nil, sqltype.NullOf(sqltype.Boolean), nil
	}
	return l, r, constant, nil
}

// generic tells operands for which the kernels are not made: IS DISTINCT FROM
// with NULLs, and values whose order is not that of their representation.
func (n *compareNode) generic(l, r *vector.Vector) bool {
	if n.distinct && (l.Valid != nil || r.Valid != nil) {
		return true
	}
	if n.lt.Kind == sqltype.JSON {
		return true
	}
	switch n.lt.Physical() {
	case sqltype.PhysInt, sqltype.PhysFloat, sqltype.PhysDecimal, sqltype.PhysString, sqltype.PhysBool:
		return n.rt.Physical() != n.lt.Physical()
	}
	return true
}

func (n *compareNode) vec(ev *Eval, in *vector.Batch, sel []int32) (*vector.Vector, error) {
	l, r, constant, err := n.sides(ev, in, sel)
	if err != nil {
		return nil, err
	}
	if l == nil {
		return vector.NewConst(sqltype.TBoolean, constant, in.Len()), nil
	}
	m := &ev.mem[n.slot]
	if n.generic(l, r) {
		return m.collect(ev, sqltype.TBoolean, in.Len(), sel, func(i int) (sqltype.Value, error) {
			return n.test(l.Value(i), r.Value(i)), nil
		})
	}
	rows := in.Len()
	out := m.out(sqltype.TBoolean, rows)
	valid, _ := validity([]*vector.Vector{l, r}, rows)
	out.Valid = valid
	if sel == nil {
		sel = identity(rows)
	}
	if valid != nil {
		sel = m.validRows(sel, valid, rows)
	}
	for _, i := range sel {
		out.Bools[i] = false
	}
	hit := m.buffer(1, len(sel))[:len(sel)]
	for _, i := range compareSelect(n.op, l, r, sel, hit) {
		out.Bools[i] = true
	}
	return out, nil
}

func (n *compareNode) filter(ev *Eval, in *vector.Batch, sel []int32, want bool) ([]int32, error) {
	l, r, constant, err := n.sides(ev, in, sel)
	if err != nil {
		return nil, err
	}
	if l == nil {
		if !constant.IsNull() && constant.Bool() == want {
			return sel, nil
		}
		return nil, nil
	}
	m := &ev.mem[n.slot]
	if n.generic(l, r) {
		out := m.buffer(1, len(sel))
		for _, i := range sel {
			if v := n.test(l.Value(int(i)), r.Value(int(i))); !v.IsNull() && v.Bool() == want {
				out = append(out, i)
			}
		}
		m.sel[1] = out
		return out, nil
	}
	if valid, _ := validity([]*vector.Vector{l, r}, in.Len()); valid != nil {
		sel = m.validRows(sel, valid, in.Len())
	}
	op := n.op
	if !want {
		op = op.Negate()
	}
	return compareSelect(op, l, r, sel, m.buffer(1, len(sel))[:len(sel)]), nil
}

// compareSelect writes those of the rows sel, all valid, at which l op r is
// true to dst, which is as long as sel, and returns what it wrote.
func compareSelect(op ast.Op, l, r *vector.Vector, sel, dst []int32) []int32 {
	if l.Const {
		l, r, op = r, l, op.Commute()
	}
	switch l.Type.Physical() {
	case sqltype.PhysInt:
		if r.Const {
			return selectConst(op, l.Ints, r.Ints[0], sel, dst)
		}
		return selectPairs(op, l.Ints, r.Ints, sel, dst)
	case sqltype.PhysFloat:
		return selectBy(op, sel, dst, func(i int32) int {
			return sqltype.CompareFloat(l.Floats[i], r.Floats[r.Index(int(i))])
		})
	case sqltype.PhysDecimal:
		if r.Const && len(sel) > 0 {
			return selectDecimalConst(op, l.Decimals, r.Decimals[0], sel, dst)
		}
		return selectBy(op, sel, dst, func(i int32) int {
			return l.Decimals[i].Cmp(r.Decimals[r.Index(int(i))])
		})
	case sqltype.PhysBool:
		return selectBy(op, sel, dst, func(i int32) int {
			return boolRank(l.Bools[i]) - boolRank(r.Bools[r.Index(int(i))])
		})
	}
	if r.Const {
		return selectTextConst(op, l, r.Str(0), sel, dst)
	}
	return selectBy(op, sel, dst, func(i int32) int { return strings.Compare(l.Str(int(i)), r.Str(int(i))) })
}

// selectDecimalConst compares with one value, brought to the scale that the
// first number has: those of a column mostly have one.
func selectDecimalConst(op ast.Op, a []decimal.Decimal, c decimal.Decimal, sel, dst []int32) []int32 {
	scale := a[sel[0]].Scale()
	d, err := c.Rescale(scale)
	ch, cl := d.Parts()
	if err != nil || d.Cmp(c) != 0 || int64(cl)>>63 != ch {
		return selectBy(op, sel, dst, func(i int32) int { return a[i].Cmp(c) })
	}
	y := int64(cl)
	return selectBy(op, sel, dst, func(i int32) int {
		h, l := a[i].Parts()
		if x := int64(l); x>>63 == h && a[i].Scale() == scale {
			return cmp.Compare(x, y)
		}
		return a[i].Cmp(c)
	})
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func selectBy(op ast.Op, sel, dst []int32, order func(i int32) int) []int32 {
	k := 0
	for _, i := range sel {
		dst[k] = i
		if holds(op, order(i)) {
			k++
		}
	}
	return dst[:k]
}

// selectConst compares with one value: all but <> are a range of integers.
func selectConst(op ast.Op, a []int64, c int64, sel, dst []int32) []int32 {
	if op == ast.OpNe {
		k := 0
		for _, i := range sel {
			dst[k] = i
			if a[i] != c {
				k++
			}
		}
		return dst[:k]
	}
	r := everyInt
	r.narrow(op, c)
	return r.sel(a, sel, dst)
}

func selectPairs(op ast.Op, a, b []int64, sel, dst []int32) []int32 {
	k := 0
	switch op {
	case ast.OpEq:
		for _, i := range sel {
			dst[k] = i
			if a[i] == b[i] {
				k++
			}
		}
	case ast.OpNe:
		for _, i := range sel {
			dst[k] = i
			if a[i] != b[i] {
				k++
			}
		}
	case ast.OpLt:
		for _, i := range sel {
			dst[k] = i
			if a[i] < b[i] {
				k++
			}
		}
	case ast.OpLe:
		for _, i := range sel {
			dst[k] = i
			if a[i] <= b[i] {
				k++
			}
		}
	case ast.OpGt:
		for _, i := range sel {
			dst[k] = i
			if a[i] > b[i] {
				k++
			}
		}
	default:
		for _, i := range sel {
			dst[k] = i
			if a[i] >= b[i] {
				k++
			}
		}
	}
	return dst[:k]
}

// selectTextConst compares texts with one; equality looks at the length
// before the bytes.
func selectTextConst(op ast.Op, l *vector.Vector, c string, sel, dst []int32) []int32 {
	if op != ast.OpEq && op != ast.OpNe {
		return selectBy(op, sel, dst, func(i int32) int { return strings.Compare(l.Str(int(i)), c) })
	}
	k := 0
	want := op == ast.OpEq
	for _, i := range sel {
		from, to := l.Offsets[i], l.Offsets[i+1]
		dst[k] = i
		if (int(to-from) == len(c) && string(l.Data[from:to]) == c) == want {
			k++
		}
	}
	return dst[:k]
}

// compareComposite compares row values field by field in SQL's way (NULL where
// a NULL field decides), and JSON documents by their content.
func compareComposite(op ast.Op, a, b sqltype.Value, distinct bool) sqltype.Value {
	if a.Kind() == sqltype.JSON {
		return sqltype.NewBool(holds(op, compareJSON(a.Str(), b.Str())))
	}
	if distinct {
		return sqltype.NewBool(holds(op, sqltype.Compare(a, b)))
	}
	null := false
	al, bl := a.List(), b.List()
	for i := range min(len(al), len(bl)) {
		if al[i].IsNull() || bl[i].IsNull() {
			if op != ast.OpEq && op != ast.OpNe {
				return sqltype.NullOf(sqltype.Boolean)
			}
			null = true
			continue
		}
		if c := sqltype.Compare(al[i], bl[i]); c != 0 {
			return sqltype.NewBool(holds(op, c))
		}
	}
	if null {
		return sqltype.NullOf(sqltype.Boolean)
	}
	return sqltype.NewBool(holds(op, len(al)-len(bl)))
}
