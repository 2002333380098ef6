package table

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/vector"
)

// tiny are sizes from which on the few rows of a test are cut.
var tiny = partSizes{cold: 256, hot: 16}

// scanInParts reads what Scan would give, each part in a goroutine of its own,
// in the order of the ids; parts is 0 when the scan is not cut.
func (f *fixture) scanInParts(user ident.UserID, t *ddl.Table, req exec.ScanRequest, n int, sizes partSizes) (rows []stored, parts int) {
	f.Helper()
	st := f.Acquire()
	defer st.Release()
	v := View{Store: f.Store, State: st, User: user, Now: f.clock.now()}
	src, err := v.Table(context.Background(), t)
	if err != nil {
		f.Fatal(err)
	}
	req.Ordered, req.Reverse, req.Limit = false, false, 0
	req.Columns = []int{0, 1, t.SeqOrdinal(), t.DeletedOrdinal(), t.RowIDOrdinal()}
	all, err := src.(*storedTable).scanParts(context.Background(), req, n, sizes)
	if err != nil {
		f.Fatal(err)
	}
	if len(all) > n {
		f.Fatalf("%d parts, at most %d were asked for", len(all), n)
	}
	found := make([][]stored, len(all))
	var wg sync.WaitGroup
	for i, sc := range all {
		wg.Go(func() {
			defer sc.Close()
			for {
				b, err := sc.Next(context.Background())
				if err != nil {
					f.Error(err)
				}
				if b == nil || err != nil {
					return
				}
				found[i] = appendStored(found[i], b)
			}
		})
	}
	wg.Wait()
	rows = slices.Concat(found...)
	slices.SortFunc(rows, func(a, b stored) int { return int(a.id - b.id) })
	return rows, len(all)
}

func appendStored(out []stored, b *vector.Batch) []stored {
	r := make(sqltype.Row, len(b.Cols))
	for i := range b.Rows() {
		b.ReadRow(i, r)
		out = append(out, stored{r[0].Int(), string([]byte(r[1].Str())), change.Seq(r[2].Int()), r[3].Bool(), r[4].Int()})
	}
	return out
}

// TestPartsGiveEachRowOnce reads tables in parts in every state of their tiers
// (TestTiersAgainstModel does it with random changes).
func TestPartsGiveEachRowOnce(t *testing.T) {
	for name, keyed := range map[string]bool{"key": true, "row id": false} {
		t.Run(name, func(t *testing.T) {
			forTiers(t, func(t *testing.T, f *fixture, _ *place) {
				tab := f.table(ident.UserTable, "t", keyed, nil)
				write := func(from, to, step int64) {
					var set []exec.Write
					for i := from; i < to; i += step {
						set = append(set, insert(i, fmt.Sprint("body ", i)))
					}
					f.mustCommit("ann", tab, set...)
					f.mustCommit("bob", tab, insert(from, "not ann's"))
				}
				check := func(state string, want int) {
					t.Helper()
					for _, req := range []exec.ScanRequest{{}, {IncludeDeleted: true}} {
						one := f.scan("ann", tab, req)
						slices.SortFunc(one, func(a, b stored) int { return int(a.id - b.id) })
						rows, parts := f.scanInParts("ann", tab, req, 4, tiny)
						if parts < 2 {
							t.Fatalf("%s: %d parts", state, parts)
						}
						if !slices.Equal(rows, one) || !req.IncludeDeleted && len(rows) != want {
							t.Fatalf("%s: %d rows in parts, %d in one, want %d", state, len(rows), len(one), want)
						}
						if _, parts := f.scanInParts("bob", tab, req, 4, tiny); parts != 0 {
							t.Fatalf("%s: the few rows of bob are read in %d parts", state, parts)
						}
					}
				}
				write(0, 6000, 2)
				check("hot", 3000)
				f.flush(tab)
				check("flushed", 3000)
				write(1, 6000, 2)
				want := 6000
				if keyed {
					for id := int64(10); id < 2000; id += 100 {
						if err := f.delete("ann", tab, id); err != nil {
							t.Fatal(err)
						}
						if err := f.update("ann", tab, id+2, func(string) string { return "new" }); err != nil {
							t.Fatal(err)
						}
						want--
					}
				}
				check("half flushed", want)
				f.flush(tab)
				check("flushed twice", want)
				f.compact(tab, CompactOptions{MinSegments: 1})
				check("compacted", want)
			})
		})
	}
}

