package segment

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

// end writes everything behind the rows: Parquet's page index, the filters,
// the statistics, the annex, and Parquet's footer.
func (w *Writer) end() (Summary, error) {
	if err := w.metadata(); err != nil {
		return Summary{}, err
	}
	w.out.hold = true
	start := w.out.off
	if err := w.pw.Close(); err != nil {
		return Summary{}, fmt.Errorf("write the footer: %w", err)
	}
	w.out.hold = false
	held := w.out.held
	if len(held) < endLen {
		return Summary{}, fmt.Errorf("the Parquet file ends after %d bytes", len(held))
	}
	size := int(binary.LittleEndian.Uint32(held[len(held)-endLen:]))
	if size > len(held)-endLen {
		return Summary{}, fmt.Errorf("a footer of %d bytes", size)
	}
	index, footer := held[:len(held)-endLen-size], held[len(held)-endLen-size:]
	if err := w.places(footer[:size], index, start); err != nil {
		return Summary{}, err
	}
	if _, err := w.out.Write(index); err != nil {
		return Summary{}, err
	}
	for i, f := range w.filters {
		w.a.groups[i].filter = place{w.out.off, int64(len(f))}
		if _, err := w.out.Write(f); err != nil {
			return Summary{}, err
		}
	}
	for i, s := range w.statBytes {
		w.a.stats[i] = place{w.out.off, int64(len(s))}
		if _, err := w.out.Write(s); err != nil {
			return Summary{}, err
		}
	}
	w.out.cut()
	w.a.dataSize, w.a.sums = w.out.off, w.out.sums
	w.a.footerSize, w.a.footerSum = uint32(size), crc32.Checksum(footer[:size], castagnoli)

	b := w.a.append(nil)
	if len(b) > maxAnnex {
		return Summary{}, dberr.Newf(dberr.TooLarge, "A segment of %d rows is too large.", w.a.rows)
	}
	sum := xxhash.Sum64(b)
	n := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = binary.LittleEndian.AppendUint64(b, sum)
	b = append(append(b, annexMagic...), footer...)
	if _, err := w.out.Write(b); err != nil {
		return Summary{}, err
	}
	return w.summary(sum), nil
}

// maxAnnex bounds what a reader allocates before it has checked anything.
const maxAnnex = 256 << 20

// places notes where the library put the pages.
func (w *Writer) places(footer, index []byte, start int64) error {
	var md format.FileMetaData
	var protocol thrift.CompactProtocol
	if err := thrift.Unmarshal(&protocol, footer, &md); err != nil {
		return fmt.Errorf("read back the footer: %w", err)
	}
	if len(md.RowGroups) != len(w.a.groups) {
		return fmt.Errorf("%d row groups were written, not %d", len(md.RowGroups), len(w.a.groups))
	}
	for _, rg := range md.RowGroups {
		if len(rg.Columns) != len(w.a.cols) {
			return fmt.Errorf("%d columns were written, not %d", len(rg.Columns), len(w.a.cols))
		}
		for c := range rg.Columns {
			chunk := &rg.Columns[c]
			from := chunk.OffsetIndexOffset - start
			to := from + int64(chunk.OffsetIndexLength)
			if from < 0 || to > int64(len(index)) {
				return fmt.Errorf("the page index of column %s lies at %d", w.a.cols[c].name, chunk.OffsetIndexOffset)
			}
			var oi format.OffsetIndex
			if err := thrift.Unmarshal(&protocol, index[from:to], &oi); err != nil {
				return fmt.Errorf("read back the page index: %w", err)
			}
			p := &w.a.pages[c]
			dict := place{}
			if off := chunk.MetaData.DictionaryPageOffset; off > 0 {
				dict = place{off, chunk.MetaData.DataPageOffset - off}
			}
			p.dicts = append(p.dicts, dict)
			for _, l := range oi.PageLocations {
				p.blocks = append(p.blocks, place{l.Offset, int64(l.CompressedPageSize)})
			}
		}
	}
	for c := range w.a.cols {
		if len(w.a.pages[c].blocks) != len(w.a.blocks) {
			return fmt.Errorf("column %s has %d pages, not %d", w.a.cols[c].name, len(w.a.pages[c].blocks), len(w.a.blocks))
		}
	}
	return nil
}

// The keys of what other programs see in the footer.
const metaPrefix = "kalamdb."

type columnMeta struct {
	ID   uint32 `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
}

// metadata puts what other programs may want to know into the footer.
func (w *Writer) metadata() error {
	cols := make([]columnMeta, len(w.schema.Columns))
	for i, c := range w.schema.Columns {
		cols[i] = columnMeta{c.ID, c.Name, c.Type.String()}
	}
	js, err := json.Marshal(cols)
	if err != nil {
		return fmt.Errorf("write the columns: %w", err)
	}
	// In one order, so that equal rows make equal files.
	for _, m := range [][2]string{
		{"format", strconv.Itoa(Format)},
		{"table_id", strconv.FormatUint(uint64(w.schema.Table), 10)},
		{"schema_version", strconv.FormatUint(uint64(w.schema.Version), 10)},
		{"columns", string(js)},
		{"rows", strconv.FormatInt(w.a.rows, 10)},
		{"deleted_rows", strconv.FormatInt(w.a.deleted, 10)},
		{"min_seq", strconv.FormatUint(uint64(w.a.minSeq), 10)},
		{"max_seq", strconv.FormatUint(uint64(w.a.maxSeq), 10)},
		{"min_key", hex.EncodeToString(w.a.firstKey[:min(len(w.a.firstKey), maxIndexKey)])},
		{"max_key", hex.EncodeToString(w.a.lastKey[:min(len(w.a.lastKey), maxIndexKey)])},
	} {
		w.pw.SetKeyValueMetadata(metaPrefix+m[0], m[1])
	}
	return nil
}

func (w *Writer) summary(sum uint64) Summary {
	s := Summary{
		Bytes: w.out.off, Checksum: sum, Rows: w.a.rows, Deleted: w.a.deleted, SchemaVersion: w.a.version,
		FirstKey: w.a.firstKey, LastKey: w.a.lastKey, MinSeq: w.a.minSeq, MaxSeq: w.a.maxSeq,
		MinUpdated: w.a.minUpdated, MaxUpdated: w.a.maxUpdated,
	}
	for i := range w.schema.Columns {
		if c := &w.a.cols[i]; measurable(c) {
			s.Columns = append(s.Columns, ColumnRange{ID: c.id, Kind: c.typ.Kind, ValueRange: w.ranges[i]})
		}
	}
	return s
}
