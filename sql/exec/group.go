package exec

import (
	"encoding/binary"
	"math/bits"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// grouper numbers distinct keys from 0 in the order in which they come.
type grouper interface {
	// assign sets groups[i] to the number of the batch's i-th row that
	// counts, and appends to fresh the places i of rows with a new key.
	assign(b *vector.Batch, groups []int32, fresh []int32) []int32
	// len is how many keys there are; size about how many bytes they take.
	len() int
	size() int64
}

// newGrouper chooses the table for key columns of these types.
func newGrouper(cols []int, types []sqltype.Type) grouper {
	if len(cols) == 1 {
		switch types[cols[0]].Physical() {
		case sqltype.PhysInt:
			return newIntGrouper(cols[0])
		case sqltype.PhysString:
			return &stringGrouper{col: cols[0], keys: newKeyTable(), null: -1}
		}
	}
	if len(cols) == 2 && types[cols[0]].Physical() == sqltype.PhysInt && types[cols[1]].Physical() == sqltype.PhysInt {
		return &pairGrouper{cols: [2]int(cols), pairTable: newPairTable()}
	}
	return &bytesGrouper{cols: cols, keys: newKeyTable()}
}

// intGrouper is an open-addressing table of integers.
type intGrouper struct {
	col   int
	slots []intSlot
	shift int
	n     int
	null  int32
}

// intSlot is empty when group is 0; group is one more than the number.
type intSlot struct {
	key   int64
	group int32
}

func newIntGrouper(col int) *intGrouper {
	return &intGrouper{col: col, slots: make([]intSlot, 64), shift: 58, null: -1}
}

func (g *intGrouper) len() int    { return g.n }
func (g *intGrouper) size() int64 { return int64(len(g.slots)) * 16 }

func (g *intGrouper) grow() {
	old := g.slots
	g.slots = make([]intSlot, 2*len(old))
	g.shift = 64 - bits.TrailingZeros(uint(len(g.slots)))
	for _, s := range old {
		if s.group == 0 {
			continue
		}
		i := g.slot(s.key)
		for g.slots[i].group != 0 {
			i = (i + 1) & (len(g.slots) - 1)
		}
		g.slots[i] = s
	}
}

// slot is where the search for a key starts (Fibonacci hashing).
func (g *intGrouper) slot(key int64) int {
	return int(uint64(key) * 0x9E3779B97F4A7C15 >> g.shift)
}

func (g *intGrouper) assign(b *vector.Batch, groups []int32, fresh []int32) []int32 {
	v := b.Cols[g.col]
	for i := range groups {
		row := v.Index(b.Row(i))
		if v.Valid != nil && !v.Valid.Get(row) {
			if g.null < 0 {
				g.null = int32(g.n)
				g.n++
				fresh = append(fresh, int32(i))
			}
			groups[i] = g.null
			continue
		}
		key := v.Ints[row]
		at := g.slot(key)
		for {
			s := &g.slots[at]
			if s.group == 0 {
				s.key, s.group = key, int32(g.n)+1
				groups[i] = int32(g.n)
				g.n++
				fresh = append(fresh, int32(i))
				if 2*g.n > len(g.slots) {
					g.grow()
				}
				break
			}
			if s.key == key {
				groups[i] = s.group - 1
				break
			}
			at = (at + 1) & (len(g.slots) - 1)
		}
	}
	return fresh
}

// stringGrouper is for one text key.
type stringGrouper struct {
	col  int
	keys *keyTable
	null int32
	// groups are the groups of the keys: a NULL among them shifts numbers.
	groups []int32
	n      int
}

func (g *stringGrouper) len() int    { return g.n }
func (g *stringGrouper) size() int64 { return g.keys.size() + int64(cap(g.groups))*4 }

func (g *stringGrouper) assign(b *vector.Batch, groups []int32, fresh []int32) []int32 {
	v := b.Cols[g.col]
	for i := range groups {
		row := v.Index(b.Row(i))
		if v.Valid != nil && !v.Valid.Get(row) {
			if g.null < 0 {
				g.null = int32(g.n)
				g.n++
				fresh = append(fresh, int32(i))
			}
			groups[i] = g.null
			continue
		}
		n, isNew := g.keys.add(v.Data[v.Offsets[row]:v.Offsets[row+1]])
		if isNew {
			g.groups = append(g.groups, int32(g.n))
			g.n++
			fresh = append(fresh, int32(i))
		}
		groups[i] = g.groups[n]
	}
	return fresh
}

// bytesGrouper is for any key: its columns' values as bytes.
type bytesGrouper struct {
	cols []int
	keys *keyTable
	key  []byte
}

func (g *bytesGrouper) len() int    { return g.keys.len() }
func (g *bytesGrouper) size() int64 { return g.keys.size() }

func (g *bytesGrouper) assign(b *vector.Batch, groups []int32, fresh []int32) []int32 {
	for i := range groups {
		row := b.Row(i)
		g.key = g.key[:0]
		for _, c := range g.cols {
			g.key = appendEqKey(g.key, b.Cols[c], row)
		}
		n, isNew := g.keys.add(g.key)
		if isNew {
			fresh = append(fresh, int32(i))
		}
		groups[i] = n
	}
	return fresh
}

func appendUint32(dst []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(dst, n) }
