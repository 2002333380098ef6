package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// program is the program, built once for all tests.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kalam-cli")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "kalam-cli")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// environment gives a clean one with an own configuration folder.
func environment(home string) []string {
	return []string{"HOME=" + home, "KALAM_HOME=" + filepath.Join(home, ".kalam"), "PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "TZ=UTC", "LANG=C.UTF-8"}
}

// terminal is a person at a pseudo-terminal.
type terminal struct {
	t    *testing.T
	f    *os.File
	cmd  *exec.Cmd
	cols uint16
	home string

	mu   sync.Mutex
	out  []byte
	at   int // what lies before was expected already
	more chan struct{}
	done chan struct{}
}

func start(t *testing.T, home string, cols uint16, args ...string) *terminal {
	t.Helper()
	return startEnv(t, environment(home), home, cols, args...)
}

func startEnv(t *testing.T, env []string, home string, cols uint16, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = env
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: cols})
	if err != nil {
		t.Fatal(err)
	}
	tm := &terminal{t: t, f: f, cmd: cmd, cols: cols, home: home, more: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(tm.done)
		buf := make([]byte, 32<<10)
		for {
			n, err := f.Read(buf)
			tm.mu.Lock()
			tm.out = append(tm.out, buf[:n]...)
			tm.mu.Unlock()
			select {
			case tm.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		f.Close()
		<-tm.done
	})
	return tm
}

var ansi = regexp.MustCompile("\x1b\\[[0-9;?]*[ -/]*[@-~]|\x1b[=>]|\x1b\\][^\x07]*\x07")

// expect waits until the text was shown, behind what was expected before.
func (tm *terminal) expect(text string) string {
	tm.t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		tm.mu.Lock()
		plain := ansi.ReplaceAllString(string(tm.out[tm.at:]), "")
		if i := strings.Index(plain, text); i >= 0 {
			// Cut the raw output so that what follows the text is kept.
			for end := tm.at + 1; end <= len(tm.out); end++ {
				if strings.Contains(ansi.ReplaceAllString(string(tm.out[tm.at:end]), ""), text) {
					tm.at = end
					break
				}
			}
			tm.mu.Unlock()
			return plain
		}
		tm.mu.Unlock()
		select {
		case <-tm.more:
		case <-deadline:
			tm.t.Fatalf("%q did not come; the terminal shows:\n%s", text, plain)
		}
	}
}

// resize changes the size of the window, as dragging its corner does.
func (tm *terminal) resize(cols uint16) {
	tm.t.Helper()
	if err := pty.Setsize(tm.f, &pty.Winsize{Rows: 40, Cols: cols}); err != nil {
		tm.t.Fatal(err)
	}
}

func (tm *terminal) typ(keys string) {
	tm.t.Helper()
	if _, err := tm.f.WriteString(keys); err != nil {
		tm.t.Fatal(err)
	}
}

// enter types a line, waits until it stands there, and sends it.
func (tm *terminal) enter(line string) {
	tm.t.Helper()
	tm.typ(line)
	tm.expect(line)
	tm.typ("\r")
}

// exit waits for the end and gives the code.
func (tm *terminal) exit() int {
	tm.t.Helper()
	done := make(chan struct{})
	go func() { tm.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		tm.t.Fatalf("the program does not end; the terminal shows:\n%s", tm.out)
	}
	<-tm.done
	return tm.cmd.ProcessState.ExitCode()
}

// result of a run without a terminal.
type result struct {
	out, err string
	code     int
}

func run1(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return runEnv(t, environment(t.TempDir()), stdin, args...)
}

func runEnv(t *testing.T, env []string, stdin string, args ...string) result {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = env
	cmd.Stdin = strings.NewReader(stdin)
	var out, errw strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errw
	timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Signal(syscall.SIGQUIT) })
	defer timer.Stop()
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatal(err)
	}
	return result{out.String(), errw.String(), cmd.ProcessState.ExitCode()}
}

// await waits for a signal of the server.
func (tm *terminal) await(what string, ch <-chan struct{}) {
	tm.t.Helper()
	select {
	case <-ch:
	case <-time.After(15 * time.Second):
		tm.mu.Lock()
		defer tm.mu.Unlock()
		tm.t.Fatalf("%s did not come; the terminal shows:\n%s", what, ansi.ReplaceAllString(string(tm.out), ""))
	}
}
