package segment_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/segment"
)

// readAll opens a file's bytes and reads everything that they hold, by a scan,
// by a lookup and by Verify.
func readAll(t testing.TB, f *fixture, data []byte, ref segment.Ref) (got, error) {
	b := object.NewMem()
	if err := object.Put(t.Context(), b, ref.Name, data, object.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ref.Bucket = b
	s, err := segment.Open(t.Context(), ref, segment.NewCache(segment.CacheOptions{}))
	if err != nil {
		return got{}, err
	}
	defer s.Close()
	g, err := scan(t, s, segment.ScanOptions{Want: f.all(), IncludeDeleted: true})
	if err != nil {
		return g, err
	}
	if len(f.rows) > 0 {
		if _, _, err := s.Get(t.Context(), f.rows[len(f.rows)/2].key, nil, nil); err != nil {
			return g, err
		}
	}
	return g, s.Verify(t.Context())
}

func isDamage(err error, name string) bool {
	return errors.Is(err, segment.ErrDamaged) && dberr.CodeOf(err) == dberr.StorageUnavailable && strings.Contains(err.Error(), name)
}

func file(t testing.TB, f *fixture, opts segment.WriterOptions) []byte {
	f.write(t, "seg-1", opts)
	data, err := object.ReadAll(t.Context(), f.bucket, "seg-1", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDamagedFilesGiveAnError(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	f := makeRows(t, rng, segment.Schema{Table: 1, Version: 1, Columns: columnsOf(everyType), Key: []int{0}}, 300)
	data := file(t, f, segment.WriterOptions{BlockRows: 40, GroupRows: 100})
	ref := f.ref("seg-1")
	bare := segment.Ref{Name: "seg-1"} // without what the manifest knows
	if g, err := readAll(t, f, data, ref); err != nil {
		t.Fatal(err)
	} else {
		check(t, "undamaged", g, f.rows)
	}
	try := func(what string, damage []byte, ref segment.Ref) {
		t.Helper()
		if _, err := readAll(t, f, damage, ref); !isDamage(err, "seg-1") {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for n := 0; n < len(data); n += 1 + rng.IntN(1+len(data)/150) {
		try(fmt.Sprintf("the first %d bytes", n), data[:n], bare)
	}
	try("all but one byte", data[:len(data)-1], ref)
	try("one byte more", append(data[:len(data):len(data)], 0), bare)
	for range 400 {
		broken := append([]byte(nil), data...)
		at := rng.IntN(len(data))
		broken[at] ^= 1 << rng.IntN(8)
		try(fmt.Sprintf("a bit of byte %d", at), broken, bare)
	}
	for range 50 {
		broken := append([]byte(nil), data...)
		at := rng.IntN(len(data))
		clear(broken[at:min(at+512, len(broken))])
		if string(broken) != string(data) {
			try(fmt.Sprintf("zeros from byte %d", at), broken, bare)
		}
	}
	// Two pieces of the file in each other's place, as a torn write leaves them.
	torn := append([]byte(nil), data...)
	copy(torn[:4096], data[4096:8192])
	copy(torn[4096:8192], data[:4096])
	try("swapped pieces", torn, ref)
	try("another program's file", []byte("PAR1 something else PAR1"), bare)

	// The place of one segment taken by another, sound one of the same table.
	other := makeRows(t, rng, f.schema, 300)
	if _, err := readAll(t, f, file(t, other, segment.WriterOptions{BlockRows: 40}), segment.Ref{Name: "seg-1", Checksum: ref.Checksum}); !isDamage(err, "seg-1") {
		t.Errorf("a swapped file: %v", err)
	}
}

func TestTheRestOfADamagedSegmentIsReadable(t *testing.T) {
	f := ordered(t, 20_000)
	data := file(t, f, segment.WriterOptions{BlockRows: 500})
	data[20_000] ^= 1
	b := object.NewMem()
	if err := object.Put(t.Context(), b, "x", data, object.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s, err := segment.Open(t.Context(), segment.Ref{Bucket: b, Name: "x"}, segment.NewCache(segment.CacheOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	good, bad := 0, 0
	for _, r := range f.rows {
		if _, found, err := s.Get(t.Context(), r.key, f.wants(0, 1, 2), make(sqltype.Row, 3)); err == nil && found {
			good++
		} else if isDamage(err, "x") {
			bad++
		} else {
			t.Fatalf("%t, %v", found, err)
		}
	}
	if good == 0 || bad == 0 {
		t.Errorf("%d rows are good, %d bad", good, bad)
	}
}

func TestErrorsOfTheBucketPassThrough(t *testing.T) {
	f := ordered(t, 1000)
	f.write(t, "x", segment.WriterOptions{})
	boom := dberr.New(dberr.StorageUnavailable, "boom")
	fail := object.OpOpen
	inner := f.bucket
	f.bucket = object.Faulty(inner, func(_ context.Context, c object.Call) error {
		if c.Op == fail {
			return boom
		}
		return nil
	})
	if _, err := segment.Open(t.Context(), f.ref("x"), f.cache); !errors.Is(err, boom) {
		t.Errorf("open: %v", err)
	}
	fail = 0
	s := f.open(t, "x")
	fail = object.OpRead
	if _, err := scan(t, s, segment.ScanOptions{Want: f.wants(1)}); !errors.Is(err, boom) || errors.Is(err, segment.ErrDamaged) {
		t.Errorf("scan: %v", err)
	}
	if _, _, err := s.Get(t.Context(), f.rows[0].key, nil, nil); !errors.Is(err, boom) {
		t.Errorf("get: %v", err)
	}
	fail = 0
	if _, err := scan(t, s, segment.ScanOptions{Want: f.wants(1)}); err != nil {
		t.Errorf("after it: %v", err)
	}
	if _, err := segment.Open(t.Context(), segment.Ref{Bucket: f.bucket, Name: "none"}, f.cache); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("a missing file: %v", err)
	}
	for _, op := range []object.Op{object.OpCreate, object.OpWrite, object.OpCommit} {
		fail = op
		err := tryWrite(t, f, fmt.Sprint("new", op))
		if !errors.Is(err, boom) {
			t.Errorf("step %d: %v", op, err)
		}
		if _, err := inner.Stat(t.Context(), fmt.Sprint("new", op)); !errors.Is(err, object.ErrNotFound) {
			t.Errorf("step %d left a file: %v", op, err)
		}
	}
}

// FuzzFile changes files in ways that keep the checksums, too: whatever is in
// them, there is no panic.
func FuzzFile(f *testing.F) {
	checkSpans = false // a changed annex with right checksums may say anything
	defer func() { checkSpans = true }()
	fix := makeRows(f, rand.New(rand.NewPCG(9, 9)), segment.Schema{Table: 1, Version: 1, Columns: columnsOf(everyType), Key: []int{0}}, 60)
	data := file(f, fix, segment.WriterOptions{BlockRows: 20, GroupRows: 40})
	f.Add(uint32(10), byte(1), uint32(300), byte(200), false)
	f.Add(uint32(5000), byte(7), uint32(len(data)-200), byte(1), true)
	f.Fuzz(func(t *testing.T, at1 uint32, x1 byte, at2 uint32, x2 byte, mend bool) {
		broken := append([]byte(nil), data...)
		broken[int(at1)%len(data)] ^= x1
		broken[int(at2)%len(data)] ^= x2
		if mend {
			broken = segment.Mend(broken)
		}
		same := string(broken) == string(data)
		g, err := readAll(t, fix, broken, segment.Ref{Name: "seg-1"})
		switch {
		case same && err != nil:
			t.Fatalf("undamaged: %v", err)
		case !same && !mend && !isDamage(err, "seg-1"):
			t.Fatalf("damaged at %d and %d: %v (%d rows)", at1, at2, err, len(g.rows))
		}
	})
}

func FuzzAnnex(f *testing.F) {
	fix := makeRows(f, rand.New(rand.NewPCG(9, 9)), segment.Schema{Table: 1, Version: 1, Columns: columnsOf(everyType[:6])}, 50)
	f.Add(segment.AnnexOf(file(f, fix, segment.WriterOptions{BlockRows: 20})))
	f.Fuzz(func(t *testing.T, b []byte) { segment.ReadAnnex(b) })
}
