package exec

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/kalamdb/kalamdb/commons/crew"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// sortKey is one key of an order, by position.
type sortKey struct {
	col        int
	desc       bool
	nullsFirst bool
}

func (k sortKey) String() string {
	s := fmt.Sprintf("#%d", k.col)
	if k.desc {
		s += " DESC"
	}
	if k.nullsFirst != k.desc {
		if k.nullsFirst {
			s += " NULLS FIRST"
		} else {
			s += " NULLS LAST"
		}
	}
	return s
}

func appendRowKey(dst []byte, keys []sortKey, cols []*vector.Vector, row int) []byte {
	for _, k := range keys {
		dst = appendSortKey(dst, cols[k.col], row, k.desc, k.nullsFirst)
	}
	return dst
}

// sortNode orders all rows of its input: rows are kept column-wise, each has
// a key of bytes, and what is sorted are the keys' first bytes with the rows'
// places.
type sortNode struct {
	in   node
	keys []sortKey
	// keyText describes the keys.
	keyText string
}

func (n *sortNode) types() []sqltype.Type { return n.in.types() }
func (n *sortNode) inputs() []node        { return []node{n.in} }
func (n *sortNode) label() string         { return "Sort by " + n.keyText }
func (n *sortNode) open(r *run) operator  { return &sortOp{n: n, r: r, in: r.open(n.in)} }

type sortOp struct {
	n     *sortNode
	r     *run
	in    operator
	store *rowStore
	order []ref
	at    int
	done  bool
}

func (o *sortOp) Next(ctx context.Context) (*vector.Batch, error) {
	if !o.done {
		o.done = true
		o.store = newRowStore(o.n.types(), o.r)
		s := newSorter(o.r, o.n.keys)
		defer s.mem.release()
		var err error
		if o.order, err = s.sortAll(ctx, o.in, o.store); err != nil {
			return nil, err
		}
	}
	if o.at >= len(o.order) {
		o.Close()
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	end := min(o.at+o.r.batch, len(o.order))
	b := o.store.gather(o.order[o.at:end])
	o.at = end
	return b, nil
}

func (o *sortOp) Close() {
	o.in.Close()
	o.done = true
	o.order = nil
	if o.store != nil {
		o.store.release()
	}
}

// sorter puts rows of a rowStore in order. Rows with equal keys stay in the
// order in which they came.
type sorter struct {
	keys    []sortKey
	entries []sortEntry
	arena   []byte
	mem     reservation
	// workers is how many goroutines may sort.
	workers int
}

// sortAll keeps all rows of an operator, closes it, and gives their order.
func (s *sorter) sortAll(ctx context.Context, in operator, store *rowStore) ([]ref, error) {
	for {
		b, err := in.Next(ctx)
		if err != nil {
			return nil, err
		}
		if b == nil {
			in.Close()
			return s.sort(ctx)
		}
		c, err := store.add(b)
		if err == nil {
			err = s.add(len(store.chunks)-1, c)
		}
		if err != nil {
			return nil, err
		}
	}
}

func newSorter(r *run, keys []sortKey) *sorter {
	return &sorter{keys: keys, mem: reservation{acct: r.acct}, workers: r.env.Parallelism}
}

// sortEntry is a row with the first sixteen bytes of its key, which for most
// keys are all that tell rows apart.
type sortEntry struct {
	high, low uint64
	// at and n are the place and length of the key's rest in the arena.
	at  uint64
	n   uint32
	ref ref
}

// entryPrefix is how many bytes of a key an entry has.
const entryPrefix = 16

func (s *sorter) add(chunk int, b *vector.Batch) error {
	n := b.Rows()
	s.entries = slices.Grow(s.entries, n)
	if len(s.keys) == 1 && b.Cols[s.keys[0].col].Type.Physical() == sqltype.PhysInt {
		s.addInts(chunk, b)
		return s.mem.add(int64(n) * 48)
	}
	before := len(s.arena)
	var prefix [entryPrefix]byte
	for i := range n {
		row := b.Row(i)
		at := len(s.arena)
		s.arena = appendRowKey(s.arena, s.keys, b.Cols, row)
		key := s.arena[at:]
		e := sortEntry{ref: ref{int32(chunk), int32(row)}}
		if len(key) > entryPrefix {
			e.at, e.n = uint64(at+entryPrefix), uint32(len(key)-entryPrefix)
		} else {
			// No key is the beginning of another, so zeros make no two equal.
			key = append(prefix[:0], key...)[:entryPrefix]
			clear(prefix[len(s.arena)-at:])
			s.arena = s.arena[:at]
		}
		e.high, e.low = binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])
		s.entries = append(s.entries, e)
	}
	return s.mem.add(int64(len(s.arena)-before) + int64(n)*48)
}

// addInts is add for one key that is held as an integer, whose bytes it does
// not spell out: the place of NULLs is the high half, the value the low one.
func (s *sorter) addInts(chunk int, b *vector.Batch) {
	k := s.keys[0]
	v := b.Cols[k.col]
	null, flip := uint64(2), uint64(1)<<63
	if k.nullsFirst {
		null = 0
	}
	if k.desc {
		flip = ^flip
	}
	for i := range b.Rows() {
		row := b.Row(i)
		e := sortEntry{high: 1, ref: ref{int32(chunk), int32(row)}}
		if at := v.Index(row); v.Valid != nil && !v.Valid.Get(at) {
			e.high = null
		} else {
			e.low = uint64(v.Ints[at]) ^ flip
		}
		s.entries = append(s.entries, e)
	}
}

