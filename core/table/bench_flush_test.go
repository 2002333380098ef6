package table

import (
	"context"
	"flag"
	"fmt"
	"runtime"
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

// flushUsers is how many users have a thousand rows each that BenchmarkFlush
// flushes.
var flushUsers = flag.Int("flush.users", 100, "users whose 1,000 rows each BenchmarkFlush flushes")

// BenchmarkFlush flushes rows of many users from Badger into a folder: with
// nobody else there, beside one writer and beside many. For a million rows
// (-flush.users 1000) the aim is 10 s and 200 MB above what is used before, and
// for the writers a 99th percentile of at most three times that of quiet times
// (x-quiet).
func BenchmarkFlush(b *testing.B) {
	for _, writers := range []int{0, 1, 16} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				benchmarkFlush(b, writers)
				b.StartTimer()
			}
		})
	}
}

func benchmarkFlush(b *testing.B, writers int) {
	const each = 1000
	bucket, err := object.OpenLocal(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	f := open(b, openBadger(b, b.TempDir()), Options{Files: &place{bucket}})
	f.ear.deaf = true // nobody keeps what was written
	tab := benchTable(f)
	for u := range *flushUsers {
		fill(f, tab, ident.UserID(fmt.Sprint("user", u)), 0, each)
	}
	other := f.table(ident.SharedTable, "w", true, nil)
	// What the loading has left to be merged is not the flush's.
	if err := f.backend.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	work := func(until func() bool) []time.Duration {
		var mu sync.Mutex
		var all []time.Duration
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				var own []time.Duration
				for !until() {
					start := time.Now()
					f.mustCommit("", other, insert(next.Add(1), "x"))
					own = append(own, time.Since(start))
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, own...)
			})
		}
		wg.Wait()
		return all
	}
	end := time.Now().Add(2 * time.Second)
	quiet := work(func() bool { return writers == 0 || time.Now().After(end) })
	runtime.GC()
	idle := memory()
	most := idle
	var done atomic.Bool
	var watch sync.WaitGroup
	watch.Go(func() {
		for !done.Load() {
			most = max(most, memory())
			time.Sleep(10 * time.Millisecond)
		}
	})
	var busy []time.Duration
	watch.Go(func() { busy = work(done.Load) })
	start := time.Now()
	b.StartTimer()
	f.flush(tab)
	b.StopTimer()
	took := time.Since(start)
	done.Store(true)
	watch.Wait()
	b.ReportMetric(took.Seconds(), "s/flush")
	b.ReportMetric(float64(*flushUsers*each)/took.Seconds(), "rows/s")
	b.ReportMetric(float64(most-idle)/1e6, "MB-above-idle")
	if writers > 0 {
		b.ReportMetric(float64(p99(busy).Microseconds()), "µs-p99-busy")
		b.ReportMetric(float64(p99(quiet).Microseconds()), "µs-p99-quiet")
		b.ReportMetric(float64(p99(busy))/float64(p99(quiet)), "x-quiet")
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

// memory is what the process has of the system and has not given back, but for
// mapped files.
func memory() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
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
