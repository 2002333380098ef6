package logging

import (
	"bytes"
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
