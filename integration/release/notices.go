package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// sorted orders an archive's files, so that it does not depend on how they
// were gathered.
func sorted(files []member) []member {
	slices.SortFunc(files, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return files
}

// notices gathers the licences of everything that some programs contain: of
// each module, as the programs themselves tell, and of Go.
func notices(built []string) ([]byte, error) {
	modules := map[string]string{}
	for _, path := range built {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			if !strings.HasPrefix(m.Path, "github.com/kalamdb/kalamdb") && !strings.HasPrefix(m.Path, ".") {
				modules[m.Path] = m.Version
			}
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("The programs of this release contain the following, each under its licence.\n")
	if err := licences(&out, "Go and its standard library", strings.TrimSpace(string(root))); err != nil {
		return nil, err
	}
	for _, path := range sortedKeys(modules) {
		dir := filepath.Join(strings.TrimSpace(string(cache)), filepath.FromSlash(escaped(path)+"@"+escaped(modules[path])))
		if err := licences(&out, path+" "+modules[path], dir); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// escaped is how the module cache spells a path on file systems that do not
// tell large letters from small ones.
func escaped(path string) string {
	var b strings.Builder
	for _, r := range path {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// licences adds the licence files of a folder. A folder without any is an
// error: what may not be passed on must not be in a release.
func licences(out *bytes.Buffer, name, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		upper := strings.ToUpper(e.Name())
		licence := strings.HasPrefix(upper, "LICENSE") || strings.HasPrefix(upper, "LICENCE") || strings.HasPrefix(upper, "COPYING")
		if e.IsDir() || !licence && !strings.HasPrefix(upper, "NOTICE") && !strings.HasPrefix(upper, "PATENTS") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		found = found || licence
		fmt.Fprintf(out, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("=", 72), name, e.Name(), bytes.TrimSpace(text))
	}
	if !found {
		return fmt.Errorf("%s has no licence file in %s", name, dir)
	}
	return nil
}
