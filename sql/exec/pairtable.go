package exec

import (
	"math/bits"

	"github.com/kalamdb/kalamdb/store/vector"
)

// pairTable numbers distinct pairs of integers from 0 in the order in which
// they come, as keyTable does with bytes.
type pairTable struct {
	slots []pairSlot
	shift int
	n     int
}

// pairSlot is empty when number is 0; number is one more than the pair's. A
// NULL is a bit of nulls, with a zero in its place.
type pairSlot struct {
	a, b   int64
	number int32
	nulls  uint8
}

func newPairTable() *pairTable { return &pairTable{slots: make([]pairSlot, 64), shift: 58} }

func (t *pairTable) size() int64 { return int64(len(t.slots)) * 24 }

func (t *pairTable) start(a, b int64) int {
	h := uint64(a) * 0x9E3779B97F4A7C15
	h = (bits.RotateLeft64(h, 32) ^ uint64(b)) * 0xD6E8FEB86659FD93
	return int((h ^ h>>32) * 0x9E3779B97F4A7C15 >> t.shift)
}

// find is a pair's number, or -1.
func (t *pairTable) find(a, b int64) int32 {
	for at := t.start(a, b); ; at = (at + 1) & (len(t.slots) - 1) {
		s := &t.slots[at]
		if s.number == 0 || s.a == a && s.b == b && s.nulls == 0 {
			return s.number - 1
		}
	}
}

// add is a pair's number, and whether it is new.
func (t *pairTable) add(a, b int64, nulls uint8) (n int32, fresh bool) {
	at := t.start(a, b)
	for ; t.slots[at].number != 0; at = (at + 1) & (len(t.slots) - 1) {
		if s := &t.slots[at]; s.a == a && s.b == b && s.nulls == nulls {
			return s.number - 1, false
		}
	}
	t.n++
	t.slots[at] = pairSlot{a: a, b: b, nulls: nulls, number: int32(t.n)}
	n = int32(t.n) - 1
	if 2*t.n > len(t.slots) {
		t.grow()
	}
	return n, true
}

func (t *pairTable) grow() {
	old := t.slots
	t.slots = make([]pairSlot, 4*len(old))
	t.shift -= 2
	for _, s := range old {
		if s.number == 0 {
			continue
		}
		at := t.start(s.a, s.b)
		for t.slots[at].number != 0 {
			at = (at + 1) & (len(t.slots) - 1)
		}
		t.slots[at] = s
	}
}

// pairGrouper is for two keys that are held as integers.
type pairGrouper struct {
	cols [2]int
	*pairTable
}

func (g *pairGrouper) len() int { return g.n }

// part is a row's value, or a NULL's bit.
func part(v *vector.Vector, row int, bit uint8) (int64, uint8) {
	i := v.Index(row)
	if v.Valid != nil && !v.Valid.Get(i) {
		return 0, bit
	}
	return v.Ints[i], 0
}

func (g *pairGrouper) assign(b *vector.Batch, groups []int32, fresh []int32) []int32 {
	x, y := b.Cols[g.cols[0]], b.Cols[g.cols[1]]
	for i := range groups {
		row := b.Row(i)
		p, np := part(x, row, 1)
		q, nq := part(y, row, 2)
		n, isNew := g.add(p, q, np|nq)
		if isNew {
			fresh = append(fresh, int32(i))
		}
		groups[i] = n
	}
	return fresh
}
