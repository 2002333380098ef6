package segment

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/parquet-go/parquet-go/bloom"

	"github.com/cespare/xxhash/v2"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/vector"
)

// The sizes of reads: a scan starts small, because it may end soon, and
// doubles up to the limit.
const (
	minRead = 16 << 10
	maxRead = 512 << 10
)

// column reads one column of a segment for one scan.
type column struct {
	seg   *Segment
	ord   int
	pages *pages
	// raw holds the pages from block rawFrom to rawTo (exclusive).
	raw            []byte
	rawAt          int64
	rawFrom, rawTo int
	window         int64
	dict           *dictionary
	dictOf         int // the group of dict, or -1
}

func newColumn(s *Segment, ord int) *column {
	return &column{seg: s, ord: ord, pages: &s.annex.pages[ord], window: minRead, dictOf: -1}
}

// load decodes the column's page of a block. next tells which block is wanted
// after block b, or -1.
func (c *column) load(ctx context.Context, d *pageDecoder, b int, t sqltype.Type, next func(b int) int) (v *vector.Vector, err error) {
	a := c.seg.annex
	st := &a.cols[c.ord]
	if g := a.groupOf(b); c.dictOf != g {
		c.dict, c.dictOf = nil, g
		if p := c.pages.dicts[g]; p.size > 0 {
			raw, err := c.seg.read(ctx, p, nil)
			if err != nil {
				return nil, err
			}
			if err := c.safely(func() error { c.dict, err = d.dictionary(raw, a.codec); return err }); err != nil {
				return nil, err
			}
		}
	}
	if b < c.rawFrom || b >= c.rawTo {
		if err := c.fetch(ctx, b, next); err != nil {
			return nil, err
		}
	}
	p := c.pages.blocks[b]
	at := p.off - c.rawAt
	if at < 0 || at+p.size > int64(len(c.raw)) {
		return nil, damaged(c.seg.key.name, "the pages of column %s do not lie in a row", st.name)
	}
	page := c.raw[at : at+p.size]
	err = c.safely(func() error {
		v, err = d.column(page, a.codec, st, c.dict, int(a.blocks[b].rows), t)
		return err
	})
	return v, err
}

// fetch reads the pages of block b and of those around it that are wanted
// next and lie side by side.
func (c *column) fetch(ctx context.Context, b int, next func(b int) int) error {
	a := c.seg.annex
	from, to := b, b+1
	g := a.groupOf(b)
	size := c.pages.blocks[b].size
	for n := next(b); n >= 0 && (n == to || n == from-1) && a.groupOf(n) == g; n = next(n) {
		if size += c.pages.blocks[n].size; size > c.window {
			break
		}
		from, to = min(from, n), max(to, n+1)
	}
	first, last := c.pages.blocks[from], c.pages.blocks[to-1]
	raw, err := c.seg.read(ctx, place{first.off, last.off + last.size - first.off}, c.raw[:0])
	if err != nil {
		return err
	}
	c.raw, c.rawAt, c.rawFrom, c.rawTo = raw, first.off, from, to
	c.window = min(2*c.window, maxRead)
	return nil
}

// safely turns what the decoders cannot decode, and what they panic over, into
// an error that names the segment. With correct checksums that takes a file
// that was made to do harm.
func (c *column) safely(f func() error) (err error) {
	name := c.seg.annex.cols[c.ord].name
	defer func() {
		if r := recover(); r != nil {
			err = damaged(c.seg.key.name, "column %s cannot be decoded (%v)", name, r)
		}
	}()
	if err := f(); err != nil {
		return damaged(c.seg.key.name, "column %s cannot be decoded (%v)", name, err)
	}
	return nil
}

// keyColumns decode the key of blocks.
type keyColumns struct {
	seg  *Segment
	cols []*column
	// vecs are the key's columns of block at, or -1.
	vecs []*vector.Vector
	at   int
	buf  []byte
}

func newKeyColumns(s *Segment) *keyColumns {
	k := &keyColumns{seg: s, at: -1, vecs: make([]*vector.Vector, len(s.annex.key))}
	for _, o := range s.annex.key {
		k.cols = append(k.cols, newColumn(s, o))
	}
	return k
}

func (k *keyColumns) load(ctx context.Context, d *pageDecoder, b int, next func(int) int) error {
	if k.at == b {
		return nil
	}
	k.at = -1
	for i, c := range k.cols {
		v, err := c.load(ctx, d, b, k.seg.annex.cols[c.ord].typ, next)
		if err != nil {
			return err
		}
		k.vecs[i] = v
	}
	k.at = b
	return nil
}

// append appends the key of a row of the loaded block.
func (k *keyColumns) append(dst []byte, i int) []byte {
	if k.seg.annex.rowID {
		return binary.BigEndian.AppendUint64(dst, uint64(k.vecs[0].Ints[i]))
	}
	for _, v := range k.vecs {
		switch v.Type.Physical() {
		case sqltype.PhysInt:
			dst = keyenc.AppendInt64(dst, v.Ints[i], keyenc.Asc)
		case sqltype.PhysString:
			dst = keyenc.Append(dst, sqltype.NewString(v.Type.Kind, v.Str(i)), keyenc.Asc)
		default:
			dst = keyenc.Append(dst, v.Value(i), keyenc.Asc)
		}
	}
	return dst
}

// vector makes the keys of the loaded block.
func (k *keyColumns) vector() *vector.Vector {
	n := k.vecs[0].Len()
	size := 0
	for _, v := range k.vecs {
		size += 10*n + len(v.Data) + len(v.Data)/16
	}
	offsets, data := make([]int32, n+1), make([]byte, 0, size)
	for i := range n {
		data = k.append(data, i)
		offsets[i+1] = int32(len(data))
	}
	return vector.FromStrings(sqltype.TBytes, offsets, data, nil)
}

// search is the first row of the loaded block whose key is not less than key.
func (k *keyColumns) search(key []byte) int {
	return sort.Search(k.vecs[0].Len(), func(i int) bool {
		k.buf = k.append(k.buf[:0], i)
		return bytes.Compare(k.buf, key) >= 0
	})
}

// filterAfter is how often a bloom filter is asked by reading a piece of it
// before it is read, and kept, as a whole.
const filterAfter = 2

// mayHold asks a row group's bloom filter for a key.
func (s *Segment) mayHold(ctx context.Context, g int, key []byte) (bool, error) {
	at := s.annex.groups[g].filter
	if at.size < bloom.BlockSize || at.size%bloom.BlockSize != 0 {
		return true, nil
	}
	h := xxhash.Sum64(key)
	if f := s.filters[g].Load(); f != nil {
		return f.Check(h), nil
	}
	if s.lookups[g].Add(1) <= filterAfter {
		found, err := bloom.CheckSplitBlock(blockFilter{ctx, s, at}, at.size, h)
		if err != nil {
			return false, fmt.Errorf("read a bloom filter: %w", err)
		}
		return found, nil
	}
	raw, err := s.read(ctx, at, nil)
	if err != nil {
		return false, err
	}
	f := bloom.MakeSplitBlockFilter(bytes.Clone(raw))
	if s.filters[g].CompareAndSwap(nil, &f) {
		s.cache.grow(s.entry, at.size)
	}
	return f.Check(h), nil
}
