package repl

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/kalamdb/kalamdb/cli/render"
)

// pagerCommand is the user's pager: KALAM_PAGER, else PAGER, else none, which
// means the program's own question after each page of rows.
func pagerCommand() string {
	if v, ok := os.LookupEnv("KALAM_PAGER"); ok {
		return strings.TrimSpace(v)
	}
	return strings.TrimSpace(os.Getenv("PAGER"))
}

// pagerName is pagerCommand for people.
func pagerName() string {
	if c := pagerCommand(); c != "" {
		return c
	}
	return "built in"
}

// pager passes a result on to the terminal while it fits on one screen, and to
// the user's pager from the first line on when it does not.
type pager struct {
	a       *App
	command string
	height  int // lines that fit above the prompt
	width   int

	held  []byte // what was written while it still fits
	lines int
	cmd   *exec.Cmd // nil until it no longer fits
	in    io.WriteCloser
	plain bool // the pager did not start: everything goes to the terminal
}

// newPager gives nil when results are not to be paged by another program.
func (a *App) newPager() *pager {
	if !a.outTTY || !a.interactive || a.unpaged || a.pageSize == 0 || a.format.Machine() {
		return nil
	}
	command := pagerCommand()
	if command == "" {
		return nil
	}
	width, height, err := term.GetSize(int(a.o.Out.Fd()))
	if err != nil || width < 1 || height < 4 {
		return nil
	}
	return &pager{a: a, command: command, height: height - 2, width: width}
}

// Write keeps or passes on. It gives io.EOF when the reader has left the pager.
func (p *pager) Write(b []byte) (int, error) {
	switch {
	case p.cmd != nil:
		if _, err := p.in.Write(b); err != nil {
			return 0, pagerError(err)
		}
		return len(b), nil
	case p.plain:
		return p.a.out.Write(b)
	}
	p.held = append(p.held, b...)
	// A line that is wider than the terminal takes several of its lines.
	p.lines += strings.Count(string(b), "\n") + (render.Width(string(b))-1)/p.width
	if p.lines < p.height {
		return len(b), nil
	}
	p.start()
	held := p.held
	p.held = nil
	_, err := p.Write(held)
	return len(b), err
}

// start starts the pager; when that fails, the terminal gets the result.
func (p *pager) start() {
	if err := p.a.out.Flush(); err != nil {
		p.plain = true
		return
	}
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/c"
	}
	cmd := exec.Command(shell, flag, p.command)
	cmd.Stdout, cmd.Stderr = p.a.o.Out, p.a.o.Err
	cmd.Env = os.Environ()
	if os.Getenv("LESS") == "" {
		// Colours as they are, long lines not wrapped, and the rows stay on the
		// screen afterwards.
		cmd.Env = append(cmd.Env, "LESS=RSX")
	}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.plain = true
		p.a.notice("Warning: the pager %q did not start: %v", p.command, err)
		return
	}
	p.cmd, p.in = cmd, in
}

// Close writes what was kept, and waits until the reader has left the pager.
func (p *pager) Close() error {
	if p.cmd == nil {
		_, err := p.a.out.Write(p.held)
		p.held = nil
		return err
	}
	p.in.Close()
	err := p.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		// 126 and 127 are the shell's words for "there is no such program".
		if c := exit.ExitCode(); c == 126 || c == 127 {
			p.a.notice("Warning: the pager %q does not work; KALAM_PAGER names another one.", p.command)
		}
		return nil
	}
	return err
}

// pagerError tells a pager that was left from one that cannot be written to.
func pagerError(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || runtime.GOOS == "windows" {
		return io.EOF
	}
	return err
}

// paged gives where a result is written and how: through the user's pager when
// there is one, else with a question after each page. done is called behind the
// last row.
func (a *App) paged(ctx context.Context) (w io.Writer, o render.Options, done func() error) {
	o = a.options(ctx)
	p := a.newPager()
	if p == nil {
		return a.out, o, func() error { return nil }
	}
	o.Page = 0
	return p, o, p.Close
}