func (s *sorter) compare(a, b *sortEntry) int {
	switch {
	case a.high != b.high:
		return cmp.Compare(a.high, b.high)
	case a.low != b.low:
		return cmp.Compare(a.low, b.low)
	}
	if c := bytes.Compare(s.arena[a.at:a.at+uint64(a.n)], s.arena[b.at:b.at+uint64(b.n)]); c != 0 {
		return c
	}
	if a.ref.chunk != b.ref.chunk {
		return int(a.ref.chunk) - int(b.ref.chunk)
	}
	return int(a.ref.row) - int(b.ref.row)
}

// minParallelSort is from how many rows on goroutines are worth their start.
const minParallelSort = 1 << 15

// sort gives the rows in order. It ends soon after the context.
func (s *sorter) sort(ctx context.Context) ([]ref, error) {
	entries := s.entries
	if n := len(entries); s.workers > 1 && n >= minParallelSort {
		entries = s.sortParallel(ctx, min(s.workers, n/minParallelSort+1))
	} else {
		s.sortEntries(ctx, entries)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]ref, len(entries))
	for i := range entries {
		out[i] = entries[i].ref
	}
	s.entries, s.arena = nil, nil
	return out, nil
}

const (
	// minRadix is from how many rows on a radix sort is faster than comparing.
	minRadix = 1 << 12
	// sortStep is how many entries are moved, or compared, between two looks
	// at the context.
	sortStep = 1 << 16
)

// sortCompared sorts by comparing. Once the context has ended all entries are
// taken for equal, which brings the sort to its end.
func (s *sorter) sortCompared(ctx context.Context, entries []sortEntry) {
	n, ended := 0, false
	slices.SortFunc(entries, func(a, b sortEntry) int {
		if n++; n%sortStep == 0 {
			ended = ended || ctx.Err() != nil
		}
		if ended {
			return 0
		}
		return s.compare(&a, &b)
	})
}

// sortEntries sorts by the bytes of the prefixes, the last one first: each
// pass keeps the order of the one before, and a byte that is the same in all
// entries needs none. Entries with equal prefixes are compared then. When the
// context ends the order is not complete.
func (s *sorter) sortEntries(ctx context.Context, entries []sortEntry) {
	if len(entries) < minRadix || s.mem.acct == nil || s.mem.acct.grow(int64(len(entries))*48) != nil {
		s.sortCompared(ctx, entries)
		return
	}
	defer s.mem.acct.shrink(int64(len(entries)) * 48)
	var high, low uint64
	for i := range entries {
		high |= entries[i].high ^ entries[0].high
		low |= entries[i].low ^ entries[0].low
	}
	from, to := entries, make([]sortEntry, len(entries))
	for k := range entryPrefix {
		if k < 8 && byte(low>>(8*k)) == 0 || k >= 8 && byte(high>>(8*(k-8))) == 0 {
			continue
		}
		if !radixPass(ctx, from, to, k) {
			return
		}
		from, to = to, from
	}
	if &from[0] != &entries[0] {
		copy(entries, from)
	}
	groups := 0
	for i := 0; i < len(entries); {
		end, rest := i+1, entries[i].n > 0
		for end < len(entries) && entries[end].high == entries[i].high && entries[end].low == entries[i].low {
			rest = rest || entries[end].n > 0
			end++
		}
		if rest && end-i > 1 {
			if groups++; groups%1024 == 0 && ctx.Err() != nil {
				return
			}
			s.sortCompared(ctx, entries[i:end])
		}
		i = end
	}
}

// radixPass puts entries in the order of one byte of their prefixes, counted
// from the last. It answers false when the context has ended.
func radixPass(ctx context.Context, from, to []sortEntry, k int) bool {
	digit := func(e *sortEntry) byte {
		if k < 8 {
			return byte(e.low >> (8 * k))
		}
		return byte(e.high >> (8 * (k - 8)))
	}
	var c [256]int32
	for i := range from {
		c[digit(&from[i])]++
	}
	sum := int32(0)
	for d, n := range c {
		c[d] = sum
		sum += n
	}
	for len(from) > 0 {
		if ctx.Err() != nil {
			return false
		}
		step := from[:min(sortStep, len(from))]
		from = from[len(step):]
		for i := range step {
			d := digit(&step[i])
			to[c[d]] = step[i]
			c[d]++
		}
	}
	return true
}

// sortParallel sorts pieces at the same time and merges them in pairs.
func (s *sorter) sortParallel(ctx context.Context, workers int) []sortEntry {
	size := (len(s.entries) + workers - 1) / workers
	var runs [][]sortEntry
	var wg crew.Crew
	for piece := range slices.Chunk(s.entries, size) {
		runs = append(runs, piece)
		wg.Go(func() { s.sortEntries(ctx, piece) })
	}
	wg.Wait()
	for len(runs) > 1 {
		next := make([][]sortEntry, (len(runs)+1)/2)
		for i := range next {
			if 2*i+1 == len(runs) {
				next[i] = runs[2*i]
				break
			}
			wg.Go(func() { next[i] = s.merge(ctx, runs[2*i], runs[2*i+1]) })
		}
		wg.Wait()
		runs = next
	}
	return runs[0]
}

func (s *sorter) merge(ctx context.Context, a, b []sortEntry) []sortEntry {
	out := make([]sortEntry, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if len(out)%sortStep == 0 && ctx.Err() != nil {
			return out
		}
		if s.compare(&a[0], &b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func sortKeyText(keys []sortKey, names func(int) string) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = strings.Replace(k.String(), fmt.Sprintf("#%d", k.col), names(k.col), 1)
	}
	return strings.Join(parts, ", ")
}
