package segment_test

import (
	"fmt"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
)

const million = 1_000_000

// messages is a table as chat programs have it.
func messages(b *testing.B) *fixture {
	f := &fixture{schema: segment.Schema{Table: 7, Version: 1, Key: []int{0}, Columns: []segment.Column{
		{ID: 1, Name: "id", Type: sqltype.TBigInt}, {ID: 2, Name: "room", Type: sqltype.TText}, {ID: 3, Name: "n", Type: sqltype.TInteger},
		{ID: 4, Name: "amount", Type: sqltype.TDouble}, {ID: 5, Name: "body", Type: sqltype.TText}, {ID: 6, Name: "at", Type: sqltype.TTimestamp},
	}}}
	f.layout = layoutOf(b, f.schema)
	f.cache = segment.NewCache(segment.CacheOptions{})
	l, err := object.OpenLocal(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	f.bucket = l
	return f
}

// row is the row i in the backend's form.
func (f *fixture) row(b *testing.B, i int, key, buf []byte) ([]byte, []byte) {
	v := sqltype.Row{sqltype.NewBigInt(int64(3 * i)), sqltype.NewText(fmt.Sprint("room-", i%100)), sqltype.NewInt(sqltype.Integer, int64(i*7919%1000)),
		sqltype.NewDouble(float64(i) / 4), sqltype.NewText(fmt.Sprintf("this is message number %d of user %d", i, i*31%977)), sqltype.NewInt(sqltype.Timestamp, 1_700_000_000_000_000+int64(i)*1000)}
	buf, err := f.layout.Append(buf[:0], rowenc.Header{Seq: change.Seq(i + 1), UpdatedAt: int64(i)}, v)
	if err != nil {
		b.Fatal(err)
	}
	return keyenc.AppendKey(key[:0], v[0]), buf
}

func (f *fixture) fill(b *testing.B, name string, n int, keys, rows [][]byte) {
	w, err := segment.Create(b.Context(), f.bucket, name, f.schema, segment.WriterOptions{Layouts: rowenc.OneLayout(f.layout)})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Abort()
	var key, buf []byte
	for i := range n {
		if rows != nil {
			key, buf = keys[i], rows[i]
		} else {
			key, buf = f.row(b, i, key, buf)
		}
		if err := w.AppendRow(key, buf); err != nil {
			b.Fatal(err)
		}
	}
	if f.sum, err = w.Finish(); err != nil {
		b.Fatal(err)
	}
}

func benchmarkWrite(b *testing.B, n int) {
	f := messages(b)
	keys, rows := make([][]byte, n), make([][]byte, n)
	for i := range n {
		keys[i], rows[i] = f.row(b, i, nil, nil)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		f.fill(b, fmt.Sprint(i), n, keys, rows)
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(f.sum.Bytes)/float64(n), "bytes/row")
}

func BenchmarkWriteMillion(b *testing.B)  { benchmarkWrite(b, million) }
func BenchmarkWriteThousand(b *testing.B) { benchmarkWrite(b, 1000) }

func benchmarkScan(b *testing.B, keys bool, o func(f *fixture) segment.ScanOptions) {
	f := messages(b)
	f.fill(b, "x", million, nil, nil)
	s := f.open(b, "x")
	opts := o(f)
	rows := 0
	b.ReportAllocs()
	for b.Loop() {
		sc, err := s.Scan(b.Context(), opts)
		if err != nil {
			b.Fatal(err)
		}
		rows = 0
		for {
			batch, err := sc.Next(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if batch == nil {
				break
			}
			if keys {
				if _, err := sc.Keys(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			rows += batch.Rows()
		}
		sc.Close()
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkScanTwoColumns(b *testing.B) {
	benchmarkScan(b, false, func(f *fixture) segment.ScanOptions { return segment.ScanOptions{Want: f.wants(2, 3)} })
}

func BenchmarkScanTwoColumnsAndKeys(b *testing.B) {
	benchmarkScan(b, true, func(f *fixture) segment.ScanOptions { return segment.ScanOptions{Want: f.wants(2, 3)} })
}

func BenchmarkScanText(b *testing.B) {
	benchmarkScan(b, false, func(f *fixture) segment.ScanOptions { return segment.ScanOptions{Want: f.wants(4)} })
}

func BenchmarkScanDictionary(b *testing.B) {
	benchmarkScan(b, false, func(f *fixture) segment.ScanOptions { return segment.ScanOptions{Want: f.wants(1)} })
}

func BenchmarkScanLast50(b *testing.B) {
	benchmarkScan(b, false, func(f *fixture) segment.ScanOptions {
		return segment.ScanOptions{Want: f.wants(0, 1, 2, 3, 4, 5), Reverse: true, Limit: 50}
	})
}

func BenchmarkGet(b *testing.B) {
	for _, warm := range []bool{true, false} {
		b.Run(map[bool]string{true: "known", false: "unknown"}[warm], func(b *testing.B) {
			f := messages(b)
			f.fill(b, "x", million, nil, nil)
			dst := make(sqltype.Row, 6)
			var read int64
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if !warm {
					f.cache.Clear()
				}
				s, err := segment.Open(b.Context(), f.ref("x"), f.cache)
				if err != nil {
					b.Fatal(err)
				}
				i = (i + 7919) % million
				_, found, err := s.Get(b.Context(), keyenc.AppendKey(nil, sqltype.NewBigInt(int64(3*i))), f.wants(0, 1, 2, 3, 4, 5), dst)
				if err != nil || !found {
					b.Fatal(i, found, err)
				}
				read += s.BytesRead()
				s.Close()
			}
			b.ReportMetric(float64(read)/float64(b.N), "read-bytes/op")
		})
	}
}

// BenchmarkGetAmongHundred looks a key up that a hundred segments may have, by
// their key ranges, and one has.
func BenchmarkGetAmongHundred(b *testing.B) {
	f := messages(b)
	var refs []segment.Ref
	const each = 20_000
	for n := range 100 {
		w, err := segment.Create(b.Context(), f.bucket, fmt.Sprint(n), f.schema, segment.WriterOptions{Layouts: rowenc.OneLayout(f.layout)})
		if err != nil {
			b.Fatal(err)
		}
		var key, buf []byte
		for i := range each {
			key, buf = f.row(b, i*100+n, key, buf)
			if err := w.AppendRow(key, buf); err != nil {
				b.Fatal(err)
			}
		}
		if f.sum, err = w.Finish(); err != nil {
			b.Fatal(err)
		}
		refs = append(refs, f.ref(fmt.Sprint(n)))
	}
	dst := make(sqltype.Row, 6)
	var read int64
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i = (i + 7919) % (100 * each)
		key := keyenc.AppendKey(nil, sqltype.NewBigInt(int64(3*i)))
		hits := 0
		for _, r := range refs {
			s, err := segment.Open(b.Context(), r, f.cache)
			if err != nil {
				b.Fatal(err)
			}
			if _, found, err := s.Get(b.Context(), key, f.wants(0, 1, 2, 3, 4, 5), dst); err != nil {
				b.Fatal(err)
			} else if found {
				hits++
			}
			read += s.BytesRead()
			s.Close()
		}
		if hits != 1 {
			b.Fatal(i, hits)
		}
	}
	b.ReportMetric(float64(read)/float64(b.N), "read-bytes/op")
}

func BenchmarkCount(b *testing.B) {
	f := messages(b)
	f.fill(b, "x", million, nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		s, err := segment.Open(b.Context(), f.ref("x"), f.cache)
		if err != nil {
			b.Fatal(err)
		}
		if s.Rows()-s.Deleted() != million {
			b.Fatal(s.Rows())
		}
		s.Close()
	}
}
