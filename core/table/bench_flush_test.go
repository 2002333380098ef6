package table

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/object"
)

// benchTable is a USER table with a few columns.
func benchTable(f *fixture) *ddl.Table {
	return f.table(ident.UserTable, "b", true, nil)
}

func fill(f *fixture, tab *ddl.Table, user ident.UserID, from, n int64) {
	const set = 2000
	for ; n > 0; n -= set {
		writes := make([]exec.Write, 0, set)
		for i := range min(n, set) {
			writes = append(writes, insert(from+i, fmt.Sprintf("the body of message %d, which is not long", from+i)))
		}
		f.mustCommit(user, tab, writes...)
		from += set
	}
}

// BenchmarkFlush flushes rows of many users from Badger into a folder. The
// aim is a million rows of a thousand users in 10 s; it also tells how long
// writers wait meanwhile.
func BenchmarkFlush(b *testing.B) {
	const users, each = 200, 1000
	for b.Loop() {
		b.StopTimer()
		bucket, err := object.OpenLocal(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		f := open(b, openBadger(b, b.TempDir()), Options{Files: &place{bucket}})
		tab := benchTable(f)
		for u := range users {
			fill(f, tab, ident.UserID(fmt.Sprint("user", u)), 0, each)
		}
		other := f.table(ident.SharedTable, "w", true, nil)
		quiet := waits(f, other, 1_000_000, func() bool { return true }, 300)
		var done atomic.Bool
		var busy []time.Duration
		var wg sync.WaitGroup
		wg.Go(func() { busy = waits(f, other, 0, func() bool { return !done.Load() }, 1_000_000) })
		b.StartTimer()
		start := time.Now()
		f.flush(tab)
		took := time.Since(start)
		b.StopTimer()
		done.Store(true)
		wg.Wait()
		b.ReportMetric(users*each/took.Seconds(), "rows/s")
		b.ReportMetric(float64(p99(busy).Microseconds()), "µs-p99-busy")
		b.ReportMetric(float64(p99(quiet).Microseconds()), "µs-p99-quiet")
		b.StartTimer()
	}
}

// waits measures commits of single rows.
func waits(f *fixture, tab *ddl.Table, from int64, more func() bool, most int64) (out []time.Duration) {
	for i := range most {
		if !more() {
			break
		}
		start := time.Now()
		f.mustCommit("", tab, insert(from+i, "x"))
		out = append(out, time.Since(start))
	}
	return out
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)*99/100]
}

// BenchmarkTiers scans a million cold rows alone, and with 50,000 of them
// changed and as many new ones in the hot tier.
func BenchmarkTiers(b *testing.B) {
	bucket, err := object.OpenLocal(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	f := open(b, openBadger(b, b.TempDir()), Options{Files: &place{bucket}})
	tab := benchTable(f)
	const rows = 1_000_000
	fill(f, tab, "ann", 0, rows)
	f.flush(tab)
	run := func(name string) {
		for _, c := range []struct {
			name string
			req  exec.ScanRequest
		}{
			{"count", exec.ScanRequest{}},
			{"column", exec.ScanRequest{Columns: []int{0}}},
			{"columns", exec.ScanRequest{Columns: []int{0, 1}}},
			{"ordered", exec.ScanRequest{Columns: []int{0}, Ordered: true}},
			{"latest", exec.ScanRequest{Columns: []int{0, 1}, Ordered: true, Reverse: true, Limit: 50}},
		} {
			b.Run(name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					drain(b, f, tab, c.req)
				}
			})
		}
		b.Run(name+"/get", func(b *testing.B) {
			b.ReportAllocs()
			n := int64(0)
			for b.Loop() {
				if _, ok := f.get("ann", tab, n*7919%rows); !ok {
					b.Fatal("a row is not there")
				}
				n++
			}
		})
	}
	run("cold")
	for from := int64(0); from < 25_000; from += 1000 {
		var set []exec.Write
		for i := range int64(1000) {
			id := (from + i) * 39
			old, _ := f.get("ann", tab, id)
			w := exec.Write{Op: 2, Old: row(id, old.body), OldSeq: old.seq, New: row(id, "changed")}
			set = append(set, w)
		}
		f.mustCommit("ann", tab, set...)
	}
	fill(f, tab, "ann", rows, 25_000)
	run("both")
	if err := f.backend.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	run("compacted")
}

func drain(b *testing.B, f *fixture, tab *ddl.Table, req exec.ScanRequest) {
	st := f.Acquire()
	defer st.Release()
	v := View{Store: f.Store, State: st, User: "ann", Now: f.clock.now()}
	src, err := v.Table(context.Background(), tab)
	if err != nil {
		b.Fatal(err)
	}
	sc, err := src.Scan(context.Background(), req)
	if err != nil {
		b.Fatal(err)
	}
	defer sc.Close()
	var sum int64
	n := 0
	for {
		batch, err := sc.Next(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		if batch == nil || req.Limit > 0 && int64(n) >= req.Limit {
			break
		}
		n += batch.Rows()
		if len(req.Columns) > 0 {
			col := batch.Cols[0]
			for i := range batch.Rows() {
				sum += col.Ints[col.Index(batch.Row(i))]
			}
		}
	}
	_ = sqltype.NewBigInt(sum)
}
