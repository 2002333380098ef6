package segment

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/bloom"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/object"
)

// ErrDamaged is in the chain of errors about files that are not what was
// written. The object store's own errors are not among them.
var ErrDamaged = errors.New("the segment is damaged")

// Ref says which segment to open.
type Ref struct {
	Bucket object.Bucket
	Name   string
	// Size and Checksum are those of the segment's Summary. With them a file
	// that is another one is noticed, whatever it is. Zero: not checked.
	Size     int64
	Checksum uint64
}

// Segment is an open segment. It may be used from several goroutines until it
// is closed.
type Segment struct {
	*entry
	cache  *Cache
	closed atomic.Bool
	// read counts the bytes that were asked of the bucket.
	bytesRead atomic.Int64
}

// damaged is the error of a file whose bytes are wrong.
func damaged(name, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	return dberr.Newf(dberr.StorageUnavailable, "The segment %s is damaged: %s.", path.Base(name), what).
		Wrap(fmt.Errorf("%s: %w", name, ErrDamaged)).
		WithHint("Restore the file from a backup.")
}

// tailSize is how much of the end of a file is read at first. It holds the
// whole of the annex of a small segment.
const tailSize = 64 << 10

// Open opens a segment, through the cache. It reads the end of the file, or
// nothing when the cache knows it.
//
// Errors: ErrDamaged, or what the bucket gives.
func Open(ctx context.Context, ref Ref, cache *Cache) (*Segment, error) {
	k := cacheKey{ref.Bucket, ref.Name}
	if e := cache.get(k, ref.Checksum); e != nil {
		return &Segment{entry: e, cache: cache}, nil
	}
	h, err := ref.Bucket.Open(ctx, ref.Name)
	if err != nil {
		return nil, err
	}
	s := &Segment{entry: &entry{key: k, handle: h}, cache: cache}
	if s.annex, err = s.readEnd(ctx, ref); err != nil {
		_ = h.Close()
		return nil, err
	}
	s.filters = make([]atomic.Pointer[bloom.SplitBlockFilter], len(s.annex.groups))
	s.lookups = make([]atomic.Int32, len(s.annex.groups))
	cache.add(s.entry)
	return s, nil
}

// readAt reads and counts.
func (s *Segment) readAt(ctx context.Context, p []byte, off int64) error {
	s.bytesRead.Add(int64(len(p)))
	err := s.handle.ReadAt(ctx, p, off)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged(s.key.name, "it ends too early")
	}
	return err
}

// readEnd reads the annex and compares everything that it can be compared
// with.
func (s *Segment) readEnd(ctx context.Context, ref Ref) (*annex, error) {
	size := s.handle.Size()
	if ref.Size != 0 && ref.Size != size {
		return nil, damaged(ref.Name, "it has %d bytes instead of %d", size, ref.Size)
	}
	if size < int64(tailLen+endLen) {
		return nil, damaged(ref.Name, "it has %d bytes", size)
	}
	tail := make([]byte, min(size, tailSize))
	if err := s.readAt(ctx, tail, size-int64(len(tail))); err != nil {
		return nil, err
	}
	// need gives the n bytes that end before the last back ones.
	need := func(n, back int64) ([]byte, error) {
		if n+back > size {
			return nil, damaged(ref.Name, "it is too short for what its end says")
		}
		if n+back > int64(len(tail)) {
			tail = make([]byte, n+back)
			if err := s.readAt(ctx, tail, size-int64(len(tail))); err != nil {
				return nil, err
			}
		}
		end := int64(len(tail)) - back
		return tail[end-n : end], nil
	}
	end, err := need(endLen, 0)
	if err != nil {
		return nil, err
	}
	if string(end[4:]) != parquetMagic {
		return nil, damaged(ref.Name, "it has no Parquet end")
	}
	footerSize := int64(binary.LittleEndian.Uint32(end))
	if footerSize > maxHeld {
		return nil, damaged(ref.Name, "its footer is too large")
	}
	t, err := need(int64(tailLen), endLen+footerSize)
	if err != nil {
		return nil, err
	}
	if string(t[12:]) != annexMagic {
		return nil, damaged(ref.Name, "it was not written by this database, or its end is lost")
	}
	annexSize, sum := int64(binary.LittleEndian.Uint32(t)), binary.LittleEndian.Uint64(t[4:])
	if annexSize > maxAnnex {
		return nil, damaged(ref.Name, "its annex is too large")
	}
	b, err := need(annexSize, endLen+footerSize+int64(tailLen))
	if err != nil {
		return nil, err
	}
	if xxhash.Sum64(b) != sum {
		return nil, damaged(ref.Name, "its annex does not have its checksum")
	}
	if ref.Checksum != 0 && ref.Checksum != sum {
		return nil, damaged(ref.Name, "it is another file than the one that was written")
	}
	a, ok := readAnnex(b)
	if !ok || a.dataSize+annexSize+int64(tailLen)+footerSize+endLen != size || int64(a.footerSize) != footerSize {
		return nil, damaged(ref.Name, "its annex makes no sense")
	}
	a.checksum = sum
	return a, nil
}

