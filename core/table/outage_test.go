package table

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/store/kv/faultkv"
	"github.com/kalamdb/kalamdb/store/kv/memkv"
)

// TestOutageIsLoggedOnce fails many writes in a row: the log has one line of it,
// and one when writes succeed again.
func TestOutageIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	b := faultkv.New(memkv.New(memkv.Options{}))
	f := open(t, b, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	tab := f.table(ident.UserTable, "f", true, nil)
	f.mustCommit("u", tab, insert(1, ""))
	log.Reset()
	b.Set(faultkv.On(faultkv.Write).Fail(faultkv.ErrDiskFull))
	for i := range int64(5) {
		if err := f.commit("u", tab, insert(2+i, "")); code(err) != dberr.StorageUnavailable {
			t.Fatalf("got %v", err)
		}
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 1 || !strings.Contains(lines[0], "level=ERROR") || !strings.Contains(lines[0], "The storage is full.") {
		t.Errorf("while writes fail the log has %q", lines)
	}
	log.Reset()
	b.Set()
	if err := f.Probe(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.mustCommit("u", tab, insert(2, ""))
	lines = strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 1 || !strings.Contains(lines[0], "takes writes again") {
		t.Errorf("afterwards the log has %q", lines)
	}
}

// TestOutagesByTurns has writes fail and succeed by turns, as on a disk that is
// nearly full: that does not fill the log, and what lasts is told.
func TestOutagesByTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var buf bytes.Buffer
		log := slog.New(slog.NewTextHandler(&buf, nil))
		full := dberr.New(dberr.StorageUnavailable, "The storage is full.")
		var o outage
		for range 100 {
			o.begin(log, full)
			o.end(log)
		}
		if n := strings.Count(buf.String(), "\n"); n != 2 {
			t.Errorf("%d lines for outages by turns", n)
		}
		buf.Reset()
		o.begin(log, full)
		if buf.Len() != 0 {
			t.Errorf("another outage at once: %s", buf.String())
		}
		if o.failed.Load() != full {
			t.Error("it is not known without the log")
		}
		time.Sleep(outageQuiet)
		o.begin(log, full) // it lasts
		o.begin(log, full)
		if n := strings.Count(buf.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d lines for one that lasts", n)
		}
		o.end(log)
		o.end(log)
		if n := strings.Count(buf.String(), "again"); n != 1 || o.failed.Load() != nil {
			t.Errorf("%d lines for its end", n)
		}
	})
}
