package segment

import (
	"bytes"
	"context"
	"sort"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/vector"
)

// Locate finds the rows of many keys, which come in ascending order, each once:
// found is called for each key that the segment has, with the key's place among
// keys, the row's position in the segment and whether it is soft-deleted. Keys
// that the bloom filters do not know cost no reading; of a block that has any
// of the others only the columns of the key are decoded.
func (s *Segment) Locate(ctx context.Context, keys *vector.Vector, found func(key int, row int64, deleted bool)) error {
	a := s.annex
	d := s.cache.decoder()
	defer s.cache.giveBack(d)
	l := locator{s: s, d: d, keys: newKeyColumns(s), block: -1}
	n := keys.Len()
	first := sort.Search(n, func(i int) bool { return bytes.Compare(keyAt(keys, i), a.firstKey) >= 0 })
	for i := first; i < n; i++ {
		k := keyAt(keys, i)
		if bytes.Compare(k, a.lastKey) > 0 {
			break
		}
		row, deleted, ok, err := l.find(ctx, k)
		if err != nil {
			return err
		}
		if ok {
			found(i, row, deleted)
		}
		if i&1023 == 1023 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func keyAt(keys *vector.Vector, i int) []byte { return keys.Data[keys.Offsets[i]:keys.Offsets[i+1]] }

// locator looks keys up one after the other, in ascending order.
type locator struct {
	s    *Segment
	d    *pageDecoder
	keys *keyColumns
	del  *column
	// block is the one whose keys are loaded, or -1; from is the first row of
	// it that may have the next key, dels says which are deleted.
	block, from int
	dels        *vector.Vector
}

func (l *locator) find(ctx context.Context, key []byte) (row int64, deleted, found bool, err error) {
	a := l.s.annex
	b, to := l.s.candidates(key)
	for last, may := -1, false; b < to; b++ {
		if g := a.groupOf(b); g != last {
			if may, err = l.s.mayHold(ctx, g, key); err != nil {
				return 0, false, false, err
			}
			last = g
		}
		if !may {
			continue
		}
		if l.block != b {
			l.block = -1
			// Most often the next block is wanted next.
			if err := l.keys.load(ctx, l.d, b, func(b int) int { return min(b+1, len(a.blocks)-1) }); err != nil {
				return 0, false, false, err
			}
			l.block, l.from, l.dels = b, 0, nil
		}
		i := l.search(key)
		if i == int(a.blocks[b].rows) || !bytes.Equal(l.keys.append(l.keys.buf[:0], i), key) {
			continue
		}
		if a.blocks[b].deleted > 0 {
			if deleted, err = l.deleted(ctx, i); err != nil {
				return 0, false, false, err
			}
		}
		return a.blocks[b].row + int64(i), deleted, true, nil
	}
	return 0, false, false, nil
}

// search is the first row of the loaded block from from on whose key is not
// less than key.
func (l *locator) search(key []byte) int {
	k, n := l.keys, l.keys.vecs[0].Len()
	less := func(i int) bool {
		k.buf = k.append(k.buf[:0], i)
		return bytes.Compare(k.buf, key) < 0
	}
	lo, step := l.from, 1
	for lo+step < n && less(lo+step) {
		lo += step
		step *= 2
	}
	hi := min(lo+step, n)
	l.from = lo + sort.Search(hi-lo, func(i int) bool { return !less(lo + i) })
	return l.from
}

func (l *locator) deleted(ctx context.Context, i int) (bool, error) {
	if l.dels == nil {
		if l.del == nil {
			l.del = newColumn(l.s, l.s.annex.find(rowenc.DeletedColumn))
		}
		var err error
		if l.dels, err = l.del.load(ctx, l.d, l.block, sqltype.TBoolean, none); err != nil {
			return false, err
		}
	}
	return l.dels.Bools[i], nil
}
