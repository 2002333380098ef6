package rowenc_test

import (
	"testing"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/vector"
)

// message is a row of a chat: six columns, about 135 bytes.
func message(tb testing.TB) (*rowenc.Layout, []sqltype.Value) {
	l := layout(tb, 1,
		rowenc.Column{ID: 1, Type: sqltype.TBigInt}, rowenc.Column{ID: 2, Type: sqltype.TText}, rowenc.Column{ID: 3, Type: sqltype.TText},
		rowenc.Column{ID: 4, Type: sqltype.TText}, rowenc.Column{ID: 5, Type: sqltype.TTimestamp}, rowenc.Column{ID: 6, Type: sqltype.TBoolean})
	return l, []sqltype.Value{
		sqltype.NewBigInt(4711), sqltype.NewText("general"), sqltype.NewText("auth0|5f7c8ec7c33c6c004bbafe82"),
		sqltype.NewText("a message of the usual length, neither long nor short"), sqltype.NewInt(sqltype.Timestamp, 1_760_000_000_000_000), sqltype.NewBool(true),
	}
}

func BenchmarkAppend(b *testing.B) {
	l, row := message(b)
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		var err error
		if dst, err = l.Append(dst[:0], rowenc.Header{Seq: 1, UpdatedAt: 2}, row); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(dst)), "bytes")
}

func BenchmarkValues(b *testing.B) {
	l, row := message(b)
	enc, err := l.Append(nil, rowenc.Header{}, row)
	if err != nil {
		b.Fatal(err)
	}
	d := rowenc.NewDecoder(rowenc.OneLayout(l), wantAll(l))
	b.ReportAllocs()
	var dst []sqltype.Value
	for b.Loop() {
		if dst, err = d.Values(dst[:0], enc); err != nil {
			b.Fatal(err)
		}
	}
}

func benchDecodeInto(b *testing.B, pick ...int) {
	const rows = 100_000
	l, row := message(b)
	var enc [][]byte
	for i := range rows {
		row[0] = sqltype.NewBigInt(int64(i))
		e, err := l.Append(nil, rowenc.Header{}, row)
		if err != nil {
			b.Fatal(err)
		}
		enc = append(enc, e)
	}
	all := wantAll(l)
	var want []rowenc.Want
	for _, p := range pick {
		want = append(want, all[p])
	}
	d := rowenc.NewDecoder(rowenc.OneLayout(l), want)
	cols := d.NewBuilders(vector.BatchSize)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for i, e := range enc {
			if err := d.DecodeInto(e, cols...); err != nil {
				b.Fatal(err)
			}
			if i%vector.BatchSize == vector.BatchSize-1 || i == rows-1 {
				for _, c := range cols {
					c.Finish()
				}
			}
		}
		n += rows
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkDecodeInto reads 100,000 rows.
func BenchmarkDecodeInto(b *testing.B) {
	b.Run("2of6", func(b *testing.B) { benchDecodeInto(b, 0, 1) })
	b.Run("6of6", func(b *testing.B) { benchDecodeInto(b, 0, 1, 2, 3, 4, 5) })
}
