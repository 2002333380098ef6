package golden_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/kalamdb/kalamdb/commons/golden"
)

// failures notes what a test would have failed of.
type failures struct {
	testing.TB
	errors []string
}

func (f *failures) Helper() {}
func (f *failures) Errorf(s string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(s, args...))
}

func TestGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "text.golden")
	golden.Write(t, path, "one\n")
	for name, compare := range map[string]func(testing.TB, string, string){"screen": golden.Screen, "page": golden.Page} {
		f := &failures{TB: t}
		compare(f, path, "one\n")
		if len(f.errors) != 0 {
			t.Errorf("%s: the same text differs: %q", name, f.errors)
		}
		compare(f, path, "two\n")
		if len(f.errors) != 1 {
			t.Errorf("%s: another text is the same: %q", name, f.errors)
		}
	}
	if text, _ := os.ReadFile(path); string(text) != "one\n" {
		t.Errorf("comparing has written %q", text)
	}

	if err := flag.Set("rewrite", "true"); err != nil {
		t.Fatal(err)
	}
	defer flag.Set("rewrite", "false")
	golden.Page(t, path, "two\n")
	golden.Screen(t, path, "three\n")
	if text, _ := os.ReadFile(path); string(text) != "three\n" || !golden.Rewriting() {
		t.Errorf("rewriting has left %q", text)
	}
}
