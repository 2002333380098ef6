package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/sql/ast"
	"github.com/kalamdb/kalamdb/sql/ddl"
	"github.com/kalamdb/kalamdb/sql/parser"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

// history is a catalog that writes every edit to a backend.
type history struct {
	*testing.T
	b   kv.Backend
	cat *Snapshot
}

func newHistory(t *testing.T) *history {
	return &history{t, memkv.New(memkv.Options{}), New(nil)}
}

func (h *history) edit(f func(e *Edit) error) error {
	e := h.cat.Edit(now)
	if err := f(e); err != nil {
		return err
	}
	if e.Changed() {
		if err := h.b.Write(context.Background(), e.Batch()); err != nil {
			h.Fatal(err)
		}
		h.cat = e.Next()
	}
	return nil
}

func (h *history) must(f func(e *Edit) error) {
	h.Helper()
	if err := h.edit(f); err != nil {
		h.Fatal(err)
	}
}

func (h *history) load() (*Snapshot, []Dropped, error) {
	s, err := h.b.Snapshot()
	if err != nil {
		h.Fatal(err)
	}
	defer s.Release()
	return Load(s, nil)
}

// show is everything in a catalog as text.
func show(s *Snapshot) string {
	var b strings.Builder
	for n := range s.Namespaces() {
		fmt.Fprintf(&b, "%+v\n", n)
	}
	for v := range s.Histories("") {
		for _, x := range v {
			fmt.Fprintf(&b, "%+v %s %v\n", *x.Table, x.Changes, x.CreatedAt)
		}
	}
	for v := range s.Views("") {
		fmt.Fprintf(&b, "%+v\n", *v)
	}
	return b.String()
}

func table(ns ident.NamespaceID, name ident.TableName) *ddl.Table {
	return &ddl.Table{
		Namespace: ns, Name: name, Type: ident.UserTable, Storage: "local", NextColumn: 4, PrimaryKey: []ddl.ColumnID{1},
		Flush: ddl.FlushPolicy{Interval: time.Minute, Rows: 5},
		Columns: []ddl.Column{
			{ID: 1, Name: "id", Type: sqltype.TBigInt, NotNull: true, Default: "SNOWFLAKE_ID()"},
			{ID: 2, Name: "price", Type: sqltype.Type{Kind: sqltype.Decimal, Precision: 8, Scale: 2}},
			{ID: 3, Name: "tags", Type: sqltype.ArrayOf(sqltype.Type{Kind: sqltype.Text, Precision: 9})},
		},
	}
}

