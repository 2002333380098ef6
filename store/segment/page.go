package segment

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/plain"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

// maxPage bounds what a page may unfold to.
const maxPage = 1 << 30

// pageDecoder turns pages into vectors. Its memory is used again; vectors
// share none of it.
type pageDecoder struct {
	protocol thrift.CompactProtocol
	header   format.PageHeader
	plainBuf []byte
	levels   []byte
	repeats  []byte
	ints32   []int32
	floats   []float32
	bits     []byte
	bytes    []byte
	offsets  []uint32
}

// dictionary is the values of a column in a row group.
type dictionary struct {
	data    []byte
	offsets []uint32
}

// The levels of columns that are no lists have one bit, those of lists two.
var (
	levelBits1 = rle.Encoding{BitWidth: 1}
	levelBits2 = rle.Encoding{BitWidth: 2}
)

// open reads a page's header and unfolds its body.
func (d *pageDecoder) open(page []byte, c Codec) (levels, data []byte, err error) {
	d.header = format.PageHeader{}
	r := d.protocol.NewReaderFromBytes(page)
	if err := thrift.NewDecoder(r).Decode(&d.header); err != nil {
		return nil, nil, err
	}
	body := page[r.BytesRead():]
	h := &d.header
	if h.CompressedPageSize < 0 || int(h.CompressedPageSize) > len(body) || h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPage {
		return nil, nil, fmt.Errorf("a page of %d bytes", h.CompressedPageSize)
	}
	body = body[:h.CompressedPageSize]
	folded := true
	if h.DataPageHeaderV2.Valid {
		v := &h.DataPageHeaderV2.V
		n := int(v.RepetitionLevelsByteLength) + int(v.DefinitionLevelsByteLength)
		if v.RepetitionLevelsByteLength < 0 || v.DefinitionLevelsByteLength < 0 || n > len(body) {
			return nil, nil, fmt.Errorf("levels of %d bytes", n)
		}
		levels, body = body[:n], body[n:]
		folded = !v.IsCompressed.Valid || v.IsCompressed.V
	}
	if !folded || len(body) == 0 {
		return levels, body, nil
	}
	if want := int(h.UncompressedPageSize); cap(d.plainBuf) < want {
		d.plainBuf = make([]byte, want+want/4)
	}
	data, err = c.codec().Decode(d.plainBuf[:cap(d.plainBuf)], body)
	return levels, data, err
}

// dictionary decodes a dictionary's page.
func (d *pageDecoder) dictionary(page []byte, c Codec) (*dictionary, error) {
	_, data, err := d.open(page, c)
	if err != nil {
		return nil, err
	}
	if !d.header.DictionaryPageHeader.Valid {
		return nil, fmt.Errorf("a page of type %v where a dictionary is due", d.header.Type)
	}
	// Each value takes at least the four bytes of its length.
	out := &dictionary{data: make([]byte, 0, len(data)), offsets: make([]uint32, 0, len(data)/4+1)}
	out.data, out.offsets, err = new(plain.Encoding).DecodeByteArray(out.data, data, out.offsets)
	return out, err
}

// column decodes a page of rows rows into a vector of type t, which is of the
// same representation as the stored one.
func (d *pageDecoder) column(page []byte, c Codec, s *stored, dict *dictionary, rows int, t sqltype.Type) (*vector.Vector, error) {
	levels, data, err := d.open(page, c)
	if err != nil {
		return nil, err
	}
	if !d.header.DataPageHeaderV2.Valid {
		return nil, fmt.Errorf("a page of type %v where rows are due", d.header.Type)
	}
	h := &d.header.DataPageHeaderV2.V
	total, nulls := int(h.NumValues), int(h.NumNulls)
	if int(h.NumRows) != rows || nulls < 0 || nulls > total || !s.list && total != rows || total > maxPage {
		return nil, fmt.Errorf("a page of %d rows, %d values and %d NULLs for a block of %d rows", h.NumRows, total, nulls, rows)
	}
	if s.list {
		return d.list(levels, data, s, dict, rows, t)
	}
	v, err := d.values(data, s, dict, rows, total-nulls, t)
	if err != nil || nulls == 0 {
		return v, err
	}
	if s.required {
		return nil, fmt.Errorf("%d NULLs where there can be none", nulls)
	}
	if d.levels, err = levelBits1.DecodeLevels(d.levels, levels); err != nil {
		return nil, err
	}
	if len(d.levels) < rows {
		return nil, fmt.Errorf("%d levels for %d rows", len(d.levels), rows)
	}
	return spread(v, d.levels[:rows], rows-nulls)
}

