package repl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/kalamdb/kalamdb/cli/complete"
	"github.com/kalamdb/kalamdb/cli/config"
	"github.com/kalamdb/kalamdb/cli/history"
	"github.com/kalamdb/kalamdb/cli/render"
	"github.com/kalamdb/kalamdb/cli/theme"
	"github.com/kalamdb/kalamdb/link"
)

// The program's exit codes.
const (
	ExitOK        = 0
	ExitError     = 1   // a statement failed, or the program was called wrongly
	ExitConnect   = 2   // the server was not reached or refused the credentials
	ExitStopped   = 3   // ON_ERROR_STOP ended the script
	ExitInterrupt = 130 // Ctrl+C
)

// ExitStatus is an error that ends the program with a code; what was to be
// said has been said.
type ExitStatus int

// Error names the code.
func (e ExitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// errInterrupted is the cause of contexts that Ctrl+C cancelled.
var errInterrupted = errors.New("interrupted")

// Options are what the command line and the configuration say.
type Options struct {
	In       *os.File
	Out, Err *os.File

	Connection config.Connection
	Config     config.Config
	ConfigPath string
	// Dir is where the history is kept.
	Dir string

	Format render.Format
	// Color forces colours on or off; nil decides by the terminal.
	Color *bool
	// Theme is a name that theme.Choose knows.
	Theme   string
	NoPager bool
	Vars    map[string]string
	Version string
	// Output is a file for the results; "" means Out.
	Output string
}

// App is a running kalam-cli.
type App struct {
	o    Options
	root *link.Client // owns the connections that client uses

	mu     sync.Mutex // guards client and con against the reader of names
	client *link.Client
	con    config.Connection

	out     *bufio.Writer
	outFile *os.File // the file of \o and --output; nil for the terminal
	errw    io.Writer
	input   input

	interactive bool // somebody types
	outTTY      bool
	colorOut    bool
	colorErr    bool
	themeName   string
	theme       theme.Palette
	errTTY      bool // the error output can show a line that changes
	unpaged     bool // nobody is to be asked after a page, as in \watch

	format   render.Format
	expanded string // "off", "on", "auto"
	timing   bool
	border   string
	wrap     bool // long values are wrapped, not cut
	null     string
	pageSize int
	vars     map[string]string

	last string // the latest query, for \watch

	hist    *history.History
	names   *complete.Names
	refresh chan struct{} // asks for the names to be read again
	status  statusDot
	search  search

	sigs   chan os.Signal
	failed bool // some statement failed
	depth  int  // of \i
}

// New makes an App. It does not talk to the server.
func New(o Options) (*App, error) {
	a := &App{
		o: o, con: o.Connection, errw: o.Err, format: o.Format, expanded: "auto", timing: true,
		border: o.Config.Output.Border, wrap: o.Config.Output.Wide == "wrap", null: o.Config.Output.Null, pageSize: 1000,
		vars: map[string]string{}, names: &complete.Names{}, refresh: make(chan struct{}, 1),
		sigs: make(chan os.Signal, 4),
	}
	for k, v := range o.Vars {
		a.vars[k] = v
	}
	if t := o.Config.Output.Timing; t != nil {
		a.timing = *t
	}
	if n := o.Config.Output.PageSize; n != nil {
		a.pageSize = *n
	}
	if o.NoPager {
		a.pageSize = 0
	}
	a.useTheme(o.Theme)
	a.outTTY = term.IsTerminal(int(o.Out.Fd()))
	a.colorOut = wantsColor(o.Color, a.outTTY)
	errTTY := term.IsTerminal(int(o.Err.Fd()))
	a.colorErr = wantsColor(o.Color, errTTY)
	a.errTTY = errTTY && os.Getenv("TERM") != "dumb"
	a.out = bufio.NewWriterSize(o.Out, 64<<10)
	if o.Output != "" {
		if err := a.redirect(o.Output); err != nil {
			return nil, err
		}
	}
	client, err := a.newClient(o.Connection, "")
	if err != nil {
		return nil, err
	}
	a.client, a.root = client, client
	signal.Notify(a.sigs, os.Interrupt)
	return a, nil
}

// wantsColor follows the flag, then NO_COLOR and TERM, then whether it is a
// terminal.
func wantsColor(forced *bool, tty bool) bool {
	if forced != nil {
		return *forced
	}
	return tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// useTheme takes the colours of a theme that was checked; "" is auto.
func (a *App) useTheme(name string) {
	if name == "" {
		name = "auto"
	}
	a.themeName, a.theme = strings.ToLower(name), theme.Choose(name, os.Getenv)
}

// colors are those of what is written to the output: none when it has none.
func (a *App) colors() theme.Palette {
	if !a.colorOut {
		return theme.Palette{}
	}
	return a.theme
}

// Close ends the connection and writes what is left.
func (a *App) Close() error {
	signal.Stop(a.sigs)
	err := a.out.Flush()
	if a.outFile != nil {
		if cerr := a.outFile.Close(); err == nil {
			err = cerr
		}
	}
	a.client.Close()
	a.root.Close()
	return err
}

func (a *App) newClient(con config.Connection, session string) (*link.Client, error) {
	opts := []link.Option{link.WithUserAgent("kalam-cli/" + a.o.Version)}
	if con.User != "" {
		opts = append(opts, link.WithUser(con.User))
	}
	if con.Token != "" {
		opts = append(opts, link.WithToken(con.Token))
	}
	if con.APIKey != "" {
		opts = append(opts, link.WithAPIKey(con.APIKey))
	}
	if con.Namespace != "" {
		opts = append(opts, link.WithNamespace(con.Namespace))
	}
	if session != "" {
		opts = append(opts, link.WithSession(session))
	}
	if con.Timeout != "" {
		d, err := config.ParseTimeout(con.Timeout)
		if err != nil {
			return nil, err
		}
		opts = append(opts, link.WithTimeout(d))
	}
	return link.New(con.Host, opts...)
}

// CheckConnection tells whether the address and the timeout can be read, without
// talking to anybody.
func CheckConnection(con config.Connection) (url string, err error) {
	if con.Timeout != "" {
		if _, err := config.ParseTimeout(con.Timeout); err != nil {
			return "", err
		}
	}
	c, err := link.New(con.Host)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.URL(), nil
}

// Check connects; a failure is told in one line and gives the exit code.
func (a *App) Check(ctx context.Context) error {
	ctx, stop := a.interruptible(ctx)
	defer stop()
	err := a.client.Ping(ctx)
	if err == nil {
		return nil
	}
	if interrupted(ctx) {
		return ExitStatus(ExitInterrupt)
	}
	a.complain(a.connectionLine(a.client.URL(), err))
	return ExitStatus(ExitConnect)
}

// connectionLine tells in one line why a server was not reached.
func (a *App) connectionLine(url string, err error) string {
	var te *link.TransportError
	var le *link.Error
	var pe *link.ProtocolError
	switch {
	case errors.As(err, &te):
		return fmt.Sprintf("cannot connect to %s: %s", url, render.Safe(te.Reason()))
	case errors.As(err, &le) && le.Auth():
		return fmt.Sprintf("authentication failed at %s: %s", url, render.Safe(le.Message))
	case errors.As(err, &le):
		return fmt.Sprintf("%s answers: %s", url, render.Safe(le.Message))
	case errors.As(err, &pe):
		return fmt.Sprintf("%s is not a KalamDB server: %s", url, render.Safe(pe.Reason))
	}
	return fmt.Sprintf("cannot connect to %s: %s", url, render.Safe(err.Error()))
}

// interruptible gives a context that Ctrl+C cancels.
func (a *App) interruptible(ctx context.Context) (context.Context, func()) {
	for len(a.sigs) > 0 { // a Ctrl+C from before is not about what comes now
		<-a.sigs
	}
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-a.sigs:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

func interrupted(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errInterrupted) }

// RestoreTerminal puts the terminal back as it was when the program is told to
// end while the line editor has changed it. The returned function stops that.
func RestoreTerminal(f *os.File) func() {
	fd := int(f.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return func() {}
	}
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		if sig, ok := <-ch; ok {
			term.Restore(fd, state)
			code := 1
			if s, ok := sig.(syscall.Signal); ok {
				code = 128 + int(s)
			}
			os.Exit(code)
		}
	}()
	return func() {
		signal.Stop(ch)
		close(ch)
	}
}

// redirect sends results to a file; "" sends them back to the terminal.
func (a *App) redirect(path string) error {
	if err := a.out.Flush(); err != nil {
		return err
	}
	if path == "" {
		if a.outFile != nil {
			err := a.outFile.Close()
			a.outFile = nil
			a.out.Reset(a.o.Out)
			a.outTTY = term.IsTerminal(int(a.o.Out.Fd()))
			a.colorOut = wantsColor(a.o.Color, a.outTTY)
			return err
		}
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("open the output file: %w", err)
	}
	if a.outFile != nil {
		a.outFile.Close()
	}
	a.outFile = f
	a.out.Reset(f)
	a.outTTY = false
	a.colorOut = wantsColor(a.o.Color, false)
	return nil
}

// options says how the next result is written.
func (a *App) options(ctx context.Context) render.Options {
	o := render.Options{
		Format: a.format, Colors: a.colors(), Terminal: a.outTTY, Null: a.null, Border: a.border,
		Footer: true, Timing: a.timing, Wrap: a.wrap,
	}
	if a.format == render.Table && a.expanded == "on" {
		o.Format = render.Vertical
	}
	if a.outTTY && a.expanded != "off" {
		o.Width = a.width()
	}
	if a.outTTY && a.interactive && !a.unpaged {
		o.Page = a.pageSize
		o.More = func() bool { return a.more(ctx) }
	}
	return o
}

// width is asked for each result anew, since windows change their size.
func (a *App) width() int {
	w, _, err := term.GetSize(int(a.o.Out.Fd()))
	if err != nil || w < 20 {
		return 0
	}
	return w
}

// more asks for the next page.
func (a *App) more(ctx context.Context) bool {
	fmt.Fprint(a.out, "Press Enter for more... (q stops) ")
	a.out.Flush()
	line, err := a.input.line(ctx)
	return err == nil && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "q")
}

// notice tells something that is not part of a result.
func (a *App) notice(format string, args ...any) {
	a.out.Flush()
	fmt.Fprintf(a.errw, format+"\n", args...)
}

// say tells something in words: on the output while people read it, beside it
// while a program does.
func (a *App) say(format string, args ...any) {
	if a.format.Machine() || a.outFile != nil {
		a.notice(format, args...)
		return
	}
	fmt.Fprintf(a.out, format+"\n", args...)
}

// complain tells why something did not work.
func (a *App) complain(s string) {
	a.out.Flush()
	if a.colorErr {
		s = a.theme.Bad.Paint(s)
	}
	fmt.Fprintln(a.errw, s)
}

// since measures for people.
func since(t time.Time) string { return render.Duration(time.Since(t)) }
