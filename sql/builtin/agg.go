package builtin

import (
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// aggregates registers an aggregate under its signatures.
func aggregate(signatures, doc string, state func(spec AggSpec) AggState, opts ...option) {
	section{"aggregate", Aggregate}.def(signatures, doc, nil, append(opts, func(f *Function) {
		f.NewState = state
		f.Strict = false
	})...)
}

func ordered(f *Function) { f.Ordered = true }

// rowAgg is an aggregate that takes one row's arguments at a time. It adapts
// per-group structs of any type to AggState.
type rowAgg[G any] struct {
	groups []G
	args   []sqltype.Value
	// strict leaves out rows in which an argument is NULL.
	strict bool
	add    func(g *G, args []sqltype.Value) error
	merge  func(into, from *G) error
	result func(g *G) (sqltype.Value, error)
	// size is what a group holds beside its struct; nil: nothing.
	size func(g *G) int
}

func (a *rowAgg[G]) Grow(n int) {
	for len(a.groups) < n {
		var zero G
		a.groups = append(a.groups, zero)
	}
}

func (a *rowAgg[G]) Add(_ *Context, args []*vector.Vector, sel []int32, n int, groups []int32) error {
	if cap(a.args) < len(args) {
		a.args = make([]sqltype.Value, len(args))
	}
	vals := a.args[:len(args)]
	rows := n
	if sel != nil {
		rows = len(sel)
	}
next:
	for k := range rows {
		i := k
		if sel != nil {
			i = int(sel[k])
		}
		for c, v := range args {
			vals[c] = v.Value(i)
			if a.strict && vals[c].IsNull() {
				continue next
			}
		}
		g := 0
		if groups != nil {
			g = int(groups[k])
		}
		if err := a.add(&a.groups[g], vals); err != nil {
			return err
		}
	}
	return nil
}

func (a *rowAgg[G]) Merge(other AggState, groups []int32) error {
	o := other.(*rowAgg[G])
	for i := range o.groups {
		if err := a.merge(&a.groups[groups[i]], &o.groups[i]); err != nil {
			return err
		}
	}
	return nil
}

func (a *rowAgg[G]) Result(group int) (sqltype.Value, error) { return a.result(&a.groups[group]) }

func (a *rowAgg[G]) Size() int {
	n := len(a.groups) * 32
	if a.size != nil {
		for i := range a.groups {
			n += a.size(&a.groups[i])
		}
	}
	return n
}

// grown extends a flat state array with zeros.
func grown[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	if n <= cap(s) {
		return s[:n]
	}
	out := make([]T, n, max(n, 2*cap(s)))
	copy(out, s)
	return out
}