// read reads a part of the data and compares it with its checksums. The bytes
// lie in buf when that is large enough.
func (s *Segment) read(ctx context.Context, p place, buf []byte) ([]byte, error) {
	a := s.annex
	if p.off < 0 || p.size < 0 || p.off+p.size > a.dataSize {
		return nil, damaged(s.key.name, "it has no bytes at %d", p.off)
	}
	from := p.off &^ (pieceSize - 1)
	to := min((p.off+p.size+pieceSize-1)&^(pieceSize-1), a.dataSize)
	n := int(to - from)
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if err := s.readAt(ctx, buf, from); err != nil {
		return nil, err
	}
	for i := 0; i < n; i += pieceSize {
		piece := buf[i:min(i+pieceSize, n)]
		if at := (from + int64(i)) / pieceSize; crc32.Checksum(piece, castagnoli) != a.sums[at] {
			return nil, damaged(s.key.name, "the bytes from %d do not have their checksum", at*pieceSize)
		}
	}
	return buf[p.off-from : p.off-from+p.size], nil
}

// Close gives the segment up. A second call does nothing.
func (s *Segment) Close() {
	if s.closed.CompareAndSwap(false, true) {
		s.cache.release(s.entry)
	}
}

// Name is the object's name.
func (s *Segment) Name() string { return s.key.name }

// Checksum is that of the segment's Summary.
func (s *Segment) Checksum() uint64 { return s.annex.checksum }

// Size is the file's size in bytes.
func (s *Segment) Size() int64 { return s.handle.Size() }

// Rows counts all rows, Deleted those that are soft-deleted.
func (s *Segment) Rows() int64 { return s.annex.rows }

// Deleted counts the soft-deleted rows.
func (s *Segment) Deleted() int64 { return s.annex.deleted }

// Table is the number of the table that the segment was written for.
func (s *Segment) Table() ident.TableID { return s.annex.table }

// SchemaVersion is the version of the table that it was written under.
func (s *Segment) SchemaVersion() uint32 { return s.annex.version }

// Keys are the first and the last key. They must not be changed.
func (s *Segment) Keys() (first, last []byte) { return s.annex.firstKey, s.annex.lastKey }

// Seqs are the least and the greatest commit sequence.
func (s *Segment) Seqs() (least, greatest change.Seq) { return s.annex.minSeq, s.annex.maxSeq }

// Updated are the first and the last time of a commit, in microseconds.
func (s *Segment) Updated() (first, last int64) { return s.annex.minUpdated, s.annex.maxUpdated }

// Columns are the declared columns that the segment has, in declared order.
func (s *Segment) Columns() []Column {
	var out []Column
	for _, c := range s.annex.cols {
		if c.id < RowIDColumn {
			out = append(out, Column{ID: c.id, Name: c.name, Type: c.typ})
		}
	}
	return out
}

// Blocks is how many blocks the segment has.
func (s *Segment) Blocks() int { return len(s.annex.blocks) }

// BytesRead is how many bytes were read through this Segment.
func (s *Segment) BytesRead() int64 { return s.bytesRead.Load() }

// Verify reads the whole file and compares it with its checksums.
func (s *Segment) Verify(ctx context.Context) error {
	const step = 1 << 20
	var buf []byte
	for off := int64(0); off < s.annex.dataSize; off += step {
		if _, err := s.read(ctx, place{off, min(step, s.annex.dataSize-off)}, buf); err != nil {
			return err
		}
	}
	footer := make([]byte, s.annex.footerSize)
	if err := s.readAt(ctx, footer, s.handle.Size()-endLen-int64(len(footer))); err != nil {
		return err
	}
	if crc32.Checksum(footer, castagnoli) != s.annex.footerSum {
		return damaged(s.key.name, "its Parquet footer does not have its checksum")
	}
	return nil
}

// Cuts appends to dst keys that cut the rows between start and end (exclusive;
// nil means no bound) into runs of about every rows; rows is about how many
// there are. A key is one at which a block begins, or its beginning. It reads
// nothing. The keys must not be changed.
func (s *Segment) Cuts(dst [][]byte, start, end []byte, every int64) (cuts [][]byte, rows int64) {
	from, to := s.annex.within(start, end)
	var run int64
	for b := from; b < to; b++ {
		blk := &s.annex.blocks[b]
		if run >= every {
			dst, run = append(dst, blk.key), 0
		}
		run += int64(blk.rows)
		rows += int64(blk.rows)
	}
	return dst, rows
}
