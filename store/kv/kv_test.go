package kv_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

func TestSuccessor(t *testing.T) {
	for _, c := range []struct{ prefix, want string }{
		{"", ""}, {"a", "b"}, {"a\x00", "a\x01"}, {"a\xff", "b"}, {"a\xff\xff", "b"}, {"\xff", ""}, {"\xff\xff", ""}, {"a\xfe", "a\xff"},
	} {
		in := []byte(c.prefix)
		got := kv.Successor(in)
		if string(got) != c.want || (got == nil) != (c.want == "") {
			t.Errorf("successor of %q: %q, want %q", c.prefix, got, c.want)
		}
		if string(in) != c.prefix {
			t.Errorf("the prefix %q was changed to %q", c.prefix, in)
		}
	}
	if r := kv.PrefixRange([]byte("ab")); string(r.Start) != "ab" || string(r.End) != "ac" {
		t.Errorf("range %q to %q", r.Start, r.End)
	}
}

func TestPartitionValid(t *testing.T) {
	for p, want := range map[kv.Partition]bool{
		"": false, "a": true, "\x01": true, "a\x00": false, "\x00": false, "\xff": true,
		kv.Partition(strings.Repeat("x", kv.MaxPartitionName)):   true,
		kv.Partition(strings.Repeat("x", kv.MaxPartitionName+1)): false,
	} {
		if p.Valid() != want {
			t.Errorf("%.20q is valid: %v", p, !want)
		}
	}
}

func TestBatch(t *testing.T) {
	var b kv.Batch
	if b.Len() != 0 || b.Size() != 0 || b.Err() != nil {
		t.Error("the zero batch is not empty")
	}
	b.Put("p", []byte("key"), []byte("value"))
	b.Delete("q", []byte("gone"))
	b.CreatePartition("r")
	var more kv.Batch
	more.Put("s", nil, []byte("v"))
	size := b.Size()
	b.Append(&more)
	if b.Size() != size+more.Size() {
		t.Errorf("size %d after appending %d to %d", b.Size(), more.Size(), size)
	}
	more.Reset()
	more.Put("other", []byte("xxxxxxx"), []byte("yyyyyy"))
	want := []kv.Op{
		{Kind: kv.OpPut, Partition: "p", Key: []byte("key"), Value: []byte("value")},
		{Kind: kv.OpDelete, Partition: "q", Key: []byte("gone")},
		{Kind: kv.OpCreatePartition, Partition: "r"},
		{Kind: kv.OpPut, Partition: "s", Value: []byte("v")},
	}
	if b.Len() != len(want) {
		t.Fatalf("%d steps, want %d", b.Len(), len(want))
	}
	for i, w := range want {
		got := b.Op(i)
		if got.Kind != w.Kind || got.Partition != w.Partition || !bytes.Equal(got.Key, w.Key) || !bytes.Equal(got.Value, w.Value) {
			t.Errorf("step %d: %+v, want %+v", i, got, w)
		}
		if cap(got.Key) != len(got.Key) || cap(got.Value) != len(got.Value) {
			t.Errorf("step %d: appending to its key or value would write into the batch", i)
		}
	}
	b.Put("p", make([]byte, kv.MaxKeySize+1), nil)
	b.Put("", nil, nil)
	if dberr.CodeOf(b.Err()) != dberr.TooLarge || b.Len() != len(want) {
		t.Errorf("the first error does not stand: %v, %d steps", b.Err(), b.Len())
	}
	b.Reset()
	if b.Len() != 0 || b.Size() != 0 || b.Err() != nil {
		t.Error("a reset batch is not empty")
	}
	if n := testing.AllocsPerRun(10, func() {
		b.Reset()
		b.Put("p", want[0].Key, want[0].Value)
	}); n != 0 {
		t.Errorf("%v allocations in a batch that has the room", n)
	}
}
