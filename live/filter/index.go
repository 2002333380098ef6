package filter

import (
	"cmp"
	"hash/maphash"
	"slices"

	"github.com/kalamdb/kalamdb/commons/sqltype"
)

// seed is one for the process: hashes are compared within an index only.
var seed = maphash.MakeSeed()

// Index finds the filters that a row can match. Filters are grouped by the set
// of columns that their equalities name; in such a group they lie by the hash
// of their values. A visit costs one hash and one map lookup for each distinct
// set of columns, whatever the number of filters, and may give a filter that
// does not match: its own predicate decides.
//
// The zero Index is empty and ready. One goroutine uses it at a time.
type Index[G comparable] struct {
	// plain has the filters without an equality: every row may match.
	plain []G
	sets  []*columnSet[G]
}

// columnSet is the filters whose equalities name the same columns. While they
// are few they lie in a list: most users have few of a table.
type columnSet[G comparable] struct {
	ordinals []int
	few      []hashed[G]
	many     map[uint64][]G
}

type hashed[G comparable] struct {
	k uint64
	g G
}

// maxFew is how many filters a columnSet has before it keeps a map.
const maxFew = 8

func (s *columnSet[G]) add(k uint64, g G) {
	if s.many == nil {
		if s.few = append(s.few, hashed[G]{k, g}); len(s.few) <= maxFew {
			return
		}
		s.many = make(map[uint64][]G)
		for _, h := range s.few {
			s.many[h.k] = append(s.many[h.k], h.g)
		}
		s.few = nil
		return
	}
	s.many[k] = append(s.many[k], g)
}

// remove tells whether nothing is left.
func (s *columnSet[G]) remove(k uint64, g G) (empty bool) {
	if s.many == nil {
		s.few = without(s.few, hashed[G]{k, g})
		return len(s.few) == 0
	}
	if left := without(s.many[k], g); len(left) > 0 {
		s.many[k] = left
	} else {
		delete(s.many, k)
	}
	return len(s.many) == 0
}

func (s *columnSet[G]) visit(k uint64, fn func(G)) {
	for i := range s.few {
		if s.few[i].k == k {
			fn(s.few[i].g)
		}
	}
	for _, g := range s.many[k] {
		fn(g)
	}
}

// normalise sorts the equalities by column and keeps one for each: the others
// are for the predicate to decide.
func normalise(eqs []Equality) []Equality {
	out := make([]Equality, 0, len(eqs))
	for _, e := range eqs {
		if !e.Value.IsNull() && e.Ordinal >= 0 {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b Equality) int { return cmp.Compare(a.Ordinal, b.Ordinal) })
	return slices.CompactFunc(out, func(a, b Equality) bool { return a.Ordinal == b.Ordinal })
}

// Add puts in a filter with its equality conjuncts, which may be none.
func (x *Index[G]) Add(eqs []Equality, g G) {
	eqs = normalise(eqs)
	if len(eqs) == 0 {
		x.plain = append(x.plain, g)
		return
	}
	set := x.set(eqs)
	if set == nil {
		set = &columnSet[G]{}
		for _, e := range eqs {
			set.ordinals = append(set.ordinals, e.Ordinal)
		}
		x.sets = append(x.sets, set)
	}
	set.add(hashOf(eqs), g)
}

// Remove takes a filter out that was put in with the same equalities.
func (x *Index[G]) Remove(eqs []Equality, g G) {
	eqs = normalise(eqs)
	if len(eqs) == 0 {
		x.plain = without(x.plain, g)
		return
	}
	set := x.set(eqs)
	if set == nil {
		return
	}
	if set.remove(hashOf(eqs), g) {
		x.sets = slices.DeleteFunc(x.sets, func(s *columnSet[G]) bool { return s == set })
	}
}

// without removes g, not keeping the order.
func without[G comparable](s []G, g G) []G {
	var zero G
	if i := slices.Index(s, g); i >= 0 {
		last := len(s) - 1
		s[i], s[last] = s[last], zero
		s = s[:last]
	}
	return s
}

func (x *Index[G]) set(eqs []Equality) *columnSet[G] {
	for _, s := range x.sets {
		if slices.EqualFunc(s.ordinals, eqs, func(o int, e Equality) bool { return o == e.Ordinal }) {
			return s
		}
	}
	return nil
}

func hashOf(eqs []Equality) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, e := range eqs {
		e.Value.Hash(&h)
	}
	return h.Sum64()
}

// hashRow is the hash of a row's values in the columns; ok is false when one
// of them is NULL or missing, so that no equality holds.
func hashRow(ordinals []int, row sqltype.Row) (k uint64, ok bool) {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, o := range ordinals {
		if o >= len(row) || row[o].IsNull() {
			return 0, false
		}
		row[o].Hash(&h)
	}
	return h.Sum64(), true
}

// Visit calls fn once for every filter that one of the two rows can match.
// Either row may be nil; rows hold at least the declared columns. fn must not
// change the index.
func (x *Index[G]) Visit(before, after sqltype.Row, fn func(G)) {
	for _, g := range x.plain {
		fn(g)
	}
	for _, s := range x.sets {
		kb, okb := hashRow(s.ordinals, before)
		ka, oka := hashRow(s.ordinals, after)
		if oka {
			s.visit(ka, fn)
		}
		if okb && (!oka || ka != kb) {
			s.visit(kb, fn)
		}
	}
}
