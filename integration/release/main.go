// Command release builds what a release consists of: for each platform an
// archive with both programs, the licence, the notices of the libraries that
// they contain and the changelog; for each program a bill of materials in
// CycloneDX's format; and the checksums of all. The same source, toolchain and
// version give the same bytes.
//
//	release -version v1.2.3 -commit … -branch … -time 1700000000 -out dist/release
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// build is one release being made.
type build struct {
	version, commit, branch string
	made                    time.Time
	out                     string
	bom                     string
}

// programs are what a release has, and where their sources are.
var programs = []struct{ name, source string }{
	{"kalamdb-server", "./server"},
	{"kalam-cli", "./cli/cmd/kalam-cli"},
}

func main() {
	var b build
	flag.StringVar(&b.version, "version", "dev", "the release's version")
	flag.StringVar(&b.commit, "commit", "", "the commit that it is made of")
	flag.StringVar(&b.branch, "branch", "", "its branch")
	seconds := flag.Int64("time", 0, "the commit's time, which all files get, in seconds since 1970")
	flag.StringVar(&b.out, "out", filepath.Join("dist", "release"), "folder to write to; it is emptied first")
	flag.StringVar(&b.bom, "bom", "", "package@version of cyclonedx-gomod; empty: no bills of materials")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64", "what to build for")
	flag.Parse()
	b.made = time.Unix(*seconds, 0).UTC()
	if err := b.run(strings.Split(*platforms, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func (b *build) run(platforms []string) error {
	if err := os.RemoveAll(b.out); err != nil {
		return err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "kalamdb-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, p := range platforms {
		goos, goarch, ok := strings.Cut(p, "/")
		if !ok {
			return fmt.Errorf("%q is no platform such as linux/amd64", p)
		}
		if err := b.platform(work, goos, goarch); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		fmt.Println("built", p)
	}
	return b.checksums()
}

// ldflags tell the programs what they are.
func (b *build) ldflags() string {
	flags := "-s -w -buildid="
	for _, v := range []struct{ name, value string }{{"version", b.version}, {"commit", b.commit}, {"branch", b.branch}} {
		flags += fmt.Sprintf(" -X github.com/kalamdb/kalamdb/commons/buildinfo.%s=%s", v.name, v.value)
	}
	return flags
}

// platform builds the archive of one platform.
func (b *build) platform(work, goos, goarch string) error {
	files := []member{}
	var built []string
	for _, p := range programs {
		name := p.name
		if goos == "windows" {
			name += ".exe"
		}
		path := filepath.Join(work, goos+"_"+goarch, name)
		// What the repository's state would add says less than -X does, and
		// differs between a checkout and an archive of the source.
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", path, "-ldflags", b.ldflags(), p.source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", p.name, err, out)
		}
		built = append(built, path)
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, member{name, content, 0o755})
		if b.bom == "" {
			continue
		}
		bom := filepath.Join(b.out, fmt.Sprintf("%s_%s_%s_%s.cdx.json", p.name, b.version, goos, goarch))
		cmd = exec.Command("go", "run", b.bom, "bin", "-json", "-std", "-licenses", "-noserial", "-notimestamp", "-version", b.version, "-output", bom, path)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("bill of materials of %s: %w\n%s", p.name, err, out)
		}
	}
	text, err := notices(built)
	if err != nil {
		return err
	}
	files = append(files, member{"THIRD_PARTY_NOTICES", text, 0o644})
	for name, path := range map[string]string{
		"LICENSE": "LICENSE", "CHANGELOG.md": "CHANGELOG.md", "README.md": "README.md",
		"config.example.toml": filepath.Join("server", "config.example.toml"),
	} {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, member{name, content, 0o644})
	}
	base := fmt.Sprintf("kalamdb_%s_%s_%s", b.version, goos, goarch)
	pack, name := packTar, base+".tar.gz"
	if goos == "windows" {
		pack, name = packZip, base+".zip"
	}
	var archive bytes.Buffer
	if err := pack(&archive, base, sorted(files), b.made); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.out, name), archive.Bytes(), 0o644)
}

// member is a file of an archive.
type member struct {
	name    string
	content []byte
	mode    int64
}

func packTar(w io.Writer, dir string, files []member, made time.Time) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, f := range files {
		err := t.WriteHeader(&tar.Header{Name: dir + "/" + f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: made, Format: tar.FormatPAX})
		if err != nil {
			return err
		}
		if _, err := t.Write(f.content); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func packZip(w io.Writer, dir string, files []member, made time.Time) error {
	z := zip.NewWriter(w)
	for _, f := range files {
		h := &zip.FileHeader{Name: dir + "/" + f.name, Method: zip.Deflate, Modified: made}
		h.SetMode(os.FileMode(f.mode))
		part, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := part.Write(f.content); err != nil {
			return err
		}
	}
	return z.Close()
}

// checksums writes SHA256SUMS, as sha256sum -c reads it.
func (b *build) checksums() error {
	entries, err := os.ReadDir(b.out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(b.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), e.Name())
	}
	return os.WriteFile(filepath.Join(b.out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
