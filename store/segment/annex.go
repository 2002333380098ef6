package segment

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"sort"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/pack"
)

// Format is the version of the annex.
const Format = 1

const (
	// pieceSize is how many bytes share a checksum.
	pieceSize = 4 << 10
	// maxIndexKey is how many bytes of a key the index keeps.
	maxIndexKey = 64

	annexMagic = "KALAMSEG"
	// tailLen is what stands between the annex and Parquet's footer: the
	// annex's length and checksum, the magic.
	tailLen = 4 + 8 + len(annexMagic)
	// endLen is Parquet's end of a file: the footer's length and magic.
	endLen       = 8
	parquetMagic = "PAR1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// annex is what readers know of a file without reading rows. It never changes
// once it is complete.
type annex struct {
	table   ident.TableID
	version uint32
	codec   Codec
	cols    []stored
	// key are the ordinals of the key's columns: of the primary key, or the
	// row id alone.
	key   []int
	rowID bool

	rows, deleted        int64
	minSeq, maxSeq       change.Seq
	minUpdated           int64
	maxUpdated           int64
	firstKey, lastKey    []byte
	blocks               []block
	groups               []group
	pages                []pages // by column
	stats                []place // by column; size 0: there are none
	filterSize, dataSize int64
	sums                 []uint32 // of each piece of the data
	footerSize           uint32
	footerSum            uint32
	// checksum is that of the annex's own bytes; a reader's only.
	checksum uint64
}

// block is a run of rows: a page of each column.
type block struct {
	row  int64 // the first one's position
	rows int32
	// deleted is how many are soft-deleted.
	deleted        int32
	minSeq, maxSeq change.Seq
	// key is the first one's key, or its beginning when cut is set.
	key []byte
	cut bool
}

// group is a Parquet row group.
type group struct {
	first  int // its first block
	filter place
}

// decoder reads the annex and statistics.
type decoder struct{ pack.Reader }

type place struct{ off, size int64 }

// pages are the places of a column's pages.
type pages struct {
	blocks []place // by block
	dicts  []place // by group; size 0: it has none
}

func appendPlace(dst []byte, p place, last *int64) []byte {
	// Most things stand directly behind the one before.
	dst = binary.AppendVarint(dst, p.off-*last)
	*last = p.off + p.size
	return binary.AppendUvarint(dst, uint64(p.size))
}

func (d *decoder) place(last *int64, limit int64) place {
	p := place{off: *last + d.Varint(), size: d.Int64()}
	*last = p.off + p.size
	if p.off < 0 || p.off > limit || p.size > limit-p.off {
		d.Bad = true
		return place{}
	}
	return p
}

// append appends the annex's bytes.
func (a *annex) append(dst []byte) []byte {
	dst = append(dst, Format, byte(a.codec))
	dst = binary.AppendUvarint(dst, uint64(a.table))
	dst = binary.AppendUvarint(dst, uint64(a.version))
	dst = binary.AppendUvarint(dst, uint64(a.dataSize))

	dst = binary.AppendUvarint(dst, uint64(len(a.cols)))
	for i := range a.cols {
		c := &a.cols[i]
		dst = binary.AppendUvarint(dst, uint64(c.id))
		dst = pack.AppendBytes(dst, c.name)
		dst = append(dst, byte(c.typ.Kind), byte(c.typ.Elem))
		dst = binary.AppendVarint(dst, int64(c.typ.Precision))
		dst = binary.AppendVarint(dst, int64(c.typ.Scale))
		dst = append(dst, byte(c.class), bit(c.list), bit(c.required))
	}
	dst = append(dst, bit(a.rowID))
	dst = binary.AppendUvarint(dst, uint64(len(a.key)))
	for _, k := range a.key {
		dst = binary.AppendUvarint(dst, uint64(k))
	}

	dst = binary.AppendUvarint(dst, uint64(a.deleted))
	dst = binary.AppendVarint(dst, a.minUpdated)
	dst = binary.AppendVarint(dst, a.maxUpdated)
	dst = pack.AppendBytes(dst, a.lastKey)
	dst = pack.AppendBytes(dst, a.firstKey)
	dst = binary.AppendUvarint(dst, uint64(len(a.blocks)))
	for i := range a.blocks {
		b := &a.blocks[i]
		dst = binary.AppendUvarint(dst, uint64(b.rows))
		dst = binary.AppendUvarint(dst, uint64(b.deleted))
		dst = binary.AppendUvarint(dst, uint64(b.minSeq))
		dst = binary.AppendUvarint(dst, uint64(b.maxSeq-b.minSeq))
		dst = append(dst, bit(b.cut))
		dst = pack.AppendBytes(dst, b.key)
	}
	dst = binary.AppendUvarint(dst, uint64(len(a.groups)))
	var last int64
	for _, g := range a.groups {
		dst = binary.AppendUvarint(dst, uint64(g.first))
		dst = appendPlace(dst, g.filter, &last)
	}
	for i := range a.cols {
		last = 0
		for _, p := range a.pages[i].dicts {
			dst = appendPlace(dst, p, &last)
		}
		for _, p := range a.pages[i].blocks {
			dst = appendPlace(dst, p, &last)
		}
	}
	last = 0
	for _, p := range a.stats {
		dst = appendPlace(dst, p, &last)
	}
	dst = binary.LittleEndian.AppendUint32(dst, a.footerSize)
	dst = binary.LittleEndian.AppendUint32(dst, a.footerSum)
	for _, s := range a.sums {
		dst = binary.LittleEndian.AppendUint32(dst, s)
	}
	return dst
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// readAnnex reads an annex's bytes. It answers false for anything that is not
// one, whatever it is.
func readAnnex(b []byte) (*annex, bool) {
	d := &decoder{pack.Reader{Rest: bytes.Clone(b)}}
	if d.Byte() != Format {
		return nil, false
	}
	a := &annex{codec: Codec(d.Byte())}
	a.table = ident.TableID(d.Uvarint())
	a.version = uint32(d.Uvarint())
	a.dataSize = d.Int64()

	a.cols = make([]stored, d.Count(10))
	for i := range a.cols {
		a.cols[i] = d.column()
	}
	a.rowID = d.Bool()
	a.key = make([]int, d.Count(1))
	for i := range a.key {
		k := d.Uvarint()
		if k >= uint64(len(a.cols)) || a.cols[k].list {
			return nil, false
		}
		a.key[i] = int(k)
	}
	a.deleted = d.Int64()
	a.minUpdated, a.maxUpdated = d.Varint(), d.Varint()
	a.lastKey, a.firstKey = d.Bytes(), d.Bytes()
	a.readBlocks(d)
	a.groups = make([]group, d.Count(3))
	var last int64
	for i := range a.groups {
		first := d.Uvarint()
		if i == 0 && first != 0 || i > 0 && first <= uint64(a.groups[i-1].first) || first >= uint64(len(a.blocks)) {
			return nil, false
		}
		a.groups[i] = group{first: int(first), filter: d.place(&last, a.dataSize)}
		a.filterSize += a.groups[i].filter.size
	}
	if d.Bad || len(a.blocks) > 0 && len(a.groups) == 0 {
		return nil, false
	}
	a.pages = make([]pages, len(a.cols))
	for i := range a.pages {
		if (len(a.groups)+len(a.blocks))*2 > len(d.Rest) {
			return nil, false
		}
		p := &a.pages[i]
		p.dicts, p.blocks = make([]place, len(a.groups)), make([]place, len(a.blocks))
		last = 0
		for j := range p.dicts {
			p.dicts[j] = d.place(&last, a.dataSize)
		}
		for j := range p.blocks {
			p.blocks[j] = d.place(&last, a.dataSize)
		}
	}
	a.stats = make([]place, len(a.cols))
	last = 0
	for i := range a.stats {
		a.stats[i] = d.place(&last, a.dataSize)
	}
	a.footerSize, a.footerSum = d.Uint32(), d.Uint32()
	if d.Bad || int64(len(d.Rest)) != 4*((a.dataSize+pieceSize-1)/pieceSize) {
		return nil, false
	}
	a.sums = make([]uint32, len(d.Rest)/4)
	for i := range a.sums {
		a.sums[i] = d.Uint32()
	}
	return a, true
}

func (d *decoder) column() (c stored) {
	id := d.Uvarint()
	c.id, c.name = uint32(id), string(d.Bytes())
	c.typ.Kind, c.typ.Elem = sqltype.Kind(d.Byte()), sqltype.Kind(d.Byte())
	precision, scale := d.Varint(), d.Varint()
	c.typ.Precision, c.typ.Scale = int32(precision), int32(scale)
	c.class, c.list, c.required = class(d.Byte()), d.Bool(), d.Bool()
	if id > uint64(^uint32(0)) || int64(c.typ.Precision) != precision || int64(c.typ.Scale) != scale ||
		c.list != (c.typ.Kind == sqltype.Array) || c.list && c.required {
		d.Bad = true
	}
	if want, err := classOf(c.elem()); err != nil || want != c.class {
		d.Bad = true
	}
	return c
}

func (a *annex) readBlocks(d *decoder) {
	a.blocks = make([]block, d.Count(6))
	var deleted int64
	for i := range a.blocks {
		b := &a.blocks[i]
		rows, del := d.Uvarint(), d.Uvarint()
		low, span := d.Int64(), d.Int64()
		if rows == 0 || rows > maxBlockRows || del > rows {
			d.Bad = true
			return
		}
		b.row, b.rows, b.deleted = a.rows, int32(rows), int32(del)
		b.minSeq, b.maxSeq = change.Seq(low), change.Seq(low+span)
		b.cut, b.key = d.Bool(), d.Bytes()
		if i > 0 && bytes.Compare(a.blocks[i-1].key, b.key) > 0 {
			d.Bad = true
		}
		a.rows += int64(rows)
		deleted += int64(del)
		if i == 0 || b.minSeq < a.minSeq {
			a.minSeq = b.minSeq
		}
		a.maxSeq = max(a.maxSeq, b.maxSeq)
	}
	if deleted != a.deleted {
		d.Bad = true
	}
}

// size is about how many bytes of memory the annex takes.
func (a *annex) size() int64 {
	n := 512 + 4*len(a.sums) + 96*len(a.blocks) + len(a.lastKey) + len(a.firstKey) + 32*len(a.groups)
	for i := range a.blocks {
		n += len(a.blocks[i].key)
	}
	for i := range a.cols {
		n += 128 + len(a.cols[i].name) + 16*(len(a.blocks)+len(a.groups))
	}
	return int64(n)
}

// find is the ordinal of a column id, or -1.
func (a *annex) find(id uint32) int {
	for i := range a.cols {
		if a.cols[i].id == id {
			return i
		}
	}
	return -1
}

// surelyLE tells whether the first key of block b is certainly less than or
// equal to key.
func (a *annex) surelyLE(b int, key []byte) bool {
	k := &a.blocks[b]
	if k.cut {
		return bytes.Compare(k.key, key) < 0 && !bytes.HasPrefix(key, k.key)
	}
	return bytes.Compare(k.key, key) <= 0
}

// within are the blocks, from and to (exclusive), that may hold keys from
// start to end (exclusive); nil means no bound.
func (a *annex) within(start, end []byte) (from, to int) {
	n := len(a.blocks)
	if n == 0 || start != nil && bytes.Compare(a.lastKey, start) < 0 {
		return 0, 0
	}
	if start != nil {
		// Behind the blocks of which the next one begins at or before start.
		from = sort.Search(n-1, func(b int) bool { return !a.surelyLE(b+1, start) })
	}
	to = n
	if end != nil {
		to = sort.Search(n, func(b int) bool { return bytes.Compare(a.blocks[b].key, end) >= 0 })
	}
	return from, max(from, to)
}

// inside tells whether all keys of a block are certainly from start to end.
func (a *annex) inside(b int, start, end []byte) bool {
	if start != nil && bytes.Compare(a.blocks[b].key, start) < 0 {
		return false
	}
	switch {
	case end == nil:
		return true
	case b+1 < len(a.blocks):
		return a.surelyLE(b+1, end)
	}
	return bytes.Compare(a.lastKey, end) < 0
}

// groupOf is the row group of a block.
func (a *annex) groupOf(b int) int {
	return sort.Search(len(a.groups), func(g int) bool { return a.groups[g].first > b }) - 1
}
