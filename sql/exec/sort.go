package exec

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

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
// a key of bytes, and what is sorted are the keys' first eight bytes with the
// rows' places.
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
		for {
			b, err := o.in.Next(ctx)
			if err != nil {
				return nil, err
			}
			if b == nil {
				break
			}
			c, err := o.store.add(b)
			if err == nil {
				err = s.add(len(o.store.chunks)-1, c)
			}
			if err != nil {
				return nil, err
			}
		}
		o.in.Close()
		o.order = s.sort()
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

func newSorter(r *run, keys []sortKey) *sorter {
	return &sorter{keys: keys, mem: reservation{acct: r.acct}, workers: r.env.Parallelism}
}

type sortEntry struct {
	prefix uint64
	// at and n are the place and length of the key's rest in the arena.
	at  uint64
	n   uint32
	ref ref
}

func (s *sorter) add(chunk int, b *vector.Batch) error {
	before := len(s.arena)
	n := b.Rows()
	s.entries = slices.Grow(s.entries, n)
	for i := range n {
		row := b.Row(i)
		at := len(s.arena)
		s.arena = appendRowKey(s.arena, s.keys, b.Cols, row)
		key := s.arena[at:]
		e := sortEntry{ref: ref{int32(chunk), int32(row)}}
		if len(key) >= 8 {
			e.prefix = binary.BigEndian.Uint64(key)
			e.at, e.n = uint64(at+8), uint32(len(key)-8)
		} else {
			var p [8]byte
			copy(p[:], key)
			e.prefix = binary.BigEndian.Uint64(p[:])
		}
		s.entries = append(s.entries, e)
	}
	return s.mem.add(int64(len(s.arena)-before) + int64(n)*40)
}

func (s *sorter) compare(a, b *sortEntry) int {
	switch {
	case a.prefix < b.prefix:
		return -1
	case a.prefix > b.prefix:
		return 1
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

func (s *sorter) sort() []ref {
	entries := s.entries
	if n := len(entries); s.workers > 1 && n >= minParallelSort {
		entries = s.sortParallel(min(s.workers, n/minParallelSort+1))
	} else {
		slices.SortFunc(entries, func(a, b sortEntry) int { return s.compare(&a, &b) })
	}
	out := make([]ref, len(entries))
	for i := range entries {
		out[i] = entries[i].ref
	}
	s.entries, s.arena = nil, nil
	return out
}

// sortParallel sorts pieces at the same time and merges them in pairs.
func (s *sorter) sortParallel(workers int) []sortEntry {
	size := (len(s.entries) + workers - 1) / workers
	var runs [][]sortEntry
	var wg sync.WaitGroup
	for piece := range slices.Chunk(s.entries, size) {
		runs = append(runs, piece)
		wg.Go(func() { slices.SortFunc(piece, func(a, b sortEntry) int { return s.compare(&a, &b) }) })
	}
	wg.Wait()
	for len(runs) > 1 {
		next := make([][]sortEntry, (len(runs)+1)/2)
		for i := range next {
			if 2*i+1 == len(runs) {
				next[i] = runs[2*i]
				break
			}
			wg.Go(func() { next[i] = s.merge(runs[2*i], runs[2*i+1]) })
		}
		wg.Wait()
		runs = next
	}
	return runs[0]
}

func (s *sorter) merge(a, b []sortEntry) []sortEntry {
	out := make([]sortEntry, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
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
