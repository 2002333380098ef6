// Package objecttest is the suite that every object.Bucket passes.
package objecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/object"
)

// Run checks buckets. open gives an empty one for each part of the suite.
func Run(t *testing.T, open func(t *testing.T) object.Bucket) {
	parts := []struct {
		name string
		run  func(*testing.T, object.Bucket)
	}{
		{"what is written can be read", testRoundTrip},
		{"nothing is visible before the commit", testInvisible},
		{"an aborted object leaves nothing", testAbort},
		{"a committed object replaces the old one", testReplace},
		{"of many who want a free name one gets it", testIfAbsent},
		{"ranges", testRanges},
		{"objects that do not exist", testMissing},
		{"lists are sorted and by prefix", testList},
		{"names that are no names", testNames},
		{"names with odd characters", testOddNames},
		{"large objects in many writes", testLarge},
		{"an ended context ends everything", testContext},
		{"used from many goroutines", testConcurrent},
		{"copies", testCopy},
		{"probe", testProbe},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			b := open(t)
			p.run(t, b)
			if err := b.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func put(t *testing.T, b object.Bucket, name, data string) {
	t.Helper()
	if err := object.Put(t.Context(), b, name, []byte(data), object.CreateOptions{}); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func get(t *testing.T, b object.Bucket, name string) string {
	t.Helper()
	data, err := object.ReadAll(t.Context(), b, name, 1<<30)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	return string(data)
}

func names(t *testing.T, b object.Bucket, prefix string) []string {
	t.Helper()
	out := []string{}
	for i, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		out = append(out, i.Name)
	}
	return out
}

func wantNames(t *testing.T, b object.Bucket, prefix string, want ...string) {
	t.Helper()
	if got := names(t, b, prefix); !slices.Equal(got, want) {
		t.Errorf("list %q: %q, want %q", prefix, got, want)
	}
}

func testRoundTrip(t *testing.T, b object.Bucket) {
	for _, data := range []string{"", "x", strings.Repeat("abc\x00\xff", 50_000)} {
		put(t, b, "a/b/c", data)
		if got := get(t, b, "a/b/c"); got != data {
			t.Errorf("%d bytes came back as %d", len(data), len(got))
		}
		st, err := b.Stat(t.Context(), "a/b/c")
		if err != nil || st.Size != int64(len(data)) || st.Name != "a/b/c" || st.Modified.IsZero() {
			t.Errorf("stat: %+v, %v", st, err)
		}
	}
	if b.Location() == "" {
		t.Error("the bucket lies nowhere")
	}
}

func testInvisible(t *testing.T, b object.Bucket) {
	w, err := b.Create(t.Context(), "dir/new", object.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	wantNames(t, b, "")
	if _, err := b.Open(t.Context(), "dir/new"); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("open: %v", err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	wantNames(t, b, "", "dir/new")
	w.Abort()
	if got := get(t, b, "dir/new"); got != "half" {
		t.Errorf("after a late abort: %q", got)
	}
	if _, err := w.Write([]byte("more")); err == nil {
		t.Error("a committed object took more bytes")
	}
	if err := w.Commit(); err == nil {
		t.Error("an object was committed twice")
	}
}

func testAbort(t *testing.T, b object.Bucket) {
	put(t, b, "kept", "old")
	for _, size := range []int{0, 10, 12 << 20} {
		for _, name := range []string{"gone", "kept"} {
			w, err := b.Create(t.Context(), name, object.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			w.Abort()
			w.Abort()
			if err := w.Commit(); err == nil {
				t.Error("an aborted object was committed")
			}
		}
	}
	wantNames(t, b, "", "kept")
	if got := get(t, b, "kept"); got != "old" {
		t.Errorf("the old object became %q", got)
	}
}

func testReplace(t *testing.T, b object.Bucket) {
	put(t, b, "x", "first")
	h, err := b.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	put(t, b, "x", "SECOND and longer")
	if got := get(t, b, "x"); got != "SECOND and longer" {
		t.Errorf("got %q", got)
	}
	p := make([]byte, 5)
	if err := h.ReadAt(t.Context(), p, 0); err == nil && string(p) != "first" {
		t.Errorf("the old handle reads %q", p)
	}
}

func testIfAbsent(t *testing.T, b object.Bucket) {
	const n = 8
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			errs[i] = object.Put(t.Context(), b, "one", fmt.Append(nil, i), object.CreateOptions{IfAbsent: true})
		})
	}
	wg.Wait()
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
			if got := get(t, b, "one"); got != fmt.Sprint(i) {
				t.Errorf("%d won, but the object is %q", i, got)
			}
		case !errors.Is(err, object.ErrExists):
			t.Errorf("%d: %v", i, err)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
	wantNames(t, b, "", "one")
}

func testRanges(t *testing.T, b object.Bucket) {
	data := make([]byte, 200_000)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	put(t, b, "r", string(data))
	h, err := b.Open(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	if h.Size() != int64(len(data)) {
		t.Errorf("size %d", h.Size())
	}
	for range 30 {
		from := rng.IntN(len(data))
		p := make([]byte, rng.IntN(len(data)-from+1))
		if err := h.ReadAt(t.Context(), p, int64(from)); err != nil || !bytes.Equal(p, data[from:from+len(p)]) {
			t.Fatalf("%d bytes from %d: %v", len(p), from, err)
		}
	}
	for _, r := range [][2]int64{{int64(len(data)) - 1, 2}, {int64(len(data)), 1}, {int64(len(data)) + 5, 1}} {
		if err := h.ReadAt(t.Context(), make([]byte, r[1]), r[0]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes from %d: %v", r[1], r[0], err)
		}
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func testMissing(t *testing.T, b object.Bucket) {
	put(t, b, "dir/x", "")
	for _, name := range []string{"none", "dir", "dir/none", "none/x"} {
		_, err := b.Open(t.Context(), name)
		if !errors.Is(err, object.ErrNotFound) || dberr.CodeOf(err) != dberr.StorageUnavailable {
			t.Errorf("open %s: %v", name, err)
		}
		if _, err := b.Stat(t.Context(), name); !errors.Is(err, object.ErrNotFound) {
			t.Errorf("stat %s: %v", name, err)
		}
	}
	for _, name := range []string{"none", "dir/none", "none/x", "dir/x", "dir/x"} {
		if err := b.Delete(t.Context(), name); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	wantNames(t, b, "")
}

func testList(t *testing.T, b object.Bucket) {
	all := []string{"a", "a-b/x", "a.b", "ab", "b/c/1", "b/c/2", "b/c-d", "b/cc/3", "c"}
	for _, n := range all {
		put(t, b, n, n)
	}
	want := slices.Sorted(slices.Values(all))
	for _, prefix := range []string{"", "a", "a-", "a-b/", "b", "b/", "b/c", "b/c/", "b/c/2", "x", "x/y", "c/d"} {
		var some []string
		for _, n := range want {
			if strings.HasPrefix(n, prefix) {
				some = append(some, n)
			}
		}
		wantNames(t, b, prefix, some...)
	}
	for i, err := range b.List(t.Context(), "b/") {
		if err != nil || i.Size != int64(len(i.Name)) || i.Modified.IsZero() {
			t.Errorf("%+v, %v", i, err)
		}
		break // ending early must not hang
	}
	if err := b.Delete(t.Context(), "b/c/1"); err != nil {
		t.Fatal(err)
	}
	wantNames(t, b, "b/c/", "b/c/2")
}

func testNames(t *testing.T, b object.Bucket) {
	bad := []string{"", "/", "/a", "a/", "a//b", ".", "..", "../x", "a/../../x", "a/./b", "a\\b", "a\x00b", "a\nb", "c:x", "\xff",
		strings.Repeat("x", 256), strings.Repeat("x/", 600) + "x"}
	for _, name := range bad {
		if _, err := b.Create(t.Context(), name, object.CreateOptions{}); err == nil {
			t.Errorf("create %.40q was taken", name)
		}
		if _, err := b.Open(t.Context(), name); err == nil {
			t.Errorf("open %.40q was taken", name)
		}
		if _, err := b.Stat(t.Context(), name); err == nil {
			t.Errorf("stat %.40q was taken", name)
		}
		if err := b.Delete(t.Context(), name); err == nil {
			t.Errorf("delete %.40q was taken", name)
		}
	}
	for range b.List(t.Context(), "../") {
		t.Error("something is listed above the bucket")
	}
}

func testOddNames(t *testing.T, b object.Bucket) {
	odd := []string{"a b", "a%2e", "a+b=c@d", "%", "%-x", "a'b\"c", "é", "x/~y", "a&b?c#d", strings.Repeat("n", 200)}
	for _, n := range odd {
		put(t, b, n, n)
	}
	for _, n := range odd {
		if got := get(t, b, n); got != n {
			t.Errorf("%q holds %q", n, got)
		}
	}
	wantNames(t, b, "", slices.Sorted(slices.Values(odd))...)
}

func testLarge(t *testing.T, b object.Bucket) {
	w, err := b.Create(t.Context(), "large", object.CreateOptions{IfAbsent: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	chunk := make([]byte, 333_333)
	var sum uint64
	size := int64(0)
	rng := rand.New(rand.NewPCG(2, 2))
	for size < 20<<20 {
		for i := 0; i+8 <= len(chunk); i += 8 {
			chunk[i] = byte(rng.Uint32())
			sum = sum*31 + uint64(chunk[i])
		}
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
		size += int64(len(chunk))
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	h, err := b.Open(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if h.Size() != size {
		t.Fatalf("size %d, want %d", h.Size(), size)
	}
	var got uint64
	for off := int64(0); off < size; off += int64(len(chunk)) {
		if err := h.ReadAt(t.Context(), chunk, off); err != nil {
			t.Fatal(err)
		}
		for i := 0; i+8 <= len(chunk); i += 8 {
			got = got*31 + uint64(chunk[i])
		}
	}
	if got != sum {
		t.Error("other bytes came back")
	}
	if err := object.Put(t.Context(), b, "large", nil, object.CreateOptions{IfAbsent: true}); !errors.Is(err, object.ErrExists) {
		t.Errorf("the name was given away twice: %v", err)
	}
}

func testContext(t *testing.T, b object.Bucket) {
	put(t, b, "x", "x")
	h, err := b.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ctx, cancel := context.WithCancel(t.Context())
	w, err := b.Create(ctx, "y", object.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := w.Write([]byte("y")); err == nil {
		if err := w.Commit(); err == nil {
			t.Error("committed after the end of its context")
		}
	}
	w.Abort()
	_, oerr := b.Open(ctx, "x")
	_, serr := b.Stat(ctx, "x")
	_, cerr := b.Create(ctx, "z", object.CreateOptions{})
	var lerr error
	for _, err := range b.List(ctx, "") {
		lerr = err
	}
	for what, err := range map[string]error{
		"open": oerr, "stat": serr, "create": cerr, "list": lerr, "read": h.ReadAt(ctx, make([]byte, 1), 0),
		"delete": b.Delete(ctx, "x"), "probe": b.Probe(ctx),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantNames(t, b, "", "x")
}

func testConcurrent(t *testing.T, b object.Bucket) {
	const workers, each = 4, 10
	// A server that keeps objects as files may take the folder of the last one
	// away while the next comes into it.
	put(t, b, "stays", "here")
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("w%d/sub/%d", w, i)
				if err := object.Put(t.Context(), b, name, []byte(name), object.CreateOptions{}); err != nil {
					t.Errorf("put %s: %v", name, err)
					return
				}
				data, err := object.ReadAll(t.Context(), b, name, 100)
				if err != nil || string(data) != name {
					t.Errorf("get %s: %q, %v", name, data, err)
				}
				if i%2 == 0 {
					if err := b.Delete(t.Context(), name); err != nil {
						t.Errorf("delete %s: %v", name, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if got := len(names(t, b, "")); got != workers*each/2+1 {
		t.Errorf("%d objects are left", got)
	}
}

func testCopy(t *testing.T, b object.Bucket) {
	data := strings.Repeat("0123456789", 250_000)
	put(t, b, "from", data)
	n, err := object.Copy(t.Context(), b, "to/copy", b, "from", object.CreateOptions{})
	if err != nil || n != int64(len(data)) || get(t, b, "to/copy") != data {
		t.Errorf("copied %d: %v", n, err)
	}
	if _, err := object.Copy(t.Context(), b, "x", b, "none", object.CreateOptions{}); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("copy of nothing: %v", err)
	}
	if _, err := object.ReadAll(t.Context(), b, "from", 10); dberr.CodeOf(err) != dberr.TooLarge {
		t.Errorf("read past the limit: %v", err)
	}
}

func testProbe(t *testing.T, b object.Bucket) {
	if err := b.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	wantNames(t, b, "")
}
