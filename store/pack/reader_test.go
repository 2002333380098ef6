package pack_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/kalamdb/kalamdb/store/pack"
)

func sample() []byte {
	b := []byte{7, 1}
	b = binary.AppendUvarint(b, math.MaxUint64)
	b = binary.AppendVarint(b, math.MinInt64)
	b = binary.AppendUvarint(b, 1<<62)
	b = binary.LittleEndian.AppendUint32(b, math.MaxUint32)
	b = binary.LittleEndian.AppendUint64(b, 1<<40)
	b = pack.AppendBytes(b, "text")
	b = binary.AppendUvarint(b, 2)
	return append(b, "four"...)
}

// read gives what sample wrote, as far as it is there.
func read(b []byte) (r pack.Reader, whole bool) {
	r.Rest = b
	whole = r.Byte() == 7 && r.Bool() && r.Uvarint() == math.MaxUint64 && r.Varint() == math.MinInt64 && r.Int64() == 1<<62
	whole = whole && r.Uint32() == math.MaxUint32 && r.Uint64() == 1<<40 && bytes.Equal(r.Bytes(), []byte("text"))
	return r, whole && r.Count(2) == 2 && !r.Bad
}

func TestReaderReadsWhatWasWritten(t *testing.T) {
	r, whole := read(sample())
	if !whole || string(r.Rest) != "four" {
		t.Errorf("%+v", r)
	}
}

func TestCutOffIsBad(t *testing.T) {
	b := sample()
	for n := range b {
		if r, whole := read(b[:n]); whole {
			t.Errorf("%d of %d bytes are enough: %+v", n, len(b), r)
		}
	}
}

func TestWhatMakesNoSenseIsBad(t *testing.T) {
	many := binary.AppendUvarint(nil, 3)
	for name, read := range map[string]func(*pack.Reader){
		"more than the bytes can hold": func(r *pack.Reader) { r.Rest = append(many, "four"...); r.Count(2) },
		"of size 0":                    func(r *pack.Reader) { r.Rest = append(many, "ab"...); r.Count(0) },
		"longer than the bytes":        func(r *pack.Reader) { r.Rest = append(many, "ab"...); r.Bytes() },
		"too large for a place":        func(r *pack.Reader) { r.Rest = binary.AppendUvarint(nil, 1<<62+1); r.Int64() },
		"an endless number":            func(r *pack.Reader) { r.Rest = bytes.Repeat([]byte{0xff}, 11); r.Uvarint() },
	} {
		var r pack.Reader
		if read(&r); !r.Bad {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(sample())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, _ := read(b)
		if len(r.Rest) > len(b) {
			t.Errorf("%d bytes are left of %d", len(r.Rest), len(b))
		}
	})
}
