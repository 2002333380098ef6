package segment_test

import (
	"context"
	"fmt"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
)

// Rows of the backend become a segment, and a part of it is read back.
func Example() {
	ctx := context.Background()
	bucket := object.NewMem()
	schema := segment.Schema{Table: 42, Version: 1, Key: []int{0}, Columns: []segment.Column{
		{ID: 1, Name: "id", Type: sqltype.TBigInt}, {ID: 2, Name: "room", Type: sqltype.TText},
	}}
	layout, _ := rowenc.NewLayout(1, []rowenc.Column{{ID: 1, Type: sqltype.TBigInt}, {ID: 2, Type: sqltype.TText}})

	w, err := segment.Create(ctx, bucket, "app/messages/1.parquet", schema, segment.WriterOptions{Layouts: rowenc.OneLayout(layout)})
	if err != nil {
		panic(err)
	}
	defer w.Abort()
	for i, room := range []string{"go", "sql", "web"} {
		id := sqltype.NewBigInt(int64(i))
		row, _ := layout.Append(nil, rowenc.Header{Seq: 7}, []sqltype.Value{id, sqltype.NewText(room)})
		if err := w.AppendRow(keyenc.AppendKey(nil, id), row); err != nil {
			panic(err)
		}
	}
	sum, err := w.Finish()
	if err != nil {
		panic(err)
	}

	ref := segment.Ref{Bucket: bucket, Name: "app/messages/1.parquet", Size: sum.Bytes, Checksum: sum.Checksum}
	s, err := segment.Open(ctx, ref, segment.NewCache(segment.CacheOptions{}))
	if err != nil {
		panic(err)
	}
	defer s.Close()
	sc, err := s.Scan(ctx, segment.ScanOptions{
		Want:   []rowenc.Want{{Column: rowenc.Column{ID: 2, Type: sqltype.TText}}},
		Ranges: []kv.Range{{Start: keyenc.AppendKey(nil, sqltype.NewBigInt(1))}},
	})
	if err != nil {
		panic(err)
	}
	defer sc.Close()
	for {
		b, err := sc.Next(ctx)
		if err != nil {
			panic(err)
		}
		if b == nil {
			break
		}
		for i := range b.Rows() {
			fmt.Println(b.Cols[0].Value(b.Row(i)).Text())
		}
	}
	// Output:
	// sql
	// web
}
