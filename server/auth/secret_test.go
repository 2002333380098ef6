package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
)

func TestSecretIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	got := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			s, err := Secret(config.Auth{}, dir)
			if err != nil {
				t.Error(err)
			}
			got[i] = s
		})
	}
	wg.Wait()
	for _, s := range got {
		if len(s) < config.MinSecretLen || !bytes.Equal(s, got[0]) {
			t.Fatalf("%q and %q", s, got[0])
		}
	}
	info, err := os.Stat(filepath.Join(dir, SecretFile))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

func TestSecretIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SecretFile)
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(config.Auth{}, dir); err == nil {
		t.Error("a short secret was taken")
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Secret(config.Auth{}, dir); err == nil {
			t.Error("a secret that everybody reads was taken")
		}
	}
	if s, err := Secret(config.Auth{JWTSecret: "configured"}, dir); err != nil || string(s) != "configured" {
		t.Error(s, err)
	}
}
