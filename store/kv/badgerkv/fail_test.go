package badgerkv

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/store/kv"
)

// TestFailedCommit makes the sync of the folder fail after Badger has taken
// the batch: nothing of it may be seen until the database is opened again, and
// no later write may bring it to light.
func TestFailedCommit(t *testing.T) {
	dir := t.TempDir()
	b := mustOpen(t, dir)
	mustWrite(t, b, "p", "a", "1")
	b.folder.dir = dir + "/KEYREGISTRY/x" // a file is no folder
	var batch kv.Batch
	batch.Put("p", []byte("b"), []byte("2"))
	batch.Put("q", []byte("c"), []byte("3"))
	err := b.Write(t.Context(), &batch)
	if e, ok := dberr.As(err); !ok || e.Code != dberr.StorageUnavailable || strings.Contains(e.Message+e.Hint, dir) {
		t.Fatalf("write: %v", err)
	}
	b.folder.dir = dir
	for range 2 {
		if err := b.Write(t.Context(), &batch); dberr.CodeOf(err) != dberr.StorageUnavailable {
			t.Errorf("write after a failed one: %v", err)
		}
		if err := b.DropPartitions(t.Context(), "p"); dberr.CodeOf(err) != dberr.StorageUnavailable {
			t.Errorf("drop after a failed write: %v", err)
		}
		if got := state(t, b, "p"); len(got) != 1 || got["a"] != "1" {
			t.Errorf("state: %v", got)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = mustOpen(t, dir)
	p, q := state(t, b, "p"), state(t, b, "q")
	if len(p)-1 != len(q) {
		t.Errorf("half of the batch is there: %v, %v", p, q)
	}
	mustWrite(t, b, "p", "d", "4")
}

// TestDropDuringCompaction drops few keys while a compaction holds its place.
func TestDropDuringCompaction(t *testing.T) {
	b := mustOpen(t, t.TempDir())
	mustWrite(t, b, "p", "a", "1")
	var batch kv.Batch
	for i := range smallDrop + 1 {
		batch.Put("q", []byte{byte(i), byte(i >> 8)}, nil)
	}
	if err := b.Write(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	b.maintaining <- struct{}{}
	if err := b.DropPartition(t.Context(), "p"); err != nil {
		t.Error(err)
	}
	if got := state(t, b, "p"); len(got) != 0 {
		t.Errorf("state: %v", got)
	}
	// Many keys wait, as long as the caller does, and hold nobody up.
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.DropPartition(ctx, "q") }()
	mustWrite(t, b, "p", "b", "2")
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("drop: %v", err)
	}
	if got := state(t, b, "q"); len(got) != smallDrop+1 {
		t.Errorf("%d keys are left", len(got))
	}
	release(b.maintaining)
	if err := b.DropPartition(t.Context(), "q"); err != nil {
		t.Error(err)
	}
	if got := state(t, b, "q"); len(got) != 0 {
		t.Errorf("%d keys are left", len(got))
	}
}

func TestLogBridge(t *testing.T) {
	var out bytes.Buffer
	log := logBridge{slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	log.Errorf("an error %d\n", 1)
	log.Warningf("a warning")
	log.Infof("all %s", "tables")
	log.Debugf("noise")
	for _, want := range []string{`level=ERROR msg="an error 1"`, `level=WARN msg="a warning"`, `level=DEBUG msg="all tables"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "noise") {
		t.Error("debug noise came through")
	}
	out.Reset()
	quiet := logBridge{slog.New(slog.NewTextHandler(&out, nil))}
	quiet.Infof("all tables")
	if out.Len() > 0 {
		t.Errorf("the log at level INFO says %s", out.String())
	}
}
