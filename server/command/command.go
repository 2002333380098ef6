package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/kalamdb/kalamdb/commons/buildinfo"
	"github.com/kalamdb/kalamdb/commons/dberr"
	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/server/app"
	"github.com/kalamdb/kalamdb/server/auth"
	"github.com/kalamdb/kalamdb/server/config"
	"github.com/kalamdb/kalamdb/server/logging"
)

// The exit codes.
const (
	ExitOK        = 0
	ExitFault     = 1
	ExitUsage     = 2
	ExitListen    = 3
	ExitData      = 4
	ExitInterrupt = 130
)

// Env is what the command line touches of the world around it.
type Env struct {
	Stdout, Stderr io.Writer
	// Signals ends the server, or reloads its configuration (SIGHUP); nil: the
	// process's own.
	Signals <-chan os.Signal
	// Exit ends the process at once; nil: os.Exit.
	Exit func(code int)
	// Started, when set, is told of the server that runs.
	Started func(*app.Server)
}

// Run runs the command line and gives the exit code.
func Run(args []string, env Env) int {
	if env.Exit == nil {
		env.Exit = os.Exit
	}
	c := &commands{env: env}
	err := c.app().Run(args)
	if err == nil {
		return ExitOK
	}
	fmt.Fprintln(env.Stderr, "kalamdb-server: "+err.Error())
	var coded *dberr.Error
	if errors.As(err, &coded) && coded.Hint != "" {
		fmt.Fprintln(env.Stderr, coded.Hint)
	}
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return ExitUsage
}

// exitError is an error with its exit code.
type exitError struct {
	code int
	error
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *exitError) Unwrap() error { return e.error }

type commands struct{ env Env }

func (c *commands) app() *cli.App {
	file := &cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "read the configuration from `FILE`"}
	app := &cli.App{
		Name:  "kalamdb-server",
		Usage: "a SQL-first realtime database: SQL over HTTP, live queries over WebSocket",
		Description: "Without a command it serves. The configuration is config.toml in the working directory or the file\n" +
			"of --config; environment variables KALAMDB_<SECTION>_<KEY> win over it.",
		HideVersion: true,
		Writer:      c.env.Stdout, ErrWriter: c.env.Stderr,
		// Run decides about the exit code.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return &exitError{ExitUsage, fmt.Errorf("%w; kalamdb-server --help lists the options", err)}
		},
		Flags: []cli.Flag{file, &cli.BoolFlag{Name: "version", Usage: "print the version"}},
		Action: func(ctx *cli.Context) error {
			if ctx.Bool("version") {
				return c.version(ctx)
			}
			return c.serve(ctx)
		},
		Commands: []*cli.Command{
			{
				Name: "token", Usage: "issue a token for a user, signed with this server's secret", Action: c.token,
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "the `USER` that the token is for", Required: true},
					&cli.StringFlag{Name: "role", Aliases: []string{"r"}, Usage: "user, service or admin", Value: "user"},
					&cli.DurationFlag{Name: "ttl", Usage: "how long the token is valid", Value: 24 * time.Hour},
				},
			},
			{Name: "health", Usage: "ask the server that this configuration describes whether it is healthy", Action: c.health},
			{
				Name: "check", Usage: "verify the database while no server has it: lists against files, checksums, sequence numbers", Action: c.check,
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "quick", Usage: "read the end of each file only, which has the checksums of the rest"},
					&cli.BoolFlag{Name: "json", Usage: "print the report as JSON"},
				},
			},
			{
				Name: "inspect", Usage: "show what is in the database: namespaces, tables, users, segments; beside a running server what that knows", Action: c.inspect,
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "all", Usage: "show all users and segments, however many"},
					&cli.BoolFlag{Name: "json", Usage: "print the report as JSON, with everything"},
				},
			},
			{Name: "config", Usage: "print the configuration in effect and where each value comes from", Action: c.config},
			{Name: "version", Usage: "print the version", Action: c.version},
		},
	}
	for _, command := range app.Commands { // people write it behind the command as well
		command.Flags = append(command.Flags, file)
		command.HideHelpCommand = true
	}
	return app
}

// file is the configuration file that the flags name, before or behind the
// command.
func file(ctx *cli.Context) string {
	for _, c := range ctx.Lineage() {
		if name := c.String("config"); name != "" {
			return name
		}
	}
	return ""
}

