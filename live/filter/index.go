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
	hash  maphash.Hash
}

// columnSet is the filters whose equalities name the same columns.
type columnSet[G comparable] struct {
	ordinals []int
	filters  map[uint64][]G
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
		set = &columnSet[G]{filters: make(map[uint64][]G)}
		for _, e := range eqs {
			set.ordinals = append(set.ordinals, e.Ordinal)
		}
		x.sets = append(x.sets, set)
	}
	k := x.hashOf(eqs)
	set.filters[k] = append(set.filters[k], g)
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
	k := x.hashOf(eqs)
	if left := without(set.filters[k], g); len(left) > 0 {
		set.filters[k] = left
		return
	}
	delete(set.filters, k)
	if len(set.filters) == 0 {
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

func (x *Index[G]) hashOf(eqs []Equality) uint64 {
	x.hash.SetSeed(seed)
	for _, e := range eqs {
		e.Value.Hash(&x.hash)
	}
	return x.hash.Sum64()
}

// hashRow is the hash of a row's values in the columns; ok is false when one
// of them is NULL or missing, so that no equality holds.
func (x *Index[G]) hashRow(ordinals []int, row sqltype.Row) (k uint64, ok bool) {
	x.hash.SetSeed(seed)
	for _, o := range ordinals {
		if o >= len(row) || row[o].IsNull() {
			return 0, false
		}
		row[o].Hash(&x.hash)
	}
	return x.hash.Sum64(), true
}

// Visit calls fn once for every filter that one of the two rows can match.
// Either row may be nil; rows hold at least the declared columns. fn must not
// change the index.
func (x *Index[G]) Visit(before, after sqltype.Row, fn func(G)) {
	for _, g := range x.plain {
		fn(g)
	}
	for _, s := range x.sets {
		kb, okb := x.hashRow(s.ordinals, before)
		ka, oka := x.hashRow(s.ordinals, after)
		if oka {
			for _, g := range s.filters[ka] {
				fn(g)
			}
		}
		if okb && (!oka || ka != kb) {
			for _, g := range s.filters[kb] {
				fn(g)
			}
		}
	}
}
