package buildinfo

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// source is what the Git working tree says that this file was compiled from:
// `go run` records neither commit nor branch. It is empty for binaries that
// were built with -trimpath, or run where their source is not.
var source = sync.OnceValues(func() (branch, commit string) {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return "", ""
	}
	return head(filepath.Dir(filepath.Dir(filepath.Dir(file))))
})

// head reads which branch and commit a working tree is at; what cannot be read
// is empty. A detached head has no branch.
func head(root string) (branch, commit string) {
	git := filepath.Join(root, ".git")
	if to, ok := strings.CutPrefix(read(git), "gitdir: "); ok { // a worktree
		if git = to; !filepath.IsAbs(git) {
			git = filepath.Join(root, git)
		}
	}
	at := read(filepath.Join(git, "HEAD"))
	ref, ok := strings.CutPrefix(at, "ref: ")
	if !ok {
		return "", at
	}
	branch = strings.TrimPrefix(ref, "refs/heads/")
	common := git
	if to := read(filepath.Join(git, "commondir")); to != "" {
		if common = to; !filepath.IsAbs(to) {
			common = filepath.Join(git, to)
		}
	}
	for _, dir := range []string{git, common} {
		if commit = read(filepath.Join(dir, filepath.FromSlash(ref))); commit != "" {
			return branch, commit
		}
	}
	for line := range strings.Lines(read(filepath.Join(common, "packed-refs"))) {
		if id, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == ref {
			return branch, id
		}
	}
	return branch, ""
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
