package segment_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/segment"
)

func TestCopy(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 9))
	f := makeRows(t, rng, segment.Schema{Table: 1, Version: 1, Columns: columnsOf(everyType), Key: []int{0}}, 3000)
	data := file(t, f, segment.WriterOptions{BlockRows: 200})
	ref := f.ref("seg-1")
	dst := object.NewMem()
	if err := segment.Copy(t.Context(), ref, dst, "copy"); err != nil {
		t.Fatal(err)
	}
	got, err := object.ReadAll(t.Context(), dst, "copy", 1<<30)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("the copy has %d bytes of %d, %v", len(got), len(data), err)
	}
	if err := segment.Copy(t.Context(), ref, dst, "copy"); err == nil {
		t.Error("a copy was written over")
	}
	// Any changed bit, and any end that is missing, keeps it from being copied.
	try := func(what string, at int, bad []byte) {
		t.Helper()
		src := object.NewMem()
		if err := object.Put(t.Context(), src, "seg-1", bad, object.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		r := ref
		r.Bucket = src
		if err := segment.Copy(t.Context(), r, dst, "bad"); !isDamage(err, "seg-1") {
			t.Fatalf("%s %d: %v", what, at, err)
		}
		if _, err := dst.Stat(t.Context(), "bad"); err == nil {
			t.Fatalf("%s %d: there is a copy", what, at)
		}
	}
	flip := func(at int) {
		bad := bytes.Clone(data)
		bad[at] ^= 1 << rng.IntN(8)
		try("bit of byte", at, bad)
	}
	for range 200 {
		flip(rng.IntN(len(data)))
	}
	for at := len(data) - 200; at < len(data); at++ {
		flip(at)
	}
	for range 20 {
		n := rng.IntN(len(data))
		try("cut at", n, data[:n])
	}
}