// values decodes count values into a vector that has room for rows.
func (d *pageDecoder) values(data []byte, s *stored, dict *dictionary, rows, count int, t sqltype.Type) (v *vector.Vector, err error) {
	enc := parquet.LookupEncoding(d.header.DataPageHeaderV2.V.Encoding)
	got := count
	switch s.class {
	case classBool:
		if d.bits, err = enc.DecodeBoolean(d.bits, data); err != nil {
			return nil, err
		}
		bools := make([]bool, rows)
		if got = min(count, 8*len(d.bits)); got == count {
			for i := range count {
				bools[i] = d.bits[i>>3]&(1<<(i&7)) != 0
			}
		}
		v = vector.FromBools(bools, nil)
	case classInt32:
		if d.ints32, err = enc.DecodeInt32(grow(d.ints32, count), data); err != nil {
			return nil, err
		}
		ints := make([]int64, rows)
		if got = len(d.ints32); got == count {
			for i, n := range d.ints32 {
				ints[i] = int64(n)
			}
		}
		v = vector.FromInts(t, ints, nil)
	case classInt64:
		var ints []int64
		if ints, err = enc.DecodeInt64(make([]int64, 0, max(rows, count)), data); err != nil {
			return nil, err
		}
		got = len(ints)
		v = vector.FromInts(t, resize(ints, rows), nil)
	case classFloat:
		if d.floats, err = enc.DecodeFloat(grow(d.floats, count), data); err != nil {
			return nil, err
		}
		floats := make([]float64, rows)
		if got = len(d.floats); got == count {
			for i, f := range d.floats {
				floats[i] = float64(f)
			}
		}
		v = vector.FromFloats(t, floats, nil)
	case classDouble:
		var floats []float64
		if floats, err = enc.DecodeDouble(make([]float64, 0, max(rows, count)), data); err != nil {
			return nil, err
		}
		got = len(floats)
		v = vector.FromFloats(t, resize(floats, rows), nil)
	case classBytes:
		return d.texts(data, dict, rows, count, t)
	case classDecimalText:
		v, got, err = d.decimalTexts(data, rows, count, t)
	case classDecimal32, classDecimal64:
		v, got, err = d.smallDecimals(data, s, rows, count, t)
	default:
		if d.bytes, err = enc.DecodeFixedLenByteArray(d.bytes, data, fixedLen); err != nil {
			return nil, err
		}
		if got = len(d.bytes) / fixedLen; got == count {
			v = fixed(d.bytes, s, rows, count, t)
		}
	}
	if err == nil && got != count {
		err = fmt.Errorf("%d values instead of %d", got, count)
	}
	return v, err
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, 0, n)
	}
	return s[:0]
}

// resize gives s n elements, the new ones zero.
func resize[T any](s []T, n int) []T {
	if len(s) >= n {
		return s[:n]
	}
	if cap(s) < n {
		return append(s, make([]T, n-len(s))...)
	}
	from := len(s)
	s = s[:n]
	clear(s[from:])
	return s
}

// signed is the offsets of a decoder as those of a vector: the same numbers,
// which are below 2^31.
func signed(o []uint32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(o))), len(o))
}

