package storage

import (
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/core/catalog"
	"github.com/kalamdb/kalamdb/sql/ddl"
)

func manager(t *testing.T, inMemory bool) (*Manager, *catalog.Snapshot) {
	t.Helper()
	def := config.Default().Storage
	m := New(Options{Location: t.TempDir(), InMemory: inMemory, UserTemplate: def.UserTemplate, SharedTemplate: def.SharedTemplate})
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, catalog.New(nil)
}

func TestMaskShowsNothing(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "secret": "***", `["secret"]`: "***",
		`{"secret_access_key":"secret","access_key_id":"AK"}`: `{"access_key_id":"***","secret_access_key":"***"}`,
	} {
		if got := Mask(in); got != want {
			t.Errorf("%s is shown as %s", in, got)
		}
	}
}

func TestObjectNames(t *testing.T) {
	m, cat := manager(t, false)
	table := &ddl.Table{Namespace: "app", Name: "t", Type: ident.UserTable, Storage: "local"}
	for user, want := range map[ident.UserID]string{
		"ann": "app/users/ann/t/f", "../x": "app/users/%2e.%2fx/t/f", "a/b": "app/users/a%2fb/t/f",
	} {
		if got, err := m.ObjectName(cat, table, user, "f"); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", user, got, err, want)
		}
	}
	if got := m.Location(cat, table); got != m.Local().URI+"/app/users/{userId}/t/" {
		t.Errorf("the location is %s", got)
	}
	table.Storage = "nowhere"
	if _, err := m.ObjectName(cat, table, "ann", "f"); dberr.CodeOf(err) != dberr.NotFound {
		t.Errorf("a storage that is not there: %v", err)
	}
	if _, err := m.Bucket(cat, "nowhere"); dberr.CodeOf(err) != dberr.NotFound {
		t.Errorf("its bucket: %v", err)
	}
}

func TestBucketsAreOpenedOnce(t *testing.T) {
	for _, inMemory := range []bool{false, true} {
		m, cat := manager(t, inMemory)
		a, err := m.Bucket(cat, "local")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := m.Bucket(cat, "local"); err != nil || a != b {
			t.Errorf("opened again: %v", err)
		}
		shared := &ddl.Table{Namespace: "app", Name: "t", Type: ident.SharedTable, Storage: "local"}
		if got := m.Location(cat, shared); strings.HasPrefix(got, "memory:") != inMemory {
			t.Errorf("the location is %s", got)
		}
	}
}
