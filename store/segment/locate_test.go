package segment_test

import (
	"math/rand/v2"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/segment"
	"github.com/kalamdb/kalamdb/store/vector"
)

// TestLocateAndCovered finds some rows by their keys, among keys that are not
// there, and leaves them out of scans.
func TestLocateAndCovered(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 9))
		f := ordered(t, 3000)
		f.write(t, "x", segment.WriterOptions{BlockRows: 100 + rng.IntN(300), GroupRows: 1000})
		s := f.open(t, "x")
		keys := vector.NewBuilder(sqltype.TBytes, 0)
		var want []int // the row of each key; -1: none
		covered := vector.NewBitmap(len(f.rows))
		var rest []row
		for i, r := range f.rows {
			if rng.IntN(4) > 0 {
				rest = append(rest, r)
				continue
			}
			keys.AppendBytes(r.key)
			want = append(want, i)
			covered.Set(i)
			if rng.IntN(2) == 0 {
				keys.AppendBytes(append(r.key[:len(r.key):len(r.key)], 0))
				want = append(want, -1)
			}
		}
		found := map[int]int64{}
		err := s.Locate(t.Context(), keys.Finish(), func(k int, at int64, deleted bool) {
			found[k] = at
			if at >= 0 && deleted != f.rows[at].h.Deleted {
				t.Errorf("row %d: deleted is %v", at, deleted)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for k, i := range want {
			if at, ok := found[k]; ok != (i >= 0) || ok && at != int64(i) {
				t.Fatalf("key %d is found at %d, %v; it is at %d", k, at, ok, i)
			}
		}
		g, err := scan(t, s, segment.ScanOptions{Want: f.all(), Covered: covered, IncludeDeleted: true})
		if err != nil {
			t.Fatal(err)
		}
		check(t, "uncovered", g, rest)
		newest, err := s.Scan(t.Context(), segment.ScanOptions{IncludeDeleted: true, Newest: true, Covered: covered, Above: func() change.Seq { return 0 }})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			b, err := newest.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				break
			}
			n += b.Rows()
		}
		newest.Close()
		if n != len(rest) {
			t.Errorf("%d rows, newest first, of %d", n, len(rest))
		}
	}
}
