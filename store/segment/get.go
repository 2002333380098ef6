package segment

import (
	"bytes"
	"context"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/rowenc"
)

// MayHold tells whether the segment may have a row with the key. It looks at
// the key range and the bloom filter; false is certain.
func (s *Segment) MayHold(ctx context.Context, key []byte) (bool, error) {
	b, to := s.candidates(key)
	for last := -1; b < to; b++ {
		if g := s.annex.groupOf(b); g != last {
			if may, err := s.mayHold(ctx, g, key); may || err != nil {
				return may, err
			}
			last = g
		}
	}
	return false, nil
}

// candidates are the blocks that may have a key: most often one.
func (s *Segment) candidates(key []byte) (from, to int) {
	a := s.annex
	if bytes.Compare(key, a.firstKey) < 0 || bytes.Compare(key, a.lastKey) > 0 {
		return 0, 0
	}
	// Its successor is the first key behind it.
	return a.within(key, append(bytes.Clone(key), 0))
}

// Get reads the row with the key: its header, and into dst, which has a place
// for each, the wanted columns. A soft-deleted row is found, and the header
// says so. Strings in dst share no memory with the segment.
//
// A row that is not there costs a look into the bloom filter. Errors are those
// of Scan.
func (s *Segment) Get(ctx context.Context, key []byte, want []rowenc.Want, dst []sqltype.Value) (h rowenc.Header, found bool, err error) {
	if len(dst) < len(want) {
		return h, false, dberr.Newf(dberr.Internal, "%d places for %d columns", len(dst), len(want))
	}
	b, to := s.candidates(key)
	// Most segments that are asked do not have the key: no decoder for them.
	var d *pageDecoder
	var keys *keyColumns
	for last, may := -1, false; b < to; b++ {
		if g := s.annex.groupOf(b); g != last {
			if may, err = s.mayHold(ctx, g, key); err != nil {
				return h, false, err
			}
			last = g
		}
		if !may {
			continue
		}
		if keys == nil {
			keys, d = newKeyColumns(s), s.cache.decoder()
			defer s.cache.giveBack(d)
		}
		if err := keys.load(ctx, d, b, none); err != nil {
			return h, false, err
		}
		i := keys.search(key)
		if i == int(s.annex.blocks[b].rows) || !bytes.Equal(keys.append(keys.buf[:0], i), key) {
			continue
		}
		h, err = s.row(ctx, d, b, i, want, dst)
		return h, err == nil, err
	}
	return h, false, nil
}

// row reads a row by its place.
func (s *Segment) row(ctx context.Context, d *pageDecoder, b, i int, want []rowenc.Want, dst []sqltype.Value) (h rowenc.Header, err error) {
	at := func(id uint32, t sqltype.Type) (sqltype.Value, error) {
		v, err := newColumn(s, s.annex.find(id)).load(ctx, d, b, t, none)
		if err != nil {
			return sqltype.Null(), err
		}
		return v.Value(i), nil
	}
	blk := &s.annex.blocks[b]
	h.Seq = blk.minSeq
	if blk.minSeq != blk.maxSeq {
		v, err := at(rowenc.SeqColumn, sqltype.TBigInt)
		if err != nil {
			return h, err
		}
		h.Seq = change.Seq(v.Int())
	}
	v, err := at(rowenc.UpdatedColumn, sqltype.TTimestamp)
	if err != nil {
		return h, err
	}
	h.UpdatedAt = v.Int()
	if blk.deleted > 0 {
		if v, err = at(rowenc.DeletedColumn, sqltype.TBoolean); err != nil {
			return h, err
		}
		h.Deleted = v.Bool()
	}
	for n, w := range want {
		switch w.ID {
		case rowenc.SeqColumn:
			dst[n] = sqltype.NewBigInt(int64(h.Seq))
			continue
		case rowenc.UpdatedColumn:
			dst[n] = sqltype.NewInt(sqltype.Timestamp, h.UpdatedAt)
			continue
		case rowenc.DeletedColumn:
			dst[n] = sqltype.NewBool(h.Deleted)
			continue
		}
		o := s.annex.find(w.ID)
		if o < 0 {
			if dst[n] = sqltype.NullOf(w.Type.Kind); !w.Default.IsNull() {
				dst[n] = w.Default.As(w.Type.Kind)
			}
			continue
		}
		if st := &s.annex.cols[o]; st.typ.Physical() != w.Type.Physical() {
			return h, dberr.Newf(dberr.Internal, "column %d is stored as %s and cannot be read as %s", w.ID, st.typ, w.Type)
		}
		if dst[n], err = at(w.ID, w.Type); err != nil {
			return h, err
		}
		dst[n] = dst[n].Clone()
	}
	return h, nil
}
