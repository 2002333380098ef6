package segment

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"

	"github.com/kalamdb/kalamdb/store/object"
)

// copyStep is how much of the data Copy holds.
const copyStep = 1 << 20

// Copy copies a segment to another place where there is no object of the name
// yet. Every byte is compared with its checksum on the way: what is damaged is
// not copied, and what is copied is the segment that ref names. After an error
// there is no copy.
//
// Errors: ErrDamaged, or what the buckets give.
func Copy(ctx context.Context, ref Ref, dst object.Bucket, name string) error {
	h, err := ref.Bucket.Open(ctx, ref.Name)
	if err != nil {
		return err
	}
	defer h.Close()
	s := &Segment{entry: &entry{key: cacheKey{ref.Bucket, ref.Name}, handle: h}}
	if s.annex, err = s.readEnd(ctx, ref); err != nil {
		return err
	}
	w, err := dst.Create(ctx, name, object.CreateOptions{IfAbsent: true})
	if err != nil {
		return err
	}
	defer w.Abort()
	buf := make([]byte, min(copyStep, s.annex.dataSize))
	for off := int64(0); off < s.annex.dataSize; off += copyStep {
		data, err := s.read(ctx, place{off, min(copyStep, s.annex.dataSize-off)}, buf)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	end, err := s.end(ctx)
	if err != nil {
		return err
	}
	if _, err := w.Write(end); err != nil {
		return err
	}
	return w.Commit()
}

// end reads what stands behind the data, and compares it with what was read of
// it when the segment was opened.
func (s *Segment) end(ctx context.Context) ([]byte, error) {
	a := s.annex
	b := make([]byte, s.handle.Size()-a.dataSize)
	if err := s.readAt(ctx, b, a.dataSize); err != nil {
		return nil, err
	}
	footer := b[len(b)-endLen-int(a.footerSize) : len(b)-endLen]
	body := b[:len(b)-endLen-int(a.footerSize)-tailLen]
	tail := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	tail = append(binary.LittleEndian.AppendUint64(tail, a.checksum), annexMagic...)
	last := append(binary.LittleEndian.AppendUint32(nil, uint32(len(footer))), parquetMagic...)
	switch {
	case xxhash.Sum64(body) != a.checksum, !bytes.Equal(b[len(body):len(body)+tailLen], tail):
		return nil, damaged(s.key.name, "its annex does not have its checksum")
	case crc32.Checksum(footer, castagnoli) != a.footerSum, !bytes.Equal(b[len(b)-endLen:], last):
		return nil, damaged(s.key.name, "its Parquet footer does not have its checksum")
	}
	return b, nil
}