func (d *pageDecoder) texts(data []byte, dict *dictionary, rows, count int, t sqltype.Type) (*vector.Vector, error) {
	e := d.header.DataPageHeaderV2.V.Encoding
	enc := parquet.LookupEncoding(e)
	if e != format.RLEDictionary {
		bytes, offsets, err := enc.DecodeByteArray(make([]byte, 0, enc.EstimateDecodeByteArraySize(data)), data, make([]uint32, 0, max(rows, count)+1))
		if err != nil {
			return nil, err
		}
		if len(offsets) != count+1 || len(bytes) > vector.MaxStringBytes {
			return nil, fmt.Errorf("%d texts of %d bytes instead of %d", len(offsets)-1, len(bytes), count)
		}
		return vector.FromStrings(t, resize(signed(offsets), rows+1), bytes, nil), nil
	}
	if dict == nil {
		return nil, fmt.Errorf("a page with a dictionary in a column without one")
	}
	var err error
	if d.ints32, err = enc.DecodeInt32(grow(d.ints32, count), data); err != nil {
		return nil, err
	}
	if len(d.ints32) < count {
		return nil, fmt.Errorf("%d places in the dictionary instead of %d", len(d.ints32), count)
	}
	size := 0
	for _, i := range d.ints32[:count] {
		if i < 0 || int(i) >= len(dict.offsets)-1 {
			return nil, fmt.Errorf("place %d in a dictionary of %d", i, len(dict.offsets)-1)
		}
		size += int(dict.offsets[i+1] - dict.offsets[i])
	}
	if size > vector.MaxStringBytes {
		return nil, fmt.Errorf("texts of %d bytes", size)
	}
	bytes, offsets := make([]byte, 0, size), make([]int32, rows+1)
	for n, i := range d.ints32[:count] {
		bytes = append(bytes, dict.data[dict.offsets[i]:dict.offsets[i+1]]...)
		offsets[n+1] = int32(len(bytes))
	}
	return vector.FromStrings(t, offsets, bytes, nil), nil
}

func (d *pageDecoder) decimalTexts(data []byte, rows, count int, t sqltype.Type) (*vector.Vector, int, error) {
	enc := parquet.LookupEncoding(d.header.DataPageHeaderV2.V.Encoding)
	var err error
	if d.bytes, d.offsets, err = enc.DecodeByteArray(grow(d.bytes, enc.EstimateDecodeByteArraySize(data)), data, grow(d.offsets, count+1)); err != nil {
		return nil, 0, err
	}
	v := vector.New(t, rows)
	if len(d.offsets) != count+1 {
		return v, len(d.offsets) - 1, nil
	}
	for i := range count {
		if v.Decimals[i], err = decimal.Parse(string(d.bytes[d.offsets[i]:d.offsets[i+1]])); err != nil {
			return nil, 0, err
		}
	}
	return v, count, nil
}

func (d *pageDecoder) smallDecimals(data []byte, s *stored, rows, count int, t sqltype.Type) (*vector.Vector, int, error) {
	enc := parquet.LookupEncoding(d.header.DataPageHeaderV2.V.Encoding)
	v := vector.New(t, rows)
	scale := s.elem().Scale
	var err error
	if s.class == classDecimal32 {
		if d.ints32, err = enc.DecodeInt32(grow(d.ints32, count), data); err != nil || len(d.ints32) != count {
			return v, len(d.ints32), err
		}
		for i, n := range d.ints32 {
			v.Decimals[i] = decimal.New(int64(n), scale)
		}
		return v, count, nil
	}
	ints, err := enc.DecodeInt64(make([]int64, 0, count), data)
	if err != nil || len(ints) != count {
		return v, len(ints), err
	}
	for i, n := range ints {
		v.Decimals[i] = decimal.New(n, scale)
	}
	return v, count, nil
}