func TestEditsLast(t *testing.T) {
	h := newHistory(t)
	h.must(func(e *Edit) error {
		for _, ns := range []ident.NamespaceID{"a", "b", "gone"} {
			if _, err := e.CreateNamespace(ns, map[string]string{"k": "v", "drop": "x"}, false); err != nil {
				return err
			}
		}
		return e.SetNamespaceOptions("a", map[string]string{"drop": "", "new": "y"})
	})
	var last *ddl.Table
	h.must(func(e *Edit) error {
		for _, n := range []ident.TableName{"t", "u", "gone"} {
			var err error
			if last, err = e.CreateTable(table("a", n), false); err != nil {
				return err
			}
		}
		return e.CreateView(&ddl.View{Namespace: "b", Name: "v", Columns: []string{"x"}, Query: "SELECT 1"}, false)
	})
	h.must(func(e *Edit) error {
		next := *table("a", "t")
		next.ID, next.CreatedAt, next.SchemaVersion = FirstTableID, now, 2
		next.Columns = append(slices.Clone(next.Columns), ddl.Column{ID: 4, Name: "more", Type: sqltype.TJSON})
		stale := next
		if stale.SchemaVersion--; e.AlterTable(&stale, "late") == nil {
			t.Error("a definition of another version is taken")
		}
		return e.AlterTable(&next, "ADD COLUMN more")
	})
	h.must(func(e *Edit) error {
		if _, err := e.DropTable("a", "gone", false); err != nil {
			return err
		}
		_, err := e.DropNamespace("gone", false, false)
		return err
	})
	loaded, dropped, err := h.load()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := show(loaded), show(h.cat); got != want {
		t.Errorf("loaded\n%s\nwant\n%s", got, want)
	}
	if len(dropped) != 1 || dropped[0].ID != last.ID {
		t.Errorf("dropped are %v", dropped)
	}
	if v, err := loaded.History("a", "t"); err != nil || len(v) != 2 || v[1].Table.SchemaVersion != 2 || len(v[0].Table.Columns) != 3 {
		t.Errorf("history is %+v, %v", v, err)
	}
	var b kv.Batch
	Forget(&b, last.ID)
	if err := h.b.Write(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	loaded, dropped, err = h.load()
	if err != nil || len(dropped) != 0 {
		t.Fatalf("after Forget: %v, %v", dropped, err)
	}
	e := loaded.Edit(now)
	if next, err := e.CreateTable(table("b", "next"), false); err != nil || next.ID <= last.ID {
		t.Errorf("the next table is %+v, %v", next, err)
	}
}

func TestSnapshotsDoNotChange(t *testing.T) {
	h := newHistory(t)
	h.must(func(e *Edit) error { _, err := e.CreateNamespace("a", nil, false); return err })
	h.must(func(e *Edit) error { _, err := e.CreateTable(table("a", "t"), false); return err })
	old, before := h.cat, show(h.cat)
	h.must(func(e *Edit) error { _, err := e.CreateTable(table("a", "u"), false); return err })
	h.must(func(e *Edit) error {
		return e.CreateView(&ddl.View{Namespace: "a", Name: "v", Query: "SELECT 1"}, false)
	})
	h.must(func(e *Edit) error { _, err := e.DropNamespace("a", true, false); return err })
	if show(old) != before {
		t.Error("an old snapshot has changed")
	}
	if old.Version() >= h.cat.Version() {
		t.Error("the version did not grow")
	}
	// A failed edit, too, leaves everything as it was.
	before = show(h.cat)
	err := h.edit(func(e *Edit) error {
		if _, err := e.CreateNamespace("half", nil, false); err != nil {
			return err
		}
		_, err := e.CreateTable(table("nowhere", "t"), false)
		return err
	})
	if dberr.CodeOf(err) != dberr.NamespaceNotFound || show(h.cat) != before {
		t.Errorf("a failed edit: %v", err)
	}
}

func TestLoadRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, c := range map[string]struct {
		key    []byte
		record string
		code   dberr.Code
	}{
		"newer format":      {namespaceKey("a"), `{"format":99,"id":"a"}`, dberr.StorageUnavailable},
		"damaged":           {namespaceKey("a"), `{"format":`, dberr.Internal},
		"reserved":          {namespaceKey("system"), `{"format":1,"id":"system"}`, dberr.Internal},
		"without namespace": {tableKey(5, 1), `{"format":1,"id":5,"namespace":"x","name":"t"}`, dberr.Internal},
		"unknown type":      {viewKey("x", "v"), `{"format":1,"namespace":"x","name":"v"}`, dberr.Internal},
	} {
		h := newHistory(t)
		var b kv.Batch
		b.Put(Partition, c.key, []byte(c.record))
		if err := h.b.Write(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.load(); dberr.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestResolveType(t *testing.T) {
	for in, want := range map[string]string{
		"INT": "INT", "int4": "INT", "INTEGER": "INT", "INT8": "BIGINT", "SMALLINT": "SMALLINT", "int2": "SMALLINT",
		"FLOAT": "FLOAT", "FLOAT4": "FLOAT", "FLOAT8": "DOUBLE", "FLOAT(10)": "FLOAT", "FLOAT(30)": "DOUBLE", "DOUBLE PRECISION": "DOUBLE",
		"NUMERIC": "DECIMAL", "NUMERIC(10)": "DECIMAL(10,0)", "DECIMAL(10,2)": "DECIMAL(10,2)",
		"VARCHAR(20)": "VARCHAR(20)", "CHARACTER VARYING(5)": "VARCHAR(5)", "CHAR": "VARCHAR(1)", "CHAR(3)": "VARCHAR(3)", "TEXT": "TEXT",
		"JSONB": "JSON", "UUID": "UUID", "BYTEA": "BYTES", "DATETIME": "TIMESTAMP", "TIMESTAMPTZ": "TIMESTAMP",
		"TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "TIMESTAMP(3)": "TIMESTAMP", "DATE": "DATE", "TIME": "TIME", "BOOL": "BOOLEAN",
		"TEXT[]": "TEXT[]", "INT(11)": "INT",
	} {
		x, err := parser.Parse("CREATE TABLE a.t (c " + in + ")")
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got, serial, err := ResolveType(&x.(*ast.CreateTable).Columns[0].Type)
		if err != nil || serial || got.String() != want {
			t.Errorf("%s is %s, %v, %v; want %s", in, got, serial, err, want)
		}
	}
	for _, in := range []string{"SERIAL", "BIGSERIAL", "SMALLSERIAL", "INT AUTO_INCREMENT"} {
		x, err := parser.Parse("CREATE TABLE a.t (c " + in + ")")
		if err != nil {
			t.Fatal(err)
		}
		def, err := Define(x.(*ast.CreateTable), "", "a", nil)
		if err != nil || def.Columns[0].Type != sqltype.TBigInt || def.Columns[0].Default != SnowflakeDefault || !def.Columns[0].NotNull {
			t.Errorf("%s: %+v, %v", in, def, err)
		}
	}
}
