//go:build linux || darwin

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// typed is what shells are asked to complete, and what has to come of it.
var typed = []struct{ line, want string }{
	{"kalam-cli --theme d", "dark"},
	{"kalam-cli --format mark", "markdown"},
	{"kalam-cli --names", "--namespace"},
	{"kalam-cli completion power", "powershell"},
	{"kalam-cli ta", "tail"},
}

// inShell runs a shell's script, or skips the test where the shell is missing.
func inShell(t *testing.T, shell string, env []string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("%s is not installed: its completion was not run", shell)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(environment(t.TempDir()), env...)
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "TERM=dumb")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", shell, err, out)
	}
	return string(out)
}

// script writes a shell's completion script.
func script(t *testing.T, shell, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(run1(t, "", "completion", shell).out), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCompletionInFish(t *testing.T) {
	path := script(t, "fish", "kalam-cli.fish")
	for _, tc := range typed {
		out := inShell(t, "fish", nil, "--no-config", "-c", "source "+path+"; complete -C '"+tc.line+"'")
		if got, _, _ := strings.Cut(out, "\t"); strings.TrimSpace(got) != tc.want {
			t.Errorf("%q gives %q", tc.line, out)
		}
	}
}

func TestCompletionInBash(t *testing.T) {
	path := script(t, "bash", "kalam-cli.bash")
	for _, tc := range typed {
		out := inShell(t, "bash", nil, "--norc", "-c", `source `+path+`; COMP_WORDS=(`+tc.line+`); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}; _kalam_cli; echo "${COMPREPLY[*]}"`)
		if got := strings.TrimSpace(out); got != tc.want {
			t.Errorf("%q gives %q", tc.line, out)
		}
	}
}

// zshTypes types a line and TAB into an interactive zsh that has run $SETUP, and
// shows what stands there then.
const zshTypes = `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1='%% '; $SETUP; echo rea''dy"
zpty -r -m z seen '*ready*'
zpty -w -n z "$LINE"$'\t'
zpty -w z "; echo do''ne"
zpty -r -m z seen '*done*'
print -r -- "$seen"
zpty -d z`

// TestCompletionInZsh has the script in both ways of installing it: as a file
// of fpath, whose first TAB has to complete already, and sourced.
func TestCompletionInZsh(t *testing.T) {
	path := script(t, "zsh", "_kalam-cli")
	init := "autoload -Uz compinit; compinit -u -D"
	for how, setup := range map[string]string{
		"fpath":   "fpath=(" + filepath.Dir(path) + " $fpath); " + init,
		"sourced": init + "; source " + path,
	} {
		for _, tc := range typed {
			out := inShell(t, "zsh", []string{"SETUP=" + setup, "LINE=" + tc.line}, "-f", "-c", zshTypes)
			words := strings.Fields(tc.line)
			last := words[len(words)-1]
			// What is typed is echoed, and what completes it written behind it.
			if !strings.Contains(strings.ReplaceAll(out, "\b", ""), strings.TrimPrefix(tc.want, last)) || strings.Contains(out, "\a") {
				t.Errorf("%s: %q gives %q", how, tc.line, out)
			}
		}
	}
}