// fixed turns values of 16 bytes into a vector.
func fixed(b []byte, s *stored, rows, count int, t sqltype.Type) *vector.Vector {
	switch s.class {
	case classUUID:
		offsets := make([]int32, rows+1)
		for i := range count {
			offsets[i+1] = int32(fixedLen * (i + 1))
		}
		return vector.FromStrings(t, offsets, append([]byte(nil), b[:fixedLen*count]...), nil)
	case classDecimal128:
		v := vector.New(t, rows)
		for i := range count {
			v.Decimals[i] = decimalFromBytes(b[fixedLen*i:], s.elem().Scale)
		}
		return v
	}
	v := vector.New(t, rows)
	for i := range count {
		p := b[fixedLen*i:]
		v.Intervals[i] = sqltype.IntervalValue{
			Months: int32(binary.BigEndian.Uint32(p)), Days: int32(binary.BigEndian.Uint32(p[4:])), Micros: int64(binary.BigEndian.Uint64(p[8:])),
		}
	}
	return v
}

// spread moves the first count values of v to the rows whose level says that
// they are not NULL.
func spread(v *vector.Vector, levels []byte, count int) (*vector.Vector, error) {
	valid := vector.NewBitmap(len(levels))
	n := 0
	for i, l := range levels {
		if l != 0 {
			valid.Set(i)
			n++
		}
	}
	if n != count {
		return nil, fmt.Errorf("%d levels of values for %d values", n, count)
	}
	v.Valid = valid
	switch v.Type.Physical() {
	case sqltype.PhysBool:
		spreadSlice(v.Bools, levels, count)
	case sqltype.PhysInt:
		spreadSlice(v.Ints, levels, count)
	case sqltype.PhysFloat:
		spreadSlice(v.Floats, levels, count)
	case sqltype.PhysDecimal:
		spreadSlice(v.Decimals, levels, count)
	case sqltype.PhysInterval:
		spreadSlice(v.Intervals, levels, count)
	case sqltype.PhysString:
		// From the back: the end of row i is that of the values up to it.
		n := count
		for i := len(levels); i > 0; i-- {
			v.Offsets[i] = v.Offsets[n]
			if levels[i-1] != 0 {
				n--
			}
		}
	}
	return v, nil
}

func spreadSlice[T any](s []T, levels []byte, count int) {
	n := count - 1
	for i := len(levels) - 1; i >= 0; i-- {
		if levels[i] != 0 {
			s[i] = s[n]
			n--
		}
	}
}

// list decodes a column of arrays.
func (d *pageDecoder) list(levels, data []byte, s *stored, dict *dictionary, rows int, t sqltype.Type) (*vector.Vector, error) {
	h := &d.header.DataPageHeaderV2.V
	total, cut := int(h.NumValues), int(h.RepetitionLevelsByteLength)
	var err error
	if d.repeats, err = levelBits1.DecodeLevels(d.repeats, levels[:cut]); err != nil {
		return nil, err
	}
	if d.levels, err = levelBits2.DecodeLevels(d.levels, levels[cut:]); err != nil {
		return nil, err
	}
	if len(d.repeats) < total || len(d.levels) < total {
		return nil, fmt.Errorf("%d and %d levels for %d values", len(d.repeats), len(d.levels), total)
	}
	count := 0
	for _, l := range d.levels[:total] {
		if l == listElem {
			count++
		}
	}
	elem := s.elem()
	values, err := d.values(data, s, dict, count, count, elem)
	if err != nil {
		return nil, err
	}
	b := vector.NewBuilder(t, rows)
	n := 0
	for i := 0; i < total; {
		switch d.levels[i] {
		case listNull:
			b.AppendNull()
			i++
			continue
		case listEmpty:
			b.AppendList([]sqltype.Value{})
			i++
			continue
		}
		end := i + 1
		for end < total && d.repeats[end] != 0 {
			end++
		}
		list := make([]sqltype.Value, 0, end-i)
		for ; i < end; i++ {
			if d.levels[i] == listElem {
				list = append(list, values.Value(n))
				n++
			} else {
				list = append(list, sqltype.NullOf(elem.Kind))
			}
		}
		b.AppendList(list)
	}
	if b.Len() != rows {
		return nil, fmt.Errorf("%d lists for %d rows", b.Len(), rows)
	}
	return b.Finish(), nil
}
