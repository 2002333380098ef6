package manifest_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/decimal"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/segment"
)

func entry(id manifest.ID) *manifest.Entry {
	return &manifest.Entry{
		ID: id, Storage: "local", Name: "app/users/jo/messages/" + manifest.FileName(42, id), Level: 1, Created: time.UnixMicro(5).UTC(),
		Summary: segment.Summary{
			Bytes: 1000, Checksum: 0x1122334455667788, Rows: 10, Deleted: 2, SchemaVersion: 3,
			FirstKey: []byte("a"), LastKey: []byte("m"), MinSeq: 7, MaxSeq: 99, MinUpdated: -1, MaxUpdated: 3,
			Columns: []segment.ColumnRange{
				{ID: 1, Kind: sqltype.BigInt, ValueRange: segment.ValueRange{Min: sqltype.NewBigInt(-5), Max: sqltype.NewBigInt(5)}},
				{ID: 2, Kind: sqltype.Text, ValueRange: segment.ValueRange{Min: sqltype.NewText("ab"), Max: sqltype.NewText("cd"), MaxCut: true, Nulls: true}},
				{ID: 3, Kind: sqltype.Double, ValueRange: segment.ValueRange{Min: sqltype.NewDouble(math.Inf(-1)), Max: sqltype.NewDouble(1.5)}},
				{ID: 4, Kind: sqltype.Decimal, ValueRange: segment.ValueRange{Min: sqltype.NewDecimal(decimal.New(-125, 2)), Max: sqltype.NewDecimal(decimal.New(1, 0))}},
				{ID: 5, Kind: sqltype.Boolean, ValueRange: segment.ValueRange{Min: sqltype.NewBool(false), Max: sqltype.NewBool(true)}},
				{ID: 6, Kind: sqltype.Date, ValueRange: segment.ValueRange{Nulls: true}},
			},
		},
	}
}

var (
	jo     = keyenc.UserPartition(42, "jo")
	joe    = keyenc.UserPartition(42, "joe")
	shared = keyenc.SharedPartition(43)
)

func open(t *testing.T, fill func(b *kv.Batch)) (kv.Backend, kv.Snapshot) {
	t.Helper()
	k := memkv.New(memkv.Options{})
	t.Cleanup(func() { k.Close() })
	var b kv.Batch
	fill(&b)
	return k, write(t, k, &b)
}

func write(t *testing.T, k kv.Backend, b *kv.Batch) kv.Snapshot {
	t.Helper()
	if err := k.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	s, err := k.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Release)
	return s
}

func TestListsChangeWithABatch(t *testing.T) {
	k, before := open(t, func(b *kv.Batch) {
		manifest.Add(b, jo, entry(2))
		manifest.Add(b, jo, entry(1))
		manifest.Add(b, joe, entry(3))
		manifest.Add(b, shared, entry(4))
	})
	got, err := manifest.Load(before, jo)
	if err != nil || len(got) != 2 || !reflect.DeepEqual(got[0], *entry(1)) || !reflect.DeepEqual(got[1], *entry(2)) {
		t.Fatalf("%+v, %v", got, err)
	}
	if sum := manifest.Sum(got); sum != (manifest.Totals{Files: 2, Rows: 20, Deleted: 4, Bytes: 2000}) {
		t.Errorf("%+v", sum)
	}
	var b kv.Batch
	manifest.Replace(&b, jo, []manifest.ID{1, 2}, entry(5))
	after := write(t, k, &b)
	if got, err = manifest.Load(after, jo); err != nil || len(got) != 1 || got[0].ID != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = manifest.Load(before, jo); err != nil || len(got) != 2 {
		t.Errorf("the old snapshot changed: %+v, %v", got, err)
	}
	count := func(prefix kv.Partition) (n int) {
		for o, err := range manifest.All(after, prefix) {
			if err != nil || !strings.HasPrefix(string(o.Partition), string(prefix)) {
				t.Errorf("%+v, %v", o, err)
			}
			n++
		}
		return n
	}
	if count("") != 3 || count(keyenc.TablePrefix(42)) != 2 || count(shared) != 1 {
		t.Error("lists by prefix")
	}
	b.Reset()
	dropped, err := manifest.DropTable(&b, after, 42)
	if err != nil || len(dropped) != 2 {
		t.Errorf("%+v, %v", dropped, err)
	}
	if _, err := manifest.DropPartition(&b, after, shared); err != nil {
		t.Error(err)
	}
	after = write(t, k, &b)
	if count("") != 0 {
		t.Error("something is left")
	}
}

