package table

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sysname"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/rowenc"
)

// spoiled is a database whose insides a test changes.
type spoiled struct {
	testing.TB
	b     kv.Backend
	files *place
	// rows is the partition of a user with two hot rows and one file.
	rows kv.Partition
}

func (s *spoiled) snapshot() kv.Snapshot {
	s.Helper()
	snap, err := s.b.Snapshot()
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(snap.Release)
	return snap
}

// put writes a value; nil removes the key.
func (s *spoiled) put(p kv.Partition, key, value []byte) {
	s.Helper()
	var b kv.Batch
	if b.Put(p, key, value); value == nil {
		b.Delete(p, key)
	}
	if err := s.b.Write(s.Context(), &b); err != nil {
		s.Fatal(err)
	}
}

// first is the first key of a partition and its value.
func (s *spoiled) first(p kv.Partition) (key, value []byte) {
	s.Helper()
	it := s.snapshot().Scan(p, kv.Range{})
	defer it.Close()
	if !it.Next() {
		s.Fatalf("partition %q is empty", string(p))
	}
	v, err := it.Value()
	if err != nil {
		s.Fatal(err)
	}
	return append([]byte(nil), it.Key()...), append([]byte(nil), v...)
}

// TestAudit damages a database, in one way each time, and finds it.
func TestAudit(t *testing.T) {
	lists := keyenc.CatalogPartition("segments")
	for name, c := range map[string]struct {
		spoil       func(s *spoiled)
		fault, note string
	}{
		"nothing": {spoil: func(*spoiled) {}},
		"a row cut off": {fault: "app.t the hot row with the key", spoil: func(s *spoiled) {
			key, v := s.first(s.rows)
			s.put(s.rows, key, v[:10])
		}},
		"a row under another key": {fault: "another key than it is kept under", spoil: func(s *spoiled) {
			key, v := s.first(s.rows)
			s.put(s.rows, key, nil)
			s.put(s.rows, append(key, 7), v)
		}},
		"a number that was never given": {fault: "the database is at", spoil: func(s *spoiled) {
			key, v := s.first(s.rows)
			v, err := rowenc.Restamp(nil, v, rowenc.Header{Seq: 1 << 50})
			if err != nil {
				s.Fatal(err)
			}
			s.put(s.rows, key, v)
		}},
		"a lost row": {fault: "1 hot rows are there, 2 are counted", spoil: func(s *spoiled) {
			key, _ := s.first(s.rows)
			s.put(s.rows, key, nil)
		}},
		"rows of nobody": {fault: "a table 999, which does not exist", spoil: func(s *spoiled) {
			s.put(keyenc.SharedPartition(999), []byte("k"), []byte("v"))
		}},
		"a lost list": {fault: "0 files of 0 bytes are listed, 1 of", note: "is in no list", spoil: func(s *spoiled) {
			key, _ := s.first(lists)
			s.put(lists, key, nil)
		}},
		"a damaged list": {fault: "is damaged", spoil: func(s *spoiled) {
			key, v := s.first(lists)
			s.put(lists, key, v[:5])
		}},
		"a segment that is listed twice": {fault: "an older file of the partition has them up to", spoil: func(s *spoiled) {
			all, err := manifest.Load(s.snapshot(), s.rows)
			if err != nil {
				s.Fatal(err)
			}
			twin := all[0]
			twin.ID++
			twin.Name = strings.Replace(twin.Name, manifest.FileName(1024, all[0].ID), manifest.FileName(1024, twin.ID), 1)
			var b kv.Batch
			manifest.Add(&b, s.rows, &twin)
			if err := s.b.Write(s.Context(), &b); err != nil {
				s.Fatal(err)
			}
		}},
		"a lost file": {fault: "is missing", spoil: func(s *spoiled) {
			if err := s.files.bucket.Delete(s.Context(), s.files.names(s)[0]); err != nil {
				s.Fatal(err)
			}
		}},
		"a file that was not finished": {note: "the next start deletes it", spoil: func(s *spoiled) {
			s.put(notes, noted{"local", "x.parquet"}.key(), []byte{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b, p := memkv.New(memkv.Options{}), newPlace()
			f := open(t, b, Options{Files: p})
			tab := f.table(ident.UserTable, "t", true, func(t *ddl.Table) { t.Storage = sysname.DefaultStorage })
			f.mustCommit("ann", tab, insert(1, "a"))
			f.flush(tab)
			f.mustCommit("ann", tab, insert(2, "b"), insert(3, "c"))
			if tab.ID != 1024 {
				t.Fatalf("the table is %d", tab.ID)
			}
			s := &spoiled{TB: t, b: b, files: p, rows: keyenc.UserPartition(tab.ID, "ann")}
			c.spoil(s)
			var faults, told []string
			a := &Audit{Snapshot: s.snapshot(), Files: p, Depth: Everything, Finding: func(f Finding) {
				if text := f.Table + " " + f.Text; f.Fault {
					faults = append(faults, text)
				} else {
					told = append(told, text)
				}
			}}
			res, err := a.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for what, got := range map[string]struct {
				have []string
				want string
			}{"faults": {faults, c.fault}, "notes": {told, c.note}} {
				if all := strings.Join(got.have, "\n"); (all != "") != (got.want != "") || !strings.Contains(all, got.want) {
					t.Errorf("%s are %q, want %q", what, all, got.want)
				}
			}
			if at := res.Tables[tab.ID]; name == "nothing" && (at.Live != 3 || at.Hot != 2 || at.Cold != 1 || at.Files != 1 || at.Owners != 1 || res.Partitions != 1) {
				t.Errorf("the figures are %+v", at)
			}
		})
	}
}
