package s3_test

import (
	"fmt"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/object/s3/s3test"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
)

// TestSegmentsInS3 writes a segment through parts and reads rows of it.
func TestSegmentsInS3(t *testing.T) {
	o := s3test.Start(t).Options(t, "bucket")
	o.PartSize = 5 << 20
	b := open(t, o)
	schema := segment.Schema{Table: 1, Version: 1, Key: []int{0}, Columns: []segment.Column{{ID: 1, Name: "id", Type: sqltype.TBigInt}, {ID: 2, Name: "body", Type: sqltype.TText}}}
	layout, err := rowenc.NewLayout(1, []rowenc.Column{{ID: 1, Type: sqltype.TBigInt}, {ID: 2, Type: sqltype.TText}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := segment.Create(t.Context(), b, "x/y.parquet", schema, segment.WriterOptions{Layouts: rowenc.OneLayout(layout), GroupRows: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	body := func(i int) string { return fmt.Sprintf("%x", uint64(i)*0x9e3779b97f4a7c15) }
	const rows = 300_000
	var row []byte
	for i := range rows {
		id := sqltype.NewBigInt(int64(i))
		if row, err = layout.Append(row[:0], rowenc.Header{Seq: change.Seq(i + 1)}, []sqltype.Value{id, sqltype.NewText(body(i) + body(i+1))}); err != nil {
			t.Fatal(err)
		}
		if err := w.AppendRow(keyenc.AppendKey(nil, id), row); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := w.Finish()
	if err != nil || sum.Bytes < int64(o.PartSize) {
		t.Fatalf("%d bytes, %v", sum.Bytes, err)
	}
	s, err := segment.Open(t.Context(), segment.Ref{Bucket: b, Name: "x/y.parquet", Size: sum.Bytes, Checksum: sum.Checksum}, segment.NewCache(segment.CacheOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dst := make(sqltype.Row, 1)
	for i := 0; i < rows; i += 37_777 {
		_, found, err := s.Get(t.Context(), keyenc.AppendKey(nil, sqltype.NewBigInt(int64(i))), []rowenc.Want{{Column: rowenc.Column{ID: 2, Type: sqltype.TText}}}, dst)
		if err != nil || !found || dst[0].Str() != body(i)+body(i+1) {
			t.Fatalf("row %d: %t, %v", i, found, err)
		}
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
