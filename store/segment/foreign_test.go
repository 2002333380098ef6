package segment_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	pqfile "github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
)

// foreign is one of our values as Arrow shows it.
func foreign(v sqltype.Value, col arrow.Array, i int) (got, want string, ok bool) {
	if v.IsNull() || col.IsNull(i) {
		return fmt.Sprint(col.IsNull(i)), fmt.Sprint(v.IsNull()), true
	}
	switch c := col.(type) {
	case *array.Boolean:
		return fmt.Sprint(c.Value(i)), fmt.Sprint(v.Bool()), true
	case *array.Int16:
		return fmt.Sprint(c.Value(i)), fmt.Sprint(v.Int()), true
	case *array.Int32:
		return fmt.Sprint(c.Value(i)), fmt.Sprint(v.Int()), true
	case *array.Int64:
		return fmt.Sprint(c.Value(i)), fmt.Sprint(v.Int()), true
	case *array.Float32:
		return fmt.Sprint(c.Value(i)), fmt.Sprint(float32(v.Float())), true
	case *array.Float64:
		return fmt.Sprint(c.Value(i)), fmt.Sprint(v.Float()), true
	case *array.Decimal128:
		scale := c.DataType().(*arrow.Decimal128Type).Scale
		return c.Value(i).ToString(scale), v.Decimal().String(), true
	case *array.String:
		if v.Kind() == sqltype.Decimal {
			return c.Value(i), v.Decimal().String(), true
		}
		return c.Value(i), v.Str(), true
	case *array.Binary:
		return string(c.Value(i)), v.Str(), true
	case *array.Date32:
		return fmt.Sprint(int64(c.Value(i))), fmt.Sprint(v.Int()), true
	case *array.Time64:
		return fmt.Sprint(int64(c.Value(i))), fmt.Sprint(v.Int()), true
	case *array.Timestamp:
		dt := c.DataType().(*arrow.TimestampType)
		return fmt.Sprint(int64(c.Value(i)), dt.Unit, dt.TimeZone), fmt.Sprint(v.Int(), arrow.Microsecond, "UTC"), true
	case *array.FixedSizeBinary:
		if v.Kind() == sqltype.UUID {
			return string(c.Value(i)), v.Str(), true
		}
		return "", "", true // an interval has no type in Parquet that holds it
	case *array.List:
		from, to := c.ValueOffsets(i)
		if int(to-from) != len(v.List()) {
			return fmt.Sprint(to - from), fmt.Sprint(len(v.List())), true
		}
		var g, w []string
		for n, e := range v.List() {
			a, b, _ := foreign(e, c.ListValues(), int(from)+n)
			g, w = append(g, a), append(w, b)
		}
		return fmt.Sprint(g), fmt.Sprint(w), true
	case array.ExtensionArray:
		return foreign(v, c.Storage(), i)
	}
	return "", "", false
}

// TestArrowReadsTheSameRows opens segments with another library.
func TestArrowReadsTheSameRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 10))
	for _, key := range [][]int{{0}, nil} {
		cols := columnsOf(everyType)
		cols[3].Name, cols[4].Name = "a,b.c \u00e9", "_row_id"
		f := makeRows(t, rng, segment.Schema{Table: 1, Version: 5, Columns: cols, Key: key}, 500)
		data := func() []byte {
			f.write(t, "x", segment.WriterOptions{BlockRows: 64, GroupRows: 200, Codec: segment.Codec(len(key))})
			d, err := object.ReadAll(t.Context(), f.bucket, "x", 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}()
		r, err := pqfile.NewParquetReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		kvs := r.MetaData().KeyValueMetadata()
		if v := kvs.FindValue("kalamdb.schema_version"); v == nil || *v != "5" {
			t.Errorf("schema version %v", v)
		}
		if s := r.MetaData().RowGroups[0].SortingColumns; len(s) != 1 {
			t.Errorf("sorting columns %v", s)
		}
		fr, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		tab, err := fr.ReadTable(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if tab.NumRows() != 500 || tab.Schema().Field(3).Name != "a,b.c \u00e9" {
			t.Fatalf("%d rows, %v", tab.NumRows(), tab.Schema())
		}
		for c := range cols {
			row := 0
			for _, chunk := range tab.Column(c).Data().Chunks() {
				for i := range chunk.Len() {
					v := f.rows[row].values[c]
					g, w, ok := foreign(v, chunk, i)
					if !ok || g != w {
						t.Fatalf("row %d column %s (%s): %q, want %q", row, cols[c].Name, chunk.DataType(), g, w)
					}
					row++
				}
			}
		}
		for c, want := range map[int]func(i int) string{
			len(cols):     func(i int) string { return fmt.Sprint(f.rows[i].h.Seq) },
			len(cols) + 2: func(i int) string { return fmt.Sprint(f.rows[i].h.Deleted) },
		} {
			i := 0
			for _, chunk := range tab.Column(c).Data().Chunks() {
				for n := range chunk.Len() {
					if got := chunk.ValueStr(n); got != want(i) {
						t.Fatalf("%s of row %d: %s, want %s", tab.Schema().Field(c).Name, i, got, want(i))
					}
					i++
				}
			}
		}
		tab.Release()
		r.Close()
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "data", "flights-3m.parquet")
	if _, err := os.Stat(path); err != nil {
		t.Skip("there is no file of another program to try")
	}
	b, err := object.OpenLocal(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, err = segment.Open(t.Context(), segment.Ref{Bucket: b, Name: filepath.Base(path)}, segment.NewCache(segment.CacheOptions{}))
	if !isDamage(err, filepath.Base(path)) || !strings.Contains(err.Error(), "not written by this database") {
		t.Errorf("got %v", err)
	}
}

func tryWrite(t *testing.T, f *fixture, name string) error {
	t.Helper()
	w, err := segment.Create(t.Context(), f.bucket, name, f.schema, segment.WriterOptions{Layouts: func(uint32) (*rowenc.Layout, error) { return f.layout, nil }})
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, r := range f.rows {
		b, err := f.layout.Append(nil, r.h, r.values)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.AppendRow(r.key, b); err != nil {
			return err
		}
	}
	_, err = w.Finish()
	return err
}

// BenchmarkArrowScanTwoColumns is BenchmarkScanTwoColumns with the library
// that readers might have used instead.
func BenchmarkArrowScanTwoColumns(b *testing.B) {
	f := messages(b)
	f.fill(b, "x", million, nil, nil)
	data, err := object.ReadAll(b.Context(), f.bucket, "x", 1<<30)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := pqfile.NewParquetReader(bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		fr, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: 2048}, memory.DefaultAllocator)
		if err != nil {
			b.Fatal(err)
		}
		rr, err := fr.GetRecordReader(b.Context(), []int{2, 3}, nil)
		if err != nil {
			b.Fatal(err)
		}
		rows := int64(0)
		for rr.Next() {
			rows += rr.RecordBatch().NumRows()
		}
		if rows != million {
			b.Fatal(rows, rr.Err())
		}
		rr.Release()
		r.Close()
	}
	b.ReportMetric(million*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
