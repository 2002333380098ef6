package table

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
	"github.com/kalamdb/kalamdb/store/vector"
)

func big(n int64) sqltype.Value { return sqltype.NewBigInt(n) }

func TestKeyRanges(t *testing.T) {
	null := sqltype.Null()
	for name, c := range map[string]struct {
		ranges []exec.KeyRange
		want   []int64
	}{
		"none":            {[]exec.KeyRange{}, nil},
		"one key":         {[]exec.KeyRange{{Prefix: sqltype.Row{big(3)}}}, []int64{3}},
		"no such key":     {[]exec.KeyRange{{Prefix: sqltype.Row{big(30)}}}, nil},
		"from":            {[]exec.KeyRange{{Low: big(8), High: null}}, []int64{8, 9}},
		"from open":       {[]exec.KeyRange{{Low: big(8), LowOpen: true}}, []int64{9}},
		"to":              {[]exec.KeyRange{{High: big(1)}}, []int64{0, 1}},
		"to open":         {[]exec.KeyRange{{High: big(1), HighOpen: true}}, []int64{0}},
		"between":         {[]exec.KeyRange{{Low: big(2), High: big(4)}}, []int64{2, 3, 4}},
		"empty":           {[]exec.KeyRange{{Low: big(4), High: big(2)}}, nil},
		"several":         {[]exec.KeyRange{{High: big(1)}, {Prefix: sqltype.Row{big(5)}}, {Low: big(9)}}, []int64{0, 1, 5, 9}},
		"negative bounds": {[]exec.KeyRange{{Low: big(-5), High: big(-1)}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			forBackends(t, func(t *testing.T, f *fixture) {
				for _, typ := range []ident.TableType{ident.UserTable, ident.StreamTable} {
					tab := f.table(typ, "k"+string(typ), true, nil)
					for i := range 10 {
						f.mustCommit("u", tab, insert(int64(9-i), fmt.Sprint(i)))
					}
					wantIDs(t, f.scan("u", tab, exec.ScanRequest{Ranges: c.ranges, Ordered: true}), c.want...)
					back := slices.Clone(c.want)
					slices.Reverse(back)
					wantIDs(t, f.scan("u", tab, exec.ScanRequest{Ranges: c.ranges, Ordered: true, Reverse: true}), back...)
				}
			})
		})
	}
}

func TestCompositeKeyRanges(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.table(ident.SharedTable, "c", false, func(d *ddl.Table) {
		d.Columns[1].NotNull = true
		d.PrimaryKey = []ddl.ColumnID{2, 1}
	})
	for _, room := range []string{"a", "ab", "b"} {
		for id := range 4 {
			f.mustCommit("", tab, insert(int64(id), room))
		}
	}
	in := func(r exec.KeyRange) []stored {
		return f.scan("", tab, exec.ScanRequest{Ranges: []exec.KeyRange{r}, Ordered: true})
	}
	room := func(s string) sqltype.Row { return sqltype.Row{sqltype.NewText(s)} }
	wantIDs(t, in(exec.KeyRange{Prefix: room("a")}), 0, 1, 2, 3)
	wantIDs(t, in(exec.KeyRange{Prefix: room("ab"), Low: big(1), LowOpen: true}), 2, 3)
	wantIDs(t, in(exec.KeyRange{Prefix: room("a"), High: big(2), HighOpen: true}), 0, 1)
	if rows := in(exec.KeyRange{Low: sqltype.NewText("a"), LowOpen: true}); len(rows) != 8 || rows[0].body != "ab" {
		t.Fatalf("behind room a: %+v", rows)
	}
	if rows := in(exec.KeyRange{High: sqltype.NewText("ab")}); len(rows) != 8 || rows[7].body != "ab" {
		t.Fatalf("up to room ab: %+v", rows)
	}
	wantIDs(t, in(exec.KeyRange{Prefix: sqltype.Row{sqltype.NewText("b"), big(3)}}), 3)
}

