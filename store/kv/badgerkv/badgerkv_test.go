package badgerkv_test

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
	"github.com/kalamdb/kalamdb/store/kv/badgerkv"
	"github.com/kalamdb/kalamdb/store/kv/kvtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string, noSync bool) *badgerkv.Backend {
	t.Helper()
	b, err := badgerkv.Open(badgerkv.Options{Dir: dir, NoSync: noSync, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestConformance(t *testing.T) {
	for name, noSync := range map[string]bool{"sync": false, "nosync": true} {
		t.Run(name, func(t *testing.T) {
			dirs := map[kv.Backend]string{}
			kvtest.Run(t, kvtest.Harness{
				Open: func(t *testing.T) kv.Backend {
					dir := t.TempDir()
					b := open(t, dir, noSync)
					dirs[b] = dir
					return b
				},
				Reopen: func(t *testing.T, b kv.Backend) kv.Backend {
					if err := b.Close(); err != nil {
						t.Fatal(err)
					}
					again := open(t, dirs[b], noSync)
					dirs[again] = dirs[b]
					return again
				},
			})
		})
	}
}

func TestSecondOpen(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, false)
	_, err := badgerkv.Open(badgerkv.Options{Dir: dir})
	if dberr.CodeOf(err) != dberr.StorageUnavailable {
		t.Fatalf("second open: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, false)
}

func TestBadOptions(t *testing.T) {
	for name, opt := range map[string]badgerkv.Options{
		"no folder":      {},
		"small memtable": {Dir: t.TempDir(), MemTable: 1000},
		"small log file": {Dir: t.TempDir(), ValueLogFile: 1},
		"huge log file":  {Dir: t.TempDir(), ValueLogFile: 1 << 40},
		"one compactor":  {Dir: t.TempDir(), Compactors: 1},
		"a file":         {Dir: "/dev/null/x"},
	} {
		if b, err := badgerkv.Open(opt); err == nil {
			t.Errorf("%s: no error", name)
			b.Close()
		}
	}
}
