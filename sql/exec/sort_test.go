package exec

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/vector"
)

func testSorter(t *testing.T, keys []sortKey, workers int, limit int64, b ...*vector.Batch) *sorter {
	t.Helper()
	s := &sorter{keys: keys, mem: reservation{acct: &account{limit: limit}}, workers: workers}
	for i, b := range b {
		if err := s.add(i, b); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestIntegerKeysSortAsTheirBytes holds the short way of one integer key
// against the bytes that other keys are sorted by.
func TestIntegerKeysSortAsTheirBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, k := range []sortKey{{}, {desc: true}, {nullsFirst: true}, {desc: true, nullsFirst: true}} {
		for _, n := range []int{1, 100, 2 * minRadix, 3 * minParallelSort} {
			var batches []*vector.Batch
			type row struct {
				key []byte
				ref ref
			}
			var want []row
			for left := n; left > 0; left -= vector.BatchSize {
				b := vector.NewBuilder(sqltype.TBigInt, vector.BatchSize)
				size := min(left, vector.BatchSize)
				for range size {
					switch r.IntN(8) {
					case 0:
						b.AppendNull()
					case 1:
						b.AppendInt([]int64{math.MinInt64, math.MaxInt64, -1, 0}[r.IntN(4)])
					default:
						b.AppendInt(r.Int64N(5000) - 2500)
					}
				}
				batches = append(batches, vector.NewBatch([]*vector.Vector{b.Finish()}, size))
				for i := range size {
					last := batches[len(batches)-1]
					want = append(want, row{appendRowKey(nil, []sortKey{k}, last.Cols, i), ref{int32(len(batches) - 1), int32(i)}})
				}
			}
			slices.SortStableFunc(want, func(a, b row) int { return slices.Compare(a.key, b.key) })
			for _, workers := range []int{1, 3} {
				got, err := testSorter(t, []sortKey{k}, workers, 1<<30, batches...).sort(context.Background())
				if err != nil || len(got) != n {
					t.Fatalf("%d rows of %d, %v", len(got), n, err)
				}
				for i := range got {
					if got[i] != want[i].ref {
						t.Fatalf("%+v, %d rows, %d workers: row %d is %v, want %v", k, n, workers, i, got[i], want[i].ref)
					}
				}
			}
		}
	}
}

// TestSortsEndWithTheContext cancels before the sort begins: whichever way it
// goes, the sort notices.
func TestSortsEndWithTheContext(t *testing.T) {
	var batches []*vector.Batch
	r := rand.New(rand.NewPCG(1, 2))
	const n = 3 * minParallelSort / vector.BatchSize * vector.BatchSize
	for range n / vector.BatchSize {
		ints, text := vector.NewBuilder(sqltype.TBigInt, vector.BatchSize), vector.NewBuilder(sqltype.TText, vector.BatchSize)
		for range vector.BatchSize {
			ints.AppendInt(r.Int64())
			text.AppendString("a common beginning of more than sixteen bytes " + string(rune('a'+r.IntN(26))))
		}
		batches = append(batches, vector.NewBatch([]*vector.Vector{ints.Finish(), text.Finish()}, vector.BatchSize))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		key     sortKey
		workers int
		limit   int64
	}{
		"radix":     {sortKey{col: 0}, 1, 1 << 30},
		"long keys": {sortKey{col: 1}, 1, 1 << 30},
		"parallel":  {sortKey{col: 1}, 2, 1 << 30},
		"compared":  {sortKey{col: 0}, 1, n * 50},
	} {
		if refs, err := testSorter(t, []sortKey{c.key}, c.workers, c.limit, batches...).sort(ctx); !errors.Is(err, context.Canceled) || refs != nil {
			t.Errorf("%s: %d rows, %v", name, len(refs), err)
		}
	}
}