func TestScanGivesSmallBatchesOfWhatIsAskedFor(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.table(ident.SharedTable, "b", true, nil)
	const n = 2*vector.BatchSize + 7
	writes := make([]exec.Write, n)
	for i := range writes {
		writes[i] = insert(int64(i), "x")
	}
	f.mustCommit("", tab, writes...)
	st := f.Acquire()
	defer st.Release()
	src, err := (&View{Store: f.Store, State: st}).Table(context.Background(), tab)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	sc, err := src.Scan(ctx, exec.ScanRequest{})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for {
		b, err := sc.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		if len(b.Cols) != 0 || b.Rows() > vector.BatchSize {
			t.Fatalf("a batch of %d columns and %d rows", len(b.Cols), b.Rows())
		}
		total += b.Rows()
	}
	if b, err := sc.Next(ctx); b != nil || err != nil || total != n {
		t.Fatalf("behind the end of %d rows: %v, %v", total, b, err)
	}
	sc.Close()
	sc.Close()

	sc, err = src.Scan(ctx, exec.ScanRequest{Columns: []int{1}, Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := sc.Next(ctx); err != nil || b.Rows() != 5 {
		t.Fatalf("with a limit of 5: %v, %v", b, err)
	}
	cancel()
	if _, err := sc.Next(ctx); err != context.Canceled {
		t.Fatalf("after the end of the context: %v", err)
	}
	sc.Close()
	if _, err := src.Scan(context.Background(), exec.ScanRequest{Columns: []int{99}}); err == nil {
		t.Fatal("a scan of a column that is not there")
	}
}

// TestRandomHistory holds a table against a map under random changes.
func TestRandomHistory(t *testing.T) {
	forBackends(t, func(t *testing.T, f *fixture) {
		tab := f.table(ident.UserTable, "h", true, nil)
		rnd := rand.New(rand.NewPCG(1, 2))
		want := map[int64]string{}
		for i := range 1500 {
			id := rnd.Int64N(60)
			body := fmt.Sprint(i)
			_, there := want[id]
			switch rnd.IntN(4) {
			case 0, 1:
				if err := f.commit("u", tab, insert(id, body)); (err == nil) == there {
					t.Fatalf("insert of %d, there %v: %v", id, there, err)
				} else if err == nil {
					want[id] = body
				}
			case 2:
				if err := f.update("u", tab, id, func(string) string { return body }); (err == nil) != there {
					t.Fatalf("update of %d, there %v: %v", id, there, err)
				} else if there {
					want[id] = body
				}
			case 3:
				if err := f.delete("u", tab, id); (err == nil) != there {
					t.Fatalf("delete of %d, there %v: %v", id, there, err)
				}
				delete(want, id)
			}
		}
		rows := f.scan("u", tab, exec.ScanRequest{Ordered: true})
		if len(rows) != len(want) {
			t.Fatalf("%d rows, want %d", len(rows), len(want))
		}
		for _, r := range rows {
			if want[r.id] != r.body {
				t.Fatalf("row %d is %q, want %q", r.id, r.body, want[r.id])
			}
		}
		live, deleted := f.RowCount(tab.ID)
		all := f.scan("u", tab, exec.ScanRequest{IncludeDeleted: true})
		if live != int64(len(want)) || live+deleted != int64(len(all)) {
			t.Fatalf("counted %d and %d, there are %d and %d", live, deleted, len(want), len(all)-len(want))
		}
		var seqs []change.Seq
		for _, r := range all {
			seqs = append(seqs, r.seq)
		}
		slices.Sort(seqs)
		if len(slices.Compact(seqs)) != len(all) {
			t.Fatal("two rows have one number")
		}
	})
}

// patient is a context that ends when it was asked a number of times.
type patient struct {
	context.Context
	asked, most int
}

func (p *patient) Err() error {
	if p.asked++; p.asked > p.most {
		return context.Canceled
	}
	return nil
}

// TestScanOfDeletedRowsEnds reads a part of a table where every row is deleted:
// that ends with its context.
func TestScanOfDeletedRowsEnds(t *testing.T) {
	f := open(t, memkv.New(memkv.Options{}), Options{})
	tab := f.table(ident.SharedTable, "t", true, nil)
	const rows = 3 * stepsUnasked
	writes := make([]exec.Write, rows)
	for i := range writes {
		writes[i] = insert(int64(i), "")
	}
	f.mustCommit("", tab, writes...)
	for i, r := range f.scan("", tab, exec.ScanRequest{}) {
		writes[i] = exec.Write{Op: change.Delete, Old: row(r.id, ""), OldSeq: r.seq}
	}
	f.mustCommit("", tab, writes...)
	st := f.Acquire()
	defer st.Release()
	v := View{Store: f.Store, State: st, Now: f.clock.now()}
	src, err := v.Table(t.Context(), tab)
	if err != nil {
		t.Fatal(err)
	}
	// An order by key is what no image gives.
	sc, err := src.Scan(t.Context(), exec.ScanRequest{Columns: []int{0}, Ranges: []exec.KeyRange{{Low: sqltype.NewBigInt(0)}}})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	if b, err := sc.Next(&patient{Context: context.Background(), most: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("it gives %v, %v", b, err)
	}
}
