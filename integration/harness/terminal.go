package harness

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// Terminal is kalam-cli in a pseudo-terminal of 100 columns and 40 lines.
type Terminal struct {
	t    testing.TB
	tty  *os.File
	cmd  *exec.Cmd
	more chan struct{}
	done chan struct{}

	mu  sync.Mutex
	out strings.Builder
	// at is how much of the shown text was expected already.
	at int
}

// StartClient starts kalam-cli with an empty home directory. It ends with the
// test.
func StartClient(t testing.TB, args ...string) *Terminal {
	t.Helper()
	return StartClientAt(t, t.TempDir(), args...)
}

// clientCommand is kalam-cli with a home directory and no other environment.
func clientCommand(t testing.TB, home string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(ClientBinary(t), args...)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "TZ=UTC", "LANG=C.UTF-8"}
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+dir)
	}
	return cmd
}

// StartClientAt is StartClient with a home directory that may hold files.
func StartClientAt(t testing.TB, home string, args ...string) *Terminal {
	t.Helper()
	cmd := clientCommand(t, home, args...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		t.Skipf("skipped: kalam-cli at a prompt, because there is no pseudo-terminal: %v", err)
	}
	c := &Terminal{t: t, tty: tty, cmd: cmd, more: make(chan struct{}, 1), done: make(chan struct{})}
	go c.read()
	t.Cleanup(func() {
		if os.Getenv("GOCOVERDIR") != "" {
			// A process writes the coverage of its code when it ends by itself.
			_, _ = tty.WriteString("\x03\x04")
			select {
			case <-c.done:
			case <-time.After(3 * time.Second):
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = tty.Close()
		<-c.done
	})
	return c
}

func (c *Terminal) read() {
	defer close(c.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := c.tty.Read(buf)
		c.mu.Lock()
		c.out.Write(buf[:n])
		c.mu.Unlock()
		select {
		case c.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// controls are what a terminal does not show: cursor movements, colours,
// titles.
var controls = regexp.MustCompile("\x1b\\[[0-9;?]*[ -/]*[@-~]|\x1b[=>]|\x1b\\][^\x07]*\x07|\r")

// shown is everything shown so far, without controls.
func (c *Terminal) shown() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return controls.ReplaceAllString(c.out.String(), "")
}

// Expect waits until the text was shown behind what was expected before, and
// gives what stands between.
func (c *Terminal) Expect(text string) string {
	c.t.Helper()
	deadline := time.After(Limit)
	for {
		rest := c.shown()
		rest = rest[min(c.at, len(rest)):]
		if i := strings.Index(rest, text); i >= 0 {
			c.at += i + len(text)
			return rest[:i]
		}
		select {
		case <-c.more:
		case <-deadline:
			c.t.Fatalf("%q did not come; the terminal shows:\n%s", text, rest)
		}
	}
}

// ExpectAll waits until each text was shown, in any order, behind what was
// expected before.
func (c *Terminal) ExpectAll(texts ...string) {
	c.t.Helper()
	from, last := c.at, c.at
	for _, text := range texts {
		c.at = from
		c.Expect(text)
		last = max(last, c.at)
	}
	c.at = last
}

// Type types keys; it does not press Enter.
func (c *Terminal) Type(keys string) {
	c.t.Helper()
	if _, err := c.tty.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// Enter types a line and waits for the next prompt; it gives what was shown
// until then.
func (c *Terminal) Enter(line string) string {
	c.t.Helper()
	c.Type(line)
	c.Expect(line)
	c.Type("\r")
	return c.Expect(Prompt)
}

// Prompt is what kalam-cli shows when it waits for a statement.
const Prompt = "kalam> "

// CtrlC and CtrlD are what these keys send.
const (
	CtrlC = "\x03"
	CtrlD = "\x04"
)

// Wait waits for the program's end and gives its exit code.
func (c *Terminal) Wait() int {
	c.t.Helper()
	ended := make(chan struct{})
	go func() { _ = c.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(Limit):
		c.t.Fatalf("kalam-cli did not end; the terminal shows:\n%s", c.shown())
	}
	return c.cmd.ProcessState.ExitCode()
}

// Ran is what a run of kalam-cli without a terminal gave.
type Ran struct {
	Out, Err string
	Code     int
}

// RunClient runs kalam-cli to its end, without a terminal. home is its home
// directory, "" for an empty one; input is what it reads.
func RunClient(t testing.TB, home, input string, args ...string) Ran {
	t.Helper()
	if home == "" {
		home = t.TempDir()
	}
	cmd := clientCommand(t, home, args...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(Limit, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Wait()
	return Ran{Out: out.String(), Err: errs.String(), Code: cmd.ProcessState.ExitCode()}
}
