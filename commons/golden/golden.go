// Package golden is for tests that hold a checked-in text, a page of the
// documentation or what a program shows, to what the code makes. It adds the
// flag -rewrite to a test binary, which writes the texts anew.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the checked-in texts that tests compare with")

// Rewriting tells whether the texts are to be written instead of compared, for
// tests that compare in a way of their own.
func Rewriting() bool { return *rewrite }

// Write writes a text, and its folder when that is not there.
func Write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Screen compares what was shown with the text at path, and shows both where
// they differ.
func Screen(t testing.TB, path, got string) {
	t.Helper()
	if *rewrite {
		Write(t, path, got)
	}
	if want := read(t, path); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// Page compares a page of the documentation with what the code says.
func Page(t testing.TB, path, says string) {
	t.Helper()
	if *rewrite {
		Write(t, path, says)
	}
	if read(t, path) != says {
		t.Errorf("%s is not what the code says; the package's tests write it with the flag -rewrite", path)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
