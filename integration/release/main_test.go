package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestArchives packs the same files twice, in another order, into the same
// bytes, and reads them again.
func TestArchives(t *testing.T) {
	made := time.Unix(1_700_000_000, 0).UTC()
	one := member{"kalam-cli", []byte("program"), 0o755}
	two := member{"LICENSE", []byte("text"), 0o644}
	for name, pack := range map[string]func(io.Writer, string, []member, time.Time) error{"tar": packTar, "zip": packZip} {
		var a, b bytes.Buffer
		if err := errors.Join(pack(&a, "d", sorted([]member{one, two}), made), pack(&b, "d", sorted([]member{two, one}), made)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s: the order of the files changes the archive", name)
		}
		got := map[string]string{}
		if name == "zip" {
			z, err := zip.NewReader(bytes.NewReader(a.Bytes()), int64(a.Len()))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range z.File {
				r, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				content, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				got[f.Name+" "+f.Mode().String()] = string(content)
			}
		} else {
			z, err := gzip.NewReader(&a)
			if err != nil {
				t.Fatal(err)
			}
			r := tar.NewReader(z)
			for {
				h, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				content, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				if !h.ModTime.Equal(made) {
					t.Errorf("%s is of %s", h.Name, h.ModTime)
				}
				got[h.Name+" "+h.FileInfo().Mode().String()] = string(content)
			}
		}
		if len(got) != 2 || got["d/kalam-cli -rwxr-xr-x"] != "program" || got["d/LICENSE -rw-r--r--"] != "text" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestProgramsKnowWhatTheyAre builds a program as a release does and asks it.
func TestProgramsKnowWhatTheyAre(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "main.go")
	if err := os.WriteFile(program, []byte(`package main

import (
	"fmt"

	"github.com/kalamdb/kalamdb/commons/buildinfo"
)

func main() { fmt.Print(buildinfo.Get()) }
`), 0o644); err != nil {
		t.Fatal(err)
	}
	b := build{version: "v1.2.3", commit: "0123456789ab", branch: "main"}
	out, err := exec.Command("go", "run", "-ldflags", b.ldflags(), program).CombinedOutput()
	if err != nil || string(out) != "{v1.2.3 main 0123456789ab}" {
		t.Errorf("the program says %s (%v)", out, err)
	}
}

// TestNotices reads which modules a program is made of from this test's own
// binary, and refuses a folder without a licence.
func TestNotices(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := notices([]string{self})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "Go and its standard library: LICENSE") {
		t.Errorf("%.300s", text)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "NOTICE"), []byte("only a notice"), 0o644); err != nil {
		t.Fatal(err)
	}
	if licences(&bytes.Buffer{}, "x", dir) == nil || licences(&bytes.Buffer{}, "x", filepath.Join(dir, "none")) == nil {
		t.Error("a module without a licence passes")
	}
	if got := escaped("github.com/BurntSushi/toml"); got != "github.com/!burnt!sushi/toml" {
		t.Error(got)
	}
}
