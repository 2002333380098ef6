package buildinfo

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHead(t *testing.T) {
	for name, c := range map[string]struct {
		files          map[string]string
		branch, commit string
	}{
		"no repository": {nil, "", ""},
		"a branch":      {map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": "abc\n"}, "main", "abc"},
		"a slash":       {map[string]string{".git/HEAD": "ref: refs/heads/a/b\n", ".git/refs/heads/a/b": "abc\n"}, "a/b", "abc"},
		"packed":        {map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/packed-refs": "# pack-refs\n111 refs/heads/mainline\nabc refs/heads/main\n"}, "main", "abc"},
		"detached":      {map[string]string{".git/HEAD": "abc\n"}, "", "abc"},
		"no commit yet": {map[string]string{".git/HEAD": "ref: refs/heads/main\n"}, "main", ""},
		"a worktree": {map[string]string{
			".git": "gitdir: repo/worktrees/x\n", "repo/worktrees/x/HEAD": "ref: refs/heads/x\n", "repo/worktrees/x/commondir": "../..\n", "repo/refs/heads/x": "abc\n",
		}, "x", "abc"},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if branch, commit := head(root); branch != c.branch || commit != c.commit {
			t.Errorf("%s: %q %q, want %q %q", name, branch, commit, c.branch, c.commit)
		}
	}
}
