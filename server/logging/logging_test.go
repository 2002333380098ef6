package logging

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/config"
)

func TestFormatAndLevel(t *testing.T) {
	var out bytes.Buffer
	c := config.Default().Log
	c.Format, c.Level = "json", "warn"
	l, err := New(c, &out)
	if err != nil {
		t.Fatal(err)
	}
	l.Info("quiet")
	l.Warn("loud", "key", 1)
	l.Level.Set(slog.LevelInfo)
	l.Info("now")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, `"msg":"loud","key":1`) || !strings.Contains(got, `"now"`) {
		t.Error(got)
	}
	c.Level = "x"
	if _, err := New(c, &out); err == nil {
		t.Error("an unknown level was taken")
	}
}

func TestRotation(t *testing.T) {
	name := filepath.Join(t.TempDir(), "logs", "kalam.log")
	r, err := openRotating(name, 100, 2)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 39) + "\n"
	for range 9 { // two lines a file
		if _, err := r.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	for file, lines := range map[string]int{name: 1, name + ".1": 2, name + ".2": 2} {
		b, err := os.ReadFile(file)
		if err != nil || string(b) != strings.Repeat(line, lines) {
			t.Errorf("%s: %q %v", file, b, err)
		}
	}
	if _, err := os.Stat(name + ".3"); err == nil {
		t.Error("an old file is kept too long")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]byte("x")); err == nil {
		t.Error("writing to a closed log succeeds")
	}
	// A restart goes on where the last run stopped.
	if r, err = openRotating(name, 100, 2); err != nil || r.size != 40 {
		t.Fatal(err, r.size)
	}
	r.Close()

	if r, err = openRotating(name, 100, 0); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 {
		if _, err := r.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if b, _ := os.ReadFile(name); string(b) != line {
		t.Errorf("%q", b)
	}
}

// TestRotationThatFails cannot begin a new file for a while: the log goes on
// once it can.
func TestRotationThatFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	name := filepath.Join(dir, "server.log")
	r, err := openRotating(name, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]byte("123456789\n")); err != nil {
		t.Fatal(err)
	}
	away := dir + ".away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Write([]byte("lost\n")); err == nil {
			t.Fatal("it writes to a folder that is gone")
		}
	}
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]byte("kept\n")); err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]byte("late\n")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	var all []byte
	for _, n := range []string{name + ".1", name} {
		b, err := os.ReadFile(n)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if string(all) != "123456789\nkept\n" {
		t.Errorf("the log has %q", all)
	}
}