func TestPartsOfRanges(t *testing.T) {
	f := open(t, backends["badger"](t), Options{Files: newPlace()})
	tab := f.table(ident.SharedTable, "t", true, nil)
	var set []exec.Write
	for i := range int64(5000) {
		set = append(set, insert(i*3, "x"))
	}
	f.mustCommit("", tab, set[:4000]...)
	f.flush(tab)
	f.mustCommit("", tab, set[4000:]...)
	for name, c := range map[string]struct {
		ranges []exec.KeyRange
		want   int
		cut    bool
	}{
		"nothing":        {[]exec.KeyRange{}, 0, false},
		"few":            {[]exec.KeyRange{{Low: big(0), High: big(90)}}, 31, false},
		"one key":        {[]exec.KeyRange{{Prefix: sqltype.Row{big(3)}}}, 1, false},
		"most":           {[]exec.KeyRange{{Low: big(3000)}}, 4000, true},
		"with holes":     {[]exec.KeyRange{{High: big(5997)}, {Prefix: sqltype.Row{big(6003)}}, {Low: big(9000), LowOpen: true}}, 2000 + 1 + 1999, true},
		"hot":            {[]exec.KeyRange{{Low: big(12000)}}, 1000, true},
		"beyond the end": {[]exec.KeyRange{{Low: big(1 << 40)}}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			req := exec.ScanRequest{Ranges: c.ranges}
			rows, parts := f.scanInParts("", tab, req, 3, tiny)
			if (parts > 0) != c.cut {
				t.Fatalf("%d parts", parts)
			}
			if c.cut && (len(rows) != c.want || !slices.Equal(rows, f.scan("", tab, exec.ScanRequest{Ranges: c.ranges, Ordered: true}))) {
				t.Fatalf("%d rows, want %d", len(rows), c.want)
			}
		})
	}
}

func TestPartsEndWithTheContext(t *testing.T) {
	f := open(t, backends["memory"](t), Options{})
	tab := f.table(ident.SharedTable, "t", true, nil)
	var set []exec.Write
	for i := range int64(3000) {
		set = append(set, insert(i, "x"))
	}
	f.mustCommit("", tab, set...)
	st := f.Acquire()
	defer st.Release()
	src, err := (&View{Store: f.Store, State: st}).Table(context.Background(), tab)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.(*storedTable).scanParts(context.Background(), exec.ScanRequest{Columns: []int{99}}, 2, tiny); err == nil {
		t.Fatal("parts with a column that is not there")
	}
	ctx, cancel := context.WithCancel(context.Background())
	parts, err := src.(*storedTable).scanParts(ctx, exec.ScanRequest{Columns: []int{0}}, 2, tiny)
	if err != nil || len(parts) != 2 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	if b, err := parts[0].Next(ctx); err != nil || b == nil {
		t.Fatalf("%v, %v", b, err)
	}
	cancel()
	for range 2 {
		if _, err := parts[0].Next(ctx); err != context.Canceled {
			t.Fatalf("after the end of the context: %v", err)
		}
	}
	for _, p := range parts {
		p.Close()
		p.Close()
	}
	if b, err := parts[1].Next(context.Background()); b != nil || err != nil {
		t.Fatalf("after Close: %v, %v", b, err)
	}
}

func TestBetween(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	key := func() []byte {
		k := make([]byte, r.IntN(14))
		for i := range k {
			k[i] = [...]byte{0, 0, 1, 5, 0xfe, 0xff}[r.IntN(6)]
		}
		return k
	}
	for range 100_000 {
		lo, hi := key(), key()
		c := bytes.Compare(lo, hi)
		if c == 0 {
			continue
		}
		if c > 0 {
			lo, hi = hi, lo
		}
		if mid := between(lo, hi); bytes.Compare(mid, lo) <= 0 || bytes.Compare(mid, hi) > 0 {
			t.Fatalf("between %x and %x: %x", lo, hi, mid)
		}
	}
	if mid := between([]byte{1, 0}, []byte{1, 100}); !bytes.Equal(mid, []byte{1, 50}) {
		t.Fatalf("the middle is %x", mid)
	}
}
