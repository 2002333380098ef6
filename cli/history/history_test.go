package history

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, path string, limit int) *History {
	t.Helper()
	h, err := Open(path, limit)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestEntriesOutliveTheSession(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".kalam", "history")
	h := open(t, path, 5000)
	want := []string{"SELECT 1;", "SELECT\n  'a\\nb',\n  '\\'\n;", "SELECT 'é日😀';"}
	for _, l := range append(want, want[2], "", "   ", " SELECT 'begins with a space';") {
		if err := h.Add(l); err != nil {
			t.Fatal(err)
		}
	}
	if got := open(t, path, 5000).Lines(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
}

func TestThousandsOfEntries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	h := open(t, path, 1000)
	for i := range 2500 {
		h.Add(fmt.Sprintf("SELECT %d;", i))
	}
	h = open(t, path, 1000)
	if n := h.Len(); n != 1000 {
		t.Errorf("%d entries", n)
	}
	if l, err := h.GetLine(0); l != "SELECT 1500;" || err != nil {
		t.Errorf("oldest %q, %v", l, err)
	}
	data, _ := os.ReadFile(path)
	if n := strings.Count(string(data), "\n"); n != 1000 {
		t.Errorf("the file was not shortened: %d lines", n)
	}
	if _, err := h.GetLine(1000); err == nil {
		t.Error("an entry past the end was given")
	}
}

// What occurs when the command history file becomes corrupted?
func TestCorruptedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	os.WriteFile(path, []byte("SELECT 1;\n\x00\x01binary\n\xff\xfe\n"+strings.Repeat("x", 200_000)+"\nSELECT 2;\nSELECT 'torn"), 0o600)
	h := open(t, path, 100)
	if got := h.Lines(); !reflect.DeepEqual(got, []string{"SELECT 1;", "SELECT 2;", "SELECT 'torn"}) {
		t.Errorf("got %q", got)
	}
	h.Add("SELECT 3;")
	if got := open(t, path, 100).Lines(); got[len(got)-1] != "SELECT 3;" {
		t.Errorf("the entry after a torn one is %q", got[len(got)-1])
	}
}

// What occurs when multiple CLI instances write the history file
// simultaneously?
func TestSeveralPrograms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	var wg sync.WaitGroup
	for w := range 8 {
		h := open(t, path, 5000)
		wg.Go(func() {
			for i := range 100 {
				if err := h.Add(fmt.Sprintf("SELECT '%d-%d';", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, l := range open(t, path, 5000).Lines() {
		seen[l] = true
	}
	if len(seen) != 800 {
		t.Errorf("%d of 800 entries", len(seen))
	}
}

// TestProgramsThatShorten has processes that append and shorten at the same
// time. The file keeps the newest entries whole: of each process those that are
// there are its last ones, without a gap.
func TestProgramsThatShorten(t *testing.T) {
	const limit, entries, programs = 20, 600, 4
	if path := os.Getenv("HISTORY_OF_TEST"); path != "" {
		for i := range entries {
			if err := open(t, path, limit).Add(fmt.Sprintf("%s %d", os.Getenv("NAME_OF_TEST"), i)); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	path := filepath.Join(t.TempDir(), "history")
	var wg sync.WaitGroup
	for w := range programs {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProgramsThatShorten$")
		cmd.Env = append(os.Environ(), "HISTORY_OF_TEST="+path, fmt.Sprintf("NAME_OF_TEST=w%d", w))
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) < limit || len(lines) > 2*limit+programs {
		t.Errorf("the file has %d lines", len(lines))
	}
	next := map[string]int{}
	for _, l := range lines {
		name, number, _ := strings.Cut(l, " ")
		n, err := strconv.Atoi(number)
		if was, ok := next[name]; err != nil || ok && n != was {
			t.Errorf("entry %q where %s %d is expected", l, name, was)
		}
		next[name] = n + 1
	}
	for name, n := range next {
		if n != entries {
			t.Errorf("the last entry of %s is %d", name, n-1)
		}
	}
}

func TestNoSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	h := open(t, path, 100)
	for _, l := range []string{
		`\connect --token abc`, `\connect http://h --apikey=abc`, `CREATE STORAGE s TYPE s3 PATH 'x' CREDENTIALS '{"a":1}'`,
		"SELECT 'eyJhbGciOiJIUzI1NiJ9.e30.x'", "UPDATE system.users SET metadata = '{\"password\": \"x\"}'", `\set my_token abc`,
	} {
		h.Add(l)
	}
	if h.Len() != 0 {
		t.Errorf("remembered %q", h.Lines())
	}
	for _, l := range []string{"SELECT token FROM t", "CREATE API KEY FOR 'ada'", "SELECT password_hash FROM u"} {
		if Secret(l) {
			t.Errorf("%q counts as a secret", l)
		}
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	h, err := Open(filepath.Join(file, "x", "history"), 100)
	if err == nil {
		t.Fatal("no error")
	}
	if err := h.Add("SELECT 1;"); err != nil || h.Len() != 1 {
		t.Errorf("the session has no history: %v", err)
	}
}
