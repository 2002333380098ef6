package backup

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/core/table"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/store/manifest"
	"github.com/kalamdb/kalamdb/store/object"
	"github.com/kalamdb/kalamdb/store/segment"
)

// sample is the manifest of an empty namespace.
func sample(t testing.TB) []byte {
	t.Helper()
	e := catalog.New(nil).Edit(time.Unix(1, 0))
	if _, err := e.CreateNamespace("app", map[string]string{"owner": "<ann>"}, false); err != nil {
		t.Fatal(err)
	}
	defs, err := e.Next().Export("app")
	if err != nil {
		t.Fatal(err)
	}
	m := &Manifest{Format: Format, Server: "v1", Folder: "job_1", Sequence: 7, CreatedAt: time.Unix(2, 0).UTC(), Definitions: defs}
	data, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestManifestBytes changes every bit of a manifest and leaves out every end of
// it: none of them is read.
func TestManifestBytes(t *testing.T) {
	data := sample(t)
	m, err := decode(data)
	if err != nil || m.namespace() != "app" || m.Sequence != 7 || m.Folder != "job_1" {
		t.Fatalf("read %+v, %v", m, err)
	}
	for i := range data {
		for bit := range 8 {
			bad := bytes.Clone(data)
			bad[i] ^= 1 << bit
			if m, err := decode(bad); err == nil {
				t.Fatalf("bit %d of byte %d changed: read %+v", bit, i, m)
			} else if dberr.CodeOf(err) != dberr.StorageUnavailable || !strings.Contains(err.Error(), "backup.json") {
				t.Fatalf("bit %d of byte %d changed: %v", bit, i, err)
			}
		}
		if _, err := decode(data[:i]); err == nil {
			t.Fatalf("the first %d bytes are read", i)
		}
	}
	// Sound, but of a server that is yet to come, or of no use.
	for text, want := range map[string]string{
		`{"format":2}`: "newer server",
		`{"format":1}`: "makes no sense",
		`{"format":1,"folder":"../x","definitions":{"namespace":{}}}`: "makes no sense",
	} {
		body := []byte(text)
		whole := `{"kalamdb":"backup","sha256":"` + sum(body) + `","manifest":` + text + `}`
		if _, err := decode([]byte(whole)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(sample(f))
	f.Add([]byte(`{"kalamdb":"backup","sha256":"","manifest":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		if err != nil {
			return
		}
		// What is sound by its checksum may still make no sense.
		_, _ = m.restored("other")
	})
}

func TestLists(t *testing.T) {
	p := &place{bucket: object.NewMem(), prefix: "daily/1/"}
	var all []table.Portion
	for _, user := range []ident.UserID{"ann", "", "bob\u202e"} {
		all = append(all, table.Portion{User: user, Entry: manifest.Entry{
			Name:    "job_1/t0001/t0001-000001.parquet",
			Summary: segment.Summary{Bytes: 10, Checksum: 1 << 60, Rows: 3, SchemaVersion: 1, FirstKey: []byte{1}, LastKey: []byte{2}, MinSeq: 1, MaxSeq: 3},
		}})
	}
	l, err := p.writeList(t.Context(), "job_1/t0001/list.json", all)
	if err != nil || l.Files != 3 {
		t.Fatal(l, err)
	}
	got, err := p.readList(t.Context(), l)
	if err != nil || len(got) != 3 || got[2].User != all[2].User || got[0].Entry.Checksum != 1<<60 || got[0].Entry.Name != "daily/1/job_1/t0001/t0001-000001.parquet" {
		t.Fatalf("read %+v, %v", got, err)
	}
	data, err := object.ReadAll(t.Context(), p.bucket, p.name(l.File), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		q := &place{bucket: object.NewMem()}
		if err := object.Put(t.Context(), q.bucket, l.File, bad, object.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := q.readList(t.Context(), l); dberr.CodeOf(err) != dberr.StorageUnavailable || !strings.Contains(err.Error(), "list.json") {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	if _, err := (&place{bucket: object.NewMem()}).readList(t.Context(), l); dberr.CodeOf(err) != dberr.StorageUnavailable || !strings.Contains(err.Error(), "list.json is missing") {
		t.Errorf("a missing list: %v", err)
	}
	l.File = "../x"
	if _, err := p.readList(t.Context(), l); err == nil {
		t.Error("a list outside of the backup is read")
	}
}

func TestViewsFollowTheirNamespace(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT * FROM app.t": "SELECT * FROM copy.t",
		"SELECT app.t.a, app.t.* FROM app.t JOIN other.t x ON x.a = app.t.a":             "SELECT copy.t.a, copy.t.* FROM copy.t JOIN other.t x ON x.a = copy.t.a",
		"SELECT 'app.t', app FROM other.app":                                             "SELECT 'app.t', app FROM other.app",
		"WITH app AS (SELECT 1 AS n) SELECT n FROM app WHERE n IN (SELECT a FROM app.t)": "WITH app AS (SELECT 1 AS n) SELECT n FROM app WHERE n IN (SELECT a FROM copy.t)",
	} {
		got, err := renamed(query, "app", "copy")
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		tree, err := parser.Parse(want)
		if err != nil {
			t.Fatal(err)
		}
		if got != ast.SQL(tree) {
			t.Errorf("%s became %s", query, got)
		}
	}
	if _, err := renamed("SELECT FROM FROM", "a", "b"); err == nil {
		t.Error("nonsense became a query")
	}
}
