package table

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/change"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/exec"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/rowenc"
	"github.com/kalamdb/kalamdb/store/segment"
)

// counted counts the bytes that are read of a bucket.
type counted struct {
	object.Bucket
	read atomic.Int64
}

type countedHandle struct {
	object.Handle
	c *counted
}

func (c *counted) Open(ctx context.Context, name string) (object.Handle, error) {
	h, err := c.Bucket.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return countedHandle{h, c}, nil
}

func (h countedHandle) ReadAt(ctx context.Context, p []byte, off int64) error {
	h.c.read.Add(int64(len(p)))
	return h.Handle.ReadAt(ctx, p, off)
}

// generate lists a segment of rows that were never hot: ids are those that id
// gives.
func (f *fixture) generate(t *ddl.Table, user ident.UserID, rows int, first change.Seq, id func(i int) int64) {
	f.Helper()
	ctx := context.Background()
	fl := &flusher{s: f.Store, id: t.ID, opts: FlushOptions{}.withDefaults()}
	fl.st = f.Acquire()
	defer fl.st.Release()
	if err := fl.prepare(); err != nil {
		f.Fatal(err)
	}
	one := &flushed{p: keyenc.UserPartition(t.ID, user), user: user, fresh: true}
	one.entry.Storage = t.Storage
	if _, err := fl.note(ctx, []*flushed{one}); err != nil {
		f.Fatal(err)
	}
	bucket, err := f.Store.opts.Files.Bucket(fl.st.Catalog, t.Storage)
	if err != nil {
		f.Fatal(err)
	}
	w, err := segment.Create(ctx, bucket, one.entry.Name, fl.c.schema(), segment.WriterOptions{Layouts: fl.c.layouts})
	if err != nil {
		f.Fatal(err)
	}
	defer w.Abort()
	var buf []byte
	for i := range rows {
		r := row(id(i), fmt.Sprintf("message %d of segment %d", i, first))
		if buf, err = fl.c.layout.Append(buf[:0], rowenc.Header{Seq: first + change.Seq(i), UpdatedAt: int64(i)}, r); err != nil {
			f.Fatal(err)
		}
		if err := w.AppendRow(keyenc.AppendKey(nil, r[0]), buf); err != nil {
			f.Fatal(err)
		}
	}
	if one.entry.Summary, err = w.Finish(); err != nil {
		f.Fatal(err)
	}
	one.entry.Created = time.Now()
	st, _, err := fl.list(ctx, []*flushed{one})
	if err != nil {
		f.Fatal(err)
	}
	st.Release()
	_ = f.command(ctx, func() error { delete(f.watched, one.p); return nil })
}

// BenchmarkLookup10M looks rows up by their keys among ten million cold ones in
// a hundred segments: of which each may have each key (spread), or which follow
// each other (runs). The aim is 2 ms and 500 KB read. cold is the first time
// that anything is read of the blocks in question.
func BenchmarkLookup10M(b *testing.B) {
	const segments, each = 100, 100_000
	for _, spread := range []bool{true, false} {
		name := map[bool]string{true: "spread", false: "runs"}[spread]
		local, err := object.OpenLocal(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		c := &counted{Bucket: local}
		f := open(b, openBadger(b, b.TempDir()), Options{Files: &place{c}})
		tab := benchTable(f)
		for s := range segments {
			f.generate(tab, "ann", each, change.Seq(1+s*each), func(i int) int64 {
				if spread {
					return int64(i*segments + s)
				}
				return int64(s*each + i)
			})
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			// Footers and filters are read by the first lookups.
			for i := range int64(300) {
				f.get("ann", tab, i*33_331)
			}
			before, id := c.read.Load(), int64(0)
			for b.Loop() {
				id = (id + 7_919_993) % (segments * each)
				if _, ok := f.get("ann", tab, id); !ok {
					b.Fatal("there is no row", id)
				}
			}
			b.ReportMetric(float64(c.read.Load()-before)/float64(b.N)/1000, "KB-read/op")
		})
		b.Run(name+"/missing", func(b *testing.B) {
			id := int64(0)
			for b.Loop() {
				id -= 7
				if _, ok := f.get("ann", tab, id); ok {
					b.Fatal("there is a row", id)
				}
			}
		})
		b.Run(name+"/latest", func(b *testing.B) {
			for b.Loop() {
				if rows, _ := f.newestOf("ann", tab, 50, false); len(rows) != 50 {
					b.Fatal(len(rows))
				}
			}
		})
		b.Run(name+"/last keys", func(b *testing.B) {
			for b.Loop() {
				drain(b, f, tab, exec.ScanRequest{Columns: []int{0, 1}, Ordered: true, Reverse: true, Limit: 50})
			}
		})
	}
}

// BenchmarkUsers reads one user's cold rows where few and where many others
// have as many: the cost should be the same.
func BenchmarkUsers(b *testing.B) {
	for _, users := range []int{10, 1000} {
		f := open(b, openBadger(b, b.TempDir()), Options{Files: &place{object.NewMem()}})
		tab := benchTable(f)
		const each = 200
		for u := range users {
			user := ident.UserID(fmt.Sprint("user", u))
			fill(f, tab, user, 0, each)
		}
		f.flush(tab)
		for u := range users {
			f.mustCommit(ident.UserID(fmt.Sprint("user", u)), tab, insert(each, "hot"))
		}
		if err := f.backend.Compact(context.Background()); err != nil {
			b.Fatal(err)
		}
		user := ident.UserID(fmt.Sprint("user", users/2))
		scan := func(b *testing.B, req exec.ScanRequest) {
			for b.Loop() {
				if got := len(f.scan(user, tab, req)); got != each+1 && req.Ranges == nil {
					b.Fatal(got)
				}
			}
		}
		b.Run(fmt.Sprintf("%d/scan", users), func(b *testing.B) { scan(b, exec.ScanRequest{}) })
		b.Run(fmt.Sprintf("%d/ordered", users), func(b *testing.B) { scan(b, exec.ScanRequest{Ordered: true}) })
		b.Run(fmt.Sprintf("%d/range", users), func(b *testing.B) {
			scan(b, exec.ScanRequest{Ranges: []exec.KeyRange{{Low: sqltype.NewBigInt(50), High: sqltype.NewBigInt(60)}}})
		})
		b.Run(fmt.Sprintf("%d/get", users), func(b *testing.B) {
			for b.Loop() {
				if _, ok := f.get(user, tab, 100); !ok {
					b.Fatal("there is no row")
				}
			}
		})
	}
}
