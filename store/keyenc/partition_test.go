package keyenc_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/keyenc"
	"github.com/kalamdb/kalamdb/store/kv"
)

func TestPartitionNames(t *testing.T) {
	users := []ident.UserID{"", "a", "a\x00", "a\x01", "a\x02", "a\x03", "a!", "aa", "ab", "auth0|5f7c", "b", "jo@example.com", "é", "\xff",
		ident.UserID(strings.Repeat("\x00", 128))}
	tables := []ident.TableID{0, 1, 15, 16, 255, math.MaxUint32}
	var all []kv.Partition
	add := func(p kv.Partition, want keyenc.PartitionName) {
		t.Helper()
		all = append(all, p)
		if !p.Valid() {
			t.Errorf("%q is no valid name", p)
		}
		if got, err := keyenc.ParsePartition(p); err != nil || got != want {
			t.Errorf("parse %q: %+v, %v; want %+v", p, got, err, want)
		}
	}
	add(keyenc.MetaPartition(), keyenc.PartitionName{Kind: keyenc.Meta})
	for _, c := range []string{"tables", "table", "", "users"} {
		p := keyenc.CatalogPartition(c)
		add(p, keyenc.PartitionName{Kind: keyenc.Catalog, Catalog: c})
		if !strings.HasPrefix(string(p), string(keyenc.CatalogPrefix())) {
			t.Errorf("%q is outside the catalog", p)
		}
	}
	for _, tab := range tables {
		add(keyenc.SharedPartition(tab), keyenc.PartitionName{Kind: keyenc.Shared, Table: tab})
		for _, u := range users {
			add(keyenc.UserPartition(tab, u), keyenc.PartitionName{Kind: keyenc.User, Table: tab, User: u})
		}
	}
	for i, a := range all {
		for j, b := range all {
			if i != j && strings.HasPrefix(string(b), string(a)) {
				t.Errorf("%q starts with %q", b, a)
			}
		}
		n, err := keyenc.ParsePartition(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, tab := range tables {
			of := n.Kind >= keyenc.Shared && n.Table == tab
			if strings.HasPrefix(string(a), string(keyenc.TablePrefix(tab))) != of {
				t.Errorf("%q under the prefix of table %d: %v", a, tab, !of)
			}
		}
		if n.Kind >= keyenc.Shared != strings.HasPrefix(string(a), string(keyenc.TablesPrefix())) {
			t.Errorf("%q under the prefix of tables", a)
		}
	}
	var names []kv.Partition
	sorted := slices.Sorted(slices.Values(users))
	for _, u := range sorted {
		names = append(names, keyenc.UserPartition(7, u))
	}
	if !slices.IsSorted(names) {
		t.Errorf("partitions do not sort by user: %q", names)
	}
}

func TestParsePartitionBad(t *testing.T) {
	for _, p := range []kv.Partition{
		"", "x", "m", "mm", "m\x01\x01", "c", "ctables", "ctables\x01x", "c\x02\x01", "c\x02\x09\x01", "c\x02",
		"t", "t0000000", "t00000001", "t0000000gs", "t0000000As", "t00000001sx", "t00000001u", "t00000001ua", "t00000001xa\x01", "t+0000001s",
	} {
		if n, err := keyenc.ParsePartition(p); err == nil {
			t.Errorf("%q was read as %+v", p, n)
		}
	}
}

func FuzzParsePartition(f *testing.F) {
	f.Add(string(keyenc.MetaPartition()))
	f.Add(string(keyenc.CatalogPartition("tables")))
	f.Add(string(keyenc.SharedPartition(7)))
	f.Add(string(keyenc.UserPartition(7, "a\x00b\x02")))
	f.Fuzz(func(t *testing.T, s string) {
		n, err := keyenc.ParsePartition(kv.Partition(s))
		if err != nil {
			return
		}
		var again kv.Partition
		switch n.Kind {
		case keyenc.Meta:
			again = keyenc.MetaPartition()
		case keyenc.Catalog:
			again = keyenc.CatalogPartition(n.Catalog)
		case keyenc.Shared:
			again = keyenc.SharedPartition(n.Table)
		case keyenc.User:
			again = keyenc.UserPartition(n.Table, n.User)
		}
		if string(again) != s {
			t.Errorf("%q was read as %+v, which is %q", s, n, again)
		}
	})
}