// TestBytes holds the example of the documentation in place.
func TestBytes(t *testing.T) {
	e := entry(1)
	e.Columns = e.Columns[:2]
	_, s := open(t, func(b *kv.Batch) { manifest.Add(b, shared, e) })
	it := s.Scan(keyenc.CatalogPartition("segments"), kv.Range{})
	defer it.Close()
	if !it.Next() {
		t.Fatal("nothing is written")
	}
	v, _ := it.Value()
	const wantKey = "7430303030303032627300" + "0000000000000001"
	const wantValue = "01" + "01" + "056c6f63616c" + "37" + "6170702f75736572732f6a6f2f6d657373616765732f30303030303032612d303030303030303030303030303030312e70617271756574" +
		"0a" + "e807" + "8877665544332211" + "0a" + "02" + "03" + "0161" + "016d" + "07" + "63" + "01" + "06" + "02" +
		"01" + "04" + "01" + "09" + "0a" + "02" + "08" + "07" + "026162" + "026364"
	if got := hex.EncodeToString(it.Key()); got != wantKey {
		t.Errorf("key   %s\nwant  %s", got, wantKey)
	}
	if got := hex.EncodeToString(v); got != wantValue {
		t.Errorf("value %s\nwant  %s", got, wantValue)
	}
}

func TestDamagedEntries(t *testing.T) {
	_, s := open(t, func(b *kv.Batch) { manifest.Add(b, shared, entry(1)) })
	it := s.Scan(keyenc.CatalogPartition("segments"), kv.Range{})
	it.Next()
	key := bytes.Clone(it.Key())
	v, _ := it.Value()
	value := bytes.Clone(v)
	it.Close()
	load := func(key, value []byte) error {
		_, s := open(t, func(b *kv.Batch) { b.Put(keyenc.CatalogPartition("segments"), key, value) })
		for _, err := range manifest.All(s, "") {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for i := range value {
		if err := load(key, value[:i]); dberr.CodeOf(err) != dberr.Internal {
			t.Errorf("the first %d bytes: %v", i, err)
		}
	}
	for what, err := range map[string]error{
		"more behind it": load(key, append(bytes.Clone(value), 0)),
		"another format": load(key, append([]byte{9}, value[1:]...)),
		"a short key":    load(key[:5], value),
		"a wrong key":    load(append(bytes.Clone(key), 0), value),
	} {
		if dberr.CodeOf(err) != dberr.Internal || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzEntry(f *testing.F) {
	k := memkv.New(memkv.Options{})
	defer k.Close()
	var b kv.Batch
	manifest.Add(&b, shared, entry(1))
	f.Add(b.Op(0).Key, b.Op(0).Value)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(key) > 1000 || len(value) > 1<<16 {
			return
		}
		_, s := open(t, func(b *kv.Batch) { b.Put(keyenc.CatalogPartition("segments"), key, value) })
		for o, err := range manifest.All(s, "") {
			if err == nil {
				o.May([]segment.Bound{{Column: 1, Value: sqltype.NewBigInt(1)}})
				o.Overlaps(nil, nil)
			}
		}
	})
}

func TestPruning(t *testing.T) {
	e := entry(1)
	for _, tt := range []struct {
		start, end string
		want       bool
	}{{"", "", true}, {"b", "c", true}, {"", "a", false}, {"", "b", true}, {"m", "", true}, {"n", "", false}} {
		var start, end []byte
		if tt.start != "" {
			start = []byte(tt.start)
		}
		if tt.end != "" {
			end = []byte(tt.end)
		}
		if e.Overlaps(start, end) != tt.want {
			t.Errorf("%q to %q", tt.start, tt.end)
		}
	}
	bound := func(c uint32, op segment.BoundOp, v sqltype.Value) bool {
		return e.May([]segment.Bound{{Column: c, Op: op, Value: v}})
	}
	for i, b := range []bool{
		bound(1, segment.BoundEq, sqltype.NewBigInt(5)), !bound(1, segment.BoundGt, sqltype.NewDouble(5)), bound(1, segment.BoundGe, sqltype.NewDouble(5)),
		bound(2, segment.BoundEq, sqltype.NewText("cdzzz")), !bound(2, segment.BoundEq, sqltype.NewText("ce")), bound(2, segment.BoundGt, sqltype.NewText("cd")),
		!bound(6, segment.BoundEq, sqltype.NewInt(sqltype.Date, 1)), bound(99, segment.BoundEq, sqltype.NewBigInt(1)), bound(1, segment.BoundEq, sqltype.NewText("x")),
	} {
		if !b {
			t.Errorf("bound %d", i)
		}
	}
}

func TestRuns(t *testing.T) {
	span := func(id manifest.ID, first, last string) manifest.Entry {
		return manifest.Entry{ID: id, Summary: segment.Summary{FirstKey: []byte(first), LastKey: []byte(last)}}
	}
	runs := manifest.Runs([]manifest.Entry{span(1, "m", "p"), span(2, "a", "f"), span(3, "c", "d"), span(4, "f", "g"), span(5, "h", "k")})
	var got [][]manifest.ID
	for _, r := range runs {
		var ids []manifest.ID
		for _, e := range r {
			ids = append(ids, e.ID)
		}
		got = append(got, ids)
	}
	if !reflect.DeepEqual(got, [][]manifest.ID{{2, 3, 4}, {5}, {1}}) {
		t.Errorf("%v", got)
	}
	if manifest.Runs(nil) != nil {
		t.Error("runs of nothing")
	}
}

func TestFileNames(t *testing.T) {
	name := "a/b/" + manifest.FileName(42, 0xabc)
	if table, id, ok := manifest.ParseFileName(name); !ok || table != 42 || id != 0xabc || name != "a/b/0000002a-0000000000000abc.parquet" {
		t.Errorf("%q: %d, %d, %t", name, table, id, ok)
	}
	for _, bad := range []string{"", "x.parquet", "0000002a-0000000000000abc", "2a-abc.parquet", "0000002A-0000000000000abc.parquet", "0000002a-0000000000000abc.parquet.tmp"} {
		if _, _, ok := manifest.ParseFileName(bad); ok {
			t.Errorf("%q is taken for a segment", bad)
		}
	}
}

func TestFindOrphans(t *testing.T) {
	b := object.NewMem()
	put := func(name string, size int) {
		if err := object.Put(t.Context(), b, name, make([]byte, size), object.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	there, resized, missing, elsewhere := entry(1), entry(2), entry(3), entry(4)
	elsewhere.Storage = "s3"
	put(there.Name, 1000)
	put(resized.Name, 999)
	put("app/users/jo/messages/"+manifest.FileName(42, 9), 5)
	put("app/users/jo/other/"+manifest.FileName(77, 9), 5)
	put("app/users/jo/messages/readme.txt", 5)
	_, s := open(t, func(kb *kv.Batch) {
		for _, e := range []*manifest.Entry{there, resized, missing, elsewhere} {
			manifest.Add(kb, jo, e)
		}
	})
	mine := func(table ident.TableID) bool { return table == 42 }
	got, err := manifest.FindOrphans(t.Context(), b, "app/", "local", s, time.Now().Add(time.Hour), mine)
	if err != nil || len(got.Unlisted) != 1 || !strings.HasSuffix(got.Unlisted[0].Name, manifest.FileName(42, 9)) ||
		len(got.Missing) != 1 || got.Missing[0].ID != 3 || len(got.Resized) != 1 || got.Resized[0].ID != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = manifest.FindOrphans(t.Context(), b, "app/", "local", s, time.Now().Add(-time.Hour), mine); err != nil || len(got.Unlisted) != 0 {
		t.Errorf("a young file is called an orphan: %+v, %v", got, err)
	}
	if errors.Is(err, object.ErrNotFound) {
		t.Error(err)
	}
}
