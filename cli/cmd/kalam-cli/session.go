package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/kalamdb/kalamdb/cli/config"
	"github.com/kalamdb/kalamdb/cli/render"
	"github.com/kalamdb/kalamdb/cli/repl"
	"github.com/kalamdb/kalamdb/commons/buildinfo"
)

// session is what kalam-cli does without a command.
func session(c *cli.Context) error {
	if c.Bool("version") {
		return printVersion(c)
	}
	if c.Args().Present() {
		return fmt.Errorf("there is no command %q; SQL goes into -e 'SELECT …' (kalam-cli --help lists all)", c.Args().First())
	}
	execs, files := c.StringSlice("execute"), c.StringSlice("file")
	interactive := len(execs) == 0 && len(files) == 0 && term.IsTerminal(int(os.Stdin.Fd()))
	app, err := open(c)
	if err != nil {
		return err
	}
	if interactive {
		defer repl.RestoreTerminal(os.Stdin)()
	}
	ctx := c.Context
	if err := app.Check(ctx); err != nil {
		app.Close()
		return err
	}
	switch {
	case interactive:
		err = app.Interactive(ctx)
	case len(execs) == 0 && len(files) == 0:
		err = app.Exit(app.RunPipe(ctx))
	default:
		for _, sql := range execs {
			if err = app.RunText(ctx, sql, ""); err != nil {
				break
			}
		}
		for _, path := range files {
			if err != nil {
				break
			}
			err = app.RunFile(ctx, path)
		}
		err = app.Exit(err)
	}
	if cerr := app.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("write the output: %w", cerr)
	}
	return err
}

// open reads the configuration and makes the App.
func open(c *cli.Context) (*repl.App, error) {
	o, err := options(c)
	if err != nil {
		return nil, err
	}
	return repl.New(o)
}

func options(c *cli.Context) (repl.Options, error) {
	o := repl.Options{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: buildinfo.Get().Version, NoPager: c.Bool("no-pager"), Output: c.String("output")}
	flags := config.Connection{
		Host: c.String("host"), User: c.String("user"), Token: c.String("token"), APIKey: c.String("apikey"),
		Namespace: c.String("namespace"), Timeout: c.String("timeout"),
	}
	if c.Bool("token-stdin") {
		tok, err := readToken(os.Stdin)
		if err != nil {
			return o, err
		}
		flags.Token = tok
	}
	exists := false
	dir, err := config.Dir()
	if err == nil {
		o.Dir, o.ConfigPath = dir, filepath.Join(dir, "config.toml")
		o.Config, exists, err = config.Load(o.ConfigPath)
	}
	var ce *config.Error
	switch {
	case errors.As(err, &ce):
		return o, ce
	case err != nil:
		fmt.Fprintf(os.Stderr, "Warning: %v; going on without a configuration file.\n", err)
		exists = true
	}
	o.Connection, err = o.Config.Connect(config.Overrides{Profile: c.String("profile"), Flags: flags})
	if err != nil {
		return o, err
	}
	if _, err := repl.CheckConnection(o.Connection); err != nil {
		return o, err
	}
	if o.Format, err = format(c, o.Config.Output.Format); err != nil {
		return o, err
	}
	color := c.String("color")
	if !c.IsSet("color") && o.Config.Output.Color != nil {
		color = fmt.Sprint(o.Config.Output.Color)
	}
	if o.Color, err = config.ParseColor(color); err != nil {
		return o, err
	}
	if o.Theme, err = o.Config.Output.Look(c.String("theme"), nil); err != nil {
		return o, err
	}
	o.Vars = map[string]string{}
	for _, v := range c.StringSlice("variable") {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return o, fmt.Errorf("the variable %q is not written NAME=VALUE", v)
		}
		o.Vars[name] = value
	}
	if !exists {
		if err := config.Create(o.ConfigPath, o.Connection.Host, o.Connection.User); err != nil {
			fmt.Fprintf(os.Stderr, "Warning: %v; settings are not kept.\n", err)
		}
	}
	return o, nil
}

func format(c *cli.Context, configured string) (render.Format, error) {
	switch {
	case c.Bool("json") && c.Bool("csv"):
		return "", errors.New("--json and --csv exclude each other")
	case c.IsSet("format") && (c.Bool("json") || c.Bool("csv")):
		return "", errors.New("--format excludes --json and --csv")
	case c.Bool("json"):
		return render.JSON, nil
	case c.Bool("csv"):
		return render.CSV, nil
	case c.IsSet("format"):
		return render.ParseFormat(c.String("format"))
	case configured != "":
		return render.ParseFormat(configured)
	}
	return render.Table, nil
}

// readToken reads one line and not a byte more, so that statements may follow
// it on the standard input.
func readToken(f *os.File) (string, error) {
	if term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(os.Stderr, "Token: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(os.Stderr)
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		return strings.TrimSpace(string(b)), nil
	}
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := f.Read(b)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the token: %w", err)
		}
		if n == 0 || b[0] == '\n' {
			break
		}
		line = append(line, b[0])
	}
	tok := strings.TrimSpace(string(line))
	if tok == "" {
		return "", errors.New("--token-stdin found no token on the standard input")
	}
	return tok, nil
}