func (c *commands) version(*cli.Context) error {
	build := buildinfo.Get()
	_, err := fmt.Fprintf(c.env.Stdout, "kalamdb-server %s (branch %s, commit %s, %s, %s/%s)\n",
		build.Version, build.Branch, build.Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

func (c *commands) load(ctx *cli.Context) (*config.Loaded, error) {
	if ctx.Args().Present() {
		return nil, &exitError{ExitUsage, fmt.Errorf("there is no command %q; without one the server runs, and kalamdb-server --help lists the others", ctx.Args().First())}
	}
	loaded, err := config.Load(config.Options{File: file(ctx)})
	if err != nil {
		return nil, &exitError{ExitUsage, err}
	}
	return loaded, nil
}

// config prints the effective configuration.
func (c *commands) config(ctx *cli.Context) error {
	loaded, err := c.load(ctx)
	if err != nil {
		return err
	}
	for _, w := range loaded.Warnings {
		fmt.Fprintln(c.env.Stderr, "warning: "+w)
	}
	return loaded.Print(c.env.Stdout)
}

// token issues a token. It works beside a running server, and before the
// first start: both make the secret when there is none.
func (c *commands) token(ctx *cli.Context) error {
	loaded, err := c.load(ctx)
	if err != nil {
		return err
	}
	user, err := ident.ParseUserID(ctx.String("user"))
	if err != nil {
		return &exitError{ExitUsage, fmt.Errorf("--user: %w", err)}
	}
	role, err := ident.ParseRole(ctx.String("role"))
	if err != nil {
		return &exitError{ExitUsage, fmt.Errorf("--role: %w", err)}
	}
	ttl := ctx.Duration("ttl")
	if ttl <= 0 {
		return &exitError{ExitUsage, fmt.Errorf("--ttl is %v; it must be more than 0", ttl)}
	}
	secret, err := auth.Secret(loaded.Auth, loaded.Data.Dir)
	if err != nil {
		return &exitError{ExitData, err}
	}
	token, err := auth.Issue(loaded.Auth, secret, user, role, time.Now(), ttl)
	if err != nil {
		return &exitError{ExitFault, err}
	}
	_, err = fmt.Fprintln(c.env.Stdout, token)
	return err
}

// serve runs the server until a signal comes.
func (c *commands) serve(ctx *cli.Context) error {
	loaded, err := c.load(ctx)
	if err != nil {
		return err
	}
	log, err := logging.New(loaded.Log, c.env.Stderr)
	if err != nil {
		return &exitError{ExitUsage, err}
	}
	defer log.Close()
	slog.SetDefault(log.Logger)
	for _, w := range loaded.Warnings {
		log.Warn(w)
	}
	signals := c.env.Signals
	if signals == nil {
		ch := make(chan os.Signal, 2)
		signal.Notify(ch, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer signal.Stop(ch)
		signals = ch
	}

	start, cancel := context.WithCancel(ctx.Context)
	defer cancel()
	s := app.New(loaded.Config, log.Logger)
	started := make(chan error, 1)
	go func() { started <- s.Start(start) }()
	for starting := true; starting; {
		select {
		case err = <-started:
			starting = false
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				continue // it was read a moment ago
			}
			cancel() // opening a large database may take a while
			return c.exit(c.unlessAgain(signals, func() error {
				err := <-started
				switch {
				case err == nil:
					return s.Stop(ctx.Context)
				case errors.Is(err, context.Canceled):
					return nil
				}
				return err
			}))
		}
	}
	if err != nil {
		return c.exit(err)
	}
	if c.env.Started != nil {
		c.env.Started(s)
	}
	if isTerminal(c.env.Stderr) {
		welcome(c.env.Stderr, s.URL(), loaded)
	}
	for running := true; running; {
		select {
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				loaded = c.reload(ctx, s, log, loaded)
				continue
			}
			running = false
			log.Info("stopping; a second signal ends the server at once", "signal", sig.String())
		case err := <-s.Failed():
			log.Error("the listener failed", "error", err)
			return c.exit(errors.Join(err, c.unlessAgain(signals, func() error { return s.Stop(ctx.Context) })))
		}
	}
	err = c.unlessAgain(signals, func() error { return s.Stop(ctx.Context) })
	if err == nil {
		log.Info("stopped")
	}
	return c.exit(err)
}

// unlessAgain runs the end of the server; another signal ends the process at
// once.
func (c *commands) unlessAgain(signals <-chan os.Signal, end func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- end() }()
	for {
		select {
		case err := <-ended:
			return err
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				c.env.Exit(ExitInterrupt) // comes back in tests only
			}
		}
	}
}

// exit gives an error its exit code.
func (c *commands) exit(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, app.ErrListen):
		return &exitError{ExitListen, err}
	case errors.Is(err, app.ErrData):
		return &exitError{ExitData, err}
	}
	return &exitError{ExitFault, err}
}
